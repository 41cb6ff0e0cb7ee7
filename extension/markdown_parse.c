/*
 * markdown_parse.c: Markdown as a list of events (markdown_parse.h).
 *
 * The only file that knows md4c.  Its callbacks may not jump, for what it allocated would be lost: they
 * note what they hear in memory whose lack is an answer, and ask it to stop when there is a reason.
 */
#include "markdown_parse.h"

#include <md4c-html.h>
#include <md4c.h>

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* What is noted of a text may be that much larger than it is. */
#define GROWTH_MAX 32
#define GROWTH_FREE 65536

#define READINGS_MAX 16 /* of one text; a few do, but for where hundreds of places mislead */

typedef enum StopReason
{
	STOP_NOT,
	STOP_CANCELLED,
	STOP_NO_MEMORY,
	STOP_TOO_LARGE
} StopReason;

typedef struct Parse
{
	MarkdownEvents events;
	size_t event_room;
	size_t size; /* of the bytes */
	size_t room;
	size_t limit; /* bytes and events */
	StopReason stop;
} Parse;

/* ---- memory ---- */

/* Makes room for one more, if need be; false: there is none. */
static bool
grow(Parse *parse, void **block, size_t used, size_t wanted, size_t *room, size_t each)
{
	size_t new_room = Max(2 * *room, wanted + 64);
	void *fresh = NULL;

	if (wanted <= *room)
		return true;
	if (AllocHugeSizeIsValid(new_room * each))
		fresh = MemoryContextAllocExtended(CurrentMemoryContext, new_room * each,
										   MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (fresh == NULL)
	{
		parse->stop = STOP_NO_MEMORY;
		return false;
	}
	if (*block != NULL)
	{
		memcpy(fresh, *block, used * each);
		pfree(*block);
	}
	*block = fresh;
	*room = new_room;
	return true;
}

static void
append(Parse *parse, const char *text, size_t size)
{
	if (parse->stop != STOP_NOT || !grow(parse, (void **) &parse->events.bytes, parse->size,
										 parse->size + size, &parse->room, 1))
		return;
	memcpy(parse->events.bytes + parse->size, text, size);
	parse->size += size;
}

/* What callbacks return: not 0 stops. */
static int
note(Parse *parse, MarkdownEvent event)
{
	if (parse->stop == STOP_NOT && InterruptPending && (QueryCancelPending || ProcDiePending))
		parse->stop = STOP_CANCELLED;
	if (parse->size + parse->events.count > parse->limit)
		parse->stop = STOP_TOO_LARGE;
	if (parse->stop == STOP_NOT &&
		grow(parse, (void **) &parse->events.list, parse->events.count, parse->events.count + 1,
			 &parse->event_room, sizeof(MarkdownEvent)))
		parse->events.list[parse->events.count++] = event;
	return parse->stop;
}

/* ---- character references ---- */

static void
append_character(Parse *parse, pg_wchar c)
{
	unsigned char utf8[5];

	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		c = 0xfffd;
	unicode_to_utf8(c, utf8);
	append(parse, (const char *) utf8, pg_utf_mblen(utf8));
}

/* A paragraph of HTML that holds one character, without its tags. */
static void
append_paragraph(const MD_CHAR *html, MD_SIZE size, void *context)
{
	if (size > 0 && html[0] != '<' && html[0] != '\n')
		append(context, html, size);
}

/* Its names are known to md4c's own writer, all but those that it would write again. */
static void
append_named(Parse *parse, const char *name, size_t size)
{
	static const struct
	{
		const char *name;
		char character;
	} plain[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}};
	size_t before = parse->size;

	for (int i = 0; i < lengthof(plain); i++)
		if (size == strlen(plain[i].name) && memcmp(name, plain[i].name, size) == 0)
		{
			append(parse, &plain[i].character, 1);
			return;
		}
	(void) md_html(name, size, append_paragraph, parse, 0, 0);
	/* unknown names come back with their ampersand written anew; several characters hold none */
	if (parse->size == before || parse->events.bytes[before] == '&')
	{
		parse->size = before;
		append(parse, name, size);
	}
}

/* &copy; &#169; &#xa9; */
static void
append_reference(Parse *parse, const char *text, size_t size)
{
	if (size > 3 && text[1] == '#')
	{
		bool is_hex = text[2] == 'x' || text[2] == 'X';

		append_character(parse, strtoul(text + (is_hex ? 3 : 2), NULL, is_hex ? 16 : 10));
	}
	else
		append_named(parse, text, size);
}

static void
append_text(Parse *parse, MD_TEXTTYPE type, const char *text, size_t size)
{
	if (type == MD_TEXT_ENTITY)
		append_reference(parse, text, size);
	else if (type == MD_TEXT_NULLCHAR)
		append_character(parse, 0);
	else if (type == MD_TEXT_SOFTBR)
		append(parse, " ", 1);
	else
		append(parse, text, size);
}

static MarkdownRun
append_attribute(Parse *parse, const MD_ATTRIBUTE *attribute)
{
	MarkdownRun run = {parse->size, 0};

	for (int i = 0; attribute->text != NULL && attribute->substr_offsets[i] < attribute->size; i++)
	{
		MD_OFFSET start = attribute->substr_offsets[i];

		append_text(parse, attribute->substr_types[i], attribute->text + start,
					attribute->substr_offsets[i + 1] - start);
	}
	run.size = parse->size - run.start;
	return run;
}

/* ---- what md4c tells ---- */

static MarkdownPart
part_of_block(MD_BLOCKTYPE type)
{
	switch (type)
	{
		case MD_BLOCK_DOC: return MARKDOWN_PART_DOCUMENT;
		case MD_BLOCK_QUOTE: return MARKDOWN_PART_QUOTE;
		case MD_BLOCK_UL: return MARKDOWN_PART_BULLETS;
		case MD_BLOCK_OL: return MARKDOWN_PART_NUMBERS;
		case MD_BLOCK_LI: return MARKDOWN_PART_ITEM;
		case MD_BLOCK_HR: return MARKDOWN_PART_RULE;
		case MD_BLOCK_H: return MARKDOWN_PART_HEADING;
		case MD_BLOCK_CODE: return MARKDOWN_PART_CODE_BLOCK;
		case MD_BLOCK_P: return MARKDOWN_PART_PARAGRAPH;
		case MD_BLOCK_TABLE: return MARKDOWN_PART_TABLE;
		case MD_BLOCK_TR: return MARKDOWN_PART_ROW;
		case MD_BLOCK_TH: return MARKDOWN_PART_HEADER_CELL;
		case MD_BLOCK_TD: return MARKDOWN_PART_CELL;
		default: return MARKDOWN_PART_NOTHING;
	}
}

static int
enter_block(MD_BLOCKTYPE type, void *detail, void *context)
{
	Parse *parse = context;
	MarkdownEvent event = {.what = MARKDOWN_ENTER, .part = part_of_block(type)};

	if (type == MD_BLOCK_H)
		event.number = ((MD_BLOCK_H_DETAIL *) detail)->level;
	else if (type == MD_BLOCK_OL)
		event.number = ((MD_BLOCK_OL_DETAIL *) detail)->start;
	else if (type == MD_BLOCK_LI && ((MD_BLOCK_LI_DETAIL *) detail)->is_task)
		event.number = ((MD_BLOCK_LI_DETAIL *) detail)->task_mark == ' ' ? ' ' : 'x';
	else if (type == MD_BLOCK_CODE)
		event.text = append_attribute(parse, &((MD_BLOCK_CODE_DETAIL *) detail)->lang);
	else if (type == MD_BLOCK_TH || type == MD_BLOCK_TD)
		event.number = "\0lcr"[((MD_BLOCK_TD_DETAIL *) detail)->align];
	return note(parse, event);
}

static int
leave_block(MD_BLOCKTYPE type, void *detail, void *context)
{
	return note(context, (MarkdownEvent){.what = MARKDOWN_LEAVE, .part = part_of_block(type)});
}

static MarkdownPart
part_of_span(MD_SPANTYPE type)
{
	switch (type)
	{
		case MD_SPAN_EM: return MARKDOWN_PART_ITALIC;
		case MD_SPAN_STRONG: return MARKDOWN_PART_BOLD;
		case MD_SPAN_DEL: return MARKDOWN_PART_STRIKE;
		case MD_SPAN_CODE: return MARKDOWN_PART_CODE;
		case MD_SPAN_A: return MARKDOWN_PART_LINK;
		case MD_SPAN_IMG: return MARKDOWN_PART_IMAGE;
		default: return MARKDOWN_PART_NOTHING;
	}
}

static int
enter_span(MD_SPANTYPE type, void *detail, void *context)
{
	Parse *parse = context;
	MarkdownEvent event = {.what = MARKDOWN_ENTER, .part = part_of_span(type)};

	if (type == MD_SPAN_A)
	{
		event.text = append_attribute(parse, &((MD_SPAN_A_DETAIL *) detail)->href);
		event.title = append_attribute(parse, &((MD_SPAN_A_DETAIL *) detail)->title);
	}
	else if (type == MD_SPAN_IMG)
	{
		event.text = append_attribute(parse, &((MD_SPAN_IMG_DETAIL *) detail)->src);
		event.title = append_attribute(parse, &((MD_SPAN_IMG_DETAIL *) detail)->title);
	}
	return note(parse, event);
}

static int
leave_span(MD_SPANTYPE type, void *detail, void *context)
{
	return note(context, (MarkdownEvent){.what = MARKDOWN_LEAVE, .part = part_of_span(type)});
}

static int
see_text(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE size, void *context)
{
	Parse *parse = context;
	MarkdownEvent event = {.what = MARKDOWN_TEXT, .text.start = parse->size};

	if (type == MD_TEXT_BR)
		return note(parse, (MarkdownEvent){.what = MARKDOWN_BREAK});
	append_text(parse, type, text, size);
	event.text.size = parse->size - event.text.start;
	return note(parse, event);
}

/* ---- the whole ---- */

static void
fail(StopReason stop, size_t size)
{
	CHECK_FOR_INTERRUPTS();
	if (stop == STOP_TOO_LARGE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("Markdown of %zu bytes would become more than %d times as large",
							   size, GROWTH_MAX)));
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
					errdetail("The memory ran out while reading Markdown.")));
}

static MarkdownEvents
read_once(CrdtBytes text, MarkdownDialect dialect)
{
	Parse parse = {.limit = GROWTH_MAX * text.size + GROWTH_FREE};
	MD_PARSER parser = {.flags = MD_FLAG_NOHTML,
						.enter_block = enter_block,
						.leave_block = leave_block,
						.enter_span = enter_span,
						.leave_span = leave_span,
						.text = see_text};

	if (dialect == MARKDOWN_GITHUB)
		parser.flags |= MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS |
						MD_FLAG_PERMISSIVEURLAUTOLINKS;
	if (md_parse((const char *) text.data, (MD_SIZE) text.size, &parser, &parse) != 0 &&
		parse.stop == STOP_NOT)
		parse.stop = STOP_NO_MEMORY; /* its own */
	if (parse.stop != STOP_NOT)
		fail(parse.stop, text.size);
	return parse.events;
}

/* What begins and ends where, as a number. */
static uint64
shape_of(const MarkdownEvents *events)
{
	uint64 shape = 0;

	for (size_t i = 0; i < events->count; i++)
		shape = hash_combine64(shape, murmurhash32((uint32) events->list[i].what << 16 |
												   (uint32) events->list[i].part));
	return shape;
}

/*
 * md4c 0.4.8 ends a list item too early where a line of code, of a heading or of HTML stands in it, a
 * blank line follows, and an offset of that line is 4 modulo 256: it takes the offset for a type of
 * block.  Blank lines in front of a text mean nothing and move its offsets, so no two readings of a
 * text go wrong at the same places: what two of them see is what stands there.
 */
MarkdownEvents
markdown_parse(CrdtBytes text, MarkdownDialect dialect)
{
	uint64 shapes[READINGS_MAX];
	char *moved = MemoryContextAllocHuge(CurrentMemoryContext, READINGS_MAX + text.size);
	MarkdownEvents events;

	memset(moved, '\n', READINGS_MAX);
	memcpy(moved + READINGS_MAX, text.data, text.size);
	for (int reading = 0;; reading++)
	{
		bool was_seen = false;
		const char *start = moved + READINGS_MAX - reading;

		events = read_once((CrdtBytes){(const uint8_t *) start, text.size + reading}, dialect);
		shapes[reading] = shape_of(&events);
		for (int i = 0; i < reading && !was_seen; i++)
			was_seen = shapes[i] == shapes[reading];
		/* more than hundreds of such places: as well as can be */
		if (was_seen || reading == READINGS_MAX - 1)
			break;
		pfree(events.list);
		if (events.bytes != NULL)
			pfree(events.bytes);
	}
	pfree(moved);
	return events;
}

CrdtBytes
markdown_bytes(const MarkdownEvents *events, MarkdownRun run)
{
	return (CrdtBytes){(const uint8_t *) events->bytes + run.start, run.size};
}
