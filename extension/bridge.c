/*
 * bridge.c: memory contexts as hosts, statuses as errors (bridge.h).
 */
#include "bridge.h"

#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "crdt/update.h"

/* ---- memory ---- */

/* Not every server has a repalloc that may return NULL: allocate, copy, free. */
static void *
resize_in_context(void *context, void *block, size_t old_size, size_t new_size)
{
	void *fresh;

	if (new_size == 0)
	{
		if (block != NULL)
			pfree(block);
		return NULL;
	}
	if (!AllocHugeSizeIsValid(new_size))
		return NULL;
	fresh = MemoryContextAllocExtended((MemoryContext) context, new_size,
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (fresh != NULL && block != NULL)
	{
		memcpy(fresh, block, Min(old_size, new_size));
		pfree(block);
	}
	return fresh;
}

static bool
interrupt_is_pending(void *context)
{
	return InterruptPending && (QueryCancelPending || ProcDiePending);
}

void
bridge_host(CrdtHost *host, MemoryContext context)
{
	static uint64 seed = 0;

	if (seed == 0 && !pg_strong_random(&seed, sizeof(seed)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not get random numbers")));
	host->resize = resize_in_context;
	host->cancelled = interrupt_is_pending;
	host->context = context;
	host->hash_seed = seed;
}

void
bridge_buffer(CrdtBuffer *buffer, CrdtHost *host)
{
	bridge_host(host, CurrentMemoryContext);
	crdt_buffer_open(buffer, host);
}

/* ---- errors ---- */

int
bridge_sqlstate(const CrdtError *error)
{
	switch (error->status)
	{
		case CRDT_TRUNCATED:
		case CRDT_MALFORMED: return ERRCODE_INVALID_BINARY_REPRESENTATION;
		case CRDT_LIMIT: return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case CRDT_INVALID: return ERRCODE_INVALID_PARAMETER_VALUE;
		case CRDT_NO_MEMORY: return ERRCODE_OUT_OF_MEMORY;
		case CRDT_CANCELLED: return ERRCODE_QUERY_CANCELED;
		case CRDT_FORBIDDEN: return ERRCODE_INSUFFICIENT_PRIVILEGE;
		default: return ERRCODE_INTERNAL_ERROR;
	}
}

void
bridge_report(const CrdtError *error, const char *what)
{
	CHECK_FOR_INTERRUPTS();
	if (error->status == CRDT_NO_MEMORY)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("The memory ran out while working on a %s.", what)));
	if (error->status == CRDT_CANCELLED)
		ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg("canceling statement on request")));
	if (error->status == CRDT_INVALID || (error->status == CRDT_LIMIT && error->offset == 0))
		ereport(ERROR,
				(errcode(bridge_sqlstate(error)), errmsg("invalid %s: %s", what, error->message)));
	ereport(ERROR, (errcode(bridge_sqlstate(error)), errmsg("invalid %s: %s", what, error->message),
					errdetail("The problem is at byte %zu.", error->offset)));
}

/* ---- bytes and text ---- */

CrdtBytes
bridge_view(const struct varlena *datum)
{
	return (CrdtBytes){(const uint8_t *) VARDATA_ANY(datum), VARSIZE_ANY_EXHDR(datum)};
}

bytea *
bridge_bytea(CrdtBytes bytes)
{
	bytea *result;

	if (bytes.size > MaxAllocSize - VARHDRSZ)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("result of %zu bytes is too large for a value", bytes.size),
						errdetail("A value has less than 1 GB.")));
	result = palloc(VARHDRSZ + bytes.size);
	SET_VARSIZE(result, VARHDRSZ + bytes.size);
	memcpy(VARDATA(result), bytes.data, bytes.size);
	return result;
}

/* Bytes of a lone surrogate's form at at, which is as long as U+FFFD's; 0: there is none. */
static bool
is_surrogate(CrdtBytes text, size_t at)
{
	return text.data[at] == 0xed && at + 2 < text.size && text.data[at + 1] >= 0xa0;
}

CrdtBytes
bridge_text(CrdtBytes internal)
{
	size_t replaced = 0;
	uint8_t *text;
	size_t size = 0;

	for (size_t at = 0; at < internal.size; at++)
		replaced += internal.data[at] == 0 || is_surrogate(internal, at);
	if (replaced == 0)
		return internal;
	text = palloc(internal.size + 2 * replaced);
	for (size_t at = 0; at < internal.size; at++)
	{
		bool surrogate = is_surrogate(internal, at);

		if (!surrogate && internal.data[at] != 0)
		{
			text[size++] = internal.data[at];
			continue;
		}
		memcpy(text + size, "\xef\xbf\xbd", 3);
		size += 3;
		at += surrogate ? 2 : 0;
	}
	return (CrdtBytes){text, size};
}

void
bridge_require_utf8(void)
{
	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("text of documents needs a database in encoding UTF8"),
						errdetail("This database is in encoding %s.", GetDatabaseEncodingName())));
}

CrdtFormat
bridge_format_arg(FunctionCallInfo fcinfo, int number)
{
	int32 format = PG_NARGS() > number ? PG_GETARG_INT32(number) : 1;

	if (format != 1 && format != 2)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there is no update format %d", format),
						errhint("Yjs writes formats 1 and 2.")));
	return format == 1 ? CRDT_V1 : CRDT_V2;
}

bool
bridge_is_second_format(CrdtBytes update)
{
	CrdtBuffer known;
	CrdtHost host;
	CrdtError error;
	bool is_more;

	if (update.size <= 2 || update.data[0] != 0)
		return false;
	bridge_buffer(&known, &host);
	/* what deletes only has no columns of V2 but by chance, and no rest, so it is told apart at once */
	if (crdt_update_check(&host, update, CRDT_V2, &error) != CRDT_OK)
		return false;
	is_more = crdt_update_convert(&host, update, CRDT_V1, CRDT_V1, &known, &error) == CRDT_OK &&
			  crdt_buffer_view(&known).size < update.size;
	crdt_buffer_close(&known);
	return is_more;
}

void
bridge_check_format(CrdtBytes update, CrdtFormat format)
{
	if (format == CRDT_V1 && bridge_is_second_format(update))
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("this is an update of format 2, not 1"),
						errhint("Functions take the format as their last argument; yupdate_convert "
								"makes one of the other.")));
}

/* ---- sets ---- */

void
bridge_materialize(FunctionCallInfo fcinfo)
{
#if PG_VERSION_NUM >= 160000
	InitMaterializedSRF(fcinfo, 0);
#elif PG_VERSION_NUM >= 150000
	SetSingleFuncCall(fcinfo, 0);
#else
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old_context;
	TupleDesc descriptor;

	if (result == NULL || !IsA(result, ReturnSetInfo) ||
		(result->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("set-valued function called in a context that cannot take a set")));
	old_context = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	result->returnMode = SFRM_Materialize;
	result->setResult = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0,
											  false, work_mem);
	result->setDesc = descriptor;
	MemoryContextSwitchTo(old_context);
#endif
}
