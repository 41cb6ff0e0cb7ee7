/*
 * sweep.h: compacting many documents, one after the other; one that fails stops no other.
 */
#ifndef YDOC_SWEEP_H
#define YDOC_SWEEP_H

#include "postgres.h"

/* Compacts the first document in the queue after a name ("": any), in the current transaction, and
 * answers its name; NULL: there is none. */
char *sweep_next(const char *after);

#endif
