/*
 * chance.c: SplitMix64, and memory that is always there.
 */
#include "chance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static void end_without_memory(void) __attribute__((noreturn));

void
chance_seed(uint64_t seed, uint64_t world)
{
	state = seed * UINT64_C(0x9e3779b97f4a7c15) ^ world * UINT64_C(0xbf58476d1ce4e5b9);
	for (int i = 0; i < 4; i++)
		chance_bits();
}

uint64_t
chance_bits(void)
{
	uint64_t bits = state += UINT64_C(0x9e3779b97f4a7c15);

	bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	bits = (bits ^ bits >> 27) * UINT64_C(0x94d049bb133111eb);
	return bits ^ bits >> 31;
}

uint32_t
chance_below(uint32_t limit)
{
	return (uint32_t) ((chance_bits() >> 32) * limit >> 32);
}

uint32_t
chance_between(uint32_t least, uint32_t most)
{
	return least + chance_below(most - least + 1);
}

bool
chance_in(uint32_t times)
{
	return chance_below(times) == 0;
}

double
chance_real(void)
{
	return ((double) (chance_bits() >> 11) + 0.5) / 9007199254740992.0;
}

void *
array_grow(void *array, size_t count, size_t *capacity, size_t element_size)
{
	if (count < *capacity)
		return array;
	*capacity = *capacity == 0 ? 8 : *capacity * 2;
	array = realloc(array, *capacity * element_size);
	if (array == NULL)
		end_without_memory();
	return array;
}

void
array_drop(void *array, size_t *count, size_t dropped, size_t element_size)
{
	*count -= dropped;
	if (dropped > 0 && *count > 0)
		memmove(array, (char *) array + dropped * element_size, *count * element_size);
}

void *
allocate(size_t size)
{
	void *memory = calloc(1, size);

	if (memory == NULL)
		end_without_memory();
	return memory;
}

static void
end_without_memory(void)
{
	fputs("the simulation is out of memory\n", stderr);
	exit(2);
}
