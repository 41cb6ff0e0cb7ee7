/*
 * text.c: plain text of a type, and what a type is (document.h; FORMAT 9.1, 9.4).
 */
#include <string.h>

#include "index.h"
#include "reading.h"
#include "tables.h"
#include "utf.h"

/* ---- shared by the reading functions ---- */

bool
crdt_reading_enter(CrdtReading *reading)
{
	if (reading->status == CRDT_OK && reading->depth >= CRDT_READ_DEPTH_MAX)
		reading->status = CRDT_LIMIT;
	if (reading->status != CRDT_OK)
		return false;
	reading->depth++;
	return true;
}

void
crdt_reading_leave(CrdtReading *reading)
{
	reading->depth--;
}

CrdtStatus
crdt_reading_end(const CrdtReading *reading, CrdtBuffer *out, size_t size_before, CrdtError *error)
{
	bool no_memory = out != NULL && out->failed;

	if (reading->status == CRDT_OK && !no_memory)
	{
		/* halves of surrogate pairs that have met nothing to be a character with */
		if (out != NULL && out->size > size_before)
			crdt_utf8_replace_surrogates(out->data + size_before, out->size - size_before);
		return CRDT_OK;
	}
	if (out != NULL)
	{
		out->size = size_before;
		out->failed = false;
	}
	if (no_memory || reading->status == CRDT_NO_MEMORY)
		return crdt_error_no_memory(error);
	if (reading->status == CRDT_LIMIT)
		return crdt_error_set(error, CRDT_LIMIT, 0, "types are nested more than %d deep",
							  CRDT_READ_DEPTH_MAX);
	return crdt_error_set(error, reading->status, 0, "reading was stopped");
}

const CrdtItem *
crdt_next_visible(const CrdtDoc *doc, CrdtRef ref)
{
	while (ref != 0 && crdt_item(doc, ref)->deleted)
		ref = crdt_item(doc, ref)->right;
	return ref == 0 ? NULL : crdt_item(doc, ref);
}

const CrdtItem *
crdt_list_value(const CrdtDoc *doc, uint32_t list)
{
	CrdtRef last = doc->lists[list].last;

	return last == 0 || crdt_item(doc, last)->deleted ? NULL : crdt_item(doc, last);
}

void
crdt_write_item_text(CrdtBuffer *out, const CrdtItem *item)
{
	bool begins_replaced;
	CrdtBytes text = crdt_item_bytes(item, &begins_replaced);

	if (begins_replaced)
		crdt_write_bytes(out, CRDT_LITERAL("\xef\xbf\xbd"));
	crdt_write_joined(out, text);
}

CrdtBytes
crdt_text_unit(const CrdtItem *item, uint64_t index, uint8_t to[static 4])
{
	bool begins_replaced;
	CrdtBytes text = crdt_item_bytes(item, &begins_replaced);
	CrdtTextPlace place;
	const uint8_t *at;
	uint32_t code_point;

	if (begins_replaced && index-- == 0)
		return (CrdtBytes){to, crdt_utf8_put(to, 0xfffd)};
	if (item->ascii)
		return (CrdtBytes){text.data + index, 1};
	place = crdt_utf16_place(text, index);
	at = text.data + place.offset;
	if (*at < 0xf0)
		return (CrdtBytes){at, *at < 0x80 ? 1 : *at < 0xe0 ? 2 : 3};
	code_point = (uint32_t) (at[0] & 7) << 18 | (uint32_t) (at[1] & 0x3f) << 12 |
				 (uint32_t) (at[2] & 0x3f) << 6 | (at[3] & 0x3fu);
	code_point -= 0x10000;
	return (CrdtBytes){to, crdt_utf8_put(to, place.inside_pair ? 0xdc00 + (code_point & 0x3ff)
															   : 0xd800 + (code_point >> 10))};
}

/* ---- what a type is ---- */

static CrdtKind
kind_of_sequence(const CrdtDoc *doc, const CrdtType *type)
{
	const CrdtItem *item = crdt_next_visible(doc, doc->lists[type->sequence].first);

	for (; item != NULL; item = crdt_next_visible(doc, item->right))
	{
		CrdtKind nested;

		if (item->kind == CRDT_STRING || item->kind == CRDT_FORMAT_MARK || item->kind == CRDT_EMBED)
			return CRDT_TEXT;
		if (item->kind != CRDT_TYPE)
			return CRDT_ARRAY;
		nested = (CrdtKind) crdt_item_type(doc, item)->kind;
		return nested == CRDT_XML_ELEMENT || nested == CRDT_XML_TEXT || nested == CRDT_XML_HOOK
				   ? CRDT_XML_FRAGMENT
				   : CRDT_ARRAY;
	}
	return CRDT_UNTYPED;
}

CrdtKind
crdt_doc_kind(const CrdtDoc *doc, const CrdtType *type)
{
	CrdtKind kind = (CrdtKind) type->kind;

	if (kind == CRDT_UNTYPED)
		kind = kind_of_sequence(doc, type);
	if (kind != CRDT_UNTYPED)
		return kind;
	/* nothing visible in the sequence; a key, even one deleted since, makes a map */
	if (type->first_key != 0)
		return CRDT_MAP;
	return CRDT_UNTYPED;
}

/* ---- text ---- */

CrdtStatus
crdt_doc_text(const CrdtDoc *doc, const CrdtType *type, CrdtBuffer *out, CrdtError *error)
{
	CrdtReading reading = {.doc = doc};
	size_t size_before = out->size;
	const CrdtItem *item = crdt_next_visible(doc, doc->lists[type->sequence].first);

	for (; item != NULL; item = crdt_next_visible(doc, item->right))
		if (item->kind == CRDT_STRING)
			crdt_write_item_text(out, item);
	return crdt_reading_end(&reading, out, size_before, error);
}

/* ---- one element ---- */

uint64_t
crdt_doc_length(const CrdtDoc *doc, const CrdtType *type)
{
	return doc->lists[type->sequence].length;
}

uint64_t
crdt_doc_parted_characters(const CrdtDoc *doc)
{
	return doc->parted_characters;
}

const CrdtItem *
crdt_element_item(CrdtDoc *doc, const CrdtType *type, uint64_t *index)
{
	/* the place behind the element has more units before it than the one in front */
	CrdtIndexPlace start = crdt_index_seek(doc, type->sequence, *index + 1, NULL, NULL);

	*index -= start.units;
	for (CrdtRef ref = start.item; ref != 0; ref = crdt_item(doc, ref)->right)
	{
		const CrdtItem *item = crdt_item(doc, ref);

		if (item->deleted || !crdt_item_is_countable(item))
			continue;
		if (*index < item->length)
			return item;
		*index -= item->length;
	}
	return NULL;
}

const CrdtItem *
crdt_entry_item(const CrdtDoc *doc, const CrdtType *type, CrdtBytes key)
{
	uint32_t name = crdt_name_find(doc, key.data == NULL ? CRDT_LITERAL("") : key);
	uint32_t list = name == 0 ? 0 : crdt_list_find(doc, type->number, name);

	return list == 0 ? NULL : crdt_list_value(doc, list);
}

bool
crdt_doc_is_embed(CrdtDoc *doc, const CrdtType *type, uint64_t index)
{
	const CrdtItem *item = crdt_element_item(doc, type, &index);

	return item != NULL && item->kind != CRDT_STRING;
}

/* The type that an item holds; NULL: none. */
static const CrdtType *
held_type(const CrdtDoc *doc, const CrdtItem *item)
{
	return item != NULL && !item->deleted && item->kind == CRDT_TYPE ? crdt_item_type(doc, item)
																	 : NULL;
}

CrdtBytes
crdt_doc_element_name(const CrdtDoc *doc, const CrdtType *type)
{
	return type->item == 0 || type->name == 0 ? (CrdtBytes){NULL, 0} : crdt_name(doc, type->name);
}

const CrdtType *
crdt_doc_child(CrdtDoc *doc, const CrdtType *type, uint64_t index)
{
	return held_type(doc, crdt_element_item(doc, type, &index));
}

const CrdtType *
crdt_doc_entry(const CrdtDoc *doc, const CrdtType *type, CrdtBytes key)
{
	return held_type(doc, crdt_entry_item(doc, type, key));
}
