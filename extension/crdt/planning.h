/*
 * planning.h: one pass of a plan from the inside (plan.h).
 *
 *     crdt_plan_order       decoded arrivals -> steps; what has to wait stays in their runs
 *     crdt_plan_park_rest   that joins what waits
 *     crdt_plan_deletes     ranges -> deletes, and those that wait
 *
 * All of them say CRDT_OK or leave an error in the plan; crdt_plan_make then forgets everything.
 */
#ifndef CRDT_PLANNING_H
#define CRDT_PLANNING_H

#include "plan.h"

/* Room for one more element of one of the plan's arrays. */
#define CRDT_PLAN_GROW(plan, array, noun)                                            \
	crdt_array_reserve(&(plan)->doc->host, &(plan)->array, &(plan)->noun##_capacity, \
					   (plan)->noun##_count + 1, sizeof(*(plan)->array))

static inline CrdtStatus
crdt_plan_no_memory(CrdtPlan *plan)
{
	return crdt_error_no_memory(plan->error);
}

/* Has it names in plan->names? */
static inline bool
crdt_arrival_has_names(const CrdtArrival *arrival)
{
	return (arrival->flags & (CRDT_PARENT_IS_ROOT | CRDT_HAS_PARENT_SUB)) != 0 ||
		   crdt_kind_has_name(arrival->kind, arrival->type_ref);
}

/* The client, now among the planned ones; there is room for it. */
static inline CrdtClient *
crdt_plan_client(CrdtPlan *plan, uint32_t number)
{
	CrdtClient *client = &plan->doc->clients[number];

	if (!client->is_planned)
	{
		client->is_planned = true;
		client->planned_state = client->state;
		client->run = 0;
		plan->clients[plan->client_count++] = number;
	}
	return client;
}

/* Orders the arrivals; missing: what those that have to wait lack (plan_order.c). */
CRDT_MUST_CHECK CrdtStatus crdt_plan_order(CrdtPlan *plan, CrdtStateVector *missing);

/* Is something there now that waiting structs lacked (plan_wait.c)? */
bool crdt_plan_can_retry(const CrdtPlan *plan);

/* Adds the rest of this pass to what waits.  retry: some of that may have come to its end. */
CRDT_MUST_CHECK CrdtStatus crdt_plan_park_rest(CrdtPlan *plan, const CrdtStateVector *missing,
											   bool retry);

/* Takes out all structs that wait, as an update of V2 in scratch. */
CRDT_MUST_CHECK CrdtStatus crdt_plan_take_waiting(CrdtPlan *plan, CrdtBytes *update);

/* Does no more wait than may?  When all is planned. */
CRDT_MUST_CHECK CrdtStatus crdt_plan_check_waiting(CrdtPlan *plan);

/* Plans the deletes of this pass, and those that waited for something in it (plan_deletes.c). */
CRDT_MUST_CHECK CrdtStatus crdt_plan_deletes(CrdtPlan *plan);

#endif
