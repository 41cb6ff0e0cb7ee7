/*
 * The y-websocket protocol (FORMAT 14): messages in, messages out.
 *
 *     message := 0, sync | 1, varUint8Array awareness | 2, auth | 3 (query awareness)
 *     sync    := 0, varUint8Array state vector | 1 or 2, varUint8Array update
 *
 * One WebSocket is one document, named by the URL.  This file decodes and encodes; what follows
 * from a message is room.c's and presence.c's.  Rooms know frames as they are here; hocuspocus.h puts
 * addresses before them.
 */
#ifndef RELAY_YWEBSOCKET_H
#define RELAY_YWEBSOCKET_H

#include "member.h"
#include "frame.h"

/* One whole message.  Returns 0, or the code to close with. */
int ywebsocket_handle(Member *member, Bytes message);

/* Writes frames, and what else the protocol has to say; nobody writes otherwise. */
void ywebsocket_write(Member *member, Bytes frames);

/* What to tell the peer that is closed with this code. */
const char *ywebsocket_reason(int code);

/* Each appends one WebSocket frame, ready for the wire. */
void ywebsocket_write_step1(Buffer *out, Bytes state_vector);
void ywebsocket_write_step2(Buffer *out, Bytes update);
void ywebsocket_write_update(Buffer *out, Bytes update);
void ywebsocket_write_awareness(Buffer *out, Bytes entries);
void ywebsocket_write_stateless(Buffer *out, Bytes payload); /* for hocuspocus.h alone */

#endif
