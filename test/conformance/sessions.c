/*
 * sessions.c: the small sessions of y-crdt's test data (test/data/peers): a few updates each, and
 * the text, map and array that must be read afterwards.
 *
 *     varUint sessions, then of each: varUint updates, their byte arrays, and what the roots hold:
 *     varString "text", Any "map", Any "array"
 *
 * The values are read here by hand, so that the core's own reader of them is not its own judge.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/document.h"
#include "../core/guard.h"
#include "../core/host.h"
#include "../core/input.h"
#include "value.h"

typedef struct Cursor
{
	const uint8_t *at;
	const uint8_t *end;
} Cursor;

static bool run_session(Cursor *file, size_t number);
static bool
expect_root(CrdtDoc *doc, size_t number, const char *name, CrdtKind kind, json_t *expected);
static uint64_t read_varuint(Cursor *file);
static uint64_t read_big_endian(Cursor *file, size_t size);
static CrdtBytes read_byte_array(Cursor *file);
static json_t *read_any(Cursor *file);
static json_t *read_number(Cursor *file, uint8_t tag);

int
main(int argc, char **argv)
{
	size_t passed = 0;
	Input input;
	Cursor file;
	uint64_t count;

	if (argc != 2 || argv[1][0] == '-')
	{
		fprintf(stderr, "usage: sessions FILE\n"
						"Runs the sessions of a file like yrs-small-test-dataset.bin(.gz).\n");
		return 2;
	}
	input = input_read(argv[1]);
	file = (Cursor){input.data, input.data + input.size};
	count = read_varuint(&file);
	for (uint64_t i = 0; i < count; i++)
		passed += run_session(&file, i);
	printf("%zu passed, %" PRIu64 " failed\n", passed, count - passed);
	input_free(&input);
	return count > 0 && passed == count ? 0 : 1;
}

static bool
run_session(Cursor *file, size_t number)
{
	TestHost world;
	CrdtDoc *doc;
	Guard guard = {0};
	bool passed = true;
	uint64_t count = read_varuint(file);

	test_host_open(&world);
	doc = crdt_doc_new(&world.host, NULL);
	for (uint64_t i = 0; i < count; i++)
	{
		CrdtBytes update = guard_place(&guard, read_byte_array(file));
		CrdtError error = {0};

		if (doc == NULL || crdt_doc_apply(doc, update, CRDT_V1, NULL, &error) != CRDT_OK)
		{
			printf("FAIL session %zu, update %" PRIu64 ": %s\n", number, i, error.message);
			passed = false;
		}
	}
	passed &= expect_root(doc, number, "text", CRDT_TEXT, value_of_string(read_byte_array(file)));
	passed &= expect_root(doc, number, "map", CRDT_MAP, read_any(file));
	passed &= expect_root(doc, number, "array", CRDT_ARRAY, read_any(file));
	crdt_doc_free(doc);
	guard_close(&guard);
	if (world.bytes != 0 || world.wrong_sizes != 0)
	{
		printf("FAIL session %zu: not all memory came back\n", number);
		passed = false;
	}
	return passed;
}

/* Takes expected over.  A root that no update names is empty. */
static bool
expect_root(CrdtDoc *doc, size_t number, const char *name, CrdtKind kind, json_t *expected)
{
	CrdtBytes bytes = {(const uint8_t *) name, strlen(name)};
	const CrdtType *root = crdt_doc_find_root(doc, bytes);
	CrdtError error = {0};
	json_t *got = root == NULL ? NULL : value_of_type(doc, root, kind, &error);
	bool equal = root == NULL ? json_string_length(expected) + json_object_size(expected) +
										json_array_size(expected) ==
									0
							  : got != NULL && json_equal(expected, got);

	if (!equal)
	{
		char *expected_text = json_dumps(expected, JSON_ENCODE_ANY | JSON_SORT_KEYS);
		char *got_text = json_dumps(got, JSON_ENCODE_ANY | JSON_SORT_KEYS);

		printf("FAIL session %zu, root %s: %s\n    expected %.300s\n    got      %.300s\n", number,
			   name, error.message, expected_text, got_text == NULL ? "(nothing)" : got_text);
		free(expected_text);
		free(got_text);
	}
	json_decref(expected);
	json_decref(got);
	return equal;
}

/* ---- lib0 (FORMAT 1), for a file that we trust ---- */

static uint64_t
read_varuint(Cursor *file)
{
	uint64_t value = 0;

	for (unsigned shift = 0; file->at < file->end && shift < 63; shift += 7)
	{
		uint8_t byte = *file->at++;

		value |= (uint64_t) (byte & 127) << shift;
		if (byte < 128)
			return value;
	}
	fprintf(stderr, "the file ends too early\n");
	exit(2);
}

static CrdtBytes
read_byte_array(Cursor *file)
{
	uint64_t size = read_varuint(file);
	CrdtBytes bytes = {file->at, size};

	if (size > (uint64_t) (file->end - file->at))
	{
		fprintf(stderr, "the file ends too early\n");
		exit(2);
	}
	file->at += size;
	return bytes;
}

static json_t *
read_any(Cursor *file)
{
	uint8_t tag = file->at < file->end ? *file->at++ : 0;
	json_t *value;
	CrdtBytes key;

	switch (tag)
	{
		case 126: return json_null();
		case 121: return json_false();
		case 120: return json_true();
		case 125:
		case 124:
		case 123: return read_number(file, tag);
		case 119: return value_of_string(read_byte_array(file));
		case 118:
			value = json_object();
			for (uint64_t left = read_varuint(file); left > 0; left--)
			{
				key = read_byte_array(file);
				json_object_setn_new(value, (const char *) key.data, key.size, read_any(file));
			}
			return value;
		case 117:
			value = json_array();
			for (uint64_t left = read_varuint(file); left > 0; left--)
				json_array_append_new(value, read_any(file));
			return value;
		default: fprintf(stderr, "a value of tag %d\n", tag); exit(2);
	}
}

static json_t *
read_number(Cursor *file, uint8_t tag)
{
	uint64_t bits;
	uint32_t single_bits;
	double number;
	float single;

	if (tag == 125)
	{
		uint8_t first = file->at < file->end ? *file->at++ : 0;

		number = first & 0x3f;
		if (first & 0x80)
			number += 64.0 * (double) read_varuint(file);
		return json_real(first & 0x40 ? -number : number);
	}
	bits = read_big_endian(file, tag == 124 ? 4 : 8);
	if (tag == 123)
	{
		memcpy(&number, &bits, sizeof number);
		return json_real(number);
	}
	single_bits = (uint32_t) bits;
	memcpy(&single, &single_bits, sizeof single);
	return json_real((double) single);
}

static uint64_t
read_big_endian(Cursor *file, size_t size)
{
	uint64_t value = 0;

	if ((size_t) (file->end - file->at) < size)
	{
		fprintf(stderr, "the file ends too early\n");
		exit(2);
	}
	while (size-- > 0)
		value = value << 8 | *file->at++;
	return value;
}
