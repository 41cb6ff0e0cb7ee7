/*
 * any.c: lib0's tagged values: checking, bringing into canonical form, walking (any.h, FORMAT 1.5).
 *
 * What arrives is canonical nearly always, so reading first walks the input to check both at once,
 * and only encodes anew what turned out not to be.  Recursion is bounded by CRDT_ANY_DEPTH_MAX.
 */
#include "any.h"

#include <math.h>
#include <string.h>

#include "object.h"
#include "utf.h"

/* Objects with more keys than this are checked for repeated ones by sorting. */
#define FEW_KEYS 8
#define INTEGER_MAX 2147483647

/* ---- numbers ---- */

static bool
is_small_integer(double number)
{
	return number >= -INTEGER_MAX && number <= INTEGER_MAX && number == trunc(number);
}

static bool
is_float32(double number)
{
	/* NaN is not equal to itself, and so becomes a float64; a finite number must not become infinite */
	return isinf(number) ||
		   (fabs(number) <= 3.4028234663852886e38 && (double) (float) number == number);
}

void
crdt_any_write_number(CrdtBuffer *out, double number)
{
	if (is_small_integer(number))
	{
		crdt_write_u8(out, CRDT_ANY_INTEGER);
		crdt_write_varint(out, (CrdtVarint){(uint64_t) fabs(number), signbit(number) != 0});
	}
	else if (is_float32(number))
	{
		crdt_write_u8(out, CRDT_ANY_FLOAT32);
		crdt_write_float32(out, (float) number);
	}
	else
	{
		crdt_write_u8(out, CRDT_ANY_FLOAT64);
		crdt_write_float64(out, number); /* a NaN keeps its bits */
	}
}

static double
varint_value(CrdtVarint integer)
{
	double magnitude = (double) integer.magnitude;

	return integer.negative ? -magnitude : magnitude;
}

double
crdt_any_read_number(CrdtReader *reader, uint8_t tag)
{
	if (tag == CRDT_ANY_INTEGER)
		return varint_value(crdt_read_varint(reader));
	if (tag == CRDT_ANY_FLOAT32)
		return (double) crdt_read_float32(reader);
	return crdt_read_float64(reader);
}

/* ---- checking ---- */

/* Did the varint that ended at the cursor use no more bytes than needed? */
static bool
is_minimal(const CrdtReader *reader, const uint8_t *start)
{
	return reader->cursor - start <= 1 || reader->cursor[-1] != 0;
}

static bool
enter(CrdtReader *reader, unsigned depth)
{
	if (depth < CRDT_ANY_DEPTH_MAX)
		return true;
	crdt_reader_fail(reader, CRDT_LIMIT, "a value is nested more than %d deep", CRDT_ANY_DEPTH_MAX);
	return false;
}

static uint64_t
check_count(CrdtReader *reader, size_t least_bytes_each, const char *what, bool *canonical)
{
	const uint8_t *start = reader->cursor;
	uint64_t count = crdt_read_count(reader, least_bytes_each, what);

	*canonical &= is_minimal(reader, start);
	return count;
}

static CrdtBytes
check_string(CrdtReader *reader, bool *canonical)
{
	const uint8_t *start = reader->cursor;
	CrdtBytes text = crdt_read_string(reader);

	if (!crdt_reader_failed(reader))
		*canonical &= text.data - start <= 1 || text.data[-1] != 0;
	return text;
}

static void
check_number(CrdtReader *reader, uint8_t tag, bool *canonical)
{
	const uint8_t *start = reader->cursor;
	double number = crdt_any_read_number(reader, tag);

	if (crdt_reader_failed(reader))
		return;
	if (tag == CRDT_ANY_INTEGER)
		*canonical &= is_small_integer(number) && is_minimal(reader, start);
	else if (tag == CRDT_ANY_FLOAT32)
		*canonical &= !is_small_integer(number) && !isnan(number);
	else
		*canonical &= !is_small_integer(number) && !is_float32(number);
}

static bool
view_is_before(const void *a, const void *b)
{
	return crdt_bytes_compare(*(const CrdtBytes *) a, *(const CrdtBytes *) b) < 0;
}

/* Keys in the order they came: is that the canonical one, and none twice?  May reorder keys. */
static bool
keys_are_canonical(CrdtBytes *keys, size_t count)
{
	bool others = false;
	uint32_t last = 0;
	bool any_index = false;

	for (size_t i = 0; i < count; i++)
	{
		uint32_t index;

		if (crdt_bytes_equal(keys[i], CRDT_LITERAL("__proto__")))
			return false;
		if (!crdt_key_is_index(keys[i], &index))
			others = true;
		else if (others || (any_index && index <= last))
			return false;
		else
		{
			last = index;
			any_index = true;
		}
	}
	if (count > FEW_KEYS)
	{
		crdt_sort(keys, count, sizeof(CrdtBytes), view_is_before);
		for (size_t i = 1; i < count; i++)
			if (crdt_bytes_equal(keys[i - 1], keys[i]))
				return false;
		return true;
	}
	for (size_t i = 1; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (crdt_bytes_equal(keys[i], keys[j]))
				return false;
	return true;
}

static void check_value(CrdtReader *reader, CrdtArena *scratch, unsigned depth, bool *canonical);

static void
check_object(CrdtReader *reader, CrdtArena *scratch, unsigned depth, bool *canonical)
{
	CrdtBytes few[FEW_KEYS];
	CrdtBytes *keys = few;
	size_t count = (size_t) check_count(reader, 2, "members", canonical);

	if (!enter(reader, depth) || crdt_reader_failed(reader))
		return;
	if (count > FEW_KEYS)
		keys = crdt_arena_take(scratch, count * sizeof(CrdtBytes));
	if (keys == NULL)
	{
		crdt_reader_fail(reader, CRDT_NO_MEMORY, "out of memory");
		return;
	}
	for (size_t i = 0; i < count && !crdt_reader_failed(reader); i++)
	{
		keys[i] = check_string(reader, canonical);
		check_value(reader, scratch, depth + 1, canonical);
	}
	if (!crdt_reader_failed(reader) && *canonical)
		*canonical = keys_are_canonical(keys, count);
}

static void
check_value(CrdtReader *reader, CrdtArena *scratch, unsigned depth, bool *canonical)
{
	uint8_t tag = crdt_read_u8(reader);
	uint64_t count;

	if (crdt_reader_failed(reader))
		return;
	switch (tag)
	{
		case CRDT_ANY_UNDEFINED:
		case CRDT_ANY_NULL:
		case CRDT_ANY_FALSE:
		case CRDT_ANY_TRUE: break;
		case CRDT_ANY_INTEGER:
		case CRDT_ANY_FLOAT32:
		case CRDT_ANY_FLOAT64: check_number(reader, tag, canonical); break;
		case CRDT_ANY_BIGINT: (void) crdt_read_bytes(reader, 8); break;
		case CRDT_ANY_STRING: (void) check_string(reader, canonical); break;
		case CRDT_ANY_OBJECT: check_object(reader, scratch, depth, canonical); break;
		case CRDT_ANY_ARRAY:
			count = check_count(reader, 1, "elements", canonical);
			if (enter(reader, depth))
				for (uint64_t i = 0; i < count && !crdt_reader_failed(reader); i++)
					check_value(reader, scratch, depth + 1, canonical);
			break;
		case CRDT_ANY_BYTES:
			count = check_count(reader, 1, "bytes", canonical);
			(void) crdt_read_bytes(reader, count);
			break;
		default:
			reader->cursor--;
			crdt_reader_fail(reader, CRDT_MALFORMED, "%d is not the tag of a value", tag);
	}
}

/* ---- bringing into canonical form (of what has been checked) ---- */

static void rewrite_value(CrdtReader *reader, CrdtBuffer *out);

static void
rewrite_object(CrdtReader *reader, CrdtBuffer *out)
{
	uint64_t count = crdt_read_varuint(reader);
	CrdtObject object;

	crdt_object_open(&object, out->host);
	for (uint64_t i = 0; i < count; i++)
	{
		CrdtBytes key = crdt_read_byte_array(reader);
		size_t start = object.values.size;

		if (crdt_bytes_equal(key, CRDT_LITERAL("__proto__")))
		{
			/* assigning to it sets no property */
			rewrite_value(reader, &object.values);
			object.values.size = start;
			continue;
		}
		crdt_object_begin_member(&object, key);
		rewrite_value(reader, &object.values);
		crdt_object_end_member(&object);
	}
	crdt_object_write(&object, out);
	crdt_object_close(&object);
}

static void
rewrite_value(CrdtReader *reader, CrdtBuffer *out)
{
	uint8_t tag = crdt_read_u8(reader);
	uint64_t count;

	switch (tag)
	{
		case CRDT_ANY_INTEGER:
		case CRDT_ANY_FLOAT32:
		case CRDT_ANY_FLOAT64:
			crdt_any_write_number(out, crdt_any_read_number(reader, tag));
			return;
		case CRDT_ANY_OBJECT: rewrite_object(reader, out); return;
		default: break;
	}
	crdt_write_u8(out, tag);
	switch (tag)
	{
		case CRDT_ANY_BIGINT: crdt_write_bytes(out, crdt_read_bytes(reader, 8)); break;
		case CRDT_ANY_STRING:
		case CRDT_ANY_BYTES: crdt_write_byte_array(out, crdt_read_byte_array(reader)); break;
		case CRDT_ANY_ARRAY:
			count = crdt_read_varuint(reader);
			crdt_write_varuint(out, count);
			for (uint64_t i = 0; i < count; i++)
				rewrite_value(reader, out);
			break;
		default: break; /* the tag says all */
	}
}

static CrdtBytes
rewrite(CrdtReader *reader, CrdtBytes input, uint64_t count, CrdtArena *scratch)
{
	CrdtReader again;
	CrdtBuffer out;
	CrdtBytes copy = {NULL, 0};

	crdt_reader_open(&again, input);
	crdt_buffer_open(&out, scratch->host);
	for (uint64_t i = 0; i < count; i++)
		rewrite_value(&again, &out);
	if (!out.failed)
		copy = crdt_arena_copy(scratch, crdt_buffer_view(&out));
	crdt_buffer_close(&out);
	if (copy.data == NULL)
		crdt_reader_fail(reader, CRDT_NO_MEMORY, "out of memory");
	return copy;
}

CrdtBytes
crdt_any_read(CrdtReader *reader, uint64_t count, CrdtArena *scratch)
{
	CrdtBytes input = {reader->cursor, 0};
	bool canonical = true;

	for (uint64_t i = 0; i < count && !crdt_reader_failed(reader); i++)
		check_value(reader, scratch, 0, &canonical);
	if (crdt_reader_failed(reader))
		return (CrdtBytes){reader->end, 0};
	input.size = (size_t) (reader->cursor - input.data);
	return canonical ? input : rewrite(reader, input, count, scratch);
}

/* ---- walking canonical values ---- */

static void
skip_value(CrdtReader *reader)
{
	uint8_t tag = crdt_read_u8(reader);
	uint64_t count;

	switch (tag)
	{
		case CRDT_ANY_INTEGER: (void) crdt_read_varint(reader); break;
		case CRDT_ANY_FLOAT32: (void) crdt_read_bytes(reader, 4); break;
		case CRDT_ANY_FLOAT64:
		case CRDT_ANY_BIGINT: (void) crdt_read_bytes(reader, 8); break;
		case CRDT_ANY_STRING:
		case CRDT_ANY_BYTES: (void) crdt_read_byte_array(reader); break;
		case CRDT_ANY_OBJECT:
			for (count = crdt_read_varuint(reader); count > 0; count--)
			{
				(void) crdt_read_byte_array(reader);
				skip_value(reader);
			}
			break;
		case CRDT_ANY_ARRAY:
			for (count = crdt_read_varuint(reader); count > 0; count--)
				skip_value(reader);
			break;
		default: break;
	}
}

size_t
crdt_any_prefix_bytes(CrdtBytes values, uint64_t count)
{
	CrdtReader reader;

	crdt_reader_open(&reader, values);
	for (uint64_t i = 0; i < count; i++)
		skip_value(&reader);
	return (size_t) (reader.cursor - reader.start);
}

/* Copies a value; its strings and keys as they go on the wire. */
static void
write_value(CrdtReader *reader, CrdtBuffer *out)
{
	const uint8_t *start = reader->cursor;
	uint8_t tag = crdt_read_u8(reader);
	uint64_t count;

	switch (tag)
	{
		case CRDT_ANY_STRING:
			crdt_write_u8(out, tag);
			crdt_write_string(out, crdt_read_byte_array(reader));
			break;
		case CRDT_ANY_OBJECT:
		case CRDT_ANY_ARRAY:
			count = crdt_read_varuint(reader);
			crdt_write_u8(out, tag);
			crdt_write_varuint(out, count);
			for (; count > 0; count--)
			{
				if (tag == CRDT_ANY_OBJECT)
					crdt_write_string(out, crdt_read_byte_array(reader));
				write_value(reader, out);
			}
			break;
		default:
			reader->cursor = start;
			skip_value(reader);
			crdt_write_bytes(out, (CrdtBytes){start, (size_t) (reader->cursor - start)});
	}
}

void
crdt_any_write(CrdtBuffer *out, CrdtBytes values)
{
	CrdtReader reader;

	/* every lone surrogate's form begins with ED */
	if (values.size == 0 || memchr(values.data, 0xed, values.size) == NULL)
	{
		crdt_write_bytes(out, values);
		return;
	}
	crdt_reader_open(&reader, values);
	while (crdt_reader_left(&reader) > 0)
		write_value(&reader, out);
}

/* ---- showing ---- */

static bool visit_value(CrdtReader *reader, const CrdtVisitor *visitor);

static bool
visit_object(CrdtReader *reader, const CrdtVisitor *visitor)
{
	uint64_t count = crdt_read_varuint(reader);

	if (!visitor->begin_object(visitor->context))
		return false;
	for (; count > 0; count--)
		if (!visitor->key(visitor->context, crdt_read_byte_array(reader)) ||
			!visit_value(reader, visitor))
			return false;
	return visitor->end_object(visitor->context);
}

static bool
visit_array(CrdtReader *reader, const CrdtVisitor *visitor)
{
	uint64_t count = crdt_read_varuint(reader);

	if (!visitor->begin_array(visitor->context))
		return false;
	for (; count > 0; count--)
		if (!visit_value(reader, visitor))
			return false;
	return visitor->end_array(visitor->context);
}

static bool
visit_value(CrdtReader *reader, const CrdtVisitor *visitor)
{
	uint8_t tag = crdt_read_u8(reader);

	switch (tag)
	{
		case CRDT_ANY_NULL: return visitor->null(visitor->context);
		case CRDT_ANY_INTEGER:
		case CRDT_ANY_FLOAT32:
		case CRDT_ANY_FLOAT64:
			return visitor->number(visitor->context, crdt_any_read_number(reader, tag));
		case CRDT_ANY_BIGINT: return visitor->bigint(visitor->context, crdt_read_bigint64(reader));
		case CRDT_ANY_FALSE:
		case CRDT_ANY_TRUE: return visitor->boolean(visitor->context, tag == CRDT_ANY_TRUE);
		case CRDT_ANY_STRING:
			return visitor->string(visitor->context, crdt_read_byte_array(reader));
		case CRDT_ANY_OBJECT: return visit_object(reader, visitor);
		case CRDT_ANY_ARRAY: return visit_array(reader, visitor);
		case CRDT_ANY_BYTES: return visitor->bytes(visitor->context, crdt_read_byte_array(reader));
		default: return visitor->undefined(visitor->context);
	}
}

bool
crdt_any_visit(CrdtBytes value, const CrdtVisitor *visitor)
{
	CrdtReader reader;

	crdt_reader_open(&reader, value);
	return visit_value(&reader, visitor);
}
