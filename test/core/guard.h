/*
 * guard.h: input that ends at an unreadable page.
 *
 *     | ........ the bytes | unreadable |      reading one byte too many stops the program
 *
 *     Guard guard = {0};
 *     CrdtBytes update = guard_place(&guard, bytes);
 *     ...
 *     guard_close(&guard);
 */
#ifndef TEST_CORE_GUARD_H
#define TEST_CORE_GUARD_H

#include "../../extension/crdt/host.h"

typedef struct Guard
{
	uint8_t *mapping; /* readable part; the unreadable page follows */
	size_t readable_bytes;
} Guard;

/* A copy of bytes that ends at the page; replaces what was placed before.  Ends the program if the
 * system has no memory. */
CrdtBytes guard_place(Guard *guard, CrdtBytes bytes);
void guard_close(Guard *guard);

#endif
