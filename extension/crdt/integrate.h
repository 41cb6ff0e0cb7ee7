/*
 * integrate.h: putting items where YATA says they belong, and deleting them (FORMAT 7.4).
 *
 * Nothing here can fail: what is needed was reserved, what is wrong was refused before.
 */
#ifndef CRDT_INTEGRATE_H
#define CRDT_INTEGRATE_H

#include "item.h"

/* Same place?  (A wide id may be packed twice.) */
bool crdt_ids_equal(const CrdtDoc *doc, CrdtPackedId a, CrdtPackedId b);

/*
 * Integrates the item (id, origins, content, and list set; left and right set to the neighbours
 * that its origins name, 0: none) of the client with that number.  list 0: it becomes a GC.
 */
void crdt_item_integrate(CrdtDoc *doc, uint32_t client, CrdtRef ref);

/* Deletes the item and, if it holds a type, everything in that. */
void crdt_item_delete(CrdtDoc *doc, CrdtRef ref);

#endif
