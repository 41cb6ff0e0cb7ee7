/*
 * input.h: what SQL gives as jsonb, as what the core takes: values, shared types, deltas.
 *
 * Everything is allocated in the current memory context.  Integers beyond 2^53 that would read back
 * changed are refused (22003); fractions are rounded as every reader of JSON does.
 */
#ifndef YDOC_INPUT_H
#define YDOC_INPUT_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "crdt/edit.h"

/* A plain value: what Yjs calls "any". */
CrdtInput input_value(const JsonbValue *value);

/* Objects and arrays as shared maps and arrays, all the way down; scalars as plain values. */
CrdtInput input_shared(const JsonbValue *value);

/* The elements of an array, plain or shared; what names the argument in an error. */
CrdtInput *input_elements(const Jsonb *array, bool shared, const char *what, size_t *count);

/* An object as attributes of text. */
CrdtAttributes input_attributes(const JsonbValue *object, const char *what);

/* Quill's Delta: an array of operations, or {"ops": [...]}. */
CrdtDeltaOp *input_delta(const Jsonb *delta, size_t *count);

/* All of a jsonb as one JsonbValue; a member of an object, NULL if it has none. */
JsonbValue input_whole(const Jsonb *jsonb);
JsonbValue *input_member(const JsonbValue *object, const char *key);

/* object, array, string ... */
const char *input_kind_name(const JsonbValue *value);

bool input_is_object(const JsonbValue *value);
bool input_is_array(const JsonbValue *value);
CrdtBytes input_string(const JsonbValue *value);

#endif
