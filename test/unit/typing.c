/*
 * typing.c: people who write in one document.  Who wrote what is in examples.mjs.
 */
#include "replica.h"

#include <string.h>

#include "examples.h"

static void
two_people_typing_at_one_place_agree(void **state)
{
	Replica ann = replica_new();
	Replica ben = replica_new();

	(void) state;
	receive(&ann, BYTES(ann_writes_cat));
	receive(&ben, BYTES(ann_writes_cat));
	receive(&ann, BYTES(ann_adds_s));
	receive(&ben, BYTES(ben_adds_bang));
	assert_text(&ann, "t", "cats");
	assert_text(&ben, "t", "cat!");

	receive(&ann, BYTES(ben_adds_bang));
	receive(&ben, BYTES(ann_adds_s));
	assert_text(&ann, "t", "cats!");
	assert_same_state(&ann, &ben);
	assert_state(&ann, BYTES(cats_state));
	replica_close(&ann);
	replica_close(&ben);
}

static void
of_two_values_of_a_key_the_larger_clients_stays(void **state)
{
	Replica ann = replica_new();
	Replica ben = replica_new();

	(void) state;
	receive(&ann, BYTES(ann_sets_title));
	receive(&ann, BYTES(ben_sets_title));
	receive(&ben, BYTES(ben_sets_title));
	receive(&ben, BYTES(ann_sets_title));
	assert_json(&ann, "m", CRDT_MAP, "{\"title\":\"Ben's\"}");
	assert_same_state(&ann, &ben);
	replica_close(&ann);
	replica_close(&ben);
}

static void
an_update_is_news_once(void **state)
{
	Replica ann = replica_new();

	(void) state;
	assert_true(receive(&ann, BYTES(ann_writes_cat)).changed);
	assert_false(receive(&ann, BYTES(ann_writes_cat)).changed);
	assert_true(receive(&ann, BYTES(ben_adds_bang)).changed);
	assert_true(receive(&ann, BYTES(ben_deletes_c)).changed);
	assert_false(receive(&ann, BYTES(ben_deletes_c)).changed);
	assert_text(&ann, "t", "at!");
	replica_close(&ann);
}

static void
an_empty_update_is_no_news(void **state)
{
	static const uint8_t empty[] = {0, 0};
	Replica ann = replica_new();

	(void) state;
	assert_false(receive(&ann, BYTES(empty)).changed);
	assert_state(&ann, BYTES(empty));
	replica_close(&ann);
}

static void
what_comes_too_early_waits_and_is_not_lost(void **state)
{
	Replica ann = replica_new();
	Replica relay = replica_new();
	CrdtBuffer parked;

	(void) state;
	assert_true(receive(&ann, BYTES(ben_adds_bang)).waiting);
	assert_true(crdt_doc_is_waiting(ann.doc));
	assert_false(receive(&ann, BYTES(ben_adds_bang)).changed);

	/* Whoever gets the state now gets what waits with it. */
	parked = state_of(&ann);
	receive(&relay, crdt_buffer_view(&parked));
	crdt_buffer_close(&parked);
	assert_true(crdt_doc_is_waiting(relay.doc));

	assert_false(receive(&ann, BYTES(ann_writes_cat)).waiting);
	receive(&relay, BYTES(ann_writes_cat));
	assert_text(&ann, "t", "cat!");
	assert_same_state(&relay, &ann);
	replica_close(&ann);
	replica_close(&relay);
}

/* Client 1, root "t": " " at clock 1, then "A " at clock 0 in one piece, which holds what waited. */
static void
what_waited_may_come_again_inside_of_something_longer(void **state)
{
	static const uint8_t space[] = {1, 1, 1, 1, 0x84, 1, 0, 1, ' ', 0};
	static const uint8_t a_and_space[] = {1, 1, 1, 0, 4, 1, 1, 't', 2, 'A', ' ', 0};
	Replica ann = replica_new();

	(void) state;
	assert_true(receive(&ann, BYTES(space)).waiting);
	assert_false(receive(&ann, BYTES(a_and_space)).waiting);
	assert_text(&ann, "t", "A ");
	assert_state(&ann, BYTES(a_and_space));
	replica_close(&ann);
}

static void
a_deletion_that_comes_before_its_text_waits(void **state)
{
	Replica ann = replica_new();

	(void) state;
	assert_true(receive(&ann, BYTES(ben_deletes_c)).waiting);
	assert_false(receive(&ann, BYTES(ben_deletes_c)).changed);
	receive(&ann, BYTES(ann_writes_cat));
	receive(&ann, BYTES(ben_adds_bang));
	assert_text(&ann, "t", "at!");
	assert_false(crdt_doc_is_waiting(ann.doc));
	replica_close(&ann);
}

static void
a_state_vector_says_what_one_has(void **state)
{
	Replica ann = replica_new();
	CrdtBuffer vector;

	(void) state;
	receive(&ann, BYTES(ann_writes_cat));
	vector = state_vector_of(&ann);
	assert_bytes_equal(crdt_buffer_view(&vector), BYTES(cat_state_vector));
	crdt_buffer_close(&vector);

	receive(&ann, BYTES(ann_adds_s));
	receive(&ann, BYTES(ben_adds_bang));
	vector = state_vector_of(&ann);
	assert_bytes_equal(crdt_buffer_view(&vector), BYTES(cats_state_vector));
	crdt_buffer_close(&vector);
	replica_close(&ann);
}

static void
who_shows_a_state_vector_gets_only_the_rest(void **state)
{
	Replica ann = replica_new();
	CrdtBuffer rest;
	CrdtError error = {0};

	(void) state;
	receive(&ann, BYTES(cats_state));
	crdt_buffer_open(&rest, &ann.world->host);
	assert_int_equal(crdt_doc_encode(ann.doc, CRDT_V1, BYTES(cat_state_vector), &rest, &error),
					 CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&rest), BYTES(cats_since_cat));
	crdt_buffer_close(&rest);
	replica_close(&ann);
}

static void
output_is_appended_to_what_is_there(void **state)
{
	Replica ann = replica_new();
	CrdtBuffer out;
	CrdtError error = {0};

	(void) state;
	receive(&ann, BYTES(ann_writes_cat));
	crdt_buffer_open(&out, &ann.world->host);
	assert_int_equal(crdt_doc_encode_state_vector(ann.doc, &out, &error), CRDT_OK);
	assert_int_equal(crdt_doc_encode(ann.doc, CRDT_V1, NOTHING, &out, &error), CRDT_OK);
	assert_int_equal(out.size, sizeof cat_state_vector + sizeof ann_writes_cat);
	assert_memory_equal(out.data, cat_state_vector, sizeof cat_state_vector);
	assert_memory_equal(out.data + sizeof cat_state_vector, ann_writes_cat, sizeof ann_writes_cat);
	crdt_buffer_close(&out);
	replica_close(&ann);
}

static void
two_who_wrote_apart_agree_after_exchanging_what_each_lacks(void **state)
{
	Replica ann = replica_new();
	Replica ben = replica_new();

	(void) state;
	receive(&ann, BYTES(everything));
	receive(&ann, BYTES(ann_writes_cat));
	receive(&ben, BYTES(ben_sets_title));
	send_missing(&ann, &ben);
	send_missing(&ben, &ann);
	assert_same_state(&ann, &ben);
	replica_close(&ann);
	replica_close(&ben);
}

static void
a_store_ends_in_the_bytes_of_yjs(void **state)
{
	Replica store = replica_new();

	(void) state;
	receive(&store, BYTES(everything));
	assert_state(&store, BYTES(everything));
	receive(&store, BYTES(after_review)); /* too early */
	receive(&store, BYTES(review));
	assert_state(&store, BYTES(everything_reviewed));
	replica_close(&store);
}

static void
deleted_content_stays_only_where_that_is_asked_for(void **state)
{
	Replica store = replica_new();
	Replica archive = replica_new_with((CrdtDocOptions){.keep_deleted = true});
	CrdtBuffer short_state;
	CrdtBuffer long_state;

	(void) state;
	receive(&store, BYTES(everything));
	receive(&store, BYTES(review));
	receive(&archive, BYTES(everything));
	receive(&archive, BYTES(review));
	short_state = state_of(&store);
	long_state = state_of(&archive);
	assert_true(short_state.size < long_state.size);
	crdt_buffer_close(&short_state);
	crdt_buffer_close(&long_state);
	replica_close(&store);
	replica_close(&archive);
}

/* Client 5 wrote a hundred letters at a time; the first hundred is lost.  Update i, in room. */
static CrdtBytes
page_of_a_lost_letter(uint8_t room[static 128], unsigned i)
{
	unsigned clock = 100 * (i + 1);
	uint8_t *at = room;

	*at++ = 1; /* clients */
	*at++ = 1; /* structs */
	*at++ = 5;
	*at++ = (uint8_t) (0x80 | (clock & 0x7f));
	*at++ = (uint8_t) (clock >> 7);
	*at++ = 0x84; /* a string with an origin: the unit before */
	*at++ = 5;
	*at++ = (uint8_t) (0x80 | ((clock - 1) & 0x7f));
	*at++ = (uint8_t) ((clock - 1) >> 7);
	*at++ = 100;
	memset(at, 'a' + (int) (i % 26), 100);
	at += 100;
	*at++ = 0; /* deletes */
	return (CrdtBytes){room, (size_t) (at - room)};
}

/* So much that it is not kept as one update. */
static void
much_that_waits_is_news_once(void **state)
{
	Replica ann = replica_new();
	uint8_t room[128];

	(void) state;
	for (unsigned i = 0; i < 160; i++)
		assert_true(receive(&ann, page_of_a_lost_letter(room, i)).changed);
	for (unsigned i = 0; i < 160; i++)
		assert_false(receive(&ann, page_of_a_lost_letter(room, i)).changed);
	assert_true(receive(&ann, page_of_a_lost_letter(room, 160)).changed);
	replica_close(&ann);
}

int
run_typing_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_people_typing_at_one_place_agree),
		cmocka_unit_test(of_two_values_of_a_key_the_larger_clients_stays),
		cmocka_unit_test(an_update_is_news_once),
		cmocka_unit_test(an_empty_update_is_no_news),
		cmocka_unit_test(what_comes_too_early_waits_and_is_not_lost),
		cmocka_unit_test(much_that_waits_is_news_once),
		cmocka_unit_test(what_waited_may_come_again_inside_of_something_longer),
		cmocka_unit_test(a_deletion_that_comes_before_its_text_waits),
		cmocka_unit_test(a_state_vector_says_what_one_has),
		cmocka_unit_test(who_shows_a_state_vector_gets_only_the_rest),
		cmocka_unit_test(output_is_appended_to_what_is_there),
		cmocka_unit_test(two_who_wrote_apart_agree_after_exchanging_what_each_lacks),
		cmocka_unit_test(a_store_ends_in_the_bytes_of_yjs),
		cmocka_unit_test(deleted_content_stays_only_where_that_is_asked_for),
	};

	return cmocka_run_group_tests_name("typing", tests, NULL, NULL);
}
