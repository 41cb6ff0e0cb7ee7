/*
 * markdown_text.h: pieces of a line of Markdown that mean nothing but themselves.
 *
 *     markdown_text_write(&(MarkdownText){.data = "a*b", .size = 3}, &out)        -- a\*b
 */
#ifndef YDOC_MARKDOWN_TEXT_H
#define YDOC_MARKDOWN_TEXT_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "crdt/host.h"

typedef enum MarkdownPlace
{
	MARKDOWN_PARAGRAPH,
	MARKDOWN_HEADING, /* a break is a space */
	MARKDOWN_CELL /* that too, and pipes are special */
} MarkdownPlace;

typedef struct MarkdownText /* UTF-8, and how it stands in its line */
{
	const char *data;
	int size;
	MarkdownPlace place;
	bool begins_line;
	bool follows_line; /* not the first one */
	bool hides_first; /* its first character is written as a reference */
	bool hides_last;
} MarkdownText;

void markdown_text_write(const MarkdownText *text, StringInfo out);

/* What only some readers take for a space is written as a reference, which to all is none. */
void markdown_text_write_space(CrdtBytes space, StringInfo out);

/* In backticks. */
void markdown_text_write_code(const char *code, int size, MarkdownPlace place, StringInfo out);

/* (url "title") */
void
markdown_text_write_target(CrdtBytes url, CrdtBytes title, MarkdownPlace place, StringInfo out);

static inline bool
markdown_is_alphanumeric(pg_wchar c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Where the character begins that ends at end. */
static inline int
markdown_last_character(const char *data, int end)
{
	do
		end--;
	while ((data[end] & 0xc0) == 0x80);
	return end;
}

#endif
