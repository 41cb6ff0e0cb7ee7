/*
 * kinds.h: the kinds of cases that can be run, and what they share.
 */
#ifndef CONFORMANCE_KINDS_H
#define CONFORMANCE_KINDS_H

#include "../../extension/crdt/snapshot.h"
#include "case.h"

/* Documents made of updates in several orders; merge, diff, state vectors (doc.c). */
void run_doc(Case *c);

/* Updates that wait for others, looked at after each (pending.c). */
void run_trace(Case *c);

/* Local operations of several clients, and undo (ops.c). */
void run_ops(Case *c);

/* Documents at earlier times (snapshots.c). */
void run_snapshots(Case *c);

/* Relative positions (positions.c). */
void run_positions(Case *c);
void run_position_read(Case *c);

/* Damaged updates (malformed.c). */
void run_malformed(Case *c);

/* Fixtures of other projects (fixture.c). */
void run_fixture(Case *c);

/* lib0's encodings and columns, by themselves (primitive.c). */
void run_primitive(Case *c);
void run_primitive_read(Case *c);

/* ---- shared ---- */

/* The format of the case's input. */
CrdtFormat case_format(const Case *c);

/* How the receiving document of a case is set up. */
typedef struct Receiver
{
	const json_t *roots; /* {name: kind} to declare; NULL: as a server that declares none */
	bool keep_deleted;
} Receiver;

/* NULL after noting the failure. */
CrdtDoc *receiver_open(Case *c, Receiver receiver);

/* Applies update and notes a refusal; false if refused. */
bool
receiver_apply(Case *c, CrdtDoc *doc, CrdtBytes update, CrdtFormat format, CrdtApplied *applied);

/* Compares what doc encodes to with the members of expected that we know (sv, v1, v2), and what waits
 * with `pending` and the bytes that may go with it. */
void expect_state(Case *c, CrdtDoc *doc, const json_t *expected);

/* Asks for doc in slices of several sizes; whoever applies them must have it all in the end, and never
 * anything that waits for a later one. */
void expect_slices(Case *c, CrdtDoc *doc);

/* Compares what is read of the roots {name: {kind, json}} with expected.  declared: they were
 * declared, so each must be there. */
void expect_roots(Case *c, CrdtDoc *doc, const json_t *expected, bool declared);

/* Compares a text's delta with expected; NULL: nothing is compared. */
void expect_delta(Case *c, CrdtDoc *doc, const CrdtType *root, const CrdtSnapshot *snapshot,
				  const CrdtSnapshot *previous, const json_t *expected, CrdtError *error);

#define SNAPSHOTS_MAX 16

/* Compares what step says of the document after it (look.c).  Takes snapshots, or uses them. */
void look_at(Case *c, CrdtDoc *doc, CrdtSnapshot *snapshots[SNAPSHOTS_MAX], const json_t *step);

/* One position {at, index, assoc, bytes, json, resolved} (positions.c). */
void look_at_position(Case *c, CrdtDoc *doc, const json_t *json);

/* The type that `at` names: a root, then indices or keys. */
const CrdtType *type_at(CrdtDoc *doc, const json_t *path);

#endif
