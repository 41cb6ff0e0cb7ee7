/*
 * pending.h: structs and deletes that wait for others (FORMAT 7.5).
 *
 * What waits is one update, and late ones beside it that are merged into it now and then.  When it
 * is much, the ranges of clocks that wait are noted too, so that what waits already is no news when
 * it comes again.
 */
#ifndef CRDT_PENDING_H
#define CRDT_PENDING_H

#include "item.h"

/* When what waits costs less than so many bytes, it is one update, and no ranges are noted. */
#define CRDT_PENDING_LATE_COST 16384

void crdt_pending_open(CrdtPending *pending, const CrdtHost *host);
void crdt_pending_close(CrdtPending *pending);

/* What reading and writing what waits takes, in bytes: the update, the late ones. */
uint64_t crdt_pending_cost(const CrdtPending *pending);
uint64_t crdt_pending_late_cost(const CrdtPending *pending);

/* About the same of one struct. */
uint64_t crdt_pending_struct_cost(const CrdtStruct *item);

/* All of it, if these are the deletes that wait: what the bounds are for (document.h). */
uint64_t crdt_pending_bytes(const CrdtPending *pending, const CrdtIdSet *deletes);

/* All structs that wait, and more (size 0: nothing), as one V2 update, appended to out; how many
 * they are.  There must be two updates at least. */
CRDT_MUST_CHECK CrdtStatus crdt_pending_merge(const CrdtPending *pending, CrdtBytes more,
											  CrdtBuffer *out, uint64_t *struct_count,
											  CrdtError *error);

/* Notes the smallest clock that a client lacks.  False: no memory. */
CRDT_MUST_CHECK bool crdt_note_missing(CrdtStateVector *missing, uint64_t client, uint64_t clock);

/* ---- the ranges that wait, and whose they are ---- */

/* Notes the ranges of all that waits, and how much each client has of it, unless that was done; room
 * for more of them.  False: no memory. */
CRDT_MUST_CHECK bool crdt_pending_track(CrdtPending *pending, size_t more);

/* Does all of the range wait already?  False if too many ranges wait to know. */
bool crdt_pending_holds(const CrdtPending *pending, CrdtIdRange range);

/* The range waits from now on.  Reserved by crdt_pending_track. */
void crdt_pending_note(CrdtPending *pending, CrdtIdRange range);

/* More of a client waits from now on, if that is noted.  Reserved by crdt_pending_track. */
void crdt_pending_add_client(CrdtPending *pending, CrdtWaitingClient more);

/* What is noted of a client; 0: nothing. */
uint64_t crdt_pending_client_cost(const CrdtPending *pending, uint64_t client);

#endif
