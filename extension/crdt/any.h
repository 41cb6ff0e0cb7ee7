/*
 * any.h: lib0's tagged values (FORMAT 1.5), and JSON text to and from them (FORMAT 4).
 *
 * Inside the core a value is its canonical encoding: the bytes that Yjs would write for it after
 * reading it (integers up to 2^31 - 1 tagged 125, then float32 if exact, else float64; no
 * key of an object twice, integer-like keys first and ascending).  Strings are internal text
 * (utf.h).  Several values are their encodings in a row.
 */
#ifndef CRDT_ANY_H
#define CRDT_ANY_H

#include "bytes.h"
#include "document.h"
#include "memory.h"

/* Objects and arrays may nest this deep; deeper input is refused with CRDT_LIMIT. */
#define CRDT_ANY_DEPTH_MAX 500

/* Reads count values; returns their canonical encodings: a view of the input where that is
 * canonical already (the usual case), else a copy in scratch.  Failures are the reader's. */
CrdtBytes crdt_any_read(CrdtReader *reader, uint64_t count, CrdtArena *scratch);

/* Reads one JSON text (all of json, which is valid UTF-8 and lies in the reader's input) as
 * JSON.parse does; returns its value's canonical encoding, made in scratch.  may_be_undefined: the
 * text "undefined" stands for that.  Malformed JSON fails the reader with the offset where it is
 * wrong; otherwise the reader's cursor stays. */
CrdtBytes
crdt_any_read_json(CrdtReader *reader, CrdtBytes json, bool may_be_undefined, CrdtArena *scratch);

/* Bytes that the first count of the canonical values take. */
size_t crdt_any_prefix_bytes(CrdtBytes values, uint64_t count);

/* Appends one canonical value as JSON.stringify prints it; undefined as "undefined" at the top,
 * as null in arrays, not at all in objects. */
void crdt_any_write_json(CrdtBuffer *out, CrdtBytes value);

/* Appends canonical values (any number, in a row) in the form for the wire: as they are, but with U+FFFD for lone
 * surrogates. */
void crdt_any_write(CrdtBuffer *out, CrdtBytes value);

/* The payload of a number with that tag (integer, float32 or float64). */
double crdt_any_read_number(CrdtReader *reader, uint8_t tag);

/* Appends a number in its canonical form. */
void crdt_any_write_number(CrdtBuffer *out, double number);

/* Shows one canonical value to visitor; false if a callback stopped. */
bool crdt_any_visit(CrdtBytes value, const CrdtVisitor *visitor);

/* Appends internal text as a JSON string, quotes included; lone surrogates escaped or as they are. */
void crdt_write_json_string(CrdtBuffer *out, CrdtBytes text, bool escape_surrogates);

/* Appends a number as JavaScript prints it (ECMA-262 Number::toString). */
void crdt_write_number(CrdtBuffer *out, double number);

/* The tags. */
#define CRDT_ANY_UNDEFINED 127
#define CRDT_ANY_NULL 126
#define CRDT_ANY_INTEGER 125
#define CRDT_ANY_FLOAT32 124
#define CRDT_ANY_FLOAT64 123
#define CRDT_ANY_BIGINT 122
#define CRDT_ANY_FALSE 121
#define CRDT_ANY_TRUE 120
#define CRDT_ANY_STRING 119
#define CRDT_ANY_OBJECT 118
#define CRDT_ANY_ARRAY 117
#define CRDT_ANY_BYTES 116

#endif
