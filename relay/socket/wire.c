/*
 * wire.c: recv() and a parser of frames' headers; send() (wire.h).
 *
 * Here: RFC 6455 sections 5 and 7.  Not here: what a message means, answers (connection.c),
 * requests (listener.c, http.c).
 */
#include "wire.h"

#include <errno.h>
#include <jansson.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "config.h"
#include "connection.h"
#include "log.h"
#include "name.h"

#define HEADER_MAX 14
#define MARK_BYTES 7

enum
{
	OPCODE_CONTINUATION = 0,
	OPCODE_TEXT = 1,
	OPCODE_BINARY = 2,
	OPCODE_CLOSE = 8,
	OPCODE_PING = 9,
	OPCODE_PONG = 10
};

typedef struct Control /* frames, which are rare */
{
	uint8_t payload[WIRE_CONTROL_MAX]; /* of the one that comes in, unmasked */
	size_t size;
	uint8_t ping[WIRE_CONTROL_MAX]; /* the newest one, if has_ping */
	size_t ping_size;
	bool has_ping;
} Control;

typedef struct Wire /* of one socket */
{
	size_t head_read, head_left; /* bytes of its first request's head */
	Handshake handshake;
	uint64_t body_left; /* bytes of its body */
	bool is_open; /* a WebSocket */
	bool is_inside_message; /* a fragment came that was not the last */
	bool has_ended; /* what comes now is dropped */
	WireEnd end;
	void (*heard)(void *context);
	void *context;
	uint8_t header[HEADER_MAX]; /* of a frame, as far as it came; held back until it is complete */
	size_t header_size;
	uint64_t payload_left; /* of a frame whose header is complete */
	Control *control; /* NULL: none comes in, and no ping waits for its answer */
} Wire;

typedef struct Reading /* one recv(): out never overtakes in */
{
	const uint8_t *in, *end;
	uint8_t *out;
} Reading;

static Wire **wires; /* by descriptor */
static size_t wire_count;

static Wire *wire_of(int fd);
static ssize_t read_request(Wire *wire, int fd, void *buffer, size_t size, int flags);
static ssize_t read_body(Wire *wire, int fd, void *buffer, size_t size, int flags);
static ssize_t read_frames(Wire *wire, int fd, uint8_t *buffer, size_t size, int flags);
static void take_header(Wire *wire, Reading *reading);
static const char *header_problem(const Wire *wire);
static const char *first_byte_problem(const Wire *wire);
static size_t header_length(const Wire *wire);
static uint64_t payload_length(const Wire *wire);
static void begin_payload(Wire *wire, Reading *reading);
static void take_payload(Wire *wire, Reading *reading);
static bool begin_control(Wire *wire);
static void take_control(Wire *wire, uint8_t byte);
static void end_control(Wire *wire, Reading *reading);
static bool control_comes_in(const Wire *wire);
static void drop_control(Wire *wire);
static void take_close(Wire *wire, Reading *reading);
static bool is_close_code(unsigned code);
static void finish(Wire *wire, Reading *reading, uint16_t code, const char *reason);
static void put(Reading *reading, const uint8_t *bytes, size_t size);

/* In the place of the C library's: see wire.h. */
ssize_t wire_recv(int fd, void *buffer, size_t size, int flags) __asm__("recv");

__attribute__((used, visibility("default"))) ssize_t
wire_recv(int fd, void *buffer, size_t size, int flags)
{
	Wire *wire = wire_of(fd);

	if (wire == NULL || (flags & MSG_PEEK) != 0)
		return recvfrom(fd, buffer, size, flags, NULL, NULL);
	if (wire->head_left > 0)
		return read_request(wire, fd, buffer, size, flags);
	if (!wire->is_open)
		return read_body(wire, fd, buffer, size, flags);
	return read_frames(wire, fd, buffer, size, flags);
}

bool
wire_expect_request(int fd, size_t head_bytes, const Handshake *handshake)
{
	if ((size_t) fd >= wire_count)
	{
		size_t count = (size_t) fd * 2 + 64;
		Wire **larger = realloc(wires, count * sizeof *larger);

		if (larger == NULL)
			return false;
		memset(larger + wire_count, 0, (count - wire_count) * sizeof *larger);
		wires = larger;
		wire_count = count;
	}
	wire_forget(fd);
	wires[fd] = malloc(sizeof *wires[fd]);
	if (wires[fd] == NULL)
		return false;
	*wires[fd] = (Wire){.head_left = head_bytes, .handshake = *handshake};
	return true;
}

void
wire_expect_body(struct lws *wsi, uint64_t size)
{
	Wire *wire = wire_of(lws_get_socket_fd(wsi));

	if (wire != NULL)
		wire->body_left = size;
}

bool
wire_open(struct lws *wsi, void (*heard)(void *context), void *context)
{
	Wire *wire = wire_of(lws_get_socket_fd(wsi));

	if (wire == NULL || wire->head_left > 0)
	{
		log_event(LEVEL_ERROR, "wire_bypassed", "{s:s}", "reason",
				  "libwebsockets does not read by recv(): frames could not be checked");
		return false;
	}
	wire->is_open = true;
	wire->heard = heard;
	wire->context = context;
	return true;
}

bool
wire_take_ping(struct lws *wsi, uint8_t payload[WIRE_CONTROL_MAX], size_t *size)
{
	Wire *wire = wire_of(lws_get_socket_fd(wsi));

	if (wire == NULL || wire->control == NULL || !wire->control->has_ping)
		return false;
	*size = wire->control->ping_size;
	memcpy(payload, wire->control->ping, wire->control->ping_size);
	wire->control->has_ping = false;
	if (!control_comes_in(wire))
		drop_control(wire);
	return true;
}

WireEnd
wire_end(struct lws *wsi)
{
	const Wire *wire = wire_of(lws_get_socket_fd(wsi));

	return wire != NULL ? wire->end : (WireEnd){0};
}

bool
wire_write(struct lws *wsi, int fd, Bytes frames, bool *is_choked)
{
	ssize_t sent = send(fd, frames.data, frames.size, MSG_NOSIGNAL | MSG_DONTWAIT);

	*is_choked = sent < (ssize_t) frames.size;
	if (!*is_choked)
		return true;
	if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		return false;
	size_t taken = sent > 0 ? (size_t) sent : 0;

	/* RAW does not touch the buffer, in spite of the parameter's type */
	return lws_write(wsi, (unsigned char *) frames.data + taken, frames.size - taken,
					 LWS_WRITE_RAW) >= 0;
}

void
wire_shut(struct lws *wsi)
{
	shutdown(lws_get_socket_fd(wsi), SHUT_WR);
}

void
wire_forget(int fd)
{
	if (wire_of(fd) == NULL)
		return;
	drop_control(wires[fd]);
	free(wires[fd]);
	wires[fd] = NULL;
}

static Wire *
wire_of(int fd)
{
	return fd >= 0 && (size_t) fd < wire_count ? wires[fd] : NULL;
}

/* The name of a header that is hidden begins with an X: nobody knows it. */
static ssize_t
read_request(Wire *wire, int fd, void *buffer, size_t size, int flags)
{
	ssize_t got =
		recvfrom(fd, buffer, size < wire->head_left ? size : wire->head_left, flags, NULL, NULL);

	if (got <= 0)
		return got;
	for (size_t i = 0; i < wire->handshake.hidden_count; i++)
	{
		size_t place = wire->handshake.hidden[i];

		if (place >= wire->head_read && place < wire->head_read + (size_t) got)
			((char *) buffer)[place - wire->head_read] = 'X';
	}
	wire->head_read += (size_t) got;
	wire->head_left -= (size_t) got;
	return got;
}

/* Of a plain request.  What follows it is read, and dropped. */
static ssize_t
read_body(Wire *wire, int fd, void *buffer, size_t size, int flags)
{
	bool is_expected = wire->body_left > 0;
	ssize_t got =
		recvfrom(fd, buffer, is_expected && wire->body_left < size ? wire->body_left : size, flags,
				 NULL, NULL);

	if (got <= 0)
		return got;
	if (is_expected)
	{
		wire->body_left -= (uint64_t) got;
		return got;
	}
	errno = EAGAIN; /* nothing that concerns the library */
	return -1;
}

/*
 * What is held back of a header goes before what is read, so that is read further behind; and there
 * is room left for the frame that marks the end.
 */
static ssize_t
read_frames(Wire *wire, int fd, uint8_t *buffer, size_t size, int flags)
{
	bool holds_back = wire->header_size > 0 && wire->payload_left == 0;
	size_t gap = holds_back ? HEADER_MAX : 0;

	if (size <= gap + MARK_BYTES)
	{
		errno = EINVAL; /* the library reads thousands at once */
		return -1;
	}
	ssize_t got = recvfrom(fd, buffer + gap, size - gap - MARK_BYTES, flags, NULL, NULL);

	if (got <= 0)
		return got;
	Reading reading = {.in = buffer + gap, .end = buffer + gap + got, .out = buffer};

	while (reading.in < reading.end && !wire->has_ended)
	{
		if (wire->payload_left > 0)
			take_payload(wire, &reading);
		else
			take_header(wire, &reading);
	}
	if (reading.out > buffer)
		return reading.out - buffer;
	errno = EAGAIN; /* nothing that concerns the library */
	return -1;
}

/* One byte of it. */
static void
take_header(Wire *wire, Reading *reading)
{
	wire->header[wire->header_size++] = *reading->in++;
	const char *problem = header_problem(wire);

	if (problem != NULL)
		finish(wire, reading, LWS_CLOSE_STATUS_PROTOCOL_ERR, problem);
	else if (wire->header_size == 1 || wire->header_size < header_length(wire))
		return;
	else if (payload_length(wire) > (uint64_t) config.max_message_bytes)
		finish(wire, reading, CLOSE_TOO_BIG, "message too big");
	else
		begin_payload(wire, reading);
}

/* As soon as the byte that tells is there; NULL if all is well so far. */
static const char *
header_problem(const Wire *wire)
{
	uint8_t length = wire->header[1] & 0x7f;

	if (wire->header_size == 1)
		return first_byte_problem(wire);
	if (wire->header_size == 2)
	{
		if ((wire->header[1] & 0x80) == 0)
			return "frame without a mask";
		return (wire->header[0] & 0x08) != 0 && length > WIRE_CONTROL_MAX ? "control frame too long"
																		  : NULL;
	}
	if (length == 126 && wire->header_size == 4 && payload_length(wire) < 126)
		return "length in too many bytes";
	if (length == 127 && wire->header_size == 3 && wire->header[2] > 0x7f)
		return "length beyond 63 bits";
	if (length == 127 && wire->header_size == 10 && payload_length(wire) <= UINT16_MAX)
		return "length in too many bytes";
	return NULL;
}

static const char *
first_byte_problem(const Wire *wire)
{
	uint8_t opcode = wire->header[0] & 0x0f;
	bool is_final = (wire->header[0] & 0x80) != 0;

	if ((wire->header[0] & 0x70) != 0)
		return "reserved bit set";
	switch (opcode)
	{
		case OPCODE_CONTINUATION: return wire->is_inside_message ? NULL : "nothing to continue";
		case OPCODE_TEXT:
		case OPCODE_BINARY: return wire->is_inside_message ? "message inside another" : NULL;
		case OPCODE_CLOSE:
		case OPCODE_PING:
		case OPCODE_PONG: return is_final ? NULL : "control frame in fragments";
		default: return "unknown opcode";
	}
}

/* From its second byte on. */
static size_t
header_length(const Wire *wire)
{
	uint8_t length = wire->header[1] & 0x7f;

	return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + 4;
}

static uint64_t
payload_length(const Wire *wire)
{
	uint8_t length = wire->header[1] & 0x7f;
	size_t bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | wire->header[2 + i];
	return bytes > 0 ? value : length;
}

static void
begin_payload(Wire *wire, Reading *reading)
{
	uint8_t opcode = wire->header[0] & 0x0f;

	wire->payload_left = payload_length(wire);
	if (opcode <= OPCODE_BINARY)
		wire->is_inside_message = (wire->header[0] & 0x80) == 0;
	if (opcode <= OPCODE_BINARY)
		put(reading, wire->header, wire->header_size);
	else if (!begin_control(wire))
	{
		finish(wire, reading, CLOSE_OVERLOAD, "out of memory");
		return;
	}
	if (wire->payload_left == 0 && opcode > OPCODE_BINARY)
		end_control(wire, reading);
	if (wire->payload_left == 0)
		wire->header_size = 0;
}

/* As much of it as there is. */
static void
take_payload(Wire *wire, Reading *reading)
{
	uint8_t opcode = wire->header[0] & 0x0f;
	size_t there = (size_t) (reading->end - reading->in);
	size_t size = there < wire->payload_left ? there : (size_t) wire->payload_left;

	wire->payload_left -= size;
	if (opcode <= OPCODE_BINARY)
		put(reading, reading->in, size);
	else
		for (size_t i = 0; i < size; i++)
			take_control(wire, reading->in[i]);
	reading->in += size;
	if (wire->payload_left > 0)
		return;
	if (opcode > OPCODE_BINARY)
		end_control(wire, reading);
	wire->header_size = 0;
}

static void
take_control(Wire *wire, uint8_t byte)
{
	const uint8_t *mask = wire->header + wire->header_size - 4;

	wire->control->payload[wire->control->size] = byte ^ mask[wire->control->size % 4];
	wire->control->size++;
}

static void
end_control(Wire *wire, Reading *reading)
{
	Control *control = wire->control;

	switch (wire->header[0] & 0x0f)
	{
		case OPCODE_CLOSE: take_close(wire, reading); break;
		case OPCODE_PING:
			memcpy(control->ping, control->payload, control->size);
			control->ping_size = control->size;
			control->has_ping = true;
			wire->heard(wire->context);
			break;
		default: wire->heard(wire->context);
	}
	if (!control->has_ping)
		drop_control(wire);
}

/* False: out of memory. */
static bool
begin_control(Wire *wire)
{
	if (wire->control == NULL)
		wire->control = calloc(1, sizeof *wire->control);
	if (wire->control == NULL)
		return false;
	wire->control->size = 0;
	return true;
}

static bool
control_comes_in(const Wire *wire)
{
	return wire->payload_left > 0 && (wire->header[0] & 0x0f) > OPCODE_BINARY;
}

static void
drop_control(Wire *wire)
{
	free(wire->control);
	wire->control = NULL;
}

static void
take_close(Wire *wire, Reading *reading)
{
	const uint8_t *payload = wire->control->payload;
	size_t size = wire->control->size;
	unsigned code = size < 2 ? 0 : payload[0] << 8 | payload[1];

	if (size == 0)
		finish(wire, reading, 0, NULL);
	else if (size == 1 || !is_close_code(code))
		finish(wire, reading, LWS_CLOSE_STATUS_PROTOCOL_ERR, "no such close code");
	else if (!name_is_text((Bytes){payload + 2, size - 2}))
		finish(wire, reading, LWS_CLOSE_STATUS_INVALID_PAYLOAD, "close reason is not UTF-8");
	else
		finish(wire, reading, (uint16_t) code, NULL);
}

/* RFC 6455 7.4 and IANA's registry: 1004 to 1006 and 1015 are never sent. */
static bool
is_close_code(unsigned code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
		   (code >= 3000 && code <= 4999);
}

/* A pong in its place: the library meets it after all that came before. */
static void
finish(Wire *wire, Reading *reading, uint16_t code, const char *reason)
{
	static const uint8_t mark[MARK_BYTES] = {0x80 | OPCODE_PONG,
											 0x80 | 1}; /* empty, it is not reported */

	wire->has_ended = true;
	wire->end = (WireEnd){.code = code, .reason = reason};
	put(reading, mark, sizeof mark);
}

static void
put(Reading *reading, const uint8_t *bytes, size_t size)
{
	if (reading->out != bytes)
		memmove(reading->out, bytes, size);
	reading->out += size;
}
