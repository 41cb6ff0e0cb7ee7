/*
 * What libwebsockets reads, judged before it reads it: RFC 6455 where the library is lax.  And what it need
 * not write.
 *
 *     kernel --recv()--> wire.c: is every frame as it must be? ----> the library: messages
 *                          | pings, pongs: not for the library; connection.c answers the newest ping that waits
 *                          | a Close, or a frame that must not be: the end; a pong in its place says when
 *                          |   the library has got as far
 *
 * Version 4.1 takes frames without a mask, drops a ping that is too long without a word, answers
 * the first of several pings and no other, echoes close codes that there are not, and refuses some
 * that there are.  It has no hook before its parser, but it reads by recv(), and a program's own
 * recv() comes before the C library's: ours is recvfrom() and, for sockets that the listener gave
 * to the library, a look at each frame's header.  Payload is passed over, not looked at.
 *
 * Of a request it lets through the head alone.  What comes with it in one packet stays in the
 * kernel until the upgrade is done, so that nothing is read from a connection before anybody knows
 * whose it is.  Of a plain request it then lets through the body.  What a client sends behind that is
 * dropped: a socket serves one request, and version 4.3 would close it before the answer is written.
 *
 * Frames go out by send(): where nothing waits in the library, it has nothing to say about them, and looking it
 * up costs as much again as all else that we do for one of many readers.
 */
#ifndef RELAY_WIRE_H
#define RELAY_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "handshake.h"

struct lws;

typedef struct WireEnd /* why nothing more comes */
{
	uint16_t code; /* to answer with; 0: the peer's Close had none */
	const char *reason; /* of a violation; NULL: the peer has said goodbye */
} WireEnd;

enum
{
	WIRE_CONTROL_MAX = 125 /* bytes of a control frame's payload */
};

/* The library is about to get this socket; the head of its first request has so many bytes, and
 * some headers in it are hidden (handshake.h).  False: out of memory. */
bool wire_expect_request(int fd, size_t head_bytes, const Handshake *handshake);

/* It is a plain request, and its body has so many bytes. */
void wire_expect_body(struct lws *wsi, uint64_t size);

/* It became a WebSocket: its frames are judged from now on.  heard is called for every ping and
 * pong.  False, after logging why, if the library reads past us. */
bool wire_open(struct lws *wsi, void (*heard)(void *context), void *context);

/* The payload of the newest ping that has not been answered; false if there is none. */
bool wire_take_ping(struct lws *wsi, uint8_t payload[WIRE_CONTROL_MAX], size_t *size);

/* Once the library reports a pong: why nothing more comes. */
WireEnd wire_end(struct lws *wsi);

/* Writes whole frames to a WebSocket of which nothing waits in the library, which gets what the kernel does not
 * take: is_choked then.  False: the socket is broken. */
bool wire_write(struct lws *wsi, int fd, Bytes frames, bool *is_choked);

/* All has been said: the peer is told so, and what it still sends is dropped until it has
 * closed, too.  (Closing at once would be a reset if something is unread, which may overtake our
 * last words.) */
void wire_shut(struct lws *wsi);

/* The socket is closed. */
void wire_forget(int fd);

#endif
