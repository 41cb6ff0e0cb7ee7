/*
 * update.c: Yjs updates without a document: merge, diff, state vector, the other format, and what
 * is in them.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "bridge.h"
#include "crdt/update.h"
#include "read.h"

/* The array's updates as views; NULLs left out. */
static CrdtBytes *
updates_of_array(ArrayType *array, int *count)
{
	Datum *elements;
	bool *nulls;
	int element_count;
	CrdtBytes *updates;

	deconstruct_array(array, BYTEAOID, -1, false, TYPALIGN_INT, &elements, &nulls, &element_count);
	updates = palloc(sizeof(CrdtBytes) * Max(element_count, 1));
	*count = 0;
	for (int i = 0; i < element_count; i++)
		if (!nulls[i])
			updates[(*count)++] = bridge_view(DatumGetByteaPP(elements[i]));
	return updates;
}

PG_FUNCTION_INFO_V1(yupdate_merge);
Datum
yupdate_merge(PG_FUNCTION_ARGS)
{
	int count;
	CrdtBytes *updates = updates_of_array(PG_GETARG_ARRAYTYPE_P(0), &count);
	CrdtBuffer merged;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&merged, &host);
	if (crdt_update_merge(&host, updates, count, bridge_format_arg(fcinfo, 1), &merged, &error) !=
		CRDT_OK)
		bridge_report(&error, psprintf("update %zu", error.part + 1));
	PG_RETURN_BYTEA_P(bridge_bytea(crdt_buffer_view(&merged)));
}

PG_FUNCTION_INFO_V1(yupdate_diff);
Datum
yupdate_diff(PG_FUNCTION_ARGS)
{
	CrdtBytes update = bridge_view(PG_GETARG_BYTEA_PP(0));
	CrdtBytes state_vector = bridge_view(PG_GETARG_BYTEA_PP(1));
	CrdtBuffer rest;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&rest, &host);
	if (crdt_update_diff(&host, update, bridge_format_arg(fcinfo, 2), state_vector, &rest,
						 &error) != CRDT_OK)
		bridge_report(&error, error.part == 1 ? "state vector" : "update");
	PG_RETURN_BYTEA_P(bridge_bytea(crdt_buffer_view(&rest)));
}

PG_FUNCTION_INFO_V1(yupdate_state_vector);
Datum
yupdate_state_vector(PG_FUNCTION_ARGS)
{
	CrdtBytes update = bridge_view(PG_GETARG_BYTEA_PP(0));
	CrdtBuffer state_vector;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&state_vector, &host);
	if (crdt_update_state_vector(&host, update, bridge_format_arg(fcinfo, 1), &state_vector,
								 &error) != CRDT_OK)
		bridge_report(&error, "update");
	PG_RETURN_BYTEA_P(bridge_bytea(crdt_buffer_view(&state_vector)));
}

PG_FUNCTION_INFO_V1(yupdate_convert);
Datum
yupdate_convert(PG_FUNCTION_ARGS)
{
	CrdtBytes update = bridge_view(PG_GETARG_BYTEA_PP(0));
	CrdtFormat from = bridge_format_arg(fcinfo, 1);
	CrdtFormat to = bridge_format_arg(fcinfo, 2);
	CrdtBuffer converted;
	CrdtHost host;
	CrdtError error;

	bridge_check_format(update, from);
	bridge_buffer(&converted, &host);
	if (crdt_update_convert(&host, update, from, to, &converted, &error) != CRDT_OK)
		bridge_report(&error, "update");
	PG_RETURN_BYTEA_P(bridge_bytea(crdt_buffer_view(&converted)));
}

PG_FUNCTION_INFO_V1(yupdate_valid);
Datum
yupdate_valid(PG_FUNCTION_ARGS)
{
	CrdtBytes update = bridge_view(PG_GETARG_BYTEA_PP(0));
	CrdtHost host;
	CrdtError error;
	CrdtStatus status;

	bridge_host(&host, CurrentMemoryContext);
	status = crdt_update_check(&host, update, bridge_format_arg(fcinfo, 1), &error);
	/* that memory ran out, or somebody cancelled, says nothing about the update */
	if (status == CRDT_NO_MEMORY || status == CRDT_CANCELLED)
		bridge_report(&error, "update");
	PG_RETURN_BOOL(status == CRDT_OK);
}

/* ---- what is in an update ---- */

#define META_COLUMNS 3

/* Adds a row: a client, and the clocks of its structs. */
static bool
meta_client(void *context, uint64_t client, uint64_t from, uint64_t to)
{
	ReturnSetInfo *result = context;
	Datum values[META_COLUMNS] = {Int64GetDatum(client), Int64GetDatum(from), Int64GetDatum(to)};
	bool nulls[META_COLUMNS] = {false, false, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return true;
}

PG_FUNCTION_INFO_V1(yupdate_meta);
Datum
yupdate_meta(PG_FUNCTION_ARGS)
{
	CrdtBytes update = bridge_view(PG_GETARG_BYTEA_PP(0));
	CrdtFormat format = bridge_format_arg(fcinfo, 1);
	CrdtMetaVisitor visitor = {meta_client, fcinfo->resultinfo};
	CrdtHost host;
	CrdtError error;

	bridge_materialize(fcinfo);
	bridge_host(&host, CurrentMemoryContext);
	if (crdt_update_meta(&host, update, format, &visitor, &error) != CRDT_OK)
		bridge_report(&error, "update");
	return (Datum) 0;
}

/* The columns of yupdate_inspect, in order. */
enum
{
	COLUMN_CLIENT,
	COLUMN_CLOCK,
	COLUMN_LENGTH,
	COLUMN_KIND,
	COLUMN_ORIGIN,
	COLUMN_RIGHT_ORIGIN,
	COLUMN_PARENT,
	COLUMN_KEY,
	COLUMN_TYPE,
	COLUMN_NAME,
	COLUMN_VALUE,
	INSPECT_COLUMNS
};

typedef struct Row
{
	Datum values[INSPECT_COLUMNS];
	bool nulls[INSPECT_COLUMNS];
} Row;

static void
set_column(Row *row, int column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
}

static void
set_text(Row *row, int column, CrdtBytes text)
{
	if (text.data != NULL)
		set_column(row, column, PointerGetDatum(bridge_bytea(bridge_text(text))));
}

/* An id as people write it: client:clock. */
static void
set_id(Row *row, int column, bool is_there, uint64_t client, uint64_t clock)
{
	if (is_there)
		set_column(row, column,
				   CStringGetTextDatum(psprintf(UINT64_FORMAT ":" UINT64_FORMAT, client, clock)));
}

static Row
new_row(uint64_t client, uint64_t clock, uint64_t length, const char *kind)
{
	Row row;

	memset(row.nulls, true, sizeof(row.nulls));
	set_column(&row, COLUMN_CLIENT, Int64GetDatum(client));
	set_column(&row, COLUMN_CLOCK, Int64GetDatum(clock));
	set_column(&row, COLUMN_LENGTH, Int64GetDatum(length));
	set_column(&row, COLUMN_KIND, CStringGetTextDatum(kind));
	return row;
}

/* Rows of a long update must not add up in memory. */
typedef struct Inspection
{
	ReturnSetInfo *result;
	MemoryContext row_context;
} Inspection;

static bool
put_row(Inspection *inspection, Row *row)
{
	tuplestore_putvalues(inspection->result->setResult, inspection->result->setDesc, row->values,
						 row->nulls);
	MemoryContextReset(inspection->row_context);
	return true;
}

static bool
inspect_struct(void *context, const CrdtStructView *item)
{
	Inspection *inspection = context;
	MemoryContext outside = MemoryContextSwitchTo(inspection->row_context);
	Row row = new_row(item->client, item->clock, item->length, item->kind);

	CHECK_FOR_INTERRUPTS();
	set_id(&row, COLUMN_ORIGIN, item->has_origin, item->origin_client, item->origin_clock);
	set_id(&row, COLUMN_RIGHT_ORIGIN, item->has_right_origin, item->right_origin_client,
		   item->right_origin_clock);
	set_id(&row, COLUMN_PARENT, item->has_parent_id, item->parent_client, item->parent_clock);
	set_text(&row, COLUMN_PARENT, item->root);
	set_text(&row, COLUMN_KEY, item->key);
	if (item->type != NULL)
		set_column(&row, COLUMN_TYPE, CStringGetTextDatum(item->type));
	set_text(&row, COLUMN_NAME, item->name);
	if (item->value.data != NULL)
		set_column(&row, COLUMN_VALUE, JsonbPGetDatum(read_value(item->value)));
	MemoryContextSwitchTo(outside);
	return put_row(inspection, &row);
}

static bool
inspect_deleted(void *context, uint64_t client, uint64_t clock, uint64_t length)
{
	Inspection *inspection = context;
	MemoryContext outside = MemoryContextSwitchTo(inspection->row_context);
	Row row = new_row(client, clock, length, "delete");

	CHECK_FOR_INTERRUPTS();
	MemoryContextSwitchTo(outside);
	return put_row(inspection, &row);
}

PG_FUNCTION_INFO_V1(yupdate_inspect);
Datum
yupdate_inspect(PG_FUNCTION_ARGS)
{
	CrdtBytes update = bridge_view(PG_GETARG_BYTEA_PP(0));
	CrdtFormat format = bridge_format_arg(fcinfo, 1);
	Inspection inspection = {(ReturnSetInfo *) fcinfo->resultinfo, NULL};
	CrdtUpdateVisitor visitor = {inspect_struct, inspect_deleted, &inspection};
	CrdtHost host;
	CrdtError error;

	bridge_require_utf8();
	bridge_materialize(fcinfo);
	inspection.row_context =
		AllocSetContextCreate(CurrentMemoryContext, "yupdate_inspect row", ALLOCSET_SMALL_SIZES);
	bridge_host(&host, CurrentMemoryContext);
	if (crdt_update_inspect(&host, update, format, &visitor, &error) != CRDT_OK)
		bridge_report(&error, "update");
	MemoryContextDelete(inspection.row_context);
	return (Datum) 0;
}
