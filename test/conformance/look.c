/*
 * look.c: what a step of a history says of the document after it, beyond its events.
 *
 *     state       what the document encodes to, and its roots
 *     take        a snapshot, kept under a number
 *     delta       of a root, as of a snapshot or between two
 *     restore     the document that a snapshot makes
 *     positions   relative positions, made and resolved
 *     updates     functions on updates without a document
 */
#include "kinds.h"

#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/update.h"
#include "value.h"

static CrdtSnapshot *
snapshot_of(CrdtSnapshot *snapshots[SNAPSHOTS_MAX], const json_t *number)
{
	return json_is_number(number) ? snapshots[(size_t) json_number_value(number) % SNAPSHOTS_MAX]
								  : NULL;
}

static void
take(Case *c, CrdtDoc *doc, CrdtSnapshot *snapshots[SNAPSHOTS_MAX], const json_t *json)
{
	size_t at = (size_t) json_number_value(json_object_get(json, "number")) % SNAPSHOTS_MAX;
	CrdtError error = {0};
	CrdtBuffer out;

	crdt_snapshot_free(snapshots[at]);
	snapshots[at] = crdt_snapshot_take(doc);
	crdt_buffer_open(&out, &c->world.host);
	case_expect_ok(c, "snapshot", crdt_snapshot_write(snapshots[at], CRDT_V1, &out, &error),
				   &error);
	case_expect_bytes(c, "snapshot", json_object_get(json, "v1"), crdt_buffer_view(&out));
	out.size = 0;
	case_expect_ok(c, "snapshot", crdt_snapshot_write(snapshots[at], CRDT_V2, &out, &error),
				   &error);
	case_expect_bytes(c, "snapshotV2", json_object_get(json, "v2"), crdt_buffer_view(&out));
	crdt_buffer_close(&out);
}

static void
look_at_delta(Case *c, CrdtDoc *doc, CrdtSnapshot *snapshots[SNAPSHOTS_MAX], const json_t *json)
{
	const CrdtType *type = type_at(doc, json_object_get(json, "at"));
	CrdtError error = {0};

	if (type == NULL)
		case_fail(c, "delta", "there is no such type");
	else
		expect_delta(c, doc, type, snapshot_of(snapshots, json_object_get(json, "snapshot")),
					 snapshot_of(snapshots, json_object_get(json, "previous")),
					 json_object_get(json, "delta"), &error);
}

static void
restore(Case *c, CrdtDoc *doc, CrdtSnapshot *snapshots[SNAPSHOTS_MAX], const json_t *json)
{
	Receiver receiver = {json_object_get(c->json, "roots"), false};
	CrdtDoc *restored = receiver_open(c, receiver);
	CrdtError error = {0};
	CrdtBuffer update;

	crdt_buffer_open(&update, &c->world.host);
	if (case_expect_ok(
			c, "restore",
			crdt_snapshot_restore(doc, snapshot_of(snapshots, json_object_get(json, "snapshot")),
								  CRDT_V2, &update, &error),
			&error) &&
		receiver_apply(c, restored, crdt_buffer_view(&update), CRDT_V2, NULL))
		expect_state(c, restored, json);
	crdt_buffer_close(&update);
	crdt_doc_free(restored);
}

/* ---- updates ---- */

typedef CrdtStatus (*MakeUpdate)(Case *c, const CrdtBytes *updates, size_t count,
								 CrdtBytes state_vector, CrdtFormat format, CrdtBuffer *out,
								 CrdtError *error);

static CrdtStatus
make_merged(Case *c, const CrdtBytes *updates, size_t count, CrdtBytes state_vector,
			CrdtFormat format, CrdtBuffer *out, CrdtError *error)
{
	(void) state_vector;
	return crdt_update_merge(&c->world.host, updates, count, format, out, error);
}

static CrdtStatus
make_difference(Case *c, const CrdtBytes *updates, size_t count, CrdtBytes state_vector,
				CrdtFormat format, CrdtBuffer *out, CrdtError *error)
{
	return crdt_update_diff(&c->world.host, updates[count - 1], format, state_vector, out, error);
}

static CrdtStatus
make_converted(Case *c, const CrdtBytes *updates, size_t count, CrdtBytes state_vector,
			   CrdtFormat format, CrdtBuffer *out, CrdtError *error)
{
	CrdtFormat other = format == CRDT_V1 ? CRDT_V2 : CRDT_V1;

	(void) state_vector;
	return crdt_update_convert(&c->world.host, updates[count - 1], other, format, out, error);
}

static CrdtStatus
make_vector(Case *c, const CrdtBytes *updates, size_t count, CrdtBytes state_vector,
			CrdtFormat format, CrdtBuffer *out, CrdtError *error)
{
	(void) state_vector;
	return crdt_update_state_vector(&c->world.host, updates[count - 1], format, out, error);
}

/* The inputs are the updates of that format; converted: of the other one. */
static const struct
{
	const char *name;
	CrdtFormat format;
	MakeUpdate make;
} functions[] = {
	{"mergeV1", CRDT_V1, make_merged},      {"mergeV2", CRDT_V2, make_merged},
	{"diffV1", CRDT_V1, make_difference},   {"diffV2", CRDT_V2, make_difference},
	{"convertV1", CRDT_V1, make_converted}, {"convertV2", CRDT_V2, make_converted},
	{"vectorOfV1", CRDT_V1, make_vector},   {"vectorOfV2", CRDT_V2, make_vector},
};

static void
look_at_updates(Case *c, const json_t *json)
{
	size_t count;
	CrdtBytes *v1 = case_inputs(c, json_object_get(json, "v1"), &count);
	CrdtBytes *v2 = case_inputs(c, json_object_get(json, "v2"), &count);
	CrdtBytes vector = case_input(c, json_object_get(json, "sv"));

	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
	{
		bool takes_v1 = (functions[i].format == CRDT_V1) != (functions[i].make == make_converted);
		CrdtError error = {0};
		CrdtBuffer out;

		if (json_object_get(json, functions[i].name) == NULL)
			continue;
		crdt_buffer_open(&out, &c->world.host);
		if (case_expect_ok(c, functions[i].name,
						   functions[i].make(c, takes_v1 ? v1 : v2, count, vector,
											 functions[i].format, &out, &error),
						   &error))
			case_expect_bytes(c, functions[i].name, json_object_get(json, functions[i].name),
							  crdt_buffer_view(&out));
		crdt_buffer_close(&out);
	}
	free(v1);
	free(v2);
}

void
look_at(Case *c, CrdtDoc *doc, CrdtSnapshot *snapshots[SNAPSHOTS_MAX], const json_t *step)
{
	const json_t *state = json_object_get(step, "state");
	const json_t *positions = json_object_get(step, "positions");

	if (state != NULL)
	{
		expect_state(c, doc, state);
		expect_roots(c, doc, json_object_get(state, "roots"), true);
	}
	if (json_object_get(step, "take") != NULL)
		take(c, doc, snapshots, json_object_get(step, "take"));
	if (json_object_get(step, "delta") != NULL)
		look_at_delta(c, doc, snapshots, json_object_get(step, "delta"));
	if (json_object_get(step, "restore") != NULL)
		restore(c, doc, snapshots, json_object_get(step, "restore"));
	for (size_t i = 0; i < json_array_size(positions); i++)
		look_at_position(c, doc, json_array_get(positions, i));
	if (json_object_get(step, "updates") != NULL && json_object_get(step, "step") != NULL &&
		strcmp(json_string_value(json_object_get(step, "step")), "look") == 0)
		look_at_updates(c, json_object_get(step, "updates"));
}
