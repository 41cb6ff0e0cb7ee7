/*
 * reserve.h: memory for a change, taken before its first step, so that no step can fail.
 *
 *     CrdtNeeds needs = crdt_needs(doc);
 *
 *     needs.items += 1;
 *     crdt_needs_split(doc, &needs, client);
 *     status = crdt_reserve(doc, &needs, clients, client_count, error);
 *
 * The numbers are upper bounds; what is not used is given back when the transaction ends.
 */
#ifndef CRDT_RESERVE_H
#define CRDT_RESERVE_H

#include "item.h"

typedef struct CrdtNeeds
{
	uint64_t items; /* new structs; count each at its client too (coming_structs) */
	uint64_t splits;
	uint64_t pieces;
	uint64_t text_bytes;
	uint64_t types;
	uint64_t lists; /* of keys */
	uint64_t deleted; /* structs that are deleted for other reasons than a new item's */
	bool wide; /* ids beyond 20 + 44 bits */
	bool deep; /* a type may be deleted with all that is in it */
	bool piecewise; /* contents that are cut may need pieces */
} CrdtNeeds;

/* Nothing yet, in a document like this one. */
CrdtNeeds crdt_needs(const CrdtDoc *doc);

/* A struct of the client with that number may be cut. */
static inline void
crdt_needs_split(CrdtDoc *doc, CrdtNeeds *needs, uint32_t client)
{
	doc->clients[client].coming_splits++;
	needs->splits++;
}

/* A struct with such a content may come; ascii, size: of its bytes, if it has any. */
void crdt_needs_content(CrdtNeeds *needs, uint8_t kind, bool ascii, size_t size);

/* Makes room; clients: all whose structs are cut or get more.  On failure nothing changed. */
CRDT_MUST_CHECK CrdtStatus crdt_reserve(CrdtDoc *doc, const CrdtNeeds *needs,
										const uint32_t *clients, size_t client_count,
										CrdtError *error);

#endif
