/*
 * batch_apply.c: the items of a batch, applied to their documents (batch.h).
 *
 * Here: what is refused, and what becomes a log row.  Not here: the rows themselves (batch_rows.c).
 */
#include "batch.h"

#include "bridge.h"
#include "crdt/update.h"
#include "due.h"
#include "pg_ydoc.h"
#include "size.h"
#include "stat.h"
#include "store_gone.h"

/* ---- documents that are gone ---- */

bool
batch_refuse_if_gone(const BatchDocument *document, BatchItem *item)
{
	StoreGone gone;

	if (!document->head.is_deleted &&
		!store_epoch_is_buried(document->head.store, item->known_epoch, document->head.buried))
		return false;
	if (!store_gone(document->name, item->known_epoch, true, &gone))
		return false;
	item->sqlstate = gone.sqlstate;
	item->message = gone.message;
	return true;
}
/* ---- applying ---- */

static void
refuse(BatchItem *item, const CrdtError *error)
{
	item->sqlstate = bridge_sqlstate(error);
	if (error->status == CRDT_FORBIDDEN)
	{
		item->message =
			psprintf("no right to write document \"%s\" outside its comment roots: %s (update %d)",
					 item->document, error->message, item->ordinal + 1);
		return;
	}
	/* it is not the update's fault what else waits: there is no byte to point at */
	if (error->status == CRDT_LIMIT && error->offset == 0)
		item->message = psprintf("update %d for document \"%s\" cannot be taken: %s",
								 item->ordinal + 1, item->document, error->message);
	else
		item->message = psprintf("invalid update: %s (byte %zu of update %d for document \"%s\")",
								 error->message, error->offset, item->ordinal + 1, item->document);
}

static bool
same_text(const text *a, const text *b)
{
	if (a == b || a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		   memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* Do they belong into one log row? */
static bool
same_origin(const BatchItem *a, const BatchItem *b)
{
	return same_text(a->actor, b->actor) && same_text(a->source, b->source);
}

/* Turns a run of accepted items of one actor, and from one place, into a log row. */
static void
close_row(Batch *batch, BatchDocument *document, BatchItem **run, int count, int64 seq_from)
{
	CrdtBytes *updates = palloc(sizeof(CrdtBytes) * count);
	BatchItem *last = run[count - 1];
	CrdtBuffer merged;
	CrdtHost host;
	CrdtError error;

	for (int i = 0; i < count; i++)
		updates[i] = run[i]->update;
	bridge_buffer(&merged, &host);
	if (crdt_update_merge(&host, updates, count, CRDT_V1, &merged, &error) != CRDT_OK)
		bridge_report(&error, "update");
	last->logged = bridge_bytea(crdt_buffer_view(&merged));
	last->logged_from = seq_from;
	batch->log_rows[batch->log_row_count++] = (StoreLogRow){.document = document->name,
															.seq_from = seq_from,
															.seq = last->seq,
															.update = last->logged,
															.actor = last->actor,
															.source = last->source};
	document->log_rows++;
	document->log_bytes += merged.size;
	stat_count(STAT_LOG_ROWS, 1);
	stat_count(STAT_LOG_BYTES, merged.size);
	crdt_buffer_close(&merged);
	pfree(updates);
}

/* Merges the update into the document.  Of one whose sender is confined, what was news takes its place. */
static CrdtStatus
merge_item(CachedDocument *cached, BatchItem *item, CrdtApplied *applied, CrdtError *error)
{
	CrdtBuffer news;
	CrdtHost host;
	CrdtStatus status;

	if (item->confines == NULL)
		return crdt_doc_apply(cached->doc, item->update, CRDT_V1, applied, error);
	bridge_buffer(&news, &host);
	status = crdt_doc_apply_confined(cached->doc, item->update, CRDT_V1, item->confines, &news,
									 applied, error);
	if (status == CRDT_OK && applied->changed)
		item->update = bridge_view(bridge_bytea(crdt_buffer_view(&news)));
	crdt_buffer_close(&news);
	return status;
}

/* Merges one item into the document, or refuses it. */
static bool
take_item(CachedDocument *cached, BatchItem *item, CrdtApplied *applied)
{
	CrdtError error;
	size_t size;

	if (item->update.size > (size_t) ydoc_max_update_size_kb * 1024)
	{
		item->sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		item->message =
			psprintf("update %d for document \"%s\" has %zu bytes, ydoc.max_update_size is %d kB",
					 item->ordinal + 1, item->document, item->update.size, ydoc_max_update_size_kb);
		return false;
	}
	if (bridge_is_second_format(item->update))
	{
		item->sqlstate = ERRCODE_INVALID_BINARY_REPRESENTATION;
		item->message = psprintf("update %d for document \"%s\" is one of format 2, not 1",
								 item->ordinal + 1, item->document);
		return false;
	}
	cache_touch(cached);
	if (!size_allows(cached, item->update, &size))
	{
		item->sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		item->message =
			psprintf("the document would have %zu bytes with update %d,"
					 " ydoc.max_document_size is %d kB (document \"%s\")",
					 size, item->ordinal + 1, ydoc_max_document_size_kb, item->document);
		return false;
	}
	if (merge_item(cached, item, applied, &error) == CRDT_OK)
		return true;
	if (error.status == CRDT_NO_MEMORY || error.status == CRDT_CANCELLED)
		bridge_report(&error, "update");
	refuse(item, &error);
	return false;
}

/* One item; true if it is news. */
static bool
apply_item(CachedDocument *cached, BatchDocument *document, BatchItem *item)
{
	CrdtApplied applied;

	item->epoch = document->head.epoch;
	if (!take_item(cached, item, &applied))
		return false;
	if (applied.client_taken)
		cached->client_was_taken = true;
	if (applied.changed)
	{
		size_note(cached, item->update.size);
		cached->seq = ++document->head.seq;
	}
	item->seq = document->head.seq;
	stat_count(applied.changed ? STAT_UPDATES_APPLIED : STAT_UPDATES_KNOWN, 1);
	return applied.changed;
}

/* The others are refused. */
static void
keep_items_not_gone(BatchDocument *document)
{
	int kept = 0;

	for (int i = 0; i < document->item_count; i++)
		if (!batch_refuse_if_gone(document, document->items[i]))
			document->items[kept++] = document->items[i];
	document->item_count = kept;
}

/* What clients send is bounded; what was accepted once can always be applied again. */
static void
limit_document(CachedDocument *cached, bool limited)
{
	crdt_doc_limit_waiting(cached->doc, limited ? (uint64) ydoc_max_waiting_size_kb * 1024 : 0,
						   limited ? (uint64) ydoc_max_waiting_client_size_kb * 1024 : 0);
	crdt_doc_limit_walk(cached->doc, limited ? (uint64) ydoc_max_conflict_steps : 0);
}

/* An update was given up half way: the document anew, as of its locked row, with those that this batch
 * has added so far. */
static CachedDocument *
decode_again(CachedDocument *broken, const StoreHead *locked, BatchItem *const *news, int count)
{
	bool client_was_taken = broken->client_was_taken;
	CachedDocument *cached;
	CrdtError error;

	cache_drop(broken);
	cached = store_get_or_report(locked);
	for (int i = 0; i < count; i++)
	{
		if (crdt_doc_apply(cached->doc, news[i]->update, CRDT_V1, NULL, &error) != CRDT_OK)
			bridge_report(&error, "update");
		size_note(cached, news[i]->update.size);
		cached->seq = news[i]->seq;
	}
	cached->client_was_taken |= client_was_taken;
	limit_document(cached, true);
	return cached;
}

void
batch_apply_document(Batch *batch, BatchDocument *document)
{
	CrdtError error;
	CachedDocument *cached;
	StoreHead locked = document->head;
	BatchItem **news = palloc(sizeof(BatchItem *) * document->item_count);
	int news_count = 0;
	BatchItem **run = palloc(sizeof(BatchItem *) * document->item_count);
	int count = 0;
	int64 seq_from = 0;
	WaitingClients before;
	WaitingClients after;

	keep_items_not_gone(document);
	if (document->item_count == 0)
		return;
	cached = store_get(&document->head, &error);
	if (cached == NULL)
	{
		/* what cannot be decoded takes no updates, and disturbs no other document */
		fence_note(document->name, document->head.seq, fence_problem(&error));
		for (int i = 0; i < document->item_count; i++)
		{
			document->items[i]->epoch = document->head.epoch;
			document->items[i]->sqlstate = ERRCODE_DATA_CORRUPTED;
			document->items[i]->message =
				psprintf("document \"%s\" cannot be decoded: %s", document->name, error.message);
		}
		return;
	}
	cached->row = document->place.root;
	before = waiting_clients(cached->doc);
	limit_document(cached, true);
	for (int i = 0; i < document->item_count; i++)
	{
		BatchItem *item = document->items[i];

		if (!apply_item(cached, document, item))
		{
			if (crdt_doc_is_broken(cached->doc))
				cached = decode_again(cached, &locked, news, news_count);
			continue;
		}
		news[news_count++] = item;
		if (count > 0 && !same_origin(run[0], item))
		{
			close_row(batch, document, run, count, seq_from);
			count = 0;
		}
		if (count == 0)
			seq_from = item->seq;
		run[count++] = item;
	}
	if (count > 0)
		close_row(batch, document, run, count, seq_from);
	limit_document(cached, false);
	after = waiting_clients(cached->doc);
	if (!waiting_is_same(&before, &after))
		document->waiting = memcpy(palloc(sizeof(after)), &after, sizeof(after));
	cache_release(cached);
}

/* ---- documents that are not there ---- */

static CachedDocument *
empty_document(const BatchDocument *document)
{
	CachedDocument *cached = cache_new(document->name, store_oid(), 0);

	limit_document(cached, true);
	return cached;
}

bool
batch_begins_document(BatchDocument *document)
{
	CachedDocument *cached = empty_document(document);
	CrdtApplied applied = {0};

	/* until the first that is news */
	for (int i = 0; i < document->item_count && !applied.changed; i++)
	{
		if (crdt_doc_is_broken(cached->doc))
		{
			cache_drop(cached);
			cached = empty_document(document);
		}
		if (!take_item(cached, document->items[i], &applied))
			applied.changed = false;
	}
	cache_drop(cached);
	for (int i = 0; i < document->item_count; i++)
	{
		BatchItem *item = document->items[i];

		/* judged for good when the row is locked, and as of then */
		if (applied.changed)
		{
			item->sqlstate = 0;
			item->message = NULL;
		}
		else if (item->message == NULL)
			stat_count(STAT_UPDATES_KNOWN, 1);
	}
	return applied.changed;
}
