/*
 * sweep.c: which documents are compacted, and the functions that do it (sweep.h).
 *
 *     ydoc.compact('notes/7')      this one, now
 *     ydoc.compact_due(100)        those in the queue: all merged first, then all written
 *     CALL ydoc.compact_all()      whatever has something to compact, committing after each
 */
#include "sweep.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "bridge.h"
#include "compact.h"
#include "due.h"
#include "pg_ydoc.h"
#include "store.h"
#include "store_gone.h"

/* Names that CALL ydoc.compact_all reads at once. */
#define NAMES_AT_ONCE 100

/* ---- one that may fail ---- */

/* A step of the work on a document; what it does is rolled back if it fails. */
typedef void (*Step)(void *argument);

static void
warn_of(const char *name, const ErrorData *error)
{
	ereport(WARNING, (errcode(error->sqlerrcode),
					  errmsg("document \"%s\" was not compacted: %s", name, error->message),
					  error->detail != NULL ? errdetail_internal("%s", error->detail) : 0));
}

/* False: it failed, and a warning says why. */
static bool
try_step(const char *name, Step step, void *argument)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		step(argument);
		ReleaseCurrentSubTransaction();
		done = true;
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		warn_of(name, error);
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return done;
}

/* A document on its way. */
typedef struct Work
{
	const char *name;
	bool force;
	Compaction *compaction; /* NULL: there is no such document */
	CompactionOutcome outcome;
} Work;

static void
plan_step(void *argument)
{
	Work *work = argument;

	work->compaction = compact_plan(work->name, work->force);
}

static void
write_step(void *argument)
{
	Work *work = argument;

	work->outcome = compact_write(work->compaction, false);
}

static void
forget_step(void *argument)
{
	due_remove(((Work *) argument)->name);
}

static void
postpone_step(void *argument)
{
	due_postpone(((Work *) argument)->name);
}

static bool
try_plan(Work *work)
{
	if (!try_step(work->name, plan_step, work))
		(void) try_step(work->name, postpone_step, work);
	else if (work->compaction == NULL) /* it is deleted */
		(void) try_step(work->name, forget_step, work);
	else
		return true;
	return false;
}

/* Was something written for the document? */
static bool
try_write(Work *work)
{
	if (try_step(work->name, write_step, work))
		return work->outcome == COMPACTION_DONE && work->compaction->kind != COMPACTION_NONE;
	(void) try_step(work->name, postpone_step, work);
	return false;
}

char *
sweep_next(const char *after)
{
	Work work = {0};

	store_open();
	compact_check_rights();
	work.name = due_take(after);
	if (work.name != NULL && try_plan(&work))
		(void) try_write(&work);
	if (work.name != NULL)
	{
		Size size = strlen(work.name) + 1;

		work.name = memcpy(SPI_palloc(size), work.name, size);
	}
	store_close();
	return (char *) work.name;
}

/* ---- ydoc.compact ---- */

static const char *
what_was_done(const Compaction *compaction)
{
	switch (compaction->kind)
	{
		case COMPACTION_FOLD: return "folded";
		case COMPACTION_STATE: return "stored";
		case COMPACTION_FENCE: return "fenced";
		default: return "nothing";
	}
}

static void
report_missing(const char *name)
{
	store_open();
	store_report_gone(name, 0, true);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("there is no document \"%s\"", name)));
}

/* The document, and if somebody else compacts it meanwhile, once more under the lock on its row. */
static Compaction *
compact_now(const char *name, bool force)
{
	Compaction *compaction = compact_plan(name, force);
	CompactionOutcome outcome =
		compaction == NULL ? COMPACTION_GONE : compact_write(compaction, true);

	if (outcome == COMPACTION_STALE)
	{
		compaction = compact_plan(name, force);
		outcome = compaction == NULL ? COMPACTION_GONE : compact_write(compaction, true);
	}
	if (outcome == COMPACTION_GONE)
		report_missing(name);
	return compaction;
}

PG_FUNCTION_INFO_V1(ydoc_store_compact);
Datum
ydoc_store_compact(PG_FUNCTION_ARGS)
{
	const char *name = store_check_name(PG_GETARG_TEXT_PP(0));
	const Compaction *compaction;
	TupleDesc descriptor;
	Datum values[4];
	bool nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	store_open();
	compact_check_rights();
	store_close();
	compaction = compact_now(name, PG_GETARG_BOOL(1));
	values[0] = CStringGetTextDatum(what_was_done(compaction));
	values[1] = Int64GetDatum(compaction->head.seq);
	values[2] = Int64GetDatum(compaction->log_rows);
	values[3] = Int64GetDatum(compaction->merged_bytes);
	if (compaction->kind == COMPACTION_NONE || compaction->kind == COMPACTION_FENCE)
		nulls[2] = nulls[3] = true;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

/* ---- ydoc.compact_due ---- */

/*
 * Locks are held until the transaction ends, so all is merged before the first document is locked: at
 * most so many documents, and so many bytes as maintenance_work_mem.
 */
PG_FUNCTION_INFO_V1(ydoc_store_compact_due);
Datum
ydoc_store_compact_due(PG_FUNCTION_ARGS)
{
	int32 at_most = PG_GETARG_INT32(0);
	int64 bytes_left = (int64) maintenance_work_mem * 1024;
	Work *works;
	int count = 0;
	int done = 0;
	const char *name = "";

	if (at_most < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a number of documents must not be negative")));
	store_open();
	compact_check_rights();
	at_most = Min(at_most, 10000);
	works = palloc0(sizeof(Work) * Max(at_most, 1));
	for (int taken = 0; taken < at_most && bytes_left > 0 && (name = due_take(name)) != NULL;
		 taken++)
	{
		works[count].name = name;
		if (!try_plan(&works[count]))
			continue;
		bytes_left -= works[count].compaction->merged_bytes;
		count++;
		CHECK_FOR_INTERRUPTS();
	}
	for (int i = 0; i < count; i++)
		done += try_write(&works[i]);
	store_close();
	PG_RETURN_INT32(done);
}

/* ---- ydoc.compact_all ---- */

typedef struct Names
{
	int count;
	char *names[NAMES_AT_ONCE];
} Names;

/* The next documents, by name, that have something to compact.  They outlive the transaction. */
static Names
next_names(const char *after, bool force, MemoryContext context)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, BOOLOID, INT8OID, INT8OID, INT8OID};
	Datum values[] = {CStringGetTextDatum(after), BoolGetDatum(force),
					  Int64GetDatum(ydoc_compact_rows), Int64GetDatum(due_bytes(0)),
					  Int64GetDatum(NAMES_AT_ONCE)};
	Names names = {0};

	store_prepare(&plan,
				  "SELECT d.name FROM ydoc_data.document d WHERE d.name > $1"
				  " AND d.deleted_at IS NULL AND"
				  " CASE WHEN $2 THEN d.seq > d.state_seq"
				  "      ELSE d.tail_rows >= $3 OR d.tail_bytes >= $4 END"
				  " AND NOT EXISTS (SELECT FROM ydoc_data.fence f WHERE f.document = d.name)"
				  " ORDER BY d.name LIMIT $5",
				  5, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the documents' rows");
	while (names.count < (int) SPI_processed)
	{
		char *name = SPI_getvalue(SPI_tuptable->vals[names.count], SPI_tuptable->tupdesc, 1);

		names.names[names.count++] = MemoryContextStrdup(context, name);
	}
	SPI_freetuptable(SPI_tuptable);
	return names;
}

/* Our statements want this, and a procedure that commits can have no SET clause. */
static int
set_search_path(void)
{
	int nesting = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return nesting;
}

static void
commit_and_go_on(void)
{
	SPI_commit();
	SPI_start_transaction(); /* SPI_commit did it already, but before 14.3 */
}

/* Lists the next documents in a transaction of its own. */
static Names
list_and_commit(const char *after, bool force, MemoryContext context)
{
	int nesting = set_search_path();
	Names names;

	store_open();
	compact_check_rights();
	names = next_names(after, force, context);
	store_close();
	AtEOXact_GUC(true, nesting);
	commit_and_go_on();
	return names;
}

/* Compacts a document in a transaction of its own. */
static bool
compact_and_commit(const char *name, bool force)
{
	int nesting = set_search_path();
	Work work = {.name = name, .force = force};
	bool done;

	store_open();
	done = try_plan(&work) && try_write(&work);
	store_close();
	AtEOXact_GUC(true, nesting);
	commit_and_go_on();
	return done;
}

static Datum
row_of_number(FunctionCallInfo fcinfo, int32 number)
{
	TupleDesc descriptor;
	Datum values[] = {Int32GetDatum(number)};
	bool nulls[] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

PG_FUNCTION_INFO_V1(ydoc_store_compact_all);
Datum
ydoc_store_compact_all(PG_FUNCTION_ARGS)
{
	bool may_commit = fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
					  !castNode(CallContext, fcinfo->context)->atomic;
	int32 at_most = PG_ARGISNULL(0) ? PG_INT32_MAX : PG_GETARG_INT32(0);
	bool force = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	MemoryContext names_context;
	const char *after = "";
	int32 done = 0;
	Names names;

	if (!may_commit)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("ydoc.compact_all commits after each document, and cannot do that here"),
				 errhint("CALL it outside of a transaction block, or use ydoc.compact_due.")));
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	names_context = AllocSetContextCreate(CurrentMemoryContext, "ydoc documents to compact",
										  ALLOCSET_DEFAULT_SIZES);
	do
	{
		names = list_and_commit(after, force, names_context);
		for (int i = 0; i < names.count && done < at_most; i++)
		{
			done += compact_and_commit(names.names[i], force);
			CHECK_FOR_INTERRUPTS();
		}
		if (names.count > 0)
			after = pstrdup(names.names[names.count - 1]);
		MemoryContextReset(names_context);
	} while (names.count == NAMES_AT_ONCE && done < at_most);
	SPI_finish();
	PG_RETURN_DATUM(row_of_number(fcinfo, done));
}
