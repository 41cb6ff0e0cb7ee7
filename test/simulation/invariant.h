/*
 * The invariants of doc/invariants.md, by name, as far as the simulation checks them.
 *
 *     invariant_check(SHOWN_IS_DURABLE, content_includes(...), "editor %d was shown ...", i);
 *
 * The first that does not hold ends the program, after naming the seed and the world.
 */
#ifndef SIMULATION_INVARIANT_H
#define SIMULATION_INVARIANT_H

#include <stdbool.h>
#include <stdint.h>

typedef enum Invariant
{
	SHOWN_IS_DURABLE,
	COMMITTED_REACHES_ALL,
	DOCUMENTS_ARE_INDEPENDENT,
	MEMORY_IS_BOUNDED,
	MEMORY_IS_RETURNED,
	PRESENCE_CONVERGES,
	COMES_TO_REST,
	GAUGES_ARE_TRUE,
	ENDS_IN_ORDER,
	INVARIANT_COUNT
} Invariant;

#define invariant_check(invariant, holds, ...)          \
	do                                                  \
	{                                                   \
		invariant_count(invariant);                     \
		if (!(holds))                                   \
			invariant_failed((invariant), __VA_ARGS__); \
	} while (0)

void invariant_count(Invariant invariant);
void invariant_failed(Invariant invariant, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* Where a failure is to be found again. */
void invariant_set_place(uint64_t seed, uint64_t world);
void invariant_set_step(uint64_t step);

/* A line for each; returns how many were checked at least once. */
int invariant_report(void);

const char *invariant_name(Invariant invariant);

#endif
