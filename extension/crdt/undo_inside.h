/*
 * undo_inside.h: what the files of undo managers share.  For undo*.c only.
 *
 *     undo.c          a manager's life, what it looks at, noting transactions as steps
 *     undo_steps.c    steps as ranges of clocks; walking the structs that they are
 *     undo_pop.c      taking steps back
 */
#ifndef CRDT_UNDO_INSIDE_H
#define CRDT_UNDO_INSIDE_H

#include "editing.h"
#include "item.h"
#include "undo.h"

/* Ranges of clocks: clients in the order they came, the ranges of each ascending and apart. */
typedef struct CrdtUndoRanges
{
	CrdtDeletedRange *list;
	size_t count;
	size_t capacity;
} CrdtUndoRanges;

typedef struct CrdtUndoStep
{
	CrdtUndoRanges insertions;
	CrdtUndoRanges deletions;
} CrdtUndoStep;

typedef struct CrdtUndoSteps
{
	CrdtUndoStep *list;
	size_t count;
	size_t capacity;
} CrdtUndoSteps;

struct CrdtUndo
{
	CrdtUndo *next;
	CrdtDoc *doc;
	CrdtUndoOptions options; /* scope and origins are copies */
	uint32_t *scope; /* types */
	const void **origins;
	CrdtUndoSteps undo_steps;
	CrdtUndoSteps redo_steps;
	uint64_t last_change_ms; /* 0: the next change begins a step */
	bool undoing;
	bool redoing;
	bool tracks_updates;
	bool chooses_updates; /* has tracked some */
	bool lost_steps;
};

static inline const CrdtHost *
crdt_undo_host(const CrdtUndo *undo)
{
	return &undo->doc->host;
}

/* ---- undo.c ---- */

/* Is the item's type, or one around it, in the manager's scope? */
bool crdt_undo_has_item(const CrdtUndo *undo, const CrdtItem *item);

/* Keeps the item and all that it is in from garbage collection, or no longer. */
void crdt_undo_keep(CrdtDoc *doc, CrdtRef ref, bool is_kept);

/* ---- undo_steps.c ---- */

/* What the ending transaction inserted, and deleted; false without memory. */
CRDT_MUST_CHECK bool crdt_undo_take_insertions(const CrdtUndo *undo, CrdtUndoRanges *ranges);
CRDT_MUST_CHECK bool crdt_undo_take_deletions(const CrdtUndo *undo, CrdtUndoRanges *ranges);

/* Adds more to ranges. */
CRDT_MUST_CHECK bool
crdt_undo_ranges_merge(const CrdtUndo *undo, CrdtUndoRanges *ranges, const CrdtUndoRanges *more);
bool crdt_undo_ranges_hold(const CrdtUndoRanges *ranges, CrdtPlace place);

void crdt_undo_step_free(const CrdtUndo *undo, CrdtUndoStep *step);
void crdt_undo_steps_free(const CrdtUndo *undo, CrdtUndoSteps *steps);

/* A walk over the structs of ranges, which are cut at the ranges' ends. */
typedef struct CrdtUndoWalk
{
	CrdtEditing *edit;
	const CrdtUndoRanges *ranges;
	size_t range; /* the next one */
	uint32_t client;
	uint64_t clock;
	uint64_t end;
} CrdtUndoWalk;

/* The next struct; 0 at the end, or if cutting failed. */
CrdtRef crdt_undo_walk_next(CrdtUndoWalk *walk);

/* Cuts the struct at that place, unless it begins there. */
CrdtRef crdt_undo_clean_start(CrdtEditing *edit, CrdtPlace place);

/* The clock behind a struct.  A GC may begin before the range that it is in. */
uint64_t crdt_undo_end_of(const CrdtDoc *doc, CrdtRef ref);

#endif
