/*
 * store_changes.c: what whoever knows a document up to a seq lacks of it.
 *
 * Here: ydoc.changes and ydoc.changes_of.  Not here: what one lacks who has only a state vector (store_read.c),
 * or too much for one update (store_slices.c).
 */
#include "store.h"

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "bridge.h"
#include "crdt/update.h"
#include "store_log.h"
#include "store_slices.h"

enum
{
	COLUMN_EPOCH,
	COLUMN_SEQ,
	COLUMN_UPDATE,
	COLUMN_STATE_VECTOR,
	COLUMNS
};

static CrdtBytes
copy_of(CrdtBytes bytes)
{
	uint8_t *copy = palloc(bytes.size);

	memcpy(copy, bytes.data, bytes.size);
	return (CrdtBytes){copy, bytes.size};
}

/* The log rows after since, merged; NULL if the log does not reach back that far. */
static bytea *
merge_log_after(const StoreHead *head, int64 since)
{
	StoreLog *log = store_log_begin(head, since);
	StoreLogView row;
	CrdtBytes *updates = NULL;
	size_t count = 0, room = 0;
	bool reaches = true;
	CrdtBuffer merged;
	CrdtHost host;
	CrdtError error;

	while (reaches && store_log_next(log, &row))
	{
		reaches = count > 0 || row.seq_from <= since + 1;
		if (count == room)
		{
			room = Max(2 * room, 8);
			updates = updates == NULL ? palloc(sizeof(CrdtBytes) * room)
									  : repalloc_huge(updates, sizeof(CrdtBytes) * room);
		}
		updates[count++] = copy_of(row.update);
	}
	store_log_end(log);
	if (!reaches || count == 0)
		return NULL;
	bridge_buffer(&merged, &host);
	if (crdt_update_merge(&host, updates, count, CRDT_V1, &merged, &error) != CRDT_OK)
		bridge_report(&error, psprintf("log of document \"%s\"", head->name));
	return bridge_bytea(crdt_buffer_view(&merged));
}

/* All of it, for who has nothing, or nothing that the log goes back to. */
static bytea *
encode_all(const StoreHead *head)
{
	CachedDocument *document = store_get_or_report(head);
	CrdtBuffer update;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&update, &host);
	if (crdt_doc_encode(document->doc, CRDT_V1, (CrdtBytes){NULL, 0}, &update, &error) != CRDT_OK)
		bridge_report(&error, "document");
	cache_release(document);
	return bridge_bytea(crdt_buffer_view(&update));
}

/* A row of COLUMNS. */
static void
read_changes(const char *name, int64 since, int64 known_epoch, int64 max_bytes, Datum *values,
			 bool *nulls)
{
	StoreHead head = {.name = name};
	bytea *update = NULL;
	bytea *state_vector = NULL;

	if (store_read_known_head(name, known_epoch, &head) && since < head.seq)
	{
		/* who has nothing gets the state: the log may be much longer */
		if (since > 0)
			update = merge_log_after(&head, since);
		if (update == NULL)
			update = encode_all(&head);
		if ((int64) VARSIZE_ANY_EXHDR(update) > max_bytes)
		{
			state_vector = store_state_vector_without(&head, bridge_view(update));
			update = NULL;
		}
	}
	values[COLUMN_EPOCH] = Int64GetDatum(head.epoch);
	values[COLUMN_SEQ] = Int64GetDatum(head.seq);
	values[COLUMN_UPDATE] = PointerGetDatum(update);
	values[COLUMN_STATE_VECTOR] = PointerGetDatum(state_vector);
	nulls[COLUMN_EPOCH] = nulls[COLUMN_SEQ] = false;
	nulls[COLUMN_UPDATE] = update == NULL;
	nulls[COLUMN_STATE_VECTOR] = state_vector == NULL;
}

PG_FUNCTION_INFO_V1(ydoc_store_changes);
Datum
ydoc_store_changes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const char *name = store_check_name(PG_GETARG_TEXT_PP(0));
	Datum values[COLUMNS];
	bool nulls[COLUMNS];

	bridge_materialize(fcinfo);
	store_open();
	read_changes(name, PG_GETARG_INT64(1), PG_GETARG_INT64(2), PG_GETARG_INT32(3), values, nulls);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	store_close();
	return (Datum) 0;
}

/* Elements of an array argument, none of them NULL; their number must be count unless that is -1. */
static int
get_elements(FunctionCallInfo fcinfo, int argument, int count, Datum **values)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(argument);
	int found;

	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("documents and what is known of them are arrays of one dimension "
							   "without NULL")));
	if (ARR_ELEMTYPE(array) == INT8OID)
		deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, values,
						  NULL, &found);
	else
		deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, values, NULL, &found);
	if (count >= 0 && found != count)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("there are %d documents, but what is known of %d", count, found)));
	return found;
}

PG_FUNCTION_INFO_V1(ydoc_store_changes_of);
Datum
ydoc_store_changes_of(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum *documents, *since, *known_epochs;
	int count = get_elements(fcinfo, 0, -1, &documents);
	Datum values[1 + COLUMNS];
	bool nulls[1 + COLUMNS] = {false};

	get_elements(fcinfo, 1, count, &since);
	get_elements(fcinfo, 2, count, &known_epochs);
	bridge_materialize(fcinfo);
	store_open();
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		values[0] = Int32GetDatum(i + 1);
		read_changes(store_check_name(DatumGetTextPP(documents[i])), DatumGetInt64(since[i]),
					 DatumGetInt64(known_epochs[i]), PG_GETARG_INT32(3), values + 1, nulls + 1);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	store_close();
	return (Datum) 0;
}
