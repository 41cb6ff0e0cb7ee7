/*
 * base64.h: the byte strings of the vector files.
 */
#ifndef CONFORMANCE_BASE64_H
#define CONFORMANCE_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Decoded bytes on malloc, as large as needed and no larger; NULL if text is not base64. */
uint8_t *base64_decode(const char *text, size_t length, size_t *size);

/* Text on malloc, padded, NUL-terminated. */
char *base64_encode(const uint8_t *bytes, size_t size);

#endif
