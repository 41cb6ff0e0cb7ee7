/*
 * memory.h: memory that is freed together: an arena on the host, and arrays that grow.
 *
 *     CrdtArena arena;
 *
 *     crdt_arena_open(&arena, host);
 *     name = crdt_arena_copy(&arena, bytes);      -- data NULL: no memory
 *     crdt_arena_close(&arena);
 *
 * Not here: buffers that are written to (bytes.h).
 */
#ifndef CRDT_MEMORY_H
#define CRDT_MEMORY_H

#include "host.h"

typedef struct CrdtArenaChunk CrdtArenaChunk;

typedef struct CrdtArena
{
	const CrdtHost *host;
	CrdtArenaChunk *chunk; /* newest first; only it has room */
	uint8_t *cursor;
	uint8_t *end;
	size_t bytes; /* taken from the host */
} CrdtArena;

void crdt_arena_open(CrdtArena *arena, const CrdtHost *host);
void crdt_arena_close(CrdtArena *arena);

/* Forgets all blocks; keeps the newest chunk, if it is of ordinary size, for the next use. */
void crdt_arena_reset(CrdtArena *arena);

/* A block aligned for any type; NULL: no memory. */
void *crdt_arena_take(CrdtArena *arena, size_t size);

/* Unaligned bytes, placed right behind the previous unaligned ones as long as the chunk has room. */
uint8_t *crdt_arena_take_bytes(CrdtArena *arena, size_t size);

/* Makes the next take_bytes calls of up to size bytes in all succeed. */
CRDT_MUST_CHECK bool crdt_arena_reserve(CrdtArena *arena, size_t size);

CrdtBytes crdt_arena_copy(CrdtArena *arena, CrdtBytes bytes);

CRDT_MUST_CHECK bool crdt_array_grow(const CrdtHost *host, void *array, size_t *capacity,
									 size_t needed, size_t element_size);

/* Room for needed elements in a plain array; grows by half; false: no memory (nothing changed). */
CRDT_MUST_CHECK static inline bool
crdt_array_reserve(const CrdtHost *host, void *array, size_t *capacity, size_t needed,
				   size_t element_size)
{
	return needed <= *capacity || crdt_array_grow(host, array, capacity, needed, element_size);
}

void crdt_array_release(const CrdtHost *host, void *array, size_t *capacity, size_t element_size);

/* Frees what crdt_array_reserve made. */
static inline void
crdt_array_free(const CrdtHost *host, void *array, size_t *capacity, size_t element_size)
{
	if (*capacity > 0)
		crdt_array_release(host, array, capacity, element_size);
}

/* Sorts in place without recursion, allocation or a quadratic worst case (heap sort; what is sorted
 * already costs one pass).  Not stable. */
void crdt_sort(void *array, size_t count, size_t element_size,
			   bool (*is_before)(const void *a, const void *b));

#endif
