/*
 * snapshot.h: a document at an earlier time (FORMAT 5.3 and 12).
 *
 *     CrdtSnapshot *then = crdt_snapshot_take(doc);
 *     ...                                       -- edits
 *     crdt_snapshot_restore(doc, then, CRDT_V1, &update, &error);   -- the document as it was
 *     crdt_doc_delta(doc, text, now, then, &visitor, &error);       -- what has changed since
 *
 * A snapshot is a state vector and a delete set: what was known, and what of it was deleted.  It is
 * only as good as the document's memory: deleted content must have been kept
 * (CrdtDocOptions.keep_deleted), else restoring is refused with CRDT_INVALID.  Reading at a snapshot
 * leaves the document as it is.  (Yjs cuts items at the borders and joins them again, unless they
 * were undone and redone.)
 */
#ifndef CRDT_SNAPSHOT_H
#define CRDT_SNAPSHOT_H

#include "document.h"

typedef struct CrdtSnapshot CrdtSnapshot;

/* The document now.  NULL: no memory. */
CRDT_MUST_CHECK CrdtSnapshot *crdt_snapshot_take(CrdtDoc *doc);

/* Yjs's decodeSnapshot and encodeSnapshot; *snapshot is NULL unless the answer is CRDT_OK. */
CRDT_MUST_CHECK CrdtStatus crdt_snapshot_read(const CrdtHost *host, CrdtBytes bytes,
											  CrdtFormat format, CrdtSnapshot **snapshot,
											  CrdtError *error);
CRDT_MUST_CHECK CrdtStatus crdt_snapshot_write(const CrdtSnapshot *snapshot, CrdtFormat format,
											   CrdtBuffer *out, CrdtError *error);
void crdt_snapshot_free(CrdtSnapshot *snapshot);

/* Yjs's equalSnapshots. */
bool crdt_snapshots_equal(const CrdtSnapshot *a, const CrdtSnapshot *b);

/* Yjs's snapshotContainsUpdate: was all of update known, and all it deletes deleted? */
CRDT_MUST_CHECK CrdtStatus crdt_snapshot_contains_update(const CrdtSnapshot *snapshot,
														 CrdtBytes update, CrdtFormat format,
														 bool *contains, CrdtError *error);

/* The update that makes an empty document what this one was: Yjs's createDocFromSnapshot applies
 * the same. */
CRDT_MUST_CHECK CrdtStatus crdt_snapshot_restore(CrdtDoc *doc, const CrdtSnapshot *snapshot,
												 CrdtFormat format, CrdtBuffer *out,
												 CrdtError *error);

/*
 * A text as Quill's Delta, Yjs's toDelta: insert operations, shown as an array of objects
 * {insert, attributes} to visitor.  A nested shared type is shown as its toJSON.
 *
 * snapshot NULL: now.  previous not NULL: also what was there then and is gone, with the attribute
 * ychange {type: "removed"}, and what is new, with {type: "added"}.
 */
CRDT_MUST_CHECK CrdtStatus crdt_doc_delta(CrdtDoc *doc, const CrdtType *type,
										  const CrdtSnapshot *snapshot,
										  const CrdtSnapshot *previous, const CrdtVisitor *visitor,
										  CrdtError *error);

/* The same as JSON text, appended to out (see crdt_doc_json for what JSON lacks). */
CRDT_MUST_CHECK CrdtStatus crdt_doc_delta_json(CrdtDoc *doc, const CrdtType *type,
											   const CrdtSnapshot *snapshot,
											   const CrdtSnapshot *previous, CrdtBuffer *out,
											   CrdtError *error);

#endif
