/*
 * integrate.h: putting items where YATA says they belong, and deleting them (FORMAT 7.4).
 *
 * Nothing here can fail: what is needed was reserved, what is wrong was refused before.  But the
 * search among concurrent neighbours, which takes the square of their number, may be given up.
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

/* Around the integration of an update: in between, the host is asked now and then whether to go on. */
void crdt_walk_begin(CrdtDoc *doc);
void crdt_walk_end(CrdtDoc *doc);

/* Was it given up?  Then that item and all after it are not where they belong. */
static inline bool
crdt_walk_has_stopped(const CrdtDoc *doc)
{
	return doc->walk.status != CRDT_OK;
}

/* The error of an update that was given up. */
CrdtStatus crdt_walk_error(const CrdtDoc *doc, CrdtError *error);

/* Is the document whole?  The error says that one was given up before. */
CRDT_MUST_CHECK CrdtStatus crdt_doc_check_whole(const CrdtDoc *doc, CrdtError *error);

/* Deletes the item and, if it holds a type, everything in that. */
void crdt_item_delete(CrdtDoc *doc, CrdtRef ref);

#endif
