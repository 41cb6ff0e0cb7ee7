/*
 * A relay: all of its real code but listener.c, wire.c and sandbox.c, as a shared object with variables of its own.
 *
 *     relay_launch(relay, arguments);      its main() runs, up to where it waits for events
 *     relay_enter(relay);                  what follows are events, as its libraries report them
 *     ...
 *     relay_leave(relay);                  perhaps the end of a round
 *     relay_kill(relay);                   as kill -9: whatever it still does has no effect
 *
 * The libraries under it are ours: libev.c, libpq.c, sockets.c.  So is its memory: blocks are
 * counted, and an allocation fails when the world wants it to.
 */
#ifndef SIMULATION_RELAY_H
#define SIMULATION_RELAY_H

#include <ev.h>
#include <libwebsockets.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum
{
	MAX_RELAYS = 3
};

typedef struct Block
{
	void *memory; /* NULL: free place */
	size_t size;
	void *caller;
} Block;

typedef struct Relay
{
	int number;
	bool is_running; /* waits for events */
	bool is_starting; /* in main(), before it waits or after it has been told to end */
	bool is_muted; /* kill -9: it is unwinding */
	bool wants_end; /* it has asked to leave its loop */
	bool was_terminated; /* SIGTERM */
	bool round_is_open; /* an event since the last end of a round */
	double stopped_until; /* SIGSTOP */
	int status; /* of its main(), once it has ended */

	void *library;
	pthread_t thread;
	sem_t goes_on, waits;
	char **arguments;

	ev_timer **timers;
	ev_io **ios;
	ev_prepare **prepares;
	ev_signal **signals;
	size_t timer_count, timer_capacity, io_count, io_capacity;
	size_t prepare_count, prepare_capacity, signal_count, signal_capacity;

	lws_callback_function *callback;
	size_t slot_size; /* of a socket */

	Block *blocks;
	size_t block_count, block_capacity;
	int64_t bytes, most_bytes;
	int64_t result_count_before;
} Relay;

/* Whose code runs; NULL: nobody's. */
extern Relay *relay_now;

/* One allocation in so many fails; 0: none does. */
extern uint32_t relay_memory_failures;
extern uint64_t relay_memory_failed;

/* The shared object, of which each relay loads a copy. */
void relay_find_library(const char *program);

/* arguments: NULL-terminated, kept. */
void relay_launch(Relay *relay, char **arguments);

void relay_enter(Relay *relay);
void relay_leave(Relay *relay);
void relay_end_round(Relay *relay);

/* True if it can take an event: running, not stopped. */
bool relay_is_awake(const Relay *relay);

void relay_kill(Relay *relay);
void relay_terminate(Relay *relay);

/* It has asked to end: lets main() return, checks what is left of its memory. */
void relay_reap(Relay *relay);

/* What it says of itself; -1 if it does not mention that. */
int64_t relay_metric(Relay *relay, const char *name);

/* Its largest blocks; addr2line -e LIBRARY OFFSET tells where they were allocated. */
void relay_print_blocks(const Relay *relay);

#endif
