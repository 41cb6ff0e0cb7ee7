/*
 * store_gone.c: why a document is not there (store_gone.h).
 */
#include "store_gone.h"

#include "catalog/pg_type_d.h"
#include "utils/builtins.h"

static const char gone_sql[] =
	"SELECT pg_catalog.to_char(d.deleted_at, 'YYYY-MM-DD HH24:MI:SSTZH:TZM')"
	"    || coalesce(' by \"' || d.deleted_by || '\"', ''),"
	"  d.moved_to IS NOT NULL, d.buried >= d.epoch, d.buried"
	" FROM ydoc_data.document d WHERE d.name = $1";

enum
{
	COLUMN_WHEN_AND_WHO = 1,
	COLUMN_IS_MOVED,
	COLUMN_IS_PURGED,
	COLUMN_BURIED
};

/* From one renaming to the next, as long as what has the name is still the same document. */
static const char moved_to_sql[] =
	"WITH RECURSIVE way (name, epoch, moved_to, steps) AS ("
	"  SELECT d.name, d.buried, d.moved_to, 0 FROM ydoc_data.document d WHERE d.name = $1"
	"  UNION ALL"
	"  SELECT d.name, d.buried, d.moved_to, w.steps + 1"
	"  FROM way w JOIN ydoc_data.document d ON d.name = w.moved_to AND d.epoch = w.epoch"
	"  WHERE w.steps < 1000)"
	" SELECT w.name FROM way w WHERE w.moved_to IS NULL AND w.steps > 0";

static Datum
get(int column, bool *null)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, null);
}

static bool
get_bool(int column)
{
	bool null;
	Datum value = get(column, &null);

	return !null && DatumGetBool(value);
}

static char *
get_text(int column)
{
	bool null;
	Datum value = get(column, &null);

	return null ? NULL : TextDatumGetCString(value);
}

static StoreGone
describe_moved(const char *name, const char *when_and_who, const char *now_called)
{
	if (now_called == NULL)
		return (StoreGone){
			ERRCODE_DOCUMENT_DELETED, psprintf("document \"%s\" is gone", name),
			psprintf("It was renamed at %s; its present name is not known.", when_and_who), NULL};
	/* the relay takes the new name from between the last quotes */
	return (StoreGone){ERRCODE_DOCUMENT_MOVED,
					   psprintf("document \"%s\" has moved to \"%s\"", name, now_called),
					   psprintf("It was renamed at %s.", when_and_who), NULL};
}

static StoreGone
describe_deleted(const char *name, const char *when_and_who, bool is_purged)
{
	return (StoreGone){ERRCODE_DOCUMENT_DELETED,
					   psprintf("document \"%s\" was deleted at %s", name, when_and_who),
					   is_purged ? "Its content was removed for good." : NULL,
					   is_purged ? "ydoc.create makes another document of that name."
								 : "ydoc.undelete brings it back."};
}

char *
store_moved_to(const char *name, bool for_writing)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(name)};
	char *now_called;

	store_prepare(&plan, moved_to_sql, 1, types);
	if (SPI_execute_plan(plan, values, NULL, !for_writing, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the rows that a document has left");
	if (SPI_processed == 0)
		return NULL;
	now_called = get_text(1);
	SPI_freetuptable(SPI_tuptable);
	return now_called;
}

bool
store_gone(const char *name, int64 known_epoch, bool for_writing, StoreGone *gone)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(name)};
	const char *when_and_who;
	bool is_moved, is_purged, never_buried;
	int64 buried;

	store_prepare(&plan, gone_sql, 1, types);
	if (SPI_execute_plan(plan, values, NULL, !for_writing, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a document's row");
	if (SPI_processed == 0)
		return false;
	when_and_who = get_text(COLUMN_WHEN_AND_WHO);
	is_moved = get_bool(COLUMN_IS_MOVED);
	is_purged = get_bool(COLUMN_IS_PURGED);
	buried = DatumGetInt64(get(COLUMN_BURIED, &never_buried));
	SPI_freetuptable(SPI_tuptable);
	if (is_moved)
		*gone = describe_moved(name, when_and_who, store_moved_to(name, for_writing));
	else if (when_and_who != NULL)
		*gone = describe_deleted(name, when_and_who, is_purged);
	else if (!never_buried && store_epoch_is_buried(store_oid(), known_epoch, buried))
		*gone = (StoreGone){ERRCODE_DOCUMENT_DELETED, psprintf("document \"%s\" is gone", name),
							"Another document has its name.", NULL};
	else
		return false;
	return true;
}

void
store_gone_report(const StoreGone *gone)
{
	ereport(ERROR, (errcode(gone->sqlstate), errmsg("%s", gone->message),
					gone->detail != NULL ? errdetail("%s", gone->detail) : 0,
					gone->hint != NULL ? errhint("%s", gone->hint) : 0));
}

void
store_report_gone(const char *name, int64 known_epoch, bool for_writing)
{
	StoreGone gone;

	if (store_gone(name, known_epoch, for_writing, &gone))
		store_gone_report(&gone);
}
