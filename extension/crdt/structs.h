/*
 * structs.h: the structs of a document, per client and gap-free from clock 0 (FORMAT 7.1, 7.2).
 *
 *     client 7   [0..4] "hello"   [5] GC   [6..9] "lo w"      state = 10
 *
 * Clocks and records stand in sorted leaves of at most 41, under a sorted directory.  A look-up
 * first tries the leaf of the last one: typing hits it.  A leaf knows which of its structs are deleted,
 * so that nobody who collects these looks at the others.
 */
#ifndef CRDT_STRUCTS_H
#define CRDT_STRUCTS_H

#include "item.h"

/* A leaf has 508 bytes then: allocators make powers of two of what is small. */
#define CRDT_LEAF_STRUCTS 41

/* Where a struct stands; valid until structs are added or removed. */
typedef struct CrdtCursor
{
	uint32_t leaf;
	uint32_t at;
} CrdtCursor;

struct CrdtLeaf
{
	uint32_t count;
	uint32_t capacity;
	uint64_t deleted; /* a bit for each struct */
	/* capacity clocks, then as many references */
	uint64_t clocks[];
};

static inline CrdtRef *
crdt_leaf_refs(const CrdtLeaf *leaf)
{
	return (CrdtRef *) (leaf->clocks + leaf->capacity);
}

static inline CrdtRef
crdt_structs_at(const CrdtClient *client, CrdtCursor cursor)
{
	return crdt_leaf_refs(client->leaves[cursor.leaf])[cursor.at];
}

static inline uint64_t
crdt_structs_clock_at(const CrdtClient *client, CrdtCursor cursor)
{
	return client->leaves[cursor.leaf]->clocks[cursor.at];
}

/* One on, one back; false at the end. */
static inline bool
crdt_structs_next(const CrdtClient *client, CrdtCursor *cursor)
{
	if (cursor->at + 1 < client->leaves[cursor->leaf]->count)
	{
		cursor->at++;
		return true;
	}
	if (cursor->leaf + 1 >= client->leaf_count)
		return false;
	cursor->leaf++;
	cursor->at = 0;
	return true;
}

static inline bool
crdt_structs_previous(const CrdtClient *client, CrdtCursor *cursor)
{
	if (cursor->at > 0)
	{
		cursor->at--;
		return true;
	}
	if (cursor->leaf == 0)
		return false;
	cursor->leaf--;
	cursor->at = client->leaves[cursor->leaf]->count - 1;
	return true;
}

/* Moves on to a struct that is not deleted, if this one is; false: there is none that begins before
 * clock end. */
bool crdt_structs_skip_deleted(const CrdtClient *client, CrdtCursor *cursor, uint64_t end);

/* The struct that contains clock, which is below the client's state. */
CrdtCursor crdt_structs_find(CrdtClient *client, uint64_t clock);
CrdtCursor crdt_structs_last(const CrdtClient *client);

/* How many structs stand from the one that contains first to the one that contains last, or the
 * client's last one. */
uint64_t crdt_structs_count(CrdtClient *client, uint64_t first, uint64_t last);

/* The item or GC that contains the place; 0 if it is unknown. */
CrdtRef crdt_structs_get(CrdtDoc *doc, CrdtPlace place);

/* Adds what is deleted of a client that has structs to deletes, as maximal runs.  False: no memory. */
CRDT_MUST_CHECK bool crdt_structs_collect_deleted(const CrdtClient *client, CrdtIdSet *deletes);

/* Adds a struct at the client's state.  Reserved. */
void crdt_structs_append(CrdtDoc *doc, uint32_t client, CrdtRef ref, uint64_t length, bool deleted);

/* The struct that begins at place is deleted now. */
void crdt_structs_note_deleted(CrdtDoc *doc, CrdtPlace place);

/* Takes the struct out of the index (its neighbour has absorbed it).  The cursor then stands on
 * the struct before it. */
void crdt_structs_remove(CrdtDoc *doc, uint32_t client, CrdtCursor *cursor);

/* The struct that starts exactly at place / ends exactly behind it, an item being cut if need be (GC
 * structs are not).  The place is known.  Reserved. */
CrdtRef crdt_structs_clean_start(CrdtDoc *doc, CrdtPlace place);
CrdtRef crdt_structs_clean_end(CrdtDoc *doc, CrdtPlace place);

/* Room for coming_structs appends and coming_splits cuts at that client. */
CRDT_MUST_CHECK bool
crdt_structs_reserve(CrdtDoc *doc, CrdtClient *client, size_t *large_leaves, size_t *small_leaves);
/* Room for so many new leaves in the whole document. */
CRDT_MUST_CHECK bool crdt_leaves_reserve(CrdtDoc *doc, size_t large, size_t small);
/* Gives back all but a few spare leaves. */
void crdt_leaves_trim(CrdtDoc *doc);
void crdt_structs_free(CrdtDoc *doc);
size_t crdt_structs_bytes(const CrdtDoc *doc);

#endif
