/*
 * edit_text.c: edits of texts (edit.h; FORMAT 10.3, 10.4): inserting, deleting and formatting, and
 * Quill's Delta, which is made of these three.
 *
 *     <b> h e l l o <b=null> w o r l d        format marks stand in the text like characters
 *        left ┘ └ right                       a place: its neighbours, and the marks in force
 *
 * An edit inserts marks before what it formats, and after it the negated ones: those that bring
 * back what was in force.  Marks that become redundant are deleted.
 */
#include <string.h>

#include "content.h"
#include "edit.h"
#include "editing.h"
#include "index.h"
#include "structs.h"
#include "tables.h"

/* More newlines than this are not added by formatting beyond the end. */
#define NEWLINES_MAX (UINT64_C(1) << 24)

/* Room for the marks of a call; more come from the arena. */
#define FEW_MARKS 4

typedef struct MarksRoom
{
	CrdtMark in_force[FEW_MARKS];
	CrdtMark call[FEW_MARKS];
	CrdtMark negated[FEW_MARKS];
	CrdtMark before[FEW_MARKS];
	CrdtMark counted[FEW_MARKS];
} MarksRoom;

static CrdtMarks
no_marks(CrdtMark room[static FEW_MARKS])
{
	return (CrdtMarks){.list = room, .capacity = FEW_MARKS};
}

/* A place in a text that edits move along. */
typedef struct TextPlace
{
	CrdtEditing *edit;
	uint32_t list;
	CrdtRef left;
	CrdtRef right;
	CrdtMarks marks; /* in force */
	CrdtMarks call; /* what the operation at hand asks for */
	CrdtMarks negated; /* what it has to bring back */
	CrdtMarks before; /* in force before a deletion */
} TextPlace;

/* ---- moving ---- */

static CrdtItem *
right_item(const TextPlace *place)
{
	return place->right == 0 ? NULL : crdt_item(place->edit->doc, place->right);
}

static bool
is_mark(const CrdtItem *item)
{
	return !item->deleted && item->kind == CRDT_FORMAT_MARK;
}

/* Has it units that indices count? */
static bool
is_content(const CrdtItem *item)
{
	return !item->deleted && item->kind != CRDT_FORMAT_MARK;
}

/* May there be format marks in the list? */
static bool
list_has_marks(const CrdtDoc *doc, uint32_t list)
{
	return crdt_type(doc, doc->lists[list].type)->has_marks;
}

static void
forward(TextPlace *place)
{
	const CrdtItem *item = right_item(place);

	if (is_mark(item))
		crdt_marks_pass(&place->marks, item);
	place->left = place->right;
	place->right = item->right;
}

/* Room in all maps of the place for so many keys more than are in force. */
static bool
reserve_marks(TextPlace *place, size_t more)
{
	CrdtArena *arena = &place->edit->doc->scratch;
	size_t capacity = place->marks.count + more;

	if (crdt_marks_reserve(&place->marks, arena, capacity) &&
		crdt_marks_reserve(&place->call, arena, capacity) &&
		crdt_marks_reserve(&place->negated, arena, capacity) &&
		crdt_marks_reserve(&place->before, arena, capacity))
		return true;
	crdt_editing_no_memory(place->edit);
	return false;
}

/* Moves to index, which is at most the length; what is to be cut there is not cut yet, but counted:
 * returns the units of the item at the right that belong to the left. */
static uint64_t
find_place(TextPlace *place, uint64_t index)
{
	CrdtEditing *edit = place->edit;
	CrdtIndexPlace start =
		crdt_index_seek(edit->doc, place->list, index, &place->marks, &edit->doc->scratch);

	place->right = start.item;
	place->left = start.item == 0 ? 0 : crdt_item(edit->doc, start.item)->left;
	index -= start.units;
	while (place->right != 0 && index > 0)
	{
		const CrdtItem *item = right_item(place);

		if (is_content(item))
		{
			if (index < item->length)
			{
				crdt_editing_need_cut(edit, place->right);
				return index;
			}
			index -= item->length;
		}
		else if (is_mark(item) &&
				 !crdt_marks_reserve(&place->marks, &edit->doc->scratch, place->marks.count + 1))
		{
			crdt_editing_no_memory(edit);
			return 0;
		}
		forward(place);
	}
	return 0;
}

static void
cut_at_place(TextPlace *place, uint64_t units)
{
	if (units == 0)
		return;
	crdt_editing_cut(place->edit, place->right, units);
	if (!crdt_editing_failed(place->edit))
		forward(place);
}

/* ---- adding marks and content ---- */

static void
add_mark(TextPlace *place, CrdtMark mark)
{
	CrdtRef ref = crdt_editing_add_mark(place->edit, place->list, place->left, place->right, mark);

	if (ref == 0)
		return;
	place->right = ref;
	forward(place);
}

static void
add_content(TextPlace *place, const CrdtPrepared *content)
{
	CrdtRef ref = crdt_editing_add(place->edit, place->list, place->left, place->right, content);

	if (ref == 0)
		return;
	/* more may have been done to the document since (a type's own content), but not here */
	place->right = ref;
	forward(place);
}

/* Steps over what is deleted, and over marks that ask for what the call asks for. */
static void
minimize(TextPlace *place)
{
	const CrdtItem *item;

	while ((item = right_item(place)) != NULL)
	{
		if (!item->deleted)
		{
			CrdtMark mark;

			if (!is_mark(item))
				return;
			mark = crdt_item_mark(item);
			if (!crdt_values_equal(crdt_marks_get(&place->call, mark.key).value, mark.value))
				return;
		}
		forward(place);
	}
}

/* Inserts the marks of the call that are not in force; negated: what to bring back. */
static void
add_marks(TextPlace *place)
{
	place->negated.count = 0;
	for (size_t i = 0; i < place->call.count && !crdt_editing_failed(place->edit); i++)
	{
		CrdtMark mark = place->call.list[i];
		CrdtMark current = crdt_marks_get(&place->marks, mark.key);

		if (crdt_values_equal(current.value, mark.value))
			continue;
		crdt_marks_set(&place->negated, current);
		add_mark(place, mark);
	}
}

static void
add_negated(TextPlace *place)
{
	const CrdtItem *item;

	/* what is deleted may stay at the right: every operation passes it first */
	while (place->negated.count > 0 && (item = right_item(place)) != NULL)
	{
		if (!item->deleted)
		{
			CrdtMark mark;
			const CrdtMark *wanted;

			if (!is_mark(item))
				break;
			mark = crdt_item_mark(item);
			wanted = crdt_marks_find(&place->negated, mark.key);
			if (wanted == NULL || !crdt_values_equal(wanted->value, mark.value))
				break;
			crdt_marks_remove(&place->negated, mark.key);
		}
		forward(place);
	}
	for (size_t i = 0; i < place->negated.count && !crdt_editing_failed(place->edit); i++)
		add_mark(place, place->negated.list[i]);
}

/* ---- the three edits ---- */

/* The call's marks: those given, and null for all others in force. */
static void
begin_call(TextPlace *place, const CrdtPreparedOp *op)
{
	const CrdtDoc *doc = place->edit->doc;
	const CrdtMarks *given = op->inherits ? &place->marks : &op->marks;

	if (!reserve_marks(place, op->marks.count + 1))
		return;
	place->call.count = 0;
	for (size_t i = 0; i < given->count; i++)
		crdt_marks_set_member(doc, &place->call, given->list[i]);
	if (op->kind != CRDT_DELTA_INSERT && op->kind != CRDT_DELTA_EMBED)
		return;
	for (size_t i = 0; i < place->marks.count; i++)
	{
		CrdtMark null = crdt_marks_get(&(CrdtMarks){NULL, 0, 0}, place->marks.list[i].key);

		if (crdt_marks_find(&place->call, null.key) == NULL)
			crdt_marks_set_member(doc, &place->call, null);
	}
}

static void
insert(TextPlace *place, const CrdtPreparedOp *op)
{
	begin_call(place, op);
	if (crdt_editing_failed(place->edit))
		return;
	minimize(place);
	add_marks(place);
	add_content(place, &op->content);
	add_negated(place);
}

/* Deals with a mark inside the range that is being formatted; false: the range ends before it. */
static bool
format_mark(TextPlace *place, uint64_t length)
{
	const CrdtItem *item = right_item(place);
	CrdtMark mark = crdt_item_mark(item);
	const CrdtMark *wanted = crdt_marks_find(&place->call, mark.key);

	if (wanted == NULL)
		return true;
	if (crdt_values_equal(wanted->value, mark.value))
		crdt_marks_remove(&place->negated, mark.key);
	else
	{
		if (length == 0)
			return false;
		crdt_marks_set(&place->negated, mark);
	}
	crdt_editing_delete(place->edit, place->right);
	return true;
}

static void
add_newlines(TextPlace *place, uint64_t count)
{
	CrdtPrepared content = {
		.wire = {.kind = CRDT_STRING, .length = count, .ascii = true, .content.size = count}};
	uint8_t *newlines = crdt_arena_take(&place->edit->doc->scratch, (size_t) count);

	if (newlines == NULL)
	{
		crdt_editing_no_memory(place->edit);
		return;
	}
	memset(newlines, '\n', (size_t) count);
	content.wire.content.data = newlines;
	add_content(place, &content);
}

static void
format(TextPlace *place, const CrdtPreparedOp *op)
{
	uint64_t length = op->length;
	const CrdtItem *item;

	begin_call(place, op);
	if (crdt_editing_failed(place->edit))
		return;
	minimize(place);
	add_marks(place);
	while ((item = right_item(place)) != NULL && !crdt_editing_failed(place->edit) &&
		   (length > 0 || (place->negated.count > 0 && !is_content(item))))
	{
		if (is_mark(item))
		{
			if (!reserve_marks(place, place->negated.count + 1) || !format_mark(place, length))
				break;
		}
		else if (!item->deleted)
		{
			if (length < item->length)
				crdt_editing_cut(place->edit, place->right, length);
			length -= item->length < length ? item->length : length;
		}
		forward(place);
	}
	if (length > 0 && !crdt_editing_failed(place->edit))
		add_newlines(place, length);
	add_negated(place);
}

static bool
is_deletable(const CrdtItem *item)
{
	return !item->deleted &&
		   (item->kind == CRDT_STRING || item->kind == CRDT_EMBED || item->kind == CRDT_TYPE);
}

/* First visible content at or behind ref; 0: none. */
static CrdtRef
next_content(const CrdtDoc *doc, CrdtRef ref)
{
	while (ref != 0)
	{
		const CrdtItem *item = crdt_item(doc, ref);

		if (!item->deleted && crdt_item_is_countable(item))
			break;
		ref = item->right;
	}
	return ref;
}

/* Is the mark the last visible one for its key before end? */
static bool
is_last_for_key(const CrdtDoc *doc, const CrdtItem *item, CrdtRef end)
{
	uint32_t key = crdt_item_mark(item).key;

	for (CrdtRef ref = item->right; ref != end; ref = crdt_item(doc, ref)->right)
	{
		const CrdtItem *other = crdt_item(doc, ref);

		if (is_mark(other) && crdt_item_mark(other).key == key)
			return false;
	}
	return true;
}

/* Deletes marks from start up to the next content that others overwrite, or that ask for what was
 * in force at start already (FORMAT 8.5, gap). */
static void
clean_gap(TextPlace *place, CrdtRef start)
{
	const CrdtDoc *doc = place->edit->doc;
	CrdtRef end;
	bool reached = false;

	if (!list_has_marks(doc, place->list))
		return;
	end = next_content(doc, start);
	for (CrdtRef ref = start; ref != end && !crdt_editing_failed(place->edit);
		 ref = crdt_item(doc, ref)->right)
	{
		const CrdtItem *item = crdt_item(doc, ref);
		CrdtMark mark;
		CrdtMark before;

		reached |= ref == place->right;
		if (!is_mark(item))
			continue;
		mark = crdt_item_mark(item);
		before = crdt_marks_get(&place->before, mark.key);
		if (is_last_for_key(doc, item, end) && !crdt_values_identical(before.value, mark.value))
		{
			if (!reached)
				crdt_marks_pass(&place->marks, item);
			continue;
		}
		crdt_editing_delete(place->edit, ref);
		if (reached || crdt_values_identical(before.value, mark.value) ||
			!crdt_values_identical(crdt_marks_get(&place->marks, mark.key).value, mark.value))
			continue;
		if (crdt_value_is_null(before.value))
			crdt_marks_remove(&place->marks, mark.key);
		else
			crdt_marks_set(&place->marks, before);
	}
}

static void
delete_text(TextPlace *place, uint64_t length)
{
	CrdtRef start = place->right;
	const CrdtItem *item;

	if (!reserve_marks(place, 1))
		return;
	place->before.count = place->marks.count;
	if (place->marks.count > 0)
		memcpy(place->before.list, place->marks.list, place->marks.count * sizeof(CrdtMark));
	while (length > 0 && (item = right_item(place)) != NULL && !crdt_editing_failed(place->edit))
	{
		if (is_deletable(item))
		{
			if (length < item->length)
				crdt_editing_cut(place->edit, place->right, length);
			length -= item->length;
			crdt_editing_delete(place->edit, place->right);
		}
		if (!reserve_marks(place, 1))
			return;
		forward(place);
	}
	clean_gap(place, start);
}

/* At the end of the text the last newline of a delta may have to go. */
static void
insert_text(TextPlace *place, const CrdtPreparedOp *op)
{
	CrdtBytes text = op->content.wire.content;

	if (op->drops_newline && place->right == 0 && text.size > 0 && text.data[text.size - 1] == '\n')
	{
		CrdtPreparedOp without = *op;

		without.content.wire.content.size--;
		if (--without.content.wire.length > 0)
			insert(place, &without);
	}
	else if (op->content.wire.length > 0)
		insert(place, op);
}

static void
run_op(TextPlace *place, const CrdtPreparedOp *op)
{
	switch (op->kind)
	{
		case CRDT_DELTA_INSERT: insert_text(place, op); return;
		case CRDT_DELTA_EMBED: insert(place, op); return;
		case CRDT_DELTA_RETAIN:
			if (place->right != 0 || !op->needs_something)
				format(place, op);
			return;
		case CRDT_DELTA_DELETE: delete_text(place, op->length); return;
	}
}

/* ---- counting what operations need ---- */

/* Operations looked at beforehand: where they will cut, how much they may add and delete. */
typedef struct Count
{
	CrdtEditing *edit;
	CrdtRef right; /* 0: at the end, or in a new text */
	uint64_t skipped; /* units of right that operations have passed */
	uint64_t virtual_units; /* of a new text, to the right */
	CrdtMarks active; /* in force: an insert may have to end them and to bring them back */
	uint64_t newlines;
} Count;

static void
count_mark(Count *count, const CrdtItem *item)
{
	CrdtEditing *edit = count->edit;

	edit->needs.deleted++;
	if (crdt_marks_reserve(&count->active, &edit->doc->scratch, count->active.count + 1))
		crdt_marks_pass(&count->active, item);
	else
		crdt_editing_no_memory(edit);
}

/* Passes length units, or what is there of them; only_deletable: as a deletion counts them. */
static uint64_t
pass_units(Count *count, uint64_t length, bool only_deletable)
{
	CrdtEditing *edit = count->edit;
	uint64_t virtual_units = length < count->virtual_units ? length : count->virtual_units;

	count->virtual_units -= virtual_units;
	length -= virtual_units;
	while (length > 0 && count->right != 0 && !crdt_editing_failed(edit))
	{
		const CrdtItem *item = crdt_item(edit->doc, count->right);
		uint64_t units = crdt_item_length(item) - count->skipped;

		if (is_mark(item))
			count_mark(count, item);
		else if (only_deletable ? is_deletable(item) : !item->deleted)
		{
			edit->needs.deleted++;
			edit->needs.deep |= item->kind == CRDT_TYPE;
			if (length < units)
			{
				crdt_editing_need_cut(edit, count->right);
				count->skipped += length;
				return 0;
			}
			length -= units;
		}
		count->skipped = 0;
		count->right = item->right;
	}
	return length;
}

/* An operation may also pass the marks that follow its range. */
static void
pass_marks(const Count *count)
{
	CrdtEditing *edit = count->edit;

	if (count->skipped > 0)
		return;
	for (CrdtRef ref = count->right; ref != 0; ref = crdt_item(edit->doc, ref)->right)
	{
		if (is_content(crdt_item(edit->doc, ref)))
			return;
		edit->needs.deleted += is_mark(crdt_item(edit->doc, ref));
	}
}

/* Marks of an operation, negated ones included. */
static void
count_marks(Count *count, const CrdtPreparedOp *op)
{
	CrdtEditing *edit = count->edit;
	CrdtStruct wire = {.kind = CRDT_FORMAT_MARK, .length = 1};

	for (size_t i = 0; i < op->marks.count; i++)
	{
		wire.content = op->marks.list[i].value;
		crdt_prepare_count(edit, &wire);
		crdt_prepare_count(edit, &wire);
	}
	for (size_t i = 0; i < count->active.count; i++)
	{
		wire.content = count->active.list[i].value;
		crdt_prepare_count(edit, &wire);
		if (op->kind != CRDT_DELTA_RETAIN)
			crdt_prepare_count(edit, &wire);
	}
}

static void
count_op(Count *count, const CrdtPreparedOp *op)
{
	CrdtEditing *edit = count->edit;

	switch (op->kind)
	{
		case CRDT_DELTA_INSERT:
		case CRDT_DELTA_EMBED: count_marks(count, op); break;
		case CRDT_DELTA_DELETE: (void) pass_units(count, op->length, true); break;
		case CRDT_DELTA_RETAIN:
			count->newlines += pass_units(count, op->length, false);
			count_marks(count, op);
			break;
		default: crdt_editing_fail(edit, CRDT_INVALID, "%d is not a kind of operation", op->kind);
	}
	if (count->newlines > NEWLINES_MAX)
		crdt_editing_fail(edit, CRDT_INVALID, "operations reach too far beyond the end");
}

static void
count_ops(Count *count, const CrdtPreparedOp *ops, size_t op_count)
{
	CrdtEditing *edit = count->edit;

	for (size_t i = 0; i < op_count && !crdt_editing_failed(edit); i++)
		count_op(count, &ops[i]);
	if (crdt_editing_failed(edit))
		return;
	if (count->right != 0 && list_has_marks(edit->doc, crdt_item(edit->doc, count->right)->list))
		pass_marks(count);
	if (count->newlines > 0)
	{
		CrdtStruct wire = {.kind = CRDT_STRING, .ascii = true, .content.size = count->newlines};

		crdt_prepare_count(edit, &wire);
	}
}

void
crdt_prepare_run(CrdtEditing *edit, const CrdtPreparedOp *ops, size_t count, uint64_t length)
{
	Count counting = {.edit = edit, .virtual_units = length};

	count_ops(&counting, ops, count);
	/* the text's own items may be cut at both ends of each operation, and deleted */
	for (size_t i = 0; i < 2 * count; i++)
		crdt_needs_split(edit->doc, &edit->needs, edit->client);
	edit->needs.deleted += 4 * count;
}

/* ---- calls ---- */

static void
open_place(TextPlace *place, CrdtEditing *edit, uint32_t type, MarksRoom *room)
{
	*place = (TextPlace){.edit = edit,
						 .list = crdt_type(edit->doc, type)->sequence,
						 .marks = no_marks(room->in_force),
						 .call = no_marks(room->call),
						 .negated = no_marks(room->negated),
						 .before = no_marks(room->before)};
	place->right = edit->doc->lists[place->list].first;
}

static void
run_ops(TextPlace *place, const CrdtPreparedOp *ops, size_t count)
{
	for (size_t i = 0; i < count && !crdt_editing_failed(place->edit); i++)
		run_op(place, &ops[i]);
}

void
crdt_editing_run(CrdtEditing *edit, uint32_t type, const CrdtPreparedOp *ops, size_t count)
{
	TextPlace place;
	MarksRoom room;

	open_place(&place, edit, type, &room);
	run_ops(&place, ops, count);
}

/* Operations from index on: counted, reserved, done. */
static void
run_at(CrdtEditing *edit, uint64_t index, const CrdtPreparedOp *ops, size_t count)
{
	TextPlace place;
	MarksRoom room;
	Count counting = {.edit = edit, .active = no_marks(room.counted)};
	uint64_t length = edit->doc->lists[crdt_type(edit->doc, edit->type)->sequence].length;
	uint64_t cut;

	if (index > length)
		crdt_editing_fail(edit, CRDT_INVALID, "index %llu is beyond the length, %llu",
						  (unsigned long long) index, (unsigned long long) length);
	if (crdt_editing_failed(edit))
		return;
	open_place(&place, edit, edit->type, &room);
	cut = find_place(&place, index);
	counting.right = place.right;
	counting.skipped = cut;
	if (crdt_marks_reserve(&counting.active, &edit->doc->scratch, place.marks.count + 1))
		for (size_t i = 0; i < place.marks.count; i++)
			crdt_marks_set(&counting.active, place.marks.list[i]);
	else
		crdt_editing_no_memory(edit);
	count_ops(&counting, ops, count);
	if (!crdt_editing_reserve(edit))
		return;
	cut_at_place(&place, cut);
	run_ops(&place, ops, count);
}

CrdtStatus
crdt_text_insert(CrdtDoc *doc, const CrdtType *type, uint64_t index, CrdtBytes text,
				 const CrdtAttributes *attributes, CrdtError *error)
{
	CrdtEditing edit;

	if (crdt_editing_open(&edit, doc, type, CRDT_ACCEPTS_TEXT, error))
	{
		CrdtPreparedOp op = {.kind = CRDT_DELTA_INSERT, .inherits = attributes == NULL};

		crdt_prepare_text(&edit, text, &op.content);
		crdt_prepare_marks(&edit, attributes, &op.marks);
		run_at(&edit, index, &op, 1);
	}
	return crdt_editing_close(&edit);
}

CrdtStatus
crdt_text_insert_embed(CrdtDoc *doc, const CrdtType *type, uint64_t index, const CrdtInput *embed,
					   const CrdtAttributes *attributes, CrdtError *error)
{
	CrdtEditing edit;

	if (crdt_editing_open(&edit, doc, type, CRDT_ACCEPTS_TEXT, error))
	{
		CrdtPreparedOp op = {.kind = CRDT_DELTA_EMBED};

		crdt_prepare_embed(&edit, embed, &op.content);
		crdt_prepare_marks(&edit, attributes, &op.marks);
		run_at(&edit, index, &op, 1);
	}
	return crdt_editing_close(&edit);
}

CrdtStatus
crdt_text_delete(CrdtDoc *doc, const CrdtType *type, uint64_t index, uint64_t length,
				 CrdtError *error)
{
	CrdtEditing edit;

	if (crdt_editing_open(&edit, doc, type, CRDT_ACCEPTS_TEXT, error) && length > 0)
	{
		CrdtPreparedOp op = {.kind = CRDT_DELTA_DELETE, .length = length};

		run_at(&edit, index, &op, 1);
	}
	return crdt_editing_close(&edit);
}

CrdtStatus
crdt_text_format(CrdtDoc *doc, const CrdtType *type, uint64_t index, uint64_t length,
				 const CrdtAttributes *attributes, CrdtError *error)
{
	CrdtEditing edit;

	if (crdt_editing_open(&edit, doc, type, CRDT_ACCEPTS_TEXT, error) && length > 0)
	{
		CrdtPreparedOp op = {.kind = CRDT_DELTA_RETAIN, .length = length, .needs_something = true};

		crdt_prepare_marks(&edit, attributes, &op.marks);
		run_at(&edit, index, &op, 1);
	}
	return crdt_editing_close(&edit);
}

CrdtStatus
crdt_text_apply_delta(CrdtDoc *doc, const CrdtType *type, const CrdtDeltaOp *ops, size_t count,
					  bool keeps_last_newline, CrdtError *error)
{
	CrdtEditing edit;

	if (crdt_editing_open(&edit, doc, type, CRDT_ACCEPTS_TEXT, error))
	{
		CrdtPreparedOp *prepared;

		crdt_prepare_delta(&edit, ops, count, &prepared);
		if (!keeps_last_newline && count > 0 && !crdt_editing_failed(&edit))
			prepared[count - 1].drops_newline = true;
		run_at(&edit, 0, prepared, count);
	}
	return crdt_editing_close(&edit);
}
