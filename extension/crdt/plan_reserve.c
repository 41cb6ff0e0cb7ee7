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

/* Fewer steps are counted without, and so are structs that are longer than that on average. */
#define STARTS_LEAST_STEPS 64
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
		if (units > STARTS_MOST_UNITS * plan->step_count)
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
	if (plan->step_count < STARTS_LEAST_STEPS)
		return true;
	if (!crdt_array_reserve(host, &starts->first, &starts->first_capacity, plan->client_count,
							sizeof(uint64_t)))
		return false;
	units = number_clients(plan, starts->first);
	if (units > STARTS_MOST_UNITS * plan->step_count)
		return true;
	if (!crdt_array_reserve(host, &starts->bits, &starts->bits_capacity, (size_t) units / 64 + 1,
							sizeof(uint64_t)))
		return false;
	memset(starts->bits, 0, starts->bits_capacity * sizeof(uint64_t));
	for (size_t i = 0; i < plan->step_count; i++)
	{
		const CrdtStep *step = &plan->steps[i];
		const CrdtArrival *arrival = &plan->arrivals[step->arrival];

		if (step->offset < arrival->wire.length)
			note_start(starts, arrival->client, arrival->wire.clock + step->offset);
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

/* Does the struct continue the one that is integrated just before it? */
static bool
continues(const CrdtPlan *plan, const CrdtStep *step, const CrdtArrival *arrival)
{
	const CrdtArrival *before = arrival - 1;

	return step > plan->steps && step[-1].arrival + 1 == step->arrival &&
		   before->client == arrival->client && step[-1].offset < before->wire.length &&
		   before->wire.clock + before->wire.length == arrival->wire.clock &&
		   arrival->wire.origin.client == arrival->wire.client &&
		   arrival->wire.origin.clock == arrival->wire.clock - 1;
}

/* Has the struct before it made the cut that its right origin needs? */
static bool
shares_right_origin(const CrdtPlan *plan, const CrdtStep *step, const CrdtArrival *arrival)
{
	const CrdtStruct *before;

	if (step == plan->steps)
		return false;
	before = &plan->arrivals[step[-1].arrival].wire;
	return (before->flags & CRDT_HAS_RIGHT_ORIGIN) != 0 &&
		   before->right_origin.client == arrival->wire.right_origin.client &&
		   before->right_origin.clock == arrival->wire.right_origin.clock;
}

static void
count_step(CrdtPlan *plan, const Starts *starts, const CrdtStep *step, CrdtNeeds *needs)
{
	const CrdtArrival *arrival = &plan->arrivals[step->arrival];
	const CrdtStruct *wire = &arrival->wire;

	if ((wire->flags & CRDT_HAS_ORIGIN) != 0)
	{
		if (!continues(plan, step, arrival) &&
			!is_start(starts, arrival->origin_client, wire->origin.clock + 1))
			crdt_needs_split(plan->doc, needs, arrival->origin_client);
		needs->wide |= crdt_id_is_wide(arrival->origin_client, wire->origin.clock);
	}
	if ((wire->flags & CRDT_HAS_RIGHT_ORIGIN) != 0)
	{
		if (!shares_right_origin(plan, step, arrival) &&
			!is_start(starts, arrival->right_client, wire->right_origin.clock))
			crdt_needs_split(plan->doc, needs, arrival->right_client);
		needs->wide |= crdt_id_is_wide(arrival->right_client, wire->right_origin.clock);
	}
	if (step->offset >= wire->length)
		return;
	needs->wide |= crdt_id_is_wide(arrival->client, wire->clock + wire->length);
	needs->items++;
	needs->lists += arrival->key != 0;
	plan->doc->clients[arrival->client].coming_structs++;
	crdt_needs_content(needs, wire);
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
count_delete(CrdtPlan *plan, const Starts *starts, const CrdtDeletedRange *range, CrdtNeeds *needs)
{
	if (!is_start(starts, range->client, range->clock))
		crdt_needs_split(plan->doc, needs, range->client);
	if (!is_start(starts, range->client, range->clock + range->length))
		crdt_needs_split(plan->doc, needs, range->client);
	needs->deleted += structs_in_range(plan->doc, range) + 1;
}

CrdtStatus
crdt_plan_reserve(CrdtPlan *plan)
{
	CrdtNeeds needs = crdt_needs(plan->doc);
	Starts starts;
	bool opened = open_starts(&starts, plan);

	needs.deep |= plan->delete_count > 0;
	for (size_t i = 0; opened && i < plan->step_count; i++)
		count_step(plan, &starts, &plan->steps[i], &needs);
	for (size_t i = 0; opened && i < plan->delete_count; i++)
		count_delete(plan, &starts, &plan->deletes[i], &needs);
	close_starts(&starts);
	if (!opened)
		return crdt_error_no_memory(plan->error);
	return crdt_reserve(plan->doc, &needs, plan->clients, plan->client_count, plan->error);
}
