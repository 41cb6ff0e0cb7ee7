/*
 * batch_rows.c: the rows of a batch's documents and of the log (batch.h).
 *
 * Here: in which order they are made, locked and changed, and the statements that do it where table access is
 * not right.  Not here: table access (store_rows.c), what is written (batch_apply.c).
 */
#include "batch.h"

#include "catalog/pg_type_d.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "store_triggers.h"

/* ---- arrays for SPI ---- */

static ArrayType *
array_of(Datum *values, bool *nulls, int count, Oid type)
{
	int dimensions[] = {count};
	int lower_bounds[] = {1};
	bool is_int64 = type == INT8OID;

	return construct_md_array(values, nulls, 1, dimensions, lower_bounds, type,
							  is_int64 ? sizeof(int64) : -1, is_int64 ? FLOAT8PASSBYVAL : false,
							  is_int64 ? TYPALIGN_DOUBLE : TYPALIGN_INT);
}

static ArrayType *
array_of_names(const Batch *batch)
{
	Datum *values = palloc(sizeof(Datum) * batch->document_count);

	for (int i = 0; i < batch->document_count; i++)
		values[i] = CStringGetTextDatum(batch->documents[i].name);
	return array_of(values, NULL, batch->document_count, TEXTOID);
}

/* ---- the documents' rows ---- */

/* By a statement; names in the order of the documents. */
static void
find_by_statement(Batch *batch)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTARRAYOID};
	Datum values[] = {PointerGetDatum(array_of_names(batch))};
	int next = 0;

	store_prepare(&plan,
				  "SELECT d.name FROM ydoc_data.document d WHERE d.name = ANY ($1)"
				  " ORDER BY d.name COLLATE \"C\"",
				  1, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for the documents' rows");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		char *name = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);

		while (next < batch->document_count && strcmp(batch->documents[next].name, name) != 0)
			batch->documents[next++].is_there = false;
		if (next < batch->document_count)
			batch->documents[next++].is_there = true;
	}
	while (next < batch->document_count)
		batch->documents[next++].is_there = false;
	SPI_freetuptable(SPI_tuptable);
}

/* How many rows there are, of those that others, or statements of ours, have made so far. */
static int
find_rows(Batch *batch)
{
	int found = 0;

	batch_close_rows(batch);
	batch->rows = store_rows_open();
	if (batch->rows == NULL)
		find_by_statement(batch);
	for (int i = 0; i < batch->document_count; i++)
	{
		BatchDocument *document = &batch->documents[i];

		if (batch->rows != NULL)
			document->is_there = store_rows_find(batch->rows, document->name, &document->place);
		found += document->is_there;
	}
	return found;
}

/* To send what cannot be taken makes no document. */
static void
drop_documents_not_begun(Batch *batch)
{
	int kept = 0;

	for (int i = 0; i < batch->document_count; i++)
		if (batch->documents[i].is_there || batch_begins_document(&batch->documents[i]))
			batch->documents[kept++] = batch->documents[i];
	batch->document_count = kept;
}

/* Makes the rows that are missing, in the order of names, before any is locked: whoever waits here
 * for another's new row holds nothing that the other could wait for. */
static void
create_rows(const Batch *batch)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTARRAYOID};
	Datum values[] = {PointerGetDatum(array_of_names(batch))};

	store_prepare(&plan,
				  "INSERT INTO ydoc_data.document (name)"
				  " SELECT n.name FROM pg_catalog.unnest($1) WITH ORDINALITY AS n (name, ordinal)"
				  " WHERE NOT EXISTS (SELECT FROM ydoc_data.document d WHERE d.name = n.name)"
				  " ORDER BY n.ordinal ON CONFLICT (name) DO NOTHING",
				  1, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not create the documents' rows");
}

/* By a statement; how many there were. */
static int
lock_by_statement(Batch *batch)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTARRAYOID};
	Datum values[] = {PointerGetDatum(array_of_names(batch))};
	int found;

	store_prepare(&plan,
				  "SELECT " STORE_HEAD_COLUMNS " FROM ydoc_data.document d"
				  " WHERE d.name = ANY ($1) ORDER BY d.name COLLATE \"C\" FOR NO KEY UPDATE",
				  1, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not lock the documents' rows");
	found = (int) SPI_processed;
	for (int i = 0; found == batch->document_count && i < found; i++)
		store_head_of_row(batch->documents[i].name, i, &batch->documents[i].head);
	SPI_freetuptable(SPI_tuptable);
	return found;
}

static int
lock_rows(Batch *batch)
{
	int found = 0;

	if (batch->rows == NULL)
		return lock_by_statement(batch);
	for (int i = 0; i < batch->document_count; i++)
	{
		BatchDocument *document = &batch->documents[i];

		found += store_rows_lock(batch->rows, document->name, &document->place, &document->head,
								 &document->row);
	}
	return found;
}

/* More than once, for those that are being renamed (store.h).  Who may write documents, but not make
 * them, needs all of them to be there. */
void
batch_lock_rows(Batch *batch)
{
	int found = find_rows(batch);

	if (found < batch->document_count)
		drop_documents_not_begun(batch);
	if (found < batch->document_count)
		create_rows(batch);
	for (int attempt = 0; attempt < STORE_LOCK_ATTEMPTS; attempt++)
	{
		if (found < batch->document_count)
			found = find_rows(batch);
		if (found == batch->document_count)
			found = lock_rows(batch);
		if (found == batch->document_count)
			return;
	}
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("%d of %d documents may not be written", batch->document_count - found,
						   batch->document_count),
					errdetail("A policy of table ydoc_data.document hides their rows, or they were "
							  "deleted just now.")));
}
/* ---- writing ---- */

static void
update_by_statement(const Batch *batch)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID};
	Datum *columns[4];
	Datum values[4];
	int count = 0;

	for (int column = 0; column < 4; column++)
		columns[column] = palloc(sizeof(Datum) * batch->document_count);
	for (int i = 0; i < batch->document_count; i++)
	{
		const BatchDocument *document = &batch->documents[i];

		if (document->log_rows == 0)
			continue;
		columns[0][count] = CStringGetTextDatum(document->name);
		columns[1][count] = Int64GetDatum(document->head.seq);
		columns[2][count] = Int64GetDatum(document->log_rows);
		columns[3][count] = Int64GetDatum(document->log_bytes);
		count++;
	}
	store_prepare(
		&plan,
		"UPDATE ydoc_data.document d SET seq = n.seq, tail_rows = d.tail_rows + n.rows,"
		" tail_bytes = d.tail_bytes + n.bytes"
		" FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),"
		" pg_catalog.unnest($4)) AS n (name, seq, rows, bytes)"
		" WHERE d.name = n.name",
		4, types);
	for (int column = 0; column < 4; column++)
		values[column] = PointerGetDatum(
			array_of(columns[column], NULL, count, column == 0 ? TEXTOID : INT8OID));
	if (store_triggers_execute(plan, values) != SPI_OK_UPDATE)
		elog(ERROR, "could not update the documents' rows");
	if (SPI_processed != (uint64) count)
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("%d of %d documents may not be written", count - (int) SPI_processed, count),
			 errdetail("A policy or trigger of table ydoc_data.document keeps their rows "
					   "as they are.")));
}

static void
append_by_statement(const Batch *batch)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTARRAYOID,  INT8ARRAYOID, INT8ARRAYOID,
				   BYTEAARRAYOID, TEXTARRAYOID, TEXTARRAYOID};
	Oid element_types[] = {TEXTOID, INT8OID, INT8OID, BYTEAOID, TEXTOID, TEXTOID};
	Datum *columns[6];
	bool *no_actor = palloc(sizeof(bool) * batch->log_row_count);
	bool *no_source = palloc(sizeof(bool) * batch->log_row_count);
	bool *nulls[] = {NULL, NULL, NULL, NULL, no_actor, no_source};
	Datum values[6];

	for (int column = 0; column < 6; column++)
		columns[column] = palloc(sizeof(Datum) * batch->log_row_count);
	for (int i = 0; i < batch->log_row_count; i++)
	{
		const StoreLogRow *row = &batch->log_rows[i];

		columns[0][i] = CStringGetTextDatum(row->document);
		columns[1][i] = Int64GetDatum(row->seq_from);
		columns[2][i] = Int64GetDatum(row->seq);
		columns[3][i] = PointerGetDatum(row->update);
		columns[4][i] = PointerGetDatum(row->actor);
		no_actor[i] = row->actor == NULL;
		columns[5][i] = PointerGetDatum(row->source);
		no_source[i] = row->source == NULL;
	}
	store_prepare(&plan,
				  "INSERT INTO ydoc_data.log (document, seq_from, seq, update, actor, source)"
				  " SELECT n.* FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2),"
				  " pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5),"
				  " pg_catalog.unnest($6)) AS n",
				  6, types);
	for (int column = 0; column < 6; column++)
		values[column] = PointerGetDatum(
			array_of(columns[column], nulls[column], batch->log_row_count, element_types[column]));
	if (store_triggers_execute(plan, values) != SPI_OK_INSERT ||
		SPI_processed != (uint64) batch->log_row_count)
		elog(ERROR, "the log took " UINT64_FORMAT " of %d rows", SPI_processed,
			 batch->log_row_count);
}

static void
write_by_statements(const Batch *batch)
{
	EState *held = store_triggers_hold();

	update_by_statement(batch);
	append_by_statement(batch);
	store_triggers_fire(held);
}

void
batch_write_rows(Batch *batch)
{
	if (batch->rows == NULL)
	{
		write_by_statements(batch);
		return;
	}
	for (int i = 0; i < batch->document_count; i++)
	{
		const BatchDocument *document = &batch->documents[i];

		if (document->log_rows > 0)
			store_rows_update(batch->rows, document->row, &document->head, document->log_rows,
							  document->log_bytes);
	}
	store_rows_append(batch->rows, batch->log_rows, batch->log_row_count);
	batch_close_rows(batch);
}

void
batch_close_rows(Batch *batch)
{
	if (batch->rows != NULL)
		store_rows_close(batch->rows);
	batch->rows = NULL;
}
