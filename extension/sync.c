/*
 * sync.c: what two holders of a document exchange: merging, differences, state vectors.
 */
#include "postgres.h"

#include "fmgr.h"

#include "bridge.h"
#include "crdt/update.h"
#include "value.h"

static CrdtBytes
state_vector_of(const YdocValue *value)
{
	CrdtBuffer state_vector;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&state_vector, &host);
	if (crdt_doc_encode_state_vector(value->doc, &state_vector, &error) != CRDT_OK)
		bridge_report(&error, "document");
	return crdt_buffer_view(&state_vector);
}

PG_FUNCTION_INFO_V1(ydoc_apply);
Datum
ydoc_apply(PG_FUNCTION_ARGS)
{
	YdocValue *value = ydoc_value_writable(fcinfo, 0);

	ydoc_value_accept(value, bridge_view(PG_GETARG_BYTEA_PP(1)), bridge_format_arg(fcinfo, 2));
	PG_RETURN_DATUM(ydoc_value_datum(value));
}

PG_FUNCTION_INFO_V1(ydoc_concat);
Datum
ydoc_concat(PG_FUNCTION_ARGS)
{
	YdocValue *value = ydoc_value_writable(fcinfo, 0);
	YdocValue *other = ydoc_value_arg(fcinfo, 1);

	ydoc_value_apply(value, ydoc_value_update(other), "document");
	PG_RETURN_DATUM(ydoc_value_datum(value));
}

/*
 * Does document number one hold all that number other does?  What other has and one's state vector
 * lacks would be news; else it is to be seen whether what is left of other, which is what it has deleted
 * and what waits in it, changes a copy of one.
 */
static bool
includes(FunctionCallInfo fcinfo, int one, int other)
{
	YdocValue *value = ydoc_value_arg(fcinfo, one);
	struct varlena *flat = ydoc_flat_make(ydoc_value_update(value));
	CrdtBytes state_vector = state_vector_of(value);
	CrdtBytes theirs;
	CrdtBuffer rest;
	CrdtHost host;
	CrdtApplied applied;
	CrdtError error;
	bool is_ahead;

	value = ydoc_value_arg(fcinfo,
						   other); /* of the same lineage, perhaps: one is not looked at again */
	theirs = state_vector_of(value);
	bridge_buffer(&rest, &host);
	if (crdt_state_vector_includes(&host, state_vector, theirs, &is_ahead, &error) != CRDT_OK ||
		(is_ahead && crdt_doc_encode(value->doc, CRDT_V1, state_vector, &rest, &error) != CRDT_OK))
		bridge_report(&error, "document");
	if (!is_ahead)
		return false;
	value = ydoc_value_decode(flat, CurrentMemoryContext);
	if (crdt_doc_apply(value->doc, crdt_buffer_view(&rest), CRDT_V1, &applied, &error) != CRDT_OK)
		bridge_report(&error, "document");
	return !applied.changed;
}

PG_FUNCTION_INFO_V1(ydoc_contains);
Datum
ydoc_contains(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(includes(fcinfo, 0, 1));
}

PG_FUNCTION_INFO_V1(ydoc_contained);
Datum
ydoc_contained(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(includes(fcinfo, 1, 0));
}

PG_FUNCTION_INFO_V1(ydoc_diff);
Datum
ydoc_diff(PG_FUNCTION_ARGS)
{
	YdocValue *value = ydoc_value_arg(fcinfo, 0);
	CrdtBytes state_vector = bridge_view(PG_GETARG_BYTEA_PP(1));
	CrdtBuffer update;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&update, &host);
	if (crdt_doc_encode(value->doc, bridge_format_arg(fcinfo, 2), state_vector, &update, &error) !=
		CRDT_OK)
		bridge_report(&error, "state vector");
	PG_RETURN_BYTEA_P(bridge_bytea(crdt_buffer_view(&update)));
}

PG_FUNCTION_INFO_V1(ydoc_state_vector);
Datum
ydoc_state_vector(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(bridge_bytea(state_vector_of(ydoc_value_arg(fcinfo, 0))));
}
