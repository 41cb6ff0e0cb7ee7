/*
 * limits.c: memory that is watched (limits.h).
 */
#include "limits.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../../extension/crdt/update.h"

static void *
watched_resize(void *context, void *block, size_t old_size, size_t new_size)
{
	Limits *limits = context;
	void *resized;

	limits->bytes += new_size - old_size;
	if (limits->bytes > limits->most_bytes)
		limits->most_bytes = limits->bytes;
	if (limits->bytes > limits->limit_bytes && new_size > old_size)
	{
		fprintf(stderr, "fuzz: %zu bytes of memory in use, %zu are the limit\n", limits->bytes,
				limits->limit_bytes);
		abort();
	}
	if (new_size == 0)
	{
		free(block);
		return NULL;
	}
	/* always elsewhere, so that a pointer into the old block is found out */
	resized = malloc(new_size);
	if (block != NULL)
	{
		__builtin_memcpy(resized, block, old_size < new_size ? old_size : new_size);
		free(block);
	}
	return resized;
}

void
limits_open(Limits *limits, size_t input_bytes, bool may_be_v2)
{
	size_t structs = may_be_v2 ? CRDT_V2_STRUCTS_BASE + CRDT_V2_STRUCTS_PER_BYTE * input_bytes : 0;

	*limits =
		(Limits){.limit_bytes = CRDT_MEMORY_BASE + CRDT_MEMORY_PER_BYTE * (input_bytes + structs)};
	limits->host = (CrdtHost){.resize = watched_resize, .context = limits, .hash_seed = 1};
}

void
limits_close(const Limits *limits)
{
	fuzz_require(limits->bytes == 0, "memory was not given back, or with another size");
}
