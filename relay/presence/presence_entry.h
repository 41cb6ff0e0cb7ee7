/*
 * What the files of presence share: the table of a room's clients.  For presence*.c only.
 *
 *     presence.c          whose state counts; telling members; expiry
 *     presence_share.c    other relays
 *     presence_report.c   SQL: who is where
 */
#ifndef RELAY_PRESENCE_ENTRY_H
#define RELAY_PRESENCE_ENTRY_H

#include "presence.h"

struct PresenceEntry
{
	uint64_t client;
	uint64_t clock; /* as everybody is told */
	uint64_t spoken_clock; /* of its owner's newest message: clock, or one less */
	uint8_t *state; /* JSON; NULL: gone */
	size_t size;
	char *user_name; /* in the state; NULL: none */
	Member *owner; /* borrowed, it calls presence_leave(); NULL: another relay's, or nobody's */
	uint64_t relay; /* of another relay; 0: ours */
	double updated_at;
	double contested_at; /* somebody else claimed the client */
	bool is_released; /* present, but nobody's */
	bool is_doubtful; /* another relay's, which we have not heard for a while */
	bool is_changed, is_unshared, is_unreported; /* as in Presence */
	bool is_reported; /* SQL has a row for it */
};

typedef struct PresenceNews /* an entry of a message */
{
	uint64_t client, clock;
	Bytes state; /* size 0: gone */
	Member *owner;
	uint64_t relay;
	bool is_released;
} PresenceNews;

/* NULL if the room never heard of the client, or not for a while. */
PresenceEntry *presence_find(const Presence *presence, uint64_t client);

/* Makes news of a client what the room knows.  False if there is no room for it: presence may be
 * dropped. */
bool presence_set(Presence *presence, const PresenceNews *news);

/* The state is gone. */
void presence_remove(Presence *presence, PresenceEntry *entry);

/* Members will hear of it, other relays and SQL if it is ours. */
void presence_mark(Presence *presence, PresenceEntry *entry);

/* The lists of rooms with something to tell; a room on one of the first two lives on. */
void presence_mark_unshared(Presence *presence, PresenceEntry *entry);
void presence_mark_unreported(Presence *presence, PresenceEntry *entry);
void presence_forget_unshared(Presence *presence);
void presence_forget_unreported(Presence *presence);

/* Whoever speaks for the entry has some seconds to answer a ping, or it is gone. */
void presence_contest(PresenceEntry *entry);

/* The owner is asked to say again that its client is here, with a newer clock. */
void presence_remind(Member *owner, uint64_t client, uint64_t clock);

#endif
