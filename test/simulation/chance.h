/*
 * Chance: one seeded source for all that happens in a world.
 *
 *     chance_seed(7, 42);              world 42 of seed 7
 *     if (chance_in(100)) ...          once in a hundred times
 *     relay = chance_below(count);
 *
 * Also the growing arrays that the simulation's own files use.
 */
#ifndef SIMULATION_CHANCE_H
#define SIMULATION_CHANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void chance_seed(uint64_t seed, uint64_t world);
uint64_t chance_bits(void);

/* 0 to limit - 1; 0 if limit is 0. */
uint32_t chance_below(uint32_t limit);
uint32_t chance_between(uint32_t least, uint32_t most);
bool chance_in(uint32_t times);

/* Above 0 and below 1. */
double chance_real(void);

/* Makes room for one element more; ends the program when out of memory. */
void *array_grow(void *array, size_t count, size_t *capacity, size_t element_size);

/* Drops the first elements. */
void array_drop(void *array, size_t *count, size_t dropped, size_t element_size);

#define ARRAY_ADD(array, count, capacity, element)                            \
	do                                                                        \
	{                                                                         \
		(array) = array_grow((array), (count), &(capacity), sizeof *(array)); \
		(array)[(count)++] = (element);                                       \
	} while (0)

/* Zeroed. */
void *allocate(size_t size);

#endif
