/*
 * store_log.h: rows of a document's log, one after the other.
 *
 *     StoreLog *log = store_log_begin(&head, seq);      after that seq, up to head's
 *
 *     while (store_log_next(log, &row))
 *         ... row.seq_from, row.seq, row.update
 *     store_log_end(log);
 *
 * A statement costs several times what the few rows do that a session lacks; where nobody wants to be asked,
 * they are read by table access.  Between store_open and store_close.
 */
#ifndef YDOC_STORE_LOG_H
#define YDOC_STORE_LOG_H

#include "store.h"

typedef struct StoreLog StoreLog;

typedef struct StoreLogView
{
	int64 seq_from; /* not beyond what was asked for, unless the log lacks rows */
	int64 seq;
	CrdtBytes update; /* until the next row is read */
} StoreLogView;

/* For a head that is locked, rows as they are now; else as the statement's snapshot has them. */
StoreLog *store_log_begin(const StoreHead *head, int64 after);

bool store_log_next(StoreLog *log, StoreLogView *row);

void store_log_end(StoreLog *log);

#endif
