/*
 * markdown_parse.h: Markdown as a list of events, in the order of the text: a block begins, some text,
 * a span begins ...
 *
 *     MarkdownEvents events = markdown_parse(text, MARKDOWN_GITHUB);
 *
 *     for (int i = 0; i < events.count; i++)
 *         if (events.list[i].what == MARKDOWN_TEXT)
 *             use(markdown_bytes(&events, events.list[i].text));
 *
 * md4c does the work.  It takes its memory from malloc, gives it back when it returns, and is left in
 * no other way: what is noted meanwhile never jumps.
 */
#ifndef YDOC_MARKDOWN_PARSE_H
#define YDOC_MARKDOWN_PARSE_H

#include "postgres.h"

#include "crdt/host.h"

typedef enum MarkdownDialect
{
	MARKDOWN_COMMONMARK,
	MARKDOWN_GITHUB /* and tables, task lists, strikethrough, bare URLs */
} MarkdownDialect;

typedef enum MarkdownWhat
{
	MARKDOWN_ENTER,
	MARKDOWN_LEAVE,
	MARKDOWN_TEXT,
	MARKDOWN_BREAK
} MarkdownWhat;

/* What is entered and left: blocks, then spans. */
typedef enum MarkdownPart
{
	MARKDOWN_PART_DOCUMENT,
	MARKDOWN_PART_QUOTE,
	MARKDOWN_PART_BULLETS,
	MARKDOWN_PART_NUMBERS,
	MARKDOWN_PART_ITEM,
	MARKDOWN_PART_RULE,
	MARKDOWN_PART_HEADING,
	MARKDOWN_PART_CODE_BLOCK,
	MARKDOWN_PART_PARAGRAPH,
	MARKDOWN_PART_TABLE,
	MARKDOWN_PART_ROW,
	MARKDOWN_PART_HEADER_CELL,
	MARKDOWN_PART_CELL,
	MARKDOWN_PART_ITALIC,
	MARKDOWN_PART_BOLD,
	MARKDOWN_PART_STRIKE,
	MARKDOWN_PART_CODE,
	MARKDOWN_PART_LINK,
	MARKDOWN_PART_IMAGE,
	MARKDOWN_PART_NOTHING /* of no meaning here */
} MarkdownPart;

/* A run of the events' bytes. */
typedef struct MarkdownRun
{
	size_t start;
	size_t size;
} MarkdownRun;

typedef struct MarkdownEvent
{
	MarkdownWhat what;
	MarkdownPart part; /* ENTER, LEAVE */
	int number; /* HEADING: level; NUMBERS: the first; ITEM: 0: no task, ' ' or 'x'; cells: l, c, r */
	MarkdownRun text; /* TEXT; LINK, IMAGE: the URL; CODE_BLOCK: the language */
	MarkdownRun title; /* LINK, IMAGE */
} MarkdownEvent;

typedef struct MarkdownEvents
{
	MarkdownEvent *list;
	size_t count;
	char *bytes;
} MarkdownEvents;

/* An error (54000) if a small text would become a large document, as references to a long URL do. */
MarkdownEvents markdown_parse(CrdtBytes text, MarkdownDialect dialect);

CrdtBytes markdown_bytes(const MarkdownEvents *events, MarkdownRun run);

#endif
