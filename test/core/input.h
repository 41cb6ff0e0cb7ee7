/*
 * input.h: the files of test/data, unzipped if their name ends in .gz, whole in memory.
 *
 * A test that cannot read its input must not pass, so failures end the program with a message.
 */
#ifndef TEST_CORE_INPUT_H
#define TEST_CORE_INPUT_H

#include "../../extension/crdt/host.h"

/* Bytes on malloc, with a NUL behind them that size does not count. */
typedef struct Input
{
	uint8_t *data;
	size_t size;
} Input;

Input input_read(const char *path);

/* Reads directory/name or, if there is none, directory/name.gz. */
Input input_read_in(const char *directory, const char *name);
void input_free(Input *input);
CrdtBytes input_view(const Input *input);

/* malloc or the end of the program. */
void *test_alloc(size_t size);

#endif
