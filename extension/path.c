/*
 * path.c: places in a document (path.h): reading them, following them.
 */
#include "path.h"

#include "catalog/pg_type_d.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "bridge.h"

/* ---- reading ---- */

static pg_noreturn void
refuse_path(const char *why)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", why),
					errhint("A path is the name of a root, then keys and indices: "
							"ARRAY['board', 'cards', '3'].")));
}

Path
path_of_array(ArrayType *array)
{
	Datum *values;
	bool *nulls;
	Path path;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &path.count);
	if (path.count == 0)
		refuse_path("an empty path leads nowhere");
	path.steps = palloc(sizeof(CrdtBytes) * path.count);
	for (int i = 0; i < path.count; i++)
	{
		if (nulls[i])
			refuse_path("a path holds no NULL");
		path.steps[i] = bridge_view(DatumGetTextPP(values[i]));
	}
	return path;
}

static Path
path_of_root(CrdtBytes name)
{
	Path path = {palloc(sizeof(CrdtBytes)), 1};

	path.steps[0] = name;
	return path;
}

Path
path_of_argument(FunctionCallInfo fcinfo, int number)
{
	if (get_fn_expr_argtype(fcinfo->flinfo, number) == TEXTARRAYOID)
		return path_of_array(PG_GETARG_ARRAYTYPE_P(number));
	return path_of_root(bridge_view(PG_GETARG_TEXT_PP(number)));
}

static CrdtBytes
step_of_jsonb(const JsonbValue *value)
{
	char *digits;

	if (value->type == jbvString)
		return (CrdtBytes){(const uint8_t *) value->val.string.val, value->val.string.len};
	if (value->type != jbvNumeric)
		refuse_path("a path holds strings and numbers");
	digits = numeric_normalize(value->val.numeric);
	return (CrdtBytes){(const uint8_t *) digits, strlen(digits)};
}

Path
path_of_jsonb(const JsonbValue *value)
{
	Path path = {NULL, 0};

	if (value->type == jbvString)
		return path_of_root(step_of_jsonb(value));
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		refuse_path("a path is a string or an array");
	path.count = JsonContainerSize(value->val.binary.data);
	if (path.count == 0)
		refuse_path("an empty path leads nowhere");
	path.steps = palloc(sizeof(CrdtBytes) * path.count);
	for (int i = 0; i < path.count; i++)
		path.steps[i] = step_of_jsonb(getIthJsonbValueFromContainer(value->val.binary.data, i));
	return path;
}

bool
path_step_is_index(CrdtBytes step, uint64_t *index)
{
	*index = 0;
	/* 01 is a key, as for RFC 6901 */
	if (step.size == 0 || step.size > 15 || (step.size > 1 && step.data[0] == '0'))
		return false;
	for (size_t i = 0; i < step.size; i++)
	{
		if (step.data[i] < '0' || step.data[i] > '9')
			return false;
		*index = *index * 10 + (step.data[i] - '0');
	}
	return true;
}

/* ---- showing ---- */

const char *
path_show(const Path *path, int count)
{
	StringInfoData shown;

	initStringInfo(&shown);
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			appendStringInfoChar(&shown, '.');
		appendBinaryStringInfo(&shown, (const char *) path->steps[i].data, path->steps[i].size);
	}
	return shown.data;
}

const char *
path_kind_name(CrdtKind kind)
{
	static const char *const names[] = {"array",        "map",      "text",    "XML element",
										"XML fragment", "XML hook", "XML text"};

	return kind < lengthof(names) ? names[kind] : "nothing yet";
}

/* ---- following ---- */

static const CrdtType *
follow_step(CrdtDoc *doc, const CrdtType *type, CrdtBytes step)
{
	CrdtKind kind = crdt_doc_kind(doc, type);
	uint64_t index;

	if (kind == CRDT_MAP || kind == CRDT_XML_HOOK)
		return crdt_doc_entry(doc, type, step);
	return path_step_is_index(step, &index) ? crdt_doc_child(doc, type, index) : NULL;
}

const CrdtType *
path_follow(CrdtDoc *doc, const Path *path, int *taken)
{
	const CrdtType *type = crdt_doc_find_root(doc, path->steps[0]);

	*taken = 0;
	for (const CrdtType *next = type; next != NULL;)
	{
		type = next;
		if (++*taken == path->count)
			break;
		next = follow_step(doc, type, path->steps[*taken]);
	}
	return type;
}

static bool
kind_fits(CrdtKind found, CrdtKind wanted)
{
	return found == wanted || (wanted == CRDT_TEXT && found == CRDT_XML_TEXT) ||
		   (wanted == CRDT_XML_FRAGMENT && found == CRDT_XML_ELEMENT);
}

const CrdtType *
path_open_type(CrdtDoc *doc, const Path *path, CrdtKind kind)
{
	int taken;
	const CrdtType *type = path_follow(doc, path, &taken);
	CrdtKind found = type == NULL ? CRDT_UNTYPED : crdt_doc_kind(doc, type);
	CrdtError error;

	if (taken < path->count && (path->count > 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no %s at %s", path_kind_name(kind), path_show(path, path->count)),
				 taken == 0 ? errdetail("The document has no root \"%s\".", path_show(path, 1))
							: errdetail("%s is a shared %s, and \"%s\" in it is not a shared type.",
										path_show(path, taken), path_kind_name(found),
										path_show(&(Path){path->steps + taken, 1}, 1))));
	if (found != CRDT_UNTYPED && !kind_fits(found, kind))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s is a shared %s, not a shared %s", path_show(path, path->count),
							   path_kind_name(found), path_kind_name(kind)),
						errdetail("A shared type stays what it was made as.")));
	if (path->count == 1 && found == CRDT_UNTYPED)
	{
		type = crdt_doc_open_root(doc, path->steps[0], kind, &error);
		if (type == NULL)
			bridge_report(&error, "root");
	}
	return type;
}
