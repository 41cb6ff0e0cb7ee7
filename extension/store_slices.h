/*
 * store_slices.h: documents in slices (crdt/slice.h), for who lacks too much for one update.
 */
#ifndef YDOC_STORE_SLICES_H
#define YDOC_STORE_SLICES_H

#include "store.h"

/* What somebody has at least who has all of the document but update, as a state vector. */
bytea *store_state_vector_without(const StoreHead *head, CrdtBytes update);

#endif
