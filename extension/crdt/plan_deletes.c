/*
 * plan_deletes.c: which deletes of an update can be done, and which have to wait for what they delete
 * (planning.h; FORMAT 7.5).
 */
#include "planning.h"
#include "tables.h"

/* ---- deletes ---- */

/* First clock of the client that will be unknown. */
static uint64_t
planned_state(CrdtPlan *plan, uint64_t id, uint32_t *number)
{
	*number = crdt_client_find(plan->doc, id);
	if (*number == CRDT_NO_CLIENT)
		return 0;
	return plan->doc->clients[*number].is_planned ? plan->doc->clients[*number].planned_state
												  : plan->doc->clients[*number].state;
}

/* Splits ranges into what can be deleted now and what has to wait, which is appended to waiting. */
static bool
plan_ranges(CrdtPlan *plan, const CrdtIdSet *ranges, CrdtIdSet *waiting)
{
	if (!crdt_array_reserve(&plan->doc->host, &plan->deletes, &plan->delete_capacity,
							plan->delete_count + ranges->count, sizeof(CrdtDeletedRange)))
		return false;
	for (size_t i = 0; i < ranges->count; i++)
	{
		CrdtIdRange range = ranges->ranges[i];
		uint32_t client;
		uint64_t state = planned_state(plan, range.client, &client);
		uint64_t end = range.clock + range.length;

		if (range.clock < state)
		{
			uint64_t known_end = end < state ? end : state;

			if (!CRDT_PLAN_GROW(plan, clients, client))
				return false;
			crdt_plan_client(plan, client);
			plan->deletes[plan->delete_count++] =
				(CrdtDeletedRange){range.clock, known_end - range.clock, client};
			range.clock = known_end;
			range.length = end - known_end;
		}
		if (range.length > 0 && !crdt_idset_add(waiting, range))
			return false;
	}
	return true;
}

static bool
some_range_is_known(CrdtPlan *plan, const CrdtIdSet *ranges)
{
	uint32_t client;

	for (size_t i = 0; i < ranges->count; i++)
		if (ranges->ranges[i].clock < planned_state(plan, ranges->ranges[i].client, &client))
			return true;
	return false;
}

/* Will there be something that these deletes waited for?  Much may wait, and little is planned: only
 * the planned clients are looked up. */
static bool
waited_is_known(CrdtPlan *plan, const CrdtIdSet *waited)
{
	if (waited->count == 0)
		return false;
	if (plan->doc->edited_since_apply)
		return some_range_is_known(plan, waited);
	for (size_t i = 0; i < plan->client_count; i++)
	{
		const CrdtClient *client = &plan->doc->clients[plan->clients[i]];
		size_t first = crdt_idset_find(waited, client->id, 0);

		if (first < waited->count && waited->ranges[first].client == client->id &&
			waited->ranges[first].clock < client->planned_state)
			return true;
	}
	return false;
}

static bool
all_is_held(const CrdtIdSet *set, const CrdtIdSet *ranges)
{
	for (size_t i = 0; i < ranges->count; i++)
		if (!crdt_idset_holds(set, ranges->ranges[i]))
			return false;
	return true;
}

/* Takes out ranges of length 0.  One that would have to wait is refused: V2, in which Yjs keeps what
 * waits, has no such range. */
static CrdtStatus
drop_empty_ranges(CrdtPlan *plan)
{
	CrdtIdSet *ranges = &plan->fresh_deletes;
	size_t kept = 0;
	uint32_t client;

	for (size_t i = 0; i < ranges->count; i++)
	{
		const CrdtIdRange *range = &ranges->ranges[i];

		if (range->length > 0)
			ranges->ranges[kept++] = *range;
		else if (range->clock >= planned_state(plan, range->client, &client))
			return crdt_error_set(plan->error, CRDT_MALFORMED, 0,
								  "a deleted range of client %llu has length 0",
								  (unsigned long long) range->client);
	}
	ranges->count = kept;
	return CRDT_OK;
}

/* Plans the deletes that waited; fresh ones join those that still do. */
static bool
renew_waiting_deletes(CrdtPlan *plan, const CrdtIdSet *waited, const CrdtIdSet *fresh)
{
	CrdtIdSet still;
	CrdtIdSet waiting;
	bool done;

	crdt_idset_open(&still, &plan->doc->host);
	crdt_idset_open(&waiting, &plan->doc->host);
	done = plan_ranges(plan, waited, &still) && crdt_idset_merge(&still, fresh, &waiting);
	crdt_idset_close(&still);
	if (!done)
	{
		crdt_idset_close(&waiting);
		return false;
	}
	if (plan->deletes_changed)
		crdt_idset_close(&plan->waiting_deletes);
	plan->waiting_deletes = waiting;
	plan->deletes_changed = true;
	plan->touches_waiting = true;
	return true;
}

CrdtStatus
crdt_plan_deletes(CrdtPlan *plan)
{
	const CrdtIdSet *waited =
		plan->deletes_changed ? &plan->waiting_deletes : &plan->doc->pending.deletes;
	CrdtIdSet fresh; /* of the update's, those that have to wait */
	CrdtStatus status;
	bool done;

	if (plan->fresh_deletes.count + waited->count == 0)
		return CRDT_OK;
	status = drop_empty_ranges(plan);
	if (status != CRDT_OK)
		return status;
	crdt_idset_open(&fresh, &plan->doc->host);
	crdt_idset_normalize(&plan->fresh_deletes);
	done = plan_ranges(plan, &plan->fresh_deletes, &fresh);
	if (done && !all_is_held(waited, &fresh))
		plan->adds_deletes = true;
	else
		fresh.count = 0;
	if (done && (fresh.count > 0 || waited_is_known(plan, waited)))
		done = renew_waiting_deletes(plan, waited, &fresh);
	crdt_idset_close(&fresh);
	return done ? CRDT_OK : crdt_plan_no_memory(plan);
}
