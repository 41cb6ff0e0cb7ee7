/*
 * cache.h: the documents that this session has decoded, by name, least recently used first out.
 *
 * An entry is the document as of (store, epoch, seq).  It is only as good as the check against the
 * document's row, which the caller reads under its own rights and snapshot (store.c).  What a
 * (sub)transaction did to an entry is gone when that rolls back: so is the entry.
 */
#ifndef YDOC_CACHE_H
#define YDOC_CACHE_H

#include "postgres.h"

#include "lib/ilist.h"

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
	size_t bytes; /* counted when last used */
	SubTransactionId changed_in; /* that must not roll back; invalid: none */
	bool is_listed; /* in the cache; else the caller's alone */
	dlist_node by_use;
} CachedDocument;

/* Called once, when the module is loaded. */
void cache_register(void);

/* The entry of that name, or NULL. */
CachedDocument *cache_find(const char *name);

/* A new document under that name, empty, at seq 0, not yet in the cache. */
CachedDocument *cache_new(const char *name, Oid store, int64 epoch);

/* Call before changing an entry or its seq: it will not outlive a roll-back. */
void cache_touch(CachedDocument *document);

/* Puts a document into the cache or leaves it there, and lets others go if they take too much
 * memory.  The document may be gone then. */
void cache_release(CachedDocument *document);

/* Forgets a document. */
void cache_drop(CachedDocument *document);

#endif
