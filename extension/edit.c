/*
 * edit.c: the verbs, their arguments, and the functions that edit values (edit.h).
 *
 * Not here: jsonb as input (input.c), finding the smallest edit (replace.c, set.c), stored documents
 * (store_edit.c).
 */
#include "edit.h"

#include "catalog/pg_type_d.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "bridge.h"
#include "input.h"
#include "value.h"

void
edit_check(CrdtStatus status, const CrdtError *error)
{
	if (status != CRDT_OK)
		bridge_report(error, "edit");
}

#define INDEX_HINT "Indices begin at 0 and count UTF-16 units in texts, elements elsewhere."

/* ---- texts ---- */

static const CrdtAttributes *
attributes_or_null(const EditArguments *arguments)
{
	return arguments->has_attributes ? &arguments->attributes : NULL;
}

/* Before the core does, which knows no path. */
static void
check_index(CrdtDoc *doc, const CrdtType *type, const EditArguments *arguments)
{
	uint64 length = crdt_doc_length(doc, type);

	if (arguments->index > length)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("index " UINT64_FORMAT
							   " is beyond the end of %s, which has length " UINT64_FORMAT,
							   arguments->index, path_show(&arguments->path, arguments->path.count),
							   length),
						errhint(INDEX_HINT)));
}

static void
run_text_insert(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_TEXT);
	CrdtError error;

	check_index(doc, type, arguments);
	edit_check(crdt_text_insert(doc, type, arguments->index, arguments->text,
								attributes_or_null(arguments), &error),
			   &error);
}

static void
run_text_append(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_TEXT);
	CrdtError error;

	edit_check(crdt_text_insert(doc, type, crdt_doc_length(doc, type), arguments->text,
								attributes_or_null(arguments), &error),
			   &error);
}

static void
run_text_insert_embed(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_TEXT);
	JsonbValue whole = input_whole(arguments->json);
	CrdtInput embed = input_value(&whole);
	CrdtError error;

	check_index(doc, type, arguments);
	edit_check(crdt_text_insert_embed(doc, type, arguments->index, &embed,
									  attributes_or_null(arguments), &error),
			   &error);
}

/* Yjs would let both end silently where the text does. */
static void
check_range(CrdtDoc *doc, const CrdtType *type, const EditArguments *arguments)
{
	uint64 length = crdt_doc_length(doc, type);

	if (arguments->index > length || arguments->length > length - arguments->index)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the range from " UINT64_FORMAT " of length " UINT64_FORMAT
							   " goes beyond the end of %s, which has length " UINT64_FORMAT,
							   arguments->index, arguments->length,
							   path_show(&arguments->path, arguments->path.count), length),
						errhint(INDEX_HINT)));
}

static void
run_text_delete(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_TEXT);
	CrdtError error;

	check_range(doc, type, arguments);
	edit_check(crdt_text_delete(doc, type, arguments->index, arguments->length, &error), &error);
}

static void
run_text_format(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_TEXT);
	CrdtError error;

	check_range(doc, type, arguments);
	edit_check(crdt_text_format(doc, type, arguments->index, arguments->length,
								&arguments->attributes, &error),
			   &error);
}

static void
run_text_apply_delta(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_TEXT);
	CrdtError error;
	size_t count;
	CrdtDeltaOp *ops = input_delta(arguments->json, &count);

	edit_check(crdt_text_apply_delta(doc, type, ops, count, true, &error), &error);
}

static void
run_text_replace(CrdtDoc *doc, const EditArguments *arguments)
{
	edit_replace_text(doc, path_open_type(doc, &arguments->path, CRDT_TEXT), arguments->text);
}

/* ---- arrays and maps ---- */

static void
run_array_insert(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_ARRAY);
	size_t count;
	CrdtInput *inputs = input_elements(arguments->json, false, "elements", &count);
	CrdtError error;

	check_index(doc, type, arguments);
	edit_check(crdt_list_insert(doc, type, arguments->index, inputs, count, &error), &error);
}

static void
run_array_push(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_ARRAY);
	size_t count;
	CrdtInput *inputs = input_elements(arguments->json, false, "elements", &count);
	CrdtError error;

	edit_check(crdt_list_push(doc, type, inputs, count, &error), &error);
}

static void
run_array_delete(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_ARRAY);
	CrdtError error;

	check_range(doc, type, arguments);
	edit_check(crdt_list_delete(doc, type, arguments->index, arguments->length, &error), &error);
}

static void
run_map_set(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_MAP);
	JsonbValue whole = input_whole(arguments->json);
	CrdtInput value = input_value(&whole);
	CrdtError error;

	edit_check(crdt_map_set(doc, type, arguments->key, &value, &error), &error);
}

static void
run_map_delete(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_MAP);
	CrdtError error;

	edit_check(crdt_map_delete(doc, type, arguments->key, &error), &error);
}

static void
run_map_clear(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_MAP);
	CrdtError error;

	edit_check(crdt_map_clear(doc, type, &error), &error);
}

/* ---- XML ---- */

static void
run_xml_insert(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_XML_FRAGMENT);
	JsonbValue whole = input_whole(arguments->json);
	size_t count;
	CrdtInput *nodes = prosemirror_nodes(&whole, &count);
	CrdtError error;

	check_index(doc, type, arguments);
	edit_check(crdt_list_insert(doc, type, arguments->index, nodes, count, &error), &error);
}

static void
run_xml_delete(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_XML_FRAGMENT);
	CrdtError error;

	check_range(doc, type, arguments);
	edit_check(crdt_list_delete(doc, type, arguments->index, arguments->length, &error), &error);
}

static void
run_xml_set_attribute(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_XML_ELEMENT);
	JsonbValue whole = input_whole(arguments->json);
	CrdtInput value = input_value(&whole);
	CrdtError error;

	edit_check(crdt_map_set(doc, type, arguments->key, &value, &error), &error);
}

static void
run_xml_remove_attribute(CrdtDoc *doc, const EditArguments *arguments)
{
	const CrdtType *type = path_open_type(doc, &arguments->path, CRDT_XML_ELEMENT);
	CrdtError error;

	edit_check(crdt_map_delete(doc, type, arguments->key, &error), &error);
}

/* ---- JSON as a whole ---- */

static void
run_set(CrdtDoc *doc, const EditArguments *arguments)
{
	set_path(doc, &arguments->path, arguments->json);
}

static void
run_unset(CrdtDoc *doc, const EditArguments *arguments)
{
	unset_path(doc, &arguments->path);
}

static void
run_patch(CrdtDoc *doc, const EditArguments *arguments)
{
	patch_document(doc, arguments->json);
}

/* ---- the table ---- */

static const EditVerb verbs[] = {
	{"text_insert", run_text_insert, {EDIT_PATH, EDIT_INDEX, EDIT_TEXT, EDIT_ATTRIBUTES}, NULL},
	{"text_append", run_text_append, {EDIT_PATH, EDIT_TEXT, EDIT_ATTRIBUTES}, NULL},
	{"text_insert_embed",
	 run_text_insert_embed,
	 {EDIT_PATH, EDIT_INDEX, EDIT_JSON, EDIT_ATTRIBUTES},
	 "embed"},
	{"text_delete", run_text_delete, {EDIT_PATH, EDIT_INDEX, EDIT_LENGTH}, NULL},
	{"text_format", run_text_format, {EDIT_PATH, EDIT_INDEX, EDIT_LENGTH, EDIT_ATTRIBUTES}, NULL},
	{"text_apply_delta", run_text_apply_delta, {EDIT_PATH, EDIT_JSON}, "delta"},
	{"text_replace", run_text_replace, {EDIT_PATH, EDIT_TEXT}, NULL},
	{"array_insert", run_array_insert, {EDIT_PATH, EDIT_INDEX, EDIT_JSON}, "elements"},
	{"array_push", run_array_push, {EDIT_PATH, EDIT_JSON}, "elements"},
	{"array_delete", run_array_delete, {EDIT_PATH, EDIT_INDEX, EDIT_LENGTH}, NULL},
	{"map_set", run_map_set, {EDIT_PATH, EDIT_KEY, EDIT_JSON}, "value"},
	{"map_delete", run_map_delete, {EDIT_PATH, EDIT_KEY}, NULL},
	{"map_clear", run_map_clear, {EDIT_PATH}, NULL},
	{"xml_insert", run_xml_insert, {EDIT_PATH, EDIT_INDEX, EDIT_JSON}, "content"},
	{"xml_delete", run_xml_delete, {EDIT_PATH, EDIT_INDEX, EDIT_LENGTH}, NULL},
	{"xml_set_attribute", run_xml_set_attribute, {EDIT_PATH, EDIT_KEY, EDIT_JSON}, "value"},
	{"xml_remove_attribute", run_xml_remove_attribute, {EDIT_PATH, EDIT_KEY}, NULL},
	{"set", run_set, {EDIT_PATH, EDIT_JSON}, "value"},
	{"unset", run_unset, {EDIT_PATH}, NULL},
	{"patch", run_patch, {EDIT_JSON}, "patch"},
};

const EditVerb *
edit_verb(const char *name, size_t length)
{
	StringInfoData known;

	for (size_t i = 0; i < lengthof(verbs); i++)
		if (strlen(verbs[i].name) == length && memcmp(verbs[i].name, name, length) == 0)
			return &verbs[i];
	initStringInfo(&known);
	for (size_t i = 0; i < lengthof(verbs); i++)
		appendStringInfo(&known, "%s%s", i > 0 ? ", " : "", verbs[i].name);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("there is no operation \"%.*s\"", (int) length, name),
					errhint("Operations are %s.", known.data)));
}

/* ---- arguments ---- */

static const char *
argument_name(const EditVerb *verb, EditArgumentKind kind)
{
	static const char *const names[] = {"",     "path", "index", "length",
										"text", "key",  "",      "attributes"};

	return kind == EDIT_JSON ? verb->json_name : names[kind];
}

static uint64
not_negative(int64 number, const char *name)
{
	if (number < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must not be negative", name),
				 errdetail("It is " INT64_FORMAT ".", number)));
	return number;
}

static pg_noreturn void
refuse_null(const EditVerb *verb, EditArgumentKind kind)
{
	ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("%s of %s must not be null", argument_name(verb, kind), verb->name)));
}

static bool
is_in_braces(CrdtBytes name)
{
	return name.size >= 2 && name.data[0] == '{' && name.data[name.size - 1] == '}';
}

EditArguments
edit_arguments(FunctionCallInfo fcinfo, const EditVerb *verb)
{
	EditArguments arguments = {0};
	int number = 1;

	for (const EditArgumentKind *kind = verb->kinds; *kind != EDIT_NOTHING; kind++, number++)
	{
		JsonbValue whole;

		if (PG_ARGISNULL(number))
		{
			if (*kind != EDIT_ATTRIBUTES || verb->run == run_text_format)
				refuse_null(verb, *kind);
			continue;
		}
		switch (*kind)
		{
			case EDIT_PATH:
				arguments.path = path_of_argument(fcinfo, number);
				arguments.may_be_array = get_fn_expr_argtype(fcinfo->flinfo, number) == TEXTOID &&
										 is_in_braces(arguments.path.steps[0]);
				break;
			case EDIT_INDEX:
				arguments.index = not_negative(PG_GETARG_INT32(number), "index");
				break;
			case EDIT_LENGTH:
				arguments.length = not_negative(PG_GETARG_INT32(number), "length");
				break;
			case EDIT_TEXT: arguments.text = bridge_view(PG_GETARG_TEXT_PP(number)); break;
			case EDIT_KEY: arguments.key = bridge_view(PG_GETARG_TEXT_PP(number)); break;
			case EDIT_JSON: arguments.json = PG_GETARG_JSONB_P(number); break;
			default:
				whole = input_whole(PG_GETARG_JSONB_P(number));
				arguments.attributes = input_attributes(&whole, "attributes");
				arguments.has_attributes = true;
		}
	}
	return arguments;
}

/*
 * Drivers send an array as text, {board,cards}, of a type that is left to the server, which takes the text: it
 * would be a new root of that name, for ever.
 */
void
edit_run(CrdtDoc *doc, const EditVerb *verb, const EditArguments *arguments)
{
	if (arguments->may_be_array && crdt_doc_find_root(doc, arguments->path.steps[0]) == NULL)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no root \"%s\", and as text that is no path",
					path_show(&arguments->path, 1)),
			 errhint("A path is an array: $1::text[] of a driver's parameter, or ARRAY['board', "
					 "'cards'].  A new root of such a name is the only step of one.")));
	verb->run(doc, arguments);
}

/* ---- lists of operations ---- */

static int64
number_of_member(const JsonbValue *value, const char *name)
{
	Datum number;

	if (value->type != jbvNumeric)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be a number, not %s", name, input_kind_name(value))));
	number = NumericGetDatum(value->val.numeric);
	if (!DatumGetBool(DirectFunctionCall2(
			numeric_eq, number, DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0)))))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be a whole number, not %s", name,
							   DatumGetCString(DirectFunctionCall1(numeric_out, number)))));
	return DatumGetInt32(DirectFunctionCall1(numeric_int4, number));
}

static CrdtBytes
string_of_member(const JsonbValue *value, const char *name)
{
	if (value->type != jbvString)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be a string, not %s", name, input_kind_name(value))));
	return input_string(value);
}

static bool
is_called(const JsonbValue *key, const char *name)
{
	return strlen(name) == (size_t) key->val.string.len &&
		   memcmp(name, key->val.string.val, key->val.string.len) == 0;
}

static bool
has_argument(const EditVerb *verb, const JsonbValue *key)
{
	for (const EditArgumentKind *kind = verb->kinds; *kind != EDIT_NOTHING; kind++)
		if (is_called(key, argument_name(verb, *kind)))
			return true;
	return is_called(key, "op");
}

/* One that is misspelt would be left out without a word. */
static void
refuse_unknown_members(const JsonbValue *object, const EditVerb *verb)
{
	JsonbIterator *iterator = JsonbIteratorInit(object->val.binary.data);
	JsonbValue key, value;
	StringInfoData known;

	(void) JsonbIteratorNext(&iterator, &key, true); /* the object begins */
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&iterator, &value, true);
		if (has_argument(verb, &key))
			continue;
		initStringInfo(&known);
		for (const EditArgumentKind *kind = verb->kinds; *kind != EDIT_NOTHING; kind++)
			appendStringInfo(&known, ", %s", argument_name(verb, *kind));
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("operation %s has no member \"%.*s\"", verb->name,
							   key.val.string.len, key.val.string.val),
						errhint("Its members are op%s.", known.data)));
	}
}

static EditArguments
arguments_of_object(const JsonbValue *object, const EditVerb *verb)
{
	EditArguments arguments = {0};

	refuse_unknown_members(object, verb);
	for (const EditArgumentKind *kind = verb->kinds; *kind != EDIT_NOTHING; kind++)
	{
		const char *name = argument_name(verb, *kind);
		JsonbValue *value = input_member(object, name);

		if (value == NULL)
		{
			if (*kind != EDIT_ATTRIBUTES || verb->run == run_text_format)
				refuse_null(verb, *kind);
			continue;
		}
		switch (*kind)
		{
			case EDIT_PATH: arguments.path = path_of_jsonb(value); break;
			case EDIT_INDEX:
				arguments.index = not_negative(number_of_member(value, name), name);
				break;
			case EDIT_LENGTH:
				arguments.length = not_negative(number_of_member(value, name), name);
				break;
			case EDIT_TEXT: arguments.text = string_of_member(value, name); break;
			case EDIT_KEY: arguments.key = string_of_member(value, name); break;
			case EDIT_JSON: arguments.json = JsonbValueToJsonb(value); break;
			default:
				arguments.has_attributes = value->type != jbvNull;
				if (arguments.has_attributes)
					arguments.attributes = input_attributes(value, name);
		}
	}
	return arguments;
}

#define OPERATION_HINT \
	"For example [{\"op\": \"text_insert\", \"path\": \"t\", \"index\": 0, \"text\": \"hi\"}]."

static void
name_operation(void *number)
{
	errcontext("operation %d of the list", *(int *) number);
}

/* Not STRICT: "SET doc = ydoc_edit(doc, operations)" would lose the document. */
void
edit_require_operations(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the list of operations must not be null"),
						errhint("An empty list, '[]', changes nothing.")));
}

void
edit_run_list(CrdtDoc *doc, const Jsonb *operations)
{
	JsonbValue whole = input_whole(operations);
	int number = 0;
	ErrorContextCallback callback = {error_context_stack, name_operation, &number};

	if (!input_is_array(&whole))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("operations must be an array, not %s", input_kind_name(&whole)),
						errhint(OPERATION_HINT)));
	error_context_stack = &callback;
	while (number < (int) JsonContainerSize(whole.val.binary.data))
	{
		JsonbValue *operation = getIthJsonbValueFromContainer(whole.val.binary.data, number++);
		JsonbValue *name = input_is_object(operation) ? input_member(operation, "op") : NULL;
		const EditVerb *verb;
		EditArguments arguments;

		CHECK_FOR_INTERRUPTS();
		if (name == NULL || name->type != jbvString)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("an operation is an object with a member \"op\""),
							errhint(OPERATION_HINT)));
		verb = edit_verb(name->val.string.val, name->val.string.len);
		arguments = arguments_of_object(operation, verb);
		verb->run(doc, &arguments);
	}
	error_context_stack = callback.previous;
}

/* ---- functions on values ---- */

static Datum
edit_value(FunctionCallInfo fcinfo, const char *name)
{
	const EditVerb *verb = edit_verb(name, strlen(name));
	YdocValue *value;
	EditArguments arguments;

	bridge_require_utf8();
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	arguments = edit_arguments(fcinfo, verb);
	value = ydoc_value_writable(fcinfo, 0);
	ydoc_value_edit_begin(value);
	edit_run(value->doc, verb, &arguments);
	ydoc_value_edit_end(value);
	PG_RETURN_DATUM(ydoc_value_datum(value));
}

#define EDIT_FUNCTION(name)               \
	PG_FUNCTION_INFO_V1(ydoc_##name);     \
	Datum ydoc_##name(PG_FUNCTION_ARGS)   \
	{                                     \
		return edit_value(fcinfo, #name); \
	}

EDIT_FUNCTION(text_insert)
EDIT_FUNCTION(text_append)
EDIT_FUNCTION(text_insert_embed)
EDIT_FUNCTION(text_delete)
EDIT_FUNCTION(text_format)
EDIT_FUNCTION(text_apply_delta)
EDIT_FUNCTION(text_replace)
EDIT_FUNCTION(array_insert)
EDIT_FUNCTION(array_push)
EDIT_FUNCTION(array_delete)
EDIT_FUNCTION(map_set)
EDIT_FUNCTION(map_delete)
EDIT_FUNCTION(map_clear)
EDIT_FUNCTION(xml_insert)
EDIT_FUNCTION(xml_delete)
EDIT_FUNCTION(xml_set_attribute)
EDIT_FUNCTION(xml_remove_attribute)
EDIT_FUNCTION(set)
EDIT_FUNCTION(unset)
EDIT_FUNCTION(patch)

PG_FUNCTION_INFO_V1(ydoc_edit);
Datum
ydoc_edit(PG_FUNCTION_ARGS)
{
	YdocValue *value;

	bridge_require_utf8();
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	edit_require_operations(fcinfo);
	value = ydoc_value_writable(fcinfo, 0);
	ydoc_value_edit_begin(value);
	edit_run_list(value->doc, PG_GETARG_JSONB_P(1));
	ydoc_value_edit_end(value);
	PG_RETURN_DATUM(ydoc_value_datum(value));
}

/* ---- new documents ---- */

PG_FUNCTION_INFO_V1(ydoc_from_text);
Datum
ydoc_from_text(PG_FUNCTION_ARGS)
{
	YdocValue *value = ydoc_value_new(CurrentMemoryContext);
	const CrdtType *type;
	CrdtError error;

	bridge_require_utf8();
	ydoc_value_edit_begin(value);
	type = crdt_doc_open_root(value->doc, bridge_view(PG_GETARG_TEXT_PP(1)), CRDT_TEXT, &error);
	if (type == NULL)
		bridge_report(&error, "root");
	edit_check(
		crdt_text_insert(value->doc, type, 0, bridge_view(PG_GETARG_TEXT_PP(0)), NULL, &error),
		&error);
	ydoc_value_edit_end(value);
	PG_RETURN_DATUM(ydoc_value_datum(value));
}

PG_FUNCTION_INFO_V1(ydoc_from_delta);
Datum
ydoc_from_delta(PG_FUNCTION_ARGS)
{
	YdocValue *value = ydoc_value_new(CurrentMemoryContext);
	size_t count;
	CrdtDeltaOp *ops = input_delta(PG_GETARG_JSONB_P(0), &count);
	const CrdtType *type;
	CrdtError error;

	bridge_require_utf8();
	ydoc_value_edit_begin(value);
	type = crdt_doc_open_root(value->doc, bridge_view(PG_GETARG_TEXT_PP(1)), CRDT_TEXT, &error);
	if (type == NULL)
		bridge_report(&error, "root");
	edit_check(crdt_text_apply_delta(value->doc, type, ops, count, true, &error), &error);
	ydoc_value_edit_end(value);
	PG_RETURN_DATUM(ydoc_value_datum(value));
}

/* Each member of an object is a root. */
static void
set_all_roots(CrdtDoc *doc, const JsonbValue *object)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;
	CrdtBytes name = {NULL, 0};

	if (!input_is_object(object))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a document is made of an object, not %s", input_kind_name(object)),
						errhint("Each member becomes a root.  Or name one root: "
								"ydoc_from_json(json, root).")));
	iterator = JsonbIteratorInit(object->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = input_string(&value);
		else if (token == WJB_VALUE)
			set_root(doc, name, &value);
	}
}

PG_FUNCTION_INFO_V1(ydoc_from_json);
Datum
ydoc_from_json(PG_FUNCTION_ARGS)
{
	YdocValue *value = ydoc_value_new(CurrentMemoryContext);
	JsonbValue whole = input_whole(PG_GETARG_JSONB_P(0));

	bridge_require_utf8();
	ydoc_value_edit_begin(value);
	if (PG_NARGS() > 1)
		set_root(value->doc, bridge_view(PG_GETARG_TEXT_PP(1)), &whole);
	else
		set_all_roots(value->doc, &whole);
	ydoc_value_edit_end(value);
	PG_RETURN_DATUM(ydoc_value_datum(value));
}
