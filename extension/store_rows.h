/*
 * store_rows.h: the rows that batches change, and a document's row that is read, without SQL statements.
 *
 * A statement costs several times what the rows of a small batch do.  While the store's tables are as we
 * made them, but for what follows a row, and the user may see and write all of them, nothing that a statement
 * would do is missed:
 *
 *     rows = store_rows_open();                           NULL: a policy, a partition, a trigger before the row
 *                                                         ... wants to be asked, so let statements do it
 *     store_rows_find(rows, name, &place);
 *     store_rows_lock(rows, name, &place, &head, &row);
 *     store_rows_update(rows, row, ...);
 *     store_rows_append(rows, log_rows, count);     WAL: one record for all that one page takes
 *     store_rows_close(rows);                       AFTER triggers fire (store_triggers.h)
 *
 * Indexes are kept, and triggers queued, by the executor's own functions.  Who only reads needs no more than
 * store_rows_read_head, and store_log.h for the log.
 */
#ifndef YDOC_STORE_ROWS_H
#define YDOC_STORE_ROWS_H

#include "postgres.h"

#include "access/genam.h"

#include "store.h"

typedef struct StoreRows StoreRows;

/* Where a document's row is: the version that was found, and where its versions begin.  The latter stays the
 * same while they are on one page, as they mostly are. */
typedef struct StorePlace
{
	ItemPointerData version;
	ItemPointerData root;
} StorePlace;

/* A log row to be written. */
typedef struct StoreLogRow
{
	const char *document;
	int64 seq_from;
	int64 seq;
	bytea *update;
	text *actor; /* NULL: nobody named */
	text *source; /* NULL: from where is not said */
} StoreLogRow;

/* Between store_open and store_close.  NULL: statements are to be used. */
StoreRows *store_rows_open(void);

/* What was written has its AFTER triggers now. */
void store_rows_close(StoreRows *rows);

/* Where the row of that name is; false: there is none to be seen.  Of a document that is in the cache with
 * its row's root, that place is looked at first: mostly the index is spared. */
bool store_rows_find(StoreRows *rows, const char *name, StorePlace *place);

/* Reads the row as the statement's snapshot has it, deleted ones too, into head if it was found.  False: let a
 * statement do it. */
bool store_rows_read_head(const char *name, StoreHead *head, bool *found);

/* Locks the latest row until the transaction ends, as FOR NO KEY UPDATE does; false: there is none any
 * more.  The row is for store_rows_update. */
bool store_rows_lock(StoreRows *rows, const char *name, StorePlace *place, StoreHead *head,
					 HeapTuple *row);

/* What the row is to say after log rows of that many bytes were appended. */
void store_rows_update(StoreRows *rows, HeapTuple row, const StoreHead *head, int64 log_rows,
					   int64 log_bytes);

void store_rows_append(StoreRows *rows, const StoreLogRow *log_rows, int count);

/* Is it a table as we made it, whose rows all are to be seen, and the user's to be treated so?  Not if a
 * partition, a rule, a generated column or a policy wants to be asked. */
bool store_rows_are_plain(Relation table, AclMode right);

/* Of an index, as the active snapshot has it; keys are given with index_rescan. */
IndexScanDesc store_rows_begin_scan(Relation table, Relation index, int keys);

/* The column's number; InvalidAttrNumber: there is none. */
AttrNumber store_rows_column(Relation table, const char *name);

#endif
