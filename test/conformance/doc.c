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

/* The updates of a case in one format, or some of them. */
typedef struct Updates
{
	CrdtFormat format;
	CrdtBytes *bytes;
	size_t count;
} Updates;

/* What can be made of a list of updates without a document, by its name in an order. */
typedef struct MergeField
{
	const char *name;
	CrdtFormat format;
	CrdtStatus (*make)(Case *c, const Updates *updates, CrdtBuffer *out, CrdtError *error);
} MergeField;

/* What answers a state vector, by its name in `diffs`. */
typedef struct DiffField
{
	const char *name;
	CrdtFormat format;
	CrdtStatus (*make)(Case *c, CrdtDoc *doc, CrdtFormat format, CrdtBytes merged,
					   CrdtBytes state_vector, CrdtBuffer *out, CrdtError *error);
} DiffField;

static CrdtStatus make_merge(Case *c, const Updates *updates, CrdtBuffer *out, CrdtError *error);
static CrdtStatus make_merge_sv(Case *c, const Updates *updates, CrdtBuffer *out, CrdtError *error);
static CrdtStatus make_state(Case *c, CrdtDoc *doc, CrdtFormat format, CrdtBytes merged,
							 CrdtBytes state_vector, CrdtBuffer *out, CrdtError *error);
static CrdtStatus make_diff(Case *c, CrdtDoc *doc, CrdtFormat format, CrdtBytes merged,
							CrdtBytes state_vector, CrdtBuffer *out, CrdtError *error);
static void run_order(Case *c, const json_t *order, const Updates *v1, const Updates *v2);
static void run_receiver(Case *c, Receiver receiver, const Updates *updates, const json_t *state,
						 const json_t *roots);
static void expect_nothing_new(Case *c, CrdtDoc *doc, const Updates *updates);
static CrdtBuffer encode_all(Case *c, CrdtDoc *doc);
static CrdtBuffer encode_vector(Case *c, CrdtDoc *doc);
static bool has_grown(const CrdtBuffer *before, const CrdtBuffer *after);
static void expect_merges(Case *c, const json_t *order, const Updates *v1, const Updates *v2);
static void expect_diffs(Case *c, const Updates *v1, const Updates *v2);
static void
expect_diff(Case *c, CrdtDoc *doc, CrdtBytes merged_v1, CrdtBytes merged_v2, const json_t *diff);
static void expect_checked(Case *c, const Updates *updates);
static void expect_converted(Case *c, const char *name, CrdtBytes update, CrdtFormat from);
static void expect_meta(Case *c, CrdtBytes update, CrdtFormat format);

static const MergeField merge_fields[] = {
	{"mergeV1", CRDT_V1, make_merge},
	{"mergeV2", CRDT_V2, make_merge},
	{"mergeSv", CRDT_V1, make_merge_sv},
	{"mergeSv", CRDT_V2, make_merge_sv},
};

static const DiffField diff_fields[] = {
	{"stateV1", CRDT_V1, make_state},
	{"stateV2", CRDT_V2, make_state},
	{"diffV1", CRDT_V1, make_diff},
	{"diffV2", CRDT_V2, make_diff},
};

static Updates
updates_open(Case *c, const char *name, CrdtFormat format)
{
	Updates updates = {.format = format};

	updates.bytes = case_inputs(c, json_object_get(c->json, name), &updates.count);
	return updates;
}

/* Those of updates that indices name.  Free the bytes. */
static Updates
updates_pick(const Updates *updates, const json_t *indices)
{
	return (Updates){.format = updates->format,
					 .bytes = case_pick(updates->bytes, updates->count, indices),
					 .count = json_array_size(indices)};
}

void
run_doc(Case *c)
{
	const json_t *orders = json_object_get(c->json, "orders");
	const json_t *gc_off = json_object_get(c->json, "gcOff");
	Receiver keeping = {.roots = json_object_get(c->json, "roots"), .keep_deleted = true};
	Updates v1 = updates_open(c, "updates", CRDT_V1);
	Updates v2 = updates_open(c, "updatesV2", CRDT_V2);

	strcpy(c->where, "updates");
	expect_checked(c, &v1);
	expect_checked(c, &v2);
	for (size_t i = 0; i < json_array_size(orders); i++)
		run_order(c, json_array_get(orders, i), &v1, &v2);
	if (gc_off != NULL)
	{
		strcpy(c->where, "gcOff");
		run_receiver(c, keeping, &v1, gc_off, json_object_get(gc_off, "roots"));
	}
	expect_diffs(c, &v1, &v2);
	free(v1.bytes);
	free(v2.bytes);
}

static void
run_order(Case *c, const json_t *order, const Updates *v1, const Updates *v2)
{
	const json_t *roots = json_object_get(c->json, "roots");
	const json_t *first =
		json_object_get(json_array_get(json_object_get(c->json, "orders"), 0), "expect");
	const json_t *expect = json_object_get(order, "expect");
	const json_t *untyped = json_object_get(order, "untyped");
	const json_t *via_v2 = json_object_get(order, "viaV2");
	const char *label = json_string_value(json_object_get(order, "label"));
	Updates picked_v1 = updates_pick(v1, json_object_get(order, "order"));
	Updates picked_v2 = updates_pick(v2, json_object_get(order, "order"));
	const json_t *reports;

	if (expect == NULL)
		expect = first; /* expectSameAs: 0 */
	reports = json_object_get(expect, "roots");
	if (reports == NULL)
		reports = json_object_get(first, "roots"); /* rootsSameAs: 0 */

	snprintf(c->where, sizeof c->where, "%s, roots declared", label);
	run_receiver(c, (Receiver){.roots = roots}, &picked_v1, expect, reports);
	snprintf(c->where, sizeof c->where, "%s, V2, roots declared", label);
	run_receiver(c, (Receiver){.roots = roots}, &picked_v2, via_v2 == NULL ? expect : via_v2,
				 via_v2 == NULL ? reports : NULL);
	snprintf(c->where, sizeof c->where, "%s, roots not declared", label);
	run_receiver(c, (Receiver){.roots = NULL}, &picked_v1, untyped == NULL ? expect : untyped,
				 reports);
	snprintf(c->where, sizeof c->where, "%s", label);
	expect_merges(c, order, &picked_v1, &picked_v2);
	free(picked_v1.bytes);
	free(picked_v2.bytes);
}

static void
run_receiver(Case *c, Receiver receiver, const Updates *updates, const json_t *state,
			 const json_t *roots)
{
	CrdtDoc *doc = receiver_open(c, receiver);

	if (doc == NULL)
		return;
	for (size_t i = 0; i < updates->count; i++)
		if (!receiver_apply(c, doc, updates->bytes[i], updates->format, NULL))
			break;
	expect_state(c, doc, state);
	expect_roots(c, doc, roots, receiver.roots != NULL);
	expect_nothing_new(c, doc, updates);
	crdt_doc_free(doc);
}

/*
 * A document that is sent again what it has says so, and stays as it is.  Only what waits may be
 * news a second time: Yjs looks at it again only when clocks pass those that it noted, which may be
 * larger than needed, while a repeated update is integrated at once.
 */
static void
expect_nothing_new(Case *c, CrdtDoc *doc, const Updates *updates)
{
	CrdtBuffer before = encode_all(c, doc);
	CrdtBuffer after;
	bool some_was_news = false;

	for (size_t i = 0; i < updates->count; i++)
	{
		bool waited = crdt_doc_is_waiting(doc);
		CrdtBuffer had = encode_vector(c, doc);
		CrdtBuffer has;
		CrdtApplied applied = {.changed = true};

		receiver_apply(c, doc, updates->bytes[i], updates->format, &applied);
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
expect_checked(Case *c, const Updates *updates)
{
	for (size_t i = 0; i < updates->count; i++)
	{
		CrdtError error = {0};

		case_expect_ok(
			c, "check",
			crdt_update_check(&c->world.host, updates->bytes[i], updates->format, &error), &error);
	}
}

static void
expect_merges(Case *c, const json_t *order, const Updates *v1, const Updates *v2)
{
	for (size_t i = 0; i < sizeof merge_fields / sizeof *merge_fields; i++)
	{
		const MergeField *field = &merge_fields[i];
		CrdtError error = {0};
		CrdtBuffer out;

		if (json_object_get(order, field->name) == NULL)
			continue;
		crdt_buffer_open(&out, &c->world.host);
		if (case_expect_ok(c, field->name,
						   field->make(c, field->format == CRDT_V1 ? v1 : v2, &out, &error),
						   &error))
			case_expect_bytes(c, field->name, json_object_get(order, field->name),
							  crdt_buffer_view(&out));
		crdt_buffer_close(&out);
	}
}

static CrdtStatus
make_merge(Case *c, const Updates *updates, CrdtBuffer *out, CrdtError *error)
{
	return crdt_update_merge(&c->world.host, updates->bytes, updates->count, updates->format, out,
							 error);
}

static CrdtStatus
make_merge_sv(Case *c, const Updates *updates, CrdtBuffer *out, CrdtError *error)
{
	CrdtBuffer merged;
	CrdtStatus status;

	crdt_buffer_open(&merged, &c->world.host);
	status = make_merge(c, updates, &merged, error);
	if (status == CRDT_OK)
		status = crdt_update_state_vector(&c->world.host, crdt_buffer_view(&merged),
										  updates->format, out, error);
	crdt_buffer_close(&merged);
	return status;
}

/* name: of a member of `convert`. */
static void
expect_converted(Case *c, const char *name, CrdtBytes update, CrdtFormat from)
{
	CrdtError error = {0};
	CrdtBuffer out;

	crdt_buffer_open(&out, &c->world.host);
	if (case_expect_ok(c, name,
					   crdt_update_convert(&c->world.host, update, from,
										   from == CRDT_V1 ? CRDT_V2 : CRDT_V1, &out, &error),
					   &error))
		case_expect_bytes(c, name, json_object_get(json_object_get(c->json, "convert"), name),
						  crdt_buffer_view(&out));
	crdt_buffer_close(&out);
}

static bool
note_client(void *context, uint64_t client, uint64_t from, uint64_t to)
{
	json_t *meta = context;
	char name[24];

	snprintf(name, sizeof name, "%llu", (unsigned long long) client);
	json_object_set_new(json_object_get(meta, "from"), name, json_real((double) from));
	json_object_set_new(json_object_get(meta, "to"), name, json_real((double) to));
	return true;
}

static void
expect_meta(Case *c, CrdtBytes update, CrdtFormat format)
{
	json_t *meta = json_pack("{s:{},s:{}}", "from", "to");
	CrdtMetaVisitor visitor = {note_client, meta};
	CrdtError error = {0};

	if (case_expect_ok(c, "meta",
					   crdt_update_meta(&c->world.host, update, format, &visitor, &error), &error))
		case_expect_json(c, "meta", json_object_get(c->json, "meta"), json_incref(meta));
	json_decref(meta);
}

static void
expect_state_vector(Case *c, const char *name, CrdtBytes update, CrdtFormat format)
{
	CrdtError error = {0};
	CrdtBuffer out;

	crdt_buffer_open(&out, &c->world.host);
	if (case_expect_ok(c, name,
					   crdt_update_state_vector(&c->world.host, update, format, &out, &error),
					   &error))
		case_expect_bytes(c, name, json_object_get(c->json, name), crdt_buffer_view(&out));
	crdt_buffer_close(&out);
}

/* ---- what someone lacks; and what all updates are together ---- */

static CrdtBuffer
merge_all(Case *c, const Updates *updates)
{
	CrdtError error = {0};
	CrdtBuffer merged;

	crdt_buffer_open(&merged, &c->world.host);
	case_expect_ok(c, "merge of all", make_merge(c, updates, &merged, &error), &error);
	return merged;
}

static void
expect_diffs(Case *c, const Updates *v1, const Updates *v2)
{
	const json_t *first = json_array_get(json_object_get(c->json, "orders"), 0);
	const json_t *state = json_object_get(first, "expect");
	const json_t *diffs = json_object_get(c->json, "diffs");
	Updates picked = updates_pick(v1, json_object_get(first, "order"));
	CrdtDoc *doc = receiver_open(c, (Receiver){.roots = json_object_get(c->json, "roots")});
	CrdtBuffer merged_v1 = merge_all(c, v1);
	CrdtBuffer merged_v2 = merge_all(c, v2);

	for (size_t i = 0; doc != NULL && i < picked.count; i++)
		receiver_apply(c, doc, picked.bytes[i], picked.format, NULL);
	for (size_t i = 0; doc != NULL && i < json_array_size(diffs); i++)
	{
		snprintf(c->where, sizeof c->where, "diffs[%zu]", i);
		expect_diff(c, doc, crdt_buffer_view(&merged_v1), crdt_buffer_view(&merged_v2),
					json_array_get(diffs, i));
	}
	c->where[0] = 0;
	expect_state_vector(c, "svFromState", case_input(c, json_object_get(state, "v1")), CRDT_V1);
	expect_state_vector(c, "svFromState", case_input(c, json_object_get(state, "v2")), CRDT_V2);
	expect_converted(c, "stateV1toV2", case_input(c, json_object_get(state, "v1")), CRDT_V1);
	expect_converted(c, "stateV2toV1", case_input(c, json_object_get(state, "v2")), CRDT_V2);
	expect_converted(c, "mergedV1toV2", crdt_buffer_view(&merged_v1), CRDT_V1);
	expect_converted(c, "mergedV2toV1", crdt_buffer_view(&merged_v2), CRDT_V2);
	expect_meta(c, crdt_buffer_view(&merged_v1), CRDT_V1);
	expect_meta(c, crdt_buffer_view(&merged_v2), CRDT_V2);

	free(picked.bytes);
	crdt_buffer_close(&merged_v1);
	crdt_buffer_close(&merged_v2);
	crdt_doc_free(doc);
}

static void
expect_diff(Case *c, CrdtDoc *doc, CrdtBytes merged_v1, CrdtBytes merged_v2, const json_t *diff)
{
	CrdtBytes state_vector = case_input(c, json_object_get(diff, "sv"));

	for (size_t i = 0; i < sizeof diff_fields / sizeof *diff_fields; i++)
	{
		const DiffField *field = &diff_fields[i];
		CrdtBytes merged = field->format == CRDT_V1 ? merged_v1 : merged_v2;
		CrdtError error = {0};
		CrdtBuffer out;

		crdt_buffer_open(&out, &c->world.host);
		if (case_expect_ok(c, field->name,
						   field->make(c, doc, field->format, merged, state_vector, &out, &error),
						   &error))
			case_expect_bytes(c, field->name, json_object_get(diff, field->name),
							  crdt_buffer_view(&out));
		crdt_buffer_close(&out);
	}
}

static CrdtStatus
make_state(Case *c, CrdtDoc *doc, CrdtFormat format, CrdtBytes merged, CrdtBytes state_vector,
		   CrdtBuffer *out, CrdtError *error)
{
	(void) c;
	(void) merged;
	return crdt_doc_encode(doc, format, state_vector, out, error);
}

static CrdtStatus
make_diff(Case *c, CrdtDoc *doc, CrdtFormat format, CrdtBytes merged, CrdtBytes state_vector,
		  CrdtBuffer *out, CrdtError *error)
{
	(void) doc;
	return crdt_update_diff(&c->world.host, merged, format, state_vector, out, error);
}
