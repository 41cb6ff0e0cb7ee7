/*
 * formats.c: the two formats of updates, and what can be seen of an update without a document.
 */
#include "replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/input.h"
#include "../core/trace.h"
#include "examples.h"

static const uint8_t empty_update_v1[] = {0, 0};
static const uint8_t empty_update_v2[] = {0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};

/* Converts in a world of its own and compares. */
static void
assert_converted(CrdtBytes update, CrdtFormat from, CrdtFormat to, CrdtBytes expected)
{
	TestHost world;
	CrdtBuffer out;
	CrdtError error = {0};

	test_host_open(&world);
	crdt_buffer_open(&out, &world.host);
	assert_int_equal(crdt_update_convert(&world.host, update, from, to, &out, &error), CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&out), expected);
	crdt_buffer_close(&out);
	assert_int_equal(world.bytes, 0);
}

static void
assert_state_in(Replica *replica, CrdtFormat format, CrdtBytes expected)
{
	CrdtBuffer out;
	CrdtError error = {0};

	crdt_buffer_open(&out, &replica->world->host);
	assert_int_equal(crdt_doc_encode(replica->doc, format, NOTHING, &out, &error), CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&out), expected);
	crdt_buffer_close(&out);
}

static void
receive_v2(Replica *replica, CrdtBytes update)
{
	CrdtError error = {0};

	assert_int_equal(crdt_doc_apply(replica->doc, update, CRDT_V2, NULL, &error), CRDT_OK);
}

/* ---- V2 ---- */

static void
an_update_says_the_same_in_both_formats(void **state)
{
	(void) state;
	assert_converted(BYTES(empty_update_v1), CRDT_V1, CRDT_V2, BYTES(empty_update_v2));
	assert_converted(BYTES(empty_update_v2), CRDT_V2, CRDT_V1, BYTES(empty_update_v1));
	assert_converted(BYTES(cats_state), CRDT_V1, CRDT_V2, BYTES(cats_state_v2));
	assert_converted(BYTES(cats_state_v2), CRDT_V2, CRDT_V1, BYTES(cats_state));
	assert_converted(BYTES(everything), CRDT_V1, CRDT_V2, BYTES(everything_v2));
}

static void
a_document_takes_and_gives_either_format(void **state)
{
	Replica ann = replica_new();

	(void) state;
	receive_v2(&ann, BYTES(everything_v2));
	receive(&ann, BYTES(review));
	receive(&ann, BYTES(after_review));
	assert_state_in(&ann, CRDT_V1, BYTES(everything_reviewed));
	assert_state_in(&ann, CRDT_V2, BYTES(everything_reviewed_v2));
	replica_close(&ann);
}

static void
halves_of_a_character_meet_again_in_v2(void **state)
{
	static const uint8_t whole[] = {'a', 0xf0, 0x9f, 0x98, 0x80, 'b', 0};
	Replica ann = replica_new();

	(void) state;
	receive_v2(&ann, BYTES(halves_v2));
	assert_text(&ann, "t", (const char *) whole);
	assert_state_in(&ann, CRDT_V2, BYTES(halves_v2));
	/* V1 writes each string by itself, and half a character as U+FFFD */
	assert_state_in(&ann, CRDT_V1, BYTES(halves));
	assert_converted(BYTES(halves_v2), CRDT_V2, CRDT_V1, BYTES(halves));
	replica_close(&ann);
}

static void
undefined_becomes_null_where_v1_has_only_json(void **state)
{
	/* Root "t" is an embed of undefined. */
	static const uint8_t in_v2[] = {0, 0, 1, 5, 0, 0, 1, 5, 3,   1, 't',
									1, 1, 1, 0, 0, 1, 1, 0, 127, 0};
	static const uint8_t in_v1[] = {1, 1, 5, 0, 5, 1, 1, 't', 4, 'n', 'u', 'l', 'l', 0};

	(void) state;
	assert_converted(BYTES(in_v2), CRDT_V2, CRDT_V2, BYTES(in_v2));
	assert_converted(BYTES(in_v2), CRDT_V2, CRDT_V1, BYTES(in_v1));
}

static void
a_deleted_range_of_length_0_cannot_be_said_in_v2(void **state)
{
	static const uint8_t nothing_deleted[] = {0, 1, 5, 1, 3, 0};
	TestHost world;
	CrdtBuffer out;
	CrdtError error = {0};

	(void) state;
	test_host_open(&world);
	crdt_buffer_open(&out, &world.host);
	assert_int_equal(
		crdt_update_convert(&world.host, BYTES(nothing_deleted), CRDT_V1, CRDT_V2, &out, &error),
		CRDT_MALFORMED);
	assert_good_error(&error, CRDT_MALFORMED, sizeof nothing_deleted);
	assert_int_equal(out.size, 0);
	crdt_buffer_close(&out);
	assert_int_equal(world.bytes, 0);
}

static void
deleted_ranges_out_of_order_are_sorted_for_v2(void **state)
{
	static const uint8_t in_v1[] = {0, 1, 5, 3, 9, 1, 2, 3, 4, 2};
	static const uint8_t in_v2[] = {0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 5, 2, 2, 3, 3, 0};

	(void) state;
	assert_converted(BYTES(in_v1), CRDT_V1, CRDT_V2, BYTES(in_v2));
}

static uint8_t *
put_varuint(uint8_t *end, uint64_t value)
{
	for (; value > 127; value >>= 7)
		*end++ = (uint8_t) (value | 128);
	*end++ = (uint8_t) value;
	return end;
}

static void
what_v2_says_in_few_bytes_can_be_read_again(void **state)
{
	/* GCs of one unit, which V1 says in two bytes each, and V2 in next to none */
	static const uint8_t empty_vector[] = {0};
	size_t count = 1000 * 1000;
	uint8_t *room = test_alloc(2 * count + 16);
	uint8_t *end = put_varuint(room + 1, count);
	CrdtBytes twice[2];
	TestHost world;
	CrdtBuffer in_v2;
	CrdtBuffer back;
	CrdtBuffer out;
	CrdtError error = {0};

	(void) state;
	room[0] = 1;
	*end++ = 5;
	*end++ = 0;
	for (size_t i = 0; i < count; i++)
	{
		*end++ = 0;
		*end++ = 1;
	}
	*end++ = 0;

	test_host_open(&world);
	crdt_buffer_open(&in_v2, &world.host);
	crdt_buffer_open(&back, &world.host);
	crdt_buffer_open(&out, &world.host);
	assert_int_equal(crdt_update_convert(&world.host, (CrdtBytes){room, (size_t) (end - room)},
										 CRDT_V1, CRDT_V2, &in_v2, &error),
					 CRDT_OK);
	assert_in_range(in_v2.size, 1, count / CRDT_V2_STRUCTS_PER_BYTE); /* zeros, mostly */
	assert_int_equal(
		crdt_update_convert(&world.host, crdt_buffer_view(&in_v2), CRDT_V2, CRDT_V1, &back, &error),
		CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&back), (CrdtBytes){room, (size_t) (end - room)});
	twice[0] = twice[1] = crdt_buffer_view(&in_v2);
	assert_int_equal(crdt_update_merge(&world.host, twice, 2, CRDT_V2, &out, &error), CRDT_OK);
	assert_int_equal(crdt_update_check(&world.host, crdt_buffer_view(&out), CRDT_V2, &error),
					 CRDT_OK);
	out.size = 0;
	assert_int_equal(crdt_update_diff(&world.host, crdt_buffer_view(&in_v2), CRDT_V2,
									  BYTES(empty_vector), &out, &error),
					 CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&out), crdt_buffer_view(&in_v2));
	crdt_buffer_close(&in_v2);
	crdt_buffer_close(&back);
	crdt_buffer_close(&out);
	assert_int_equal(world.bytes, 0);
	free(room);
}

/* Root "a": an embed of depth arrays within each other, in V1. */
static CrdtBytes
embed_of_arrays(uint8_t *room, size_t depth)
{
	static const uint8_t head[] = {1, 1, 5, 0, 5, 1, 1, 'a'};
	uint8_t *end = room;

	memcpy(end, head, sizeof head);
	end = put_varuint(end + sizeof head, 2 * depth);
	memset(end, '[', depth);
	memset(end + depth, ']', depth);
	end += 2 * depth;
	*end++ = 0;
	return (CrdtBytes){room, (size_t) (end - room)};
}

static void
values_nest_as_deep_in_both_formats(void **state)
{
	uint8_t room[4096];
	TestHost world;
	size_t taken = 0;

	(void) state;
	test_host_open(&world);
	for (size_t depth = 1; depth < 1000; depth++)
	{
		CrdtBuffer out;
		CrdtError error = {0};

		crdt_buffer_open(&out, &world.host);
		if (crdt_update_convert(&world.host, embed_of_arrays(room, depth), CRDT_V1, CRDT_V2, &out,
								&error) == CRDT_OK)
		{
			taken++;
			assert_int_equal(
				crdt_update_check(&world.host, crdt_buffer_view(&out), CRDT_V2, &error), CRDT_OK);
		}
		else
			assert_int_equal(error.status, CRDT_LIMIT);
		crdt_buffer_close(&out);
	}
	assert_in_range(taken, 200, 900);
	assert_int_equal(world.bytes, 0);
}

/* The updates in V2; free each, and the array. */
static CrdtBytes *
all_in_v2(TestHost *world, const CrdtBytes *updates, size_t count)
{
	CrdtBytes *converted = test_alloc(count * sizeof *converted);
	CrdtBuffer out;
	CrdtError error = {0};

	for (size_t i = 0; i < count; i++)
	{
		crdt_buffer_open(&out, &world->host);
		assert_int_equal(
			crdt_update_convert(&world->host, updates[i], CRDT_V1, CRDT_V2, &out, &error), CRDT_OK);
		converted[i].data = memcpy(test_alloc(out.size), out.data, out.size);
		converted[i].size = out.size;
		crdt_buffer_close(&out);
	}
	return converted;
}

static void
thousands_of_updates_merge_alike_in_both_formats(void **state)
{
	/* Each tenth has been merged with what comes later, so that readers wait for each other. */
	size_t count = 3000;
	char directory[4096];
	TestHost world;
	Trace trace;
	CrdtBytes *mixed = test_alloc(count * sizeof *mixed);
	CrdtBytes *in_v2;
	CrdtBuffer merged_v1;
	CrdtBuffer merged_v2;
	CrdtBuffer converted;
	CrdtError error = {0};

	(void) state;
	snprintf(directory, sizeof directory, "%s/traces", data_directory);
	trace_read(&trace, directory, "friendsforever", false);
	test_host_open(&world);
	crdt_buffer_open(&merged_v1, &world.host);
	crdt_buffer_open(&merged_v2, &world.host);
	crdt_buffer_open(&converted, &world.host);
	for (size_t i = 0; i < count; i++)
		mixed[i] = trace.updates[i * 7919 % count];
	in_v2 = all_in_v2(&world, mixed, count);
	for (size_t i = 0; i + 10 < count; i += 10)
	{
		CrdtBytes some[] = {mixed[i], mixed[i + 3], mixed[i + 7]};
		CrdtBytes same[] = {in_v2[i], in_v2[i + 3], in_v2[i + 7]};
		CrdtBuffer out;

		crdt_buffer_open(&out, &world.host);
		assert_int_equal(crdt_update_merge(&world.host, same, 3, CRDT_V2, &out, &error), CRDT_OK);
		free((void *) in_v2[i].data);
		in_v2[i] = (CrdtBytes){memcpy(test_alloc(out.size), out.data, out.size), out.size};
		out.size = 0;
		assert_int_equal(crdt_update_merge(&world.host, some, 3, CRDT_V1, &out, &error), CRDT_OK);
		mixed[i] = (CrdtBytes){memcpy(test_alloc(out.size), out.data, out.size), out.size};
		crdt_buffer_close(&out);
	}
	assert_int_equal(crdt_update_merge(&world.host, mixed, count, CRDT_V1, &merged_v1, &error),
					 CRDT_OK);
	assert_int_equal(crdt_update_merge(&world.host, in_v2, count, CRDT_V2, &merged_v2, &error),
					 CRDT_OK);
	assert_int_equal(crdt_update_convert(&world.host, crdt_buffer_view(&merged_v1), CRDT_V1,
										 CRDT_V2, &converted, &error),
					 CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&merged_v2), crdt_buffer_view(&converted));

	for (size_t i = 0; i < count; i++)
		free((void *) in_v2[i].data);
	for (size_t i = 0; i + 10 < count; i += 10)
		free((void *) mixed[i].data);
	free(in_v2);
	free(mixed);
	crdt_buffer_close(&merged_v1);
	crdt_buffer_close(&merged_v2);
	crdt_buffer_close(&converted);
	assert_int_equal(world.bytes, 0);
	trace_free(&trace);
}

/* ---- what waits ---- */

static void
what_waits_is_kept_as_yjs_keeps_it(void **state)
{
	static const uint8_t missing[] = {1, 1, 37}; /* Ann's, whose first 37 units end before them */
	Replica ann = replica_new();
	CrdtBuffer structs;
	CrdtBuffer lacks;
	CrdtBuffer deletes;
	CrdtError error = {0};

	(void) state;
	crdt_buffer_open(&structs, &ann.world->host);
	crdt_buffer_open(&lacks, &ann.world->host);
	crdt_buffer_open(&deletes, &ann.world->host);
	receive(&ann, BYTES(review));
	assert_int_equal(crdt_doc_pending(ann.doc, &structs, &lacks, &deletes, &error), CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&structs), BYTES(review_waits_v2));
	assert_bytes_equal(crdt_buffer_view(&deletes), BYTES(review_deletes_wait_v2));
	assert_int_equal(lacks.size, sizeof missing);
	assert_memory_equal(lacks.data, missing, 2);
	crdt_buffer_close(&structs);
	crdt_buffer_close(&lacks);
	crdt_buffer_close(&deletes);

	/* nothing waits any more, and nothing is said */
	receive(&ann, BYTES(everything));
	assert_int_equal(crdt_doc_pending(ann.doc, &structs, &lacks, &deletes, &error), CRDT_OK);
	assert_int_equal(structs.size + lacks.size + deletes.size, 0);
	replica_close(&ann);
}

/* ---- looking into updates ---- */

/* Lines of text that a visitor appends to. */
typedef struct Listing
{
	char text[4096];
	size_t size;
	size_t lines_wanted; /* stops after as many; 0: never */
	size_t lines;
} Listing;

static bool
end_line(Listing *listing)
{
	listing->text[listing->size++] = '\n';
	listing->text[listing->size] = 0;
	return ++listing->lines != listing->lines_wanted;
}

/* Appends what is there of the view: a title and bytes (control characters, as tags are, as dots). */
static void
list_bytes(Listing *listing, const char *title, CrdtBytes bytes)
{
	if (bytes.data == NULL)
		return;
	listing->size += (size_t) snprintf(listing->text + listing->size,
									   sizeof listing->text - listing->size, " %s ", title);
	for (size_t i = 0; i < bytes.size; i++)
		listing->text[listing->size++] = bytes.data[i] < 32 ? '.' : (char) bytes.data[i];
}

static void
list_id(Listing *listing, const char *title, uint64_t client, uint64_t clock)
{
	listing->size += (size_t) snprintf(listing->text + listing->size,
									   sizeof listing->text - listing->size, " %s %llu:%llu", title,
									   (unsigned long long) client, (unsigned long long) clock);
}

static bool
list_item(void *context, const CrdtStructView *item)
{
	Listing *listing = context;

	list_id(listing, item->kind, item->client, item->clock);
	listing->size +=
		(size_t) snprintf(listing->text + listing->size, sizeof listing->text - listing->size,
						  "+%llu", (unsigned long long) item->length);
	if (item->has_origin)
		list_id(listing, "after", item->origin_client, item->origin_clock);
	if (item->has_right_origin)
		list_id(listing, "before", item->right_origin_client, item->right_origin_clock);
	if (item->has_parent_id)
		list_id(listing, "in", item->parent_client, item->parent_clock);
	list_bytes(listing, "root", item->root);
	list_bytes(listing, "key", item->key);
	if (item->type != NULL)
		list_bytes(listing, "type", (CrdtBytes){(const uint8_t *) item->type, strlen(item->type)});
	list_bytes(listing, "name", item->name);
	list_bytes(listing, "value", item->value);
	return end_line(listing);
}

static bool
list_deleted(void *context, uint64_t client, uint64_t clock, uint64_t length)
{
	Listing *listing = context;

	list_id(listing, "gone", client, clock);
	listing->size +=
		(size_t) snprintf(listing->text + listing->size, sizeof listing->text - listing->size,
						  "+%llu", (unsigned long long) length);
	return end_line(listing);
}

static void
assert_listing(CrdtBytes update, CrdtFormat format, const char *expected)
{
	TestHost world;
	Listing listing = {0};
	CrdtUpdateVisitor visitor = {list_item, list_deleted, &listing};
	CrdtError error = {0};

	test_host_open(&world);
	assert_int_equal(crdt_update_inspect(&world.host, update, format, &visitor, &error), CRDT_OK);
	assert_string_equal(listing.text, expected);
	assert_int_equal(world.bytes, 0);
}

static void
an_update_can_be_looked_into(void **state)
{
	/* w: a string, behind it the length; |: an any, tags are letters: } integer, w string */
	static const char cats[] = " string 2:0+1 after 1:2 value w.!\n"
							   " string 1:0+4 root t value w.cats\n";

	(void) state;
	assert_listing(BYTES(cats_state), CRDT_V1, cats);
	assert_listing(BYTES(cats_state_v2), CRDT_V2, cats);
	assert_listing(BYTES(ben_deletes_c), CRDT_V1, " gone 1:0+1\n");
	assert_listing(BYTES(ben_sets_title), CRDT_V1, " any 2:0+1 root m key title value u.w.Ben's\n");
	assert_listing(BYTES(empty_update_v2), CRDT_V2, "");
}

static void
a_look_can_be_ended_and_a_broken_update_shows_nothing(void **state)
{
	TestHost world;
	Listing listing = {.lines_wanted = 2};
	CrdtUpdateVisitor visitor = {list_item, list_deleted, &listing};
	CrdtBytes broken = BYTES(everything_v2);
	CrdtError error = {0};

	(void) state;
	test_host_open(&world);
	assert_int_equal(
		crdt_update_inspect(&world.host, BYTES(everything_v2), CRDT_V2, &visitor, &error),
		CRDT_CANCELLED);
	assert_int_equal(listing.lines, 2);
	broken.size--;
	listing = (Listing){0};
	assert_int_equal(crdt_update_inspect(&world.host, broken, CRDT_V2, &visitor, &error),
					 CRDT_TRUNCATED);
	assert_good_error(&error, CRDT_TRUNCATED, broken.size);
	assert_int_equal(listing.lines, 0);
	assert_int_equal(world.bytes, 0);
}

static bool
list_client(void *context, uint64_t client, uint64_t from, uint64_t to)
{
	list_id(context, "from", client, from);
	list_id(context, "to", client, to);
	return end_line(context);
}

static void
an_update_knows_whose_it_is_and_from_when(void **state)
{
	TestHost world;
	Listing listing = {0};
	CrdtMetaVisitor visitor = {list_client, &listing};
	CrdtError error = {0};

	(void) state;
	test_host_open(&world);
	assert_int_equal(crdt_update_meta(&world.host, BYTES(cats_state_v2), CRDT_V2, &visitor, &error),
					 CRDT_OK);
	assert_int_equal(crdt_update_meta(&world.host, BYTES(ann_adds_s), CRDT_V1, &visitor, &error),
					 CRDT_OK);
	assert_string_equal(listing.text, " from 2:0 to 2:1\n from 1:0 to 1:4\n from 1:3 to 1:4\n");
	assert_int_equal(world.bytes, 0);
}

int
run_format_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_update_says_the_same_in_both_formats),
		cmocka_unit_test(a_document_takes_and_gives_either_format),
		cmocka_unit_test(halves_of_a_character_meet_again_in_v2),
		cmocka_unit_test(undefined_becomes_null_where_v1_has_only_json),
		cmocka_unit_test(a_deleted_range_of_length_0_cannot_be_said_in_v2),
		cmocka_unit_test(deleted_ranges_out_of_order_are_sorted_for_v2),
		cmocka_unit_test(what_v2_says_in_few_bytes_can_be_read_again),
		cmocka_unit_test(values_nest_as_deep_in_both_formats),
		cmocka_unit_test(thousands_of_updates_merge_alike_in_both_formats),
		cmocka_unit_test(what_waits_is_kept_as_yjs_keeps_it),
		cmocka_unit_test(an_update_can_be_looked_into),
		cmocka_unit_test(a_look_can_be_ended_and_a_broken_update_shows_nothing),
		cmocka_unit_test(an_update_knows_whose_it_is_and_from_when),
	};

	return cmocka_run_group_tests_name("formats", tests, NULL, NULL);
}
