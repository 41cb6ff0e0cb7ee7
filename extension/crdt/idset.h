/*
 * idset.h: sets of (client, clock) ranges: delete sets (FORMAT 5.1), and state vectors (5.2).
 *
 *     client 7   [3, 5) [9, 12)        a delete set, sorted and merged
 *     client 2   [0, 1)
 *
 * One flat array of ranges, clients not grouped until sorted; the wire wants clients descending.
 */
#ifndef CRDT_IDSET_H
#define CRDT_IDSET_H

#include "bytes.h"

typedef struct CrdtIdRange
{
	uint64_t client;
	uint64_t clock;
	uint64_t length;
} CrdtIdRange;

typedef struct CrdtIdSet
{
	const CrdtHost *host;
	CrdtIdRange *ranges;
	size_t count;
	size_t capacity;
} CrdtIdSet;

void crdt_idset_open(CrdtIdSet *set, const CrdtHost *host);
void crdt_idset_close(CrdtIdSet *set);

/* Appends a range; false: no memory. */
CRDT_MUST_CHECK bool crdt_idset_add(CrdtIdSet *set, CrdtIdRange range);

/* Clients descending, their ranges in the order they were added; but normalized if format is V2
 * and they do not ascend, for V2 writes differences and has none below 0.  False: no memory. */
CRDT_MUST_CHECK bool crdt_idset_group(CrdtIdSet *set, CrdtFormat format);

/* Clients descending, ranges ascending, those that touch or overlap joined (FORMAT 8.1).  Sorts
 * in place. */
void crdt_idset_normalize(CrdtIdSet *set);

/* The first range of a normalized set that ends at or behind the place. */
size_t crdt_idset_find(const CrdtIdSet *set, uint64_t client, uint64_t clock);

/* Is all of range, whose length is not 0, in a normalized set? */
bool crdt_idset_holds(const CrdtIdSet *set, CrdtIdRange range);

/* Makes out, which is empty, the union of two normalized sets: normalized.  False: no memory. */
CRDT_MUST_CHECK bool crdt_idset_merge(const CrdtIdSet *a, const CrdtIdSet *b, CrdtIdSet *out);

/* Is there a range of length 0?  V1 may bring some, V2 cannot say them. */
bool crdt_idset_has_empty_range(const CrdtIdSet *set);

/* Appends a delete set, in stream order, to set.  Failures are the reader's. */
void crdt_idset_read(CrdtReader *reader, CrdtFormat format, CrdtIdSet *set);

/* Writes a grouped or normalized set, for V2 one without empty ranges, as a delete set. */
void crdt_idset_write(const CrdtIdSet *set, CrdtFormat format, CrdtBuffer *out);

/* ---- state vectors ---- */

typedef struct CrdtStateVectorEntry
{
	uint64_t client;
	uint64_t clock; /* the next one expected */
} CrdtStateVectorEntry;

typedef struct CrdtStateVector
{
	const CrdtHost *host;
	CrdtStateVectorEntry *entries; /* sorted by client, ascending; each client once */
	size_t count;
	size_t capacity;
} CrdtStateVector;

/* Reads a whole state vector (size 0: nothing known); later duplicates win.  On failure nothing
 * stays allocated. */
CRDT_MUST_CHECK CrdtStatus crdt_state_vector_open(CrdtStateVector *vector, const CrdtHost *host,
												  CrdtBytes bytes, CrdtError *error);
void crdt_state_vector_close(CrdtStateVector *vector);

/* First clock unknown there; 0 for a client that is not in it. */
uint64_t crdt_state_vector_clock(const CrdtStateVector *vector, uint64_t client);

#endif
