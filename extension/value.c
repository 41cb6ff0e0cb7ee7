/*
 * value.c: the type ydoc (value.h): in and out, casts, the expanded form, equality.
 */
#include "value.h"

#include "access/detoast.h"
#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "nodes/supportnodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "bridge.h"
#include "crdt/edit.h"
#include "crdt/update.h"
#include "pg_ydoc.h"

#define LINEAGE_BYTES (1024 * 1024) /* of updates that a lineage may always keep */
#define YDOC_MAGIC 0x79646f63 /* "ydoc" */

/* ---- flat values ---- */

CrdtBytes
ydoc_flat_update(const struct varlena *flat)
{
	CrdtBytes bytes = bridge_view(flat);

	if (bytes.size < 1 || bytes.data[0] != YDOC_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("stored document has version %d, this pg_ydoc reads version %d",
						bytes.size < 1 ? 0 : bytes.data[0], YDOC_VERSION),
				 errhint("The value was written by another version of pg_ydoc, or is damaged.")));
	return (CrdtBytes){bytes.data + 1, bytes.size - 1};
}

struct varlena *
ydoc_flat_make(CrdtBytes update)
{
	Size size = VARHDRSZ + 1 + update.size;
	struct varlena *flat;

	if (!AllocSizeIsValid(size))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("document of %zu bytes is too large for a value", update.size),
						errdetail("A value has less than 1 GB.")));
	flat = palloc(size);
	SET_VARSIZE(flat, size);
	VARDATA(flat)[0] = YDOC_VERSION;
	memcpy(VARDATA(flat) + 1, update.data, update.size);
	return flat;
}

/* ---- lineages ---- */

struct YdocLineage
{
	MemoryContext context; /* under none of the values', which come and go in any order */
	int references; /* values */
	CrdtHost host;
	CrdtDoc *doc; /* at version */
	uint64 version;
	uint64 base_version;
	CrdtBuffer base; /* the encoded state at base_version, if it is needed */
	bool has_base;
	MemoryContext log; /* the updates that led from there to version */
	CrdtBytes *updates;
	size_t update_capacity;
	size_t update_bytes;
	CrdtBuffer edit; /* the update of the edit that has just been committed */
	CrdtStatus edit_status;
	bool has_client; /* edits may go on with the document's client id */
	bool is_torn; /* an edit was begun and did not end, or an update was given up half way */
};

/* Hears of each transaction of the document. */
static void
record_edit(void *context, CrdtDoc *doc, const CrdtChange *change)
{
	YdocLineage *lineage = context;
	CrdtError error;

	if (change->local)
		lineage->edit_status = crdt_doc_encode_transaction(doc, CRDT_V1, &lineage->edit, &error);
}

static pg_noreturn void
report_no_memory(void)
{
	CrdtError error = {.status = CRDT_NO_MEMORY};

	bridge_report(&error, "document");
}

/* A lineage without a document, in a context under parent. */
static YdocLineage *
lineage_open(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "ydoc lineage", ALLOCSET_SMALL_SIZES);
	YdocLineage *lineage = MemoryContextAllocZero(context, sizeof(YdocLineage));

	lineage->context = context;
	lineage->log = AllocSetContextCreate(context, "ydoc updates", ALLOCSET_SMALL_SIZES);
	bridge_host(&lineage->host, context);
	crdt_buffer_open(&lineage->base, &lineage->host);
	crdt_buffer_open(&lineage->edit, &lineage->host);
	return lineage;
}

/* A lineage of an empty document, in a context under parent. */
static YdocLineage *
lineage_new(MemoryContext parent)
{
	YdocLineage *lineage = lineage_open(parent);
	CrdtDocOptions options = {.after_transaction = record_edit, .context = lineage};

	lineage->doc = crdt_doc_new(&lineage->host, &options);
	if (lineage->doc == NULL)
		report_no_memory();
	return lineage;
}

/* Merges an update into the document; true if it was news. */
static bool
lineage_apply(YdocLineage *lineage, CrdtBytes update, CrdtFormat format, const char *what,
			  uint64 most_steps)
{
	CrdtApplied applied;
	CrdtError error;
	CrdtStatus status;

	crdt_doc_limit_walk(lineage->doc, most_steps);
	status = crdt_doc_apply(lineage->doc, update, format, &applied, &error);
	lineage->is_torn |= crdt_doc_is_broken(lineage->doc);
	if (status != CRDT_OK)
		bridge_report(&error, what);
	if (applied.client_taken)
		lineage->has_client = false;
	return applied.changed;
}

static size_t
lineage_count(const YdocLineage *lineage)
{
	return lineage->version - lineage->base_version;
}

/* Makes the present version the base, and forgets what led to it. */
static void
lineage_rebase(YdocLineage *lineage)
{
	CrdtError error;

	lineage->base.size = 0;
	lineage->has_base = false;
	if (crdt_doc_encode(lineage->doc, CRDT_V1, (CrdtBytes){NULL, 0}, &lineage->base, &error) !=
		CRDT_OK)
		bridge_report(&error, "document");
	MemoryContextReset(lineage->log);
	lineage->updates = NULL;
	lineage->update_capacity = 0;
	lineage->update_bytes = 0;
	lineage->base_version = lineage->version;
	lineage->has_base = true;
}

/* Takes down the update that leads to the next version, before the document goes there. */
static void
lineage_note(YdocLineage *lineage, CrdtBytes update)
{
	MemoryContext old_context = MemoryContextSwitchTo(lineage->log);
	size_t count = lineage_count(lineage);
	uint8_t *copy = MemoryContextAllocHuge(lineage->log, Max(update.size, 1));

	if (count == lineage->update_capacity)
	{
		size_t capacity = Max(2 * count, 16);

		lineage->updates = lineage->updates == NULL
							   ? palloc(capacity * sizeof(CrdtBytes))
							   : repalloc_huge(lineage->updates, capacity * sizeof(CrdtBytes));
		lineage->update_capacity = capacity;
	}
	memcpy(copy, update.data, update.size);
	lineage->updates[count] = (CrdtBytes){copy, update.size};
	lineage->update_bytes += update.size + sizeof(CrdtBytes);
	MemoryContextSwitchTo(old_context);
}

/* A new lineage whose document is another's at an older version, or at its last whole one. */
static YdocLineage *
lineage_fork(const YdocLineage *lineage, uint64 version, MemoryContext parent)
{
	YdocLineage *fork = lineage_new(parent);

	if (!lineage->has_base)
		elog(ERROR, "there is no way back to an older version of a document");
	if (lineage->base.size > 0)
		(void) lineage_apply(fork, crdt_buffer_view(&lineage->base), CRDT_V1, "document", 0);
	for (size_t i = 0; i < version - lineage->base_version; i++)
	{
		CHECK_FOR_INTERRUPTS();
		(void) lineage_apply(fork, lineage->updates[i], CRDT_V1, "document", 0);
	}
	return fork;
}

/* ---- the expanded form ---- */

/* A value may be changed: what leads on from its version is noted. */
static void
prepare_change(YdocValue *value)
{
	YdocLineage *lineage = value->lineage;
	bool is_long = lineage->update_bytes > LINEAGE_BYTES + 2 * lineage->base.size;

	if (!lineage->has_base || (is_long && lineage->references == 1))
		lineage_rebase(lineage);
}

static void
release_lineage(void *argument)
{
	YdocLineage *lineage = ((YdocValue *) argument)->lineage;

	if (lineage != NULL && --lineage->references == 0)
		MemoryContextDelete(lineage->context);
}

/* Puts the value into a lineage, at its newest version; a new one becomes nobody's child. */
static void
join_lineage(YdocValue *value, YdocLineage *lineage)
{
	release_lineage(value);
	if (lineage->references++ == 0)
		MemoryContextSetParent(lineage->context, TopMemoryContext);
	value->lineage = lineage;
	value->version = lineage->version;
	value->doc = lineage->doc;
}

/* The document at the value's version: a value that was overtaken, or left in the middle of an
 * edit, gets one of its own. */
static YdocValue *
settle(YdocValue *value)
{
	YdocLineage *lineage = value->lineage;

	if (lineage->is_torn || value->version != lineage->version)
		join_lineage(value, lineage_fork(lineage, value->version, CurrentMemoryContext));
	return value;
}

static const ExpandedObjectMethods value_methods;

static YdocValue *
value_new_in(MemoryContext parent, YdocLineage *lineage)
{
	MemoryContext context = AllocSetContextCreate(parent, "ydoc value", ALLOCSET_SMALL_SIZES);
	YdocValue *value = MemoryContextAllocZero(context, sizeof(YdocValue));

	EOH_init_header(&value->header, &value_methods, context);
	value->magic = YDOC_MAGIC;
	bridge_host(&value->host, context);
	crdt_buffer_open(&value->flat, &value->host);
	value->at_end = (MemoryContextCallback){.func = release_lineage, .arg = value};
	MemoryContextRegisterResetCallback(context, &value->at_end);
	join_lineage(value, lineage == NULL ? lineage_new(context) : lineage);
	return value;
}

CrdtBytes
ydoc_value_update(YdocValue *value)
{
	CrdtError error;

	if (!value->flat_is_current)
	{
		value->flat.size = 0;
		if (crdt_doc_encode(settle(value)->doc, CRDT_V1, (CrdtBytes){NULL, 0}, &value->flat,
							&error) != CRDT_OK)
			bridge_report(&error, "document");
		value->flat_is_current = true;
	}
	return crdt_buffer_view(&value->flat);
}

static Size
value_flat_size(ExpandedObjectHeader *header)
{
	YdocValue *value = (YdocValue *) header;
	Size size = VARHDRSZ + 1 + ydoc_value_update(value).size;

	if (!AllocSizeIsValid(size))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("document of %zu bytes is too large for a value",
							   (size_t) size - VARHDRSZ - 1),
						errdetail("A value has less than 1 GB.")));
	return size;
}

static void
value_flatten_into(ExpandedObjectHeader *header, void *result, Size allocated_size)
{
	CrdtBytes update = ydoc_value_update((YdocValue *) header);
	struct varlena *flat = result;

	Assert(allocated_size == VARHDRSZ + 1 + update.size);
	SET_VARSIZE(flat, allocated_size);
	VARDATA(flat)[0] = YDOC_VERSION;
	memcpy(VARDATA(flat) + 1, update.data, update.size);
}

static const ExpandedObjectMethods value_methods = {
	.get_flat_size = value_flat_size,
	.flatten_into = value_flatten_into,
};

YdocValue *
ydoc_value_new(MemoryContext parent)
{
	return value_new_in(parent, NULL);
}

Datum
ydoc_value_view(CrdtDoc *doc)
{
	YdocLineage *lineage = lineage_open(CurrentMemoryContext);

	lineage->doc = doc;
	return EOHPGetRODatum(&value_new_in(CurrentMemoryContext, lineage)->header);
}

static void
value_apply(YdocValue *value, CrdtBytes update, CrdtFormat format, const char *what,
			uint64 most_steps)
{
	YdocLineage *lineage = settle(value)->lineage;

	if (lineage->has_base)
	{
		CrdtBuffer converted;
		CrdtHost host;
		CrdtError error;

		bridge_buffer(&converted, &host);
		if (format != CRDT_V1)
		{
			if (crdt_update_convert(&host, update, format, CRDT_V1, &converted, &error) != CRDT_OK)
				bridge_report(&error, what);
			update = crdt_buffer_view(&converted);
		}
		prepare_change(value);
		lineage_note(lineage, update);
		if (!lineage_apply(lineage, update, CRDT_V1, what, most_steps))
			return;
		value->version = ++lineage->version;
	}
	else if (!lineage_apply(lineage, update, format, what, most_steps))
		return;
	value->flat_is_current = false;
}

void
ydoc_value_apply(YdocValue *value, CrdtBytes update, const char *what)
{
	value_apply(value, update, CRDT_V1, what, 0);
}

void
ydoc_value_accept(YdocValue *value, CrdtBytes update, CrdtFormat format)
{
	bridge_check_format(update, format);
	value_apply(value, update, format, "update", ydoc_max_conflict_steps);
}

YdocValue *
ydoc_value_decode(struct varlena *flat, MemoryContext parent)
{
	YdocValue *value = ydoc_value_new(parent);

	ydoc_value_apply(value, ydoc_flat_update(flat), "document");
	return value;
}

uint64
ydoc_random_client(void)
{
	uint64 client;

	do
	{
		if (!pg_strong_random(&client, sizeof(client)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not make a random client id")));
		client >>= 11;
	} while (client == 0);
	return client;
}

void
ydoc_value_edit_begin(YdocValue *value)
{
	YdocLineage *lineage = settle(value)->lineage;

	prepare_change(value);
	if (!lineage->has_client)
		crdt_doc_set_client(lineage->doc, ydoc_random_client());
	lineage->has_client = true;
	lineage->edit.size = 0;
	lineage->edit_status = CRDT_OK;
	lineage->is_torn = true;
	crdt_doc_begin(lineage->doc, NULL);
}

void
ydoc_value_edit_end(YdocValue *value)
{
	YdocLineage *lineage = value->lineage;

	crdt_doc_commit(lineage->doc);
	if (lineage->edit_status != CRDT_OK)
		report_no_memory();
	if (lineage->edit.size > 0)
	{
		lineage_note(lineage, crdt_buffer_view(&lineage->edit));
		value->version = ++lineage->version;
		value->flat_is_current = false;
	}
	lineage->is_torn = false;
}

/* The value behind an expanded datum. */
static YdocValue *
expanded_value(Datum datum)
{
	YdocValue *value = (YdocValue *) DatumGetEOHP(datum);

	if (value->magic != YDOC_MAGIC)
		elog(ERROR, "expanded object is not a ydoc");
	return value;
}

static bool
is_expanded(Datum datum)
{
	return VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(datum));
}

YdocValue *
ydoc_value_arg(FunctionCallInfo fcinfo, int number)
{
	return ydoc_value_of(PG_GETARG_DATUM(number));
}

YdocValue *
ydoc_value_of(Datum datum)
{
	if (is_expanded(datum))
		return settle(expanded_value(datum));
	return ydoc_value_decode(PG_DETOAST_DATUM_PACKED(datum), CurrentMemoryContext);
}

/* A flat value, decoded, whose bytes are kept as the base of what is to come. */
static YdocValue *
decode_to_change(struct varlena *flat)
{
	YdocValue *value = ydoc_value_decode(flat, CurrentMemoryContext);
	YdocLineage *lineage = value->lineage;
	CrdtBytes update = ydoc_flat_update(flat);

	lineage->base.data = MemoryContextAllocHuge(lineage->context, Max(update.size, 1));
	lineage->base.capacity = Max(update.size, 1);
	memcpy(lineage->base.data, update.data, update.size);
	lineage->base.size = update.size;
	lineage->has_base = true;
	return value;
}

YdocValue *
ydoc_value_writable(FunctionCallInfo fcinfo, int number)
{
	return ydoc_value_to_change(PG_GETARG_DATUM(number));
}

YdocValue *
ydoc_value_to_change(Datum datum)
{
	YdocValue *value;

	if (!is_expanded(datum))
		return decode_to_change(PG_DETOAST_DATUM_PACKED(datum));
	value = settle(expanded_value(datum));
	if (VARATT_IS_EXTERNAL_EXPANDED_RW(DatumGetPointer(datum)))
	{
#if PG_VERSION_NUM >= 180000
		/* it may be a variable's own, which is still there when the function has failed */
		prepare_change(value);
#endif
		return value;
	}
	prepare_change(value);
	return value_new_in(CurrentMemoryContext, value->lineage);
}

Datum
ydoc_value_datum(YdocValue *value)
{
	return EOHPGetRWDatum(&value->header);
}

/* Planner support: PostgreSQL 18 asks whether "doc := f(doc, ...)" may change the variable's own
 * object.  We may: a document stays as it was when a function fails.  Older ones never ask, and
 * hand out variables to read only. */
PG_FUNCTION_INFO_V1(ydoc_support);
Datum
ydoc_support(PG_FUNCTION_ARGS)
{
#if PG_VERSION_NUM >= 180000
	Node *node = (Node *) PG_GETARG_POINTER(0);

	if (IsA(node, SupportRequestModifyInPlace))
	{
		SupportRequestModifyInPlace *request = (SupportRequestModifyInPlace *) node;
		Param *document = (Param *) linitial(request->args);

		if (document != NULL && IsA(document, Param) && document->paramkind == PARAM_EXTERN &&
			document->paramid == request->paramid)
			PG_RETURN_POINTER(document);
	}
#endif
	PG_RETURN_POINTER(NULL);
}

/* ---- in and out ---- */

/* A canonical flat value from an update that somebody gave us. */
static Datum
value_from_update(CrdtBytes update)
{
	YdocValue *value = ydoc_value_new(CurrentMemoryContext);

	bridge_check_format(update, CRDT_V1);
	ydoc_value_apply(value, update, "update");
	return ydoc_value_datum(value);
}

CrdtBytes
ydoc_value_update_of_arg(FunctionCallInfo fcinfo, int number)
{
	Datum datum = PG_GETARG_DATUM(number);

	if (is_expanded(datum))
		return ydoc_value_update(expanded_value(datum));
	return ydoc_flat_update(PG_DETOAST_DATUM_PACKED(datum));
}

/* Whoever writes what a document is to hold where its bytes belong. */
static void
hint_at_content(void *text)
{
	if (strncmp(text, "\\x", 2) != 0)
		errhint("The text of a document is a Yjs update in hexadecimal digits, \\x and so on.  "
				"ydoc_from_json, ydoc_from_text and others make a document of its content.");
}

PG_FUNCTION_INFO_V1(ydoc_in);
Datum
ydoc_in(PG_FUNCTION_ARGS)
{
	ErrorContextCallback callback = {error_context_stack, hint_at_content, PG_GETARG_CSTRING(0)};
	Datum bytes, value;

	error_context_stack = &callback;
	bytes = DirectFunctionCall1(byteain, PG_GETARG_DATUM(0));
	value = value_from_update(bridge_view(DatumGetByteaPP(bytes)));
	error_context_stack = callback.previous;
	PG_RETURN_DATUM(value);
}

bool
type_is_ydoc(Oid type)
{
	Oid input, parameter;
	FmgrInfo function;

	getTypeInputInfo(type, &input, &parameter);
	fmgr_info(input, &function);
	return function.fn_addr == ydoc_in;
}

PG_FUNCTION_INFO_V1(ydoc_out);
Datum
ydoc_out(PG_FUNCTION_ARGS)
{
	CrdtBytes update = ydoc_value_update_of_arg(fcinfo, 0);
	char *text = palloc(2 * update.size + 3);

	/* the same whatever bytea_output says: it goes back in either way */
	text[0] = '\\';
	text[1] = 'x';
	text[2 + hex_encode((const char *) update.data, update.size, text + 2)] = '\0';
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(ydoc_recv);
Datum
ydoc_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	int size = message->len - message->cursor;
	CrdtBytes update = {(const uint8_t *) pq_getmsgbytes(message, size), size};

	PG_RETURN_DATUM(value_from_update(update));
}

PG_FUNCTION_INFO_V1(ydoc_send);
Datum
ydoc_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(bridge_bytea(ydoc_value_update_of_arg(fcinfo, 0)));
}

PG_FUNCTION_INFO_V1(ydoc_from_bytea);
Datum
ydoc_from_bytea(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(value_from_update(bridge_view(PG_GETARG_BYTEA_PP(0))));
}

PG_FUNCTION_INFO_V1(ydoc_to_bytea);
Datum
ydoc_to_bytea(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(bridge_bytea(ydoc_value_update_of_arg(fcinfo, 0)));
}

PG_FUNCTION_INFO_V1(ydoc_empty);
Datum
ydoc_empty(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(ydoc_value_datum(ydoc_value_new(CurrentMemoryContext)));
}

/* ---- equality ---- */

static bool
args_are_equal(FunctionCallInfo fcinfo)
{
	CrdtBytes a = ydoc_value_update_of_arg(fcinfo, 0);
	CrdtBytes b = ydoc_value_update_of_arg(fcinfo, 1);

	return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

PG_FUNCTION_INFO_V1(ydoc_eq);
Datum
ydoc_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(args_are_equal(fcinfo));
}

PG_FUNCTION_INFO_V1(ydoc_ne);
Datum
ydoc_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!args_are_equal(fcinfo));
}

PG_FUNCTION_INFO_V1(ydoc_hash);
Datum
ydoc_hash(PG_FUNCTION_ARGS)
{
	CrdtBytes update = ydoc_value_update_of_arg(fcinfo, 0);

	return hash_any(update.data, (int) update.size);
}

PG_FUNCTION_INFO_V1(ydoc_hash_extended);
Datum
ydoc_hash_extended(PG_FUNCTION_ARGS)
{
	CrdtBytes update = ydoc_value_update_of_arg(fcinfo, 0);

	return hash_any_extended(update.data, (int) update.size, PG_GETARG_INT64(1));
}
