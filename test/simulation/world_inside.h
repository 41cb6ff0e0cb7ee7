/*
 * The inside of a world, for the files that make it: world.c (its life), actions.c (what may happen),
 * rest.c (what must be true when nothing happens any more).  Everybody else uses world.h.
 */
#ifndef SIMULATION_WORLD_INSIDE_H
#define SIMULATION_WORLD_INSIDE_H

#include "editor.h"
#include "libpq.h"
#include "relay.h"
#include "sockets.h"
#include "store.h"
#include "world.h"

enum
{
	MAX_EDITORS = 24,
	ARGUMENT_SIZE = 24
};

typedef struct Nature /* of a world */
{
	uint32_t relay_count, editor_count;
	double tick; /* seconds, on the average, that pass at once */
	uint32_t most_weight; /* of a clock, in bytes */
	bool has_forks, has_deletions, has_raving, has_spoiling, has_broken_document;
	uint32_t errors, lost_hints, lost_memory; /* one in so many; 0: none */
	bool is_pooled; /* a pooler stands before the store */
	char writers[ARGUMENT_SIZE], readers[ARGUMENT_SIZE], batch_interval[ARGUMENT_SIZE]; /* ms */
	size_t room_log, message, pending; /* bytes */
	char room_log_text[ARGUMENT_SIZE], message_text[ARGUMENT_SIZE], pending_text[ARGUMENT_SIZE];
} Nature;

extern Nature nature;
extern Relay relays[MAX_RELAYS];
extern Editor editors[MAX_EDITORS];
extern uint64_t steps_made;

void launch(Relay *relay);
void let_time_pass(double seconds);

/* What happens, and what follows from it at once.  act returns false if there was nothing to do. */
bool turn(const char *name, bool (*act)(void));

Relay *some_relay(void);
Editor *some_editor(void);
Socket *some_socket(void);
Link *some_link(void);
Document *some_document(void);
bool link_step(Link *link);

/* actions.c: how likely each is in this world, one of them, and how often each happened. */
void actions_draw(void);
void actions_step(void);
void actions_print(void);

/* rest.c: nothing goes wrong any more, all that is on its way arrives, and the invariants are checked. */
void rest(void);
void rest_drain(void);
void rest_check_memory(void);

/* Goes wrong as often as the world's nature says. */
void rest_is_over(void);

#endif
