/*
 * update.h: what can be done with Yjs updates without a document: check, merge, diff, and the
 * state vector they reach.  Streaming: the cost is that of reading the bytes (merging n updates of
 * b bytes in all costs b log n), whatever the document's size.  FORMAT 6.
 *
 *     CrdtBuffer merged;
 *
 *     crdt_buffer_open(&merged, host);
 *     if (crdt_update_merge(host, updates, count, CRDT_V1, &merged, &error) != CRDT_OK)
 *         report(&error);                    -- error.part says which update
 *     ...
 *     crdt_buffer_close(&merged);
 *
 * Every function checks its input completely before it answers; out is appended to, and left as
 * it was when the answer is not CRDT_OK.
 */
#ifndef CRDT_UPDATE_H
#define CRDT_UPDATE_H

#include "host.h"

/* V2 stores runs, so few bytes can say many structs, and a damaged update claims any number of them.
 * One of n bytes may hold as many; what claims more is CRDT_LIMIT. */
#define CRDT_V2_STRUCTS_BASE 65536
#define CRDT_V2_STRUCTS_PER_BYTE 256

/* Is this a whole, valid update?  Bytes after its end are ignored, as Yjs does. */
CRDT_MUST_CHECK CrdtStatus crdt_update_check(const CrdtHost *host, CrdtBytes update,
											 CrdtFormat format, CrdtError *error);

/* Yjs's mergeUpdates: one update that has the effect of all.  The same bytes as Yjs writes.  A
 * single update is copied unchanged; none give the empty update. */
CRDT_MUST_CHECK CrdtStatus crdt_update_merge(const CrdtHost *host, const CrdtBytes *updates,
											 size_t count, CrdtFormat format, CrdtBuffer *out,
											 CrdtError *error);

/* Yjs's diffUpdate: what of update is news to someone who is at state_vector (part 1 in errors). */
CRDT_MUST_CHECK CrdtStatus crdt_update_diff(const CrdtHost *host, CrdtBytes update,
											CrdtFormat format, CrdtBytes state_vector,
											CrdtBuffer *out, CrdtError *error);

/* Yjs's encodeStateVectorFromUpdate. */
CRDT_MUST_CHECK CrdtStatus crdt_update_state_vector(const CrdtHost *host, CrdtBytes update,
													CrdtFormat format, CrdtBuffer *out,
													CrdtError *error);

/* Is this a whole, valid state vector? */
CRDT_MUST_CHECK CrdtStatus crdt_state_vector_check(const CrdtHost *host, CrdtBytes state_vector,
												   CrdtError *error);

#endif
