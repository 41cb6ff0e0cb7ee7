/*
 * index.c: finding places with blocks of items, and keeping these right (index.h).
 *
 * A search adds up the units of groups, of a group's blocks, of a block's items: of a few hundred
 * things in a list of a million items.  Edits come close together, so it first tries the block, and in
 * that the item, where the last search ended.  Telling never allocates: a block that grew too large is
 * halved by the next search.
 *
 * Not here: making blocks and groups, and their format marks (index_blocks.c).
 */
#include "index.h"

#include "index_blocks.h"
#include "structs.h"

/* A list is indexed when it has more items than this. */
#define WALK_MAX 96
/* An index with more empty blocks than these and those with items is made anew. */
#define EMPTY_BLOCKS_MAX 64
/* Changes so many items away from the finger are still known to be before or behind it. */
#define FINGER_REACH 8

static CrdtIndex *
index_of(const CrdtDoc *doc, uint32_t list)
{
	uint32_t number = doc->lists[list].index;

	return number == 0 ? NULL : doc->indexes[number - 1];
}

static CrdtIndexBlock *
block_of(const CrdtDoc *doc, const CrdtIndex *index, CrdtRef ref)
{
	return &index->blocks[doc->block_of[ref]];
}

/* ---- memory ---- */

bool
crdt_index_reserve(CrdtDoc *doc)
{
	return doc->index_count == 0 ||
		   crdt_array_reserve(&doc->host, &doc->block_of, &doc->block_of_capacity,
							  doc->items.chunk_count << CRDT_ITEM_CHUNK_BITS, sizeof(uint32_t));
}

void
crdt_index_drop(CrdtDoc *doc, uint32_t list)
{
	CrdtIndex *index = index_of(doc, list);
	uint32_t number = doc->lists[list].index;

	if (index == NULL)
		return;
	crdt_index_blocks_free(doc, index);
	doc->lists[list].index = 0;
	doc->indexes[number - 1] = doc->indexes[--doc->index_count];
	if (number - 1 < doc->index_count)
		doc->lists[doc->indexes[number - 1]->list].index = number;
}

void
crdt_index_free(CrdtDoc *doc)
{
	while (doc->index_count > 0)
		crdt_index_drop(doc, doc->indexes[doc->index_count - 1]->list);
	crdt_array_free(&doc->host, &doc->indexes, &doc->index_capacity, sizeof(CrdtIndex *));
	crdt_array_free(&doc->host, &doc->block_of, &doc->block_of_capacity, sizeof(uint32_t));
}

size_t
crdt_index_bytes(const CrdtDoc *doc)
{
	size_t bytes =
		doc->index_capacity * sizeof(CrdtIndex *) + doc->block_of_capacity * sizeof(uint32_t);

	for (size_t i = 0; i < doc->index_count; i++)
		bytes += crdt_index_blocks_bytes(doc->indexes[i]);
	return bytes;
}

/* ---- making ---- */

/* NULL: no memory; the list does without. */
static CrdtIndex *
make_index(CrdtDoc *doc, uint32_t list)
{
	CrdtIndex *index;

	if (!crdt_array_reserve(&doc->host, &doc->block_of, &doc->block_of_capacity,
							doc->items.chunk_count << CRDT_ITEM_CHUNK_BITS, sizeof(uint32_t)) ||
		!crdt_array_reserve(&doc->host, &doc->indexes, &doc->index_capacity, doc->index_count + 1,
							sizeof(CrdtIndex *)))
		return NULL;
	index = crdt_index_blocks_new(doc, list);
	if (index == NULL)
		return NULL;
	doc->indexes[doc->index_count++] = index;
	doc->lists[list].index = (uint32_t) doc->index_count;
	return index;
}

/* The list's index, if it is long enough to have one. */
static CrdtIndex *
find_index(CrdtDoc *doc, uint32_t list)
{
	CrdtIndex *index = index_of(doc, list);
	CrdtRef ref = doc->lists[list].first;

	for (int i = 0; index == NULL && ref != 0; i++)
	{
		if (i == WALK_MAX)
			return make_index(doc, list);
		ref = crdt_item(doc, ref)->right;
	}
	if (index == NULL)
		return NULL;
	if (index->empty_count > EMPTY_BLOCKS_MAX && index->empty_count > index->block_count / 2)
	{
		crdt_index_drop(doc, list);
		return make_index(doc, list);
	}
	crdt_index_blocks_halve(doc, index);
	return index;
}

/* ---- asking ---- */

/* Is the place in the hinted block? */
static bool
hint_holds(const CrdtIndex *index, uint64_t units)
{
	return index->hint != 0 && index->hint_units < units &&
		   units - index->hint_units <= index->blocks[index->hint].units;
}

/* Moves the hint to the first block with which the units reach units (> 0), or to the last one. */
static void
move_hint(CrdtIndex *index, uint64_t units)
{
	uint64_t before = 0;
	size_t at = 0;
	uint32_t place = 0;
	const CrdtIndexGroup *group;

	if (hint_holds(index, units))
		return;
	if (units <= index->units / 2)
		while (at + 1 < index->group_count && before + index->groups[at].units < units)
			before += index->groups[at++].units;
	else
	{
		at = index->group_count - 1;
		before = index->units - index->groups[at].units;
		while (at > 0 && before >= units)
			before -= index->groups[--at].units;
	}
	group = &index->groups[at];
	while (place + 1 < group->count && before + index->blocks[group->blocks[place]].units < units)
		before += index->blocks[group->blocks[place++]].units;
	index->hint = group->blocks[place];
	index->hint_units = before;
}

/* The item of a block that holds the block's unit number units (> 0), and the units before it.  Edits
 * come close together: the walk begins where the last one ended, if that is nearer than the start. */
static CrdtIndexPlace
walk_block(const CrdtDoc *doc, CrdtIndex *index, const CrdtIndexBlock *block, uint64_t units)
{
	CrdtIndexPlace place = {block->first, 0};
	const CrdtItem *item;

	if (index->finger != 0 && block_of(doc, index, index->finger) == block &&
		index->finger_units / 2 < units)
		place = (CrdtIndexPlace){index->finger, index->finger_units};
	item = crdt_item(doc, place.item);
	while (place.units >= units)
	{
		place.item = item->left;
		item = crdt_item(doc, place.item);
		place.units -= crdt_item_units(item);
	}
	while (place.units + crdt_item_units(item) < units)
	{
		place.units += crdt_item_units(item);
		place.item = item->right;
		item = crdt_item(doc, place.item);
	}
	index->finger = place.item;
	index->finger_units = place.units;
	return place;
}

CrdtIndexPlace
crdt_index_seek(CrdtDoc *doc, uint32_t list, uint64_t index_units, CrdtMarks *marks,
				CrdtArena *arena)
{
	CrdtIndexPlace start = {doc->lists[list].first, 0};
	CrdtIndex *index = index_units == 0 ? NULL : find_index(doc, list);
	const CrdtIndexBlock *block;

	if (index == NULL)
		return start;
	move_hint(index, index_units);
	block = &index->blocks[index->hint];
	if (block->first == 0 ||
		(marks != NULL && !crdt_index_blocks_marks(doc, index, index->hint, marks, arena)))
		return start;
	start = (CrdtIndexPlace){block->first, 0};
	/* marks have to be passed one by one */
	if ((marks == NULL || block->marks == 0) && index_units - index->hint_units <= block->units)
		start = walk_block(doc, index, block, index_units - index->hint_units);
	start.units += index->hint_units;
	return start;
}

uint64_t
crdt_index_units_before(CrdtDoc *doc, uint32_t list, CrdtRef ref)
{
	CrdtIndex *index = find_index(doc, list);
	CrdtRef at = doc->lists[list].first;
	uint64_t units = 0;

	if (index != NULL)
	{
		uint32_t number = doc->block_of[ref];
		const CrdtIndexGroup *group = &index->groups[index->blocks[number].group];

		at = index->blocks[number].first;
		for (size_t i = 0; i < index->blocks[number].group; i++)
			units += index->groups[i].units;
		for (uint32_t i = 0; group->blocks[i] != number; i++)
			units += index->blocks[group->blocks[i]].units;
	}
	for (; at != ref; at = crdt_item(doc, at)->right)
		units += crdt_item_units(crdt_item(doc, at));
	return units;
}

/* ---- telling ---- */

/* Units of a block become more or fewer. */
static void
change_units(CrdtIndex *index, CrdtIndexBlock *block, uint64_t more, uint64_t fewer)
{
	if (more == fewer)
		return;
	block->units += more - fewer;
	index->groups[block->group].units += more - fewer;
	index->units += more - fewer;
	/* it may stand before the hint */
	if (index->hint != 0 && block != &index->blocks[index->hint])
		index->hint = 0;
}

/* So do its visible format marks. */
static void
change_marks(CrdtIndex *index, CrdtIndexBlock *block, uint32_t more, uint32_t fewer)
{
	CrdtIndexGroup *group = &index->groups[block->group];

	block->marks += more - fewer;
	group->marks += more - fewer;
	index->marks += more;
	index->marks -= fewer;
	block->summary.is_made = false;
	group->summary.is_made = false;
}

/* Units of an item, not the finger, become more or fewer: that item is looked for near the finger. */
static void
keep_finger(const CrdtDoc *doc, CrdtIndex *index, CrdtRef ref, uint64_t more, uint64_t fewer)
{
	CrdtRef left = ref;
	CrdtRef right = ref;

	if (index->finger == 0 || doc->block_of[index->finger] != doc->block_of[ref])
		return;
	for (int i = 0; i < FINGER_REACH; i++)
	{
		left = left == 0 ? 0 : crdt_item(doc, left)->left;
		right = right == 0 ? 0 : crdt_item(doc, right)->right;
		if (left == index->finger)
			return;
		if (right == index->finger)
		{
			index->finger_units += more - fewer;
			return;
		}
	}
	index->finger = 0;
}

/* right is going to be a part of left, which may be of the block before. */
static void
join_finger(const CrdtDoc *doc, CrdtIndex *index, CrdtRef left, CrdtRef right)
{
	if (index->finger == right)
		index->finger = 0;
	else if (index->finger != 0 && doc->block_of[left] != doc->block_of[right] &&
			 doc->block_of[index->finger] == doc->block_of[right])
		index->finger_units -= crdt_item_units(crdt_item(doc, right));
}

void
crdt_index_linked(CrdtDoc *doc, CrdtRef ref)
{
	const CrdtItem *item = crdt_item(doc, ref);
	CrdtIndex *index = index_of(doc, item->list);
	CrdtRef neighbour = item->left != 0 ? item->left : item->right;
	CrdtIndexBlock *block;

	if (index == NULL)
		return;
	if (neighbour == 0)
	{
		crdt_index_drop(doc, item->list);
		return;
	}
	block = block_of(doc, index, neighbour);
	if (item->left == 0)
		block->first = ref;
	block->items++;
	if (crdt_item_is_mark(item))
		change_marks(index, block, 1, 0);
	doc->block_of[ref] = doc->block_of[neighbour];
	change_units(index, block, crdt_item_units(item), 0);
	keep_finger(doc, index, ref, crdt_item_units(item), 0);
	crdt_index_blocks_note_size(index, block);
}

void
crdt_index_cut(CrdtDoc *doc, CrdtRef left, CrdtRef right)
{
	CrdtIndex *index = index_of(doc, crdt_item(doc, left)->list);
	CrdtIndexBlock *block;

	if (index == NULL)
		return;
	block = block_of(doc, index, left);
	block->items++;
	doc->block_of[right] = doc->block_of[left];
	crdt_index_blocks_note_size(index, block);
}

void
crdt_index_joining(CrdtDoc *doc, CrdtRef left, CrdtRef right)
{
	const CrdtItem *item = crdt_item(doc, right);
	CrdtIndex *index = index_of(doc, item->list);
	CrdtIndexBlock *block;

	if (index == NULL)
		return;
	join_finger(doc, index, left, right);
	block = block_of(doc, index, right);
	block->items--;
	index->empty_count += block->items == 0;
	if (block->first == right)
		block->first = block->items > 0 ? item->right : 0;
	if (block == block_of(doc, index, left))
		return;
	change_units(index, block, 0, crdt_item_units(item));
	change_units(index, block_of(doc, index, left), crdt_item_units(item), 0);
}

void
crdt_index_deleted(CrdtDoc *doc, CrdtRef ref)
{
	const CrdtItem *item = crdt_item(doc, ref);
	CrdtIndex *index = index_of(doc, item->list);
	CrdtIndexBlock *block;

	if (index == NULL)
		return;
	block = block_of(doc, index, ref);
	if (item->kind == CRDT_FORMAT_MARK)
		change_marks(index, block, 0, 1);
	else if (crdt_item_is_countable(item))
	{
		change_units(index, block, 0, item->length);
		if (ref != index->finger)
			keep_finger(doc, index, ref, 0, item->length);
	}
}
