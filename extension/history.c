/*
 * history.c: reading a log from its beginning, and a document as it was (history.h).
 */
#include "history.h"

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "bridge.h"
#include "value.h"

#define ROWS_AT_ONCE 1000

/* ---- walking ---- */

static Datum
get_column(uint64 row, int column, bool *null)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, null);
}

static HistoryRow
get_row(uint64 row)
{
	bool null;
	HistoryRow result = {
		.seq_from = DatumGetInt64(get_column(row, 1, &null)),
		.seq = DatumGetInt64(get_column(row, 2, &null)),
		.update = bridge_view(DatumGetByteaPP(get_column(row, 3, &null))),
		.at = DatumGetTimestampTz(get_column(row, 4, &null)),
	};
	Datum actor = get_column(row, 5, &null);

	if (!null)
		result.actor = DatumGetTextPP(actor);
	return result;
}

static pg_noreturn void
report_gap(const StoreHead *head, int64 seq)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the history of document \"%s\" lacks what follows seq " INT64_FORMAT,
					head->name, seq),
			 errdetail("Rows of table ydoc_data.log were removed, or a policy hides them.")));
}

/* Shows the rows after seq that one statement gives; returns the last one's seq. */
static int64
walk_some(const StoreHead *head, int64 seq, HistoryVisit visit, void *context)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, INT8OID, INT8OID, INT4OID};
	Datum values[] = {CStringGetTextDatum(head->name), Int64GetDatum(seq), Int64GetDatum(head->seq),
					  Int32GetDatum(ROWS_AT_ONCE)};

	store_prepare(&plan,
				  "SELECT l.seq_from, l.seq, l.update, l.at, l.actor FROM ydoc_data.log l"
				  " WHERE l.document = $1 AND l.seq > $2 AND l.seq <= $3"
				  " ORDER BY l.seq LIMIT $4",
				  4, types);
	if (SPI_execute_plan(plan, values, NULL, !head->for_writing, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read a document's log");
	if (SPI_processed == 0)
		report_gap(head, seq);
	for (uint64 i = 0, count = SPI_processed; i < count; i++)
	{
		HistoryRow row = get_row(i);

		if (row.seq_from > seq + 1)
			report_gap(head, seq);
		visit(context, &row);
		seq = row.seq;
		CHECK_FOR_INTERRUPTS();
	}
	SPI_freetuptable(SPI_tuptable);
	return seq;
}

void
history_walk(const StoreHead *head, HistoryVisit visit, void *context)
{
	MemoryContext some =
		AllocSetContextCreate(CurrentMemoryContext, "ydoc log rows", ALLOCSET_DEFAULT_SIZES);

	for (int64 seq = 0; seq < head->seq;)
	{
		MemoryContext old_context = MemoryContextSwitchTo(some);

		seq = walk_some(head, seq, visit, context);
		MemoryContextSwitchTo(old_context);
		MemoryContextReset(some);
	}
	MemoryContextDelete(some);
}

/* ---- as it was ---- */

/* The state as of a seq must be that at the end of a log row. */
static void
check_seq(const StoreHead *head, int64 seq)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, INT8OID};
	Datum values[] = {CStringGetTextDatum(head->name), Int64GetDatum(seq)};

	if (seq < 0 || seq > head->seq)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("document \"%s\" has no seq " INT64_FORMAT, head->name, seq),
						errdetail("Its seqs go from 0 to " INT64_FORMAT ".", head->seq)));
	store_prepare(&plan,
				  "SELECT l.seq_from, l.seq FROM ydoc_data.log l"
				  " WHERE l.document = $1 AND l.seq > $2 AND l.seq_from <= $2"
				  " ORDER BY l.seq LIMIT 1",
				  2, types);
	if (SPI_execute_plan(plan, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a document's log");
	if (SPI_processed > 0)
	{
		bool null;
		int64 row_from = DatumGetInt64(get_column(0, 1, &null));
		int64 row_seq = DatumGetInt64(get_column(0, 2, &null));

		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("seq " INT64_FORMAT " of document \"%s\" is inside a log row", seq, head->name),
			 errdetail("The updates " INT64_FORMAT " to " INT64_FORMAT " were merged.", row_from,
					   row_seq),
			 errhint("Take seq " INT64_FORMAT " or " INT64_FORMAT ".", row_from - 1, row_seq)));
	}
	SPI_freetuptable(SPI_tuptable);
}

PG_FUNCTION_INFO_V1(ydoc_store_state_at);
Datum
ydoc_store_state_at(PG_FUNCTION_ARGS)
{
	StoreHead head = {.name = store_check_name(PG_GETARG_TEXT_PP(0))};
	int64 seq = PG_GETARG_INT64(1);
	Datum result = 0;
	bool found;

	store_open();
	found = store_read_head(head.name, &head);
	if (found)
	{
		check_seq(&head, seq);
		head.seq = seq;
		result = store_state_datum(&head);
	}
	store_close();
	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
