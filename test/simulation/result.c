/*
 * result.c: tables of cells in PostgreSQL's binary format.
 */
#include "result.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"

static int64_t alive;

PGresult *
result_new(uint32_t column_count)
{
	PGresult *result = allocate(sizeof *result);

	result->status = PGRES_TUPLES_OK;
	result->column_count = column_count;
	alive++;
	return result;
}

PGresult *
result_error(const char *severity, const char *sqlstate, const char *message)
{
	PGresult *result = result_new(0);

	result->status = PGRES_FATAL_ERROR;
	result->severity = severity;
	snprintf(result->sqlstate, sizeof result->sqlstate, "%s", sqlstate);
	snprintf(result->message, sizeof result->message, "%s", message);
	return result;
}

uint32_t
result_add_row(PGresult *result)
{
	size_t count = (size_t) (result->row_count + 1) * result->column_count;

	result->cells = realloc(result->cells, count * sizeof *result->cells);
	if (result->cells == NULL)
		abort();
	for (uint32_t column = 0; column < result->column_count; column++)
		result->cells[result->row_count * result->column_count + column] = (Cell){NULL, 0};
	return result->row_count++;
}

void
result_set_number(PGresult *result, uint32_t row, uint32_t column, int64_t value)
{
	uint64_t wide = htobe64((uint64_t) value);

	result_set_bytes(result, row, column, (Bytes){(const uint8_t *) &wide, sizeof wide});
}

void
result_set_int(PGresult *result, uint32_t row, uint32_t column, int32_t value)
{
	uint32_t narrow = htobe32((uint32_t) value);

	result_set_bytes(result, row, column, (Bytes){(const uint8_t *) &narrow, sizeof narrow});
}

void
result_set_bytes(PGresult *result, uint32_t row, uint32_t column, Bytes bytes)
{
	Cell *cell = &result->cells[row * result->column_count + column];

	free(cell->data);
	cell->data = allocate(bytes.size + 1);
	if (bytes.size > 0)
		memcpy(cell->data, bytes.data, bytes.size);
	cell->size = bytes.size;
}

int64_t
result_count(void)
{
	return alive;
}

/* ---- libpq's own functions on results ---- */

void
PQclear(PGresult *result)
{
	if (result == NULL)
		return;
	for (size_t i = 0; i < (size_t) result->row_count * result->column_count; i++)
		free(result->cells[i].data);
	free(result->cells);
	free(result);
	alive--;
}

ExecStatusType
PQresultStatus(const PGresult *result)
{
	return result != NULL ? result->status : PGRES_FATAL_ERROR;
}

char *
PQresultErrorMessage(const PGresult *result)
{
	return (char *) result->message;
}

char *
PQresultErrorField(const PGresult *result, int field)
{
	switch (field)
	{
		case PG_DIAG_SQLSTATE:
			return result->sqlstate[0] != '\0' ? (char *) result->sqlstate : NULL;
		case PG_DIAG_SEVERITY_NONLOCALIZED: return (char *) result->severity;
		case PG_DIAG_MESSAGE_PRIMARY: return (char *) result->message;
		default: return NULL;
	}
}

int
PQntuples(const PGresult *result)
{
	return (int) result->row_count;
}

static Cell
cell_at(const PGresult *result, int row, int column)
{
	if (row < 0 || column < 0 || (uint32_t) row >= result->row_count ||
		(uint32_t) column >= result->column_count)
	{
		fprintf(stderr, "not ok: the relay reads row %d, column %d of a result of %u x %u\n", row,
				column, result->row_count, result->column_count);
		_Exit(1);
	}
	return result->cells[(uint32_t) row * result->column_count + (uint32_t) column];
}

int
PQgetisnull(const PGresult *result, int row, int column)
{
	return cell_at(result, row, column).data == NULL;
}

int
PQgetlength(const PGresult *result, int row, int column)
{
	return (int) cell_at(result, row, column).size;
}

char *
PQgetvalue(const PGresult *result, int row, int column)
{
	char *data = cell_at(result, row, column).data;

	return data != NULL ? data : "";
}
