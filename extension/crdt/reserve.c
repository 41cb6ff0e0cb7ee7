/*
 * reserve.c: memory for a change (reserve.h).
 *
 * Here: what a number of new items, cuts and deletions can take at most, in all tables.  Not here:
 * how many there are going to be (plan_reserve.c for updates, edit.c for edits).
 */
#include "reserve.h"

#include "index.h"
#include "redone.h"
#include "structs.h"
#include "tables.h"
#include "transaction.h"

CrdtNeeds
crdt_needs(const CrdtDoc *doc)
{
	return (CrdtNeeds){.piecewise = doc->pieces.used > 1,
					   .wide = doc->wide_count > 0,
					   .deep = doc->keyed_types > 0};
}

void
crdt_needs_content(CrdtNeeds *needs, uint8_t kind, bool ascii, size_t size)
{
	bool has_bytes = kind != CRDT_GC && kind != CRDT_DELETED && kind != CRDT_TYPE;

	if (has_bytes)
		needs->text_bytes += size;
	if (has_bytes && (kind != CRDT_STRING || !ascii))
	{
		needs->pieces++;
		needs->piecewise = true;
	}
	if (kind == CRDT_TYPE)
	{
		needs->types++;
		needs->deep = true;
	}
}

static bool
reserve_leaves(CrdtDoc *doc, const uint32_t *clients, size_t client_count)
{
	size_t large = 0;
	size_t small = 0;

	for (size_t i = 0; i < client_count; i++)
	{
		CrdtClient *client = &doc->clients[clients[i]];

		if (client->coming_structs + client->coming_splits > 0 &&
			!crdt_structs_reserve(doc, client, &large, &small))
			return false;
	}
	return crdt_leaves_reserve(doc, large, small);
}

CrdtStatus
crdt_reserve(CrdtDoc *doc, const CrdtNeeds *needs, const uint32_t *clients, size_t client_count,
			 CrdtError *error)
{
	uint64_t nested = needs->deep ? doc->nested_items + needs->items + needs->splits : 0;
	uint64_t wide = needs->wide ? 3 * needs->items + 3 * needs->splits : 0;

	if (doc->list_count + needs->types + needs->lists + 2 > CRDT_LIST_COUNT_MAX)
		return crdt_error_set(error, CRDT_LIMIT, 0, "the document would hold more than %u lists",
							  CRDT_LIST_COUNT_MAX);
	if (!crdt_pool_reserve(&doc->host, &doc->items, needs->items + needs->splits) ||
		!crdt_index_reserve(doc) ||
		!crdt_pool_reserve(&doc->host, &doc->pieces,
						   needs->pieces + (needs->piecewise ? needs->splits : 0)) ||
		!crdt_arena_reserve(&doc->text, (size_t) needs->text_bytes) ||
		((needs->types + needs->lists > 0 || doc->list_count == 0) &&
		 !crdt_types_reserve(doc, (size_t) needs->types, (size_t) needs->lists)) ||
		!crdt_array_reserve(&doc->host, &doc->wide_ids, &doc->wide_capacity,
							doc->wide_count + (size_t) wide, sizeof(CrdtId)) ||
		!crdt_transaction_reserve(doc, client_count,
								  needs->deleted + 2 * needs->items + needs->splits + nested,
								  needs->splits + nested) ||
		(doc->redone.count > 0 && !crdt_redone_reserve(doc, (size_t) needs->splits)) ||
		!reserve_leaves(doc, clients, client_count))
		return crdt_error_no_memory(error);
	return CRDT_OK;
}
