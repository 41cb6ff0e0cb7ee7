/*
 * doc.c: cases of kind `doc`: the same updates in several orders, with repetitions and gaps.
 *
 * Compared per order: what a document that declared its roots holds, what one that did not (a
 * server) holds, and what merging the updates without a document gives.  Then: the document without
 * garbage collection, and differences to state vectors.
 */
#include "kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/update.h"

/* What can be made of a list of updates without a document, by its name in an order. */
typedef struct MergeField
{
	const char *name;
	CrdtStatus (*make)(Case *c, const CrdtBytes *updates, size_t count, CrdtBuffer *out,
					   CrdtError *error);
} MergeField;

/* What answers a state vector, by its name in `diffs`. */
typedef struct DiffField
{
	const char *name;
	CrdtStatus (*make)(Case *c, CrdtDoc *doc, CrdtBytes merged, CrdtBytes state_vector,
					   CrdtBuffer *out, CrdtError *error);
} DiffField;

static CrdtStatus
make_merge_v1(Case *c, const CrdtBytes *updates, size_t count, CrdtBuffer *out, CrdtError *error);
static CrdtStatus
make_merge_sv(Case *c, const CrdtBytes *updates, size_t count, CrdtBuffer *out, CrdtError *error);
static CrdtStatus make_state_v1(Case *c, CrdtDoc *doc, CrdtBytes merged, CrdtBytes state_vector,
								CrdtBuffer *out, CrdtError *error);
static CrdtStatus make_diff_v1(Case *c, CrdtDoc *doc, CrdtBytes merged, CrdtBytes state_vector,
							   CrdtBuffer *out, CrdtError *error);
static void run_order(Case *c, const json_t *order, const CrdtBytes *updates, size_t count);
static void run_receiver(Case *c, Receiver receiver, const CrdtBytes *updates, size_t count,
						 const json_t *state, const json_t *roots);
static void expect_nothing_new(Case *c, CrdtDoc *doc, const CrdtBytes *updates, size_t count);
static CrdtBuffer encode_all(Case *c, CrdtDoc *doc);
static CrdtBuffer encode_vector(Case *c, CrdtDoc *doc);
static bool has_grown(const CrdtBuffer *before, const CrdtBuffer *after);
static void expect_merges(Case *c, const json_t *order, const CrdtBytes *updates, size_t count);
static void expect_diffs(Case *c, const CrdtBytes *updates, size_t count);
static void expect_diff(Case *c, CrdtDoc *doc, CrdtBytes merged, const json_t *diff);
static void expect_checked(Case *c, const CrdtBytes *updates, size_t count);

static const MergeField merge_fields[] = {
	{"mergeV1", make_merge_v1},
	{"mergeSv", make_merge_sv},
};

static const DiffField diff_fields[] = {
	{"stateV1", make_state_v1},
	{"diffV1", make_diff_v1},
};

void
run_doc(Case *c)
{
	const json_t *orders = json_object_get(c->json, "orders");
	const json_t *gc_off = json_object_get(c->json, "gcOff");
	Receiver keeping = {.roots = json_object_get(c->json, "roots"), .keep_deleted = true};
	size_t count;
	CrdtBytes *updates = case_inputs(c, json_object_get(c->json, "updates"), &count);

	strcpy(c->where, "updates");
	expect_checked(c, updates, count);
	for (size_t i = 0; i < json_array_size(orders); i++)
		run_order(c, json_array_get(orders, i), updates, count);
	if (gc_off != NULL)
	{
		strcpy(c->where, "gcOff");
		run_receiver(c, keeping, updates, count, gc_off, json_object_get(gc_off, "roots"));
	}
	expect_diffs(c, updates, count);
	free(updates);
}

static void
run_order(Case *c, const json_t *order, const CrdtBytes *updates, size_t count)
{
	const json_t *roots = json_object_get(c->json, "roots");
	const json_t *first =
		json_object_get(json_array_get(json_object_get(c->json, "orders"), 0), "expect");
	const json_t *expect = json_object_get(order, "expect");
	const json_t *untyped = json_object_get(order, "untyped");
	const json_t *indices = json_object_get(order, "order");
	const char *label = json_string_value(json_object_get(order, "label"));
	CrdtBytes *picked = case_pick(updates, count, indices);
	size_t picked_count = json_array_size(indices);
	const json_t *reports;

	if (expect == NULL)
		expect = first; /* expectSameAs: 0 */
	reports = json_object_get(expect, "roots");
	if (reports == NULL)
		reports = json_object_get(first, "roots"); /* rootsSameAs: 0 */

	snprintf(c->where, sizeof c->where, "%s, roots declared", label);
	run_receiver(c, (Receiver){.roots = roots}, picked, picked_count, expect, reports);
	snprintf(c->where, sizeof c->where, "%s, roots not declared", label);
	run_receiver(c, (Receiver){.roots = NULL}, picked, picked_count,
				 untyped == NULL ? expect : untyped, reports);
	snprintf(c->where, sizeof c->where, "%s", label);
	expect_merges(c, order, picked, picked_count);
	free(picked);
}

static void
run_receiver(Case *c, Receiver receiver, const CrdtBytes *updates, size_t count,
			 const json_t *state, const json_t *roots)
{
	CrdtDoc *doc = receiver_open(c, receiver);

	if (doc == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		if (!receiver_apply(c, doc, updates[i], NULL))
			break;
	expect_state(c, doc, state);
	expect_roots(c, doc, roots, receiver.roots != NULL);
	expect_nothing_new(c, doc, updates, count);
	crdt_doc_free(doc);
}

/*
 * A document that is sent again what it has says so, and stays as it is.  Only what waits may be
 * news a second time: Yjs looks at it again only when clocks pass those that it noted, which may be
 * larger than needed, while a repeated update is integrated at once.
 */
static void
expect_nothing_new(Case *c, CrdtDoc *doc, const CrdtBytes *updates, size_t count)
{
	CrdtBuffer before = encode_all(c, doc);
	CrdtBuffer after;
	bool some_was_news = false;

	for (size_t i = 0; i < count; i++)
	{
		bool waited = crdt_doc_is_waiting(doc);
		CrdtBuffer had = encode_vector(c, doc);
		CrdtBuffer has;
		CrdtApplied applied = {.changed = true};

		receiver_apply(c, doc, updates[i], &applied);
		has = encode_vector(c, doc);
		case_expect_true(c, "applied again", !applied.changed || (waited && has_grown(&had, &has)),
						 "the update is said to be news");
		some_was_news |= applied.changed;
		crdt_buffer_close(&had);
		crdt_buffer_close(&has);
	}
	after = encode_all(c, doc);
	if (!some_was_news)
		case_expect_same(c, "v1 after all of it again", crdt_buffer_view(&before),
						 crdt_buffer_view(&after));
	crdt_buffer_close(&before);
	crdt_buffer_close(&after);
}

static CrdtBuffer
encode_all(Case *c, CrdtDoc *doc)
{
	CrdtError error = {0};
	CrdtBuffer out;

	crdt_buffer_open(&out, &c->world.host);
	case_expect_ok(c, "encode", crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, &out, &error),
				   &error);
	return out;
}

static CrdtBuffer
encode_vector(Case *c, CrdtDoc *doc)
{
	CrdtError error = {0};
	CrdtBuffer out;

	crdt_buffer_open(&out, &c->world.host);
	case_expect_ok(c, "encode sv", crdt_doc_encode_state_vector(doc, &out, &error), &error);
	return out;
}

static bool
has_grown(const CrdtBuffer *before, const CrdtBuffer *after)
{
	return before->size != after->size || memcmp(before->data, after->data, after->size) != 0;
}

/* ---- without a document ---- */

static void
expect_checked(Case *c, const CrdtBytes *updates, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		CrdtError error = {0};

		case_expect_ok(c, "check", crdt_update_check(&c->world.host, updates[i], CRDT_V1, &error),
					   &error);
	}
}

static void
expect_merges(Case *c, const json_t *order, const CrdtBytes *updates, size_t count)
{
	for (size_t i = 0; i < sizeof merge_fields / sizeof *merge_fields; i++)
	{
		const MergeField *field = &merge_fields[i];
		CrdtError error = {0};
		CrdtBuffer out;

		if (json_object_get(order, field->name) == NULL)
			continue;
		crdt_buffer_open(&out, &c->world.host);
		if (case_expect_ok(c, field->name, field->make(c, updates, count, &out, &error), &error))
			case_expect_bytes(c, field->name, json_object_get(order, field->name),
							  crdt_buffer_view(&out));
		crdt_buffer_close(&out);
	}
}

static CrdtStatus
make_merge_v1(Case *c, const CrdtBytes *updates, size_t count, CrdtBuffer *out, CrdtError *error)
{
	return crdt_update_merge(&c->world.host, updates, count, CRDT_V1, out, error);
}

static CrdtStatus
make_merge_sv(Case *c, const CrdtBytes *updates, size_t count, CrdtBuffer *out, CrdtError *error)
{
	CrdtBuffer merged;
	CrdtStatus status;

	crdt_buffer_open(&merged, &c->world.host);
	status = make_merge_v1(c, updates, count, &merged, error);
	if (status == CRDT_OK)
		status = crdt_update_state_vector(&c->world.host, crdt_buffer_view(&merged), CRDT_V1, out,
										  error);
	crdt_buffer_close(&merged);
	return status;
}

/* ---- what someone lacks ---- */

static void
expect_diffs(Case *c, const CrdtBytes *updates, size_t count)
{
	const json_t *first = json_array_get(json_object_get(c->json, "orders"), 0);
	const json_t *diffs = json_object_get(c->json, "diffs");
	const json_t *indices = json_object_get(first, "order");
	CrdtBytes *picked = case_pick(updates, count, indices);
	CrdtDoc *doc = receiver_open(c, (Receiver){.roots = json_object_get(c->json, "roots")});
	CrdtError error = {0};
	CrdtBuffer merged;
	CrdtBuffer out;

	strcpy(c->where, "diffs");
	for (size_t i = 0; doc != NULL && i < json_array_size(indices); i++)
		receiver_apply(c, doc, picked[i], NULL);
	free(picked);

	crdt_buffer_open(&merged, &c->world.host);
	if (case_expect_ok(c, "merge of all", make_merge_v1(c, updates, count, &merged, &error),
					   &error))
		for (size_t i = 0; doc != NULL && i < json_array_size(diffs); i++)
		{
			snprintf(c->where, sizeof c->where, "diffs[%zu]", i);
			expect_diff(c, doc, crdt_buffer_view(&merged), json_array_get(diffs, i));
		}
	crdt_buffer_close(&merged);
	crdt_doc_free(doc);

	c->where[0] = 0;
	crdt_buffer_open(&out, &c->world.host);
	if (case_expect_ok(c, "svFromState",
					   crdt_update_state_vector(
						   &c->world.host,
						   case_input(c, json_object_get(json_object_get(first, "expect"), "v1")),
						   CRDT_V1, &out, &error),
					   &error))
		case_expect_bytes(c, "svFromState", json_object_get(c->json, "svFromState"),
						  crdt_buffer_view(&out));
	crdt_buffer_close(&out);
}

static void
expect_diff(Case *c, CrdtDoc *doc, CrdtBytes merged, const json_t *diff)
{
	CrdtBytes state_vector = case_input(c, json_object_get(diff, "sv"));

	for (size_t i = 0; i < sizeof diff_fields / sizeof *diff_fields; i++)
	{
		const DiffField *field = &diff_fields[i];
		CrdtError error = {0};
		CrdtBuffer out;

		crdt_buffer_open(&out, &c->world.host);
		if (case_expect_ok(c, field->name, field->make(c, doc, merged, state_vector, &out, &error),
						   &error))
			case_expect_bytes(c, field->name, json_object_get(diff, field->name),
							  crdt_buffer_view(&out));
		crdt_buffer_close(&out);
	}
}

static CrdtStatus
make_state_v1(Case *c, CrdtDoc *doc, CrdtBytes merged, CrdtBytes state_vector, CrdtBuffer *out,
			  CrdtError *error)
{
	(void) c;
	(void) merged;
	return crdt_doc_encode(doc, CRDT_V1, state_vector, out, error);
}

static CrdtStatus
make_diff_v1(Case *c, CrdtDoc *doc, CrdtBytes merged, CrdtBytes state_vector, CrdtBuffer *out,
			 CrdtError *error)
{
	(void) doc;
	return crdt_update_diff(&c->world.host, merged, CRDT_V1, state_vector, out, error);
}
