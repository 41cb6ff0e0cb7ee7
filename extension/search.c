/*
 * search.c: a document's words, for full-text search.
 *
 * Texts, the texts inside XML, and the strings in maps and arrays; no markup, no keys, no numbers.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "bridge.h"
#include "value.h"

/* What a tsvector takes for sure: it holds a megabyte of lexemes and positions. */
#define SEARCH_BYTES_MAX 400000

typedef struct Words
{
	CrdtBuffer out;
	CrdtHost host;
	const CrdtDoc *doc;
} Words;

/* A space between what does not belong together. */
static void
write_break(Words *words)
{
	CrdtBuffer *out = &words->out;

	if (out->size > 0 && out->size + 1 <= out->capacity && out->data[out->size - 1] != ' ')
		out->data[out->size++] = ' ';
}

static bool
see_string(void *context, CrdtBytes string)
{
	Words *words = context;
	CrdtBuffer *out = &words->out;

	if (out->size + string.size + 1 > out->capacity)
	{
		size_t capacity = Max(2 * out->capacity, out->size + string.size + 64);

		out->data = words->host.resize(words->host.context, out->data, out->capacity, capacity);
		if (out->data == NULL)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		out->capacity = capacity;
	}
	memcpy(out->data + out->size, string.data, string.size);
	out->size += string.size;
	write_break(words);
	return out->size < 4 * SEARCH_BYTES_MAX; /* enough is enough */
}

static bool
see_nothing(void *context)
{
	return true;
}

static bool
see_boolean(void *context, bool value)
{
	return true;
}

static bool
see_number(void *context, double value)
{
	return true;
}

static bool
see_bigint(void *context, int64_t value)
{
	return true;
}

static bool
see_bytes(void *context, CrdtBytes value)
{
	return true;
}

static void
see_text(Words *words, const CrdtType *type)
{
	CrdtBuffer text;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&text, &host);
	if (crdt_doc_text(words->doc, type, &text, &error) != CRDT_OK)
		bridge_report(&error, "document");
	(void) see_string(words, crdt_buffer_view(&text));
	crdt_buffer_close(&text);
}

static void
see_values(Words *words, const CrdtType *type, CrdtKind kind)
{
	CrdtVisitor visitor = {.context = words,
						   .null = see_nothing,
						   .undefined = see_nothing,
						   .boolean = see_boolean,
						   .number = see_number,
						   .bigint = see_bigint,
						   .string = see_string,
						   .bytes = see_bytes,
						   .document = see_bytes,
						   .begin_array = see_nothing,
						   .end_array = see_nothing,
						   .begin_object = see_nothing,
						   .key = see_bytes,
						   .end_object = see_nothing};
	CrdtError error;
	CrdtStatus status = crdt_doc_visit(words->doc, type, kind, &visitor, &error);

	if (status != CRDT_OK && status != CRDT_CANCELLED)
		bridge_report(&error, "document");
	CHECK_FOR_INTERRUPTS();
}

static void
see_type(Words *words, const CrdtType *type)
{
	CrdtKind kind = crdt_doc_kind(words->doc, type);

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	switch (kind)
	{
		case CRDT_TEXT:
		case CRDT_XML_TEXT: see_text(words, type); break;
		case CRDT_XML_ELEMENT:
		case CRDT_XML_FRAGMENT:
			for (uint64 i = 0; i < crdt_doc_length(words->doc, type); i++)
			{
				const CrdtType *child = crdt_doc_child((CrdtDoc *) words->doc, type, i);

				if (child != NULL)
					see_type(words, child);
			}
			break;
		case CRDT_ARRAY:
		case CRDT_MAP: see_values(words, type, kind); break;
		default: break;
	}
}

PG_FUNCTION_INFO_V1(ydoc_search_text);
Datum
ydoc_search_text(PG_FUNCTION_ARGS)
{
	Words words = {.doc = ydoc_value_arg(fcinfo, 0)->doc};
	CrdtBytes clean;

	bridge_require_utf8();
	bridge_buffer(&words.out, &words.host);
	for (size_t i = 0; i < crdt_doc_root_count(words.doc); i++)
		see_type(&words, crdt_doc_root(words.doc, i));
	clean = bridge_text(crdt_buffer_view(&words.out));
	if (clean.size > SEARCH_BYTES_MAX)
		clean.size = pg_mbcliplen((const char *) clean.data, (int) clean.size, SEARCH_BYTES_MAX);
	PG_RETURN_TEXT_P((text *) bridge_bytea(clean));
}
