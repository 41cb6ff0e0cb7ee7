/*
 * store_log.c: the log of one document, by index access or by a cursor (store_log.h).
 *
 * Here: which of them, and reading.  Not here: what is made of the rows (store.c, store_changes.c),
 * who wrote them and when (history.c), how many compaction takes at once (compact.c).
 */
#include "store_log.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "bridge.h"
#include "store_rows.h"

#define ROWS_AT_ONCE 1000 /* of a cursor */

/* Columns that are read, of the table or of the cursor. */
enum
{
	COLUMN_SEQ_FROM,
	COLUMN_SEQ,
	COLUMN_UPDATE,
	COLUMNS
};

struct StoreLog
{
	struct varlena *detoasted; /* the last row's update, if it had to be; NULL: it had not */

	/* by index access; table is NULL if there is a cursor */
	Relation table;
	Relation index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	AttrNumber columns[COLUMNS];
	bool has_snapshot;

	Portal cursor;
	SPITupleTable *rows; /* that were fetched last */
	uint64 next, count; /* of these */
};

/* ---- by index access ---- */

/* The primary key, if it is ours: of (document, seq). */
static Relation
open_index(Relation table)
{
	AttrNumber document = store_rows_column(table, "document");
	AttrNumber seq = store_rows_column(table, "seq");
	Relation index;
	const FormData_pg_index *form;

	list_free(RelationGetIndexList(table)); /* finds the primary key */
	if (!OidIsValid(table->rd_pkindex))
		return NULL;
	index = index_open(table->rd_pkindex, AccessShareLock);
	form = index->rd_index;
	if (index->rd_rel->relam == BTREE_AM_OID && form->indisvalid && form->indnkeyatts == 2 &&
		form->indkey.values[0] == document && form->indkey.values[1] == seq)
		return index;
	index_close(index, NoLock);
	return NULL;
}

static bool
find_columns(StoreLog *log, Relation table)
{
	static const char *const names[COLUMNS] = {"seq_from", "seq", "update"};

	for (int i = 0; i < COLUMNS; i++)
		if ((log->columns[i] = store_rows_column(table, names[i])) == InvalidAttrNumber)
			return false;
	return true;
}

/* False: it is not for us to pass by what a statement would ask. */
static bool
open_table(StoreLog *log)
{
	Oid oid = store_table("log");
	Relation table = OidIsValid(oid) ? table_open(oid, AccessShareLock) : NULL;

	if (table == NULL)
		return false;
	if (store_rows_are_plain(table, ACL_SELECT) && find_columns(log, table))
		log->index = open_index(table);
	if (log->index != NULL)
		log->table = table;
	else
		table_close(table, NoLock);
	return log->table != NULL;
}

static void
begin_access(StoreLog *log, const StoreHead *head, int64 after)
{
	ScanKeyData keys[3];

	if (head->for_writing) /* as at the beginning of a statement: who was waited for has committed */
	{
		CommandCounterIncrement();
		PushCopiedSnapshot(GetTransactionSnapshot());
		UpdateActiveSnapshotCommandId();
		log->has_snapshot = true;
	}
	ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber, InvalidOid,
						   log->index->rd_indcollation[0], F_TEXTEQ,
						   CStringGetTextDatum(head->name));
	ScanKeyInit(&keys[1], 2, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after));
	ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(head->seq));
	log->slot = table_slot_create(log->table, NULL);
	log->scan = store_rows_begin_scan(log->table, log->index, lengthof(keys));
	index_rescan(log->scan, keys, lengthof(keys), NULL, 0);
}

/* ---- by a statement ---- */

/*
 * A cursor: asking for the next thousand again and again would read and sort all that are left each time,
 * where the log has no statistics yet and the planner does not know how many there are.
 */
static void
open_cursor(StoreLog *log, const StoreHead *head, int64 after)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, INT8OID, INT8OID};
	Datum values[] = {CStringGetTextDatum(head->name), Int64GetDatum(after),
					  Int64GetDatum(head->seq)};

	store_prepare(&plan,
				  "SELECT l.seq_from, l.seq, l.update FROM ydoc_data.log l"
				  " WHERE l.document = $1 AND l.seq > $2 AND l.seq <= $3 ORDER BY l.seq",
				  3, types);
	log->cursor = SPI_cursor_open(NULL, plan, values, NULL, !head->for_writing);
}

static bool
fetch(StoreLog *log)
{
	if (log->next < log->count)
		return true;
	if (log->rows != NULL)
		SPI_freetuptable(log->rows);
	SPI_cursor_fetch(log->cursor, true, ROWS_AT_ONCE);
	log->rows = SPI_tuptable;
	log->next = 0;
	log->count = SPI_processed;
	return log->count > 0;
}

/* ---- either ---- */

StoreLog *
store_log_begin(const StoreHead *head, int64 after)
{
	StoreLog *log = palloc0(sizeof(StoreLog));

	if (open_table(log))
		begin_access(log, head, after);
	else
		open_cursor(log, head, after);
	return log;
}

static Datum
value(StoreLog *log, int column)
{
	bool null;
	Datum found = log->table != NULL ? slot_getattr(log->slot, log->columns[column], &null)
									 : SPI_getbinval(log->rows->vals[log->next], log->rows->tupdesc,
													 column + 1, &null);

	if (null)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("a row of table ydoc_data.log holds NULL")));
	return found;
}

static void
forget_row(StoreLog *log)
{
	if (log->detoasted != NULL)
		pfree(log->detoasted);
	log->detoasted = NULL;
}

bool
store_log_next(StoreLog *log, StoreLogView *row)
{
	struct varlena *stored;
	struct varlena *update;

	forget_row(log);
	if (log->table != NULL ? !index_getnext_slot(log->scan, ForwardScanDirection, log->slot)
						   : !fetch(log))
		return false;
	CHECK_FOR_INTERRUPTS();
	stored = (struct varlena *) DatumGetPointer(value(log, COLUMN_UPDATE));
	update = PG_DETOAST_DATUM_PACKED(PointerGetDatum(stored));
	if (update != stored)
		log->detoasted = update;
	*row = (StoreLogView){DatumGetInt64(value(log, COLUMN_SEQ_FROM)),
						  DatumGetInt64(value(log, COLUMN_SEQ)), bridge_view(update)};
	log->next++;
	return true;
}

void
store_log_end(StoreLog *log)
{
	forget_row(log);
	if (log->table == NULL)
	{
		if (log->rows != NULL)
			SPI_freetuptable(log->rows);
		SPI_cursor_close(log->cursor);
	}
	else
	{
		index_endscan(log->scan);
		ExecDropSingleTupleTableSlot(log->slot);
		if (log->has_snapshot)
			PopActiveSnapshot();
		index_close(log->index, NoLock);
		table_close(log->table, NoLock);
	}
	pfree(log);
}
