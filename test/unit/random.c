/*
 * random.c: the updates of two people's session, delivered as bad networks would (doc/invariants.md:
 * replica-is-prefix).
 *
 * The model is the same updates in the order in which they were made.  Each test prints its seed;
 * SEED=N in the environment repeats it.
 */
#include "replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../core/input.h"
#include "../core/trace.h"

#define ROUNDS 12
#define UPDATES_MAX 400

/* xorshift64*: the same numbers everywhere. */
typedef struct Dice
{
	uint64_t state;
} Dice;

typedef struct Session
{
	Trace trace;
	Dice dice;
	size_t count; /* of the updates that are delivered */
	size_t order[2 * UPDATES_MAX];
	size_t order_count; /* with repetitions */
} Session;

static uint64_t
roll(Dice *dice, uint64_t sides)
{
	dice->state ^= dice->state >> 12;
	dice->state ^= dice->state << 25;
	dice->state ^= dice->state >> 27;
	return (dice->state * UINT64_C(2685821657736338717) >> 11) % sides;
}

static Session *
session_open(const char *test)
{
	const char *seed = getenv("SEED");
	Session *session = test_alloc(sizeof *session);
	char directory[4096];

	memset(session, 0, sizeof *session);
	session->dice.state = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t) time(NULL);
	printf("%s: SEED=%llu\n", test, (unsigned long long) session->dice.state);
	fflush(stdout);
	/* Neighbouring seeds must not give neighbouring numbers; 0 would give none. */
	session->dice.state = (session->dice.state + 1) * UINT64_C(0x9e3779b97f4a7c15);
	snprintf(directory, sizeof directory, "%s/traces", data_directory);
	trace_read(&session->trace, directory,
			   roll(&session->dice, 2) == 0 ? "friendsforever" : "clownschool", false);
	return session;
}

static void
session_close(Session *session)
{
	trace_free(&session->trace);
	free(session);
}

/* A new number of updates, in a new order, some of them twice. */
static void
shuffle(Session *session)
{
	session->count = 1 + roll(&session->dice, UPDATES_MAX);
	session->order_count = 0;
	for (size_t i = 0; i < session->count; i++)
	{
		session->order[session->order_count++] = i;
		if (roll(&session->dice, 4) == 0)
			session->order[session->order_count++] = i;
	}
	for (size_t i = session->order_count - 1; i > 0; i--)
	{
		size_t other = roll(&session->dice, i + 1);
		size_t kept = session->order[i];

		session->order[i] = session->order[other];
		session->order[other] = kept;
	}
}

/* Who got the updates in the order in which they were made. */
static Replica
the_model(const Session *session)
{
	Replica model = replica_new();

	for (size_t i = 0; i < session->count; i++)
		receive(&model, session->trace.updates[i]);
	assert_false(crdt_doc_is_waiting(model.doc));
	return model;
}

/*
 * Yjs notes only the last of several reasons for which structs wait, so two clients' structs can
 * end up waiting for one another although all updates came (the real Yjs stops at the same update).
 * Whoever loads such a document's state anew gets everything.
 */
static void
reload_if_stuck(Replica *replica)
{
	Replica reloaded;

	if (!crdt_doc_is_waiting(replica->doc))
		return;
	reloaded = replica_new();
	send_missing(replica, &reloaded);
	replica_close(replica);
	*replica = reloaded;
}

/* Same text, same state vector; struct boundaries may differ, so bytes may. */
static void
assert_converged(Replica *replica, Replica *model)
{
	CrdtBuffer vector;
	CrdtBuffer model_vector;
	CrdtBuffer text;
	CrdtBuffer model_text;

	reload_if_stuck(replica);
	vector = state_vector_of(replica);
	model_vector = state_vector_of(model);
	text = text_of(replica, "content");
	model_text = text_of(model, "content");
	assert_false(crdt_doc_is_waiting(replica->doc));
	assert_bytes_equal(crdt_buffer_view(&vector), crdt_buffer_view(&model_vector));
	assert_bytes_equal(crdt_buffer_view(&text), crdt_buffer_view(&model_text));
	crdt_buffer_close(&vector);
	crdt_buffer_close(&model_vector);
	crdt_buffer_close(&text);
	crdt_buffer_close(&model_text);
}

static void
any_order_of_delivery_ends_in_the_same_text(void **state)
{
	Session *session = session_open(__func__);

	(void) state;
	for (int round = 0; round < ROUNDS; round++)
	{
		Replica ann = replica_new();
		Replica model;

		shuffle(session);
		model = the_model(session);
		for (size_t i = 0; i < session->order_count; i++)
			receive(&ann, session->trace.updates[session->order[i]]);
		assert_converged(&ann, &model);
		replica_close(&ann);
		replica_close(&model);
	}
	session_close(session);
}

static void
any_grouping_of_merges_ends_in_the_same_text(void **state)
{
	Session *session = session_open(__func__);

	(void) state;
	for (int round = 0; round < ROUNDS; round++)
	{
		Replica ann = replica_new();
		Replica model;

		shuffle(session);
		model = the_model(session);
		for (size_t i = 0; i < session->order_count;)
		{
			CrdtBytes group[64];
			size_t size = 1 + roll(&session->dice, 64);
			CrdtBuffer merged;
			CrdtError error = {0};
			size_t k;

			for (k = 0; k < size && i < session->order_count; k++, i++)
				group[k] = session->trace.updates[session->order[i]];
			crdt_buffer_open(&merged, &ann.world->host);
			assert_int_equal(
				crdt_update_merge(&ann.world->host, group, k, CRDT_V1, &merged, &error), CRDT_OK);
			receive(&ann, crdt_buffer_view(&merged));
			crdt_buffer_close(&merged);
		}
		assert_converged(&ann, &model);
		replica_close(&ann);
		replica_close(&model);
	}
	session_close(session);
}

static void
two_who_missed_different_updates_agree_after_an_exchange(void **state)
{
	Session *session = session_open(__func__);

	(void) state;
	for (int round = 0; round < ROUNDS; round++)
	{
		Replica ann = replica_new();
		Replica ben = replica_new();
		Replica model;

		shuffle(session);
		model = the_model(session);
		/* Each update reaches at least one of them. */
		for (size_t i = 0; i < session->order_count; i++)
		{
			CrdtBytes update = session->trace.updates[session->order[i]];
			uint64_t who = session->order[i] % 3;

			if (who != 0)
				receive(&ann, update);
			if (who != 1)
				receive(&ben, update);
		}
		send_missing(&ann, &ben);
		send_missing(&ben, &ann);
		assert_converged(&ann, &model);
		assert_converged(&ben, &model);
		replica_close(&ann);
		replica_close(&ben);
		replica_close(&model);
	}
	session_close(session);
}

int
run_random_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_order_of_delivery_ends_in_the_same_text),
		cmocka_unit_test(any_grouping_of_merges_ends_in_the_same_text),
		cmocka_unit_test(two_who_missed_different_updates_agree_after_an_exchange),
	};

	return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
