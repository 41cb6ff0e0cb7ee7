/*
 * ops.c: cases of kind `ops`: local operations of several clients, and undo, byte for byte.
 *
 * Every step's update events are compared in both formats, and in the end what each document holds.
 * The histories of test/fuzz/yjs are of this kind too; they also look at documents on the way
 * (look.c).
 */
#include "kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/undo.h"
#include "supply.h"
#include "value.h"

#define CLIENTS_MAX 64

/* One update event, or the place of the case that has it. */
typedef struct Event
{
	CrdtBuffer v1;
	CrdtBuffer v2;
	bool local;
} Event;

typedef struct Participant
{
	Case *c;
	CrdtDoc *doc;
	CrdtUndo *undo;
	uint64_t client;
	CrdtSnapshot *snapshots[SNAPSHOTS_MAX];
	Event *events; /* of the step at work */
	size_t event_count;
} Participant;

typedef struct Play
{
	Case *c;
	Participant participants[CLIENTS_MAX];
	size_t count;
	const json_t *roots;
	char origins[16][64]; /* equal strings are the same origin */
	size_t origin_count;
} Play;

typedef CrdtStatus (*RunOp)(CrdtDoc *doc, const CrdtType *type, const json_t *op, Supply *supply,
							CrdtError *error);

typedef struct Op
{
	const char *name;
	RunOp run;
} Op;

static const Op known_ops[14];

static bool open_participants(Play *play);
static void close_participants(Play *play);
static void run_step(Play *play, const json_t *step);
static void expect_events(Play *play, Participant *participant, const json_t *step);
static void expect_final(Play *play);

void
run_ops(Case *c)
{
	Play *play = calloc(1, sizeof(Play));
	const json_t *steps = json_object_get(c->json, "steps");

	play->c = c;
	play->roots = json_object_get(c->json, "roots");
	if (open_participants(play))
	{
		for (size_t i = 0; i < json_array_size(steps); i++)
		{
			snprintf(c->where, sizeof c->where, "step %zu", i);
			run_step(play, json_array_get(steps, i));
		}
		expect_final(play);
	}
	close_participants(play);
	free(play);
}

/* ---- who takes part ---- */

static void
note_event(void *context, CrdtDoc *doc, const CrdtChange *change)
{
	Participant *participant = context;
	Event *event;
	CrdtError error = {0};

	participant->events =
		realloc(participant->events, (participant->event_count + 1) * sizeof(Event));
	event = &participant->events[participant->event_count++];
	event->local = change->local;
	crdt_buffer_open(&event->v1, &participant->c->world.host);
	crdt_buffer_open(&event->v2, &participant->c->world.host);
	case_expect_ok(participant->c, "event v1",
				   crdt_doc_encode_transaction(doc, CRDT_V1, &event->v1, &error), &error);
	case_expect_ok(participant->c, "event v2",
				   crdt_doc_encode_transaction(doc, CRDT_V2, &event->v2, &error), &error);
}

static uint64_t
one_moment(void *context)
{
	(void) context;
	return 1;
}

/* A pointer that stands for the origin: NULL for null. */
static const void *
origin_of(Play *play, const json_t *json)
{
	if (!json_is_string(json))
		return NULL;
	for (size_t i = 0; i < play->origin_count; i++)
		if (strcmp(play->origins[i], json_string_value(json)) == 0)
			return play->origins[i];
	snprintf(play->origins[play->origin_count], sizeof play->origins[0], "%s",
			 json_string_value(json));
	return play->origins[play->origin_count++];
}

static CrdtBytes
name_of(const char *text)
{
	return (CrdtBytes){(const uint8_t *) text, strlen(text)};
}

static void
open_undo(Play *play, Participant *participant, const json_t *json)
{
	const json_t *scope = json_object_get(json, "scope");
	const json_t *tracked = json_object_get(json, "trackedOrigins");
	const CrdtType *types[16];
	const void *origins[16];
	CrdtUndoOptions options = {.scope = types, .origins = origins, .now_ms = one_moment};

	for (size_t i = 0; i < json_array_size(scope); i++)
		types[options.scope_count++] = crdt_doc_find_root(
			participant->doc, name_of(json_string_value(json_array_get(scope, i))));
	for (size_t i = 0; i < json_array_size(tracked); i++)
		origins[options.origin_count++] = origin_of(play, json_array_get(tracked, i));
	options.capture_timeout_ms =
		(uint64_t) json_number_value(json_object_get(json, "captureTimeout"));
	options.ignore_remote_map_changes =
		json_is_true(json_object_get(json, "ignoreRemoteMapChanges"));
	participant->undo = crdt_undo_new(participant->doc, &options);
}

static bool
holds(const json_t *numbers, uint64_t number)
{
	for (size_t i = 0; i < json_array_size(numbers); i++)
		if ((uint64_t) json_number_value(json_array_get(numbers, i)) == number)
			return true;
	return false;
}

static bool
open_participants(Play *play)
{
	const json_t *clients = json_object_get(play->c->json, "clients");
	const json_t *undo = json_object_get(play->c->json, "undo");

	for (size_t i = 0; i < json_array_size(clients); i++)
	{
		Participant *participant = &play->participants[play->count++];
		CrdtDocOptions options = {
			.clean_formatting = true, .after_transaction = note_event, .context = participant};
		char name[32];
		const char *root;
		json_t *kind;

		participant->c = play->c;
		participant->client = (uint64_t) json_number_value(json_array_get(clients, i));
		options.keep_deleted = holds(json_object_get(play->c->json, "gcOff"), participant->client);
		participant->doc = crdt_doc_new(&play->c->world.host, &options);
		crdt_doc_set_client(participant->doc, participant->client);
		json_object_foreach((json_t *) play->roots, root, kind)
		{
			CrdtError error = {0};
			CrdtKind declared = value_kind(json_string_value(kind));

			if (!case_expect_ok(
					play->c, "declare root",
					crdt_doc_declare_root(participant->doc, name_of(root), declared, &error),
					&error))
				return false;
		}
		snprintf(name, sizeof name, "%llu", (unsigned long long) participant->client);
		if (json_object_get(undo, name) != NULL)
			open_undo(play, participant, json_object_get(undo, name));
	}
	return true;
}

static void
forget_events(Participant *participant)
{
	for (size_t i = 0; i < participant->event_count; i++)
	{
		crdt_buffer_close(&participant->events[i].v1);
		crdt_buffer_close(&participant->events[i].v2);
	}
	participant->event_count = 0;
}

static void
close_participants(Play *play)
{
	for (size_t i = 0; i < play->count; i++)
	{
		Participant *participant = &play->participants[i];

		forget_events(participant);
		free(participant->events);
		for (size_t at = 0; at < SNAPSHOTS_MAX; at++)
			crdt_snapshot_free(participant->snapshots[at]);
		crdt_undo_free(participant->undo);
		crdt_doc_free(participant->doc);
	}
}

static Participant *
participant_of(Play *play, const json_t *client)
{
	for (size_t i = 0; i < play->count; i++)
		if (play->participants[i].client == (uint64_t) json_number_value(client))
			return &play->participants[i];
	return NULL;
}

/* ---- steps ---- */

static void
run_op(Play *play, Participant *participant, const json_t *json)
{
	const char *name = json_string_value(json_object_get(json, "op"));
	const CrdtType *type = type_at(participant->doc, json_object_get(json, "at"));
	const Op *op = known_ops;
	CrdtError error = {0};
	Supply supply;

	while (op->name != NULL && strcmp(op->name, name) != 0)
		op++;
	if (op->name == NULL || type == NULL)
	{
		case_fail(play->c, name, op->name == NULL ? "is not known" : "has no type to work on");
		return;
	}
	supply_open(&supply, &play->c->world.host);
	case_expect_ok(play->c, name, op->run(participant->doc, type, json, &supply, &error), &error);
	supply_close(&supply);
}

static void
run_transaction(Play *play, Participant *participant, const json_t *step)
{
	const json_t *ops = json_object_get(step, "ops");

	crdt_doc_begin(participant->doc, origin_of(play, json_object_get(step, "origin")));
	for (size_t i = 0; i < json_array_size(ops); i++)
		run_op(play, participant, json_array_get(ops, i));
	crdt_doc_commit(participant->doc);
}

/* Applies updates that are given as such, in either format. */
static void
receive_updates(Play *play, Participant *participant, const json_t *updates)
{
	for (size_t i = 0; i < json_array_size(updates); i++)
	{
		const json_t *v1 = json_object_get(json_array_get(updates, i), "v1");
		const json_t *v2 = json_object_get(json_array_get(updates, i), "v2");

		receiver_apply(play->c, participant->doc, case_input(play->c, v1 != NULL ? v1 : v2),
					   v1 != NULL ? CRDT_V1 : CRDT_V2, NULL);
	}
}

/* Applies the updates that other clients emitted, as the case has them, in the steps named. */
static void
receive(Play *play, Participant *participant, const json_t *from)
{
	const json_t *steps = json_object_get(play->c->json, "steps");

	for (size_t i = 0; i < json_array_size(from); i++)
	{
		const json_t *step =
			json_array_get(steps, (size_t) json_number_value(json_array_get(from, i)));
		const json_t *emitted = json_object_get(step, "emitted");

		for (size_t at = 0; at < json_array_size(emitted); at++)
		{
			const json_t *event = json_array_get(emitted, at);

			if (!json_is_true(json_object_get(event, "remote")))
				receiver_apply(play->c, participant->doc,
							   case_input(play->c, json_object_get(event, "v1")), CRDT_V1, NULL);
		}
	}
}

static void
run_step(Play *play, const json_t *step)
{
	const char *what = json_string_value(json_object_get(step, "step"));
	Participant *participant = participant_of(play, json_object_get(step, "client"));
	CrdtError error = {0};

	if (strcmp(what, "tx") == 0)
		run_transaction(play, participant, step);
	else if (strcmp(what, "recv") == 0 && json_object_get(step, "updates") != NULL)
		receive_updates(play, participant, json_object_get(step, "updates"));
	else if (strcmp(what, "recv") == 0)
		receive(play, participant, json_object_get(step, "from"));
	else if (strcmp(what, "look") == 0)
		;
	else if (strcmp(what, "undo") == 0)
		case_expect_ok(play->c, "undo", crdt_undo(participant->undo, NULL, &error), &error);
	else if (strcmp(what, "redo") == 0)
		case_expect_ok(play->c, "redo", crdt_redo(participant->undo, NULL, &error), &error);
	else if (strcmp(what, "stopCapturing") == 0)
		crdt_undo_stop_capturing(participant->undo);
	else
		case_fail(play->c, what, "is not a step that is known");
	expect_events(play, participant, step);
	forget_events(participant);
	look_at(play->c, participant->doc, participant->snapshots, step);
}

/* ---- what is compared ---- */

static void
expect_events(Play *play, Participant *participant, const json_t *step)
{
	const json_t *emitted = json_object_get(step, "emitted");

	if (json_array_size(emitted) != participant->event_count)
		case_fail(play->c, "events", "%zu expected, %zu got", json_array_size(emitted),
				  participant->event_count);
	for (size_t i = 0; i < json_array_size(emitted) && i < participant->event_count; i++)
	{
		const json_t *event = json_array_get(emitted, i);
		const Event *got = &participant->events[i];

		case_expect_bytes(play->c, "event v1", json_object_get(event, "v1"),
						  crdt_buffer_view(&got->v1));
		case_expect_bytes(play->c, "event v2", json_object_get(event, "v2"),
						  crdt_buffer_view(&got->v2));
		case_expect_true(play->c, "event's origin",
						 got->local != json_is_true(json_object_get(event, "remote")),
						 got->local ? "local here, remote in Yjs" : "remote here, local in Yjs");
	}
}

static void
expect_final(Play *play)
{
	const json_t *final = json_object_get(play->c->json, "final");

	for (size_t i = 0; i < play->count; i++)
	{
		Participant *participant = &play->participants[i];
		char name[32];

		snprintf(name, sizeof name, "%llu", (unsigned long long) participant->client);
		snprintf(play->c->where, sizeof play->c->where, "client %s in the end", name);
		expect_state(play->c, participant->doc, json_object_get(final, name));
		expect_roots(play->c, participant->doc,
					 json_object_get(json_object_get(final, name), "roots"), true);
	}
}

/* ---- operations ---- */

static uint64_t
number(const json_t *op, const char *member)
{
	return (uint64_t) json_number_value(json_object_get(op, member));
}

static CrdtStatus
op_insert(CrdtDoc *doc, const CrdtType *type, const json_t *op, Supply *supply, CrdtError *error)
{
	const json_t *attrs = json_object_get(op, "attrs");
	CrdtAttributes attributes = supply_attributes(supply, attrs);
	size_t count;
	CrdtInput *values;

	if (json_object_get(op, "text") != NULL)
		return crdt_text_insert(doc, type, number(op, "index"),
								supply_text(supply, json_object_get(op, "text")),
								attrs == NULL ? NULL : &attributes, error);
	values = supply_inputs(supply, json_object_get(op, "values"), &count);
	return crdt_list_insert(doc, type, number(op, "index"), values, count, error);
}

static CrdtStatus
op_embed(CrdtDoc *doc, const CrdtType *type, const json_t *op, Supply *supply, CrdtError *error)
{
	const json_t *attrs = json_object_get(op, "attrs");
	CrdtAttributes attributes = supply_attributes(supply, attrs);
	CrdtInput value = supply_input(supply, json_object_get(op, "value"));

	return crdt_text_insert_embed(doc, type, number(op, "index"), &value,
								  attrs == NULL ? NULL : &attributes, error);
}

static CrdtStatus
op_delete(CrdtDoc *doc, const CrdtType *type, const json_t *op, Supply *supply, CrdtError *error)
{
	CrdtKind kind = crdt_doc_kind(doc, type);

	(void) supply;
	if (kind == CRDT_TEXT || kind == CRDT_XML_TEXT)
		return crdt_text_delete(doc, type, number(op, "index"), number(op, "length"), error);
	return crdt_list_delete(doc, type, number(op, "index"), number(op, "length"), error);
}

static CrdtStatus
op_format(CrdtDoc *doc, const CrdtType *type, const json_t *op, Supply *supply, CrdtError *error)
{
	CrdtAttributes attributes = supply_attributes(supply, json_object_get(op, "attrs"));

	return crdt_text_format(doc, type, number(op, "index"), number(op, "length"), &attributes,
							error);
}

static CrdtStatus
op_delta(CrdtDoc *doc, const CrdtType *type, const json_t *op, Supply *supply, CrdtError *error)
{
	size_t count;
	CrdtDeltaOp *ops = supply_delta(supply, json_object_get(op, "delta"), &count);

	return crdt_text_apply_delta(doc, type, ops, count,
								 !json_is_false(json_object_get(op, "sanitize")), error);
}

static CrdtStatus
op_push(CrdtDoc *doc, const CrdtType *type, const json_t *op, Supply *supply, CrdtError *error)
{
	size_t count;
	CrdtInput *values = supply_inputs(supply, json_object_get(op, "values"), &count);

	return crdt_list_push(doc, type, values, count, error);
}

static CrdtStatus
op_unshift(CrdtDoc *doc, const CrdtType *type, const json_t *op, Supply *supply, CrdtError *error)
{
	size_t count;
	CrdtInput *values = supply_inputs(supply, json_object_get(op, "values"), &count);

	return crdt_list_insert(doc, type, 0, values, count, error);
}

static CrdtStatus
op_insert_after(CrdtDoc *doc, const CrdtType *type, const json_t *op, Supply *supply,
				CrdtError *error)
{
	size_t count;
	CrdtInput *values = supply_inputs(supply, json_object_get(op, "values"), &count);
	const CrdtType *child = json_is_number(json_object_get(op, "ref"))
								? crdt_doc_child(doc, type, number(op, "ref"))
								: NULL;

	return crdt_list_insert_after(doc, type, child, values, count, error);
}

static CrdtStatus
op_set(CrdtDoc *doc, const CrdtType *type, const json_t *op, Supply *supply, CrdtError *error)
{
	CrdtInput value = supply_input(supply, json_object_get(op, "value"));

	return crdt_map_set(doc, type, supply_text(supply, json_object_get(op, "key")), &value, error);
}

static CrdtStatus
op_unset(CrdtDoc *doc, const CrdtType *type, const json_t *op, Supply *supply, CrdtError *error)
{
	return crdt_map_delete(doc, type, supply_text(supply, json_object_get(op, "key")), error);
}

static CrdtStatus
op_clear(CrdtDoc *doc, const CrdtType *type, const json_t *op, Supply *supply, CrdtError *error)
{
	(void) op;
	(void) supply;
	return crdt_map_clear(doc, type, error);
}

static const Op known_ops[14] = {
	{"insert", op_insert},    {"embed", op_embed},
	{"delete", op_delete},    {"format", op_format},
	{"delta", op_delta},      {"push", op_push},
	{"unshift", op_unshift},  {"insertAfter", op_insert_after},
	{"set", op_set},          {"unset", op_unset},
	{"clear", op_clear},      {"setAttr", op_set},
	{"removeAttr", op_unset}, {NULL, NULL},
};
