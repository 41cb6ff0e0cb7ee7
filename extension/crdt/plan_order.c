/*
 * plan_order.c: the order of integration (planning.h; FORMAT 7.5, step 2).
 *
 * It depends on clocks alone, so it is found by moving planned states forward instead of real ones:
 *
 *     head of the highest client ── needs a client we have structs of ──> suspend it, take that
 *            │                                                           one's next struct first
 *            ├── needs what nobody has ──> it and all suspended ones wait (pending)
 *            └── complete ──> next step
 *
 * Here: that, and the numbers of what arrivals name.  Not here: what becomes of those that wait
 * (plan_wait.c).
 */
#include "planning.h"
#include "tables.h"

/* ---- resolving names and clients to numbers ---- */

static bool
add_client(CrdtPlan *plan, uint64_t id, uint32_t *number)
{
	if (!CRDT_PLAN_GROW(plan, clients, client) || !crdt_client_add(plan->doc, id, number))
		return false;
	crdt_plan_client(plan, *number);
	return true;
}

static bool
resolve_parent(CrdtPlan *plan, CrdtArrival *arrival)
{
	const CrdtStruct *wire = &arrival->wire;
	uint32_t name;

	if ((wire->flags & CRDT_PARENT_IS_ROOT) != 0)
	{
		if (!crdt_name_add(plan->doc, wire->parent_name, &name) ||
			!crdt_root_add(plan->doc, name, &arrival->parent))
			return false;
	}
	else if ((wire->flags & CRDT_PARENT_IS_ID) != 0 &&
			 !add_client(plan, wire->parent_id.client, &arrival->parent))
		return false;
	arrival->key = 0;
	return wire->parent_sub.data == NULL ||
		   crdt_name_add(plan->doc, wire->parent_sub, &arrival->key);
}

static bool
resolve(CrdtPlan *plan, CrdtArrival *arrival, uint32_t client)
{
	const CrdtStruct *wire = &arrival->wire;

	arrival->client = client;
	arrival->origin_client = client;
	arrival->right_client = client;
	arrival->name = 0;
	if ((wire->flags & CRDT_HAS_ORIGIN) != 0 && wire->origin.client != wire->client &&
		!add_client(plan, wire->origin.client, &arrival->origin_client))
		return false;
	if ((wire->flags & CRDT_HAS_RIGHT_ORIGIN) != 0 && wire->right_origin.client != wire->client &&
		!add_client(plan, wire->right_origin.client, &arrival->right_client))
		return false;
	if (!resolve_parent(plan, arrival))
		return false;
	return !crdt_struct_has_name(wire) || crdt_name_add(plan->doc, wire->name, &arrival->name);
}

static bool
run_is_before(const void *a, const void *b)
{
	const CrdtArrivalRun *left = a;
	const CrdtArrivalRun *right = b;

	/* of two blocks of one client the later one counts: it comes first here */
	return left->client_id != right->client_id ? left->client_id > right->client_id
											   : left->start > right->start;
}

/* Runs sorted by client, descending; what they name has numbers. */
static CrdtStatus
resolve_runs(CrdtPlan *plan)
{
	size_t kept = 0;

	for (size_t i = 0; i < plan->run_count; i++)
		plan->runs[i].client_id = plan->arrivals[plan->runs[i].start].wire.client;
	crdt_sort(plan->runs, plan->run_count, sizeof(CrdtArrivalRun), run_is_before);
	for (size_t i = 0; i < plan->run_count; i++)
	{
		CrdtArrivalRun run = plan->runs[i];

		if (kept > 0 && plan->runs[kept - 1].client_id == run.client_id)
			continue;
		if (!add_client(plan, run.client_id, &run.client))
			return crdt_plan_no_memory(plan);
		run.at = run.start;
		run.rest_start = run.rest_end = run.end;
		plan->runs[kept++] = run;
		plan->doc->clients[run.client].run = (uint32_t) kept;
		for (size_t at = run.start; at < run.end; at++)
			if (!resolve(plan, &plan->arrivals[at], run.client))
				return crdt_plan_no_memory(plan);
	}
	plan->run_count = kept;
	return CRDT_OK;
}
/* ---- ordering by dependency (7.5, step 2) ---- */

static bool
is_known(const CrdtPlan *plan, const CrdtArrival *arrival, uint32_t client, uint64_t clock)
{
	return client == arrival->client || clock < plan->doc->clients[client].planned_state;
}

/* The client that a struct still misses; CRDT_NO_CLIENT: none (7.3). */
static uint32_t
missing_client(const CrdtPlan *plan, const CrdtArrival *arrival)
{
	const CrdtStruct *wire = &arrival->wire;

	if ((wire->flags & CRDT_HAS_ORIGIN) != 0 &&
		!is_known(plan, arrival, arrival->origin_client, wire->origin.clock))
		return arrival->origin_client;
	if ((wire->flags & CRDT_HAS_RIGHT_ORIGIN) != 0 &&
		!is_known(plan, arrival, arrival->right_client, wire->right_origin.clock))
		return arrival->right_client;
	if ((wire->flags & CRDT_PARENT_IS_ID) != 0 &&
		!is_known(plan, arrival, arrival->parent, wire->parent_id.clock))
		return arrival->parent;
	return CRDT_NO_CLIENT;
}

/* All suspended structs, and what follows them of their clients, have to wait. */
static void
stack_to_rest(CrdtPlan *plan)
{
	for (size_t i = 0; i < plan->stack_count; i++)
	{
		const CrdtArrival *arrival = &plan->arrivals[plan->stack[i]];
		CrdtArrivalRun *run = &plan->runs[plan->doc->clients[arrival->client].run - 1];

		if (!run->closed)
		{
			run->rest_start = run->at - 1;
			run->rest_end = run->end;
			run->closed = true;
			run->at = run->end;
		}
		else
		{
			run->rest_start = plan->stack[i];
			run->rest_end = plan->stack[i] + 1;
		}
	}
	plan->stack_count = 0;
}

/* The next struct to look at: a suspended one, or the next of the current run, or the first of the
 * highest client that has any left. */
static bool
next_head(CrdtPlan *plan, size_t *run, size_t *head)
{
	if (plan->stack_count > 0)
	{
		*head = plan->stack[--plan->stack_count];
		return true;
	}
	while (*run < plan->run_count && plan->runs[*run].at == plan->runs[*run].end)
		++*run;
	if (*run == plan->run_count)
		return false;
	*head = plan->runs[*run].at++;
	return true;
}

/* Deals with head, which is not a Skip; next: whose struct to look at first, or none. */
static bool
order_head(CrdtPlan *plan, size_t head, CrdtStateVector *missing, CrdtArrivalRun **next)
{
	const CrdtArrival *arrival = &plan->arrivals[head];
	CrdtClient *client = &plan->doc->clients[arrival->client];
	uint64_t offset = client->planned_state - arrival->wire.clock;
	uint32_t lacked;

	*next = NULL;
	if (arrival->wire.clock > client->planned_state)
	{
		plan->stack[plan->stack_count++] = head;
		if (!crdt_note_missing(missing, client->id, arrival->wire.clock - 1))
			return false;
		stack_to_rest(plan);
		return true;
	}
	lacked = missing_client(plan, arrival);
	if (lacked != CRDT_NO_CLIENT)
	{
		CrdtClient *other = &plan->doc->clients[lacked];
		CrdtArrivalRun *run = other->run == 0 ? NULL : &plan->runs[other->run - 1];

		plan->stack[plan->stack_count++] = head;
		if (run != NULL && run->at < run->end)
		{
			*next = run;
			return true;
		}
		if (!crdt_note_missing(missing, other->id, other->planned_state))
			return false;
		stack_to_rest(plan);
		return true;
	}
	plan->steps[plan->step_count++] = (CrdtStep){head, offset};
	if (offset < arrival->wire.length)
		client->planned_state += arrival->wire.length - offset;
	return true;
}

static CrdtStatus
order_structs(CrdtPlan *plan, CrdtStateVector *missing)
{
	const CrdtHost *host = &plan->doc->host;
	size_t run = 0;
	size_t head;

	/* each arrival is on the stack at most once, and is at most one step */
	if (!crdt_array_reserve(host, &plan->stack, &plan->stack_capacity, plan->arrival_count,
							sizeof(size_t)) ||
		!crdt_array_reserve(host, &plan->steps, &plan->step_capacity, plan->arrival_count,
							sizeof(CrdtStep)))
		return crdt_plan_no_memory(plan);
	while (next_head(plan, &run, &head))
	{
		CrdtArrivalRun *next = NULL;

		do
		{
			if (next != NULL)
				head = next->at++;
			next = NULL;
			if (plan->arrivals[head].wire.kind != CRDT_SKIP &&
				!order_head(plan, head, missing, &next))
				return crdt_plan_no_memory(plan);
		} while (next != NULL);
	}
	return CRDT_OK;
}

CrdtStatus
crdt_plan_order(CrdtPlan *plan, CrdtStateVector *missing)
{
	CrdtStatus status = resolve_runs(plan);

	return status == CRDT_OK ? order_structs(plan, missing) : status;
}
