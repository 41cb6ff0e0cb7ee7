/*
 * plan.c: decoding and ordering an update (plan.h; FORMAT 7.5).
 *
 * The order of integration depends on clocks alone, so it is found by moving planned states
 * forward instead of real ones:
 *
 *     head of the highest client ── needs a client we have structs of ──> suspend it, take that
 *            │                                                           one's next struct first
 *            ├── needs what nobody has ──> it and all suspended ones wait (pending)
 *            └── complete ──> next step
 */
#include "plan.h"

#include <string.h>

#include "confine.h"
#include "merge.h"
#include "structs.h"
#include "tables.h"
#include "update.h"

/* Larger arrays than this are given back after use. */
#define ARRAY_KEPT_BYTES 4096
#define CANCEL_CHECK_INTERVAL 4096
/* ---- life ---- */

CrdtPlan *
crdt_plan_new(CrdtDoc *doc)
{
	const CrdtHost *host = &doc->host;
	CrdtPlan *plan = host->resize(host->context, NULL, 0, sizeof(CrdtPlan));

	if (plan == NULL)
		return NULL;
	memset(plan, 0, sizeof(*plan));
	plan->doc = doc;
	crdt_arena_open(&plan->scratch, host);
	crdt_pending_open(&plan->pending, host);
	crdt_idset_open(&plan->fresh_deletes, host);
	crdt_update_writer_open(&plan->writer, host, CRDT_V2);
	crdt_buffer_open(&plan->late, host);
	plan->late_missing.host = host;
	crdt_idset_open(&plan->waiting_deletes, host);
	crdt_idset_open(&plan->late_ranges, host);
	return plan;
}

static void
free_array(CrdtPlan *plan, void *array, size_t *capacity, size_t element_size, size_t kept_bytes)
{
	if (*capacity * element_size > kept_bytes)
		crdt_array_free(&plan->doc->host, array, capacity, element_size);
}

static void
free_arrays(CrdtPlan *plan, size_t kept)
{
	free_array(plan, &plan->arrivals, &plan->arrival_capacity, sizeof(CrdtArrival), kept);
	free_array(plan, &plan->runs, &plan->run_capacity, sizeof(CrdtArrivalRun), kept);
	free_array(plan, &plan->stack, &plan->stack_capacity, sizeof(size_t), kept);
	free_array(plan, &plan->steps, &plan->step_capacity, sizeof(CrdtStep), kept);
	free_array(plan, &plan->deletes, &plan->delete_capacity, sizeof(CrdtDeletedRange), kept);
	free_array(plan, &plan->passes, &plan->pass_capacity, sizeof(CrdtPass), kept);
	free_array(plan, &plan->clients, &plan->client_capacity, sizeof(uint32_t), kept);
	free_array(plan, &plan->rest_clients, &plan->rest_client_capacity, sizeof(CrdtWaitingClient),
			   kept);
}

void
crdt_plan_clear(CrdtPlan *plan)
{
	for (size_t i = 0; i < plan->client_count; i++)
	{
		CrdtClient *client = &plan->doc->clients[plan->clients[i]];

		client->is_planned = false;
		client->run = 0;
		client->coming_splits = 0;
		client->coming_structs = 0;
	}
	plan->arrival_count = 0;
	plan->run_count = 0;
	plan->stack_count = 0;
	plan->step_count = 0;
	plan->delete_count = 0;
	plan->pass_count = 0;
	plan->client_count = 0;
	plan->rest_client_count = 0;
	plan->adds_deletes = false;
	if (plan->pending_changed)
		crdt_pending_close(&plan->pending);
	plan->pending_changed = false;
	plan->is_late = false;
	plan->rest_is_known = false;
	crdt_idset_close(&plan->late_ranges);
	if (plan->deletes_changed)
		crdt_idset_close(&plan->waiting_deletes);
	plan->deletes_changed = false;
	crdt_buffer_close(&plan->late);
	crdt_state_vector_close(&plan->late_missing);
	plan->late_missing.host = &plan->doc->host;
	free_arrays(plan, ARRAY_KEPT_BYTES);
	if (plan->fresh_deletes.capacity * sizeof(CrdtIdRange) > ARRAY_KEPT_BYTES)
		crdt_idset_close(&plan->fresh_deletes);
	plan->fresh_deletes.count = 0;
	crdt_arena_reset(&plan->scratch);
}

void
crdt_plan_free(CrdtPlan *plan)
{
	const CrdtHost *host = &plan->doc->host;

	crdt_plan_clear(plan);
	free_arrays(plan, 0);
	crdt_arena_close(&plan->scratch);
	crdt_pending_close(&plan->pending);
	crdt_idset_close(&plan->fresh_deletes);
	crdt_update_writer_close(&plan->writer);
	host->resize(host->context, plan, sizeof(*plan), 0);
}

size_t
crdt_plan_bytes(const CrdtPlan *plan)
{
	return sizeof(*plan) + plan->scratch.bytes + plan->arrival_capacity * sizeof(CrdtArrival) +
		   plan->run_capacity * sizeof(CrdtArrivalRun) + plan->stack_capacity * sizeof(size_t) +
		   plan->step_capacity * sizeof(CrdtStep) +
		   plan->delete_capacity * sizeof(CrdtDeletedRange) +
		   plan->pass_capacity * sizeof(CrdtPass) + plan->client_capacity * sizeof(uint32_t) +
		   plan->rest_client_capacity * sizeof(CrdtWaitingClient) +
		   plan->fresh_deletes.capacity * sizeof(CrdtIdRange);
}

static CrdtStatus
no_memory(CrdtPlan *plan)
{
	return crdt_error_no_memory(plan->error);
}

/* Room for one more element of one of the plan's arrays. */
#define GROW(plan, array, noun)                                                      \
	crdt_array_reserve(&(plan)->doc->host, &(plan)->array, &(plan)->noun##_capacity, \
					   (plan)->noun##_count + 1, sizeof(*(plan)->array))

static bool
is_cancelled(const CrdtPlan *plan)
{
	const CrdtHost *host = &plan->doc->host;

	return host->cancelled != NULL && host->cancelled(host->context);
}

/* ---- decoding ---- */

/*
 * A same-client reference must point back; Yjs looks it up without asking whether it is there.  So it
 * takes one that is known already, of a struct that is known in part: we do not, for if such a struct
 * has to wait for something else, others would get it from us, and fail.
 */
static bool
points_back(const CrdtStruct *wire, CrdtId id)
{
	return id.client != wire->client || id.clock < wire->clock;
}

static void
check_references(CrdtUpdateReader *reader, const CrdtStruct *wire)
{
	if (((wire->flags & CRDT_HAS_ORIGIN) != 0 && !points_back(wire, wire->origin)) ||
		((wire->flags & CRDT_HAS_RIGHT_ORIGIN) != 0 && !points_back(wire, wire->right_origin)) ||
		((wire->flags & CRDT_PARENT_IS_ID) != 0 && !points_back(wire, wire->parent_id)))
		crdt_reader_fail(&reader->bytes, CRDT_MALFORMED,
						 "struct %llu of client %llu refers to itself or a later one",
						 (unsigned long long) wire->clock, (unsigned long long) wire->client);
}

/* Reads all structs; a run for each block. */
static CrdtStatus
decode_structs(CrdtPlan *plan, CrdtUpdateReader *reader)
{
	size_t block = 0;

	for (;;)
	{
		/* a block tells how many structs are coming, and the reader has checked that they fit */
		if (!crdt_array_reserve(&plan->doc->host, &plan->arrivals, &plan->arrival_capacity,
								plan->arrival_count + crdt_update_reader_coming(reader) + 1,
								sizeof(CrdtArrival)))
			return no_memory(plan);
		if (!crdt_update_reader_next(reader, &plan->arrivals[plan->arrival_count].wire))
			return crdt_update_reader_status(reader, plan->error);
		check_references(reader, &plan->arrivals[plan->arrival_count].wire);
		if (reader->block_number != block)
		{
			if (!GROW(plan, runs, run))
				return no_memory(plan);
			plan->runs[plan->run_count++] = (CrdtArrivalRun){.start = plan->arrival_count};
			block = reader->block_number;
		}
		plan->runs[plan->run_count - 1].end = ++plan->arrival_count;
		if (plan->arrival_count % CANCEL_CHECK_INTERVAL == 0 && is_cancelled(plan))
			return crdt_error_set(plan->error, CRDT_CANCELLED, 0, "cancelled");
	}
}

static CrdtStatus
decode(CrdtPlan *plan, CrdtBytes update, CrdtFormat format)
{
	CrdtUpdateReader reader;
	CrdtStatus status;

	plan->run_count = 0;
	plan->fresh_deletes.count = 0;
	crdt_update_reader_open(&reader, update, format, &plan->scratch, &plan->scratch);
	reader.takes_flagged_skips = true;
	status = decode_structs(plan, &reader);
	if (status != CRDT_OK)
		return status;
	crdt_update_reader_take_deletes(&reader, &plan->fresh_deletes);
	return crdt_update_reader_status(&reader, plan->error);
}

/* ---- resolving names and clients to numbers ---- */

static CrdtClient *
plan_client(CrdtPlan *plan, uint32_t number)
{
	CrdtClient *client = &plan->doc->clients[number];

	if (!client->is_planned)
	{
		client->is_planned = true;
		client->planned_state = client->state;
		client->run = 0;
		plan->clients[plan->client_count++] = number; /* reserved by add_client */
	}
	return client;
}

static bool
add_client(CrdtPlan *plan, uint64_t id, uint32_t *number)
{
	if (!GROW(plan, clients, client) || !crdt_client_add(plan->doc, id, number))
		return false;
	plan_client(plan, *number);
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
			return no_memory(plan);
		run.at = run.start;
		run.rest_start = run.rest_end = run.end;
		plan->runs[kept++] = run;
		plan->doc->clients[run.client].run = (uint32_t) kept;
		for (size_t at = run.start; at < run.end; at++)
			if (!resolve(plan, &plan->arrivals[at], run.client))
				return no_memory(plan);
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
		return no_memory(plan);
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
				return no_memory(plan);
		} while (next != NULL);
	}
	return CRDT_OK;
}

/* ---- what waits ---- */

void
crdt_plan_add_late(CrdtPlan *plan)
{
	CrdtPending *pending = &plan->doc->pending;

	crdt_write_byte_array(&pending->late, crdt_buffer_view(&plan->late));
	pending->late_count++;
	pending->late_structs += plan->late_structs;
	for (size_t i = 0; i < plan->late_missing.count; i++)
		(void) !crdt_note_missing(&pending->missing, plan->late_missing.entries[i].client,
								  plan->late_missing.entries[i].clock);
	for (size_t i = 0; i < plan->late_ranges.count; i++)
		crdt_pending_note(pending, plan->late_ranges.ranges[i]);
	for (size_t i = 0; i < plan->rest_client_count; i++)
		crdt_pending_add_client(pending, plan->rest_clients[i]);
}

static bool
copy_missing(CrdtStateVector *to, const CrdtStateVector *from)
{
	for (size_t i = 0; i < from->count; i++)
		if (!crdt_note_missing(to, from->entries[i].client, from->entries[i].clock))
			return false;
	return true;
}

/* A copy of what waits in the document, in one update, to be changed. */
static CrdtStatus
begin_pending(CrdtPlan *plan)
{
	const CrdtPending *old = &plan->doc->pending;
	CrdtPending *new = &plan->pending;
	bool copied;

	if (plan->pending_changed)
		return CRDT_OK;
	crdt_pending_open(new, &plan->doc->host);
	plan->pending_changed = true;
	if (old->late_count > 0 || plan->is_late)
	{
		CrdtStatus status = crdt_pending_merge(
			old, plan->is_late ? crdt_buffer_view(&plan->late) : (CrdtBytes){NULL, 0}, &new->update,
			&new->update_structs, plan->error);

		if (status != CRDT_OK)
			return status;
		plan->is_late = false;
	}
	else
	{
		crdt_write_bytes(&new->update, crdt_buffer_view(&old->update));
		new->update_structs = old->update_structs;
	}
	copied = copy_missing(&new->missing, &old->missing) &&
			 copy_missing(&new->missing, &plan->late_missing);
	return copied && !new->update.failed ? CRDT_OK : no_memory(plan);
}

static const CrdtPending *
current_pending(const CrdtPlan *plan)
{
	return plan->pending_changed ? &plan->pending : &plan->doc->pending;
}

/* Is something there now that structs were waiting for? */
static bool
can_retry(CrdtPlan *plan)
{
	const CrdtPending *pending = current_pending(plan);

	if (pending->update.size == 0)
		return false;
	for (size_t i = 0; i < pending->missing.count; i++)
	{
		uint32_t number = crdt_client_find(plan->doc, pending->missing.entries[i].client);
		const CrdtClient *client;

		if (number == CRDT_NO_CLIENT)
			continue;
		client = &plan->doc->clients[number];
		if (pending->missing.entries[i].clock <
			(client->is_planned ? client->planned_state : client->state))
			return true;
	}
	return false;
}

/* The structs of this pass that have to wait, as an update, and how many there are. */
static bool
encode_rest(CrdtPlan *plan, CrdtBuffer *out, uint64_t *struct_count)
{
	CrdtIdSet no_deletes;
	bool done;

	crdt_idset_open(&no_deletes, &plan->doc->host);
	*struct_count = 0;
	for (size_t i = 0; i < plan->run_count; i++)
	{
		const CrdtArrivalRun *run = &plan->runs[i];

		for (size_t at = run->rest_start; at < run->rest_end; at++)
			crdt_update_writer_add(&plan->writer, &plan->arrivals[at].wire, 0);
		*struct_count += run->rest_end - run->rest_start;
	}
	done = crdt_update_writer_finish(&plan->writer, &no_deletes, out);
	crdt_update_writer_close(&plan->writer);
	return done;
}

/* Is so much waiting that another update is better kept beside it than merged into it? */
static bool
comes_late(const CrdtPlan *plan)
{
	const CrdtPending *pending = &plan->doc->pending;
	uint64_t cost = crdt_pending_cost(pending);

	return !plan->pending_changed && plan->pass_count == 0 && cost >= CRDT_PENDING_LATE_COST &&
		   crdt_pending_late_cost(pending) < cost;
}

/* The ranges of the rest, and whether all of them wait already. */
static CrdtStatus
look_for_news(CrdtPlan *plan)
{
	CrdtPending *pending = &plan->doc->pending;

	plan->rest_is_known = false;
	plan->late_ranges.count = 0;
	/* little is compared as bytes when it is swapped */
	if (plan->pass_count > 0 || crdt_pending_cost(pending) < CRDT_PENDING_LATE_COST)
		return CRDT_OK;
	plan->rest_is_known = true;
	for (size_t i = 0; i < plan->run_count; i++)
		for (size_t at = plan->runs[i].rest_start; at < plan->runs[i].rest_end; at++)
		{
			const CrdtStruct *wire = &plan->arrivals[at].wire;
			size_t count = plan->late_ranges.count;
			CrdtIdRange *last = count == 0 ? NULL : &plan->late_ranges.ranges[count - 1];

			if (wire->kind == CRDT_SKIP)
				continue;
			if (last != NULL && last->client == wire->client &&
				last->clock + last->length == wire->clock)
				last->length += wire->length;
			else if (!crdt_idset_add(&plan->late_ranges,
									 (CrdtIdRange){wire->client, wire->clock, wire->length}))
				return no_memory(plan);
		}
	if (!crdt_pending_track(pending, plan->late_ranges.count))
		return no_memory(plan);
	for (size_t i = 0; i < plan->late_ranges.count; i++)
		plan->rest_is_known &= crdt_pending_holds(pending, plan->late_ranges.ranges[i]);
	return CRDT_OK;
}

/* ---- how much may wait ---- */

static CrdtStatus
too_much_waits(CrdtPlan *plan, uint64_t bytes)
{
	return crdt_error_set(
		plan->error, CRDT_LIMIT, 0, "%llu bytes would wait for updates that are missing, %llu may",
		(unsigned long long) bytes, (unsigned long long) plan->doc->waiting_limit);
}

static CrdtStatus
too_much_of_a_client_waits(CrdtPlan *plan, const CrdtWaitingClient *waiting)
{
	return crdt_error_set(
		plan->error, CRDT_LIMIT, 0,
		"%llu bytes of client %llu would wait for updates that are missing, %llu may",
		(unsigned long long) waiting->bytes, (unsigned long long) waiting->client,
		(unsigned long long) plan->doc->waiting_client_limit);
}

/* Counts the rest of the update itself. */
static CrdtStatus
count_rest(CrdtPlan *plan)
{
	for (size_t i = 0; i < plan->run_count; i++)
	{
		const CrdtArrivalRun *run = &plan->runs[i];
		CrdtWaitingClient rest = {.client = run->client_id};

		for (size_t at = run->rest_start; at < run->rest_end; at++)
			rest.bytes += crdt_pending_struct_cost(&plan->arrivals[at].wire);
		if (rest.bytes == 0)
			continue;
		if (!GROW(plan, rest_clients, rest_client))
			return no_memory(plan);
		plan->rest_clients[plan->rest_client_count++] = rest;
	}
	return CRDT_OK;
}

/* Is there room for the rest, before it costs anything to put it there? */
static CrdtStatus
check_room(CrdtPlan *plan)
{
	const CrdtDoc *doc = plan->doc;
	uint64_t waiting = crdt_doc_waiting_bytes(doc);

	for (size_t i = 0; i < plan->rest_client_count; i++)
	{
		CrdtWaitingClient all = plan->rest_clients[i];

		waiting += all.bytes;
		/* while little waits, all of it may be this client's */
		all.bytes += doc->pending.is_tracked ? crdt_pending_client_cost(&doc->pending, all.client)
											 : crdt_pending_cost(&doc->pending);
		if (doc->waiting_client_limit > 0 && all.bytes > doc->waiting_client_limit)
			return too_much_of_a_client_waits(plan, &all);
	}
	return doc->waiting_limit == 0 || waiting <= doc->waiting_limit ? CRDT_OK
																	: too_much_waits(plan, waiting);
}

/* The same when all is planned: what was tried again may wait no more, and there are the deletes. */
static CrdtStatus
check_waiting(CrdtPlan *plan)
{
	const CrdtDoc *doc = plan->doc;
	const CrdtIdSet *deletes =
		plan->deletes_changed ? &plan->waiting_deletes : &doc->pending.deletes;
	uint64_t before = crdt_doc_waiting_bytes(doc);
	uint64_t after = crdt_pending_bytes(current_pending(plan), deletes);

	if (after <= before || (plan->rest_client_count == 0 && !plan->adds_deletes))
		return CRDT_OK;
	if (doc->waiting_limit > 0 && after > doc->waiting_limit)
		return too_much_waits(plan, after);
	if (doc->waiting_client_limit == 0 || after <= doc->waiting_client_limit ||
		!plan->pending_changed)
		return CRDT_OK;
	if (!crdt_pending_track(&plan->pending, 0))
		return no_memory(plan);
	for (size_t i = 0; i < plan->rest_client_count; i++)
	{
		CrdtWaitingClient waiting = {
			.client = plan->rest_clients[i].client,
			.bytes = crdt_pending_client_cost(&plan->pending, plan->rest_clients[i].client)};

		if (waiting.bytes > doc->waiting_client_limit)
			return too_much_of_a_client_waits(plan, &waiting);
	}
	return CRDT_OK;
}

/* ---- parking ---- */

/* Keeps the rest for the document's late updates. */
static CrdtStatus
park_late(CrdtPlan *plan, const CrdtStateVector *missing)
{
	CrdtPending *pending = &plan->doc->pending;

	if (!encode_rest(plan, &plan->late, &plan->late_structs) ||
		!copy_missing(&plan->late_missing, missing) ||
		!crdt_array_reserve(&plan->doc->host, &pending->missing.entries, &pending->missing.capacity,
							pending->missing.count + missing->count, sizeof(CrdtStateVectorEntry)))
		return no_memory(plan);
	if (crdt_buffer_room(&pending->late, plan->late.size + 10) == NULL)
	{
		pending->late.failed = false;
		return no_memory(plan);
	}
	plan->is_late = true;
	return CRDT_OK;
}

/* Merges the rest into what waits. */
static CrdtStatus
park_merged(CrdtPlan *plan, const CrdtStateVector *missing)
{
	CrdtPending *pending = &plan->pending;
	CrdtBuffer rest;
	CrdtBuffer merged;
	uint64_t struct_count;
	CrdtStatus status = begin_pending(plan);

	crdt_buffer_open(&rest, &plan->doc->host);
	crdt_buffer_open(&merged, &plan->doc->host);
	if (status == CRDT_OK &&
		(!encode_rest(plan, &rest, &struct_count) || !copy_missing(&pending->missing, missing)))
		status = no_memory(plan);
	if (status == CRDT_OK && pending->update.size > 0)
		status = crdt_pending_merge(pending, crdt_buffer_view(&rest), &merged, &struct_count,
									plan->error);
	if (status == CRDT_OK)
	{
		CrdtBuffer *kept = pending->update.size > 0 ? &merged : &rest;

		crdt_buffer_close(&pending->update);
		pending->update = *kept;
		pending->update_structs = struct_count;
		crdt_buffer_open(kept, &plan->doc->host);
	}
	crdt_buffer_close(&merged);
	crdt_buffer_close(&rest);
	return status;
}

/* Adds the rest of this pass to what waits.  retry: some of that may have come to its end. */
static CrdtStatus
park_rest(CrdtPlan *plan, const CrdtStateVector *missing, bool retry)
{
	CrdtStatus status = look_for_news(plan);

	if (status == CRDT_OK && plan->pass_count == 0 && !plan->rest_is_known)
	{
		status = count_rest(plan);
		if (status == CRDT_OK && !retry)
			status = check_room(plan);
	}
	if (status != CRDT_OK)
		return status;
	return comes_late(plan) ? park_late(plan, missing) : park_merged(plan, missing);
}

bool
crdt_plan_has_rest(const CrdtPlan *plan)
{
	for (size_t i = 0; i < plan->run_count; i++)
		if (plan->runs[i].rest_start < plan->runs[i].rest_end)
			return true;
	return false;
}

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
	for (size_t i = 0; i < ranges->count; i++)
	{
		CrdtIdRange range = ranges->ranges[i];
		uint32_t client;
		uint64_t state = planned_state(plan, range.client, &client);
		uint64_t end = range.clock + range.length;

		if (range.clock < state)
		{
			uint64_t known_end = end < state ? end : state;

			if (!GROW(plan, deletes, delete) || !GROW(plan, clients, client))
				return false;
			plan_client(plan, client);
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
	return true;
}

static CrdtStatus
plan_deletes(CrdtPlan *plan)
{
	const CrdtIdSet *waited =
		plan->deletes_changed ? &plan->waiting_deletes : &plan->doc->pending.deletes;
	CrdtIdSet fresh; /* of the update's, those that have to wait */
	bool done;

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
	return done ? CRDT_OK : no_memory(plan);
}

/* ---- the plan ---- */

/* Orders what was decoded; takes up its deletes. */
static CrdtStatus
plan_pass(CrdtPlan *plan, bool *retry)
{
	CrdtPass pass = {.step_start = plan->step_count, .delete_start = plan->delete_count};
	CrdtStateVector missing = {.host = &plan->doc->host};
	CrdtStatus status = resolve_runs(plan);

	if (status == CRDT_OK)
		status = order_structs(plan, &missing);
	if (status == CRDT_OK)
		*retry = can_retry(plan);
	if (status == CRDT_OK && crdt_plan_has_rest(plan))
		status = park_rest(plan, &missing, *retry);
	crdt_state_vector_close(&missing);
	if (status == CRDT_OK)
		status = drop_empty_ranges(plan);
	if (status == CRDT_OK)
		status = plan_deletes(plan);
	if (status == CRDT_OK && !GROW(plan, passes, pass))
		status = no_memory(plan);
	if (status != CRDT_OK)
		return status;
	for (size_t i = 0; i < plan->run_count; i++)
		plan->doc->clients[plan->runs[i].client].run = 0;
	pass.step_end = plan->step_count;
	pass.delete_end = plan->delete_count;
	plan->passes[plan->pass_count++] = pass;
	return CRDT_OK;
}

/* Takes the structs that waited, to plan them again. */
static CrdtStatus
take_pending(CrdtPlan *plan)
{
	CrdtBytes update;
	CrdtStatus status = begin_pending(plan);

	if (status != CRDT_OK)
		return status;
	update = crdt_arena_copy(&plan->scratch, crdt_buffer_view(&plan->pending.update));
	if (update.data == NULL)
		return no_memory(plan);
	crdt_buffer_close(&plan->pending.update);
	plan->pending.update_structs = 0;
	plan->pending.missing.count = 0;
	return decode(plan, update, CRDT_V2);
}

CrdtStatus
crdt_plan_make(CrdtPlan *plan, CrdtBytes update, CrdtFormat format, const CrdtConfines *confines,
			   CrdtError *error)
{
	bool retry = false;
	CrdtStatus status;

	plan->error = error;
	status = decode(plan, update, format);
	if (status == CRDT_OK)
		status = plan_pass(plan, &retry);
	if (status == CRDT_OK && confines != NULL)
		status = crdt_confine_check(plan, confines);
	while (status == CRDT_OK && retry)
	{
		retry = false;
		status = take_pending(plan);
		if (status == CRDT_OK)
			status = plan_pass(plan, &retry);
	}
	if (status == CRDT_OK)
		status = check_waiting(plan);
	if (status == CRDT_OK)
		status = crdt_plan_reserve(plan);
	if (status != CRDT_OK)
		crdt_plan_clear(plan);
	return status;
}
