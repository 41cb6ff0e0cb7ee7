/*
 * store_edit.h: edits of stored documents that wait for the transaction's end.
 *
 * However many edits a transaction makes to a document, it holds one row lock, writes one log row and
 * sends one notification: the edits are kept here until it commits.  (A log
 * row for each, if several users or actors edit in one transaction.)  Whoever decodes a document in
 * the meantime gets them on top of its rows (store_get).
 *
 *     store_edit_count(&head)                  -- how many there are for the document as of head
 *     store_edit_update(&head, 0)              -- the first of them, a Yjs update (V1)
 *     store_edit_flush()                       -- writes them now: somebody is about to add log rows
 */
#ifndef YDOC_STORE_EDIT_H
#define YDOC_STORE_EDIT_H

#include "postgres.h"

#include "store.h"

/* Changes the decoded document, as the client that it has, and leaves what it did as an update in
 * document->edit: its local transactions are there by themselves. */
typedef void (*StoreEdit)(CachedDocument *document, const StoreHead *head, void *context);

/* Edits the document of that name, made if there is none, under its row's lock; returns the seq that will hold
 * the edit. */
int64 store_edit_run(const char *name, StoreEdit edit, void *context);

int store_edit_count(const StoreHead *head);
CrdtBytes store_edit_update(const StoreHead *head, int index);

/* Between store_open and store_close. */
void store_edit_flush(void);

/* Called once, when the module is loaded, after notify_register: callbacks run last one first, and
 * what is written at the end of a transaction is to be notified. */
void store_edit_register(void);

#endif
