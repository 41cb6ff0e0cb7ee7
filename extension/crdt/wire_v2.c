/*
 * wire_v2.c: a struct in format V2 (FORMAT 3 and 4).
 *
 * The fields are those of V1, in its order, but each goes to a column of its kind:
 *
 *     struct:    info  origin              right origin         parent                     content
 *     columns:   info  client, left clock  client, right clock  parent info, string | ...  ...
 *
 *     update := flag, key clocks, clients, left clocks, right clocks, infos, strings, parent infos,
 *               type refs, lengths, and then, up to the end, all that has no column
 *
 * Keys of formats and names of elements are numbered, to be written once each; Yjs's reader knows
 * that, and its writer gives each a new number: so do we.
 *
 * Here: that grammar, both ways.  Not here: a column's bytes (column.c), blocks and delete sets
 * (wire.c), values (any.c).
 */
#include <string.h>

#include "any.h"
#include "update.h"
#include "utf.h"
#include "wire.h"

#define INFO_KIND 0x1f

/* A key that is referred to takes next to nothing, and is copied.  All of them together may take as
 * many bytes; no Yjs refers to any. */
#define REPEATED_BASE 65536
#define REPEATED_PER_BYTE 16

/* ---- reading ---- */

static void
open_column(CrdtReader *bytes, CrdtColumn *column)
{
	crdt_column_open(column, crdt_read_byte_array(bytes));
}

void
crdt_v2_read_columns(CrdtUpdateReader *reader)
{
	CrdtReader *bytes = &reader->bytes;
	CrdtColumns *columns = &reader->columns;
	uint64_t size = crdt_reader_left(bytes);
	CrdtBytes strings;

	crdt_read_varuint(bytes); /* the flag, which says nothing yet */
	open_column(bytes, &columns->key_clock);
	open_column(bytes, &columns->client);
	open_column(bytes, &columns->left_clock);
	open_column(bytes, &columns->right_clock);
	open_column(bytes, &columns->info);
	strings = crdt_read_byte_array(bytes);
	open_column(bytes, &columns->parent_info);
	open_column(bytes, &columns->type_ref);
	open_column(bytes, &columns->length);
	if (!crdt_reader_failed(bytes))
	{
		const uint8_t *rest = bytes->cursor;

		crdt_string_column_open(&columns->strings, bytes, strings);
		if (!crdt_reader_failed(bytes))
			bytes->cursor = rest;
	}
	columns->keys = NULL;
	columns->key_count = 0;
	columns->key_capacity = 0;
	columns->structs_allowed = CRDT_V2_STRUCTS_BASE + CRDT_V2_STRUCTS_PER_BYTE * size;
	columns->repeated_allowed = REPEATED_BASE + REPEATED_PER_BYTE * size;
}

static uint64_t
read_clock(CrdtColumn *column, CrdtReader *bytes)
{
	int64_t clock = crdt_column_read_int(column, bytes);

	if (clock >= 0)
		return (uint64_t) clock;
	crdt_reader_fail(bytes, CRDT_MALFORMED, "a clock is below 0");
	return 0;
}

/* clocks: the column of the clock. */
static CrdtId
read_id(CrdtUpdateReader *reader, CrdtColumn *clocks)
{
	CrdtId id;

	id.client = crdt_column_read_uint(&reader->columns.client, &reader->bytes);
	id.clock = read_clock(clocks, &reader->bytes);
	return id;
}

static CrdtBytes
read_string(CrdtUpdateReader *reader)
{
	uint64_t length;

	return crdt_string_column_read(&reader->columns.strings, &reader->bytes, reader->scratch,
								   &length);
}

/* Room for one more key.  False: no memory. */
static bool
reserve_key(CrdtUpdateReader *reader)
{
	CrdtColumns *columns = &reader->columns;
	size_t capacity = columns->key_capacity == 0 ? 8 : 2 * columns->key_capacity;
	CrdtBytes *keys;

	if (columns->key_count < columns->key_capacity)
		return true;
	keys = crdt_arena_take(reader->kept, capacity * sizeof(CrdtBytes));
	if (keys == NULL)
	{
		crdt_reader_fail(&reader->bytes, CRDT_NO_MEMORY, "out of memory");
		return false;
	}
	if (columns->key_count > 0)
		memcpy(keys, columns->keys, columns->key_count * sizeof(CrdtBytes));
	columns->keys = keys;
	columns->key_capacity = capacity;
	return true;
}

/* A number that was there stands for that key, any other for the next string. */
static CrdtBytes
read_key(CrdtUpdateReader *reader)
{
	CrdtColumns *columns = &reader->columns;
	CrdtReader *bytes = &reader->bytes;
	uint64_t number = read_clock(&columns->key_clock, bytes);
	uint64_t length;
	CrdtBytes key;

	if (crdt_reader_failed(bytes))
		return (CrdtBytes){bytes->end, 0};
	if (number < columns->key_count)
	{
		key = columns->keys[number];
		if (key.size <= columns->repeated_allowed)
			columns->repeated_allowed -= key.size;
		else
			crdt_reader_fail(bytes, CRDT_LIMIT, "keys are repeated too often");
		return key;
	}
	key = crdt_string_column_read(&columns->strings, bytes, reader->kept, &length);
	if (reserve_key(reader))
		columns->keys[columns->key_count++] = key;
	return key;
}

static void
read_parent(CrdtUpdateReader *reader, uint8_t info, CrdtStruct *out)
{
	if (crdt_column_read_u8(&reader->columns.parent_info, &reader->bytes) == 1)
	{
		out->flags |= CRDT_PARENT_IS_ROOT;
		out->parent_name = read_string(reader);
	}
	else
	{
		out->flags |= CRDT_PARENT_IS_ID;
		out->parent_id = read_id(reader, &reader->columns.left_clock);
	}
	if ((info & CRDT_HAS_PARENT_SUB) != 0)
	{
		out->flags |= CRDT_HAS_PARENT_SUB;
		out->parent_sub = read_string(reader);
	}
}

static void
read_text(CrdtUpdateReader *reader, CrdtStruct *out)
{
	out->content = crdt_string_column_read(&reader->columns.strings, &reader->bytes,
										   reader->scratch, &out->length);
	/* a byte is a unit, or there are more bytes than units */
	out->ascii = out->content.size == out->length;
}

/* A string that is JSON text, as a value.  It may lie outside of the input, so errors name the place
 * in the last column. */
static CrdtBytes
read_json(CrdtUpdateReader *reader)
{
	CrdtReader *bytes = &reader->bytes;
	CrdtBytes text = read_string(reader);
	CrdtReader inside;
	CrdtBytes value;

	crdt_reader_open(&inside, text);
	value = crdt_any_read_json(&inside, text, true, reader->scratch);
	if (crdt_reader_failed(&inside))
		crdt_reader_fail(bytes, inside.error.status, "%s", inside.error.message);
	return value;
}

/* count JSON texts (the legacy content), as values in a row. */
static CrdtBytes
read_json_values(CrdtUpdateReader *reader, uint64_t count)
{
	CrdtReader *bytes = &reader->bytes;
	CrdtBytes all = {bytes->end, 0};
	CrdtBuffer values;

	/* no JSON text is empty */
	if (count > reader->columns.strings.units_left)
		crdt_reader_fail(bytes, CRDT_TRUNCATED, "%llu values, but %llu units of text are left",
						 (unsigned long long) count,
						 (unsigned long long) reader->columns.strings.units_left);
	if (crdt_reader_failed(bytes))
		return all;
	crdt_buffer_open(&values, reader->scratch->host);
	for (uint64_t i = 0; i < count && !crdt_reader_failed(bytes); i++)
		crdt_write_bytes(&values, read_json(reader));
	if (!values.failed)
		all = crdt_arena_copy(reader->scratch, crdt_buffer_view(&values));
	if (values.failed || all.data == NULL)
		crdt_reader_fail(bytes, CRDT_NO_MEMORY, "out of memory");
	crdt_buffer_close(&values);
	return all;
}

static void
read_values(CrdtUpdateReader *reader, CrdtStruct *out)
{
	CrdtReader *bytes = &reader->bytes;

	if (out->length > crdt_reader_left(bytes))
		crdt_reader_fail(bytes, CRDT_TRUNCATED, "%llu values, but %zu bytes are left",
						 (unsigned long long) out->length, crdt_reader_left(bytes));
	out->content = (CrdtBytes){bytes->end, 0};
	if (!crdt_reader_failed(bytes))
		out->content = crdt_any_read(bytes, out->length, reader->scratch);
}

static void
read_type(CrdtUpdateReader *reader, CrdtStruct *out)
{
	CrdtReader *bytes = &reader->bytes;
	uint64_t type_ref = crdt_column_read_uint(&reader->columns.type_ref, bytes);

	if (type_ref > CRDT_XML_TEXT)
		crdt_reader_fail(bytes, CRDT_MALFORMED, "shared type %llu is not known",
						 (unsigned long long) type_ref);
	out->type_ref = (uint8_t) type_ref;
	if (type_ref == CRDT_XML_ELEMENT || type_ref == CRDT_XML_HOOK)
		out->name = read_key(reader);
}

static void
read_content(CrdtUpdateReader *reader, CrdtStruct *out)
{
	CrdtReader *bytes = &reader->bytes;

	out->length = 1;
	if (out->kind == CRDT_GC || out->kind == CRDT_DELETED || out->kind == CRDT_JSON ||
		out->kind == CRDT_ANY)
		out->length = crdt_column_read_uint(&reader->columns.length, bytes);
	switch (out->kind)
	{
		case CRDT_GC:
		case CRDT_DELETED: break;
		case CRDT_SKIP: out->length = crdt_read_varuint(bytes); break;
		case CRDT_JSON: out->content = read_json_values(reader, out->length); break;
		case CRDT_BINARY: out->content = crdt_read_byte_array(bytes); break;
		case CRDT_STRING: read_text(reader, out); break;
		case CRDT_EMBED: out->content = crdt_any_read(bytes, 1, reader->scratch); break;
		case CRDT_FORMAT_MARK:
			out->name = read_key(reader);
			out->content = crdt_any_read(bytes, 1, reader->scratch);
			break;
		case CRDT_TYPE: read_type(reader, out); break;
		case CRDT_ANY: read_values(reader, out); break;
		case CRDT_SUBDOCUMENT:
			out->name = read_string(reader);
			out->content = crdt_read_subdocument_options(bytes, reader->scratch, &out->name);
			break;
		default: crdt_reader_fail(bytes, CRDT_MALFORMED, "content %d is not known", out->kind);
	}
}

void
crdt_v2_read_struct(CrdtUpdateReader *reader, CrdtStruct *out)
{
	CrdtColumns *columns = &reader->columns;
	uint8_t info = crdt_column_read_u8(&columns->info, &reader->bytes);

	out->kind = info & INFO_KIND;
	if (out->kind == CRDT_SKIP && info != CRDT_SKIP && !reader->takes_flagged_skips)
		crdt_reader_fail(&reader->bytes, CRDT_MALFORMED, "a hole has flags");
	out->flags = 0;
	out->parent_sub = (CrdtBytes){NULL, 0};
	out->begins_replaced = false;
	if (crdt_kind_has_origin(out->kind))
	{
		out->flags = info & (CRDT_HAS_ORIGIN | CRDT_HAS_RIGHT_ORIGIN);
		if ((info & CRDT_HAS_ORIGIN) != 0)
			out->origin = read_id(reader, &columns->left_clock);
		if ((info & CRDT_HAS_RIGHT_ORIGIN) != 0)
			out->right_origin = read_id(reader, &columns->right_clock);
		if (out->flags == 0)
			read_parent(reader, info, out);
	}
	read_content(reader, out);
}

/* ---- writing ---- */

void
crdt_v2_writer_open(CrdtColumnWriters *columns, const CrdtHost *host)
{
	crdt_column_writer_open(&columns->key_clock, host);
	crdt_column_writer_open(&columns->client, host);
	crdt_column_writer_open(&columns->left_clock, host);
	crdt_column_writer_open(&columns->right_clock, host);
	crdt_column_writer_open(&columns->info, host);
	crdt_column_writer_open(&columns->parent_info, host);
	crdt_column_writer_open(&columns->type_ref, host);
	crdt_column_writer_open(&columns->length, host);
	crdt_string_column_writer_open(&columns->strings, host);
	columns->key_count = 0;
}

void
crdt_v2_writer_close(CrdtColumnWriters *columns)
{
	crdt_column_writer_close(&columns->key_clock);
	crdt_column_writer_close(&columns->client);
	crdt_column_writer_close(&columns->left_clock);
	crdt_column_writer_close(&columns->right_clock);
	crdt_column_writer_close(&columns->info);
	crdt_column_writer_close(&columns->parent_info);
	crdt_column_writer_close(&columns->type_ref);
	crdt_column_writer_close(&columns->length);
	crdt_string_column_writer_close(&columns->strings);
	columns->key_count = 0;
}

static void
write_column(CrdtBuffer *out, const CrdtColumnWriter *column)
{
	crdt_write_byte_array(out, crdt_buffer_view(&column->out));
	out->failed |= column->out.failed;
}

bool
crdt_v2_write_columns(CrdtUpdateWriter *writer, CrdtBuffer *out)
{
	CrdtColumnWriters *columns = &writer->columns;

	crdt_column_end_int(&columns->key_clock);
	crdt_column_end_uint(&columns->client);
	crdt_column_end_int(&columns->left_clock);
	crdt_column_end_int(&columns->right_clock);
	crdt_column_end_uint(&columns->type_ref);
	crdt_column_end_uint(&columns->length);
	writer->text.size = 0;
	crdt_string_column_finish(&columns->strings, &writer->text);
	if (writer->text.failed)
		return false;

	crdt_write_u8(out, 0);
	write_column(out, &columns->key_clock);
	write_column(out, &columns->client);
	write_column(out, &columns->left_clock);
	write_column(out, &columns->right_clock);
	write_column(out, &columns->info);
	crdt_write_byte_array(out, crdt_buffer_view(&writer->text));
	write_column(out, &columns->parent_info);
	write_column(out, &columns->type_ref);
	write_column(out, &columns->length);
	return !out->failed;
}

static void
write_id(CrdtColumnWriters *columns, CrdtColumnWriter *clocks, CrdtId id)
{
	crdt_column_write_uint(&columns->client, id.client);
	crdt_column_write_int(clocks, (int64_t) id.clock);
}

static void
write_string(CrdtColumnWriters *columns, CrdtBytes text)
{
	crdt_string_column_add(&columns->strings, text);
	crdt_string_column_add_length(&columns->strings, crdt_utf16_length(text));
}

static void
write_key(CrdtColumnWriters *columns, CrdtBytes key)
{
	crdt_column_write_int(&columns->key_clock, columns->key_count++);
	write_string(columns, key);
}

static void
write_parent(CrdtColumnWriters *columns, const CrdtStruct *item)
{
	bool is_root = (item->flags & CRDT_PARENT_IS_ROOT) != 0;

	crdt_column_write_u8(&columns->parent_info, is_root);
	if (is_root)
		write_string(columns, item->parent_name);
	else
		write_id(columns, &columns->left_clock, item->parent_id);
	if (item->parent_sub.data != NULL)
		write_string(columns, item->parent_sub);
}

/* The text from unit offset on, which may be the second half of a surrogate pair. */
static void
write_text(CrdtColumnWriters *columns, const CrdtStruct *item, uint64_t offset)
{
	uint8_t first[3] = {0xef, 0xbf, 0xbd};
	CrdtBytes rest = item->content;

	crdt_string_column_add_length(&columns->strings, item->length - offset);
	if (item->ascii)
	{
		rest.data += offset;
		rest.size -= (size_t) offset;
		crdt_write_bytes(&columns->strings.text, rest);
		return;
	}
	if (crdt_struct_text(item, offset, &rest, first) != CRDT_TEXT_WHOLE)
		crdt_string_column_add(&columns->strings, (CrdtBytes){first, sizeof(first)});
	crdt_string_column_add(&columns->strings, rest);
}

static void
write_json_values(CrdtUpdateWriter *writer, CrdtBytes values)
{
	while (values.size > 0)
	{
		size_t size = crdt_any_prefix_bytes(values, 1);

		writer->text.size = 0;
		crdt_any_write_json(&writer->text, (CrdtBytes){values.data, size});
		write_string(&writer->columns, crdt_buffer_view(&writer->text));
		values.data += size;
		values.size -= size;
	}
}

static void
write_content(CrdtUpdateWriter *writer, const CrdtStruct *item, uint64_t offset)
{
	CrdtColumnWriters *columns = &writer->columns;
	CrdtBuffer *out = &writer->structs;

	switch (item->kind)
	{
		case CRDT_JSON:
			crdt_column_write_uint(&columns->length, item->length - offset);
			write_json_values(writer, crdt_struct_values(item, offset));
			break;
		case CRDT_BINARY: crdt_write_byte_array(out, item->content); break;
		case CRDT_STRING: write_text(columns, item, offset); break;
		case CRDT_EMBED: crdt_any_write(out, item->content); break;
		case CRDT_FORMAT_MARK:
			write_key(columns, item->name);
			crdt_any_write(out, item->content);
			break;
		case CRDT_TYPE:
			crdt_column_write_uint(&columns->type_ref, item->type_ref);
			if (item->type_ref == CRDT_XML_ELEMENT || item->type_ref == CRDT_XML_HOOK)
				write_key(columns, item->name);
			break;
		case CRDT_ANY:
			crdt_column_write_uint(&columns->length, item->length - offset);
			crdt_any_write(out, crdt_struct_values(item, offset));
			break;
		case CRDT_SUBDOCUMENT:
			write_string(columns, item->name);
			crdt_any_write(out, item->content);
			break;
		case CRDT_SKIP: crdt_write_varuint(out, item->length - offset); break;
		default: crdt_column_write_uint(&columns->length, item->length - offset); /* GC, DELETED */
	}
}

void
crdt_v2_write_struct(CrdtUpdateWriter *writer, const CrdtStruct *item, uint64_t offset)
{
	CrdtColumnWriters *columns = &writer->columns;
	uint8_t origins = item->flags & (CRDT_HAS_ORIGIN | CRDT_HAS_RIGHT_ORIGIN);
	CrdtId origin = item->origin;

	if (!crdt_kind_has_origin(item->kind))
	{
		crdt_column_write_u8(&columns->info, item->kind);
		write_content(writer, item, offset);
		return;
	}
	if (offset > 0)
	{
		origins |= CRDT_HAS_ORIGIN;
		origin = (CrdtId){item->client, item->clock + offset - 1};
	}
	crdt_column_write_u8(&columns->info,
						 (uint8_t) (item->kind | origins |
									(item->parent_sub.data != NULL ? CRDT_HAS_PARENT_SUB : 0)));
	if ((origins & CRDT_HAS_ORIGIN) != 0)
		write_id(columns, &columns->left_clock, origin);
	if ((origins & CRDT_HAS_RIGHT_ORIGIN) != 0)
		write_id(columns, &columns->right_clock, item->right_origin);
	if (origins == 0)
		write_parent(columns, item);
	write_content(writer, item, offset);
}
