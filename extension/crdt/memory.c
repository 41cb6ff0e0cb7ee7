/*
 * memory.c: arenas and growing arrays on the host (memory.h).
 *
 * A chunk doubles the last one up to CHUNK_MOST, so that small documents stay small and large ones
 * take few chunks.  A block larger than a chunk gets a chunk of its own.
 */
#include "memory.h"

#include <string.h>

#include "poison.h"

#define CHUNK_LEAST 1024
#define CHUNK_MOST (64 * 1024)
#define ALIGNMENT 16

struct CrdtArenaChunk
{
	CrdtArenaChunk *next;
	size_t size; /* with this head */
};

#define CHUNK_HEAD ((sizeof(CrdtArenaChunk) + ALIGNMENT - 1) & ~(size_t) (ALIGNMENT - 1))

void
crdt_arena_open(CrdtArena *arena, const CrdtHost *host)
{
	*arena = (CrdtArena){.host = host};
}

static void
free_chunks(CrdtArena *arena, CrdtArenaChunk *chunk)
{
	while (chunk != NULL)
	{
		CrdtArenaChunk *next = chunk->next;

		arena->bytes -= chunk->size;
		crdt_show(chunk, chunk->size);
		arena->host->resize(arena->host->context, chunk, chunk->size, 0);
		chunk = next;
	}
}

void
crdt_arena_close(CrdtArena *arena)
{
	free_chunks(arena, arena->chunk);
	crdt_arena_open(arena, arena->host);
}

void
crdt_arena_reset(CrdtArena *arena)
{
	CrdtArenaChunk *chunk = arena->chunk;

	if (chunk == NULL)
		return;
	if (chunk->size > CHUNK_MOST)
	{
		crdt_arena_close(arena);
		return;
	}
	free_chunks(arena, chunk->next);
	chunk->next = NULL;
	arena->cursor = (uint8_t *) chunk + CHUNK_HEAD;
	crdt_hide(arena->cursor, chunk->size - CHUNK_HEAD);
}

/* A new chunk with room for size bytes behind its head. */
static bool
add_chunk(CrdtArena *arena, size_t size)
{
	size_t chunk_size = arena->chunk == NULL ? CHUNK_LEAST : arena->chunk->size * 2;
	CrdtArenaChunk *chunk;

	if (size > SIZE_MAX / 2 - CHUNK_HEAD)
		return false;
	if (chunk_size > CHUNK_MOST)
		chunk_size = CHUNK_MOST;
	if (chunk_size < size + CHUNK_HEAD)
		chunk_size = size + CHUNK_HEAD;
	chunk = arena->host->resize(arena->host->context, NULL, 0, chunk_size);
	if (chunk == NULL)
		return false;
	chunk->next = arena->chunk;
	chunk->size = chunk_size;
	arena->chunk = chunk;
	arena->cursor = (uint8_t *) chunk + CHUNK_HEAD;
	arena->end = (uint8_t *) chunk + chunk_size;
	arena->bytes += chunk_size;
	crdt_hide(arena->cursor, chunk_size - CHUNK_HEAD);
	return true;
}

bool
crdt_arena_reserve(CrdtArena *arena, size_t size)
{
	return (size_t) (arena->end - arena->cursor) >= size || add_chunk(arena, size);
}

void *
crdt_arena_take(CrdtArena *arena, size_t size)
{
	uintptr_t misaligned = (uintptr_t) arena->cursor % ALIGNMENT;
	size_t gap = CRDT_REDZONE + (misaligned == 0 ? 0 : ALIGNMENT - misaligned);
	uint8_t *block;

	if ((size_t) (arena->end - arena->cursor) < gap ||
		(size_t) (arena->end - arena->cursor) - gap < size)
	{
		if (!add_chunk(arena, size))
			return NULL;
		gap = 0;
	}
	block = arena->cursor + gap;
	arena->cursor = block + size;
	crdt_show(block, size);
	return block;
}

uint8_t *
crdt_arena_take_bytes(CrdtArena *arena, size_t size)
{
	uint8_t *block;

	if (!crdt_arena_reserve(arena, size))
		return NULL;
	block = arena->cursor;
	arena->cursor += size;
	crdt_show(block, size);
	return block;
}

CrdtBytes
crdt_arena_copy(CrdtArena *arena, CrdtBytes bytes)
{
	static const uint8_t nothing[1];
	uint8_t *copy;

	if (bytes.size == 0)
		return (CrdtBytes){nothing, 0};
	copy = crdt_arena_take_bytes(arena, bytes.size);
	if (copy == NULL)
		return (CrdtBytes){NULL, 0};
	memcpy(copy, bytes.data, bytes.size);
	return (CrdtBytes){copy, bytes.size};
}

bool
crdt_array_grow(const CrdtHost *host, void *array, size_t *capacity, size_t needed,
				size_t element_size)
{
	void *old;
	void *new;
	size_t new_capacity = *capacity + *capacity / 2 + 8;

	if (new_capacity < needed)
		new_capacity = needed;
	if (new_capacity > SIZE_MAX / 2 / element_size)
		return false;
	/* array is the address of a pointer of any type */
	memcpy(&old, array, sizeof(old));
	new = host->resize(host->context, old, *capacity * element_size, new_capacity * element_size);
	if (new == NULL)
		return false;
	memcpy(array, &new, sizeof(new));
	*capacity = new_capacity;
	return true;
}

void
crdt_array_release(const CrdtHost *host, void *array, size_t *capacity, size_t element_size)
{
	void *old;

	memcpy(&old, array, sizeof(old));
	host->resize(host->context, old, *capacity * element_size, 0);
	old = NULL;
	memcpy(array, &old, sizeof(old));
	*capacity = 0;
}

/* ---- sorting ---- */

#define SORT_ELEMENT_MOST 128

static void
sift_down(uint8_t *elements, size_t root, size_t count, size_t size,
		  bool (*is_before)(const void *a, const void *b))
{
	uint8_t moved[SORT_ELEMENT_MOST];

	memcpy(moved, elements + root * size, size);
	for (size_t child; (child = 2 * root + 1) < count; root = child)
	{
		if (child + 1 < count && is_before(elements + child * size, elements + (child + 1) * size))
			child++;
		if (!is_before(moved, elements + child * size))
			break;
		memcpy(elements + root * size, elements + child * size, size);
	}
	memcpy(elements + root * size, moved, size);
}

void
crdt_sort(void *array, size_t count, size_t element_size,
		  bool (*is_before)(const void *a, const void *b))
{
	uint8_t *elements = array;
	uint8_t last[SORT_ELEMENT_MOST];
	size_t sorted = 1;

	while (sorted < count &&
		   !is_before(elements + sorted * element_size, elements + (sorted - 1) * element_size))
		sorted++;
	if (sorted >= count)
		return;
	for (size_t root = count / 2; root-- > 0;)
		sift_down(elements, root, count, element_size, is_before);
	for (size_t end = count - 1; end > 0; end--)
	{
		memcpy(last, elements + end * element_size, element_size);
		memcpy(elements + end * element_size, elements, element_size);
		memcpy(elements, last, element_size);
		sift_down(elements, 0, end, element_size, is_before);
	}
}
