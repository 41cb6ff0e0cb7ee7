/*
 * xml.c: a type's markup, as the toString of Yjs's XML types prints it (FORMAT 9.5).
 *
 * Nothing is escaped, as in Yjs: this is a way to look at a document, not a safe way to put it
 * into a page.
 */
#include "reading.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "any.h"
#include "object.h"
#include "utf.h"

/* ---- values as JavaScript prints them in a string ---- */

static void
write_chars(CrdtBuffer *out, const char *chars)
{
	crdt_write_bytes(out, (CrdtBytes){(const uint8_t *) chars, strlen(chars)});
}

static void
write_joined_bytes(CrdtBuffer *out, CrdtBytes bytes)
{
	char text[8];

	for (size_t i = 0; i < bytes.size; i++)
	{
		snprintf(text, sizeof(text), "%s%u", i > 0 ? "," : "", bytes.data[i]);
		write_chars(out, text);
	}
}

static void write_js_value(CrdtBuffer *out, CrdtReader *values, const char *nothing);

static void
write_joined_array(CrdtBuffer *out, CrdtReader *values)
{
	uint64_t count = crdt_read_varuint(values);

	for (uint64_t i = 0; i < count; i++)
	{
		if (i > 0)
			crdt_write_u8(out, ',');
		write_js_value(out, values, "");
	}
}

/* One canonical value; nothing: how null and undefined print inside an array, or NULL. */
static void
write_js_value(CrdtBuffer *out, CrdtReader *values, const char *nothing)
{
	CrdtBytes value = {values->cursor, crdt_reader_left(values)};
	uint8_t tag = value.data[0];
	char text[24];

	value.size = crdt_any_prefix_bytes(value, 1);
	values->cursor++;
	switch (tag)
	{
		case CRDT_ANY_UNDEFINED: write_chars(out, nothing != NULL ? nothing : "undefined"); break;
		case CRDT_ANY_NULL: write_chars(out, nothing != NULL ? nothing : "null"); break;
		case CRDT_ANY_FALSE: write_chars(out, "false"); break;
		case CRDT_ANY_TRUE: write_chars(out, "true"); break;
		case CRDT_ANY_STRING: crdt_write_joined(out, crdt_read_byte_array(values)); break;
		case CRDT_ANY_BYTES: write_joined_bytes(out, crdt_read_byte_array(values)); break;
		case CRDT_ANY_ARRAY: write_joined_array(out, values); return;
		case CRDT_ANY_OBJECT: write_chars(out, "[object Object]"); break;
		case CRDT_ANY_BIGINT:
			snprintf(text, sizeof(text), "%lld", (long long) crdt_read_bigint64(values));
			write_chars(out, text);
			break;
		default: crdt_write_number(out, crdt_any_read_number(values, tag));
	}
	values->cursor = value.data + value.size;
}

static void
write_value(CrdtBuffer *out, CrdtBytes value)
{
	CrdtReader values;

	crdt_reader_open(&values, value);
	write_js_value(out, &values, NULL);
}

/* Order of UTF-16 units: characters beyond the basic plane stand before U+E000. */
static int
compare_utf16(CrdtBytes a, CrdtBytes b)
{
	size_t common = a.size < b.size ? a.size : b.size;

	for (size_t i = 0; i < common; i++)
		if (a.data[i] != b.data[i])
		{
			int left = a.data[i] >= 0xf0 ? 2 * 0xed + 1 : 2 * a.data[i];
			int right = b.data[i] >= 0xf0 ? 2 * 0xed + 1 : 2 * b.data[i];

			return left != right ? left - right : a.data[i] - b.data[i];
		}
	return (a.size > b.size) - (a.size < b.size);
}

/* ---- attributes ---- */

typedef struct Attribute
{
	CrdtBytes key;
	CrdtBytes value; /* canonical */
	const CrdtItem *item; /* or the item that holds it */
} Attribute;

typedef struct Attributes
{
	Attribute *entries;
	size_t count;
	size_t capacity;
} Attributes;

static bool
attribute_is_before(const void *a, const void *b)
{
	return compare_utf16(((const Attribute *) a)->key, ((const Attribute *) b)->key) < 0;
}

static void
add_attribute(CrdtReading *reading, Attributes *attributes, Attribute attribute)
{
	if (!crdt_array_reserve(&reading->doc->host, &attributes->entries, &attributes->capacity,
							attributes->count + 1, sizeof(Attribute)))
	{
		reading->status = CRDT_NO_MEMORY;
		return;
	}
	attributes->entries[attributes->count++] = attribute;
}

static void
free_attributes(CrdtReading *reading, Attributes *attributes)
{
	crdt_array_free(&reading->doc->host, &attributes->entries, &attributes->capacity,
					sizeof(Attribute));
}

/* The last element of what an item holds. */
static void
write_item_value(CrdtReading *reading, const CrdtItem *item, CrdtBuffer *out)
{
	bool begins_replaced;
	uint8_t unit[4];
	CrdtBytes bytes;

	switch (item->kind)
	{
		case CRDT_TYPE:
		{
			const CrdtType *type = crdt_item_type(reading->doc, item);

			crdt_write_markup(reading, type, (CrdtKind) type->kind, out);
			break;
		}
		case CRDT_STRING:
			crdt_write_joined(out, crdt_text_unit(item, item->length - 1, unit));
			break;
		case CRDT_BINARY: write_joined_bytes(out, crdt_item_bytes(item, &begins_replaced)); break;
		case CRDT_ANY:
		case CRDT_JSON:
		case CRDT_EMBED:
		{
			size_t skipped;

			bytes = crdt_item_bytes(item, &begins_replaced);
			skipped = crdt_any_prefix_bytes(bytes, item->length - 1);
			write_value(out, (CrdtBytes){bytes.data + skipped, bytes.size - skipped});
			break;
		}
		default: write_chars(out, "[object Object]");
	}
}

static void
write_element_attributes(CrdtReading *reading, const CrdtType *type, CrdtBuffer *out)
{
	const CrdtDoc *doc = reading->doc;
	Attributes attributes = {0};

	for (uint32_t list = type->first_key; list != 0; list = doc->lists[list].next_key)
	{
		const CrdtItem *item = crdt_list_value(doc, list);

		if (item != NULL)
			add_attribute(reading, &attributes,
						  (Attribute){.key = crdt_name(doc, doc->lists[list].key), .item = item});
	}
	crdt_sort(attributes.entries, attributes.count, sizeof(Attribute), attribute_is_before);
	for (size_t i = 0; i < attributes.count; i++)
	{
		crdt_write_u8(out, ' ');
		crdt_write_joined(out, attributes.entries[i].key);
		write_chars(out, "=\"");
		write_item_value(reading, attributes.entries[i].item, out);
		crdt_write_u8(out, '"');
	}
	free_attributes(reading, &attributes);
}

/* ---- elements and fragments ---- */

/* The children one after the other. */
static void
write_children(CrdtReading *reading, const CrdtType *type, CrdtBuffer *out)
{
	const CrdtDoc *doc = reading->doc;
	const CrdtItem *item = crdt_next_visible(doc, doc->lists[type->sequence].first);

	for (; item != NULL && reading->status == CRDT_OK; item = crdt_next_visible(doc, item->right))
	{
		if (item->kind == CRDT_STRING)
			crdt_write_item_text(out, item);
		else if (item->kind == CRDT_ANY || item->kind == CRDT_JSON)
		{
			bool begins_replaced;
			CrdtReader values;

			crdt_reader_open(&values, crdt_item_bytes(item, &begins_replaced));
			while (crdt_reader_left(&values) > 0)
				write_js_value(out, &values, NULL);
		}
		else if (crdt_item_is_countable(item))
			write_item_value(reading, item, out);
	}
}

/* An element's name, in lower case (ASCII; what HTML has). */
static void
write_element_name(CrdtBuffer *out, CrdtBytes name)
{
	for (size_t i = 0; i < name.size; i++)
	{
		uint8_t byte = name.data[i];

		crdt_write_u8(out, byte >= 'A' && byte <= 'Z' ? (uint8_t) (byte | 0x20) : byte);
	}
}

static void
write_element(CrdtReading *reading, const CrdtType *type, CrdtBuffer *out)
{
	/* a root has no name of its own */
	CrdtBytes name =
		type->item == 0 ? CRDT_LITERAL("undefined") : crdt_name(reading->doc, type->name);

	crdt_write_u8(out, '<');
	write_element_name(out, name);
	write_element_attributes(reading, type, out);
	crdt_write_u8(out, '>');
	write_children(reading, type, out);
	write_chars(out, "</");
	write_element_name(out, name);
	crdt_write_u8(out, '>');
}

/* ---- text with formatting ---- */

/* Takes over a format mark: null ends the attribute. */
static void
update_attributes(CrdtReading *reading, Attributes *attributes, const CrdtItem *mark)
{
	const CrdtPiece *piece = mark->content.piece;
	CrdtBytes key = crdt_name(reading->doc, piece->name);
	CrdtBytes value = {piece->bytes, piece->size};
	size_t at = 0;

	while (at < attributes->count && attributes->entries[at].key.data != key.data)
		at++;
	if (value.data[0] == CRDT_ANY_NULL)
	{
		if (at < attributes->count)
			attributes->entries[at] = attributes->entries[--attributes->count];
	}
	else if (at < attributes->count)
		attributes->entries[at].value = value;
	else
		add_attribute(reading, attributes, (Attribute){.key = key, .value = value});
}

/* Adds the character of text at byte at under its index and returns its bytes.  One of four bytes is
 * two units to JavaScript, each of which prints as U+FFFD. */
static size_t
add_unit(CrdtReading *reading, Attributes *units, CrdtArena *arena, CrdtBytes text, size_t at)
{
	uint8_t lead = text.data[at];
	size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	size_t halves = size == 4 ? 2 : 1;

	for (size_t half = 0; half < halves; half++)
	{
		uint8_t *key = crdt_arena_take_bytes(arena, 24);
		uint8_t *value = crdt_arena_take_bytes(arena, 6);

		if (key == NULL || value == NULL)
		{
			reading->status = CRDT_NO_MEMORY;
			return size;
		}
		value[0] = CRDT_ANY_STRING;
		value[1] = (uint8_t) (halves == 2 ? 3 : size);
		memcpy(value + 2, halves == 2 ? (const uint8_t *) "\xef\xbf\xbd" : text.data + at,
			   value[1]);
		add_attribute(
			reading, units,
			(Attribute){.key = {key, (size_t) snprintf((char *) key, 24, "%zu", units->count)},
						.value = {value, 2 + (size_t) value[1]}});
	}
	return size;
}

static void
add_units(CrdtReading *reading, Attributes *members, CrdtArena *arena, CrdtBytes text)
{
	for (size_t at = 0; at < text.size && reading->status == CRDT_OK;)
		at += add_unit(reading, members, arena, text, at);
}

/* Members of an object, or elements of an array under their indices. */
static void
add_members(CrdtReading *reading, Attributes *members, CrdtArena *arena, CrdtReader *values,
			bool is_array)
{
	uint64_t count = crdt_read_varuint(values);

	for (uint64_t i = 0; i < count && reading->status == CRDT_OK; i++)
	{
		CrdtBytes rest;
		Attribute member = {0};

		if (is_array)
		{
			uint8_t *key = crdt_arena_take_bytes(arena, 24);

			if (key == NULL)
			{
				reading->status = CRDT_NO_MEMORY;
				return;
			}
			member.key = (CrdtBytes){
				key, (size_t) snprintf((char *) key, 24, "%llu", (unsigned long long) i)};
		}
		else
			member.key = crdt_read_byte_array(values);
		rest = (CrdtBytes){values->cursor, crdt_reader_left(values)};
		member.value = crdt_read_bytes(values, crdt_any_prefix_bytes(rest, 1));
		add_attribute(reading, members, member);
	}
}

/* The own enumerable keys of a format's value, as a tag's attributes. */
static void
write_value_members(CrdtReading *reading, CrdtBytes value, CrdtBuffer *out)
{
	Attributes members = {0};
	CrdtArena arena;
	CrdtReader values;
	uint8_t tag;

	crdt_arena_open(&arena, &reading->doc->host);
	crdt_reader_open(&values, value);
	tag = crdt_read_u8(&values);
	if (tag == CRDT_ANY_STRING)
		add_units(reading, &members, &arena, crdt_read_byte_array(&values));
	else if (tag == CRDT_ANY_OBJECT || tag == CRDT_ANY_ARRAY)
		add_members(reading, &members, &arena, &values, tag == CRDT_ANY_ARRAY);
	crdt_sort(members.entries, members.count, sizeof(Attribute), attribute_is_before);
	for (size_t i = 0; i < members.count; i++)
	{
		crdt_write_u8(out, ' ');
		crdt_write_joined(out, members.entries[i].key);
		write_chars(out, "=\"");
		write_value(out, members.entries[i].value);
		crdt_write_u8(out, '"');
	}
	free_attributes(reading, &members);
	crdt_arena_close(&arena);
}

static void
open_tags(CrdtReading *reading, Attributes *attributes, CrdtBuffer *out)
{
	crdt_sort(attributes->entries, attributes->count, sizeof(Attribute), attribute_is_before);
	for (size_t i = 0; i < attributes->count; i++)
	{
		crdt_write_u8(out, '<');
		crdt_write_joined(out, attributes->entries[i].key);
		write_value_members(reading, attributes->entries[i].value, out);
		crdt_write_u8(out, '>');
	}
}

static void
close_tags(const Attributes *attributes, CrdtBuffer *out)
{
	for (size_t i = attributes->count; i-- > 0;)
	{
		write_chars(out, "</");
		crdt_write_joined(out, attributes->entries[i].key);
		crdt_write_u8(out, '>');
	}
}

/* A run of text between two marks or embeds is one piece in its tags. */
static void
write_formatted(CrdtReading *reading, const CrdtType *type, CrdtBuffer *out)
{
	const CrdtDoc *doc = reading->doc;
	const CrdtItem *item = crdt_next_visible(doc, doc->lists[type->sequence].first);
	Attributes attributes = {0};
	bool in_run = false;

	for (; item != NULL && reading->status == CRDT_OK; item = crdt_next_visible(doc, item->right))
	{
		bool is_object = item->kind == CRDT_EMBED || item->kind == CRDT_TYPE;

		if (in_run && (is_object || item->kind == CRDT_FORMAT_MARK))
		{
			close_tags(&attributes, out);
			in_run = false;
		}
		if (item->kind == CRDT_FORMAT_MARK)
			update_attributes(reading, &attributes, item);
		else if (item->kind == CRDT_STRING)
		{
			if (!in_run)
				open_tags(reading, &attributes, out);
			in_run = true;
			crdt_write_item_text(out, item);
		}
		else if (is_object)
		{
			open_tags(reading, &attributes, out);
			write_item_value(reading, item, out);
			close_tags(&attributes, out);
		}
	}
	if (in_run)
		close_tags(&attributes, out);
	free_attributes(reading, &attributes);
}

/* ---- public ---- */

void
crdt_write_markup(CrdtReading *reading, const CrdtType *type, CrdtKind kind, CrdtBuffer *out)
{
	if (!crdt_reading_enter(reading))
		return;
	switch (kind)
	{
		case CRDT_XML_ELEMENT: write_element(reading, type, out); break;
		case CRDT_XML_TEXT: write_formatted(reading, type, out); break;
		case CRDT_TEXT:
		{
			const CrdtDoc *doc = reading->doc;
			const CrdtItem *item = crdt_next_visible(doc, doc->lists[type->sequence].first);

			for (; item != NULL; item = crdt_next_visible(doc, item->right))
				if (item->kind == CRDT_STRING)
					crdt_write_item_text(out, item);
			break;
		}
		case CRDT_XML_FRAGMENT:
		case CRDT_UNTYPED: write_children(reading, type, out); break;
		default: write_chars(out, "[object Object]");
	}
	crdt_reading_leave(reading);
}

CrdtStatus
crdt_doc_xml(const CrdtDoc *doc, const CrdtType *type, CrdtKind kind, CrdtBuffer *out,
			 CrdtError *error)
{
	CrdtReading reading = {.doc = doc};
	size_t size_before = out->size;

	crdt_write_markup(&reading, type, kind, out);
	return crdt_reading_end(&reading, out, size_before, error);
}
