/*
 * index.c: blocks of items per long list (index.h).
 *
 *     groups     32 blocks, 9,214 units     | 57 blocks, 12,110 units | ...      in the list's order
 *     blocks     24 items, 301 units | ...
 *     items      h e l l o ...                        each knows its block, and a block its group
 *
 * A block is a run of a list: its first item, how many there are, the units they show, and a summary
 * of their format marks, made when it is asked for; a group is a run of blocks.  A search adds up the
 * units of groups, of a group's blocks, of a block's items: of a few hundred things in a list of a
 * million items.  Edits come close together, so it first tries the block, and in that the item, where
 * the last search ended.  Telling never allocates: a block that grew too large is halved by the next
 * search.
 */
#include "index.h"

#include <string.h>

#include "structs.h"

/* A list is indexed when it has more items than this. */
#define WALK_MAX 96
#define BLOCK_ITEMS 16
#define BLOCK_ITEMS_MAX 32
#define GROUP_BLOCKS 32
#define GROUP_BLOCKS_MAX 64
/* An index with more empty blocks than these and those with items is made anew. */
#define EMPTY_BLOCKS_MAX 64
/* Changes so many items away from the finger are still known to be before or behind it. */
#define FINGER_REACH 8

/* What a run does to the marks in force: for each key the marks that count, in order. */
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
	uint32_t group;
	uint64_t units;
	Summary summary;
} Block;

typedef struct Group
{
	uint32_t *blocks; /* numbers, GROUP_BLOCKS_MAX of them */
	uint32_t count;
	uint32_t marks;
	uint64_t units;
	Summary summary;
} Group;

/* The index of one list. */
struct CrdtIndex
{
	Block *blocks; /* by number; number 0 is none */
	size_t block_count;
	size_t block_capacity;
	Group *groups; /* in the list's order */
	size_t group_count;
	size_t group_capacity;
	uint32_t
		hint; /* the block that the last search ended in, 0: not known; and the units before it */
	uint64_t hint_units;
	CrdtRef finger; /* the item that it ended in, 0: not known */
	uint64_t finger_units; /* of its block, before it */
	uint64_t units; /* of all groups */
	uint64_t marks;
	size_t empty_count; /* blocks without items */
	uint32_t list;
	uint32_t large; /* a block that wants to be halved; 0: none */
	bool more_are_large;
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
free_summary(CrdtDoc *doc, Summary *summary)
{
	crdt_array_free(&doc->host, &summary->marks, &summary->capacity, sizeof(CrdtRef));
}

static void
free_index(CrdtDoc *doc, CrdtIndex *index)
{
	const CrdtHost *host = &doc->host;

	for (size_t i = 1; i < index->block_count; i++)
		free_summary(doc, &index->blocks[i].summary);
	for (size_t i = 0; i < index->group_count; i++)
	{
		free_summary(doc, &index->groups[i].summary);
		host->resize(host->context, index->groups[i].blocks, GROUP_BLOCKS_MAX * sizeof(uint32_t),
					 0);
	}
	crdt_array_free(host, &index->blocks, &index->block_capacity, sizeof(Block));
	crdt_array_free(host, &index->groups, &index->group_capacity, sizeof(Group));
	host->resize(host->context, index, sizeof(*index), 0);
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
				 index->group_capacity * sizeof(Group);
		for (size_t block = 1; block < index->block_count; block++)
			bytes += index->blocks[block].summary.capacity * sizeof(CrdtRef);
		for (size_t group = 0; group < index->group_count; group++)
			bytes += GROUP_BLOCKS_MAX * sizeof(uint32_t) +
					 index->groups[group].summary.capacity * sizeof(CrdtRef);
	}
	return bytes;
}

/* ---- making ---- */

/* A group without blocks, at that place of the order.  False: no memory. */
static bool
insert_group(CrdtDoc *doc, CrdtIndex *index, size_t at)
{
	const CrdtHost *host = &doc->host;
	uint32_t *blocks;

	if (!crdt_array_reserve(host, &index->groups, &index->group_capacity, index->group_count + 1,
							sizeof(Group)))
		return false;
	blocks = host->resize(host->context, NULL, 0, GROUP_BLOCKS_MAX * sizeof(uint32_t));
	if (blocks == NULL)
		return false;
	memmove(index->groups + at + 1, index->groups + at, (index->group_count - at) * sizeof(Group));
	index->group_count++;
	index->groups[at] = (Group){.blocks = blocks};
	for (size_t i = at + 1; i < index->group_count; i++)
		for (uint32_t k = 0; k < index->groups[i].count; k++)
			index->blocks[index->groups[i].blocks[k]].group = (uint32_t) i;
	return true;
}

/* Moves the second half of a group into a new one behind it.  False: no memory. */
static bool
halve_group(CrdtDoc *doc, CrdtIndex *index, size_t at)
{
	Group *left;
	Group *right;

	if (!insert_group(doc, index, at + 1))
		return false;
	left = &index->groups[at];
	right = left + 1;
	right->count = left->count / 2;
	left->count -= right->count;
	memcpy(right->blocks, left->blocks + left->count, right->count * sizeof(uint32_t));
	for (uint32_t i = 0; i < right->count; i++)
	{
		Block *block = &index->blocks[right->blocks[i]];

		block->group = (uint32_t) at + 1;
		right->units += block->units;
		right->marks += block->marks;
	}
	left->units -= right->units;
	left->marks -= right->marks;
	left->summary.is_made = false;
	return true;
}

static uint32_t
place_in_group(const Group *group, uint32_t number)
{
	uint32_t at = 0;

	while (group->blocks[at] != number)
		at++;
	return at;
}

/* A block without items, behind block number before, or at the very end (0).  0: no memory. */
static uint32_t
insert_block(CrdtDoc *doc, CrdtIndex *index, uint32_t before)
{
	size_t most = before == 0 ? GROUP_BLOCKS : GROUP_BLOCKS_MAX;
	size_t at = before == 0 ? index->group_count - 1 : index->blocks[before].group;
	uint32_t number = index->block_count == 0 ? 1 : (uint32_t) index->block_count;
	uint32_t place;
	Group *group;

	if (!crdt_array_reserve(&doc->host, &index->blocks, &index->block_capacity, (size_t) number + 1,
							sizeof(Block)))
		return 0;
	if (before == 0 && (index->group_count == 0 || index->groups[at].count == most))
	{
		at = index->group_count;
		if (!insert_group(doc, index, at))
			return 0;
	}
	else if (index->groups[at].count == most)
	{
		if (!halve_group(doc, index, at))
			return 0;
		at = index->blocks[before].group;
	}
	group = &index->groups[at];
	place = before == 0 ? group->count : place_in_group(group, before) + 1;
	memmove(group->blocks + place + 1, group->blocks + place,
			(group->count - place) * sizeof(uint32_t));
	group->blocks[place] = number;
	group->count++;
	index->blocks[number] = (Block){.group = (uint32_t) at};
	index->block_count = (size_t) number + 1;
	return number;
}

/* Adds the next item of the list to a block; its group and the index are told by whoever calls. */
static void
put_item(CrdtDoc *doc, CrdtIndex *index, uint32_t number, CrdtRef ref)
{
	const CrdtItem *item = crdt_item(doc, ref);
	Block *block = &index->blocks[number];

	if (block->first == 0)
		block->first = ref;
	block->items++;
	block->units += units_of(item);
	block->marks += is_visible_mark(item);
	doc->block_of[ref] = number;
}

static bool
fill_index(CrdtDoc *doc, CrdtIndex *index)
{
	uint32_t number = 0;

	for (CrdtRef ref = doc->lists[index->list].first; ref != 0; ref = crdt_item(doc, ref)->right)
	{
		if (number == 0 || index->blocks[number].items == BLOCK_ITEMS)
		{
			number = insert_block(doc, index, 0);
			if (number == 0)
				return false;
		}
		put_item(doc, index, number, ref);
	}
	for (size_t i = 1; i < index->block_count; i++)
	{
		const Block *block = &index->blocks[i];

		index->groups[block->group].units += block->units;
		index->groups[block->group].marks += block->marks;
		index->units += block->units;
		index->marks += block->marks;
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

/* Moves the second half of a block that has grown into a new one.  False: no memory. */
static bool
halve(CrdtDoc *doc, CrdtIndex *index, uint32_t number)
{
	uint32_t kept = index->blocks[number].items / 2;
	uint32_t moved = index->blocks[number].items - kept;
	CrdtRef ref = index->blocks[number].first;
	uint32_t fresh = insert_block(doc, index, number);
	const Block *right;
	Block *left;

	if (fresh == 0)
		return false;
	while (kept-- > 0)
		ref = crdt_item(doc, ref)->right;
	for (uint32_t i = 0; i < moved; i++, ref = crdt_item(doc, ref)->right)
		put_item(doc, index, fresh, ref);
	/* what they hold together is in their group already */
	left = &index->blocks[number];
	right = &index->blocks[fresh];
	left->items -= right->items;
	left->units -= right->units;
	left->marks -= right->marks;
	left->summary.is_made = false;
	return true;
}

static void
halve_block(CrdtDoc *doc, CrdtIndex *index, uint32_t number)
{
	while (index->blocks[number].items > BLOCK_ITEMS_MAX && halve(doc, index, number))
		;
}

static void
halve_large(CrdtDoc *doc, CrdtIndex *index)
{
	size_t count = index->block_count;

	if (index->large == 0)
		return;
	halve_block(doc, index, index->large);
	for (size_t i = 1; index->more_are_large && i < count; i++)
		halve_block(doc, index, (uint32_t) i);
	index->large = 0;
	index->more_are_large = false;
	index->hint = 0;
	index->finger = 0;
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

/* Takes a block's summary into that of its group. */
static bool
add_summary(CrdtDoc *doc, Summary *summary, const Summary *block)
{
	for (size_t i = 0; i < block->count; i++)
		if (!summarize_mark(doc, summary, block->marks[i]))
			return false;
	return true;
}

static bool
make_group_summary(CrdtDoc *doc, CrdtIndex *index, Group *group)
{
	if (group->summary.is_made)
		return true;
	group->summary.count = 0;
	for (uint32_t i = 0; i < group->count; i++)
	{
		Block *block = &index->blocks[group->blocks[i]];

		if (block->marks > 0 &&
			(!make_summary(doc, block) || !add_summary(doc, &group->summary, &block->summary)))
			return false;
	}
	group->summary.is_made = true;
	return true;
}

static bool
pass_summary(const CrdtDoc *doc, const Summary *summary, CrdtMarks *marks, CrdtArena *arena)
{
	if (!crdt_marks_reserve(marks, arena, marks->count + summary->count))
		return false;
	for (size_t i = 0; i < summary->count; i++)
		crdt_marks_pass(marks, crdt_item(doc, summary->marks[i]));
	return true;
}

/* The marks in force before a block. */
static bool
add_up_marks(CrdtDoc *doc, CrdtIndex *index, uint32_t number, CrdtMarks *marks, CrdtArena *arena)
{
	size_t at = index->blocks[number].group;
	bool done = true;

	marks->count = 0;
	if (index->marks == 0)
		return true;
	for (size_t i = 0; done && i < at; i++)
		done = index->groups[i].marks == 0 ||
			   (make_group_summary(doc, index, &index->groups[i]) &&
				pass_summary(doc, &index->groups[i].summary, marks, arena));
	for (uint32_t i = 0; done && index->groups[at].blocks[i] != number; i++)
	{
		Block *block = &index->blocks[index->groups[at].blocks[i]];

		done = block->marks == 0 ||
			   (make_summary(doc, block) && pass_summary(doc, &block->summary, marks, arena));
	}
	if (!done)
		marks->count = 0;
	return done;
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
	const Group *group;

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
	block = &index->blocks[index->hint];
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
		uint32_t number = doc->block_of[ref];
		const Group *group = &index->groups[index->blocks[number].group];

		at = index->blocks[number].first;
		for (size_t i = 0; i < index->blocks[number].group; i++)
			units += index->groups[i].units;
		for (uint32_t i = 0; group->blocks[i] != number; i++)
			units += index->blocks[group->blocks[i]].units;
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
change_marks(CrdtIndex *index, Block *block, uint32_t more, uint32_t fewer)
{
	Group *group = &index->groups[block->group];

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
		index->finger_units -= units_of(crdt_item(doc, right));
}

static void
note_size(CrdtIndex *index, const Block *block)
{
	uint32_t number = (uint32_t) (block - index->blocks);

	if (block->items <= BLOCK_ITEMS_MAX)
		return;
	index->more_are_large |= index->large != 0 && index->large != number;
	index->large = number;
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
	if (is_visible_mark(item))
		change_marks(index, block, 1, 0);
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
	index->empty_count += block->items == 0;
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
		change_marks(index, block, 0, 1);
	else if (crdt_item_is_countable(item))
	{
		change_units(index, block, 0, item->length);
		if (ref != index->finger)
			keep_finger(doc, index, ref, 0, item->length);
	}
}
