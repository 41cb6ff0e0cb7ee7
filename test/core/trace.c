/*
 * trace.c: reads an editing trace.
 */
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>

static void split_updates(Trace *trace, const char *name);
static uint32_t read_u32(const uint8_t *bytes);

void
trace_read(Trace *trace, const char *directory, const char *name, bool without_updates)
{
	char file[512];

	*trace = (Trace){0};
	snprintf(file, sizeof file, "%s.v1", name);
	trace->state = input_read_in(directory, file);
	snprintf(file, sizeof file, "%s.txt", name);
	trace->text = input_read_in(directory, file);
	if (without_updates)
		return;
	snprintf(file, sizeof file, "%s.updates", name);
	trace->unzipped = input_read_in(directory, file);
	split_updates(trace, name);
}

void
trace_free(Trace *trace)
{
	free(trace->updates);
	input_free(&trace->unzipped);
	input_free(&trace->state);
	input_free(&trace->text);
	*trace = (Trace){0};
}

/* u32 little-endian length, bytes, and so on to the end. */
static void
split_updates(Trace *trace, const char *name)
{
	const uint8_t *data = trace->unzipped.data;
	size_t size = trace->unzipped.size;
	size_t at = 0;

	/* An update has at least two bytes, so this is room for all. */
	trace->updates = test_alloc((size / 6 + 1) * sizeof *trace->updates);
	while (at < size)
	{
		uint32_t length = size - at < 4 ? UINT32_MAX : read_u32(data + at);

		if (length > size - at - 4 || length < 2)
		{
			fprintf(stderr, "%s: update %zu is cut off\n", name, trace->update_count);
			exit(2);
		}
		trace->updates[trace->update_count++] = (CrdtBytes){data + at + 4, length};
		at += 4 + (size_t) length;
	}
}

static uint32_t
read_u32(const uint8_t *bytes)
{
	return (uint32_t) bytes[0] | (uint32_t) bytes[1] << 8 | (uint32_t) bytes[2] << 16 |
		   (uint32_t) bytes[3] << 24;
}
