/*
 * Peers: the other relays on this database that live.
 *
 *     Peer *peer = peers_find(relay);     ...  peer->heard_at = loop_now();
 *
 * A table of fixed size: notifications are work for every relay, so there are tens of them, not
 * thousands.
 */
#ifndef RELAY_PEERS_H
#define RELAY_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "seal.h"

typedef struct Peer
{
	uint64_t relay;
	double heard_at;
	SealKey key;
	uint64_t counter; /* of its last message */
	Buffer parts; /* of a message that is not complete */
} Peer;

/* NULL if it is unknown. */
Peer *peers_find(uint64_t relay);

/* A new one; NULL if there are too many. */
Peer *peers_add(uint64_t relay, const SealKey *key);

void peers_remove(Peer *peer);

int peers_count(void);

/* One that was not heard since that time; NULL if there is none. */
Peer *peers_unheard_since(double time);

/* All count as heard at that time. */
void peers_heard_all(double time);

/* It was one until lately. */
bool peers_was_removed(uint64_t relay);

void peers_stop(void);

#endif
