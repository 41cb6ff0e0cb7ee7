/*
 * bytes.c: the sticky reader and the buffer's writers (bytes.h; FORMAT 1.1 to 1.4).
 */
#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "utf.h"

/* ---- errors ---- */

static void CRDT_PRINTF(4, 0) fill_error(CrdtError *error, CrdtStatus status, size_t offset,
										 const char *format, va_list arguments)
{
	error->status = status;
	error->offset = offset;
	error->part = 0;
	vsnprintf(error->message, sizeof(error->message), format, arguments);
}

CrdtStatus
crdt_error_set(CrdtError *error, CrdtStatus status, size_t offset, const char *format, ...)
{
	va_list arguments;

	if (error != NULL)
	{
		va_start(arguments, format);
		fill_error(error, status, offset, format, arguments);
		va_end(arguments);
	}
	return status;
}

CrdtStatus
crdt_error_no_memory(CrdtError *error)
{
	return crdt_error_set(error, CRDT_NO_MEMORY, 0, "out of memory");
}

void
crdt_reader_fail(CrdtReader *reader, CrdtStatus status, const char *format, ...)
{
	va_list arguments;

	if (!crdt_reader_failed(reader))
	{
		va_start(arguments, format);
		fill_error(&reader->error, status, (size_t) (reader->cursor - reader->start), format,
				   arguments);
		va_end(arguments);
	}
	reader->cursor = reader->end;
}

/* ---- reading ---- */

void
crdt_reader_open(CrdtReader *reader, CrdtBytes bytes)
{
	reader->start = bytes.data;
	reader->cursor = bytes.data;
	reader->end = bytes.size == 0 ? bytes.data : bytes.data + bytes.size;
	reader->error.status = CRDT_OK;
	reader->error.offset = 0;
	reader->error.part = 0;
	reader->error.message[0] = '\0';
	reader->takes_surrogates = false;
}

uint8_t
crdt_read_u8(CrdtReader *reader)
{
	if (reader->cursor >= reader->end)
	{
		crdt_reader_fail(reader, CRDT_TRUNCATED, "the input ends where a byte should follow");
		return 0;
	}
	return *reader->cursor++;
}

/* Of any length, up to the end of the input. */
static uint64_t
read_varuint_bytewise(CrdtReader *reader)
{
	uint64_t value = 0;
	unsigned shift = 0;

	for (const uint8_t *at = reader->cursor; at < reader->end; at++)
	{
		uint64_t digit = *at & 127;

		/* leading zero digits may pad a number for ever, but not raise it */
		if (digit != 0 && (shift > 52 || digit << shift >> shift != digit ||
						   value + (digit << shift) > CRDT_SAFE_INTEGER_MAX))
		{
			crdt_reader_fail(reader, CRDT_LIMIT, "integer beyond 2^53 - 1");
			return 0;
		}
		if (digit != 0)
			value += digit << shift;
		shift = shift > 63 - 7 ? 63 : shift + 7;
		if (*at < 128)
		{
			reader->cursor = at + 1;
			return value;
		}
	}
	crdt_reader_fail(reader, CRDT_TRUNCATED, "the input ends inside an integer");
	return 0;
}

/*
 * Of the varUint at the beginning of eight bytes (the first one is the lowest) its bytes, and in size how
 * many there are; 0: it does not end there.
 */
static inline uint64_t
first_varuint(uint64_t word, unsigned *size)
{
	uint64_t ends = ~word & UINT64_C(0x8080808080808080);
	uint64_t end = ends & (~ends + 1);

	*size = end == 0 ? 0 : ((unsigned) __builtin_ctzll(end) + 1) / 8;
	return word & (end - 1) & UINT64_C(0x7f7f7f7f7f7f7f7f);
}

/* Seven bits of each byte, moved together: in pairs, in fours, in eights. */
static inline uint64_t
join_digits(uint64_t digits)
{
	digits = (digits & UINT64_C(0x007f007f007f007f)) | (digits & UINT64_C(0x7f007f007f007f00)) >> 1;
	digits = (digits & UINT64_C(0x00003fff00003fff)) | (digits & UINT64_C(0x3fff00003fff0000)) >> 2;
	return (digits & UINT64_C(0x0fffffff)) | (digits & UINT64_C(0x0fffffff00000000)) >> 4;
}

/* Eight bytes, the first one the lowest; compilers make that one load. */
static inline uint64_t
load_word(const uint8_t *at)
{
	return (uint64_t) at[0] | (uint64_t) at[1] << 8 | (uint64_t) at[2] << 16 |
		   (uint64_t) at[3] << 24 | (uint64_t) at[4] << 32 | (uint64_t) at[5] << 40 |
		   (uint64_t) at[6] << 48 | (uint64_t) at[7] << 56;
}

uint64_t
crdt_read_varuint_slow(CrdtReader *reader)
{
	/* clients' ids have five bytes mostly */
	if (crdt_reader_left(reader) >= 8)
	{
		unsigned size;
		uint64_t value = join_digits(first_varuint(load_word(reader->cursor), &size));

		if (size > 0 && value <= CRDT_SAFE_INTEGER_MAX)
		{
			reader->cursor += size;
			return value;
		}
	}
	return read_varuint_bytewise(reader);
}

CrdtVarint
crdt_read_varint(CrdtReader *reader)
{
	CrdtVarint value = {0, false};
	uint8_t first = crdt_read_u8(reader);
	uint64_t rest;

	value.negative = (first & 0x40) != 0;
	value.magnitude = first & 0x3f;
	if ((first & 0x80) != 0)
	{
		rest = crdt_read_varuint(reader);
		if (rest > CRDT_SAFE_INTEGER_MAX >> 6)
			crdt_reader_fail(reader, CRDT_LIMIT, "integer beyond 2^53 - 1");
		else
			value.magnitude += rest << 6;
	}
	return value;
}

/* Big-endian, size bytes. */
static uint64_t
read_fixed(CrdtReader *reader, size_t size)
{
	CrdtBytes bytes = crdt_read_bytes(reader, size);
	uint64_t value = 0;

	for (size_t i = 0; i < bytes.size; i++)
		value = value << 8 | bytes.data[i];
	return value;
}

float
crdt_read_float32(CrdtReader *reader)
{
	uint32_t bits = (uint32_t) read_fixed(reader, 4);
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

double
crdt_read_float64(CrdtReader *reader)
{
	uint64_t bits = read_fixed(reader, 8);
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

int64_t
crdt_read_bigint64(CrdtReader *reader)
{
	uint64_t bits = read_fixed(reader, 8);
	int64_t value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

CrdtBytes
crdt_read_bytes(CrdtReader *reader, uint64_t size)
{
	CrdtBytes bytes = {reader->cursor, (size_t) size};

	if (size > crdt_reader_left(reader))
	{
		crdt_reader_fail(reader, CRDT_TRUNCATED, "a length claims %llu bytes, %zu are left",
						 (unsigned long long) size, crdt_reader_left(reader));
		return (CrdtBytes){reader->end, 0};
	}
	reader->cursor += size;
	return bytes;
}

CrdtBytes
crdt_read_byte_array(CrdtReader *reader)
{
	return crdt_read_bytes(reader, crdt_read_varuint(reader));
}

CrdtBytes
crdt_read_string(CrdtReader *reader)
{
	CrdtBytes text = crdt_read_byte_array(reader);
	uint64_t length_utf16;
	bool ascii;

	if (!crdt_utf8_is_valid(text) &&
		!(reader->takes_surrogates && crdt_wtf8_measure(text, &length_utf16, &ascii)))
	{
		reader->cursor = text.data;
		crdt_reader_fail(reader, CRDT_MALFORMED, "a string is not valid UTF-8");
		return (CrdtBytes){reader->end, 0};
	}
	return text;
}

uint64_t
crdt_read_count(CrdtReader *reader, size_t least_bytes_each, const char *what)
{
	uint64_t count = crdt_read_varuint(reader);

	if (count > crdt_reader_left(reader) || count * least_bytes_each > crdt_reader_left(reader))
	{
		crdt_reader_fail(reader, CRDT_TRUNCATED, "the input claims %llu %s, %zu bytes are left",
						 (unsigned long long) count, what, crdt_reader_left(reader));
		return 0;
	}
	return count;
}

uint64_t
crdt_read_sum(CrdtReader *reader, uint64_t a, uint64_t b)
{
	if (a + b > CRDT_SAFE_INTEGER_MAX)
	{
		crdt_reader_fail(reader, CRDT_LIMIT, "clock %llu plus length %llu is beyond 2^53 - 1",
						 (unsigned long long) a, (unsigned long long) b);
		return 0;
	}
	return a + b;
}

/* ---- writing ---- */

void
crdt_buffer_open(CrdtBuffer *buffer, const CrdtHost *host)
{
	*buffer = (CrdtBuffer){.host = host};
}

void
crdt_buffer_close(CrdtBuffer *buffer)
{
	if (buffer->data != NULL)
		buffer->host->resize(buffer->host->context, buffer->data, buffer->capacity, 0);
	crdt_buffer_open(buffer, buffer->host);
}

CrdtBytes
crdt_buffer_view(const CrdtBuffer *buffer)
{
	static const uint8_t nothing[1];

	return (CrdtBytes){buffer->data == NULL ? nothing : buffer->data, buffer->size};
}

uint8_t *
crdt_buffer_room_slow(CrdtBuffer *buffer, size_t size)
{
	size_t capacity = buffer->capacity + buffer->capacity / 2 + 64;
	uint8_t *data;

	if (buffer->failed)
		return NULL;
	if (buffer->capacity - buffer->size >= size)
		return buffer->data + buffer->size;
	if (size > SIZE_MAX / 2 - buffer->size)
	{
		buffer->failed = true;
		return NULL;
	}
	if (capacity < buffer->size + size)
		capacity = buffer->size + size;
	data = buffer->host->resize(buffer->host->context, buffer->data, buffer->capacity, capacity);
	if (data == NULL)
	{
		buffer->failed = true;
		return NULL;
	}
	buffer->data = data;
	buffer->capacity = capacity;
	return data + buffer->size;
}

void
crdt_write_u8(CrdtBuffer *buffer, uint8_t value)
{
	uint8_t *room = crdt_buffer_room(buffer, 1);

	if (room != NULL)
	{
		*room = value;
		buffer->size++;
	}
}

void
crdt_write_varuint(CrdtBuffer *buffer, uint64_t value)
{
	uint8_t *room = crdt_buffer_room(buffer, CRDT_VARUINT_BYTES);

	if (room != NULL)
		buffer->size = (size_t) (crdt_put_varuint(room, value) - buffer->data);
}

void
crdt_write_varint(CrdtBuffer *buffer, CrdtVarint value)
{
	uint8_t *room = crdt_buffer_room(buffer, CRDT_VARUINT_BYTES);

	if (room != NULL)
		buffer->size = (size_t) (crdt_put_varint(room, value) - buffer->data);
}

static void
write_fixed(CrdtBuffer *buffer, uint64_t bits, size_t size)
{
	uint8_t *room = crdt_buffer_room(buffer, size);

	if (room == NULL)
		return;
	for (size_t i = 0; i < size; i++)
		room[i] = (uint8_t) (bits >> 8 * (size - 1 - i));
	buffer->size += size;
}

void
crdt_write_float32(CrdtBuffer *buffer, float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	write_fixed(buffer, bits, 4);
}

void
crdt_write_float64(CrdtBuffer *buffer, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	write_fixed(buffer, bits, 8);
}

void
crdt_write_bigint64(CrdtBuffer *buffer, int64_t value)
{
	write_fixed(buffer, (uint64_t) value, 8);
}

void
crdt_write_bytes(CrdtBuffer *buffer, CrdtBytes bytes)
{
	uint8_t *room = crdt_buffer_room(buffer, bytes.size);

	if (room == NULL || bytes.size == 0)
		return;
	memcpy(room, bytes.data, bytes.size);
	buffer->size += bytes.size;
}

void
crdt_write_byte_array(CrdtBuffer *buffer, CrdtBytes bytes)
{
	uint8_t *room = crdt_buffer_room(buffer, CRDT_VARUINT_BYTES + bytes.size);

	if (room == NULL)
		return;
	room = crdt_put_varuint(room, bytes.size);
	if (bytes.size > 0)
		memcpy(room, bytes.data, bytes.size);
	buffer->size = (size_t) (room - buffer->data) + bytes.size;
}

/* The half of a pair that buffer ends in becomes the character of both. */
static void
join_halves(CrdtBuffer *buffer, const uint8_t low[static 3])
{
	const uint8_t *high = buffer->data + buffer->size - 3;
	uint32_t high_bits = (uint32_t) (high[1] & 15) << 6 | (high[2] & 63);
	uint32_t low_bits = (uint32_t) (low[1] & 15) << 6 | (low[2] & 63);
	uint8_t pair[4];
	size_t size = crdt_utf8_put(pair, 0x10000 + (high_bits << 10) + low_bits);

	buffer->size -= 3;
	crdt_write_bytes(buffer, (CrdtBytes){pair, size});
}

void
crdt_write_joined(CrdtBuffer *buffer, CrdtBytes text)
{
	if (crdt_utf8_begins_with_low_surrogate(text) &&
		crdt_utf8_ends_in_high_surrogate(crdt_buffer_view(buffer)))
	{
		join_halves(buffer, text.data);
		text = (CrdtBytes){text.data + 3, text.size - 3};
	}
	crdt_write_bytes(buffer, text);
}

void
crdt_write_text(CrdtBuffer *buffer, CrdtBytes text)
{
	size_t start = buffer->size;

	crdt_write_bytes(buffer, text);
	if (!buffer->failed && text.size > 0)
		crdt_utf8_replace_surrogates(buffer->data + start, text.size);
}

void
crdt_write_string(CrdtBuffer *buffer, CrdtBytes text)
{
	/* a lone surrogate's form is as long as that of U+FFFD: the length stays */
	crdt_write_varuint(buffer, text.size);
	crdt_write_text(buffer, text);
}
