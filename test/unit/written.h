/*
 * written.h: an update that a test writes itself, number by number.
 *
 *     static Written update;
 *
 *     update.size = 0;
 *     put(&update, 1);                     -- clients
 *     put_byte(&update, 0x84);             -- a struct's first byte: no number
 *     receive(&ann, view(&update));
 */
#ifndef UNIT_WRITTEN_H
#define UNIT_WRITTEN_H

#include <assert.h>

#include "../../extension/crdt/host.h"

typedef struct Written
{
	uint8_t data[80000];
	size_t size;
} Written;

static inline void
put_byte(Written *written, uint8_t byte)
{
	assert(written->size < sizeof written->data);
	written->data[written->size++] = byte;
}

/* A varUint. */
static inline void
put(Written *written, uint64_t number)
{
	for (; number > 127; number >>= 7)
		put_byte(written, (uint8_t) (number | 128));
	put_byte(written, (uint8_t) number);
}

static inline CrdtBytes
view(const Written *written)
{
	return (CrdtBytes){written->data, written->size};
}

#endif
