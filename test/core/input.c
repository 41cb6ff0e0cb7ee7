/*
 * input.c: reads the files of test/data.
 */
#include "input.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

Input
input_read(const char *path)
{
	gzFile file = gzopen(path, "rb"); /* reads what is not compressed as it is */
	Input input = {0};
	size_t capacity = 1 << 16;

	if (file == NULL)
	{
		perror(path);
		exit(2);
	}
	input.data = test_alloc(capacity);
	for (;;)
	{
		int count = gzread(file, input.data + input.size, (unsigned) (capacity - input.size - 1));

		if (count < 0)
		{
			int code;

			fprintf(stderr, "%s: %s\n", path, gzerror(file, &code));
			exit(2);
		}
		if (count == 0)
			break;
		input.size += (size_t) count;
		if (capacity - input.size < capacity / 2)
		{
			capacity *= 2;
			input.data = realloc(input.data, capacity);
			if (input.data == NULL)
			{
				perror(path);
				exit(2);
			}
		}
	}
	if (gzclose(file) != Z_OK)
	{
		fprintf(stderr, "%s: ends too early\n", path);
		exit(2);
	}
	input.data[input.size] = 0;
	return input;
}

Input
input_read_in(const char *directory, const char *name)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	if (access(path, R_OK) != 0)
		snprintf(path, sizeof path, "%s/%s.gz", directory, name);
	return input_read(path);
}

void
input_free(Input *input)
{
	free(input->data);
	*input = (Input){0};
}

CrdtBytes
input_view(const Input *input)
{
	return (CrdtBytes){input->data, input->size};
}

void *
test_alloc(size_t size)
{
	void *block = malloc(size == 0 ? 1 : size);

	if (block == NULL)
	{
		perror("test");
		exit(2);
	}
	return block;
}
