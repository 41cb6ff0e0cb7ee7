/*
 * poison.h: memory that is ours but not in use, hidden from our own mistakes in tests.
 *
 * Arenas and pools (memory.h, tables.h) take memory from the host in chunks.  AddressSanitizer sees
 * the chunks only; what lies behind a block, what an arena has forgotten, a record that is free:
 * reading it would go unnoticed.  With CRDT_POISON (the sanitized builds, where the host's blocks
 * come from malloc) these places are hidden until they are handed out.  Without, this is nothing.
 */
#ifndef CRDT_POISON_H
#define CRDT_POISON_H

#include <stddef.h>

#ifdef CRDT_POISON
#include <sanitizer/asan_interface.h>
#define CRDT_REDZONE 16 /* between the blocks of an arena */
#else
#define CRDT_REDZONE 0
#endif

static inline void
crdt_hide(const void *bytes, size_t size)
{
#ifdef CRDT_POISON
	__asan_poison_memory_region(bytes, size);
#else
	(void) bytes;
	(void) size;
#endif
}

/* Handed out; or given back to the host, who may look at all of it. */
static inline void
crdt_show(const void *bytes, size_t size)
{
#ifdef CRDT_POISON
	__asan_unpoison_memory_region(bytes, size);
#else
	(void) bytes;
	(void) size;
#endif
}

#endif
