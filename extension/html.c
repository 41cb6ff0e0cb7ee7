/*
 * html.c: a document as HTML for a page of somebody else's (rich.h).
 *
 * Here: tags, and escaping everything that is not one of ours.  Elements and attributes are those
 * written here and no others; values were judged when the tree was made (rich.c).
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "read.h"
#include "rich.h"

/* One element around a run; at most one of each. */
typedef enum Tag
{
	TAG_LINK,
	TAG_COLOR,
	TAG_HIGHLIGHT,
	TAG_BOLD,
	TAG_ITALIC,
	TAG_UNDERLINE,
	TAG_STRIKE,
	TAG_SUBSCRIPT,
	TAG_SUPERSCRIPT,
	TAG_CODE,
	TAG_COUNT
} Tag;

static const struct
{
	const char *element;
	uint32 flag; /* 0: not a plain flag */
} tags[] = {
	{"a", 0},
	{"span", 0},
	{"mark", RICH_HIGHLIGHT},
	{"strong", RICH_BOLD},
	{"em", RICH_ITALIC},
	{"u", RICH_UNDERLINE},
	{"s", RICH_STRIKE},
	{"sub", RICH_SUBSCRIPT},
	{"sup", RICH_SUPERSCRIPT},
	{"code", RICH_CODE},
};

/* ---- escaping ---- */

static void
write_escaped(StringInfo out, CrdtBytes text)
{
	size_t plain = 0; /* where what is not written yet begins */

	for (size_t i = 0; i < text.size; i++)
	{
		const char *entity;

		switch (text.data[i])
		{
			case '&': entity = "&amp;"; break;
			case '<': entity = "&lt;"; break;
			case '>': entity = "&gt;"; break;
			case '"': entity = "&quot;"; break;
			case '\'': entity = "&#39;"; break;
			case '\r': entity = "&#13;"; break; /* parsers make a newline of it */
			default: continue;
		}
		appendBinaryStringInfo(out, (const char *) text.data + plain, i - plain);
		appendStringInfoString(out, entity);
		plain = i + 1;
	}
	appendBinaryStringInfo(out, (const char *) text.data + plain, text.size - plain);
}

static void
write_attribute(StringInfo out, const char *name, CrdtBytes value)
{
	appendStringInfo(out, " %s=\"", name);
	write_escaped(out, value);
	appendStringInfoChar(out, '"');
}

/* ---- marks ---- */

static bool
is_same(CrdtBytes a, CrdtBytes b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool
has_tag(const RichMarks *marks, Tag tag)
{
	if (tag == TAG_LINK)
		return marks->is_link;
	if (tag == TAG_COLOR)
		return marks->color.size > 0 || marks->background.size > 0;
	return (marks->set & tags[tag].flag) != 0;
}

/* Both have the tag: is it one element? */
static bool
is_same_tag(const RichMarks *a, const RichMarks *b, Tag tag)
{
	if (tag == TAG_LINK)
		return is_same(a->url, b->url) && is_same(a->title, b->title);
	if (tag == TAG_COLOR)
		return is_same(a->color, b->color) && is_same(a->background, b->background);
	return tag != TAG_HIGHLIGHT || is_same(a->highlight, b->highlight);
}

/* style="color: red; background-color: blue" */
static void
write_colors(StringInfo out, CrdtBytes color, CrdtBytes background)
{
	if (color.size == 0 && background.size == 0)
		return;
	appendStringInfoString(out, " style=\"");
	if (color.size > 0)
	{
		appendStringInfoString(out, "color: ");
		write_escaped(out, color);
	}
	if (background.size > 0)
	{
		appendStringInfoString(out, color.size > 0 ? "; background-color: " : "background-color: ");
		write_escaped(out, background);
	}
	appendStringInfoChar(out, '"');
}

static void
open_tag(StringInfo out, const RichMarks *marks, Tag tag)
{
	appendStringInfo(out, "<%s", tags[tag].element);
	if (tag == TAG_LINK)
	{
		write_attribute(out, "href", marks->url);
		if (marks->title.size > 0)
			write_attribute(out, "title", marks->title);
		appendStringInfoString(out, " rel=\"noopener noreferrer nofollow\"");
	}
	else if (tag == TAG_COLOR)
		write_colors(out, marks->color, marks->background);
	else if (tag == TAG_HIGHLIGHT)
		write_colors(out, (CrdtBytes){NULL, 0}, marks->highlight);
	appendStringInfoChar(out, '>');
}

/* From the marks of one run to those of the next: elements that both have stay open, as far as none
 * around them ends. */
static void
change_marks(StringInfo out, const RichMarks *from, const RichMarks *to)
{
	int kept = 0;

	while (kept < TAG_COUNT && has_tag(from, kept) == has_tag(to, kept) &&
		   (!has_tag(from, kept) || is_same_tag(from, to, kept)))
		kept++;
	for (int tag = TAG_COUNT - 1; tag >= kept; tag--)
		if (has_tag(from, tag))
			appendStringInfo(out, "</%s>", tags[tag].element);
	for (int tag = kept; tag < TAG_COUNT; tag++)
		if (has_tag(to, tag))
			open_tag(out, to, tag);
}

/* ---- inlines ---- */

static void
write_image(StringInfo out, const RichNode *image)
{
	if (image->run.url.size == 0)
	{
		write_escaped(out, image->run.text);
		return;
	}
	appendStringInfoString(out, "<img");
	write_attribute(out, "src", image->run.url);
	write_attribute(out, "alt", image->run.text);
	if (image->run.title.size > 0)
		write_attribute(out, "title", image->run.title);
	if (image->run.width > 0)
		appendStringInfo(out, " width=\"%d\"", image->run.width);
	if (image->run.height > 0)
		appendStringInfo(out, " height=\"%d\"", image->run.height);
	appendStringInfoChar(out, '>');
}

static void
write_runs(StringInfo out, const RichNode *line)
{
	static const RichMarks no_marks = {0};
	const RichMarks *marks = &no_marks;

	for (const RichNode *run = line->first; run != NULL; run = run->next)
	{
		CHECK_FOR_INTERRUPTS();
		change_marks(out, marks, &run->run.marks);
		marks = &run->run.marks;
		switch (run->kind)
		{
			case RICH_BREAK: appendStringInfoString(out, "<br>"); break;
			case RICH_IMAGE: write_image(out, run); break;
			case RICH_FORMULA:
				appendStringInfoString(out, "<span data-node-type=\"formula\">");
				write_escaped(out, run->run.text);
				appendStringInfoString(out, "</span>");
				break;
			default: write_escaped(out, run->run.text); break;
		}
	}
	change_marks(out, marks, &no_marks);
}

/* Code is text: marks in it mean nothing. */
static void
write_code_block(StringInfo out, const RichNode *code)
{
	appendStringInfoString(out, "<pre><code");
	if (code->block.name.size > 0)
	{
		appendStringInfoString(out, " class=\"language-");
		write_escaped(out, code->block.name);
		appendStringInfoChar(out, '"');
	}
	appendStringInfoChar(out, '>');
	for (const RichNode *run = code->first; run != NULL; run = run->next)
	{
		CHECK_FOR_INTERRUPTS();
		if (run->kind == RICH_BREAK)
			appendStringInfoChar(out, '\n');
		else
			write_escaped(out, run->run.text);
	}
	appendStringInfoString(out, "</code></pre>");
}

/* ---- blocks ---- */

static void write_blocks(StringInfo out, const RichNode *parent);

static void
write_line_attributes(StringInfo out, const RichNode *block)
{
	static const char *const aligns[] = {NULL, "left", "center", "right", "justify"};

	if (block->block.is_rtl)
		appendStringInfoString(out, " dir=\"rtl\"");
	if (block->block.align != RICH_ALIGN_DEFAULT)
		appendStringInfo(out, " style=\"text-align: %s\"", aligns[block->block.align]);
}

static void
write_line(StringInfo out, const RichNode *line, const RichNode *parent)
{
	char element[] = "h1";

	if (line->kind == RICH_CODE_BLOCK)
	{
		write_code_block(out, line);
		return;
	}
	if (line->kind == RICH_HEADING)
		element[1] = '0' + line->block.level;
	else
		strcpy(element, "p");
	if (line->is_implicit && (parent->kind == RICH_ITEM || parent->kind == RICH_CELL) &&
		line->block.align == RICH_ALIGN_DEFAULT && !line->block.is_rtl)
	{
		write_runs(out, line);
		return;
	}
	appendStringInfo(out, "<%s", element);
	write_line_attributes(out, line);
	appendStringInfoChar(out, '>');
	write_runs(out, line);
	appendStringInfo(out, "</%s>", element);
}

static void
write_list(StringInfo out, const RichNode *list)
{
	const char *element = list->block.list == RICH_NUMBERS ? "ol" : "ul";

	appendStringInfo(out, "<%s", element);
	if (list->block.list == RICH_TASKS)
		appendStringInfoString(out, " data-type=\"taskList\"");
	if (list->block.list == RICH_NUMBERS && list->block.start != 1)
		appendStringInfo(out, " start=\"%d\"", list->block.start);
	appendStringInfoChar(out, '>');
	write_blocks(out, list);
	appendStringInfo(out, "</%s>", element);
}

static void
write_item(StringInfo out, const RichNode *item)
{
	bool is_checked = item->block.is_checked;

	appendStringInfoString(out, "<li");
	if (item->block.is_task)
		appendStringInfo(out,
						 " data-type=\"taskItem\" data-checked=\"%s\">"
						 "<input type=\"checkbox\" disabled%s",
						 is_checked ? "true" : "false", is_checked ? " checked" : "");
	appendStringInfoChar(out, '>');
	write_blocks(out, item);
	appendStringInfoString(out, "</li>");
}

static bool
is_header_row(const RichNode *row)
{
	const RichNode *cell = row->first;

	while (cell != NULL && cell->block.is_header)
		cell = cell->next;
	return row->first != NULL && cell == NULL;
}

static void
write_table(StringInfo out, const RichNode *table)
{
	const RichNode *row = table->first;

	appendStringInfoString(out, "<table>");
	if (row != NULL && is_header_row(row))
	{
		appendStringInfoString(out, "<thead><tr>");
		write_blocks(out, row);
		appendStringInfoString(out, "</tr></thead>");
		row = row->next;
	}
	if (row != NULL)
		appendStringInfoString(out, "<tbody>");
	for (const RichNode *each = row; each != NULL; each = each->next)
	{
		appendStringInfoString(out, "<tr>");
		write_blocks(out, each);
		appendStringInfoString(out, "</tr>");
	}
	appendStringInfoString(out, row != NULL ? "</tbody></table>" : "</table>");
}

static void
write_cell(StringInfo out, const RichNode *cell)
{
	const char *element = cell->block.is_header ? "th" : "td";

	appendStringInfo(out, "<%s", element);
	if (cell->block.columns > 1)
		appendStringInfo(out, " colspan=\"%d\"", cell->block.columns);
	if (cell->block.rows > 1)
		appendStringInfo(out, " rowspan=\"%d\"", cell->block.rows);
	write_line_attributes(out, cell);
	appendStringInfoChar(out, '>');
	write_blocks(out, cell);
	appendStringInfo(out, "</%s>", element);
}

static void
write_block(StringInfo out, const RichNode *block, const RichNode *parent)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	switch (block->kind)
	{
		case RICH_QUOTE:
			appendStringInfoString(out, "<blockquote>");
			write_blocks(out, block);
			appendStringInfoString(out, "</blockquote>");
			break;
		case RICH_LIST: write_list(out, block); break;
		case RICH_ITEM: write_item(out, block); break;
		case RICH_TABLE: write_table(out, block); break;
		case RICH_CELL: write_cell(out, block); break;
		case RICH_RULE: appendStringInfoString(out, "<hr>"); break;
		case RICH_OTHER:
			appendStringInfoString(out, "<div");
			write_attribute(out, "data-node-type", block->block.name);
			appendStringInfoChar(out, '>');
			write_blocks(out, block);
			appendStringInfoString(out, "</div>");
			break;
		default: write_line(out, block, parent); break;
	}
}

static void
write_blocks(StringInfo out, const RichNode *parent)
{
	for (const RichNode *block = parent->first; block != NULL; block = block->next)
		write_block(out, block, parent);
}

struct varlena *
read_html(CrdtDoc *doc, FunctionCallInfo fcinfo)
{
	const RichNode *document = rich_of_argument(doc, fcinfo);
	StringInfoData out;

	if (document == NULL)
		return NULL;
	initStringInfo(&out);
	write_blocks(&out, document);
	return cstring_to_text_with_len(out.data, out.len);
}

READ_FUNCTION(ydoc_html, read_argument, read_html)
