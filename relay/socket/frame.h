/*
 * Bytes: views into a message that is read, and a buffer that a message is written to.
 *
 *     Frame frame = frame_begin(message);
 *     uint64_t type = frame_read_varuint(&frame);
 *     Bytes update = frame_read_bytes(&frame);
 *     if (frame.failed)
 *         return CLOSE_MALFORMED;
 *
 * Both are sticky: after the first failure a frame yields zeros and empty views, a buffer takes
 * nothing, and the flag is looked at once in the end.
 *
 *     size_t start = buffer_begin_message(&buffer);   room for the WebSocket header
 *     buffer_write_varuint(&buffer, 0); ...
 *     buffer_end_message(&buffer, start);             writes it: one unfragmented binary frame
 */
#ifndef RELAY_FRAME_H
#define RELAY_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../token/bytes.h"

typedef struct Frame
{
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
} Frame;

Frame frame_begin(Bytes message);

/* lib0's varUint, at most 2^53-1. */
uint64_t frame_read_varuint(Frame *frame);

/* lib0's varUint8Array or varString: a length and as many bytes. */
Bytes frame_read_bytes(Frame *frame);

typedef struct Buffer /* {0} is an empty one */
{
	uint8_t *data;
	size_t size, capacity;
	bool failed; /* out of memory at some time since the last reset */
} Buffer;

/* Room for size more bytes, to be filled by the caller; NULL when out of memory. */
uint8_t *buffer_reserve(Buffer *buffer, size_t size);

void buffer_write(Buffer *buffer, Bytes bytes);
void buffer_write_u8(Buffer *buffer, uint8_t byte);
void buffer_write_u32(Buffer *buffer, uint32_t value); /* big-endian */
void buffer_write_varuint(Buffer *buffer, uint64_t value);
void buffer_write_varbytes(Buffer *buffer, Bytes bytes);

size_t buffer_begin_message(Buffer *buffer);
void buffer_end_message(Buffer *buffer, size_t start);

/* The same, of a message whose size is known: the header alone. */
void buffer_write_header(Buffer *buffer, size_t payload);

/* Takes the first message off a run of frames that we wrote; false at its end. */
bool frame_take_message(Bytes *frames, Bytes *message);

Bytes buffer_view(const Buffer *buffer);

/* Empty again, memory kept. */
void buffer_reset(Buffer *buffer);

/* Empty again, memory given back. */
void buffer_free(Buffer *buffer);

/* Bytes that lib0 needs for value. */
size_t varuint_size(uint64_t value);

#endif
