/*
 * undo.c: undo managers (undo.h; FORMAT 11).
 *
 *     transaction ends ──> note: a step of what it inserted and deleted     undo stack, redo stack
 *     undo             ──> the newest step: what it inserted is deleted, what it deleted is made
 *                          anew (redone.h says which item became which); that transaction is noted
 *                          like any other, on the other stack
 *
 * Here: a manager's life, its scope, noting.  Not here: steps (undo_steps.c), taking them back (undo_pop.c).
 *
 * Noting happens while a transaction ends and must not fail: without memory all steps are forgotten.
 */
#include "undo_inside.h"

#include <string.h>

#include "structs.h"
#include "tables.h"
#include "transaction.h"
#include "undoing.h"

/* ---- life ---- */

static void
unregister(CrdtUndo *undo)
{
	CrdtUndo **link = &undo->doc->undos;

	while (*link != NULL && *link != undo)
		link = &(*link)->next;
	if (*link != NULL)
		*link = undo->next;
	undo->doc->notes_changes = undo->doc->options.clean_formatting || undo->doc->undos != NULL;
}

void
crdt_undo_free(CrdtUndo *undo)
{
	size_t scope_capacity;
	size_t origin_capacity;
	CrdtHost host;

	if (undo == NULL)
		return;
	host = undo->doc->host;
	scope_capacity = undo->scope == NULL ? 0 : undo->options.scope_count;
	origin_capacity = undo->origins == NULL ? 0 : undo->options.origin_count;
	unregister(undo);
	crdt_undo_steps_free(undo, &undo->undo_steps);
	crdt_undo_steps_free(undo, &undo->redo_steps);
	host.resize(host.context, undo->scope, scope_capacity * sizeof(uint32_t), 0);
	host.resize(host.context, undo->origins, origin_capacity * sizeof(void *), 0);
	host.resize(host.context, undo, sizeof(*undo), 0);
}

/* Copies what the options point to. */
static bool
copy_lists(CrdtUndo *undo, const CrdtUndoOptions *options)
{
	const CrdtHost *host = crdt_undo_host(undo);

	if (options->scope_count > 0)
	{
		undo->scope = host->resize(host->context, NULL, 0, options->scope_count * sizeof(uint32_t));
		if (undo->scope == NULL)
			return false;
		for (size_t i = 0; i < options->scope_count; i++)
			undo->scope[i] = options->scope[i]->number;
	}
	if (options->origin_count > 0)
	{
		undo->origins =
			host->resize(host->context, NULL, 0, options->origin_count * sizeof(void *));
		if (undo->origins == NULL)
			return false;
		memcpy(undo->origins, options->origins, options->origin_count * sizeof(void *));
	}
	return true;
}

CrdtUndo *
crdt_undo_new(CrdtDoc *doc, const CrdtUndoOptions *options)
{
	CrdtUndo *undo = doc->host.resize(doc->host.context, NULL, 0, sizeof(CrdtUndo));
	CrdtUndo **link = &doc->undos;

	if (undo == NULL)
		return NULL;
	memset(undo, 0, sizeof(*undo));
	undo->doc = doc;
	if (options != NULL)
		undo->options = *options;
	if (!copy_lists(undo, &undo->options))
	{
		crdt_undo_free(undo);
		return NULL;
	}
	while (*link != NULL)
		link = &(*link)->next;
	*link = undo;
	doc->notes_changes = true;
	return undo;
}

void
crdt_undo_stop_capturing(CrdtUndo *undo)
{
	undo->last_change_ms = 0;
}

void
crdt_undo_track_updates(CrdtUndo *undo, bool tracked)
{
	undo->tracks_updates = tracked;
	undo->chooses_updates |= tracked;
}

bool
crdt_undo_lost_steps(const CrdtUndo *undo)
{
	return undo->lost_steps;
}

size_t
crdt_undo_count(const CrdtUndo *undo)
{
	return undo->undo_steps.count;
}

size_t
crdt_redo_count(const CrdtUndo *undo)
{
	return undo->redo_steps.count;
}

/* ---- scope ---- */

/* Is the type, or one around it, in the manager's scope? */
static bool
type_in_scope(const CrdtUndo *undo, uint32_t number)
{
	const CrdtDoc *doc = undo->doc;

	if (undo->options.scope_count == 0)
		return true;
	for (;;)
	{
		CrdtRef holder = crdt_type(doc, number)->item;

		for (size_t i = 0; i < undo->options.scope_count; i++)
			if (undo->scope[i] == number)
				return true;
		if (holder == 0 || crdt_type(doc, number)->gone)
			return false;
		number = doc->lists[crdt_item(doc, holder)->list].type;
	}
}

bool
crdt_undo_has_item(const CrdtUndo *undo, const CrdtItem *item)
{
	return item->kind != CRDT_GC && type_in_scope(undo, undo->doc->lists[item->list].type);
}

static bool
is_tracked(const CrdtUndo *undo, const CrdtTransaction *transaction)
{
	if (transaction->origin == undo)
		return true;
	if (!transaction->local)
		return undo->tracks_updates; /* in Yjs the origin of an update is not null but undefined */
	for (size_t i = 0; i < undo->options.origin_count; i++)
		if (undo->origins[i] == transaction->origin)
			return true;
	return undo->options.origin_count == 0 && transaction->origin == NULL;
}

static bool
changed_in_scope(const CrdtUndo *undo, const CrdtTransaction *transaction)
{
	const CrdtDoc *doc = undo->doc;

	if (undo->options.scope_count == 0)
		return true;
	for (size_t i = 0; i < transaction->type_count; i++)
	{
		const CrdtType *type = crdt_type(doc, transaction->types[i]);

		if ((type->item == 0 || !crdt_item(doc, type->item)->deleted) &&
			type_in_scope(undo, type->number))
			return true;
	}
	return false;
}

/* ---- keeping content from garbage collection ---- */

void
crdt_undo_keep(CrdtDoc *doc, CrdtRef ref, bool is_kept)
{
	while (ref != 0 && crdt_item(doc, ref)->keep != is_kept)
	{
		CrdtItem *item = crdt_item(doc, ref);

		item->keep = is_kept;
		ref = crdt_type(doc, doc->lists[item->list].type)->item;
	}
}

/* What the ending transaction deleted may be asked for again. */
static void
keep_deleted(const CrdtUndo *undo)
{
	CrdtDoc *doc = undo->doc;

	for (size_t i = 0; i < doc->transaction.deleted_count; i++)
	{
		const CrdtDeletedRange *range = &doc->transaction.deleted[i];
		CrdtClient *client = &doc->clients[range->client];
		CrdtCursor cursor = crdt_structs_find(client, range->clock);

		do
		{
			CrdtRef ref = crdt_structs_at(client, cursor);

			if (crdt_structs_clock_at(client, cursor) >= range->clock + range->length)
				break;
			if (crdt_undo_has_item(undo, crdt_item(doc, ref)))
				crdt_undo_keep(doc, ref, true);
		} while (crdt_structs_next(client, &cursor));
	}
}

static void
release_steps(CrdtEditing *edit, const CrdtUndo *undo, const CrdtUndoSteps *steps)
{
	for (size_t i = 0; i < steps->count; i++)
	{
		CrdtUndoWalk walk = {.edit = edit, .ranges = &steps->list[i].deletions};
		CrdtRef ref;

		while ((ref = crdt_undo_walk_next(&walk)) != 0)
			if (crdt_undo_has_item(undo, crdt_item(edit->doc, ref)))
				crdt_undo_keep(edit->doc, ref, false);
	}
}

/* ---- noting ---- */

static void
release_redo_steps(CrdtDoc *doc, void *context)
{
	CrdtUndo *undo = context;
	CrdtEditing edit;

	/* the transaction is open already: only the counting is needed */
	doc->edit_depth++;
	if (crdt_editing_open_doc(&edit, doc, NULL, NULL))
		release_steps(&edit, undo, &undo->redo_steps);
	(void) crdt_editing_close(&edit);
	doc->edit_depth--;
}

/* Adds the step to the newest one, or as a new one.  Takes it over if it succeeds. */
static bool
add_step(CrdtUndo *undo, CrdtUndoSteps *steps, CrdtUndoStep *step, uint64_t now_ms)
{
	bool joins = undo->last_change_ms > 0 &&
				 now_ms - undo->last_change_ms < undo->options.capture_timeout_ms &&
				 steps->count > 0 && !undo->undoing && !undo->redoing;

	if (joins)
	{
		CrdtUndoStep *last = &steps->list[steps->count - 1];

		if (!crdt_undo_ranges_merge(undo, &last->deletions, &step->deletions) ||
			!crdt_undo_ranges_merge(undo, &last->insertions, &step->insertions))
			return false;
		crdt_undo_step_free(undo, step);
		return true;
	}
	if (!crdt_array_reserve(crdt_undo_host(undo), &steps->list, &steps->capacity, steps->count + 1,
							sizeof(CrdtUndoStep)))
		return false;
	steps->list[steps->count++] = *step;
	return true;
}

static void
note(CrdtUndo *undo)
{
	CrdtDoc *doc = undo->doc;
	uint64_t now_ms =
		undo->options.now_ms == NULL ? 0 : undo->options.now_ms(undo->options.context);
	CrdtUndoStep step = {{NULL, 0, 0}, {NULL, 0, 0}};

	if (undo->undoing)
		undo->last_change_ms = 0;
	else if (!undo->redoing && undo->redo_steps.count > 0)
	{
		(void) !crdt_transaction_nest(doc, release_redo_steps, undo);
		crdt_undo_steps_free(undo, &undo->redo_steps);
	}
	if (!crdt_undo_take_insertions(undo, &step.insertions) ||
		!crdt_undo_take_deletions(undo, &step.deletions) ||
		!add_step(undo, undo->undoing ? &undo->redo_steps : &undo->undo_steps, &step, now_ms))
	{
		crdt_undo_step_free(undo, &step);
		crdt_undo_steps_free(undo, &undo->undo_steps);
		crdt_undo_steps_free(undo, &undo->redo_steps);
		undo->lost_steps = true;
		return;
	}
	if (!undo->undoing && !undo->redoing)
		undo->last_change_ms = now_ms;
	keep_deleted(undo);
}

void
crdt_undos_note(CrdtDoc *doc)
{
	for (CrdtUndo *undo = doc->undos; undo != NULL; undo = undo->next)
		if (is_tracked(undo, &doc->transaction) && changed_in_scope(undo, &doc->transaction))
			note(undo);
}

/* ---- forgetting ---- */

void
crdt_undo_clear(CrdtUndo *undo)
{
	CrdtEditing edit;

	if (crdt_editing_open_doc(&edit, undo->doc, NULL, NULL))
	{
		release_steps(&edit, undo, &undo->undo_steps);
		release_steps(&edit, undo, &undo->redo_steps);
	}
	crdt_undo_steps_free(undo, &undo->undo_steps);
	crdt_undo_steps_free(undo, &undo->redo_steps);
	(void) crdt_editing_close(&edit);
}
