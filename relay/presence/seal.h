/*
 * Sealing: what relays tell each other through the database is for relays only.
 *
 *     sealed := counter (8 bytes), AES-256-GCM of the message, tag (16 bytes)
 *
 * A notification channel has no access control: whoever can log in can listen, and can notify.  So
 * presence travels under a key that only the relays' role can read (ydoc.relay_key).  Each relay
 * seals with a key of its own, derived from that one and its number, and counts its messages: a
 * message is taken once, from whom it is, as it was.
 */
#ifndef RELAY_SEAL_H
#define RELAY_SEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

enum
{
	SEAL_KEY_SIZE = 32,
	SEAL_OVERHEAD = 24 /* bytes that a sealed message is longer */
};

typedef struct SealKey /* of one relay */
{
	uint8_t bytes[SEAL_KEY_SIZE];
} SealKey;

/* The key of that relay, from the one that all share. */
bool seal_derive(Bytes shared, uint64_t relay, SealKey *key);

/* Appends the sealed message; no two messages of a relay may have the same counter. */
bool seal_write(const SealKey *key, uint64_t counter, Bytes message, Buffer *out);

/* Appends the message; false if it was not sealed with this key. */
bool seal_read(const SealKey *key, Bytes sealed, uint64_t *counter, Buffer *out);

#endif
