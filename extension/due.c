/*
 * due.c: the queue of documents for compaction, and the list of those that are none for it (due.h).
 */
#include "due.h"

#include "catalog/pg_type_d.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "pg_ydoc.h"
#include "store.h"

/* ---- thresholds ---- */

int64
due_bytes(int64 state_bytes)
{
	return Max((int64) ydoc_compact_size_kb * 1024, state_bytes / 2);
}

bool
due_is_enough(int64 tail_rows, int64 tail_bytes, int64 state_bytes)
{
	return tail_rows >= ydoc_compact_rows || tail_bytes >= due_bytes(state_bytes);
}

bool
due_is_reached(int64 tail_rows, int64 tail_bytes, int64 more_rows, int64 more_bytes)
{
	int64 rows = ydoc_compact_rows;
	int64 bytes = (int64) ydoc_compact_size_kb * 1024;

	/* at each multiple: a document is asked about again if it was passed over */
	return tail_rows / rows != (tail_rows + more_rows) / rows ||
		   tail_bytes / bytes != (tail_bytes + more_bytes) / bytes;
}

/* ---- the queue ---- */

void
due_add(const char *const *names, int count)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTARRAYOID};
	Datum *elements = palloc(sizeof(Datum) * count);
	Datum values[1];

	if (!OidIsValid(store_table("due")))
		return; /* a store that was not upgraded yet: writing goes on */
	for (int i = 0; i < count; i++)
		elements[i] = CStringGetTextDatum(names[i]);
	values[0] = PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
	store_prepare(&plan,
				  "INSERT INTO ydoc_data.due (document) SELECT * FROM pg_catalog.unnest($1)"
				  " ON CONFLICT (document) DO NOTHING",
				  1, types);
	if (store_execute_as_owner("due", plan, values) != SPI_OK_INSERT)
		elog(ERROR, "could not queue documents for compaction");
}

static bool
is_fenced(const char *name)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(name)};

	store_prepare(&plan, "SELECT FROM ydoc_data.fence f WHERE f.document = $1", 1, types);
	if (SPI_execute_plan(plan, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for a document's fence");
	SPI_freetuptable(SPI_tuptable);
	return SPI_processed > 0;
}

char *
due_take(const char *after)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};

	/* who works on a document has locked its name here, and inserts of others do not wait for that */
	store_prepare(&plan,
				  "SELECT q.document FROM ydoc_data.due q"
				  " WHERE q.at <= pg_catalog.now() AND q.document > $1"
				  " ORDER BY q.document LIMIT 1 FOR UPDATE SKIP LOCKED",
				  1, types);
	for (;;)
	{
		Datum values[] = {CStringGetTextDatum(after)};
		char *name;

		if (SPI_execute_plan(plan, values, NULL, false, 1) != SPI_OK_SELECT)
			elog(ERROR, "could not read the queue for compaction");
		if (SPI_processed == 0)
			return NULL;
		name = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		SPI_freetuptable(SPI_tuptable);
		if (!is_fenced(name))
			return name;
		due_remove(name);
		after = name;
	}
}

void
due_remove(const char *name)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(name)};

	store_prepare(&plan,
				  "DELETE FROM ydoc_data.due WHERE document = (SELECT q.document"
				  " FROM ydoc_data.due q WHERE q.document = $1 FOR UPDATE SKIP LOCKED)",
				  1, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not take a document off the queue for compaction");
}

void
due_postpone(const char *name)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(name)};

	store_prepare(&plan,
				  "UPDATE ydoc_data.due SET at = pg_catalog.now() + INTERVAL '10 minutes'"
				  " WHERE document = (SELECT q.document FROM ydoc_data.due q"
				  " WHERE q.document = $1 FOR UPDATE SKIP LOCKED)",
				  1, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not postpone a document's compaction");
}

/* ---- fences ---- */

const char *
fence_problem(const CrdtError *error)
{
	return error->offset == 0 ? pstrdup(error->message)
							  : psprintf("%s (byte %zu)", error->message, error->offset);
}

void
fence_set(const char *name, int64 seq, const char *problem, int sqlstate)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, INT8OID, TEXTOID, TEXTOID};
	Datum values[] = {CStringGetTextDatum(name), Int64GetDatum(seq), CStringGetTextDatum(problem),
					  CStringGetTextDatum(unpack_sql_state(sqlstate))};

	store_prepare(&plan,
				  "INSERT INTO ydoc_data.fence (document, seq, problem, sqlstate)"
				  " VALUES ($1, $2, $3, $4) ON CONFLICT (document) DO UPDATE"
				  " SET seq = $2, problem = $3, sqlstate = $4, at = DEFAULT",
				  4, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not fence a document");
}

void
fence_note(const char *name, int64 seq, const char *problem)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, INT8OID, TEXTOID, TEXTOID};
	Datum values[] = {CStringGetTextDatum(name), Int64GetDatum(seq), CStringGetTextDatum(problem),
					  CStringGetTextDatum(unpack_sql_state(ERRCODE_DATA_CORRUPTED))};

	if (!OidIsValid(store_table("fence")) || !store_sees_all("log") || !store_sees_all("state"))
		return;
	store_prepare(&plan,
				  "INSERT INTO ydoc_data.fence (document, seq, problem, sqlstate)"
				  " VALUES ($1, $2, $3, $4) ON CONFLICT (document) DO NOTHING",
				  4, types);
	if (store_execute_as_owner("fence", plan, values) != SPI_OK_INSERT)
		elog(ERROR, "could not fence a document");
}

void
fence_remove(const char *name)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(name)};

	store_prepare(&plan, "DELETE FROM ydoc_data.fence WHERE document = $1", 1, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not remove a document's fence");
}
