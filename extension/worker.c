/*
 * worker.c: the launcher and the worker (worker.h).
 *
 * A worker begins as the superuser that every background worker is, and works as the role of
 * ydoc.worker_role or, if that is not set, as the owner of the store, the way autovacuum does: in a
 * restricted operation, so that triggers and policies on the tables cannot make more of it.
 */
#include "postgres.h"

#include "worker.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"
#if PG_VERSION_NUM >= 170000
#include "utils/wait_event.h"
#endif

#include "pg_ydoc.h"
#include "store.h"
#include "sweep.h"

#define LIBRARY "pg_ydoc"
#define ALL_DATABASES "*"
/* A worker that has gone on so long makes room for other databases. */
#define TURN_MS 60000

PGDLLEXPORT void ydoc_launcher_main(Datum argument);
PGDLLEXPORT void ydoc_worker_main(Datum database);

static bool has_told_of_missing = false; /* databases, since the settings were read */

/* ---- starting ---- */

static void
describe(BackgroundWorker *worker, const char *name, const char *function)
{
	memset(worker, 0, sizeof(*worker));
	snprintf(worker->bgw_name, sizeof(worker->bgw_name), "%s", name);
	snprintf(worker->bgw_type, sizeof(worker->bgw_type), "%s", name);
	snprintf(worker->bgw_library_name, sizeof(worker->bgw_library_name), LIBRARY);
	snprintf(worker->bgw_function_name, sizeof(worker->bgw_function_name), "%s", function);
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
}

void
worker_register(void)
{
	BackgroundWorker launcher;

	/* nothing is to be written while pg_upgrade is at it */
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	describe(&launcher, "ydoc launcher", "ydoc_launcher_main");
	launcher.bgw_restart_time = 5;
	RegisterBackgroundWorker(&launcher);
}

/* Waits for the latch, or so many milliseconds; -1: only for the latch. */
static void
wait_for_latch(long milliseconds)
{
	int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (milliseconds >= 0 ? WL_TIMEOUT : 0);
#if PG_VERSION_NUM >= 170000
	static uint32 wait_event = 0;

	if (wait_event == 0)
		wait_event = WaitEventExtensionNew("YdocLauncherMain");
	(void) WaitLatch(MyLatch, events, milliseconds, wait_event);
#else
	(void) WaitLatch(MyLatch, events, milliseconds, PG_WAIT_EXTENSION);
#endif
	ResetLatch(MyLatch);
}

static void
heed_signals(void)
{
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		has_told_of_missing = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

static void
begin_process(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
}

/* ---- which databases ---- */

bool
worker_is_list(const char *names)
{
	char *copy = pstrdup(names);
	List *list;

	return SplitGUCList(copy, ',', &list);
}

static List *
wanted_databases(void)
{
	List *list = NIL;

	(void) SplitGUCList(pstrdup(ydoc_worker_databases), ',', &list);
	return list;
}

static bool
is_in(const List *names, const char *name)
{
	const ListCell *cell;

	foreach (cell, names)
		if (strcmp((const char *) lfirst(cell), name) == 0)
			return true;
	return false;
}

static void
tell_of_missing(const List *wanted, const List *seen)
{
	const ListCell *cell;

	foreach (cell, wanted)
	{
		const char *name = lfirst(cell);

		if (!has_told_of_missing && strcmp(name, ALL_DATABASES) != 0 && !is_in(seen, name))
			ereport(LOG, (errmsg("there is no database \"%s\" to compact documents in", name),
						  errhint("ydoc.worker_databases names it.")));
	}
	has_told_of_missing = true;
}

static bool
is_wanted(const List *wanted, bool all, Form_pg_database database)
{
	/* -2: a DROP DATABASE was interrupted */
	return database->datallowconn && database->datconnlimit != -2 &&
		   ((all && !database->datistemplate) || is_in(wanted, NameStr(database->datname)));
}

/* The oids of the wanted databases that are there and take connections, in context. */
static List *
find_databases(MemoryContext context)
{
	List *wanted = wanted_databases();
	bool all = is_in(wanted, ALL_DATABASES);
	List *found = NIL;
	List *seen = NIL;
	Relation catalog;
	TableScanDesc scan;
	HeapTuple row;

	if (wanted == NIL)
		return NIL;
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	catalog = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(catalog, 0, NULL);
	while ((row = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(row);
		MemoryContext old_context;

		if (!is_wanted(wanted, all, database))
			continue;
		old_context = MemoryContextSwitchTo(context);
		found = lappend_oid(found, database->oid);
		seen = lappend(seen, pstrdup(NameStr(database->datname)));
		MemoryContextSwitchTo(old_context);
	}
	table_endscan(scan);
	table_close(catalog, AccessShareLock);
	CommitTransactionCommand();
	tell_of_missing(wanted, seen);
	return found;
}

/* ---- the launcher ---- */

/* Lets a worker do what is due in a database, and waits for its end. */
static void
run_worker(Oid database)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;
	static bool has_complained = false;

	describe(&worker, "ydoc worker", "ydoc_worker_main");
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = MyProcPid;
	if (RegisterDynamicBackgroundWorker(&worker, &handle))
	{
		has_complained = false;
		(void) WaitForBackgroundWorkerShutdown(handle);
		return;
	}
	if (!has_complained)
		ereport(WARNING, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						  errmsg("documents are not compacted: no free background worker"),
						  errhint("max_worker_processes may be too small.")));
	has_complained = true;
}

static void
visit_databases(void)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "ydoc databases", ALLOCSET_SMALL_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(context);
	List *databases = find_databases(context);
	ListCell *cell;

	MemoryContextSwitchTo(context);
	foreach (cell, databases)
	{
		run_worker(lfirst_oid(cell));
		heed_signals();
	}
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
}

void
ydoc_launcher_main(Datum argument)
{
	begin_process();
	/* no database: only what all of them share, such as the list of them */
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	for (;;)
	{
		pgstat_report_activity(STATE_RUNNING, "looking for documents to compact");
		visit_databases();
		pgstat_report_activity(STATE_IDLE, NULL);
		wait_for_latch(ydoc_worker_databases[0] == '\0' ? -1 : ydoc_worker_naptime_s * 1000L);
		heed_signals();
	}
}

/* ---- the worker ---- */

/* Whose rights the work takes. */
static Oid
role_of_store(void)
{
	HeapTuple relation;
	Oid owner;

	if (ydoc_worker_role[0] != '\0')
	{
		owner = get_role_oid(ydoc_worker_role, true);
		if (!OidIsValid(owner))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("there is no role \"%s\" to compact documents as", ydoc_worker_role),
					 errhint("ydoc.worker_role names it.")));
		return owner;
	}
	relation = SearchSysCache1(RELOID, ObjectIdGetDatum(store_oid()));
	if (!HeapTupleIsValid(relation))
		elog(ERROR, "there is no store");
	owner = ((Form_pg_class) GETSTRUCT(relation))->relowner;
	ReleaseSysCache(relation);
	return owner;
}

static void
begin_turn(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
}

/* The database may have no documents, or none of this release. */
static bool
has_store(void)
{
	bool has;

	begin_turn();
	has = OidIsValid(get_extension_oid("pg_ydoc", true)) && OidIsValid(store_oid()) &&
		  OidIsValid(store_table("due")) && OidIsValid(store_table("segment"));
	CommitTransactionCommand();
	return has;
}

/* Compacts the next document of the queue; false: there is none.  after is moved on. */
static bool
compact_next(char **after)
{
	Oid user;
	int security_context;
	const char *name;

	begin_turn();
	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(role_of_store(), security_context | SECURITY_RESTRICTED_OPERATION);
	PushActiveSnapshot(GetTransactionSnapshot()); /* SPI wants an outer one */
	name = sweep_next(*after);
	PopActiveSnapshot();
	SetUserIdAndSecContext(user, security_context);
	if (name != NULL)
	{
		pfree(*after);
		*after = MemoryContextStrdup(TopMemoryContext, name);
	}
	CommitTransactionCommand();
	pgstat_report_stat(true);
	return name != NULL;
}

static void
set_defaults(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"default_transaction_isolation", "read committed"},
		{"statement_timeout", "0"},
		{"lock_timeout", "0"},
		/* what is lost in a crash is made again: the log has it */
		{"synchronous_commit", "off"},
	};

	for (int i = 0; i < (int) lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

void
ydoc_worker_main(Datum database)
{
	TimestampTz began = GetCurrentTimestamp();
	char *after = MemoryContextStrdup(TopMemoryContext, "");

	begin_process();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
	set_defaults();
	pgstat_report_activity(STATE_RUNNING, "compacting documents");
	if (!has_store())
		return;
	while (compact_next(&after) &&
		   !TimestampDifferenceExceeds(began, GetCurrentTimestamp(), TURN_MS))
		heed_signals();
}
