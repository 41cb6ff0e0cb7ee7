/*
 * rich_quill.c: the tree of a text as Quill keeps it (rich.h).
 *
 *     "Plan" \n{header: 1} "buy " "milk"{bold} \n{list: bullet}
 *
 * A newline ends a line, and its attributes say what the line is.  Lines of a list, a quotation, a
 * code block or a table that follow one another are one.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "input.h"
#include "read.h"
#include "rich.h"

/* Quill's own lists end at 8. */
#define INDENT_MAX 8

typedef struct Quill
{
	RichNode *document;
	RichNode *line; /* the runs since the last newline; its kind is known when it ends */
	RichNode *lists[INDENT_MAX + 1]; /* open ones, by indent */
	int list_count;
} Quill;

static bool
is_same(CrdtBytes a, CrdtBytes b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool
is_word(CrdtBytes text, const char *word)
{
	return is_same(text, (CrdtBytes){(const uint8_t *) word, strlen(word)});
}

/* ---- lines ---- */

/* The block at the end of the document if it goes on with this line. */
static RichNode *
going_on(const Quill *quill, RichKind kind)
{
	RichNode *last = quill->document->last;

	return last != NULL && last->kind == kind ? last : NULL;
}

/* Hands the runs collected to a line of the tree. */
static void
move_runs(Quill *quill, RichNode *line)
{
	line->first = quill->line->first;
	line->last = quill->line->last;
	quill->line->first = quill->line->last = NULL;
}

static void
add_line(Quill *quill, RichNode *parent, RichKind kind, const JsonbValue *attributes)
{
	RichNode *line = rich_add_block(parent, kind);

	rich_set_line(line, attributes);
	if (kind == RICH_HEADING)
		line->block.level = rich_member_integer(attributes, "header", 1, 6, 1);
	/* in an item the line is the item */
	line->is_implicit = parent->kind == RICH_ITEM || parent->kind == RICH_CELL;
	move_runs(quill, line);
}

static void
add_code_line(Quill *quill, CrdtBytes language)
{
	RichNode *code = going_on(quill, RICH_CODE_BLOCK);

	language = rich_language(language);
	if (code == NULL || !is_same(code->block.name, language))
	{
		code = rich_add_block(quill->document, RICH_CODE_BLOCK);
		code->block.name = language;
		move_runs(quill, code);
		return;
	}
	(void) rich_add_run(code, RICH_BREAK, NULL);
	if (quill->line->first != NULL)
	{
		code->last->next = quill->line->first;
		code->last = quill->line->last;
		quill->line->first = quill->line->last = NULL;
	}
}

/* ---- lists ---- */

static RichNode *
open_list(Quill *quill, RichListKind kind)
{
	RichNode *parent = quill->document;
	RichNode *list;

	if (quill->list_count > 0)
	{
		RichNode *outer = quill->lists[quill->list_count - 1];

		/* an indent that skips a level has nothing to hang on */
		parent = outer->last != NULL ? outer->last : rich_add_block(outer, RICH_ITEM);
	}
	list = rich_add_block(parent, RICH_LIST);
	list->block.list = kind;
	list->block.start = 1;
	quill->lists[quill->list_count++] = list;
	return list;
}

static void
add_item_line(Quill *quill, CrdtBytes name, const JsonbValue *attributes)
{
	int indent = rich_member_integer(attributes, "indent", 0, PG_INT32_MAX, 0);
	bool is_checked = is_word(name, "checked");
	RichListKind kind = RICH_BULLETS;
	RichNode *item;

	if (is_word(name, "ordered"))
		kind = RICH_NUMBERS;
	else if (is_checked || is_word(name, "unchecked"))
		kind = RICH_TASKS;
	indent = Min(indent, INDENT_MAX);
	quill->list_count = Min(quill->list_count, indent + 1);
	if (quill->list_count == indent + 1 && quill->lists[indent]->block.list != kind)
		quill->list_count = indent;
	while (quill->list_count <= indent)
		(void) open_list(quill, kind);
	item = rich_add_item(quill->lists[indent], kind);
	item->block.is_checked = is_checked;
	add_line(quill, item, RICH_PARAGRAPH, attributes);
}

/* ---- tables: a line is a cell, and lines with the same name are a row ---- */

static void
add_cell_line(Quill *quill, CrdtBytes row_name, const JsonbValue *attributes)
{
	RichNode *table = going_on(quill, RICH_TABLE);
	RichNode *row;
	RichNode *cell;

	if (table == NULL)
		table = rich_add_block(quill->document, RICH_TABLE);
	row = table->last;
	if (row == NULL || !is_same(row->block.name, row_name))
	{
		row = rich_add_block(table, RICH_ROW);
		row->block.name = row_name;
	}
	cell = rich_add_block(row, RICH_CELL);
	cell->block.columns = cell->block.rows = 1;
	add_line(quill, cell, RICH_PARAGRAPH, attributes);
}

/* ---- all lines ---- */

static void
end_line(Quill *quill, const JsonbValue *attributes)
{
	CrdtBytes list = rich_member_string(attributes, "list");
	CrdtBytes table = rich_member_string(attributes, "table");
	CrdtBytes language = rich_member_string(attributes, "code-block");
	RichNode *quote;

	CHECK_FOR_INTERRUPTS();
	if (list.size > 0)
	{
		add_item_line(quill, list, attributes);
		return;
	}
	quill->list_count = 0;
	if (language.size > 0 || rich_member_true(attributes, "code-block"))
	{
		bool is_plain = is_word(language, "plain") || is_word(language, "true");

		add_code_line(quill, is_plain ? (CrdtBytes){NULL, 0} : language);
	}
	else if (rich_member_integer(attributes, "header", 1, 6, 0) != 0)
		add_line(quill, quill->document, RICH_HEADING, attributes);
	else if (rich_member_true(attributes, "blockquote"))
	{
		quote = going_on(quill, RICH_QUOTE);
		if (quote == NULL)
			quote = rich_add_block(quill->document, RICH_QUOTE);
		add_line(quill, quote, RICH_PARAGRAPH, attributes);
	}
	else if (table.size > 0)
		add_cell_line(quill, table, attributes);
	else
		add_line(quill, quill->document, RICH_PARAGRAPH, attributes);
}

/* Ends a line that has no newline. */
static void
end_open_line(Quill *quill)
{
	if (quill->line->first != NULL)
		end_line(quill, NULL);
}

/* ---- runs ---- */

static void
add_text(Quill *quill, CrdtBytes text, const JsonbValue *attributes)
{
	const uint8_t *at = text.data;
	const uint8_t *end = text.data + text.size;

	while (at < end)
	{
		const uint8_t *newline = memchr(at, '\n', end - at);
		const uint8_t *stop = newline != NULL ? newline : end;

		if (stop > at)
		{
			RichNode *run = rich_add_run(quill->line, RICH_TEXT, attributes);

			run->run.text = (CrdtBytes){at, stop - at};
		}
		if (newline != NULL)
			end_line(quill, attributes);
		at = stop + 1;
	}
}

/* A video, which is a line of its own, is not played but linked to. */
static void
add_video(Quill *quill, CrdtBytes url)
{
	RichNode *run;

	end_open_line(quill);
	run = rich_add_run(quill->line, RICH_TEXT, NULL);
	run->run.text = url;
	run->run.marks.url = rich_link_url(url);
	run->run.marks.is_link = run->run.marks.url.size > 0;
	end_open_line(quill);
}

static void
add_embed(Quill *quill, const JsonbValue *embed, const JsonbValue *attributes)
{
	const JsonbValue *mention = rich_member_object(embed, "mention");
	CrdtBytes image = rich_member_string(embed, "image");
	CrdtBytes video = rich_member_string(embed, "video");
	CrdtBytes formula = rich_member_string(embed, "formula");
	RichNode *run;

	if (image.size > 0)
	{
		run = rich_add_run(quill->line, RICH_IMAGE, attributes);
		run->run.url = rich_image_url(image);
		run->run.text = rich_member_string(attributes, "alt");
		run->run.title = rich_member_string(attributes, "title");
		run->run.width = rich_member_integer(attributes, "width", 1, 99999, 0);
		run->run.height = rich_member_integer(attributes, "height", 1, 99999, 0);
	}
	else if (video.size > 0)
		add_video(quill, video);
	else if (formula.size > 0)
	{
		run = rich_add_run(quill->line, RICH_FORMULA, attributes);
		run->run.text = formula;
	}
	else if (mention != NULL)
	{
		CrdtBytes sign = rich_member_string(mention, "denotationChar");

		if (sign.size > 0)
			rich_add_run(quill->line, RICH_TEXT, attributes)->run.text = sign;
		rich_add_run(quill->line, RICH_TEXT, attributes)->run.text =
			rich_member_string(mention, "value");
	}
	else if (rich_member_true(embed, "divider") || rich_member_true(embed, "hr"))
	{
		end_open_line(quill);
		quill->list_count = 0;
		(void) rich_add_block(quill->document, RICH_RULE);
	}
}

void
rich_build_quill(RichNode *document, CrdtDoc *doc, const CrdtType *type)
{
	Quill quill = {.document = document, .line = rich_new(RICH_PARAGRAPH)};
	JsonbValue delta = input_whole(read_type_delta(doc, type));
	JsonbContainer *ops = delta.val.binary.data;

	for (uint32 i = 0; i < JsonContainerSize(ops); i++)
	{
		JsonbValue *op = getIthJsonbValueFromContainer(ops, i);
		JsonbValue *insert = input_member(op, "insert");
		JsonbValue *attributes = input_member(op, "attributes");

		if (insert == NULL)
			continue;
		if (insert->type == jbvString)
			add_text(&quill, input_string(insert), attributes);
		else if (input_is_object(insert))
			add_embed(&quill, insert, attributes);
	}
	end_open_line(&quill);
}
