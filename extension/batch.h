/*
 * batch.h: a batch of updates on its way: what came, the documents that it is for, the rows that it becomes.
 *
 *     batch = {items, item_count}                       batch.c: arguments, results, the order of steps
 *     batch_lock_rows(batch);                           batch_rows.c: rows made, locked, read
 *     batch_apply_document(batch, document); ...        batch_apply.c: items judged, merged into log rows
 *     batch_write_rows(batch);                          batch_rows.c: rows changed and appended
 *     batch_close_rows(batch);
 *
 * All of it lives until SPI finishes, and within store_open and store_close.
 */
#ifndef YDOC_BATCH_H
#define YDOC_BATCH_H

#include "postgres.h"

#include "crdt/document.h"
#include "store.h"
#include "store_rows.h"
#include "waiting.h"

/* One update of a batch, and what became of it. */
typedef struct BatchItem
{
	int ordinal; /* from 0 */
	const char *document;
	CrdtBytes update;
	text *actor; /* NULL: nobody named */
	text *source; /* from where it came; NULL: that is not said */
	const CrdtConfines *confines; /* of who sent it; NULL: none */
	int64 known_epoch; /* at which the sender knows the document; 0: he does not say */
	int64 epoch;
	int64 seq; /* that contains it; 0: refused */
	bytea *logged; /* the log row that it closes, or NULL */
	int64 logged_from; /* the first seq of that row */
	int sqlstate;
	const char *message;
} BatchItem;

/* Items of one document, and its row. */
typedef struct BatchDocument
{
	const char *name;
	BatchItem **items;
	int item_count;
	StoreHead head;
	bool is_there; /* its row was found */
	StorePlace place; /* the next two: of batch.rows */
	HeapTuple row;
	int64 log_rows;
	int64 log_bytes;
	WaitingClients *waiting; /* NULL: the same as before */
} BatchDocument;

typedef struct Batch
{
	BatchItem *items;
	int item_count;
	BatchItem **sorted; /* those that are not refused yet */
	int sorted_count;
	BatchDocument *documents;
	int document_count;
	StoreLogRow *log_rows;
	int log_row_count;
	StoreRows *rows; /* NULL: statements are to change them */
} Batch;

/* ---- rows (batch_rows.c) ---- */

/* Makes the rows that are missing, and locks all in the order of names: documents' heads are as of then.
 * Documents that are not there, and that no item begins, are not of the batch any more. */
void batch_lock_rows(Batch *batch);

/* Changes the documents' rows, appends the log's, and then fires the triggers that are on them: these may
 * do what they like, batches included, so what else is to be done is done before. */
void batch_write_rows(Batch *batch);

/* If nothing is to be written. */
void batch_close_rows(Batch *batch);

/* ---- applying (batch_apply.c) ---- */

/* Refuses an item whose document was deleted, or has made room for another one of its name. */
bool batch_refuse_if_gone(const BatchDocument *document, BatchItem *item);

/* Applies the items of a document whose row is locked: each is refused or has its seq then, and the batch
 * has the log rows that they become. */
void batch_apply_document(Batch *batch, BatchDocument *document);

/* Of a document that is not there: would any of its items be stored?  If none would, they are answered: refused, or
 * as no news. */
bool batch_begins_document(BatchDocument *document);

#endif
