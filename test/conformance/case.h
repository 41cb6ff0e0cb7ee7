/*
 * case.h: one case of a vector file while it runs: its input, its world, its verdict.
 *
 *     static void
 *     run_doc(Case *c)
 *     {
 *         CrdtBytes update = case_input(c, json_object_get(c->json, "update"));
 *         ...
 *         case_expect_bytes(c, "v1", json_object_get(c->json, "v1"), crdt_buffer_view(&out));
 *     }
 *
 * A case goes on after a mismatch, so that one run shows all of them; it passes if there was none.
 */
#ifndef CONFORMANCE_CASE_H
#define CONFORMANCE_CASE_H

#include <jansson.h>

#include "../../extension/crdt/document.h"
#include "../core/guard.h"
#include "../core/host.h"

/* What the command line asked for. */
typedef struct CaseOptions
{
	bool guard; /* every input ends at an unreadable page */
	bool verbose;
} CaseOptions;

/* One decoded base64 string. */
typedef struct CaseInput CaseInput;

typedef struct Case
{
	const CaseOptions *options;
	const char *file;
	const char *name;
	const json_t *json;
	TestHost world; /* must be empty again at the end */
	char where[160]; /* the part of the case at work, for messages */
	size_t fields; /* compared so far */
	size_t failures;
	bool beyond_limit; /* Yjs accepts the input, we have a limit that forbids it */
	CaseInput *inputs; /* freed with the case */
} Case;

void case_open(Case *c, const CaseOptions *options, const char *file, const json_t *json);

/* Frees the inputs; notes it as a failure if the core kept memory. */
void case_close(Case *c);

/* The bytes of a base64 string; live as long as the case. */
CrdtBytes case_input(Case *c, const json_t *base64);

/* The same for each member of an array; count of them in *count.  Free the array, not the bytes. */
CrdtBytes *case_inputs(Case *c, const json_t *array, size_t *count);

/* The inputs that the indices in order name.  Free the array. */
CrdtBytes *case_pick(const CrdtBytes *inputs, size_t count, const json_t *order);

/* ---- verdicts; field names what was compared ---- */

void case_fail(Case *c, const char *field, const char *format, ...) CRDT_PRINTF(3, 4);
void case_expect_true(Case *c, const char *field, bool is_true, const char *otherwise);

/* Fails with the core's message unless status is CRDT_OK, and returns whether it is. */
bool case_expect_ok(Case *c, const char *field, CrdtStatus status, const CrdtError *error);

/* expected: base64; NULL: the case does not say, nothing is compared. */
void case_expect_bytes(Case *c, const char *field, const json_t *expected, CrdtBytes got);
void case_expect_same(Case *c, const char *field, CrdtBytes expected, CrdtBytes got);

/* Takes got over. */
void case_expect_json(Case *c, const char *field, const json_t *expected, json_t *got);

#endif
