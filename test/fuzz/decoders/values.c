/*
 * values.c: any bytes as what else is decoded: JSON, encoded values as inputs of edits, state
 * vectors, snapshots, relative positions.
 *
 *     [what] [bytes]
 */
#include <string.h>

#include "../../../extension/crdt/edit.h"
#include "../../../extension/crdt/position.h"
#include "../../../extension/crdt/snapshot.h"
#include "../../../extension/crdt/update.h"
#include "../../../extension/crdt/value.h"
#include "limits.h"

static bool
take(void *context)
{
	(void) context;
	return true;
}

static bool
take_boolean(void *context, bool value)
{
	(void) value;
	return take(context);
}

static bool
take_number(void *context, double value)
{
	(void) value;
	return take(context);
}

static bool
take_bigint(void *context, int64_t value)
{
	(void) value;
	return take(context);
}

static bool
take_bytes(void *context, CrdtBytes value)
{
	fuzz_require(value.data != NULL || value.size == 0, "bytes that are nowhere");
	return take(context);
}

static const CrdtVisitor visitor = {.null = take,
									.undefined = take,
									.boolean = take_boolean,
									.number = take_number,
									.bigint = take_bigint,
									.string = take_bytes,
									.bytes = take_bytes,
									.document = take_bytes,
									.begin_array = take,
									.end_array = take,
									.begin_object = take,
									.key = take_bytes,
									.end_object = take};

/* JSON text: what it becomes can be shown. */
static void
check_json(const CrdtHost *host, CrdtBytes json)
{
	CrdtBuffer value;
	CrdtError error;

	crdt_buffer_open(&value, host);
	if (crdt_value_from_json(host, json, &value, &error) == CRDT_OK)
		fuzz_require(crdt_value_visit(crdt_buffer_view(&value), &visitor), "a visit that stopped");
	else
		fuzz_require(value.size == 0 && error.offset <= json.size, "a refusal that left something");
	crdt_buffer_close(&value);
}

static CrdtStatus
edit(CrdtDoc *doc, const CrdtType *root, uint8_t what, CrdtBytes bytes, CrdtError *error)
{
	CrdtInput input = {.kind = CRDT_INPUT_VALUE, .bytes = bytes, .options = bytes};
	CrdtAttribute attribute = {CRDT_LITERAL("a"), bytes};
	CrdtAttributes attributes = {&attribute, 1};

	switch (what)
	{
		case 0: return crdt_text_insert(doc, root, 0, bytes, NULL, error);
		case 1: return crdt_text_insert(doc, root, 0, CRDT_LITERAL("x"), &attributes, error);
		case 2: return crdt_text_insert_embed(doc, root, 0, &input, &attributes, error);
		case 3: return crdt_map_set(doc, root, bytes, &input, error);
		case 4:
			input.kind = CRDT_INPUT_SUBDOCUMENT;
			return crdt_list_insert(doc, root, 0, &input, 1, error);
		default: return crdt_list_insert(doc, root, 0, &input, 1, error);
	}
}

/* An edit with these bytes: taken, or refused without effect; what it makes can be read again. */
static void
check_edit(const CrdtHost *host, uint8_t what, CrdtBytes bytes)
{
	static const CrdtKind kinds[] = {CRDT_TEXT, CRDT_TEXT,  CRDT_TEXT,
									 CRDT_MAP,  CRDT_ARRAY, CRDT_ARRAY};
	CrdtDoc *doc = crdt_doc_new(host, NULL);
	CrdtDoc *copy = crdt_doc_new(host, NULL);
	const CrdtType *root;
	CrdtError error;
	CrdtBuffer state;
	bool taken;

	crdt_buffer_open(&state, host);
	crdt_doc_set_client(doc, 1);
	root = crdt_doc_open_root(doc, CRDT_LITERAL("r"), kinds[what], &error);
	fuzz_require(root != NULL, "a root cannot be declared");
	taken = edit(doc, root, what, bytes, &error) == CRDT_OK;
	fuzz_require(crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, &state, &error) == CRDT_OK,
				 "an edited document cannot be encoded");
	fuzz_require(taken || state.size == 2, "a refused edit left something");
	fuzz_require(crdt_doc_apply(copy, crdt_buffer_view(&state), CRDT_V1, NULL, &error) == CRDT_OK,
				 "what an edit made was refused");
	crdt_buffer_close(&state);
	crdt_doc_free(doc);
	crdt_doc_free(copy);
}

/* A snapshot: what was read is written, and read again as the same. */
static void
check_snapshot(const CrdtHost *host, CrdtBytes bytes, CrdtFormat format)
{
	CrdtSnapshot *snapshot;
	CrdtSnapshot *again = NULL;
	CrdtBuffer out;
	CrdtError error;

	if (crdt_snapshot_read(host, bytes, format, &snapshot, &error) != CRDT_OK)
	{
		fuzz_require(snapshot == NULL && error.offset <= bytes.size, "a refusal left something");
		return;
	}
	crdt_buffer_open(&out, host);
	fuzz_require(crdt_snapshot_write(snapshot, CRDT_V1, &out, &error) == CRDT_OK &&
					 crdt_snapshot_read(host, crdt_buffer_view(&out), CRDT_V1, &again, &error) ==
						 CRDT_OK &&
					 crdt_snapshots_equal(snapshot, again),
				 "a snapshot that was written reads otherwise");
	crdt_buffer_close(&out);
	crdt_snapshot_free(snapshot);
	crdt_snapshot_free(again);
}

/* A relative position: resolved in a document or not, and written again. */
static void
check_position(const CrdtHost *host, CrdtBytes bytes)
{
	CrdtDoc *doc = crdt_doc_new(host, NULL);
	CrdtAbsolutePosition place;
	CrdtPosition position;
	CrdtBuffer out;
	CrdtError error;

	crdt_buffer_open(&out, host);
	if (crdt_position_read(bytes, &position, &error) == CRDT_OK)
	{
		(void) !crdt_position_resolve(doc, &position, &place, &error);
		(void) !crdt_position_write(&position, &out, &error);
		fuzz_require(crdt_position_write_json(&position, &out, &error) == CRDT_OK,
					 "a position has no JSON form");
	}
	crdt_buffer_close(&out);
	crdt_doc_free(doc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CrdtBytes bytes = {data + 1, size - 1};
	CrdtError error;
	Limits limits;

	if (size < 1)
		return 0;
	limits_open(&limits, 4 * size, false);
	switch (*data % 11)
	{
		case 0: check_json(&limits.host, bytes); break;
		case 1: (void) !crdt_state_vector_check(&limits.host, bytes, &error); break;
		case 8: check_snapshot(&limits.host, bytes, CRDT_V1); break;
		case 9: check_snapshot(&limits.host, bytes, CRDT_V2); break;
		case 10: check_position(&limits.host, bytes); break;
		default: check_edit(&limits.host, *data % 11 - 2, bytes);
	}
	limits_close(&limits);
	return 0;
}
