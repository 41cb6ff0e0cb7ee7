/*
 * store.h: stored documents: a narrow row each, a log of updates, a stored state.
 *
 * Everything goes through SPI as the caller, so row security decides what is seen.  A document's
 * content is its stored state merged with what came later and with what this transaction has edited
 * (store_edit.h); the cache spares the decoding.
 *
 *     seq   1 ................ 5000 ...... 5800 .. 6000 .... 6017
 *     state [ merged           ]                                       compact.c makes these two of
 *     segments                   [ merged  ][ .... ]                   the log, which keeps its rows
 *     log   [][][][][][][][][][][][][][][][][][][][][][][][][][]
 *     read  ^ state            ^ segments          ^ log rows
 *
 *     store_open();                                  -- SPI
 *     if (store_read_head(name, &head))
 *         document = store_get(&head, &error);       -- decoded, as of head.seq
 *     ...
 *     cache_release(document);
 *     store_close();
 */
#ifndef YDOC_STORE_H
#define YDOC_STORE_H

#include "postgres.h"

#include "executor/spi.h"

#include "cache.h"

/*
 * Who waits for the row of a document that is being renamed, or purged, finds none when the wait is over:
 * what was left under the name is newer than his snapshot.  So he looks again.  (He may hold the lock of
 * the document under its new name by then.  Names that are exchanged to and fro can so make two wait for
 * one another, and one of them gets an error that says so.)
 */
#define STORE_LOCK_ATTEMPTS 5

/* What a document's row says. */
typedef struct StoreHead
{
	const char *name;
	Oid store;
	int64 epoch; /* that we tell (store_epoch) */
	int64 row_epoch; /* that its row has, as buried */
	int64 seq;
	int64 state_seq; /* that the stored state reaches; 0: there is none */
	int64 segment_seq; /* that the last segment reaches; not above state_seq: there is none */
	int64 tail_rows; /* log rows that neither of them holds */
	int64 tail_bytes; /* of the segments and of those rows */
	int64 buried; /* epoch of the last document of this name that is gone (store_gone.h); 0: none */
	bool is_deleted; /* a deleted document's, which nobody but store_document.c goes on with */
	bool for_writing; /* the row is locked: statements see the latest */
	bool sees_all; /* of log and stored states, the caller does; false: he is to be asked for */
} StoreHead;

/* Connects to SPI and finds the store's tables, or says how to create them. */
void store_open(void);
void store_close(void);

/* The name as a C string; an error if no document may be called that. */
char *store_check_name(const text *name);

/* The document's row as this statement's snapshot has it; false: there is none to be seen, or it is
 * deleted. */
bool store_read_head(const char *name, StoreHead *head);

/* The same, for a caller who knows the document at an epoch (0: does not say); false: there is none to be
 * seen.  An error if it is gone, or if what has its name is another document. */
bool store_read_known_head(const char *name, int64 known_epoch, StoreHead *head);

/* The row, locked until the transaction ends, and made if there is none; an error if it is deleted. */
void store_lock_head(const char *name, StoreHead *head);

/* The epoch of a document that we tell, given the one in its row, and the table that has the row. */
int64 store_epoch(Oid store, int64 epoch);

/* Does somebody who was told this epoch (0: does not say) mean a document that has left its name for good,
 * the last of which was that of row epoch buried (0: there was none)? */
bool store_epoch_is_buried(Oid store, int64 known_epoch, int64 buried);

/* The latest row, locked until the transaction ends; false: there is none to be seen.  Deleted ones
 * too. */
bool store_lock_row(const char *name, StoreHead *head);

/* Makes a row for a document; false: there is one of that name. */
bool store_insert_row(const char *name);

/* What to select from ydoc_data.document d for a head, and what a row of the last SPI answer that begins
 * with these columns says, locked. */
#define STORE_HEAD_COLUMNS                                      \
	"d.epoch, d.seq, d.state_seq, d.segment_seq, d.tail_rows, " \
	"d.tail_bytes, d.buried, d.deleted_at"
#define STORE_HEAD_COLUMN_COUNT 8
void store_head_of_row(const char *name, int row, StoreHead *head);

/* Oid of table ydoc_data.document, and of another one of the store; invalid: there is none. */
Oid store_oid(void);
Oid store_table(const char *table);

/* The document as of head, decoded, for the caller to release; NULL and error if its rows are
 * damaged or not all to be seen. */
CachedDocument *store_get(const StoreHead *head, CrdtError *error);

/* The same, or an error. */
CachedDocument *store_get_or_report(const StoreHead *head);

/* The document as of head as a value of type ydoc, in the memory outside SPI. */
Datum store_state_datum(const StoreHead *head);

/* Applies the stored state to a new document, if there is one; then what came after the document's
 * seq, up to head's: segments if they may be read, else log rows.  Without the cache, for those who want
 * nothing but what the tables hold.  False: see error. */
bool store_apply_state(const StoreHead *head, CachedDocument *document, CrdtError *error);
bool store_apply_tail(const StoreHead *head, CachedDocument *document, CrdtError *error);

/* Does the caller see all rows of a table of the store? */
bool store_sees_all(const char *table);

/* Column of a row of SPI_tuptable: a bigint, NULL as 0; bytes, detoasted, NULL as NULL. */
int64 store_int64(uint64 row, int column);
struct varlena *store_varlena(uint64 row, int column);

/* Runs a statement on one of the store's tables as the table's owner, as foreign keys do: keeping the
 * books takes no rights of whoever writes documents.  The statement is ours and only names documents. */
int store_execute_as_owner(const char *table, SPIPlanPtr plan, Datum *values);

/* Prepares a statement once per session. */
SPIPlanPtr store_prepare(SPIPlanPtr *plan, const char *sql, int argument_count, Oid *types);

#endif
