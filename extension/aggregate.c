/*
 * aggregate.c: ydoc_merge, the document that holds what all its inputs hold.
 *
 * Inputs are checked and collected as bytes; every few megabytes they are merged into one update
 * and applied to the state's document.  Applying them one by one would be as quick if they came in
 * order, but a parallel worker sees parts of a history, with holes, in which most would have to wait.
 *
 * Merging is associative, commutative and idempotent, so the plan cannot change the result.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/memutils.h"

#include "bridge.h"
#include "crdt/update.h"
#include "value.h"

#define COLLECTED_BYTES_MAX (8 * 1024 * 1024)

typedef struct MergeState
{
	YdocValue *value;
	MemoryContext collected; /* what is not in value yet */
	CrdtBytes *updates;
	size_t count;
	size_t capacity;
	size_t bytes;
} MergeState;

/* ---- the state ---- */

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "ydoc_merge's support function called outside an aggregate");
	return context;
}

static MergeState *
new_state(MemoryContext context)
{
	MergeState *state = MemoryContextAllocZero(context, sizeof(MergeState));

	state->value = ydoc_value_new(context);
	state->collected = AllocSetContextCreate(context, "ydoc_merge", ALLOCSET_DEFAULT_SIZES);
	return state;
}

/* The state, made at the first call. */
static MergeState *
get_state(FunctionCallInfo fcinfo)
{
	MemoryContext context = aggregate_context(fcinfo);

	return PG_ARGISNULL(0) ? new_state(context) : (MergeState *) PG_GETARG_POINTER(0);
}

/* Merges what was collected into the document. */
static YdocValue *
merge_collected(MergeState *state)
{
	MemoryContext old_context = MemoryContextSwitchTo(state->collected);
	CrdtBuffer merged;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&merged, &host);
	if (state->count > 0)
	{
		if (crdt_update_merge(&host, state->updates, state->count, CRDT_V1, &merged, &error) !=
			CRDT_OK)
			bridge_report(&error, "update");
		ydoc_value_apply(state->value, crdt_buffer_view(&merged), "update");
	}
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(state->collected);
	state->updates = NULL;
	state->count = 0;
	state->capacity = 0;
	state->bytes = 0;
	return state->value;
}

/* Takes a copy of an update that has been checked. */
static void
collect(MergeState *state, CrdtBytes update)
{
	MemoryContext old_context = MemoryContextSwitchTo(state->collected);
	uint8_t *copy = palloc(Max(update.size, 1));

	memcpy(copy, update.data, update.size);
	if (state->count == state->capacity)
	{
		state->capacity = Max(2 * state->capacity, 64);
		state->updates = state->updates == NULL
							 ? palloc(state->capacity * sizeof(CrdtBytes))
							 : repalloc_huge(state->updates, state->capacity * sizeof(CrdtBytes));
	}
	state->updates[state->count++] = (CrdtBytes){copy, update.size};
	state->bytes += update.size + sizeof(CrdtBytes);
	MemoryContextSwitchTo(old_context);
	if (state->bytes > COLLECTED_BYTES_MAX)
		(void) merge_collected(state);
}

/* ---- the aggregate's functions ---- */

PG_FUNCTION_INFO_V1(ydoc_merge_bytea_transition);
Datum
ydoc_merge_bytea_transition(PG_FUNCTION_ARGS)
{
	MergeState *state;
	CrdtBytes update;
	CrdtHost host;
	CrdtError error;

	if (PG_ARGISNULL(1) && PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = get_state(fcinfo);
	if (!PG_ARGISNULL(1))
	{
		update = bridge_view(PG_GETARG_BYTEA_PP(1));
		bridge_host(&host, CurrentMemoryContext);
		if (crdt_update_check(&host, update, CRDT_V1, &error) != CRDT_OK)
			bridge_report(&error, "update");
		collect(state, update);
	}
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(ydoc_merge_transition);
Datum
ydoc_merge_transition(PG_FUNCTION_ARGS)
{
	MergeState *state;

	if (PG_ARGISNULL(1) && PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = get_state(fcinfo);
	if (!PG_ARGISNULL(1))
		collect(state, ydoc_value_update_of_arg(fcinfo, 1));
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(ydoc_merge_combine);
Datum
ydoc_merge_combine(PG_FUNCTION_ARGS)
{
	MergeState *state;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	state = get_state(fcinfo);
	if (!PG_ARGISNULL(1))
	{
		MergeState *other = (MergeState *) PG_GETARG_POINTER(1);

		collect(state, ydoc_value_update(merge_collected(other)));
	}
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(ydoc_merge_serialize);
Datum
ydoc_merge_serialize(PG_FUNCTION_ARGS)
{
	MergeState *state = (MergeState *) PG_GETARG_POINTER(0);

	(void) aggregate_context(fcinfo);
	PG_RETURN_BYTEA_P(bridge_bytea(ydoc_value_update(merge_collected(state))));
}

PG_FUNCTION_INFO_V1(ydoc_merge_deserialize);
Datum
ydoc_merge_deserialize(PG_FUNCTION_ARGS)
{
	MergeState *state;

	(void) aggregate_context(fcinfo);
	state = new_state(CurrentMemoryContext);
	collect(state, bridge_view(PG_GETARG_BYTEA_PP(0)));
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(ydoc_merge_final);
Datum
ydoc_merge_final(PG_FUNCTION_ARGS)
{
	(void) aggregate_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	/* flat: the state may go on being used, in a window */
	PG_RETURN_POINTER(
		ydoc_flat_make(ydoc_value_update(merge_collected((MergeState *) PG_GETARG_POINTER(0)))));
}
