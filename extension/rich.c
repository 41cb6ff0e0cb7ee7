/*
 * rich.c: the tree of a document (rich.h): where nodes may stand, marks, and which values may go into
 * an attribute of HTML or a target of Markdown.
 *
 * Values are let in by lists of what is safe, not kept out by lists of what is known to be bad.
 */
#include "rich.h"

#include "utils/builtins.h"
#include "utils/numeric.h"

#include "bridge.h"
#include "input.h"
#include "prosemirror.h"
#include "read.h"

#define LANGUAGE_BYTES_MAX 40
#define COLOR_BYTES_MAX 60

RichNode *
rich_of_argument(CrdtDoc *doc, FunctionCallInfo fcinfo)
{
	Path path;
	const CrdtType *type = read_place(doc, fcinfo, &path);
	CrdtKind kind = type == NULL ? CRDT_UNTYPED : crdt_doc_kind(doc, type);
	RichNode *document;

	if (type == NULL)
		return NULL;
	document = rich_new(RICH_DOCUMENT);
	switch (kind)
	{
		case CRDT_TEXT:
		case CRDT_XML_TEXT: rich_build_quill(document, doc, type); break;
		case CRDT_XML_FRAGMENT:
		case CRDT_XML_ELEMENT: rich_build_prosemirror(document, doc, type); break;
		case CRDT_UNTYPED: break; /* empty */
		default: read_refuse(&path, kind, "rich text");
	}
	return document;
}

/* ---- places ---- */

RichNode *
rich_new(RichKind kind)
{
	RichNode *node = palloc0(sizeof(RichNode));

	node->kind = kind;
	return node;
}

void
rich_append(RichNode *parent, RichNode *child)
{
	if (parent->last == NULL)
		parent->first = child;
	else
		parent->last->next = child;
	parent->last = child;
}

bool
rich_is_line(const RichNode *node)
{
	return node->kind == RICH_PARAGRAPH || node->kind == RICH_HEADING ||
		   node->kind == RICH_CODE_BLOCK;
}

static RichNode *
add(RichNode *parent, RichKind kind)
{
	RichNode *node = rich_new(kind);

	rich_append(parent, node);
	return node;
}

/* A block that is put between: the last one of parent, if it came about the same way; but in a list each
 * block is an item of its own. */
static RichNode *
put_between(RichNode *parent, RichKind kind)
{
	RichNode *last = parent->last;

	if (last == NULL || last->kind != kind || !last->is_implicit || kind == RICH_ITEM)
	{
		last = add(parent, kind);
		last->is_implicit = true;
		if (kind == RICH_CELL)
			last->block.columns = last->block.rows = 1;
		if (kind == RICH_LIST)
			last->block.start = 1;
	}
	return last;
}

/* What a parent holds and nothing else; what a child stands in and nowhere else; DOCUMENT: anything. */
static RichKind
child_of(RichKind parent)
{
	return parent == RICH_LIST    ? RICH_ITEM
		   : parent == RICH_TABLE ? RICH_ROW
		   : parent == RICH_ROW   ? RICH_CELL
								  : RICH_DOCUMENT;
}

static RichKind
parent_of(RichKind child)
{
	return child == RICH_ITEM   ? RICH_LIST
		   : child == RICH_ROW  ? RICH_TABLE
		   : child == RICH_CELL ? RICH_ROW
								: RICH_DOCUMENT;
}

RichNode *
rich_add_block(RichNode *parent, RichKind kind)
{
	/* from the parent down, as far as it says what it holds */
	while (child_of(parent->kind) != RICH_DOCUMENT && child_of(parent->kind) != kind)
		parent = put_between(parent, child_of(parent->kind));
	/* a cell lacks a table and a row */
	if (parent_of(kind) != RICH_DOCUMENT && parent_of(kind) != parent->kind)
		parent = put_between(parent, kind == RICH_ITEM ? RICH_LIST : RICH_TABLE);
	if (kind == RICH_CELL && parent->kind == RICH_TABLE)
		parent = put_between(parent, RICH_ROW);
	return add(parent, kind);
}

RichNode *
rich_add_item(RichNode *parent, RichListKind list)
{
	RichNode *last = parent->last;
	RichNode *item;

	if (parent->kind != RICH_LIST)
	{
		if (last == NULL || last->kind != RICH_LIST || !last->is_implicit ||
			last->block.list != list)
		{
			last = rich_add_block(parent, RICH_LIST);
			last->is_implicit = true;
			last->block.list = list;
			last->block.start = 1;
		}
		parent = last;
	}
	item = rich_add_block(parent, RICH_ITEM);
	item->block.is_task = list == RICH_TASKS;
	return item;
}

/* ---- members of objects ---- */

static const JsonbValue *
find_member(const JsonbValue *object, const char *key)
{
	return object == NULL || !input_is_object(object) ? NULL : input_member(object, key);
}

CrdtBytes
rich_member_string(const JsonbValue *object, const char *key)
{
	const JsonbValue *value = find_member(object, key);

	return value == NULL || value->type != jbvString ? (CrdtBytes){NULL, 0} : input_string(value);
}

const JsonbValue *
rich_member_object(const JsonbValue *object, const char *key)
{
	const JsonbValue *value = find_member(object, key);

	return value == NULL || !input_is_object(value) ? NULL : value;
}

/* Also of a string, for attributes of XML were strings once. */
int
rich_member_integer(const JsonbValue *object, const char *key, int least, int most, int otherwise)
{
	const JsonbValue *value = find_member(object, key);
	char *digits;
	char *end;
	double number;

	if (value == NULL)
		return otherwise;
	if (value->type == jbvNumeric)
		digits =
			DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	else if (value->type == jbvString && value->val.string.len > 0 && value->val.string.len < 20)
		digits = pnstrdup(value->val.string.val, value->val.string.len);
	else
		return otherwise;
	number = strtod(digits, &end);
	return *end == '\0' && number >= least && number <= most ? (int) number : otherwise;
}

bool
rich_member_true(const JsonbValue *object, const char *key)
{
	const JsonbValue *value = find_member(object, key);

	return value != NULL && ((value->type == jbvBool && value->val.boolean) ||
							 (value->type == jbvString && value->val.string.len == 4 &&
							  memcmp(value->val.string.val, "true", 4) == 0));
}

/* ---- URLs ---- */

static bool
is_letter(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool
is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

/* text begins with the letters (lower case) of prefix, in any case. */
static bool
begins_with(CrdtBytes text, const char *prefix)
{
	size_t size = strlen(prefix);

	return text.size >= size && pg_strncasecmp((const char *) text.data, prefix, size) == 0;
}

static bool
begins_with_any(CrdtBytes text, const char *const *prefixes)
{
	while (*prefixes != NULL && !begins_with(text, *prefixes))
		prefixes++;
	return *prefixes != NULL;
}

/*
 * A URL as browsers see it (WHATWG's URL standard): without tabs and line breaks, and without control
 * characters and spaces at its ends.  Other control characters have no business in one: size 0.
 */
static CrdtBytes
clean_url(CrdtBytes url)
{
	uint8_t *clean;
	size_t size = 0;

	while (url.size > 0 && url.data[0] <= ' ')
		url.data++, url.size--;
	while (url.size > 0 && url.data[url.size - 1] <= ' ')
		url.size--;
	clean = palloc(url.size + 1);
	for (size_t i = 0; i < url.size; i++)
	{
		uint8_t byte = url.data[i];

		if (byte == '\t' || byte == '\n' || byte == '\r')
			continue;
		if (byte < ' ' || byte == 0x7f)
			return (CrdtBytes){clean, 0};
		clean[size++] = byte;
	}
	return (CrdtBytes){clean, size};
}

/* Is there something in front of the first colon that could be a scheme?  Not if a path, query or
 * fragment begins earlier. */
static bool
has_scheme(CrdtBytes url)
{
	for (size_t i = 0; i < url.size; i++)
	{
		if (url.data[i] == ':')
			return true;
		if (url.data[i] == '/' || url.data[i] == '?' || url.data[i] == '#')
			return false;
	}
	return false;
}

CrdtBytes
rich_link_url(CrdtBytes url)
{
	static const char *const schemes[] = {"http:", "https:", "mailto:", "tel:", NULL};
	CrdtBytes clean = clean_url(url);

	if (has_scheme(clean) && !begins_with_any(clean, schemes))
		clean.size = 0;
	return clean;
}

static bool
is_base64(CrdtBytes text)
{
	for (size_t i = 0; i < text.size; i++)
		if (!is_letter(text.data[i]) && !is_digit(text.data[i]) && text.data[i] != '+' &&
			text.data[i] != '/' && text.data[i] != '=')
			return false;
	return true;
}

CrdtBytes
rich_image_url(CrdtBytes url)
{
	static const char *const schemes[] = {"http:", "https:", NULL};
	static const char *const pictures[] = {"data:image/png;base64,", "data:image/jpeg;base64,",
										   "data:image/gif;base64,", "data:image/webp;base64,",
										   NULL};
	CrdtBytes clean = clean_url(url);

	if (begins_with_any(clean, pictures))
	{
		const uint8_t *comma = memchr(clean.data, ',', clean.size);
		size_t head = comma + 1 - clean.data;

		if (!is_base64((CrdtBytes){comma + 1, clean.size - head}))
			clean.size = 0;
	}
	else if (has_scheme(clean) && !begins_with_any(clean, schemes))
		clean.size = 0;
	return clean;
}

/* ---- colours, languages, alignments ---- */

static bool
is_hex_color(CrdtBytes color)
{
	if (color.data[0] != '#' ||
		(color.size != 4 && color.size != 5 && color.size != 7 && color.size != 9))
		return false;
	for (size_t i = 1; i < color.size; i++)
		if (!is_digit(color.data[i]) &&
			!(is_letter(color.data[i]) && (color.data[i] | 0x20) <= 'f'))
			return false;
	return true;
}

/* rgb(1, 2, 3), hsla(90deg 50% 50% / .5): numbers and what stands between them. */
static bool
is_color_of_numbers(CrdtBytes color)
{
	static const char *const functions[] = {"rgb(", "rgba(", "hsl(", "hsla(", NULL};
	const uint8_t *open = memchr(color.data, '(', color.size);

	if (!begins_with_any(color, functions) || color.data[color.size - 1] != ')')
		return false;
	for (const uint8_t *at = open + 1; at < color.data + color.size - 1; at++)
		if (!is_digit(*at) && strchr(" ,.%/+-deg", *at) == NULL)
			return false;
	return true;
}

CrdtBytes
rich_color(CrdtBytes color)
{
	bool is_name = true;

	while (color.size > 0 && color.data[0] == ' ')
		color.data++, color.size--;
	while (color.size > 0 && color.data[color.size - 1] == ' ')
		color.size--;
	if (color.size == 0 || color.size > COLOR_BYTES_MAX)
		return (CrdtBytes){NULL, 0};
	for (size_t i = 0; i < color.size; i++)
		is_name = is_name && is_letter(color.data[i]);
	if (!is_name && !is_hex_color(color) && !is_color_of_numbers(color))
		color.size = 0;
	return color;
}

CrdtBytes
rich_language(CrdtBytes language)
{
	if (language.size > LANGUAGE_BYTES_MAX)
		language.size = 0;
	for (size_t i = 0; i < language.size; i++)
		if (!is_letter(language.data[i]) && !is_digit(language.data[i]) &&
			(language.data[i] == '\0' || strchr("+#.-_", language.data[i]) == NULL))
			return (CrdtBytes){NULL, 0};
	return language;
}

RichAlign
rich_align(CrdtBytes align)
{
	static const char *const names[] = {"left", "center", "right", "justify"};

	for (int i = 0; i < lengthof(names); i++)
		if (align.size == strlen(names[i]) && begins_with(align, names[i]))
			return RICH_ALIGN_LEFT + i;
	return RICH_ALIGN_DEFAULT;
}

void
rich_set_line(RichNode *line, const JsonbValue *attributes)
{
	static const char *const align_keys[] = {"align", "textAlign", "textAlignment", "text_align"};
	static const char *const direction_keys[] = {"direction", "dir", "textDirection"};

	for (int i = 0; i < lengthof(align_keys) && line->block.align == RICH_ALIGN_DEFAULT; i++)
		line->block.align = rich_align(rich_member_string(attributes, align_keys[i]));
	for (int i = 0; i < lengthof(direction_keys); i++)
	{
		CrdtBytes direction = rich_member_string(attributes, direction_keys[i]);

		line->block.is_rtl |= direction.size == 3 && begins_with(direction, "rtl");
	}
}

/* ---- marks ---- */

typedef enum MarkMeaning
{
	MARK_FLAG,
	MARK_LINK,
	MARK_SCRIPT, /* "sub" or "super" */
	MARK_COLOR,
	MARK_BACKGROUND,
	MARK_STYLE /* an object with colours */
} MarkMeaning;

/* Names without underscores and hyphens, in lower case: Quill's, ProseMirror's, Tiptap's, BlockNote's. */
static const struct
{
	const char *name;
	MarkMeaning meaning;
	uint32 flag;
} mark_names[] = {
	{"bold", MARK_FLAG, RICH_BOLD},
	{"strong", MARK_FLAG, RICH_BOLD},
	{"italic", MARK_FLAG, RICH_ITALIC},
	{"em", MARK_FLAG, RICH_ITALIC},
	{"emphasis", MARK_FLAG, RICH_ITALIC},
	{"underline", MARK_FLAG, RICH_UNDERLINE},
	{"strike", MARK_FLAG, RICH_STRIKE},
	{"strikethrough", MARK_FLAG, RICH_STRIKE},
	{"code", MARK_FLAG, RICH_CODE},
	{"inlinecode", MARK_FLAG, RICH_CODE},
	{"codeinline", MARK_FLAG, RICH_CODE},
	{"subscript", MARK_FLAG, RICH_SUBSCRIPT},
	{"superscript", MARK_FLAG, RICH_SUPERSCRIPT},
	{"sub", MARK_FLAG, RICH_SUBSCRIPT},
	{"sup", MARK_FLAG, RICH_SUPERSCRIPT},
	{"highlight", MARK_FLAG, RICH_HIGHLIGHT},
	{"link", MARK_LINK, 0},
	{"script", MARK_SCRIPT, 0},
	{"color", MARK_COLOR, 0},
	{"textcolor", MARK_COLOR, 0},
	{"background", MARK_BACKGROUND, 0},
	{"backgroundcolor", MARK_BACKGROUND, 0},
	{"textstyle", MARK_STYLE, 0},
};

static int
find_mark(CrdtBytes key)
{
	char name[32];
	size_t size = 0;

	key = prosemirror_mark_name(key);
	for (size_t i = 0; i < key.size; i++)
	{
		if (key.data[i] == '_' || key.data[i] == '-')
			continue;
		if (size == sizeof(name) - 1)
			return -1;
		name[size++] = pg_ascii_tolower(key.data[i]);
	}
	name[size] = '\0';
	for (int i = 0; i < lengthof(mark_names); i++)
		if (strcmp(mark_names[i].name, name) == 0)
			return i;
	return -1;
}

/* A colour: a string, or the member of an object. */
static CrdtBytes
color_in(const JsonbValue *value, const char *key)
{
	return rich_color(value->type == jbvString ? input_string(value)
											   : rich_member_string(value, key));
}

static void
set_link(RichMarks *marks, const JsonbValue *value)
{
	CrdtBytes url =
		value->type == jbvString ? input_string(value) : rich_member_string(value, "href");

	marks->url = rich_link_url(url);
	marks->is_link = marks->url.size > 0;
	marks->title = rich_member_string(value, "title");
}

static void
set_mark(RichMarks *marks, int mark, const JsonbValue *value)
{
	CrdtBytes string = value->type == jbvString ? input_string(value) : (CrdtBytes){NULL, 0};

	if (value->type == jbvNull || (value->type == jbvBool && !value->val.boolean))
		return;
	switch (mark_names[mark].meaning)
	{
		case MARK_FLAG:
			marks->set |= mark_names[mark].flag;
			if (mark_names[mark].flag == RICH_HIGHLIGHT)
				marks->highlight = color_in(value, "color");
			break;
		case MARK_LINK: set_link(marks, value); break;
		case MARK_SCRIPT:
			marks->set |= string.size == 3 && begins_with(string, "sub")     ? RICH_SUBSCRIPT
						  : string.size == 5 && begins_with(string, "super") ? RICH_SUPERSCRIPT
																			 : 0;
			break;
		case MARK_COLOR: marks->color = color_in(value, "stringValue"); break;
		case MARK_BACKGROUND: marks->background = color_in(value, "stringValue"); break;
		case MARK_STYLE:
			marks->color = rich_color(rich_member_string(value, "color"));
			marks->background = rich_color(rich_member_string(value, "backgroundColor"));
			break;
	}
}

RichNode *
rich_add_run(RichNode *line, RichKind kind, const JsonbValue *attributes)
{
	RichNode *run = add(line, kind);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;
	int mark = -1;

	if (attributes == NULL || !input_is_object(attributes))
		return run;
	iterator = JsonbIteratorInit(attributes->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			mark = find_mark(input_string(&value));
		else if (token == WJB_VALUE && mark >= 0)
			set_mark(&run->run.marks, mark, &value);
	}
	return run;
}
