/*
 * position.c: Yjs's relative positions: places in a document that stay where they are while it is
 * edited.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "bridge.h"
#include "crdt/position.h"
#include "value.h"

static CrdtPosition
position_arg(FunctionCallInfo fcinfo, int number)
{
	CrdtPosition position;
	CrdtError error;

	if (crdt_position_read(bridge_view(PG_GETARG_BYTEA_PP(number)), &position, &error) != CRDT_OK)
		bridge_report(&error, "position");
	return position;
}

PG_FUNCTION_INFO_V1(ydoc_position);
Datum
ydoc_position(PG_FUNCTION_ARGS)
{
	YdocValue *value = ydoc_value_arg(fcinfo, 0);
	text *root = PG_GETARG_TEXT_PP(1);
	int64 index = PG_GETARG_INT64(2);
	const CrdtType *type = crdt_doc_find_root(value->doc, bridge_view(root));
	CrdtPosition position;
	CrdtBuffer bytes;
	CrdtHost host;
	CrdtError error;

	if (type == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the document has no root \"%s\"", text_to_cstring(root)),
						errhint("ydoc_roots lists those that it has.")));
	if (index < 0 || (uint64) index > crdt_doc_length(value->doc, type))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("index " INT64_FORMAT " is not in root \"%s\", which has length " UINT64_FORMAT,
					index, text_to_cstring(root), crdt_doc_length(value->doc, type)),
			 errhint("Indices begin at 0 and count UTF-16 units in texts, elements elsewhere.")));
	bridge_buffer(&bytes, &host);
	if (crdt_position_find(value->doc, type, (uint64_t) index, PG_GETARG_INT32(3), &position,
						   &error) != CRDT_OK ||
		crdt_position_write(&position, &bytes, &error) != CRDT_OK)
		bridge_report(&error, "position");
	PG_RETURN_BYTEA_P(bridge_bytea(crdt_buffer_view(&bytes)));
}

#define RESOLVED_COLUMNS 4

PG_FUNCTION_INFO_V1(ydoc_position_resolve);
Datum
ydoc_position_resolve(PG_FUNCTION_ARGS)
{
	YdocValue *value = ydoc_value_arg(fcinfo, 0);
	CrdtPosition position = position_arg(fcinfo, 1);
	CrdtAbsolutePosition place;
	CrdtPosition start;
	CrdtError error;
	TupleDesc descriptor;
	Datum values[RESOLVED_COLUMNS];
	bool nulls[RESOLVED_COLUMNS] = {true, true, false, false};

	bridge_require_utf8();
	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (crdt_position_resolve(value->doc, &position, &place, &error) != CRDT_OK)
		bridge_report(&error, "position");
	/* the position of a type's start names the type */
	if (place.type == NULL ||
		crdt_position_find(value->doc, place.type, 0, -1, &start, &error) != CRDT_OK)
		PG_RETURN_NULL();
	if (start.has_root)
		values[0] = PointerGetDatum(bridge_bytea(bridge_text(start.root)));
	else
		values[1] = CStringGetTextDatum(
			psprintf(UINT64_FORMAT ":" UINT64_FORMAT, start.type_client, start.type_clock));
	nulls[0] = !start.has_root;
	nulls[1] = start.has_root;
	values[2] = Int64GetDatum(place.index);
	values[3] = Int64GetDatum(place.assoc);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

PG_FUNCTION_INFO_V1(ydoc_position_json);
Datum
ydoc_position_json(PG_FUNCTION_ARGS)
{
	CrdtPosition position = position_arg(fcinfo, 0);
	CrdtBuffer json;
	CrdtHost host;
	CrdtError error;

	bridge_require_utf8();
	bridge_buffer(&json, &host);
	if (crdt_position_write_json(&position, &json, &error) != CRDT_OK)
		bridge_report(&error, "position");
	PG_RETURN_DATUM(DirectFunctionCall1(
		jsonb_in, CStringGetDatum(pnstrdup((const char *) json.data, json.size))));
}
