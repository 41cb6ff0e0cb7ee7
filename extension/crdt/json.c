/*
 * json.c: a type as JSON: shown to a visitor, or written as text (document.h; FORMAT 9.2 to 9.5).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "any.h"
#include "object.h"
#include "reading.h"
#include "utf.h"

/* ---- values ---- */

typedef struct Showing
{
	CrdtReading reading;
	const CrdtVisitor *visitor;
} Showing;

void
crdt_reading_go_on(CrdtReading *reading, bool goes_on)
{
	if (!goes_on && reading->status == CRDT_OK)
		reading->status = CRDT_CANCELLED;
}

static void
show(Showing *showing, bool goes_on)
{
	crdt_reading_go_on(&showing->reading, goes_on);
}

static void show_type(Showing *showing, const CrdtType *type, CrdtKind kind);

/* So many elements from unit start on of what an item holds, fewer if it ends. */
static void
show_values(Showing *showing, const CrdtItem *item, uint64_t start, uint64_t count)
{
	bool begins_replaced;
	CrdtBytes values = crdt_item_bytes(item, &begins_replaced);
	size_t skipped = crdt_any_prefix_bytes(values, start);

	values.data += skipped;
	values.size -= skipped;
	for (; count > 0 && values.size > 0 && showing->reading.status == CRDT_OK; count--)
	{
		size_t size = crdt_any_prefix_bytes(values, 1);

		show(showing, crdt_any_visit((CrdtBytes){values.data, size}, showing->visitor));
		values.data += size;
		values.size -= size;
	}
}

static void
show_units(Showing *showing, const CrdtItem *item, uint64_t start, uint64_t count)
{
	uint8_t unit[4];

	for (uint64_t i = start; count > 0 && i < item->length && showing->reading.status == CRDT_OK;
		 i++, count--)
		show(showing,
			 showing->visitor->string(showing->visitor->context, crdt_text_unit(item, i, unit)));
}

/* What a visible item holds, so many units from start on, as elements of an array. */
static void
show_item(Showing *showing, const CrdtItem *item, uint64_t start, uint64_t count)
{
	const CrdtDoc *doc = showing->reading.doc;
	const CrdtVisitor *visitor = showing->visitor;
	bool begins_replaced;

	switch (item->kind)
	{
		case CRDT_STRING: show_units(showing, item, start, count); break;
		case CRDT_JSON:
		case CRDT_ANY:
		case CRDT_EMBED: show_values(showing, item, start, count); break;
		case CRDT_BINARY:
			show(showing,
				 visitor->bytes(visitor->context, crdt_item_bytes(item, &begins_replaced)));
			break;
		case CRDT_TYPE:
		{
			const CrdtType *type = crdt_item_type(doc, item);

			show_type(showing, type, (CrdtKind) type->kind);
			break;
		}
		case CRDT_SUBDOCUMENT:
			show(showing,
				 visitor->document(visitor->context, crdt_name(doc, item->content.piece->name)));
			break;
		default: break;
	}
}

void
crdt_show_element(CrdtReading *reading, const CrdtItem *item, const CrdtVisitor *visitor)
{
	Showing showing = {.reading = *reading, .visitor = visitor};

	show_item(&showing, item, 0, UINT64_MAX);
	reading->status = showing.reading.status;
}

/* ---- types ---- */

static void
show_array(Showing *showing, const CrdtType *type)
{
	const CrdtDoc *doc = showing->reading.doc;
	const CrdtItem *item = crdt_next_visible(doc, doc->lists[type->sequence].first);

	show(showing, showing->visitor->begin_array(showing->visitor->context));
	for (; item != NULL && showing->reading.status == CRDT_OK;
		 item = crdt_next_visible(doc, item->right))
		show_item(showing, item, 0, UINT64_MAX);
	if (showing->reading.status == CRDT_OK)
		show(showing, showing->visitor->end_array(showing->visitor->context));
}

/* The value is the last element, should there be several; of a format mark there is none. */
static void
show_value_of_key(Showing *showing, const CrdtItem *item)
{
	if (crdt_item_is_countable(item))
		show_item(showing, item, crdt_item_length(item) - 1, 1);
	else
		show(showing, showing->visitor->undefined(showing->visitor->context));
}

/* A key that has a value, and where it goes: integer-like keys first. */
typedef struct MapEntry
{
	const CrdtItem *item;
	CrdtBytes key;
	size_t position;
	uint32_t index;
	bool is_index;
} MapEntry;

static bool
entry_is_before(const void *a, const void *b)
{
	const MapEntry *left = a;
	const MapEntry *right = b;

	if (left->is_index != right->is_index)
		return left->is_index;
	return left->is_index ? left->index < right->index : left->position < right->position;
}

static MapEntry *
collect_entries(Showing *showing, const CrdtType *type, size_t *count, size_t *capacity)
{
	const CrdtDoc *doc = showing->reading.doc;
	MapEntry *entries = NULL;

	for (uint32_t list = type->first_key; list != 0; list = doc->lists[list].next_key)
	{
		const CrdtItem *item = crdt_list_value(doc, list);
		MapEntry *entry;

		if (item == NULL)
			continue;
		if (!crdt_array_reserve(&doc->host, &entries, capacity, *count + 1, sizeof(MapEntry)))
		{
			showing->reading.status = CRDT_NO_MEMORY;
			return entries;
		}
		entry = &entries[(*count)++];
		*entry = (MapEntry){
			.item = item, .key = crdt_name(doc, doc->lists[list].key), .position = *count};
		entry->is_index = crdt_key_is_index(entry->key, &entry->index);
	}
	crdt_sort(entries, *count, sizeof(MapEntry), entry_is_before);
	return entries;
}

static void
show_map(Showing *showing, const CrdtType *type)
{
	const CrdtVisitor *visitor = showing->visitor;
	size_t count = 0;
	size_t capacity = 0;
	MapEntry *entries = collect_entries(showing, type, &count, &capacity);

	if (showing->reading.status == CRDT_OK)
		show(showing, visitor->begin_object(visitor->context));
	for (size_t i = 0; i < count && showing->reading.status == CRDT_OK; i++)
	{
		show(showing, visitor->key(visitor->context, entries[i].key));
		if (showing->reading.status != CRDT_OK)
			break;
		show_value_of_key(showing, entries[i].item);
	}
	if (showing->reading.status == CRDT_OK)
		show(showing, visitor->end_object(visitor->context));
	crdt_array_free(&showing->reading.doc->host, &entries, &capacity, sizeof(MapEntry));
}

static void
show_markup(Showing *showing, const CrdtType *type, CrdtKind kind)
{
	CrdtBuffer markup;

	crdt_buffer_open(&markup, &showing->reading.doc->host);
	crdt_write_markup(&showing->reading, type, kind, &markup);
	if (markup.failed)
		showing->reading.status = CRDT_NO_MEMORY;
	if (showing->reading.status == CRDT_OK)
		show(showing,
			 showing->visitor->string(showing->visitor->context, crdt_buffer_view(&markup)));
	crdt_buffer_close(&markup);
}

static void
show_type(Showing *showing, const CrdtType *type, CrdtKind kind)
{
	if (!crdt_reading_enter(&showing->reading))
		return;
	switch (kind)
	{
		case CRDT_ARRAY: show_array(showing, type); break;
		case CRDT_MAP:
		case CRDT_XML_HOOK: show_map(showing, type); break;
		case CRDT_UNTYPED:
			show(showing, showing->visitor->undefined(showing->visitor->context));
			break;
		default: show_markup(showing, type, kind);
	}
	crdt_reading_leave(&showing->reading);
}

CrdtStatus
crdt_doc_visit(const CrdtDoc *doc, const CrdtType *type, CrdtKind kind, const CrdtVisitor *visitor,
			   CrdtError *error)
{
	Showing showing = {.reading = {.doc = doc}, .visitor = visitor};

	show_type(&showing, type, kind);
	return crdt_reading_end(&showing.reading, NULL, 0, error);
}

CrdtStatus
crdt_doc_visit_entry(const CrdtDoc *doc, const CrdtType *type, CrdtBytes key,
					 const CrdtVisitor *visitor, CrdtError *error)
{
	Showing showing = {.reading = {.doc = doc}, .visitor = visitor};
	const CrdtItem *item = crdt_entry_item(doc, type, key);

	if (item != NULL)
		show_value_of_key(&showing, item);
	return crdt_reading_end(&showing.reading, NULL, 0, error);
}

CrdtStatus
crdt_doc_visit_element(CrdtDoc *doc, const CrdtType *type, uint64_t index,
					   const CrdtVisitor *visitor, CrdtError *error)
{
	Showing showing = {.reading = {.doc = doc}, .visitor = visitor};
	const CrdtItem *item = crdt_element_item(doc, type, &index);

	if (item != NULL)
		show_item(&showing, item, index, 1);
	return crdt_reading_end(&showing.reading, NULL, 0, error);
}

/* ---- as JSON text ---- */

/* What goes in front of a value. */
static void
begin_value(CrdtJsonWriter *writer)
{
	if (writer->needs_comma)
		crdt_write_u8(writer->out, ',');
	if (writer->has_key)
	{
		crdt_write_json_string(writer->out, writer->key, false);
		crdt_write_u8(writer->out, ':');
		writer->has_key = false;
	}
	writer->needs_comma = true;
}

static bool
write_literal(CrdtJsonWriter *writer, CrdtBytes text)
{
	begin_value(writer);
	crdt_write_bytes(writer->out, text);
	return !writer->out->failed;
}

static bool
json_null(void *context)
{
	return write_literal(context, CRDT_LITERAL("null"));
}

static bool
json_undefined(void *context)
{
	CrdtJsonWriter *writer = context;

	if (!writer->has_key)
		return json_null(writer);
	writer->has_key = false;
	return true;
}

static bool
json_boolean(void *context, bool value)
{
	return write_literal(context, value ? CRDT_LITERAL("true") : CRDT_LITERAL("false"));
}

static bool
json_number(void *context, double value)
{
	CrdtJsonWriter *writer = context;

	if (!isfinite(value))
		return json_null(writer);
	begin_value(writer);
	crdt_write_number(writer->out, value);
	return !writer->out->failed;
}

static bool
json_bigint(void *context, int64_t value)
{
	char text[24];
	int size = snprintf(text, sizeof(text), "%lld", (long long) value);

	return write_literal(context, (CrdtBytes){(const uint8_t *) text, (size_t) size});
}

static bool
json_string(void *context, CrdtBytes value)
{
	CrdtJsonWriter *writer = context;
	size_t start;

	begin_value(writer);
	start = writer->out->size;
	crdt_write_json_string(writer->out, value, false);
	if (!writer->out->failed)
		crdt_utf8_replace_surrogates(writer->out->data + start, writer->out->size - start);
	return !writer->out->failed;
}

/* Base64 of RFC 4648, with padding. */
static void
write_base64(CrdtBuffer *out, CrdtBytes bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t at = 0; at < bytes.size; at += 3)
	{
		size_t left = bytes.size - at;
		uint32_t bits = (uint32_t) bytes.data[at] << 16 |
						(left > 1 ? (uint32_t) bytes.data[at + 1] << 8 : 0) |
						(left > 2 ? bytes.data[at + 2] : 0);

		crdt_write_u8(out, (uint8_t) digits[bits >> 18]);
		crdt_write_u8(out, (uint8_t) digits[bits >> 12 & 63]);
		crdt_write_u8(out, left > 1 ? (uint8_t) digits[bits >> 6 & 63] : '=');
		crdt_write_u8(out, left > 2 ? (uint8_t) digits[bits & 63] : '=');
	}
}

static bool
json_bytes(void *context, CrdtBytes value)
{
	CrdtJsonWriter *writer = context;

	begin_value(writer);
	crdt_write_u8(writer->out, '"');
	write_base64(writer->out, value);
	crdt_write_u8(writer->out, '"');
	return !writer->out->failed;
}

static bool
json_document(void *context, CrdtBytes guid)
{
	CrdtJsonWriter *writer = context;

	begin_value(writer);
	crdt_write_bytes(writer->out, CRDT_LITERAL("{\"guid\":"));
	crdt_write_json_string(writer->out, guid, false);
	crdt_write_u8(writer->out, '}');
	return !writer->out->failed;
}

static bool
json_begin(CrdtJsonWriter *writer, uint8_t bracket)
{
	begin_value(writer);
	crdt_write_u8(writer->out, bracket);
	writer->needs_comma = false;
	return !writer->out->failed;
}

static bool
json_end(CrdtJsonWriter *writer, uint8_t bracket)
{
	crdt_write_u8(writer->out, bracket);
	writer->needs_comma = true;
	return !writer->out->failed;
}

static bool
json_begin_array(void *context)
{
	return json_begin(context, '[');
}

static bool
json_end_array(void *context)
{
	return json_end(context, ']');
}

static bool
json_begin_object(void *context)
{
	return json_begin(context, '{');
}

static bool
json_end_object(void *context)
{
	return json_end(context, '}');
}

static bool
json_key(void *context, CrdtBytes key)
{
	CrdtJsonWriter *writer = context;

	writer->key = key;
	writer->has_key = true;
	return true;
}

CrdtVisitor
crdt_json_visitor(CrdtJsonWriter *writer, CrdtBuffer *out)
{
	*writer = (CrdtJsonWriter){.out = out};
	return (CrdtVisitor){
		.context = writer,
		.null = json_null,
		.undefined = json_undefined,
		.boolean = json_boolean,
		.number = json_number,
		.bigint = json_bigint,
		.string = json_string,
		.bytes = json_bytes,
		.document = json_document,
		.begin_array = json_begin_array,
		.end_array = json_end_array,
		.begin_object = json_begin_object,
		.key = json_key,
		.end_object = json_end_object,
	};
}

CrdtStatus
crdt_doc_json(const CrdtDoc *doc, const CrdtType *type, CrdtKind kind, CrdtBuffer *out,
			  CrdtError *error)
{
	CrdtJsonWriter writer;
	CrdtVisitor visitor = crdt_json_visitor(&writer, out);
	Showing showing = {.reading = {.doc = doc}, .visitor = &visitor};
	size_t size_before = out->size;

	show_type(&showing, type, kind);
	return crdt_reading_end(&showing.reading, out, size_before, error);
}
