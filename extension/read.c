/*
 * read.c: roots, text, rich text, markup and JSON of a document.
 *
 * Roots of a Yjs document have no type on the wire; a reader says what it takes them for.  JSON asks
 * the core what the content suggests.
 */
#include "read.h"

#include <math.h>

#include "common/base64.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "bridge.h"
#include "crdt/value.h"
#include "edit.h"
#include "path.h"
#include "value.h"

/* ---- what is read ---- */

Datum
read_argument(FunctionCallInfo fcinfo, DocumentReader reader)
{
	struct varlena *result = reader(ydoc_value_arg(fcinfo, 0)->doc, fcinfo);

	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(result);
}

READ_FUNCTION(ydoc_text, read_argument, read_text)
READ_FUNCTION(ydoc_json, read_argument, read_json)
READ_FUNCTION(ydoc_json_at, read_argument, read_json_at)
READ_FUNCTION(ydoc_json_text_at, read_argument, read_json_text_at)
READ_FUNCTION(ydoc_delta, read_argument, read_delta)
READ_FUNCTION(ydoc_xml, read_argument, read_xml)

const CrdtType *
read_place(CrdtDoc *doc, FunctionCallInfo fcinfo, Path *path)
{
	const CrdtType *type;
	int taken;

	bridge_require_utf8();
	*path = path_of_argument(fcinfo, 1);
	type = path_follow(doc, path, &taken);
	return taken == path->count ? type : NULL;
}

void
read_refuse(const Path *path, CrdtKind kind, const char *wanted)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s is a shared %s, not %s", path_show(path, path->count),
						   path_kind_name(kind), wanted),
					errhint("Read it with ydoc_json.")));
}

/* ---- text ---- */

static struct varlena *
text_of(CrdtBytes internal)
{
	return bridge_bytea(bridge_text(internal));
}

struct varlena *
read_text(CrdtDoc *doc, FunctionCallInfo fcinfo)
{
	Path path;
	const CrdtType *type = read_place(doc, fcinfo, &path);
	CrdtBuffer out;
	CrdtHost host;
	CrdtError error;

	if (type == NULL && path.count > 1)
		return NULL;
	bridge_buffer(&out, &host);
	if (type != NULL && crdt_doc_text(doc, type, &out, &error) != CRDT_OK)
		bridge_report(&error, "document");
	return text_of(crdt_buffer_view(&out));
}

/* ---- jsonb, piece by piece ---- */

typedef struct JsonbBuilder
{
	JsonbParseState *state;
	JsonbValue *result;
	bool has_key; /* kept back until there is a value: undefined has none */
	JsonbValue key;
	int depth;
	bool is_member; /* what is built is a key's value: undefined is none there, too */
} JsonbBuilder;

static void
set_string(JsonbValue *value, CrdtBytes internal)
{
	CrdtBytes clean = bridge_text(internal);

	if (clean.size > JENTRY_OFFLENMASK)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("string of %zu bytes is too long for jsonb", clean.size)));
	value->type = jbvString;
	value->val.string.val = pnstrdup((const char *) clean.data, clean.size);
	value->val.string.len = (int) clean.size;
}

static void
push_key(JsonbBuilder *builder)
{
	if (builder->has_key)
		pushJsonbValue(&builder->state, WJB_KEY, &builder->key);
	builder->has_key = false;
}

/* A scalar: an element, a member's value, or all there is. */
static bool
push_scalar(JsonbBuilder *builder, JsonbValue *value)
{
	if (builder->depth == 0)
	{
		/* at the top jsonb wants an array of one that says it is none */
		JsonbValue array = {.type = jbvArray};

		array.val.array.rawScalar = true;
		array.val.array.nElems = 1;
		pushJsonbValue(&builder->state, WJB_BEGIN_ARRAY, &array);
		pushJsonbValue(&builder->state, WJB_ELEM, value);
		builder->result = pushJsonbValue(&builder->state, WJB_END_ARRAY, NULL);
		return true;
	}
	if (builder->has_key)
	{
		push_key(builder);
		pushJsonbValue(&builder->state, WJB_VALUE, value);
	}
	else
		pushJsonbValue(&builder->state, WJB_ELEM, value);
	return true;
}

static bool
jsonb_null(void *context)
{
	JsonbValue value = {.type = jbvNull};

	return push_scalar(context, &value);
}

static bool
jsonb_undefined(void *context)
{
	JsonbBuilder *builder = context;

	if (!builder->has_key && !(builder->depth == 0 && builder->is_member))
		return jsonb_null(builder);
	builder->has_key = false;
	return true;
}

static bool
jsonb_boolean(void *context, bool boolean)
{
	JsonbValue value = {.type = jbvBool};

	value.val.boolean = boolean;
	return push_scalar(context, &value);
}

static bool
push_numeric(JsonbBuilder *builder, Datum numeric)
{
	JsonbValue value = {.type = jbvNumeric};

	value.val.numeric = DatumGetNumeric(numeric);
	return push_scalar(builder, &value);
}

static bool
jsonb_number(void *context, double number)
{
	if (!isfinite(number))
		return jsonb_null(context);
	if (number == trunc(number) && fabs(number) < 9007199254740992.0)
		return push_numeric(context,
							DirectFunctionCall1(int8_numeric, Int64GetDatum((int64) number)));
	/* by way of its shortest digits, which is what JSON shows; float8_numeric keeps 15 only */
	return push_numeric(context,
						DirectFunctionCall3(numeric_in,
											CStringGetDatum(double_to_shortest_decimal(number)),
											ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

static bool
jsonb_bigint(void *context, int64_t number)
{
	return push_numeric(context, DirectFunctionCall1(int8_numeric, Int64GetDatum(number)));
}

static bool
jsonb_string(void *context, CrdtBytes string)
{
	JsonbValue value;

	set_string(&value, string);
	return push_scalar(context, &value);
}

static bool
jsonb_bytes(void *context, CrdtBytes bytes)
{
	JsonbValue value = {.type = jbvString};
	int room = pg_b64_enc_len((int) bytes.size);

	value.val.string.val = palloc(room + 1);
	value.val.string.len =
		pg_b64_encode((const void *) bytes.data, (int) bytes.size, value.val.string.val, room);
	return push_scalar(context, &value);
}

static bool
begin(JsonbBuilder *builder, JsonbIteratorToken token)
{
	CHECK_FOR_INTERRUPTS();
	push_key(builder);
	pushJsonbValue(&builder->state, token, NULL);
	builder->depth++;
	return true;
}

static bool
end(JsonbBuilder *builder, JsonbIteratorToken token)
{
	builder->result = pushJsonbValue(&builder->state, token, NULL);
	builder->depth--;
	return true;
}

static bool
jsonb_begin_array(void *context)
{
	return begin(context, WJB_BEGIN_ARRAY);
}

static bool
jsonb_end_array(void *context)
{
	return end(context, WJB_END_ARRAY);
}

static bool
jsonb_begin_object(void *context)
{
	return begin(context, WJB_BEGIN_OBJECT);
}

static bool
jsonb_end_object(void *context)
{
	return end(context, WJB_END_OBJECT);
}

static bool
jsonb_key(void *context, CrdtBytes key)
{
	JsonbBuilder *builder = context;

	set_string(&builder->key, key);
	builder->has_key = true;
	return true;
}

/* A subdocument is an object that names it. */
static bool
jsonb_document(void *context, CrdtBytes guid)
{
	return jsonb_begin_object(context) && jsonb_key(context, CRDT_LITERAL("guid")) &&
		   jsonb_string(context, guid) && jsonb_end_object(context);
}

#define JSONB_VISITOR(builder)                                                                \
	{                                                                                         \
		.context = (builder), .null = jsonb_null, .undefined = jsonb_undefined,               \
		.boolean = jsonb_boolean, .number = jsonb_number, .bigint = jsonb_bigint,             \
		.string = jsonb_string, .bytes = jsonb_bytes, .document = jsonb_document,             \
		.begin_array = jsonb_begin_array, .end_array = jsonb_end_array,                       \
		.begin_object = jsonb_begin_object, .key = jsonb_key, .end_object = jsonb_end_object, \
	}

/* ---- jsonb of a document ---- */

static void
build_as(JsonbBuilder *builder, const CrdtDoc *doc, const CrdtType *type, CrdtKind kind)
{
	CrdtVisitor visitor = JSONB_VISITOR(builder);
	CrdtError error;

	if (crdt_doc_visit(doc, type, kind, &visitor, &error) != CRDT_OK)
		bridge_report(&error, "document");
}

static void
build_type(JsonbBuilder *builder, const CrdtDoc *doc, const CrdtType *type)
{
	build_as(builder, doc, type, crdt_doc_kind(doc, type));
}

static Jsonb *
all_roots(const CrdtDoc *doc)
{
	JsonbBuilder builder = {0};

	bridge_require_utf8();
	jsonb_begin_object(&builder);
	for (size_t i = 0; i < crdt_doc_root_count(doc); i++)
	{
		const CrdtType *type = crdt_doc_root(doc, i);

		jsonb_key(&builder, crdt_doc_root_name(doc, type));
		build_type(&builder, doc, type);
	}
	jsonb_end_object(&builder);
	return JsonbValueToJsonb(builder.result);
}

struct varlena *
read_json(CrdtDoc *doc, FunctionCallInfo fcinfo)
{
	Path path;
	const CrdtType *type;

	if (PG_NARGS() == 1 || PG_ARGISNULL(1))
		return (struct varlena *) all_roots(doc);
	type = read_place(doc, fcinfo, &path);
	return type == NULL ? NULL : (struct varlena *) read_type(doc, type);
}

Jsonb *
read_type(const CrdtDoc *doc, const CrdtType *type)
{
	JsonbBuilder builder = {0};

	build_type(&builder, doc, type);
	return JsonbValueToJsonb(builder.result);
}

static CrdtStatus
build_member(JsonbBuilder *builder, CrdtDoc *doc, const CrdtType *type, CrdtBytes step,
			 CrdtError *error)
{
	CrdtVisitor visitor = JSONB_VISITOR(builder);
	CrdtKind kind = crdt_doc_kind(doc, type);
	uint64_t index;

	builder->is_member = kind == CRDT_MAP || kind == CRDT_XML_HOOK;
	if (builder->is_member)
		return crdt_doc_visit_entry(doc, type, step, &visitor, error);
	if (kind == CRDT_ARRAY && path_step_is_index(step, &index))
		return crdt_doc_visit_element(doc, type, index, &visitor, error);
	return CRDT_OK;
}

Jsonb *
read_member(CrdtDoc *doc, const CrdtType *type, CrdtBytes step)
{
	JsonbBuilder builder = {0};
	CrdtError error;

	if (build_member(&builder, doc, type, step, &error) != CRDT_OK)
		bridge_report(&error, "document");
	return builder.result == NULL ? NULL : JsonbValueToJsonb(builder.result);
}

Jsonb *
read_attributes(const CrdtDoc *doc, const CrdtType *type)
{
	JsonbBuilder builder = {0};

	build_as(&builder, doc, type, CRDT_MAP);
	return JsonbValueToJsonb(builder.result);
}

static Jsonb *
json_at(CrdtDoc *doc, FunctionCallInfo fcinfo)
{
	Path path = path_of_argument(fcinfo, 1);

	bridge_require_utf8();
	return get_path(doc, &path);
}

struct varlena *
read_json_at(CrdtDoc *doc, FunctionCallInfo fcinfo)
{
	return (struct varlena *) json_at(doc, fcinfo);
}

struct varlena *
read_json_text_at(CrdtDoc *doc, FunctionCallInfo fcinfo)
{
	Jsonb *json = json_at(doc, fcinfo);
	JsonbValue *scalar;

	if (json == NULL)
		return NULL;
	if (JB_ROOT_IS_SCALAR(json))
	{
		scalar = getIthJsonbValueFromContainer(&json->root, 0);
		if (scalar->type == jbvNull)
			return NULL;
		if (scalar->type == jbvString)
			return cstring_to_text_with_len(scalar->val.string.val, scalar->val.string.len);
	}
	return cstring_to_text(JsonbToCString(NULL, &json->root, VARSIZE(json)));
}

Jsonb *
read_value(CrdtBytes value)
{
	JsonbBuilder builder = {0};
	CrdtVisitor visitor = JSONB_VISITOR(&builder);

	if (!crdt_value_visit(value, &visitor))
		elog(ERROR, "a value could not be shown");
	return JsonbValueToJsonb(builder.result);
}

/* ---- rich text and markup ---- */

static Jsonb *
delta_of(CrdtDoc *doc, const CrdtType *type, const CrdtSnapshot *snapshot,
		 const CrdtSnapshot *previous)
{
	JsonbBuilder builder = {0};
	CrdtVisitor visitor = JSONB_VISITOR(&builder);
	CrdtError error;

	if (crdt_doc_delta(doc, type, snapshot, previous, &visitor, &error) != CRDT_OK)
		bridge_report(&error, "document");
	return JsonbValueToJsonb(builder.result);
}

Jsonb *
read_delta_between(CrdtDoc *doc, const text *root, const CrdtSnapshot *snapshot,
				   const CrdtSnapshot *previous)
{
	const CrdtType *type = crdt_doc_find_root(doc, bridge_view(root));

	bridge_require_utf8();
	return type == NULL ? NULL : delta_of(doc, type, snapshot, previous);
}

Jsonb *
read_type_delta(CrdtDoc *doc, const CrdtType *type)
{
	return delta_of(doc, type, NULL, NULL);
}

struct varlena *
read_delta(CrdtDoc *doc, FunctionCallInfo fcinfo)
{
	Path path;
	const CrdtType *type = read_place(doc, fcinfo, &path);

	return type == NULL ? NULL : (struct varlena *) read_type_delta(doc, type);
}

struct varlena *
read_xml(CrdtDoc *doc, FunctionCallInfo fcinfo)
{
	Path path;
	const CrdtType *type = read_place(doc, fcinfo, &path);
	CrdtKind kind;
	CrdtBuffer out;
	CrdtHost host;
	CrdtError error;

	if (type == NULL)
		return NULL;
	kind = crdt_doc_kind(doc, type);
	if (kind == CRDT_TEXT)
		kind = CRDT_XML_TEXT;
	else if (kind == CRDT_UNTYPED)
		kind = CRDT_XML_FRAGMENT; /* empty */
	if (kind == CRDT_ARRAY || kind == CRDT_MAP)
		read_refuse(&path, kind, "XML");
	bridge_buffer(&out, &host);
	if (crdt_doc_xml(doc, type, kind, &out, &error) != CRDT_OK)
		bridge_report(&error, "document");
	return text_of(crdt_buffer_view(&out));
}

/* ---- roots ---- */

static const char *
kind_name(CrdtKind kind)
{
	static const char *const names[] = {"array",       "map",     "text",   "xmlelement",
										"xmlfragment", "xmlhook", "xmltext"};

	return kind < lengthof(names) ? names[kind] : NULL;
}

PG_FUNCTION_INFO_V1(ydoc_roots);
Datum
ydoc_roots(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const CrdtDoc *doc = ydoc_value_arg(fcinfo, 0)->doc;

	bridge_require_utf8();
	bridge_materialize(fcinfo);
	for (size_t i = 0; i < crdt_doc_root_count(doc); i++)
	{
		const CrdtType *type = crdt_doc_root(doc, i);
		const char *kind = kind_name(crdt_doc_kind(doc, type));
		Datum values[2] = {PointerGetDatum(text_of(crdt_doc_root_name(doc, type))), 0};
		bool nulls[2] = {false, kind == NULL};

		if (kind != NULL)
			values[1] = CStringGetTextDatum(kind);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
