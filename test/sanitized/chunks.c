/*
 * chunks.c: each palloc a malloc of its own, so that AddressSanitizer sees where it ends.
 *
 * PostgreSQL carves what palloc hands out from large blocks.  To the sanitizer such a block is one
 * piece: reading behind an allocation, before it, or after it was freed goes unnoticed as long as
 * one stays in the block.  This file, linked into the sanitized extension alone, replaces the
 * methods of PostgreSQL's ordinary memory contexts (AllocSet) from the moment the extension is
 * loaded.  Whoever allocates afterwards, the extension or the server for it (arguments, detoasted
 * values, what SPI returns), gets
 *
 *     | redzone | Chunk, poisoned | the bytes asked for | redzone |        from malloc
 *
 * and what is freed, or goes with its context, waits in the sanitizer's quarantine.
 *
 * All of it stands on what 14 and 15 promise in public headers: methods are looked up through the
 * context, and the pointer to the context is what precedes an allocation (GetMemoryChunkContext).
 * Servers from 16 on keep other things there: on those the file is empty, and the sanitizer sees
 * blocks (run says so).
 *
 * Compiled without instrumentation: it reads the heads that it has poisoned.
 */
#include "postgres.h"

#if PG_VERSION_NUM < 160000

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/hashfn.h"
#include "lib/ilist.h"
#include "nodes/memnodes.h"
#include "utils/memutils.h"

/* What an AllocSet has at this place is a size: never this. */
#define CHUNK_MARK UINT64CONST(0xfeedc0debadc0ffe)

typedef struct Chunk /* in front of an allocation, whose alignment it keeps */
{
	dlist_node of_context;
	Size size;
	uint64 unused;
	uint64 mark;
	MemoryContext context; /* last: where PostgreSQL looks for it */
} Chunk;

StaticAssertDecl(sizeof(Chunk) % 16 == 0, "a chunk's head keeps the alignment");

typedef struct Owner /* a context that has chunks */
{
	slist_node of_bucket;
	MemoryContext context;
	dlist_head chunks;
} Owner;

#define BUCKETS 4096

static slist_head owners[BUCKETS];
static MemoryContextMethods original;

/* ---- whose chunks ---- */

static slist_head *
bucket_of(MemoryContext context)
{
	return &owners[murmurhash32((uint32) ((uintptr_t) context >> 4)) % BUCKETS];
}

static Owner *
find_owner(MemoryContext context)
{
	slist_iter at;

	slist_foreach(at, bucket_of(context))
	{
		Owner *owner = slist_container(Owner, of_bucket, at.cur);

		if (owner->context == context)
			return owner;
	}
	return NULL;
}

static Owner *
add_owner(MemoryContext context)
{
	Owner *owner = malloc(sizeof(Owner));

	if (owner == NULL)
		return NULL;
	owner->context = context;
	dlist_init(&owner->chunks);
	slist_push_head(bucket_of(context), &owner->of_bucket);
	return owner;
}

/* The chunk before an allocation; NULL: it was made before we were here. */
static Chunk *
chunk_of(void *pointer)
{
	Chunk *chunk = (Chunk *) pointer - 1;

	return chunk->mark == CHUNK_MARK ? chunk : NULL;
}

/* As much as an AllocSet would have taken: limits on memory are met where they are met otherwise. */
static Size
space_of(const Chunk *chunk)
{
	return MAXALIGN(chunk->size) + 2 * sizeof(Size);
}

static void
free_chunk(Chunk *chunk)
{
	chunk->context->mem_allocated -= space_of(chunk);
	dlist_delete(&chunk->of_context);
	chunk->mark = 0;
	free(chunk);
}

static void
free_all_of(MemoryContext context)
{
	Owner *owner = find_owner(context);
	dlist_mutable_iter at;

	if (owner == NULL)
		return;
	dlist_foreach_modify(at, &owner->chunks) free_chunk(dlist_container(Chunk, of_context, at.cur));
	slist_delete(bucket_of(context), &owner->of_bucket);
	free(owner);
}

/* ---- the methods ---- */

static void *
chunks_alloc(MemoryContext context, Size size)
{
	Owner *owner = find_owner(context);
	Chunk *chunk;

	if (owner == NULL)
		owner = add_owner(context);
	chunk = owner == NULL ? NULL : malloc(sizeof(Chunk) + size);
	if (chunk == NULL)
		return NULL;
	chunk->size = size;
	chunk->mark = CHUNK_MARK;
	chunk->context = context;
	dlist_push_tail(&owner->chunks, &chunk->of_context);
	context->mem_allocated += space_of(chunk);
	__asan_poison_memory_region(chunk, sizeof(Chunk));
	return chunk + 1;
}

static void
chunks_free(MemoryContext context, void *pointer)
{
	Chunk *chunk = chunk_of(pointer);

	if (chunk == NULL)
		original.free_p(context, pointer);
	else
		free_chunk(chunk);
}

/* Always moves: a pointer to the old place is found out. */
static void *
chunks_realloc(MemoryContext context, void *pointer, Size size)
{
	Chunk *chunk = chunk_of(pointer);
	void *fresh;

	if (chunk == NULL)
		return original.realloc(context, pointer, size);
	fresh = chunks_alloc(context, size);
	if (fresh == NULL)
		return NULL;
	memcpy(fresh, pointer, Min(chunk->size, size));
	free_chunk(chunk);
	return fresh;
}

static void
chunks_reset(MemoryContext context)
{
	free_all_of(context);
	original.reset(context);
}

static void
chunks_delete_context(MemoryContext context)
{
	free_all_of(context);
	original.delete_context(context);
}

static Size
chunks_get_chunk_space(MemoryContext context, void *pointer)
{
	Chunk *chunk = chunk_of(pointer);

	return chunk == NULL ? original.get_chunk_space(context, pointer) : space_of(chunk);
}

static bool
chunks_is_empty(MemoryContext context)
{
	Owner *owner = find_owner(context);

	return (owner == NULL || dlist_is_empty(&owner->chunks)) && original.is_empty(context);
}

/* ---- taking over ---- */

/* Runs when the extension is loaded.  All contexts of the kind share one table of methods, which is
 * a constant of the server's. */
__attribute__((constructor)) static void
take_over(void)
{
	MemoryContextMethods *methods = (MemoryContextMethods *) TopMemoryContext->methods;
	uintptr_t page_size = (uintptr_t) sysconf(_SC_PAGESIZE);
	uintptr_t from = (uintptr_t) methods & ~(page_size - 1);
	size_t length = (uintptr_t) (methods + 1) - from;

	original = *methods;
	if (mprotect((void *) from, length, PROT_READ | PROT_WRITE) != 0)
		elog(FATAL, "could not take over the memory contexts: %m");
	methods->alloc = chunks_alloc;
	methods->free_p = chunks_free;
	methods->realloc = chunks_realloc;
	methods->reset = chunks_reset;
	methods->delete_context = chunks_delete_context;
	methods->get_chunk_space = chunks_get_chunk_space;
	methods->is_empty = chunks_is_empty;
	if (mprotect((void *) from, length, PROT_READ) != 0)
		elog(FATAL, "could not take over the memory contexts: %m");
}

#endif
