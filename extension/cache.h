/*
 * cache.h: the documents that this session has decoded, by name, least recently used first out.
 *
 * An entry is the document as of (store, epoch, seq).  It is only as good as the check against the
 * document's row, which the caller reads under its own rights and snapshot (store.c).  What a
 * (sub)transaction did to an entry is gone when that rolls back: so is the entry.
 *
 *     document = cache_take(name);          -- out of the cache, in the transaction's memory
 *     ...                                   -- an error here: it is gone with the transaction
 *     cache_release(document);              -- back, as the one used last
 *
 * Whoever works on a document has it alone: policies and triggers run SQL meanwhile, which may use
 * the cache for the same document or push others out of it.
 */
#ifndef YDOC_CACHE_H
#define YDOC_CACHE_H

#include "postgres.h"

#include "lib/ilist.h"
#include "portability/instr_time.h"
#include "storage/itemptr.h"

#include "crdt/document.h"

typedef struct CachedDocument
{
	char *name; /* the key */
	Oid store; /* table ydoc_data.document: another store, another document */
	int64 epoch;
	int64 seq;
	MemoryContext context; /* holds all of it, this struct included */
	CrdtHost host;
	CrdtDoc *doc;
	ItemPointerData row; /* where its row's versions begin; only a guess, or invalid */
	int64 compacted_seq; /* that a stored state or segment reached when it was decoded */
	int edits; /* of the transaction's own that it holds beyond seq (store_edit.h) */
	bool client_was_taken; /* somebody else writes as its client: a new id is due */
	CrdtBuffer edit; /* the update of the last edit */
	CrdtStatus edit_status;
	size_t size_most; /* of its state as an update: not more than this (size.h) */
	size_t size_measured; /* when it was measured last; 0: never */
	instr_time size_due; /* when it may be measured again, although it has hardly grown */
	size_t bytes; /* counted when it was put in */
	SubTransactionId changed_in; /* that must not roll back; invalid: none */
	dlist_node by_use;
} CachedDocument;

/* Called once, when the module is loaded. */
void cache_register(void);

/* Takes the document of that name out of the cache; NULL if it is not there, or is not as of this
 * store and epoch and a seq up to this one. */
CachedDocument *cache_take(const char *name, Oid store, int64 epoch, int64 seq);

/* Where the row may be of a document that is in the cache; false: no idea. */
bool cache_guess_row(const char *name, Oid store, ItemPointer row);

/* A new document of that name, empty, at seq 0. */
CachedDocument *cache_new(const char *name, Oid store, int64 epoch);

/* Call before changing a document or its seq: it will not outlive a roll-back. */
void cache_touch(CachedDocument *document);

/* Puts a document into the cache, and lets others go if they take too much memory.  It is no longer
 * the caller's, and may be gone. */
void cache_release(CachedDocument *document);

/* How many this session keeps, and the memory they take. */
void cache_measure(int64 *documents, int64 *bytes);

/* Forgets a document that was taken or new. */
void cache_drop(CachedDocument *document);

#endif
