/*
 * Presence: who is in a room, as awareness states (FORMAT 14.2), never stored.
 *
 *     client 2711   clock 7   {"user":{"name":"Ann"},"cursor":…}   introduced by this connection
 *     client 4002   clock 3   {"user":{"name":"Ben"}}              of another relay
 *     client 1033   clock 9   gone                                 clock kept for a while
 *
 * The newest state of each client counts.  A connection speaks only for clients it introduced:
 * many providers send back what they were told about others, and nobody shall end another's
 * presence.  What changed in a round goes to all members, the sender included, as one message.
 */
#ifndef RELAY_PRESENCE_H
#define RELAY_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"
#include "frame.h"

typedef struct PresenceEntry PresenceEntry;

typedef struct Presence /* of a room; {0} and presence_room_opened() */
{
	Room *room;
	PresenceEntry **slots; /* by client, open addressing */
	uint32_t count, capacity;
	bool is_changed; /* members have not been told all */
	bool is_unshared; /* other relays have not */
	struct Presence *next_changed, *next_unshared;
} Presence;

/* Entries of an awareness message.  Returns 0, or the code to close with. */
int presence_take(Connection *connection, Bytes entries);

/* Entries that another relay told us. */
void presence_take_remote(Room *room, uint64_t relay, Bytes entries);

/* The states that the connection introduced are gone; so are those of the relay. */
void presence_leave(Connection *connection);
void presence_forget_relay(uint64_t relay);

void presence_room_opened(Room *room);
void presence_free(Presence *presence);

/* Appends one frame with all states; nothing if nobody is here. */
void presence_write_all(Room *room, Buffer *out);

/* Publishes what changed. */
void presence_end_round(void);

/*
 * Other relays: each call yields a room with untold states of our connections, and those entries
 * as far as they fit into max_bytes; NULL when there are no more.
 */
Room *presence_next_unshared(Buffer *entries, size_t max_bytes);
bool presence_has_unshared(void);

/* Tell other relays everything again. */
void presence_share_all(Room *room);

void presence_start(void);

#endif
