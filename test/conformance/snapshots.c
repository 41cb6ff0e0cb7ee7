/*
 * snapshots.c: cases of kind `snapshots`: a document that keeps what is deleted, and what it was
 * like after some of its updates.
 */
#include "kinds.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../extension/crdt/snapshot.h"
#include "value.h"

static void
expect_written(Case *c, const char *field, const CrdtSnapshot *snapshot, CrdtFormat format,
			   const json_t *expected)
{
	CrdtError error = {0};
	CrdtBuffer out;

	crdt_buffer_open(&out, &c->world.host);
	if (case_expect_ok(c, field, crdt_snapshot_write(snapshot, format, &out, &error), &error))
		case_expect_bytes(c, field, expected, crdt_buffer_view(&out));
	crdt_buffer_close(&out);
}

/* A new document from the snapshot must be as Yjs's. */
static void
expect_restored(Case *c, CrdtDoc *doc, const CrdtSnapshot *snapshot, CrdtFormat format,
				bool keep_deleted, const json_t *expected)
{
	Receiver receiver = {json_object_get(c->json, "roots"), keep_deleted};
	CrdtDoc *restored = receiver_open(c, receiver);
	CrdtError error = {0};
	CrdtBuffer update;

	crdt_buffer_open(&update, &c->world.host);
	if (case_expect_ok(c, "restore", crdt_snapshot_restore(doc, snapshot, format, &update, &error),
					   &error) &&
		receiver_apply(c, restored, crdt_buffer_view(&update), format, NULL))
	{
		expect_state(c, restored, expected);
		expect_roots(c, restored, json_object_get(expected, "roots"), true);
	}
	crdt_buffer_close(&update);
	crdt_doc_free(restored);
}

static void
expect_contains(Case *c, const CrdtSnapshot *snapshot, const json_t *expected)
{
	const json_t *updates = json_object_get(c->json, "updates");

	for (size_t i = 0; i < json_array_size(expected); i++)
	{
		CrdtError error = {0};
		bool contains = false;

		case_expect_ok(c, "containsUpdate",
					   crdt_snapshot_contains_update(snapshot,
													 case_input(c, json_array_get(updates, i)),
													 CRDT_V1, &contains, &error),
					   &error);
		case_expect_true(c, "containsUpdate", contains == json_is_true(json_array_get(expected, i)),
						 "not as in Yjs");
	}
}

/* Everything that is said of one snapshot, in a document that may have gone on since. */
static void
expect_snapshot(Case *c, CrdtDoc *doc, const CrdtSnapshot *snapshot, const CrdtSnapshot *previous,
				const json_t *expected)
{
	const CrdtType *text = crdt_doc_find_root(doc, CRDT_LITERAL("t"));
	CrdtError error = {0};

	expect_written(c, "snapshot", snapshot, CRDT_V1, json_object_get(expected, "snapshot"));
	expect_written(c, "snapshotV2", snapshot, CRDT_V2, json_object_get(expected, "snapshotV2"));
	expect_restored(c, doc, snapshot, CRDT_V1, false, json_object_get(expected, "restored"));
	expect_restored(c, doc, snapshot, CRDT_V2, true, json_object_get(expected, "restoredGcOff"));
	expect_contains(c, snapshot, json_object_get(expected, "containsUpdate"));
	if (text != NULL)
	{
		expect_delta(c, doc, text, snapshot, NULL, json_object_get(expected, "delta"), &error);
		if (previous != NULL)
			expect_delta(c, doc, text, snapshot, previous, json_object_get(expected, "diffDelta"),
						 &error);
	}
	if (previous != NULL)
		case_expect_true(c, "equalToPrevious",
						 crdt_snapshots_equal(snapshot, previous) ==
							 json_is_true(json_object_get(expected, "equalToPrevious")),
						 "not as in Yjs");
}

void
run_snapshots(Case *c)
{
	const json_t *expected = json_object_get(c->json, "snapshots");
	size_t snapshot_count = json_array_size(expected);
	CrdtSnapshot **snapshots = calloc(snapshot_count + 1, sizeof(CrdtSnapshot *));
	Receiver receiver = {json_object_get(c->json, "roots"), true};
	CrdtDoc *doc = receiver_open(c, receiver);
	size_t update_count;
	CrdtBytes *updates = case_inputs(c, json_object_get(c->json, "updates"), &update_count);
	size_t taken = 0;

	for (size_t i = 0; i < update_count; i++)
	{
		receiver_apply(c, doc, updates[i], CRDT_V1, NULL);
		while (taken < snapshot_count &&
			   json_number_value(json_object_get(json_array_get(expected, taken), "after")) ==
				   (double) i)
			snapshots[taken++] = crdt_snapshot_take(doc);
	}
	expect_state(c, doc, json_object_get(c->json, "end"));
	for (size_t i = 0; i < taken; i++)
	{
		snprintf(c->where, sizeof c->where, "snapshot %zu", i);
		expect_snapshot(c, doc, snapshots[i], i == 0 ? NULL : snapshots[i - 1],
						json_array_get(expected, i));
	}
	c->where[0] = '\0';
	expect_state(c, doc, json_object_get(c->json, "end"));
	case_expect_true(c, "snapshots", taken == snapshot_count, "some come after no update");
	for (size_t i = 0; i < taken; i++)
		crdt_snapshot_free(snapshots[i]);
	free(snapshots);
	free(updates);
	crdt_doc_free(doc);
}
