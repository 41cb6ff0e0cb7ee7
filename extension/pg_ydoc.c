/*
 * pg_ydoc.c: loading the module: settings and transaction callbacks.
 */
#include "postgres.h"

#include <limits.h>

#include "fmgr.h"
#include "utils/guc.h"

#include "cache.h"
#include "notify.h"
#include "pg_ydoc.h"
#include "projection.h"
#include "stat.h"
#include "store_edit.h"
#include "worker.h"

PG_MODULE_MAGIC;

int ydoc_cache_size_kb = 16 * 1024;
int ydoc_max_update_size_kb = 64 * 1024;
int ydoc_max_waiting_size_kb = 8 * 1024;
int ydoc_max_waiting_client_size_kb = 2 * 1024;
int ydoc_max_document_size_kb = 64 * 1024;
int ydoc_max_conflict_steps = 50 * 1000 * 1000;
bool ydoc_notify_enabled = true;
char *ydoc_actor = NULL;
char *ydoc_source = NULL;
int ydoc_compact_rows = 200;
int ydoc_compact_size_kb = 32;
char *ydoc_worker_databases = NULL;
int ydoc_worker_naptime_s = 10;
char *ydoc_worker_role = NULL;

void _PG_init(void);

static bool
check_databases(char **value, void **extra, GucSource source)
{
	if (worker_is_list(*value))
		return true;
	GUC_check_errdetail("It is no list of names, separated by commas.");
	return false;
}

static void
define_compaction_settings(void)
{
	DefineCustomIntVariable("ydoc.compact_rows",
							"Log rows of a document that are merged into one segment.", NULL,
							&ydoc_compact_rows, 200, 2, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"ydoc.compact_size", "Bytes behind a document's stored state that move it forward.",
		"Or half as many as the stored state has, if that is more.", &ydoc_compact_size_kb, 32, 1,
		MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomStringVariable(
		"ydoc.worker_databases", "Databases in which documents are compacted in the background.",
		"Names, separated by commas, or *; needs the library in "
		"shared_preload_libraries.",
		&ydoc_worker_databases, "", PGC_SIGHUP, GUC_LIST_INPUT, check_databases, NULL, NULL);
	DefineCustomIntVariable("ydoc.worker_naptime", "Time between two looks for what is due.", NULL,
							&ydoc_worker_naptime_s, 10, 1, 24 * 3600, PGC_SIGHUP, GUC_UNIT_S, NULL,
							NULL, NULL);
	DefineCustomStringVariable("ydoc.worker_role",
							   "The role as which documents are compacted in the background.",
							   "Empty: the owner of the database's store.", &ydoc_worker_role, "",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
define_settings(void)
{
	DefineCustomIntVariable(
		"ydoc.cache_size", "Memory for decoded documents that a session keeps between calls.",
		"0 keeps none: every call decodes the documents that it works on.", &ydoc_cache_size_kb,
		16 * 1024, 0, MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("ydoc.max_update_size", "Largest update that a document accepts.", NULL,
							&ydoc_max_update_size_kb, 64 * 1024, 1, 1024 * 1024 - 1, PGC_SUSET,
							GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("ydoc.max_waiting_size",
							"Most that may wait in a document for updates that have not come.",
							"Counted encoded, and 16 bytes more for each struct, 64 for each "
							"deleted range; 0 is no bound.",
							&ydoc_max_waiting_size_kb, 8 * 1024, 0, MAX_KILOBYTES, PGC_SUSET,
							GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("ydoc.max_waiting_client_size",
							"Most that may wait in a document of one Yjs client.", "0 is no bound.",
							&ydoc_max_waiting_client_size_kb, 2 * 1024, 0, MAX_KILOBYTES, PGC_SUSET,
							GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"ydoc.max_document_size", "Largest stored document, as an update, that accepts more.",
		"It may be exceeded by a sixty-fourth part.  What only deletes is accepted beyond it.",
		&ydoc_max_document_size_kb, 64 * 1024, 1, 1024 * 1024 - 1, PGC_SUSET, GUC_UNIT_KB, NULL,
		NULL, NULL);
	DefineCustomIntVariable("ydoc.max_conflict_steps",
							"Most steps that the order of an update's concurrent items may take.",
							"Many inserts at one place take the square of their number; 0 is no "
							"bound.",
							&ydoc_max_conflict_steps, 50 * 1000 * 1000, 0, INT_MAX, PGC_SUSET, 0,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("ydoc.notify",
							 "Notify channel ydoc of the documents that a transaction changed.",
							 "Off for bulk work: relays then learn of it at their next check.",
							 &ydoc_notify_enabled, true, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("ydoc.actor", "Who is answerable for edits of stored documents.",
							   "Written into the log beside them; empty: nobody is named.",
							   &ydoc_actor, "", PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("ydoc.source", "From where this session's updates come.",
							   "Written into the log beside them, for audits; empty: nothing is.",
							   &ydoc_source, "", PGC_USERSET, 0, NULL, NULL, NULL);
	define_compaction_settings();
#if PG_VERSION_NUM >= 150000
	MarkGUCPrefixReserved("ydoc");
#else
	EmitWarningsOnPlaceholders("ydoc");
#endif
}

void
_PG_init(void)
{
	define_settings();
	cache_register();
	notify_register();
	stat_register();
	projection_register();
	store_edit_register();
	worker_register();
}
