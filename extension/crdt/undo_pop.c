/*
 * undo_pop.c: taking steps back: what a step inserted is deleted, what it deleted is made anew.
 *
 * Here: crdt_undo, crdt_redo.  Not here: noting what they do as steps (undo.c).
 */
#include "undo_inside.h"

#include <string.h>

#include "content.h"
#include "redone.h"
#include "structs.h"
#include "tables.h"
#include "transaction.h"

/* ---- bringing back ---- */

/* One step while it is taken back. */
typedef struct Popping
{
	CrdtUndo *undo;
	CrdtEditing *edit;
	const CrdtUndoStep *step;
	CrdtRef *to_redo; /* in the order they were deleted */
	CrdtRef *sorted; /* the same, by number */
	size_t redo_count;
	size_t redo_capacity;
	size_t sorted_capacity;
	CrdtRef *to_delete;
	size_t delete_count;
	size_t delete_capacity;
	bool changed;
} Popping;

static bool
ref_is_before(const void *a, const void *b)
{
	return *(const CrdtRef *) a < *(const CrdtRef *) b;
}

static bool
will_be_redone(const Popping *popping, CrdtRef ref)
{
	size_t low = 0;
	size_t high = popping->redo_count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (popping->sorted[middle] < ref)
			low = middle + 1;
		else
			high = middle;
	}
	return low < popping->redo_count && popping->sorted[low] == ref;
}

static CrdtRef
holder_of(const CrdtDoc *doc, CrdtRef ref)
{
	return crdt_type(doc, doc->lists[crdt_item(doc, ref)->list].type)->item;
}

/* Where the item's content is now, one step further; 0: it was never redone. */
static CrdtRef
successor(CrdtEditing *edit, CrdtRef ref)
{
	CrdtPackedId redone = crdt_redone_find(edit->doc, ref);

	return redone == CRDT_PACKED_NONE ? 0
									  : crdt_undo_clean_start(edit, crdt_unpack(edit->doc, redone));
}

/* The item or a successor of it that is in the type held by holder; 0: none. */
static CrdtRef
trace(CrdtEditing *edit, CrdtRef ref, CrdtRef holder)
{
	while (ref != 0 &&
		   (crdt_item(edit->doc, ref)->list == 0 || holder_of(edit->doc, ref) != holder))
		ref = successor(edit, ref);
	return ref;
}

/* The neighbours of an element that is made anew. */
static void
find_list_place(CrdtEditing *edit, CrdtRef ref, CrdtRef holder, CrdtRef *left, CrdtRef *right)
{
	CrdtDoc *doc = edit->doc;
	CrdtRef found = 0;

	for (*left = crdt_item(doc, ref)->left; *left != 0; *left = crdt_item(doc, *left)->left)
		if ((found = trace(edit, *left, holder)) != 0)
			break;
	*left = found;
	found = 0;
	for (*right = ref; *right != 0; *right = crdt_item(doc, *right)->right)
		if ((found = trace(edit, *right, holder)) != 0)
			break;
	*right = found;
}

/* Is what stands right of a value there only because of steps that can be taken back? */
static bool
gives_way(const Popping *popping, CrdtRef ref)
{
	const CrdtUndo *undo = popping->undo;
	CrdtPlace place = crdt_unpack(undo->doc, crdt_item(undo->doc, ref)->id);

	if (crdt_redone_find(undo->doc, ref) != CRDT_PACKED_NONE ||
		crdt_undo_ranges_hold(&popping->step->insertions, place))
		return true;
	for (size_t i = 0; i < undo->undo_steps.count; i++)
		if (crdt_undo_ranges_hold(&undo->undo_steps.list[i].deletions, place))
			return true;
	for (size_t i = 0; i < undo->redo_steps.count; i++)
		if (crdt_undo_ranges_hold(&undo->redo_steps.list[i].deletions, place))
			return true;
	return false;
}

/* The last value of the key in that type; 0: none. */
static CrdtRef
last_value(const CrdtDoc *doc, uint32_t type, uint32_t key)
{
	uint32_t list = crdt_list_find(doc, type, key);

	return list == 0 ? 0 : doc->lists[list].last;
}

/* What a value that is made anew comes after; false: somebody else's change wins. */
static bool
find_key_place(const Popping *popping, CrdtRef ref, CrdtRef holder, uint32_t type, uint32_t key,
			   CrdtRef *left)
{
	CrdtDoc *doc = popping->undo->doc;

	if (crdt_item(doc, ref)->right == 0 || popping->undo->options.ignore_remote_map_changes)
		*left = last_value(doc, type, key);
	else
	{
		CrdtRef next;

		*left = ref;
		while (*left != 0 && (next = crdt_item(doc, *left)->right) != 0 && gives_way(popping, next))
		{
			*left = next;
			while ((next = successor(popping->edit, *left)) != 0)
				*left = next;
		}
		if (*left != 0 && crdt_item(doc, *left)->right != 0)
			return false;
	}
	if (*left != 0 && (crdt_item(doc, *left)->list == 0 || holder_of(doc, *left) != holder))
		*left = last_value(doc, type, key);
	return true;
}

/* The item's content as something new. */
static void
copy_content(CrdtEditing *edit, const CrdtItem *item, CrdtPrepared *out)
{
	static const uint8_t replacement[] = {0xef, 0xbf, 0xbd};
	CrdtBytes content;
	uint8_t *copy;

	memset(out, 0, sizeof(*out));
	crdt_item_to_struct(edit->doc, item, &out->wire);
	if (item->kind == CRDT_FORMAT_MARK || item->kind == CRDT_SUBDOCUMENT)
		out->name = item->content.piece->name;
	else if (item->kind == CRDT_TYPE)
		out->name = crdt_item_type(edit->doc, item)->name;
	if (!out->wire.begins_replaced)
		return;
	content = out->wire.content;
	copy = crdt_arena_take(&edit->doc->scratch, sizeof(replacement) + content.size);
	if (copy == NULL)
	{
		crdt_editing_no_memory(edit);
		return;
	}
	memcpy(copy, replacement, sizeof(replacement));
	memcpy(copy + sizeof(replacement), content.data, content.size);
	out->wire.content = (CrdtBytes){copy, sizeof(replacement) + content.size};
	out->wire.begins_replaced = false;
}

static CrdtRef
add_copy(CrdtEditing *edit, CrdtRef ref, uint32_t list, CrdtRef left, CrdtRef right)
{
	CrdtDoc *doc = edit->doc;
	uint64_t clock = doc->clients[edit->client].state;
	CrdtPrepared content;
	CrdtRef copy;

	if (!crdt_redone_reserve(doc, 1))
	{
		crdt_editing_no_memory(edit);
		return 0;
	}
	if (crdt_item(doc, ref)->kind == CRDT_FORMAT_MARK)
		copy = crdt_editing_add_mark(edit, list, left, right, crdt_item_mark(crdt_item(doc, ref)));
	else
	{
		copy_content(edit, crdt_item(doc, ref), &content);
		copy = crdt_editing_failed(edit) ? 0 : crdt_editing_add(edit, list, left, right, &content);
	}
	if (copy == 0)
		return 0;
	crdt_redone_add(doc, ref, crdt_pack(doc, edit->client, clock));
	crdt_undo_keep(doc, copy, true);
	return copy;
}

/* Makes the item anew whose holder is there, or 0 for a root's; false: it cannot come back. */
static bool
redo_here(Popping *popping, CrdtRef ref)
{
	CrdtEditing *edit = popping->edit;
	CrdtDoc *doc = edit->doc;
	const CrdtList *list = &doc->lists[crdt_item(doc, ref)->list];
	uint32_t type = list->type;
	uint32_t key = list->key;
	CrdtRef holder = crdt_type(doc, type)->item;
	CrdtRef left = 0;
	CrdtRef right = 0;
	CrdtRef next;

	if (crdt_redone_find(doc, ref) != CRDT_PACKED_NONE)
		return successor(edit, ref) != 0;
	if (holder != 0 && crdt_item(doc, holder)->deleted)
	{
		while ((next = successor(edit, holder)) != 0)
			holder = next;
		if (crdt_item(doc, holder)->kind != CRDT_TYPE)
			return false;
		type = crdt_item(doc, holder)->content.type;
	}
	if (key == 0)
		find_list_place(edit, ref, holder, &left, &right);
	else if (!find_key_place(popping, ref, holder, type, key, &left))
		return false;
	edit->needs.lists += 1;
	edit->needs.deep = true;
	if (!crdt_editing_reserve(edit))
		return false;
	return add_copy(edit, ref, crdt_list_add(doc, type, key), left, right) != 0;
}

/* Makes the item anew, and first all deleted items around it that will be anyway. */
static bool
redo(Popping *popping, CrdtRef ref)
{
	const CrdtDoc *doc = popping->undo->doc;

	for (;;)
	{
		CrdtRef top = ref;
		CrdtRef holder;

		/* the outermost one that has to come back */
		while ((holder = holder_of(doc, top)) != 0 && crdt_item(doc, holder)->deleted &&
			   crdt_redone_find(doc, top) == CRDT_PACKED_NONE &&
			   crdt_redone_find(doc, holder) == CRDT_PACKED_NONE)
		{
			if (!will_be_redone(popping, holder))
				return false;
			top = holder;
		}
		if (!redo_here(popping, top) || crdt_editing_failed(popping->edit))
			return false;
		if (top == ref)
			return true;
	}
}

/* ---- popping ---- */

static bool
add_ref(Popping *popping, CrdtRef **list, size_t *count, size_t *capacity, CrdtRef ref)
{
	if (!crdt_array_reserve(crdt_undo_host(popping->undo), list, capacity, *count + 1,
							sizeof(CrdtRef)))
	{
		crdt_editing_no_memory(popping->edit);
		return false;
	}
	(*list)[(*count)++] = ref;
	return true;
}

/* The newest item that holds what is at ref, cut there.  Those between are not cut: with a
 * successor they could not be joined again.
 *
 * Nor is its end, as in Yjs, where one client is one person: what was made anew in one piece was
 * inserted in steps that are taken back one after the other.  In updates that somebody chose, the
 * same client may have gone on for somebody else, and he keeps what is behind the end. */
static CrdtRef
newest(Popping *popping, CrdtRef ref)
{
	CrdtEditing *edit = popping->edit;
	CrdtDoc *doc = edit->doc;
	CrdtPackedId redone = crdt_redone_find(doc, ref);
	uint64_t length = crdt_item_length(crdt_item(doc, ref));
	CrdtPlace place = {0, 0};
	uint64_t inside = 0;

	if (redone == CRDT_PACKED_NONE)
		return ref;
	for (; redone != CRDT_PACKED_NONE; redone = crdt_redone_find(doc, ref))
	{
		place = crdt_unpack(doc, redone);
		place.clock += inside;
		ref = crdt_structs_get(doc, place);
		inside = place.clock - crdt_unpack(doc, crdt_item(doc, ref)->id).clock;
	}
	ref = crdt_undo_clean_start(edit, place);
	place.clock += length;
	if (popping->undo->chooses_updates && ref != 0 && crdt_undo_end_of(doc, ref) > place.clock)
		(void) crdt_undo_clean_start(edit, place);
	return ref;
}

static void
collect(Popping *popping)
{
	CrdtDoc *doc = popping->undo->doc;
	CrdtUndoWalk inserted = {.edit = popping->edit, .ranges = &popping->step->insertions};
	CrdtUndoWalk deleted = {.edit = popping->edit, .ranges = &popping->step->deletions};
	CrdtRef ref;

	while ((ref = crdt_undo_walk_next(&inserted)) != 0)
	{
		if (crdt_item(doc, ref)->kind == CRDT_GC)
			continue;
		ref = newest(popping, ref);
		if (ref != 0 && !crdt_item(doc, ref)->deleted &&
			crdt_undo_has_item(popping->undo, crdt_item(doc, ref)) &&
			!add_ref(popping, &popping->to_delete, &popping->delete_count,
					 &popping->delete_capacity, ref))
			return;
	}
	while ((ref = crdt_undo_walk_next(&deleted)) != 0)
	{
		const CrdtItem *item = crdt_item(doc, ref);

		if (item->kind != CRDT_GC && crdt_undo_has_item(popping->undo, item) &&
			!crdt_undo_ranges_hold(&popping->step->insertions, crdt_unpack(doc, item->id)) &&
			!add_ref(popping, &popping->to_redo, &popping->redo_count, &popping->redo_capacity,
					 ref))
			return;
	}
	if (popping->redo_count == 0)
		return;
	if (!crdt_array_reserve(crdt_undo_host(popping->undo), &popping->sorted,
							&popping->sorted_capacity, popping->redo_count, sizeof(CrdtRef)))
	{
		crdt_editing_no_memory(popping->edit);
		return;
	}
	memcpy(popping->sorted, popping->to_redo, popping->redo_count * sizeof(CrdtRef));
	crdt_sort(popping->sorted, popping->redo_count, sizeof(CrdtRef), ref_is_before);
}

/* Memory for all that the step may do. */
static void
reserve(Popping *popping)
{
	CrdtEditing *edit = popping->edit;
	CrdtDoc *doc = edit->doc;

	for (size_t i = 0; i < popping->redo_count; i++)
	{
		CrdtStruct wire;

		crdt_item_to_struct(doc, crdt_item(doc, popping->to_redo[i]), &wire);
		wire.content.size += 3; /* a surrogate's replacement may be in front */
		crdt_prepare_count(edit, &wire);
		edit->needs.lists++;
	}
	edit->needs.deleted += popping->delete_count + popping->redo_count;
	edit->needs.deep = true;
	if (crdt_editing_reserve(edit) && !crdt_redone_reserve(doc, popping->redo_count))
		crdt_editing_no_memory(edit);
}

static void
take_back(Popping *popping)
{
	collect(popping);
	if (!crdt_editing_failed(popping->edit))
		reserve(popping);
	for (size_t i = 0; i < popping->redo_count && !crdt_editing_failed(popping->edit); i++)
		popping->changed |= redo(popping, popping->to_redo[i]);
	for (size_t i = popping->delete_count; i-- > 0 && !crdt_editing_failed(popping->edit);)
	{
		crdt_editing_delete(popping->edit, popping->to_delete[i]);
		popping->changed = true;
	}
}

static void
free_popping(Popping *popping)
{
	const CrdtHost *host = crdt_undo_host(popping->undo);

	crdt_array_free(host, &popping->to_redo, &popping->redo_capacity, sizeof(CrdtRef));
	crdt_array_free(host, &popping->sorted, &popping->sorted_capacity, sizeof(CrdtRef));
	crdt_array_free(host, &popping->to_delete, &popping->delete_capacity, sizeof(CrdtRef));
}

/* Takes back steps from the top until one changes something. */
static CrdtStatus
pop(CrdtUndo *undo, CrdtUndoSteps *steps, bool *done, CrdtError *error)
{
	CrdtEditing edit;
	bool changed = false;

	if (done != NULL)
		*done = false;
	if (undo->doc->edit_depth > 0)
		return crdt_error_set(error, CRDT_INVALID, 0,
							  "nothing can be undone inside a transaction of edits");
	if (crdt_editing_open_doc(&edit, undo->doc, undo, error))
		while (steps->count > 0 && !changed && !crdt_editing_failed(&edit))
		{
			CrdtUndoStep step = steps->list[--steps->count];
			Popping popping = {.undo = undo, .edit = &edit, .step = &step};

			take_back(&popping);
			changed = popping.changed;
			free_popping(&popping);
			if (crdt_editing_failed(&edit) && !changed)
				steps->list[steps->count++] = step; /* it can be tried again */
			else
				crdt_undo_step_free(undo, &step);
		}
	if (done != NULL)
		*done = changed;
	return crdt_editing_close(&edit);
}

CrdtStatus
crdt_undo(CrdtUndo *undo, bool *done, CrdtError *error)
{
	CrdtStatus status;

	undo->undoing = true;
	status = pop(undo, &undo->undo_steps, done, error);
	undo->undoing = false;
	return status;
}

CrdtStatus
crdt_redo(CrdtUndo *undo, bool *done, CrdtError *error)
{
	CrdtStatus status;

	undo->redoing = true;
	status = pop(undo, &undo->redo_steps, done, error);
	undo->redoing = false;
	return status;
}
