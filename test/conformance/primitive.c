/*
 * primitive.c: cases of kinds `primitive` and `primitiveRead`: lib0's encodings, each by itself.
 *
 * A `primitive` is written, and read again; a `primitiveRead` is odd or broken input.  An any is made
 * of its bytes only, for its value in the vectors may be something that no encoding brings back.
 */
#include "kinds.h"

#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/any.h"
#include "../../extension/crdt/column.h"
#include "../../extension/crdt/utf.h"
#include "../core/input.h"
#include "value.h"

/* One encoding, by the name that cases have for it. */
typedef struct Codec
{
	const char *name;
	void (*write)(CrdtBuffer *out, const json_t *value); /* NULL: see above */
	json_t *(*read)(CrdtReader *reader, CrdtArena *arena, size_t count);
} Codec;

static void write_varuint(CrdtBuffer *out, const json_t *value);
static void write_varint(CrdtBuffer *out, const json_t *value);
static void write_string(CrdtBuffer *out, const json_t *value);
static void write_u8_column(CrdtBuffer *out, const json_t *values);
static void write_uint_column(CrdtBuffer *out, const json_t *values);
static void write_int_column(CrdtBuffer *out, const json_t *values);
static void write_string_column(CrdtBuffer *out, const json_t *values);
static json_t *read_varuint(CrdtReader *reader, CrdtArena *arena, size_t count);
static json_t *read_varint(CrdtReader *reader, CrdtArena *arena, size_t count);
static json_t *read_string(CrdtReader *reader, CrdtArena *arena, size_t count);
static json_t *read_bytes(CrdtReader *reader, CrdtArena *arena, size_t count);
static json_t *read_any(CrdtReader *reader, CrdtArena *arena, size_t count);
static json_t *read_u8_column(CrdtReader *reader, CrdtArena *arena, size_t count);
static json_t *read_uint_column(CrdtReader *reader, CrdtArena *arena, size_t count);
static json_t *read_int_column(CrdtReader *reader, CrdtArena *arena, size_t count);
static json_t *read_string_column(CrdtReader *reader, CrdtArena *arena, size_t count);
static const Codec *find_codec(Case *c);
static json_t *as_read(const json_t *value);

static const Codec codecs[] = {
	{"varUint", write_varuint, read_varuint},
	{"varInt", write_varint, read_varint},
	{"varString", write_string, read_string},
	{"varUint8Array", NULL, read_bytes},
	{"any", NULL, read_any},
	{"rle8", write_u8_column, read_u8_column},
	{"uintOptRle", write_uint_column, read_uint_column},
	{"intDiffOptRle", write_int_column, read_int_column},
	{"stringColumn", write_string_column, read_string_column},
};

void
run_primitive(Case *c)
{
	const Codec *codec = find_codec(c);
	const json_t *value = json_object_get(c->json, "value");
	CrdtBytes bytes = case_input(c, json_object_get(c->json, "bytes"));
	CrdtReader reader;
	CrdtArena arena;
	json_t *got;

	if (codec == NULL)
		return;
	if (codec->write != NULL)
	{
		CrdtBuffer out;

		crdt_buffer_open(&out, &c->world.host);
		codec->write(&out, value);
		case_expect_same(c, "written", bytes, crdt_buffer_view(&out));
		crdt_buffer_close(&out);
	}
	crdt_reader_open(&reader, bytes);
	crdt_arena_open(&arena, &c->world.host);
	got = codec->read(&reader, &arena, json_array_size(value));
	if (case_expect_ok(c, "read", reader.error.status, &reader.error))
	{
		json_t *expected = as_read(value);

		/* halves of pairs that met in the column of strings come back, others are U+FFFD */
		if (json_equal(got, value))
			case_expect_json(c, "value", value, json_incref(got));
		else
			case_expect_json(c, "value", expected, json_incref(got));
		json_decref(expected);
	}
	json_decref(got);
	crdt_arena_close(&arena);
}

void
run_primitive_read(Case *c)
{
	const Codec *codec = find_codec(c);
	CrdtBytes bytes = case_input(c, json_object_get(c->json, "bytes"));
	bool yjs_accepts = json_object_get(c->json, "error") == NULL;
	size_t yjs_read = (size_t) json_number_value(json_object_get(c->json, "read"));
	CrdtReader reader;
	CrdtArena arena;
	json_t *got;

	if (codec == NULL)
		return;
	crdt_reader_open(&reader, bytes);
	crdt_arena_open(&arena, &c->world.host);
	got = codec->read(&reader, &arena, 0);
	c->fields++;
	if (!yjs_accepts)
		case_expect_true(c, "error", crdt_reader_failed(&reader), "Yjs refuses, we do not");
	else if (reader.error.status == CRDT_LIMIT)
		c->beyond_limit = true;
	else if (yjs_read > bytes.size)
		/* Yjs takes the missing byte of a number for 0; what follows a number in an update is
		 * missing then too */
		case_expect_true(c, "error", crdt_reader_failed(&reader), "read beyond the input");
	else if (case_expect_ok(c, "read", reader.error.status, &reader.error))
	{
		case_expect_true(c, "bytes read", (size_t) (reader.cursor - bytes.data) == yjs_read,
						 "not as many as Yjs");
		case_expect_json(c, "value", json_object_get(c->json, "value"), json_incref(got));
	}
	json_decref(got);
	crdt_arena_close(&arena);
}

static const Codec *
find_codec(Case *c)
{
	const char *name = json_string_value(json_object_get(c->json, "codec"));

	for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
		if (strcmp(codecs[i].name, name) == 0)
			return &codecs[i];
	case_fail(c, "codec", "%s is not known", name);
	return NULL;
}

/* ---- values of the vectors ---- */

/* A number; -0 is tagged. */
static double
number_of(const json_t *value)
{
	return json_is_number(value) ? json_number_value(value) : -0.0;
}

/* A string's internal text, to be freed; one with lone surrogates is tagged, as its units. */
static CrdtBytes
text_of(const json_t *value)
{
	const json_t *units = json_object_get(value, "v");
	size_t count = json_array_size(units);
	uint8_t *text = test_alloc(4 * count + json_string_length(value) + 1);
	size_t size = json_string_length(value);

	if (json_is_string(value))
		memcpy(text, json_string_value(value), size);
	for (size_t i = 0; i < count; i++)
	{
		uint32_t unit = (uint32_t) json_number_value(json_array_get(units, i));
		uint32_t next = (uint32_t) json_number_value(json_array_get(units, i + 1));

		if (unit >= 0xd800 && unit < 0xdc00 && next >= 0xdc00 && next < 0xe000)
		{
			unit = 0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00);
			i++;
		}
		size += crdt_utf8_put(text + size, unit);
	}
	return (CrdtBytes){text, size};
}

/* The value as it is read again: with U+FFFD for lone surrogates, bigints of 64 bits, and a date as the
 * object it is written as. */
static json_t *
as_read(const json_t *value)
{
	const char *tag = json_string_value(json_object_get(value, "$"));
	json_t *result;
	CrdtBytes text;

	if (json_is_array(value) || (json_is_object(value) && tag == NULL))
	{
		const char *key;
		size_t index;
		json_t *item;

		result = json_is_array(value) ? json_array() : json_object();
		json_array_foreach((json_t *) value, index, item)
			json_array_append_new(result, as_read(item));
		json_object_foreach((json_t *) value, key, item)
			json_object_set_new(result, key, as_read(item));
		return result;
	}
	if (tag != NULL && strcmp(tag, "date") == 0)
		return json_object();
	if (tag != NULL && strcmp(tag, "bigint") == 0)
	{
		const char *digits = json_string_value(json_object_get(value, "v"));

		return json_pack("{s:s,s:o}", "$", "bigint", "v",
						 json_sprintf("%lld", (long long) strtoull(digits, NULL, 10)));
	}
	if (tag == NULL || strcmp(tag, "utf16") != 0)
		return json_deep_copy(value);
	text = text_of(value);
	crdt_utf8_replace_surrogates((uint8_t *) text.data, text.size);
	result = value_of_string(text);
	free((void *) text.data);
	return result;
}

/* ---- numbers, strings, bytes ---- */

static void
write_varuint(CrdtBuffer *out, const json_t *value)
{
	crdt_write_varuint(out, (uint64_t) json_number_value(value));
}

static json_t *
read_varuint(CrdtReader *reader, CrdtArena *arena, size_t count)
{
	(void) arena;
	(void) count;
	return json_real((double) crdt_read_varuint(reader));
}

static void
write_varint(CrdtBuffer *out, const json_t *value)
{
	double number = number_of(value);
	bool negative = number < 0 || !json_is_number(value);

	crdt_write_varint(out, (CrdtVarint){(uint64_t) (negative ? -number : number), negative});
}

static json_t *
read_varint(CrdtReader *reader, CrdtArena *arena, size_t count)
{
	CrdtVarint number = crdt_read_varint(reader);

	(void) arena;
	(void) count;
	if (number.negative && number.magnitude == 0)
		return json_pack("{s:s,s:s}", "$", "num", "v", "-0");
	return json_real(number.negative ? -(double) number.magnitude : (double) number.magnitude);
}

static void
write_string(CrdtBuffer *out, const json_t *value)
{
	CrdtBytes text = text_of(value);

	crdt_write_string(out, text);
	free((void *) text.data);
}

static json_t *
read_string(CrdtReader *reader, CrdtArena *arena, size_t count)
{
	(void) arena;
	(void) count;
	return value_of_string(crdt_read_string(reader));
}

static json_t *
read_bytes(CrdtReader *reader, CrdtArena *arena, size_t count)
{
	(void) arena;
	(void) count;
	return value_of_bytes(crdt_read_byte_array(reader));
}

static json_t *
read_any(CrdtReader *reader, CrdtArena *arena, size_t count)
{
	CrdtBytes value = crdt_any_read(reader, 1, arena);
	CrdtError error = {0};

	(void) count;
	return crdt_reader_failed(reader) ? NULL : value_of_any(value, &error);
}

/* ---- columns ---- */

static void
write_u8_column(CrdtBuffer *out, const json_t *values)
{
	CrdtColumnWriter writer;

	crdt_column_writer_open(&writer, out->host);
	for (size_t i = 0; i < json_array_size(values); i++)
		crdt_column_write_u8(&writer, (uint8_t) json_number_value(json_array_get(values, i)));
	crdt_write_bytes(out, crdt_buffer_view(&writer.out));
	crdt_column_writer_close(&writer);
}

static void
write_uint_column(CrdtBuffer *out, const json_t *values)
{
	CrdtColumnWriter writer;

	crdt_column_writer_open(&writer, out->host);
	for (size_t i = 0; i < json_array_size(values); i++)
		crdt_column_write_uint(&writer, (uint64_t) json_number_value(json_array_get(values, i)));
	crdt_column_end_uint(&writer);
	crdt_write_bytes(out, crdt_buffer_view(&writer.out));
	crdt_column_writer_close(&writer);
}

static void
write_int_column(CrdtBuffer *out, const json_t *values)
{
	CrdtColumnWriter writer;

	crdt_column_writer_open(&writer, out->host);
	for (size_t i = 0; i < json_array_size(values); i++)
		crdt_column_write_int(&writer, (int64_t) json_number_value(json_array_get(values, i)));
	crdt_column_end_int(&writer);
	crdt_write_bytes(out, crdt_buffer_view(&writer.out));
	crdt_column_writer_close(&writer);
}

static void
write_string_column(CrdtBuffer *out, const json_t *values)
{
	CrdtStringColumnWriter writer;

	crdt_string_column_writer_open(&writer, out->host);
	for (size_t i = 0; i < json_array_size(values); i++)
	{
		CrdtBytes text = text_of(json_array_get(values, i));

		crdt_string_column_add(&writer, text);
		crdt_string_column_add_length(&writer, crdt_utf16_length(text));
		free((void *) text.data);
	}
	crdt_string_column_finish(&writer, out);
	crdt_string_column_writer_close(&writer);
}

/* The column that is all the input. */
static CrdtColumn
open_column(CrdtReader *reader)
{
	CrdtColumn column;

	crdt_column_open(&column, crdt_read_bytes(reader, crdt_reader_left(reader)));
	return column;
}

static json_t *
read_u8_column(CrdtReader *reader, CrdtArena *arena, size_t count)
{
	CrdtColumn column = open_column(reader);
	json_t *values = json_array();

	(void) arena;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(values, json_real(crdt_column_read_u8(&column, reader)));
	return values;
}

static json_t *
read_uint_column(CrdtReader *reader, CrdtArena *arena, size_t count)
{
	CrdtColumn column = open_column(reader);
	json_t *values = json_array();

	(void) arena;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(values, json_real((double) crdt_column_read_uint(&column, reader)));
	return values;
}

static json_t *
read_int_column(CrdtReader *reader, CrdtArena *arena, size_t count)
{
	CrdtColumn column = open_column(reader);
	json_t *values = json_array();

	(void) arena;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(values, json_real((double) crdt_column_read_int(&column, reader)));
	return values;
}

static json_t *
read_string_column(CrdtReader *reader, CrdtArena *arena, size_t count)
{
	CrdtBytes bytes = crdt_read_bytes(reader, crdt_reader_left(reader));
	json_t *values = json_array();
	CrdtStringColumn column;
	uint64_t length;

	crdt_string_column_open(&column, reader, bytes);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			values, value_of_string(crdt_string_column_read(&column, reader, arena, &length)));
	return values;
}
