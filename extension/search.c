/*
 * search.c: a document's words, for full-text search.
 *
 * Texts, the texts inside XML, and the strings in maps and arrays; no markup, no keys, no numbers.
 *
 * Nothing that somebody writes into a document makes these functions fail: a generated column would
 * refuse its row, and ydoc.update_search() would never come to the documents behind it.  What is too
 * much, or nested too deep, is left out.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tsearch/ts_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "bridge.h"
#include "value.h"

#define SEARCH_BYTES_MAX 400000
#define SEARCH_DEPTH_MAX 500 /* of XML; what else there is, the core bounds */

/*
 * A tsvector holds a megabyte of lexemes and positions, and a parser makes of some words several: of
 * "a.de/b", a short one, the address, the host and the path, about five times its bytes.  So text is
 * parsed in pieces that fit for sure, as many as fit together.
 */
#define PIECE_BYTES 100000
#define VECTOR_BYTES_MAX 1000000

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

	/* CRDT_LIMIT: too deep; what came before counts */
	if (status != CRDT_OK && status != CRDT_CANCELLED && status != CRDT_LIMIT)
		bridge_report(&error, "document");
	CHECK_FOR_INTERRUPTS();
}

static void
see_type(Words *words, const CrdtType *type, int depth)
{
	CrdtKind kind = crdt_doc_kind(words->doc, type);

	CHECK_FOR_INTERRUPTS();
	if (depth > SEARCH_DEPTH_MAX)
		return;
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
					see_type(words, child, depth + 1);
			}
			break;
		case CRDT_ARRAY:
		case CRDT_MAP: see_values(words, type, kind); break;
		default: break;
	}
}

static CrdtBytes
search_text(FunctionCallInfo fcinfo, int argument)
{
	Words words = {.doc = ydoc_value_arg(fcinfo, argument)->doc};
	CrdtBytes clean;

	bridge_require_utf8();
	bridge_buffer(&words.out, &words.host);
	for (size_t i = 0; i < crdt_doc_root_count(words.doc); i++)
		see_type(&words, crdt_doc_root(words.doc, i), 0);
	clean = bridge_text(crdt_buffer_view(&words.out));
	if (clean.size > SEARCH_BYTES_MAX)
		clean.size = pg_mbcliplen((const char *) clean.data, (int) clean.size, SEARCH_BYTES_MAX);
	return clean;
}

PG_FUNCTION_INFO_V1(ydoc_search_text);
Datum
ydoc_search_text(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P((text *) bridge_bytea(search_text(fcinfo, 0)));
}

/* ---- vectors ---- */

/* The size of a piece, which ends behind a space if it can. */
static size_t
piece_size(CrdtBytes rest)
{
	size_t size;

	if (rest.size <= PIECE_BYTES)
		return rest.size;
	for (size = PIECE_BYTES; size > 0; size--)
		if (rest.data[size - 1] == ' ' || rest.data[size - 1] == '\n')
			return size;
	return pg_mbcliplen((const char *) rest.data, (int) rest.size, PIECE_BYTES);
}

PG_FUNCTION_INFO_V1(ydoc_tsvector);
Datum
ydoc_tsvector(PG_FUNCTION_ARGS)
{
	Datum config = PG_GETARG_DATUM(0);
	CrdtBytes rest = search_text(fcinfo, 1);
	TSVector vector = NULL;

	do
	{
		size_t size = piece_size(rest);
		text *piece = (text *) bridge_bytea((CrdtBytes){rest.data, size});
		TSVector next =
			DatumGetTSVector(DirectFunctionCall2(to_tsvector_byid, config, PointerGetDatum(piece)));

		CHECK_FOR_INTERRUPTS();
		if (vector != NULL && VARSIZE(vector) + VARSIZE(next) > VECTOR_BYTES_MAX)
			break;
		vector = vector == NULL
					 ? next
					 : DatumGetTSVector(DirectFunctionCall2(
						   tsvector_concat, TSVectorGetDatum(vector), TSVectorGetDatum(next)));
		rest.data += size;
		rest.size -= size;
	} while (rest.size > 0);
	PG_RETURN_TSVECTOR(vector);
}
