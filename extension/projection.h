/*
 * projection.h: tables that follow stored documents: a row for each, brought up when the transaction
 * that changed the document commits.
 *
 *     projection_is_pending()       -- do rows of tables lag behind what this transaction did?
 *     projection_write()            -- writes them, at the end, when the documents' rows are written
 */
#ifndef YDOC_PROJECTION_H
#define YDOC_PROJECTION_H

#include "postgres.h"

/* Called once, when the module is loaded. */
void projection_register(void);

bool projection_is_pending(void);
void projection_write(void);

#endif
