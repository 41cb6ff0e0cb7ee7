/*
 * slices.c: a document in slices, for a slow line.  That nothing waits and nothing is missing is asked
 * of every document of the vectors (test/conformance/slices.c); here: sizes, and going on.
 */
#include "replica.h"

#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/bytes.h"
#include "../../extension/crdt/edit.h"
#include "../../extension/crdt/slice.h"
#include "examples.h"

static CrdtSlices *
open_slices(Replica *from, CrdtBytes state_vector, size_t slice_bytes)
{
	CrdtSlices *slices;
	CrdtError error = {0};

	assert_int_equal(crdt_slices_open(from->doc, state_vector, slice_bytes, &slices, &error),
					 CRDT_OK);
	return slices;
}

/* The next slice; its bytes are the caller's to close. */
static CrdtBuffer
next_slice(Replica *from, CrdtSlices *slices, bool *last)
{
	CrdtError error = {0};
	CrdtBuffer out;

	crdt_buffer_open(&out, &from->world->host);
	assert_int_equal(crdt_slices_next(slices, &out, last, &error), CRDT_OK);
	return out;
}

static void
type_text(Replica *replica, uint64_t client, uint64_t index, CrdtBytes text)
{
	CrdtError error;

	crdt_doc_set_client(replica->doc, client);
	assert_int_equal(
		crdt_text_insert(replica->doc,
						 crdt_doc_open_root(replica->doc, NAME("t"), CRDT_TEXT, &error), index,
						 text, NULL, &error),
		CRDT_OK);
}

static void
a_small_document_is_one_slice_and_that_is_its_state(void **state)
{
	Replica ann = replica_new();
	CrdtSlices *slices;
	CrdtBuffer slice;
	CrdtError error = {0};
	bool last;

	(void) state;
	receive(&ann, BYTES(everything));
	slices = open_slices(&ann, NOTHING, 65536);
	slice = next_slice(&ann, slices, &last);
	assert_true(last);
	assert_state(&ann, crdt_buffer_view(&slice));
	assert_int_equal(crdt_slices_next(slices, &slice, &last, &error), CRDT_INVALID);
	assert_good_error(&error, CRDT_INVALID, 0);
	crdt_slices_close(slices);
	crdt_buffer_close(&slice);
	replica_close(&ann);
}

static void
who_has_everything_gets_what_is_deleted(void **state)
{
	Replica ann = replica_new();
	CrdtBuffer has;
	CrdtBuffer expected;
	CrdtBuffer slice;
	CrdtSlices *slices;
	CrdtError error = {0};
	bool last;

	(void) state;
	receive(&ann, BYTES(ann_writes_cat));
	receive(&ann, BYTES(ben_deletes_c));
	has = state_vector_of(&ann);
	crdt_buffer_open(&expected, &ann.world->host);
	assert_int_equal(crdt_doc_encode(ann.doc, CRDT_V1, crdt_buffer_view(&has), &expected, &error),
					 CRDT_OK);
	slices = open_slices(&ann, crdt_buffer_view(&has), 100);
	slice = next_slice(&ann, slices, &last);
	assert_true(last);
	assert_bytes_equal(crdt_buffer_view(&slice), crdt_buffer_view(&expected));
	crdt_slices_close(slices);
	crdt_buffer_close(&slice);
	crdt_buffer_close(&expected);
	crdt_buffer_close(&has);
	replica_close(&ann);
}

/* A text of characters of one to four bytes, all of which fit into no slice. */
static void
one_long_text_is_cut_between_characters(void **state)
{
	static const char *const letters[] = {"a", "\u00e9", "\u6587", "\U0001f600"};
	Replica ann = replica_new();
	Replica ben = replica_new();
	CrdtBuffer text;
	CrdtSlices *slices;
	size_t count = 0;
	bool last = false;

	(void) state;
	crdt_buffer_open(&text, &ann.world->host);
	for (size_t i = 0; i < 20000; i++)
		crdt_write_bytes(&text, (CrdtBytes){(const uint8_t *) letters[i * i % 7 % 4],
											strlen(letters[i * i % 7 % 4])});
	assert_false(text.failed);
	type_text(&ann, 1, 0, crdt_buffer_view(&text));
	slices = open_slices(&ann, NOTHING, 1000);
	for (; !last; count++)
	{
		CrdtBuffer slice = next_slice(&ann, slices, &last);

		assert_in_range(slice.size, 1, 1000);
		receive(&ben, crdt_buffer_view(&slice));
		assert_false(crdt_doc_is_waiting(ben.doc));
		crdt_buffer_close(&slice);
	}
	/* as few as can be, nearly */
	assert_in_range(count, text.size / 1000, text.size / 900 + 1);
	assert_same_state(&ann, &ben);
	crdt_slices_close(slices);
	crdt_buffer_close(&text);
	replica_close(&ann);
	replica_close(&ben);
}

/* Each writes behind what the other has just written: all structs hang on one another. */
static void
two_who_take_turns_are_not_torn_apart(void **state)
{
	Replica ann = replica_new();
	Replica ben = replica_new();
	CrdtSlices *slices;
	bool last = false;

	(void) state;
	for (uint64_t i = 0; i < 2000; i++)
		type_text(&ann, 1 + i % 2, i, NAME("x"));
	slices = open_slices(&ann, NOTHING, 500);
	while (!last)
	{
		CrdtBuffer slice = next_slice(&ann, slices, &last);

		assert_in_range(slice.size, 1, 500);
		receive(&ben, crdt_buffer_view(&slice));
		assert_false(crdt_doc_is_waiting(ben.doc));
		crdt_buffer_close(&slice);
	}
	assert_same_state(&ann, &ben);
	crdt_slices_close(slices);
	replica_close(&ann);
	replica_close(&ben);
}

/* One in each slice, and the document goes on growing meanwhile. */
static void
another_walk_goes_on_where_one_ended(void **state)
{
	Replica ann = replica_new();
	Replica ben = replica_new();
	CrdtBuffer reached;
	bool last = false;

	(void) state;
	crdt_buffer_open(&reached, &ann.world->host);
	for (uint64_t i = 0; i < 200; i++)
		type_text(&ann, 1 + i % 3, i / 2, NAME("word "));
	for (uint64_t i = 0; !last; i++)
	{
		CrdtSlices *slices = open_slices(&ann, crdt_buffer_view(&reached), 200);
		CrdtBuffer slice = next_slice(&ann, slices, &last);
		CrdtError error = {0};

		receive(&ben, crdt_buffer_view(&slice));
		assert_false(crdt_doc_is_waiting(ben.doc));
		reached.size = 0;
		assert_int_equal(crdt_slices_write_reached(slices, &reached, &error), CRDT_OK);
		crdt_buffer_close(&slice);
		crdt_slices_close(slices);
		if (i < 10)
			type_text(&ann, 1 + i % 4, 0, NAME("more"));
	}
	assert_same_state(&ann, &ben);
	crdt_buffer_close(&reached);
	replica_close(&ann);
	replica_close(&ben);
}

/* A client that the document knows nothing of stays in the vector as it was. */
static void
what_a_walk_was_told_it_does_not_forget(void **state)
{
	static const uint8_t vector[] = {2, 99, 7, 1, 2}; /* client 99: 7, client 1: 2 */
	Replica ann = replica_new();
	CrdtBuffer reached;
	CrdtBuffer slice;
	CrdtSlices *slices;
	CrdtError error = {0};
	bool last;

	(void) state;
	receive(&ann, BYTES(ann_writes_cat));
	slices = open_slices(&ann, BYTES(vector), 100);
	slice = next_slice(&ann, slices, &last);
	crdt_buffer_open(&reached, &ann.world->host);
	assert_int_equal(crdt_slices_write_reached(slices, &reached, &error), CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&reached),
					   (CrdtBytes){(const uint8_t[]){2, 1, 3, 99, 7}, 5});
	crdt_buffer_close(&reached);
	crdt_buffer_close(&slice);
	crdt_slices_close(slices);
	replica_close(&ann);
}

static void
a_broken_state_vector_is_refused(void **state)
{
	Replica ann = replica_new();
	CrdtBytes vector = BYTES(cat_state_vector);
	CrdtSlices *slices;
	CrdtError error = {0};

	(void) state;
	vector.size--;
	assert_int_equal(crdt_slices_open(ann.doc, vector, 100, &slices, &error), CRDT_TRUNCATED);
	assert_good_error(&error, CRDT_TRUNCATED, vector.size);
	assert_null(slices);
	replica_close(&ann);
}

int
run_slice_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_document_is_one_slice_and_that_is_its_state),
		cmocka_unit_test(who_has_everything_gets_what_is_deleted),
		cmocka_unit_test(one_long_text_is_cut_between_characters),
		cmocka_unit_test(two_who_take_turns_are_not_torn_apart),
		cmocka_unit_test(another_walk_goes_on_where_one_ended),
		cmocka_unit_test(what_a_walk_was_told_it_does_not_forget),
		cmocka_unit_test(a_broken_state_vector_is_refused),
	};

	return cmocka_run_group_tests_name("slices", tests, NULL, NULL);
}
