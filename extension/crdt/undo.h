/*
 * undo.h: undo and redo of one's own changes, as Yjs's UndoManager does it (FORMAT 11).
 *
 *     CrdtUndo *undo = crdt_undo_new(doc, &(CrdtUndoOptions){.scope = &text, .scope_count = 1,
 *                                                            .now_ms = clock_ms});
 *     ...                                     -- local edits
 *     crdt_undo(undo, &done, &error);
 *     crdt_redo(undo, &done, &error);
 *     crdt_undo_free(undo);                   -- before the document
 *
 * A manager watches the transactions of its document whose origin it tracks and that change a type
 * in its scope.  Undoing is itself a transaction: others see it as an ordinary edit, and what they
 * wrote stays.  The content of what may come back is kept from garbage collection as long as the
 * manager lives.
 *
 * A manager may also watch what updates bring, and so take back what others wrote:
 *
 *     CrdtUndo *undo = crdt_undo_new(doc, NULL);
 *
 *     crdt_undo_track_updates(undo, true);
 *     crdt_doc_apply(doc, unwanted, CRDT_V1, NULL, &error);
 *     crdt_undo_track_updates(undo, false);
 *     crdt_doc_apply(doc, what_came_later, CRDT_V1, NULL, &error);
 *     crdt_undo(undo, &done, &error);
 */
#ifndef CRDT_UNDO_H
#define CRDT_UNDO_H

#include "edit.h"

typedef struct CrdtUndo CrdtUndo;

typedef struct CrdtUndoOptions
{
	const CrdtType *const *scope; /* types, with all that is in them */
	size_t scope_count; /* 0: the whole document */
	const void *const
		*origins; /* tracked besides the manager itself; NULL among them: edits without origin */
	size_t origin_count; /* 0: only edits without origin */
	uint64_t capture_timeout_ms; /* changes that follow sooner join the last step */
	uint64_t (*now_ms)(
		void *context); /* the core has no clock; NULL: every change is its own step */
	void *context;
	bool ignore_remote_map_changes; /* redo a key's value although others have set it since */
} CrdtUndoOptions;

/* NULL: no memory.  The manager's own address is the origin of its transactions. */
CRDT_MUST_CHECK CrdtUndo *crdt_undo_new(CrdtDoc *doc, const CrdtUndoOptions *options);
void crdt_undo_free(CrdtUndo *undo);

/* Are updates that are applied from now on tracked, as Yjs's manager does that is told the origin they
 * are applied with?  Not at first. */
void crdt_undo_track_updates(CrdtUndo *undo, bool tracked);

/* Were steps forgotten for lack of memory? */
bool crdt_undo_lost_steps(const CrdtUndo *undo);

/* Takes back the newest step that still changes something; *done: there was one. */
CRDT_MUST_CHECK CrdtStatus crdt_undo(CrdtUndo *undo, bool *done, CrdtError *error);
CRDT_MUST_CHECK CrdtStatus crdt_redo(CrdtUndo *undo, bool *done, CrdtError *error);

/* The next change begins a new step. */
void crdt_undo_stop_capturing(CrdtUndo *undo);

/* Forgets all steps. */
void crdt_undo_clear(CrdtUndo *undo);

size_t crdt_undo_count(const CrdtUndo *undo);
size_t crdt_redo_count(const CrdtUndo *undo);

#endif
