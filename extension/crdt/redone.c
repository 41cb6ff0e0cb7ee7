/*
 * redone.c: a hash table from items to the ids of their successors (redone.h).
 *
 * Open addressing with linear probing; taking one out moves those behind it that hash before it.
 */
#include "redone.h"

#include <string.h>

static size_t
home_of(const CrdtRedone *table, CrdtRef ref)
{
	return (size_t) (ref * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (table->capacity - 1);
}

/* Where ref is, or the free place where it would be. */
static size_t
place_of(const CrdtRedone *table, CrdtRef ref)
{
	size_t at = home_of(table, ref);

	while (table->entries[at].ref != 0 && table->entries[at].ref != ref)
		at = (at + 1) & (table->capacity - 1);
	return at;
}

CrdtPackedId
crdt_redone_find(const CrdtDoc *doc, CrdtRef ref)
{
	const CrdtRedone *table = &doc->redone;
	size_t at;

	if (table->count == 0)
		return CRDT_PACKED_NONE;
	at = place_of(table, ref);
	return table->entries[at].ref == ref ? table->entries[at].id : CRDT_PACKED_NONE;
}

bool
crdt_redone_reserve(CrdtDoc *doc, size_t more)
{
	CrdtRedone *table = &doc->redone;
	CrdtRedone larger = {NULL, 16, table->count};
	const CrdtHost *host = &doc->host;

	if ((table->count + more) * 2 <= table->capacity)
		return true;
	while ((table->count + more) * 2 > larger.capacity)
		larger.capacity *= 2;
	larger.entries =
		host->resize(host->context, NULL, 0, larger.capacity * sizeof(*larger.entries));
	if (larger.entries == NULL)
		return false;
	memset(larger.entries, 0, larger.capacity * sizeof(*larger.entries));
	for (size_t i = 0; i < table->capacity; i++)
		if (table->entries[i].ref != 0)
			larger.entries[place_of(&larger, table->entries[i].ref)] = table->entries[i];
	crdt_redone_free(doc);
	*table = larger;
	return true;
}

void
crdt_redone_add(CrdtDoc *doc, CrdtRef ref, CrdtPackedId id)
{
	CrdtRedone *table = &doc->redone;
	size_t at = place_of(table, ref);

	table->count += table->entries[at].ref == 0;
	table->entries[at] = (CrdtRedoneEntry){id, ref};
}

void
crdt_redone_remove(CrdtDoc *doc, CrdtRef ref)
{
	CrdtRedone *table = &doc->redone;
	size_t hole;
	size_t at;

	if (table->count == 0)
		return;
	hole = place_of(table, ref);
	if (table->entries[hole].ref == 0)
		return;
	table->count--;
	for (at = (hole + 1) & (table->capacity - 1); table->entries[at].ref != 0;
		 at = (at + 1) & (table->capacity - 1))
	{
		size_t home = home_of(table, table->entries[at].ref);

		/* may it stand in the hole: is its home at or before that, going round? */
		if (((at - home) & (table->capacity - 1)) >= ((at - hole) & (table->capacity - 1)))
		{
			table->entries[hole] = table->entries[at];
			hole = at;
		}
	}
	table->entries[hole].ref = 0;
}

void
crdt_redone_free(CrdtDoc *doc)
{
	CrdtRedone *table = &doc->redone;

	crdt_array_free(&doc->host, &table->entries, &table->capacity, sizeof(CrdtRedoneEntry));
	table->count = 0;
}
