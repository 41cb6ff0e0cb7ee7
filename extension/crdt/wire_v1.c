/*
 * wire_v1.c: a struct in format V1 (FORMAT 2 and 4).
 *
 *     info   origin      right origin   parent                      content
 *     [u8] [client clock] [client clock] [1 name | 0 client clock] [key] ...
 *          if 0x80        if 0x40        if neither                if 0x20 too
 *
 * Here: that grammar, both ways.  Not here: blocks and delete sets (wire.c), values (any.c).
 */
#include <string.h>

#include "any.h"
#include "utf.h"
#include "wire.h"

#define INFO_KIND 0x1f

/* ---- reading ---- */

static CrdtId
read_id(CrdtReader *bytes)
{
	CrdtId id;

	id.client = crdt_read_varuint(bytes);
	id.clock = crdt_read_varuint(bytes);
	return id;
}

static void
read_parent(CrdtReader *bytes, uint8_t info, CrdtStruct *out)
{
	if (crdt_read_varuint(bytes) == 1)
	{
		out->flags |= CRDT_PARENT_IS_ROOT;
		out->parent_name = crdt_read_string(bytes);
	}
	else
	{
		out->flags |= CRDT_PARENT_IS_ID;
		out->parent_id = read_id(bytes);
	}
	if ((info & CRDT_HAS_PARENT_SUB) != 0)
	{
		out->flags |= CRDT_HAS_PARENT_SUB;
		out->parent_sub = crdt_read_string(bytes);
	}
}

static void
read_text(CrdtReader *bytes, CrdtStruct *out)
{
	out->content = crdt_read_byte_array(bytes);
	if (!crdt_utf8_measure(out->content, &out->length, &out->ascii))
	{
		bytes->cursor = out->content.data;
		crdt_reader_fail(bytes, CRDT_MALFORMED, "a text is not valid UTF-8");
	}
}

/* count JSON texts (the legacy content), as values in a row. */
static CrdtBytes
read_json_values(CrdtReader *bytes, uint64_t count, CrdtArena *scratch)
{
	CrdtBuffer values;
	CrdtBytes all = {bytes->end, 0};

	crdt_buffer_open(&values, scratch->host);
	for (uint64_t i = 0; i < count && !crdt_reader_failed(bytes); i++)
		crdt_write_bytes(&values,
						 crdt_any_read_json(bytes, crdt_read_string(bytes), true, scratch));
	if (!values.failed)
		all = crdt_arena_copy(scratch, crdt_buffer_view(&values));
	if (values.failed || all.data == NULL)
		crdt_reader_fail(bytes, CRDT_NO_MEMORY, "out of memory");
	crdt_buffer_close(&values);
	return all;
}

static CrdtBytes
read_json_value(CrdtReader *bytes, CrdtArena *scratch)
{
	CrdtBytes json = crdt_read_string(bytes);

	if (crdt_reader_failed(bytes))
		return json;
	return crdt_any_read_json(bytes, json, false, scratch);
}

static void
read_type(CrdtReader *bytes, CrdtStruct *out)
{
	uint64_t type_ref = crdt_read_varuint(bytes);

	if (type_ref > CRDT_XML_TEXT)
		crdt_reader_fail(bytes, CRDT_MALFORMED, "shared type %llu is not known",
						 (unsigned long long) type_ref);
	out->type_ref = (uint8_t) type_ref;
	if (type_ref == CRDT_XML_ELEMENT || type_ref == CRDT_XML_HOOK)
		out->name = crdt_read_string(bytes);
}

static void
read_content(CrdtUpdateReader *reader, CrdtStruct *out)
{
	CrdtReader *bytes = &reader->bytes;

	out->length = 1;
	switch (out->kind)
	{
		case CRDT_GC:
		case CRDT_SKIP:
		case CRDT_DELETED: out->length = crdt_read_varuint(bytes); break;
		case CRDT_JSON:
			out->length = crdt_read_count(bytes, 1, "values");
			out->content = read_json_values(bytes, out->length, reader->scratch);
			break;
		case CRDT_BINARY: out->content = crdt_read_byte_array(bytes); break;
		case CRDT_STRING: read_text(bytes, out); break;
		case CRDT_EMBED: out->content = read_json_value(bytes, reader->scratch); break;
		case CRDT_FORMAT_MARK:
			out->name = crdt_read_string(bytes);
			out->content = read_json_value(bytes, reader->scratch);
			break;
		case CRDT_TYPE: read_type(bytes, out); break;
		case CRDT_ANY:
			out->length = crdt_read_count(bytes, 1, "values");
			out->content = crdt_any_read(bytes, out->length, reader->scratch);
			break;
		case CRDT_SUBDOCUMENT:
			out->name = crdt_read_string(bytes);
			out->content = crdt_read_subdocument_options(bytes, reader->scratch, &out->name);
			break;
		default: crdt_reader_fail(bytes, CRDT_MALFORMED, "content %d is not known", out->kind);
	}
}

void
crdt_v1_read_struct(CrdtUpdateReader *reader, CrdtStruct *out)
{
	CrdtReader *bytes = &reader->bytes;
	uint8_t info = crdt_read_u8(bytes);

	out->kind = info & INFO_KIND;
	if (out->kind == CRDT_SKIP && info != CRDT_SKIP && !reader->takes_flagged_skips)
		crdt_reader_fail(bytes, CRDT_MALFORMED, "a hole has flags");
	out->flags = 0;
	out->parent_sub = (CrdtBytes){NULL, 0};
	out->begins_replaced = false;
	if (crdt_kind_has_origin(out->kind))
	{
		out->flags = info & (CRDT_HAS_ORIGIN | CRDT_HAS_RIGHT_ORIGIN);
		if ((info & CRDT_HAS_ORIGIN) != 0)
			out->origin = read_id(bytes);
		if ((info & CRDT_HAS_RIGHT_ORIGIN) != 0)
			out->right_origin = read_id(bytes);
		if (out->flags == 0)
			read_parent(bytes, info, out);
	}
	read_content(reader, out);
}

/* ---- writing ---- */

/* An info byte and two ids. */
#define HEAD_BYTES (1 + 4 * CRDT_VARUINT_BYTES)

static void
note_client(CrdtUpdateWriter *writer, uint64_t client)
{
	writer->client = client;
	writer->client_size =
		(uint8_t) (crdt_put_varuint(writer->client_bytes, client) - writer->client_bytes);
}

static inline uint8_t *
put_id(const CrdtUpdateWriter *writer, CrdtId id, uint8_t *at)
{
	if (id.client != writer->client)
		at = crdt_put_varuint(at, id.client);
	else
	{
		memcpy(at, writer->client_bytes, CRDT_VARUINT_BYTES);
		at += writer->client_size;
	}
	return crdt_put_varuint(at, id.clock);
}

static void
write_parent(CrdtBuffer *out, const CrdtStruct *item)
{
	if ((item->flags & CRDT_PARENT_IS_ROOT) != 0)
	{
		crdt_write_varuint(out, 1);
		crdt_write_string(out, item->parent_name);
	}
	else
	{
		crdt_write_varuint(out, 0);
		crdt_write_varuint(out, item->parent_id.client);
		crdt_write_varuint(out, item->parent_id.clock);
	}
	if (item->parent_sub.data != NULL)
		crdt_write_string(out, item->parent_sub);
}

/* The text from unit offset on; a character cut in two, or begins_replaced, is a U+FFFD. */
static void
write_text(CrdtBuffer *out, const CrdtStruct *item, uint64_t offset)
{
	static const uint8_t replacement[] = {0xef, 0xbf, 0xbd};
	uint8_t inside[3];
	CrdtBytes rest;

	if (item->ascii)
	{
		crdt_write_byte_array(
			out, (CrdtBytes){item->content.data + offset, item->content.size - (size_t) offset});
		return;
	}
	if (crdt_struct_text(item, offset, &rest, inside) == CRDT_TEXT_WHOLE)
	{
		crdt_write_string(out, rest);
		return;
	}
	crdt_write_varuint(out, sizeof(replacement) + rest.size);
	crdt_write_bytes(out, (CrdtBytes){replacement, sizeof(replacement)});
	crdt_write_text(out, rest);
}

/* The value as a varString of JSON text.  Whoever reads it parses it as JSON, which lacks the
 * undefined that V2 may have brought. */
static void
write_json_value(CrdtUpdateWriter *writer, CrdtBytes value, bool may_be_undefined)
{
	static const uint8_t null[] = {CRDT_ANY_NULL};

	if (value.data[0] == CRDT_ANY_UNDEFINED && !may_be_undefined)
		value = (CrdtBytes){null, sizeof(null)};
	writer->text.size = 0;
	crdt_any_write_json(&writer->text, value);
	crdt_write_byte_array(&writer->structs, crdt_buffer_view(&writer->text));
}

static void
write_json_values(CrdtUpdateWriter *writer, CrdtBytes values)
{
	while (values.size > 0)
	{
		size_t size = crdt_any_prefix_bytes(values, 1);

		write_json_value(writer, (CrdtBytes){values.data, size}, true);
		values.data += size;
		values.size -= size;
	}
}

static void
write_content(CrdtUpdateWriter *writer, const CrdtStruct *item, uint64_t offset)
{
	CrdtBuffer *out = &writer->structs;

	switch (item->kind)
	{
		case CRDT_JSON:
			crdt_write_varuint(out, item->length - offset);
			write_json_values(writer, crdt_struct_values(item, offset));
			break;
		case CRDT_BINARY: crdt_write_byte_array(out, item->content); break;
		case CRDT_STRING: write_text(out, item, offset); break;
		case CRDT_EMBED: write_json_value(writer, item->content, false); break;
		case CRDT_FORMAT_MARK:
			crdt_write_string(out, item->name);
			write_json_value(writer, item->content, false);
			break;
		case CRDT_TYPE:
			crdt_write_varuint(out, item->type_ref);
			if (item->type_ref == CRDT_XML_ELEMENT || item->type_ref == CRDT_XML_HOOK)
				crdt_write_string(out, item->name);
			break;
		case CRDT_ANY:
			crdt_write_varuint(out, item->length - offset);
			crdt_any_write(out, crdt_struct_values(item, offset));
			break;
		case CRDT_SUBDOCUMENT:
			crdt_write_string(out, item->name);
			crdt_any_write(out, item->content);
			break;
		default: crdt_write_varuint(out, item->length - offset); /* GC, DELETED, SKIP */
	}
}

void
crdt_v1_write_struct(CrdtUpdateWriter *writer, const CrdtStruct *item, uint64_t offset)
{
	CrdtBuffer *out = &writer->structs;
	uint8_t origins = item->flags & (CRDT_HAS_ORIGIN | CRDT_HAS_RIGHT_ORIGIN);
	CrdtId origin = item->origin;
	uint8_t *at;

	if (!crdt_kind_has_origin(item->kind))
	{
		crdt_write_u8(out, item->kind);
		crdt_write_varuint(out, item->length - offset);
		return;
	}
	if (offset > 0)
	{
		origins |= CRDT_HAS_ORIGIN;
		origin = (CrdtId){item->client, item->clock + offset - 1};
	}
	at = crdt_buffer_room(out, HEAD_BYTES);
	if (at == NULL)
		return;
	if (writer->client != item->client || writer->client_size == 0)
		note_client(writer, item->client);
	*at++ = (uint8_t) (item->kind | origins |
					   (item->parent_sub.data != NULL ? CRDT_HAS_PARENT_SUB : 0));
	if ((origins & CRDT_HAS_ORIGIN) != 0)
		at = put_id(writer, origin, at);
	if ((origins & CRDT_HAS_RIGHT_ORIGIN) != 0)
		at = put_id(writer, item->right_origin, at);
	out->size = (size_t) (at - out->data);
	if (origins == 0)
		write_parent(out, item);
	write_content(writer, item, offset);
}
