/*
 * tables.h: the numbers that records use for clients, names, types and lists.
 *
 * add functions find or make; the ones marked "reserved" cannot fail, because reserve.c has made
 * room before.  Hash places depend on the host's seed.
 */
#ifndef CRDT_TABLES_H
#define CRDT_TABLES_H

#include "item.h"

#define CRDT_NO_CLIENT UINT32_MAX
#define CRDT_LIST_COUNT_MAX (UINT32_C(1) << 24)

/* ---- pools ---- */

CRDT_MUST_CHECK bool crdt_pool_grow(const CrdtHost *host, CrdtPool *pool, uint64_t count);

/* Makes the next count takes succeed; false: no memory, or beyond 2^31 records. */
CRDT_MUST_CHECK static inline bool
crdt_pool_reserve(const CrdtHost *host, CrdtPool *pool, uint64_t count)
{
	uint64_t records = (uint64_t) pool->chunk_count << pool->chunk_bits;

	return count <= pool->free_count || pool->used + (count - pool->free_count) <= records ||
		   crdt_pool_grow(host, pool, count);
}

uint32_t crdt_pool_take(CrdtPool *pool); /* reserved */
void crdt_pool_release(CrdtPool *pool, uint32_t number);
void crdt_pool_shrink(const CrdtHost *host, CrdtPool *pool, size_t chunks);
/* Gives back chunks that a reserve made and nobody took from. */
static inline void
crdt_pool_trim(const CrdtHost *host, CrdtPool *pool)
{
	size_t chunks = (size_t) (pool->used >> pool->chunk_bits) + 2;

	if (pool->chunk_count > chunks)
		crdt_pool_shrink(host, pool, chunks);
}
void crdt_pool_free(const CrdtHost *host, CrdtPool *pool);
size_t crdt_pool_bytes(const CrdtPool *pool);

static inline void *
crdt_pool_record(const CrdtPool *pool, uint32_t number)
{
	return (uint8_t *) pool->chunks[number >> pool->chunk_bits] +
		   (number & ((1u << pool->chunk_bits) - 1)) * pool->record_size;
}

/* ---- clients ---- */

uint32_t crdt_client_find(CrdtDoc *doc, uint64_t id); /* CRDT_NO_CLIENT: never seen */
CRDT_MUST_CHECK bool crdt_client_add(CrdtDoc *doc, uint64_t id, uint32_t *number);

CrdtPackedId crdt_pack_wide(CrdtDoc *doc, uint32_t client, uint64_t clock); /* reserved */

static inline bool
crdt_id_is_wide(uint32_t client, uint64_t clock)
{
	return client >= CRDT_PACKED_WIDE || clock > CRDT_PACKED_CLOCK_MASK;
}

/* Packs a place; a wide one takes an entry of wide_ids (reserved). */
static inline CrdtPackedId
crdt_pack(CrdtDoc *doc, uint32_t client, uint64_t clock)
{
	return crdt_id_is_wide(client, clock) ? crdt_pack_wide(doc, client, clock)
										  : (uint64_t) client << CRDT_PACKED_CLOCK_BITS | clock;
}

/* The last unit of a struct. */
CrdtPackedId crdt_item_last_id(CrdtDoc *doc, CrdtRef ref);

/* ---- names ---- */

CRDT_MUST_CHECK bool crdt_name_add(CrdtDoc *doc, CrdtBytes name, uint32_t *number);
uint32_t crdt_name_find(const CrdtDoc *doc, CrdtBytes name); /* 0: none */

/* ---- types and lists ---- */

CRDT_MUST_CHECK bool crdt_types_reserve(CrdtDoc *doc, size_t types, size_t lists);
uint32_t crdt_type_add(CrdtDoc *doc, uint8_t kind, uint32_t name, CrdtRef item); /* reserved */

/* Finds or makes the root of that name. */
CRDT_MUST_CHECK bool crdt_root_add(CrdtDoc *doc, uint32_t name, uint32_t *type);
uint32_t crdt_root_find(const CrdtDoc *doc, uint32_t name); /* 0: none */

/* The list of a key of a type; 0: none. */
uint32_t crdt_list_find(const CrdtDoc *doc, uint32_t type, uint32_t key);
uint32_t crdt_list_add(CrdtDoc *doc, uint32_t type, uint32_t key); /* finds or makes; reserved */

#endif
