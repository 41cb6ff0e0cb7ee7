/*
 * runs.h: what is visible in a type, and which client's clocks each unit of it has.
 *
 *     text "t":  client 7 [0..4] "hello"   client 9 [0] "!"
 *
 *     crdt_doc_visit_runs(doc, text, &visitor, &error);    -- two calls of visitor.run
 *
 * Who wrote a unit is known to whoever knows by which update its clock came.  Formatting is not
 * shown: it has no units.
 */
#ifndef CRDT_RUNS_H
#define CRDT_RUNS_H

#include "document.h"

/* Visible units of one item.  Borrowed, until the callback returns. */
typedef struct CrdtRun
{
	uint64_t client;
	uint64_t clock; /* of the first unit */
	uint64_t units; /* UTF-16 units or elements */
	uint64_t index; /* of the first unit in its type */
	CrdtBytes key; /* of a value in a map, or an attribute; data NULL: of the sequence */
	bool is_text;
	const CrdtType *type; /* that its one unit holds; NULL: none */
	const void *item; /* for crdt_run_text */
} CrdtRun;

/* Callbacks return false to stop (the answer is CRDT_CANCELLED then). */
typedef struct CrdtRunVisitor
{
	void *context;
	bool (*run)(void *context, const CrdtRun *run);
	/* Until leave, runs are of the type that the last one holds. */
	bool (*enter)(void *context);
	bool (*leave)(void *context);
} CrdtRunVisitor;

/* Shows the type's sequence in order, then the values of its keys; nested types where they stand. */
CRDT_MUST_CHECK CrdtStatus crdt_doc_visit_runs(const CrdtDoc *doc, const CrdtType *type,
											   const CrdtRunVisitor *visitor, CrdtError *error);

/* Appends some units of a run of text to out, in internal form (lone surrogates in three bytes).  A
 * character whose halves are cut apart goes with the first. */
CRDT_MUST_CHECK CrdtStatus crdt_run_text(const CrdtRun *run, uint64_t from, uint64_t units,
										 CrdtBuffer *out, CrdtError *error);

#endif
