/*
 * comment.h: who may only comment, and writes with SQL himself, under row security.
 *
 * What he writes is checked here, in the functions that write documents; he may not write the tables.  So row
 * security lets rows of a document pass while one of these functions says that it writes them:
 *
 *     confines = comment_confines(name);            NULL: he is not confined
 *     comment_begin(&name, 1);
 *     PG_TRY();
 *         ... statements of ours, and nobody else's ...
 *     PG_FINALLY();
 *         comment_end();
 *     PG_END_TRY();
 */
#ifndef YDOC_COMMENT_H
#define YDOC_COMMENT_H

#include "postgres.h"

#include "crdt/document.h"

/* Does row security concern the caller at all? */
bool comment_may_confine(void);

/* Between store_open and store_close.  NULL: row security does not concern the caller, or his level is
 * another one, or the document is not there. */
const CrdtConfines *comment_confines(const char *document);

void comment_begin(const char *const *documents, int count);
void comment_end(void);

#endif
