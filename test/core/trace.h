/*
 * trace.h: an editing trace of test/data/traces: its updates, the state and the text they end in.
 */
#ifndef TEST_CORE_TRACE_H
#define TEST_CORE_TRACE_H

#include "input.h"

typedef struct Trace
{
	CrdtBytes *updates; /* views of unzipped; NULL for a trace of which only the state is known */
	size_t update_count;
	Input unzipped;
	Input state; /* encodeStateAsUpdate after all of them */
	Input text;
} Trace;

/* Reads the trace; without_updates: the state and the text only.  Ends the program on failure. */
void trace_read(Trace *trace, const char *directory, const char *name, bool without_updates);
void trace_free(Trace *trace);

#endif
