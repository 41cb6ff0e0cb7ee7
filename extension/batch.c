/*
 * batch.c: accepting updates: one transaction, many documents, all or some of them (DESIGN's rules
 * for order, validation and notification).
 *
 *     items ── sorted by document ──> rows made, unless no item can be taken, and locked in that order
 *                                        │  each document: decoded as of its row, then each item
 *                                        │      gone       -> refused (store_gone.h)
 *                                        │      malformed  -> refused, the others go on
 *                                        │      no news    -> nothing to log
 *                                        │      news       -> seq + 1, joins its actor's log row
 *                                        └─ all rows changed, all log rows appended: without
 *                                           statements where that is right (store_rows.h)
 *
 * Here: the order of these steps, and the functions.  Not here: applying (batch_apply.c), rows
 * (batch_rows.c).
 *
 * A document's row stays locked until commit, so its updates become visible in the order of their
 * seq.  Rows are locked in the order of their names by everyone, so batches never deadlock.
 */
#include "batch.h"

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "access.h"
#include "bridge.h"
#include "comment.h"
#include "due.h"
#include "notify.h"
#include "pg_ydoc.h"
#include "stat.h"
#include "store_edit.h"
#include "store_gone.h"
#include "waiting.h"

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
			if (!batch_refuse_if_gone(document, document->items[item]))
			{
				document->items[item]->epoch = document->head.epoch;
				document->items[item]->seq = document->head.seq;
			}
	}
	batch->document_count = kept;
}

/* ---- running ---- */

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

/* Listeners hear of it when the transaction commits. */
static void
notify_all(const Batch *batch)
{
	for (int i = 0; i < batch->document_count; i++)
		if (batch->documents[i].log_rows > 0)
			notify_changed(batch->documents[i].name, batch->documents[i].head.epoch,
						   batch->documents[i].head.seq);
}

/* Locks, applies, writes. */
static void
run_documents(Batch *batch)
{
	batch_lock_rows(batch);
	for (int i = 0; i < batch->document_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		batch_apply_document(batch, &batch->documents[i]);
	}
	if (batch->log_row_count == 0)
	{
		batch_close_rows(batch);
		return;
	}
	keep_books(batch);
	notify_all(batch);
	batch_write_rows(batch);
}

/* Those that the caller may only comment on: how many. */
static int
confine_documents(Batch *batch, const char **names)
{
	int count = 0;

	if (!comment_may_confine())
		return 0;
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

/* From where each came: for each item, or none at all; who does not say, by the session's setting. */
static void
get_sources(ArrayType *array, Batch *batch)
{
	text *own = ydoc_source[0] != '\0' ? cstring_to_text(ydoc_source) : NULL;
	bool are_given = array != NULL && ARR_NDIM(array) > 0;
	Datum *sources = NULL;
	bool *nulls = NULL;

	if (are_given)
		get_elements(array, TEXTOID, &sources, &nulls, batch->item_count);
	for (int i = 0; i < batch->item_count; i++)
		batch->items[i].source = are_given && !nulls[i] ? DatumGetTextPP(sources[i]) : own;
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

/* The items of documents, updates, third (actors or claims), known epochs, sources. */
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
	get_sources(PG_ARGISNULL(4) ? NULL : PG_GETARG_ARRAYTYPE_P(4), batch);
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
						errhint("ydoc.create makes an empty document.")));
	batch.items = palloc0(sizeof(BatchItem) * batch.item_count);
	for (int i = 0; i < batch.item_count; i++)
	{
		batch.items[i].ordinal = i;
		batch.items[i].document = name;
		batch.items[i].update = update_of_element(updates[i], nulls[i], i);
		batch.items[i].actor = PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2);
	}
	get_sources(NULL, &batch);
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
