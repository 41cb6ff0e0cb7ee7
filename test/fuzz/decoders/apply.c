/*
 * apply.c: any bytes as updates for a document, one after the other, and all readings of it.
 *
 *     [flags] then, up to four times: [size] [bytes of an update]
 *
 * A refused update leaves the document as it was; one that is taken leaves a document whose own
 * encoding makes the same document again.  From somebody who is confined to root "t", no update changes
 * another root, and what is said to be news of it makes a copy of the document the same.
 */
#include <string.h>

#include "../../../extension/crdt/update.h"
#include "limits.h"

#define UPDATES_MAX 4

#define FLAG_KEEP_DELETED 1
#define FLAG_CLEAN_FORMATTING 2
#define FLAG_DECLARE_TEXT 4
#define FLAG_V2 8 /* shifted by the number of the update */
#define FLAG_CONFINED 128 /* all updates but the first */

static CrdtBuffer
encode(CrdtDoc *doc, const CrdtHost *host, CrdtFormat format)
{
	CrdtBuffer out;
	CrdtError error;

	crdt_buffer_open(&out, host);
	fuzz_require(crdt_doc_encode(doc, format, (CrdtBytes){NULL, 0}, &out, &error) == CRDT_OK,
				 "a document cannot be encoded");
	return out;
}

static bool
same(const CrdtBuffer *a, const CrdtBuffer *b)
{
	return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void
apply(CrdtDoc *doc, const CrdtHost *host, CrdtBytes update, CrdtFormat format)
{
	CrdtBuffer before = encode(doc, host, CRDT_V1);
	CrdtError error;

	if (crdt_doc_apply(doc, update, format, NULL, &error) != CRDT_OK)
	{
		CrdtBuffer after = encode(doc, host, CRDT_V1);

		fuzz_require(same(&before, &after), "a refused update changed the document");
		fuzz_require(error.message[0] != '\0' && error.offset <= update.size,
					 "a refusal without a message or place");
		crdt_buffer_close(&after);
	}
	crdt_buffer_close(&before);
}

/* All that is to be read of roots but "t", of the first count. */
static CrdtBuffer
read_others(CrdtDoc *doc, const CrdtHost *host, size_t count)
{
	CrdtError error;
	CrdtBuffer out;

	crdt_buffer_open(&out, host);
	for (size_t i = 0; i < count; i++)
	{
		const CrdtType *root = crdt_doc_root(doc, i);
		CrdtBytes name = crdt_doc_root_name(doc, root);

		if (name.size == 1 && name.data[0] == 't')
			continue;
		(void) !crdt_doc_json(doc, root, CRDT_ARRAY, &out, &error);
		(void) !crdt_doc_json(doc, root, CRDT_MAP, &out, &error);
		(void) !crdt_doc_text(doc, root, &out, &error);
	}
	return out;
}

static void
apply_confined(CrdtDoc *doc, const CrdtHost *host, CrdtBytes update, CrdtFormat format)
{
	const CrdtBytes roots[] = {CRDT_LITERAL("t")};
	const CrdtConfines confines = {roots, 1};
	size_t root_count = crdt_doc_root_count(doc);
	bool was_waiting = crdt_doc_is_waiting(doc);
	CrdtBuffer before = encode(doc, host, CRDT_V1);
	CrdtBuffer others = read_others(doc, host, root_count);
	CrdtDoc *copy = crdt_doc_new(host, NULL);
	CrdtApplied applied = {0};
	CrdtBuffer news;
	CrdtBuffer after;
	CrdtBuffer others_after;
	CrdtError error;

	crdt_buffer_open(&news, host);
	if (crdt_doc_apply_confined(doc, update, format, &confines, &news, &applied, &error) != CRDT_OK)
		fuzz_require(error.message[0] != '\0' && error.offset <= update.size && news.size == 0,
					 "a refusal without a message or place, or with news");
	after = encode(doc, host, CRDT_V1);
	others_after = read_others(doc, host, root_count);
	fuzz_require(applied.changed || same(&before, &after), "no news changed the document");
	fuzz_require(!applied.changed || news.size > 0, "a change that is no news");
	fuzz_require(was_waiting || same(&others, &others_after), "another root has changed");
	fuzz_require(was_waiting || !crdt_doc_is_waiting(doc), "something waits");
	if (news.size > 0)
	{
		CrdtBuffer vector, copied;

		crdt_buffer_open(&vector, host);
		crdt_buffer_open(&copied, host);
		fuzz_require(
			crdt_doc_apply(copy, crdt_buffer_view(&before), CRDT_V1, NULL, &error) == CRDT_OK &&
				crdt_doc_apply(copy, crdt_buffer_view(&news), format, NULL, &error) == CRDT_OK &&
				crdt_doc_encode_state_vector(doc, &vector, &error) == CRDT_OK &&
				crdt_doc_encode_state_vector(copy, &copied, &error) == CRDT_OK,
			"news cannot be applied");
		fuzz_require(same(&vector, &copied), "news are not all that has changed");
		crdt_buffer_close(&vector);
		crdt_buffer_close(&copied);
	}
	crdt_doc_free(copy);
	crdt_buffer_close(&news);
	crdt_buffer_close(&before);
	crdt_buffer_close(&after);
	crdt_buffer_close(&others);
	crdt_buffer_close(&others_after);
}

/* Reads every root as every kind. */
static void
read_all(CrdtDoc *doc, const CrdtHost *host)
{
	CrdtError error;
	CrdtBuffer out;

	crdt_buffer_open(&out, host);
	for (size_t i = 0; i < crdt_doc_root_count(doc); i++)
	{
		const CrdtType *root = crdt_doc_root(doc, i);

		for (CrdtKind kind = CRDT_ARRAY; kind <= CRDT_XML_TEXT; kind++)
		{
			out.size = 0;
			(void) !crdt_doc_json(doc, root, kind, &out, &error);
			(void) !crdt_doc_xml(doc, root, kind, &out, &error);
		}
		(void) !crdt_doc_text(doc, root, &out, &error);
	}
	crdt_buffer_close(&out);
}

/* The document's encoding makes a document with the same state vector, if nothing waits. */
static void
check_round_trip(CrdtDoc *doc, const CrdtHost *host, CrdtFormat format)
{
	CrdtBuffer state = encode(doc, host, format);
	CrdtDoc *copy = crdt_doc_new(host, NULL);
	CrdtBuffer vector;
	CrdtBuffer copied;
	CrdtError error;

	crdt_buffer_open(&vector, host);
	crdt_buffer_open(&copied, host);
	fuzz_require(copy != NULL && crdt_doc_apply(copy, crdt_buffer_view(&state), format, NULL,
												&error) == CRDT_OK,
				 "a document's own encoding was refused");
	fuzz_require(crdt_doc_encode_state_vector(doc, &vector, &error) == CRDT_OK &&
					 crdt_doc_encode_state_vector(copy, &copied, &error) == CRDT_OK,
				 "a state vector cannot be encoded");
	fuzz_require(crdt_doc_is_waiting(doc) || same(&vector, &copied),
				 "a document and its copy differ");
	crdt_doc_free(copy);
	crdt_buffer_close(&vector);
	crdt_buffer_close(&copied);
	crdt_buffer_close(&state);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	uint8_t flags;
	CrdtDocOptions options = {0};
	CrdtError error;
	CrdtDoc *doc;
	Limits limits;

	if (size < 2)
		return 0;
	flags = *data++;
	/* the document, its copies, and encodings of them */
	limits_open(&limits, 6 * size, true);
	options.keep_deleted = (flags & FLAG_KEEP_DELETED) != 0;
	options.clean_formatting = (flags & FLAG_CLEAN_FORMATTING) != 0;
	doc = crdt_doc_new(&limits.host, &options);
	if ((flags & FLAG_DECLARE_TEXT) != 0)
		fuzz_require(crdt_doc_declare_root(doc, CRDT_LITERAL("t"), CRDT_TEXT, &error) == CRDT_OK,
					 "a root cannot be declared");
	for (int i = 0; i < UPDATES_MAX && data < end; i++)
	{
		size_t left = (size_t) (end - data - 1);
		size_t length = i + 1 == UPDATES_MAX ? left : (*data < left ? *data : left);
		CrdtFormat format = (flags & FLAG_V2 << i) != 0 ? CRDT_V2 : CRDT_V1;

		if (i > 0 && (flags & FLAG_CONFINED) != 0)
			apply_confined(doc, &limits.host, (CrdtBytes){data + 1, length}, format);
		else
			apply(doc, &limits.host, (CrdtBytes){data + 1, length}, format);
		data += 1 + length;
	}
	read_all(doc, &limits.host);
	check_round_trip(doc, &limits.host, CRDT_V1);
	check_round_trip(doc, &limits.host, CRDT_V2);
	crdt_doc_free(doc);
	limits_close(&limits);
	return 0;
}
