/*
 * require.h: what must be true of every input.
 */
#ifndef FUZZ_REQUIRE_H
#define FUZZ_REQUIRE_H

#include <stdbool.h>

/* Aborts with the message: libFuzzer keeps the input. */
void fuzz_require(bool is_true, const char *message);

#endif
