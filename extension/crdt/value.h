/*
 * value.h: making and showing values: what elements of arrays, entries of maps, attributes and
 * embeds are (lib0's Any, FORMAT 1.5).
 *
 * A value is given to the core encoded.  Write it piece by piece, or take it from JSON:
 *
 *     crdt_value_begin_object(&value, 2);                 -- {"level": 2, "tags": ["a"]}
 *     crdt_value_key(&value, CRDT_LITERAL("level"));
 *     crdt_value_number(&value, 2);
 *     crdt_value_key(&value, CRDT_LITERAL("tags"));
 *     crdt_value_begin_array(&value, 1);
 *     crdt_value_string(&value, CRDT_LITERAL("a"));
 *
 *     crdt_value_from_json(host, json, &value, &error);   -- the same
 *
 * Strings are UTF-8; a lone surrogate, which JavaScript's strings may hold, is given in its
 * three-byte form (WTF-8).  A buffer notes a failed allocation (host.h).
 */
#ifndef CRDT_VALUE_H
#define CRDT_VALUE_H

#include "document.h"

void crdt_value_undefined(CrdtBuffer *out);
void crdt_value_null(CrdtBuffer *out);
void crdt_value_boolean(CrdtBuffer *out, bool value);
void crdt_value_number(CrdtBuffer *out, double value);
void crdt_value_bigint(CrdtBuffer *out, int64_t value);
void crdt_value_string(CrdtBuffer *out, CrdtBytes value);
void crdt_value_bytes(CrdtBuffer *out, CrdtBytes value);

/* Followed by count values. */
void crdt_value_begin_array(CrdtBuffer *out, uint64_t count);

/* Followed by count keys, each with its value.  Of a key that comes twice the last value counts. */
void crdt_value_begin_object(CrdtBuffer *out, uint64_t count);
void crdt_value_key(CrdtBuffer *out, CrdtBytes key);

/* Appends the value of a JSON text.  CRDT_MALFORMED: not JSON (offset says where); CRDT_LIMIT: too
 * deep. */
CRDT_MUST_CHECK CrdtStatus crdt_value_from_json(const CrdtHost *host, CrdtBytes json,
												CrdtBuffer *out, CrdtError *error);

/* Shows one encoded value to visitor; what it is must have come from the core or from above.
 * False if a callback stopped. */
bool crdt_value_visit(CrdtBytes value, const CrdtVisitor *visitor);

#endif
