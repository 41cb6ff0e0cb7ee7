/*
 * sync.c: what two holders of a document exchange: merging, differences, state vectors.
 */
#include "postgres.h"

#include "fmgr.h"

#include "bridge.h"
#include "value.h"

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
	YdocValue *value = ydoc_value_arg(fcinfo, 0);
	CrdtBuffer state_vector;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&state_vector, &host);
	if (crdt_doc_encode_state_vector(value->doc, &state_vector, &error) != CRDT_OK)
		bridge_report(&error, "document");
	PG_RETURN_BYTEA_P(bridge_bytea(crdt_buffer_view(&state_vector)));
}
