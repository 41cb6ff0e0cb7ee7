/*
 * edit.h: the verbs that edit a document, and where their arguments come from.
 *
 * A verb is one local edit (crdt/edit.h) with checked arguments.  The same verbs serve values
 * (ydoc_text_insert(doc, ...)), stored documents (ydoc.text_insert(name, ...)) and lists of
 * operations (ydoc_edit(doc, '[{"op": "text_insert", ...}]')).
 *
 *     const EditVerb *verb = edit_verb("text_insert");
 *     EditArguments arguments = edit_arguments(fcinfo, verb);      -- those after the first
 *
 *     crdt_doc_begin(doc, NULL);
 *     verb->run(doc, &arguments);
 *     crdt_doc_commit(doc);
 *
 * A verb that fails jumps (ereport) and may have done a part: whoever opened the transaction throws
 * the document away or goes back.
 */
#ifndef YDOC_EDIT_H
#define YDOC_EDIT_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

#include "crdt/edit.h"
#include "path.h"

typedef enum EditArgumentKind
{
	EDIT_NOTHING, /* ends a list */
	EDIT_PATH,
	EDIT_INDEX, /* from 0; in a text, UTF-16 units */
	EDIT_LENGTH,
	EDIT_TEXT,
	EDIT_KEY,
	EDIT_JSON,
	EDIT_ATTRIBUTES /* an object, or NULL */
} EditArgumentKind;

typedef struct EditArguments
{
	Path path;
	uint64 index;
	uint64 length;
	CrdtBytes text;
	CrdtBytes key;
	const Jsonb *json;
	CrdtAttributes attributes;
	bool has_attributes;
	bool may_be_array; /* path is a root's name in SQL that reads like the text of an array */
} EditArguments;

#define EDIT_ARGUMENTS_MAX 5

typedef struct EditVerb
{
	const char *name;
	void (*run)(CrdtDoc *doc, const EditArguments *arguments);
	EditArgumentKind kinds[EDIT_ARGUMENTS_MAX + 1]; /* in the order of the SQL function */
	const char *json_name; /* what EDIT_JSON is called */
} EditVerb;

/* The verb of that name; an error (22023) that lists all of them. */
const EditVerb *edit_verb(const char *name, size_t length);

/* Arguments 1 and following of a call.  NULL is an error (22004) except for attributes. */
EditArguments edit_arguments(FunctionCallInfo fcinfo, const EditVerb *verb);

/* The edit that SQL called. */
void edit_run(CrdtDoc *doc, const EditVerb *verb, const EditArguments *arguments);

/* Does a list of operations, each {"op": name, "path": ..., ...} with the names of the verb's
 * arguments; an error names the operation. */
void edit_run_list(CrdtDoc *doc, const Jsonb *operations);

/* Argument 1, such a list, must not be NULL. */
void edit_require_operations(FunctionCallInfo fcinfo);

/* text_replace's work: the smallest edit that makes the text of type read as text (replace.c). */
void edit_replace_text(CrdtDoc *doc, const CrdtType *type, CrdtBytes text);

/* Paths and whole trees (set.c). */
void set_path(CrdtDoc *doc, const Path *path, const Jsonb *value);
void unset_path(CrdtDoc *doc, const Path *path);
Jsonb *get_path(CrdtDoc *doc, const Path *path); /* NULL: there is nothing */
void patch_document(CrdtDoc *doc, const Jsonb *patch);
void set_root(CrdtDoc *doc, CrdtBytes name, const JsonbValue *value);

/* A node, or an array of nodes, of ProseMirror's JSON as children of an XML type (prosemirror.c). */
CrdtInput *prosemirror_nodes(const JsonbValue *content, size_t *count);

/* For functions: reports a status of the core as a failed edit. */
void edit_check(CrdtStatus status, const CrdtError *error);

#endif
