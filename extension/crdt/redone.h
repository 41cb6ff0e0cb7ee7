/*
 * redone.h: which item has taken the place of one that was deleted and brought back (FORMAT 11.3).
 *
 * Few items of few documents are ever redone, so this is a table beside the records.  Nothing of
 * it goes over the wire.
 */
#ifndef CRDT_REDONE_H
#define CRDT_REDONE_H

#include "item.h"

/* The id that ref's content has now; CRDT_PACKED_NONE: it was never redone. */
CrdtPackedId crdt_redone_find(const CrdtDoc *doc, CrdtRef ref);

/* Room for so many more. */
CRDT_MUST_CHECK bool crdt_redone_reserve(CrdtDoc *doc, size_t more);
void crdt_redone_add(CrdtDoc *doc, CrdtRef ref, CrdtPackedId id); /* reserved */
void crdt_redone_remove(CrdtDoc *doc, CrdtRef ref); /* if it is there */
void crdt_redone_free(CrdtDoc *doc);

#endif
