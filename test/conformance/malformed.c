/*
 * malformed.c: cases of kind `malformed`: damaged updates.
 *
 * Yjs's verdict is ours, except for what is beyond a limit that we have and Yjs has not (FORMAT
 * 16); such cases are counted, so that a limit that became too narrow shows.  Where Yjs reports an
 * error it may have applied a part before it noticed; our document must be as before.
 */
#include "kinds.h"

#include <string.h>

#include "../../extension/crdt/update.h"

/* What Yjs makes of the input without a document, by its name in `lazy`. */
typedef struct LazyField
{
	const char *name;
	CrdtStatus (*make)(Case *c, CrdtBytes input, CrdtBuffer *out, CrdtError *error);
} LazyField;

static void expect_verdict(Case *c, CrdtDoc *doc, CrdtBytes input);
static void expect_accepted(Case *c, CrdtDoc *doc, CrdtApplied applied, CrdtBytes before);
static void
expect_refused(Case *c, CrdtDoc *doc, const CrdtError *error, CrdtBytes input, CrdtBytes before);
static CrdtStatus make_state_vector(Case *c, CrdtBytes input, CrdtBuffer *out, CrdtError *error);
static CrdtStatus make_converted(Case *c, CrdtBytes input, CrdtBuffer *out, CrdtError *error);
static void expect_lazy(Case *c, const LazyField *field, CrdtBytes input);
static bool yjs_accepts(const Case *c);
static bool yjs_parks_structs(const Case *c);
static bool yjs_is_at_a_loss(const Case *c);

static const LazyField lazy_fields[] = {
	{"stateVectorFromUpdate", make_state_vector},
	{"convert", make_converted},
};

void
run_malformed(Case *c)
{
	const json_t *base = json_object_get(c->json, "base");
	CrdtBytes input = case_input(c, json_object_get(c->json, "input"));
	CrdtDoc *doc = receiver_open(c, (Receiver){.roots = NULL});

	if (doc == NULL)
		return;
	if (!json_is_string(base) || receiver_apply(c, doc, case_input(c, base), CRDT_V1, NULL))
		expect_verdict(c, doc, input);
	crdt_doc_free(doc);
	for (size_t i = 0; i < sizeof lazy_fields / sizeof *lazy_fields; i++)
		if (i == 0 || !json_is_true(json_object_get(c->json, "unsortedDeletes")))
			expect_lazy(c, &lazy_fields[i], input);
}

static void
expect_verdict(Case *c, CrdtDoc *doc, CrdtBytes input)
{
	bool may_differ = yjs_is_at_a_loss(c);
	CrdtBytes nothing = {NULL, 0};
	CrdtApplied applied = {0};
	CrdtError encode_error = {0};
	CrdtError error = {0};
	CrdtStatus status;
	CrdtBuffer before;

	crdt_buffer_open(&before, &c->world.host);
	case_expect_ok(c, "encode", crdt_doc_encode(doc, CRDT_V1, nothing, &before, &encode_error),
				   &encode_error);
	status = crdt_doc_apply(doc, input, case_format(c), &applied, &error);
	if (status != CRDT_OK)
		expect_refused(c, doc, &error, input, crdt_buffer_view(&before));
	else if (yjs_accepts(c))
		expect_accepted(c, doc, applied, crdt_buffer_view(&before));

	c->fields++;
	if (status == CRDT_LIMIT && yjs_accepts(c))
		c->beyond_limit = true;
	else if (yjs_accepts(c) && strstr(error.message, "refers to itself") != NULL)
		c->beyond_limit = true; /* Yjs keeps it waiting, and fails whenever it looks at it again; or
								 * it knows a part of the struct, and looks no further */
	else if (!may_differ && (status == CRDT_OK) != yjs_accepts(c))
		case_fail(c, "result", "Yjs says %s, we say %s",
				  json_string_value(json_object_get(c->json, "result")),
				  status == CRDT_OK ? "ok" : error.message);
	crdt_buffer_close(&before);
}

static void
expect_accepted(Case *c, CrdtDoc *doc, CrdtApplied applied, CrdtBytes before)
{
	bool changed = json_is_true(json_object_get(c->json, "changed"));
	CrdtError error = {0};
	CrdtBuffer after;

	/* Deletes out of order that have to wait go through V2 in Yjs, which cannot write them and leaves
	 * garbage (FORMAT 5.1); ours are sorted. */
	if (!json_is_true(json_object_get(c->json, "unsortedDeletes")) ||
		json_object_get(c->json, "pending") == NULL)
		expect_state(c, doc, c->json);
	/* What waits now may be, in what is encoded, hidden by what is known; for us it is news. */
	case_expect_true(c, "changed",
					 applied.changed == changed || (applied.changed && yjs_parks_structs(c)),
					 changed ? "news is said to be none" : "nothing new is said to be news");
	if (changed)
		return;
	crdt_buffer_open(&after, &c->world.host);
	case_expect_ok(c, "encode", crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, &after, &error),
				   &error);
	case_expect_same(c, "v1 unchanged", before, crdt_buffer_view(&after));
	crdt_buffer_close(&after);
}

static void
expect_refused(Case *c, CrdtDoc *doc, const CrdtError *error, CrdtBytes input, CrdtBytes before)
{
	CrdtError encode_error = {0};
	CrdtBuffer after;

	crdt_buffer_open(&after, &c->world.host);
	case_expect_ok(c, "encode",
				   crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, &after, &encode_error),
				   &encode_error);
	case_expect_same(c, "v1 after a refusal", before, crdt_buffer_view(&after));
	case_expect_true(c, "message", error->message[0] != 0, "a refusal without a message");
	case_expect_true(c, "offset", error->offset <= input.size, "an offset beyond the input");
	crdt_buffer_close(&after);
}

static CrdtStatus
make_state_vector(Case *c, CrdtBytes input, CrdtBuffer *out, CrdtError *error)
{
	return crdt_update_state_vector(&c->world.host, input, case_format(c), out, error);
}

static CrdtStatus
make_converted(Case *c, CrdtBytes input, CrdtBuffer *out, CrdtError *error)
{
	CrdtFormat format = case_format(c);

	return crdt_update_convert(&c->world.host, input, format, format == CRDT_V1 ? CRDT_V2 : CRDT_V1,
							   out, error);
}

/* Yjs's lazy functions read no further than they need, ours check all of their input first: so an
 * update that Yjs itself refuses to apply may be refused here too. */
static void
expect_lazy(Case *c, const LazyField *field, CrdtBytes input)
{
	const json_t *expected = json_object_get(json_object_get(c->json, "lazy"), field->name);
	bool may_differ = yjs_is_at_a_loss(c);
	CrdtError error = {0};
	CrdtStatus status;
	CrdtBuffer out;

	crdt_buffer_open(&out, &c->world.host);
	status = field->make(c, input, &out, &error);
	if (strcmp(json_string_value(expected), "error") == 0)
		case_expect_true(c, field->name, may_differ || status != CRDT_OK, "Yjs refuses, we do not");
	else if (status == CRDT_OK)
		case_expect_bytes(c, field->name, expected, crdt_buffer_view(&out));
	else if (yjs_accepts(c) && !may_differ && status != CRDT_LIMIT)
		case_expect_ok(c, field->name, status, &error);
	else
		case_expect_true(c, field->name, out.size == 0, "output in spite of an error");
	crdt_buffer_close(&out);
}

static bool
yjs_accepts(const Case *c)
{
	return strcmp(json_string_value(json_object_get(c->json, "result")), "ok") == 0;
}

static bool
yjs_parks_structs(const Case *c)
{
	return json_is_object(json_object_get(json_object_get(c->json, "pending"), "structs"));
}

/* Input that Yjs has no rule for: structs of length 0, and what makes its document one that it
 * cannot encode any more. */
static bool
yjs_is_at_a_loss(const Case *c)
{
	return json_is_true(json_object_get(c->json, "zeroLength")) ||
		   json_is_true(json_object_get(c->json, "stateError"));
}
