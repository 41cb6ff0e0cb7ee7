/*
 * stat.c: counters, of a session's and of shared memory (stat.h).
 */
#include "stat.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "cache.h"

typedef struct SharedStat
{
	TimestampTz since;
	pg_atomic_uint64 counters[STAT_COUNT];
} SharedStat;

static SharedStat *shared = NULL;
static uint64 counters[STAT_COUNT]; /* this session's */
static shmem_startup_hook_type next_startup_hook = NULL;
#if PG_VERSION_NUM >= 150000
static shmem_request_hook_type next_request_hook = NULL;
#endif

static void
request_memory(void)
{
#if PG_VERSION_NUM >= 150000
	if (next_request_hook != NULL)
		next_request_hook();
#endif
	RequestAddinShmemSpace(MAXALIGN(sizeof(SharedStat)));
}

static void
make_memory(void)
{
	bool found;

	if (next_startup_hook != NULL)
		next_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("pg_ydoc counters", sizeof(SharedStat), &found);
	if (!found)
	{
		shared->since = GetCurrentTimestamp();
		for (int i = 0; i < STAT_COUNT; i++)
			pg_atomic_init_u64(&shared->counters[i], 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

void
stat_register(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
#if PG_VERSION_NUM >= 150000
	next_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
#else
	request_memory();
#endif
	next_startup_hook = shmem_startup_hook;
	shmem_startup_hook = make_memory;
}

void
stat_count(StatCounter counter, uint64 amount)
{
	counters[counter] += amount;
	if (shared != NULL && amount > 0)
		pg_atomic_fetch_add_u64(&shared->counters[counter], amount);
}

PG_FUNCTION_INFO_V1(ydoc_stat_counters);

/* scope, since, the counters in their order, and what this session's cache holds */
Datum
ydoc_stat_counters(PG_FUNCTION_ARGS)
{
	Datum values[2 + STAT_COUNT + 2];
	bool nulls[lengthof(values)] = {false};
	TupleDesc row;
	int64 cached_documents;
	int64 cached_bytes;

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE ||
		row->natts != lengthof(values))
		elog(ERROR, "ydoc.stat_counters returns another row than the module makes");
	values[0] = CStringGetTextDatum(shared != NULL ? "server" : "session");
	values[1] = TimestampTzGetDatum(shared != NULL ? shared->since : MyStartTimestamp);
	for (int i = 0; i < STAT_COUNT; i++)
		values[2 + i] = Int64GetDatum(
			(int64) (shared != NULL ? pg_atomic_read_u64(&shared->counters[i]) : counters[i]));
	cache_measure(&cached_documents, &cached_bytes);
	values[2 + STAT_COUNT] = Int64GetDatum(cached_documents);
	values[3 + STAT_COUNT] = Int64GetDatum(cached_bytes);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls)));
}
