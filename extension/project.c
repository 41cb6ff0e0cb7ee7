/*
 * project.c: chosen places of a document as one object (project.h).
 *
 * Here: what the places are, reading them.  Not here: the tables that keep what was read
 * (projection.c).
 */
#include "project.h"

#include <limits.h>

#include "catalog/pg_type_d.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "bridge.h"
#include "edit.h"
#include "input.h"
#include "store.h"
#include "value.h"

/* functions on values (read.c, prosemirror.c, html.c, markdown.c) */
Datum ydoc_json(PG_FUNCTION_ARGS);
Datum ydoc_delta(PG_FUNCTION_ARGS);
Datum ydoc_xml(PG_FUNCTION_ARGS);
Datum ydoc_prosemirror(PG_FUNCTION_ARGS);
Datum ydoc_html(PG_FUNCTION_ARGS);
Datum ydoc_markdown(PG_FUNCTION_ARGS);

/* ---- text ---- */

static CrdtBytes
text_of_type(CrdtDoc *doc, const CrdtType *type)
{
	CrdtBuffer text;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&text, &host);
	if (crdt_doc_text(doc, type, &text, &error) != CRDT_OK)
		bridge_report(&error, "document");
	return crdt_buffer_view(&text);
}

/* Editors keep a line break as an element of its own. */
static bool
is_line_break(CrdtBytes element)
{
	static const char *const names[] = {"hardBreak", "hard_break", "br"};

	for (size_t i = 0; i < lengthof(names); i++)
		if (element.size == strlen(names[i]) && memcmp(element.data, names[i], element.size) == 0)
			return true;
	return false;
}

static void
break_line(StringInfo text)
{
	if (text->len > 0 && text->data[text->len - 1] != '\n')
		appendStringInfoChar(text, '\n');
}

/* The texts inside, without markup: those of one element join, those of others are other lines. */
static void
append_xml_text(StringInfo text, CrdtDoc *doc, const CrdtType *parent)
{
	uint64 length = crdt_doc_length(doc, parent);

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	for (uint64 i = 0; i < length; i++)
	{
		const CrdtType *child = crdt_doc_child(doc, parent, i);
		CrdtKind kind = child == NULL ? CRDT_UNTYPED : crdt_doc_kind(doc, child);

		if (kind == CRDT_XML_TEXT)
		{
			CrdtBytes run = text_of_type(doc, child);

			appendBinaryStringInfo(text, (const char *) run.data, (int) run.size);
		}
		else if (kind == CRDT_XML_ELEMENT && is_line_break(crdt_doc_element_name(doc, child)))
			appendStringInfoChar(text, '\n');
		else if (kind == CRDT_XML_ELEMENT && crdt_doc_length(doc, child) > 0)
		{
			break_line(text);
			append_xml_text(text, doc, child);
			break_line(text);
		}
	}
}

static CrdtBytes
text_of_xml(CrdtDoc *doc, const CrdtType *type)
{
	StringInfoData text;

	initStringInfo(&text);
	append_xml_text(&text, doc, type);
	if (text.len > 0 && text.data[text.len - 1] == '\n')
		text.len--;
	return (CrdtBytes){(const uint8_t *) text.data, text.len};
}

/* ---- forms ---- */

/* The shared type that the path leads to; NULL: none. */
static const CrdtType *
find_type(CrdtDoc *doc, const Path *path)
{
	int taken;
	const CrdtType *type = path_follow(doc, path, &taken);

	return taken == path->count ? type : NULL;
}

static Jsonb *
json_string(CrdtBytes internal)
{
	CrdtBytes clean = bridge_text(internal);
	JsonbValue value = {.type = jbvString};

	if (clean.size > JENTRY_OFFLENMASK)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("text of %zu bytes is too long for jsonb", clean.size)));
	value.val.string.val = (char *) clean.data;
	value.val.string.len = (int) clean.size;
	return JsonbValueToJsonb(&value);
}

/* A text without its formatting, XML without its markup, a string as it is; else JSON as text. */
static Jsonb *
read_as_text(CrdtDoc *doc, const Path *path)
{
	const CrdtType *type = find_type(doc, path);
	CrdtKind kind = type == NULL ? CRDT_UNTYPED : crdt_doc_kind(doc, type);
	Jsonb *json;
	JsonbValue whole;
	const char *text;

	if (kind == CRDT_TEXT || kind == CRDT_XML_TEXT)
		return json_string(text_of_type(doc, type));
	if (kind == CRDT_XML_FRAGMENT || kind == CRDT_XML_ELEMENT)
		return json_string(text_of_xml(doc, type));
	json = get_path(doc, path);
	if (json == NULL)
		return NULL;
	whole = input_whole(json);
	if (whole.type == jbvString || whole.type == jbvNull)
		return json;
	text = JsonbToCString(NULL, &json->root, VARSIZE(json));
	return json_string((CrdtBytes){(const uint8_t *) text, strlen(text)});
}

static Datum
path_argument(const Path *path)
{
	Datum *steps = palloc(sizeof(Datum) * path->count);

	for (int i = 0; i < path->count; i++)
		steps[i] = PointerGetDatum(cstring_to_text_with_len((const char *) path->steps[i].data,
															(int) path->steps[i].size));
	return PointerGetDatum(construct_array(steps, path->count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* What one of the functions on values says of the document, as JSON. */
static Jsonb *
call_function(const ProjectForm *form, CrdtDoc *doc, const Path *path)
{
	LOCAL_FCINFO(call, 2);
	List *types = list_make2(makeNullConst(INTERNALOID, -1, InvalidOid),
							 makeNullConst(TEXTARRAYOID, -1, InvalidOid));
	FmgrInfo information = {.fn_expr =
								(Node *) makeFuncExpr(InvalidOid, InvalidOid, types, InvalidOid,
													  InvalidOid, COERCE_EXPLICIT_CALL)};
	Datum result;

	InitFunctionCallInfoData(*call, &information, path->count == 0 ? 1 : 2, InvalidOid, NULL, NULL);
	call->args[0] = (NullableDatum){ydoc_value_view(doc), false};
	if (path->count > 0)
		call->args[1] = (NullableDatum){path_argument(path), false};
	result = form->function(call);
	if (call->isnull)
		return NULL;
	return form->gives_text ? json_string(bridge_view(DatumGetTextPP(result)))
							: DatumGetJsonbP(result);
}

static Jsonb *
read_as_json(CrdtDoc *doc, const Path *path)
{
	static const ProjectForm whole = {.function = ydoc_json};

	return path->count == 0 ? call_function(&whole, doc, path) : get_path(doc, path);
}

static const ProjectForm forms[] = {
	{"json", read_as_json, NULL, 0, INT_MAX, false},
	{"text", read_as_text, NULL, 1, INT_MAX, false},
	{"delta", NULL, ydoc_delta, 1, INT_MAX, false},
	{"xml", NULL, ydoc_xml, 1, INT_MAX, true},
	{"prosemirror", NULL, ydoc_prosemirror, 1, INT_MAX, false},
	{"html", NULL, ydoc_html, 1, INT_MAX, true},
	{"markdown", NULL, ydoc_markdown, 1, INT_MAX, true},
	{"document", NULL, NULL, 0, 0, false},
};

static Jsonb *
read_column(CrdtDoc *doc, const ProjectColumn *column)
{
	return column->form->read != NULL ? column->form->read(doc, &column->path)
									  : call_function(column->form, doc, &column->path);
}

/* ---- columns ---- */

static pg_noreturn void
refuse_column(const char *column, const char *why)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("column \"%s\" of a projection %s", column, why),
					errhint("A column is a root's name, a path such as [\"meta\", \"title\"], or "
							"{\"path\": …, \"as\": \"text\"}.")));
}

static const ProjectForm *
find_form(const char *column, CrdtBytes name)
{
	StringInfoData known;

	for (size_t i = 0; i < lengthof(forms); i++)
		if (strlen(forms[i].name) == name.size && memcmp(forms[i].name, name.data, name.size) == 0)
			return &forms[i];
	initStringInfo(&known);
	for (size_t i = 0; i < lengthof(forms); i++)
		appendStringInfo(&known, "%s%s", i > 0 ? ", " : "", forms[i].name);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("column \"%s\" of a projection is to be read as \"%.*s\", which is not "
						   "known",
						   column, (int) name.size, (const char *) name.data),
					errhint("Documents are read as %s.", known.data)));
}

static Path
path_of_place(const JsonbValue *value)
{
	if (input_is_array(value) && JsonContainerSize(value->val.binary.data) == 0)
		return (Path){NULL, 0};
	return path_of_jsonb(value);
}

static void
read_members(ProjectColumn *column, const JsonbValue *object)
{
	JsonbIterator *iterator = JsonbIteratorInit(object->val.binary.data);
	JsonbIteratorToken token;
	JsonbValue value;
	char *key = NULL;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && strcmp(key, "path") == 0)
			column->path = path_of_place(&value);
		else if (token == WJB_VALUE && strcmp(key, "as") != 0)
			refuse_column(column->name, psprintf("has no member \"%s\"", key));
		else if (token == WJB_VALUE && value.type != jbvString)
			refuse_column(column->name,
						  psprintf("is to be read as %s, not a name", input_kind_name(&value)));
		else if (token == WJB_VALUE)
			column->form = find_form(column->name, input_string(&value));
	}
}

static ProjectColumn
column_of(char *name, const JsonbValue *value)
{
	ProjectColumn column = {.name = name, .form = &forms[0]};

	if (input_is_object(value))
		read_members(&column, value);
	else if (value->type == jbvString || input_is_array(value))
		column.path = path_of_place(value);
	else
		refuse_column(name, psprintf("is %s, not a place", input_kind_name(value)));
	if (column.path.count < column.form->steps_min)
		refuse_column(name, psprintf("is read as %s, which needs a path", column.form->name));
	if (column.path.count > column.form->steps_max)
		refuse_column(name, "is the document as a whole, which has no path");
	return column;
}

ProjectColumn *
project_columns(const Jsonb *jsonb, int *count)
{
	JsonbValue whole = input_whole(jsonb);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;
	ProjectColumn *columns;
	char *name = NULL;

	if (!input_is_object(&whole) || JsonContainerSize(whole.val.binary.data) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("columns of a projection must be an object with members, not %s",
							   input_is_object(&whole) ? "an empty one" : input_kind_name(&whole)),
						errhint("For example {\"title\": [\"meta\", \"title\"]}.")));
	columns = palloc(sizeof(ProjectColumn) * JsonContainerSize(whole.val.binary.data));
	*count = 0;
	iterator = JsonbIteratorInit(whole.val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
			columns[(*count)++] = column_of(name, &value);
	}
	return columns;
}

bool
project_is_document(const ProjectColumn *column)
{
	return column->form->read == NULL && column->form->function == NULL;
}

/* ---- reading ---- */

static void
push_json(JsonbParseState **state, const char *name, const Jsonb *json)
{
	JsonbValue key = {.type = jbvString};
	JsonbValue value = input_whole(json);

	key.val.string.val = (char *) name;
	key.val.string.len = (int) strlen(name);
	pushJsonbValue(state, WJB_KEY, &key);
	pushJsonbValue(state, WJB_VALUE, &value);
}

static Jsonb *
read_columns(CrdtDoc *doc, const ProjectColumn *columns, int count)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < count; i++)
	{
		Jsonb *json = project_is_document(&columns[i]) ? NULL : read_column(doc, &columns[i]);

		if (json != NULL)
			push_json(&state, columns[i].name, json);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

PG_FUNCTION_INFO_V1(ydoc_store_project);
Datum
ydoc_store_project(PG_FUNCTION_ARGS)
{
	StoreHead head = {.name = store_check_name(PG_GETARG_TEXT_PP(0))};
	int count;
	ProjectColumn *columns = project_columns(PG_GETARG_JSONB_P(1), &count);
	Jsonb *result = NULL;

	bridge_require_utf8();
	store_open();
	if (store_read_head(head.name, &head))
	{
		CachedDocument *document = store_get_or_report(&head);
		Jsonb *found = read_columns(document->doc, columns, count);

		cache_release(document);
		result = SPI_palloc(VARSIZE(found));
		memcpy(result, found, VARSIZE(found));
	}
	store_close();
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(result);
}
