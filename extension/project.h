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

#include "fmgr.h"
#include "utils/jsonb.h"

#include "path.h"

/* How what is at a place is shown. */
typedef struct ProjectForm
{
	const char *name;
	Jsonb *(*read)(CrdtDoc *doc, const Path *path); /* NULL: see function */
	PGFunction function; /* that reads a value so; NULL too: the document itself, a ydoc */
	int steps_min; /* of a path; 0: the whole document will do */
	int steps_max;
	bool gives_text; /* the function's result */
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
