/*
 * replica.c: somebody's copy of a document.
 */
#include "replica.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../core/input.h"

static CrdtBytes name_of(const char *text);

Replica
replica_new(void)
{
	return replica_new_with((CrdtDocOptions){0});
}

Replica
replica_new_with(CrdtDocOptions options)
{
	Replica replica = {.world = test_alloc(sizeof *replica.world)};

	test_host_open(replica.world);
	replica.doc = crdt_doc_new(&replica.world->host, &options);
	assert_non_null(replica.doc);
	return replica;
}

void
replica_close(Replica *replica)
{
	crdt_doc_free(replica->doc);
	assert_int_equal(replica->world->bytes, 0);
	assert_int_equal(replica->world->wrong_sizes, 0);
	free(replica->world);
	*replica = (Replica){0};
}

CrdtApplied
receive(Replica *replica, CrdtBytes update)
{
	CrdtApplied applied = {0};
	CrdtError error = {0};

	if (crdt_doc_apply(replica->doc, update, CRDT_V1, &applied, &error) != CRDT_OK)
		fail_msg("refused: %s (byte %zu)", error.message, error.offset);
	assert_int_equal(applied.waiting, crdt_doc_is_waiting(replica->doc));
	return applied;
}

void
send_missing(Replica *from, Replica *to)
{
	CrdtBuffer has = state_vector_of(to);
	CrdtBuffer missing;
	CrdtError error = {0};

	crdt_buffer_open(&missing, &from->world->host);
	assert_int_equal(crdt_doc_encode(from->doc, CRDT_V1, crdt_buffer_view(&has), &missing, &error),
					 CRDT_OK);
	receive(to, crdt_buffer_view(&missing));
	crdt_buffer_close(&missing);
	crdt_buffer_close(&has);
}

CrdtBuffer
state_of(Replica *replica)
{
	CrdtBuffer out;
	CrdtError error = {0};

	crdt_buffer_open(&out, &replica->world->host);
	assert_int_equal(crdt_doc_encode(replica->doc, CRDT_V1, NOTHING, &out, &error), CRDT_OK);
	return out;
}

CrdtBuffer
state_vector_of(Replica *replica)
{
	CrdtBuffer out;
	CrdtError error = {0};

	crdt_buffer_open(&out, &replica->world->host);
	assert_int_equal(crdt_doc_encode_state_vector(replica->doc, &out, &error), CRDT_OK);
	return out;
}

CrdtBuffer
text_of(Replica *replica, const char *root)
{
	const CrdtType *type = crdt_doc_find_root(replica->doc, name_of(root));
	CrdtBuffer out;
	CrdtError error = {0};

	crdt_buffer_open(&out, &replica->world->host);
	assert_non_null(type);
	assert_int_equal(crdt_doc_text(replica->doc, type, &out, &error), CRDT_OK);
	return out;
}

CrdtBuffer
json_of(Replica *replica, const char *root, CrdtKind kind)
{
	const CrdtType *type = crdt_doc_find_root(replica->doc, name_of(root));
	CrdtBuffer out;
	CrdtError error = {0};

	crdt_buffer_open(&out, &replica->world->host);
	assert_non_null(type);
	assert_int_equal(crdt_doc_json(replica->doc, type, kind, &out, &error), CRDT_OK);
	return out;
}

void
assert_bytes_equal(CrdtBytes got, CrdtBytes expected)
{
	assert_int_equal(got.size, expected.size);
	if (got.size > 0)
		assert_memory_equal(got.data, expected.data, got.size);
}

void
assert_text(Replica *replica, const char *root, const char *expected)
{
	CrdtBuffer text = text_of(replica, root);

	assert_bytes_equal(crdt_buffer_view(&text), name_of(expected));
	crdt_buffer_close(&text);
}

void
assert_json(Replica *replica, const char *root, CrdtKind kind, const char *expected)
{
	CrdtBuffer json = json_of(replica, root, kind);
	char *printed = test_alloc(json.size + 1);

	/* As strings, so that a failure shows both. */
	if (json.size > 0)
		memcpy(printed, json.data, json.size);
	printed[json.size] = 0;
	assert_string_equal(printed, expected);
	free(printed);
	crdt_buffer_close(&json);
}

void
assert_state(Replica *replica, CrdtBytes expected)
{
	CrdtBuffer state = state_of(replica);

	assert_bytes_equal(crdt_buffer_view(&state), expected);
	crdt_buffer_close(&state);
}

void
assert_same_state(Replica *one, Replica *other)
{
	CrdtBuffer state = state_of(other);

	assert_state(one, crdt_buffer_view(&state));
	crdt_buffer_close(&state);
}

void
assert_good_error(const CrdtError *error, CrdtStatus status, size_t input_size)
{
	size_t length = strlen(error->message);

	assert_int_equal(error->status, status);
	assert_in_range(error->offset, 0, input_size);
	assert_in_range(length, 1, CRDT_MESSAGE_SIZE - 1);
	assert_false(isupper((unsigned char) error->message[0]));
	assert_int_not_equal(error->message[length - 1], '.');
}

static CrdtBytes
name_of(const char *text)
{
	return (CrdtBytes){(const uint8_t *) text, strlen(text)};
}
