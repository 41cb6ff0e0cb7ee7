/*
 * The protocol of Hocuspocus (FORMAT 15), for its providers 2, 3 and 4: many documents on one socket.
 *
 *     frame    := address, type, payload | 9 (ping) | 10 (pong)
 *     address  := name of the document [, U+0000, session]
 *     payload  := 0, sync | 1, varUint8Array awareness | 2, auth | 3 (query awareness)
 *                 | 5 or 6, varString stateless | 7 [, varString reason] | 8, 1 or 0
 *
 * Types 0, 1 and 3 are those of y-websocket with an address before them, so rooms know one kind of
 * frames, and the address is put in when they are written: once for all members that are at one place
 * of their room's log, unless their sessions have addresses of their own.
 *
 * A document is opened by a token message, or by a sync step 1 where there was none (provider 2
 * without a token): then the request's own credentials count, as they do for an empty token.  While
 * what somebody may do is being asked, the socket is not read.  What is about one document ends that
 * alone, and its messages are dropped from then on; what may be tried again soon ends the socket, for
 * providers come back with a socket.
 *
 *     refused, right lost, token expired    permission denied, and why; then CLOSE, if it was open
 *     deleted, renamed, unreadable,         CLOSE, and why; permission denied where the provider may
 *     update refused                        be version 2, which throws at types it does not know
 *
 * Each update is answered (type 8) when it is committed: 1, or refused: 0.
 */
#ifndef RELAY_HOCUSPOCUS_H
#define RELAY_HOCUSPOCUS_H

#include "member.h"

/* What a socket has until it was admitted to a document. */
#define HOCUSPOCUS_UNPROVEN_SECONDS 30.0
enum
{
	HOCUSPOCUS_UNPROVEN_BYTES = 1 << 20
};

/* A new socket, during its upgrade. */
void hocuspocus_open(Connection *connection);

/* One whole message.  Returns 0, or the code to close the socket with. */
int hocuspocus_handle(Connection *connection, Bytes message);

/* Writes frames, and what else the member is to be told. */
void hocuspocus_write(Member *member, Bytes frames);

/* The member is closed (close_code, close_reason): its last frame. */
void hocuspocus_write_farewell(Member *member);

/* From now on until false, the frames that are written are those of one room. */
void hocuspocus_share(bool is_one_room);

/* Something, so that the provider does not think that we are gone. */
void hocuspocus_keep_alive(Connection *connection);

void hocuspocus_stop(void);

#endif
