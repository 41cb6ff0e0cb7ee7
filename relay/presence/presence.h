/*
 * Presence: who is in a room, as awareness states (FORMAT 14.2), never stored.
 *
 *     client 2711   clock 7   {"user":{"name":"Ann"},"cursor":…}   introduced by this member   
 *     client 4002   clock 3   {"user":{"name":"Ben"}}              of another relay
 *     client 1033   clock 9   gone                                 clock kept for a while
 *     client 5120   clock 4   {"user":{"name":"Eve"}}              released: its relay sent it away,
 *                                                                  and it is on its way to another
 *
 * The newest state of each client counts.  A member speaks only for clients it introduced:
 * many providers send back what they were told about others, and nobody shall end another's
 * presence.  When somebody else claims a client, whoever speaks for it has to answer a ping.
 *
 * What changed goes to all members, the sender included, as one message per room and tick; a tick
 * is the shorter the fewer there are to be told, and after a pause the first change goes at once.
 *
 * A member's first state of a client goes out with the next clock.  Providers forget everybody
 * else's state when their connection breaks, but not the clocks, and they come back with the clock
 * they had: without this, people would not see each other after a restart until each has moved.
 */
#ifndef RELAY_PRESENCE_H
#define RELAY_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "member.h"
#include "frame.h"

typedef struct PresenceEntry PresenceEntry;

typedef struct Presence /* of a room; {0} and presence_room_opened() */
{
	Room *room;
	PresenceEntry **slots; /* by client, open addressing */
	uint32_t count, capacity;
	double published_at;
	Buffer everybody; /* the frame that tells all; empty: to be written anew */
	bool is_changed; /* members have not been told all */
	bool is_unshared; /* other relays have not */
	bool is_unreported; /* SQL has not */
	struct Presence *next_changed, *next_unshared, *next_unreported;
} Presence;

/* Nothing in the message is news: providers send back what we told them.  Such a message costs little,
 * and must not push aside what its sender has to say. */
bool presence_is_echo(Member *member, Bytes entries);

/* Entries of an awareness message.  Returns 0, or the code to close with. */
int presence_take(Member *member, Bytes entries);

/* The states that the member introduced are gone. */
void presence_leave(Member *member);

/* We are sending its connection away: whoever comes next with its clients may have them. */
void presence_release(Member *member);

void presence_room_opened(Room *room);
void presence_free(Presence *presence);

/* Appends one frame with all states; nothing if nobody is here. */
void presence_write_all(Room *room, Buffer *out);

/* Publishes what changed. */
void presence_end_round(void);

void presence_start(void);
void presence_stop(void);

#endif
