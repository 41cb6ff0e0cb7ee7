/*
 * projection_write.h: writing the rows of a table that follows documents (projection.c).
 *
 *     projection_put_nothing_off();
 *     deputy_begin(&former, owner of the table);
 *     store_open();                                         -- SPI
 *     projection_write_rows(projection, names, count);
 *     store_close();
 *     deputy_end(&former);
 */
#ifndef YDOC_PROJECTION_WRITE_H
#define YDOC_PROJECTION_WRITE_H

#include "postgres.h"

#include "access/xact.h"

/* The arguments of a projection's triggers. */
enum
{
	PROJECTION_DOCUMENTS, /* a LIKE pattern */
	PROJECTION_COLUMNS, /* jsonb (project.h) */
	PROJECTION_KEY, /* the column that takes the document's name */
	PROJECTION_ON_ERROR, /* record or raise */
	PROJECTION_ARGUMENT_COUNT
};

/* A document that changed. */
typedef struct NotedName
{
	char *name;
	char *new_name; /* NULL: it is still called that */
	SubTransactionId noted_in; /* whose roll-back makes it no news */
} NotedName;

typedef struct Projection
{
	struct Projection *next;
	Oid function; /* of its triggers */
	Oid target;
	char *arguments[PROJECTION_ARGUMENT_COUNT];
	NotedName *names;
	int count;
	int capacity;
} Projection;

/* Acting as somebody else, with search_path pg_catalog.  What he defers is an error: nobody knows who would
 * do it in the end. */
typedef struct Deputy
{
	Oid user;
	int security_context;
	int settings; /* nesting level */
} Deputy;

void deputy_begin(Deputy *former, Oid user);
void deputy_end(const Deputy *former);

/* Constraints that are checked at the end of the transaction are checked now, and from now on at once: while
 * whoever writes the rows is at it, and an error can still be told from others'. */
void projection_put_nothing_off(void);

/* Brings up the rows of documents of these names, sorted, which are locked. */
void projection_write_rows(const Projection *projection, char **names, int count);

/* Reports what is wrong with the projection as a whole: a column that is missing, say. */
void projection_check(const Projection *projection);

/* The keys of the table's rows that match the pattern, and that documents of the projection may have;
 * unsorted, without NULL. */
char **projection_keys(const Projection *projection, Datum pattern, int *count);

/* Sorts names as documents are locked, and drops those that are there twice; how many are left. */
int projection_sort_names(char **names, int count);

#endif
