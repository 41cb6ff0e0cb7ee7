/*
 * A result of libpq's, as store.c makes it and libpq.c hands it out.
 *
 *     PGresult *result = result_new(3);
 *     uint32_t row = result_add_row(result);              all NULL
 *     result_set_number(result, row, 0, 7);
 *     result_set_bytes(result, row, 2, bytes);
 */
#ifndef SIMULATION_RESULT_H
#define SIMULATION_RESULT_H

#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

#include "../../relay/socket/frame.h"

typedef struct Cell
{
	char *data; /* NULL: is NULL; otherwise NUL-terminated */
	size_t size;
} Cell;

struct pg_result
{
	ExecStatusType status;
	uint32_t row_count, column_count;
	Cell *cells;
	char sqlstate[6]; /* empty: none, as when the connection is lost */
	const char *severity;
	char message[120];
};

PGresult *result_new(uint32_t column_count);
PGresult *result_error(const char *severity, const char *sqlstate, const char *message);
uint32_t result_add_row(PGresult *result);
void result_set_number(PGresult *result, uint32_t row, uint32_t column, int64_t value);
void result_set_int(PGresult *result, uint32_t row, uint32_t column, int32_t value);
void result_set_bytes(PGresult *result, uint32_t row, uint32_t column, Bytes bytes);

/* Results that nobody has cleared yet. */
int64_t result_count(void);

#endif
