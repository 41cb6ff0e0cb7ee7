/*
 * fixture.c: fixtures of other projects' tests (test/data/peers): updates, and the views and states
 * that must come of them.
 */
#include "kinds.h"

#include <stdlib.h>
#include <string.h>

#include "value.h"

static json_t *roots_of(const json_t *fixture);
static void expect_view(Case *c, CrdtDoc *doc);
static void expect_text(Case *c, CrdtDoc *doc);
static json_t *text_of_delta(const json_t *delta);

void
run_fixture(Case *c)
{
	const json_t *result = json_object_get(c->json, "computedWithYjs");
	json_t *roots = roots_of(c->json);
	CrdtDoc *doc = receiver_open(c, (Receiver){.roots = roots});
	json_t *list = json_object_get(c->json, "updates");
	size_t count;
	CrdtBytes *updates;

	list = list == NULL ? json_pack("[O]", json_object_get(c->json, "update")) : json_incref(list);
	updates = case_inputs(c, list, &count);
	for (size_t i = 0; doc != NULL && i < count; i++)
		receiver_apply(c, doc, updates[i], case_format(c), NULL);
	if (doc != NULL)
	{
		expect_state(c, doc, result);
		expect_roots(c, doc, json_object_get(result, "roots"), true);
		expect_view(c, doc);
		expect_text(c, doc);
	}
	crdt_doc_free(doc);
	free(updates);
	json_decref(list);
	json_decref(roots);
}

static json_t *
roots_of(const json_t *fixture)
{
	json_t *roots = json_object_get(fixture, "roots");

	if (roots != NULL)
		return json_incref(roots);
	return json_pack("{s:O}", json_string_value(json_object_get(fixture, "root")),
					 json_object_get(fixture, "kind"));
}

/* What the test of yjs/yjs expects to read: toJSON, or the strings of toDelta. */
static void
expect_view(Case *c, CrdtDoc *doc)
{
	const json_t *expected = json_object_get(c->json, "expected");
	const char *name = json_string_value(json_object_get(c->json, "root"));
	const char *read = json_string_value(json_object_get(c->json, "read"));
	const CrdtType *root;
	CrdtError error = {0};
	json_t *value;
	json_t *plain;

	if (expected == NULL)
		return;
	root = crdt_doc_find_root(doc, (CrdtBytes){(const uint8_t *) name, strlen(name)});
	if (root == NULL)
	{
		case_fail(c, "view", "there is no root %s", name);
		return;
	}
	value = value_of_type(doc, root, crdt_doc_kind(doc, root), &error);
	plain = strcmp(read, "toDelta") == 0 ? text_of_delta(expected) : value_without_tags(expected);
	if (value == NULL)
		case_fail(c, "view", "%s", error.message);
	else
		case_expect_json(c, "view", plain, value);
	json_decref(plain);
}

static void
expect_text(Case *c, CrdtDoc *doc)
{
	const json_t *expected = json_object_get(c->json, "expectedText");
	CrdtError error = {0};
	CrdtBuffer text;

	if (expected == NULL)
		return;
	crdt_buffer_open(&text, &c->world.host);
	if (case_expect_ok(c, "text", crdt_doc_text(doc, crdt_doc_root(doc, 0), &text, &error), &error))
		case_expect_json(c, "text", expected, value_of_string(crdt_buffer_view(&text)));
	crdt_buffer_close(&text);
}

static json_t *
text_of_delta(const json_t *delta)
{
	json_t *text = json_string("");
	size_t index;
	json_t *op;

	json_array_foreach((json_t *) delta, index, op)
	{
		const json_t *insert = json_object_get(op, "insert");
		json_t *longer;

		if (!json_is_string(insert))
			continue;
		longer = json_sprintf("%s%s", json_string_value(text), json_string_value(insert));
		json_decref(text);
		text = longer;
	}
	return text;
}
