/*
 * value.c: builds JSON from the core's visitor.
 *
 * A stack of open arrays and objects.  An object is collected as [[key, value], ...] first, for
 * only at its end is it known which form it takes:
 *
 *     all keys ordinary            {"a": 1}
 *     one of them is "$"           {"$": "obj", "v": {"$": 1}}
 *     one has a lone surrogate     {"$": "entries", "v": [[{"$": "utf16", "v": [55357]}, 1]]}
 */
#include "value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/any.h"
#include "../core/input.h"
#include "base64.h"

#define DEPTH_MAX 2048

typedef struct OpenValue
{
	json_t *items; /* of an array; of an object [key, value] pairs */
	json_t *key; /* an object's, whose value comes next */
	bool is_object;
} OpenValue;

typedef struct Builder
{
	OpenValue open[DEPTH_MAX];
	size_t depth;
	json_t *result;
	const char *misuse; /* calls that no sane reader makes */
} Builder;

static bool put(Builder *builder, json_t *value);
static json_t *tagged(const char *tag, json_t *payload);
static json_t *close_object(json_t *pairs);
static bool has_lone_surrogate(CrdtBytes text);
static json_t *utf16_units(CrdtBytes text);
static json_t *utf8_of_units(const json_t *units);
static json_t *untag_object(const json_t *members);
static void untag_member(json_t *object, const json_t *key, const json_t *value);

/* ---- the visitor ---- */

static bool
visit_null(void *context)
{
	return put(context, json_null());
}

static bool
visit_undefined(void *context)
{
	return put(context, tagged("undefined", NULL));
}

static bool
visit_boolean(void *context, bool value)
{
	return put(context, json_boolean(value));
}

static bool
visit_number(void *context, double value)
{
	if (isnan(value))
		return put(context, tagged("num", json_string("NaN")));
	if (isinf(value))
		return put(context, tagged("num", json_string(value > 0 ? "Infinity" : "-Infinity")));
	if (value == 0 && signbit(value))
		return put(context, tagged("num", json_string("-0")));
	return put(context, json_real(value));
}

static bool
visit_bigint(void *context, int64_t value)
{
	return put(context, tagged("bigint", json_sprintf("%" PRId64, value)));
}

static bool
visit_string(void *context, CrdtBytes value)
{
	return put(context, value_of_string(value));
}

static bool
visit_bytes(void *context, CrdtBytes value)
{
	char *text = base64_encode(value.data, value.size);
	json_t *payload = json_string(text);

	free(text);
	return put(context, tagged("bytes", payload));
}

static bool
visit_document(void *context, CrdtBytes guid)
{
	json_t *value = json_object();

	json_object_set_new(value, "$", json_string("doc"));
	json_object_set_new(value, "guid", value_of_string(guid));
	return put(context, value);
}

static bool
begin(Builder *builder, bool is_object)
{
	if (builder->depth == DEPTH_MAX)
	{
		builder->misuse = "nested too deeply for this test";
		return false;
	}
	builder->open[builder->depth++] =
		(OpenValue){.items = json_array(), .key = NULL, .is_object = is_object};
	return true;
}

static bool
visit_begin_array(void *context)
{
	return begin(context, false);
}

static bool
visit_begin_object(void *context)
{
	return begin(context, true);
}

static bool
end(Builder *builder, bool is_object)
{
	OpenValue *top = builder->depth == 0 ? NULL : &builder->open[builder->depth - 1];

	if (top == NULL || top->is_object != is_object || top->key != NULL)
	{
		builder->misuse = "an end that does not fit";
		return false;
	}
	builder->depth--;
	return put(builder, is_object ? close_object(top->items) : top->items);
}

static bool
visit_end_array(void *context)
{
	return end(context, false);
}

static bool
visit_end_object(void *context)
{
	return end(context, true);
}

static bool
visit_key(void *context, CrdtBytes key)
{
	Builder *builder = context;
	OpenValue *top = builder->depth == 0 ? NULL : &builder->open[builder->depth - 1];

	if (top == NULL || !top->is_object || top->key != NULL)
	{
		builder->misuse = "a key outside of an object";
		return false;
	}
	top->key = value_of_string(key);
	return true;
}

static const CrdtVisitor building_visitor = {
	.null = visit_null,
	.undefined = visit_undefined,
	.boolean = visit_boolean,
	.number = visit_number,
	.bigint = visit_bigint,
	.string = visit_string,
	.bytes = visit_bytes,
	.document = visit_document,
	.begin_array = visit_begin_array,
	.end_array = visit_end_array,
	.begin_object = visit_begin_object,
	.key = visit_key,
	.end_object = visit_end_object,
};

/* ---- public ---- */

static Builder *
builder_open(CrdtVisitor *visitor)
{
	Builder *builder = test_alloc(sizeof *builder);

	memset(builder, 0, sizeof *builder);
	*visitor = building_visitor;
	visitor->context = builder;
	return builder;
}

/* What was built; NULL if the visitor stopped, or was misused, which error says then. */
static json_t *
builder_close(Builder *builder, CrdtStatus status, CrdtError *error)
{
	json_t *result;

	if (builder->misuse == NULL && status == CRDT_OK &&
		(builder->depth != 0 || builder->result == NULL))
		builder->misuse = "the value has no end";
	if (builder->misuse != NULL)
		snprintf(error->message, sizeof error->message, "visitor: %s", builder->misuse);
	result = status == CRDT_OK && builder->misuse == NULL ? json_incref(builder->result) : NULL;
	while (builder->depth > 0)
	{
		builder->depth--;
		json_decref(builder->open[builder->depth].items);
		json_decref(builder->open[builder->depth].key);
	}
	json_decref(builder->result);
	free(builder);
	return result;
}

json_t *
value_of_type(const CrdtDoc *doc, const CrdtType *type, CrdtKind kind, CrdtError *error)
{
	CrdtVisitor visitor;
	Builder *builder = builder_open(&visitor);

	return builder_close(builder, crdt_doc_visit(doc, type, kind, &visitor, error), error);
}

json_t *
value_of_delta(CrdtDoc *doc, const CrdtType *type, const CrdtSnapshot *snapshot,
			   const CrdtSnapshot *previous, CrdtError *error)
{
	CrdtVisitor visitor;
	Builder *builder = builder_open(&visitor);

	return builder_close(builder, crdt_doc_delta(doc, type, snapshot, previous, &visitor, error),
						 error);
}

/* The members of an object, whatever their keys. */
static json_t *
members_without_types(const json_t *object)
{
	json_t *copy = json_object();
	const char *key;
	json_t *value;

	json_object_foreach((json_t *) object, key, value)
	{
		json_t *member = value_without_types(value);

		if (member == NULL)
		{
			json_decref(copy);
			return NULL;
		}
		json_object_set_new(copy, key, member);
	}
	return copy;
}

/* toJSON of a type of that kind in that state. */
static json_t *
json_of_state(const char *kind, const json_t *state)
{
	const json_t *xml = json_object_get(state, "xml");
	const char *tag = json_string_value(json_object_get(xml, "$"));
	json_t *entries;

	if (strcmp(kind, "text") == 0)
		return json_deep_copy(json_object_get(state, "text"));
	if (xml != NULL)
		return tag != NULL && strcmp(tag, "throws") == 0 ? NULL : json_deep_copy(xml);
	if (strcmp(kind, "array") == 0)
		return value_without_types(json_object_get(state, "items"));
	entries = members_without_types(json_object_get(state, "entries"));
	return json_object_get(entries, "$") == NULL ? entries : tagged("obj", entries);
}

static json_t *
array_without_types(const json_t *report)
{
	json_t *copy = json_array();

	for (size_t i = 0; i < json_array_size(report); i++)
	{
		json_t *element = value_without_types(json_array_get(report, i));

		if (element == NULL)
		{
			json_decref(copy);
			return NULL;
		}
		json_array_append_new(copy, element);
	}
	return copy;
}

json_t *
value_without_types(const json_t *report)
{
	const char *tag = json_string_value(json_object_get(report, "$"));

	if (json_is_array(report))
		return array_without_types(report);
	if (!json_is_object(report))
		return json_deep_copy(report);
	if (tag != NULL && strcmp(tag, "type") == 0)
		return json_of_state(json_string_value(json_object_get(report, "kind")),
							 json_object_get(report, "state"));
	return members_without_types(report);
}

json_t *
value_of_any(CrdtBytes value, CrdtError *error)
{
	CrdtVisitor visitor;
	Builder *builder = builder_open(&visitor);
	bool done = crdt_any_visit(value, &visitor);

	return builder_close(builder, done ? CRDT_OK : CRDT_CANCELLED, error);
}

json_t *
value_of_bytes(CrdtBytes value)
{
	CrdtVisitor visitor;
	CrdtError error = {0};
	Builder *builder = builder_open(&visitor);
	bool done = visitor.bytes(builder, value);

	return builder_close(builder, done ? CRDT_OK : CRDT_CANCELLED, &error);
}

json_t *
value_of_string(CrdtBytes text)
{
	if (has_lone_surrogate(text))
		return tagged("utf16", utf16_units(text));
	return json_stringn((const char *) text.data, text.size);
}

json_t *
value_without_tags(const json_t *value)
{
	const char *tag = json_string_value(json_object_get(value, "$"));
	const json_t *payload = json_object_get(value, "v");

	if (json_is_array(value))
	{
		json_t *array = json_array();
		size_t index;
		json_t *item;

		json_array_foreach((json_t *) value, index, item)
		{
			json_t *plain = value_without_tags(item);

			json_array_append_new(array, plain == NULL ? json_null() : plain);
		}
		return array;
	}
	if (!json_is_object(value))
		return json_deep_copy(value);
	if (tag == NULL)
		return untag_object(value);
	if (strcmp(tag, "undefined") == 0)
		return NULL;
	if (strcmp(tag, "num") == 0)
		return strcmp(json_string_value(payload), "-0") == 0 ? json_real(0) : json_null();
	if (strcmp(tag, "bigint") == 0)
		return json_real(strtod(json_string_value(payload), NULL));
	if (strcmp(tag, "bytes") == 0)
		return json_deep_copy(payload);
	if (strcmp(tag, "utf16") == 0)
		return utf8_of_units(payload);
	if (strcmp(tag, "doc") == 0)
	{
		json_t *plain = json_object();

		json_object_set_new(plain, "guid", value_without_tags(json_object_get(value, "guid")));
		return plain;
	}
	return untag_object(payload); /* obj, entries */
}

json_t *
value_parse(const char *text, size_t size, json_error_t *error)
{
	return json_loadb(text, size, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL | JSON_DECODE_ANY,
					  error);
}

CrdtKind
value_kind(const char *name)
{
	static const char *const names[] = {
		[CRDT_ARRAY] = "array",
		[CRDT_MAP] = "map",
		[CRDT_TEXT] = "text",
		[CRDT_XML_ELEMENT] = "xmlelement",
		[CRDT_XML_FRAGMENT] = "xmlfragment",
		[CRDT_XML_HOOK] = "xmlhook",
		[CRDT_XML_TEXT] = "xmltext",
	};

	for (size_t i = 0; name != NULL && i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], name) == 0)
			return (CrdtKind) i;
	return CRDT_UNTYPED;
}

/* ---- building ---- */

/* Adds a finished value where it belongs. */
static bool
put(Builder *builder, json_t *value)
{
	OpenValue *top = builder->depth == 0 ? NULL : &builder->open[builder->depth - 1];

	if (value == NULL)
		builder->misuse = "a string that is not UTF-8, or a key that comes twice";
	else if (top == NULL && builder->result == NULL)
		builder->result = value;
	else if (top == NULL || (top->is_object && top->key == NULL))
	{
		builder->misuse = "a value where none belongs";
		json_decref(value);
	}
	else if (top->is_object)
	{
		json_t *pair = json_array();

		json_array_append_new(pair, top->key);
		json_array_append_new(pair, value);
		json_array_append_new(top->items, pair);
		top->key = NULL;
	}
	else
		json_array_append_new(top->items, value);
	return builder->misuse == NULL;
}

/* Takes payload over, which may be NULL. */
static json_t *
tagged(const char *tag, json_t *payload)
{
	json_t *value = json_object();

	json_object_set_new(value, "$", json_string(tag));
	if (payload != NULL)
		json_object_set_new(value, "v", payload);
	return value;
}

/* Takes pairs over; NULL if a key comes twice. */
static json_t *
close_object(json_t *pairs)
{
	json_t *object = json_object();
	size_t index;
	json_t *pair;

	json_array_foreach(pairs, index, pair)
	{
		json_t *key = json_array_get(pair, 0);

		if (!json_is_string(key))
		{
			json_decref(object);
			return tagged("entries", pairs);
		}
		if (json_object_getn(object, json_string_value(key), json_string_length(key)) != NULL)
		{
			json_decref(object);
			json_decref(pairs);
			return NULL;
		}
		json_object_setn(object, json_string_value(key), json_string_length(key),
						 json_array_get(pair, 1));
	}
	json_decref(pairs);
	return json_object_get(object, "$") == NULL ? object : tagged("obj", object);
}

/* ---- strings ---- */

static bool
is_surrogate(const uint8_t *bytes, size_t left)
{
	return left >= 3 && bytes[0] == 0xed && bytes[1] >= 0xa0;
}

static bool
has_lone_surrogate(CrdtBytes text)
{
	for (size_t i = 0; i < text.size; i++)
		if (is_surrogate(text.data + i, text.size - i))
			return true;
	return false;
}

static json_t *
utf16_units(CrdtBytes text)
{
	json_t *units = json_array();

	for (size_t i = 0; i < text.size;)
	{
		uint8_t lead = text.data[i];
		size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
		uint32_t code = length == 1 ? lead : lead & (0x7fU >> length);

		for (size_t k = 1; k < length && i + k < text.size; k++)
			code = code << 6 | (text.data[i + k] & 0x3f);
		if (code >= 0x10000)
		{
			json_array_append_new(units, json_real(0xd800 + ((code - 0x10000) >> 10)));
			json_array_append_new(units, json_real(0xdc00 + ((code - 0x10000) & 0x3ff)));
		}
		else
			json_array_append_new(units, json_real(code));
		i += length;
	}
	return units;
}

/* UTF-8 with U+FFFD for each lone surrogate. */
static json_t *
utf8_of_units(const json_t *units)
{
	size_t count = json_array_size(units);
	char *text = test_alloc(count * 3 + 1);
	size_t size = 0;
	json_t *string;

	for (size_t i = 0; i < count; i++)
	{
		uint32_t code = (uint32_t) json_number_value(json_array_get(units, i));
		uint32_t next = (uint32_t) json_number_value(json_array_get(units, i + 1));

		if (code >= 0xd800 && code <= 0xdbff && next >= 0xdc00 && next <= 0xdfff)
		{
			code = 0x10000 + ((code - 0xd800) << 10) + (next - 0xdc00);
			i++;
			text[size++] = (char) (0xf0 | code >> 18);
			text[size++] = (char) (0x80 | (code >> 12 & 0x3f));
			text[size++] = (char) (0x80 | (code >> 6 & 0x3f));
			text[size++] = (char) (0x80 | (code & 0x3f));
			continue;
		}
		if (code >= 0xd800 && code <= 0xdfff)
			code = 0xfffd;
		if (code < 0x80)
			text[size++] = (char) code;
		else if (code < 0x800)
		{
			text[size++] = (char) (0xc0 | code >> 6);
			text[size++] = (char) (0x80 | (code & 0x3f));
		}
		else
		{
			text[size++] = (char) (0xe0 | code >> 12);
			text[size++] = (char) (0x80 | (code >> 6 & 0x3f));
			text[size++] = (char) (0x80 | (code & 0x3f));
		}
	}
	string = json_stringn(text, size);
	free(text);
	return string;
}

/* ---- without tags ---- */

/* members: an object, or [[key, value], ...]. */
static json_t *
untag_object(const json_t *members)
{
	json_t *object = json_object();
	size_t index;
	json_t *pair;
	const char *name;
	json_t *value;

	json_array_foreach((json_t *) members, index, pair)
		untag_member(object, json_array_get(pair, 0), json_array_get(pair, 1));
	json_object_foreach((json_t *) members, name, value)
	{
		json_t *key = json_string(name);

		untag_member(object, key, value);
		json_decref(key);
	}
	return object;
}

static void
untag_member(json_t *object, const json_t *key, const json_t *value)
{
	json_t *plain_key = value_without_tags(key);
	json_t *plain = value_without_tags(value);

	if (plain != NULL)
		json_object_setn_new(object, json_string_value(plain_key), json_string_length(plain_key),
							 plain);
	json_decref(plain_key);
}
