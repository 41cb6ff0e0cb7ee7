/*
 * value.c: the type ydoc (value.h): in and out, casts, the expanded form, equality.
 */
#include "value.h"

#include "access/detoast.h"
#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "nodes/primnodes.h"
#include "nodes/supportnodes.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "bridge.h"

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
						errmsg("document of %zu bytes is too large for a value", update.size)));
	flat = palloc(size);
	SET_VARSIZE(flat, size);
	VARDATA(flat)[0] = YDOC_VERSION;
	memcpy(VARDATA(flat) + 1, update.data, update.size);
	return flat;
}

/* ---- the expanded form ---- */

CrdtBytes
ydoc_value_update(YdocValue *value)
{
	CrdtError error;

	if (!value->flat_is_current)
	{
		value->flat.size = 0;
		if (crdt_doc_encode(value->doc, CRDT_V1, (CrdtBytes){NULL, 0}, &value->flat, &error) !=
			CRDT_OK)
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
							   (size_t) size - VARHDRSZ - 1)));
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
	MemoryContext context = AllocSetContextCreate(parent, "ydoc value", ALLOCSET_SMALL_SIZES);
	YdocValue *value = MemoryContextAllocZero(context, sizeof(YdocValue));
	CrdtError error;

	EOH_init_header(&value->header, &value_methods, context);
	value->magic = YDOC_MAGIC;
	bridge_host(&value->host, context);
	crdt_buffer_open(&value->flat, &value->host);
	value->doc = crdt_doc_new(&value->host, NULL);
	if (value->doc == NULL)
	{
		error.status = CRDT_NO_MEMORY;
		bridge_report(&error, "document");
	}
	return value;
}

void
ydoc_value_apply(YdocValue *value, CrdtBytes update, const char *what)
{
	ydoc_value_apply_format(value, update, CRDT_V1, what);
}

void
ydoc_value_apply_format(YdocValue *value, CrdtBytes update, CrdtFormat format, const char *what)
{
	CrdtApplied applied;
	CrdtError error;

	if (crdt_doc_apply(value->doc, update, format, &applied, &error) != CRDT_OK)
		bridge_report(&error, what);
	if (applied.changed)
		value->flat_is_current = false;
}

YdocValue *
ydoc_value_decode(struct varlena *flat, MemoryContext parent)
{
	YdocValue *value = ydoc_value_new(parent);

	ydoc_value_apply(value, ydoc_flat_update(flat), "document");
	return value;
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
	Datum datum = PG_GETARG_DATUM(number);

	if (is_expanded(datum))
		return expanded_value(datum);
	return ydoc_value_decode(PG_DETOAST_DATUM_PACKED(datum), CurrentMemoryContext);
}

YdocValue *
ydoc_value_writable(FunctionCallInfo fcinfo, int number)
{
	Datum datum = PG_GETARG_DATUM(number);

	if (is_expanded(datum) && VARATT_IS_EXTERNAL_EXPANDED_RW(DatumGetPointer(datum)))
		return expanded_value(datum);
	if (is_expanded(datum))
	{
		YdocValue *copy = ydoc_value_new(CurrentMemoryContext);

		ydoc_value_apply(copy, ydoc_value_update(expanded_value(datum)), "document");
		return copy;
	}
	return ydoc_value_decode(PG_DETOAST_DATUM_PACKED(datum), CurrentMemoryContext);
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

PG_FUNCTION_INFO_V1(ydoc_in);
Datum
ydoc_in(PG_FUNCTION_ARGS)
{
	Datum bytes = DirectFunctionCall1(byteain, PG_GETARG_DATUM(0));

	PG_RETURN_DATUM(value_from_update(bridge_view(DatumGetByteaPP(bytes))));
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
