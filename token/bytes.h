/*
 * Bytes: a view into something that is read.
 */
#ifndef TOKEN_BYTES_H
#define TOKEN_BYTES_H

#include <stddef.h>
#include <stdint.h>

typedef struct Bytes /* borrowed, never NUL-terminated */
{
	const uint8_t *data;
	size_t size;
} Bytes;

#endif
