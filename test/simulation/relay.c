/*
 * relay.c: loading a relay, running its main(), its memory.
 *
 * Its main() has a thread of its own, which runs before the relay waits for events and after it is
 * told to end; between these the callbacks run on the simulation's thread.  One runs at a time.
 */
#include "relay.h"

#include <dlfcn.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "chance.h"
#include "invariant.h"
#include "libev.h"
#include "result.h"
#include "sockets.h"
#include "world.h"

Relay *relay_now;
uint32_t relay_memory_failures;
uint64_t relay_memory_failed;

static char library_paths[MAX_RELAYS][4096];

static void *run_main(void *argument);
static void wait_until_it_waits(Relay *relay);
static void finish(Relay *relay);
static int by_size(const void *a, const void *b);
static size_t place_of(const Relay *relay, const void *memory);
static void remember(Relay *relay, void *memory, size_t size, void *caller);
static bool forget(Relay *relay, void *memory);
static bool fails(void);

void
relay_find_library(const char *program)
{
	const char *slash = strrchr(program, '/');

	for (int i = 0; i < MAX_RELAYS; i++)
		snprintf(library_paths[i], sizeof library_paths[i], "%.*srelay-%d.so",
				 slash != NULL ? (int) (slash - program + 1) : 0, program, i);
}

void
relay_launch(Relay *relay, char **arguments)
{
	relay->library = dlopen(library_paths[relay->number], RTLD_LAZY | RTLD_LOCAL);
	if (relay->library == NULL)
	{
		fprintf(stderr, "not ok: %s\n", dlerror());
		_Exit(2);
	}
	relay->arguments = arguments;
	relay->is_starting = true;
	relay->is_muted = relay->wants_end = relay->was_terminated = relay->round_is_open = false;
	relay->stopped_until = 0.0;
	relay->status = -1;
	relay->result_count_before = result_count();
	relay_now = relay;
	sem_init(&relay->goes_on, 0, 0);
	sem_init(&relay->waits, 0, 0);
	if (pthread_create(&relay->thread, NULL, run_main, relay) != 0)
		abort();
	wait_until_it_waits(relay);
	relay_now = NULL;
	invariant_check(ENDS_IN_ORDER, relay->status == -1, "a relay does not start: exit status %d",
					relay->status);
	relay->is_starting = false;
	relay->is_running = true;
	relay->round_is_open = true;
}

void
relay_enter(Relay *relay)
{
	relay_now = relay;
}

void
relay_leave(Relay *relay)
{
	relay->round_is_open = true;
	if (!chance_in(3))
		relay_end_round(relay);
	relay_now = NULL;
}

void
relay_end_round(Relay *relay)
{
	if (!relay->round_is_open)
		return;
	relay->round_is_open = false;
	relay_now = relay;
	libev_end_round(relay);
	relay_now = NULL;
}

bool
relay_is_awake(const Relay *relay)
{
	return relay->is_running && !relay->wants_end && relay->stopped_until <= world_now;
}

void
relay_kill(Relay *relay)
{
	if (!relay->is_running)
		return;
	relay->is_muted = true;
	sockets_cut_all(relay);
	finish(relay);
}

void
relay_terminate(Relay *relay)
{
	if (!relay_is_awake(relay) || relay->was_terminated)
		return;
	relay->was_terminated = true;
	relay_enter(relay);
	libev_signal(relay, SIGTERM);
	relay_leave(relay);
}

void
relay_reap(Relay *relay)
{
	if (!relay->is_running || !relay->wants_end)
		return;
	finish(relay);
	if (world_flaw == FLAW_ENDS_BADLY)
		relay->status = EX_OSERR;
	invariant_check(ENDS_IN_ORDER, relay->status == EX_OK,
					"a relay that was asked to end has exit status %d", relay->status);
}

int64_t
relay_metric(Relay *relay, const char *name)
{
	char *(*metrics_text)(void) = (char *(*) (void) ) dlsym(relay->library, "board_metrics_text");
	char line[80];
	int64_t value = -1;

	relay_now = relay;
	char *text = metrics_text();

	relay_now = NULL;
	snprintf(line, sizeof line, "\nydoc_relay_%s ", name);
	const char *found = text != NULL ? strstr(text, line) : NULL;

	if (found != NULL)
		value = strtoll(found + strlen(line), NULL, 10);
	free(text);
	return value;
}

/* ---- main() and its thread ---- */

static void *
run_main(void *argument)
{
	Relay *relay = argument;
	int (*relay_main)(int, char **) = (int (*)(int, char **)) dlsym(relay->library, "main");
	int count = 0;

	while (relay->arguments[count] != NULL)
		count++;
	optind = 0;
	relay->status = relay_main(count, relay->arguments);
	sem_post(&relay->waits);
	return NULL;
}

static void
wait_until_it_waits(Relay *relay)
{
	while (sem_wait(&relay->waits) != 0)
		;
}

/* Called by the relay. */
int
ev_run(struct ev_loop *loop, int flags)
{
	Relay *relay = (Relay *) loop;

	(void) flags;
	sem_post(&relay->waits);
	while (sem_wait(&relay->goes_on) != 0)
		;
	return 0;
}

static void
finish(Relay *relay)
{
	relay->is_running = false;
	relay->is_starting = true;
	relay_now = relay;
	sem_post(&relay->goes_on);
	wait_until_it_waits(relay);
	pthread_join(relay->thread, NULL);
	relay_now = NULL;
	relay->is_starting = false;
	sem_destroy(&relay->goes_on);
	sem_destroy(&relay->waits);
	sockets_forget(relay);
	libev_forget(relay);
	if (relay->block_count > 0)
		relay_print_blocks(relay);
	invariant_check(MEMORY_IS_RETURNED, relay->block_count == 0,
					"a relay that has ended left %zu blocks behind", relay->block_count);
	free(relay->blocks);
	relay->blocks = NULL;
	relay->block_capacity = 0;
	relay->bytes = relay->most_bytes = 0;
	dlclose(relay->library);
	relay->library = NULL;
}

/* The largest first. */
void
relay_print_blocks(const Relay *relay)
{
	Block *blocks = allocate((relay->block_count + 1) * sizeof *blocks);
	size_t count = 0;

	for (size_t i = 0; i < relay->block_capacity; i++)
		if (relay->blocks[i].memory != NULL)
			blocks[count++] = relay->blocks[i];
	qsort(blocks, count, sizeof *blocks, by_size);
	for (size_t i = 0; i < count && i < 10; i++)
	{
		Dl_info info = {0};

		dladdr(blocks[i].caller, &info);
		fprintf(stderr, "%zu bytes, allocated at %s+0x%zx\n", blocks[i].size, info.dli_fname,
				(size_t) ((char *) blocks[i].caller - (char *) info.dli_fbase));
	}
	free(blocks);
}

static int
by_size(const void *a, const void *b)
{
	const Block *left = a, *right = b;

	return (left->size < right->size) - (left->size > right->size);
}

/* ---- memory: what a relay's code calls instead of malloc() and its kin (the linker's --wrap) ---- */

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

void *
__wrap_malloc(size_t size)
{
	void *memory = fails() ? NULL : malloc(size);

	if (memory != NULL)
		remember(relay_now, memory, size, __builtin_return_address(0));
	return memory;
}

void *
__wrap_calloc(size_t count, size_t size)
{
	void *memory = fails() ? NULL : calloc(count, size);

	if (memory != NULL)
		remember(relay_now, memory, count * size, __builtin_return_address(0));
	return memory;
}

void *
__wrap_realloc(void *memory, size_t size)
{
	if (fails())
		return NULL;
	if (memory != NULL)
		forget(relay_now, memory);
	memory = realloc(memory, size);
	if (memory != NULL)
		remember(relay_now, memory, size, __builtin_return_address(0));
	return memory;
}

/* What a library has allocated for the relay is not counted. */
void
__wrap_free(void *memory)
{
	if (memory != NULL)
		forget(relay_now, memory);
	free(memory);
}

char *
__wrap_strdup(const char *text)
{
	return __wrap_strndup(text, strlen(text));
}

char *
__wrap_strndup(const char *text, size_t size)
{
	char *copy = fails() ? NULL : strndup(text, size);

	if (copy != NULL)
		remember(relay_now, copy, strlen(copy) + 1, __builtin_return_address(0));
	return copy;
}

static bool
fails(void)
{
	if (relay_memory_failures == 0 || relay_now == NULL || !relay_now->is_running ||
		!chance_in(relay_memory_failures))
		return false;
	relay_memory_failed++;
	return true;
}

/* Open addressing; a place is free if nothing is in it. */
static size_t
place_of(const Relay *relay, const void *memory)
{
	size_t mask = relay->block_capacity - 1;
	size_t place = ((uintptr_t) memory >> 4) * 2654435761U & mask;

	while (relay->blocks[place].memory != NULL && relay->blocks[place].memory != memory)
		place = (place + 1) & mask;
	return place;
}

static void
remember(Relay *relay, void *memory, size_t size, void *caller)
{
	if (2 * (relay->block_count + 1) > relay->block_capacity)
	{
		Block *old = relay->blocks;
		size_t old_capacity = relay->block_capacity;

		relay->block_capacity = old_capacity == 0 ? 256 : 2 * old_capacity;
		relay->blocks = allocate(relay->block_capacity * sizeof *relay->blocks);
		for (size_t i = 0; i < old_capacity; i++)
			if (old[i].memory != NULL)
				relay->blocks[place_of(relay, old[i].memory)] = old[i];
		free(old);
	}
	relay->blocks[place_of(relay, memory)] = (Block){memory, size, caller};
	relay->block_count++;
	relay->bytes += (int64_t) size;
	if (relay->bytes > relay->most_bytes)
		relay->most_bytes = relay->bytes;
}

static bool
forget(Relay *relay, void *memory)
{
	size_t mask = relay->block_capacity - 1;

	if (relay->block_capacity == 0)
		return false;
	size_t place = place_of(relay, memory);

	if (relay->blocks[place].memory == NULL)
		return false;
	relay->bytes -= (int64_t) relay->blocks[place].size;
	relay->block_count--;
	relay->blocks[place] = (Block){0};
	/* those behind it move up, so that look-ups never stop too early */
	for (size_t next = (place + 1) & mask; relay->blocks[next].memory != NULL;
		 next = (next + 1) & mask)
	{
		Block block = relay->blocks[next];

		relay->blocks[next] = (Block){0};
		relay->blocks[place_of(relay, block.memory)] = block;
	}
	return true;
}

/* ---- what else a relay asks the system for ---- */

ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags);
double __wrap_erand48(unsigned short state[3]);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_getrlimit(int resource, struct rlimit *limit);
int __wrap_setrlimit(int resource, const struct rlimit *limit);

ssize_t
__wrap_getrandom(void *buffer, size_t size, unsigned flags)
{
	(void) flags;
	for (size_t i = 0; i < size; i++)
		((uint8_t *) buffer)[i] = (uint8_t) chance_bits();
	return (ssize_t) size;
}

double
__wrap_erand48(unsigned short state[3])
{
	(void) state;
	return chance_real();
}

int
__wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	(void) clock;
	*time = (struct timespec){(time_t) world_now, 0};
	time->tv_nsec = (long) ((world_now - (double) time->tv_sec) * 1e9);
	return 0;
}

int
__wrap_getrlimit(int resource, struct rlimit *limit)
{
	(void) resource;
	*limit = (struct rlimit){1 << 20, 1 << 20};
	return 0;
}

int
__wrap_setrlimit(int resource, const struct rlimit *limit)
{
	(void) resource, (void) limit;
	return 0;
}
