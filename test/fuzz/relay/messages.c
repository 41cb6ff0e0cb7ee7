/*
 * messages.c: any bytes as messages of clients: hocuspocus.c, ywebsocket.c, and where they lead in member.c and presence.c.
 *
 *     [nature] { [what] [size] [bytes] }         what: 0x80: the message is followed by no round's end
 *                                                      0x40: of the second connection
 *         0: a message   1: time passes, size tenths of a second   2: the socket is full, or free
 *         3: the connection ends, another begins                   size 255: 2 bytes more, little-endian, have it
 *
 * What a message is, is read here a second time, by the rule alone (FORMAT 14 and 15).  The room has been given just
 * that, and of the member that is addressed; what is malformed closes whom it must.  All that is written to anybody is
 * a whole message that his provider can read, and has nothing in it but what somebody said.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../require.h"
#include "clock.h"
#include "config.h"
#include "metrics.h"
#include "name.h"
#include "world.h"

enum
{
	ADDRESS_MAX = 1024 + 1 + 128
};

#define SECONDS_MAX 100.0
#define SILENCE_SECONDS 35.0 /* 30, and what was held back as too fast */

typedef struct Reader
{
	const uint8_t *at, *end;
	bool is_bad;
} Reader;

typedef struct Message
{
	bool is_bad; /* up to its type */
	bool has_address;
	Bytes address;
	uint64_t type;
	Reader rest; /* after the type */
} Message;

static Buffer said; /* all bytes of all messages of this input */
static double silence; /* since the last one */
static Member *asker; /* held: showed a token just now */
static bool asker_is_told; /* what he may do */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- lib0's numbers, texts and arrays once more ---- */

static uint64_t
read_number(Reader *reader)
{
	const uint8_t *from = reader->at;
	uint64_t number = 0;

	while (reader->at < reader->end && *reader->at >= 0x80)
		reader->at++;
	if (reader->is_bad || reader->at == reader->end || reader->at - from > 7)
	{
		reader->is_bad = true;
		return 0;
	}
	for (const uint8_t *byte = reader->at; byte >= from; byte--)
		number = number * 128 + (*byte & 0x7f);
	reader->at++;
	reader->is_bad = number >> 53 != 0;
	return reader->is_bad ? 0 : number;
}

static Bytes
read_array(Reader *reader)
{
	uint64_t size = read_number(reader);
	Bytes bytes = {reader->at, (size_t) size};

	if (reader->is_bad || (uint64_t) (reader->end - reader->at) < size)
	{
		reader->is_bad = true;
		return (Bytes){0};
	}
	reader->at += size;
	return bytes;
}

static bool
is_same(Bytes a, Bytes b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static Message
read_message(Bytes bytes)
{
	Message message = {.rest = {bytes.data, bytes.data + bytes.size, false}};

	message.has_address = world_nature.protocol == PROTOCOL_HOCUSPOCUS;
	if (message.has_address)
		message.address = read_array(&message.rest);
	message.type = read_number(&message.rest);
	message.is_bad = message.rest.is_bad || message.address.size > ADDRESS_MAX;
	return message;
}

/* { client, clock, state }; checks each state if so wished. */
static bool
read_entries(Bytes bytes, void (*check)(uint64_t clock, Bytes state))
{
	Reader reader = {bytes.data, bytes.data + bytes.size, false};
	uint64_t count = read_number(&reader);

	for (uint64_t i = 0; i < count && !reader.is_bad; i++)
	{
		(void) read_number(&reader);
		uint64_t clock = read_number(&reader);
		Bytes state = read_array(&reader);

		if (!reader.is_bad && check != NULL)
			check(clock, state);
	}
	return !reader.is_bad;
}

/* ---- what is written ---- */

static bool
has_been_said(Bytes bytes)
{
	return memmem(said.data, said.size, bytes.data, bytes.size) != NULL;
}

/* With a name in it that is the database's, or none. */
static void
check_stamped(Bytes state)
{
	json_t *value = json_loadb((const char *) state.data, state.size,
							   JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
	const json_t *user = json_object_get(value, "user");
	const json_t *name = json_object_get(user, "name");

	fuzz_require(value != NULL, "an awareness state that is no JSON");
	fuzz_require(name == NULL || (json_is_string(name) && json_string_length(name) == 3 &&
								  strcmp(json_string_value(name), "Ann") == 0),
				 "somebody's name is another");
	fuzz_require(user == NULL || json_is_object(user), "a name where no name is");
	json_decref(value);
}

static void
check_state(uint64_t clock, Bytes state)
{
	fuzz_require(clock <= UINT64_C(1) << 53, "a clock that JavaScript cannot count to");
	if (is_same(state, (Bytes){(const uint8_t *) "null", 4}))
		return;
	fuzz_require(name_is_text(state), "an awareness state that is no text");
	if (world_nature.is_stamping)
		check_stamped(state);
	else
		fuzz_require(has_been_said(state), "an awareness state that nobody sent");
}

static const Member *
find_member(const Connection *connection, Bytes address)
{
	const Member *member = connection->members;

	if (connection->protocol == PROTOCOL_YWEBSOCKET)
		return member;
	while (member != NULL &&
		   !is_same(address, (Bytes){(const uint8_t *) member->document, member->address_size}))
		member = member->next;
	return member;
}

/* After the type. */
static void
check_sync(const Member *member, Reader *rest)
{
	uint64_t kind = read_number(rest);
	Bytes payload = read_array(rest);

	fuzz_require(!rest->is_bad && (kind == 1 || kind == 2), "a sync message of another kind");
	fuzz_require(member != NULL && member_is_open(member), "a document for nobody");
	fuzz_require(kind == 1 ? is_same(payload, buffer_view(&member->state_vector))
						   : world_has_published(member->room, TAKEN_UPDATE, payload),
				 "what is written is not what was taken");
}

static void
check_auth(const Member *member, Reader *rest)
{
	uint64_t kind = read_number(rest);
	bool is_hocuspocus = world_nature.protocol == PROTOCOL_HOCUSPOCUS;

	fuzz_require(!rest->is_bad && kind <= (is_hocuspocus ? 2 : 0), "permissions of another kind");
	asker_is_told |= member == asker && kind == 2;
	if (!is_hocuspocus || kind > 0)
		fuzz_require(name_is_text(read_array(rest)), "a reason that is no text");
}

static void
check_written(Connection *connection, Bytes bytes)
{
	static const uint8_t ping[] = {9};
	Message message = read_message(bytes);
	Reader *rest = &message.rest;

	if (message.has_address && is_same(bytes, (Bytes){ping, 1}))
		return;
	const Member *member = find_member(connection, message.address);

	fuzz_require(!message.is_bad, "a message without a type");
	fuzz_require(!message.has_address || has_been_said(message.address), "an address of nobody's");
	switch (message.type)
	{
		case 0: check_sync(member, rest); break;
		case 1:
			fuzz_require(read_entries(read_array(rest), check_state), "awareness that is cut off");
			break;
		case 2: check_auth(member, rest); break;
		case 5:
			fuzz_require(member != NULL &&
							 world_has_published(member->room, TAKEN_STATELESS, read_array(rest)),
						 "a stateless message that nobody sent");
			break;
		case 7: fuzz_require(name_is_text(read_array(rest)), "a reason that is no text"); break;
		case 8: fuzz_require(read_number(rest) <= 1, "a status of another kind"); break;
		default: fuzz_require(false, "a message of another type");
	}
	fuzz_require(message.has_address || message.type <= 2, "a message of the other protocol");
	fuzz_require(!rest->is_bad && rest->at == rest->end, "a message is cut off, or goes on");
}

/* ---- what is taken ---- */

/* What the rule says a room is given, or what else follows. */
typedef struct Expected
{
	bool is_malformed;
	bool is_maybe_malformed; /* presence that is perhaps looked at later */
	bool is_too_big; /* closes the member */
	TakenKind kind;
	Bytes bytes;
} Expected;

static Expected
expect_content(Message message)
{
	static const TakenKind kinds[] = {TAKEN_STATE_VECTOR, TAKEN_ANSWER, TAKEN_UPDATE};
	Reader *rest = &message.rest;
	uint64_t kind = message.type == 0 ? read_number(rest) : 0;
	bool has_bytes = (message.type == 0 && kind < 3) || message.type == 1 ||
					 (message.has_address && (message.type == 5 || message.type == 6));
	Expected expected = {.bytes = has_bytes ? read_array(rest) : (Bytes){0}};

	expected.is_malformed = rest->is_bad;
	if (expected.is_malformed || !has_bytes)
		return expected;
	if (message.type == 0)
		expected.kind = kinds[kind];
	else if (message.type == 1)
	{
		expected.is_too_big = expected.bytes.size > (size_t) config.max_presence_message_bytes;
		expected.is_maybe_malformed = !expected.is_too_big && !read_entries(expected.bytes, NULL);
	}
	else
	{
		expected.is_malformed = !name_is_text(expected.bytes);
		expected.is_too_big = expected.bytes.size > (size_t) config.max_stateless_bytes;
		expected.kind = TAKEN_STATELESS;
	}
	if (expected.is_malformed || expected.is_too_big)
		expected.kind = TAKEN_NOTHING;
	return expected;
}

static void
check_taken(const Expected *expected, const Member *member, const Room *room)
{
	fuzz_require(world_taken.kind == expected->kind &&
					 world_taken.count == (expected->kind != TAKEN_NOTHING),
				 "a message was taken for another");
	if (expected->kind == TAKEN_NOTHING)
		return;
	fuzz_require(is_same(world_taken.bytes, expected->bytes) &&
					 (expected->bytes.size == 0 || world_taken.bytes.data == expected->bytes.data),
				 "something else was taken than was sent");
	fuzz_require(world_taken.member == NULL || world_taken.member == member,
				 "a message was taken as another member's");
	fuzz_require(room == NULL || world_taken.room == room, "a message went into another room");
}

/* Of y-websocket; the member is closed with its connection. */
static void
say_to_ywebsocket(Connection *connection, Bytes bytes)
{
	Message message = read_message(bytes);
	Expected expected = expect_content(message);
	Member *member = connection->members;
	Room *room = member->room;
	int code = world_say(connection, bytes);

	check_taken(&expected, member, room);
	fuzz_require(code == 0 || code == CLOSE_MALFORMED, "an unknown close code");
	if (message.is_bad || expected.is_malformed)
		fuzz_require(code == CLOSE_MALFORMED, "a malformed message was taken");
	else if (expected.is_maybe_malformed)
		fuzz_require(code == CLOSE_MALFORMED || world_nature.is_throttling,
					 "malformed presence was taken");
	else
		fuzz_require(code == 0, "a good message was called malformed");
	if (code == 0 && !expected.is_too_big)
		fuzz_require(connection_is_open(connection), "closed without a cause");
	else
		fuzz_require(!connection_is_open(connection) &&
						 connection->close_code == (code != 0 ? code : CLOSE_TOO_BIG),
					 "not closed, or for another cause");
}

/* A token: who shows a bad one is closed, all others go on. */
static void
check_auth_taken(const Connection *connection, const Message *message, int code)
{
	Reader rest = message->rest;
	uint64_t kind = read_number(&rest);

	(void) read_array(&rest);
	if (rest.at < rest.end)
		(void) read_array(&rest);
	bool is_bad = rest.is_bad || kind != 0;

	fuzz_require(code == (is_bad ? CLOSE_MALFORMED : 0), "a token message, judged differently");
	fuzz_require(world_taken.kind == TAKEN_NOTHING, "a token was taken for content");
	if (code == 0 && connection_is_open(connection))
	{
		const uint8_t *end = memchr(message->address.data, 0, message->address.size);
		Bytes name = {message->address.data,
					  end != NULL ? (size_t) (end - message->address.data) : message->address.size};

		fuzz_require(name_is_document(name) || find_member(connection, message->address) == NULL,
					 "a document without a name is open");
	}
}

/* Who is let in, or goes on with a new token, hears what he may do. */
static void
check_asker(Connection *connection)
{
	if (asker != NULL && member_is_open(asker) && connection_is_open(connection) &&
		!connection_is_choked(connection))
		fuzz_require(asker_is_told, "a token is not answered");
}

/* The member is closed alone; the socket goes on. */
static void
check_content_taken(const Connection *connection, const Message *message, Member *member)
{
	Expected expected = expect_content(*message);
	bool is_bad = expected.is_malformed || expected.is_too_big;

	check_taken(&expected, member, member->room);
	if (is_bad || (expected.is_maybe_malformed && !world_nature.is_throttling))
		fuzz_require(!member_is_open(member) &&
						 member->close_code == (expected.is_malformed || expected.is_maybe_malformed
													? CLOSE_MALFORMED
													: CLOSE_TOO_BIG),
					 "not closed, or for another cause");
	else if (!expected.is_maybe_malformed)
		fuzz_require(member_is_open(member), "closed without a cause");
	fuzz_require(connection_is_open(connection), "a document's end ended the others");
}

static void
say_to_hocuspocus(Connection *connection, Bytes bytes)
{
	Message message = read_message(bytes);
	Member *before = (Member *) find_member(connection, message.address);
	bool was_open = before != NULL && member_is_open(before);
	bool is_ping = bytes.size == 1 && (bytes.data[0] == 9 || bytes.data[0] == 10);

	if (before != NULL)
		member_retain(before);
	int code = world_say(connection, bytes);
	Member *after = (Member *) find_member(connection, message.address);

	fuzz_require(connection->member_count <= WORLD_DOCUMENTS, "too many documents");
	if (is_ping)
		fuzz_require(code == 0 && world_taken.kind == TAKEN_NOTHING, "a ping was content");
	else if (!connection_is_open(connection) && connection->close_code == CLOSE_UNAUTHORIZED)
		fuzz_require(!connection->is_proven && code == 0, "too much, of somebody we know");
	else if (message.is_bad)
		fuzz_require(code == CLOSE_MALFORMED, "a malformed message was taken");
	else if (message.type == 2)
	{
		check_auth_taken(connection, &message, code);
		asker = after != NULL ? member_retain(after) : NULL;
		asker_is_told = false;
	}
	else if (message.type == 7)
		fuzz_require(code == 0 && after == NULL, "a document that was closed is open");
	else if (was_open || after != before)
	{
		fuzz_require(code == 0, "content ended the connection");
		if (after != NULL && (was_open || member_is_open(after)))
			check_content_taken(connection, &message, after);
	}
	else
		fuzz_require(code == 0 && world_taken.kind == TAKEN_NOTHING, "taken without a member");
	if (before != NULL)
		member_release(before);
}

/* ---- the input ---- */

/* In a block of its own: reading beyond it is noticed. */
static void
say(Connection *connection, Bytes bytes)
{
	uint8_t *copy = malloc(bytes.size);

	if (bytes.size > 0)
		memcpy(copy, bytes.data, bytes.size);
	buffer_write(&said, bytes);
	silence = 0.0;
	if (connection->protocol == PROTOCOL_HOCUSPOCUS)
		say_to_hocuspocus(connection, (Bytes){copy, bytes.size});
	else
		say_to_ywebsocket(connection, (Bytes){copy, bytes.size});
	free(copy);
}

static void
pass(double seconds)
{
	seconds = seconds < SECONDS_MAX ? seconds : SECONDS_MAX;
	clock_pass(seconds);
	silence += seconds;
	fuzz_require(silence < SILENCE_SECONDS || metrics_cell()->values[METRIC_PRESENCE_CLIENTS] == 0,
				 "somebody who says nothing is still here");
}

static void
step(uint8_t what, Bytes bytes)
{
	int number = (what & 0x40) != 0;
	Connection *connection = world_connections[number];

	switch (what & 3)
	{
		case 0:
			/* who is being asked about is not read */
			if (connection->pauses == 0 && connection_is_open(connection))
				say(connection, bytes);
			break;
		case 1: pass((double) bytes.size / 10.0); break;
		case 2: world_choke(connection, !connection_is_choked(connection)); break;
		default: connection->state = CONNECTION_CLOSING;
	}
	if ((what & 0x80) == 0 || connection->pauses != 0)
	{
		world_end_round();
		check_asker(connection);
	}
	if (asker != NULL)
		member_release(asker);
	asker = NULL;
	if (!connection_is_open(connection))
	{
		world_close(number);
		world_open(number);
		world_end_round();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	uint8_t nature = size > 0 ? *data++ : 0;

	buffer_reset(&said);
	silence = 0.0;
	world_written = check_written;
	world_begin(&(WorldNature){.protocol = nature & 1 ? PROTOCOL_HOCUSPOCUS : PROTOCOL_YWEBSOCKET,
							   .is_checked = (nature & 2) != 0,
							   .is_stamping = (nature & 4) != 0,
							   .is_throttling = (nature & 8) != 0,
							   .is_strict = (nature & 16) != 0});
	for (int i = 0; i < WORLD_CONNECTIONS; i++)
		world_open(i);
	world_end_round();
	while (end - data >= 2)
	{
		uint8_t what = *data++;
		size_t length = *data++;

		if (length == 255 && end - data >= 2)
		{
			length = (size_t) (data[0] | data[1] << 8);
			data += 2;
		}
		bool is_bytes = (what & 3) == 0;

		if (is_bytes && length > (size_t) (end - data))
			length = (size_t) (end - data);
		step(what, (Bytes){data, length});
		data += is_bytes ? length : 0;
	}
	world_end();
	return 0;
}
