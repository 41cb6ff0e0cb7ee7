/*
 * project.h: chosen places of a document as the members of one object: what a table that follows
 * documents takes over (projection.h).
 *
 *     {"title": ["meta", "title"], "body": {"path": "body", "as": "text"}, "copy": {"as": "document"}}
 *
 * A place is a root's name or a path; none, or an empty one, is the whole document.  "as" says in
 * which form; without it, as JSON.
 */
#ifndef YDOC_PROJECT_H
#define YDOC_PROJECT_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "path.h"

/* How what is at a place is shown; NULL: there is nothing.  Only some show a whole document. */
typedef struct ProjectForm
{
	const char *name;
	Jsonb *(*read)(CrdtDoc *doc, const Path *path); /* NULL: the document itself, a ydoc */
	bool takes_document; /* an empty path is allowed */
	bool takes_place; /* any other */
} ProjectForm;

typedef struct ProjectColumn
{
	char *name;
	Path path; /* of no steps: the whole document */
	const ProjectForm *form;
} ProjectColumn;

/* The members of columns; an error (22023) names the one that is wrong. */
ProjectColumn *project_columns(const Jsonb *columns, int *count);

/* Is it the document itself, which is no JSON? */
bool project_is_document(const ProjectColumn *column);

#endif
