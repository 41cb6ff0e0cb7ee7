/*
 * ywebsocket.c: the y-websocket protocol's messages (FORMAT 14).
 *
 * Here: decoding and encoding.  Not here: decisions (room.c, presence.c), the WebSocket itself
 * (connection.c).  Updates are never looked into: the database judges them.
 */
#include "ywebsocket.h"

#include <string.h>

#include "config.h"
#include "log.h"
#include "metrics.h"
#include "presence.h"
#include "room.h"

enum
{
	MESSAGE_SYNC = 0,
	MESSAGE_AWARENESS = 1,
	MESSAGE_AUTH = 2,
	MESSAGE_QUERY_AWARENESS = 3,
	MESSAGE_STATELESS = 5, /* Hocuspocus' */

	SYNC_STEP1 = 0,
	SYNC_STEP2 = 1,
	SYNC_UPDATE = 2,

	AUTH_DENIED = 0
};

static void ignore_unknown(void);
static int handle_sync(Member *member, Frame *frame);
static int handle_awareness(Member *member, Frame *frame);
static void write_denial(Buffer *out, const char *reason);
static void write_sync(Buffer *out, int kind, Bytes bytes);

int
ywebsocket_handle(Member *member, Bytes message)
{
	Frame frame = frame_begin(message);
	uint64_t type = frame_read_varuint(&frame);

	if (frame.failed)
		return CLOSE_MALFORMED;
	switch (type)
	{
		case MESSAGE_SYNC: return handle_sync(member, &frame);
		case MESSAGE_AWARENESS: return handle_awareness(member, &frame);
		case MESSAGE_QUERY_AWARENESS: member_want(member, WANT_PRESENCE); return 0;
		default: ignore_unknown(); return 0; /* the protocol says so */
	}
}

void
ywebsocket_write(Member *member, Bytes frames)
{
	bool is_denied =
		member->was_denied && member->level < ACCESS_WRITE && (member->wants & WANT_LEVEL) != 0;

	member->wants &= ~(unsigned) WANT_LEVEL;
	if (!is_denied)
	{
		connection_write(member->connection, frames);
		return;
	}
	Buffer out = {0};

	buffer_write(&out, frames);
	write_denial(&out, member->level == ACCESS_COMMENT
						   ? "no right to write this document but its comments"
						   : "no right to write this document");
	if (out.failed)
		member_close(member, CLOSE_OVERLOAD, "out of memory");
	else
		connection_write(member->connection, buffer_view(&out));
	buffer_free(&out);
}

/* Providers only log it. */
static void
write_denial(Buffer *out, const char *reason)
{
	size_t start = buffer_begin_message(out);

	buffer_write_varuint(out, MESSAGE_AUTH);
	buffer_write_varuint(out, AUTH_DENIED);
	buffer_write_varbytes(out, (Bytes){(const uint8_t *) reason, strlen(reason)});
	buffer_end_message(out, start);
}

const char *
ywebsocket_reason(int code)
{
	switch (code)
	{
		case CLOSE_MALFORMED: return "malformed message";
		case CLOSE_TOO_BIG: return "message too big";
		case CLOSE_OVERLOAD: return "the database does not keep up; come back later";
		default: return "protocol error";
	}
}

void
ywebsocket_write_step1(Buffer *out, Bytes state_vector)
{
	write_sync(out, SYNC_STEP1, state_vector);
}

void
ywebsocket_write_step2(Buffer *out, Bytes update)
{
	write_sync(out, SYNC_STEP2, update);
}

void
ywebsocket_write_update(Buffer *out, Bytes update)
{
	write_sync(out, SYNC_UPDATE, update);
}

void
ywebsocket_write_awareness(Buffer *out, Bytes entries)
{
	size_t start = buffer_begin_message(out);

	buffer_write_varuint(out, MESSAGE_AWARENESS);
	buffer_write_varbytes(out, entries);
	buffer_end_message(out, start);
}

void
ywebsocket_write_stateless(Buffer *out, Bytes payload)
{
	size_t start = buffer_begin_message(out);

	buffer_write_varuint(out, MESSAGE_STATELESS);
	buffer_write_varbytes(out, payload);
	buffer_end_message(out, start);
}

/* Who speaks another protocol hears nothing: so whoever runs the relay is told, once. */
static void
ignore_unknown(void)
{
	static bool is_told = false;

	metrics_add(METRIC_MESSAGES_UNKNOWN, 1);
	if (is_told)
		return;
	is_told = true;
	log_event(
		LEVEL_WARNING, "unknown_message", "{s:s}", "hint",
		"it is none of y-websocket's protocol, and ignored; providers of Hocuspocus connect to"
		" the path --hocuspocus-path, and nowhere else");
}

static int
handle_sync(Member *member, Frame *frame)
{
	uint64_t kind = frame_read_varuint(frame);

	if (frame->failed)
		return CLOSE_MALFORMED;
	if (kind > SYNC_UPDATE) /* a later protocol's, as unknown types are */
	{
		metrics_add(METRIC_MESSAGES_UNKNOWN, 1);
		return 0;
	}
	Bytes bytes = frame_read_bytes(frame);

	if (frame->failed)
		return CLOSE_MALFORMED;
	switch (kind)
	{
		case SYNC_STEP1: return room_take_sync(member, bytes);
		case SYNC_STEP2: return room_take_answer(member, bytes);
		default: return room_take_update(member, bytes);
	}
}

static int
handle_awareness(Member *member, Frame *frame)
{
	Bytes entries = frame_read_bytes(frame);

	if (frame->failed)
		return CLOSE_MALFORMED;
	if (entries.size > (size_t) config.max_presence_message_bytes)
	{
		member_close(member, CLOSE_TOO_BIG, "awareness message too big");
		return 0;
	}
	if (presence_is_echo(member, entries) || throttle_holds_presence(member, entries))
		return 0;
	return presence_take(member, entries);
}

static void
write_sync(Buffer *out, int kind, Bytes bytes)
{
	size_t start = buffer_begin_message(out);

	buffer_write_varuint(out, MESSAGE_SYNC);
	buffer_write_varuint(out, (uint64_t) kind);
	buffer_write_varbytes(out, bytes);
	buffer_end_message(out, start);
}
