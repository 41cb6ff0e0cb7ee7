/*
 * prosemirror.c: XML roots as ProseMirror's JSON, both ways, in the form that y-prosemirror gives
 * them: a node is an element of its type's name, attrs are attributes (null ones are left out), runs of
 * text nodes are one XML text whose formatting are their marks.
 */
#include "prosemirror.h"

#include "common/base64.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "bridge.h"
#include "crdt/value.h"
#include "edit.h"
#include "input.h"
#include "read.h"
#include "value.h"

/* ---- from JSON ---- */

static pg_noreturn void
refuse_node(const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("not a node of ProseMirror: %s", why),
			 errhint("{\"type\": \"paragraph\", \"content\": [{\"type\": \"text\", \"text\": "
					 "\"hi\"}]}")));
}

static CrdtBytes
type_of_node(const JsonbValue *node)
{
	JsonbValue *type = input_is_object(node) ? input_member(node, "type") : NULL;

	if (type == NULL || type->type != jbvString || type->val.string.len == 0)
		refuse_node("it is an object with a string \"type\"");
	return input_string(type);
}

static bool
is_text_node(const JsonbValue *node)
{
	CrdtBytes type = type_of_node(node);

	return type.size == 4 && memcmp(type.data, "text", 4) == 0;
}

/* y-prosemirror names marks that may overlap themselves "name--hash", of a hash in base64. */
#define HASH_BYTES 6
#define HASH_DIGITS 8
#define HASH_SEPARATOR "--"

/* The mark's name with y-prosemirror's hash: its SHA-256, folded. */
static CrdtBytes
hashed_name(CrdtBytes type, const JsonbValue *mark)
{
	bytea *encoded = bridge_bytea(input_value(mark).bytes);
	CrdtBytes digest =
		bridge_view(DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(encoded))));
	uint8 folded[HASH_BYTES] = {0};
	char *name = palloc(type.size + strlen(HASH_SEPARATOR) + HASH_DIGITS + 1);
	size_t size = type.size + strlen(HASH_SEPARATOR);

	for (size_t i = 0; i < digest.size; i++)
		folded[i % HASH_BYTES] ^= digest.data[i];
	memcpy(name, type.data, type.size);
	memcpy(name + type.size, HASH_SEPARATOR, strlen(HASH_SEPARATOR));
	size += pg_b64_encode((const void *) folded, HASH_BYTES, name + size, HASH_DIGITS + 1);
	return (CrdtBytes){(uint8_t *) name, size};
}

/* Are there several marks of its type? */
static bool
overlaps_itself(const CrdtBytes *types, size_t count, size_t number)
{
	CHECK_FOR_INTERRUPTS();
	for (size_t i = 0; i < count; i++)
		if (i != number && types[i].size == types[number].size &&
			memcmp(types[i].data, types[number].data, types[i].size) == 0)
			return true;
	return false;
}

/* {"type": "link", "attrs": {...}} is the attribute link: {...}. */
static CrdtAttributes
attributes_of_marks(const JsonbValue *node)
{
	JsonbValue *marks = input_member(node, "marks");
	CrdtAttributes attributes = {NULL, 0};
	CrdtAttribute *list;
	CrdtBytes *types;

	if (marks == NULL || marks->type == jbvNull)
		return attributes;
	if (!input_is_array(marks))
		refuse_node("marks are an array");
	attributes.count = JsonContainerSize(marks->val.binary.data);
	list = palloc(sizeof(CrdtAttribute) * Max(attributes.count, 1));
	types = palloc(sizeof(CrdtBytes) * Max(attributes.count, 1));
	for (size_t i = 0; i < attributes.count; i++)
		types[i] = type_of_node(getIthJsonbValueFromContainer(marks->val.binary.data, i));
	for (size_t i = 0; i < attributes.count; i++)
	{
		JsonbValue *mark = getIthJsonbValueFromContainer(marks->val.binary.data, i);
		JsonbValue *attrs = input_member(mark, "attrs");

		list[i].key =
			overlaps_itself(types, attributes.count, i) ? hashed_name(types[i], mark) : types[i];
		if (attrs != NULL && attrs->type != jbvNull)
			list[i].value = input_value(attrs).bytes;
		else
			list[i].value = CRDT_LITERAL("\x76\x00"); /* an object without members */
	}
	attributes.list = list;
	return attributes;
}

/* Text nodes from first on, as many as follow one another, as one XML text. */
static CrdtInput
text_of_nodes(JsonbContainer *nodes, uint32 first, uint32 end)
{
	CrdtDeltaOp *ops = palloc(sizeof(CrdtDeltaOp) * (end - first));

	for (uint32 i = first; i < end; i++)
	{
		JsonbValue *node = getIthJsonbValueFromContainer(nodes, i);
		JsonbValue *text = input_member(node, "text");

		if (text == NULL || text->type != jbvString)
			refuse_node("a text node has a string \"text\"");
		ops[i - first] = (CrdtDeltaOp){.kind = CRDT_DELTA_INSERT,
									   .text = input_string(text),
									   .attributes = attributes_of_marks(node)};
	}
	return (CrdtInput){.kind = CRDT_INPUT_SHARED,
					   .shared = CRDT_XML_TEXT,
					   .delta = ops,
					   .delta_count = end - first};
}

static void
take_attributes(CrdtInput *element, const JsonbValue *attrs)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;
	CrdtEntry *entries;
	CrdtBytes key = {NULL, 0};

	if (attrs == NULL || attrs->type == jbvNull)
		return;
	if (!input_is_object(attrs))
		refuse_node("attrs are an object");
	entries = palloc(sizeof(CrdtEntry) * Max(JsonContainerSize(attrs->val.binary.data), 1));
	iterator = JsonbIteratorInit(attrs->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = input_string(&value);
		else if (token == WJB_VALUE && value.type != jbvNull)
			entries[element->entry_count++] = (CrdtEntry){key, input_value(&value)};
	}
	element->entries = entries;
}

static CrdtInput
element_of_node(const JsonbValue *node)
{
	CrdtInput element = {.kind = CRDT_INPUT_SHARED, .shared = CRDT_XML_ELEMENT};
	JsonbValue *content = input_member(node, "content");

	element.name = type_of_node(node);
	take_attributes(&element, input_member(node, "attrs"));
	if (content != NULL && content->type != jbvNull)
	{
		if (!input_is_array(content))
			refuse_node("content is an array");
		element.items = prosemirror_nodes(content, &element.item_count);
	}
	return element;
}

CrdtInput *
prosemirror_nodes(const JsonbValue *content, size_t *count)
{
	JsonbContainer *nodes = content->type == jbvBinary ? content->val.binary.data : NULL;
	CrdtInput *inputs;
	uint32 size;

	check_stack_depth();
	*count = 0;
	if (nodes == NULL || !JsonContainerIsArray(nodes))
	{
		JsonbParseState *state = NULL;

		/* one node is an array of one */
		(void) type_of_node(content);
		pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
		pushJsonbValue(&state, WJB_ELEM, (JsonbValue *) content);
		nodes = &JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL))->root;
	}
	size = JsonContainerSize(nodes);
	inputs = palloc(sizeof(CrdtInput) * Max(size, 1));
	for (uint32 i = 0; i < size;)
	{
		JsonbValue *node = getIthJsonbValueFromContainer(nodes, i);
		uint32 end = i;

		while (end < size && is_text_node(getIthJsonbValueFromContainer(nodes, end)))
			end++;
		inputs[(*count)++] = end > i ? text_of_nodes(nodes, i, end) : element_of_node(node);
		i = Max(end, i + 1);
	}
	return inputs;
}

Datum
prosemirror_document(const Jsonb *json, CrdtBytes root)
{
	YdocValue *value = ydoc_value_new(CurrentMemoryContext);
	JsonbValue whole = input_whole(json);
	CrdtInput top;
	const CrdtType *type;
	CrdtError error;

	bridge_require_utf8();
	(void) type_of_node(&whole);
	top = element_of_node(&whole);
	ydoc_value_edit_begin(value);
	type = crdt_doc_open_root(value->doc, root, CRDT_XML_FRAGMENT, &error);
	if (type == NULL)
		bridge_report(&error, "root");
	edit_check(crdt_list_insert(value->doc, type, 0, top.items, top.item_count, &error), &error);
	ydoc_value_edit_end(value);
	return ydoc_value_datum(value);
}

PG_FUNCTION_INFO_V1(ydoc_from_prosemirror);
Datum
ydoc_from_prosemirror(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(prosemirror_document(PG_GETARG_JSONB_P(0), bridge_view(PG_GETARG_TEXT_PP(1))));
}

/* ---- to JSON ---- */

void
prosemirror_push_string(JsonbParseState **state, JsonbIteratorToken token, CrdtBytes string)
{
	CrdtBytes clean = bridge_text(string);
	JsonbValue value = {.type = jbvString};

	value.val.string.val = pnstrdup((const char *) clean.data, clean.size);
	value.val.string.len = (int) clean.size;
	pushJsonbValue(state, token, &value);
}

void
prosemirror_push_key(JsonbParseState **state, const char *key)
{
	prosemirror_push_string(state, WJB_KEY, (CrdtBytes){(const uint8_t *) key, strlen(key)});
}

static bool
is_base64(uint8_t digit)
{
	return (digit >= 'a' && digit <= 'z') || (digit >= 'A' && digit <= 'Z') ||
		   (digit >= '0' && digit <= '9') || digit == '+' || digit == '/' || digit == '=';
}

CrdtBytes
prosemirror_mark_name(CrdtBytes key)
{
	size_t tail = strlen(HASH_SEPARATOR) + HASH_DIGITS;

	if (key.size <= tail ||
		memcmp(key.data + key.size - tail, HASH_SEPARATOR, strlen(HASH_SEPARATOR)) != 0)
		return key;
	for (size_t i = key.size - HASH_DIGITS; i < key.size; i++)
		if (!is_base64(key.data[i]))
			return key;
	return (CrdtBytes){key.data, key.size - tail};
}

static bool
is_empty_object(const JsonbValue *value)
{
	return input_is_object(value) && JsonContainerSize(value->val.binary.data) == 0;
}

static void
push_marks(JsonbParseState **state, const JsonbValue *attributes)
{
	JsonbIterator *iterator = JsonbIteratorInit(attributes->val.binary.data);
	JsonbIteratorToken token;
	JsonbValue value;
	CrdtBytes key = {NULL, 0};

	prosemirror_push_key(state, "marks");
	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = input_string(&value);
		if (token != WJB_VALUE)
			continue;
		pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
		prosemirror_push_key(state, "type");
		prosemirror_push_string(state, WJB_VALUE, prosemirror_mark_name(key));
		if (input_is_object(&value) && !is_empty_object(&value))
		{
			prosemirror_push_key(state, "attrs");
			pushJsonbValue(state, WJB_VALUE, &value);
		}
		pushJsonbValue(state, WJB_END_OBJECT, NULL);
	}
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/* A text node in the making: neighbours of the same marks are one, also those of two XML texts. */
typedef struct TextNode
{
	StringInfoData text; /* empty: there is none */
	JsonbValue *attributes; /* NULL: none */
} TextNode;

static void
push_text_node(JsonbParseState **state, TextNode *node)
{
	if (node->text.len == 0)
		return;
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	prosemirror_push_key(state, "type");
	prosemirror_push_string(state, WJB_VALUE, CRDT_LITERAL("text"));
	prosemirror_push_key(state, "text");
	prosemirror_push_string(
		state, WJB_VALUE, (CrdtBytes){(const uint8_t *) node->text.data, (size_t) node->text.len});
	if (node->attributes != NULL)
		push_marks(state, node->attributes);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
	resetStringInfo(&node->text);
}

static bool
are_same_attributes(const JsonbValue *a, const JsonbValue *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return compareJsonbContainers(a->val.binary.data, b->val.binary.data) == 0;
}

/* What is embedded in an XML text is no node of ProseMirror's. */
static void
add_text(JsonbParseState **state, TextNode *node, CrdtDoc *doc, const CrdtType *type)
{
	JsonbValue delta = input_whole(read_type_delta(doc, type));

	for (uint32 i = 0; i < JsonContainerSize(delta.val.binary.data); i++)
	{
		JsonbValue *run = getIthJsonbValueFromContainer(delta.val.binary.data, i);
		JsonbValue *text = input_member(run, "insert");
		JsonbValue *attributes = input_member(run, "attributes");

		if (text == NULL || text->type != jbvString)
			continue;
		if (attributes != NULL && is_empty_object(attributes))
			attributes = NULL;
		/* ends of formatting split runs that look the same */
		if (!are_same_attributes(attributes, node->attributes))
			push_text_node(state, node);
		node->attributes = attributes;
		appendBinaryStringInfo(&node->text, text->val.string.val, text->val.string.len);
	}
}

/* Whether a node of ProseMirror's has content: a text without characters is none. */
static bool
has_content(CrdtDoc *doc, const CrdtType *type)
{
	uint64 length = crdt_doc_length(doc, type);

	for (uint64 i = 0; i < length; i++)
	{
		const CrdtType *child = crdt_doc_child(doc, type, i);
		CrdtKind kind = child == NULL ? CRDT_UNTYPED : crdt_doc_kind(doc, child);

		if (kind == CRDT_XML_ELEMENT || (kind == CRDT_XML_TEXT && crdt_doc_length(doc, child) > 0))
			return true;
	}
	return false;
}

static void push_children(JsonbParseState **state, CrdtDoc *doc, const CrdtType *type);

static void
push_element(JsonbParseState **state, CrdtDoc *doc, const CrdtType *type)
{
	JsonbValue attributes = input_whole(read_attributes(doc, type));

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	prosemirror_push_key(state, "type");
	prosemirror_push_string(state, WJB_VALUE, crdt_doc_element_name(doc, type));
	if (!is_empty_object(&attributes))
	{
		prosemirror_push_key(state, "attrs");
		pushJsonbValue(state, WJB_VALUE, &attributes);
	}
	if (has_content(doc, type))
	{
		prosemirror_push_key(state, "content");
		push_children(state, doc, type);
	}
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

static void
push_children(JsonbParseState **state, CrdtDoc *doc, const CrdtType *type)
{
	uint64 length = crdt_doc_length(doc, type);
	TextNode text = {.attributes = NULL};

	initStringInfo(&text.text);
	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (uint64 i = 0; i < length; i++)
	{
		const CrdtType *child = crdt_doc_child(doc, type, i);
		CrdtKind kind = child == NULL ? CRDT_UNTYPED : crdt_doc_kind(doc, child);

		if (kind == CRDT_XML_TEXT)
			add_text(state, &text, doc, child);
		else if (kind == CRDT_XML_ELEMENT)
		{
			push_text_node(state, &text);
			push_element(state, doc, child);
		}
	}
	push_text_node(state, &text);
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

struct varlena *
read_prosemirror(CrdtDoc *doc, FunctionCallInfo fcinfo)
{
	Path path;
	const CrdtType *type = read_place(doc, fcinfo, &path);
	CrdtKind kind = type == NULL ? CRDT_UNTYPED : crdt_doc_kind(doc, type);
	JsonbParseState *state = NULL;

	if (type == NULL)
		return NULL;
	if (kind != CRDT_XML_FRAGMENT && kind != CRDT_UNTYPED)
		read_refuse(&path, kind, "an XML fragment");
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	prosemirror_push_key(&state, "type");
	prosemirror_push_string(&state, WJB_VALUE, CRDT_LITERAL("doc"));
	prosemirror_push_key(&state, "content");
	push_children(&state, doc, type);
	return (struct varlena *) JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

READ_FUNCTION(ydoc_prosemirror, read_argument, read_prosemirror)
