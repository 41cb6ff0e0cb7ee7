/*
 * utf.h: text as Yjs counts it (UTF-16 units) and as we keep it (UTF-8).
 *
 * Internal text is UTF-8 in which a lone surrogate, which JavaScript strings may hold, stands as its
 * three-byte form ED A0..BF xx (WTF-8).  On the wire such a surrogate is U+FFFD, of the same size.
 */
#ifndef CRDT_UTF_H
#define CRDT_UTF_H

#include "host.h"

/* Strict UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
bool crdt_utf8_is_valid(CrdtBytes text);

/* Strict UTF-8 and counted: false if invalid.  ascii: every byte is one unit. */
bool crdt_utf8_measure(CrdtBytes text, uint64_t *length_utf16, bool *ascii);

/* The same for internal text (WTF-8), given by a caller. */
bool crdt_wtf8_measure(CrdtBytes text, uint64_t *length_utf16, bool *ascii);

/* Units of internal text. */
uint64_t crdt_utf16_length(CrdtBytes text);

/* A place in internal text. */
typedef struct CrdtTextPlace
{
	size_t offset; /* bytes before it */
	bool inside_pair; /* the unit is the second half of the four-byte character at offset */
} CrdtTextPlace;

/* Where unit number index_utf16 begins (at most the text's length). */
CrdtTextPlace crdt_utf16_place(CrdtBytes text, uint64_t index_utf16);

/* Turns every lone surrogate into U+FFFD, in place. */
void crdt_utf8_replace_surrogates(uint8_t *text, size_t size);

/* Writes the internal form of a code point or lone surrogate; returns its bytes, 1 to 4. */
size_t crdt_utf8_put(uint8_t *to, uint32_t code_point);

/* Does it end in the high half, or begin with the low half, of a surrogate pair? */
bool crdt_utf8_ends_in_high_surrogate(CrdtBytes text);
bool crdt_utf8_begins_with_low_surrogate(CrdtBytes text);

#endif
