/*
 * hostile.c: input that somebody meant badly, or that a network cut.
 *
 * Every input ends at an unreadable page (guard.h): a reader that looks one byte too far stops the
 * program.  What is claimed in an input must not cost more than what is there.
 */
#include "replica.h"

#include <stdlib.h>
#include <string.h>

#include "../core/input.h"
#include "examples.h"

/* An input that claims much needs no more memory than this. */
#define MODEST_BYTES (64 * 1024)

static uint8_t *
put_varuint(uint8_t *end, uint64_t value)
{
	for (; value > 127; value >>= 7)
		*end++ = (uint8_t) (value | 128);
	*end++ = (uint8_t) value;
	return end;
}

/* Asks every function that takes an update; all must refuse it, in the same words. */
static void
assert_refused_in(CrdtFormat format, CrdtBytes update, CrdtStatus status)
{
	Replica ann = replica_new();
	CrdtBytes two[] = {format == CRDT_V1 ? BYTES(ann_writes_cat) : BYTES(cats_state_v2), update};
	CrdtMetaVisitor ignore_client = {.client = NULL};
	CrdtUpdateVisitor ignore_struct = {.item = NULL};
	static const uint8_t empty_vector[] = {0};
	CrdtError error = {0};
	CrdtBuffer before;
	CrdtBuffer out;

	receive(&ann, BYTES(ann_writes_cat));
	before = state_of(&ann);
	crdt_buffer_open(&out, &ann.world->host);
	ann.world->peak_bytes = ann.world->bytes;

	assert_int_equal(crdt_doc_apply(ann.doc, update, format, NULL, &error), status);
	assert_good_error(&error, status, update.size);
	assert_int_equal(crdt_doc_apply(ann.doc, update, format, NULL, NULL), status);
	assert_int_equal(crdt_update_check(&ann.world->host, update, format, &error), status);
	assert_good_error(&error, status, update.size);
	assert_int_equal(crdt_update_merge(&ann.world->host, two, 2, format, &out, &error), status);
	assert_good_error(&error, status, update.size);
	assert_int_equal(error.part, 1);
	assert_int_equal(
		crdt_update_diff(&ann.world->host, update, format, BYTES(empty_vector), &out, &error),
		status);
	assert_good_error(&error, status, update.size);
	assert_int_equal(crdt_update_state_vector(&ann.world->host, update, format, &out, &error),
					 status);
	assert_good_error(&error, status, update.size);

	assert_int_equal(crdt_update_convert(&ann.world->host, update, format, CRDT_V2, &out, &error),
					 status);
	assert_good_error(&error, status, update.size);
	assert_int_equal(crdt_update_meta(&ann.world->host, update, format, &ignore_client, &error),
					 status);
	assert_good_error(&error, status, update.size);
	assert_int_equal(crdt_update_inspect(&ann.world->host, update, format, &ignore_struct, &error),
					 status);
	assert_good_error(&error, status, update.size);

	assert_int_equal(out.size, 0);
	assert_in_range(ann.world->peak_bytes, 0,
					MODEST_BYTES + (format == CRDT_V1 ? 8 : 32) * update.size);
	assert_state(&ann, crdt_buffer_view(&before));
	assert_false(crdt_doc_is_waiting(ann.doc));
	crdt_buffer_close(&out);
	crdt_buffer_close(&before);
	replica_close(&ann);
}

static void
assert_refused_everywhere(CrdtBytes update, CrdtStatus status)
{
	assert_refused_in(CRDT_V1, update, status);
}

static void
assert_every_prefix_is_refused(CrdtFormat format, CrdtBytes update)
{
	Guard guard = {0};

	for (size_t size = 0; size < update.size; size++)
		assert_refused_in(format, guard_place(&guard, (CrdtBytes){update.data, size}),
						  CRDT_TRUNCATED);
	guard_close(&guard);
}

static void
every_prefix_of_an_update_is_refused_and_changes_nothing(void **state)
{
	(void) state;
	assert_every_prefix_is_refused(CRDT_V1, BYTES(cats_state));
	assert_every_prefix_is_refused(CRDT_V1, BYTES(everything));
	assert_every_prefix_is_refused(CRDT_V1, BYTES(review));
	assert_every_prefix_is_refused(CRDT_V2, BYTES(cats_state_v2));
	assert_every_prefix_is_refused(CRDT_V2, BYTES(everything_v2));
	assert_every_prefix_is_refused(CRDT_V2, BYTES(everything_reviewed_v2));
	assert_every_prefix_is_refused(CRDT_V2, BYTES(halves_v2));
}

static void
assert_changed_bytes_do_no_harm(CrdtFormat format, CrdtBytes update)
{
	uint8_t *changed = test_alloc(update.size);
	Guard guard = {0};

	for (size_t at = 0; at < update.size; at++)
		for (int bit = 0; bit < 8; bit++)
		{
			Replica ann = replica_new();
			CrdtError error = {0};
			CrdtStatus status;

			memcpy(changed, update.data, update.size);
			changed[at] ^= (uint8_t) (1 << bit);
			status = crdt_doc_apply(ann.doc, guard_place(&guard, (CrdtBytes){changed, update.size}),
									format, NULL, &error);
			if (status == CRDT_OK)
			{
				/* Whatever it means now, it can be written and read again.  The bytes may be
				 * others then: Yjs as well does not join all neighbours that could be. */
				Replica ben = replica_new();
				CrdtBuffer vector = state_vector_of(&ann);
				CrdtBuffer bens_vector;

				send_missing(&ann, &ben);
				bens_vector = state_vector_of(&ben);
				assert_bytes_equal(crdt_buffer_view(&bens_vector), crdt_buffer_view(&vector));
				assert_int_equal(crdt_doc_is_waiting(ben.doc), crdt_doc_is_waiting(ann.doc));
				crdt_buffer_close(&vector);
				crdt_buffer_close(&bens_vector);
				replica_close(&ben);
			}
			else
				assert_good_error(&error, status, update.size);
			replica_close(&ann);
		}
	guard_close(&guard);
	free(changed);
}

static void
no_changed_byte_makes_a_reader_leave_its_input(void **state)
{
	(void) state;
	assert_changed_bytes_do_no_harm(CRDT_V1, BYTES(everything));
	assert_changed_bytes_do_no_harm(CRDT_V2, BYTES(everything_v2));
	assert_changed_bytes_do_no_harm(CRDT_V2, BYTES(halves_v2));
}

static void
lengths_are_compared_with_what_is_there(void **state)
{
	/* Each claims 2^32 - 1 of something, or as many as a varUint can say. */
	static const uint8_t clients[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 1, 5, 0, 0};
	static const uint8_t structs[] = {1, 0xff, 0xff, 0xff, 0xff, 0x0f, 5, 0, 0, 1, 0};
	static const uint8_t string[] = {1,    1,    5,    0,    4,    1,   1, 'a',
									 0xff, 0xff, 0xff, 0xff, 0x0f, 'a', 0};
	static const uint8_t values[] = {1,    1,    5,    0,    8,    1,   1, 'a',
									 0xff, 0xff, 0xff, 0xff, 0x0f, 126, 0};
	static const uint8_t array[] = {1, 1,   5,    0,    8,    1,    1,    'a',
									1, 117, 0xff, 0xff, 0xff, 0xff, 0x0f, 0};
	static const uint8_t object[] = {1, 1,   5,    0,    8,    1,    1,    'a',
									 1, 118, 0xff, 0xff, 0xff, 0xff, 0x0f, 0};
	static const uint8_t bytes[] = {1,    1,    5,    0,    3,    1,    1,    'a', 0xff,
									0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 1,   0};
	static const uint8_t name[] = {1, 1, 5, 0, 8, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 'a', 1, 126, 0};
	static const uint8_t deleted_clients[] = {0, 0xff, 0xff, 0xff, 0xff, 0x0f, 5, 1, 0, 1};
	static const uint8_t deleted_ranges[] = {0, 1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1};
	const CrdtBytes inputs[] = {BYTES(clients),       BYTES(structs), BYTES(string),
								BYTES(values),        BYTES(array),   BYTES(object),
								BYTES(bytes),         BYTES(name),    BYTES(deleted_clients),
								BYTES(deleted_ranges)};
	Guard guard = {0};

	(void) state;
	for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
		assert_refused_everywhere(guard_place(&guard, inputs[i]), CRDT_TRUNCATED);
	guard_close(&guard);
}

/* A V2 update of client 5 with the columns given; rest: what follows them. */
typedef struct Columns
{
	CrdtBytes key_clocks;
	CrdtBytes left_clocks;
	CrdtBytes infos;
	CrdtBytes strings;
	CrdtBytes parent_infos;
	CrdtBytes type_refs;
	CrdtBytes lengths;
	CrdtBytes rest;
} Columns;

static CrdtBytes
update_of_columns(uint8_t *room, const Columns *columns)
{
	static const uint8_t clients[] = {5};
	static const uint8_t no_strings[] = {0};
	const CrdtBytes all[] = {columns->key_clocks,   BYTES(clients),     columns->left_clocks,
							 {no_strings, 0},       columns->infos,     columns->strings,
							 columns->parent_infos, columns->type_refs, columns->lengths};
	uint8_t *end = room;

	*end++ = 0;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
	{
		CrdtBytes column = i == 5 && all[i].size == 0 ? BYTES(no_strings) : all[i];

		end = put_varuint(end, column.size);
		memcpy(end, column.data == NULL ? no_strings : column.data, column.size);
		end += column.size;
	}
	memcpy(end, columns->rest.data, columns->rest.size);
	end += columns->rest.size;
	return (CrdtBytes){room, (size_t) (end - room)};
}

static void
columns_yield_for_ever_but_structs_do_not(void **state)
{
	/* GCs of one unit each; in all 2^32 - 1, and as many as an update of its size may hold */
	static const uint8_t gc[] = {0};
	static const uint8_t ones[] = {0x41, 0xff, 0xff, 0xff, 0xff, 0x0f};
	static const uint8_t too_many[] = {1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0};
	static const uint8_t many[] = {1, 0x80, 0x80, 4, 0, 0}; /* 65536 */
	uint8_t room[64];
	Columns columns = {.infos = BYTES(gc), .lengths = BYTES(ones), .rest = BYTES(too_many)};
	Replica ann = replica_new();
	CrdtError error = {0};
	CrdtBytes update;

	(void) state;
	assert_refused_in(CRDT_V2, update_of_columns(room, &columns), CRDT_LIMIT);
	columns.rest = BYTES(many);
	update = update_of_columns(room, &columns);
	assert_int_equal(crdt_doc_apply(ann.doc, update, CRDT_V2, NULL, &error), CRDT_OK);
	replica_close(&ann);
}

static void
lengths_in_columns_are_compared_with_what_is_there(void **state)
{
	static const uint8_t column[] = {0, 0xff, 0xff, 0xff, 0xff, 0x0f, 1};
	static const uint8_t any[] = {8};
	static const uint8_t json[] = {2};
	static const uint8_t name[] = {1, 't', 1};
	static const uint8_t long_text[] = {0xff, 0xff, 0xff, 0x0f, 't', 1};
	static const uint8_t root[] = {1};
	static const uint8_t huge[] = {0xbf, 0xff, 0xff, 0xff, 0x0f};
	static const uint8_t rest[] = {1, 1, 0, 126, 0};
	uint8_t room[64];

	(void) state;
	assert_refused_in(CRDT_V2, BYTES(column), CRDT_TRUNCATED);
	assert_refused_in(CRDT_V2,
					  update_of_columns(room, &(Columns){.infos = BYTES(any),
														 .strings = BYTES(name),
														 .parent_infos = BYTES(root),
														 .lengths = BYTES(huge),
														 .rest = BYTES(rest)}),
					  CRDT_TRUNCATED);
	assert_refused_in(CRDT_V2,
					  update_of_columns(room, &(Columns){.infos = BYTES(json),
														 .strings = BYTES(name),
														 .parent_infos = BYTES(root),
														 .lengths = BYTES(huge),
														 .rest = BYTES(rest)}),
					  CRDT_TRUNCATED);
	assert_refused_in(CRDT_V2,
					  update_of_columns(room, &(Columns){.infos = BYTES(any),
														 .strings = BYTES(long_text),
														 .parent_infos = BYTES(root),
														 .lengths = BYTES(root),
														 .rest = BYTES(rest)}),
					  CRDT_TRUNCATED);
}

static void
clocks_below_0_are_malformed(void **state)
{
	static const uint8_t string_behind[] = {0x84};
	static const uint8_t below[] = {0x42}; /* -1 */
	static const uint8_t text[] = {1, 't', 1};
	static const uint8_t rest[] = {1, 1, 0, 0};
	uint8_t room[64];

	(void) state;
	assert_refused_in(CRDT_V2,
					  update_of_columns(room, &(Columns){.left_clocks = BYTES(below),
														 .infos = BYTES(string_behind),
														 .strings = BYTES(text),
														 .rest = BYTES(rest)}),
					  CRDT_MALFORMED);
}

static void
a_repeated_key_must_not_make_much_of_little(void **state)
{
	/* 2000 elements whose names, of 50,000 units, are all the first one's */
	static const uint8_t type_in_root[] = {7};
	static const uint8_t root[] = {1};
	static const uint8_t element[] = {0x43, 0xff, 0x7f};
	static const uint8_t lengths[] = {1, 0xd0, 0x86, 3, 0};
	static const uint8_t rest[] = {1, 0xd0, 0x0f, 0, 0};
	size_t size = 50 * 1000;
	uint8_t *strings = test_alloc(size + 16);
	uint8_t *room = test_alloc(size + 128);
	uint8_t *end = put_varuint(strings, 1 + size);

	(void) state;
	memset(end, 'n', 1 + size);
	end += 1 + size;
	memcpy(end, lengths, sizeof lengths);
	end += sizeof lengths;
	assert_refused_in(
		CRDT_V2,
		update_of_columns(room, &(Columns){.infos = BYTES(type_in_root),
										   .strings = {strings, (size_t) (end - strings)},
										   .parent_infos = BYTES(root),
										   .type_refs = BYTES(element),
										   .rest = BYTES(rest)}),
		CRDT_LIMIT);
	free(strings);
	free(room);
}

static void
numbers_beyond_2_to_the_53_are_refused(void **state)
{
	static const uint8_t client[] = {1,    1,    0xff, 0xff, 0xff, 0xff, 0xff,
									 0xff, 0xff, 0x7f, 0,    0,    1,    0};
	static const uint8_t clock_and_length[] = {1,    1,    5,    0xff, 0xff, 0xff, 0xff,
											   0xff, 0xff, 0xff, 0x0f, 0,    1,    0};
	static const uint8_t deleted[] = {0,    1,    5,    1,    1,    0xff, 0xff,
									  0xff, 0xff, 0xff, 0xff, 0xff, 0x0f};
	Guard guard = {0};

	(void) state;
	assert_refused_everywhere(guard_place(&guard, BYTES(client)), CRDT_LIMIT);
	assert_refused_everywhere(guard_place(&guard, BYTES(clock_and_length)), CRDT_LIMIT);
	assert_refused_everywhere(guard_place(&guard, BYTES(deleted)), CRDT_LIMIT);
	guard_close(&guard);
}

static void
what_no_yjs_writes_is_malformed(void **state)
{
	static const uint8_t content_11[] = {1, 1, 5, 0, 11, 1, 1, 'a', 1, 0};
	static const uint8_t type_7[] = {1, 1, 5, 0, 7, 1, 1, 'a', 7, 0};
	static const uint8_t tag_5[] = {1, 1, 5, 0, 8, 1, 1, 'a', 1, 5, 0};
	static const uint8_t half_character[] = {1, 1, 5, 0, 4, 1, 1, 'a', 2, 0xc3, 0x28, 0};
	static const uint8_t surrogate[] = {1, 1, 5, 0, 4, 1, 1, 'a', 3, 0xed, 0xa0, 0x80, 0};
	static const uint8_t json[] = {1, 1, 5, 0, 5, 1, 1, 'a', 1, '{', 0};
	static const uint8_t no_length[] = {1, 2, 5, 0, 0, 0, 0, 1, 0};
	static const uint8_t itself_as_origin[] = {1, 1, 5, 0, 0x84, 5, 0, 1, 'a', 0};
	const CrdtBytes inputs[] = {BYTES(content_11),     BYTES(type_7),    BYTES(tag_5),
								BYTES(half_character), BYTES(surrogate), BYTES(json),
								BYTES(no_length)};
	Replica ann = replica_new();
	Guard guard = {0};
	CrdtError error = {0};

	(void) state;
	for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
		assert_refused_everywhere(guard_place(&guard, inputs[i]), CRDT_MALFORMED);

	/* Only a document knows what an origin refers to. */
	assert_int_equal(crdt_doc_apply(ann.doc, guard_place(&guard, BYTES(itself_as_origin)), CRDT_V1,
									NULL, &error),
					 CRDT_MALFORMED);
	assert_good_error(&error, CRDT_MALFORMED, sizeof itself_as_origin);
	replica_close(&ann);
	guard_close(&guard);
}

/* Root "a": an Any that nests depth arrays. */
static CrdtBytes
nested_arrays(uint8_t *room, size_t depth)
{
	static const uint8_t head[] = {1, 1, 5, 0, 8, 1, 1, 'a', 1};
	uint8_t *end = room;

	memcpy(end, head, sizeof head);
	end += sizeof head;
	for (size_t i = 0; i < depth; i++)
	{
		*end++ = 117;
		*end++ = 1;
	}
	*end++ = 126;
	*end++ = 0;
	return (CrdtBytes){room, (size_t) (end - room)};
}

static void
values_nest_to_a_limit(void **state)
{
	size_t depth = 1000 * 1000;
	uint8_t *room = test_alloc(2 * depth + 16);
	Replica ann = replica_new();

	(void) state;
	assert_refused_everywhere(nested_arrays(room, depth), CRDT_LIMIT);
	receive(&ann, nested_arrays(room, 200));
	replica_close(&ann);
	free(room);
}

static void
json_nests_to_a_limit(void **state)
{
	static const uint8_t head[] = {1, 1, 5, 0, 5, 1, 1, 'a'};
	size_t depth = 1000 * 1000;
	uint8_t *room = test_alloc(depth + 16);
	uint8_t *end = room;

	(void) state;
	memcpy(end, head, sizeof head);
	end += sizeof head;
	for (size_t left = depth; left > 0; left >>= 7)
		*end++ = (uint8_t) ((left & 127) | (left > 127 ? 128 : 0));
	memset(end, '[', depth);
	end[depth] = 0;
	end += depth + 1;
	assert_refused_everywhere((CrdtBytes){room, (size_t) (end - room)}, CRDT_LIMIT);
	free(room);
}

static void
types_nest_without_a_limit(void **state)
{
	/* Types nest by items, not by bytes within bytes: nothing may recurse over them. */
	static const uint8_t head[] = {7, 1, 1, 'a', 0};
	static const uint8_t delete_the_outermost[] = {0, 1, 5, 1, 0, 1};
	size_t depth = 200 * 1000;
	uint8_t *room = test_alloc(16 + 8 * depth);
	uint8_t *end = room;
	Replica ann = replica_new();
	Replica ben = replica_new();
	CrdtBuffer json;
	CrdtError error = {0};
	CrdtStatus status;

	(void) state;
	*end++ = 1;
	end = put_varuint(end, depth);
	*end++ = 5;
	*end++ = 0;
	memcpy(end, head, sizeof head);
	end += sizeof head;
	for (size_t i = 1; i < depth; i++)
	{
		*end++ = 7;
		*end++ = 0;
		*end++ = 5;
		end = put_varuint(end, i - 1);
		*end++ = 0;
	}
	*end++ = 0;
	receive(&ann, (CrdtBytes){room, (size_t) (end - room)});
	assert_state(&ann, (CrdtBytes){room, (size_t) (end - room)});

	/* Too deep to print is an answer, as long as it is one. */
	crdt_buffer_open(&json, &ann.world->host);
	status =
		crdt_doc_json(ann.doc, crdt_doc_find_root(ann.doc, NAME("a")), CRDT_ARRAY, &json, &error);
	assert_true(status == CRDT_OK || status == CRDT_LIMIT);
	crdt_buffer_close(&json);

	receive(&ann, BYTES(delete_the_outermost));
	assert_json(&ann, "a", CRDT_ARRAY, "[]");
	send_missing(&ann, &ben);
	assert_same_state(&ann, &ben);
	replica_close(&ann);
	replica_close(&ben);
	free(room);
}

static void
a_huge_gap_costs_nothing(void **state)
{
	/* A GC struct of 2^53 - 1 units. */
	static const uint8_t gap[] = {1, 1, 5, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0};
	Replica ann = replica_new();

	(void) state;
	receive(&ann, BYTES(gap));
	assert_in_range(ann.world->peak_bytes, 0, MODEST_BYTES);
	replica_close(&ann);
}

int
run_hostile_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_prefix_of_an_update_is_refused_and_changes_nothing),
		cmocka_unit_test(no_changed_byte_makes_a_reader_leave_its_input),
		cmocka_unit_test(lengths_are_compared_with_what_is_there),
		cmocka_unit_test(lengths_in_columns_are_compared_with_what_is_there),
		cmocka_unit_test(columns_yield_for_ever_but_structs_do_not),
		cmocka_unit_test(clocks_below_0_are_malformed),
		cmocka_unit_test(a_repeated_key_must_not_make_much_of_little),
		cmocka_unit_test(numbers_beyond_2_to_the_53_are_refused),
		cmocka_unit_test(what_no_yjs_writes_is_malformed),
		cmocka_unit_test(values_nest_to_a_limit),
		cmocka_unit_test(json_nests_to_a_limit),
		cmocka_unit_test(types_nest_without_a_limit),
		cmocka_unit_test(a_huge_gap_costs_nothing),
	};

	return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
