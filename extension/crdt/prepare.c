/*
 * prepare.c: what goes into a document, checked and made canonical before anything changes
 * (editing.h).
 *
 *     CrdtInput tree  ──>  CrdtPrepared tree of struct contents, and the memory they will need
 *
 * Here: which value becomes which content (FORMAT 10.1, 10.2, 10.6).  Not here: where it goes.
 */
#include <string.h>

#include "any.h"
#include "content.h"
#include "editing.h"
#include "tables.h"
#include "utf.h"

static void prepare_type(CrdtEditing *edit, const CrdtInput *input, CrdtPrepared *out);

/* count records, zeroed; NULL: failed. */
static void *
take_array(CrdtEditing *edit, size_t count, size_t size)
{
	void *array = NULL;

	if (crdt_editing_failed(edit))
		return NULL;
	if (count < SIZE_MAX / 2 / size)
		array = crdt_arena_take(&edit->doc->scratch, (count + 1) * size);
	if (array == NULL)
		crdt_editing_no_memory(edit);
	else
		memset(array, 0, (count + 1) * size);
	return array;
}

void
crdt_prepare_count(CrdtEditing *edit, const CrdtStruct *wire)
{
	edit->needs.items++;
	edit->doc->clients[edit->client].coming_structs++;
	crdt_needs_content(&edit->needs, wire->kind, wire->ascii, wire->content.size);
}

/* ---- strings and values ---- */

void
crdt_prepare_name(CrdtEditing *edit, CrdtBytes name, uint32_t *number)
{
	uint64_t length;
	bool ascii;

	*number = 0;
	if (crdt_editing_failed(edit))
		return;
	if (name.data == NULL)
		name = CRDT_LITERAL("");
	if (!crdt_wtf8_measure(name, &length, &ascii))
		crdt_editing_fail(edit, CRDT_INVALID, "a key or name is not valid UTF-8");
	else if (!crdt_name_add(edit->doc, name, number))
		crdt_editing_no_memory(edit);
}

void
crdt_prepare_text(CrdtEditing *edit, CrdtBytes text, CrdtPrepared *out)
{
	bool ascii;

	memset(out, 0, sizeof(*out));
	out->wire.kind = CRDT_STRING;
	out->wire.content = text;
	if (!crdt_wtf8_measure(text, &out->wire.length, &ascii))
		crdt_editing_fail(edit, CRDT_INVALID, "the text is not valid UTF-8");
	else if (out->wire.length > UINT32_MAX)
		crdt_editing_fail(edit, CRDT_LIMIT, "the text is longer than %u units", UINT32_MAX);
	out->wire.ascii = ascii;
	crdt_prepare_count(edit, &out->wire);
}

/* One encoded value, checked; its canonical bytes. */
static CrdtBytes
canonical(CrdtEditing *edit, CrdtBytes value)
{
	CrdtReader reader;
	CrdtBytes bytes;

	crdt_reader_open(&reader, value);
	reader.takes_surrogates = true;
	bytes = crdt_any_read(&reader, 1, &edit->doc->scratch);
	if (!crdt_reader_failed(&reader) && crdt_reader_left(&reader) > 0)
		crdt_reader_fail(&reader, CRDT_INVALID, "more than one value");
	if (crdt_reader_failed(&reader))
	{
		crdt_editing_fail(edit, reader.error.status, "%s", reader.error.message);
		return CRDT_LITERAL("\x7e"); /* null */
	}
	return bytes;
}

/* ---- contents ---- */

/* The payload of a value that is a string or a byte array. */
static CrdtBytes
payload(CrdtBytes value)
{
	CrdtReader reader;

	crdt_reader_open(&reader, (CrdtBytes){value.data + 1, value.size - 1});
	return crdt_read_byte_array(&reader);
}

static void
prepare_bytes(CrdtEditing *edit, CrdtBytes bytes, CrdtPrepared *out)
{
	out->wire.kind = CRDT_BINARY;
	out->wire.length = 1;
	out->wire.content = bytes;
	crdt_prepare_count(edit, &out->wire);
}

static void
prepare_subdocument(CrdtEditing *edit, const CrdtInput *input, CrdtPrepared *out)
{
	static const uint8_t no_options[] = {CRDT_ANY_OBJECT, 0};
	CrdtBytes guid = input->bytes;
	CrdtReader reader;

	out->wire.kind = CRDT_SUBDOCUMENT;
	out->wire.length = 1;
	crdt_reader_open(&reader, input->options.size > 0
								  ? input->options
								  : (CrdtBytes){no_options, sizeof(no_options)});
	reader.takes_surrogates = true;
	out->wire.content = crdt_read_subdocument_options(&reader, &edit->doc->scratch, &guid);
	if (crdt_reader_failed(&reader))
	{
		crdt_editing_fail(edit, reader.error.status, "%s", reader.error.message);
		return;
	}
	crdt_prepare_name(edit, guid, &out->name);
	crdt_prepare_count(edit, &out->wire);
}

void
crdt_prepare_value(CrdtEditing *edit, const CrdtInput *input, CrdtPrepared *out)
{
	memset(out, 0, sizeof(*out));
	if (crdt_editing_failed(edit))
		return;
	switch (input->kind)
	{
		case CRDT_INPUT_VALUE:
			out->wire.content = canonical(edit, input->bytes);
			if (out->wire.content.data[0] == CRDT_ANY_BYTES)
			{
				prepare_bytes(edit, payload(out->wire.content), out);
				return;
			}
			out->wire.kind = CRDT_ANY;
			out->wire.length = 1;
			crdt_prepare_count(edit, &out->wire);
			return;
		case CRDT_INPUT_BYTES: prepare_bytes(edit, input->bytes, out); return;
		case CRDT_INPUT_SUBDOCUMENT: prepare_subdocument(edit, input, out); return;
		case CRDT_INPUT_SHARED: prepare_type(edit, input, out); return;
	}
	crdt_editing_fail(edit, CRDT_INVALID, "%d is not a kind of input", (int) input->kind);
}

void
crdt_prepare_embed(CrdtEditing *edit, const CrdtInput *input, CrdtPrepared *out)
{
	CrdtBytes value;

	memset(out, 0, sizeof(*out));
	if (input == NULL || (input->kind != CRDT_INPUT_VALUE && input->kind != CRDT_INPUT_SHARED))
	{
		crdt_editing_fail(edit, CRDT_INVALID, "an embed is a value or a shared type");
		return;
	}
	if (input->kind == CRDT_INPUT_SHARED)
	{
		prepare_type(edit, input, out);
		return;
	}
	value = canonical(edit, input->bytes);
	if (value.data[0] == CRDT_ANY_UNDEFINED || value.data[0] == CRDT_ANY_NULL ||
		(value.data[0] == CRDT_ANY_STRING && payload(value).size == 0))
		crdt_editing_fail(edit, CRDT_INVALID, "nothing cannot be embedded");
	else if (value.data[0] == CRDT_ANY_STRING)
		crdt_prepare_text(edit, payload(value), out);
	else
	{
		out->wire.kind = CRDT_EMBED;
		out->wire.length = 1;
		out->wire.content = value;
		crdt_prepare_count(edit, &out->wire);
	}
}

/* ---- lists of elements ---- */

/* Does the value go into one item with its neighbours?  Those of a list are what JSON knows. */
static bool
is_plain(CrdtEditing *edit, const CrdtInput *input)
{
	if (input->kind != CRDT_INPUT_VALUE || input->bytes.size == 0)
		return false;
	if (input->bytes.data[0] == CRDT_ANY_UNDEFINED || input->bytes.data[0] == CRDT_ANY_BIGINT)
		crdt_editing_fail(edit, CRDT_INVALID, "a list cannot hold undefined or a bigint");
	return input->bytes.data[0] != CRDT_ANY_BYTES;
}

/* The first values of inputs, as many as go together, as one content.  Returns how many. */
static size_t
prepare_values(CrdtEditing *edit, const CrdtInput *inputs, size_t count, CrdtPrepared *out)
{
	CrdtBuffer row;
	size_t taken = 0;

	crdt_buffer_open(&row, &edit->doc->host);
	for (; taken < count && is_plain(edit, &inputs[taken]); taken++)
		crdt_write_bytes(&row, canonical(edit, inputs[taken].bytes));
	out->wire.kind = CRDT_ANY;
	out->wire.length = taken;
	out->wire.content = row.failed ? (CrdtBytes){NULL, 0}
								   : crdt_arena_copy(&edit->doc->scratch, crdt_buffer_view(&row));
	crdt_buffer_close(&row);
	if (out->wire.content.data == NULL)
		crdt_editing_no_memory(edit);
	crdt_prepare_count(edit, &out->wire);
	return taken;
}

void
crdt_prepare_elements(CrdtEditing *edit, const CrdtInput *inputs, size_t count, bool only_xml,
					  CrdtPrepared **out, size_t *out_count)
{
	CrdtPrepared *prepared = take_array(edit, count, sizeof(CrdtPrepared));

	*out = prepared;
	*out_count = 0;
	for (size_t at = 0; at < count && !crdt_editing_failed(edit);)
	{
		if (only_xml && inputs[at].kind != CRDT_INPUT_SHARED)
			crdt_editing_fail(edit, CRDT_INVALID, "an XML type holds only XML types");
		else if (is_plain(edit, &inputs[at]))
			at += prepare_values(edit, inputs + at, count - at, &prepared[(*out_count)++]);
		else
			crdt_prepare_value(edit, &inputs[at++], &prepared[(*out_count)++]);
	}
}

/* ---- formatting ---- */

void
crdt_prepare_marks(CrdtEditing *edit, const CrdtAttributes *attributes, CrdtMarks *out)
{
	*out = (CrdtMarks){NULL, 0, 0};
	if (crdt_editing_failed(edit) || attributes == NULL)
		return;
	if (!crdt_marks_reserve(out, &edit->doc->scratch, attributes->count))
	{
		crdt_editing_no_memory(edit);
		return;
	}
	for (size_t i = 0; i < attributes->count && !crdt_editing_failed(edit); i++)
	{
		CrdtBytes value = canonical(edit, attributes->list[i].value);
		uint32_t key;

		crdt_prepare_name(edit, attributes->list[i].key, &key);
		if (value.data[0] == CRDT_ANY_UNDEFINED)
			crdt_editing_fail(edit, CRDT_INVALID, "an attribute is undefined");
		crdt_marks_set_member(edit->doc, out, (CrdtMark){key, false, value});
	}
}

void
crdt_prepare_delta(CrdtEditing *edit, const CrdtDeltaOp *ops, size_t count, CrdtPreparedOp **out)
{
	CrdtPreparedOp *prepared = take_array(edit, count, sizeof(CrdtPreparedOp));

	*out = prepared;
	for (size_t i = 0; i < count && !crdt_editing_failed(edit); i++)
	{
		prepared[i].kind = ops[i].kind;
		prepared[i].length = ops[i].length;
		if (ops[i].kind == CRDT_DELTA_INSERT)
			crdt_prepare_text(edit, ops[i].text, &prepared[i].content);
		else if (ops[i].kind == CRDT_DELTA_EMBED)
			crdt_prepare_embed(edit, ops[i].embed, &prepared[i].content);
		if (ops[i].kind != CRDT_DELTA_DELETE)
			crdt_prepare_marks(edit, &ops[i].attributes, &prepared[i].marks);
		if (ops[i].length > CRDT_SAFE_INTEGER_MAX)
			crdt_editing_fail(edit, CRDT_INVALID, "a length is beyond 2^53");
	}
}

/* ---- new types ---- */

static void
prepare_text_content(CrdtEditing *edit, const CrdtInput *input, CrdtPreparedType *type)
{
	uint64_t length = 0;

	if (input->text.size > 0)
	{
		type->text = take_array(edit, 1, sizeof(CrdtPreparedOp));
		if (type->text == NULL)
			return;
		type->text->kind = CRDT_DELTA_INSERT;
		crdt_prepare_text(edit, input->text, &type->text->content);
		length = type->text->content.wire.length;
	}
	crdt_prepare_delta(edit, input->delta, input->delta_count, &type->delta);
	type->delta_count = input->delta_count;
	crdt_prepare_run(edit, type->delta, type->delta_count, length);
}

static void
prepare_entries(CrdtEditing *edit, const CrdtInput *input, CrdtPreparedType *type)
{
	type->entries = take_array(edit, input->entry_count, sizeof(CrdtPreparedEntry));
	type->entry_count = input->entry_count;
	for (size_t i = 0; i < input->entry_count && !crdt_editing_failed(edit); i++)
	{
		crdt_prepare_name(edit, input->entries[i].key, &type->entries[i].key);
		crdt_prepare_value(edit, &input->entries[i].value, &type->entries[i].value);
		edit->needs.lists++;
	}
}

static void
prepare_type(CrdtEditing *edit, const CrdtInput *input, CrdtPrepared *out)
{
	bool is_text = input->shared == CRDT_TEXT || input->shared == CRDT_XML_TEXT;
	bool is_xml = input->shared == CRDT_XML_ELEMENT || input->shared == CRDT_XML_FRAGMENT;

	memset(out, 0, sizeof(*out));
	if (input->shared > CRDT_XML_TEXT)
		crdt_editing_fail(edit, CRDT_INVALID, "%d is not a kind of shared type",
						  (int) input->shared);
	if ((!is_text && (input->text.size > 0 || input->delta_count > 0)) ||
		(!is_xml && input->shared != CRDT_ARRAY && input->item_count > 0) ||
		((input->shared == CRDT_ARRAY || input->shared == CRDT_XML_FRAGMENT) &&
		 input->entry_count > 0))
		crdt_editing_fail(edit, CRDT_INVALID, "a new shared type cannot hold what is given for it");
	if (++edit->depth > CRDT_INPUT_DEPTH_MAX)
		crdt_editing_fail(edit, CRDT_LIMIT, "the input is nested more than %d deep",
						  CRDT_INPUT_DEPTH_MAX);
	out->wire.kind = CRDT_TYPE;
	out->wire.length = 1;
	out->wire.type_ref = (uint8_t) input->shared;
	if (input->shared == CRDT_XML_ELEMENT || input->shared == CRDT_XML_HOOK)
		crdt_prepare_name(edit, input->name, &out->name);
	crdt_prepare_count(edit, &out->wire);
	out->type = take_array(edit, 1, sizeof(CrdtPreparedType));
	if (out->type != NULL)
	{
		if (is_text)
			prepare_text_content(edit, input, out->type);
		crdt_prepare_elements(edit, input->items, input->item_count, is_xml, &out->type->items,
							  &out->type->item_count);
		prepare_entries(edit, input, out->type);
	}
	edit->depth--;
}
