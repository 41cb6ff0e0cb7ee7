/*
 * tables.c: pools of records, and finding clients, names, types and lists by what they are
 * called (tables.h).
 *
 * All tables only grow: what a document no longer uses goes when the document is decoded afresh.
 */
#include "tables.h"

#include <string.h>

#include "poison.h"

/* ---- pools ---- */

/* A record that is not in use holds the number of the next such one, and nothing else. */
static void
hide_record(const CrdtPool *pool, uint32_t number)
{
	crdt_hide((uint8_t *) crdt_pool_record(pool, number) + sizeof(uint32_t),
			  pool->record_size - sizeof(uint32_t));
}

static void
free_last_chunk(const CrdtHost *host, CrdtPool *pool)
{
	void *chunk = pool->chunks[--pool->chunk_count];
	size_t size = pool->record_size << pool->chunk_bits;

	crdt_show(chunk, size);
	host->resize(host->context, chunk, size, 0);
}

bool
crdt_pool_grow(const CrdtHost *host, CrdtPool *pool, uint64_t count)
{
	uint64_t needed;
	size_t chunks;

	if (pool->used == 0)
		pool->used = 1;
	needed = pool->used + (count - pool->free_count);
	if (needed > UINT32_MAX / 2)
		return false;
	chunks = (size_t) ((needed + (1u << pool->chunk_bits) - 1) >> pool->chunk_bits);
	if (!crdt_array_reserve(host, &pool->chunks, &pool->chunk_capacity, chunks, sizeof(void *)))
		return false;
	while (pool->chunk_count < chunks)
	{
		void *chunk = host->resize(host->context, NULL, 0, pool->record_size << pool->chunk_bits);

		if (chunk == NULL)
			return false;
		pool->chunks[pool->chunk_count++] = chunk;
		crdt_hide(chunk, pool->record_size << pool->chunk_bits);
	}
	return true;
}

uint32_t
crdt_pool_take(CrdtPool *pool)
{
	uint32_t number = pool->free;

	if (number == 0)
	{
		number = (uint32_t) pool->used++;
		crdt_show(crdt_pool_record(pool, number), pool->record_size);
		return number;
	}
	memcpy(&pool->free, crdt_pool_record(pool, number), sizeof(uint32_t));
	pool->free_count--;
	crdt_show(crdt_pool_record(pool, number), pool->record_size);
	return number;
}

void
crdt_pool_release(CrdtPool *pool, uint32_t number)
{
	memcpy(crdt_pool_record(pool, number), &pool->free, sizeof(uint32_t));
	pool->free = number;
	pool->free_count++;
	hide_record(pool, number);
}

void
crdt_pool_shrink(const CrdtHost *host, CrdtPool *pool, size_t chunks)
{
	while (pool->chunk_count > chunks)
		free_last_chunk(host, pool);
}

void
crdt_pool_free(const CrdtHost *host, CrdtPool *pool)
{
	while (pool->chunk_count > 0)
		free_last_chunk(host, pool);
	crdt_array_free(host, &pool->chunks, &pool->chunk_capacity, sizeof(void *));
}

size_t
crdt_pool_bytes(const CrdtPool *pool)
{
	return pool->chunk_capacity * sizeof(void *) +
		   (pool->chunk_count * pool->record_size << pool->chunk_bits);
}

/* ---- hashing ---- */

/* A bijection that spreads every bit (the finalizer of MurmurHash3). */
static inline uint64_t
mix(uint64_t bits)
{
	bits ^= bits >> 33;
	bits *= UINT64_C(0xff51afd7ed558ccd);
	bits ^= bits >> 33;
	bits *= UINT64_C(0xc4ceb9fe1a85ec53);
	return bits ^ bits >> 33;
}

static uint64_t
hash_number(const CrdtDoc *doc, uint64_t number)
{
	return mix(mix(number ^ doc->host.hash_seed) + doc->host.hash_seed);
}

static uint64_t
hash_bytes(const CrdtDoc *doc, CrdtBytes bytes)
{
	uint64_t hash = mix(doc->host.hash_seed ^ bytes.size);

	for (size_t at = 0; at < bytes.size; at += 8)
	{
		uint64_t word = 0;

		memcpy(&word, bytes.data + at, bytes.size - at < 8 ? bytes.size - at : 8);
		hash = mix(hash ^ word) + doc->host.hash_seed;
	}
	return mix(hash);
}

static inline uint64_t
list_key(uint32_t type, uint32_t key)
{
	return (uint64_t) type << 32 | key;
}

/* Hash of entry number of one of the document's tables. */
static uint64_t
hash_of_entry(const CrdtDoc *doc, const CrdtHash *hash, uint32_t number)
{
	if (hash == &doc->client_hash)
		return hash_number(doc, doc->clients[number].id);
	if (hash == &doc->name_hash)
		return hash_bytes(doc, doc->names[number]);
	return hash_number(doc, list_key(doc->lists[number].type, doc->lists[number].key));
}

/* Puts an entry in the first free place; there is one. */
static void
hash_put(CrdtHash *hash, uint64_t value, uint32_t number)
{
	size_t at = (size_t) value & (hash->capacity - 1);

	while (hash->entries[at] != 0)
		at = (at + 1) & (hash->capacity - 1);
	hash->entries[at] = number + 1;
	hash->count++;
}

/* Room for more entries, at most three quarters full. */
static bool
hash_reserve(CrdtDoc *doc, CrdtHash *hash, size_t more)
{
	CrdtHash larger = {NULL, 16, 0};
	const CrdtHost *host = &doc->host;

	if ((hash->count + more) * 4 <= hash->capacity * 3)
		return true;
	while ((hash->count + more) * 4 > larger.capacity * 3)
		larger.capacity *= 2;
	larger.entries =
		host->resize(host->context, NULL, 0, larger.capacity * sizeof(*larger.entries));
	if (larger.entries == NULL)
		return false;
	memset(larger.entries, 0, larger.capacity * sizeof(*larger.entries));
	for (size_t i = 0; i < hash->capacity; i++)
		if (hash->entries[i] != 0)
			hash_put(&larger, hash_of_entry(doc, hash, hash->entries[i] - 1), hash->entries[i] - 1);
	if (hash->entries != NULL)
		host->resize(host->context, hash->entries, hash->capacity * sizeof(*hash->entries), 0);
	*hash = larger;
	return true;
}

/* Walks the entries that may be it: next number, or UINT32_MAX at the end. */
static inline uint32_t
hash_next(const CrdtHash *hash, size_t *at)
{
	uint32_t entry = hash->entries[*at & (hash->capacity - 1)];

	++*at;
	return entry - 1;
}

/* ---- clients ---- */

uint32_t
crdt_client_find(CrdtDoc *doc, uint64_t id)
{
	const CrdtHash *hash = &doc->client_hash;
	size_t at;
	uint32_t number;

	if (doc->client_hint < doc->client_count && doc->clients[doc->client_hint].id == id)
		return doc->client_hint;
	if (hash->capacity == 0)
		return CRDT_NO_CLIENT;
	at = (size_t) hash_number(doc, id);
	while ((number = hash_next(hash, &at)) != UINT32_MAX)
		if (doc->clients[number].id == id)
		{
			doc->client_hint = number;
			return number;
		}
	return CRDT_NO_CLIENT;
}

bool
crdt_client_add(CrdtDoc *doc, uint64_t id, uint32_t *number)
{
	*number = crdt_client_find(doc, id);
	if (*number != CRDT_NO_CLIENT)
		return true;
	if (doc->client_count >= UINT32_MAX - 1 ||
		!crdt_array_reserve(&doc->host, &doc->clients, &doc->client_capacity, doc->client_count + 1,
							sizeof(CrdtClient)) ||
		!hash_reserve(doc, &doc->client_hash, 1))
		return false;
	*number = (uint32_t) doc->client_count;
	doc->clients[doc->client_count++] = (CrdtClient){.id = id};
	hash_put(&doc->client_hash, hash_number(doc, id), *number);
	return true;
}

uint64_t
crdt_doc_state(const CrdtDoc *doc, uint64_t client)
{
	/* only the hint is written */
	uint32_t number = crdt_client_find((CrdtDoc *) doc, client);

	return number == CRDT_NO_CLIENT ? 0 : doc->clients[number].state;
}

CrdtPackedId
crdt_pack_wide(CrdtDoc *doc, uint32_t client, uint64_t clock)
{
	doc->wide_ids[doc->wide_count] = (CrdtId){client, clock};
	return CRDT_PACKED_WIDE << CRDT_PACKED_CLOCK_BITS | doc->wide_count++;
}

CrdtPackedId
crdt_item_last_id(CrdtDoc *doc, CrdtRef ref)
{
	const CrdtItem *item = crdt_item(doc, ref);
	CrdtPlace place = crdt_unpack(doc, item->id);

	return crdt_pack(doc, place.client, place.clock + crdt_item_length(item) - 1);
}

/* ---- names ---- */

uint32_t
crdt_name_find(const CrdtDoc *doc, CrdtBytes name)
{
	const CrdtHash *hash = &doc->name_hash;
	size_t at;
	uint32_t number;

	if (hash->capacity == 0)
		return 0;
	at = (size_t) hash_bytes(doc, name);
	while ((number = hash_next(hash, &at)) != UINT32_MAX)
		if (crdt_bytes_equal(doc->names[number], name))
			return number;
	return 0;
}

bool
crdt_name_add(CrdtDoc *doc, CrdtBytes name, uint32_t *number)
{
	CrdtBytes copy;

	*number = crdt_name_find(doc, name);
	if (*number != 0)
		return true;
	if (doc->name_count == 0)
		doc->name_count = 1;
	if (doc->name_count >= UINT32_MAX - 1 ||
		!crdt_array_reserve(&doc->host, &doc->names, &doc->name_capacity, doc->name_count + 1,
							sizeof(CrdtBytes)) ||
		!hash_reserve(doc, &doc->name_hash, 1))
		return false;
	copy = crdt_arena_copy(&doc->text, name);
	if (copy.data == NULL)
		return false;
	doc->names[0] = (CrdtBytes){NULL, 0};
	*number = (uint32_t) doc->name_count;
	doc->names[doc->name_count++] = copy;
	hash_put(&doc->name_hash, hash_bytes(doc, copy), *number);
	return true;
}

/* ---- types and lists ---- */

bool
crdt_types_reserve(CrdtDoc *doc, size_t types, size_t lists)
{
	if (doc->list_count == 0)
		doc->list_count = 1;
	lists += types; /* each type has a sequence */
	return doc->list_count + lists <= CRDT_LIST_COUNT_MAX &&
		   crdt_pool_reserve(&doc->host, &doc->types, types) &&
		   crdt_array_reserve(&doc->host, &doc->lists, &doc->list_capacity, doc->list_count + lists,
							  sizeof(CrdtList)) &&
		   hash_reserve(doc, &doc->list_hash, lists);
}

uint32_t
crdt_type_add(CrdtDoc *doc, uint8_t kind, uint32_t name, CrdtRef item)
{
	uint32_t number = crdt_pool_take(&doc->types);
	CrdtType *type = crdt_type(doc, number);

	*type = (CrdtType){.number = number, .root = number, .kind = kind, .name = name, .item = item};
	if (item != 0)
		type->root = crdt_type(doc, doc->lists[crdt_item(doc, item)->list].type)->root;
	type->sequence = crdt_list_add(doc, number, 0);
	return number;
}

uint32_t
crdt_list_find(const CrdtDoc *doc, uint32_t type, uint32_t key)
{
	const CrdtHash *hash = &doc->list_hash;
	size_t at;
	uint32_t number;

	if (key == 0)
		return crdt_type(doc, type)->sequence;
	if (hash->capacity == 0)
		return 0;
	at = (size_t) hash_number(doc, list_key(type, key));
	while ((number = hash_next(hash, &at)) != UINT32_MAX)
		if (doc->lists[number].type == type && doc->lists[number].key == key)
			return number;
	return 0;
}

uint32_t
crdt_list_add(CrdtDoc *doc, uint32_t type, uint32_t key)
{
	uint32_t number = crdt_list_find(doc, type, key);
	CrdtType *owner = crdt_type(doc, type);

	if (number != 0)
		return number;
	number = (uint32_t) doc->list_count++;
	doc->lists[number] = (CrdtList){.type = type, .key = key};
	if (key == 0)
		return number;
	hash_put(&doc->list_hash, hash_number(doc, list_key(type, key)), number);
	if (owner->last_key == 0)
		owner->first_key = number;
	else
		doc->lists[owner->last_key].next_key = number;
	owner->last_key = number;
	return number;
}

uint32_t
crdt_root_find(const CrdtDoc *doc, uint32_t name)
{
	/* a root is the entry of its name in the lists of "type 0" */
	uint32_t entry = name == 0 || doc->list_hash.capacity == 0 ? 0 : crdt_list_find(doc, 0, name);

	return entry == 0 ? 0 : (uint32_t) doc->lists[entry].length;
}

bool
crdt_root_add(CrdtDoc *doc, uint32_t name, uint32_t *type)
{
	uint32_t entry;

	*type = crdt_root_find(doc, name);
	if (*type != 0)
		return true;
	if (!crdt_types_reserve(doc, 1, 1) ||
		!crdt_array_reserve(&doc->host, &doc->roots, &doc->root_capacity, doc->root_count + 1,
							sizeof(uint32_t)))
		return false;
	crdt_show(crdt_type(doc, 0),
			  sizeof(CrdtType)); /* "type 0": the pool hands out no such number */
	*crdt_type(doc, 0) = (CrdtType){0};
	doc->lists[0] = (CrdtList){0};
	*type = crdt_type_add(doc, CRDT_UNTYPED, name, 0);
	entry = crdt_list_add(doc, 0, name);
	doc->lists[entry].length = *type;
	doc->roots[doc->root_count++] = *type;
	return true;
}
