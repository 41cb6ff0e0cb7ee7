/*
 * undo.c: undo managers (undo.h; FORMAT 11).
 *
 *     transaction ends ──> note: a step of what it inserted and deleted     undo stack, redo stack
 *     undo             ──> the newest step: what it inserted is deleted, what it deleted is made
 *                          anew (redone.h says which item became which); that transaction is noted
 *                          like any other, on the other stack
 *
 * Noting happens while a transaction ends and must not fail: without memory all steps are forgotten.
 */
#include "undo.h"

#include <string.h>

#include "content.h"
#include "editing.h"
#include "redone.h"
#include "structs.h"
#include "tables.h"
#include "transaction.h"
#include "undoing.h"

/* Ranges of clocks: clients in the order they came, the ranges of each ascending and apart. */
typedef struct Ranges
{
	CrdtDeletedRange *list;
	size_t count;
	size_t capacity;
} Ranges;

typedef struct Step
{
	Ranges insertions;
	Ranges deletions;
} Step;

typedef struct Steps
{
	Step *list;
	size_t count;
	size_t capacity;
} Steps;

struct CrdtUndo
{
	CrdtUndo *next;
	CrdtDoc *doc;
	CrdtUndoOptions options; /* scope and origins are copies */
	uint32_t *scope; /* types */
	const void **origins;
	Steps undo_steps;
	Steps redo_steps;
	uint64_t last_change_ms; /* 0: the next change begins a step */
	bool undoing;
	bool redoing;
	bool tracks_updates;
	bool chooses_updates; /* has tracked some */
	bool lost_steps;
};

/* ---- ranges ---- */

static const CrdtHost *
host_of(const CrdtUndo *undo)
{
	return &undo->doc->host;
}

static void
free_ranges(const CrdtUndo *undo, Ranges *ranges)
{
	crdt_array_free(host_of(undo), &ranges->list, &ranges->capacity, sizeof(CrdtDeletedRange));
	ranges->count = 0;
}

static bool
add_range(const CrdtUndo *undo, Ranges *ranges, CrdtDeletedRange range)
{
	if (!crdt_array_reserve(host_of(undo), &ranges->list, &ranges->capacity, ranges->count + 1,
							sizeof(range)))
		return false;
	ranges->list[ranges->count++] = range;
	return true;
}

/* A range with the rank of its client, for sorting. */
typedef struct RankedRange
{
	CrdtDeletedRange range;
	size_t rank;
} RankedRange;

static bool
ranked_is_before(const void *a, const void *b)
{
	const RankedRange *left = a;
	const RankedRange *right = b;

	return left->rank != right->rank ? left->rank < right->rank
									 : left->range.clock < right->range.clock;
}

/* The place in ranges at which each one's client first comes. */
static void
rank_by_first(RankedRange *ranked, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		ranked[i].rank = i;
		for (size_t first = 0; first < i; first++)
			if (ranked[first].range.client == ranked[i].range.client)
			{
				ranked[i].rank = ranked[first].rank;
				break;
			}
	}
}

/* Sorts and folds ranked into ranges, which has room. */
static void
fold(Ranges *ranges, RankedRange *ranked, size_t count)
{
	crdt_sort(ranked, count, sizeof(*ranked), ranked_is_before);
	ranges->count = 0;
	for (size_t i = 0; i < count; i++)
	{
		const CrdtDeletedRange *next = &ranked[i].range;
		CrdtDeletedRange *last = ranges->list + ranges->count - 1;
		uint64_t end = next->clock + next->length;

		if (ranges->count == 0 || last->client != next->client ||
			last->clock + last->length < next->clock)
			ranges->list[ranges->count++] = *next;
		else if (end > last->clock + last->length)
			last->length = end - last->clock;
	}
}

/* Adds more to ranges. */
static bool
merge_ranges(const CrdtUndo *undo, Ranges *ranges, const Ranges *more)
{
	const CrdtHost *host = host_of(undo);
	size_t count = ranges->count + more->count;
	size_t capacity = 0;
	RankedRange *ranked = NULL;

	if (more->count == 0)
		return true;
	if (!crdt_array_reserve(host, &ranked, &capacity, count, sizeof(RankedRange)))
		return false;
	if (!crdt_array_reserve(host, &ranges->list, &ranges->capacity, count,
							sizeof(CrdtDeletedRange)))
	{
		crdt_array_free(host, &ranked, &capacity, sizeof(RankedRange));
		return false;
	}
	for (size_t i = 0; i < count; i++)
		ranked[i].range = i < ranges->count ? ranges->list[i] : more->list[i - ranges->count];
	rank_by_first(ranked, count);
	fold(ranges, ranked, count);
	crdt_array_free(host, &ranked, &capacity, sizeof(RankedRange));
	return true;
}

static bool
ranges_hold(const Ranges *ranges, CrdtPlace place)
{
	for (size_t i = 0; i < ranges->count; i++)
	{
		const CrdtDeletedRange *range = &ranges->list[i];

		if (range->client == place.client && place.clock >= range->clock &&
			place.clock - range->clock < range->length)
			return true;
	}
	return false;
}

/* ---- steps ---- */

static void
free_step(const CrdtUndo *undo, Step *step)
{
	free_ranges(undo, &step->insertions);
	free_ranges(undo, &step->deletions);
}

static void
free_steps(const CrdtUndo *undo, Steps *steps)
{
	for (size_t i = 0; i < steps->count; i++)
		free_step(undo, &steps->list[i]);
	crdt_array_free(host_of(undo), &steps->list, &steps->capacity, sizeof(Step));
	steps->count = 0;
}

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
	free_steps(undo, &undo->undo_steps);
	free_steps(undo, &undo->redo_steps);
	host.resize(host.context, undo->scope, scope_capacity * sizeof(uint32_t), 0);
	host.resize(host.context, undo->origins, origin_capacity * sizeof(void *), 0);
	host.resize(host.context, undo, sizeof(*undo), 0);
}

/* Copies what the options point to. */
static bool
copy_lists(CrdtUndo *undo, const CrdtUndoOptions *options)
{
	const CrdtHost *host = host_of(undo);

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

static bool
item_in_scope(const CrdtUndo *undo, const CrdtItem *item)
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

/* The item and all that it is in. */
static void
keep(CrdtDoc *doc, CrdtRef ref, bool is_kept)
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
			if (item_in_scope(undo, crdt_item(doc, ref)))
				keep(doc, ref, true);
		} while (crdt_structs_next(client, &cursor));
	}
}

/* ---- walking ranges, cutting items at their ends ---- */

/* A walk over the structs of ranges. */
typedef struct Walk
{
	CrdtEditing *edit;
	const Ranges *ranges;
	size_t range; /* the next one */
	uint32_t client;
	uint64_t clock;
	uint64_t end;
} Walk;

/* Cuts the struct at that place, unless it begins there. */
static CrdtRef
clean_start(CrdtEditing *edit, CrdtPlace place)
{
	CrdtDoc *doc = edit->doc;
	CrdtRef ref = crdt_structs_get(doc, place);
	uint64_t clock = crdt_unpack(doc, crdt_item(doc, ref)->id).clock;

	if (clock == place.clock || crdt_item(doc, ref)->kind == CRDT_GC)
		return ref;
	crdt_editing_cut(edit, ref, place.clock - clock);
	return crdt_editing_failed(edit) ? 0 : crdt_structs_get(doc, place);
}

/* The clock behind a struct.  A GC may begin before the range that it is in. */
static uint64_t
end_of(const CrdtDoc *doc, CrdtRef ref)
{
	const CrdtItem *item = crdt_item(doc, ref);

	return crdt_unpack(doc, item->id).clock + crdt_item_length(item);
}

/* The next struct; 0 at the end, or if cutting failed. */
static CrdtRef
walk_next(Walk *walk)
{
	CrdtDoc *doc = walk->edit->doc;
	CrdtRef ref;

	while (walk->clock >= walk->end)
	{
		const CrdtDeletedRange *range = &walk->ranges->list[walk->range];
		uint64_t state;

		if (walk->range == walk->ranges->count)
			return 0;
		walk->range++;
		state = doc->clients[range->client].state;
		walk->client = range->client;
		walk->clock = range->clock;
		walk->end = range->clock + range->length < state ? range->clock + range->length : state;
	}
	ref = clean_start(walk->edit, (CrdtPlace){walk->clock, walk->client});
	if (ref == 0)
		return 0;
	if (end_of(doc, ref) > walk->end)
		(void) clean_start(walk->edit, (CrdtPlace){walk->end, walk->client});
	if (crdt_editing_failed(walk->edit))
		return 0;
	walk->clock = end_of(doc, ref);
	return ref;
}

static void
release_steps(CrdtEditing *edit, const CrdtUndo *undo, const Steps *steps)
{
	for (size_t i = 0; i < steps->count; i++)
	{
		Walk walk = {.edit = edit, .ranges = &steps->list[i].deletions};
		CrdtRef ref;

		while ((ref = walk_next(&walk)) != 0)
			if (item_in_scope(undo, crdt_item(edit->doc, ref)))
				keep(edit->doc, ref, false);
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

static bool
take_insertions(const CrdtUndo *undo, Ranges *ranges)
{
	const CrdtDoc *doc = undo->doc;

	for (size_t i = 0; i < doc->transaction.client_count; i++)
	{
		const CrdtTouched *touched = &doc->transaction.clients[i];
		uint64_t length = doc->clients[touched->client].state - touched->state_before;

		if (!add_range(undo, ranges,
					   (CrdtDeletedRange){touched->state_before, length, touched->client}))
			return false;
	}
	return true;
}

/* The transaction's delete set, clients in the order in which it deleted. */
static bool
take_deletions(const CrdtUndo *undo, Ranges *ranges)
{
	const CrdtDoc *doc = undo->doc;
	const CrdtTransaction *transaction = &doc->transaction;
	size_t capacity = 0;
	RankedRange *ranked = NULL;

	if (transaction->deleted_count == 0)
		return true;
	if (!crdt_array_reserve(host_of(undo), &ranked, &capacity, transaction->deleted_count,
							sizeof(RankedRange)))
		return false;
	for (size_t i = 0; i < transaction->deleted_count; i++)
		ranked[i] = (RankedRange){transaction->deleted[i],
								  doc->clients[transaction->deleted[i].client].rank};
	if (crdt_array_reserve(host_of(undo), &ranges->list, &ranges->capacity,
						   transaction->deleted_count, sizeof(CrdtDeletedRange)))
		fold(ranges, ranked, transaction->deleted_count);
	crdt_array_free(host_of(undo), &ranked, &capacity, sizeof(RankedRange));
	return ranges->capacity > 0;
}

/* Adds the step to the newest one, or as a new one.  Takes it over if it succeeds. */
static bool
add_step(CrdtUndo *undo, Steps *steps, Step *step, uint64_t now_ms)
{
	bool joins = undo->last_change_ms > 0 &&
				 now_ms - undo->last_change_ms < undo->options.capture_timeout_ms &&
				 steps->count > 0 && !undo->undoing && !undo->redoing;

	if (joins)
	{
		Step *last = &steps->list[steps->count - 1];

		if (!merge_ranges(undo, &last->deletions, &step->deletions) ||
			!merge_ranges(undo, &last->insertions, &step->insertions))
			return false;
		free_step(undo, step);
		return true;
	}
	if (!crdt_array_reserve(host_of(undo), &steps->list, &steps->capacity, steps->count + 1,
							sizeof(Step)))
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
	Step step = {{NULL, 0, 0}, {NULL, 0, 0}};

	if (undo->undoing)
		undo->last_change_ms = 0;
	else if (!undo->redoing && undo->redo_steps.count > 0)
	{
		(void) !crdt_transaction_nest(doc, release_redo_steps, undo);
		free_steps(undo, &undo->redo_steps);
	}
	if (!take_insertions(undo, &step.insertions) || !take_deletions(undo, &step.deletions) ||
		!add_step(undo, undo->undoing ? &undo->redo_steps : &undo->undo_steps, &step, now_ms))
	{
		free_step(undo, &step);
		free_steps(undo, &undo->undo_steps);
		free_steps(undo, &undo->redo_steps);
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

/* ---- bringing back ---- */

/* One step while it is taken back. */
typedef struct Popping
{
	CrdtUndo *undo;
	CrdtEditing *edit;
	const Step *step;
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

	return redone == CRDT_PACKED_NONE ? 0 : clean_start(edit, crdt_unpack(edit->doc, redone));
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
		ranges_hold(&popping->step->insertions, place))
		return true;
	for (size_t i = 0; i < undo->undo_steps.count; i++)
		if (ranges_hold(&undo->undo_steps.list[i].deletions, place))
			return true;
	for (size_t i = 0; i < undo->redo_steps.count; i++)
		if (ranges_hold(&undo->redo_steps.list[i].deletions, place))
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
	if (crdt_content_has_piece(item))
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
	keep(doc, copy, true);
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
	if (!crdt_array_reserve(host_of(popping->undo), list, capacity, *count + 1, sizeof(CrdtRef)))
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
	ref = clean_start(edit, place);
	place.clock += length;
	if (popping->undo->chooses_updates && ref != 0 && end_of(doc, ref) > place.clock)
		(void) clean_start(edit, place);
	return ref;
}

static void
collect(Popping *popping)
{
	CrdtDoc *doc = popping->undo->doc;
	Walk inserted = {.edit = popping->edit, .ranges = &popping->step->insertions};
	Walk deleted = {.edit = popping->edit, .ranges = &popping->step->deletions};
	CrdtRef ref;

	while ((ref = walk_next(&inserted)) != 0)
	{
		if (crdt_item(doc, ref)->kind == CRDT_GC)
			continue;
		ref = newest(popping, ref);
		if (ref != 0 && !crdt_item(doc, ref)->deleted &&
			item_in_scope(popping->undo, crdt_item(doc, ref)) &&
			!add_ref(popping, &popping->to_delete, &popping->delete_count,
					 &popping->delete_capacity, ref))
			return;
	}
	while ((ref = walk_next(&deleted)) != 0)
	{
		const CrdtItem *item = crdt_item(doc, ref);

		if (item->kind != CRDT_GC && item_in_scope(popping->undo, item) &&
			!ranges_hold(&popping->step->insertions, crdt_unpack(doc, item->id)) &&
			!add_ref(popping, &popping->to_redo, &popping->redo_count, &popping->redo_capacity,
					 ref))
			return;
	}
	if (popping->redo_count == 0)
		return;
	if (!crdt_array_reserve(host_of(popping->undo), &popping->sorted, &popping->sorted_capacity,
							popping->redo_count, sizeof(CrdtRef)))
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
	const CrdtHost *host = host_of(popping->undo);

	crdt_array_free(host, &popping->to_redo, &popping->redo_capacity, sizeof(CrdtRef));
	crdt_array_free(host, &popping->sorted, &popping->sorted_capacity, sizeof(CrdtRef));
	crdt_array_free(host, &popping->to_delete, &popping->delete_capacity, sizeof(CrdtRef));
}

/* Takes back steps from the top until one changes something. */
static CrdtStatus
pop(CrdtUndo *undo, Steps *steps, bool *done, CrdtError *error)
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
			Step step = steps->list[--steps->count];
			Popping popping = {.undo = undo, .edit = &edit, .step = &step};

			take_back(&popping);
			changed = popping.changed;
			free_popping(&popping);
			if (crdt_editing_failed(&edit) && !changed)
				steps->list[steps->count++] = step; /* it can be tried again */
			else
				free_step(undo, &step);
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

void
crdt_undo_clear(CrdtUndo *undo)
{
	CrdtEditing edit;

	if (crdt_editing_open_doc(&edit, undo->doc, NULL, NULL))
	{
		release_steps(&edit, undo, &undo->undo_steps);
		release_steps(&edit, undo, &undo->redo_steps);
	}
	free_steps(undo, &undo->undo_steps);
	free_steps(undo, &undo->redo_steps);
	(void) crdt_editing_close(&edit);
}
