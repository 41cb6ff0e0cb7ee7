/*
 * index_blocks.h: the position index of one list from the inside: blocks of items, groups of blocks.
 *
 *     groups     32 blocks, 9,214 units     | 57 blocks, 12,110 units | ...      in the list's order
 *     blocks     24 items, 301 units | ...
 *     items      h e l l o ...                        each knows its block, and a block its group
 *
 * A block is a run of a list: its first item, how many there are, the units they show, and a summary
 * of their format marks, made when it is asked for; a group is a run of blocks.
 */
#ifndef CRDT_INDEX_BLOCKS_H
#define CRDT_INDEX_BLOCKS_H

#include "item.h"
#include "marks.h"

/* What a run does to the marks in force: for each key the marks that count, in order. */
typedef struct CrdtMarkSummary
{
	CrdtRef *marks;
	size_t count;
	size_t capacity;
	bool is_made;
} CrdtMarkSummary;

typedef struct CrdtIndexBlock
{
	CrdtRef first; /* 0: empty */
	uint32_t items;
	uint32_t marks; /* visible format marks */
	uint32_t group;
	uint64_t units;
	CrdtMarkSummary summary;
} CrdtIndexBlock;

typedef struct CrdtIndexGroup
{
	uint32_t *blocks; /* numbers; room for GROUP_BLOCKS_MAX of them (index_blocks.c) */
	uint32_t count;
	uint32_t marks;
	uint64_t units;
	CrdtMarkSummary summary;
} CrdtIndexGroup;

/* The index of one list. */
struct CrdtIndex
{
	CrdtIndexBlock *blocks; /* by number; number 0 is none */
	size_t block_count;
	size_t block_capacity;
	CrdtIndexGroup *groups; /* in the list's order */
	size_t group_count;
	size_t group_capacity;
	uint32_t hint; /* the block that the last search ended in; 0: not known */
	uint64_t hint_units; /* before it */
	CrdtRef finger; /* the item that it ended in, 0: not known */
	uint64_t finger_units; /* of its block, before it */
	uint64_t units; /* of all groups */
	uint64_t marks;
	size_t empty_count; /* blocks without items */
	uint32_t list;
	uint32_t large; /* a block that wants to be halved; 0: none */
	bool more_are_large;
};

static inline bool
crdt_item_is_mark(const CrdtItem *item)
{
	return !item->deleted && item->kind == CRDT_FORMAT_MARK;
}

static inline uint64_t
crdt_item_units(const CrdtItem *item)
{
	return item->deleted || !crdt_item_is_countable(item) ? 0 : item->length;
}

/* An index of the list as it is.  NULL: no memory. */
CrdtIndex *crdt_index_blocks_new(CrdtDoc *doc, uint32_t list);
void crdt_index_blocks_free(CrdtDoc *doc, CrdtIndex *index);
size_t crdt_index_blocks_bytes(const CrdtIndex *index);

/* Notes that a block has grown too large, if it has. */
void crdt_index_blocks_note_size(CrdtIndex *index, const CrdtIndexBlock *block);

/* Halves the blocks that have; so far as memory allows. */
void crdt_index_blocks_halve(CrdtDoc *doc, CrdtIndex *index);

/* The marks in force before a block.  False: no memory. */
CRDT_MUST_CHECK bool crdt_index_blocks_marks(CrdtDoc *doc, CrdtIndex *index, uint32_t number,
											 CrdtMarks *marks, CrdtArena *arena);

#endif
