/*
 * require.c: how a fuzzer says that something is wrong (require.h).
 */
#include "require.h"

#include <stdio.h>
#include <stdlib.h>

void
fuzz_require(bool is_true, const char *message)
{
	if (is_true)
		return;
	fprintf(stderr, "fuzz: %s\n", message);
	abort();
}
