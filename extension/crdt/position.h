/*
 * position.h: places in a type that stay where they are while others edit: cursors, comments
 * (FORMAT 5.4).
 *
 *     crdt_position_find(doc, text, 5, 0, &position, &error);    -- before the sixth unit
 *     ...                                                       -- edits, here and elsewhere
 *     crdt_position_resolve(doc, &position, &place, &error);
 *     if (place.type != NULL) ... place.index
 *
 * Written, it is Yjs's encodeRelativePosition.  It names an element, not an index.  assoc
 * says to which neighbour the place sticks: negative to the element at its left, else to the one
 * at its right.
 */
#ifndef CRDT_POSITION_H
#define CRDT_POSITION_H

#include "document.h"

/* A relative position, decoded.  Which members count: those whose has_ is true. */
typedef struct CrdtPosition
{
	bool has_item; /* the element */
	uint64_t item_client;
	uint64_t item_clock;
	bool has_type; /* a nested type, named by the item that holds it */
	uint64_t type_client;
	uint64_t type_clock;
	bool has_root; /* a root, by name */
	CrdtBytes root;
	int64_t assoc;
} CrdtPosition;

/* Where a relative position is now. */
typedef struct CrdtAbsolutePosition
{
	const CrdtType *type; /* NULL: nowhere in this document */
	uint64_t index;
	int64_t assoc;
} CrdtAbsolutePosition;

/* The position at index of type (root beyond the end: the end), with type and element both set. */
CRDT_MUST_CHECK CrdtStatus crdt_position_find(CrdtDoc *doc, const CrdtType *type, uint64_t index,
											  int64_t assoc, CrdtPosition *position,
											  CrdtError *error);

/* Yjs's encodeRelativePosition and decodeRelativePosition; views of the input. */
CRDT_MUST_CHECK CrdtStatus crdt_position_write(const CrdtPosition *position, CrdtBuffer *out,
											   CrdtError *error);
CRDT_MUST_CHECK CrdtStatus crdt_position_read(CrdtBytes bytes, CrdtPosition *position,
											  CrdtError *error);

/* Its JSON form, as Yjs prints it: {"tname":"text","item":{"client":1,"clock":4},"assoc":0}. */
CRDT_MUST_CHECK CrdtStatus crdt_position_write_json(const CrdtPosition *position, CrdtBuffer *out,
													CrdtError *error);

/* Yjs's createAbsolutePositionFromRelativePosition. */
CRDT_MUST_CHECK CrdtStatus crdt_position_resolve(CrdtDoc *doc, const CrdtPosition *position,
												 CrdtAbsolutePosition *place, CrdtError *error);

#endif
