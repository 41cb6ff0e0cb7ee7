/*
 * plan_wait.c: what of an update has to wait (planning.h; FORMAT 7.5).
 *
 * Here: putting it to what waits already, how much that may be, and when it is tried again.  Not here:
 * what waits in a document (pending.c), deletes that wait (plan_deletes.c).
 */
#include "merge.h"
#include "planning.h"
#include "tables.h"
#include "update.h"

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
	plan->touches_waiting = true;
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
	return copied && !new->update.failed ? CRDT_OK : crdt_plan_no_memory(plan);
}

static const CrdtPending *
current_pending(const CrdtPlan *plan)
{
	return plan->pending_changed ? &plan->pending : &plan->doc->pending;
}

/* The arrival as it came.  It is ordered. */
static CrdtStruct
struct_of(const CrdtPlan *plan, const CrdtArrival *arrival)
{
	const CrdtClient *clients = plan->doc->clients;
	const CrdtBytes *names = plan->names + arrival->names;
	CrdtStruct wire = {.client = clients[arrival->client].id,
					   .clock = arrival->clock,
					   .length = arrival->length,
					   .content = arrival->content,
					   .kind = arrival->kind,
					   .flags = arrival->flags,
					   .type_ref = arrival->type_ref,
					   .ascii = arrival->ascii};

	if ((wire.flags & CRDT_HAS_ORIGIN) != 0)
		wire.origin = (CrdtId){clients[arrival->origin.client].id, arrival->origin.clock};
	if ((wire.flags & CRDT_HAS_RIGHT_ORIGIN) != 0)
		wire.right_origin =
			(CrdtId){clients[arrival->right_origin.client].id, arrival->right_origin.clock};
	if ((wire.flags & CRDT_PARENT_IS_ID) != 0)
		wire.parent_id = (CrdtId){clients[arrival->parent_id.client].id, arrival->parent_id.clock};
	if ((wire.flags & CRDT_PARENT_IS_ROOT) != 0)
		wire.parent_name = *names++;
	if ((wire.flags & CRDT_HAS_PARENT_SUB) != 0)
		wire.parent_sub = *names++;
	if (crdt_struct_has_name(&wire))
		wire.name = *names;
	return wire;
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
		{
			CrdtStruct wire = struct_of(plan, &plan->arrivals[at]);

			crdt_update_writer_add(&plan->writer, &wire, 0);
		}
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
			const CrdtArrival *arrival = &plan->arrivals[at];
			CrdtIdRange range = {plan->runs[i].client_id, arrival->clock, arrival->length};
			size_t count = plan->late_ranges.count;
			CrdtIdRange *last = count == 0 ? NULL : &plan->late_ranges.ranges[count - 1];

			if (arrival->kind == CRDT_SKIP)
				continue;
			if (last != NULL && last->client == range.client &&
				last->clock + last->length == range.clock)
				last->length += range.length;
			else if (!crdt_idset_add(&plan->late_ranges, range))
				return crdt_plan_no_memory(plan);
		}
	if (!crdt_pending_track(pending, plan->late_ranges.count))
		return crdt_plan_no_memory(plan);
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
		{
			CrdtStruct wire = struct_of(plan, &plan->arrivals[at]);

			rest.bytes += crdt_pending_struct_cost(&wire);
		}
		if (rest.bytes == 0)
			continue;
		if (!CRDT_PLAN_GROW(plan, rest_clients, rest_client))
			return crdt_plan_no_memory(plan);
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

/* What was tried again may wait no more, and there are the deletes. */
CrdtStatus
crdt_plan_check_waiting(CrdtPlan *plan)
{
	const CrdtDoc *doc = plan->doc;
	const CrdtIdSet *deletes =
		plan->deletes_changed ? &plan->waiting_deletes : &doc->pending.deletes;
	uint64_t after;

	if (plan->rest_client_count == 0 && !plan->adds_deletes)
		return CRDT_OK;
	after = crdt_pending_bytes(current_pending(plan), deletes);
	if (after <= crdt_doc_waiting_bytes(doc))
		return CRDT_OK;
	if (doc->waiting_limit > 0 && after > doc->waiting_limit)
		return too_much_waits(plan, after);
	if (doc->waiting_client_limit == 0 || after <= doc->waiting_client_limit ||
		!plan->pending_changed)
		return CRDT_OK;
	if (!crdt_pending_track(&plan->pending, 0))
		return crdt_plan_no_memory(plan);
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
		return crdt_plan_no_memory(plan);
	if (crdt_buffer_room(&pending->late, plan->late.size + 10) == NULL)
	{
		pending->late.failed = false;
		return crdt_plan_no_memory(plan);
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
		status = crdt_plan_no_memory(plan);
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

CrdtStatus
crdt_plan_park_rest(CrdtPlan *plan, const CrdtStateVector *missing, bool retry)
{
	CrdtStatus status;

	plan->touches_waiting = true;
	status = look_for_news(plan);
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

/* ---- trying again ---- */

bool
crdt_plan_can_retry(const CrdtPlan *plan)
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

CrdtStatus
crdt_plan_take_waiting(CrdtPlan *plan, CrdtBytes *update)
{
	CrdtStatus status = begin_pending(plan);

	if (status != CRDT_OK)
		return status;
	*update = crdt_arena_copy(&plan->scratch, crdt_buffer_view(&plan->pending.update));
	if (update->data == NULL)
		return crdt_plan_no_memory(plan);
	crdt_buffer_close(&plan->pending.update);
	plan->pending.update_structs = 0;
	plan->pending.missing.count = 0;
	return CRDT_OK;
}
