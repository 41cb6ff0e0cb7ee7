/*
 * column.h: the columns of V2 (FORMAT 1.6): the same field of all structs in a row, run by run.
 *
 *     info       u8      value, times - 1, value, times - 1, ... value      the last one for ever
 *     clients    uint    +value, or -value and times - 2                    -0 is a 0 that repeats
 *     clocks     int     2 * step, or 2 * step + 1 and times - 2            value += step each time
 *     strings            all of them in one text, then their lengths in UTF-16 units (uint)
 *
 * Columns have no end: of one that is used up, numbers are 0, clocks stay as they are and strings
 * are empty.  So what is read from them says nothing about how much there is.
 *
 * Failures go to the reader of the update that the column is a part of, and name its byte.
 */
#ifndef CRDT_COLUMN_H
#define CRDT_COLUMN_H

#include "bytes.h"
#include "memory.h"

/* ---- reading ---- */

typedef struct CrdtColumn
{
	const uint8_t *cursor;
	const uint8_t *end;
	uint64_t count; /* how often value, or step, is still good for */
	int64_t value;
	int64_t step;
} CrdtColumn;

void crdt_column_open(CrdtColumn *column, CrdtBytes bytes);

/* One more value; how it is encoded is what differs. */
uint8_t crdt_column_read_u8(CrdtColumn *column, CrdtReader *reader);
uint64_t crdt_column_read_uint(CrdtColumn *column, CrdtReader *reader);
int64_t crdt_column_read_int(CrdtColumn *column, CrdtReader *reader);

typedef struct CrdtStringColumn
{
	const uint8_t *cursor; /* of the character that comes next */
	const uint8_t *end;
	uint64_t units_left;
	bool inside_pair; /* of that character the first half is read already */
	bool ascii; /* every byte of the text is a unit */
	CrdtColumn lengths;
} CrdtStringColumn;

void crdt_string_column_open(CrdtStringColumn *column, CrdtReader *reader, CrdtBytes bytes);

/* The next string, internal text (utf.h), and its units.  A view of the column's bytes; where a
 * string ends within a surrogate pair, a copy in arena of what it has of that. */
CrdtBytes crdt_string_column_read(CrdtStringColumn *column, CrdtReader *reader, CrdtArena *arena,
								  uint64_t *length_utf16);

/* ---- writing ---- */

typedef struct CrdtColumnWriter
{
	CrdtBuffer out;
	uint64_t count;
	int64_t value;
	int64_t step;
} CrdtColumnWriter;

void crdt_column_writer_open(CrdtColumnWriter *writer, const CrdtHost *host);
void crdt_column_writer_close(CrdtColumnWriter *writer);

/* Bring the last run into out; a column of u8 is complete without. */
void crdt_column_end_uint(CrdtColumnWriter *writer);
void crdt_column_end_int(CrdtColumnWriter *writer);

void crdt_column_begin_u8(CrdtColumnWriter *writer, uint8_t value);

/* One more value. */
static inline void
crdt_column_write_u8(CrdtColumnWriter *writer, uint8_t value)
{
	if (writer->count == 0 || writer->value != value)
		crdt_column_begin_u8(writer, value);
	writer->count++;
}

static inline void
crdt_column_write_uint(CrdtColumnWriter *writer, uint64_t value)
{
	if ((uint64_t) writer->value != value)
	{
		crdt_column_end_uint(writer);
		writer->value = (int64_t) value;
	}
	writer->count++;
}

static inline void
crdt_column_write_int(CrdtColumnWriter *writer, int64_t value)
{
	if (value - writer->value != writer->step)
	{
		crdt_column_end_int(writer);
		writer->step = value - writer->value;
	}
	writer->value = value;
	writer->count++;
}

typedef struct CrdtStringColumnWriter
{
	CrdtBuffer text; /* internal */
	CrdtColumnWriter lengths;
} CrdtStringColumnWriter;

void crdt_string_column_writer_open(CrdtStringColumnWriter *writer, const CrdtHost *host);
void crdt_string_column_writer_close(CrdtStringColumnWriter *writer);

/* A string comes in pieces; its length in units follows them. */
void crdt_string_column_add(CrdtStringColumnWriter *writer, CrdtBytes piece);
void crdt_string_column_add_length(CrdtStringColumnWriter *writer, uint64_t length_utf16);

/* Appends the whole column to out. */
void crdt_string_column_finish(CrdtStringColumnWriter *writer, CrdtBuffer *out);

#endif
