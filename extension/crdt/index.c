/*
 * index.c: blocks of items per long list (index.h).
 *
 * A block is a run of a list: its first item, how many there are, the units they show, and a
 * summary of their format marks, made when it is asked for.  Blocks stand in an array in the list's
 * order; a search adds up units from the block that the last search ended in, since edits come
 * close together.  Telling never allocates: a block that grew too large is halved by the next search.
 */
#include "index.h"

#include <string.h>

#include "structs.h"

/* A list is indexed when it has more items than this. */
#define WALK_MAX 192
#define BLOCK_ITEMS 64
#define BLOCK_ITEMS_MAX 256
/* Changes so many items away from the finger are still known to be before or behind it. */
#define FINGER_REACH 8

/* What a block does to the marks in force: for each key the marks that count, in order. */
typedef struct Summary
{
	CrdtRef *marks;
	size_t count;
	size_t capacity;
	bool is_made;
} Summary;

typedef struct Block
{
	CrdtRef first; /* 0: empty */
	uint32_t items;
	uint32_t marks; /* visible format marks */
	uint32_t at; /* its place in the order */
	uint64_t units;
	Summary summary;
} Block;

/* The index of one list. */
struct CrdtIndex
{
	Block *blocks; /* by number; number 0 is none */
	size_t block_count;
	size_t block_capacity;
	uint32_t *order; /* numbers of blocks */
	size_t order_count;
	size_t order_capacity;
	size_t hint; /* a place in order, and the units before it */
	uint64_t hint_units;
	CrdtRef finger; /* where the last search ended in its block; 0: not known */
	uint64_t finger_units; /* of its block, before it */
	uint32_t list;
	bool has_large; /* a block wants to be halved */
};

static CrdtIndex *
index_of(const CrdtDoc *doc, uint32_t list)
{
	uint32_t number = doc->lists[list].index;

	return number == 0 ? NULL : doc->indexes[number - 1];
}

static bool
is_visible_mark(const CrdtItem *item)
{
	return !item->deleted && item->kind == CRDT_FORMAT_MARK;
}

static uint64_t
units_of(const CrdtItem *item)
{
	return item->deleted || !crdt_item_is_countable(item) ? 0 : item->length;
}

static Block *
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

static void
free_index(CrdtDoc *doc, CrdtIndex *index)
{
	for (size_t i = 1; i < index->block_count; i++)
		crdt_array_free(&doc->host, &index->blocks[i].summary.marks,
						&index->blocks[i].summary.capacity, sizeof(CrdtRef));
	crdt_array_free(&doc->host, &index->blocks, &index->block_capacity, sizeof(Block));
	crdt_array_free(&doc->host, &index->order, &index->order_capacity, sizeof(uint32_t));
	doc->host.resize(doc->host.context, index, sizeof(*index), 0);
}

void
crdt_index_drop(CrdtDoc *doc, uint32_t list)
{
	CrdtIndex *index = index_of(doc, list);
	uint32_t number = doc->lists[list].index;

	if (index == NULL)
		return;
	free_index(doc, index);
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
	{
		const CrdtIndex *index = doc->indexes[i];

		bytes += sizeof(*index) + index->block_capacity * sizeof(Block) +
				 index->order_capacity * sizeof(uint32_t);
		for (size_t block = 1; block < index->block_count; block++)
			bytes += index->blocks[block].summary.capacity * sizeof(CrdtRef);
	}
	return bytes;
}

/* ---- making ---- */

/* A block without items, at that place of the order. */
static Block *
insert_block(CrdtDoc *doc, CrdtIndex *index, size_t at)
{
	Block *block;

	if (index->block_count == 0)
		index->block_count = 1;
	if (!crdt_array_reserve(&doc->host, &index->blocks, &index->block_capacity,
							index->block_count + 1, sizeof(Block)) ||
		!crdt_array_reserve(&doc->host, &index->order, &index->order_capacity,
							index->order_count + 1, sizeof(uint32_t)))
		return NULL;
	memmove(index->order + at + 1, index->order + at, (index->order_count - at) * sizeof(uint32_t));
	index->order_count++;
	index->order[at] = (uint32_t) index->block_count++;
	for (size_t i = at + 1; i < index->order_count; i++)
		index->blocks[index->order[i]].at = (uint32_t) i;
	block = &index->blocks[index->order[at]];
	*block = (Block){.at = (uint32_t) at};
	return block;
}

static void
put_item(CrdtDoc *doc, CrdtIndex *index, Block *block, CrdtRef ref)
{
	const CrdtItem *item = crdt_item(doc, ref);

	if (block->first == 0)
		block->first = ref;
	block->items++;
	block->units += units_of(item);
	block->marks += is_visible_mark(item);
	doc->block_of[ref] = (uint32_t) (block - index->blocks);
}

static bool
fill_index(CrdtDoc *doc, CrdtIndex *index)
{
	Block *block = NULL;

	for (CrdtRef ref = doc->lists[index->list].first; ref != 0; ref = crdt_item(doc, ref)->right)
	{
		if (block == NULL || block->items == BLOCK_ITEMS)
		{
			block = insert_block(doc, index, index->order_count);
			if (block == NULL)
				return false;
		}
		put_item(doc, index, block, ref);
	}
	return true;
}

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
	index = doc->host.resize(doc->host.context, NULL, 0, sizeof(CrdtIndex));
	if (index == NULL)
		return NULL;
	memset(index, 0, sizeof(*index));
	index->list = list;
	if (!fill_index(doc, index))
	{
		free_index(doc, index);
		return NULL;
	}
	doc->indexes[doc->index_count++] = index;
	doc->lists[list].index = (uint32_t) doc->index_count;
	return index;
}

/* Moves the second half of a block that has grown into a new one. */
static void
halve(CrdtDoc *doc, CrdtIndex *index, uint32_t number)
{
	uint32_t kept = index->blocks[number].items / 2;
	uint32_t moved = index->blocks[number].items - kept;
	CrdtRef ref = index->blocks[number].first;
	Block *right = insert_block(doc, index, index->blocks[number].at + 1);
	Block *left = &index->blocks[number];

	if (right == NULL)
		return;
	while (kept-- > 0)
		ref = crdt_item(doc, ref)->right;
	for (; right->items < moved; ref = crdt_item(doc, ref)->right)
		put_item(doc, index, right, ref);
	left->items -= right->items;
	left->units -= right->units;
	left->marks -= right->marks;
	left->summary.is_made = false;
}

static void
halve_large(CrdtDoc *doc, CrdtIndex *index)
{
	size_t count = index->block_count;

	if (!index->has_large)
		return;
	index->has_large = false;
	index->hint = 0;
	index->hint_units = 0;
	index->finger = 0;
	for (size_t i = 1; i < count; i++)
		while (index->blocks[i].items > BLOCK_ITEMS_MAX)
		{
			uint32_t items = index->blocks[i].items;

			halve(doc, index, (uint32_t) i);
			if (index->blocks[i].items == items)
				return;
		}
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
	if (index != NULL)
		halve_large(doc, index);
	return index;
}

/* ---- marks ---- */

/* Takes a mark of the block into its summary: of each key the newest null, and of the marks behind
 * that the first, whose place counts, with the last, whose value counts. */
static bool
summarize_mark(CrdtDoc *doc, Summary *summary, CrdtRef ref)
{
	const CrdtItem *item = crdt_item(doc, ref);
	uint32_t key = crdt_item_mark(item).key;
	size_t at = 0;

	if (crdt_value_is_null(crdt_item_mark(item).value))
	{
		for (size_t i = 0; i < summary->count; i++)
			if (crdt_item_mark(crdt_item(doc, summary->marks[i])).key != key)
				summary->marks[at++] = summary->marks[i];
		summary->count = at;
	}
	else
		for (; at < summary->count; at++)
		{
			CrdtMark mark = crdt_item_mark(crdt_item(doc, summary->marks[at]));

			if (mark.key == key && !crdt_value_is_null(mark.value))
			{
				summary->marks[at] = ref;
				return true;
			}
		}
	if (!crdt_array_reserve(&doc->host, &summary->marks, &summary->capacity, summary->count + 1,
							sizeof(CrdtRef)))
		return false;
	summary->marks[summary->count++] = ref;
	return true;
}

static bool
make_summary(CrdtDoc *doc, Block *block)
{
	CrdtRef ref = block->first;

	if (block->summary.is_made)
		return true;
	block->summary.count = 0;
	for (uint32_t i = 0; i < block->items; i++, ref = crdt_item(doc, ref)->right)
		if (is_visible_mark(crdt_item(doc, ref)) && !summarize_mark(doc, &block->summary, ref))
			return false;
	block->summary.is_made = true;
	return true;
}

/* The marks in force behind the first count blocks. */
static bool
add_up_marks(CrdtDoc *doc, CrdtIndex *index, size_t count, CrdtMarks *marks, CrdtArena *arena)
{
	marks->count = 0;
	for (size_t i = 0; i < count; i++)
	{
		Block *block = &index->blocks[index->order[i]];

		if (block->marks == 0)
			continue;
		if (!make_summary(doc, block) ||
			!crdt_marks_reserve(marks, arena, marks->count + block->summary.count))
		{
			marks->count = 0;
			return false;
		}
		for (size_t at = 0; at < block->summary.count; at++)
			crdt_marks_pass(marks, crdt_item(doc, block->summary.marks[at]));
	}
	return true;
}

/* ---- asking ---- */

/* Moves the hint to the first block with which the units reach index (> 0). */
static void
move_hint(CrdtIndex *index, uint64_t index_units)
{
	while (index->hint > 0 && index->hint_units >= index_units)
		index->hint_units -= index->blocks[index->order[--index->hint]].units;
	while (index->hint + 1 < index->order_count &&
		   index->hint_units + index->blocks[index->order[index->hint]].units < index_units)
		index->hint_units += index->blocks[index->order[index->hint++]].units;
}

/* The item of a block that holds the block's unit number units (> 0), and the units before it.  Edits
 * come close together: the walk begins where the last one ended, if that is nearer than the start. */
static CrdtIndexPlace
walk_block(const CrdtDoc *doc, CrdtIndex *index, const Block *block, uint64_t units)
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
		place.units -= units_of(item);
	}
	while (place.units + units_of(item) < units)
	{
		place.units += units_of(item);
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
	const Block *block;

	if (index == NULL)
		return start;
	move_hint(index, index_units);
	block = &index->blocks[index->order[index->hint]];
	if (block->first == 0 ||
		(marks != NULL && !add_up_marks(doc, index, index->hint, marks, arena)))
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
		const Block *block = block_of(doc, index, ref);

		at = block->first;
		for (uint32_t i = 0; i < block->at; i++)
			units += index->blocks[index->order[i]].units;
	}
	for (; at != ref; at = crdt_item(doc, at)->right)
		units += units_of(crdt_item(doc, at));
	return units;
}

/* ---- telling ---- */

/* Units of a block become more or fewer. */
static void
change_units(CrdtIndex *index, Block *block, uint64_t more, uint64_t fewer)
{
	block->units += more - fewer;
	if (block->at < index->hint)
		index->hint_units += more - fewer;
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
	bool is_one_block = doc->block_of[left] == doc->block_of[right];

	if (index->finger == right)
	{
		index->finger = is_one_block ? left : 0;
		index->finger_units -= units_of(crdt_item(doc, left));
	}
	else if (!is_one_block && index->finger != 0 &&
			 doc->block_of[index->finger] == doc->block_of[right])
		index->finger_units -= units_of(crdt_item(doc, right));
}

static void
note_size(CrdtIndex *index, const Block *block)
{
	index->has_large |= block->items > BLOCK_ITEMS_MAX;
}

void
crdt_index_linked(CrdtDoc *doc, CrdtRef ref)
{
	const CrdtItem *item = crdt_item(doc, ref);
	CrdtIndex *index = index_of(doc, item->list);
	CrdtRef neighbour = item->left != 0 ? item->left : item->right;
	Block *block;

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
	block->marks += is_visible_mark(item);
	block->summary.is_made &= !is_visible_mark(item);
	doc->block_of[ref] = doc->block_of[neighbour];
	change_units(index, block, units_of(item), 0);
	keep_finger(doc, index, ref, units_of(item), 0);
	note_size(index, block);
}

void
crdt_index_cut(CrdtDoc *doc, CrdtRef left, CrdtRef right)
{
	CrdtIndex *index = index_of(doc, crdt_item(doc, left)->list);
	Block *block;

	if (index == NULL)
		return;
	block = block_of(doc, index, left);
	block->items++;
	doc->block_of[right] = doc->block_of[left];
	note_size(index, block);
}

void
crdt_index_joining(CrdtDoc *doc, CrdtRef left, CrdtRef right)
{
	const CrdtItem *item = crdt_item(doc, right);
	CrdtIndex *index = index_of(doc, item->list);
	Block *block;

	if (index == NULL)
		return;
	join_finger(doc, index, left, right);
	block = block_of(doc, index, right);
	block->items--;
	if (block->first == right)
		block->first = block->items > 0 ? item->right : 0;
	if (block == block_of(doc, index, left))
		return;
	change_units(index, block, 0, units_of(item));
	change_units(index, block_of(doc, index, left), units_of(item), 0);
}

void
crdt_index_deleted(CrdtDoc *doc, CrdtRef ref)
{
	const CrdtItem *item = crdt_item(doc, ref);
	CrdtIndex *index = index_of(doc, item->list);
	Block *block;

	if (index == NULL)
		return;
	block = block_of(doc, index, ref);
	if (item->kind == CRDT_FORMAT_MARK)
	{
		block->marks--;
		block->summary.is_made = false;
	}
	else if (crdt_item_is_countable(item))
	{
		change_units(index, block, 0, item->length);
		if (ref != index->finger)
			keep_finger(doc, index, ref, 0, item->length);
	}
}
