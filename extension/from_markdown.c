/*
 * from_markdown.c: Markdown as ProseMirror's JSON, and as a new document.
 *
 * What comes out fits the schema that it is made for, for an editor throws away what does not: an item
 * begins with a paragraph, a quotation is never empty, Tiptap's pictures stand among blocks.  URLs are
 * judged as those of HTML are (rich.h).
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "bridge.h"
#include "markdown_parse.h"
#include "prosemirror.h"
#include "rich.h"

/* Nodes in nodes; a document takes 200. */
#define DEPTH_MAX 190

/* What a schema calls things. */
typedef struct Names
{
	const char *schema;
	MarkdownDialect dialect;
	bool has_blocks_of_images; /* pictures stand among blocks, not in lines */
	bool has_lone_code; /* code has no other marks */
	const char *code_block;
	const char *language;
	const char *rule;
	const char *bullets;
	const char *numbers;
	const char *start;
	const char *item;
	const char *hard_break;
	const char *bold;
	const char *italic;
} Names;

static const Names all_names[] = {
	{"tiptap", MARKDOWN_GITHUB, true, true, "codeBlock", "language", "horizontalRule", "bulletList",
	 "orderedList", "start", "listItem", "hardBreak", "bold", "italic"},
	{"prosemirror", MARKDOWN_COMMONMARK, false, false, "code_block", "params", "horizontal_rule",
	 "bullet_list", "ordered_list", "order", "list_item", "hard_break", "strong", "em"},
};

/* A block that is open in the JSON. */
typedef struct Open
{
	MarkdownPart part;
	bool has_content;
	bool is_tasks; /* lists: all items are tasks; items: it is one of such a list */
	int number; /* of the event */
} Open;

typedef struct FromMarkdown
{
	const Names *names;
	const MarkdownEvents *events;
	const bool *lists_of_tasks; /* by event */
	JsonbParseState *state;
	JsonbValue *result;
	Open open[DEPTH_MAX + 1];
	int depth;
	MarkdownPart
		line; /* PARAGRAPH, HEADING: of this kind is the line at hand; NOTHING: text stands alone */
	int level; /* of the heading */
	bool is_line_open; /* the line has begun in the JSON */
	bool had_line; /* it has, and was cut */
	StringInfoData text; /* of the run at hand */
	int bold;
	int italic;
	int strike;
	int code;
	const MarkdownEvent *link; /* NULL: none that may be followed */
	const MarkdownEvent *image; /* whose text is collected; NULL: none */
} FromMarkdown;

/* ---- JSON ---- */

static CrdtBytes
bytes_of(const char *text)
{
	return (CrdtBytes){(const uint8_t *) text, strlen(text)};
}

static void
push(FromMarkdown *from, JsonbIteratorToken token)
{
	from->result = pushJsonbValue(&from->state, token, NULL);
}

static void
push_member(FromMarkdown *from, const char *key, CrdtBytes value)
{
	prosemirror_push_key(&from->state, key);
	prosemirror_push_string(&from->state, WJB_VALUE, value);
}

static void
push_number(FromMarkdown *from, const char *key, int number)
{
	JsonbValue value = {.type = jbvNumeric};

	value.val.numeric = DatumGetNumeric(DirectFunctionCall1(int4_numeric, Int32GetDatum(number)));
	prosemirror_push_key(&from->state, key);
	pushJsonbValue(&from->state, WJB_VALUE, &value);
}

static void
push_boolean(FromMarkdown *from, const char *key, bool boolean)
{
	JsonbValue value = {.type = jbvBool};

	value.val.boolean = boolean;
	prosemirror_push_key(&from->state, key);
	pushJsonbValue(&from->state, WJB_VALUE, &value);
}

/* {"type": name */
static void
begin_node(FromMarkdown *from, const char *name)
{
	push(from, WJB_BEGIN_OBJECT);
	push_member(from, "type", bytes_of(name));
}

static void
begin_attributes(FromMarkdown *from)
{
	prosemirror_push_key(&from->state, "attrs");
	push(from, WJB_BEGIN_OBJECT);
}

/* , "content": [ */
static void
begin_content(FromMarkdown *from)
{
	prosemirror_push_key(&from->state, "content");
	push(from, WJB_BEGIN_ARRAY);
}

/* ]} */
static void
end_node(FromMarkdown *from)
{
	push(from, WJB_END_ARRAY);
	push(from, WJB_END_OBJECT);
}

/* ---- lines ---- */

static Open *
top(FromMarkdown *from)
{
	return &from->open[from->depth - 1];
}

static void
begin_line(FromMarkdown *from)
{
	static const char *const aligns[] = {"left", "center", "right"};
	Open *parent = top(from);
	const char *align =
		parent->part == MARKDOWN_PART_CELL || parent->part == MARKDOWN_PART_HEADER_CELL
			? strchr("lcr", parent->number)
			: NULL;

	if (from->is_line_open)
		return;
	begin_node(from, from->line == MARKDOWN_PART_HEADING ? "heading" : "paragraph");
	if (from->line == MARKDOWN_PART_HEADING)
	{
		begin_attributes(from);
		push_number(from, "level", from->level);
		push(from, WJB_END_OBJECT);
	}
	else if (align != NULL && *align != '\0')
	{
		begin_attributes(from);
		push_member(from, "textAlign", bytes_of(aligns[align - "lcr"]));
		push(from, WJB_END_OBJECT);
	}
	begin_content(from);
	from->is_line_open = from->had_line = parent->has_content = true;
}

static void
push_mark(FromMarkdown *from, const char *name)
{
	push(from, WJB_BEGIN_OBJECT);
	push_member(from, "type", bytes_of(name));
	push(from, WJB_END_OBJECT);
}

static void
push_link(FromMarkdown *from)
{
	push(from, WJB_BEGIN_OBJECT);
	push_member(from, "type", CRDT_LITERAL("link"));
	begin_attributes(from);
	push_member(from, "href", rich_link_url(markdown_bytes(from->events, from->link->text)));
	if (from->link->title.size > 0)
		push_member(from, "title", markdown_bytes(from->events, from->link->title));
	push(from, WJB_END_OBJECT);
	push(from, WJB_END_OBJECT);
}

static void
push_marks(FromMarkdown *from)
{
	bool is_lone = from->code > 0 && from->names->has_lone_code;

	if (from->bold + from->italic + from->strike + from->code == 0 && from->link == NULL)
		return;
	prosemirror_push_key(&from->state, "marks");
	push(from, WJB_BEGIN_ARRAY);
	if (from->link != NULL && !is_lone)
		push_link(from);
	if (from->bold > 0 && !is_lone)
		push_mark(from, from->names->bold);
	if (from->italic > 0 && !is_lone)
		push_mark(from, from->names->italic);
	if (from->strike > 0 && !is_lone)
		push_mark(from, "strike");
	if (from->code > 0)
		push_mark(from, "code");
	push(from, WJB_END_ARRAY);
}

/* Writes the run collected as a text node. */
static void
flush_text(FromMarkdown *from)
{
	if (from->text.len == 0 || from->image != NULL)
		return;
	begin_line(from);
	begin_node(from, "text");
	push_member(from, "text", (CrdtBytes){(const uint8_t *) from->text.data, from->text.len});
	push_marks(from);
	push(from, WJB_END_OBJECT);
	resetStringInfo(&from->text);
}

static void
end_line(FromMarkdown *from)
{
	flush_text(from);
	if (from->is_line_open)
		end_node(from);
	from->is_line_open = false;
}

/* ---- images ---- */

static void
write_image(FromMarkdown *from)
{
	CrdtBytes url = rich_image_url(markdown_bytes(from->events, from->image->text));
	const MarkdownEvent *image = from->image;

	from->image = NULL;
	if (url.size == 0)
		return; /* what it shows stands for it, as text */
	if (from->names->has_blocks_of_images)
	{
		/* an item begins with a paragraph */
		if (top(from)->part == MARKDOWN_PART_ITEM && !top(from)->has_content)
			begin_line(from);
		if (from->is_line_open)
			end_node(from);
		from->is_line_open = false;
		top(from)->has_content = from->had_line = true;
	}
	else
		begin_line(from);
	begin_node(from, "image");
	begin_attributes(from);
	push_member(from, "src", url);
	if (from->text.len > 0)
		push_member(from, "alt", (CrdtBytes){(const uint8_t *) from->text.data, from->text.len});
	if (image->title.size > 0)
		push_member(from, "title", markdown_bytes(from->events, image->title));
	push(from, WJB_END_OBJECT);
	push(from, WJB_END_OBJECT);
	resetStringInfo(&from->text);
}

/* ---- blocks ---- */

static void
push_empty_paragraph(FromMarkdown *from)
{
	begin_node(from, "paragraph");
	push(from, WJB_END_OBJECT);
	top(from)->has_content = true;
}

/* Before a block: ends a line that has no block of its own, begins an item with a paragraph. */
static void
make_place(FromMarkdown *from, MarkdownPart part)
{
	if (from->depth == 0)
		return;
	end_line(from);
	if (top(from)->part == MARKDOWN_PART_ITEM && !top(from)->has_content &&
		part != MARKDOWN_PART_PARAGRAPH)
		push_empty_paragraph(from);
	/* a paragraph begins with what is in it */
	if (part != MARKDOWN_PART_PARAGRAPH)
		top(from)->has_content = true;
}

static void
push_open(FromMarkdown *from, Open open)
{
	CHECK_FOR_INTERRUPTS();
	if (from->depth == DEPTH_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("Markdown is nested more than %d levels deep", DEPTH_MAX)));
	from->open[from->depth++] = open;
}

static void
begin_list(FromMarkdown *from, const MarkdownEvent *event, bool is_tasks)
{
	const Names *names = from->names;

	begin_node(from, is_tasks                               ? "taskList"
					 : event->part == MARKDOWN_PART_NUMBERS ? names->numbers
															: names->bullets);
	if (event->part == MARKDOWN_PART_NUMBERS)
	{
		begin_attributes(from);
		push_number(from, names->start, event->number);
		push(from, WJB_END_OBJECT);
	}
	begin_content(from);
}

static void
begin_item(FromMarkdown *from, const MarkdownEvent *event)
{
	bool is_task = top(from)->is_tasks;

	begin_node(from, is_task ? "taskItem" : from->names->item);
	if (is_task)
	{
		begin_attributes(from);
		push_boolean(from, "checked", event->number == 'x');
		push(from, WJB_END_OBJECT);
	}
	begin_content(from);
	push_open(from, (Open){.part = MARKDOWN_PART_ITEM});
	/* a task among others is an item whose text says so */
	if (event->number != 0 && !is_task)
		appendStringInfoString(&from->text, event->number == 'x' ? "[x] " : "[ ] ");
}

static void
begin_code_block(FromMarkdown *from, const MarkdownEvent *event)
{
	CrdtBytes language = rich_language(markdown_bytes(from->events, event->text));

	begin_node(from, from->names->code_block);
	if (language.size > 0)
	{
		begin_attributes(from);
		push_member(from, from->names->language, language);
		push(from, WJB_END_OBJECT);
	}
	begin_content(from);
	push_open(from, (Open){.part = MARKDOWN_PART_CODE_BLOCK});
}

/* Its last line ends without a newline here. */
static void
end_code_block(FromMarkdown *from)
{
	if (from->text.len > 0 && from->text.data[from->text.len - 1] == '\n')
		from->text.data[--from->text.len] = '\0';
	if (from->text.len > 0)
	{
		begin_node(from, "text");
		push_member(from, "text", (CrdtBytes){(const uint8_t *) from->text.data, from->text.len});
		push(from, WJB_END_OBJECT);
	}
	resetStringInfo(&from->text);
	end_node(from);
	from->depth--;
}

static void
begin_block(FromMarkdown *from, const MarkdownEvent *event)
{
	bool is_tasks = from->lists_of_tasks[event - from->events->list];
	const char *name = event->part == MARKDOWN_PART_DOCUMENT      ? "doc"
					   : event->part == MARKDOWN_PART_QUOTE       ? "blockquote"
					   : event->part == MARKDOWN_PART_TABLE       ? "table"
					   : event->part == MARKDOWN_PART_ROW         ? "tableRow"
					   : event->part == MARKDOWN_PART_HEADER_CELL ? "tableHeader"
																  : "tableCell";

	make_place(from, event->part);
	switch (event->part)
	{
		case MARKDOWN_PART_PARAGRAPH:
		case MARKDOWN_PART_HEADING:
			from->line = event->part;
			from->level = event->number;
			from->had_line = false;
			break;
		case MARKDOWN_PART_RULE:
			begin_node(from, from->names->rule);
			push(from, WJB_END_OBJECT);
			break;
		case MARKDOWN_PART_ITEM: begin_item(from, event); break;
		case MARKDOWN_PART_CODE_BLOCK: begin_code_block(from, event); break;
		case MARKDOWN_PART_BULLETS:
		case MARKDOWN_PART_NUMBERS:
			begin_list(from, event, is_tasks);
			push_open(from, (Open){.part = event->part, .is_tasks = is_tasks});
			break;
		default:
			begin_node(from, name);
			begin_content(from);
			push_open(from, (Open){.part = event->part, .number = event->number});
			break;
	}
}

static bool
holds_lines(MarkdownPart part)
{
	return part == MARKDOWN_PART_DOCUMENT || part == MARKDOWN_PART_QUOTE ||
		   part == MARKDOWN_PART_ITEM || part == MARKDOWN_PART_CELL ||
		   part == MARKDOWN_PART_HEADER_CELL;
}

static void
end_block(FromMarkdown *from, MarkdownPart part)
{
	if (part == MARKDOWN_PART_RULE)
		return;
	if (part == MARKDOWN_PART_CODE_BLOCK)
	{
		end_code_block(from);
		return;
	}
	flush_text(from);
	if (part == MARKDOWN_PART_PARAGRAPH || part == MARKDOWN_PART_HEADING)
	{
		if (!from->had_line)
			begin_line(from);
		end_line(from);
		from->line = MARKDOWN_PART_NOTHING;
		return;
	}
	end_line(from);
	if (holds_lines(part) && !top(from)->has_content)
		push_empty_paragraph(from);
	end_node(from);
	from->depth--;
}

/* ---- events ---- */

static void
change_mark(FromMarkdown *from, const MarkdownEvent *event)
{
	int step = event->what == MARKDOWN_ENTER ? 1 : -1;
	const MarkdownEvent *link = NULL;

	if (event->part == MARKDOWN_PART_LINK)
	{
		if (step > 0 && rich_link_url(markdown_bytes(from->events, event->text)).size > 0)
			link = event;
		if (link != from->link)
			flush_text(from);
		from->link = link;
		return;
	}
	flush_text(from);
	switch (event->part)
	{
		case MARKDOWN_PART_BOLD: from->bold += step; break;
		case MARKDOWN_PART_ITALIC: from->italic += step; break;
		case MARKDOWN_PART_STRIKE: from->strike += step; break;
		default: from->code += step; break;
	}
}

static void
take_event(FromMarkdown *from, const MarkdownEvent *event)
{
	CrdtBytes text = markdown_bytes(from->events, event->text);

	if (event->what == MARKDOWN_TEXT)
		appendBinaryStringInfo(&from->text, (const char *) text.data, text.size);
	else if (event->what == MARKDOWN_BREAK &&
			 (from->image != NULL || from->line == MARKDOWN_PART_HEADING))
		appendStringInfoChar(&from->text, ' ');
	else if (event->what == MARKDOWN_BREAK)
	{
		flush_text(from);
		begin_line(from);
		begin_node(from, from->names->hard_break);
		push(from, WJB_END_OBJECT);
	}
	else if (event->part == MARKDOWN_PART_NOTHING)
		return;
	else if (event->part == MARKDOWN_PART_IMAGE)
	{
		/* one in another's text is part of that */
		if (event->what == MARKDOWN_ENTER && from->image == NULL)
		{
			flush_text(from);
			from->image = event;
		}
		else if (event->what == MARKDOWN_LEAVE && from->image != NULL)
			write_image(from);
	}
	else if (event->part >= MARKDOWN_PART_ITALIC && from->image == NULL)
		change_mark(from, event);
	else if (event->part >= MARKDOWN_PART_ITALIC)
		return; /* marks in a picture's text */
	else if (event->what == MARKDOWN_ENTER)
		begin_block(from, event);
	else
		end_block(from, event->part);
}

/* Which lists have nothing but tasks in them, by event. */
static bool *
find_lists_of_tasks(const MarkdownEvents *events)
{
	bool *found = palloc0(events->count + 1);
	size_t *lists = palloc(sizeof(size_t) * (events->count + 1));
	size_t depth = 0;

	for (size_t i = 0; i < events->count; i++)
	{
		const MarkdownEvent *event = &events->list[i];
		bool is_list = event->part == MARKDOWN_PART_BULLETS || event->part == MARKDOWN_PART_NUMBERS;

		if (is_list && event->what == MARKDOWN_ENTER)
		{
			found[i] = event->part == MARKDOWN_PART_BULLETS;
			lists[depth++] = i;
		}
		else if (is_list)
			depth--;
		else if (event->part == MARKDOWN_PART_ITEM && event->what == MARKDOWN_ENTER &&
				 event->number == 0)
			found[lists[depth - 1]] = false;
	}
	pfree(lists);
	return found;
}

static const Names *
find_names(const text *schema)
{
	char *name = text_to_cstring(schema);

	for (int i = 0; i < lengthof(all_names); i++)
		if (strcmp(all_names[i].schema, name) == 0)
			return &all_names[i];
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there is no schema \"%s\"", name),
			 errhint("There are \"tiptap\" and \"prosemirror\".")));
}

static Jsonb *
json_of_markdown(CrdtBytes text, const Names *names)
{
	MarkdownEvents events;
	FromMarkdown *from = palloc0(sizeof(FromMarkdown));

	bridge_require_utf8();
	events = markdown_parse(text, names->dialect);
	from->names = names;
	from->events = &events;
	from->lists_of_tasks = find_lists_of_tasks(&events);
	from->line = MARKDOWN_PART_NOTHING;
	initStringInfo(&from->text);
	for (size_t i = 0; i < events.count; i++)
		take_event(from, &events.list[i]);
	return JsonbValueToJsonb(from->result);
}

PG_FUNCTION_INFO_V1(ydoc_markdown_to_prosemirror);
Datum
ydoc_markdown_to_prosemirror(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(
		json_of_markdown(bridge_view(PG_GETARG_TEXT_PP(0)), find_names(PG_GETARG_TEXT_PP(1))));
}

PG_FUNCTION_INFO_V1(ydoc_from_markdown);
Datum
ydoc_from_markdown(PG_FUNCTION_ARGS)
{
	const Names *names = find_names(PG_GETARG_TEXT_PP(2));
	Jsonb *json = json_of_markdown(bridge_view(PG_GETARG_TEXT_PP(0)), names);

	PG_RETURN_DATUM(prosemirror_document(json, bridge_view(PG_GETARG_TEXT_PP(1))));
}
