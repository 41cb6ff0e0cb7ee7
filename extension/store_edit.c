/*
 * store_edit.c: editing stored documents in SQL (store_edit.h).
 *
 *     ydoc.text_insert('notes/7', 't', 0, 'hi')
 *         first edit of the transaction: the row made and locked, the client id found
 *         every edit: the cached document edited, its update kept
 *     COMMIT: kept updates merged -> one log row, the row's seq + 1, one notification
 *
 * Here: the functions, what is kept, writing it.  Not here: the verbs (edit.c).
 *
 * Client ids.  Two edits that do not descend from one another must never share a client and a clock.
 * A document's edits in SQL go on with one id as long as nothing can have been lost or forked: it is
 * kept under the row's lock in an UNLOGGED table, which replication, promotion, base backups and crash
 * recovery leave empty, beside the name of the node: system identifier, database and the time the
 * server was started.  Another name, as after a restored copy, means another id.
 */
#include "store_edit.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "access.h"
#include "bridge.h"
#include "comment.h"
#include "crdt/update.h"
#include "due.h"
#include "edit.h"
#include "notify.h"
#include "pg_ydoc.h"
#include "size.h"
#include "projection.h"
#include "stat.h"
#include "store_triggers.h"
#include "value.h"

/* One edit. */
typedef struct KeptUpdate
{
	CrdtBytes update;
	SubTransactionId made_in;
} KeptUpdate;

/* The edits of a document in this transaction; its row is locked. */
typedef struct EditedDocument
{
	struct EditedDocument *next;
	char *name;
	Oid store;
	int64 epoch;
	int64 seq; /* of the row */
	SubTransactionId locked_in;
	SubTransactionId written_in; /* whose roll-back takes its log row away again; invalid: none */
	Oid user; /* who edited, and so writes */
	int security_context;
	char *actor; /* empty: nobody named */
	uint64 client; /* 0: not found yet */
	bool is_comment; /* some of it, of somebody who may write nothing else */
	KeptUpdate *updates;
	int count;
	int capacity;
} EditedDocument;

static EditedDocument *edited = NULL; /* in the transaction's memory */

/* ---- what is kept ---- */

static EditedDocument *
find_edited(const char *name, Oid store, int64 epoch, int64 seq)
{
	for (EditedDocument *document = edited; document != NULL; document = document->next)
		if (document->store == store && document->epoch == epoch && document->seq == seq &&
			strcmp(document->name, name) == 0)
			return document;
	return NULL;
}

int
store_edit_count(const StoreHead *head)
{
	EditedDocument *document = find_edited(head->name, head->store, head->epoch, head->seq);

	return document == NULL ? 0 : document->count;
}

CrdtBytes
store_edit_update(const StoreHead *head, int index)
{
	return find_edited(head->name, head->store, head->epoch, head->seq)->updates[index].update;
}

static EditedDocument *
new_edited(const StoreHead *head)
{
	const char *actor = access_actor();
	MemoryContext old_context = MemoryContextSwitchTo(TopTransactionContext);
	EditedDocument *document = palloc0(sizeof(EditedDocument));

	document->name = pstrdup(head->name);
	document->store = head->store;
	document->epoch = head->epoch;
	document->seq = head->seq;
	document->locked_in = GetCurrentSubTransactionId();
	document->actor = pstrdup(actor);
	GetUserIdAndSecContext(&document->user, &document->security_context);
	MemoryContextSwitchTo(old_context);
	document->next = edited;
	edited = document;
	return document;
}

static void
keep_update(EditedDocument *document, CrdtBytes update)
{
	MemoryContext old_context = MemoryContextSwitchTo(TopTransactionContext);
	uint8_t *copy = MemoryContextAllocHuge(TopTransactionContext, update.size);

	memcpy(copy, update.data, update.size);
	if (document->count == document->capacity)
	{
		document->capacity = Max(2 * document->capacity, 8);
		document->updates =
			document->updates == NULL
				? palloc(document->capacity * sizeof(KeptUpdate))
				: repalloc_huge(document->updates, document->capacity * sizeof(KeptUpdate));
	}
	document->updates[document->count++] =
		(KeptUpdate){{copy, update.size}, GetCurrentSubTransactionId()};
	MemoryContextSwitchTo(old_context);
}

/* ---- writing ---- */

static CrdtBytes
merge_kept(const EditedDocument *document, CrdtHost *host, CrdtBuffer *merged)
{
	CrdtBytes *updates = palloc(sizeof(CrdtBytes) * document->count);
	CrdtError error;

	for (int i = 0; i < document->count; i++)
		updates[i] = document->updates[i].update;
	if (document->count == 1)
		return updates[0];
	bridge_buffer(merged, host);
	if (crdt_update_merge(host, updates, document->count, CRDT_V1, merged, &error) != CRDT_OK)
		bridge_report(&error, "edit");
	return crdt_buffer_view(merged);
}

static void
write_rows(const EditedDocument *document, bytea *update)
{
	static SPIPlanPtr insert_plan = NULL;
	static SPIPlanPtr update_plan = NULL;
	Oid types[] = {TEXTOID, INT8OID, BYTEAOID, TEXTOID, TEXTOID};
	Datum values[] = {CStringGetTextDatum(document->name), Int64GetDatum(document->seq + 1),
					  PointerGetDatum(update), CStringGetTextDatum(document->actor),
					  CStringGetTextDatum(ydoc_source)};
	bool is_due;

	store_prepare(&update_plan,
				  "UPDATE ydoc_data.document d SET seq = $2, tail_rows = d.tail_rows + 1,"
				  " tail_bytes = d.tail_bytes + pg_catalog.octet_length($3)"
				  " WHERE d.name = $1 AND d.seq = $2 - 1"
				  " RETURNING d.tail_rows - 1, d.tail_bytes - pg_catalog.octet_length($3)",
				  3, types);
	if (store_triggers_execute(update_plan, values) != SPI_OK_UPDATE_RETURNING)
		elog(ERROR, "could not update a document's row");
	if (SPI_processed != 1)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("document \"%s\" may not be written", document->name),
						errdetail("A policy or trigger of table ydoc_data.document keeps its row "
								  "as it is.")));
	is_due = due_is_reached(store_int64(0, 1), store_int64(0, 2), 1, VARSIZE_ANY_EXHDR(update));
	SPI_freetuptable(SPI_tuptable);
	store_prepare(&insert_plan,
				  "INSERT INTO ydoc_data.log (document, seq_from, seq, update, actor, source)"
				  " VALUES ($1, $2, $2, $3, NULLIF($4, ''), NULLIF($5, ''))",
				  5, types);
	if (store_triggers_execute(insert_plan, values) != SPI_OK_INSERT || SPI_processed != 1)
		elog(ERROR, "the log took " UINT64_FORMAT " of 1 row", SPI_processed);
	if (is_due)
		due_add((const char *const *) &document->name, 1);
}

/* The cached document goes on to the row's new seq. */
static void
move_cached(const EditedDocument *document)
{
	CachedDocument *cached =
		cache_take(document->name, document->store, document->epoch, document->seq);

	if (cached == NULL)
		return;
	if (cached->seq != document->seq || cached->edits != document->count)
	{
		cache_drop(cached);
		return;
	}
	cache_touch(cached);
	cached->seq++;
	cached->edits = 0;
	cache_release(cached);
}

/* Rows first, then all that is known of them elsewhere: triggers may read the document, and edit it. */
static void
write_with_triggers(const EditedDocument *document, bytea *update)
{
	EState *held = store_triggers_hold();

	write_rows(document, update);
	stat_count(STAT_LOG_ROWS, 1);
	stat_count(STAT_LOG_BYTES, VARSIZE_ANY_EXHDR(update));
	notify_changed(document->name, document->epoch, document->seq + 1);
	move_cached(document);
	store_triggers_fire(held);
}

/* As the one who made the edits. */
static void
write_edited(const EditedDocument *document)
{
	Oid user;
	int security_context;
	CrdtBuffer merged;
	CrdtHost host;
	bytea *update = bridge_bytea(merge_kept(document, &host, &merged));

	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(document->user,
						   document->security_context | SECURITY_LOCAL_USERID_CHANGE);
	if (document->is_comment)
		comment_begin((const char *const *) &document->name, 1);
	PG_TRY();
	{
		write_with_triggers(document, update);
	}
	PG_FINALLY();
	{
		comment_end();
	}
	PG_END_TRY();
	SetUserIdAndSecContext(user, security_context);
}

/* One whose edits are not in the log; NULL: none. */
static EditedDocument *
find_unwritten(void)
{
	EditedDocument *document = edited;

	while (document != NULL && document->written_in != InvalidSubTransactionId)
		document = document->next;
	return document;
}

void
store_edit_flush(void)
{
	/* marked first: triggers that run meanwhile may edit.  Kept, for a savepoint may roll back. */
	for (EditedDocument *document; (document = find_unwritten()) != NULL;)
	{
		document->written_in = GetCurrentSubTransactionId();
		if (document->count > 0)
			write_edited(document);
	}
}

static void
flush_at_end(void)
{
	int nesting = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	PushActiveSnapshot(GetTransactionSnapshot());
	store_open();
	store_edit_flush();
	store_close();
	PopActiveSnapshot();
	AtEOXact_GUC(true, nesting);
	/* deferred triggers have had their turn: those on the rows just written have theirs now */
	AfterTriggerFireDeferred();
}

static void
at_transaction_end(XactEvent event, void *argument)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			/* a table that follows documents may have triggers that edit some */
			while (find_unwritten() != NULL || projection_is_pending())
			{
				if (find_unwritten() != NULL)
					flush_at_end();
				projection_write();
			}
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE: edited = NULL; break;
		default: break;
	}
}

/* What a subtransaction edited goes when it rolls back: its updates are the newest. */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
					  void *argument)
{
	EditedDocument **place = &edited;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (*place != NULL)
	{
		EditedDocument *document = *place;
		bool aborted = event == SUBXACT_EVENT_ABORT_SUB;

		if (aborted && document->locked_in == id)
		{
			*place = document->next;
			continue;
		}
		if (document->locked_in == id)
			document->locked_in = parent;
		if (document->written_in == id)
			document->written_in = aborted ? InvalidSubTransactionId : parent;
		while (aborted && document->count > 0 &&
			   document->updates[document->count - 1].made_in == id)
			document->count--;
		for (int i = document->count - 1; i >= 0 && document->updates[i].made_in == id; i--)
			document->updates[i].made_in = parent;
		place = &document->next;
	}
}

void
store_edit_register(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}

/* ---- client ids ---- */

static char *
node_name(void)
{
	return psprintf(UINT64_FORMAT "/%u/" INT64_FORMAT, GetSystemIdentifier(), MyDatabaseId,
					(int64) PgStartTime);
}

static uint64
find_client(const StoreHead *head)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, INT8OID, TEXTOID};
	Datum values[] = {CStringGetTextDatum(head->name), Int64GetDatum(head->epoch),
					  CStringGetTextDatum(node_name())};
	uint64 client = 0;

	store_prepare(&plan,
				  "SELECT c.client FROM ydoc_data.client c"
				  " WHERE c.document = $1 AND c.epoch = $2 AND c.node = $3",
				  3, types);
	if (SPI_execute_plan(plan, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a document's client id");
	if (SPI_processed == 1)
	{
		bool null;

		client =
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	}
	SPI_freetuptable(SPI_tuptable);
	return client;
}

static uint64
renew_client(const StoreHead *head)
{
	static SPIPlanPtr plan = NULL;
	uint64 client = ydoc_random_client();
	Oid types[] = {TEXTOID, INT8OID, TEXTOID, INT8OID};
	Datum values[] = {CStringGetTextDatum(head->name), Int64GetDatum(head->epoch),
					  CStringGetTextDatum(node_name()), Int64GetDatum(client)};

	store_prepare(&plan,
				  "INSERT INTO ydoc_data.client (document, epoch, node, client)"
				  " VALUES ($1, $2, $3, $4) ON CONFLICT (document)"
				  " DO UPDATE SET epoch = $2, node = $3, client = $4",
				  4, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write a document's client id");
	return client;
}

/* Before an edit; the document's row is locked. */
static void
set_client(const StoreHead *head, EditedDocument *document, CachedDocument *cached)
{
	if (document->client == 0 && !cached->client_was_taken)
		document->client = find_client(head);
	if (document->client == 0 || cached->client_was_taken)
		document->client = renew_client(head);
	cached->client_was_taken = false;
	crdt_doc_set_client(cached->doc, document->client);
}

/* ---- editing ---- */

/* Are further edits to stand in the same log row: made with the same rights, by the same actor? */
static bool
goes_on(const EditedDocument *document)
{
	Oid user;
	int security_context;

	if (document->written_in != InvalidSubTransactionId)
		return false;
	GetUserIdAndSecContext(&user, &security_context);
	return document->user == user && strcmp(document->actor, access_actor()) == 0;
}

/* The row as it is for this transaction to edit: locked, with the caller's rights, at his first edit. */
static EditedDocument *
lock_document(StoreHead *head)
{
	EditedDocument *document = NULL;

	if (store_read_head(head->name, head))
		document = find_edited(head->name, head->store, head->epoch, head->seq);
	/* under row security locking it again asks again whether he may: claims change within a transaction */
	if (document == NULL || !goes_on(document) || comment_may_confine())
	{
		store_lock_head(head->name, head);
		document = find_edited(head->name, head->store, head->epoch, head->seq);
	}
	if (document != NULL && !goes_on(document))
	{
		store_edit_flush(); /* with the rights of who made them: the next row is another's */
		store_lock_head(head->name, head);
		document = NULL;
	}
	head->for_writing = true;
	return document != NULL ? document : new_edited(head);
}

/* Locks the document and takes a client id: with the right to do so, if the caller may only comment. */
static EditedDocument *
prepare_document(StoreHead *head, CachedDocument **cached, const CrdtConfines *confines)
{
	EditedDocument *document = lock_document(head);

	*cached = store_get_or_report(head);
	cache_touch(*cached);
	set_client(head, document, *cached);
	document->is_comment |= confines != NULL;
	return document;
}

static EditedDocument *
prepare_comment(StoreHead *head, CachedDocument **cached, const CrdtConfines *confines)
{
	EditedDocument *volatile document = NULL;

	comment_begin(&head->name, 1);
	PG_TRY();
	{
		document = prepare_document(head, cached, confines);
	}
	PG_FINALLY();
	{
		comment_end();
	}
	PG_END_TRY();
	return document;
}

/* The edit is made, and goes with the transaction if it is none that he may make. */
static void
check_comment(CachedDocument *cached, const char *name, const CrdtConfines *confines)
{
	CrdtError error;

	if (confines == NULL || cached->edit.size == 0 ||
		crdt_doc_check_edit(cached->doc, crdt_buffer_view(&cached->edit), CRDT_V1, confines,
							&error) == CRDT_OK)
		return;
	if (error.status != CRDT_FORBIDDEN)
		bridge_report(&error, "edit");
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("no right to write document \"%s\" outside its comment roots: %s", name,
						   error.message)));
}

int64
store_edit_run(const char *name, StoreEdit edit, void *context)
{
	StoreHead head = {.name = name};
	const CrdtConfines *confines;
	EditedDocument *document;
	CachedDocument *cached;
	uint64_t parted_before;
	int64 seq;
	size_t size;

	store_open();
	confines = comment_confines(name);
	document = confines != NULL ? prepare_comment(&head, &cached, confines)
								: prepare_document(&head, &cached, NULL);
	cached->edit.size = 0;
	cached->edit_status = CRDT_OK;
	parted_before = crdt_doc_parted_characters(cached->doc);
	edit(cached, &head, context);
	if (cached->edit_status != CRDT_OK)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	check_comment(cached, name, confines);
	if (cached->edit.size > (size_t) ydoc_max_update_size_kb * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the edit has %zu bytes, ydoc.max_update_size is %d kB", cached->edit.size,
						ydoc_max_update_size_kb),
				 errhint("Edit in smaller steps, in transactions of their own, or have a superuser "
						 "raise the setting.")));
	if (cached->edit.size > 0 && !size_note_edit(cached, crdt_buffer_view(&cached->edit), &size))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the document would have %zu bytes, ydoc.max_document_size is %d kB",
							   size, ydoc_max_document_size_kb),
						errhint("Delete some of it, or have a superuser raise the setting.")));
	if (cached->edit.size > 0)
	{
		keep_update(document, crdt_buffer_view(&cached->edit));
		cached->edits = document->count;
	}
	seq = document->seq + (document->count > 0 ? 1 : 0);
	/* what was parted by an operation that changed nothing, nobody else would see so */
	if (crdt_doc_parted_characters(cached->doc) != parted_before)
		cache_drop(cached);
	else
		cache_release(cached);
	store_close();
	return seq;
}

/* What is to be done: a verb, or a list of operations. */
typedef struct EditCall
{
	const EditVerb *verb; /* NULL: the list */
	EditArguments arguments;
	const Jsonb *operations;
} EditCall;

static void
edit_by_call(CachedDocument *cached, const StoreHead *head, void *context)
{
	const EditCall *call = context;

	crdt_doc_begin(cached->doc, NULL);
	if (call->verb != NULL)
		edit_run(cached->doc, call->verb, &call->arguments);
	else
		edit_run_list(cached->doc, call->operations);
	crdt_doc_commit(cached->doc);
}

static void
require_name(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the name of the document must not be null"),
						errdetail("Nothing was stored.")));
}

static Datum
edit_stored(FunctionCallInfo fcinfo, const char *verb_name)
{
	EditCall call = {.verb = edit_verb(verb_name, strlen(verb_name))};

	bridge_require_utf8();
	require_name(fcinfo);
	call.arguments = edit_arguments(fcinfo, call.verb);
	PG_RETURN_INT64(store_edit_run(store_check_name(PG_GETARG_TEXT_PP(0)), edit_by_call, &call));
}

#define STORE_EDIT_FUNCTION(name)             \
	PG_FUNCTION_INFO_V1(ydoc_store_##name);   \
	Datum ydoc_store_##name(PG_FUNCTION_ARGS) \
	{                                         \
		return edit_stored(fcinfo, #name);    \
	}

STORE_EDIT_FUNCTION(text_insert)
STORE_EDIT_FUNCTION(text_append)
STORE_EDIT_FUNCTION(text_insert_embed)
STORE_EDIT_FUNCTION(text_delete)
STORE_EDIT_FUNCTION(text_format)
STORE_EDIT_FUNCTION(text_apply_delta)
STORE_EDIT_FUNCTION(text_replace)
STORE_EDIT_FUNCTION(array_insert)
STORE_EDIT_FUNCTION(array_push)
STORE_EDIT_FUNCTION(array_delete)
STORE_EDIT_FUNCTION(map_set)
STORE_EDIT_FUNCTION(map_delete)
STORE_EDIT_FUNCTION(map_clear)
STORE_EDIT_FUNCTION(xml_insert)
STORE_EDIT_FUNCTION(xml_delete)
STORE_EDIT_FUNCTION(xml_set_attribute)
STORE_EDIT_FUNCTION(xml_remove_attribute)
STORE_EDIT_FUNCTION(set)
STORE_EDIT_FUNCTION(unset)
STORE_EDIT_FUNCTION(patch)

PG_FUNCTION_INFO_V1(ydoc_store_edit);
Datum
ydoc_store_edit(PG_FUNCTION_ARGS)
{
	EditCall call = {0};

	bridge_require_utf8();
	require_name(fcinfo);
	edit_require_operations(fcinfo);
	call.operations = PG_GETARG_JSONB_P(1);
	PG_RETURN_INT64(store_edit_run(store_check_name(PG_GETARG_TEXT_PP(0)), edit_by_call, &call));
}
