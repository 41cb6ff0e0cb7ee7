/*
 * history.h: the log of a stored document, read as its history.
 *
 *     history_walk(&head, 0, visit, &context);       -- each log row, oldest first
 *
 * Here belongs what replays a log: a document as it was (history.c), who wrote what (blame.c), taking
 * changes back (restore.c).
 */
#ifndef YDOC_HISTORY_H
#define YDOC_HISTORY_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "store.h"

/* A row of the log.  Borrowed, until the visit returns. */
typedef struct HistoryRow
{
	int64 seq_from;
	int64 seq;
	CrdtBytes update; /* V1 */
	TimestampTz at;
	const text *actor; /* NULL: nobody was named */
} HistoryRow;

typedef void (*HistoryVisit)(void *context, const HistoryRow *row);

/* Shows all rows up to head's seq, in order; an error if some are missing, or not to be seen. */
void history_walk(const StoreHead *head, HistoryVisit visit, void *context);

#endif
