/*
 * store_read.c: functions that read stored documents: what a client lacks, states, readers' views.
 *
 * Here: arguments and results.  Not here: finding and decoding a document (store.c), what a reader sees (read.c),
 * what one lacks who knows a seq (store_changes.c).
 */
#include "store.h"

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "bridge.h"
#include "read.h"
#include "value.h"

/* The document called by argument 0, decoded; NULL: there is none to be seen. */
static CachedDocument *
open_argument(FunctionCallInfo fcinfo, StoreHead *head)
{
	head->name = store_check_name(PG_GETARG_TEXT_PP(0));
	store_open();
	return store_read_head(head->name, head) ? store_get_or_report(head) : NULL;
}

/* Copies a result out of SPI's memory. */
static Datum
result_outside(struct varlena *result)
{
	Size size = VARSIZE_ANY(result);
	void *copy = SPI_palloc(size);

	memcpy(copy, result, size);
	return PointerGetDatum(copy);
}

/* What encode_for answers a caller who is at state_vector. */
static bytea *
encode_for(CachedDocument *document, CrdtBytes state_vector)
{
	CrdtBuffer update;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&update, &host);
	if (crdt_doc_encode(document->doc, CRDT_V1, state_vector, &update, &error) != CRDT_OK)
		bridge_report(&error, "state vector");
	return bridge_bytea(crdt_buffer_view(&update));
}

static bytea *
state_vector_of(CachedDocument *document)
{
	CrdtBuffer state_vector;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&state_vector, &host);
	if (crdt_doc_encode_state_vector(document->doc, &state_vector, &error) != CRDT_OK)
		bridge_report(&error, "document");
	return bridge_bytea(crdt_buffer_view(&state_vector));
}

static void
put_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(ydoc_store_sync);
Datum
ydoc_store_sync(PG_FUNCTION_ARGS)
{
	CrdtBytes given = bridge_view(PG_GETARG_BYTEA_PP(1));
	const char *name = store_check_name(PG_GETARG_TEXT_PP(0));
	StoreHead head;
	Datum values[4];
	bool nulls[4] = {false};

	bridge_materialize(fcinfo);
	store_open();
	if (!store_read_known_head(name, PG_GETARG_INT64(2), &head))
	{
		values[0] = Int64GetDatum(0);
		values[1] = Int64GetDatum(0);
		values[2] = PointerGetDatum(bridge_bytea(CRDT_LITERAL("\0\0")));
		values[3] = PointerGetDatum(bridge_bytea(CRDT_LITERAL("\0")));
	}
	else
	{
		CachedDocument *document = store_get_or_report(&head);

		values[0] = Int64GetDatum(head.epoch);
		values[1] = Int64GetDatum(head.seq);
		values[2] = PointerGetDatum(encode_for(document, given));
		values[3] = PointerGetDatum(state_vector_of(document));
		cache_release(document);
	}
	put_row(fcinfo, values, nulls);
	store_close();
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(ydoc_store_heads);
Datum
ydoc_store_heads(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTARRAYOID};
	Datum arguments[] = {PG_GETARG_DATUM(0)};
	Oid store;

	bridge_materialize(fcinfo);
	store_open();
	store = store_oid();
	store_prepare(&plan,
				  "SELECT d.name, d.epoch, d.seq, d.deleted_at FROM ydoc_data.document d"
				  " WHERE d.name = ANY ($1)",
				  1, types);
	if (SPI_execute_plan(plan, arguments, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the documents' rows");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Datum values[4];
		bool nulls[4];

		for (int column = 0; column < 4; column++)
			values[column] = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
										   column + 1, &nulls[column]);
		values[1] = Int64GetDatum(store_epoch(store, DatumGetInt64(values[1])));
		put_row(fcinfo, values, nulls);
	}
	store_close();
	return (Datum) 0;
}

Datum
store_state_datum(const StoreHead *head)
{
	CachedDocument *document = store_get_or_report(head);
	CrdtBytes update = bridge_view(encode_for(document, (CrdtBytes){NULL, 0}));
	Datum result = result_outside(ydoc_flat_make(update));

	cache_release(document);
	return result;
}

PG_FUNCTION_INFO_V1(ydoc_store_state);
Datum
ydoc_store_state(PG_FUNCTION_ARGS)
{
	StoreHead head;
	Datum result = 0;
	bool found;

	head.name = store_check_name(PG_GETARG_TEXT_PP(0));
	store_open();
	found = store_read_head(head.name, &head);
	if (found)
		result = store_state_datum(&head);
	store_close();
	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/* Runs a reader on the stored document called by argument 0. */
static Datum
read_stored(FunctionCallInfo fcinfo, DocumentReader reader)
{
	StoreHead head;
	CachedDocument *document;
	struct varlena *found = NULL;
	Datum result = 0;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	document = open_argument(fcinfo, &head);
	if (document != NULL)
	{
		found = reader(document->doc, fcinfo);
		if (found != NULL)
			result = result_outside(found);
		cache_release(document);
	}
	store_close();
	if (found == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

READ_FUNCTION(ydoc_store_text, read_stored, read_text)
READ_FUNCTION(ydoc_store_json, read_stored, read_json)
READ_FUNCTION(ydoc_store_json_at, read_stored, read_json_at)
READ_FUNCTION(ydoc_store_json_text_at, read_stored, read_json_text_at)
READ_FUNCTION(ydoc_store_delta, read_stored, read_delta)
READ_FUNCTION(ydoc_store_xml, read_stored, read_xml)
READ_FUNCTION(ydoc_store_prosemirror, read_stored, read_prosemirror)
READ_FUNCTION(ydoc_store_html, read_stored, read_html)
READ_FUNCTION(ydoc_store_markdown, read_stored, read_markdown)
