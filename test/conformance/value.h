/*
 * value.h: what the core shows of a document, as the JSON of the vector files.
 *
 * Values that JSON lacks have a tagged form there ({"$": "undefined"}, test/data/README.md).
 */
#ifndef CONFORMANCE_VALUE_H
#define CONFORMANCE_VALUE_H

#include <jansson.h>

#include "../../extension/crdt/document.h"
#include "../../extension/crdt/snapshot.h"

/* toJSON of a type in tagged form; NULL and *error if the core refused. */
json_t *value_of_type(const CrdtDoc *doc, const CrdtType *type, CrdtKind kind, CrdtError *error);

/* The same of one canonical value (any.h), and of bytes. */
json_t *value_of_any(CrdtBytes value, CrdtError *error);
json_t *value_of_bytes(CrdtBytes value);

/* A text's delta in tagged form; NULL and *error if the core refused. */
json_t *value_of_delta(CrdtDoc *doc, const CrdtType *type, const CrdtSnapshot *snapshot,
					   const CrdtSnapshot *previous, CrdtError *error);

/* A copy of a report in which every {"$": "type", kind, state} is the type's toJSON; NULL where Yjs
 * could not say that. */
json_t *value_without_types(const json_t *report);

/* The plain JSON that crdt_doc_json promises for a tagged value; NULL for undefined. */
json_t *value_without_tags(const json_t *tagged);

/* UTF-8 (lone surrogates in three bytes) as a JSON string, or the tagged form if it has such. */
json_t *value_of_string(CrdtBytes text);

/* Parses text as the vector files are: all numbers are reals. */
json_t *value_parse(const char *text, size_t size, json_error_t *error);

/* "text", "xmlfragment", ... as the vector files name kinds; CRDT_UNTYPED if unknown. */
CrdtKind value_kind(const char *name);

#endif
