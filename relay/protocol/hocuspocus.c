/*
 * hocuspocus.c: frames with addresses, and the messages that only Hocuspocus has.
 *
 * Here: decoding, encoding, which member is meant, opening and closing documents.  Not here: sync and
 * awareness messages (ywebsocket.c), what somebody may do (access.c), turns (member.c).
 */
#include "hocuspocus.h"

#include <stdio.h>
#include <string.h>

#include "bus.h"
#include "config.h"
#include "listener.h"
#include "metrics.h"
#include "name.h"
#include "room.h"
#include "ywebsocket.h"

#define SESSION_MAX_BYTES 128 /* of an address, after the name */
#define UNPROVEN_MESSAGES 4 /* for each document that one may have, and some more */
#define MAX_NEWS_BYTES 16384 /* of statuses in one write, and of stateless messages */
#define SCRATCH_KEPT 65536

enum
{
	MESSAGE_SYNC = 0,
	MESSAGE_AWARENESS = 1,
	MESSAGE_AUTH = 2,
	MESSAGE_QUERY_AWARENESS = 3,
	MESSAGE_STATELESS = 5,
	MESSAGE_BROADCAST_STATELESS = 6,
	MESSAGE_CLOSE = 7,
	MESSAGE_SYNC_STATUS = 8,
	MESSAGE_PING = 9,
	MESSAGE_PONG = 10,

	AUTH_TOKEN = 0, /* from us: send it again */
	AUTH_DENIED = 1,
	AUTH_GRANTED = 2
};

#define NEWS (WANT_TOKEN | WANT_LEVEL | WANT_STATUS | WANT_STATELESS)

static Buffer scratch; /* frames under construction; empty between functions */
static Buffer shared; /* what the frames at shared_source are with their document's name */
static Bytes shared_source;
static bool is_sharing;

static bool is_within_budget(Connection *connection, Bytes message);
static int dispatch(Member *member, uint64_t type, Frame *frame, Bytes rest);
static int handle_auth(Connection *connection, Member *member, Bytes address, Frame *frame);
static Identity *identify(const Connection *connection, Bytes token, TokenVerdict *refusal);
static Member *
open_member(Connection *connection, Bytes address, Identity *identity, TokenVerdict refusal);
static void refuse_token(Member *member, TokenVerdict refusal);
static void refuse_address(Connection *connection, Bytes address, const char *reason);
static void close_by_client(Connection *connection, Member *member, Bytes address);
static int handle_stateless(Member *member, Frame *frame);
static bool is_sync_step1(Frame frame);
static Member *find(const Connection *connection, Bytes address);
static Bytes address_bytes(const Member *member);
static bool is_plain(const Member *member);
static Bytes share_frames(Member *member, Bytes frames);
static void write_first(Member *member, Buffer *out);
static bool waits_for_load(const Member *member);
static void write_statuses(Member *member, Buffer *out);
static void write_stateless(Member *member, Buffer *out);
static void write_frames(Bytes address, Bytes frames, Buffer *out);
static void write_auth(Bytes address, int kind, const char *text, Buffer *out);
static void write_close(Bytes address, const char *reason, Buffer *out);
static void answer_with_scratch(Connection *connection);
static void send_scratch(Connection *connection);

void
hocuspocus_open(Connection *connection)
{
	connection->protocol = PROTOCOL_HOCUSPOCUS;
	connection->identity = identity_of_request(connection->wsi, &connection->refusal);
}

int
hocuspocus_handle(Connection *connection, Bytes message)
{
	if (message.size == 1 && (message.data[0] == MESSAGE_PING || message.data[0] == MESSAGE_PONG))
		return 0;
	if (!connection->is_proven && !is_within_budget(connection, message))
	{
		connection_close(connection, CLOSE_UNAUTHORIZED, "too much before a document was opened");
		return 0;
	}
	Frame frame = frame_begin(message);
	Bytes address = frame_read_bytes(&frame);
	Bytes rest = {frame.at, (size_t) (frame.end - frame.at)};
	uint64_t type = frame_read_varuint(&frame);

	if (frame.failed || address.size > NAME_MAX_BYTES + 1 + SESSION_MAX_BYTES)
		return CLOSE_MALFORMED;
	Member *member = find(connection, address);

	if (type == MESSAGE_AUTH)
		return handle_auth(connection, member, address, &frame);
	if (type == MESSAGE_CLOSE)
	{
		close_by_client(connection, member, address);
		return 0;
	}
	if (member == NULL && type == MESSAGE_SYNC && is_sync_step1(frame))
	{
		TokenVerdict refusal;
		Identity *identity = identify(connection, (Bytes){0}, &refusal);

		throttle_costly_message(connection);
		member = open_member(connection, address, identity, refusal);
	}
	if (member == NULL || !member_is_open(member))
	{
		metrics_add(METRIC_MESSAGES_UNADDRESSED, 1);
		return 0;
	}
	int code = dispatch(member, type, &frame, rest);

	if (code == CLOSE_MALFORMED)
		metrics_add(METRIC_MESSAGES_MALFORMED, 1);
	if (code != 0)
		member_close(member, (uint16_t) code, ywebsocket_reason(code));
	return 0;
}

static int
dispatch(Member *member, uint64_t type, Frame *frame, Bytes rest)
{
	switch (type)
	{
		case MESSAGE_SYNC:
		case MESSAGE_AWARENESS:
		case MESSAGE_QUERY_AWARENESS: return ywebsocket_handle(member, rest);
		case MESSAGE_STATELESS:
		case MESSAGE_BROADCAST_STATELESS: return handle_stateless(member, frame);
		default: metrics_add(METRIC_MESSAGES_UNKNOWN, 1); return 0;
	}
}

/* Of a stranger, who may want nothing but to keep us busy. */
static bool
is_within_budget(Connection *connection, Bytes message)
{
	connection->unproven_messages++;
	connection->unproven_bytes += (uint32_t) message.size;
	return connection->unproven_messages <=
			   (config.documents_per_connection + 4) * UNPROVEN_MESSAGES &&
		   connection->unproven_bytes <= HOCUSPOCUS_UNPROVEN_BYTES;
}

/* A token: of a document that is opened with it, or goes on with it. */
static int
handle_auth(Connection *connection, Member *member, Bytes address, Frame *frame)
{
	uint64_t kind = frame_read_varuint(frame);
	Bytes token = frame_read_bytes(frame);
	bool has_version = frame->at < frame->end; /* from version 4 on */

	if (has_version)
		(void) frame_read_bytes(frame);
	if (frame->failed || kind != AUTH_TOKEN)
		return CLOSE_MALFORMED;
	connection->takes_pings |= has_version;
	/* version 2 does not know that it can be asked */
	connection->is_later_provider |= has_version || (member != NULL && member->was_asked);
	throttle_costly_message(connection);

	TokenVerdict refusal;
	Identity *identity = identify(connection, token, &refusal);
	bool goes_on = member != NULL && member_is_open(member);

	if (goes_on && identity != NULL)
	{
		member->owes_level = true;
		member_set_identity(member, identity);
		return 0;
	}
	if (member != NULL && !goes_on)
		member_detach(member); /* it was refused, and tries again */
	if (goes_on)
		refuse_token(member, refusal);
	else
		(void) open_member(connection, address, identity, refusal);
	return 0;
}

/* NULL if the token is refused.  Without one the request's credentials count. */
static Identity *
identify(const Connection *connection, Bytes token, TokenVerdict *refusal)
{
	Identity *own = connection->identity;

	if (token.size > 0 && identity_is_checked())
		return identity_of_token(token, refusal);
	*refusal = own == NULL ? connection->refusal : TOKEN_EXPIRED;
	return own != NULL && identity_is_current(own) ? identity_retain(own) : NULL;
}

/* Takes the identity.  NULL if it was refused at once, or it is being refused. */
static Member *
open_member(Connection *connection, Bytes address, Identity *identity, TokenVerdict refusal)
{
	const uint8_t *end = memchr(address.data, '\0', address.size);
	Bytes name = {address.data, end != NULL ? (size_t) (end - address.data) : address.size};
	bool is_name = name_is_document(name);

	if (!is_name || connection->member_count >= config.documents_per_connection)
	{
		identity_release(identity);
		refuse_address(connection, address,
					   is_name ? "too many documents on one connection"
							   : "no name that a document can have");
		return NULL;
	}
	Member *member = member_new(connection, address, identity);

	if (member == NULL)
		connection_close(connection, CLOSE_OVERLOAD, "out of memory");
	else if (identity != NULL)
		member_prove(member);
	else
		refuse_token(member, refusal);
	return member;
}

static void
refuse_token(Member *member, TokenVerdict refusal)
{
	char reason[CLOSE_REASON_MAX];
	bool may_be_good = refusal == TOKEN_OUT_OF_MEMORY;

	metrics_add(METRIC_TOKENS_REFUSED, 1);
	if (!may_be_good && member->connection->wsi != NULL)
		listener_authentication_failed(member->connection->wsi);
	snprintf(reason, sizeof reason, "token refused: %s", token_reason(refusal));
	member_close(member, may_be_good ? CLOSE_OVERLOAD : CLOSE_UNAUTHORIZED, reason);
}

/* Nothing is kept of it. */
static void
refuse_address(Connection *connection, Bytes address, const char *reason)
{
	metrics_add(METRIC_MESSAGES_UNADDRESSED, 1);
	write_auth(address, AUTH_DENIED, reason, &scratch);
	answer_with_scratch(connection);
}

static void
close_by_client(Connection *connection, Member *member, Bytes address)
{
	if (member == NULL)
		return;
	member_detach(member);
	write_close(address, "provider_initiated", &scratch);
	answer_with_scratch(connection);
}

/*
 * To all who have the document, as a server of Hocuspocus is mostly told to do; nothing is stored.  Applications
 * take it for their server's word, and cannot tell whose it is: so who may only read, a stranger maybe, has none.
 */
static int
handle_stateless(Member *member, Frame *frame)
{
	Bytes payload = frame_read_bytes(frame);

	if (frame->failed || !name_is_text(payload)) /* providers throw at what is no text */
		return CLOSE_MALFORMED;
	if (payload.size > (size_t) config.max_stateless_bytes)
	{
		member_close(member, CLOSE_TOO_BIG, "stateless message too big");
		return 0;
	}
	throttle_costly_message(member->connection);
	if (!access_may_send(member->level))
	{
		metrics_add(METRIC_STATELESS_DENIED, 1);
		return 0;
	}
	room_publish_stateless(member->room, payload);
	bus_share_stateless(room_name(member->room), payload);
	return 0;
}

static bool
is_sync_step1(Frame frame)
{
	return frame_read_varuint(&frame) == 0 && !frame.failed;
}

static Member *
find(const Connection *connection, Bytes address)
{
	Member *member = connection->members;

	while (member != NULL && (member->address_size != address.size ||
							  memcmp(member->document, address.data, address.size) != 0))
		member = member->next;
	return member;
}

static Bytes
address_bytes(const Member *member)
{
	return (Bytes){(const uint8_t *) member->document, member->address_size};
}

/* Its address is the document's name. */
static bool
is_plain(const Member *member)
{
	return strlen(member->document) == member->address_size;
}

/* ---- writing ---- */

void
hocuspocus_write(Member *member, Bytes frames)
{
	if ((member->wants & NEWS) == 0 && is_sharing && is_plain(member))
	{
		connection_write(member->connection, share_frames(member, frames));
		return;
	}
	write_first(member, &scratch);
	member->wants &= ~(unsigned) (WANT_TOKEN | WANT_LEVEL);
	write_frames(address_bytes(member), frames, &scratch);
	if (!waits_for_load(member))
		write_statuses(member, &scratch);
	write_stateless(member, &scratch);
	send_scratch(member->connection);
	if ((member->wants & NEWS) != 0 && !waits_for_load(member))
		member_yield(member);
}

void
hocuspocus_write_farewell(Member *member)
{
	const char *reason = member->close_reason != NULL ? member->close_reason : "";
	bool is_denial =
		member->close_code == CLOSE_UNAUTHORIZED || member->close_code == CLOSE_FORBIDDEN;

	write_statuses(member, &scratch);
	bool knows_close = member->connection->is_later_provider;

	if (is_denial || !knows_close)
		write_auth(address_bytes(member), AUTH_DENIED, reason, &scratch);
	if (knows_close && (member->was_admitted || !is_denial))
		write_close(address_bytes(member), reason, &scratch);
	send_scratch(member->connection);
}

void
hocuspocus_share(bool is_one_room)
{
	is_sharing = is_one_room;
	shared_source = (Bytes){0};
	buffer_reset(&shared);
	if (shared.capacity > SCRATCH_KEPT)
		buffer_free(&shared);
}

void
hocuspocus_keep_alive(Connection *connection)
{
	static const uint8_t ping[] = {0x82, 1, MESSAGE_PING};

	if (!connection->takes_pings)
		member_keep_alive(connection);
	else if (!connection_is_choked(connection))
		connection_write(connection, (Bytes){ping, sizeof ping});
}

void
hocuspocus_stop(void)
{
	buffer_free(&scratch);
	buffer_free(&shared);
}

/* The frames with their document's name; nothing when out of memory, and then the member is closed. */
static Bytes
share_frames(Member *member, Bytes frames)
{
	if (shared_source.data != frames.data || shared_source.size != frames.size)
	{
		buffer_reset(&shared);
		write_frames(address_bytes(member), frames, &shared);
		shared_source = frames;
	}
	if (!shared.failed)
		return buffer_view(&shared);
	shared_source = (Bytes){0};
	member_close(member, CLOSE_OVERLOAD, "out of memory");
	return (Bytes){0};
}

/* What comes before all else. */
static void
write_first(Member *member, Buffer *out)
{
	if ((member->wants & WANT_TOKEN) != 0)
	{
		member->was_asked = true;
		write_auth(address_bytes(member), AUTH_TOKEN, NULL, out);
	}
	if ((member->wants & WANT_LEVEL) != 0)
		write_auth(address_bytes(member), AUTH_GRANTED,
				   access_may_send(member->level) ? "read-write" : "readonly", out);
}

/* One for each update, but few at a time: whoever reads nothing can have sent any number. */
static void
write_statuses(Member *member, Buffer *out)
{
	static const uint8_t accepted[] = {0x82, 2, MESSAGE_SYNC_STATUS, 1};
	static const uint8_t refused[] = {0x82, 2, MESSAGE_SYNC_STATUS, 0};
	size_t most = out->size + MAX_NEWS_BYTES;

	for (; member->accepted > 0 && out->size < most; member->accepted--)
		write_frames(address_bytes(member), (Bytes){accepted, sizeof accepted}, out);
	for (; member->refused > 0 && out->size < most; member->refused--)
		write_frames(address_bytes(member), (Bytes){refused, sizeof refused}, out);
	if (member->accepted == 0 && member->refused == 0)
		member->wants &= ~(unsigned) WANT_STATUS;
}

/* A provider that has nothing unsaved says that it is synced: not before it has all. */
static bool
waits_for_load(const Member *member)
{
	return member->state == MEMBER_LOADING;
}

/* Likewise. */
static void
write_stateless(Member *member, Buffer *out)
{
	size_t most = out->size + MAX_NEWS_BYTES;

	while ((member->wants & WANT_STATELESS) != 0 && out->size < most)
	{
		Bytes frames = room_take_stateless(member);

		write_frames(address_bytes(member), frames, out);
		if (frames.size == 0)
			member->wants &= ~(unsigned) WANT_STATELESS;
	}
}

/* Frames as rooms know them, each with the address before its message. */
static void
write_frames(Bytes address, Bytes frames, Buffer *out)
{
	size_t prefix = varuint_size(address.size) + address.size;

	for (Bytes message; frame_take_message(&frames, &message);)
	{
		buffer_write_header(out, prefix + message.size);
		buffer_write_varbytes(out, address);
		buffer_write(out, message);
	}
}

/* text: NULL if the kind has none. */
static void
write_auth(Bytes address, int kind, const char *text, Buffer *out)
{
	size_t start = buffer_begin_message(out);

	buffer_write_varbytes(out, address);
	buffer_write_varuint(out, MESSAGE_AUTH);
	buffer_write_varuint(out, (uint64_t) kind);
	if (text != NULL)
		buffer_write_varbytes(out, (Bytes){(const uint8_t *) text, strlen(text)});
	buffer_end_message(out, start);
}

static void
write_close(Bytes address, const char *reason, Buffer *out)
{
	size_t start = buffer_begin_message(out);

	buffer_write_varbytes(out, address);
	buffer_write_varuint(out, MESSAGE_CLOSE);
	buffer_write_varbytes(out, (Bytes){(const uint8_t *) reason, strlen(reason)});
	buffer_end_message(out, start);
}

/* In answer to a message.  A peer that reads nothing of what it asks for misses that. */
static void
answer_with_scratch(Connection *connection)
{
	if (connection_is_open(connection) && connection_is_choked(connection))
		buffer_reset(&scratch);
	send_scratch(connection);
}

static void
send_scratch(Connection *connection)
{
	if (scratch.failed)
		connection_close(connection, CLOSE_OVERLOAD, "out of memory");
	else
		connection_write(connection, buffer_view(&scratch));
	buffer_reset(&scratch);
	if (scratch.capacity > SCRATCH_KEPT)
		buffer_free(&scratch);
}
