/*
 * waiting.c: what comes before what it builds on: how much of it there is, what it waits for, and
 * that it is bounded.
 *
 * Client 1 writes into text "t", one unit a struct, and a unit of his got lost: whatever he writes
 * behind it waits.
 */
#include "replica.h"

#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/edit.h"
#include "written.h"

#define LIMIT 100000
#define CLIENT_LIMIT 70000

/* Client types length units from clock on, behind his unit before. */
static const Written *
typed(uint64_t client, uint64_t clock, size_t length)
{
	static Written update;

	update.size = 0;
	put(&update, 1);
	put(&update, 1);
	put(&update, client);
	put(&update, clock);
	put_byte(&update, clock == 0 ? 0x04 : 0x84);
	put(&update, clock == 0 ? 1 : client);
	put(&update, clock == 0 ? 1 : clock - 1);
	if (clock == 0)
		put(&update, 't');
	put(&update, length);
	memset(update.data + update.size, 'x', length);
	update.size += length;
	put(&update, 0);
	return &update;
}

/* Deletes count units of client, every other one from clock on. */
static const Written *
deleted(uint64_t client, uint64_t clock, size_t count)
{
	static Written update;

	update.size = 0;
	put(&update, 0);
	put(&update, 1);
	put(&update, client);
	put(&update, count);
	for (size_t i = 0; i < count; i++)
	{
		put(&update, clock + 2 * i);
		put(&update, 1);
	}
	return &update;
}

static void
assert_refused(Replica *replica, const Written *update, const char *because)
{
	CrdtBuffer before = state_of(replica);
	uint64_t waiting = crdt_doc_waiting_bytes(replica->doc);
	CrdtError error = {0};
	CrdtBuffer after;

	assert_int_equal(crdt_doc_apply(replica->doc, view(update), CRDT_V1, NULL, &error), CRDT_LIMIT);
	assert_non_null(strstr(error.message, because));
	after = state_of(replica);
	assert_bytes_equal(crdt_buffer_view(&after), crdt_buffer_view(&before));
	assert_int_equal(crdt_doc_waiting_bytes(replica->doc), waiting);
	crdt_buffer_close(&before);
	crdt_buffer_close(&after);
}

/* ---- what is awaited ---- */

typedef struct Awaited
{
	uint64_t clients[8];
	uint64_t from[8];
	uint64_t to[8];
	size_t count;
} Awaited;

static bool
note_awaited(void *context, uint64_t client, uint64_t from, uint64_t to)
{
	Awaited *awaited = context;

	assert_true(awaited->count < 8);
	awaited->clients[awaited->count] = client;
	awaited->from[awaited->count] = from;
	awaited->to[awaited->count++] = to;
	return true;
}

static Awaited
awaited_by(const Replica *replica)
{
	Awaited awaited = {.count = 0};
	CrdtAwaitedVisitor visitor = {.client = note_awaited, .context = &awaited};

	crdt_doc_awaited(replica->doc, &visitor);
	return awaited;
}

static void
a_document_says_what_it_waits_for(void **state)
{
	Replica ann = replica_new();
	Awaited awaited;

	(void) state;
	assert_int_equal(awaited_by(&ann).count, 0);
	assert_int_equal(crdt_doc_waiting_bytes(ann.doc), 0);
	receive(&ann, view(typed(1, 0, 3)));
	receive(&ann, view(typed(1, 5, 2)));
	receive(&ann, view(deleted(7, 10, 2)));
	receive(&ann, view(deleted(1, 20, 3)));
	receive(&ann, view(deleted(2, 0, 1)));
	awaited = awaited_by(&ann);
	assert_int_equal(awaited.count, 3);
	assert_int_equal(awaited.clients[0], 7);
	assert_int_equal(awaited.from[0], 0);
	assert_int_equal(awaited.to[0], 12);
	assert_int_equal(awaited.clients[1], 2);
	assert_int_equal(awaited.from[1], 0);
	assert_int_equal(awaited.to[1], 0);
	assert_int_equal(awaited.clients[2], 1);
	assert_int_equal(awaited.from[2], 3);
	assert_int_equal(awaited.to[2], 24);
	assert_true(crdt_doc_waiting_bytes(ann.doc) > 0);

	receive(&ann, view(typed(1, 3, 2)));
	receive(&ann, view(typed(1, 7, 20)));
	receive(&ann, view(typed(2, 0, 1)));
	awaited = awaited_by(&ann);
	assert_int_equal(awaited.count, 1);
	assert_int_equal(awaited.clients[0], 7);
	replica_close(&ann);
}

/* ---- bounds ---- */

static void
what_waits_is_bounded_and_what_is_missing_ends_it(void **state)
{
	Replica ann = replica_new();

	(void) state;
	crdt_doc_limit_waiting(ann.doc, LIMIT, CLIENT_LIMIT);
	receive(&ann, view(typed(1, 0, 1)));
	/* the unit at clock 1 is lost */
	receive(&ann, view(typed(1, 2, 60000)));
	receive(&ann, view(typed(2, 5, 30000)));
	assert_refused(&ann, typed(3, 5, 20000), "bytes would wait for updates that are missing");
	/* what waits already may come again */
	assert_false(receive(&ann, view(typed(1, 2, 60000))).changed);
	/* what does not wait is taken */
	assert_true(receive(&ann, view(typed(4, 0, 40000))).changed);
	assert_true(receive(&ann, view(typed(4, 40000, 40000))).changed);
	/* what others wait for is taken, and makes room */
	assert_true(receive(&ann, view(typed(1, 1, 1))).changed);
	receive(&ann, view(typed(3, 5, 20000)));
	receive(&ann, view(typed(2, 0, 5)));
	receive(&ann, view(typed(3, 0, 5)));
	assert_false(crdt_doc_is_waiting(ann.doc));
	assert_int_equal(crdt_doc_waiting_bytes(ann.doc), 0);
	replica_close(&ann);
}

static void
one_client_may_not_take_all_the_room(void **state)
{
	Replica ann = replica_new();

	(void) state;
	crdt_doc_limit_waiting(ann.doc, LIMIT, CLIENT_LIMIT);
	assert_refused(&ann, typed(1, 2, 75000), "bytes of client 1 would wait");
	receive(&ann, view(typed(1, 2, 10)));
	/* now he goes on typing, letter by letter */
	for (uint64_t clock = 12;; clock++)
	{
		CrdtError error = {0};

		if (crdt_doc_apply(ann.doc, view(typed(1, clock, 1)), CRDT_V1, NULL, &error) == CRDT_OK)
			continue;
		assert_int_equal(error.status, CRDT_LIMIT);
		assert_true(clock > 2000 && clock < CLIENT_LIMIT);
		break;
	}
	receive(&ann, view(typed(2, 5, 10000)));
	assert_true(crdt_doc_waiting_bytes(ann.doc) <= LIMIT);
	receive(&ann, view(typed(1, 0, 2)));
	receive(&ann, view(typed(2, 0, 5)));
	assert_false(crdt_doc_is_waiting(ann.doc));
	replica_close(&ann);
}

static void
an_update_that_brings_much_and_leaves_more_waiting_is_refused(void **state)
{
	Replica ann = replica_new();
	Replica both = replica_new();
	static Written update;
	CrdtBuffer merged;
	CrdtBytes parts[2];
	CrdtError error;

	(void) state;
	crdt_doc_limit_waiting(ann.doc, LIMIT, CLIENT_LIMIT);
	receive(&ann, view(typed(1, 1, 10)));
	/* client 1's missing unit, and 75000 of client 2 that wait */
	update = *typed(1, 0, 1);
	parts[0] = view(&update);
	parts[1] = view(typed(2, 5, 75000));
	crdt_buffer_open(&merged, &both.world->host);
	assert_int_equal(crdt_update_merge(&both.world->host, parts, 2, CRDT_V1, &merged, &error),
					 CRDT_OK);
	assert_int_equal(crdt_doc_apply(ann.doc, crdt_buffer_view(&merged), CRDT_V1, NULL, &error),
					 CRDT_LIMIT);
	assert_true(crdt_doc_is_waiting(ann.doc));
	crdt_doc_limit_waiting(ann.doc, 0, 0);
	receive(&ann, crdt_buffer_view(&merged));
	assert_int_equal(awaited_by(&ann).count, 1);
	assert_int_equal(awaited_by(&ann).clients[0], 2);
	crdt_buffer_close(&merged);
	replica_close(&ann);
	replica_close(&both);
}

static void
deletes_that_wait_are_bounded_too(void **state)
{
	Replica ann = replica_new();

	(void) state;
	crdt_doc_limit_waiting(ann.doc, LIMIT, CLIENT_LIMIT);
	assert_true(receive(&ann, view(deleted(1, 0, 1000))).changed);
	assert_false(receive(&ann, view(deleted(1, 0, 1000))).changed);
	assert_refused(&ann, deleted(1, 2000, 1000), "bytes would wait for updates that are missing");
	assert_false(receive(&ann, view(deleted(1, 0, 1000))).changed);
	receive(&ann, view(typed(1, 0, 1900)));
	receive(&ann, view(deleted(1, 2000, 1000)));
	receive(&ann, view(typed(1, 1900, 3000)));
	assert_false(crdt_doc_is_waiting(ann.doc));
	assert_int_equal(crdt_doc_length(ann.doc, crdt_doc_find_root(ann.doc, NAME("t"))),
					 1900 + 3000 - 2000);
	replica_close(&ann);
}

/* An edit here can be what a delete waits for: the next update that comes carries it out. */
static void
deletes_wait_for_edits_as_well(void **state)
{
	Replica ann = replica_new();
	CrdtError error;

	(void) state;
	crdt_doc_set_client(ann.doc, 9);
	receive(&ann, view(deleted(9, 1, 1)));
	assert_int_equal(crdt_text_insert(ann.doc,
									  crdt_doc_open_root(ann.doc, NAME("t"), CRDT_TEXT, &error), 0,
									  NAME("cat"), NULL, &error),
					 CRDT_OK);
	assert_text(&ann, "t", "cat");
	receive(&ann, view(typed(1, 0, 1)));
	assert_text(&ann, "t", "xct");
	assert_false(crdt_doc_is_waiting(ann.doc));
	replica_close(&ann);
}

static void
state_vectors_include_one_another(void **state)
{
	static const uint8_t small[] = {2, 7, 3, 1, 5};
	static const uint8_t large[] = {3, 8, 1, 7, 3, 1, 6};
	static const uint8_t nothing[] = {0};
	TestHost world;
	CrdtError error;
	bool includes;

	(void) state;
	test_host_open(&world);
#define INCLUDES(one, other)                                                                   \
	(assert_int_equal(                                                                         \
		 crdt_state_vector_includes(&world.host, BYTES(one), BYTES(other), &includes, &error), \
		 CRDT_OK),                                                                             \
	 includes)
	assert_true(INCLUDES(large, small));
	assert_false(INCLUDES(small, large));
	assert_true(INCLUDES(small, small));
	assert_true(INCLUDES(small, nothing));
	assert_false(INCLUDES(nothing, small));
	assert_true(INCLUDES(nothing, nothing));
	assert_int_equal(crdt_state_vector_includes(&world.host, BYTES(large), (CrdtBytes){small, 3},
												&includes, &error),
					 CRDT_TRUNCATED);
	assert_int_equal(error.part, 1);
	assert_int_equal(world.bytes, 0);
}

int
run_waiting_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_says_what_it_waits_for),
		cmocka_unit_test(what_waits_is_bounded_and_what_is_missing_ends_it),
		cmocka_unit_test(one_client_may_not_take_all_the_room),
		cmocka_unit_test(an_update_that_brings_much_and_leaves_more_waiting_is_refused),
		cmocka_unit_test(deletes_that_wait_are_bounded_too),
		cmocka_unit_test(deletes_wait_for_edits_as_well),
		cmocka_unit_test(state_vectors_include_one_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
