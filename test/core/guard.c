/*
 * guard.c: input that ends at an unreadable page.
 */
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void guard_grow(Guard *guard, size_t needed_bytes);

CrdtBytes
guard_place(Guard *guard, CrdtBytes bytes)
{
	uint8_t *place;

	if (guard->mapping == NULL || guard->readable_bytes < bytes.size)
		guard_grow(guard, bytes.size);
	place = guard->mapping + guard->readable_bytes - bytes.size;
	if (bytes.size > 0)
		memmove(place, bytes.data, bytes.size);
	return (CrdtBytes){place, bytes.size};
}

void
guard_close(Guard *guard)
{
	if (guard->mapping != NULL)
		munmap(guard->mapping, guard->readable_bytes + (size_t) sysconf(_SC_PAGESIZE));
	*guard = (Guard){0};
}

static void
guard_grow(Guard *guard, size_t needed_bytes)
{
	size_t page = (size_t) sysconf(_SC_PAGESIZE);
	size_t readable = (needed_bytes / page + 1) * page;
	uint8_t *mapping =
		mmap(NULL, readable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mapping == MAP_FAILED || mprotect(mapping + readable, page, PROT_NONE) != 0)
	{
		perror("guard page");
		exit(2);
	}
	guard_close(guard);
	guard->mapping = mapping;
	guard->readable_bytes = readable;
}
