/*
 * rich.h: a document as people see it: blocks, and in them inlines with marks.  Two builders make
 * the tree, one from rich text as Quill keeps it, one from XML as ProseMirror keeps it; two writers
 * turn it into HTML and Markdown.
 *
 *     document
 *      ├─ heading 1 ── text "Plan"
 *      └─ list ── item ── paragraph ── text "buy " ── text "milk" [bold, link]
 *
 * Two promises let the writers be simple:
 *
 *   Places.  A list holds items, a table rows, a row cells, and these stand nowhere else; paragraphs,
 *   headings and code blocks hold inlines, all other blocks hold blocks.  Where a document has it
 *   otherwise, what lacks is put between (rich_add_block), and lines are cut where a block stands in
 *   them.
 *
 *   Values.  URLs, colours, languages and the like have been judged: what is in the tree may go into
 *   an attribute once it is escaped.  Text, titles and names of unknown nodes are anything at all.
 *
 * Bytes are UTF-8 without U+0000, borrowed from the JSON the tree was built from.  All of it lives in
 * the memory context it was made in.
 */
#ifndef YDOC_RICH_H
#define YDOC_RICH_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

#include "crdt/document.h"

/* Documents that are nested deeper are refused (54000). */
#define RICH_DEPTH_MAX 500

typedef enum RichKind
{
	/* blocks that hold blocks */
	RICH_DOCUMENT,
	RICH_QUOTE,
	RICH_LIST,
	RICH_ITEM,
	RICH_TABLE,
	RICH_ROW,
	RICH_CELL,
	RICH_OTHER, /* a node that we do not know; name says what it is */
	/* blocks that hold inlines: lines */
	RICH_PARAGRAPH,
	RICH_HEADING,
	RICH_CODE_BLOCK, /* only text and breaks count; no newline stands behind the last line */
	/* a block that holds nothing */
	RICH_RULE,
	/* inlines */
	RICH_TEXT,
	RICH_BREAK,
	RICH_IMAGE,
	RICH_FORMULA /* text in LaTeX */
} RichKind;

typedef enum RichListKind
{
	RICH_BULLETS,
	RICH_NUMBERS,
	RICH_TASKS
} RichListKind;

typedef enum RichAlign
{
	RICH_ALIGN_DEFAULT,
	RICH_ALIGN_LEFT,
	RICH_ALIGN_CENTER,
	RICH_ALIGN_RIGHT,
	RICH_ALIGN_JUSTIFY
} RichAlign;

enum
{
	RICH_BOLD = 1,
	RICH_ITALIC = 2,
	RICH_UNDERLINE = 4,
	RICH_STRIKE = 8,
	RICH_CODE = 16,
	RICH_SUBSCRIPT = 32,
	RICH_SUPERSCRIPT = 64,
	RICH_HIGHLIGHT = 128
};

typedef struct RichMarks
{
	uint32 set; /* RICH_BOLD | ... */
	bool is_link;
	CrdtBytes url; /* of the link */
	CrdtBytes title; /* of the link; size 0: none */
	CrdtBytes color; /* colours: size 0: none */
	CrdtBytes background;
	CrdtBytes highlight; /* the colour of RICH_HIGHLIGHT */
} RichMarks;

typedef struct RichNode
{
	RichKind kind;
	struct RichNode *next;
	struct RichNode *first; /* what it holds */
	struct RichNode *last;
	bool is_implicit; /* not in the document: put between */
	union
	{
		struct
		{
			CrdtBytes name; /* OTHER: the node's; CODE_BLOCK: the language, size 0: unknown */
			int level; /* HEADING: 1 to 6 */
			RichListKind list; /* LIST */
			int start; /* LIST of numbers: the first */
			bool is_task; /* ITEM */
			bool is_checked; /* ITEM */
			bool is_header; /* CELL */
			int columns; /* CELL: how many it spans */
			int rows;
			RichAlign align; /* of lines and cells */
			bool is_rtl; /* lines */
		} block;
		struct
		{
			CrdtBytes text; /* TEXT, FORMULA; IMAGE: what it shows */
			CrdtBytes url; /* IMAGE; size 0: none that may be shown */
			CrdtBytes title; /* IMAGE */
			int width; /* IMAGE; 0: unknown */
			int height;
			RichMarks marks;
		} run;
	};
} RichNode;

/* ---- the tree of a document ---- */

/* What argument 1 of a call leads to, a text or an XML type; NULL: there is nothing; an error (22023)
 * if it is something else. */
RichNode *rich_of_argument(CrdtDoc *doc, FunctionCallInfo fcinfo);

/* The builders behind it. */
void rich_build_quill(RichNode *document, CrdtDoc *doc, const CrdtType *type);
void rich_build_prosemirror(RichNode *document, CrdtDoc *doc, const CrdtType *type);

/* ---- for builders ---- */

RichNode *rich_new(RichKind kind);
void rich_append(RichNode *parent, RichNode *child);

/* A new block in parent, with what must stand between the two. */
RichNode *rich_add_block(RichNode *parent, RichKind kind);

/* The same for an item of such a list, which goes into parent if that is a list; if not, into one that
 * items before it have made, or a new one. */
RichNode *rich_add_item(RichNode *parent, RichListKind list);

/* A new inline at the end of a line.  Formats of Quill and marks of ProseMirror: an object or NULL. */
RichNode *rich_add_run(RichNode *line, RichKind kind, const JsonbValue *attributes);

bool rich_is_line(const RichNode *node);

/* ---- values out of JSON; object may be NULL, and a member missing or of another type ---- */

CrdtBytes rich_member_string(const JsonbValue *object, const char *key); /* size 0: none */
int
rich_member_integer(const JsonbValue *object, const char *key, int least, int most, int otherwise);
bool rich_member_true(const JsonbValue *object, const char *key); /* true, or "true" */
const JsonbValue *rich_member_object(const JsonbValue *object, const char *key); /* NULL: none */

/* Judged; size 0: it is missing or refused. */
CrdtBytes rich_link_url(CrdtBytes url); /* http, https, mailto, tel, relative ones */
CrdtBytes rich_image_url(CrdtBytes url); /* http, https, relative ones, pictures in base64 */
CrdtBytes rich_color(CrdtBytes color); /* #hex, rgb() and hsl() of numbers, names */
CrdtBytes rich_language(CrdtBytes language); /* a word without spaces */
RichAlign rich_align(CrdtBytes align);

/* Sets a line's alignment and direction from ProseMirror's or Quill's attributes. */
void rich_set_line(RichNode *line, const JsonbValue *attributes);

#endif
