/*
 * utf.c: checking, counting and cutting text (utf.h), with a fast path for ASCII.
 */
#include "utf.h"

#include <string.h>

/* Bytes of ASCII at the start of text. */
static size_t
ascii_prefix(CrdtBytes text)
{
	size_t at = 0;

	while (text.size - at >= 8)
	{
		uint64_t word;

		memcpy(&word, text.data + at, 8);
		if ((word & UINT64_C(0x8080808080808080)) != 0)
			break;
		at += 8;
	}
	while (at < text.size && text.data[at] < 0x80)
		at++;
	return at;
}

static bool
is_continuation(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Bytes of the valid character at text (size > 0), or 0. */
static size_t
character_size(const uint8_t *text, size_t size)
{
	uint8_t lead = text[0];

	if (lead < 0x80)
		return 1;
	if (lead < 0xc2)
		return 0;
	if (lead < 0xe0)
		return size >= 2 && is_continuation(text[1]) ? 2 : 0;
	if (lead < 0xf0)
	{
		if (size < 3 || !is_continuation(text[1]) || !is_continuation(text[2]))
			return 0;
		if ((lead == 0xe0 && text[1] < 0xa0) || (lead == 0xed && text[1] >= 0xa0))
			return 0;
		return 3;
	}
	if (lead > 0xf4 || size < 4 || !is_continuation(text[1]) || !is_continuation(text[2]) ||
		!is_continuation(text[3]))
		return 0;
	if ((lead == 0xf0 && text[1] < 0x90) || (lead == 0xf4 && text[1] >= 0x90))
		return 0;
	return 4;
}

bool
crdt_utf8_measure(CrdtBytes text, uint64_t *length_utf16, bool *ascii)
{
	size_t at = ascii_prefix(text);
	uint64_t length = at;

	*ascii = at == text.size;
	while (at < text.size)
	{
		size_t size = character_size(text.data + at, text.size - at);

		if (size == 0)
			return false;
		at += size;
		length += size == 4 ? 2 : 1;
	}
	*length_utf16 = length;
	return true;
}

bool
crdt_utf8_is_valid(CrdtBytes text)
{
	uint64_t length;
	bool ascii;

	return crdt_utf8_measure(text, &length, &ascii);
}

/* Is this a lone surrogate in its three-byte form? */
static bool
is_surrogate(const uint8_t *text, size_t size)
{
	return size >= 3 && text[0] == 0xed && text[1] >= 0xa0 && text[1] < 0xc0 &&
		   is_continuation(text[2]);
}

bool
crdt_wtf8_measure(CrdtBytes text, uint64_t *length_utf16, bool *ascii)
{
	size_t at = ascii_prefix(text);
	uint64_t length = at;

	*ascii = at == text.size;
	while (at < text.size)
	{
		size_t size = character_size(text.data + at, text.size - at);

		if (size == 0)
		{
			if (!is_surrogate(text.data + at, text.size - at))
				return false;
			/* a pair is one character of four bytes */
			if (text.data[at + 1] < 0xb0 && text.size - at >= 6 &&
				is_surrogate(text.data + at + 3, text.size - at - 3) && text.data[at + 4] >= 0xb0)
				return false;
			size = 3;
		}
		at += size;
		length += size == 4 ? 2 : 1;
	}
	*length_utf16 = length;
	return true;
}

/* Internal text is valid, so the lead byte tells all. */
static size_t
known_size(uint8_t lead)
{
	return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

uint64_t
crdt_utf16_length(CrdtBytes text)
{
	uint64_t length = 0;

	/* a unit for each byte that begins a character, and one more for those of four bytes */
	for (size_t i = 0; i < text.size; i++)
		length += (uint64_t) !is_continuation(text.data[i]) + (text.data[i] >= 0xf0);
	return length;
}

CrdtTextPlace
crdt_utf16_place(CrdtBytes text, uint64_t index_utf16)
{
	CrdtTextPlace place = {0, false};
	uint64_t unit = 0;

	while (unit < index_utf16)
	{
		size_t size = known_size(text.data[place.offset]);

		if (size == 4 && unit + 1 == index_utf16)
		{
			place.inside_pair = true;
			return place;
		}
		place.offset += size;
		unit += size == 4 ? 2 : 1;
	}
	return place;
}

void
crdt_utf8_replace_surrogates(uint8_t *text, size_t size)
{
	uint8_t *at = text;
	uint8_t *end = text + size;

	while (at < end && (at = memchr(at, 0xed, (size_t) (end - at))) != NULL)
	{
		if (end - at >= 3 && at[1] >= 0xa0)
			memcpy(at, "\xef\xbf\xbd", 3);
		at++;
	}
}

size_t
crdt_utf8_put(uint8_t *to, uint32_t code_point)
{
	if (code_point < 0x80)
	{
		to[0] = (uint8_t) code_point;
		return 1;
	}
	if (code_point < 0x800)
	{
		to[0] = (uint8_t) (0xc0 | code_point >> 6);
		to[1] = (uint8_t) (0x80 | (code_point & 0x3f));
		return 2;
	}
	if (code_point < 0x10000)
	{
		to[0] = (uint8_t) (0xe0 | code_point >> 12);
		to[1] = (uint8_t) (0x80 | (code_point >> 6 & 0x3f));
		to[2] = (uint8_t) (0x80 | (code_point & 0x3f));
		return 3;
	}
	to[0] = (uint8_t) (0xf0 | code_point >> 18);
	to[1] = (uint8_t) (0x80 | (code_point >> 12 & 0x3f));
	to[2] = (uint8_t) (0x80 | (code_point >> 6 & 0x3f));
	to[3] = (uint8_t) (0x80 | (code_point & 0x3f));
	return 4;
}

bool
crdt_utf8_ends_in_high_surrogate(CrdtBytes text)
{
	const uint8_t *last = text.data + text.size - 3;

	return text.size >= 3 && last[0] == 0xed && last[1] >= 0xa0 && last[1] < 0xb0;
}

bool
crdt_utf8_begins_with_low_surrogate(CrdtBytes text)
{
	return text.size >= 3 && text.data[0] == 0xed && text.data[1] >= 0xb0;
}
