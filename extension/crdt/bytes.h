/*
 * bytes.h: reading and writing the primitives of lib0 (FORMAT 1): bytes, varints, floats, strings.
 *
 * The reader is sticky: after its first failure it returns zeros, stands still and remembers, so
 * decoding reads like the format's own grammar and is checked once per struct:
 *
 *     uint8_t info = crdt_read_u8(reader);
 *     if (info & 0x80)
 *         origin = crdt_read_id(reader);
 *     if (crdt_reader_failed(reader)) ...
 *
 * Writers append to a CrdtBuffer (host.h), which notes a failed allocation.
 */
#ifndef CRDT_BYTES_H
#define CRDT_BYTES_H

#include "host.h"

#define CRDT_SAFE_INTEGER_MAX ((UINT64_C(1) << 53) - 1)

/* ---- reading ---- */

typedef struct CrdtReader
{
	const uint8_t *start;
	const uint8_t *cursor;
	const uint8_t *end;
	CrdtError error; /* the first failure; offsets count from start */
	bool takes_surrogates; /* strings come from a caller, not the wire: internal text (utf.h) */
} CrdtReader;

typedef struct CrdtVarint
{
	uint64_t magnitude;
	bool negative; /* -0 exists, and means something in V2's columns */
} CrdtVarint;

void crdt_reader_open(CrdtReader *reader, CrdtBytes bytes);

/* Notes a failure at the cursor, unless there is one already, and moves the cursor to the end. */
void
crdt_reader_fail(CrdtReader *reader, CrdtStatus status, const char *format, ...) CRDT_PRINTF(3, 4);

static inline bool
crdt_reader_failed(const CrdtReader *reader)
{
	return reader->error.status != CRDT_OK;
}

static inline size_t
crdt_reader_left(const CrdtReader *reader)
{
	return (size_t) (reader->end - reader->cursor);
}

uint8_t crdt_read_u8(CrdtReader *reader);
uint64_t crdt_read_varuint_slow(CrdtReader *reader);
CrdtVarint crdt_read_varint(CrdtReader *reader);
float crdt_read_float32(CrdtReader *reader);
double crdt_read_float64(CrdtReader *reader);
int64_t crdt_read_bigint64(CrdtReader *reader);

/* A view of the next size bytes. */
CrdtBytes crdt_read_bytes(CrdtReader *reader, uint64_t size);

/* varUint8Array: length, bytes. */
CrdtBytes crdt_read_byte_array(CrdtReader *reader);

/* varString: length in bytes, strict UTF-8. */
CrdtBytes crdt_read_string(CrdtReader *reader);

/* A count of things of at least least_bytes_each: refused if the input cannot hold as many, so that
 * a number from the wire never sizes an allocation by itself.  what names them in the message. */
uint64_t crdt_read_count(CrdtReader *reader, size_t least_bytes_each, const char *what);

/* varUint, at most 2^53 - 1. */
static inline uint64_t
crdt_read_varuint(CrdtReader *reader)
{
	const uint8_t *at = reader->cursor;

	/* one byte, two or three: nearly all there are */
	if (reader->end - at >= 3)
	{
		if (at[0] < 128)
		{
			reader->cursor = at + 1;
			return at[0];
		}
		if (at[1] < 128)
		{
			reader->cursor = at + 2;
			return (uint64_t) (at[0] & 127) | (uint64_t) at[1] << 7;
		}
		if (at[2] < 128)
		{
			reader->cursor = at + 3;
			return (uint64_t) (at[0] & 127) | (uint64_t) (at[1] & 127) << 7 |
				   (uint64_t) at[2] << 14;
		}
	}
	return crdt_read_varuint_slow(reader);
}

/* a + b for clocks and lengths; notes CRDT_LIMIT beyond 2^53 - 1. */
uint64_t crdt_read_sum(CrdtReader *reader, uint64_t a, uint64_t b);

/* ---- writing ---- */

uint8_t *crdt_buffer_room_slow(CrdtBuffer *buffer, size_t size);

/* Room for size more bytes, or NULL (and buffer->failed).  Follow with buffer->size += written. */
static inline uint8_t *
crdt_buffer_room(CrdtBuffer *buffer, size_t size)
{
	if (buffer->capacity - buffer->size >= size && !buffer->failed)
		return buffer->data + buffer->size;
	return crdt_buffer_room_slow(buffer, size);
}

/* As many bytes as a varUint may take. */
#define CRDT_VARUINT_BYTES 10

/* Writes value to a place that has room; returns the place behind it. */
static inline uint8_t *
crdt_put_varuint(uint8_t *at, uint64_t value)
{
	while (value > 127)
	{
		*at++ = (uint8_t) (0x80 | (value & 127));
		value >>= 7;
	}
	*at++ = (uint8_t) value;
	return at;
}

static inline uint8_t *
crdt_put_varint(uint8_t *at, CrdtVarint value)
{
	uint64_t rest = value.magnitude >> 6;

	*at++ =
		(uint8_t) ((rest > 0 ? 0x80 : 0) | (value.negative ? 0x40 : 0) | (value.magnitude & 0x3f));
	return rest > 0 ? crdt_put_varuint(at, rest) : at;
}

void crdt_write_u8(CrdtBuffer *buffer, uint8_t value);
void crdt_write_varuint(CrdtBuffer *buffer, uint64_t value);
void crdt_write_varint(CrdtBuffer *buffer, CrdtVarint value);
void crdt_write_float32(CrdtBuffer *buffer, float value);
void crdt_write_float64(CrdtBuffer *buffer, double value);
void crdt_write_bigint64(CrdtBuffer *buffer, int64_t value);
void crdt_write_bytes(CrdtBuffer *buffer, CrdtBytes bytes);
void crdt_write_byte_array(CrdtBuffer *buffer, CrdtBytes bytes);

/* Internal text behind internal text: halves of a surrogate pair that meet become its character. */
void crdt_write_joined(CrdtBuffer *buffer, CrdtBytes text);

/* Internal text without a length; its lone surrogates become U+FFFD. */
void crdt_write_text(CrdtBuffer *buffer, CrdtBytes text);

/* varString of internal text, whose lone surrogates become U+FFFD. */
void crdt_write_string(CrdtBuffer *buffer, CrdtBytes text);

/* ---- errors ---- */

/* Fills error (which may be NULL) and returns status. */
CrdtStatus crdt_error_set(CrdtError *error, CrdtStatus status, size_t offset, const char *format,
						  ...) CRDT_PRINTF(4, 5);
CrdtStatus crdt_error_no_memory(CrdtError *error);

static inline bool
crdt_bytes_equal(CrdtBytes a, CrdtBytes b)
{
	return a.size == b.size && (a.size == 0 || __builtin_memcmp(a.data, b.data, a.size) == 0);
}

#endif
