/*
 * index_blocks.c: making blocks and groups of the position index, halving them, and adding up their
 * format marks (index_blocks.h).
 */
#include "index_blocks.h"

#include <string.h>

#define BLOCK_ITEMS 16
#define BLOCK_ITEMS_MAX 32
#define GROUP_BLOCKS 32
#define GROUP_BLOCKS_MAX 64

/* ---- life ---- */

static void
free_summary(CrdtDoc *doc, CrdtMarkSummary *summary)
{
	crdt_array_free(&doc->host, &summary->marks, &summary->capacity, sizeof(CrdtRef));
}

void
crdt_index_blocks_free(CrdtDoc *doc, CrdtIndex *index)
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
	crdt_array_free(host, &index->blocks, &index->block_capacity, sizeof(CrdtIndexBlock));
	crdt_array_free(host, &index->groups, &index->group_capacity, sizeof(CrdtIndexGroup));
	host->resize(host->context, index, sizeof(*index), 0);
}

size_t
crdt_index_blocks_bytes(const CrdtIndex *index)
{
	size_t bytes = sizeof(*index) + index->block_capacity * sizeof(CrdtIndexBlock) +
				   index->group_capacity * sizeof(CrdtIndexGroup);

	for (size_t i = 1; i < index->block_count; i++)
		bytes += index->blocks[i].summary.capacity * sizeof(CrdtRef);
	for (size_t i = 0; i < index->group_count; i++)
		bytes += GROUP_BLOCKS_MAX * sizeof(uint32_t) +
				 index->groups[i].summary.capacity * sizeof(CrdtRef);
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
							sizeof(CrdtIndexGroup)))
		return false;
	blocks = host->resize(host->context, NULL, 0, GROUP_BLOCKS_MAX * sizeof(uint32_t));
	if (blocks == NULL)
		return false;
	memmove(index->groups + at + 1, index->groups + at,
			(index->group_count - at) * sizeof(CrdtIndexGroup));
	index->group_count++;
	index->groups[at] = (CrdtIndexGroup){.blocks = blocks};
	for (size_t i = at + 1; i < index->group_count; i++)
		for (uint32_t k = 0; k < index->groups[i].count; k++)
			index->blocks[index->groups[i].blocks[k]].group = (uint32_t) i;
	return true;
}

/* Moves the second half of a group into a new one behind it.  False: no memory. */
static bool
halve_group(CrdtDoc *doc, CrdtIndex *index, size_t at)
{
	CrdtIndexGroup *left;
	CrdtIndexGroup *right;

	if (!insert_group(doc, index, at + 1))
		return false;
	left = &index->groups[at];
	right = left + 1;
	right->count = left->count / 2;
	left->count -= right->count;
	memcpy(right->blocks, left->blocks + left->count, right->count * sizeof(uint32_t));
	for (uint32_t i = 0; i < right->count; i++)
	{
		CrdtIndexBlock *block = &index->blocks[right->blocks[i]];

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
place_in_group(const CrdtIndexGroup *group, uint32_t number)
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
	CrdtIndexGroup *group;

	if (!crdt_array_reserve(&doc->host, &index->blocks, &index->block_capacity, (size_t) number + 1,
							sizeof(CrdtIndexBlock)))
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
	index->blocks[number] = (CrdtIndexBlock){.group = (uint32_t) at};
	index->block_count = (size_t) number + 1;
	return number;
}

/* Adds the next item of the list to a block; its group and the index are told by whoever calls. */
static void
put_item(CrdtDoc *doc, CrdtIndex *index, uint32_t number, CrdtRef ref)
{
	const CrdtItem *item = crdt_item(doc, ref);
	CrdtIndexBlock *block = &index->blocks[number];

	if (block->first == 0)
		block->first = ref;
	block->items++;
	block->units += crdt_item_units(item);
	block->marks += crdt_item_is_mark(item);
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
		const CrdtIndexBlock *block = &index->blocks[i];

		index->groups[block->group].units += block->units;
		index->groups[block->group].marks += block->marks;
		index->units += block->units;
		index->marks += block->marks;
	}
	return true;
}

CrdtIndex *
crdt_index_blocks_new(CrdtDoc *doc, uint32_t list)
{
	CrdtIndex *index = doc->host.resize(doc->host.context, NULL, 0, sizeof(CrdtIndex));

	if (index == NULL)
		return NULL;
	memset(index, 0, sizeof(*index));
	index->list = list;
	if (fill_index(doc, index))
		return index;
	crdt_index_blocks_free(doc, index);
	return NULL;
}

/* ---- halving ---- */

void
crdt_index_blocks_note_size(CrdtIndex *index, const CrdtIndexBlock *block)
{
	uint32_t number = (uint32_t) (block - index->blocks);

	if (block->items <= BLOCK_ITEMS_MAX)
		return;
	index->more_are_large |= index->large != 0 && index->large != number;
	index->large = number;
}

/* Moves the second half of a block that has grown into a new one.  False: no memory. */
static bool
halve(CrdtDoc *doc, CrdtIndex *index, uint32_t number)
{
	uint32_t kept = index->blocks[number].items / 2;
	uint32_t moved = index->blocks[number].items - kept;
	CrdtRef ref = index->blocks[number].first;
	uint32_t fresh = insert_block(doc, index, number);
	const CrdtIndexBlock *right;
	CrdtIndexBlock *left;

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

void
crdt_index_blocks_halve(CrdtDoc *doc, CrdtIndex *index)
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

/* ---- marks ---- */

/* Takes a mark of the block into its summary: of each key the newest null, and of the marks behind
 * that the first, whose place counts, with the last, whose value counts. */
static bool
summarize_mark(CrdtDoc *doc, CrdtMarkSummary *summary, CrdtRef ref)
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
make_summary(CrdtDoc *doc, CrdtIndexBlock *block)
{
	CrdtRef ref = block->first;

	if (block->summary.is_made)
		return true;
	block->summary.count = 0;
	for (uint32_t i = 0; i < block->items; i++, ref = crdt_item(doc, ref)->right)
		if (crdt_item_is_mark(crdt_item(doc, ref)) && !summarize_mark(doc, &block->summary, ref))
			return false;
	block->summary.is_made = true;
	return true;
}

/* Takes a block's summary into that of its group. */
static bool
add_summary(CrdtDoc *doc, CrdtMarkSummary *summary, const CrdtMarkSummary *block)
{
	for (size_t i = 0; i < block->count; i++)
		if (!summarize_mark(doc, summary, block->marks[i]))
			return false;
	return true;
}

static bool
make_group_summary(CrdtDoc *doc, CrdtIndex *index, CrdtIndexGroup *group)
{
	if (group->summary.is_made)
		return true;
	group->summary.count = 0;
	for (uint32_t i = 0; i < group->count; i++)
	{
		CrdtIndexBlock *block = &index->blocks[group->blocks[i]];

		if (block->marks > 0 &&
			(!make_summary(doc, block) || !add_summary(doc, &group->summary, &block->summary)))
			return false;
	}
	group->summary.is_made = true;
	return true;
}

static bool
pass_summary(const CrdtDoc *doc, const CrdtMarkSummary *summary, CrdtMarks *marks, CrdtArena *arena)
{
	if (!crdt_marks_reserve(marks, arena, marks->count + summary->count))
		return false;
	for (size_t i = 0; i < summary->count; i++)
		crdt_marks_pass(marks, crdt_item(doc, summary->marks[i]));
	return true;
}

/* The marks in force before a block. */
bool
crdt_index_blocks_marks(CrdtDoc *doc, CrdtIndex *index, uint32_t number, CrdtMarks *marks,
						CrdtArena *arena)
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
		CrdtIndexBlock *block = &index->blocks[index->groups[at].blocks[i]];

		done = block->marks == 0 ||
			   (make_summary(doc, block) && pass_summary(doc, &block->summary, marks, arena));
	}
	if (!done)
		marks->count = 0;
	return done;
}
