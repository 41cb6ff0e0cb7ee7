/*
 * base64url.c: reading base64url.
 *
 * Here: the strict decoder.  Not here: what the bytes are (keys.c, token.c).  OpenSSL's own decoder
 * takes the other alphabet, and white space and idle bits with it.
 */
#include "base64url.h"

static int value_of(uint8_t letter);

bool
base64url_decode(Bytes text, uint8_t *place, size_t *size)
{
	uint32_t bits = 0;
	size_t written = 0;

	*size = BASE64URL_BYTES(text.size);
	if (text.size % 4 == 1)
		return false;
	for (size_t i = 0; i < text.size; i++)
	{
		int value = value_of(text.data[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t) value;
		if (i % 4 != 0) /* every letter but the first of four completes a byte */
			place[written++] = (uint8_t) (bits >> (6 - 2 * (i % 4)));
	}
	/* two letters leave 4 bits over, three leave 2 */
	size_t over = text.size % 4 == 2 ? 4 : text.size % 4 == 3 ? 2 : 0;

	return (bits & ((1U << over) - 1)) == 0;
}

static int
value_of(uint8_t letter)
{
	if (letter >= 'A' && letter <= 'Z')
		return letter - 'A';
	if (letter >= 'a' && letter <= 'z')
		return letter - 'a' + 26;
	if (letter >= '0' && letter <= '9')
		return letter - '0' + 52;
	return letter == '-' ? 62 : letter == '_' ? 63 : -1;
}
