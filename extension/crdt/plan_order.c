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

/* The client of an id: its number for Yjs's id. */
static bool
resolve_client(CrdtPlan *plan, CrdtId *id, const CrdtArrivalRun *run)
{
	uint32_t number = run->client;

	if (id->client != run->client_id && !add_client(plan, id->client, &number))
		return false;
	id->client = number;
	return true;
}

static bool
resolve_names(CrdtPlan *plan, CrdtArrival *arrival)
{
	const CrdtBytes *names = plan->names + arrival->names;
	uint32_t root;

	if ((arrival->flags & CRDT_PARENT_IS_ROOT) != 0 &&
		(!crdt_name_add(plan->doc, *names++, &root) ||
		 !crdt_root_add(plan->doc, root, &arrival->root)))
		return false;
	if ((arrival->flags & CRDT_HAS_PARENT_SUB) != 0 &&
		!crdt_name_add(plan->doc, *names++, &arrival->key))
		return false;
	return !crdt_kind_has_name(arrival->kind, arrival->type_ref) ||
		   crdt_name_add(plan->doc, *names, &arrival->name);
}

static bool
resolve(CrdtPlan *plan, CrdtArrival *arrival, const CrdtArrivalRun *run)
{
	arrival->client = run->client;
	arrival->name = 0;
	if ((arrival->flags & (CRDT_HAS_ORIGIN | CRDT_PARENT_IS_ID)) != 0 &&
		!resolve_client(plan, &arrival->origin, run))
		return false;
	if ((arrival->flags & CRDT_HAS_RIGHT_ORIGIN) != 0 &&
		!resolve_client(plan, &arrival->right_origin, run))
		return false;
	return !crdt_arrival_has_names(arrival) || resolve_names(plan, arrival);
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
			if (!resolve(plan, &plan->arrivals[at], &run))
				return crdt_plan_no_memory(plan);
	}
	plan->run_count = kept;
	return CRDT_OK;
}
/* ---- ordering by dependency (7.5, step 2) ---- */

static bool
is_known(const CrdtPlan *plan, const CrdtArrival *arrival, CrdtId id)
{
	return id.client == arrival->client || id.clock < plan->doc->clients[id.client].planned_state;
}

/* The client that a struct still misses; CRDT_NO_CLIENT: none (7.3). */
static uint32_t
missing_client(const CrdtPlan *plan, const CrdtArrival *arrival)
{
	if ((arrival->flags & (CRDT_HAS_ORIGIN | CRDT_PARENT_IS_ID)) != 0 &&
		!is_known(plan, arrival, arrival->origin))
		return (uint32_t) arrival->origin.client;
	if ((arrival->flags & CRDT_HAS_RIGHT_ORIGIN) != 0 &&
		!is_known(plan, arrival, arrival->right_origin))
		return (uint32_t) arrival->right_origin.client;
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

/* The arrival is integrated next, when its client has that state. */
static bool
add_step(CrdtPlan *plan, size_t at, uint64_t state)
{
	const CrdtArrival *arrival = &plan->arrivals[at];

	if (at == plan->next_in_step && arrival[-1].client == arrival->client)
	{
		plan->steps[plan->step_count - 1].end = ++plan->next_in_step;
		return true;
	}
	if (!CRDT_PLAN_GROW(plan, steps, step))
		return false;
	plan->next_in_step = at + 1;
	plan->steps[plan->step_count++] = (CrdtStep){at, at + 1, state};
	return true;
}

/* Deals with head, which is not a Skip; next: whose struct to look at first, or none. */
static bool
order_head(CrdtPlan *plan, size_t head, CrdtStateVector *missing, CrdtArrivalRun **next)
{
	const CrdtArrival *arrival = &plan->arrivals[head];
	CrdtClient *client = &plan->doc->clients[arrival->client];
	uint64_t end = arrival->clock + arrival->length;
	uint32_t lacked;

	*next = NULL;
	if (arrival->clock > client->planned_state)
	{
		plan->stack[plan->stack_count++] = head;
		if (!crdt_note_missing(missing, client->id, arrival->clock - 1))
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
	if (!add_step(plan, head, client->planned_state))
		return false;
	if (end > client->planned_state)
		client->planned_state = end;
	return true;
}

static CrdtStatus
order_structs(CrdtPlan *plan, CrdtStateVector *missing)
{
	const CrdtHost *host = &plan->doc->host;
	size_t run = 0;
	size_t head;

	/* each arrival is on the stack at most once */
	if (!crdt_array_reserve(host, &plan->stack, &plan->stack_capacity, plan->arrival_count,
							sizeof(size_t)))
		return crdt_plan_no_memory(plan);
	plan->next_in_step = SIZE_MAX;
	while (next_head(plan, &run, &head))
	{
		CrdtArrivalRun *next = NULL;

		do
		{
			if (next != NULL)
				head = next->at++;
			next = NULL;
			if (plan->arrivals[head].kind != CRDT_SKIP && !order_head(plan, head, missing, &next))
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
