/*
 * due.h: which documents compaction is to look at, and which it is not (compact.h).
 *
 * Documents are found by no search: whoever writes one over a threshold puts its name into table
 * ydoc_data.due, once for each time.  A document that cannot be decoded stands in ydoc_data.fence,
 * and nobody tries it again until somebody says so.
 *
 *     if (due_is_reached(head.tail_rows, head.tail_bytes, rows, bytes))
 *         due_add(&name, 1);                    -- by writers, the document's row being locked
 *
 *     while ((name = due_take(name)) != NULL)   -- by compaction, in the order of names
 *         ...
 *         due_remove(name);                     -- the document's row being locked
 */
#ifndef YDOC_DUE_H
#define YDOC_DUE_H

#include "postgres.h"

#include "crdt/host.h"

/* Is so much behind a stored state of state_bytes enough? */
bool due_is_enough(int64 tail_rows, int64 tail_bytes, int64 state_bytes);

/* Bytes behind a stored state of state_bytes at which it is moved forward. */
int64 due_bytes(int64 state_bytes);

/* Does so much more behind the stored state make it worth a look? */
bool due_is_reached(int64 tail_rows, int64 tail_bytes, int64 more_rows, int64 more_bytes);

/* Puts documents, whose rows are locked, into the queue, whatever the caller's rights. */
void due_add(const char *const *names, int count);

/* The first name in the queue after another one ("": any) that nobody else works on, kept from others
 * until the transaction ends; NULL: none.  Those that are fenced leave the queue on the way. */
char *due_take(const char *after);

/* Takes a name off the queue, unless somebody else works on it. */
void due_remove(const char *name);

/* It is not to be tried again for a while. */
void due_postpone(const char *name);

/* ---- fences ---- */

/* What an error says, and where; a row of the log or a stored state is meant. */
const char *fence_problem(const CrdtError *error);

void fence_set(const char *name, int64 seq, const char *problem, int sqlstate);

/* The same by who found out while writing it, whatever his rights, unless it is known already or he
 * sees only a part of the store. */
void fence_note(const char *name, int64 seq, const char *problem);
void fence_remove(const char *name);

#endif
