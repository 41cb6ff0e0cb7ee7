/*
 * receiver.c: the document that receives a case's updates, and what is asked of it afterwards.
 */
#include "kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/bytes.h"
#include "value.h"

/* What a document encodes to, by the name it has in the vector files. */
typedef struct StateField
{
	const char *name;
	CrdtStatus (*encode)(CrdtDoc *doc, CrdtBuffer *out, CrdtError *error);
} StateField;

static CrdtStatus encode_state_vector(CrdtDoc *doc, CrdtBuffer *out, CrdtError *error);
static CrdtStatus encode_v1(CrdtDoc *doc, CrdtBuffer *out, CrdtError *error);
static CrdtStatus encode_v2(CrdtDoc *doc, CrdtBuffer *out, CrdtError *error);
static void
expect_snapshot(Case *c, CrdtDoc *doc, const json_t *expected, const char *name, CrdtFormat format);
static void expect_pending(Case *c, CrdtDoc *doc, const json_t *expected);
static void expect_root(Case *c, CrdtDoc *doc, const CrdtType *root, const json_t *report);
static void
expect_json_text(Case *c, CrdtDoc *doc, const CrdtType *root, CrdtKind kind, const json_t *json);
static void expect_text_state(Case *c, CrdtDoc *doc, const CrdtType *root, const json_t *state);
static void expect_attributes(Case *c, CrdtDoc *doc, const CrdtType *root, const json_t *expected);
static void expect_string(Case *c, const char *field, CrdtStatus status, const CrdtError *error,
						  const json_t *expected, CrdtBuffer *got);
static bool is_empty(const json_t *json);
static CrdtBytes name_of(const char *text);

static const StateField state_fields[] = {
	{"sv", encode_state_vector},
	{"v1", encode_v1},
	{"v2", encode_v2},
};

CrdtFormat
case_format(const Case *c)
{
	return json_number_value(json_object_get(c->json, "format")) == 2 ? CRDT_V2 : CRDT_V1;
}

CrdtDoc *
receiver_open(Case *c, Receiver receiver)
{
	/* A receiving JavaScript client cleans up formatting; the vectors are made by such. */
	CrdtDocOptions options = {.keep_deleted = receiver.keep_deleted, .clean_formatting = true};
	CrdtDoc *doc = crdt_doc_new(&c->world.host, &options);
	const char *name;
	json_t *kind;

	if (doc == NULL)
	{
		case_fail(c, "document", "crdt_doc_new gave none");
		return NULL;
	}
	json_object_foreach((json_t *) receiver.roots, name, kind)
	{
		CrdtError error = {0};
		CrdtStatus status =
			crdt_doc_declare_root(doc, name_of(name), value_kind(json_string_value(kind)), &error);

		case_expect_ok(c, "declare root", status, &error);
	}
	return doc;
}

bool
receiver_apply(Case *c, CrdtDoc *doc, CrdtBytes update, CrdtFormat format, CrdtApplied *applied)
{
	CrdtError error = {0};

	return case_expect_ok(c, "apply", crdt_doc_apply(doc, update, format, applied, &error), &error);
}

void
expect_state(Case *c, CrdtDoc *doc, const json_t *expected)
{
	for (size_t i = 0; i < sizeof state_fields / sizeof *state_fields; i++)
	{
		const StateField *field = &state_fields[i];
		CrdtError error = {0};
		CrdtBuffer out;

		if (json_object_get(expected, field->name) == NULL)
			continue;
		crdt_buffer_open(&out, &c->world.host);
		if (case_expect_ok(c, field->name, field->encode(doc, &out, &error), &error))
			case_expect_bytes(c, field->name, json_object_get(expected, field->name),
							  crdt_buffer_view(&out));
		crdt_buffer_close(&out);
	}
	expect_snapshot(c, doc, expected, "snapshot", CRDT_V1);
	expect_snapshot(c, doc, expected, "snapshotV2", CRDT_V2);
	expect_pending(c, doc, expected);
	expect_slices(c, doc);
}

/* The document's snapshot, written; and read and written again. */
static void
expect_snapshot(Case *c, CrdtDoc *doc, const json_t *expected, const char *name, CrdtFormat format)
{
	const json_t *base64 = json_object_get(expected, name);
	CrdtSnapshot *snapshot;
	CrdtSnapshot *again = NULL;
	CrdtError error = {0};
	CrdtBuffer out;

	if (base64 == NULL)
		return;
	snapshot = crdt_snapshot_take(doc);
	crdt_buffer_open(&out, &c->world.host);
	case_expect_ok(c, name, crdt_snapshot_write(snapshot, format, &out, &error), &error);
	case_expect_bytes(c, name, base64, crdt_buffer_view(&out));
	if (case_expect_ok(
			c, name,
			crdt_snapshot_read(&c->world.host, crdt_buffer_view(&out), format, &again, &error),
			&error))
		case_expect_true(c, name, crdt_snapshots_equal(snapshot, again), "read back, it differs");
	crdt_buffer_close(&out);
	crdt_snapshot_free(snapshot);
	crdt_snapshot_free(again);
}

/* Compares the clocks {client: clock} that structs wait for with the bytes of a state vector. */
static void
expect_missing(Case *c, const json_t *expected, CrdtBytes bytes)
{
	CrdtReader reader;
	json_t *missing = json_object();

	crdt_reader_open(&reader, bytes);
	for (uint64_t left = crdt_read_varuint(&reader); left > 0; left--)
	{
		char client[24];

		snprintf(client, sizeof client, "%llu", (unsigned long long) crdt_read_varuint(&reader));
		json_object_set_new(missing, client, json_real((double) crdt_read_varuint(&reader)));
	}
	case_expect_json(c, "missing", expected, missing);
}

/* `pending` is there if something waits: {structs: missing or null, ds: bool}, or no more than that. */
static void
expect_pending(Case *c, CrdtDoc *doc, const json_t *expected)
{
	const json_t *pending = json_object_get(expected, "pending");
	const json_t *missing = json_object_get(pending, "structs");
	CrdtError error = {0};
	CrdtBuffer structs;
	CrdtBuffer lacks;
	CrdtBuffer deletes;

	case_expect_true(c, "pending", crdt_doc_is_waiting(doc) == (pending != NULL),
					 pending != NULL ? "something waits in Yjs, nothing here"
									 : "something waits here, nothing in Yjs");
	crdt_buffer_open(&structs, &c->world.host);
	crdt_buffer_open(&lacks, &c->world.host);
	crdt_buffer_open(&deletes, &c->world.host);
	case_expect_ok(c, "pending", crdt_doc_pending(doc, &structs, &lacks, &deletes, &error), &error);
	if (missing != NULL)
	{
		case_expect_true(c, "pending structs", (structs.size > 0) == json_is_object(missing),
						 "not as in Yjs");
		case_expect_true(c, "pending deletes",
						 (deletes.size > 0) == json_is_true(json_object_get(pending, "ds")),
						 "not as in Yjs");
	}
	if (structs.size > 0 && json_is_object(missing))
		expect_missing(c, missing, crdt_buffer_view(&lacks));
	case_expect_bytes(c, "pendingStructsUpdateV2",
					  json_object_get(expected, "pendingStructsUpdateV2"),
					  crdt_buffer_view(&structs));
	case_expect_bytes(c, "pendingDsUpdateV2", json_object_get(expected, "pendingDsUpdateV2"),
					  crdt_buffer_view(&deletes));
	crdt_buffer_close(&structs);
	crdt_buffer_close(&lacks);
	crdt_buffer_close(&deletes);
}

void
expect_roots(Case *c, CrdtDoc *doc, const json_t *expected, bool declared)
{
	const char *name;
	json_t *report;

	json_object_foreach((json_t *) expected, name, report)
	{
		const CrdtType *root = crdt_doc_find_root(doc, name_of(name));
		char where[sizeof c->where];

		strcpy(where, c->where);
		snprintf(c->where, sizeof c->where, "%.100s, root \"%.40s\"", where, name);
		if (root != NULL)
		{
			expect_root(c, doc, root, report);
			/* who did not declare a text has not cleaned its formatting either */
			if (declared)
				expect_text_state(c, doc, root, json_object_get(report, "state"));
		}
		else
			case_expect_true(c, "root", !declared && is_empty(json_object_get(report, "json")),
							 "there is none");
		strcpy(c->where, where);
	}
}

const CrdtType *
type_at(CrdtDoc *doc, const json_t *path)
{
	const CrdtType *type =
		crdt_doc_find_root(doc, name_of(json_string_value(json_array_get(path, 0))));

	for (size_t i = 1; type != NULL && i < json_array_size(path); i++)
	{
		const json_t *part = json_array_get(path, i);

		if (json_is_string(part))
			type = crdt_doc_entry(
				doc, type,
				(CrdtBytes){(const uint8_t *) json_string_value(part), json_string_length(part)});
		else
			type = crdt_doc_child(doc, type, (uint64_t) json_number_value(part));
	}
	return type;
}

static CrdtStatus
encode_state_vector(CrdtDoc *doc, CrdtBuffer *out, CrdtError *error)
{
	return crdt_doc_encode_state_vector(doc, out, error);
}

static CrdtStatus
encode_v1(CrdtDoc *doc, CrdtBuffer *out, CrdtError *error)
{
	return crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, out, error);
}

static CrdtStatus
encode_v2(CrdtDoc *doc, CrdtBuffer *out, CrdtError *error)
{
	return crdt_doc_encode(doc, CRDT_V2, (CrdtBytes){NULL, 0}, out, error);
}

static void
expect_root(Case *c, CrdtDoc *doc, const CrdtType *root, const json_t *report)
{
	CrdtKind kind = value_kind(json_string_value(json_object_get(report, "kind")));
	const json_t *json = json_object_get(report, "json");
	const char *tag = json_string_value(json_object_get(json, "$"));
	CrdtError error = {0};
	CrdtBuffer text;
	json_t *value;

	/* Where Yjs itself throws there is nothing to compare with. */
	if (tag != NULL && strcmp(tag, "throws") == 0)
		return;
	value = value_of_type(doc, root, kind, &error);
	if (value == NULL)
		case_fail(c, "json", "%s", error.message);
	else
		case_expect_json(c, "json", json, value);
	expect_json_text(c, doc, root, kind, json);

	crdt_buffer_open(&text, &c->world.host);
	if (kind == CRDT_TEXT)
		expect_string(c, "text", crdt_doc_text(doc, root, &text, &error), &error, json, &text);
	else if (kind == CRDT_XML_TEXT || kind == CRDT_XML_FRAGMENT || kind == CRDT_XML_ELEMENT)
		expect_string(c, "xml", crdt_doc_xml(doc, root, kind, &text, &error), &error, json, &text);
	crdt_buffer_close(&text);
}

/* A text's delta, and what has one length or another. */
static void
expect_text_state(Case *c, CrdtDoc *doc, const CrdtType *root, const json_t *state)
{
	const json_t *length = json_object_get(state, "length");
	CrdtError error = {0};

	if (length != NULL)
		case_expect_true(c, "length",
						 (double) crdt_doc_length(doc, root) == json_number_value(length),
						 "not as in Yjs");
	expect_delta(c, doc, root, NULL, NULL, json_object_get(state, "delta"), &error);
	if (json_object_get(state, "delta") != NULL)
		expect_attributes(c, doc, root, json_object_get(state, "attrs"));
}

/* Attributes are what the type holds when it is read as a map; expected NULL: none. */
static void
expect_attributes(Case *c, CrdtDoc *doc, const CrdtType *root, const json_t *expected)
{
	CrdtError error = {0};
	json_t *plain = expected == NULL ? json_object() : value_without_types(expected);
	json_t *got = value_of_type(doc, root, CRDT_MAP, &error);

	if (got == NULL)
		case_fail(c, "attributes", "%s", error.message);
	else
		case_expect_json(c, "attributes", plain, got);
	json_decref(plain);
}

void
expect_delta(Case *c, CrdtDoc *doc, const CrdtType *root, const CrdtSnapshot *snapshot,
			 const CrdtSnapshot *previous, const json_t *expected, CrdtError *error)
{
	json_t *delta;
	json_t *plain;

	if (expected == NULL || (plain = value_without_types(expected)) == NULL)
		return;
	delta = value_of_delta(doc, root, snapshot, previous, error);
	if (delta == NULL)
		case_fail(c, "delta", "%s", error->message);
	else
		case_expect_json(c, "delta", plain, delta);
	json_decref(plain);
}

/* crdt_doc_json must print the same value, with the replacements that document.h promises. */
static void
expect_json_text(Case *c, CrdtDoc *doc, const CrdtType *root, CrdtKind kind, const json_t *json)
{
	CrdtError error = {0};
	json_error_t parse_error;
	CrdtBuffer out;
	json_t *parsed;
	json_t *plain;

	crdt_buffer_open(&out, &c->world.host);
	if (case_expect_ok(c, "json text", crdt_doc_json(doc, root, kind, &out, &error), &error))
	{
		parsed = value_parse((const char *) out.data, out.size, &parse_error);
		plain = value_without_tags(json);
		if (parsed == NULL)
			case_fail(c, "json text", "not JSON: %s: %.*s", parse_error.text,
					  (int) (out.size < 200 ? out.size : 200), (const char *) out.data);
		else
			case_expect_json(c, "json text", plain, parsed);
		json_decref(plain);
	}
	crdt_buffer_close(&out);
}

static void
expect_string(Case *c, const char *field, CrdtStatus status, const CrdtError *error,
			  const json_t *expected, CrdtBuffer *got)
{
	json_t *plain;

	if (!case_expect_ok(c, field, status, error))
		return;
	plain = value_without_tags(expected); /* U+FFFD for lone surrogates */
	case_expect_json(c, field, plain, value_of_string(crdt_buffer_view(got)));
	json_decref(plain);
}

/* What toJSON gives for a type that holds nothing. */
static bool
is_empty(const json_t *json)
{
	if (json_is_string(json))
		return json_string_length(json) == 0;
	return json_array_size(json) == 0 && json_object_size(json) == 0;
}

static CrdtBytes
name_of(const char *text)
{
	return (CrdtBytes){(const uint8_t *) text, strlen(text)};
}
