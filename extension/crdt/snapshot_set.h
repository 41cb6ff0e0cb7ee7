/*
 * snapshot_set.h: a snapshot from the inside: what was known, and what of it was deleted.
 */
#ifndef CRDT_SNAPSHOT_SET_H
#define CRDT_SNAPSHOT_SET_H

#include "idset.h"
#include "item.h"
#include "snapshot.h"

struct CrdtSnapshot
{
	CrdtHost host;
	CrdtIdSet deletes; /* clients descending, ranges as they were read */
	CrdtIdSet sorted; /* the same, normalized */
	CrdtStateVector vector;
};

/* Was the unit known then, and not deleted? */
bool crdt_snapshot_shows(const CrdtSnapshot *snapshot, uint64_t client, uint64_t clock);

/* The first clock beyond clock, and below end, at which the answer may change; end: none. */
uint64_t crdt_snapshot_next_border(const CrdtSnapshot *snapshot, uint64_t client, uint64_t clock,
								   uint64_t end);

#endif
