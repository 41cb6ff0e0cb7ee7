/*
 * What the database answers, and what it is given, field by field: both in PostgreSQL's binary format.
 *
 *     int64_t seq = database_number(answer, row, 2);
 *
 * Answers are as wide as the statement's columns (statement.c); rows and columns count from 0.
 */
#ifndef RELAY_BINARY_H
#define RELAY_BINARY_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

struct pg_result;

typedef struct DatabaseAnswer
{
	struct pg_result *result; /* NULL if the statement failed */
	const char *sqlstate; /* then why */
	const char *message;
	int row_count;
} DatabaseAnswer;

/* Fields of an answer in binary format. */
bool database_is_null(const DatabaseAnswer *answer, int row, int column);
int64_t database_number(const DatabaseAnswer *answer, int row, int column); /* int4, int8, bool */
Bytes database_bytes(const DatabaseAnswer *answer, int row, int column); /* bytea or text */

/* Parameters: an int8 into 8 bytes, an int4 into 4, and the header of a one-dimensional array (20
 * bytes), to be followed by each element's size as a big-endian u32 and its bytes. */
enum
{
	DATABASE_ARRAY_HEADER = 20,
	DATABASE_BYTEA = 17,
	DATABASE_INT8 = 20,
	DATABASE_TEXT = 25
};
void database_write_number(uint8_t *place, int64_t value);
void database_write_int4(uint8_t *place, int32_t value);
void
database_write_array_header(uint8_t *place, uint32_t element_type, bool has_null, uint32_t count);

#endif
