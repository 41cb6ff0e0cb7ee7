/*
 * A world: a store, some relays, some editors, and what happens to them.
 *
 *     world_run(seed, 42, steps);      draws the world's nature from the seed, lets it live, and
 *                                      checks the invariants while it does and whenever it rests
 *
 * Every world is another: how many take part, how large buffers are, what goes wrong and how often.
 */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "sockets.h"

/* Seconds; the clock of all that is in the world. */
extern double world_now;

/* Prints every step to stderr. */
extern bool world_traces;

/* What is to go wrong with the checks' own view: for the tests that they notice. */
typedef enum WorldFlaw
{
	FLAW_NONE,
	FLAW_STORE_FORGETS, /* a commit is answered and not kept */
	FLAW_FRAMES_ARE_LOST, /* a write does not reach the editor, nor does the socket break */
	FLAW_STORE_REFUSES, /* good updates */
	FLAW_MEMORY_GROWS, /* a relay holds more than it was given */
	FLAW_MEMORY_IS_KEPT, /* a block more than there was */
	FLAW_STATES_ARE_LOST, /* some editors never hear of some others' presence */
	FLAW_STORE_ECHOES, /* each question raises a notification */
	FLAW_METRICS_LIE,
	FLAW_ENDS_BADLY, /* another exit status than there was */
	FLAW_COUNT
} WorldFlaw;
extern WorldFlaw world_flaw;

/* Returns the steps that were made. */
uint64_t world_run(uint64_t seed, uint64_t world, uint64_t steps);

/* A relay closes a connection, with this code. */
void world_closed(Socket *socket, int code);

/* Likewise, of one document on a connection that goes on; editor: NULL if he is gone. */
void world_denied(struct Editor *editor, int code);

/* For whoever looks for the cause of a failure. */
void world_print(void);

/* What happened in all worlds. */
void world_report(void);

#endif
