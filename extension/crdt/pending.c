/*
 * pending.c: what waits (pending.h).
 *
 * Here: keeping it, merging it, knowing whether something waits already, how much it is, and what
 * for.  Not here: what has to wait, and when it is tried again (plan_wait.c).
 */
#include "pending.h"

#include <string.h>

#include "merge.h"
#include "tables.h"
#include "wire.h"

/* Merging costs as much as so many bytes, for each struct. */
#define STRUCT_COST 16
/* Every update with deletes that wait looks at all of them, so a few bytes count as more. */
#define DELETE_COST 64
/* More ranges than this are not noted: what comes then counts as news.  Nor are more clients told
 * apart: the whole is bounded all the same. */
#define RANGES_MAX 4096

void
crdt_pending_open(CrdtPending *pending, const CrdtHost *host)
{
	crdt_buffer_open(&pending->update, host);
	crdt_buffer_open(&pending->late, host);
	pending->late_count = 0;
	pending->update_structs = 0;
	pending->late_structs = 0;
	pending->missing = (CrdtStateVector){.host = host};
	crdt_idset_open(&pending->deletes, host);
	crdt_idset_open(&pending->ranges, host);
	pending->clients = NULL;
	pending->client_count = 0;
	pending->client_capacity = 0;
	pending->is_tracked = false;
}

void
crdt_pending_close(CrdtPending *pending)
{
	crdt_buffer_close(&pending->update);
	crdt_buffer_close(&pending->late);
	crdt_state_vector_close(&pending->missing);
	crdt_idset_close(&pending->deletes);
	crdt_array_free(pending->ranges.host, &pending->clients, &pending->client_capacity,
					sizeof(CrdtWaitingClient));
	pending->client_count = 0;
	crdt_idset_close(&pending->ranges);
	pending->is_tracked = false;
}

uint64_t
crdt_pending_cost(const CrdtPending *pending)
{
	return pending->update.size + STRUCT_COST * pending->update_structs;
}

uint64_t
crdt_pending_late_cost(const CrdtPending *pending)
{
	return pending->late.size + STRUCT_COST * pending->late_structs;
}

uint64_t
crdt_pending_struct_cost(const CrdtStruct *item)
{
	uint64_t cost = STRUCT_COST + item->parent_sub.size;

	if (crdt_struct_has_content(item))
		cost += item->content.size;
	if (crdt_struct_has_name(item))
		cost += item->name.size;
	if ((item->flags & CRDT_PARENT_IS_ROOT) != 0)
		cost += item->parent_name.size;
	return cost;
}

uint64_t
crdt_pending_bytes(const CrdtPending *pending, const CrdtIdSet *deletes)
{
	return crdt_pending_cost(pending) + crdt_pending_late_cost(pending) +
		   DELETE_COST * deletes->count;
}

bool
crdt_note_missing(CrdtStateVector *missing, uint64_t client, uint64_t clock)
{
	size_t at = 0;
	size_t end = missing->count;

	while (at < end)
	{
		size_t middle = at + (end - at) / 2;

		if (missing->entries[middle].client < client)
			at = middle + 1;
		else
			end = middle;
	}
	if (at < missing->count && missing->entries[at].client == client)
	{
		if (clock < missing->entries[at].clock)
			missing->entries[at].clock = clock;
		return true;
	}
	if (!crdt_array_reserve(missing->host, &missing->entries, &missing->capacity,
							missing->count + 1, sizeof(CrdtStateVectorEntry)))
		return false;
	memmove(missing->entries + at + 1, missing->entries + at,
			(missing->count - at) * sizeof(CrdtStateVectorEntry));
	missing->entries[at] = (CrdtStateVectorEntry){client, clock};
	missing->count++;
	return true;
}

CrdtStatus
crdt_pending_merge(const CrdtPending *pending, CrdtBytes more, CrdtBuffer *out,
				   uint64_t *struct_count, CrdtError *error)
{
	const CrdtHost *host = pending->update.host;
	size_t most = pending->late_count + 2;
	CrdtBytes *parts = host->resize(host->context, NULL, 0, most * sizeof(CrdtBytes));
	size_t count = 0;
	CrdtReader late;
	CrdtStatus status;

	if (parts == NULL)
		return crdt_error_no_memory(error);
	if (pending->update.size > 0)
		parts[count++] = crdt_buffer_view(&pending->update);
	crdt_reader_open(&late, crdt_buffer_view(&pending->late));
	for (size_t i = 0; i < pending->late_count; i++)
		parts[count++] = crdt_read_byte_array(&late);
	if (more.size > 0)
		parts[count++] = more;
	status = crdt_update_merge_counted(host, parts, count, CRDT_V2, out, struct_count, error);
	host->resize(host->context, parts, most * sizeof(CrdtBytes), 0);
	return status;
}

/* ---- the ranges that wait ---- */

bool
crdt_pending_holds(const CrdtPending *pending, CrdtIdRange range)
{
	return crdt_idset_holds(&pending->ranges, range);
}

void
crdt_pending_note(CrdtPending *pending, CrdtIdRange range)
{
	CrdtIdSet *set = &pending->ranges;
	size_t at = crdt_idset_find(set, range.client, range.clock);
	size_t end = at;

	if (!pending->is_tracked || set->count >= RANGES_MAX)
		return;
	/* those that it touches become one with it */
	while (end < set->count && set->ranges[end].client == range.client &&
		   set->ranges[end].clock <= range.clock + range.length)
	{
		const CrdtIdRange *touched = &set->ranges[end++];
		uint64_t last = touched->clock + touched->length;

		if (last < range.clock + range.length)
			last = range.clock + range.length;
		if (touched->clock < range.clock)
			range.clock = touched->clock;
		range.length = last - range.clock;
	}
	memmove(set->ranges + at + 1, set->ranges + end, (set->count - end) * sizeof(CrdtIdRange));
	set->ranges[at] = range;
	set->count += 1 + at - end;
}

/* The number of the client's entry, or of the one before which it would stand. */
static size_t
find_client(const CrdtPending *pending, uint64_t client)
{
	size_t low = 0;
	size_t high = pending->client_count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (pending->clients[middle].client > client)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
crdt_pending_add_client(CrdtPending *pending, CrdtWaitingClient more)
{
	size_t at = find_client(pending, more.client);

	if (!pending->is_tracked)
		return;
	if (at < pending->client_count && pending->clients[at].client == more.client)
	{
		pending->clients[at].bytes += more.bytes;
		return;
	}
	if (pending->client_count >= RANGES_MAX)
		return;
	memmove(pending->clients + at + 1, pending->clients + at,
			(pending->client_count - at) * sizeof(CrdtWaitingClient));
	pending->clients[at] = more;
	pending->client_count++;
}

uint64_t
crdt_pending_client_cost(const CrdtPending *pending, uint64_t client)
{
	size_t at = find_client(pending, client);

	return at < pending->client_count && pending->clients[at].client == client
			   ? pending->clients[at].bytes
			   : 0;
}

/* Notes the structs of one update. */
static bool
track_update(CrdtPending *pending, CrdtBytes update)
{
	CrdtArena values;
	CrdtArena kept;
	CrdtUpdateReader reader;
	CrdtStruct item;
	bool done;

	crdt_arena_open(&values, pending->update.host);
	crdt_arena_open(&kept, pending->update.host);
	crdt_update_reader_open(&reader, update, CRDT_V2, &values, &kept);
	while (crdt_update_reader_next(&reader, &item))
	{
		if (item.kind != CRDT_SKIP)
		{
			crdt_pending_note(pending, (CrdtIdRange){item.client, item.clock, item.length});
			crdt_pending_add_client(
				pending, (CrdtWaitingClient){item.client, crdt_pending_struct_cost(&item)});
		}
		crdt_arena_reset(&values);
	}
	done = crdt_update_reader_status(&reader, NULL) == CRDT_OK;
	crdt_arena_close(&values);
	crdt_arena_close(&kept);
	return done;
}

bool
crdt_pending_track(CrdtPending *pending, size_t more)
{
	const CrdtHost *host = pending->update.host;
	CrdtReader late;
	bool done = true;

	if (!crdt_array_reserve(host, &pending->ranges.ranges, &pending->ranges.capacity,
							pending->is_tracked ? pending->ranges.count + more : RANGES_MAX + more,
							sizeof(CrdtIdRange)) ||
		!crdt_array_reserve(host, &pending->clients, &pending->client_capacity, RANGES_MAX,
							sizeof(CrdtWaitingClient)))
		return false;
	if (pending->is_tracked)
		return true;
	pending->is_tracked = true;
	pending->ranges.count = 0;
	pending->client_count = 0;
	if (pending->update.size > 0)
		done = track_update(pending, crdt_buffer_view(&pending->update));
	crdt_reader_open(&late, crdt_buffer_view(&pending->late));
	for (size_t i = 0; done && i < pending->late_count; i++)
		done = track_update(pending, crdt_read_byte_array(&late));
	pending->is_tracked = done;
	return done;
}

/* ---- what is awaited ---- */

typedef struct Awaited
{
	uint64_t client;
	uint64_t to;
} Awaited;

/* The next client that deletes wait for from range number *at on, which is moved on. */
static bool
next_of_deletes(const CrdtIdSet *deletes, size_t *at, Awaited *next)
{
	const CrdtIdRange *range;

	if (*at == deletes->count)
		return false;
	next->client = deletes->ranges[*at].client;
	/* the first one of the next smaller client */
	*at = next->client == 0 ? deletes->count : crdt_idset_find(deletes, next->client - 1, 0);
	range = &deletes->ranges[*at - 1];
	next->to = range->clock + range->length - 1;
	return true;
}

/* The same of structs, from entry number *left - 1 downwards. */
static bool
next_of_structs(const CrdtPending *pending, size_t *left, Awaited *next)
{
	const CrdtStateVectorEntry *entry;

	if (pending->update.size == 0 || *left == 0)
		return false;
	entry = &pending->missing.entries[--*left];
	*next = (Awaited){entry->client, entry->clock};
	return true;
}

void
crdt_doc_awaited(const CrdtDoc *doc, const CrdtAwaitedVisitor *visitor)
{
	const CrdtPending *pending = &doc->pending;
	size_t entries_left = pending->missing.count;
	size_t range = 0;
	Awaited structs;
	Awaited deletes;
	bool some_structs = next_of_structs(pending, &entries_left, &structs);
	bool some_deletes = next_of_deletes(&pending->deletes, &range, &deletes);

	while (some_structs || some_deletes)
	{
		bool take_structs = some_structs && (!some_deletes || structs.client >= deletes.client);
		bool take_deletes = some_deletes && (!some_structs || deletes.client >= structs.client);
		uint64_t client = take_structs ? structs.client : deletes.client;
		uint64_t from = crdt_doc_state(doc, client);
		uint64_t to = from;

		if (take_structs && structs.to > to)
			to = structs.to;
		if (take_deletes && deletes.to > to)
			to = deletes.to;
		if (!visitor->client(visitor->context, client, from, to))
			return;
		if (take_structs)
			some_structs = next_of_structs(pending, &entries_left, &structs);
		if (take_deletes)
			some_deletes = next_of_deletes(&pending->deletes, &range, &deletes);
	}
}

uint64_t
crdt_doc_waiting_bytes(const CrdtDoc *doc)
{
	return crdt_pending_bytes(&doc->pending, &doc->pending.deletes);
}

void
crdt_doc_limit_waiting(CrdtDoc *doc, uint64_t bytes, uint64_t client_bytes)
{
	doc->waiting_limit = bytes;
	doc->waiting_client_limit = client_bytes;
}
