/*
 * markdown.c: a document as Markdown: CommonMark, with GitHub's tables, task lists and strikethrough
 * (rich.h).
 *
 * Here: blocks.  Not here: what stands in a line (markdown_line.c).
 *
 *     - item          the marker is written, and two spaces are the prefix of what follows in the item
 *       > quoted      inside of it the prefix is "  > "
 *
 * What Markdown lacks is left out, never its text: there is no HTML in it, so it is as safe as the
 * program that shows it.  No library writes this: cmark's renderer is made for trees of its own parser
 * and aborts the process when its buffer is full (README).
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "markdown_line.h"
#include "read.h"
#include "rich.h"

/* Containers that are nested deeper than readers care to follow are left out, and what is in them
 * stands in the one around: each line has a prefix for each. */
#define NESTING_MAX 50

/* How far cells that span columns and rows are followed. */
#define GRID_COLUMNS 64

typedef struct Writer
{
	StringInfoData out;
	StringInfoData prefix; /* of each line in the containers that are open */
	StringInfoData text; /* of the line at hand */
	MarkdownLine *line;
	bool is_open; /* a marker was just written: what follows stands behind it */
	int nesting; /* containers that are open */
	char open_bullet; /* the last marker on that line, if it is one of a list without numbers */
} Writer;

/* What was written in a container before. */
typedef struct Before
{
	bool any;
	bool is_tight; /* no blank line between */
	char bullet; /* of the list that was written last, if nothing came after it */
	char delimiter; /* the same of a list with numbers */
} Before;

/* ---- lines ---- */

/* Begins a line, or goes on behind a marker. */
static void
begin_line(Writer *writer)
{
	if (!writer->is_open)
		appendBinaryStringInfo(&writer->out, writer->prefix.data, writer->prefix.len);
	writer->is_open = false;
}

static void
trim_spaces(StringInfo out)
{
	while (out->len > 0 && out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
}

static void
end_line(Writer *writer)
{
	appendStringInfoChar(&writer->out, '\n');
	writer->is_open = false;
}

/* Call before each block that is really written. */
static void
separate(Writer *writer, Before *before)
{
	if (before->any && !before->is_tight)
	{
		begin_line(writer);
		trim_spaces(&writer->out);
		end_line(writer);
	}
	before->any = true;
	before->bullet = before->delimiter = '\0';
}

/* Some lines, without a newline behind the last. */
static void
write_lines(Writer *writer, const char *text, int size)
{
	const char *end = text + size;

	for (;;)
	{
		const char *newline = memchr(text, '\n', end - text);
		const char *stop = newline != NULL ? newline : end;

		CHECK_FOR_INTERRUPTS();
		begin_line(writer);
		appendBinaryStringInfo(&writer->out, text, stop - text);
		if (stop == text)
			trim_spaces(&writer->out);
		end_line(writer);
		if (newline == NULL)
			break;
		text = newline + 1;
	}
}

/* Opens a container: its first line begins with marker, the others with prefix. */
static int
open_container(Writer *writer, const char *marker, const char *prefix)
{
	int length = writer->prefix.len;

	begin_line(writer);
	appendStringInfoString(&writer->out, marker);
	appendStringInfoString(&writer->prefix, prefix);
	writer->is_open = true;
	writer->open_bullet = '\0';
	writer->nesting++;
	return length;
}

/* length: what open_container returned. */
static void
close_container(Writer *writer, int length)
{
	if (writer->is_open)
	{
		trim_spaces(&writer->out);
		end_line(writer);
	}
	writer->prefix.len = length;
	writer->prefix.data[length] = '\0';
	writer->nesting--;
}

/* ---- paragraphs, headings, code ---- */

static void
write_line(Writer *writer, const RichNode *line, Before *before)
{
	resetStringInfo(&writer->text);
	if (line->kind == RICH_HEADING)
	{
		for (int i = 0; i < line->block.level; i++)
			appendStringInfoChar(&writer->text, '#');
		appendStringInfoChar(&writer->text, ' ');
	}
	markdown_line_begin(writer->line,
						line->kind == RICH_HEADING ? MARKDOWN_HEADING : MARKDOWN_PARAGRAPH);
	markdown_line_add(writer->line, line->first);
	if (!markdown_line_write(writer->line, &writer->text))
		return;
	separate(writer, before);
	write_lines(writer, writer->text.data, writer->text.len);
}

/* The text of a code block, every line break a newline. */
static void
collect_code(const RichNode *code, StringInfo out)
{
	for (const RichNode *run = code->first; run != NULL; run = run->next)
	{
		CrdtBytes text = run->kind == RICH_BREAK ? CRDT_LITERAL("\n") : run->run.text;

		for (size_t i = 0; i < text.size; i++)
		{
			if (text.data[i] == '\r' && i + 1 < text.size && text.data[i + 1] == '\n')
				continue;
			appendStringInfoChar(out, text.data[i] == '\r' ? '\n' : text.data[i]);
		}
	}
}

static int
longest_backticks(const StringInfoData *text)
{
	int longest = 0;
	int run = 0;

	for (int i = 0; i < text->len; i++)
	{
		run = text->data[i] == '`' ? run + 1 : 0;
		longest = Max(longest, run);
	}
	return longest;
}

static void
write_code_block(Writer *writer, const RichNode *code, Before *before)
{
	StringInfoData fence;
	int backticks;

	resetStringInfo(&writer->text);
	collect_code(code, &writer->text);
	backticks = Max(longest_backticks(&writer->text) + 1, 3);
	initStringInfo(&fence);
	for (int i = 0; i < backticks; i++)
		appendStringInfoChar(&fence, '`');
	separate(writer, before);
	begin_line(writer);
	appendBinaryStringInfo(&writer->out, fence.data, fence.len);
	appendBinaryStringInfo(&writer->out, (const char *) code->block.name.data,
						   code->block.name.size);
	end_line(writer);
	if (writer->text.len > 0)
		write_lines(writer, writer->text.data, writer->text.len);
	write_lines(writer, fence.data, fence.len);
	pfree(fence.data);
}

/* ---- lists ---- */

static void write_blocks(Writer *writer, const RichNode *parent, Before *before);

static bool
begins_with_text(const RichNode *item)
{
	return item != NULL && item->first != NULL && item->first->kind == RICH_PARAGRAPH &&
		   !markdown_line_is_blank(item->first);
}

/* Can the block follow a paragraph without a blank line?  A list can unless it begins with another
 * number than 1 or with nothing. */
static bool
interrupts(const RichNode *block)
{
	return block->kind == RICH_LIST && begins_with_text(block->first) &&
		   (block->block.list != RICH_NUMBERS || block->block.start == 1);
}

static bool
is_tight_list(const RichNode *list)
{
	for (const RichNode *item = list->first; item != NULL; item = item->next)
	{
		const RichNode *block = item->first;

		if (block != NULL && block->kind == RICH_PARAGRAPH)
			block = block->next;
		for (; block != NULL; block = block->next)
			if (!interrupts(block))
				return false;
	}
	return true;
}

/* "- [x] ": what follows in brackets is part of the item's first paragraph, if it has one. */
static void
write_task(Writer *writer, const RichNode *item, Before *before)
{
	appendStringInfoString(&writer->out, item->block.is_checked ? "[x] " : "[ ] ");
	if (!begins_with_text(item))
	{
		trim_spaces(&writer->out);
		end_line(writer);
		before->any = true;
	}
}

static void
write_item(Writer *writer, const RichNode *item, const char *marker, char bullet, bool is_tight)
{
	Before before = {.is_tight = is_tight};
	char prefix[16];
	int length;

	memset(prefix, ' ', sizeof(prefix));
	prefix[strlen(marker)] = '\0';
	length = open_container(writer, marker, prefix);
	writer->open_bullet = bullet;
	if (item->block.is_task)
		write_task(writer, item, &before);
	write_blocks(writer, item, &before);
	close_container(writer, length);
}

/* Another marker than the one before begins another list; and three of a kind are a rule. */
static char
other_of(char marker, char usual, char other)
{
	return marker == usual ? other : usual;
}

static void
write_list(Writer *writer, const RichNode *list, Before *before)
{
	bool has_numbers = list->block.list == RICH_NUMBERS;
	bool is_tight = is_tight_list(list);
	Before between = {.is_tight = is_tight};
	int number = list->block.start;
	char bullet = '\0';
	char delimiter = '\0';

	if (list->first == NULL)
		return;
	if (has_numbers)
		delimiter = other_of(before->delimiter, '.', ')');
	else
		bullet = other_of(writer->is_open ? writer->open_bullet : before->bullet, '-', '*');
	separate(writer, before);
	for (const RichNode *item = list->first; item != NULL; item = item->next)
	{
		char marker[16];

		separate(writer, &between);
		if (has_numbers)
			snprintf(marker, sizeof(marker), "%d%c ", number, delimiter);
		else
			snprintf(marker, sizeof(marker), "%c ", bullet);
		write_item(writer, item, marker, bullet, is_tight);
		number = Min(number + 1, 999999999); /* which is as far as they go */
	}
	before->bullet = bullet;
	before->delimiter = delimiter;
}

/* ---- tables ---- */

/* All lines in a block, one behind the other. */
static void
add_cell_text(Writer *writer, const RichNode *block, bool *any)
{
	check_stack_depth();
	if (!rich_is_line(block))
	{
		for (const RichNode *child = block->first; child != NULL; child = child->next)
			add_cell_text(writer, child, any);
		return;
	}
	if (*any)
		markdown_line_add_space(writer->line);
	*any = true;
	if (block->kind == RICH_CODE_BLOCK)
	{
		StringInfoData code;

		initStringInfo(&code);
		collect_code(block, &code);
		markdown_line_add_code(writer->line, (CrdtBytes){(uint8_t *) code.data, code.len});
		pfree(code.data);
	}
	else
		markdown_line_add(writer->line, block->first);
}

/* Cells that reach down from rows above, by column: how many rows they still take. */
typedef struct Grid
{
	int below[GRID_COLUMNS];
} Grid;

static void
skip_taken(Grid *grid, int *column, StringInfo row)
{
	while (*column < GRID_COLUMNS && grid->below[*column] > 0)
	{
		grid->below[(*column)++]--;
		appendStringInfoString(row, "  |");
	}
}

/* Appends the cells of a row, and empty ones where others reach in; returns how many. */
static int
write_row(Writer *writer, const RichNode *row, Grid *grid, StringInfo out)
{
	int column = 0;

	appendStringInfoChar(out, '|');
	for (const RichNode *cell = row->first; cell != NULL; cell = cell->next)
	{
		bool any = false;
		int end;

		CHECK_FOR_INTERRUPTS();
		skip_taken(grid, &column, out);
		end = Max(column + 1, Min(column + cell->block.columns, GRID_COLUMNS));
		markdown_line_begin(writer->line, MARKDOWN_CELL);
		add_cell_text(writer, cell, &any);
		appendStringInfoChar(out, ' ');
		(void) markdown_line_write(writer->line, out);
		appendStringInfoString(out, " |");
		for (int i = column; i < end; i++)
		{
			if (i > column)
				appendStringInfoString(out, "  |");
			if (i < GRID_COLUMNS)
				grid->below[i] = cell->block.rows - 1;
		}
		column = end;
	}
	skip_taken(grid, &column, out);
	return column;
}

static RichAlign
align_of_cell(const RichNode *cell)
{
	if (cell->block.align == RICH_ALIGN_DEFAULT && cell->first != NULL && rich_is_line(cell->first))
		return cell->first->block.align;
	return cell->block.align;
}

/* The line below the header, which says how many columns there are. */
static void
write_rule_of_table(const RichNode *row, int columns, StringInfo out)
{
	static const char *const rules[] = {" --- |", " :-- |", " :-: |", " --: |", " --- |"};
	const RichNode *cell = row->first;

	appendStringInfoChar(out, '|');
	for (int column = 0; column < columns; column++)
	{
		appendStringInfoString(out, rules[cell != NULL ? align_of_cell(cell) : 0]);
		cell = cell != NULL ? cell->next : NULL;
	}
}

static void
write_empty_cells(StringInfo out, int count)
{
	for (int i = 0; i < count; i++)
		appendStringInfoString(out, "  |");
}

/* The first row is the header if its cells say so; else there is one without text, for Markdown has no
 * table without. */
static void
write_table(Writer *writer, const RichNode *table, Before *before)
{
	StringInfoData rows;
	StringInfoData head;
	Grid grid = {{0}};
	int columns = 1;
	int first_columns = 0;
	int first_end = 0;

	if (table->first == NULL)
		return;
	initStringInfo(&rows);
	initStringInfo(&head);
	for (const RichNode *row = table->first; row != NULL; row = row->next)
	{
		int count = write_row(writer, row, &grid, &rows);

		columns = Max(columns, count);
		if (row == table->first)
		{
			first_columns = count;
			first_end = rows.len;
		}
		if (row->next != NULL)
			appendStringInfoChar(&rows, '\n');
	}
	if (table->first->first != NULL && table->first->first->block.is_header)
		appendBinaryStringInfo(&head, rows.data, first_end);
	else
	{
		appendStringInfoChar(&head, '|');
		first_columns = first_end = 0;
	}
	write_empty_cells(&head, columns - first_columns);
	appendStringInfoChar(&head, '\n');
	write_rule_of_table(table->first, columns, &head);
	separate(writer, before);
	write_lines(writer, head.data, head.len);
	if (first_end == 0)
		write_lines(writer, rows.data, rows.len);
	else if (first_end < rows.len)
		write_lines(writer, rows.data + first_end + 1, rows.len - first_end - 1);
	pfree(rows.data);
	pfree(head.data);
}

/* ---- blocks ---- */

static void
write_quote(Writer *writer, const RichNode *quote, Before *before)
{
	Before inside = {0};
	int length;

	separate(writer, before);
	length = open_container(writer, "> ", "> ");
	write_blocks(writer, quote, &inside);
	close_container(writer, length);
}

static void
write_block(Writer *writer, const RichNode *block, Before *before)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	switch (block->kind)
	{
		case RICH_PARAGRAPH:
		case RICH_HEADING: write_line(writer, block, before); break;
		case RICH_CODE_BLOCK: write_code_block(writer, block, before); break;
		case RICH_LIST:
			if (writer->nesting < NESTING_MAX)
				write_list(writer, block, before);
			else
				write_blocks(writer, block, before);
			break;
		case RICH_TABLE: write_table(writer, block, before); break;
		case RICH_QUOTE:
			if (writer->nesting < NESTING_MAX)
				write_quote(writer, block, before);
			else
				write_blocks(writer, block, before);
			break;
		case RICH_RULE:
			separate(writer, before);
			/* "- ---" would be one rule */
			if (writer->is_open)
				write_lines(writer, "___", 3);
			else
				write_lines(writer, "---", 3);
			break;
		default: write_blocks(writer, block, before); break;
	}
}

static void
write_blocks(Writer *writer, const RichNode *parent, Before *before)
{
	for (const RichNode *block = parent->first; block != NULL; block = block->next)
		write_block(writer, block, before);
}

struct varlena *
read_markdown(CrdtDoc *doc, FunctionCallInfo fcinfo)
{
	const RichNode *document = rich_of_argument(doc, fcinfo);
	Writer writer = {0};
	Before before = {0};

	if (document == NULL)
		return NULL;
	writer.line = markdown_line_new();
	initStringInfo(&writer.out);
	initStringInfo(&writer.prefix);
	initStringInfo(&writer.text);
	write_blocks(&writer, document, &before);
	return cstring_to_text_with_len(writer.out.data, writer.out.len);
}

READ_FUNCTION(ydoc_markdown, read_argument, read_markdown)
