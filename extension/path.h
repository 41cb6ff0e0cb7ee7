/*
 * path.h: places in a document: a root's name, then keys of maps and indices of lists, as SQL says
 * them: 'body', or ARRAY['board', 'cards', '3', 'title'].
 *
 *     Path path = path_of_argument(fcinfo, 1);
 *     const CrdtType *type = path_open_type(doc, &path, CRDT_TEXT);
 */
#ifndef YDOC_PATH_H
#define YDOC_PATH_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

#include "crdt/document.h"

typedef struct Path
{
	CrdtBytes *steps; /* at least one: the root's name */
	int count;
} Path;

/* Argument number, a text (a root) or a text[]; an error if it is empty or holds a NULL. */
Path path_of_argument(FunctionCallInfo fcinfo, int number);
Path path_of_array(ArrayType *array);
Path path_of_jsonb(const JsonbValue *value); /* a string or an array of strings and numbers */

/* The shared type there, for editing as kind: TEXT stands for XML_TEXT too, XML_FRAGMENT for
 * XML_ELEMENT too.  A root that nobody has used is made one; an error (22023) if something else or
 * nothing is there. */
const CrdtType *path_open_type(CrdtDoc *doc, const Path *path, CrdtKind kind);

/* The shared type at the longest part of the path that leads to one, and how many steps that took;
 * NULL, 0: there is no such root. */
const CrdtType *path_follow(CrdtDoc *doc, const Path *path, int *taken);

/* A step as the index of a list: digits only. */
bool path_step_is_index(CrdtBytes step, uint64_t *index);

/* For messages: board.cards.3 */
const char *path_show(const Path *path, int count);

/* text, array, map ... ; "nothing yet" for an unused root. */
const char *path_kind_name(CrdtKind kind);

#endif
