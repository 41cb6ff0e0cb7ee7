/*
 * store_rows.c: tables of the store, by PostgreSQL's table and index access (store_rows.h).
 *
 * Here: whether that is right for the tables as they are, looking up, locking, changing and appending
 * rows.  Not here: in which order, and statements that do the same (batch_rows.c); what triggers follow
 * (store_triggers.c).
 */
#include "store_rows.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_collation_d.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "store_triggers.h"

#define LOG_COLUMNS 7 /* and no others, but for one that stays NULL and some that were dropped */
#define SLOTS_MAX 64 /* log rows that are handed over at once */

/* Columns of ydoc_data.document that are read, in the order of StoreHead's. */
static const char *const head_columns[] = {"epoch",     "seq",        "state_seq", "segment_seq",
										   "tail_rows", "tail_bytes", "buried",    "deleted_at"};
static const char *const log_columns[LOG_COLUMNS] = {"document", "seq",   "seq_from", "update",
													 "at",       "actor", "source"};

enum
{
	HEAD_EPOCH,
	HEAD_SEQ,
	HEAD_STATE_SEQ,
	HEAD_SEGMENT_SEQ,
	HEAD_TAIL_ROWS,
	HEAD_TAIL_BYTES,
	HEAD_BURIED,
	HEAD_DELETED_AT,
	HEAD_COLUMNS
};

/* Columns that an appended log row changes. */
static const int written_columns[] = {HEAD_SEQ, HEAD_TAIL_ROWS, HEAD_TAIL_BYTES};

struct StoreRows
{
	Relation documents;
	Relation by_name; /* its primary key */
	Relation log;
	AttrNumber name_column;
	AttrNumber head_columns[HEAD_COLUMNS];
	IndexScanDesc scan;
	BlockNumber block_count; /* of documents; invalid: not asked for */
	bool sees_all; /* of log and stored states, the caller does */
	TupleTableSlot *slot; /* of documents */
	EState *held; /* triggers that follow what was written; NULL: nothing was */
	Bitmapset *written_columns; /* of documents: those that store_rows_update writes */
	bool triggers_follow; /* an update of these */
	ResultRelInfo *target; /* documents; NULL: there was no need yet */
};

/* ---- are the tables as we made them? ---- */

bool
store_rows_are_plain(Relation table, AclMode right)
{
	TupleConstr *constraints = RelationGetDescr(table)->constr;
	Oid oid = RelationGetRelid(table);

	return table->rd_rel->relkind == RELKIND_RELATION && table->rd_rules == NULL &&
		   (constraints == NULL || !constraints->has_generated_stored) &&
		   check_enable_rls(oid, InvalidOid, true) != RLS_ENABLED &&
		   pg_class_aclmask(oid, GetUserId(), right, ACLMASK_ALL) == right;
}

AttrNumber
store_rows_column(Relation table, const char *name)
{
	TupleDesc columns = RelationGetDescr(table);

	for (int i = 0; i < columns->natts; i++)
		if (!TupleDescAttr(columns, i)->attisdropped &&
			strcmp(NameStr(TupleDescAttr(columns, i)->attname), name) == 0)
			return i + 1;
	return InvalidAttrNumber;
}

static bool
stays_null(Form_pg_attribute column)
{
	return column->attisdropped || (strcmp(NameStr(column->attname), "began_at") == 0 &&
									!column->attnotnull && !column->atthasdef);
}

static bool
is_log_plain(const StoreRows *rows)
{
	TupleDesc columns = RelationGetDescr(rows->log);

	if (!store_rows_are_plain(rows->log, ACL_INSERT) || columns->natts < LOG_COLUMNS ||
		columns->constr->num_check > 0 || !store_triggers_permit_rows(rows->log, CMD_INSERT))
		return false;
	for (int i = 0; i < columns->natts; i++)
		if (i < LOG_COLUMNS ? store_rows_column(rows->log, log_columns[i]) != i + 1
							: !stays_null(TupleDescAttr(columns, i)))
			return false;
	return true;
}

/* The columns of a head, and the primary key. */
static bool
find_columns(StoreRows *rows)
{
	rows->name_column = store_rows_column(rows->documents, "name");
	for (int i = 0; i < HEAD_COLUMNS; i++)
	{
		rows->head_columns[i] = store_rows_column(rows->documents, head_columns[i]);
		if (rows->head_columns[i] == InvalidAttrNumber)
			return false;
	}
	/* finds the primary key, too */
	list_free(RelationGetIndexList(rows->documents));
	return OidIsValid(rows->documents->rd_pkindex);
}

static bool
are_documents_plain(StoreRows *rows)
{
	return store_rows_are_plain(rows->documents, ACL_SELECT | ACL_UPDATE) &&
		   store_triggers_permit_rows(rows->documents, CMD_UPDATE) &&
		   RelationGetDescr(rows->documents)->constr->num_check == 1 && /* of its name */
		   find_columns(rows);
}

IndexScanDesc
store_rows_begin_scan(Relation table, Relation index, int keys)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan(table, index, GetActiveSnapshot(), NULL, keys, 0);
#else
	return index_beginscan(table, index, GetActiveSnapshot(), keys, 0);
#endif
}

StoreRows *
store_rows_open(void)
{
	StoreRows *rows;

	if (XactReadOnly || !OidIsValid(store_table("log")))
		return NULL;
	rows = palloc0(sizeof(StoreRows));
	rows->documents = table_open(store_oid(), RowExclusiveLock);
	rows->log = table_open(store_table("log"), RowExclusiveLock);
	if (!are_documents_plain(rows) || !is_log_plain(rows))
	{
		table_close(rows->log, NoLock);
		table_close(rows->documents, NoLock);
		pfree(rows);
		return NULL;
	}
	rows->by_name = index_open(rows->documents->rd_pkindex, RowExclusiveLock);
	rows->slot = table_slot_create(rows->documents, NULL);
	/* as at the beginning of a statement */
	CommandCounterIncrement();
	PushCopiedSnapshot(GetTransactionSnapshot());
	UpdateActiveSnapshotCommandId();
	rows->scan = store_rows_begin_scan(rows->documents, rows->by_name, 1);
	rows->block_count = InvalidBlockNumber;
	rows->sees_all = store_sees_all("log") && store_sees_all("state");
	return rows;
}

void
store_rows_close(StoreRows *rows)
{
	index_endscan(rows->scan);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(rows->slot);
	if (rows->held != NULL)
		store_triggers_fire(rows->held);
	index_close(rows->by_name, NoLock);
	table_close(rows->log, NoLock);
	table_close(rows->documents, NoLock);
	pfree(rows);
	CommandCounterIncrement();
}

/* ---- documents ---- */

/* The row in the slot.  Whoever was waited for may have renamed it; a place may be another's by now. */
static bool
is_called(const StoreRows *rows, const char *name)
{
	bool null;
	const text *found = DatumGetTextPP(slot_getattr(rows->slot, rows->name_column, &null));
	size_t size = VARSIZE_ANY_EXHDR(found);

	return size == strlen(name) && memcmp(VARDATA_ANY(found), name, size) == 0;
}

/* The table may have been written anew since, in another way, and be shorter. */
static bool
is_in_table(StoreRows *rows, const ItemPointerData *root)
{
	if (rows->documents->rd_rel->relam != HEAP_TABLE_AM_OID)
		return false;
	if (rows->block_count == InvalidBlockNumber)
		rows->block_count = RelationGetNumberOfBlocks(rows->documents);
	return ItemPointerGetBlockNumber(root) < rows->block_count;
}

/* The version to be seen of those that may begin there, into the slot. */
static bool
find_in_guessed_place(StoreRows *rows, const char *name, ItemPointer root)
{
	ItemPointerData version;
	bool has_more = false;

	if (!cache_guess_row(name, RelationGetRelid(rows->documents), root))
		return false;
	version = *root; /* the call changes it to the version's */
	return is_in_table(rows, root) &&
		   table_index_fetch_tuple(rows->scan->xs_heapfetch, &version, GetActiveSnapshot(),
								   rows->slot, &has_more, NULL) &&
		   is_called(rows, name);
}

static bool
find_by_index(StoreRows *rows, const char *name, ItemPointer root)
{
	ScanKeyData key;
	ItemPointer found;

	ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID, F_TEXTEQ,
						   CStringGetTextDatum(name));
	index_rescan(rows->scan, &key, 1, NULL, 0);
	while ((found = index_getnext_tid(rows->scan, ForwardScanDirection)) != NULL)
	{
		*root = *found;
		if (index_fetch_heap(rows->scan, rows->slot))
			return true;
	}
	return false;
}

bool
store_rows_find(StoreRows *rows, const char *name, StorePlace *place)
{
	bool found =
		find_in_guessed_place(rows, name, &place->root) || find_by_index(rows, name, &place->root);

	if (found)
		place->version = rows->slot->tts_tid;
	ExecClearTuple(rows->slot);
	return found;
}

static int64
head_value(const StoreRows *rows, int column)
{
	bool null;
	Datum value = slot_getattr(rows->slot, rows->head_columns[column], &null);

	return null ? 0 : DatumGetInt64(value);
}

static void
read_head(const StoreRows *rows, const char *name, StoreHead *head)
{
	int64 epoch = head_value(rows, HEAD_EPOCH);
	Oid store = RelationGetRelid(rows->documents);

	*head =
		(StoreHead){.name = name,
					.store = store,
					.epoch = store_epoch(store, epoch),
					.row_epoch = epoch,
					.seq = head_value(rows, HEAD_SEQ),
					.state_seq = head_value(rows, HEAD_STATE_SEQ),
					.segment_seq = head_value(rows, HEAD_SEGMENT_SEQ),
					.tail_rows = head_value(rows, HEAD_TAIL_ROWS),
					.tail_bytes = head_value(rows, HEAD_TAIL_BYTES),
					.buried = head_value(rows, HEAD_BURIED),
					.is_deleted = !slot_attisnull(rows->slot, rows->head_columns[HEAD_DELETED_AT]),
					.sees_all = rows->sees_all};
}

bool
store_rows_read_head(const char *name, StoreHead *head, bool *found)
{
	StoreRows rows = {.documents = table_open(store_oid(), AccessShareLock)};
	bool is_plain = store_rows_are_plain(rows.documents, ACL_SELECT) && find_columns(&rows);
	ItemPointerData root;

	if (is_plain)
	{
		rows.by_name = index_open(rows.documents->rd_pkindex, AccessShareLock);
		rows.slot = table_slot_create(rows.documents, NULL);
		rows.scan = store_rows_begin_scan(rows.documents, rows.by_name, 1);
		*found = find_by_index(&rows, name, &root);
		if (*found)
			read_head(&rows, name, head);
		index_endscan(rows.scan);
		ExecDropSingleTupleTableSlot(rows.slot);
		index_close(rows.by_name, NoLock);
	}
	table_close(rows.documents, NoLock);
	return is_plain;
}

static void
report_serialization(void)
{
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("could not serialize access due to concurrent update")));
}

/* The newest version of the row, locked, into the slot; false: it is gone. */
static bool
lock_newest(StoreRows *rows, ItemPointer place)
{
	TM_FailureData failure;
	TM_Result result = table_tuple_lock(
		rows->documents, place, GetActiveSnapshot(), rows->slot, GetCurrentCommandId(false),
		LockTupleNoKeyExclusive, LockWaitBlock,
		IsolationUsesXactSnapshot() ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);

	switch (result)
	{
		case TM_Ok: return true;
		case TM_Updated:
		case TM_Deleted:
			if (IsolationUsesXactSnapshot())
				report_serialization();
			return false;
		default: elog(ERROR, "could not lock a document's row: %d", (int) result);
	}
}

bool
store_rows_lock(StoreRows *rows, const char *name, StorePlace *place, StoreHead *head,
				HeapTuple *row)
{
	bool found = lock_newest(rows, &place->version) && is_called(rows, name);

	if (found)
	{
		read_head(rows, name, head);
		head->for_writing = true;
		*row = ExecCopySlotHeapTuple(rows->slot);
	}
	ExecClearTuple(rows->slot);
	return found;
}

/* ---- writing ---- */

/* Before the first row is written. */
static void
hold_triggers(StoreRows *rows)
{
	if (rows->held != NULL)
		return;
	CheckCmdReplicaIdentity(rows->documents, CMD_UPDATE);
	rows->held = store_triggers_hold();
	for (int i = 0; i < lengthof(written_columns); i++)
		rows->written_columns =
			bms_add_member(rows->written_columns, rows->head_columns[written_columns[i]] -
													  FirstLowInvalidHeapAttributeNumber);
	rows->triggers_follow = store_triggers_follow_update(rows->documents, rows->written_columns);
}

/* Returns the indexes whose deferred constraints are to be checked. */
static List *
insert_into_indexes(StoreRows *rows, ResultRelInfo *target, TupleTableSlot *slot, bool is_update,
					bool only_summarizing)
{
	if (target->ri_NumIndices == 0)
		ExecOpenIndices(target, false);
#if PG_VERSION_NUM >= 160000
	return ExecInsertIndexTuples(target, slot, rows->held, is_update, false, NULL, NIL,
								 only_summarizing);
#else
	return ExecInsertIndexTuples(target, slot, rows->held, is_update, false, NULL, NIL);
#endif
}

/* The row is in the slot, and was at the old place: what follows in indexes and triggers. */
static void
follow_update(StoreRows *rows, ItemPointer old_place, bool in_indexes, bool only_summarizing)
{
	List *recheck = NIL;

	if (!in_indexes && !rows->triggers_follow)
		return;
	if (rows->target == NULL)
		rows->target =
			store_triggers_target_documents(rows->held, rows->documents, rows->written_columns);
	if (in_indexes)
		recheck = insert_into_indexes(rows, rows->target, rows->slot, true, only_summarizing);
	store_triggers_updated(rows->held, rows->target, old_place, rows->slot, recheck);
}

void
store_rows_update(StoreRows *rows, HeapTuple row, const StoreHead *head, int64 log_rows,
				  int64 log_bytes)
{
	TupleDesc columns = RelationGetDescr(rows->documents);
	Datum *values = palloc0(sizeof(Datum) * columns->natts);
	bool *nulls = palloc0(sizeof(bool) * columns->natts);
	bool *changes = palloc0(sizeof(bool) * columns->natts);
	const int64 numbers[lengthof(written_columns)] = {head->seq, head->tail_rows + log_rows,
													  head->tail_bytes + log_bytes};
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes in_indexes;
#else
	bool in_indexes;
#endif

	hold_triggers(rows);
	for (int i = 0; i < lengthof(written_columns); i++)
	{
		int column = rows->head_columns[written_columns[i]] - 1;

		values[column] = Int64GetDatum(numbers[i]);
		changes[column] = true;
	}
	ExecForceStoreHeapTuple(heap_modify_tuple(row, columns, values, nulls, changes), rows->slot,
							true);
	simple_table_tuple_update(rows->documents, &row->t_self, rows->slot, GetActiveSnapshot(),
							  &in_indexes);
#if PG_VERSION_NUM >= 160000
	follow_update(rows, &row->t_self, in_indexes != TU_None, in_indexes == TU_Summarizing);
#else
	follow_update(rows, &row->t_self, in_indexes, false);
#endif
	ExecClearTuple(rows->slot);
	pfree(values);
	pfree(nulls);
	pfree(changes);
}

static void
fill_slot(TupleTableSlot *slot, const StoreLogRow *row)
{
	Datum values[LOG_COLUMNS] = {CStringGetTextDatum(row->document),
								 Int64GetDatum(row->seq),
								 Int64GetDatum(row->seq_from),
								 PointerGetDatum(row->update),
								 TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()),
								 PointerGetDatum(row->actor),
								 PointerGetDatum(row->source)};

	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, sizeof(values));
	memset(slot->tts_isnull, false, LOG_COLUMNS * sizeof(bool));
	for (int i = LOG_COLUMNS; i < slot->tts_tupleDescriptor->natts; i++)
		slot->tts_isnull[i] = true;
	slot->tts_isnull[5] = row->actor == NULL;
	slot->tts_isnull[6] = row->source == NULL;
	ExecStoreVirtualTuple(slot);
}

void
store_rows_append(StoreRows *rows, const StoreLogRow *log_rows, int count)
{
	ResultRelInfo *target;
	TupleTableSlot *slots[SLOTS_MAX];
	int slot_count = Min(count, SLOTS_MAX);
	CommandId command = GetCurrentCommandId(true);

	hold_triggers(rows);
	target = store_triggers_target_log(rows->held, rows->log, rows->documents, rows->name_column);
	for (int i = 0; i < slot_count; i++)
		slots[i] = table_slot_create(rows->log, NULL);
	for (int done = 0; done < count; done += slot_count)
	{
		slot_count = Min(slot_count, count - done);
		for (int i = 0; i < slot_count; i++)
			fill_slot(slots[i], &log_rows[done + i]);
		if (slot_count == 1)
			table_tuple_insert(rows->log, slots[0], command, 0, NULL);
		else
			table_multi_insert(rows->log, slots, slot_count, command, 0, NULL);
		for (int i = 0; i < slot_count; i++)
		{
			List *recheck = insert_into_indexes(rows, target, slots[i], false, false);

			store_triggers_inserted(rows->held, target, slots[i], recheck);
		}
	}
	for (int i = 0; i < Min(count, SLOTS_MAX); i++)
		ExecDropSingleTupleTableSlot(slots[i]);
}
