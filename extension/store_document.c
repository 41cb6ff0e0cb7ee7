/*
 * store_document.c: whole stored documents: made, deleted, brought back, removed for good, renamed.
 *
 *     ydoc.delete      the row says so (store_gone.h); content, log and history stay
 *     ydoc.undelete    takes that back
 *     ydoc.purge       the row is replaced by a bare one: what refers to it goes by the foreign keys,
 *                      also what other pieces or the DBA have added
 *     ydoc.rename      the row takes the new name, what refers to it follows; a bare row stays behind
 *     ydoc.create      over a bare row: the same row, with another epoch
 *
 * Here: these functions.  Not here: what others are told about such documents (store_gone.c), content
 * (batch.c, store_edit.c), copies, import, export (schema/store_document.sql).
 *
 * Each first writes what the transaction has edited so far, so edits that were made before belong to
 * the document as it was called then, and those after it meet what is there now.
 */
#include "postgres.h"

#include "catalog/pg_class_d.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "access.h"
#include "bridge.h"
#include "notify.h"
#include "pg_ydoc.h"
#include "store.h"
#include "store_edit.h"
#include "store_gone.h"
#include "value.h"

/* An epoch is the time in microseconds, but always greater than those that the name has had. */
#define NEW_EPOCH \
	"greatest((EXTRACT(EPOCH FROM pg_catalog.clock_timestamp()) * 1000000)::bigint, $3 + 1)"

/* ---- rows ---- */

static char *
name_argument(FunctionCallInfo fcinfo, int number)
{
	return store_check_name(PG_GETARG_TEXT_PP(number));
}

static void
open_for_change(void)
{
	store_open();
	store_edit_flush();
}

/* A row without content: purged, or moved away. */
static bool
is_bare(const StoreHead *head)
{
	return head->is_deleted && head->buried >= head->row_epoch;
}

/* The row, locked, deleted or not; false: there is none. */
static bool
lock_document(const char *name, StoreHead *head)
{
	for (int attempt = 0; attempt < STORE_LOCK_ATTEMPTS; attempt++)
		if (store_lock_row(name, head))
			return true;
	return false;
}

/* After a statement that should have changed the document's row. */
static void
require_one_row(const char *name)
{
	if (SPI_processed != 1)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("document \"%s\" may not be changed", name),
						errdetail("A policy or trigger of table ydoc_data.document keeps its row "
								  "as it is.")));
}

/* Runs a statement that changes the row of document $1; $2 is the actor, NULL if nobody is named. */
static void
change_row(SPIPlanPtr *plan, const char *sql, const char *name, int64 epoch)
{
	Oid types[] = {TEXTOID, TEXTOID, INT8OID};
	const char *actor = access_actor();
	Datum values[] = {CStringGetTextDatum(name), CStringGetTextDatum(actor), Int64GetDatum(epoch)};
	char nulls[] = {' ', actor[0] != '\0' ? ' ' : 'n', ' '};

	store_prepare(plan, sql, 3, types);
	if (SPI_execute_plan(*plan, values, nulls, false, 0) < 0)
		elog(ERROR, "could not change a document's row");
	require_one_row(name);
}

static void
report_exists(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("document \"%s\" exists already", name),
			 errhint("ydoc.import merges into a document that is there; ydoc.delete and "
					 "ydoc.purge make room for another one.")));
}

/* The name is wanted, but a deleted document still has it. */
static void
report_kept(const char *name)
{
	StoreGone gone;

	if (store_gone(name, 0, true, &gone))
	{
		gone.detail = "Its content is kept, and so is its name.";
		gone.hint = "ydoc.undelete brings it back, ydoc.purge removes it for good.";
		store_gone_report(&gone);
	}
}

static void
report_missing(const char *name)
{
	store_report_gone(name, 0, true);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("there is no document \"%s\"", name)));
}

/* ---- deleting and bringing back ---- */

PG_FUNCTION_INFO_V1(ydoc_store_delete);
Datum
ydoc_store_delete(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	const char *name = name_argument(fcinfo, 0);
	StoreHead head;
	bool deletes;

	open_for_change();
	deletes = lock_document(name, &head) && !head.is_deleted;
	if (deletes)
	{
		change_row(&plan,
				   "UPDATE ydoc_data.document d SET deleted_at = pg_catalog.now(), deleted_by = $2"
				   " WHERE d.name = $1",
				   name, 0);
		notify_changed(name, head.epoch, 0);
	}
	store_close();
	PG_RETURN_BOOL(deletes);
}

PG_FUNCTION_INFO_V1(ydoc_store_undelete);
Datum
ydoc_store_undelete(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	const char *name = name_argument(fcinfo, 0);
	StoreHead head;
	bool undeletes;

	open_for_change();
	if (!lock_document(name, &head) || is_bare(&head))
		report_missing(name);
	undeletes = head.is_deleted;
	if (undeletes)
	{
		change_row(&plan,
				   "UPDATE ydoc_data.document d SET deleted_at = NULL, deleted_by = NULL"
				   " WHERE d.name = $1",
				   name, 0);
		notify_changed(name, head.epoch, head.seq);
	}
	store_close();
	PG_RETURN_BOOL(undeletes);
}

/* ---- bare rows ---- */

/* Columns that a DBA has added, each after this prefix: a bare row takes them over, for row security may
 * ask for them. */
static char *
added_columns(const char *prefix)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {OIDOID, TEXTOID};
	Datum values[] = {ObjectIdGetDatum(store_oid()), CStringGetTextDatum(prefix)};
	bool null;
	Datum columns;

	store_prepare(
		&plan,
		"SELECT pg_catalog.string_agg($2 || pg_catalog.quote_ident(a.attname), ''"
		"                             ORDER BY a.attnum)"
		" FROM pg_catalog.pg_attribute a"
		" WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped"
		"  AND a.attgenerated = '' AND a.attidentity <> 'a'"
		"  AND a.attname <> ALL ('{name, epoch, seq, state_seq, segment_seq, tail_rows, tail_bytes,"
		"    created_at, deleted_at, deleted_by, moved_to, buried}')",
		2, types);
	if (SPI_execute_plan(plan, values, NULL, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read the columns of table ydoc_data.document");
	columns = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	return null ? pstrdup("") : TextDatumGetCString(columns);
}

/* Runs sql, with the parameters $1 name, $2 actor, $3 new name or NULL, $4 epoch. */
static void
insert_bare_row(const char *sql, const char *name, const char *new_name, int64 epoch)
{
	Oid types[] = {TEXTOID, TEXTOID, TEXTOID, INT8OID};
	const char *actor = access_actor();
	Datum values[] = {CStringGetTextDatum(name), CStringGetTextDatum(actor),
					  CStringGetTextDatum(new_name != NULL ? new_name : ""), Int64GetDatum(epoch)};
	char nulls[] = {' ', actor[0] != '\0' ? ' ' : 'n', new_name != NULL ? ' ' : 'n', ' '};

	if (SPI_execute_with_args(sql, 4, types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write a document's row");
	require_one_row(name);
}

static void
delete_row(const char *name)
{
	static SPIPlanPtr plan = NULL;

	change_row(&plan, "DELETE FROM ydoc_data.document d WHERE d.name = $1", name, 0);
}

/* ---- removing for good ---- */

/* Deleting the row takes with it what refers to it, whether the caller can see it or not. */
static void
replace_row(const char *name)
{
	insert_bare_row(
		psprintf("WITH gone AS"
				 " (DELETE FROM ydoc_data.document d WHERE d.name = $1 RETURNING d.*)"
				 " INSERT INTO ydoc_data.document"
				 "  (name, epoch, seq, created_at, deleted_at, deleted_by, buried%s)"
				 " SELECT d.name, d.epoch, d.seq, d.created_at,"
				 "  coalesce(d.deleted_at, pg_catalog.now()),"
				 "  CASE WHEN d.deleted_at IS NULL THEN $2 ELSE d.deleted_by END, d.epoch%s"
				 " FROM gone d",
				 added_columns(", "), added_columns(", d.")),
		name, NULL, 0);
}

PG_FUNCTION_INFO_V1(ydoc_store_purge);
Datum
ydoc_store_purge(PG_FUNCTION_ARGS)
{
	const char *name = name_argument(fcinfo, 0);
	bool forget = PG_GETARG_BOOL(1);
	StoreHead head;
	bool purges;

	open_for_change();
	purges = lock_document(name, &head) && (forget || !is_bare(&head));
	if (purges)
	{
		if (forget)
			delete_row(name);
		else
			replace_row(name);
		if (!head.is_deleted)
			notify_changed(name, head.epoch, 0);
	}
	store_close();
	PG_RETURN_BOOL(purges);
}

/* ---- making ---- */

/* The row, for a document that is new; an error if another one has the name. */
static void
claim_name(const char *name)
{
	static SPIPlanPtr plan = NULL;
	StoreHead head;

	if (store_insert_row(name))
		return;
	if (!lock_document(name, &head))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("document \"%s\" may not be made", name),
						errdetail("A policy of table ydoc_data.document hides the row that has "
								  "this name.")));
	if (!head.is_deleted)
		report_exists(name);
	if (!is_bare(&head))
		report_kept(name);
	change_row(&plan,
			   "UPDATE ydoc_data.document d SET epoch = " NEW_EPOCH ", seq = 0, state_seq = 0,"
			   " segment_seq = 0, tail_rows = 0, tail_bytes = 0, created_at = pg_catalog.now(),"
			   " deleted_at = NULL, deleted_by = NULL, moved_to = NULL"
			   " WHERE d.name = $1",
			   name, head.buried);
}

/* Stores the first content; returns the seq that holds it. */
static int64
apply_content(const char *name, Datum update)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, BYTEAOID, TEXTOID};
	const char *actor = access_actor();
	Datum values[] = {CStringGetTextDatum(name), update, CStringGetTextDatum(actor)};
	char nulls[] = {' ', ' ', actor[0] != '\0' ? ' ' : 'n'};
	bool null;

	store_prepare(&plan, "SELECT ydoc.apply($1, ARRAY[$2], $3)", 3, types);
	if (SPI_execute_plan(plan, values, nulls, false, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not store the document's content");
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
}

PG_FUNCTION_INFO_V1(ydoc_store_create);
Datum
ydoc_store_create(PG_FUNCTION_ARGS)
{
	const char *name;
	bytea *update;
	int64 seq;

	/* a document that is not made without a word would be missed too late */
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("a document's name and content must not be null"),
						errdetail("Nothing was stored."),
						errhint("Without a second argument the document is empty.")));
	name = name_argument(fcinfo, 0);
	update = bridge_bytea(ydoc_value_update_of_arg(fcinfo, 1));
	open_for_change();
	claim_name(name);
	seq = apply_content(name, PointerGetDatum(update));
	store_close();
	PG_RETURN_INT64(seq);
}

/* ---- renaming ---- */

/* Locks the rows that there are of two names, in the order of names.  False: there is none of the first. */
static bool
try_to_lock_two(const char *name, const char *other, StoreHead *head, StoreHead *other_head,
				bool *other_exists)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, TEXTOID};
	Datum values[] = {CStringGetTextDatum(name), CStringGetTextDatum(other)};
	bool exists = false;

	*other_exists = false;
	store_prepare(&plan,
				  "SELECT " STORE_HEAD_COLUMNS ", d.name = $1"
				  " FROM ydoc_data.document d"
				  " WHERE d.name IN ($1, $2) ORDER BY d.name COLLATE \"C\" FOR UPDATE",
				  2, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not lock two documents' rows");
	for (int i = 0; i < (int) SPI_processed; i++)
	{
		bool null;
		bool is_first = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
												   STORE_HEAD_COLUMN_COUNT + 1, &null));

		*(is_first ? &exists : other_exists) = true;
		store_head_of_row(is_first ? name : other, i, is_first ? head : other_head);
	}
	SPI_freetuptable(SPI_tuptable);
	return exists;
}

/* A document that is there, and what row there is of another name, locked. */
static void
lock_two(const char *name, const char *other, StoreHead *head, StoreHead *other_head,
		 bool *other_exists)
{
	for (int attempt = 0; attempt < STORE_LOCK_ATTEMPTS; attempt++)
		if (try_to_lock_two(name, other, head, other_head, other_exists))
		{
			if (head->is_deleted)
				break;
			return;
		}
	report_missing(name);
}

/* Before PostgreSQL 15, a row that moves to another partition is deleted for what refers to it. */
static void
require_rows_that_move(void)
{
#if PG_VERSION_NUM < 150000
	if (get_rel_relkind(store_oid()) == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("documents of a partitioned store cannot be renamed before "
							   "PostgreSQL 15")));
#endif
}

/* Somebody who was not to be seen yet has made or renamed another document of that name meanwhile: the
 * index knows first. */
static void
execute_move(SPIPlanPtr plan, Datum *values, const char *new_name)
{
	MemoryContext context = CurrentMemoryContext;
	Oid key = InvalidOid;
	const char *key_name;

	(void) get_primary_key_attnos(store_oid(), false, &key);
	key_name = OidIsValid(key) ? get_constraint_name(key) : "";
	PG_TRY();
	{
		if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_UPDATE_RETURNING)
			elog(ERROR, "could not rename a document's row");
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION || error->constraint_name == NULL ||
			strcmp(error->constraint_name, key_name) != 0)
			PG_RE_THROW();
		FlushErrorState();
		report_exists(new_name);
	}
	PG_END_TRY();
}

/* Gives the row, and with it all that refers to it, the new name.  The epoch stays if it is greater than
 * buried, else it is a new one.  Returns it. */
static int64
move_row(const char *name, const char *new_name, int64 buried)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, TEXTOID, INT8OID};
	Datum values[] = {CStringGetTextDatum(name), CStringGetTextDatum(new_name),
					  Int64GetDatum(buried)};
	bool null;

	store_prepare(&plan,
				  "UPDATE ydoc_data.document d SET name = $2, buried = nullif($3, 0),"
				  " epoch = CASE WHEN d.epoch > $3 THEN d.epoch ELSE " NEW_EPOCH " END"
				  " WHERE d.name = $1 RETURNING d.epoch",
				  3, types);
	execute_move(plan, values, new_name);
	require_one_row(name);
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
}

/* Takes the bare row off the new name.  Returns up to which epoch its documents are gone for good: who
 * comes back is the one that the row speaks of, and goes on with his epoch. */
static int64
clear_name(const char *new_name, const StoreHead *target, const StoreHead *head)
{
	const char *now_called = store_moved_to(new_name, true);
	bool comes_back = target->buried == head->row_epoch && now_called != NULL &&
					  strcmp(now_called, head->name) == 0;

	delete_row(new_name);
	return comes_back ? head->row_epoch - 1 : target->buried;
}

static void
leave_bare_row(const char *name, const char *new_name, int64 epoch)
{
	insert_bare_row(psprintf("INSERT INTO ydoc_data.document"
							 "  (name, epoch, seq, created_at, deleted_at, deleted_by, moved_to,"
							 "   buried%s)"
							 " SELECT $1, $4, d.seq, d.created_at, pg_catalog.now(), $2, $3,"
							 "  d.epoch%s"
							 " FROM ydoc_data.document d WHERE d.name = $3",
							 added_columns(", "), added_columns(", d.")),
					name, new_name, epoch);
}

static int64
rename_document(const char *name, const char *new_name)
{
	StoreHead head, target;
	bool target_exists;
	int64 buried = 0;
	int64 epoch;

	lock_two(name, new_name, &head, &target, &target_exists);
	if (strcmp(name, new_name) == 0 || (target_exists && !target.is_deleted))
		report_exists(new_name);
	if (target_exists && !is_bare(&target))
		report_kept(new_name);
	if (target_exists)
		buried = clear_name(new_name, &target, &head);
	epoch = move_row(name, new_name, buried);
	leave_bare_row(name, new_name, head.row_epoch);
	notify_changed(name, head.epoch, 0);
	notify_changed(new_name, store_epoch(head.store, epoch), head.seq);
	return head.seq;
}

PG_FUNCTION_INFO_V1(ydoc_store_rename);
Datum
ydoc_store_rename(PG_FUNCTION_ARGS)
{
	const char *name = name_argument(fcinfo, 0);
	const char *new_name = name_argument(fcinfo, 1);
	int64 seq;

	require_rows_that_move();
	open_for_change();
	seq = rename_document(name, new_name);
	store_close();
	PG_RETURN_INT64(seq);
}
