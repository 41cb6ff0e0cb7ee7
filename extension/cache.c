/*
 * cache.c: decoded documents of this session (cache.h).
 */
#include "cache.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/catcache.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "bridge.h"
#include "pg_ydoc.h"
#include "stat.h"

/* Of a document's memory: of the last one some stays unused, so they do not grow with the document. */
#define LARGEST_BLOCK (64 * 1024)

typedef struct CacheSlot
{
	const char *name;
	CachedDocument *document;
} CacheSlot;

static HTAB *slots = NULL;
static dlist_head by_use = DLIST_STATIC_INIT(by_use); /* most recently used first */
static size_t cached_bytes = 0;
static bool some_changed = false; /* in the current transaction */

/* ---- the table ---- */

static uint32
hash_name(const void *key, Size size)
{
	const char *name = *(const char *const *) key;

	return hash_bytes((const unsigned char *) name, (int) strlen(name));
}

static int
compare_names(const void *a, const void *b, Size size)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void
make_table(void)
{
	HASHCTL control = {.keysize = sizeof(char *),
					   .entrysize = sizeof(CacheSlot),
					   .hash = hash_name,
					   .match = compare_names,
					   .hcxt = CacheMemoryContext};

	if (CacheMemoryContext == NULL)
		CreateCacheMemoryContext();
	control.hcxt = CacheMemoryContext;
	slots = hash_create("ydoc documents", 64, &control,
						HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

static CachedDocument *
find_document(const char *name)
{
	CacheSlot *slot;

	if (slots == NULL)
		return NULL;
	slot = hash_search(slots, &name, HASH_FIND, NULL);
	return slot == NULL ? NULL : slot->document;
}

static void
unlist_document(CachedDocument *document)
{
	const char *name = document->name;

	dlist_delete(&document->by_use);
	hash_search(slots, &name, HASH_REMOVE, NULL);
	cached_bytes -= document->bytes;
}

/* ---- taking and giving back ---- */

CachedDocument *
cache_take(const char *name, Oid store, int64 epoch, int64 seq)
{
	CachedDocument *document = find_document(name);

	if (document == NULL || document->store != store || document->epoch != epoch ||
		document->seq > seq)
		return NULL;
	unlist_document(document);
	MemoryContextSetParent(document->context, CurTransactionContext);
	return document;
}

bool
cache_guess_row(const char *name, Oid store, ItemPointer row)
{
	CachedDocument *document = find_document(name);

	if (document == NULL || document->store != store || !ItemPointerIsValid(&document->row))
		return false;
	*row = document->row;
	return true;
}

/* Hears of each transaction of the document: edits are to be logged. */
static void
record_edit(void *context, CrdtDoc *doc, const CrdtChange *change)
{
	CachedDocument *document = context;
	CrdtError error;

	if (change->local)
		document->edit_status = crdt_doc_encode_transaction(doc, CRDT_V1, &document->edit, &error);
}

CachedDocument *
cache_new(const char *name, Oid store, int64 epoch)
{
	MemoryContext context;
	CachedDocument *document;
	CrdtDocOptions options = {.after_transaction = record_edit};

	if (slots == NULL)
		make_table();
	/* under the transaction until it is released: an error on the way leaks nothing */
	context =
		AllocSetContextCreate(CurTransactionContext, "ydoc document", ALLOCSET_DEFAULT_MINSIZE,
							  ALLOCSET_DEFAULT_INITSIZE, LARGEST_BLOCK);
	document = MemoryContextAllocZero(context, sizeof(CachedDocument));
	document->name = MemoryContextStrdup(context, name);
	document->store = store;
	document->epoch = epoch;
	document->context = context;
	bridge_host(&document->host, context);
	crdt_buffer_open(&document->edit, &document->host);
	options.context = document;
	document->doc = crdt_doc_new(&document->host, &options);
	if (document->doc == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return document;
}

void
cache_touch(CachedDocument *document)
{
	document->changed_in = GetCurrentSubTransactionId();
	some_changed = true;
}

void
cache_drop(CachedDocument *document)
{
	MemoryContextDelete(document->context);
}

static void
evict(CachedDocument *document)
{
	unlist_document(document);
	cache_drop(document);
}

void
cache_release(CachedDocument *document)
{
	size_t most = (size_t) ydoc_cache_size_kb * 1024;
	CachedDocument *other = find_document(document->name);
	CacheSlot *slot;

	/* what an old snapshot asked for does not displace the present */
	if (other != NULL && other->store == document->store && other->epoch == document->epoch &&
		other->seq > document->seq)
	{
		cache_drop(document);
		return;
	}
	if (other != NULL)
		evict(other);
	slot = hash_search(slots, &document->name, HASH_ENTER, NULL);
	slot->document = document;
	MemoryContextSetParent(document->context, CacheMemoryContext);
	dlist_push_head(&by_use, &document->by_use);
	document->bytes = MemoryContextMemAllocated(document->context, true);
	cached_bytes += document->bytes;
	while (cached_bytes > most && !dlist_is_empty(&by_use))
	{
		evict(dlist_tail_element(CachedDocument, by_use, &by_use));
		stat_count(STAT_CACHE_EVICTIONS, 1);
	}
}

void
cache_measure(int64 *documents, int64 *bytes)
{
	*documents = slots == NULL ? 0 : hash_get_num_entries(slots);
	*bytes = (int64) cached_bytes;
}

/* ---- transactions ---- */

/* Drops what a transaction that rolled back had changed; what it did is kept otherwise, in the
 * name of parent. */
static void
end_of_changes(SubTransactionId ended, bool committed, SubTransactionId parent)
{
	dlist_mutable_iter at;

	dlist_foreach_modify(at, &by_use)
	{
		CachedDocument *document = dlist_container(CachedDocument, by_use, at.cur);

		if (document->changed_in == InvalidSubTransactionId ||
			(ended != InvalidSubTransactionId && document->changed_in != ended))
			continue;
		if (committed)
			document->changed_in = parent;
		else
			evict(document);
	}
}

static void
at_transaction_end(XactEvent event, void *argument)
{
	bool committed = event == XACT_EVENT_COMMIT || event == XACT_EVENT_PARALLEL_COMMIT;
	bool ended = committed || event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT ||
				 event == XACT_EVENT_PREPARE;

	if (!ended || !some_changed)
		return;
	/* what is prepared may still roll back */
	end_of_changes(InvalidSubTransactionId, committed, InvalidSubTransactionId);
	some_changed = false;
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
					  void *argument)
{
	if (some_changed && (event == SUBXACT_EVENT_COMMIT_SUB || event == SUBXACT_EVENT_ABORT_SUB))
		end_of_changes(id, event == SUBXACT_EVENT_COMMIT_SUB, parent);
}

void
cache_register(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}
