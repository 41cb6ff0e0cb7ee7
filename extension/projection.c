/*
 * projection.c: tables that follow stored documents (projection.h; schema/project.sql creates them).
 *
 *     UPDATE ydoc_data.document, by whoever writes
 *       └─ trigger … FROM app.card, whose function is SECURITY DEFINER and of app.card's owner:
 *            ydoc.projection_changed() notes the document's name
 *     COMMIT
 *       └─ as that owner: INSERT INTO app.card … ON CONFLICT DO UPDATE, or DELETE
 *
 * Rights.  What a trigger says is done with the rights of its function's owner, which is what SECURITY
 * DEFINER means; here too, at the end, and only while he owns the table that is written.  So the
 * table's triggers run with the rights of who owns it, nobody else's, now or later, and who cannot act
 * as the owner of a table cannot have it written.  All that is known of a projection stands in the
 * catalog, in its triggers: nothing is trusted that somebody could write into a table.
 *
 * Order.  The document's row is locked until the transaction ends, so nobody else brings up the same
 * row with another state of it.
 */
#include "projection.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_collation_d.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "bridge.h"
#include "projection_write.h"
#include "store.h"

/* A table's trigger may edit documents, which tables follow, whose triggers edit documents ... */
#define ROUNDS_MAX 100

/* ---- what a projection is ---- */

static Projection *projections = NULL; /* those with news; in the transaction's memory */
static int rounds = 0; /* of writing, in this transaction */

static bool
is_projection(const Trigger *trigger)
{
	return !trigger->tgisinternal && OidIsValid(trigger->tgconstrrelid) &&
		   trigger->tgnargs == PROJECTION_ARGUMENT_COUNT &&
		   (strcmp(trigger->tgargs[PROJECTION_ON_ERROR], "record") == 0 ||
			strcmp(trigger->tgargs[PROJECTION_ON_ERROR], "raise") == 0);
}

/* The owner of a trigger's function, if that lends his rights. */
static Oid
definer_of(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid owner = InvalidOid;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	if (((Form_pg_proc) GETSTRUCT(tuple))->prosecdef)
		owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

static Projection *
projection_new(const Trigger *trigger)
{
	Projection *projection = palloc0(sizeof(Projection));

	projection->function = trigger->tgfoid;
	projection->target = trigger->tgconstrrelid;
	for (int i = 0; i < PROJECTION_ARGUMENT_COUNT; i++)
		projection->arguments[i] = pstrdup(trigger->tgargs[i]);
	return projection;
}

static bool
follows(const Projection *projection, const char *name)
{
	return DatumGetBool(
		DirectFunctionCall2Coll(textlike, C_COLLATION_OID, CStringGetTextDatum(name),
								CStringGetTextDatum(projection->arguments[PROJECTION_DOCUMENTS])));
}

/* ---- hearing of changes ---- */

static void
note_name(Projection *projection, const char *name, const char *new_name)
{
	SubTransactionId id = GetCurrentSubTransactionId();

	if (projection->count > 0)
	{
		NotedName *last = &projection->names[projection->count - 1];

		/* many updates of one document are one entry */
		if (last->noted_in == id && last->new_name == NULL && new_name == NULL &&
			strcmp(last->name, name) == 0)
			return;
	}
	if (projection->count == projection->capacity)
	{
		projection->capacity = Max(2 * projection->capacity, 8);
		projection->names =
			projection->names == NULL
				? palloc(projection->capacity * sizeof(NotedName))
				: repalloc_huge(projection->names, projection->capacity * sizeof(NotedName));
	}
	projection->names[projection->count++] =
		(NotedName){pstrdup(name), new_name == NULL ? NULL : pstrdup(new_name), id};
}

static Projection *
find_noted(const Trigger *trigger)
{
	for (Projection *projection = projections; projection != NULL; projection = projection->next)
		if (projection->function == trigger->tgfoid && projection->target == trigger->tgconstrrelid)
			return projection;
	return NULL;
}

/* old_name, name: of the row before and after; NULL: there was or is none. */
static void
note_change(const Trigger *trigger, const char *old_name, const char *name)
{
	MemoryContext old_context = MemoryContextSwitchTo(TopTransactionContext);
	Projection *projection = find_noted(trigger);

	if (projection == NULL)
	{
		projection = projection_new(trigger);
		projection->next = projections;
		projections = projection;
	}
	if (name != NULL && !follows(projection, name))
		name = NULL; /* renamed to what the table does not follow */
	if (old_name != NULL && name != NULL && strcmp(old_name, name) == 0)
		old_name = NULL;
	if (old_name != NULL && follows(projection, old_name))
		note_name(projection, old_name, name);
	if (name != NULL)
		note_name(projection, name, NULL);
	MemoryContextSwitchTo(old_context);
}

static const Trigger *
find_trigger(Relation table, const char *name)
{
	for (int i = 0; table->trigdesc != NULL && i < table->trigdesc->numtriggers; i++)
		if (strcmp(table->trigdesc->triggers[i].tgname, name) == 0)
			return &table->trigdesc->triggers[i];
	return NULL;
}

/* Called by the triggers' function, as its owner. */
PG_FUNCTION_INFO_V1(ydoc_projection_changed);
Datum
ydoc_projection_changed(PG_FUNCTION_ARGS)
{
	const char *name;
	Relation table;
	const Trigger *trigger;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_VOID();
	name = NameStr(*PG_GETARG_NAME(1));
	table = table_open(PG_GETARG_OID(0), AccessShareLock);
	trigger = find_trigger(table, name);
	if (trigger == NULL || !is_projection(trigger) || definer_of(trigger->tgfoid) != GetUserId())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("trigger \"%s\" of table \"%s\" is no projection of yours", name,
							   RelationGetRelationName(table)),
						errdetail("Only the trigger's function, which is SECURITY DEFINER, may say "
								  "that documents have changed."),
						errhint("ydoc.refresh_projection brings a table up to date.")));
	note_change(trigger, PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)),
				PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)));
	table_close(table, AccessShareLock);
	PG_RETURN_VOID();
}

/* ---- at the end of a transaction ---- */

bool
projection_is_pending(void)
{
	for (Projection *projection = projections; projection != NULL; projection = projection->next)
		if (projection->count > 0)
			return true;
	return false;
}

/* The settings of the triggers' function, such as its time zone. */
static void
take_settings(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool null = true;
	Datum settings;

	if (!HeapTupleIsValid(tuple))
		return;
	settings = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &null);
	if (!null)
		ProcessGUCArray(DatumGetArrayTypePCopy(settings), superuser() ? PGC_SUSET : PGC_USERSET,
						PGC_S_SESSION, GUC_ACTION_SAVE);
	ReleaseSysCache(tuple);
}

static void
write_at_end(const Projection *projection)
{
	Oid owner = definer_of(projection->function);
	char **names;
	Deputy former;

	if (!OidIsValid(owner) ||
		!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(projection->target)) ||
		projection->count == 0)
		return; /* dropped in the meantime, or all of it rolled back */
	projection_put_nothing_off();
	deputy_begin(&former, owner);
	take_settings(projection->function);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	store_open();
	names = palloc(sizeof(char *) * projection->count);
	for (int i = 0; i < projection->count; i++)
		names[i] = projection->names[i].name;
	projection_write_rows(projection, names, projection_sort_names(names, projection->count));
	store_close();
	PopActiveSnapshot();
	deputy_end(&former);
}

void
projection_write(void)
{
	if (projections == NULL)
		return;
	if (++rounds > ROUNDS_MAX)
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("tables that follow documents do not come to rest"),
			 errdetail("Their triggers edited documents %d times in turn.", ROUNDS_MAX),
			 errhint("A trigger that edits the document that its row follows must leave it alone "
					 "when it says the same.")));
	while (projections != NULL)
	{
		Projection *projection = projections;

		projections = projection->next;
		write_at_end(projection);
	}
}

static void
at_transaction_end(XactEvent event, void *argument)
{
	if (event != XACT_EVENT_ABORT && event != XACT_EVENT_COMMIT && event != XACT_EVENT_PREPARE)
		return;
	projections = NULL;
	rounds = 0;
}

/* What rolls back was no change, and its lock is gone: somebody else may be at the document now. */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
					  void *argument)
{
	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (Projection *projection = projections; projection != NULL; projection = projection->next)
	{
		int kept = 0;

		for (int i = 0; i < projection->count; i++)
		{
			NotedName noted = projection->names[i];

			if (noted.noted_in == id && event == SUBXACT_EVENT_ABORT_SUB)
				continue;
			if (noted.noted_in == id)
				noted.noted_in = parent;
			projection->names[kept++] = noted;
		}
		projection->count = kept;
	}
}

void
projection_register(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}

/* ---- on request ---- */

/* The projection into the table; an error if there is none. */
static Projection *
projection_into(Oid target)
{
	Relation table = table_open(store_oid(), AccessShareLock);
	Projection *projection = NULL;

	for (int i = 0; table->trigdesc != NULL && i < table->trigdesc->numtriggers; i++)
		if (table->trigdesc->triggers[i].tgconstrrelid == target &&
			is_projection(&table->trigdesc->triggers[i]))
			projection = projection_new(&table->trigdesc->triggers[i]);
	table_close(table, AccessShareLock);
	if (projection == NULL)
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("table %s follows no documents",
					DatumGetCString(DirectFunctionCall1(regclassout, ObjectIdGetDatum(target)))),
			 errhint("ydoc.create_projection makes it do so; ydoc.projections() lists those "
					 "that do.")));
	return projection;
}

/* Locks the documents, with the caller's rights, in the order that everybody keeps. */
static char **
lock_documents(const Projection *projection, Datum pattern, int *count)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, TEXTOID};
	Datum values[] = {CStringGetTextDatum(projection->arguments[PROJECTION_DOCUMENTS]), pattern};
	char **names;

	store_prepare(&plan,
				  "SELECT d.name FROM ydoc_data.document d WHERE d.name LIKE $1 AND d.name LIKE $2"
				  " ORDER BY d.name COLLATE \"C\" FOR NO KEY UPDATE",
				  2, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not lock the documents' rows");
	*count = (int) SPI_processed;
	names = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(char *) * Max(*count, 1));
	for (int row = 0; row < *count; row++)
		names[row] = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
	SPI_freetuptable(SPI_tuptable);
	return names;
}

/* The names, and of the keys those that no document has: their rows are to go.  A document that came
 * since the others were locked brings up its own. */
static char **
add_orphans(char **names, int *count, char **keys, int key_count)
{
	char **all =
		MemoryContextAllocHuge(CurrentMemoryContext, sizeof(char *) * (*count + key_count + 1));
	int all_count = *count;
	StoreHead head;

	if (*count > 0)
		memcpy(all, names, sizeof(char *) * *count);
	for (int i = 0; i < key_count; i++)
		if (!store_read_head(keys[i], &head))
			all[all_count++] = keys[i];
	*count = projection_sort_names(all, all_count);
	return all;
}

PG_FUNCTION_INFO_V1(ydoc_refresh_projection);
Datum
ydoc_refresh_projection(PG_FUNCTION_ARGS)
{
	Datum pattern = PointerGetDatum(PG_GETARG_TEXT_PP(1));
	Projection *projection;
	Oid owner;
	char **names = NULL;
	char **keys;
	int count = 0;
	int document_count = 0;
	int key_count;
	StoreHead head;
	Deputy former;

	store_open();
	projection = projection_into(PG_GETARG_OID(0));
	owner = definer_of(projection->function);
	if (!OidIsValid(owner) || !has_privs_of_role(GetUserId(), owner))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be owner of table %s", get_rel_name(projection->target))));
	if (VARSIZE_ANY_EXHDR(DatumGetPointer(pattern)) > 0) /* which no document matches */
		names = lock_documents(projection, pattern, &count);
	projection_put_nothing_off();
	deputy_begin(&former, owner);
	take_settings(projection->function);
	projection_check(projection);
	keys = projection_keys(projection, pattern, &key_count);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot()); /* of after the locking */
	for (int i = 0; i < count; i++)
		document_count += store_read_head(names[i], &head);
	names = add_orphans(names, &count, keys, key_count);
	projection_write_rows(projection, names, count);
	PopActiveSnapshot();
	deputy_end(&former);
	store_close();
	PG_RETURN_INT64(document_count);
}

PG_FUNCTION_INFO_V1(ydoc_projections);
Datum
ydoc_projections(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Relation table;

	bridge_materialize(fcinfo);
	if (!OidIsValid(store_oid()))
		return (Datum) 0;
	table = table_open(store_oid(), AccessShareLock);
	for (int i = 0; table->trigdesc != NULL && i < table->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &table->trigdesc->triggers[i];
		char **arguments = trigger->tgargs;
		Oid owner = is_projection(trigger) ? definer_of(trigger->tgfoid) : InvalidOid;
		Datum values[7];
		bool nulls[7] = {false};

		if (!OidIsValid(owner) || !TRIGGER_FOR_INSERT(trigger->tgtype))
			continue;
		values[0] = ObjectIdGetDatum(trigger->tgconstrrelid);
		values[1] = CStringGetTextDatum(arguments[PROJECTION_DOCUMENTS]);
		values[2] = DirectFunctionCall1(jsonb_in, CStringGetDatum(arguments[PROJECTION_COLUMNS]));
		values[3] = DirectFunctionCall1(namein, CStringGetDatum(arguments[PROJECTION_KEY]));
		values[4] = CStringGetTextDatum(arguments[PROJECTION_ON_ERROR]);
		values[5] = ObjectIdGetDatum(owner);
		values[6] = BoolGetDatum(trigger->tgenabled != TRIGGER_DISABLED);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	table_close(table, AccessShareLock);
	return (Datum) 0;
}
