/*
 * marks.h: the formatting in force at a place of a text, and comparing its values (FORMAT 10.4).
 *
 *     marks   bold: true   link: {href: ...}        in the order of first insertion
 */
#ifndef CRDT_MARKS_H
#define CRDT_MARKS_H

#include "item.h"

typedef struct CrdtMark
{
	uint32_t key; /* name */
	bool is_kept; /* the value is a view of an item's bytes, which stay as long as the document */
	CrdtBytes value; /* canonical */
} CrdtMark;

/* An ordered map, JavaScript's Map.  Room comes from an arena, so nothing is freed. */
typedef struct CrdtMarks
{
	CrdtMark *list;
	size_t count;
	size_t capacity;
} CrdtMarks;

CRDT_MUST_CHECK bool crdt_marks_grow(CrdtMarks *marks, CrdtArena *arena, size_t capacity);

/* Room for capacity marks in all; false: no memory. */
CRDT_MUST_CHECK static inline bool
crdt_marks_reserve(CrdtMarks *marks, CrdtArena *arena, size_t capacity)
{
	return capacity <= marks->capacity || crdt_marks_grow(marks, arena, capacity);
}

const CrdtMark *crdt_marks_find(const CrdtMarks *marks, uint32_t key); /* NULL: none */

/* The mark of key; null if there is none. */
CrdtMark crdt_marks_get(const CrdtMarks *marks, uint32_t key);

/* A key that is set again keeps its place.  There is room. */
void crdt_marks_set(CrdtMarks *marks, CrdtMark mark);
void crdt_marks_remove(CrdtMarks *marks, uint32_t key);

/* As set; but integer-like keys come first and ascending, as in a JavaScript object. */
void crdt_marks_set_member(const CrdtDoc *doc, CrdtMarks *marks, CrdtMark mark);

/* What a visible format mark of the text does to those in force: null ends a key. */
void crdt_marks_pass(CrdtMarks *marks, const CrdtItem *item);

/* Key and value of a format mark. */
CrdtMark crdt_item_mark(const CrdtItem *item);

bool crdt_value_is_null(CrdtBytes value);

/* Yjs's equalAttrs: the same value, or objects with equal members. */
bool crdt_values_equal(CrdtBytes a, CrdtBytes b);

/* JavaScript's ===: objects are the same only if they are one and the same. */
bool crdt_values_identical(CrdtBytes a, CrdtBytes b);

#endif
