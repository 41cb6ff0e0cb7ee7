/*
 * merge.h: crdt_update_merge (update.h) for a document, which wants to know how much came of it.
 */
#ifndef CRDT_MERGE_H
#define CRDT_MERGE_H

#include "host.h"

/* Merges two updates or more; *struct_count: those of the result. */
CRDT_MUST_CHECK CrdtStatus crdt_update_merge_counted(const CrdtHost *host, const CrdtBytes *updates,
													 size_t count, CrdtFormat format,
													 CrdtBuffer *out, uint64_t *struct_count,
													 CrdtError *error);

#endif
