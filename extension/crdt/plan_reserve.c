/*
 * plan_reserve.c: what carrying out a plan takes at most, counted and reserved (plan.h, reserve.h).
 *
 * Every struct that an arrival names may have to be cut, unless it is known to begin or end there.
 * Of a large update that is known: a bit for each clock that is coming says where structs begin.
 *
 *     client 7   state = 3    arrivals [3..5] [6] [7..9]
 *                bits             1 0 0   1   1 0 0
 *
 * Without that, loading a document would reserve three times what it keeps.
 */
#include <string.h>

#include "plan.h"
#include "reserve.h"
#include "structs.h"
#include "tables.h"

/* Fewer structs are counted without, and so are those that are longer than that on average. */
#define STARTS_LEAST_STRUCTS 64
#define STARTS_MOST_UNITS 512

/* Where structs that are coming begin. */
typedef struct Starts
{
	const CrdtDoc *doc;
	uint64_t *bits; /* NULL: not known */
	size_t bits_capacity; /* in words */
	uint64_t *first; /* by client->run - 1: the bit of the client's state */
	size_t first_capacity;
} Starts;

/* ---- where structs begin ---- */

/* The clocks that are coming of all clients; client->run becomes a number + 1 among the planned. */
static uint64_t
number_clients(const CrdtPlan *plan, uint64_t *first)
{
	uint64_t units = 0;

	for (size_t i = 0; i < plan->client_count; i++)
	{
		CrdtClient *client = &plan->doc->clients[plan->clients[i]];

		client->run = (uint32_t) i + 1;
		first[i] = units;
		units += client->planned_state - client->state;
		if (units > STARTS_MOST_UNITS * plan->arrival_count)
			break;
	}
	return units;
}

static void
note_start(const Starts *starts, uint32_t number, uint64_t clock)
{
	const CrdtClient *client = &starts->doc->clients[number];
	uint64_t bit = starts->first[client->run - 1] + clock - client->state;

	starts->bits[bit / 64] |= UINT64_C(1) << bit % 64;
}

/* False: no memory; to be closed all the same. */
static bool
open_starts(Starts *starts, CrdtPlan *plan)
{
	const CrdtHost *host = &plan->doc->host;
	uint64_t units;

	*starts = (Starts){.doc = plan->doc};
	if (plan->arrival_count < STARTS_LEAST_STRUCTS)
		return true;
	if (!crdt_array_reserve(host, &starts->first, &starts->first_capacity, plan->client_count,
							sizeof(uint64_t)))
		return false;
	units = number_clients(plan, starts->first);
	if (units > STARTS_MOST_UNITS * plan->arrival_count)
		return true;
	if (!crdt_array_reserve(host, &starts->bits, &starts->bits_capacity, (size_t) units / 64 + 1,
							sizeof(uint64_t)))
		return false;
	memset(starts->bits, 0, starts->bits_capacity * sizeof(uint64_t));
	for (const CrdtStep *step = plan->steps; step < plan->steps + plan->step_count; step++)
		for (size_t at = step->start; at < step->end; at++)
		{
			const CrdtArrival *arrival = &plan->arrivals[at];
			uint64_t offset = crdt_step_offset(step, arrival);

			if (offset < arrival->length)
				note_start(starts, arrival->client, arrival->clock + offset);
		}
	return true;
}

static void
close_starts(Starts *starts)
{
	const CrdtHost *host = &starts->doc->host;

	crdt_array_free(host, &starts->bits, &starts->bits_capacity, sizeof(uint64_t));
	crdt_array_free(host, &starts->first, &starts->first_capacity, sizeof(uint64_t));
}

/* Is it certain that a struct begins at clock, or that nothing is known from there on? */
static bool
is_start(const Starts *starts, uint32_t number, uint64_t clock)
{
	const CrdtClient *client = &starts->doc->clients[number];
	uint64_t bit;

	if (starts->bits == NULL || clock < client->state)
		return false;
	if (clock >= client->planned_state)
		return true;
	bit = starts->first[client->run - 1] + clock - client->state;
	return (starts->bits[bit / 64] >> bit % 64 & 1) != 0;
}

/* ---- counting ---- */

typedef struct Counting
{
	CrdtPlan *plan;
	Starts starts;
	CrdtNeeds needs;
	const CrdtArrival
		*before; /* what is integrated before the arrival at hand; NULL: it is the first */
	bool before_is_new; /* not all of it is known already */
} Counting;

/* Does the struct continue the one that is integrated just before it? */
static bool
continues(const Counting *counting, const CrdtArrival *arrival)
{
	const CrdtArrival *before = counting->before;

	return before != NULL && before + 1 == arrival && counting->before_is_new &&
		   before->client == arrival->client && before->clock + before->length == arrival->clock &&
		   arrival->origin.client == arrival->client && arrival->origin.clock == arrival->clock - 1;
}

/* Has the struct before it made the cut that its right origin needs? */
static bool
shares_right_origin(const Counting *counting, const CrdtArrival *arrival)
{
	const CrdtArrival *before = counting->before;

	return before != NULL && (before->flags & CRDT_HAS_RIGHT_ORIGIN) != 0 &&
		   before->right_origin.client == arrival->right_origin.client &&
		   before->right_origin.clock == arrival->right_origin.clock;
}

static void
count_arrival(Counting *counting, const CrdtArrival *arrival, uint64_t offset)
{
	CrdtDoc *doc = counting->plan->doc;
	CrdtNeeds *needs = &counting->needs;

	if ((arrival->flags & CRDT_HAS_ORIGIN) != 0)
	{
		uint32_t client = (uint32_t) arrival->origin.client;

		if (!continues(counting, arrival) &&
			!is_start(&counting->starts, client, arrival->origin.clock + 1))
			crdt_needs_split(doc, needs, client);
		needs->wide |= crdt_id_is_wide(client, arrival->origin.clock);
	}
	if ((arrival->flags & CRDT_HAS_RIGHT_ORIGIN) != 0)
	{
		uint32_t client = (uint32_t) arrival->right_origin.client;

		if (!shares_right_origin(counting, arrival) &&
			!is_start(&counting->starts, client, arrival->right_origin.clock))
			crdt_needs_split(doc, needs, client);
		needs->wide |= crdt_id_is_wide(client, arrival->right_origin.clock);
	}
	counting->before = arrival;
	counting->before_is_new = offset < arrival->length;
	if (!counting->before_is_new)
		return;
	needs->wide |= crdt_id_is_wide(arrival->client, arrival->clock + arrival->length);
	needs->items++;
	needs->lists += (arrival->flags & CRDT_HAS_PARENT_SUB) != 0;
	doc->clients[arrival->client].coming_structs++;
	crdt_needs_content(needs, arrival->kind, arrival->ascii, arrival->content.size);
}

/* How many structs that are there already does a range touch? */
static uint64_t
structs_in_range(CrdtDoc *doc, const CrdtDeletedRange *range)
{
	CrdtClient *client = &doc->clients[range->client];

	if (range->clock >= client->state)
		return 0;
	return crdt_structs_count(client, range->clock, range->clock + range->length - 1);
}

static void
count_delete(Counting *counting, const CrdtDeletedRange *range)
{
	CrdtDoc *doc = counting->plan->doc;

	if (!is_start(&counting->starts, range->client, range->clock))
		crdt_needs_split(doc, &counting->needs, range->client);
	if (!is_start(&counting->starts, range->client, range->clock + range->length))
		crdt_needs_split(doc, &counting->needs, range->client);
	counting->needs.deleted += structs_in_range(doc, range) + 1;
}

static void
count_all(Counting *counting)
{
	const CrdtPlan *plan = counting->plan;

	for (const CrdtStep *step = plan->steps; step < plan->steps + plan->step_count; step++)
		for (size_t at = step->start; at < step->end; at++)
			count_arrival(counting, &plan->arrivals[at],
						  crdt_step_offset(step, &plan->arrivals[at]));
	for (size_t i = 0; i < plan->delete_count; i++)
		count_delete(counting, &plan->deletes[i]);
}

CrdtStatus
crdt_plan_reserve(CrdtPlan *plan)
{
	Counting counting;
	bool opened = open_starts(&counting.starts, plan);

	counting.plan = plan;
	counting.needs = crdt_needs(plan->doc);
	counting.needs.deep |= plan->delete_count > 0;
	counting.before = NULL;
	counting.before_is_new = false;
	if (opened)
		count_all(&counting);
	close_starts(&counting.starts);
	if (!opened)
		return crdt_error_no_memory(plan->error);
	return crdt_reserve(plan->doc, &counting.needs, plan->clients, plan->client_count, plan->error);
}
