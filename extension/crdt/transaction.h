/*
 * transaction.h: what happens during an update or an edit, and at its end (FORMAT 8).
 *
 * Everything that changes a document notes it here; crdt_transaction_end then lets deleted content
 * go and joins neighbours, in the order and to the extent that Yjs does, since struct boundaries
 * are part of the encoded bytes.
 */
#ifndef CRDT_TRANSACTION_H
#define CRDT_TRANSACTION_H

#include "item.h"

void crdt_transaction_touch_first(CrdtDoc *doc, uint32_t client);

/* The client is about to get structs. */
static inline void
crdt_transaction_touch(CrdtDoc *doc, uint32_t client)
{
	if (!doc->clients[client].in_transaction)
		crdt_transaction_touch_first(doc, client);
}

/* The item was deleted just now. */
void crdt_transaction_add_deleted(CrdtDoc *doc, const CrdtItem *item);

void crdt_transaction_note_type(CrdtDoc *doc, uint32_t type);

/* A list of the type changed. */
static inline void
crdt_transaction_note_change(CrdtDoc *doc, uint32_t type)
{
	if (doc->notes_changes)
		crdt_transaction_note_type(doc, type);
}

/* The deleted item, if it is older than the transaction, may be joined to neighbours at its end. */
void crdt_transaction_merge_later(CrdtDoc *doc, const CrdtItem *item);

/* Room for so much more that may be noted. */
CRDT_MUST_CHECK bool
crdt_transaction_reserve(CrdtDoc *doc, uint64_t clients, uint64_t deleted, uint64_t to_merge);

/* What was deleted so far becomes sorted ranges that do not touch (8.1). */
void crdt_transaction_sort_deleted(CrdtDoc *doc);

/*
 * Ends the document's transaction, and then those that this one queued: notes it for undo, cleans
 * formatting, lets garbage go, merges, tells the observer.  Leaves the transaction empty.
 */
void crdt_transaction_end(CrdtDoc *doc);

/* Runs body, while another transaction is ending, as a transaction of its own that ends after it.
 * False: no memory, and body was not run. */
CRDT_MUST_CHECK bool
crdt_transaction_nest(CrdtDoc *doc, void (*body)(CrdtDoc *doc, void *context), void *context);

void crdt_transaction_free(CrdtDoc *doc);

#endif
