/*
 * rich_prosemirror.c: the tree of XML as y-prosemirror keeps it (rich.h): an element is a node of its
 * name's type, its attributes are the node's, and an XML text is a run of text nodes.
 *
 * Names are those of ProseMirror's own schemas, Tiptap's, Milkdown's and BlockNote's.  An element of
 * another name is kept for what is in it.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "bridge.h"
#include "input.h"
#include "read.h"
#include "rich.h"

typedef enum Meaning
{
	NODE_BLOCK, /* holds blocks */
	NODE_LINE, /* holds inlines */
	NODE_ITEM,
	NODE_RULE,
	NODE_BREAK,
	NODE_IMAGE,
	NODE_VIDEO,
	NODE_MENTION,
	NODE_FORMULA,
	NODE_NOTHING, /* what is in it stands for itself */
	NODE_CONTAINER, /* BlockNote's: a block, and what is nested below it */
	NODE_UNKNOWN
} Meaning;

typedef struct NodeName
{
	const char *name;
	Meaning meaning;
	RichKind kind;
	RichListKind list; /* LIST; ITEM: of a list that is not in the document */
} NodeName;

/* Without underscores and hyphens, in lower case. */
static const NodeName node_names[] = {
	{"paragraph", NODE_LINE, RICH_PARAGRAPH, 0},
	{"heading", NODE_LINE, RICH_HEADING, 0},
	{"codeblock", NODE_LINE, RICH_CODE_BLOCK, 0},
	{"blockquote", NODE_BLOCK, RICH_QUOTE, 0},
	{"bulletlist", NODE_BLOCK, RICH_LIST, RICH_BULLETS},
	{"orderedlist", NODE_BLOCK, RICH_LIST, RICH_NUMBERS},
	{"tasklist", NODE_BLOCK, RICH_LIST, RICH_TASKS},
	{"todolist", NODE_BLOCK, RICH_LIST, RICH_TASKS},
	{"listitem", NODE_ITEM, RICH_ITEM, RICH_BULLETS},
	{"taskitem", NODE_ITEM, RICH_ITEM, RICH_TASKS},
	{"todoitem", NODE_ITEM, RICH_ITEM, RICH_TASKS},
	{"bulletlistitem", NODE_ITEM, RICH_ITEM, RICH_BULLETS},
	{"numberedlistitem", NODE_ITEM, RICH_ITEM, RICH_NUMBERS},
	{"checklistitem", NODE_ITEM, RICH_ITEM, RICH_TASKS},
	{"table", NODE_BLOCK, RICH_TABLE, 0},
	{"tablerow", NODE_BLOCK, RICH_ROW, 0},
	{"tablecell", NODE_BLOCK, RICH_CELL, 0},
	{"tableheader", NODE_BLOCK, RICH_CELL, 0},
	{"horizontalrule", NODE_RULE, RICH_RULE, 0},
	{"hr", NODE_RULE, RICH_RULE, 0},
	{"divider", NODE_RULE, RICH_RULE, 0},
	{"hardbreak", NODE_BREAK, RICH_BREAK, 0},
	{"image", NODE_IMAGE, RICH_IMAGE, 0},
	{"video", NODE_VIDEO, RICH_TEXT, 0},
	{"youtube", NODE_VIDEO, RICH_TEXT, 0},
	{"mention", NODE_MENTION, RICH_TEXT, 0},
	{"inlinemath", NODE_FORMULA, RICH_FORMULA, 0},
	{"blockmath", NODE_FORMULA, RICH_FORMULA, 0},
	{"doc", NODE_NOTHING, RICH_OTHER, 0},
	{"blockgroup", NODE_NOTHING, RICH_OTHER, 0},
	{"tableparagraph", NODE_LINE, RICH_PARAGRAPH, 0},
	{"blockcontainer", NODE_CONTAINER, RICH_OTHER, 0},
};

static const NodeName unknown_name = {"", NODE_UNKNOWN, RICH_OTHER, 0};

/*
 * Where the next node goes.  Inside of a line there is always a container to go back to: a block that
 * stands in a line cuts it, and what follows is a line like it.
 */
typedef struct ProseMirror
{
	CrdtDoc *doc;
	RichNode *container; /* holds blocks */
	RichNode *line; /* open: holds inlines; NULL: none */
	RichNode *like; /* the line that inlines go on in, or in one like it; NULL: none */
	int depth;
} ProseMirror;

static const NodeName *
find_name(CrdtBytes element)
{
	char name[24];
	size_t size = 0;

	for (size_t i = 0; i < element.size; i++)
	{
		if (element.data[i] == '_' || element.data[i] == '-')
			continue;
		if (size == sizeof(name) - 1)
			return &unknown_name;
		name[size++] = pg_ascii_tolower(element.data[i]);
	}
	name[size] = '\0';
	for (int i = 0; i < lengthof(node_names); i++)
		if (strcmp(node_names[i].name, name) == 0)
			return &node_names[i];
	return &unknown_name;
}

/* ---- inlines ---- */

static RichNode *
add_run(ProseMirror *build, RichKind kind, const JsonbValue *marks)
{
	if (build->line == NULL)
	{
		build->line = rich_add_block(build->container,
									 build->like != NULL ? build->like->kind : RICH_PARAGRAPH);
		if (build->like != NULL)
			build->line->block = build->like->block;
		else
			build->line->is_implicit = true;
	}
	return rich_add_run(build->line, kind, marks);
}

static void
add_text(ProseMirror *build, const CrdtType *type)
{
	JsonbValue delta = input_whole(read_type_delta(build->doc, type));
	JsonbContainer *ops = delta.val.binary.data;

	for (uint32 i = 0; i < JsonContainerSize(ops); i++)
	{
		JsonbValue *op = getIthJsonbValueFromContainer(ops, i);
		CrdtBytes text = rich_member_string(op, "insert");

		if (text.size > 0)
			add_run(build, RICH_TEXT, input_member(op, "attributes"))->run.text = text;
	}
}

/* The first of these members that is there. */
static CrdtBytes
first_string(const JsonbValue *attributes, const char *const *keys)
{
	CrdtBytes found = {NULL, 0};

	while (found.size == 0 && *keys != NULL)
		found = rich_member_string(attributes, *keys++);
	return found;
}

static void
add_image(ProseMirror *build, const JsonbValue *attributes)
{
	static const char *const urls[] = {"src", "url", NULL};
	static const char *const texts[] = {"alt", "caption", "name", NULL};
	RichNode *image = add_run(build, RICH_IMAGE, NULL);

	image->run.url = rich_image_url(first_string(attributes, urls));
	image->run.text = first_string(attributes, texts);
	image->run.title = rich_member_string(attributes, "title");
	image->run.width = rich_member_integer(attributes, "width", 1, 99999, 0);
	image->run.height = rich_member_integer(attributes, "height", 1, 99999, 0);
}

static void
add_video(ProseMirror *build, const JsonbValue *attributes)
{
	static const char *const urls[] = {"src", "url", NULL};
	CrdtBytes url = first_string(attributes, urls);
	RichNode *run;

	if (url.size == 0)
		return;
	run = add_run(build, RICH_TEXT, NULL);
	run->run.text = url;
	run->run.marks.url = rich_link_url(url);
	run->run.marks.is_link = run->run.marks.url.size > 0;
}

static void
add_mention(ProseMirror *build, const JsonbValue *attributes)
{
	static const char *const names[] = {"label", "name", "id", NULL};
	CrdtBytes sign = rich_member_string(attributes, "mentionSuggestionChar");
	CrdtBytes name = first_string(attributes, names);

	if (name.size == 0)
		return;
	add_run(build, RICH_TEXT, NULL)->run.text = sign.size > 0 ? sign : CRDT_LITERAL("@");
	add_run(build, RICH_TEXT, NULL)->run.text = name;
}

static void
add_inline(ProseMirror *build, Meaning meaning, const JsonbValue *attributes)
{
	bool is_inside = build->line != NULL;

	switch (meaning)
	{
		case NODE_IMAGE: add_image(build, attributes); break;
		case NODE_VIDEO: add_video(build, attributes); break;
		case NODE_MENTION: add_mention(build, attributes); break;
		case NODE_FORMULA:
			add_run(build, RICH_FORMULA, NULL)->run.text = rich_member_string(attributes, "latex");
			break;
		default: (void) add_run(build, RICH_BREAK, NULL); break;
	}
	/* one that stands among blocks is a line of its own */
	if (build->like == NULL && !is_inside)
		build->line = NULL;
}

/* ---- blocks ---- */

static void
set_block(RichNode *block, const NodeName *name, const JsonbValue *attributes)
{
	static const char *const languages[] = {"language", "lang", "params", NULL};

	switch (block->kind)
	{
		case RICH_HEADING:
			block->block.level = rich_member_integer(attributes, "level", 1, 6, 1);
			break;
		case RICH_CODE_BLOCK:
			block->block.name = rich_language(first_string(attributes, languages));
			break;
		case RICH_LIST:
			block->block.list = name->list;
			block->block.start =
				rich_member_integer(attributes, "start", 0, 999999999,
									rich_member_integer(attributes, "order", 0, 999999999, 1));
			break;
		case RICH_CELL:
			block->block.is_header = name->name[5] == 'h'; /* tableheader */
			block->block.columns = rich_member_integer(attributes, "colspan", 1, 1000, 1);
			block->block.rows = rich_member_integer(attributes, "rowspan", 1, 65534, 1);
			rich_set_line(block, attributes);
			break;
		default: break;
	}
	if (rich_is_line(block))
		rich_set_line(block, attributes);
}

static RichNode *
add_item(ProseMirror *build, const NodeName *name, const JsonbValue *attributes)
{
	RichNode *item = rich_add_item(build->container, name->list);
	RichNode *list =
		build->container->kind == RICH_LIST ? build->container : build->container->last;
	const JsonbValue *checked = input_member(attributes, "checked");

	/* Milkdown's items have the attribute, null in those that are no tasks */
	item->block.is_task |= checked != NULL && checked->type != jbvNull;
	item->block.is_checked = item->block.is_task && (rich_member_true(attributes, "checked") ||
													 rich_member_true(attributes, "done"));
	/* BlockNote's lists are no nodes: the first item says where they start */
	if (list->first == item && list->is_implicit)
		list->block.start = rich_member_integer(attributes, "start", 0, 999999999, 1);
	return item;
}

static void add_children(ProseMirror *build, const CrdtType *type);
static RichNode *add_child(ProseMirror *build, const CrdtType *type);

/* What is in the type, in the block.  Afterwards all is as before, but a line that was open has been
 * cut. */
static void
fill_block(ProseMirror *build, RichNode *block, const CrdtType *type)
{
	RichNode *container = build->container;
	RichNode *like = build->like;

	build->line = build->like = NULL;
	if (rich_is_line(block))
		build->line = build->like = block;
	else
		build->container = block;
	add_children(build, type);
	build->container = container;
	build->line = NULL;
	build->like = like;
}

/* What is nested below an item of BlockNote's stands beside it, in one element with it. */
static void
fill_container(ProseMirror *build, const CrdtType *type)
{
	RichNode *container = build->container;

	for (uint64 i = 0; i < crdt_doc_length(build->doc, type); i++)
	{
		RichNode *node = add_child(build, crdt_doc_child(build->doc, type, i));

		if (node != NULL && node->kind == RICH_ITEM)
			build->container = node;
	}
	build->container = container;
}

static void
enter(ProseMirror *build)
{
	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	if (++build->depth > RICH_DEPTH_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("document is nested more than %d levels deep", RICH_DEPTH_MAX)));
}

/* The block that came about, if one did. */
static RichNode *
add_element(ProseMirror *build, const CrdtType *type)
{
	const NodeName *name = find_name(crdt_doc_element_name(build->doc, type));
	JsonbValue attributes = input_whole(read_attributes(build->doc, type));
	RichNode *block = NULL;

	enter(build);
	switch (name->meaning)
	{
		case NODE_UNKNOWN:
			/* in a line: what is in it is part of the line */
			if (build->line != NULL || build->like != NULL)
			{
				add_children(build, type);
				break;
			}
			/* FALLTHROUGH */
		case NODE_BLOCK:
		case NODE_LINE:
			block = rich_add_block(build->container, name->kind);
			set_block(block, name, &attributes);
			if (name->meaning == NODE_UNKNOWN)
				block->block.name = bridge_text(crdt_doc_element_name(build->doc, type));
			fill_block(build, block, type);
			break;
		case NODE_ITEM:
			block = add_item(build, name, &attributes);
			fill_block(build, block, type);
			break;
		case NODE_RULE:
			block = rich_add_block(build->container, RICH_RULE);
			build->line = NULL;
			add_children(build, type); /* there are none in it, but who knows */
			break;
		case NODE_NOTHING: add_children(build, type); break;
		case NODE_CONTAINER: fill_container(build, type); break;
		default:
			add_inline(build, name->meaning, &attributes);
			add_children(build, type);
			break;
	}
	build->depth--;
	return block;
}

static RichNode *
add_child(ProseMirror *build, const CrdtType *type)
{
	CrdtKind kind = type == NULL ? CRDT_UNTYPED : crdt_doc_kind(build->doc, type);

	if (kind == CRDT_XML_TEXT || kind == CRDT_TEXT)
		add_text(build, type);
	return kind == CRDT_XML_ELEMENT ? add_element(build, type) : NULL;
}

static void
add_children(ProseMirror *build, const CrdtType *type)
{
	for (uint64 i = 0; i < crdt_doc_length(build->doc, type); i++)
		(void) add_child(build, crdt_doc_child(build->doc, type, i));
}

void
rich_build_prosemirror(RichNode *document, CrdtDoc *doc, const CrdtType *type)
{
	ProseMirror build = {.doc = doc, .container = document};

	if (crdt_doc_kind(doc, type) == CRDT_XML_ELEMENT)
		(void) add_element(&build, type);
	else
		add_children(&build, type);
}
