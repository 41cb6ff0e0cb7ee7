/*
 * name.c: which bytes are a text, and which a document's name.
 *
 * Here: the rule, which is the store's.  Not here: where a request names it (http.c, hocuspocus.c).
 */
#include "name.h"

static bool is_control(Bytes text);
static size_t character_size(Bytes text);

bool
name_is_document(Bytes name)
{
	if (name.size < 1 || name.size > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < name.size; i++)
		if (is_control((Bytes){name.data + i, name.size - i}))
			return false;
	return name_is_text(name);
}

bool
name_is_text(Bytes text)
{
	for (size_t size; text.size > 0; text.data += size, text.size -= size)
		if ((size = character_size(text)) == 0)
			return false;
	return true;
}

/* U+0000 to 1F, 7F, and 80 to 9F, with which terminals begin commands as well. */
static bool
is_control(Bytes text)
{
	return text.data[0] < 0x20 || text.data[0] == 0x7f ||
		   (text.data[0] == 0xc2 && text.size > 1 && text.data[1] < 0xa0);
}

/* Bytes of the character there; 0 if it is malformed. */
static size_t
character_size(Bytes text)
{
	const uint8_t *at = text.data;
	uint8_t lead = at[0];
	size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

	if (lead > 0xf4 || size > text.size)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	/* overlong forms, surrogates, beyond U+10FFFF: the second byte tells */
	if ((lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] > 0x9f) ||
		(lead == 0xf0 && at[1] < 0x90) || (lead == 0xf4 && at[1] > 0x8f))
		return 0;
	return size;
}
