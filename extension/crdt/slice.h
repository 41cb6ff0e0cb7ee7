/*
 * slice.h: what someone lacks of a document, in slices: several updates instead of one.
 *
 *     CrdtSlices *slices;
 *
 *     crdt_slices_open(doc, state_vector, 65536, &slices, &error);
 *     do
 *         crdt_slices_next(slices, &out, &last, &error);     -- each a valid update (V1)
 *     while (!last);
 *     crdt_slices_close(slices);
 *
 * Whoever applies them in order never has structs that wait for a later slice, and has in the end
 * what crdt_doc_encode would have given him at once.  So a slow line can take a document in
 * messages that are short each, and one that breaks has something to go on from.
 *
 * The walk costs what it has written, not the document: it may end after any slice, and another
 * one may go on from crdt_slices_write_reached().  The document must not change meanwhile.
 */
#ifndef CRDT_SLICE_H
#define CRDT_SLICE_H

#include "document.h"

typedef struct CrdtSlices CrdtSlices;

/* Begins a walk for someone who is at state_vector (size 0: who has nothing).  slice_bytes: the
 * size that a slice should have.  Texts and rows of values are cut to fit; a single value that is
 * larger goes alone, and what waits (crdt_doc_pending) with the last slice.  state_vector is borrowed
 * until the walk is closed. */
CRDT_MUST_CHECK CrdtStatus crdt_slices_open(CrdtDoc *doc, CrdtBytes state_vector,
											size_t slice_bytes, CrdtSlices **slices,
											CrdtError *error);

/* The same for someone who has all of the document but, maybe, what is in update (V1), which is of
 * the document. */
CRDT_MUST_CHECK CrdtStatus crdt_slices_open_without(CrdtDoc *doc, CrdtBytes update,
													size_t slice_bytes, CrdtSlices **slices,
													CrdtError *error);
void crdt_slices_close(CrdtSlices *slices);

/* Appends the next slice to out; last: there are no more, and the next call is an error.  What is
 * deleted comes at the end, so only the last slices say so. */
CRDT_MUST_CHECK CrdtStatus crdt_slices_next(CrdtSlices *slices, CrdtBuffer *out, bool *last,
											CrdtError *error);

/* Are all structs in the slices so far?  Then only what is deleted is left, and a walk from
 * crdt_slices_write_reached() would begin with that anew. */
bool crdt_slices_structs_done(const CrdtSlices *slices);

/* Appends the state vector of who has applied the slices so far. */
CRDT_MUST_CHECK CrdtStatus crdt_slices_write_reached(const CrdtSlices *slices, CrdtBuffer *out,
													 CrdtError *error);

#endif
