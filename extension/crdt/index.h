/*
 * index.h: from an index to an item and back without walking a long list.
 *
 *     blocks     24 items, 301 units | 17 items, 512 units | ...
 *     items      h e l l o ...         w o r ...             each item knows its block
 *
 * A list gets an index when a walk along it has taken long.  From then on whatever links, cuts,
 * joins or deletes items tells the index.  It only says where to begin walking: positions, and
 * with them the bytes of updates, are the same with and without it.
 */
#ifndef CRDT_INDEX_H
#define CRDT_INDEX_H

#include "item.h"
#include "marks.h"

/* ---- asking ---- */

/* Where to begin walking: item (0: the end of an empty list) and the units before it. */
typedef struct CrdtIndexPlace
{
	CrdtRef item;
	uint64_t units;
} CrdtIndexPlace;

/*
 * A place of the list that has fewer than index units before it (the start, if index is 0).
 * marks not NULL: takes the marks in force there, and room for them from arena; if that has
 * none, the place is the start.
 */
CrdtIndexPlace
crdt_index_seek(CrdtDoc *doc, uint32_t list, uint64_t index, CrdtMarks *marks, CrdtArena *arena);

/* Units before the item, which is in the list. */
uint64_t crdt_index_units_before(CrdtDoc *doc, uint32_t list, CrdtRef ref);

/* ---- telling; each does nothing if the list has no index ---- */

void crdt_index_linked(CrdtDoc *doc, CrdtRef ref); /* between its neighbours */
void crdt_index_cut(CrdtDoc *doc, CrdtRef left, CrdtRef right); /* right was cut off left */
void crdt_index_joining(CrdtDoc *doc, CrdtRef left, CrdtRef right); /* before right goes */
void crdt_index_deleted(CrdtDoc *doc, CrdtRef ref); /* it was visible */
void crdt_index_drop(CrdtDoc *doc, uint32_t list); /* the list is empty now */

/* Room for the items that the pool of items has room for. */
CRDT_MUST_CHECK bool crdt_index_reserve(CrdtDoc *doc);
void crdt_index_free(CrdtDoc *doc);
size_t crdt_index_bytes(const CrdtDoc *doc);

#endif
