/*
 * plan.c: making a plan, pass by pass (plan.h; FORMAT 7.5).
 *
 *     update ── decode ──> arrivals ── order ──> steps ── deletes ──> pass ──┐
 *                  ^                     └─ what has to wait                 │
 *                  └──── all that waits, if some of it need not any more <───┘
 *
 * Here: life, decoding, passes.  Not here: the order (plan_order.c), what waits (plan_wait.c), deletes
 * (plan_deletes.c), memory (plan_reserve.c).
 */
#include "plan.h"

#include <string.h>

#include "confine.h"
#include "planning.h"

/* Arrays that are larger, of records or in bytes, are given back after use. */
#define ARRAY_KEPT_COUNT 32
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
	free_array(plan, &plan->names, &plan->name_capacity, sizeof(CrdtBytes), kept);
	free_array(plan, &plan->runs, &plan->run_capacity, sizeof(CrdtArrivalRun), kept);
	free_array(plan, &plan->stack, &plan->stack_capacity, sizeof(size_t), kept);
	free_array(plan, &plan->steps, &plan->step_capacity, sizeof(CrdtStep), kept);
	free_array(plan, &plan->deletes, &plan->delete_capacity, sizeof(CrdtDeletedRange), kept);
	free_array(plan, &plan->passes, &plan->pass_capacity, sizeof(CrdtPass), kept);
	free_array(plan, &plan->clients, &plan->client_capacity, sizeof(uint32_t), kept);
	free_array(plan, &plan->rest_clients, &plan->rest_client_capacity, sizeof(CrdtWaitingClient),
			   kept);
}

static void
clear_waiting(CrdtPlan *plan)
{
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
	plan->touches_waiting = false;
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
	/* none of the arrays has more than a few for each of these */
	if (plan->arrival_count + plan->delete_count + plan->client_count > ARRAY_KEPT_COUNT)
		free_arrays(plan, ARRAY_KEPT_BYTES);
	plan->arrival_count = 0;
	plan->name_count = 0;
	plan->run_count = 0;
	plan->stack_count = 0;
	plan->step_count = 0;
	plan->delete_count = 0;
	plan->pass_count = 0;
	plan->client_count = 0;
	plan->rest_client_count = 0;
	plan->adds_deletes = false;
	if (plan->touches_waiting)
		clear_waiting(plan);
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
		   plan->name_capacity * sizeof(CrdtBytes) + plan->run_capacity * sizeof(CrdtArrivalRun) +
		   plan->stack_capacity * sizeof(size_t) + plan->step_capacity * sizeof(CrdtStep) +
		   plan->delete_capacity * sizeof(CrdtDeletedRange) +
		   plan->pass_capacity * sizeof(CrdtPass) + plan->client_capacity * sizeof(uint32_t) +
		   plan->rest_client_capacity * sizeof(CrdtWaitingClient) +
		   plan->fresh_deletes.capacity * sizeof(CrdtIdRange);
}

/* ---- decoding ---- */

static bool
is_cancelled(const CrdtPlan *plan)
{
	const CrdtHost *host = &plan->doc->host;

	return host->cancelled != NULL && host->cancelled(host->context);
}
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

static bool
add_name(CrdtPlan *plan, CrdtBytes name)
{
	if (!CRDT_PLAN_GROW(plan, names, name))
		return false;
	plan->names[plan->name_count++] = name;
	return true;
}

static bool
add_names(CrdtPlan *plan, const CrdtStruct *wire)
{
	return plan->name_count < UINT32_MAX - 3 &&
		   ((wire->flags & CRDT_PARENT_IS_ROOT) == 0 || add_name(plan, wire->parent_name)) &&
		   ((wire->flags & CRDT_HAS_PARENT_SUB) == 0 || add_name(plan, wire->parent_sub)) &&
		   (!crdt_struct_has_name(wire) || add_name(plan, wire->name));
}

/* There is room for it, but for its names. */
static bool
add_arrival(CrdtPlan *plan, const CrdtStruct *wire)
{
	CrdtArrival *arrival = &plan->arrivals[plan->arrival_count++];

	arrival->clock = wire->clock;
	arrival->length = wire->length;
	arrival->origin = wire->origin;
	arrival->right_origin = wire->right_origin;
	arrival->content = wire->content;
	if ((wire->flags & CRDT_PARENT_IS_ID) != 0)
		arrival->parent_id = wire->parent_id;
	arrival->names = (uint32_t) plan->name_count;
	arrival->kind = wire->kind;
	arrival->flags = wire->flags;
	arrival->type_ref = wire->type_ref;
	arrival->ascii = wire->ascii;
	return !crdt_arrival_has_names(arrival) || add_names(plan, wire);
}

/* Reads all structs; a run for each block. */
static CrdtStatus
decode_structs(CrdtPlan *plan, CrdtUpdateReader *reader)
{
	size_t block = 0;
	CrdtStruct wire = {0}; /* what a struct does not have is left as it was */

	for (;;)
	{
		/* a block tells how many structs are coming, and the reader has checked that they fit */
		if (plan->arrival_count == plan->arrival_capacity &&
			!crdt_array_reserve(&plan->doc->host, &plan->arrivals, &plan->arrival_capacity,
								plan->arrival_count + crdt_update_reader_coming(reader) + 1,
								sizeof(CrdtArrival)))
			return crdt_plan_no_memory(plan);
		if (!crdt_update_reader_next(reader, &wire))
			return crdt_update_reader_status(reader, plan->error);
		check_references(reader, &wire);
		if (reader->block_number != block)
		{
			if (!CRDT_PLAN_GROW(plan, runs, run))
				return crdt_plan_no_memory(plan);
			plan->runs[plan->run_count++] =
				(CrdtArrivalRun){.client_id = wire.client, .start = plan->arrival_count};
			block = reader->block_number;
		}
		if (!add_arrival(plan, &wire))
			return crdt_plan_no_memory(plan);
		plan->runs[plan->run_count - 1].end = plan->arrival_count;
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
/* ---- the plan ---- */

/* Orders what was decoded; takes up its deletes. */
static CrdtStatus
plan_pass(CrdtPlan *plan, bool *retry)
{
	CrdtStateVector missing = {.host = &plan->doc->host};
	CrdtPass *pass;
	CrdtStatus status;

	if (!CRDT_PLAN_GROW(plan, passes, pass))
		return crdt_plan_no_memory(plan);
	pass = &plan->passes[plan->pass_count];
	pass->step_start = plan->step_count;
	pass->delete_start = plan->delete_count;
	status = crdt_plan_order(plan, &missing);
	if (status == CRDT_OK)
		*retry = crdt_plan_can_retry(plan);
	if (status == CRDT_OK && crdt_plan_has_rest(plan))
		status = crdt_plan_park_rest(plan, &missing, *retry);
	crdt_state_vector_close(&missing);
	if (status == CRDT_OK)
		status = crdt_plan_deletes(plan);
	if (status != CRDT_OK)
		return status;
	for (size_t i = 0; i < plan->run_count; i++)
		plan->doc->clients[plan->runs[i].client].run = 0;
	pass->step_end = plan->step_count;
	pass->delete_end = plan->delete_count;
	plan->pass_count++;
	return CRDT_OK;
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
		status = crdt_plan_take_waiting(plan, &update);
		if (status == CRDT_OK)
			status = decode(plan, update, CRDT_V2);
		if (status == CRDT_OK)
			status = plan_pass(plan, &retry);
	}
	if (status == CRDT_OK)
		status = crdt_plan_check_waiting(plan);
	if (status == CRDT_OK)
		status = crdt_plan_reserve(plan);
	if (status != CRDT_OK)
		crdt_plan_clear(plan);
	return status;
}
