/*
 * Presence between relays: what to tell others of our clients, and what they tell of theirs.
 *
 *     entries := count, { client, clock, 0 (gone) | 1, state (here) | 2 (released) }
 *
 * Each relay is answerable for the clients that its members introduced: nobody else's word
 * counts for them until it has gone silent or has released them.
 */
#ifndef RELAY_PRESENCE_SHARE_H
#define RELAY_PRESENCE_SHARE_H

#include "presence.h"

/*
 * Each call yields a room with untold clients of ours, and those entries as far as they fit into
 * max_bytes, one at least; NULL when there are no more.
 */
Room *presence_next_unshared(Buffer *entries, size_t max_bytes);
bool presence_has_unshared(void);

/* Everything of ours in the room will be told again; with newer clocks: to people who were told that
 * it is gone. */
void presence_share_all(Room *room);
void presence_renew_all(Room *room);

/* What another relay told us. */
void presence_take_remote(Room *room, uint64_t relay, Bytes entries);

/* Somebody at another relay claims a client of ours. */
void presence_contested(Room *room, uint64_t client);

/* The relay is gone, and so are its states. */
void presence_forget_relay(uint64_t relay);

/* We could not listen for a while: what is not told again in some seconds is gone. */
void presence_doubt_relays(void);
void presence_share_judge_doubts(void);

#endif
