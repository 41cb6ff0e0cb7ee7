/*
 * host.c: the tests' worlds: malloc that counts, refuses on demand and checks sizes.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

/* In front of every block; a multiple of the strictest alignment. */
typedef union BlockHead
{
	size_t size;
	max_align_t alignment;
} BlockHead;

static void *counting_resize(void *context, void *block, size_t old_size, size_t new_size);
static bool counting_cancelled(void *context);
static void *plain_resize(void *context, void *block, size_t old_size, size_t new_size);

void
test_host_open(TestHost *world)
{
	memset(world, 0, sizeof *world);
	world->host.resize = counting_resize;
	world->host.cancelled = counting_cancelled;
	world->host.context = world;
	world->host.hash_seed = UINT64_C(0x9e3779b97f4a7c15);
}

CrdtHost
test_host_plain(void)
{
	return (CrdtHost){.resize = plain_resize, .hash_seed = UINT64_C(0x9e3779b97f4a7c15)};
}

static void *
counting_resize(void *context, void *block, size_t old_size, size_t new_size)
{
	TestHost *world = context;
	BlockHead *old_head = block == NULL ? NULL : (BlockHead *) block - 1;
	BlockHead *head;

	if ((old_head == NULL ? 0 : old_head->size) != old_size)
		world->wrong_sizes++;
	if (old_head != NULL)
		old_size = old_head->size;
	if (new_size == 0)
	{
		world->bytes -= old_size;
		free(old_head);
		return NULL;
	}
	world->requests++;
	if (world->fail_at != 0 &&
		(world->fail_once ? world->requests == world->fail_at : world->requests >= world->fail_at))
	{
		world->failed++;
		return NULL;
	}

	/* Always a new place, so that a pointer into the old block is found by the sanitizers. */
	head = malloc(sizeof *head + new_size);
	if (head == NULL)
		return NULL;
	head->size = new_size;
	if (old_head != NULL)
		memcpy(head + 1, block, old_size < new_size ? old_size : new_size);
	free(old_head);
	world->bytes = world->bytes - old_size + new_size;
	if (world->bytes > world->peak_bytes)
		world->peak_bytes = world->bytes;
	return head + 1;
}

static bool
counting_cancelled(void *context)
{
	TestHost *world = context;

	world->questions++;
	return world->cancel_at != 0 && world->questions >= world->cancel_at;
}

static void *
plain_resize(void *context, void *block, size_t old_size, size_t new_size)
{
	(void) context;
	(void) old_size;
	if (new_size == 0)
	{
		free(block);
		return NULL;
	}
	return realloc(block, new_size);
}
