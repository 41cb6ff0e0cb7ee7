/*
 * lookback.c: undoing, snapshots, and places that stay where they are.
 */
#include "replica.h"

#include <stdio.h>

#include "../../extension/crdt/bytes.h"
#include "../../extension/crdt/position.h"
#include "../../extension/crdt/runs.h"
#include "../../extension/crdt/snapshot.h"
#include "../../extension/crdt/undo.h"
#include "examples.h"

static const CrdtType *
open_text(Replica *replica)
{
	CrdtError error;
	const CrdtType *text = crdt_doc_open_root(replica->doc, NAME("t"), CRDT_TEXT, &error);

	assert_non_null(text);
	crdt_doc_set_client(replica->doc, 1);
	return text;
}

static void
type(Replica *replica, const CrdtType *text, uint64_t index, CrdtBytes what)
{
	CrdtError error;

	assert_int_equal(crdt_text_insert(replica->doc, text, index, what, NULL, &error), CRDT_OK);
}

static void
undoing_takes_back_ones_own_and_leaves_what_others_wrote(void **state)
{
	Replica ann = replica_new();
	const CrdtType *text = open_text(&ann);
	CrdtUndoOptions options = {.scope = &text, .scope_count = 1};
	CrdtUndo *undo;
	CrdtError error;
	bool done;

	(void) state;
	type(&ann, text, 0, NAME("cat"));
	undo = crdt_undo_new(ann.doc, &options);
	type(&ann, text, 3, NAME("s and dogs"));
	receive(&ann, BYTES(ben_adds_bang));
	assert_text(&ann, "t", "cats and dogs!");

	assert_int_equal(crdt_undo(undo, &done, &error), CRDT_OK);
	assert_true(done);
	assert_text(&ann, "t", "cat!");
	assert_int_equal(crdt_undo(undo, &done, &error), CRDT_OK);
	assert_false(done);
	assert_int_equal(crdt_redo(undo, &done, &error), CRDT_OK);
	assert_text(&ann, "t", "cats and dogs!");
	crdt_undo_free(undo);
	replica_close(&ann);
}

static void
what_an_update_brought_can_be_taken_back_and_what_came_later_stays(void **state)
{
	Replica ann = replica_new_with((CrdtDocOptions){.keep_deleted = true});
	const CrdtType *text = open_text(&ann);
	CrdtUndo *undo = crdt_undo_new(ann.doc, NULL);
	CrdtError error;
	bool done;

	(void) state;
	receive(&ann, BYTES(ann_writes_cat));
	crdt_undo_track_updates(undo, true);
	receive(&ann, BYTES(ben_adds_bang));
	crdt_undo_track_updates(undo, false);
	receive(&ann, BYTES(ann_adds_s));
	assert_int_equal(crdt_undo_count(undo), 1);
	crdt_doc_set_client(ann.doc, 99);
	assert_int_equal(crdt_undo(undo, &done, &error), CRDT_OK);
	assert_true(done);
	assert_false(crdt_undo_lost_steps(undo));
	assert_text(&ann, "t", "cats");
	assert_int_equal(crdt_doc_length(ann.doc, text), 4);
	crdt_undo_free(undo);
	replica_close(&ann);
}

/* As in a stored document, where SQL writes for everybody with one client id. */
static void
what_two_wrote_in_one_item_is_taken_back_of_one_of_them_only(void **state)
{
	Replica server = replica_new();
	Replica history = replica_new_with((CrdtDocOptions){.keep_deleted = true});
	const CrdtType *text = open_text(&server);
	CrdtUndo *undo = crdt_undo_new(history.doc, NULL);
	CrdtError error;
	bool done = true;

	(void) state;
	crdt_doc_set_client(server.doc, 7);
	type(&server, text, 0, NAME("b"));
	crdt_undo_track_updates(undo, true);
	send_missing(&server, &history);
	type(&server, text, 1, NAME("m"));
	crdt_undo_track_updates(undo, false);
	send_missing(&server, &history);
	assert_int_equal(crdt_text_delete(server.doc, text, 0, 2, &error), CRDT_OK);
	crdt_undo_track_updates(undo, true);
	send_missing(&server, &history);
	crdt_undo_track_updates(undo, false);
	crdt_doc_set_client(history.doc, 99);
	while (done)
		assert_int_equal(crdt_undo(undo, &done, &error), CRDT_OK);
	assert_text(&history, "t", "m");
	crdt_undo_free(undo);
	replica_close(&history);
	replica_close(&server);
}

/* Runs as text: CLIENT@CLOCK+UNITS=TEXT, types in brackets. */
static bool
write_run(void *context, const CrdtRun *run)
{
	CrdtBuffer *out = context;
	char head[80];
	int size = snprintf(head, sizeof(head), "%.*s%llu@%llu+%llu ", (int) run->key.size,
						(const char *) run->key.data, (unsigned long long) run->client,
						(unsigned long long) run->clock, (unsigned long long) run->units);
	CrdtError error;

	crdt_write_bytes(out, (CrdtBytes){(const uint8_t *) head, (size_t) size});
	if (run->is_text)
		assert_int_equal(crdt_run_text(run, 0, run->units, out, &error), CRDT_OK);
	return true;
}

static bool
write_enter(void *context)
{
	crdt_write_bytes(context, NAME("["));
	return true;
}

static bool
write_leave(void *context)
{
	crdt_write_bytes(context, NAME("]"));
	return true;
}

static void
visible_units_tell_their_clients_and_clocks(void **state)
{
	Replica ann = replica_new();
	const CrdtType *text = open_text(&ann);
	CrdtBuffer runs;
	CrdtRunVisitor visitor = {&runs, write_run, write_enter, write_leave};
	CrdtError error;

	(void) state;
	crdt_doc_set_client(ann.doc, 7);
	type(&ann, text, 0, NAME("hello"));
	crdt_doc_set_client(ann.doc, 9);
	type(&ann, text, 2, NAME("\xf0\x9f\x98\x80"));
	assert_int_equal(crdt_text_delete(ann.doc, text, 0, 1, &error), CRDT_OK);
	crdt_buffer_open(&runs, &ann.world->host);
	assert_int_equal(crdt_doc_visit_runs(ann.doc, text, &visitor, &error), CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&runs), NAME("7@1+1 e9@0+2 \xf0\x9f\x98\x80"
													 "7@2+3 llo"));
	crdt_buffer_close(&runs);
	replica_close(&ann);
}

static void
an_undo_for_which_there_is_no_memory_can_be_tried_again(void **state)
{
	Replica ann = replica_new();
	const CrdtType *text = open_text(&ann);
	CrdtUndo *undo = crdt_undo_new(ann.doc, NULL);
	CrdtError error;
	CrdtBuffer before;
	bool done;
	CrdtStatus status;

	(void) state;
	type(&ann, text, 0, NAME("caf\u00e9 cat"));
	assert_int_equal(crdt_text_delete(ann.doc, text, 2, 4, &error), CRDT_OK);
	before = state_of(&ann);
	for (size_t fail_at = 1;; fail_at++)
	{
		ann.world->fail_at = ann.world->requests + fail_at;
		ann.world->fail_once = true;
		status = crdt_undo(undo, &done, &error);
		ann.world->fail_at = 0;
		if (status == CRDT_OK)
			break;
		assert_int_equal(status, CRDT_NO_MEMORY);
		assert_state(&ann, crdt_buffer_view(&before));
	}
	assert_text(&ann, "t", "caf\u00e9 cat");
	crdt_buffer_close(&before);
	crdt_undo_free(undo);
	replica_close(&ann);
}

static void
a_snapshot_brings_back_what_was_deleted_since(void **state)
{
	Replica ann = replica_new_with((CrdtDocOptions){.keep_deleted = true});
	Replica then = replica_new();
	const CrdtType *text = open_text(&ann);
	CrdtSnapshot *snapshot;
	CrdtBuffer out;
	CrdtError error;

	(void) state;
	type(&ann, text, 0, NAME("The cat sat"));
	snapshot = crdt_snapshot_take(ann.doc);
	assert_int_equal(crdt_text_delete(ann.doc, text, 4, 4, &error), CRDT_OK);
	type(&ann, text, 4, NAME("dog "));
	assert_text(&ann, "t", "The dog sat");

	crdt_buffer_open(&out, &ann.world->host);
	assert_int_equal(crdt_snapshot_restore(ann.doc, snapshot, CRDT_V1, &out, &error), CRDT_OK);
	receive(&then, crdt_buffer_view(&out));
	assert_text(&then, "t", "The cat sat");

	out.size = 0;
	assert_int_equal(crdt_doc_delta_json(ann.doc, text, NULL, snapshot, &out, &error), CRDT_OK);
	assert_bytes_equal(
		crdt_buffer_view(&out),
		NAME("[{\"insert\":\"The \"},"
			 "{\"insert\":\"cat \",\"attributes\":{\"ychange\":{\"type\":\"removed\"}}},"
			 "{\"insert\":\"dog \",\"attributes\":{\"ychange\":{\"type\":\"added\"}}},"
			 "{\"insert\":\"sat\"}]"));
	crdt_buffer_close(&out);
	crdt_snapshot_free(snapshot);
	replica_close(&ann);
	replica_close(&then);
}

static void
a_document_that_forgets_what_is_deleted_restores_nothing(void **state)
{
	Replica ann = replica_new();
	CrdtSnapshot *snapshot = crdt_snapshot_take(ann.doc);
	CrdtBuffer out;
	CrdtError error;

	(void) state;
	crdt_buffer_open(&out, &ann.world->host);
	assert_int_equal(crdt_snapshot_restore(ann.doc, snapshot, CRDT_V1, &out, &error), CRDT_INVALID);
	assert_good_error(&error, CRDT_INVALID, 0);
	crdt_snapshot_free(snapshot);
	replica_close(&ann);
}

static void
a_position_moves_with_the_character_it_sticks_to(void **state)
{
	Replica ann = replica_new();
	const CrdtType *text = open_text(&ann);
	CrdtPosition before_cat;
	CrdtPosition behind_the;
	CrdtAbsolutePosition place;
	CrdtError error;

	(void) state;
	type(&ann, text, 0, NAME("the cat"));
	assert_int_equal(crdt_position_find(ann.doc, text, 4, 0, &before_cat, &error), CRDT_OK);
	assert_int_equal(crdt_position_find(ann.doc, text, 4, -1, &behind_the, &error), CRDT_OK);
	type(&ann, text, 4, NAME("black "));
	type(&ann, text, 0, NAME("See "));

	assert_int_equal(crdt_position_resolve(ann.doc, &before_cat, &place, &error), CRDT_OK);
	assert_ptr_equal(place.type, text);
	assert_int_equal(place.index, 14);
	assert_int_equal(crdt_position_resolve(ann.doc, &behind_the, &place, &error), CRDT_OK);
	assert_int_equal(place.index, 8);
	replica_close(&ann);
}

int
run_lookback_tests(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(undoing_takes_back_ones_own_and_leaves_what_others_wrote),
		cmocka_unit_test(what_an_update_brought_can_be_taken_back_and_what_came_later_stays),
		cmocka_unit_test(what_two_wrote_in_one_item_is_taken_back_of_one_of_them_only),
		cmocka_unit_test(visible_units_tell_their_clients_and_clocks),
		cmocka_unit_test(an_undo_for_which_there_is_no_memory_can_be_tried_again),
		cmocka_unit_test(a_snapshot_brings_back_what_was_deleted_since),
		cmocka_unit_test(a_document_that_forgets_what_is_deleted_restores_nothing),
		cmocka_unit_test(a_position_moves_with_the_character_it_sticks_to),
	};

	return cmocka_run_group_tests_name("lookback", tests, NULL, NULL);
}
