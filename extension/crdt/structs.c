/*
 * structs.c: who is where by clock (structs.h), and cutting items in two (FORMAT 7.2).
 *
 *     directory   leaf_clocks:  0          310         702
 *                 leaves:       |           |           |
 *     leaf        clocks:  0 5 6 10 ...   310 311 ...   702 ...
 *                 refs:    8 2 9 4            ...
 *
 * A client's first leaf is small, since most clients of a long-lived document wrote little.  A full
 * leaf is halved, except that appending begins a new one, so a document loaded in order has full
 * leaves.  Leaves come from spare ones that reserve made, so nothing here can fail.
 */
#include "structs.h"

#include <string.h>

#include "content.h"
#include "index.h"
#include "redone.h"
#include "tables.h"

#define SMALL_LEAF_STRUCTS 6
#define SPARE_LEAVES_KEPT 4

enum
{
	SMALL,
	LARGE
};

static size_t
leaf_bytes(size_t capacity)
{
	return sizeof(CrdtLeaf) + capacity * (sizeof(uint64_t) + sizeof(CrdtRef));
}

_Static_assert(CRDT_LEAF_STRUCTS < 64, "a leaf has a bit for each of its structs");

/* The first count bits; count is at most CRDT_LEAF_STRUCTS. */
static inline uint64_t
first_bits(uint32_t count)
{
	return (UINT64_C(1) << count) - 1;
}

/* ---- spare leaves ---- */

static bool
add_spare(CrdtDoc *doc, int size)
{
	size_t capacity = size == SMALL ? SMALL_LEAF_STRUCTS : CRDT_LEAF_STRUCTS;
	CrdtLeaf *leaf = doc->host.resize(doc->host.context, NULL, 0, leaf_bytes(capacity));

	if (leaf == NULL)
		return false;
	leaf->capacity = (uint32_t) capacity;
	leaf->count = 0;
	leaf->deleted = 0;
	memcpy(leaf->clocks, &doc->spare_leaves[size], sizeof(CrdtLeaf *));
	doc->spare_leaves[size] = leaf;
	doc->spare_count[size]++;
	return true;
}

static CrdtLeaf *
take_spare(CrdtDoc *doc, int size)
{
	CrdtLeaf *leaf = doc->spare_leaves[size];

	memcpy(&doc->spare_leaves[size], leaf->clocks, sizeof(CrdtLeaf *));
	doc->spare_count[size]--;
	leaf->count = 0;
	leaf->deleted = 0;
	return leaf;
}

static void
put_spare(CrdtDoc *doc, CrdtLeaf *leaf)
{
	int size = leaf->capacity == SMALL_LEAF_STRUCTS ? SMALL : LARGE;

	memcpy(leaf->clocks, &doc->spare_leaves[size], sizeof(CrdtLeaf *));
	doc->spare_leaves[size] = leaf;
	doc->spare_count[size]++;
}

static void
free_leaf(CrdtDoc *doc, CrdtLeaf *leaf)
{
	doc->host.resize(doc->host.context, leaf, leaf_bytes(leaf->capacity), 0);
}

bool
crdt_leaves_reserve(CrdtDoc *doc, size_t large, size_t small)
{
	while (doc->spare_count[LARGE] < large)
		if (!add_spare(doc, LARGE))
			return false;
	while (doc->spare_count[SMALL] < small)
		if (!add_spare(doc, SMALL))
			return false;
	return true;
}

static void
trim_spare(CrdtDoc *doc, size_t kept)
{
	for (int size = SMALL; size <= LARGE; size++)
		while (doc->spare_count[size] > kept)
			free_leaf(doc, take_spare(doc, size));
}

void
crdt_leaves_trim(CrdtDoc *doc)
{
	if (doc->spare_count[SMALL] > SPARE_LEAVES_KEPT || doc->spare_count[LARGE] > SPARE_LEAVES_KEPT)
		trim_spare(doc, SPARE_LEAVES_KEPT);
}

bool
crdt_structs_reserve(CrdtDoc *doc, CrdtClient *client, size_t *large_leaves, size_t *small_leaves)
{
	/* each leaf there is may be halved once; after that a leaf takes half of one before the next time;
	 * and each struct takes one leaf at most */
	uint64_t splits = client->coming_splits;
	uint64_t coming = splits + client->coming_structs;
	uint64_t halved = splits < client->leaf_count ? splits : client->leaf_count;
	uint64_t most = halved + coming / (CRDT_LEAF_STRUCTS / 2) + 3;
	uint64_t leaves = coming < most ? coming + 1 : most;
	size_t leaf_capacity = client->leaves_capacity;
	size_t clock_capacity = client->leaf_capacity;

	*large_leaves += (size_t) leaves;
	*small_leaves += 1;
	if (client->leaf_count + leaves > UINT32_MAX / 2)
		return false;
	if (!crdt_array_reserve(&doc->host, &client->leaves, &leaf_capacity,
							(size_t) (client->leaf_count + leaves), sizeof(CrdtLeaf *)))
		return false;
	client->leaves_capacity = (uint32_t) leaf_capacity;
	if (!crdt_array_reserve(&doc->host, &client->leaf_clocks, &clock_capacity,
							(size_t) (client->leaf_count + leaves), sizeof(uint64_t)))
		return false;
	client->leaf_capacity = (uint32_t) clock_capacity;
	return true;
}

void
crdt_structs_free(CrdtDoc *doc)
{
	trim_spare(doc, 0);
	for (size_t i = 0; i < doc->client_count; i++)
	{
		CrdtClient *client = &doc->clients[i];
		size_t clocks = client->leaf_capacity;
		size_t leaves = client->leaves_capacity;

		for (uint32_t leaf = 0; leaf < client->leaf_count; leaf++)
			free_leaf(doc, client->leaves[leaf]);
		crdt_array_free(&doc->host, &client->leaf_clocks, &clocks, sizeof(uint64_t));
		crdt_array_free(&doc->host, &client->leaves, &leaves, sizeof(CrdtLeaf *));
	}
}

size_t
crdt_structs_bytes(const CrdtDoc *doc)
{
	size_t bytes = doc->spare_count[SMALL] * leaf_bytes(SMALL_LEAF_STRUCTS) +
				   doc->spare_count[LARGE] * leaf_bytes(CRDT_LEAF_STRUCTS);

	for (size_t i = 0; i < doc->client_count; i++)
	{
		const CrdtClient *client = &doc->clients[i];

		bytes += client->leaf_capacity * sizeof(uint64_t);
		bytes += client->leaves_capacity * sizeof(CrdtLeaf *);
		if (client->leaf_count > 0)
			bytes += (client->leaf_count - 1) * leaf_bytes(CRDT_LEAF_STRUCTS) +
					 leaf_bytes(client->leaves[0]->capacity);
	}
	return bytes;
}

/* ---- look-up ---- */

/* The last of count sorted clocks that is at most clock; the first one is. */
static uint32_t
last_at_most(const uint64_t *clocks, uint32_t count, uint64_t clock)
{
	uint32_t low = 0;

	while (count > 1)
	{
		uint32_t half = count / 2;

		low += clocks[low + half] <= clock ? half : 0;
		count -= half;
	}
	return low;
}

CrdtCursor
crdt_structs_find(CrdtClient *client, uint64_t clock)
{
	const CrdtLeaf *last = client->leaves[client->leaf_count - 1];
	uint32_t hint = client->hint;
	CrdtCursor cursor;

	/* the newest struct is asked for most */
	if (clock >= last->clocks[last->count - 1])
		return (CrdtCursor){client->leaf_count - 1, last->count - 1};
	if (hint < client->leaf_count && client->leaf_clocks[hint] <= clock &&
		(hint + 1 == client->leaf_count || client->leaf_clocks[hint + 1] > clock))
	{
		const CrdtLeaf *leaf = client->leaves[hint];
		uint32_t at = client->hint_at;

		/* right origins repeat: what is typed in one go has one */
		if (at + 1 < leaf->count && leaf->clocks[at] <= clock)
		{
			if (leaf->clocks[at + 1] > clock)
				return (CrdtCursor){hint, at};
			/* and ranges are walked struct by struct */
			if (at + 2 < leaf->count && leaf->clocks[at + 2] > clock)
			{
				client->hint_at = at + 1;
				return (CrdtCursor){hint, at + 1};
			}
		}
	}
	else
		client->hint = last_at_most(client->leaf_clocks, client->leaf_count, clock);
	cursor.leaf = client->hint;
	cursor.at = last_at_most(client->leaves[cursor.leaf]->clocks,
							 client->leaves[cursor.leaf]->count, clock);
	client->hint_at = cursor.at;
	return cursor;
}

CrdtCursor
crdt_structs_last(const CrdtClient *client)
{
	uint32_t leaf = client->leaf_count - 1;

	return (CrdtCursor){leaf, client->leaves[leaf]->count - 1};
}

uint64_t
crdt_structs_count(CrdtClient *client, uint64_t first, uint64_t last)
{
	CrdtCursor from = crdt_structs_find(client, first);
	CrdtCursor to =
		last >= client->state ? crdt_structs_last(client) : crdt_structs_find(client, last);
	uint64_t count = (uint64_t) to.at - from.at + 1;

	for (uint32_t leaf = from.leaf; leaf < to.leaf; leaf++)
		count += client->leaves[leaf]->count;
	return count;
}

CrdtRef
crdt_structs_get(CrdtDoc *doc, CrdtPlace place)
{
	CrdtClient *client = &doc->clients[place.client];

	if (place.clock >= client->state)
		return 0;
	return crdt_structs_at(client, crdt_structs_find(client, place.clock));
}

bool
crdt_structs_skip_deleted(const CrdtClient *client, CrdtCursor *cursor, uint64_t end)
{
	for (; cursor->leaf < client->leaf_count && client->leaf_clocks[cursor->leaf] < end;
		 *cursor = (CrdtCursor){cursor->leaf + 1, 0})
	{
		const CrdtLeaf *leaf = client->leaves[cursor->leaf];
		uint64_t visible = ~leaf->deleted & first_bits(leaf->count) & ~first_bits(cursor->at);

		if (visible != 0)
		{
			cursor->at = (uint32_t) __builtin_ctzll(visible);
			return leaf->clocks[cursor->at] < end;
		}
	}
	return false;
}

bool
crdt_structs_collect_deleted(const CrdtClient *client, CrdtIdSet *deletes)
{
	uint64_t start = 0;
	bool is_deleted = false;

	for (uint32_t at = 0; at < client->leaf_count; at++)
	{
		const CrdtLeaf *leaf = client->leaves[at];
		/* which differ from the struct before them */
		uint64_t changes =
			(leaf->deleted ^ (leaf->deleted << 1 | is_deleted)) & first_bits(leaf->count);

		for (; changes != 0; changes &= changes - 1)
		{
			uint64_t clock = leaf->clocks[__builtin_ctzll(changes)];

			if (is_deleted &&
				!crdt_idset_add(deletes, (CrdtIdRange){client->id, start, clock - start}))
				return false;
			start = clock;
			is_deleted = !is_deleted;
		}
	}
	return !is_deleted ||
		   crdt_idset_add(deletes, (CrdtIdRange){client->id, start, client->state - start});
}

/* ---- adding and removing ---- */

/* Puts a leaf into the directory. */
static void
insert_leaf(CrdtClient *client, uint32_t at, CrdtLeaf *leaf, uint64_t first_clock)
{
	uint32_t behind = client->leaf_count - at;

	memmove(client->leaves + at + 1, client->leaves + at, behind * sizeof(CrdtLeaf *));
	memmove(client->leaf_clocks + at + 1, client->leaf_clocks + at, behind * sizeof(uint64_t));
	client->leaves[at] = leaf;
	client->leaf_clocks[at] = first_clock;
	client->leaf_count++;
}

static void
remove_leaf(CrdtDoc *doc, CrdtClient *client, uint32_t at)
{
	uint32_t behind = client->leaf_count - at - 1;

	put_spare(doc, client->leaves[at]);
	memmove(client->leaves + at, client->leaves + at + 1, behind * sizeof(CrdtLeaf *));
	memmove(client->leaf_clocks + at, client->leaf_clocks + at + 1, behind * sizeof(uint64_t));
	client->leaf_count--;
}

/* Moves count entries of from, those from start on, to the end of to. */
static void
move_entries(CrdtLeaf *to, CrdtLeaf *from, uint32_t start, uint32_t count)
{
	memcpy(to->clocks + to->count, from->clocks + start, count * sizeof(uint64_t));
	memcpy(crdt_leaf_refs(to) + to->count, crdt_leaf_refs(from) + start, count * sizeof(CrdtRef));
	to->deleted |= from->deleted >> start << to->count;
	from->deleted &= first_bits(start);
	to->count += count;
	from->count -= count;
}

/* Makes room in a full leaf and keeps cursor, where something is about to be put, right. */
static void
widen(CrdtDoc *doc, CrdtClient *client, CrdtCursor *cursor)
{
	CrdtLeaf *full = client->leaves[cursor->leaf];
	CrdtLeaf *fresh = take_spare(doc, LARGE);
	uint32_t kept = full->count / 2;

	if (full->capacity < CRDT_LEAF_STRUCTS)
	{
		move_entries(fresh, full, 0, full->count);
		client->leaves[cursor->leaf] = fresh;
		put_spare(doc, full);
		return;
	}
	if (cursor->leaf + 1 == client->leaf_count && cursor->at == full->count)
	{
		insert_leaf(client, client->leaf_count, fresh, UINT64_MAX);
		*cursor = (CrdtCursor){cursor->leaf + 1, 0};
		return;
	}
	move_entries(fresh, full, kept, full->count - kept);
	insert_leaf(client, cursor->leaf + 1, fresh, fresh->clocks[0]);
	if (cursor->at > kept)
		*cursor = (CrdtCursor){cursor->leaf + 1, cursor->at - kept};
}

/* Puts an entry at the cursor, before what stands there. */
static void
insert_entry(CrdtDoc *doc, CrdtClient *client, CrdtCursor cursor, uint64_t clock, CrdtRef ref,
			 bool deleted)
{
	CrdtLeaf *leaf = client->leaves[cursor.leaf];
	uint64_t left;
	uint32_t behind;

	if (leaf->count == leaf->capacity)
	{
		widen(doc, client, &cursor);
		leaf = client->leaves[cursor.leaf];
	}
	behind = leaf->count - cursor.at;
	memmove(leaf->clocks + cursor.at + 1, leaf->clocks + cursor.at, behind * sizeof(uint64_t));
	memmove(crdt_leaf_refs(leaf) + cursor.at + 1, crdt_leaf_refs(leaf) + cursor.at,
			behind * sizeof(CrdtRef));
	leaf->clocks[cursor.at] = clock;
	crdt_leaf_refs(leaf)[cursor.at] = ref;
	leaf->count++;
	left = leaf->deleted & first_bits(cursor.at);
	leaf->deleted = left | (leaf->deleted ^ left) << 1 | (uint64_t) deleted << cursor.at;
	client->leaf_clocks[cursor.leaf] = leaf->clocks[0];
}

void
crdt_structs_append(CrdtDoc *doc, uint32_t number, CrdtRef ref, uint64_t length, bool deleted)
{
	CrdtClient *client = &doc->clients[number];
	CrdtCursor end = {0, 0};
	CrdtLeaf *leaf;

	if (client->leaf_count == 0)
		insert_leaf(client, 0, take_spare(doc, SMALL), client->state);
	else
	{
		end = crdt_structs_last(client);
		end.at++;
	}
	leaf = client->leaves[end.leaf];
	if (end.at > 0 && leaf->count < leaf->capacity)
	{
		leaf->clocks[end.at] = client->state;
		crdt_leaf_refs(leaf)[end.at] = ref;
		leaf->deleted |= (uint64_t) deleted << end.at;
		leaf->count++;
	}
	else
		insert_entry(doc, client, end, client->state, ref, deleted);
	client->state += length;
}

void
crdt_structs_note_deleted(CrdtDoc *doc, CrdtPlace place)
{
	CrdtClient *client = &doc->clients[place.client];
	CrdtCursor cursor = crdt_structs_find(client, place.clock);

	client->leaves[cursor.leaf]->deleted |= UINT64_C(1) << cursor.at;
}

void
crdt_structs_remove(CrdtDoc *doc, uint32_t number, CrdtCursor *cursor)
{
	CrdtClient *client = &doc->clients[number];
	uint32_t at = cursor->leaf;
	CrdtLeaf *leaf = client->leaves[at];
	CrdtLeaf *before = at > 0 ? client->leaves[at - 1] : NULL;
	uint32_t behind = leaf->count - cursor->at - 1;
	uint64_t left = leaf->deleted & first_bits(cursor->at);

	leaf->deleted = left | (leaf->deleted >> 1 & ~first_bits(cursor->at));
	memmove(leaf->clocks + cursor->at, leaf->clocks + cursor->at + 1, behind * sizeof(uint64_t));
	memmove(crdt_leaf_refs(leaf) + cursor->at, crdt_leaf_refs(leaf) + cursor->at + 1,
			behind * sizeof(CrdtRef));
	leaf->count--;
	if (before != NULL && leaf->count + before->count <= CRDT_LEAF_STRUCTS / 2)
	{
		/* the first leaf may be small */
		if (leaf->count + before->count <= before->capacity)
		{
			uint32_t had = before->count;

			move_entries(before, leaf, 0, leaf->count);
			remove_leaf(doc, client, at);
			*cursor = (CrdtCursor){at - 1, cursor->at + had - 1};
			client->hint = at - 1;
			return;
		}
	}
	if (leaf->count > 0)
		client->leaf_clocks[at] = leaf->clocks[0];
	else
		remove_leaf(doc, client, at);
	if (cursor->at > 0)
		cursor->at--;
	else if (at > 0)
		*cursor = (CrdtCursor){at - 1, client->leaves[at - 1]->count - 1};
}

/* ---- cutting ---- */

/* The right part's successor is the right part of the whole item's. */
static void
split_redone(CrdtDoc *doc, CrdtRef ref, CrdtRef right_ref, uint64_t at)
{
	CrdtPackedId redone = crdt_redone_find(doc, ref);
	CrdtPlace place;

	if (redone == CRDT_PACKED_NONE)
		return;
	place = crdt_unpack(doc, redone);
	crdt_redone_add(doc, right_ref, crdt_pack(doc, place.client, place.clock + at));
}

/* Cuts the item at cursor after its first at units; returns the right part. */
static CrdtRef
split_item(CrdtDoc *doc, CrdtPlace place, CrdtCursor cursor, CrdtRef ref, uint64_t at)
{
	CrdtItem *item = crdt_item(doc, ref);
	CrdtRef right_ref = crdt_pool_take(&doc->items);
	CrdtItem *right = crdt_item(doc, right_ref);
	CrdtTransaction *transaction = &doc->transaction;
	CrdtList *list = &doc->lists[item->list];
	uint64_t clock = crdt_unpack(doc, item->id).clock;

	*right = *item;
	right->id = crdt_pack(doc, place.client, clock + at);
	right->origin = crdt_pack(doc, place.client, clock + at - 1);
	right->left = ref;
	crdt_content_split(doc, item, right, at);
	item->right = right_ref;
	if (right->right != 0)
		crdt_item(doc, right->right)->left = right_ref;
	else
		list->last = right_ref;
	if (crdt_type(doc, list->type)->item != 0)
		doc->nested_items++;
	if (list->index != 0)
		crdt_index_cut(doc, ref, right_ref);
	if (doc->redone.count > 0)
		split_redone(doc, ref, right_ref, at);
	cursor.at++;
	insert_entry(doc, &doc->clients[place.client], cursor, clock + at, right_ref, right->deleted);
	transaction->to_merge[transaction->to_merge_count++] = right->id;
	return right_ref;
}

CrdtRef
crdt_structs_clean_start(CrdtDoc *doc, CrdtPlace place)
{
	CrdtClient *client = &doc->clients[place.client];
	CrdtCursor cursor = crdt_structs_find(client, place.clock);
	CrdtRef ref = crdt_structs_at(client, cursor);
	uint64_t clock = crdt_structs_clock_at(client, cursor);

	if (clock == place.clock || crdt_item(doc, ref)->kind == CRDT_GC)
		return ref;
	return split_item(doc, place, cursor, ref, place.clock - clock);
}

CrdtRef
crdt_structs_clean_end(CrdtDoc *doc, CrdtPlace place)
{
	CrdtClient *client = &doc->clients[place.client];
	CrdtCursor cursor = crdt_structs_find(client, place.clock);
	CrdtRef ref = crdt_structs_at(client, cursor);
	CrdtItem *item = crdt_item(doc, ref);
	uint64_t left_length = place.clock - crdt_structs_clock_at(client, cursor) + 1;

	if (item->kind != CRDT_GC && left_length < crdt_item_length(item))
		split_item(doc, place, cursor, ref, left_length);
	return ref;
}
