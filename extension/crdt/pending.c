/*
 * pending.c: what waits (pending.h).
 *
 * Here: keeping it, merging it, knowing whether something waits already.  Not here: what has to
 * wait, and when it is tried again (plan.c).
 */
#include "pending.h"

#include <string.h>

#include "merge.h"
#include "wire.h"

/* Merging costs as much as so many bytes, for each struct. */
#define STRUCT_COST 16
/* More ranges than this are not noted: what comes then counts as news. */
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
	pending->is_tracked = false;
}

void
crdt_pending_close(CrdtPending *pending)
{
	crdt_buffer_close(&pending->update);
	crdt_buffer_close(&pending->late);
	crdt_state_vector_close(&pending->missing);
	crdt_idset_close(&pending->deletes);
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

/* The first range that ends at or behind the place; those of larger clients come before. */
static size_t
find_range(const CrdtIdSet *set, uint64_t client, uint64_t clock)
{
	size_t low = 0;
	size_t high = set->count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;
		const CrdtIdRange *range = &set->ranges[middle];

		if (range->client > client ||
			(range->client == client && range->clock + range->length < clock))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
crdt_pending_holds(const CrdtPending *pending, CrdtIdRange range)
{
	size_t at = find_range(&pending->ranges, range.client, range.clock + 1);
	const CrdtIdRange *held = &pending->ranges.ranges[at];

	return at < pending->ranges.count && held->client == range.client &&
		   held->clock <= range.clock && held->clock + held->length >= range.clock + range.length;
}

void
crdt_pending_note(CrdtPending *pending, CrdtIdRange range)
{
	CrdtIdSet *set = &pending->ranges;
	size_t at = find_range(set, range.client, range.clock);
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
			crdt_pending_note(pending, (CrdtIdRange){item.client, item.clock, item.length});
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
	CrdtReader late;
	bool done = true;

	if (!crdt_array_reserve(pending->update.host, &pending->ranges.ranges,
							&pending->ranges.capacity,
							pending->is_tracked ? pending->ranges.count + more : RANGES_MAX + more,
							sizeof(CrdtIdRange)))
		return false;
	if (pending->is_tracked)
		return true;
	pending->is_tracked = true;
	pending->ranges.count = 0;
	if (pending->update.size > 0)
		done = track_update(pending, crdt_buffer_view(&pending->update));
	crdt_reader_open(&late, crdt_buffer_view(&pending->late));
	for (size_t i = 0; done && i < pending->late_count; i++)
		done = track_update(pending, crdt_read_byte_array(&late));
	pending->is_tracked = done;
	return done;
}
