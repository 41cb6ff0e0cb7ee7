/*
 * binary.c: numbers, bytes and arrays in PostgreSQL's binary format, as its typreceive and typsend functions
 * have them (src/backend/utils/adt: int.c, int8.c, varlena.c, arrayfuncs.c).
 *
 * Here: single fields of answers and parameters.  Not here: connections (database.c).
 */
#include "binary.h"

#include <arpa/inet.h>
#include <endian.h>
#include <libpq-fe.h>
#include <string.h>

bool
database_is_null(const DatabaseAnswer *answer, int row, int column)
{
	return PQgetisnull(answer->result, row, column) != 0;
}

int64_t
database_number(const DatabaseAnswer *answer, int row, int column)
{
	const char *value = PQgetvalue(answer->result, row, column);
	uint64_t wide;
	uint32_t narrow;

	if (PQgetlength(answer->result, row, column) == sizeof wide)
	{
		memcpy(&wide, value, sizeof wide);
		return (int64_t) be64toh(wide);
	}
	if (PQgetlength(answer->result, row, column) == 1)
		return value[0];
	if (PQgetlength(answer->result, row, column) != sizeof narrow)
		return 0; /* NULL */
	memcpy(&narrow, value, sizeof narrow);
	return (int32_t) ntohl(narrow);
}

Bytes
database_bytes(const DatabaseAnswer *answer, int row, int column)
{
	return (Bytes){(const uint8_t *) PQgetvalue(answer->result, row, column),
				   (size_t) PQgetlength(answer->result, row, column)};
}

void
database_write_number(uint8_t *place, int64_t value)
{
	uint64_t wide = htobe64((uint64_t) value);

	memcpy(place, &wide, sizeof wide);
}

void
database_write_int4(uint8_t *place, int32_t value)
{
	uint32_t wide = htonl((uint32_t) value);

	memcpy(place, &wide, sizeof wide);
}

void
database_write_array_header(uint8_t *place, uint32_t element_type, bool has_null, uint32_t count)
{
	/* dimensions, null flag, element type, then of the only dimension: size and lower bound */
	uint32_t header[] = {htonl(1), htonl(has_null), htonl(element_type), htonl(count), htonl(1)};

	memcpy(place, header, sizeof header);
}
