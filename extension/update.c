/*
 * update.c: Yjs updates without a document: merge, diff, state vector.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "utils/array.h"

#include "bridge.h"
#include "crdt/update.h"

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
	if (crdt_update_merge(&host, updates, count, CRDT_V1, &merged, &error) != CRDT_OK)
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
	if (crdt_update_diff(&host, update, CRDT_V1, state_vector, &rest, &error) != CRDT_OK)
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
	if (crdt_update_state_vector(&host, update, CRDT_V1, &state_vector, &error) != CRDT_OK)
		bridge_report(&error, "update");
	PG_RETURN_BYTEA_P(bridge_bytea(crdt_buffer_view(&state_vector)));
}
