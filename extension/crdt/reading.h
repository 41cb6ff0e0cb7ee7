/*
 * reading.h: what text.c, xml.c and json.c share: walking lists, and JavaScript's view of values.
 *
 * Types nest as deep as a document likes; reading goes down CRDT_READ_DEPTH_MAX levels and answers
 * CRDT_LIMIT below.
 */
#ifndef CRDT_READING_H
#define CRDT_READING_H

#include "item.h"

#define CRDT_READ_DEPTH_MAX 1000

/* How far a reading function has come; sticky like a reader's error. */
typedef struct CrdtReading
{
	const CrdtDoc *doc;
	CrdtStatus status;
	unsigned depth;
} CrdtReading;

/* Goes down a level; false if that is too deep (status is set). */
bool crdt_reading_enter(CrdtReading *reading);
void crdt_reading_leave(CrdtReading *reading);

/* Turns the outcome into a status and message; out may be NULL.  On failure out is cut back. */
CrdtStatus
crdt_reading_end(const CrdtReading *reading, CrdtBuffer *out, size_t size_before, CrdtError *error);

/* First visible item of the list at or behind ref; NULL: none. */
const CrdtItem *crdt_next_visible(const CrdtDoc *doc, CrdtRef ref);

/* The value of a key, or NULL if it has none now. */
const CrdtItem *crdt_list_value(const CrdtDoc *doc, uint32_t list);

/* The visible item that has the element at index, which becomes its number in there; NULL: there is none. */
const CrdtItem *crdt_element_item(CrdtDoc *doc, const CrdtType *type, uint64_t *index);

/* The item of a key's value; NULL: it has none now. */
const CrdtItem *crdt_entry_item(const CrdtDoc *doc, const CrdtType *type, CrdtBytes key);

/* The item's text, internal until crdt_reading_end: a character may have its halves in two items. */
void crdt_write_item_text(CrdtBuffer *out, const CrdtItem *item);

/* Unit number index of a text as a string of its own (three bytes at most, in to). */
CrdtBytes crdt_text_unit(const CrdtItem *item, uint64_t index, uint8_t to[static 4]);

/* Shows what a visible item holds as elements of an array, or nothing (a format mark). */
void crdt_show_element(CrdtReading *reading, const CrdtItem *item, const CrdtVisitor *visitor);

/* Notes that a callback asked to stop. */
void crdt_reading_go_on(CrdtReading *reading, bool goes_on);

/* Writes what is shown as JSON text. */
typedef struct CrdtJsonWriter
{
	CrdtBuffer *out;
	CrdtBytes key;
	bool has_key; /* written with the value, for there may be none */
	bool needs_comma;
} CrdtJsonWriter;

CrdtVisitor crdt_json_visitor(CrdtJsonWriter *writer, CrdtBuffer *out);

/* A type's markup, as Yjs's toString prints it when the type is read as kind. */
void crdt_write_markup(CrdtReading *reading, const CrdtType *type, CrdtKind kind, CrdtBuffer *out);

#endif
