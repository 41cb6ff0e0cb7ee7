/*
 * supply.c: builds the core's inputs from JSON (supply.h; the tags are those of value.c).
 */
#include "supply.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/utf.h"
#include "../../extension/crdt/value.h"
#include "../core/input.h"
#include "base64.h"
#include "value.h"

struct SupplyBlock
{
	SupplyBlock *next;
	max_align_t data[];
};

static void write_value(Supply *supply, const json_t *json, CrdtBuffer *out);

void
supply_open(Supply *supply, const CrdtHost *host)
{
	*supply = (Supply){.host = host};
}

void
supply_close(Supply *supply)
{
	while (supply->blocks != NULL)
	{
		SupplyBlock *next = supply->blocks->next;

		free(supply->blocks);
		supply->blocks = next;
	}
}

/* Zeroed. */
static void *
take(Supply *supply, size_t size)
{
	SupplyBlock *block = test_alloc(sizeof(SupplyBlock) + size + 1);

	memset(block->data, 0, size + 1);
	block->next = supply->blocks;
	supply->blocks = block;
	return block->data;
}

static CrdtBytes
copy(Supply *supply, const void *data, size_t size)
{
	uint8_t *bytes = take(supply, size);

	if (size > 0)
		memcpy(bytes, data, size);
	return (CrdtBytes){bytes, size};
}

static const char *
tag_of(const json_t *json)
{
	return json_string_value(json_object_get(json, "$"));
}

static bool
is_tagged(const json_t *json, const char *tag)
{
	return tag_of(json) != NULL && strcmp(tag_of(json), tag) == 0;
}

/* ---- text ---- */

CrdtBytes
supply_text(Supply *supply, const json_t *json)
{
	json_t *plain;
	CrdtBytes text;

	if (json_is_string(json))
		return copy(supply, json_string_value(json), json_string_length(json));
	/* UTF-16 units become WTF-8 */
	plain = json_object_get(json, "v");
	text = (CrdtBytes){take(supply, json_array_size(plain) * 3), 0};
	for (size_t i = 0; i < json_array_size(plain); i++)
	{
		uint8_t *to = (uint8_t *) text.data + text.size;
		uint32_t unit = (uint32_t) json_number_value(json_array_get(plain, i));
		uint32_t next = (uint32_t) json_number_value(json_array_get(plain, i + 1));

		if (unit >= 0xd800 && unit < 0xdc00 && next >= 0xdc00 && next < 0xe000)
		{
			unit = 0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00);
			i++;
		}
		text.size += crdt_utf8_put(to, unit);
	}
	return text;
}

/* ---- values ---- */

static void
write_object(Supply *supply, const json_t *members, CrdtBuffer *out)
{
	const char *key;
	size_t size;
	json_t *value;

	crdt_value_begin_object(out, json_object_size(members));
	json_object_keylen_foreach((json_t *) members, key, size, value)
	{
		crdt_value_key(out, (CrdtBytes){(const uint8_t *) key, size});
		write_value(supply, value, out);
	}
}

static void
write_entries(Supply *supply, const json_t *entries, CrdtBuffer *out)
{
	crdt_value_begin_object(out, json_array_size(entries));
	for (size_t i = 0; i < json_array_size(entries); i++)
	{
		const json_t *entry = json_array_get(entries, i);

		crdt_value_key(out, supply_text(supply, json_array_get(entry, 0)));
		write_value(supply, json_array_get(entry, 1), out);
	}
}

static double
tagged_number(const char *text)
{
	if (strcmp(text, "NaN") == 0)
		return NAN;
	if (strcmp(text, "-0") == 0)
		return -0.0;
	return text[0] == '-' ? -INFINITY : INFINITY;
}

static CrdtBytes
tagged_bytes(Supply *supply, const json_t *json)
{
	const json_t *text = json_object_get(json, "v");
	size_t size;
	uint8_t *decoded = base64_decode(json_string_value(text), json_string_length(text), &size);
	CrdtBytes bytes = copy(supply, decoded, size);

	free(decoded);
	return bytes;
}

static void
write_tagged(Supply *supply, const json_t *json, CrdtBuffer *out)
{
	const json_t *payload = json_object_get(json, "v");

	if (is_tagged(json, "undefined"))
		crdt_value_undefined(out);
	else if (is_tagged(json, "num"))
		crdt_value_number(out, tagged_number(json_string_value(payload)));
	else if (is_tagged(json, "bigint"))
		crdt_value_bigint(out, (int64_t) strtoull(json_string_value(payload), NULL, 10));
	else if (is_tagged(json, "bytes"))
		crdt_value_bytes(out, tagged_bytes(supply, json));
	else if (is_tagged(json, "utf16"))
		crdt_value_string(out, supply_text(supply, json));
	else if (is_tagged(json, "date"))
		crdt_value_begin_object(out, 0);
	else if (is_tagged(json, "entries"))
		write_entries(supply, payload, out);
	else
		write_object(supply, payload, out); /* obj */
}

static void
write_value(Supply *supply, const json_t *json, CrdtBuffer *out)
{
	if (tag_of(json) != NULL)
		write_tagged(supply, json, out);
	else if (json_is_object(json))
		write_object(supply, json, out);
	else if (json_is_array(json))
	{
		crdt_value_begin_array(out, json_array_size(json));
		for (size_t i = 0; i < json_array_size(json); i++)
			write_value(supply, json_array_get(json, i), out);
	}
	else if (json_is_string(json))
		crdt_value_string(out, supply_text(supply, json));
	else if (json_is_number(json))
		crdt_value_number(out, json_number_value(json));
	else if (json_is_boolean(json))
		crdt_value_boolean(out, json_is_true(json));
	else
		crdt_value_null(out);
}

CrdtBytes
supply_value(Supply *supply, const json_t *json)
{
	CrdtBuffer buffer;
	CrdtBytes value;

	crdt_buffer_open(&buffer, supply->host);
	write_value(supply, json, &buffer);
	value = copy(supply, buffer.data, buffer.size);
	crdt_buffer_close(&buffer);
	return value;
}

/* ---- inputs ---- */

static const CrdtEntry *
supply_entries(Supply *supply, const json_t *array, size_t *count)
{
	CrdtEntry *entries = take(supply, json_array_size(array) * sizeof(CrdtEntry));

	*count = json_array_size(array);
	for (size_t i = 0; i < *count; i++)
	{
		const json_t *entry = json_array_get(array, i);

		entries[i].key = supply_text(supply, json_array_get(entry, 0));
		entries[i].value = supply_input(supply, json_array_get(entry, 1));
	}
	return entries;
}

/* A {"$": "new", kind, ...}. */
static CrdtInput
supply_type(Supply *supply, const json_t *json)
{
	CrdtInput input = {.kind = CRDT_INPUT_SHARED};
	const json_t *items = json_object_get(json, "items");
	const json_t *entries = json_object_get(json, "entries");
	const json_t *text = json_object_get(json, "text");

	input.shared = value_kind(json_string_value(json_object_get(json, "kind")));
	if (json_object_get(json, "name") != NULL)
		input.name = supply_text(supply, json_object_get(json, "name"));
	if (text != NULL)
		input.text = supply_text(supply, text);
	input.delta = supply_delta(supply, json_object_get(json, "delta"), &input.delta_count);
	if (items == NULL)
		items = json_object_get(json, "children");
	input.items = supply_inputs(supply, items, &input.item_count);
	if (entries == NULL)
		entries = json_object_get(json, "attrs");
	input.entries = supply_entries(supply, entries, &input.entry_count);
	return input;
}

CrdtInput
supply_input(Supply *supply, const json_t *json)
{
	CrdtInput input = {.kind = CRDT_INPUT_VALUE};

	if (is_tagged(json, "new"))
		return supply_type(supply, json);
	if (is_tagged(json, "bytes"))
	{
		input.kind = CRDT_INPUT_BYTES;
		input.bytes = tagged_bytes(supply, json);
	}
	else if (is_tagged(json, "subdoc"))
	{
		input.kind = CRDT_INPUT_SUBDOCUMENT;
		input.bytes = supply_text(supply, json_object_get(json, "guid"));
		if (json_object_get(json, "opts") != NULL)
			input.options = supply_value(supply, json_object_get(json, "opts"));
	}
	else
		input.bytes = supply_value(supply, json);
	return input;
}

CrdtInput *
supply_inputs(Supply *supply, const json_t *array, size_t *count)
{
	CrdtInput *inputs = take(supply, json_array_size(array) * sizeof(CrdtInput));

	*count = json_array_size(array);
	for (size_t i = 0; i < *count; i++)
		inputs[i] = supply_input(supply, json_array_get(array, i));
	return inputs;
}

CrdtAttributes
supply_attributes(Supply *supply, const json_t *object)
{
	CrdtAttribute *list = take(supply, json_object_size(object) * sizeof(CrdtAttribute));
	CrdtAttributes attributes = {list, 0};
	const char *key;
	size_t size;
	json_t *value;

	json_object_keylen_foreach((json_t *) object, key, size, value)
	{
		list[attributes.count].key = copy(supply, key, size);
		list[attributes.count++].value = supply_value(supply, value);
	}
	return attributes;
}

static CrdtDeltaOp
supply_delta_op(Supply *supply, const json_t *json)
{
	const json_t *insert = json_object_get(json, "insert");
	CrdtDeltaOp op = {.kind = CRDT_DELTA_INSERT};

	op.attributes = supply_attributes(supply, json_object_get(json, "attributes"));
	if (json_object_get(json, "retain") != NULL)
	{
		op.kind = CRDT_DELTA_RETAIN;
		op.length = (uint64_t) json_number_value(json_object_get(json, "retain"));
	}
	else if (json_object_get(json, "delete") != NULL)
	{
		op.kind = CRDT_DELTA_DELETE;
		op.length = (uint64_t) json_number_value(json_object_get(json, "delete"));
	}
	else if (json_is_string(insert) || is_tagged(insert, "utf16"))
		op.text = supply_text(supply, insert);
	else
	{
		CrdtInput *embed = take(supply, sizeof(CrdtInput));

		*embed = supply_input(supply, insert);
		op.kind = CRDT_DELTA_EMBED;
		op.embed = embed;
	}
	return op;
}

CrdtDeltaOp *
supply_delta(Supply *supply, const json_t *array, size_t *count)
{
	CrdtDeltaOp *ops = take(supply, json_array_size(array) * sizeof(CrdtDeltaOp));

	*count = json_array_size(array);
	for (size_t i = 0; i < *count; i++)
		ops[i] = supply_delta_op(supply, json_array_get(array, i));
	return ops;
}
