/*
 * limits.h: the fuzzers' world: malloc that knows how much is in use, and what an input may cost.
 */
#ifndef FUZZ_LIMITS_H
#define FUZZ_LIMITS_H

#include "../../../extension/crdt/document.h"
#include "../require.h"

/* Counts bytes in use; aborts the program beyond the limit, or if a size is given back wrongly. */
typedef struct Limits
{
	CrdtHost host;
	size_t bytes;
	size_t most_bytes;
	size_t limit_bytes;
} Limits;

/*
 * For an input of that size: what update.h and document.h promise.  V1: a constant and a multiple
 * of the bytes.  V2: the same multiple, of the bytes and of the structs that it may claim.
 */
void limits_open(Limits *limits, size_t input_bytes, bool may_be_v2);

/* Aborts if anything is still in use. */
void limits_close(const Limits *limits);

#endif
