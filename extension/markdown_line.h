/*
 * markdown_line.h: one line of Markdown: runs with marks as text with delimiters that every reader of
 * CommonMark takes for what they are.
 *
 *     MarkdownLine *line = markdown_line_new();
 *
 *     markdown_line_begin(line, MARKDOWN_PARAGRAPH);
 *     markdown_line_add(line, paragraph->first);
 *     if (markdown_line_write(line, &out))        -- false: there is nothing to be seen
 *
 * What is written has no newline but those of hard breaks, and no HTML.
 */
#ifndef YDOC_MARKDOWN_LINE_H
#define YDOC_MARKDOWN_LINE_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "markdown_text.h"
#include "rich.h"

typedef struct MarkdownLine MarkdownLine;

MarkdownLine *markdown_line_new(void);
void markdown_line_begin(MarkdownLine *line, MarkdownPlace place);

/* The run and all that follow it. */
void markdown_line_add(MarkdownLine *line, const RichNode *run);

/* A space between what was added and what will be. */
void markdown_line_add_space(MarkdownLine *line);

/* Code in a cell of a table. */
void markdown_line_add_code(MarkdownLine *line, CrdtBytes code);

/* Is there nothing to be seen in this block? */
bool markdown_line_is_blank(const RichNode *line);

/* Appends the line to out; false: it is blank, and nothing was appended. */
bool markdown_line_write(MarkdownLine *line, StringInfo out);

#endif
