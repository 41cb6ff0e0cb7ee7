/*
 * Judges the head of a request that asks for a WebSocket (RFC 6455 4.2) as it came, before
 * libwebsockets sees it.
 *
 * The library answers 101 to other versions, other methods, HTTP/1.0 and any key, and to the rest
 * says nothing and hangs up: to a request without Host, with a subprotocol that it does not know,
 * with "Upgrade: h2c" (which curl sends to be polite). These last two are no mistakes: a server may
 * decline, so the header is kept from the library.
 */
#ifndef RELAY_HANDSHAKE_H
#define RELAY_HANDSHAKE_H

#include <stddef.h>

enum
{
	HANDSHAKE_HIDDEN_MAX = 4
};

typedef struct Handshake
{
	const char *refusal; /* status line and headers to answer with; NULL: let it through */
	size_t hidden[HANDSHAKE_HIDDEN_MAX]; /* where headers begin that the library is not to see */
	size_t hidden_count;
} Handshake;

/* The head ends with its empty line. */
Handshake handshake_judge(const char *head, size_t size);

#endif
