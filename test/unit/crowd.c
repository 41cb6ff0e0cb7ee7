/*
 * crowd.c: many who write at one place without knowing of one another.  To order them takes the
 * square of their number, and who sent them may not make us pay any price for that: the host can
 * cancel, and set a bound.
 *
 * Client 1 writes a text; each other one an x somewhere in it, with nothing to the left, so that
 * all of them have to be told from one another, and some go on behind their x.
 */
#include "replica.h"

#include <string.h>

#include "../../extension/crdt/edit.h"
#include "written.h"

#define CROWD 700 /* takes some hundred thousand steps */

/* Client puts an x before unit clock of client 1's text, and if he goes on, a y behind it. */
static void
put_one(Written *update, uint64_t client, uint64_t clock, bool goes_on)
{
	put(update, goes_on ? 2 : 1);
	put(update, client);
	put(update, 0);
	put(update, 0x44);
	put(update, 1);
	put(update, clock);
	put(update, 1);
	put(update, 'x');
	if (!goes_on)
		return;
	put_byte(update, 0x84);
	put(update, client);
	put(update, 0);
	put(update, 1);
	put(update, 'y');
}

/* All of them in one update. */
static const Written *
crowd(bool some_go_on)
{
	static Written update;

	update.size = 0;
	put(&update, CROWD + 1);
	for (uint64_t i = CROWD; i > 0; i--)
		put_one(&update, 1 + i, CROWD - i, some_go_on && i % 3 == 0);
	put(&update, 1);
	put(&update, 1);
	put(&update, 0);
	put(&update, 0x04);
	put(&update, 1);
	put(&update, 1);
	put(&update, 't');
	put(&update, CROWD);
	memset(update.data + update.size, 'b', CROWD);
	update.size += CROWD;
	put(&update, 0);
	return &update;
}

static const uint8_t hello[] = {1, 1, 9, 0, 4, 1, 1, 't', 5, 'h', 'e', 'l', 'l', 'o', 0};

static const uint8_t bye[] = {1, 1, 8, 0, 4, 1, 1, 't', 3, 'b', 'y', 'e', 0};

/* Whatever one would do with it. */
static void
assert_broken(Replica *ann)
{
	CrdtBytes root = NAME("t");
	CrdtConfines anywhere = {&root, 1};
	CrdtBuffer out;
	CrdtError error;

	assert_true(crdt_doc_is_broken(ann->doc));
	crdt_buffer_open(&out, &ann->world->host);
	assert_int_equal(crdt_doc_apply(ann->doc, BYTES(hello), CRDT_V1, NULL, &error), CRDT_INVALID);
	assert_non_null(strstr(error.message, "broken"));
	assert_good_error(&error, CRDT_INVALID, sizeof(hello));
	assert_int_equal(
		crdt_doc_apply_confined(ann->doc, BYTES(hello), CRDT_V1, &anywhere, &out, NULL, &error),
		CRDT_INVALID);
	assert_int_equal(crdt_doc_encode(ann->doc, CRDT_V1, NOTHING, &out, &error), CRDT_INVALID);
	assert_int_equal(crdt_doc_encode_state_vector(ann->doc, &out, &error), CRDT_INVALID);
	crdt_doc_set_client(ann->doc, 9);
	assert_int_equal(crdt_text_insert(ann->doc, crdt_doc_find_root(ann->doc, NAME("t")), 0,
									  NAME("cat"), NULL, &error),
					 CRDT_INVALID);
	crdt_doc_begin(ann->doc, NULL);
	crdt_doc_commit(ann->doc);
	assert_int_equal(out.size, 0);
	crdt_buffer_close(&out);
}

static void
assert_whole_with(const Written *update, uint64_t limit, Replica *expected)
{
	Replica ann = replica_new();

	receive(&ann, BYTES(hello));
	crdt_doc_limit_walk(ann.doc, limit);
	receive(&ann, view(update));
	/* each update has a bound of its own */
	receive(&ann, BYTES(bye));
	assert_false(crdt_doc_is_broken(ann.doc));
	assert_same_state(&ann, expected);
	replica_close(&ann);
}

static void
a_crowd_may_take_so_many_steps_and_no_more(void **state)
{
	(void) state;
	for (int some_go_on = 0; some_go_on < 2; some_go_on++)
	{
		const Written *update = crowd(some_go_on);
		Replica free = replica_new();
		uint64_t low = 0; /* too few */
		uint64_t high = 4 * CROWD * CROWD; /* enough */

		receive(&free, BYTES(hello));
		receive(&free, view(update));
		receive(&free, BYTES(bye));
		while (high - low > 1)
		{
			Replica ann = replica_new();
			uint64_t limit = (low + high) / 2;
			CrdtError error;

			receive(&ann, BYTES(hello));
			crdt_doc_limit_walk(ann.doc, limit);
			if (crdt_doc_apply(ann.doc, view(update), CRDT_V1, NULL, &error) == CRDT_OK)
				high = limit;
			else
			{
				assert_good_error(&error, CRDT_LIMIT, update->size);
				assert_non_null(strstr(error.message, "too many concurrent items at one place"));
				assert_broken(&ann);
				low = limit;
			}
			replica_close(&ann);
		}
		assert_true(high >= CROWD * CROWD / 4);
		assert_whole_with(update, high, &free);
		replica_close(&free);
	}
}

static void
the_host_can_cancel_in_the_middle_of_a_crowd(void **state)
{
	(void) state;
	for (int some_go_on = 0; some_go_on < 2; some_go_on++)
	{
		const Written *update = crowd(some_go_on);
		Replica free = replica_new();
		size_t questions;

		receive(&free, view(update));
		questions = free.world->questions;
		assert_true(questions >= 2);
		for (size_t at = 1; at <= questions; at++)
		{
			Replica ann = replica_new();
			CrdtError error;

			ann.world->cancel_at = at;
			assert_int_equal(crdt_doc_apply(ann.doc, view(update), CRDT_V1, NULL, &error),
							 CRDT_CANCELLED);
			ann.world->cancel_at = 0;
			assert_broken(&ann);
			replica_close(&ann);
		}
		replica_close(&free);
	}
}

int
run_crowd_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crowd_may_take_so_many_steps_and_no_more),
		cmocka_unit_test(the_host_can_cancel_in_the_middle_of_a_crowd),
	};

	return cmocka_run_group_tests_name("a crowd at one place", tests, NULL, NULL);
}
