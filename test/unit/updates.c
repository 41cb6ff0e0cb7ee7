/*
 * updates.c: what is done with updates without a document: check, merge, diff, state vector.
 */
#include "replica.h"

#include "examples.h"

static const uint8_t empty_update[] = {0, 0};
static const uint8_t empty_vector[] = {0};

/* Merges in a world of its own and compares. */
static void
assert_merge(const CrdtBytes *updates, size_t count, CrdtBytes expected)
{
	TestHost world;
	CrdtBuffer out;
	CrdtError error = {0};

	test_host_open(&world);
	crdt_buffer_open(&out, &world.host);
	assert_int_equal(crdt_update_merge(&world.host, updates, count, CRDT_V1, &out, &error),
					 CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&out), expected);
	crdt_buffer_close(&out);
	assert_int_equal(world.bytes, 0);
}

static void
merging_nothing_gives_the_empty_update(void **state)
{
	(void) state;
	assert_merge(NULL, 0, BYTES(empty_update));
}

static void
merging_one_update_copies_it(void **state)
{
	/* The number of clients is written in two bytes, which no Yjs would do. */
	static const uint8_t odd[] = {0x80, 0x00, 0x00};

	(void) state;
	assert_merge(&BYTES(ann_writes_cat), 1, BYTES(ann_writes_cat));
	assert_merge(&BYTES(odd), 1, BYTES(odd));
}

static void
merging_many_gives_the_bytes_of_yjs(void **state)
{
	CrdtBytes updates[] = {BYTES(ann_writes_cat), BYTES(ann_adds_s), BYTES(ben_adds_bang)};

	(void) state;
	assert_merge(updates, 3, BYTES(cats_merged));
}

static void
the_order_of_merging_and_repetitions_do_not_matter(void **state)
{
	CrdtBytes updates[] = {BYTES(ben_adds_bang), BYTES(ann_adds_s), BYTES(empty_update),
						   BYTES(ann_writes_cat), BYTES(ann_adds_s)};

	(void) state;
	assert_merge(updates, 5, BYTES(cats_merged));
}

static void
a_merged_update_does_what_its_parts_do(void **state)
{
	CrdtBytes updates[] = {BYTES(after_review), BYTES(everything), BYTES(review)};
	Replica ann = replica_new();
	CrdtBuffer merged;
	CrdtError error = {0};

	(void) state;
	crdt_buffer_open(&merged, &ann.world->host);
	assert_int_equal(crdt_update_merge(&ann.world->host, updates, 3, CRDT_V1, &merged, &error),
					 CRDT_OK);
	receive(&ann, crdt_buffer_view(&merged));
	assert_state(&ann, BYTES(everything_reviewed));
	crdt_buffer_close(&merged);
	replica_close(&ann);
}

static void
a_merge_says_which_part_is_wrong(void **state)
{
	CrdtBytes updates[] = {BYTES(ann_writes_cat), BYTES(ann_adds_s), BYTES(ben_adds_bang)};
	TestHost world;
	CrdtBuffer out;
	CrdtError error = {0};

	(void) state;
	updates[1].size--;
	test_host_open(&world);
	crdt_buffer_open(&out, &world.host);
	assert_int_equal(crdt_update_merge(&world.host, updates, 3, CRDT_V1, &out, &error),
					 CRDT_TRUNCATED);
	assert_good_error(&error, CRDT_TRUNCATED, updates[1].size);
	assert_int_equal(error.part, 1);
	assert_int_equal(out.size, 0);
	crdt_buffer_close(&out);
	assert_int_equal(world.bytes, 0);
}

static void
a_single_broken_update_is_not_copied(void **state)
{
	CrdtBytes update = BYTES(ann_writes_cat);
	TestHost world;
	CrdtBuffer out;
	CrdtError error = {0};

	(void) state;
	update.size--;
	test_host_open(&world);
	crdt_buffer_open(&out, &world.host);
	assert_int_equal(crdt_update_merge(&world.host, &update, 1, CRDT_V1, &out, &error),
					 CRDT_TRUNCATED);
	assert_int_equal(out.size, 0);
	crdt_buffer_close(&out);
}

/* Diffs in a world of its own and compares. */
static void
assert_diff(CrdtBytes update, CrdtBytes state_vector, CrdtBytes expected)
{
	TestHost world;
	CrdtBuffer out;
	CrdtError error = {0};

	test_host_open(&world);
	crdt_buffer_open(&out, &world.host);
	assert_int_equal(crdt_update_diff(&world.host, update, CRDT_V1, state_vector, &out, &error),
					 CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&out), expected);
	crdt_buffer_close(&out);
	assert_int_equal(world.bytes, 0);
}

static void
a_diff_leaves_out_what_is_known(void **state)
{
	(void) state;
	assert_diff(BYTES(cats_merged), BYTES(empty_vector), BYTES(cats_merged));
	assert_diff(BYTES(cats_merged), BYTES(cat_state_vector), BYTES(cats_merged_since_cat));
	assert_diff(BYTES(cats_merged), BYTES(cats_state_vector), BYTES(empty_update));
}

static void
a_diff_names_a_broken_state_vector_as_part_one(void **state)
{
	CrdtBytes vector = BYTES(cat_state_vector);
	TestHost world;
	CrdtBuffer out;
	CrdtError error = {0};

	(void) state;
	vector.size--;
	test_host_open(&world);
	crdt_buffer_open(&out, &world.host);
	assert_int_equal(
		crdt_update_diff(&world.host, BYTES(cats_merged), CRDT_V1, vector, &out, &error),
		CRDT_TRUNCATED);
	assert_good_error(&error, CRDT_TRUNCATED, vector.size);
	assert_int_equal(error.part, 1);
	assert_int_equal(out.size, 0);
	crdt_buffer_close(&out);
}

static void
an_update_knows_the_state_vector_it_reaches(void **state)
{
	TestHost world;
	CrdtBuffer out;
	CrdtError error = {0};

	(void) state;
	test_host_open(&world);
	crdt_buffer_open(&out, &world.host);
	assert_int_equal(
		crdt_update_state_vector(&world.host, BYTES(cats_merged), CRDT_V1, &out, &error), CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&out), BYTES(cats_state_vector));
	crdt_buffer_close(&out);

	/* One that begins in the middle reaches nothing by itself. */
	crdt_buffer_open(&out, &world.host);
	assert_int_equal(
		crdt_update_state_vector(&world.host, BYTES(ann_adds_s), CRDT_V1, &out, &error), CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&out), BYTES(empty_vector));
	crdt_buffer_close(&out);
	assert_int_equal(world.bytes, 0);
}

static void
bytes_behind_an_update_are_ignored(void **state)
{
	static const uint8_t with_more[] = {0, 0, 'm', 'o', 'r', 'e'};
	TestHost world;
	CrdtError error = {0};

	(void) state;
	test_host_open(&world);
	assert_int_equal(crdt_update_check(&world.host, BYTES(with_more), CRDT_V1, &error), CRDT_OK);
}

static void
state_vectors_are_checked(void **state)
{
	static const uint8_t too_few[] = {2, 1, 1};
	static const uint8_t huge_count[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1};
	TestHost world;
	CrdtError error = {0};

	(void) state;
	test_host_open(&world);
	assert_int_equal(crdt_state_vector_check(&world.host, BYTES(cats_state_vector), &error),
					 CRDT_OK);
	assert_int_equal(crdt_state_vector_check(&world.host, BYTES(empty_vector), &error), CRDT_OK);
	assert_int_equal(crdt_state_vector_check(&world.host, BYTES(too_few), &error), CRDT_TRUNCATED);
	assert_good_error(&error, CRDT_TRUNCATED, sizeof too_few);
	assert_int_not_equal(crdt_state_vector_check(&world.host, BYTES(huge_count), &error), CRDT_OK);
	assert_int_equal(crdt_state_vector_check(&world.host, NOTHING, &error), CRDT_TRUNCATED);
	assert_int_equal(world.bytes, 0);
}

int
run_update_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merging_nothing_gives_the_empty_update),
		cmocka_unit_test(merging_one_update_copies_it),
		cmocka_unit_test(merging_many_gives_the_bytes_of_yjs),
		cmocka_unit_test(the_order_of_merging_and_repetitions_do_not_matter),
		cmocka_unit_test(a_merged_update_does_what_its_parts_do),
		cmocka_unit_test(a_merge_says_which_part_is_wrong),
		cmocka_unit_test(a_single_broken_update_is_not_copied),
		cmocka_unit_test(a_diff_leaves_out_what_is_known),
		cmocka_unit_test(a_diff_names_a_broken_state_vector_as_part_one),
		cmocka_unit_test(an_update_knows_the_state_vector_it_reaches),
		cmocka_unit_test(bytes_behind_an_update_are_ignored),
		cmocka_unit_test(state_vectors_are_checked),
	};

	return cmocka_run_group_tests_name("updates", tests, NULL, NULL);
}
