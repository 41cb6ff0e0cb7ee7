/*
 * frames.c: any bytes as what a socket sends: the head of a request, then frames of RFC 6455.
 *
 *     [pieces] [size of the head] [2 places in it] [bytes]
 *
 * What libwebsockets is given does not depend on the pieces in which the bytes come, nor on the room it has for them:
 * it is what the rule, read here a second time with all bytes at hand, lets through.
 */
#include <errno.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../require.h"
#include "config.h"
#include "connection.h"
#include "log.h"
#include "wire.h"

enum
{
	SOCKET = 5,
	LEAST_ROOM = 14 + 7 + 1, /* a header that was held back, the mark, and a byte */
	MOST_ROOM = 300,
	MAX_MESSAGE = 70000
};

typedef struct Outcome
{
	Buffer given; /* to the library */
	Buffer ping; /* the newest */
	bool has_ping;
	unsigned heard;
	bool has_ended, is_violation;
	unsigned code;
} Outcome;

typedef struct Stream
{
	Bytes left;
	size_t piece; /* bytes that are there; then none for a moment */
	uint32_t chance; /* 0: all at once */
} Stream;

Config config;
static Stream stream;

ssize_t fuzz_recvfrom(int fd, void *buffer, size_t size, int flags, void *address, void *length);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the socket ---- */

static uint32_t
chance(uint32_t below)
{
	stream.chance = stream.chance * 1664525 + 1013904223;
	return (stream.chance >> 8) % below;
}

ssize_t
fuzz_recvfrom(int fd, void *buffer, size_t size, int flags, void *address, void *length)
{
	(void) flags, (void) address, (void) length;
	fuzz_require(fd == SOCKET, "another socket is read");
	if (stream.piece == 0)
	{
		errno = EAGAIN;
		return -1;
	}
	size = size < stream.piece ? size : stream.piece;
	memcpy(buffer, stream.left.data, size);
	stream.left = (Bytes){stream.left.data + size, stream.left.size - size};
	stream.piece -= size;
	return (ssize_t) size;
}

int
lws_get_socket_fd(struct lws *wsi)
{
	(void) wsi;
	return SOCKET;
}

/* Nothing is written here. */
int
lws_write(struct lws *wsi, unsigned char *bytes, size_t size, enum lws_write_protocol protocol)
{
	(void) wsi;
	(void) bytes;
	(void) size;
	(void) protocol;
	return -1;
}

void
log_event(LogLevel level, const char *event, const char *fields, ...)
{
	(void) level, (void) event, (void) fields;
}

static void
next_piece(void)
{
	size_t most = stream.left.size;

	if (stream.chance != 0 && most > 1)
		most = chance(4) == 0 ? chance((uint32_t) most) + 1
							  : chance(most < 16 ? (uint32_t) most : 16) + 1;
	stream.piece = most;
}

/* ---- what wire.c does ---- */

static void
heard(void *context)
{
	((Outcome *) context)->heard++;
}

/* Into a block of just that size. */
static void
read_some(Outcome *outcome)
{
	size_t room = stream.chance == 0 ? MAX_MESSAGE : LEAST_ROOM + chance(MOST_ROOM - LEAST_ROOM);
	uint8_t *buffer = malloc(room);
	ssize_t got = recv(SOCKET, buffer, room, 0);

	fuzz_require(got > 0 || (got < 0 && errno == EAGAIN), "an error, or the end");
	if (got > 0)
		buffer_write(&outcome->given, (Bytes){buffer, (size_t) got});
	free(buffer);
}

static void
run(Bytes all, size_t head, const Handshake *handshake, uint32_t pieces, Outcome *outcome)
{
	struct lws *wsi = (struct lws *) outcome;
	bool is_open = false;
	uint8_t ping[WIRE_CONTROL_MAX];
	size_t ping_size;

	stream = (Stream){all, 0, pieces};
	fuzz_require(wire_expect_request(SOCKET, head, handshake), "no memory");
	while (stream.left.size > 0)
	{
		if (!is_open && outcome->given.size == head)
			fuzz_require(is_open = wire_open(wsi, heard, outcome), "not opened");
		if (stream.piece == 0)
			next_piece();
		read_some(outcome);
		fuzz_require(is_open || outcome->given.size <= head, "more than the head is read");
	}
	WireEnd end = wire_end(wsi);

	outcome->has_ended = end.code != 0 || end.reason != NULL;
	outcome->code = end.code;
	outcome->is_violation = end.reason != NULL;
	outcome->has_ping = wire_take_ping(wsi, ping, &ping_size);
	if (outcome->has_ping)
		buffer_write(&outcome->ping, (Bytes){ping, ping_size});
	wire_forget(SOCKET);
}

/* ---- what the rule says ---- */

static bool
is_utf8(Bytes text)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};

	for (size_t i = 0; i < text.size; i++)
	{
		uint8_t lead = text.data[i];
		int more = lead < 0x80       ? 0
				   : lead >> 5 == 6  ? 1
				   : lead >> 4 == 14 ? 2
				   : lead >> 3 == 30 ? 3
									 : -1;
		uint32_t point = more > 0 ? lead & (0x3f >> more) : lead;

		if (more < 0 || text.size - i <= (size_t) more)
			return false;
		for (int k = 0; k < more; k++)
		{
			uint8_t next = text.data[++i];

			if (next >> 6 != 2)
				return false;
			point = point << 6 | (next & 0x3f);
		}
		if (point < least[more] || point > 0x10ffff || point >> 11 == 0xd800 >> 11)
			return false;
	}
	return true;
}

static void
end_with(Outcome *outcome, unsigned code, bool is_violation)
{
	static const uint8_t mark[] = {0x8a, 0x81, 0, 0, 0, 0, 0};

	outcome->has_ended = code != 0;
	outcome->code = code;
	outcome->is_violation = is_violation;
	buffer_write(&outcome->given, (Bytes){mark, sizeof mark});
}

static void
obey_close(Outcome *outcome, const uint8_t *payload, size_t size)
{
	unsigned code = size >= 2 ? payload[0] * 256U + payload[1] : 0;
	bool is_known = code >= 1000 && code < 5000 && !(code >= 1004 && code <= 1006) &&
					!(code >= 1015 && code < 3000);

	if (size == 0)
		end_with(outcome, 0, false);
	else if (!is_known)
		end_with(outcome, 1002, true);
	else if (!is_utf8((Bytes){payload + 2, size - 2}))
		end_with(outcome, 1007, true);
	else
		end_with(outcome, code, false);
}

/* A control frame that is complete.  True if it is the last of all. */
static bool
obey_control(Outcome *outcome, int opcode, const uint8_t *mask, const uint8_t *masked, size_t size)
{
	uint8_t payload[WIRE_CONTROL_MAX];

	for (size_t i = 0; i < size; i++)
		payload[i] = masked[i] ^ mask[i & 3];
	if (opcode == 8)
	{
		obey_close(outcome, payload, size);
		return true;
	}
	outcome->heard++;
	if (opcode == 9)
	{
		outcome->has_ping = true;
		buffer_reset(&outcome->ping);
		buffer_write(&outcome->ping, (Bytes){payload, size});
	}
	return false;
}

/* The header's length; 0: it goes on beyond the end; -1: a violation. */
static int
read_header(const uint8_t *at, size_t left, bool is_inside, uint64_t *payload)
{
	int opcode = at[0] & 15;
	bool is_control = opcode >= 8, is_final = at[0] >= 0x80;

	if ((at[0] >> 4 & 7) != 0 || (opcode > 2 && opcode < 8) || opcode > 10 ||
		(is_control && !is_final) || (!is_control && (opcode == 0) != is_inside))
		return -1;
	if (left < 2)
		return 0;
	unsigned length = at[1] & 127U;
	int more = length == 126 ? 2 : length == 127 ? 8 : 0;

	if (at[1] < 0x80 || (is_control && length > 125))
		return -1;
	if (more == 8 && left > 2 && at[2] >= 0x80)
		return -1;
	if (left < 2 + (size_t) more)
		return 0;
	*payload = more == 0 ? length : 0;
	for (int i = 0; i < more; i++)
		*payload = *payload * 256 + at[2 + i];
	if ((more == 2 && *payload < 126) || (more == 8 && *payload < 65536))
		return -1;
	return left < 2 + (size_t) more + 4 ? 0 : 2 + more + 4;
}

static void
obey(Bytes frames, Outcome *outcome)
{
	bool is_inside = false;
	uint64_t payload = 0;

	for (const uint8_t *at = frames.data, *end = at + frames.size; at < end;)
	{
		int header = read_header(at, (size_t) (end - at), is_inside, &payload);

		if (header == 0)
			return;
		if (header < 0 || payload > MAX_MESSAGE)
		{
			end_with(outcome, header < 0 ? 1002 : CLOSE_TOO_BIG, true);
			return;
		}
		int opcode = at[0] & 15;
		size_t there = (size_t) (end - at) - (size_t) header;
		bool is_whole = there >= payload;
		size_t size = is_whole ? (size_t) payload : there;

		if (opcode < 8)
		{
			buffer_write(&outcome->given, (Bytes){at, (size_t) header + size});
			is_inside = at[0] < 0x80;
		}
		else if (is_whole && obey_control(outcome, opcode, at + header - 4, at + header, size))
			return;
		at += (size_t) header + size;
	}
}

/* ---- */

static void
compare(const Outcome *outcome, const Outcome *expected)
{
	fuzz_require(outcome->given.size == expected->given.size &&
					 (outcome->given.size == 0 ||
					  memcmp(outcome->given.data, expected->given.data, outcome->given.size) == 0),
				 "the library is given something else");
	fuzz_require(outcome->heard == expected->heard, "another number of pings and pongs");
	fuzz_require(outcome->has_ping == expected->has_ping &&
					 outcome->ping.size == expected->ping.size &&
					 (outcome->ping.size == 0 ||
					  memcmp(outcome->ping.data, expected->ping.data, outcome->ping.size) == 0),
				 "another ping");
	fuzz_require(outcome->has_ended == expected->has_ended && outcome->code == expected->code &&
					 outcome->is_violation == expected->is_violation,
				 "it ends otherwise");
}

static void
forget(Outcome *outcome)
{
	buffer_free(&outcome->given);
	buffer_free(&outcome->ping);
	*outcome = (Outcome){0};
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	Bytes all = {data + 4, size - 4};
	size_t head = data[1] < all.size ? data[1] : all.size;
	Handshake handshake = {.hidden = {data[2], data[3]}, .hidden_count = 2};
	Outcome expected = {0}, outcome = {0};

	config.max_message_bytes = MAX_MESSAGE;
	buffer_write(&expected.given, (Bytes){all.data, head});
	for (int i = 2; i < 4; i++)
		if (data[i] < head)
			expected.given.data[data[i]] = 'X';
	obey((Bytes){all.data + head, all.size - head}, &expected);
	/* at once; in pieces that this input chooses; in others */
	for (uint32_t pieces = 0; pieces < 3; pieces++)
	{
		run(all, head, &handshake, pieces == 0 ? 0 : data[0] * 2U + pieces, &outcome);
		compare(&outcome, &expected);
		forget(&outcome);
	}
	forget(&expected);
	return 0;
}
