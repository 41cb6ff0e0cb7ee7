/*
 * value.h: what the core shows of a document, as the JSON of the vector files.
 *
 * Values that JSON lacks have a tagged form there ({"$": "undefined"}, test/data/README.md).
 */
#ifndef CONFORMANCE_VALUE_H
#define CONFORMANCE_VALUE_H

#include <jansson.h>

#include "../../extension/crdt/document.h"

/* toJSON of a type in tagged form; NULL and *error if the core refused. */
json_t *value_of_type(const CrdtDoc *doc, const CrdtType *type, CrdtKind kind, CrdtError *error);

/* The same of one canonical value (any.h), and of bytes. */
json_t *value_of_any(CrdtBytes value, CrdtError *error);
json_t *value_of_bytes(CrdtBytes value);

/* The plain JSON that crdt_doc_json promises for a tagged value; NULL for undefined. */
json_t *value_without_tags(const json_t *tagged);

/* UTF-8 (lone surrogates in three bytes) as a JSON string, or the tagged form if it has such. */
json_t *value_of_string(CrdtBytes text);

/* Parses text as the vector files are: all numbers are reals. */
json_t *value_parse(const char *text, size_t size, json_error_t *error);

/* "text", "xmlfragment", ... as the vector files name kinds; CRDT_UNTYPED if unknown. */
CrdtKind value_kind(const char *name);

#endif
