/*
 * base64url as JOSE writes it (RFC 4648 section 5, RFC 7515 section 2), read strictly.
 *
 *     uint8_t place[32];
 *     if (text.size == 43 && base64url_decode(text, place, &size)) ...
 *
 * No padding, no white space, no letters of plain base64, and no bits that do not count: so bytes
 * have one spelling only, and a token cannot be changed without changing what it says.
 */
#ifndef TOKEN_BASE64URL_H
#define TOKEN_BASE64URL_H

#include <stdbool.h>

#include "bytes.h"

/* Bytes that so many letters stand for. */
#define BASE64URL_BYTES(letters) ((letters) / 4 * 3 + (letters) % 4 * 3 / 4)

/* Into place, which has room for BASE64URL_BYTES(text.size); *size gets that number.  False if the
 * text is anything else, and then place holds rubbish. */
bool base64url_decode(Bytes text, uint8_t *place, size_t *size);

#endif
