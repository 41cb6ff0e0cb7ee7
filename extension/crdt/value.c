/*
 * value.c: making and showing values (value.h); the encoding itself is any.c's.
 */
#include "value.h"

#include "any.h"

static void
write_tag(CrdtBuffer *out, uint8_t tag)
{
	crdt_write_u8(out, tag);
}

void
crdt_value_undefined(CrdtBuffer *out)
{
	write_tag(out, CRDT_ANY_UNDEFINED);
}

void
crdt_value_null(CrdtBuffer *out)
{
	write_tag(out, CRDT_ANY_NULL);
}

void
crdt_value_boolean(CrdtBuffer *out, bool value)
{
	write_tag(out, value ? CRDT_ANY_TRUE : CRDT_ANY_FALSE);
}

void
crdt_value_number(CrdtBuffer *out, double value)
{
	crdt_any_write_number(out, value);
}

void
crdt_value_bigint(CrdtBuffer *out, int64_t value)
{
	write_tag(out, CRDT_ANY_BIGINT);
	crdt_write_bigint64(out, value);
}

void
crdt_value_string(CrdtBuffer *out, CrdtBytes value)
{
	write_tag(out, CRDT_ANY_STRING);
	crdt_write_byte_array(out, value);
}

void
crdt_value_bytes(CrdtBuffer *out, CrdtBytes value)
{
	write_tag(out, CRDT_ANY_BYTES);
	crdt_write_byte_array(out, value);
}

void
crdt_value_begin_array(CrdtBuffer *out, uint64_t count)
{
	write_tag(out, CRDT_ANY_ARRAY);
	crdt_write_varuint(out, count);
}

void
crdt_value_begin_object(CrdtBuffer *out, uint64_t count)
{
	write_tag(out, CRDT_ANY_OBJECT);
	crdt_write_varuint(out, count);
}

void
crdt_value_key(CrdtBuffer *out, CrdtBytes key)
{
	crdt_write_byte_array(out, key);
}

CrdtStatus
crdt_value_from_json(const CrdtHost *host, CrdtBytes json, CrdtBuffer *out, CrdtError *error)
{
	size_t size_before = out->size;
	CrdtStatus status = CRDT_OK;
	CrdtArena scratch;
	CrdtReader reader;
	CrdtBytes value;

	crdt_arena_open(&scratch, host);
	crdt_reader_open(&reader, json);
	value = crdt_any_read_json(&reader, json, false, &scratch);
	if (crdt_reader_failed(&reader))
	{
		status = reader.error.status;
		if (error != NULL)
			*error = reader.error;
	}
	else
		crdt_write_bytes(out, value);
	if (status == CRDT_OK && out->failed)
	{
		out->size = size_before;
		out->failed = false;
		status = crdt_error_no_memory(error);
	}
	crdt_arena_close(&scratch);
	return status;
}

bool
crdt_value_visit(CrdtBytes value, const CrdtVisitor *visitor)
{
	return crdt_any_visit(value, visitor);
}
