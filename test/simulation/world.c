/*
 * world.c: a world's nature, its beginning and end, time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "invariant.h"
#include "libev.h"
#include "result.h"
#include "world_inside.h"

double world_now;
bool world_traces;
WorldFlaw world_flaw;

Nature nature;
Relay relays[MAX_RELAYS];
Editor editors[MAX_EDITORS];
uint64_t steps_made;

static void draw_nature(void);
static void open_world(void);
static void close_world(void);

uint64_t
world_run(uint64_t seed, uint64_t world, uint64_t steps)
{
	chance_seed(seed, world);
	invariant_set_place(seed, world);
	steps_made = 0;
	world_now = 1000.0;
	draw_nature();
	open_world();
	while (steps_made < steps)
	{
		uint64_t until = steps_made + chance_between(300, 3000);

		while (steps_made < until)
			actions_step();
		if (nature.has_deletions && chance_in(3))
			store_drop(some_document());
		rest();
		rest_is_over();
	}
	close_world();
	return steps_made;
}

static void
draw_nature(void)
{
	nature = (Nature){.relay_count = chance_between(1, MAX_RELAYS),
					  .editor_count = chance_between(2, MAX_EDITORS),
					  .tick = 0.002 * (1 << chance_below(7)),
					  .most_weight = chance_in(3) ? 1200 : 60};
	nature.has_forks = chance_in(3);
	nature.has_deletions = chance_in(4);
	nature.has_raving = chance_in(3);
	nature.has_spoiling = chance_in(4);
	nature.is_pooled = chance_in(4);
	nature.has_broken_document = chance_in(4);
	nature.lost_hints = chance_in(2) ? 5 : 0;
	nature.lost_memory = chance_in(4) ? 2000 : 0;
	nature.errors = chance_in(3) ? 100 : 0;
	snprintf(nature.writers, ARGUMENT_SIZE, "%u", chance_between(1, 3));
	snprintf(nature.readers, ARGUMENT_SIZE, "%u", chance_between(1, 3));
	snprintf(nature.batch_interval, ARGUMENT_SIZE, "%u", chance_in(2) ? 0 : chance_between(1, 5));
	nature.room_log = chance_in(2) ? 16384 : 1 << 20;
	nature.message = nature.most_weight > 60 ? 512 << 10 : 128 << 10;
	nature.pending = chance_in(2) ? nature.message : 64 << 20;
	snprintf(nature.room_log_text, ARGUMENT_SIZE, "%zu", nature.room_log);
	snprintf(nature.message_text, ARGUMENT_SIZE, "%zu", nature.message);
	snprintf(nature.pending_text, ARGUMENT_SIZE, "%zu", nature.pending);
	actions_draw();
}

static void
open_world(void)
{
	content_set_weight(nature.most_weight);
	store_open(chance_between(1, MAX_DOCUMENTS), chance_in(4) ? MAX_NAME : 7);
	if (nature.has_broken_document && store.document_count > 1)
		store.documents[0].is_broken = true;
	rest_is_over();
	memset(editors, 0, sizeof editors);
	for (int i = 0; i < MAX_RELAYS; i++)
		relays[i] = (Relay){.number = i};
	for (uint32_t i = 0; i < nature.relay_count; i++)
		launch(&relays[i]);
}

void
launch(Relay *relay)
{
	static char *arguments[] = {"ydoc-relay",
								"--log-level",
								"error",
								"--database",
								"direct",
								"--listen-database",
								"direct",
								"--writers",
								nature.writers,
								"--readers",
								nature.readers,
								"--batch-interval",
								nature.batch_interval,
								"--max-room-log",
								nature.room_log_text,
								"--max-message",
								nature.message_text,
								"--max-wait",
								"3600", /* how long an update waits is up to chance */
								"--max-pending",
								nature.pending_text,
								NULL};

	if (world_traces)
		arguments[2] = "debug";
	arguments[4] = nature.is_pooled ? "pooled" : "direct";
	relay_launch(relay, arguments);
}

static void
close_world(void)
{
	for (int i = 0; i < MAX_EDITORS; i++)
		editor_close(&editors[i], false);
	for (uint32_t i = 0; i < nature.relay_count; i++)
	{
		if (chance_in(2))
			relay_terminate(&relays[i]);
		for (int ticks = 0; ticks < 200 && relays[i].is_running && relays[i].was_terminated;
			 ticks++)
		{
			let_time_pass(0.1);
			rest_drain();
		}
		invariant_check(ENDS_IN_ORDER, !relays[i].is_running || !relays[i].was_terminated,
						"relay %u does not end", i);
		if (world_flaw == FLAW_MEMORY_IS_KEPT && relays[i].is_running)
			relays[i].block_count++;
		relay_kill(&relays[i]);
	}
	sockets_sweep();
	libpq_close();
	store_close();
	invariant_check(MEMORY_IS_RETURNED, result_count() == 0, "%" PRId64 " results were not cleared",
					result_count());
}

bool
turn(const char *name, bool (*act)(void))
{
	invariant_set_step(steps_made);
	if (!act())
		return false;
	steps_made++;
	if (world_traces)
		fprintf(stderr, "%" PRIu64 " %.3f %s\n", steps_made, world_now, name);
	for (uint32_t i = 0; i < nature.relay_count; i++)
		relay_reap(&relays[i]);
	if (steps_made % 64 == 0)
		rest_check_memory();
	return true;
}

void
let_time_pass(double seconds)
{
	for (uint32_t i = 0; i < nature.relay_count; i++)
		if (relay_is_awake(&relays[i]))
			relay_end_round(&relays[i]);
	world_now += seconds;
	for (uint32_t i = 0; i < nature.relay_count; i++)
		while (relay_is_awake(&relays[i]))
		{
			relay_enter(&relays[i]);
			bool fired = libev_fire_timer(&relays[i]);

			relay_leave(&relays[i]);
			if (!fired)
				break;
		}
	for (uint32_t i = 0; i < nature.relay_count; i++)
		relay_reap(&relays[i]);
	for (int i = 0; i < MAX_EDITORS; i++)
		editor_tick(&editors[i]);
}

/* ---- choosing ---- */

Relay *
some_relay(void)
{
	return &relays[chance_below(nature.relay_count)];
}

Editor *
some_editor(void)
{
	return &editors[chance_below(nature.editor_count)];
}

Socket *
some_socket(void)
{
	size_t count;
	Socket **sockets = sockets_all(&count);

	return count > 0 ? sockets[chance_below((uint32_t) count)] : NULL;
}

Link *
some_link(void)
{
	size_t count;
	Link **links = libpq_links(&count);

	return count > 0 ? links[chance_below((uint32_t) count)] : NULL;
}

Document *
some_document(void)
{
	return &store.documents[chance_below(store.document_count)];
}

/* ---- for people ---- */

void
world_print(void)
{
	fprintf(
		stderr,
		"relays %u, editors %u, documents %u, writers %s, readers %s, room log %zu, pending %zu,\n"
		"forks %d, deletions %d, raving %d, spoiling %d, broken %d, lost hints %u, lost memory %u, "
		"errors %u\n",
		nature.relay_count, nature.editor_count, store.document_count, nature.writers,
		nature.readers, nature.room_log, nature.pending, nature.has_forks, nature.has_deletions,
		nature.has_raving, nature.has_spoiling, nature.has_broken_document, nature.lost_hints,
		nature.lost_memory, nature.errors);
}

void
world_report(void)
{
	actions_print();
}
