/*
 * frame.c: lib0's integers and byte arrays, and the header of a server's WebSocket frame.
 *
 * Here: bytes only.  Not here: what a message means (ywebsocket.c).
 */
#include "frame.h"

#include <stdlib.h>
#include <string.h>

#define MAX_VARUINT ((UINT64_C(1) << 53) - 1) /* what JavaScript can count to */
#define MAX_HEADER 10 /* no mask from a server: 2, 4 or 10 bytes */

static size_t write_header(uint8_t *header, size_t payload);

Frame
frame_begin(Bytes message)
{
	return (Frame){.at = message.data, .end = message.data + message.size};
}

uint64_t
frame_read_varuint(Frame *frame)
{
	uint64_t value = 0;

	for (int shift = 0; shift <= 49; shift += 7)
	{
		if (frame->failed || frame->at == frame->end)
			break;
		uint8_t byte = *frame->at++;

		value |= (uint64_t) (byte & 0x7f) << shift;
		if (byte < 0x80)
		{
			if (value > MAX_VARUINT)
				break;
			return value;
		}
	}
	frame->failed = true;
	return 0;
}

Bytes
frame_read_bytes(Frame *frame)
{
	uint64_t size = frame_read_varuint(frame);

	if (frame->failed || size > (uint64_t) (frame->end - frame->at))
	{
		frame->failed = true;
		return (Bytes){0};
	}
	Bytes bytes = {frame->at, size};

	frame->at += size;
	return bytes;
}

uint8_t *
buffer_reserve(Buffer *buffer, size_t size)
{
	if (buffer->failed)
		return NULL;
	if (size > buffer->capacity - buffer->size)
	{
		size_t capacity = buffer->capacity == 0 ? 256 : buffer->capacity * 2;

		if (capacity < buffer->size + size)
			capacity = buffer->size + size;
		uint8_t *data = realloc(buffer->data, capacity);

		if (data == NULL)
		{
			buffer->failed = true;
			return NULL;
		}
		buffer->data = data;
		buffer->capacity = capacity;
	}
	uint8_t *place = buffer->data + buffer->size;

	buffer->size += size;
	return place;
}

void
buffer_write(Buffer *buffer, Bytes bytes)
{
	uint8_t *place = buffer_reserve(buffer, bytes.size);

	if (place != NULL && bytes.size > 0)
		memcpy(place, bytes.data, bytes.size);
}

void
buffer_write_u8(Buffer *buffer, uint8_t byte)
{
	buffer_write(buffer, (Bytes){&byte, 1});
}

void
buffer_write_u32(Buffer *buffer, uint32_t value)
{
	uint8_t bytes[4] = {(uint8_t) (value >> 24), (uint8_t) (value >> 16), (uint8_t) (value >> 8),
						(uint8_t) value};

	buffer_write(buffer, (Bytes){bytes, sizeof bytes});
}

void
buffer_write_varuint(Buffer *buffer, uint64_t value)
{
	uint8_t bytes[10];
	size_t size = 0;

	for (; value >= 0x80; value >>= 7)
		bytes[size++] = (uint8_t) (value | 0x80);
	bytes[size++] = (uint8_t) value;
	buffer_write(buffer, (Bytes){bytes, size});
}

void
buffer_write_varbytes(Buffer *buffer, Bytes bytes)
{
	buffer_write_varuint(buffer, bytes.size);
	buffer_write(buffer, bytes);
}

size_t
buffer_begin_message(Buffer *buffer)
{
	size_t start = buffer->size;

	(void) buffer_reserve(buffer, MAX_HEADER);
	return start;
}

void
buffer_end_message(Buffer *buffer, size_t start)
{
	if (buffer->failed)
		return;
	uint8_t *header = buffer->data + start;
	size_t payload = buffer->size - start - MAX_HEADER;
	size_t header_size = write_header(header, payload);

	/* the header is mostly shorter than the room that was left for it: close the gap */
	memmove(header + header_size, header + MAX_HEADER, payload);
	buffer->size = start + header_size + payload;
}

void
buffer_write_header(Buffer *buffer, size_t payload)
{
	uint8_t header[MAX_HEADER];

	buffer_write(buffer, (Bytes){header, write_header(header, payload)});
}

/* Its size. */
static size_t
write_header(uint8_t *header, size_t payload)
{
	size_t length_bytes = payload < 126 ? 0 : payload <= UINT16_MAX ? 2 : 8;

	header[0] = 0x82; /* FIN, binary */
	header[1] = (uint8_t) (length_bytes == 0 ? payload : length_bytes == 2 ? 126 : 127);
	for (size_t i = 0; i < length_bytes; i++)
		header[2 + i] = (uint8_t) (payload >> 8 * (length_bytes - 1 - i));
	return 2 + length_bytes;
}

bool
frame_take_message(Bytes *frames, Bytes *message)
{
	if (frames->size == 0)
		return false;
	size_t header_size = frames->data[1] < 126 ? 2 : frames->data[1] == 126 ? 4 : MAX_HEADER;
	size_t payload = header_size == 2 ? frames->data[1] : 0;

	for (size_t i = 2; i < header_size; i++)
		payload = payload << 8 | frames->data[i];
	*message = (Bytes){frames->data + header_size, payload};
	frames->data += header_size + payload;
	frames->size -= header_size + payload;
	return true;
}

Bytes
buffer_view(const Buffer *buffer)
{
	return (Bytes){buffer->data, buffer->size};
}

void
buffer_reset(Buffer *buffer)
{
	buffer->size = 0;
	buffer->failed = false;
}

void
buffer_free(Buffer *buffer)
{
	free(buffer->data);
	*buffer = (Buffer){0};
}

size_t
varuint_size(uint64_t value)
{
	size_t size = 1;

	for (; value >= 0x80; value >>= 7)
		size++;
	return size;
}
