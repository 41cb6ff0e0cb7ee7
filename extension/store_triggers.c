/*
 * store_triggers.c: AFTER triggers of documents and log, when updates are written (store_triggers.h).
 *
 * Here: which of them a row can concern, queueing, firing.  Not here: writing rows (store_rows.c,
 * batch_rows.c, store_edit.c).
 */
#include "store_triggers.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#if PG_VERSION_NUM >= 160000
#include "parser/parse_relation.h"
#endif
#include "utils/snapmgr.h"

#define LOG_DOCUMENT_COLUMN 1

/* Rows that are to be written. */
typedef struct Change
{
	Relation table;
	CmdType command;
	bool changes_keys; /* that other tables may refer to */
	Relation locked; /* NULL, or a table whose rows that these refer to are locked */
	AttrNumber locked_key; /* the column of it that is referred to */
} Change;

/* ---- which triggers there are ---- */

bool
store_triggers_permit_rows(Relation table, CmdType command)
{
	const TriggerDesc *has = table->trigdesc;

	if (has == NULL)
		return true;
	if (command == CMD_UPDATE)
		return !has->trig_update_before_row && !has->trig_update_instead_row &&
			   !has->trig_update_before_statement && !has->trig_update_after_statement &&
			   !has->trig_update_old_table && !has->trig_update_new_table;
	return !has->trig_insert_before_row && !has->trig_insert_instead_row &&
		   !has->trig_insert_before_statement && !has->trig_insert_after_statement &&
		   !has->trig_insert_new_table;
}

/* Foreign keys of other tables can only refer to columns of unique indexes. */
static Change
change_of_documents(Relation documents, const Bitmapset *columns)
{
	Bitmapset *keys = RelationGetIndexAttrBitmap(documents, INDEX_ATTR_BITMAP_KEY);
	Change change = {
		.table = documents, .command = CMD_UPDATE, .changes_keys = bms_overlap(keys, columns)};

	bms_free(keys);
	return change;
}

/* The row that the key refers to is there, and stays until the transaction ends. */
static bool
is_key_to_locked(const Change *change, Oid constraint)
{
	ListCell *cell;

	if (change->locked == NULL)
		return false;
	foreach (cell, RelationGetFKeyList(change->table))
	{
		const ForeignKeyCacheInfo *key = lfirst(cell);

		if (key->conoid == constraint)
			return key->confrelid == RelationGetRelid(change->locked) && key->nkeys == 1 &&
				   key->conkey[0] == LOG_DOCUMENT_COLUMN && key->confkey[0] == change->locked_key;
	}
	return false;
}

static bool
is_concerned(const Trigger *trigger, const Change *change)
{
	bool for_command = change->command == CMD_UPDATE ? TRIGGER_FOR_UPDATE(trigger->tgtype)
													 : TRIGGER_FOR_INSERT(trigger->tgtype);

	if (!for_command || trigger->tgenabled == TRIGGER_DISABLED)
		return false;
	if (!trigger->tgisinternal)
		return true;
	switch (RI_FKey_trigger_type(trigger->tgfoid))
	{
		case RI_TRIGGER_PK: return change->changes_keys;
		case RI_TRIGGER_FK: return !is_key_to_locked(change, trigger->tgconstraint);
		default: return true;
	}
}

bool
store_triggers_follow_update(Relation documents, const Bitmapset *columns)
{
	const TriggerDesc *triggers = documents->trigdesc;
	Change change = change_of_documents(documents, columns);

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		if (is_concerned(&triggers->triggers[i], &change))
			return true;
	return false;
}

/* ---- the tables as the executor knows them ---- */

/* The others are not asked for each row.  The list is the target's own. */
static void
keep_concerned(ResultRelInfo *target, const Change *change)
{
	TriggerDesc *triggers = target->ri_TrigDesc;
	int kept = 0;

	if (triggers == NULL)
		return;
	for (int i = 0; i < triggers->numtriggers; i++)
		if (is_concerned(&triggers->triggers[i], change))
			triggers->triggers[kept++] = triggers->triggers[i];
	triggers->numtriggers = kept;
	if (kept == 0)
		target->ri_TrigDesc = NULL;
}

static ResultRelInfo *
new_target(EState *held, const Change *change, int range_table_index)
{
	ResultRelInfo *target;
	MemoryContext old_context = MemoryContextSwitchTo(held->es_query_cxt);

	target = makeNode(ResultRelInfo);
	InitResultRelInfo(target, change->table, range_table_index, NULL, 0);
	keep_concerned(target, change);
	/* here triggers find it when they are fired, and it is closed in the end */
	held->es_opened_result_relations = lappend(held->es_opened_result_relations, target);
	MemoryContextSwitchTo(old_context);
	return target;
}

/* One table, of which these columns are being updated. */
static void
set_range_table(EState *held, Relation table, const Bitmapset *columns)
{
	MemoryContext old_context = MemoryContextSwitchTo(held->es_query_cxt);
	RangeTblEntry *entry = makeNode(RangeTblEntry);
#if PG_VERSION_NUM >= 160000
	List *permissions = NIL;
#endif

	entry->rtekind = RTE_RELATION;
	entry->relid = RelationGetRelid(table);
	entry->relkind = table->rd_rel->relkind;
	entry->rellockmode = RowExclusiveLock;
#if PG_VERSION_NUM >= 160000
	addRTEPermissionInfo(&permissions, entry)->updatedCols = bms_copy(columns);
#else
	entry->updatedCols = bms_copy(columns);
#endif
#if PG_VERSION_NUM >= 180000
	ExecInitRangeTable(held, list_make1(entry), permissions, bms_make_singleton(1));
#elif PG_VERSION_NUM >= 160000
	ExecInitRangeTable(held, list_make1(entry), permissions);
#else
	ExecInitRangeTable(held, list_make1(entry));
#endif
	MemoryContextSwitchTo(old_context);
}

ResultRelInfo *
store_triggers_target_documents(EState *held, Relation documents, const Bitmapset *columns)
{
	Change change = change_of_documents(documents, columns);

	set_range_table(held, documents, columns);
	return new_target(held, &change, 1);
}

ResultRelInfo *
store_triggers_target_log(EState *held, Relation log, Relation documents, AttrNumber name_column)
{
	Change change = {
		.table = log, .command = CMD_INSERT, .locked = documents, .locked_key = name_column};

	return new_target(held, &change, 0);
}

/* ---- queueing and firing ---- */

EState *
store_triggers_hold(void)
{
	AfterTriggerBeginQuery();
	return CreateExecutorState();
}

int
store_triggers_execute(SPIPlanPtr plan, Datum *values)
{
	return SPI_execute_snapshot(plan, values, NULL, InvalidSnapshot, InvalidSnapshot, false, false,
								0);
}

void
store_triggers_updated(EState *held, ResultRelInfo *documents, ItemPointer old_place,
					   TupleTableSlot *slot, List *recheck)
{
#if PG_VERSION_NUM >= 150000
	ExecARUpdateTriggers(held, documents, NULL, NULL, old_place, NULL, slot, recheck, NULL, false);
#else
	ExecARUpdateTriggers(held, documents, old_place, NULL, slot, recheck, NULL);
#endif
	ResetPerTupleExprContext(held);
}

void
store_triggers_inserted(EState *held, ResultRelInfo *log, TupleTableSlot *slot, List *recheck)
{
	ExecARInsertTriggers(held, log, slot, recheck, NULL);
	ResetPerTupleExprContext(held);
}

void
store_triggers_fire(EState *held)
{
	/* as for a statement behind those that wrote the rows */
	CommandCounterIncrement();
	PushCopiedSnapshot(GetTransactionSnapshot());
	UpdateActiveSnapshotCommandId();
	AfterTriggerEndQuery(held);
	PopActiveSnapshot();
	ExecResetTupleTable(held->es_tupleTable, false);
	ExecCloseResultRelations(held);
	FreeExecutorState(held);
}
