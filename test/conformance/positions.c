/*
 * positions.c: cases of kinds `relpos` and `relposRead`: relative positions, made in one document
 * and resolved in that, in a later one, and in an empty one; and odd bytes.
 */
#include "kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/position.h"
#include "value.h"

static void
expect_written(Case *c, const CrdtPosition *position, const json_t *bytes, const json_t *json)
{
	CrdtError error = {0};
	json_error_t parse_error;
	CrdtBuffer out;

	crdt_buffer_open(&out, &c->world.host);
	if (bytes != NULL &&
		case_expect_ok(c, "bytes", crdt_position_write(position, &out, &error), &error))
		case_expect_bytes(c, "bytes", bytes, crdt_buffer_view(&out));
	out.size = 0;
	if (json != NULL &&
		case_expect_ok(c, "json", crdt_position_write_json(position, &out, &error), &error))
		case_expect_json(c, "json", json,
						 value_parse((const char *) out.data, out.size, &parse_error));
	crdt_buffer_close(&out);
}

/* Where Yjs puts it: {index, assoc, type: {root} or {item: {client, clock}}}, or null. */
static json_t *
place_to_json(CrdtDoc *doc, const CrdtAbsolutePosition *place)
{
	CrdtPosition start;
	CrdtError error = {0};
	json_t *type = json_object();

	if (place->type == NULL)
	{
		json_decref(type);
		return json_null();
	}
	/* the position of the start of the type names the type */
	if (crdt_position_find(doc, place->type, 0, -1, &start, &error) != CRDT_OK)
		json_object_set_new(type, "refused", json_string(error.message));
	else if (start.has_root)
		json_object_set_new(type, "root", value_of_string(start.root));
	else
		json_object_set_new(type, "item",
							json_pack("{s:f,s:f}", "client", (double) start.type_client, "clock",
									  (double) start.type_clock));
	return json_pack("{s:f,s:f,s:o}", "index", (double) place->index, "assoc",
					 (double) place->assoc, "type", type);
}

static void
expect_resolved(Case *c, const char *field, CrdtDoc *doc, CrdtBytes bytes, const json_t *expected)
{
	CrdtPosition position;
	CrdtAbsolutePosition place;
	CrdtError error = {0};

	if (expected == NULL)
		return;
	if (case_expect_ok(c, field, crdt_position_read(bytes, &position, &error), &error) &&
		case_expect_ok(c, field, crdt_position_resolve(doc, &position, &place, &error), &error))
		case_expect_json(c, field, expected, place_to_json(doc, &place));
}

void
look_at_position(Case *c, CrdtDoc *doc, const json_t *json)
{
	const json_t *at = json_object_get(json, "at");
	const CrdtType *type = at == NULL ? NULL : type_at(doc, at);
	CrdtPosition position;
	CrdtError error = {0};

	if (at == NULL)
		; /* only to be resolved */
	else if (type == NULL)
		case_fail(c, "at", "there is no such type");
	else if (case_expect_ok(
				 c, "find",
				 crdt_position_find(doc, type,
									(uint64_t) json_number_value(json_object_get(json, "index")),
									(int64_t) json_number_value(json_object_get(json, "assoc")),
									&position, &error),
				 &error))
		expect_written(c, &position, json_object_get(json, "bytes"), json_object_get(json, "json"));
	expect_resolved(c, "resolved", doc, case_input(c, json_object_get(json, "bytes")),
					json_object_get(json, "resolved"));
}

void
run_positions(Case *c)
{
	const json_t *positions = json_object_get(c->json, "positions");
	size_t cut = (size_t) json_number_value(json_object_get(c->json, "cut"));
	Receiver receiver = {json_object_get(c->json, "roots"), false};
	CrdtDoc *doc = receiver_open(c, receiver);
	CrdtDoc *empty = receiver_open(c, receiver);
	size_t count;
	CrdtBytes *updates = case_inputs(c, json_object_get(c->json, "updates"), &count);

	for (size_t i = 0; i < cut; i++)
		receiver_apply(c, doc, updates[i], CRDT_V1, NULL);
	for (size_t i = 0; i < json_array_size(positions); i++)
	{
		snprintf(c->where, sizeof c->where, "position %zu", i);
		look_at_position(c, doc, json_array_get(positions, i));
	}
	for (size_t i = cut; i < count; i++)
		receiver_apply(c, doc, updates[i], CRDT_V1, NULL);
	for (size_t i = 0; i < json_array_size(positions); i++)
	{
		const json_t *position = json_array_get(positions, i);
		CrdtBytes bytes = case_input(c, json_object_get(position, "bytes"));

		snprintf(c->where, sizeof c->where, "position %zu", i);
		expect_resolved(c, "resolvedAfterAll", doc, bytes,
						json_object_get(position, "resolvedAfterAll"));
		expect_resolved(c, "resolvedInEmptyDoc", empty, bytes,
						json_object_get(position, "resolvedInEmptyDoc"));
	}
	free(updates);
	crdt_doc_free(doc);
	crdt_doc_free(empty);
}

void
run_position_read(Case *c)
{
	CrdtBytes bytes = case_input(c, json_object_get(c->json, "bytes"));
	CrdtPosition position;
	CrdtError error = {0};
	CrdtStatus status = crdt_position_read(bytes, &position, &error);

	if (json_is_true(json_object_get(c->json, "error")))
		case_expect_true(c, "error", status != CRDT_OK, "taken here, refused in Yjs");
	else if (case_expect_ok(c, "read", status, &error))
		expect_written(c, &position, NULL, json_object_get(c->json, "json"));
}
