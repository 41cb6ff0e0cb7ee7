/*
 * memory.c: what happens when memory is refused, or somebody cancels.
 *
 * A day at a desk is a row of steps that allocate.  It is lived once undisturbed, to know what each
 * step gives; then again and again, with one request for memory more served before one is refused.
 * The step at which that happens must say so, leave the document as it was, and work when it is
 * tried again.
 *
 * Also here, in the sanitized build: that the memory we hold without using it is hidden from it.
 */
#include "replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/edit.h"
#include "../../extension/crdt/memory.h"
#include "../../extension/crdt/poison.h"
#include "../../extension/crdt/position.h"
#include "../../extension/crdt/slice.h"
#include "../../extension/crdt/snapshot.h"
#include "../../extension/crdt/tables.h"
#include "../core/input.h"
#include "../core/trace.h"
#include "examples.h"

typedef struct Desk
{
	TestHost world;
	CrdtDoc *doc;
	CrdtBytes large; /* an update that takes a while */
} Desk;

typedef CrdtStatus (*Step)(Desk *desk, CrdtBuffer *out, CrdtError *error);

/* What a step gives, and the document's state after it. */
typedef struct Given
{
	CrdtBuffer out;
	CrdtBuffer state;
} Given;

static CrdtStatus
declare_text(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	(void) out;
	return crdt_doc_declare_root(desk->doc, NAME("text"), CRDT_TEXT, error);
}

static CrdtStatus
apply_what_must_wait(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	(void) out;
	return crdt_doc_apply(desk->doc, BYTES(after_review), CRDT_V1, NULL, error);
}

/* A text of its own, by somebody who may write no other. */
static CrdtStatus
apply_a_comment(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	static const uint8_t comment[] = {1,   2,   77, 0, 4, 1,   1, 'n', 3, 'a', 'b',
									  'c', 132, 77, 2, 1, 'd', 1, 77,  1, 1,   1};
	const CrdtBytes roots[] = {NAME("n")};
	const CrdtConfines confines = {roots, 1};

	return crdt_doc_apply_confined(desk->doc, BYTES(comment), CRDT_V1, &confines, out, NULL, error);
}

static CrdtStatus
apply_more_that_must_wait(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	(void) out;
	return crdt_doc_apply(desk->doc, BYTES(review), CRDT_V1, NULL, error);
}

static CrdtStatus
encode_what_waits(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	return crdt_doc_encode(desk->doc, CRDT_V1, NOTHING, out, error);
}

static CrdtStatus
encode_what_waits_in_v2(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	return crdt_doc_encode(desk->doc, CRDT_V2, NOTHING, out, error);
}

/* All of them, one behind the other, and where the first ends. */
static CrdtStatus
encode_in_slices(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtSlices *slices;
	bool last = false;
	CrdtStatus status = crdt_slices_open(desk->doc, BYTES(cat_state_vector), 60, &slices, error);

	if (status != CRDT_OK)
		return status;
	status = crdt_slices_next(slices, out, &last, error);
	if (status == CRDT_OK)
		status = crdt_slices_write_reached(slices, out, error);
	while (status == CRDT_OK && !last)
		status = crdt_slices_next(slices, out, &last, error);
	crdt_slices_close(slices);
	if (status != CRDT_OK)
		out->size = 0;
	return status;
}

/* The state vector of whoever lacks one update of the document. */
static CrdtStatus
reach_without_one(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtSlices *slices;
	CrdtStatus status = crdt_slices_open_without(desk->doc, BYTES(review), 60, &slices, error);

	if (status != CRDT_OK)
		return status;
	status = crdt_slices_write_reached(slices, out, error);
	crdt_slices_close(slices);
	return status;
}

static CrdtStatus
show_what_waits(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtBuffer missing;
	CrdtBuffer deletes;
	CrdtStatus status;

	crdt_buffer_open(&missing, &desk->world.host);
	crdt_buffer_open(&deletes, &desk->world.host);
	status = crdt_doc_pending(desk->doc, out, &missing, &deletes, error);
	crdt_buffer_close(&missing);
	crdt_buffer_close(&deletes);
	return status;
}

static CrdtStatus
apply_everything(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	(void) out;
	return crdt_doc_apply(desk->doc, BYTES(everything), CRDT_V1, NULL, error);
}

static CrdtStatus
encode_for_someone(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	return crdt_doc_encode(desk->doc, CRDT_V1, BYTES(cat_state_vector), out, error);
}

static CrdtStatus
encode_state_vector(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	return crdt_doc_encode_state_vector(desk->doc, out, error);
}

static CrdtStatus
read_text(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	return crdt_doc_text(desk->doc, crdt_doc_find_root(desk->doc, NAME("text")), out, error);
}

static CrdtStatus
read_json(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	return crdt_doc_json(desk->doc, crdt_doc_find_root(desk->doc, NAME("map")), CRDT_MAP, out,
						 error);
}

static CrdtStatus
read_xml(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	return crdt_doc_xml(desk->doc, crdt_doc_find_root(desk->doc, NAME("xml")), CRDT_XML_FRAGMENT,
						out, error);
}

static CrdtStatus
merge_updates(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtBytes updates[] = {BYTES(review), BYTES(everything), BYTES(ann_writes_cat)};

	return crdt_update_merge(&desk->world.host, updates, 3, CRDT_V1, out, error);
}

static CrdtStatus
diff_update(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	return crdt_update_diff(&desk->world.host, BYTES(everything), CRDT_V1, BYTES(cat_state_vector),
							out, error);
}

static CrdtStatus
reach_of_update(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	return crdt_update_state_vector(&desk->world.host, BYTES(everything), CRDT_V1, out, error);
}

static CrdtStatus
check_update(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	(void) out;
	return crdt_update_check(&desk->world.host, BYTES(everything), CRDT_V1, error);
}

static CrdtStatus
apply_in_v2(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	(void) out;
	return crdt_doc_apply(desk->doc, BYTES(everything_reviewed_v2), CRDT_V2, NULL, error);
}

static CrdtStatus
encode_in_v2(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	return crdt_doc_encode(desk->doc, CRDT_V2, NOTHING, out, error);
}

static CrdtStatus
merge_in_v2(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtBytes updates[] = {BYTES(everything_reviewed_v2), BYTES(everything_v2),
						   BYTES(cats_state_v2), BYTES(halves_v2)};

	return crdt_update_merge(&desk->world.host, updates, 4, CRDT_V2, out, error);
}

static CrdtStatus
convert_to_v2(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	return crdt_update_convert(&desk->world.host, BYTES(everything), CRDT_V1, CRDT_V2, out, error);
}

static CrdtStatus
convert_to_v1(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	return crdt_update_convert(&desk->world.host, BYTES(everything_v2), CRDT_V2, CRDT_V1, out,
							   error);
}

static bool
ignore_item(void *context, const CrdtStructView *item)
{
	(void) context;
	(void) item;
	return true;
}

static bool
ignore_numbers(void *context, uint64_t client, uint64_t clock, uint64_t length)
{
	(void) context;
	(void) client;
	(void) clock;
	(void) length;
	return true;
}

static CrdtStatus
look_into_update(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtUpdateVisitor visitor = {ignore_item, ignore_numbers, NULL};

	(void) out;
	return crdt_update_inspect(&desk->world.host, BYTES(halves_v2), CRDT_V2, &visitor, error);
}

static CrdtStatus
see_whose_update_it_is(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtMetaVisitor visitor = {ignore_numbers, NULL};

	(void) out;
	return crdt_update_meta(&desk->world.host, BYTES(cats_state_v2), CRDT_V2, &visitor, error);
}

/* ---- edits ---- */

/* "x", true, [1] ... as lib0 writes them */
static const uint8_t word_value[] = {119, 4, 'w', 'o', 'r', 'd'};
static const uint8_t true_value[] = {120};

static const CrdtAttribute bold = {{(const uint8_t *) "bold", 4}, {true_value, 1}};

static const CrdtType *
root_of_desk(Desk *desk, CrdtBytes name)
{
	crdt_doc_set_client(desk->doc, 77);
	return crdt_doc_find_root(desk->doc, name);
}

static CrdtStatus
insert_text(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	(void) out;
	return crdt_text_insert(desk->doc, root_of_desk(desk, NAME("text")), 1, NAME("n\u00e9w"), NULL,
							error);
}

static CrdtStatus
format_text(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtAttributes attributes = {&bold, 1};

	(void) out;
	return crdt_text_format(desk->doc, root_of_desk(desk, NAME("text")), 0, 3, &attributes, error);
}

static CrdtStatus
apply_delta(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtInput embed = {.bytes = BYTES(word_value)};
	CrdtDeltaOp ops[] = {
		{.kind = CRDT_DELTA_RETAIN, .length = 2, .attributes = {&bold, 1}},
		{.kind = CRDT_DELTA_INSERT, .text = NAME("abc"), .attributes = {&bold, 1}},
		{.kind = CRDT_DELTA_DELETE, .length = 1},
		{.kind = CRDT_DELTA_EMBED, .embed = &embed},
	};

	(void) out;
	return crdt_text_apply_delta(desk->doc, root_of_desk(desk, NAME("text")), ops, 4, true, error);
}

static CrdtStatus
delete_text(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	(void) out;
	return crdt_text_delete(desk->doc, root_of_desk(desk, NAME("text")), 1, 4, error);
}

/* A map in which there is an array in which there is a text. */
static CrdtStatus
set_nested(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtInput items[] = {{.bytes = BYTES(word_value)},
						 {.kind = CRDT_INPUT_SHARED, .shared = CRDT_TEXT, .text = NAME("deep")}};
	CrdtEntry entry = {
		NAME("list"),
		{.kind = CRDT_INPUT_SHARED, .shared = CRDT_ARRAY, .items = items, .item_count = 2}};
	CrdtInput map = {
		.kind = CRDT_INPUT_SHARED, .shared = CRDT_MAP, .entries = &entry, .entry_count = 1};

	(void) out;
	return crdt_map_set(desk->doc, root_of_desk(desk, NAME("map")), NAME("nested"), &map, error);
}

static CrdtStatus
delete_nested(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	(void) out;
	return crdt_map_delete(desk->doc, root_of_desk(desk, NAME("map")), NAME("nested"), error);
}

static CrdtStatus
insert_element(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtInput element = {.kind = CRDT_INPUT_SHARED, .shared = CRDT_XML_ELEMENT, .name = NAME("p")};

	(void) out;
	return crdt_list_insert(desk->doc, root_of_desk(desk, NAME("xml")), 0, &element, 1, error);
}

/* ---- looking back ---- */

static CrdtStatus
write_snapshot(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtSnapshot *snapshot = crdt_snapshot_take(desk->doc);
	CrdtSnapshot *read = NULL;
	CrdtStatus status =
		snapshot == NULL ? CRDT_NO_MEMORY : crdt_snapshot_write(snapshot, CRDT_V1, out, error);

	if (snapshot == NULL)
		*error = (CrdtError){.status = CRDT_NO_MEMORY, .message = "out of memory"};
	if (status == CRDT_OK)
		status =
			crdt_snapshot_read(&desk->world.host, crdt_buffer_view(out), CRDT_V1, &read, error);
	if (status != CRDT_OK)
		out->size = 0;
	crdt_snapshot_free(read);
	crdt_snapshot_free(snapshot);
	return status;
}

static CrdtStatus
restore_snapshot(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	static const uint8_t nothing_yet[] = {0, 0};
	CrdtSnapshot *snapshot;
	CrdtStatus status =
		crdt_snapshot_read(&desk->world.host, BYTES(nothing_yet), CRDT_V1, &snapshot, error);

	if (status == CRDT_OK)
		status = crdt_snapshot_restore(desk->doc, snapshot, CRDT_V1, out, error);
	crdt_snapshot_free(snapshot);
	/* a document that lets go what is deleted restores nothing */
	return status == CRDT_INVALID ? CRDT_OK : status;
}

static CrdtStatus
read_delta(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	return crdt_doc_delta_json(desk->doc, crdt_doc_find_root(desk->doc, NAME("text")), NULL, NULL,
							   out, error);
}

static CrdtStatus
write_position(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtPosition position;
	CrdtStatus status = crdt_position_find(desk->doc, crdt_doc_find_root(desk->doc, NAME("text")),
										   1, 0, &position, error);

	return status == CRDT_OK ? crdt_position_write(&position, out, error) : status;
}

static const Step day[] = {
	declare_text,
	apply_what_must_wait,
	apply_more_that_must_wait,
	apply_a_comment,
	encode_what_waits,
	encode_what_waits_in_v2,
	show_what_waits,
	encode_in_slices,
	apply_everything,
	encode_in_slices,
	reach_without_one,
	encode_for_someone,
	encode_state_vector,
	read_text,
	read_json,
	read_xml,
	merge_updates,
	diff_update,
	reach_of_update,
	check_update,
	apply_in_v2,
	encode_in_v2,
	merge_in_v2,
	convert_to_v2,
	convert_to_v1,
	look_into_update,
	see_whose_update_it_is,
	insert_text,
	format_text,
	apply_delta,
	delete_text,
	set_nested,
	delete_nested,
	insert_element,
	write_snapshot,
	restore_snapshot,
	read_delta,
	write_position,
};

#define DAY_STEPS (sizeof day / sizeof *day)

/* The document's state, whatever memory was refused so far. */
static CrdtBuffer
look_at_state(Desk *desk)
{
	CrdtBuffer out;
	CrdtError error = {0};

	crdt_buffer_open(&out, &desk->world.host);
	assert_int_equal(crdt_doc_encode(desk->doc, CRDT_V1, NOTHING, &out, &error), CRDT_OK);
	return out;
}

static void
assert_given(const CrdtBuffer *got, const CrdtBuffer *expected)
{
	assert_bytes_equal(crdt_buffer_view(got), crdt_buffer_view(expected));
}

/* One step of a disturbed day; before and after: its document's states.  Serves all memory again
 * once some was refused. */
static void
live_through(Desk *desk, Step step, const CrdtBuffer *before, const Given *given)
{
	CrdtBuffer out;
	CrdtBuffer state;
	CrdtError error = {0};
	CrdtStatus status;

	crdt_buffer_open(&out, &desk->world.host);
	status = step(desk, &out, &error);
	if (desk->world.failed > 0)
		desk->world.fail_at = 0;
	if (status != CRDT_OK)
	{
		assert_int_equal(status, CRDT_NO_MEMORY);
		assert_good_error(&error, CRDT_NO_MEMORY, sizeof everything_reviewed_v2);
		assert_true(desk->world.failed > 0);
		assert_int_equal(out.size, 0);
		state = look_at_state(desk);
		assert_given(&state, before);
		crdt_buffer_close(&state);
		crdt_buffer_close(&out);
		crdt_buffer_open(&out, &desk->world.host);
		assert_int_equal(step(desk, &out, &error), CRDT_OK);
	}
	assert_given(&out, &given->out);
	crdt_buffer_close(&out);
	if (desk->world.failed > 0)
	{
		state = look_at_state(desk);
		assert_given(&state, &given->state);
		crdt_buffer_close(&state);
	}
}

/* False once no request was refused any more, because there are fewer. */
static bool
live_a_day(TestHost world, const CrdtDocOptions *options, const CrdtBuffer *empty,
		   const Given *given)
{
	Desk desk = {.world = world};
	bool disturbed;

	desk.world.host.context = &desk.world;
	desk.doc = crdt_doc_new(&desk.world.host, options);
	if (desk.doc == NULL)
	{
		assert_int_equal(desk.world.bytes, 0);
		return true;
	}
	for (size_t i = 0; i < DAY_STEPS; i++)
		live_through(&desk, day[i], i == 0 ? empty : &given[i - 1].state, &given[i]);
	disturbed = desk.world.failed > 0;
	crdt_doc_free(desk.doc);
	assert_int_equal(desk.world.bytes, 0);
	assert_int_equal(desk.world.wrong_sizes, 0);
	return disturbed;
}

static void
live_days(bool fail_once, const CrdtDocOptions *options)
{
	TestHost world;
	Desk quiet = {0};
	Given given[DAY_STEPS];
	CrdtBuffer empty;

	test_host_open(&world);
	world.fail_at = 1;
	world.fail_once = fail_once;
	test_host_open(&quiet.world);
	quiet.doc = crdt_doc_new(&quiet.world.host, options);
	assert_non_null(quiet.doc);
	empty = look_at_state(&quiet);
	for (size_t i = 0; i < DAY_STEPS; i++)
	{
		CrdtError error = {0};

		crdt_buffer_open(&given[i].out, &quiet.world.host);
		assert_int_equal(day[i](&quiet, &given[i].out, &error), CRDT_OK);
		given[i].state = look_at_state(&quiet);
	}
	while (live_a_day(world, options, &empty, given))
		world.fail_at++;
	assert_true(world.fail_at > DAY_STEPS); /* or the days were no days */

	for (size_t i = 0; i < DAY_STEPS; i++)
	{
		crdt_buffer_close(&given[i].out);
		crdt_buffer_close(&given[i].state);
	}
	crdt_buffer_close(&empty);
	crdt_doc_free(quiet.doc);
	assert_int_equal(quiet.world.bytes, 0);
}

static void
when_memory_runs_out_nothing_is_lost_and_nothing_leaks(void **state)
{
	CrdtDocOptions options = {.keep_deleted = true, .clean_formatting = true};

	(void) state;
	live_days(false, NULL);
	live_days(false, &options);
}

static void
one_refused_request_is_not_overlooked(void **state)
{
	CrdtDocOptions options = {.clean_formatting = true};

	(void) state;
	live_days(true, NULL);
	live_days(true, &options);
}

/* ---- cancelling ---- */

static CrdtStatus
apply_large(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	(void) out;
	return crdt_doc_apply(desk->doc, desk->large, CRDT_V1, NULL, error);
}

static CrdtStatus
merge_large(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	CrdtBytes updates[] = {desk->large, desk->large};

	return crdt_update_merge(&desk->world.host, updates, 2, CRDT_V1, out, error);
}

static CrdtStatus
check_large(Desk *desk, CrdtBuffer *out, CrdtError *error)
{
	(void) out;
	return crdt_update_check(&desk->world.host, desk->large, CRDT_V1, error);
}

/* Cancels the step at each of the first questions it asks; it must ask some. */
static void
assert_can_be_cancelled(Step step, CrdtBytes large)
{
	size_t cancelled = 0;

	for (size_t cancel_at = 1; cancel_at <= 20; cancel_at++)
	{
		Desk desk = {.large = large};
		CrdtBuffer before;
		CrdtBuffer after;
		CrdtBuffer out;
		CrdtError error = {0};
		CrdtStatus status;

		test_host_open(&desk.world);
		desk.doc = crdt_doc_new(&desk.world.host, NULL);
		assert_non_null(desk.doc);
		assert_int_equal(crdt_doc_apply(desk.doc, BYTES(everything), CRDT_V1, NULL, &error),
						 CRDT_OK);
		before = look_at_state(&desk);
		crdt_buffer_open(&out, &desk.world.host);
		desk.world.cancel_at = desk.world.questions + cancel_at;
		status = step(&desk, &out, &error);
		desk.world.cancel_at = 0;
		if (status != CRDT_OK)
		{
			cancelled++;
			assert_good_error(&error, CRDT_CANCELLED, large.size);
			assert_int_equal(out.size, 0);
			after = look_at_state(&desk);
			assert_given(&after, &before);
			crdt_buffer_close(&after);
		}
		crdt_buffer_close(&out);
		crdt_buffer_close(&before);
		crdt_doc_free(desk.doc);
		assert_int_equal(desk.world.bytes, 0);
	}
	assert_true(cancelled > 0);
}

static void
long_work_can_be_cancelled_and_changes_nothing(void **state)
{
	char directory[4096];
	Trace trace;

	(void) state;
	snprintf(directory, sizeof directory, "%s/traces", data_directory);
	trace_read(&trace, directory, "git-makefile", true);
	assert_can_be_cancelled(apply_large, input_view(&trace.state));
	assert_can_be_cancelled(merge_large, input_view(&trace.state));
	assert_can_be_cancelled(check_large, input_view(&trace.state));
	trace_free(&trace);
}

/* ---- what the sanitizer sees ---- */

#ifdef CRDT_POISON

#define IS_HIDDEN(address) (__asan_address_is_poisoned(address) != 0)

static void
an_arena_hides_all_but_its_blocks(void **state)
{
	CrdtHost host = test_host_plain();
	CrdtArena arena;
	uint8_t *first;
	uint8_t *second;

	(void) state;
	crdt_arena_open(&arena, &host);
	first = crdt_arena_take(&arena, 32);
	second = crdt_arena_take(&arena, 5);
	assert_false(IS_HIDDEN(first) || IS_HIDDEN(first + 31) || IS_HIDDEN(second + 4));
	assert_true(IS_HIDDEN(first + 32) && IS_HIDDEN(second - 1) && IS_HIDDEN(second + 5));
	first = crdt_arena_take_bytes(&arena, 8);
	assert_false(IS_HIDDEN(first + 7));
	assert_true(IS_HIDDEN(first + 8));
	crdt_arena_reset(&arena);
	assert_true(IS_HIDDEN(first) && IS_HIDDEN(second));
	crdt_arena_close(&arena);
}

static void
a_pool_hides_the_records_that_are_free(void **state)
{
	CrdtHost host = test_host_plain();
	CrdtPool pool = {.record_size = 24, .chunk_bits = 2};
	uint8_t *one;
	uint8_t *two;
	uint32_t number;

	(void) state;
	assert_true(crdt_pool_reserve(&host, &pool, 2));
	one = crdt_pool_record(&pool, number = crdt_pool_take(&pool));
	two = one + pool.record_size;
	assert_false(IS_HIDDEN(one) || IS_HIDDEN(one + 23));
	assert_true(IS_HIDDEN(two));
	assert_ptr_equal(crdt_pool_record(&pool, crdt_pool_take(&pool)), two);
	assert_false(IS_HIDDEN(two));
	crdt_pool_release(&pool, number);
	assert_true(IS_HIDDEN(one + 4) && IS_HIDDEN(one + 23));
	assert_int_equal(crdt_pool_take(&pool), number);
	assert_false(IS_HIDDEN(one) || IS_HIDDEN(one + 23));
	crdt_pool_free(&host, &pool);
}

#endif

int
run_memory_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(when_memory_runs_out_nothing_is_lost_and_nothing_leaks),
		cmocka_unit_test(one_refused_request_is_not_overlooked),
		cmocka_unit_test(long_work_can_be_cancelled_and_changes_nothing),
#ifdef CRDT_POISON
		cmocka_unit_test(an_arena_hides_all_but_its_blocks),
		cmocka_unit_test(a_pool_hides_the_records_that_are_free),
#endif
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
