/*
 * base64.c: RFC 4648 section 4, with padding.
 */
#include "base64.h"

#include <stdlib.h>
#include <string.h>

#include "../core/input.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

uint8_t *
base64_decode(const char *text, size_t length, size_t *size)
{
	uint8_t *bytes;
	uint32_t group = 0;
	size_t written = 0;

	if (text == NULL || length % 4 != 0)
		return NULL;
	while (length > 0 && text[length - 1] == '=' && length % 4 != 2)
		length--;
	*size = length * 3 / 4;
	bytes = test_alloc(*size);
	for (size_t i = 0; i < length; i++)
	{
		const char *digit = text[i] == 0 ? NULL : strchr(digits, text[i]);

		if (digit == NULL)
		{
			free(bytes);
			return NULL;
		}
		group = group << 6 | (uint32_t) (digit - digits);
		if (i % 4 != 0)
			bytes[written++] = (uint8_t) (group >> (6 - 2 * (i % 4)));
	}
	return bytes;
}

char *
base64_encode(const uint8_t *bytes, size_t size)
{
	char *text = test_alloc((size + 2) / 3 * 4 + 1);
	size_t length = 0;

	for (size_t i = 0; i < size; i += 3)
	{
		size_t left = size - i;
		uint32_t group = (uint32_t) bytes[i] << 16;

		if (left > 1)
			group |= (uint32_t) bytes[i + 1] << 8;
		if (left > 2)
			group |= bytes[i + 2];
		text[length++] = digits[group >> 18];
		text[length++] = digits[group >> 12 & 63];
		text[length++] = left > 1 ? digits[group >> 6 & 63] : '=';
		text[length++] = left > 2 ? digits[group & 63] : '=';
	}
	text[length] = 0;
	return text;
}
