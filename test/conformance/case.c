/*
 * case.c: input, world and verdict of one case.
 */
#include "case.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/input.h"
#include "base64.h"

/* A case stops to explain itself after this many mismatches, unless --verbose. */
#define SHOWN_MISMATCHES 4

/* Bytes shown on either side of the first difference. */
#define SHOWN_BYTES 24

struct CaseInput
{
	CaseInput *next;
	uint8_t *decoded;
	Guard guard;
};

static bool explain(Case *c, const char *field);
static void show_bytes(const char *title, CrdtBytes bytes, size_t difference, bool whole);
static void show_json(const char *title, const json_t *value, bool whole);

void
case_open(Case *c, const CaseOptions *options, const char *file, const json_t *json)
{
	memset(c, 0, sizeof *c);
	c->options = options;
	c->file = file;
	c->json = json;
	c->name = json_string_value(json_object_get(json, "name"));
	if (c->name == NULL)
		c->name = "unnamed";
	test_host_open(&c->world);
}

void
case_close(Case *c)
{
	c->where[0] = 0;
	if (c->world.bytes != 0)
		case_fail(c, "memory", "the core kept %zu bytes", c->world.bytes);
	if (c->world.wrong_sizes != 0)
		case_fail(c, "memory", "%zu blocks came back with a wrong size", c->world.wrong_sizes);
	while (c->inputs != NULL)
	{
		CaseInput *input = c->inputs;

		c->inputs = input->next;
		guard_close(&input->guard);
		free(input->decoded);
		free(input);
	}
}

CrdtBytes
case_input(Case *c, const json_t *base64)
{
	CaseInput *input = test_alloc(sizeof *input);
	size_t size;

	memset(input, 0, sizeof *input);
	input->next = c->inputs;
	c->inputs = input;
	input->decoded = base64_decode(json_string_value(base64), json_string_length(base64), &size);
	if (input->decoded == NULL)
	{
		fprintf(stderr, "%s: %s: not base64\n", c->file, c->name);
		exit(2);
	}
	if (c->options->guard)
		return guard_place(&input->guard, (CrdtBytes){input->decoded, size});
	return (CrdtBytes){input->decoded, size};
}

CrdtBytes *
case_inputs(Case *c, const json_t *array, size_t *count)
{
	CrdtBytes *inputs;

	*count = json_array_size(array);
	inputs = test_alloc(*count * sizeof *inputs);
	for (size_t i = 0; i < *count; i++)
		inputs[i] = case_input(c, json_array_get(array, i));
	return inputs;
}

CrdtBytes *
case_pick(const CrdtBytes *inputs, size_t count, const json_t *order)
{
	size_t picked_count = json_array_size(order);
	CrdtBytes *picked = test_alloc(picked_count * sizeof *picked);

	for (size_t i = 0; i < picked_count; i++)
	{
		size_t index = (size_t) json_number_value(json_array_get(order, i));

		if (index >= count)
		{
			fprintf(stderr, "order names update %zu of %zu\n", index, count);
			exit(2);
		}
		picked[i] = inputs[index];
	}
	return picked;
}

void
case_fail(Case *c, const char *field, const char *format, ...)
{
	va_list arguments;

	if (!explain(c, field))
		return;
	va_start(arguments, format);
	printf("    ");
	vprintf(format, arguments);
	printf("\n");
	va_end(arguments);
}

void
case_expect_true(Case *c, const char *field, bool is_true, const char *otherwise)
{
	c->fields++;
	if (!is_true)
		case_fail(c, field, "%s", otherwise);
}

bool
case_expect_ok(Case *c, const char *field, CrdtStatus status, const CrdtError *error)
{
	c->fields++;
	if (status != CRDT_OK)
		case_fail(c, field, "status %d: %s (byte %zu of part %zu)", (int) status, error->message,
				  error->offset, error->part);
	return status == CRDT_OK;
}

void
case_expect_bytes(Case *c, const char *field, const json_t *expected, CrdtBytes got)
{
	CrdtBytes bytes;
	uint8_t *decoded;

	if (!json_is_string(expected))
		return;
	decoded = base64_decode(json_string_value(expected), json_string_length(expected), &bytes.size);
	bytes.data = decoded;
	case_expect_same(c, field, bytes, got);
	free(decoded);
}

void
case_expect_same(Case *c, const char *field, CrdtBytes expected, CrdtBytes got)
{
	size_t shorter = expected.size < got.size ? expected.size : got.size;
	size_t difference = 0;

	c->fields++;
	if (expected.size == got.size &&
		(got.size == 0 || memcmp(expected.data, got.data, got.size) == 0))
		return;
	if (!explain(c, field))
		return;
	while (difference < shorter && expected.data[difference] == got.data[difference])
		difference++;
	printf("    %zu bytes expected, %zu got; first difference at byte %zu\n", expected.size,
		   got.size, difference);
	show_bytes("expected", expected, difference, c->options->verbose);
	show_bytes("got     ", got, difference, c->options->verbose);
}

void
case_expect_json(Case *c, const char *field, const json_t *expected, json_t *got)
{
	c->fields++;
	if (!json_equal(expected, got) && explain(c, field))
	{
		show_json("expected", expected, c->options->verbose);
		show_json("got     ", got, c->options->verbose);
	}
	json_decref(got);
}

/* Counts a mismatch and prints its title; false if there were too many to print more. */
static bool
explain(Case *c, const char *field)
{
	c->failures++;
	if (c->failures == SHOWN_MISMATCHES + 1 && !c->options->verbose)
		printf("FAIL %s: %s: further mismatches not shown (--verbose)\n", c->file, c->name);
	if (c->failures > SHOWN_MISMATCHES && !c->options->verbose)
		return false;
	printf("FAIL %s: %s: %s%s%s\n", c->file, c->name, c->where, c->where[0] == 0 ? "" : ": ",
		   field);
	return true;
}

static void
show_bytes(const char *title, CrdtBytes bytes, size_t difference, bool whole)
{
	size_t begin = difference < SHOWN_BYTES ? 0 : difference - SHOWN_BYTES;
	size_t end = bytes.size - difference < SHOWN_BYTES ? bytes.size : difference + SHOWN_BYTES;

	printf("    %s %s", title, begin == 0 ? "" : "... ");
	for (size_t i = begin; i < end; i++)
		printf("%s%02x", i == difference ? "|" : i == begin ? "" : " ", bytes.data[i]);
	printf("%s\n", end == bytes.size ? "" : " ...");
	if (whole)
	{
		char *text = base64_encode(bytes.data, bytes.size);

		printf("    %s %s\n", title, text);
		free(text);
	}
}

static void
show_json(const char *title, const json_t *value, bool whole)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);

	printf(whole ? "    %s %s\n" : "    %s %.300s\n", title, text == NULL ? "(nothing)" : text);
	free(text);
}
