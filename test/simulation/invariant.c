/*
 * invariant.c: names, counts, the last words of a run.
 */
#include "invariant.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

static const char *const names[INVARIANT_COUNT] = {
	[SHOWN_IS_DURABLE] = "shown-is-durable",
	[COMMITTED_REACHES_ALL] = "committed-reaches-all",
	[DOCUMENTS_ARE_INDEPENDENT] = "documents-are-independent",
	[MEMORY_IS_BOUNDED] = "memory-is-bounded",
	[MEMORY_IS_RETURNED] = "memory-is-returned",
	[PRESENCE_CONVERGES] = "presence-converges",
	[COMES_TO_REST] = "comes-to-rest",
	[GAUGES_ARE_TRUE] = "gauges-are-true",
	[ENDS_IN_ORDER] = "ends-in-order",
};

static uint64_t counts[INVARIANT_COUNT];
static uint64_t failing_seed, failing_world, failing_step;

void
invariant_count(Invariant invariant)
{
	counts[invariant]++;
}

void
invariant_failed(Invariant invariant, const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fprintf(stderr, "not ok: invariant %s, seed %" PRIu64 ", world %" PRIu64 ", step %" PRIu64 ": ",
			names[invariant], failing_seed, failing_world, failing_step);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\nagain: make -C test/simulation check SEED=%" PRIu64 " WORLD=%" PRIu64 "\n",
			failing_seed, failing_world);
	world_print();
	fflush(stderr);
	_Exit(1);
}

void
invariant_set_place(uint64_t seed, uint64_t world)
{
	failing_seed = seed;
	failing_world = world;
}

void
invariant_set_step(uint64_t step)
{
	failing_step = step;
}

int
invariant_report(void)
{
	int checked = 0;

	for (int i = 0; i < INVARIANT_COUNT; i++)
	{
		printf("invariant %s: %s (%" PRIu64 " checks)\n", names[i],
			   counts[i] > 0 ? "ok" : "never checked", counts[i]);
		checked += counts[i] > 0;
	}
	return checked;
}

const char *
invariant_name(Invariant invariant)
{
	return names[invariant];
}
