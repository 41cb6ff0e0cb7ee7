/*
 * column.c: the columns of V2, both ways (column.h; FORMAT 1.6).
 *
 * Here: one column.  Not here: which field is in which (wire_v2.c).
 */
#include "column.h"

#include <string.h>

#include "utf.h"

#define FOR_EVER UINT64_MAX

/* The doubled difference of two clocks has two bits more than a clock. */
#define NUMBER_BITS 56

/* ---- numbers ---- */

static void
fail(CrdtColumn *column, CrdtReader *reader, CrdtStatus status, const char *message)
{
	reader->cursor = column->cursor;
	crdt_reader_fail(reader, status, "%s", message);
	/* whoever goes on reads zeros */
	column->cursor = column->end;
	column->count = FOR_EVER;
	column->value = 0;
	column->step = 0;
}

/* What a number has from bit shift on: 7 bits a byte, as long as the byte's highest bit is set. */
static uint64_t
read_bits(CrdtColumn *column, CrdtReader *reader, unsigned shift)
{
	uint64_t value = 0;
	uint8_t byte;

	do
	{
		if (column->cursor == column->end)
		{
			fail(column, reader, CRDT_TRUNCATED, "a column ends within a number");
			return 0;
		}
		byte = *column->cursor++;
		if (shift < NUMBER_BITS)
			value |= (uint64_t) (byte & 127) << shift;
		else if ((byte & 127) != 0)
			fail(column, reader, CRDT_LIMIT, "integer beyond 2^53 - 1");
		shift += 7;
	} while ((byte & 128) != 0);
	return value;
}

static uint64_t
read_varuint(CrdtColumn *column, CrdtReader *reader)
{
	uint64_t value = read_bits(column, reader, 0);

	if (value <= CRDT_SAFE_INTEGER_MAX)
		return value;
	fail(column, reader, CRDT_LIMIT, "integer beyond 2^53 - 1");
	return 0;
}

/* A varInt; the column is not at its end. */
static CrdtVarint
read_varint(CrdtColumn *column, CrdtReader *reader)
{
	uint8_t first = *column->cursor++;
	CrdtVarint number = {first & 63, (first & 64) != 0};

	if ((first & 128) != 0)
		number.magnitude |= read_bits(column, reader, 6);
	return number;
}

/* ---- reading ---- */

void
crdt_column_open(CrdtColumn *column, CrdtBytes bytes)
{
	*column = (CrdtColumn){.cursor = bytes.data, .end = bytes.data + bytes.size};
}

uint8_t
crdt_column_read_u8(CrdtColumn *column, CrdtReader *reader)
{
	if (column->count == 0)
	{
		if (column->cursor == column->end)
		{
			fail(column, reader, CRDT_TRUNCATED, "a column ends too early");
			return 0;
		}
		column->value = *column->cursor++;
		column->count = FOR_EVER;
		if (column->cursor < column->end)
			column->count = read_varuint(column, reader) + 1;
	}
	column->count--;
	return (uint8_t) column->value;
}

uint64_t
crdt_column_read_uint(CrdtColumn *column, CrdtReader *reader)
{
	if (column->count == 0 && column->cursor == column->end)
	{
		column->value = 0;
		column->count = FOR_EVER;
	}
	else if (column->count == 0)
	{
		CrdtVarint number = read_varint(column, reader);

		column->value = (int64_t) number.magnitude;
		column->count = number.negative ? read_varuint(column, reader) + 2 : 1;
		if (number.magnitude > CRDT_SAFE_INTEGER_MAX)
			fail(column, reader, CRDT_LIMIT, "integer beyond 2^53 - 1");
	}
	column->count--;
	return (uint64_t) column->value;
}

int64_t
crdt_column_read_int(CrdtColumn *column, CrdtReader *reader)
{
	const int64_t most = (int64_t) CRDT_SAFE_INTEGER_MAX;

	if (column->count == 0 && column->cursor == column->end)
	{
		column->step = 0;
		column->count = FOR_EVER;
	}
	else if (column->count == 0)
	{
		CrdtVarint number = read_varint(column, reader);

		/* half of it, rounded down */
		column->step = number.negative ? -(int64_t) ((number.magnitude + 1) / 2)
									   : (int64_t) (number.magnitude / 2);
		column->count = number.magnitude % 2 == 1 ? read_varuint(column, reader) + 2 : 1;
	}
	column->value += column->step;
	column->count--;
	if (column->value < -most || column->value > most)
		fail(column, reader, CRDT_LIMIT, "integer beyond 2^53 - 1");
	return column->value;
}

void
crdt_string_column_open(CrdtStringColumn *column, CrdtReader *reader, CrdtBytes bytes)
{
	CrdtBytes text = {bytes.data, 0};
	uint64_t size;

	crdt_column_open(&column->lengths, bytes);
	size = read_varuint(&column->lengths, reader);
	if (size > (size_t) (column->lengths.end - column->lengths.cursor))
		fail(&column->lengths, reader, CRDT_TRUNCATED, "the column of strings ends too early");
	else
		text = (CrdtBytes){column->lengths.cursor, (size_t) size};
	column->lengths.cursor += text.size;
	column->cursor = text.data;
	column->end = text.data + text.size;
	column->inside_pair = false;
	if (!crdt_utf8_measure(text, &column->units_left, &column->ascii))
	{
		column->units_left = 0;
		column->lengths.cursor = text.data;
		fail(&column->lengths, reader, CRDT_MALFORMED, "the column of strings is not valid UTF-8");
	}
}

/* The halves of the character of four bytes at text, in their internal form of three. */
static void
put_halves(uint8_t high[static 3], uint8_t low[static 3], const uint8_t *text)
{
	uint32_t code_point = (uint32_t) (text[0] & 7) << 18 | (uint32_t) (text[1] & 63) << 12 |
						  (uint32_t) (text[2] & 63) << 6 | (text[3] & 63);

	crdt_utf8_put(high, 0xd800 + ((code_point - 0x10000) >> 10));
	crdt_utf8_put(low, 0xdc00 + ((code_point - 0x10000) & 0x3ff));
}

/*
 * A string of units (1 or more, and all there) that begins or ends within a pair:
 *
 *     column:   a b [pair] c [pair] d           units:   a b H L c H L d
 *     string:          L   c  H                          inside_pair before, and after
 */
static CrdtBytes
read_halves(CrdtStringColumn *column, CrdtReader *reader, CrdtArena *arena, uint64_t units)
{
	uint8_t first[3];
	uint8_t last[3];
	uint8_t unused[3];
	size_t first_size = 0;
	size_t last_size = 0;
	CrdtBytes whole = {column->cursor, 0}; /* characters */
	CrdtTextPlace place;
	uint8_t *copy;

	if (column->inside_pair)
	{
		put_halves(unused, first, column->cursor);
		first_size = sizeof(first);
		whole.data += 4;
		units--;
	}
	place = crdt_utf16_place((CrdtBytes){whole.data, (size_t) (column->end - whole.data)}, units);
	whole.size = place.offset;
	column->cursor = whole.data + whole.size;
	column->inside_pair = place.inside_pair;
	if (place.inside_pair)
	{
		put_halves(last, unused, column->cursor);
		last_size = sizeof(last);
	}
	if (first_size + last_size == 0)
		return whole;
	copy = crdt_arena_take_bytes(arena, first_size + whole.size + last_size);
	if (copy == NULL)
	{
		crdt_reader_fail(reader, CRDT_NO_MEMORY, "out of memory");
		return (CrdtBytes){column->end, 0};
	}
	memcpy(copy, first, first_size);
	memcpy(copy + first_size, whole.data, whole.size);
	memcpy(copy + first_size + whole.size, last, last_size);
	return (CrdtBytes){copy, first_size + whole.size + last_size};
}

CrdtBytes
crdt_string_column_read(CrdtStringColumn *column, CrdtReader *reader, CrdtArena *arena,
						uint64_t *length_utf16)
{
	uint64_t units = crdt_column_read_uint(&column->lengths, reader);
	CrdtBytes text = {column->cursor, 0};

	if (units > column->units_left)
		units = column->units_left;
	column->units_left -= units;
	*length_utf16 = units;
	if (units == 0)
		return text;
	if (!column->ascii)
		return read_halves(column, reader, arena, units);
	text.size = (size_t) units;
	column->cursor += units;
	return text;
}

/* ---- writing ---- */

void
crdt_column_writer_open(CrdtColumnWriter *writer, const CrdtHost *host)
{
	crdt_buffer_open(&writer->out, host);
	writer->count = 0;
	writer->value = 0;
	writer->step = 0;
}

void
crdt_column_writer_close(CrdtColumnWriter *writer)
{
	crdt_buffer_close(&writer->out);
	writer->count = 0;
	writer->value = 0;
	writer->step = 0;
}

/* Between two runs: the end of one, the value of the next. */
void
crdt_column_begin_u8(CrdtColumnWriter *writer, uint8_t value)
{
	if (writer->count > 0)
		crdt_write_varuint(&writer->out, writer->count - 1);
	crdt_write_u8(&writer->out, value);
	writer->value = value;
	writer->count = 0;
}

/* A number that says whether it repeats, and if so, how often. */
static void
write_run(CrdtColumnWriter *writer, CrdtVarint number)
{
	uint8_t *at = crdt_buffer_room(&writer->out, 2 * CRDT_VARUINT_BYTES);

	if (at != NULL)
	{
		at = crdt_put_varint(at, number);
		if (writer->count > 1)
			at = crdt_put_varuint(at, writer->count - 2);
		writer->out.size = (size_t) (at - writer->out.data);
	}
	writer->count = 0;
}

void
crdt_column_end_uint(CrdtColumnWriter *writer)
{
	if (writer->count > 0)
		write_run(writer, (CrdtVarint){(uint64_t) writer->value, writer->count > 1});
}

void
crdt_column_end_int(CrdtColumnWriter *writer)
{
	int64_t number = 2 * writer->step + (writer->count > 1);

	if (writer->count > 0)
		write_run(writer, (CrdtVarint){(uint64_t) (number < 0 ? -number : number), number < 0});
}

void
crdt_string_column_writer_open(CrdtStringColumnWriter *writer, const CrdtHost *host)
{
	crdt_buffer_open(&writer->text, host);
	crdt_column_writer_open(&writer->lengths, host);
}

void
crdt_string_column_writer_close(CrdtStringColumnWriter *writer)
{
	crdt_buffer_close(&writer->text);
	crdt_column_writer_close(&writer->lengths);
}

void
crdt_string_column_add(CrdtStringColumnWriter *writer, CrdtBytes piece)
{
	crdt_write_joined(&writer->text, piece);
}

void
crdt_string_column_add_length(CrdtStringColumnWriter *writer, uint64_t length_utf16)
{
	crdt_column_write_uint(&writer->lengths, length_utf16);
}

void
crdt_string_column_finish(CrdtStringColumnWriter *writer, CrdtBuffer *out)
{
	crdt_column_end_uint(&writer->lengths);
	crdt_write_string(out, crdt_buffer_view(&writer->text));
	crdt_write_bytes(out, crdt_buffer_view(&writer->lengths.out));
	out->failed |= writer->text.failed || writer->lengths.out.failed;
}
