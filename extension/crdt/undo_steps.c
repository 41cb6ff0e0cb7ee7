/*
 * undo_steps.c: steps of undo managers: ranges of clocks that were inserted and deleted (undo_inside.h).
 *
 * Here: making, joining, asking, walking them.  Not here: when a step is noted (undo.c), what is done with it
 * (undo_pop.c).
 */
#include "undo_inside.h"

#include "memory.h"
#include "structs.h"
#include "tables.h"
#include "transaction.h"

/* ---- ranges ---- */

static void
free_ranges(const CrdtUndo *undo, CrdtUndoRanges *ranges)
{
	crdt_array_free(crdt_undo_host(undo), &ranges->list, &ranges->capacity,
					sizeof(CrdtDeletedRange));
	ranges->count = 0;
}

static bool
add_range(const CrdtUndo *undo, CrdtUndoRanges *ranges, CrdtDeletedRange range)
{
	if (!crdt_array_reserve(crdt_undo_host(undo), &ranges->list, &ranges->capacity,
							ranges->count + 1, sizeof(range)))
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
fold(CrdtUndoRanges *ranges, RankedRange *ranked, size_t count)
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

bool
crdt_undo_ranges_merge(const CrdtUndo *undo, CrdtUndoRanges *ranges, const CrdtUndoRanges *more)
{
	const CrdtHost *host = crdt_undo_host(undo);
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

bool
crdt_undo_ranges_hold(const CrdtUndoRanges *ranges, CrdtPlace place)
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

/* ---- of a transaction ---- */

bool
crdt_undo_take_insertions(const CrdtUndo *undo, CrdtUndoRanges *ranges)
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
bool
crdt_undo_take_deletions(const CrdtUndo *undo, CrdtUndoRanges *ranges)
{
	const CrdtDoc *doc = undo->doc;
	const CrdtTransaction *transaction = &doc->transaction;
	size_t capacity = 0;
	RankedRange *ranked = NULL;

	if (transaction->deleted_count == 0)
		return true;
	if (!crdt_array_reserve(crdt_undo_host(undo), &ranked, &capacity, transaction->deleted_count,
							sizeof(RankedRange)))
		return false;
	for (size_t i = 0; i < transaction->deleted_count; i++)
		ranked[i] = (RankedRange){transaction->deleted[i],
								  doc->clients[transaction->deleted[i].client].rank};
	if (crdt_array_reserve(crdt_undo_host(undo), &ranges->list, &ranges->capacity,
						   transaction->deleted_count, sizeof(CrdtDeletedRange)))
		fold(ranges, ranked, transaction->deleted_count);
	crdt_array_free(crdt_undo_host(undo), &ranked, &capacity, sizeof(RankedRange));
	return ranges->capacity > 0;
}

/* ---- steps ---- */

void
crdt_undo_step_free(const CrdtUndo *undo, CrdtUndoStep *step)
{
	free_ranges(undo, &step->insertions);
	free_ranges(undo, &step->deletions);
}

void
crdt_undo_steps_free(const CrdtUndo *undo, CrdtUndoSteps *steps)
{
	for (size_t i = 0; i < steps->count; i++)
		crdt_undo_step_free(undo, &steps->list[i]);
	crdt_array_free(crdt_undo_host(undo), &steps->list, &steps->capacity, sizeof(CrdtUndoStep));
	steps->count = 0;
}

/* ---- walking ranges, cutting items at their ends ---- */

CrdtRef
crdt_undo_clean_start(CrdtEditing *edit, CrdtPlace place)
{
	CrdtDoc *doc = edit->doc;
	CrdtRef ref = crdt_structs_get(doc, place);
	uint64_t clock = crdt_unpack(doc, crdt_item(doc, ref)->id).clock;

	if (clock == place.clock || crdt_item(doc, ref)->kind == CRDT_GC)
		return ref;
	crdt_editing_cut(edit, ref, place.clock - clock);
	return crdt_editing_failed(edit) ? 0 : crdt_structs_get(doc, place);
}

uint64_t
crdt_undo_end_of(const CrdtDoc *doc, CrdtRef ref)
{
	const CrdtItem *item = crdt_item(doc, ref);

	return crdt_unpack(doc, item->id).clock + crdt_item_length(item);
}

CrdtRef
crdt_undo_walk_next(CrdtUndoWalk *walk)
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
	ref = crdt_undo_clean_start(walk->edit, (CrdtPlace){walk->clock, walk->client});
	if (ref == 0)
		return 0;
	if (crdt_undo_end_of(doc, ref) > walk->end)
		(void) crdt_undo_clean_start(walk->edit, (CrdtPlace){walk->end, walk->client});
	if (crdt_editing_failed(walk->edit))
		return 0;
	walk->clock = crdt_undo_end_of(doc, ref);
	return ref;
}
