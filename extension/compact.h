/*
 * compact.h: merging what is stored of a document, so that few bytes and rows have to be read.
 *
 *     log        [][][][][][][][][][][][][][][][][][][]      stays as it is: it is the history
 *     1. fold           rows behind the last segment -> one segment; small segments join it
 *                    [    segment   ][segm.]                 costs those rows
 *     2. store          state and all that came after -> the new stored state
 *                    [          state      ]                 costs the document; when the segments
 *                                                            hold half as much
 *
 * All merging is done before the document's row is locked, as of the seq that was read.  Then the
 * row is locked, and if nobody else has compacted the document meanwhile the result is written; updates
 * that came in between are what is behind it now.  A document's seq never changes.
 *
 *     compaction = compact_plan(name, force);       -- reads and merges
 *     ...                                           -- of other documents, too
 *     outcome = compact_write(compaction, wait);    -- locks and writes; held until the end of the
 *                                                      transaction
 */
#ifndef YDOC_COMPACT_H
#define YDOC_COMPACT_H

#include "postgres.h"

#include "store.h"
#include "waiting.h"

typedef enum CompactionKind
{
	COMPACTION_NONE, /* nothing is due */
	COMPACTION_FOLD,
	COMPACTION_STATE,
	COMPACTION_FENCE /* it cannot be decoded */
} CompactionKind;

typedef struct Compaction
{
	StoreHead head; /* as it was read */
	CompactionKind kind;
	int64 seq_from; /* FOLD: where the segment begins */
	int64 log_rows; /* that are taken in */
	struct varlena *merged; /* a segment's update; a stored state */
	int64 merged_bytes;
	int64 state_bytes; /* of the stored state, the new one if there is one */
	WaitingClients waiting; /* STATE: whom the document waits for */
	const char *problem; /* FENCE */
	int sqlstate;
} Compaction;

typedef enum CompactionOutcome
{
	COMPACTION_DONE,
	COMPACTION_BUSY, /* somebody holds the document's row, and we do not wait */
	COMPACTION_STALE, /* somebody else has compacted it, or it was deleted: nothing was written */
	COMPACTION_GONE /* there is no such document to be seen */
} CompactionOutcome;

/* An error unless the caller sees all rows of the store: compaction of a part would lose the rest. */
void compact_check_rights(void);

/* What there is to be done, merged and ready.  force: move the stored state forward whatever that
 * costs.  NULL: there is no such document. */
Compaction *compact_plan(const char *name, bool force);

/* Writes it down.  wait: until the document's row is free. */
CompactionOutcome compact_write(const Compaction *compaction, bool wait);

#endif
