/*
 * batch.c: accepting updates: one transaction, many documents, all or some of them (DESIGN's rules
 * for order, validation and notification).
 *
 *     items ── sorted by document ──> rows made and locked in that order
 *                                        │  each document: decoded as of its row, then each item
 *                                        │      gone       -> refused (store_gone.h)
 *                                        │      malformed  -> refused, the others go on
 *                                        │      no news    -> nothing to log
 *                                        │      news       -> seq + 1, joins its actor's log row
 *                                        └─ all rows changed, all log rows appended: without
 *                                           statements where that is right (store_rows.h)
 *
 * A document's row stays locked until commit, so its updates become visible in the order of their
 * seq.  Rows are locked in the order of their names by everyone, so batches never deadlock.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "access.h"
#include "bridge.h"
#include "comment.h"
#include "crdt/update.h"
#include "due.h"
#include "notify.h"
#include "pg_ydoc.h"
#include "size.h"
#include "stat.h"
#include "store.h"
#include "store_edit.h"
#include "store_gone.h"
#include "store_rows.h"
#include "waiting.h"

/* One update of a batch, and what became of it. */
typedef struct BatchItem
{
	int ordinal; /* from 0 */
	const char *document;
	CrdtBytes update;
	text *actor; /* NULL: nobody named */
	const CrdtConfines *confines; /* of who sent it; NULL: none */
	int64 known_epoch; /* at which the sender knows the document; 0: he does not say */
	int64 epoch;
	int64 seq; /* that contains it; 0: refused */
	bytea *logged; /* the log row that it closes, or NULL */
	int64 logged_from; /* the first seq of that row */
	int sqlstate;
	const char *message;
} BatchItem;

/* Items of one document, and its row. */
typedef struct BatchDocument
{
	const char *name;
	BatchItem **items;
	int item_count;
	StoreHead head;
	ItemPointerData place; /* the next two: of batch.rows */
	HeapTuple row;
	int64 log_rows;
	int64 log_bytes;
	WaitingClients *waiting; /* NULL: the same as before */
} BatchDocument;

typedef struct Batch
{
	BatchItem *items;
	int item_count;
	BatchItem **sorted; /* those that are not refused yet */
	int sorted_count;
	BatchDocument *documents;
	int document_count;
	StoreLogRow *log_rows;
	int log_row_count;
	StoreRows *rows; /* NULL: statements are to change them */
} Batch;

/* ---- sorting items into documents ---- */

static int
by_document_and_ordinal(const void *a, const void *b)
{
	const BatchItem *left = *(BatchItem *const *) a;
	const BatchItem *right = *(BatchItem *const *) b;
	int order = strcmp(left->document, right->document);

	return order != 0 ? order : left->ordinal - right->ordinal;
}

static void
group_items(Batch *batch)
{
	batch->sorted = palloc(sizeof(BatchItem *) * batch->item_count);
	batch->documents = palloc0(sizeof(BatchDocument) * batch->item_count);
	batch->log_rows = palloc(sizeof(StoreLogRow) * batch->item_count);
	for (int i = 0; i < batch->item_count; i++)
		if (batch->items[i].message == NULL)
			batch->sorted[batch->sorted_count++] = &batch->items[i];
	qsort(batch->sorted, batch->sorted_count, sizeof(BatchItem *), by_document_and_ordinal);
	for (int i = 0; i < batch->sorted_count; i++)
	{
		BatchDocument *last = batch->documents + batch->document_count - 1;

		if (batch->document_count == 0 || strcmp(last->name, batch->sorted[i]->document) != 0)
		{
			last = &batch->documents[batch->document_count++];
			last->name = batch->sorted[i]->document;
			last->items = &batch->sorted[i];
		}
		last->item_count++;
	}
}

/* ---- documents that are gone ---- */

/* Refuses an item whose document was deleted, or has made room for another one of its name. */
static bool
refuse_if_gone(const BatchDocument *document, BatchItem *item)
{
	StoreGone gone;

	if (!document->head.is_deleted &&
		!store_epoch_is_buried(item->known_epoch, document->head.buried))
		return false;
	if (!store_gone(document->name, item->known_epoch, true, &gone))
		return false;
	item->sqlstate = gone.sqlstate;
	item->message = gone.message;
	return true;
}

/* ---- documents that nobody says anything about ---- */

/* What a client sends who has nothing that we lack: no structs, no deletes. */
static bool
is_empty_update(CrdtBytes update)
{
	return update.size == 2 && update.data[0] == 0 && update.data[1] == 0;
}

static bool
has_only_empty_updates(const BatchDocument *document)
{
	for (int i = 0; i < document->item_count; i++)
		if (!is_empty_update(document->items[i]->update))
			return false;
	return true;
}

/* Answers such items without locking their document, or making one: to open a document and write
 * nothing leaves nothing behind. */
static void
answer_empty_updates(Batch *batch)
{
	int kept = 0;

	for (int i = 0; i < batch->document_count; i++)
	{
		BatchDocument *document = &batch->documents[i];

		if (!has_only_empty_updates(document))
		{
			batch->documents[kept++] = *document;
			continue;
		}
		document->head.is_deleted = !store_read_head(document->name, &document->head);
		for (int item = 0; item < document->item_count; item++)
			if (!refuse_if_gone(document, document->items[item]))
			{
				document->items[item]->epoch = document->head.epoch;
				document->items[item]->seq = document->head.seq;
			}
	}
	batch->document_count = kept;
}

/* ---- arrays for SPI ---- */

static ArrayType *
array_of(Datum *values, bool *nulls, int count, Oid type)
{
	int dimensions[] = {count};
	int lower_bounds[] = {1};
	bool is_int64 = type == INT8OID;

	return construct_md_array(values, nulls, 1, dimensions, lower_bounds, type,
							  is_int64 ? sizeof(int64) : -1, is_int64 ? FLOAT8PASSBYVAL : false,
							  is_int64 ? TYPALIGN_DOUBLE : TYPALIGN_INT);
}

static ArrayType *
array_of_names(const Batch *batch)
{
	Datum *values = palloc(sizeof(Datum) * batch->document_count);

	for (int i = 0; i < batch->document_count; i++)
		values[i] = CStringGetTextDatum(batch->documents[i].name);
	return array_of(values, NULL, batch->document_count, TEXTOID);
}

/* ---- the documents' rows ---- */

/* How many rows there are, of those that others, or statements of ours, have made so far. */
static int
find_rows(Batch *batch, ArrayType *names)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTARRAYOID};
	Datum values[] = {PointerGetDatum(names)};
	int found = 0;

	if (batch->rows != NULL)
		store_rows_close(batch->rows);
	batch->rows = store_rows_open();
	for (int i = 0; batch->rows != NULL && i < batch->document_count; i++)
		found += store_rows_find(batch->rows, batch->documents[i].name, &batch->documents[i].place);
	if (batch->rows != NULL)
		return found;
	store_prepare(&plan, "SELECT FROM ydoc_data.document d WHERE d.name = ANY ($1)", 1, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for the documents' rows");
	SPI_freetuptable(SPI_tuptable);
	return (int) SPI_processed;
}

/* Is there a row, be it a deleted document's? */
static bool
row_is_there(const char *name)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(name)};

	store_prepare(&plan, "SELECT FROM ydoc_data.document d WHERE d.name = $1", 1, types);
	if (SPI_execute_plan(plan, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for a document's row");
	SPI_freetuptable(SPI_tuptable);
	return SPI_processed == 1;
}

/* Makes the rows that are missing, in the order of names, before any is locked: whoever waits here
 * for another's new row holds nothing that the other could wait for. */
static void
create_rows(ArrayType *names)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTARRAYOID};
	Datum values[] = {PointerGetDatum(names)};

	store_prepare(&plan,
				  "INSERT INTO ydoc_data.document (name)"
				  " SELECT n.name FROM pg_catalog.unnest($1) WITH ORDINALITY AS n (name, ordinal)"
				  " WHERE NOT EXISTS (SELECT FROM ydoc_data.document d WHERE d.name = n.name)"
				  " ORDER BY n.ordinal ON CONFLICT (name) DO NOTHING",
				  1, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not create the documents' rows");
}

/* By a statement; how many there were. */
static int
lock_by_statement(Batch *batch, ArrayType *names)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTARRAYOID};
	Datum values[] = {PointerGetDatum(names)};
	int found;

	store_prepare(&plan,
				  "SELECT " STORE_HEAD_COLUMNS " FROM ydoc_data.document d"
				  " WHERE d.name = ANY ($1) ORDER BY d.name COLLATE \"C\" FOR NO KEY UPDATE",
				  1, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not lock the documents' rows");
	found = (int) SPI_processed;
	for (int i = 0; found == batch->document_count && i < found; i++)
		store_head_of_row(batch->documents[i].name, i, &batch->documents[i].head);
	SPI_freetuptable(SPI_tuptable);
	return found;
}

static int
lock_rows(Batch *batch, ArrayType *names)
{
	int found = 0;

	if (batch->rows == NULL)
		return lock_by_statement(batch, names);
	for (int i = 0; i < batch->document_count; i++)
	{
		BatchDocument *document = &batch->documents[i];

		found += store_rows_lock(batch->rows, document->name, &document->place, &document->head,
								 &document->row);
	}
	return found;
}

/* More than once, for those that are being renamed (store.h).  Who may write documents, but not make
 * them, needs all of them to be there. */
static void
lock_all_rows(Batch *batch)
{
	ArrayType *names = array_of_names(batch);
	int found = find_rows(batch, names);

	if (found < batch->document_count)
		create_rows(names);
	for (int attempt = 0; attempt < STORE_LOCK_ATTEMPTS; attempt++)
	{
		if (found < batch->document_count)
			found = find_rows(batch, names);
		if (found == batch->document_count)
			found = lock_rows(batch, names);
		if (found == batch->document_count)
			return;
	}
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("%d of %d documents may not be written", batch->document_count - found,
						   batch->document_count),
					errdetail("A policy of table ydoc_data.document hides their rows, or they were "
							  "deleted just now.")));
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
same_actor(const text *a, const text *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		   memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* Turns a run of accepted items of one actor into a log row. */
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
															.actor = last->actor};
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

/* One item; true if it is news. */
static bool
apply_item(CachedDocument *cached, BatchDocument *document, BatchItem *item)
{
	CrdtApplied applied;
	CrdtError error;
	size_t size;

	item->epoch = document->head.epoch;
	if (item->update.size > (size_t) ydoc_max_update_size_kb * 1024)
	{
		item->sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		item->message =
			psprintf("update %d for document \"%s\" has %zu bytes, ydoc.max_update_size is %d kB",
					 item->ordinal + 1, item->document, item->update.size, ydoc_max_update_size_kb);
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
	if (merge_item(cached, item, &applied, &error) != CRDT_OK)
	{
		if (error.status == CRDT_NO_MEMORY || error.status == CRDT_CANCELLED)
			bridge_report(&error, "update");
		refuse(item, &error);
		return false;
	}
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
		if (!refuse_if_gone(document, document->items[i]))
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

static void
apply_document(Batch *batch, BatchDocument *document)
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
		if (count > 0 && !same_actor(run[0]->actor, item->actor))
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

/* ---- writing ---- */

static void
update_by_statement(const Batch *batch)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID};
	Datum *columns[4];
	Datum values[4];
	int count = 0;

	for (int column = 0; column < 4; column++)
		columns[column] = palloc(sizeof(Datum) * batch->document_count);
	for (int i = 0; i < batch->document_count; i++)
	{
		const BatchDocument *document = &batch->documents[i];

		if (document->log_rows == 0)
			continue;
		columns[0][count] = CStringGetTextDatum(document->name);
		columns[1][count] = Int64GetDatum(document->head.seq);
		columns[2][count] = Int64GetDatum(document->log_rows);
		columns[3][count] = Int64GetDatum(document->log_bytes);
		count++;
	}
	store_prepare(
		&plan,
		"UPDATE ydoc_data.document d SET seq = n.seq, tail_rows = d.tail_rows + n.rows,"
		" tail_bytes = d.tail_bytes + n.bytes"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
		" pg_catalog.unnest($4)) AS n (name, seq, rows, bytes)"
		" WHERE d.name = n.name",
		4, types);
	for (int column = 0; column < 4; column++)
		values[column] = PointerGetDatum(
			array_of(columns[column], NULL, count, column == 0 ? TEXTOID : INT8OID));
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not update the documents' rows");
	if (SPI_processed != (uint64) count)
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("%d of %d documents may not be written", count - (int) SPI_processed, count),
			 errdetail("A policy or trigger of table ydoc_data.document keeps their rows "
					   "as they are.")));
}

static void
append_by_statement(const Batch *batch)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, BYTEAARRAYOID, TEXTARRAYOID, TEXTOID};
	Oid element_types[] = {TEXTOID, INT8OID, INT8OID, BYTEAOID, TEXTOID};
	Datum *columns[5];
	bool *no_actor = palloc(sizeof(bool) * batch->log_row_count);
	Datum values[6];

	for (int column = 0; column < 5; column++)
		columns[column] = palloc(sizeof(Datum) * batch->log_row_count);
	for (int i = 0; i < batch->log_row_count; i++)
	{
		const StoreLogRow *row = &batch->log_rows[i];

		columns[0][i] = CStringGetTextDatum(row->document);
		columns[1][i] = Int64GetDatum(row->seq_from);
		columns[2][i] = Int64GetDatum(row->seq);
		columns[3][i] = PointerGetDatum(row->update);
		columns[4][i] = PointerGetDatum(row->actor);
		no_actor[i] = row->actor == NULL;
	}
	store_prepare(&plan,
				  "INSERT INTO ydoc_data.log (document, seq_from, seq, update, actor, source)"
				  " SELECT n.*, NULLIF($6, '') FROM ROWS FROM (pg_catalog.unnest($1),"
				  " pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),"
				  " pg_catalog.unnest($5)) AS n",
				  6, types);
	for (int column = 0; column < 5; column++)
		values[column] = PointerGetDatum(array_of(columns[column], column == 4 ? no_actor : NULL,
												  batch->log_row_count, element_types[column]));
	values[5] = CStringGetTextDatum(ydoc_source);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT ||
		SPI_processed != (uint64) batch->log_row_count)
		elog(ERROR, "the log took " UINT64_FORMAT " of %d rows", SPI_processed,
			 batch->log_row_count);
}

static void
write_rows(const Batch *batch)
{
	if (batch->rows == NULL)
	{
		update_by_statement(batch);
		append_by_statement(batch);
		return;
	}
	for (int i = 0; i < batch->document_count; i++)
	{
		const BatchDocument *document = &batch->documents[i];

		if (document->log_rows > 0)
			store_rows_update(batch->rows, document->row, &document->head, document->log_rows,
							  document->log_bytes);
	}
	store_rows_append(batch->rows, batch->log_rows, batch->log_row_count);
}

/* What is known of documents beside their content: which of them wait, which are due for compaction. */
static void
keep_books(const Batch *batch)
{
	const char **due = palloc(sizeof(char *) * batch->document_count);
	int due_count = 0;

	for (int i = 0; i < batch->document_count; i++)
	{
		const BatchDocument *document = &batch->documents[i];

		if (document->waiting != NULL)
			waiting_write(document->name, document->waiting);
		if (due_is_reached(document->head.tail_rows, document->head.tail_bytes, document->log_rows,
						   document->log_bytes))
			due[due_count++] = document->name;
	}
	if (due_count > 0)
		due_add(due, due_count);
}

/* Locks, applies, writes. */
static void
run_documents(Batch *batch)
{
	lock_all_rows(batch);
	for (int i = 0; i < batch->document_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		apply_document(batch, &batch->documents[i]);
	}
	if (batch->log_row_count > 0)
		write_rows(batch);
	if (batch->rows != NULL)
		store_rows_close(batch->rows);
	if (batch->log_row_count == 0)
		return;
	keep_books(batch);
	for (int i = 0; i < batch->document_count; i++)
		if (batch->documents[i].log_rows > 0)
			notify_changed(batch->documents[i].name, batch->documents[i].head.epoch,
						   batch->documents[i].head.seq);
}

/* Those that the caller may only comment on: how many. */
static int
confine_documents(Batch *batch, const char **names)
{
	int count = 0;

	for (int i = 0; i < batch->document_count; i++)
	{
		const CrdtConfines *confines = comment_confines(batch->documents[i].name);

		if (confines == NULL)
			continue;
		names[count++] = batch->documents[i].name;
		for (int item = 0; item < batch->documents[i].item_count; item++)
			batch->documents[i].items[item]->confines = confines;
	}
	return count;
}

/* Stores what can be stored of the batch.  Between store_open and store_close. */
static void
run_batch(Batch *batch)
{
	const char **names;
	int count;

	store_edit_flush(); /* log rows stand in the order in which they were made */
	group_items(batch);
	answer_empty_updates(batch);
	if (batch->document_count == 0)
		return;
	names = palloc(sizeof(char *) * batch->document_count);
	count = confine_documents(batch, names);
	if (count == 0)
	{
		run_documents(batch);
		return;
	}
	comment_begin(names, count);
	PG_TRY();
	{
		run_documents(batch);
	}
	PG_FINALLY();
	{
		comment_end();
	}
	PG_END_TRY();
}

/* ---- functions ---- */

/* Updates that are lost without a word would be missed too late. */
static void
require_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument %s must not be null", name), errdetail("Nothing was stored.")));
}

/* Elements of an array argument; its length must be count unless that is -1. */
static int
get_elements(ArrayType *array, Oid type, Datum **values, bool **nulls, int count)
{
	int found;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("arrays of a batch have one dimension, not %d", ARR_NDIM(array)),
						errdetail("Element i of each belongs to update i.")));
	if (type == INT8OID)
		deconstruct_array(array, type, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, values,
						  nulls, &found);
	else
		deconstruct_array(array, type, -1, false, TYPALIGN_INT, values, nulls, &found);
	if (count >= 0 && found != count)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("arrays of a batch have one length, not %d and %d", count, found),
						errdetail("Element i of each belongs to update i.")));
	return found;
}

/* As the senders know their documents; one for each item, or none at all. */
static void
get_known_epochs(ArrayType *array, Batch *batch)
{
	Datum *epochs;
	bool *nulls;

	if (ARR_NDIM(array) == 0)
		return;
	get_elements(array, INT8OID, &epochs, &nulls, batch->item_count);
	for (int i = 0; i < batch->item_count; i++)
		if (!nulls[i])
			batch->items[i].known_epoch = DatumGetInt64(epochs[i]);
}

static CrdtBytes
update_of_element(Datum value, bool null, int ordinal)
{
	if (null)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("update %d is null", ordinal + 1),
				 errdetail("Nothing was stored.")));
	return bridge_view(DatumGetByteaPP(value));
}

static void
put_item(FunctionCallInfo fcinfo, const BatchItem *item)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	bool refused = item->message != NULL;
	bool closes = item->logged != NULL;
	Datum values[] = {Int32GetDatum(item->ordinal + 1),
					  Int64GetDatum(item->epoch),
					  Int64GetDatum(item->seq),
					  Int64GetDatum(item->logged_from),
					  PointerGetDatum(item->logged),
					  (Datum) 0,
					  (Datum) 0};
	bool nulls[] = {false, refused, refused, !closes, !closes, !refused, !refused};

	stat_count(STAT_UPDATES_REFUSED, refused);
	if (refused)
	{
		values[5] = CStringGetTextDatum(unpack_sql_state(item->sqlstate));
		values[6] = CStringGetTextDatum(item->message);
	}
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* The items of documents, updates, third (actors or claims), known epochs. */
static void
get_items(FunctionCallInfo fcinfo, Batch *batch, Datum **third, bool **no_third)
{
	Datum *documents, *updates;
	bool *no_documents, *no_updates;

	batch->item_count =
		get_elements(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, &documents, &no_documents, -1);
	get_elements(PG_GETARG_ARRAYTYPE_P(1), BYTEAOID, &updates, &no_updates, batch->item_count);
	if (!PG_ARGISNULL(2))
		get_elements(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, third, no_third, batch->item_count);
	batch->items = palloc0(sizeof(BatchItem) * Max(batch->item_count, 1));
	for (int i = 0; i < batch->item_count; i++)
	{
		if (no_documents[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("document %d has no name", i + 1), errdetail("Nothing was stored.")));
		batch->items[i].ordinal = i;
		batch->items[i].document = store_check_name(DatumGetTextPP(documents[i]));
		batch->items[i].update = update_of_element(updates[i], no_updates[i], i);
	}
	if (!PG_ARGISNULL(3))
		get_known_epochs(PG_GETARG_ARRAYTYPE_P(3), batch);
}

static Datum
apply_batch(FunctionCallInfo fcinfo, void (*take_third)(BatchItem *item, text *third))
{
	Batch batch = {0};
	Datum *third;
	bool *no_third;

	require_argument(fcinfo, 0, "documents");
	require_argument(fcinfo, 1, "updates");
	bridge_materialize(fcinfo);
	store_open();
	get_items(fcinfo, &batch, &third, &no_third);
	for (int i = 0; i < batch.item_count; i++)
		take_third(&batch.items[i],
				   PG_ARGISNULL(2) || no_third[i] ? NULL : DatumGetTextPP(third[i]));
	if (batch.item_count > 0)
		run_batch(&batch);
	for (int i = 0; i < batch.item_count; i++)
		put_item(fcinfo, &batch.items[i]);
	store_close();
	return (Datum) 0;
}

static void
take_actor(BatchItem *item, text *actor)
{
	item->actor = actor;
}

PG_FUNCTION_INFO_V1(ydoc_store_apply_batch);
Datum
ydoc_store_apply_batch(PG_FUNCTION_ARGS)
{
	return apply_batch(fcinfo, take_actor);
}

/* Refuses who may not write before anything of the document is looked at.  Who may only comment makes no
 * documents. */
static void
take_claims(BatchItem *item, text *claims)
{
	text *actor;
	AccessLevel level = access_level(item->document, claims, &actor);

	if (level == ACCESS_UNKNOWN)
	{
		item->sqlstate = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		item->message = pstrdup("the token is not valid");
		return;
	}
	if (level < ACCESS_COMMENT || (level == ACCESS_COMMENT && !row_is_there(item->document)))
	{
		item->sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
		item->message = psprintf("no right to write document \"%s\"", item->document);
		return;
	}
	item->actor = actor;
	if (level == ACCESS_COMMENT)
		item->confines = access_confines(item->document);
}

PG_FUNCTION_INFO_V1(ydoc_store_apply_batch_as);
Datum
ydoc_store_apply_batch_as(PG_FUNCTION_ARGS)
{
	return apply_batch(fcinfo, take_claims);
}

/* ydoc.apply: all or nothing. */
PG_FUNCTION_INFO_V1(ydoc_store_apply);
Datum
ydoc_store_apply(PG_FUNCTION_ARGS)
{
	Batch batch = {0};
	Datum *updates;
	bool *nulls;
	const char *name;
	int64 seq = 0;

	require_argument(fcinfo, 0, "document");
	require_argument(fcinfo, 1, "updates");
	store_open();
	name = store_check_name(PG_GETARG_TEXT_PP(0));
	batch.item_count = get_elements(PG_GETARG_ARRAYTYPE_P(1), BYTEAOID, &updates, &nulls, -1);
	if (batch.item_count == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("no update was given"),
						errhint("ydoc.\"create\" makes an empty document.")));
	batch.items = palloc0(sizeof(BatchItem) * batch.item_count);
	for (int i = 0; i < batch.item_count; i++)
	{
		batch.items[i].ordinal = i;
		batch.items[i].document = name;
		batch.items[i].update = update_of_element(updates[i], nulls[i], i);
		batch.items[i].actor = PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2);
	}
	run_batch(&batch);
	for (int i = 0; i < batch.item_count; i++)
	{
		if (batch.items[i].sqlstate == ERRCODE_DOCUMENT_DELETED ||
			batch.items[i].sqlstate == ERRCODE_DOCUMENT_MOVED)
			store_report_gone(name, 0, true);
		if (batch.items[i].message != NULL)
			ereport(ERROR,
					(errcode(batch.items[i].sqlstate), errmsg("%s", batch.items[i].message),
					 errhint("Nothing was stored.  ydoc.apply_batch stores the other updates and "
							 "reports this one.")));
		seq = batch.items[i].seq;
	}
	store_close();
	PG_RETURN_INT64(seq);
}
