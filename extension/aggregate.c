/*
 * aggregate.c: ydoc_merge, the document that holds what all its inputs hold.
 *
 * The transition state is one decoded document that every input is applied to; partial states of
 * parallel workers travel as their update.  Merging is associative, commutative and idempotent, so
 * the plan cannot change the result.
 */
#include "postgres.h"

#include "fmgr.h"

#include "bridge.h"
#include "value.h"

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "ydoc_merge's transition function called outside an aggregate");
	return context;
}

/* The state, made at the first call; NULL inputs add nothing. */
static YdocValue *
transition_state(FunctionCallInfo fcinfo)
{
	MemoryContext context = aggregate_context(fcinfo);

	return PG_ARGISNULL(0) ? ydoc_value_new(context) : (YdocValue *) PG_GETARG_POINTER(0);
}

PG_FUNCTION_INFO_V1(ydoc_merge_bytea_transition);
Datum
ydoc_merge_bytea_transition(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1) && PG_ARGISNULL(0))
		PG_RETURN_NULL();
	YdocValue *state = transition_state(fcinfo);

	if (!PG_ARGISNULL(1))
		ydoc_value_apply(state, bridge_view(PG_GETARG_BYTEA_PP(1)), "update");
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(ydoc_merge_transition);
Datum
ydoc_merge_transition(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1) && PG_ARGISNULL(0))
		PG_RETURN_NULL();
	YdocValue *state = transition_state(fcinfo);

	if (!PG_ARGISNULL(1))
		ydoc_value_apply(state, ydoc_value_update_of_arg(fcinfo, 1), "document");
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(ydoc_merge_combine);
Datum
ydoc_merge_combine(PG_FUNCTION_ARGS)
{
	YdocValue *state;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	state = transition_state(fcinfo);
	if (!PG_ARGISNULL(1))
		ydoc_value_apply(state, ydoc_value_update((YdocValue *) PG_GETARG_POINTER(1)), "document");
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(ydoc_merge_serialize);
Datum
ydoc_merge_serialize(PG_FUNCTION_ARGS)
{
	(void) aggregate_context(fcinfo);
	PG_RETURN_BYTEA_P(bridge_bytea(ydoc_value_update((YdocValue *) PG_GETARG_POINTER(0))));
}

PG_FUNCTION_INFO_V1(ydoc_merge_deserialize);
Datum
ydoc_merge_deserialize(PG_FUNCTION_ARGS)
{
	YdocValue *state = ydoc_value_new(CurrentMemoryContext);

	(void) aggregate_context(fcinfo);
	ydoc_value_apply(state, bridge_view(PG_GETARG_BYTEA_PP(0)), "document");
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
	PG_RETURN_POINTER(ydoc_flat_make(ydoc_value_update((YdocValue *) PG_GETARG_POINTER(0))));
}
