/*
 * snapshot.c: snapshots (snapshot.h; FORMAT 5.3 and 12).
 *
 * Here: taking, reading, writing and comparing them, and the update that restores one.  Not here:
 * reading a text as of a snapshot (delta.c).
 *
 * Yjs cuts items at the borders of a snapshot for the time of the reading.  We cut what is written
 * or shown and leave the document alone: what comes out is the same.
 */
#include "snapshot.h"

#include <string.h>

#include "any.h"
#include "content.h"
#include "snapshot_set.h"
#include "structs.h"
#include "tables.h"
#include "utf.h"
#include "wire.h"

/* ---- life ---- */

static CrdtSnapshot *
new_snapshot(const CrdtHost *host)
{
	CrdtSnapshot *snapshot = host->resize(host->context, NULL, 0, sizeof(CrdtSnapshot));

	if (snapshot == NULL)
		return NULL;
	memset(snapshot, 0, sizeof(*snapshot));
	snapshot->host = *host;
	crdt_idset_open(&snapshot->deletes, &snapshot->host);
	crdt_idset_open(&snapshot->sorted, &snapshot->host);
	snapshot->vector.host = &snapshot->host;
	return snapshot;
}

void
crdt_snapshot_free(CrdtSnapshot *snapshot)
{
	CrdtHost host;

	if (snapshot == NULL)
		return;
	host = snapshot->host;
	crdt_idset_close(&snapshot->deletes);
	crdt_idset_close(&snapshot->sorted);
	crdt_state_vector_close(&snapshot->vector);
	host.resize(host.context, snapshot, sizeof(*snapshot), 0);
}

/* The delete set in both orders. */
static bool
sort_deletes(CrdtSnapshot *snapshot, CrdtFormat format)
{
	for (size_t i = 0; i < snapshot->deletes.count; i++)
		if (!crdt_idset_add(&snapshot->sorted, snapshot->deletes.ranges[i]))
			return false;
	crdt_idset_normalize(&snapshot->sorted);
	return crdt_idset_group(&snapshot->deletes, format);
}

/* ---- taking ---- */

static bool
entry_is_before(const void *a, const void *b)
{
	return ((const CrdtStateVectorEntry *) a)->client < ((const CrdtStateVectorEntry *) b)->client;
}

CrdtSnapshot *
crdt_snapshot_take(CrdtDoc *doc)
{
	CrdtSnapshot *snapshot = new_snapshot(&doc->host);
	CrdtStateVector *vector;
	bool done;

	if (snapshot == NULL)
		return NULL;
	vector = &snapshot->vector;
	done = crdt_array_reserve(&snapshot->host, &vector->entries, &vector->capacity,
							  doc->client_count, sizeof(CrdtStateVectorEntry));
	for (size_t i = 0; done && i < doc->client_count; i++)
	{
		const CrdtClient *client = &doc->clients[i];

		if (client->state == 0)
			continue;
		vector->entries[vector->count++] = (CrdtStateVectorEntry){client->id, client->state};
		done = crdt_structs_collect_deleted(client, &snapshot->deletes);
	}
	if (done && sort_deletes(snapshot, CRDT_V1))
	{
		crdt_sort(vector->entries, vector->count, sizeof(*vector->entries), entry_is_before);
		return snapshot;
	}
	crdt_snapshot_free(snapshot);
	return NULL;
}

/* ---- reading and writing ---- */

CrdtStatus
crdt_snapshot_read(const CrdtHost *host, CrdtBytes bytes, CrdtFormat format,
				   CrdtSnapshot **snapshot, CrdtError *error)
{
	CrdtSnapshot *read = new_snapshot(host);
	CrdtReader reader;
	CrdtStatus status;

	*snapshot = NULL;
	if (read == NULL)
		return crdt_error_no_memory(error);
	crdt_reader_open(&reader, bytes);
	crdt_idset_read(&reader, format, &read->deletes);
	if (!crdt_reader_failed(&reader) && crdt_reader_left(&reader) == 0)
		crdt_reader_fail(&reader, CRDT_TRUNCATED, "the snapshot has no state vector");
	status = reader.error.status;
	if (crdt_reader_failed(&reader))
	{
		if (error != NULL)
			*error = reader.error;
	}
	else
	{
		status =
			crdt_state_vector_open(&read->vector, &read->host,
								   (CrdtBytes){reader.cursor, crdt_reader_left(&reader)}, error);
		if (status != CRDT_OK && error != NULL)
			error->offset += (size_t) (reader.cursor - reader.start);
		if (status == CRDT_OK && !sort_deletes(read, CRDT_V1))
			status = crdt_error_no_memory(error);
	}
	if (status == CRDT_OK)
		*snapshot = read;
	else
		crdt_snapshot_free(read);
	return status;
}

CrdtStatus
crdt_snapshot_write(const CrdtSnapshot *snapshot, CrdtFormat format, CrdtBuffer *out,
					CrdtError *error)
{
	const CrdtStateVector *vector = &snapshot->vector;
	size_t size_before = out->size;

	/* what V2's differences cannot say is said in order */
	crdt_idset_write(format == CRDT_V2 ? &snapshot->sorted : &snapshot->deletes, format, out);
	crdt_write_varuint(out, vector->count);
	for (size_t i = vector->count; i-- > 0;)
	{
		crdt_write_varuint(out, vector->entries[i].client);
		crdt_write_varuint(out, vector->entries[i].clock);
	}
	if (!out->failed)
		return CRDT_OK;
	out->size = size_before;
	out->failed = false;
	return crdt_error_no_memory(error);
}

/* ---- comparing ---- */

static bool
sets_equal(const CrdtIdSet *a, const CrdtIdSet *b)
{
	return a->count == b->count &&
		   (a->count == 0 || memcmp(a->ranges, b->ranges, a->count * sizeof(CrdtIdRange)) == 0);
}

bool
crdt_snapshots_equal(const CrdtSnapshot *a, const CrdtSnapshot *b)
{
	return sets_equal(&a->deletes, &b->deletes) && a->vector.count == b->vector.count &&
		   (a->vector.count == 0 || memcmp(a->vector.entries, b->vector.entries,
										   a->vector.count * sizeof(CrdtStateVectorEntry)) == 0);
}

/* Are all structs of the update below the snapshot's clocks, and its deletes in its set? */
static CrdtStatus
look_for_news(const CrdtSnapshot *snapshot, CrdtUpdateReader *reader, CrdtArena *values,
			  CrdtIdSet *deletes, bool *contains)
{
	CrdtStruct item;

	*contains = true;
	while (crdt_update_reader_next(reader, &item))
	{
		*contains &=
			item.clock + item.length <= crdt_state_vector_clock(&snapshot->vector, item.client);
		crdt_arena_reset(values);
	}
	crdt_update_reader_take_deletes(reader, deletes);
	if (crdt_update_reader_status(reader, NULL) != CRDT_OK)
		return CRDT_OK; /* the reader knows */
	for (size_t i = 0; i < snapshot->deletes.count; i++)
		if (!crdt_idset_add(deletes, snapshot->deletes.ranges[i]))
			return CRDT_NO_MEMORY;
	crdt_idset_normalize(deletes);
	*contains &= sets_equal(deletes, &snapshot->deletes);
	return CRDT_OK;
}

CrdtStatus
crdt_snapshot_contains_update(const CrdtSnapshot *snapshot, CrdtBytes update, CrdtFormat format,
							  bool *contains, CrdtError *error)
{
	CrdtUpdateReader reader;
	CrdtArena values;
	CrdtArena kept;
	CrdtIdSet deletes;
	CrdtStatus status;

	crdt_arena_open(&values, &snapshot->host);
	crdt_arena_open(&kept, &snapshot->host);
	crdt_idset_open(&deletes, &snapshot->host);
	crdt_update_reader_open(&reader, update, format, &values, &kept);
	status = look_for_news(snapshot, &reader, &values, &deletes, contains);
	if (status == CRDT_NO_MEMORY)
		crdt_error_no_memory(error);
	else
		status = crdt_update_reader_status(&reader, error);
	crdt_idset_close(&deletes);
	crdt_arena_close(&values);
	crdt_arena_close(&kept);
	return status;
}

/* ---- asking ---- */

/* The first range that ends beyond the place; those of larger clients come before. */
static size_t
find_range(const CrdtSnapshot *snapshot, uint64_t client, uint64_t clock)
{
	return crdt_idset_find(&snapshot->sorted, client, clock + 1);
}

bool
crdt_snapshot_shows(const CrdtSnapshot *snapshot, uint64_t client, uint64_t clock)
{
	size_t at = find_range(snapshot, client, clock);
	const CrdtIdRange *range = &snapshot->sorted.ranges[at];

	if (clock >= crdt_state_vector_clock(&snapshot->vector, client))
		return false;
	return at == snapshot->sorted.count || range->client != client || range->clock > clock;
}

uint64_t
crdt_snapshot_next_border(const CrdtSnapshot *snapshot, uint64_t client, uint64_t clock,
						  uint64_t end)
{
	uint64_t state = crdt_state_vector_clock(&snapshot->vector, client);
	size_t at = find_range(snapshot, client, clock);
	const CrdtIdRange *range = &snapshot->sorted.ranges[at];

	if (state > clock && state < end)
		end = state;
	if (at < snapshot->sorted.count && range->client == client)
	{
		if (range->clock > clock && range->clock < end)
			end = range->clock;
		if (range->clock <= clock && range->clock + range->length < end)
			end = range->clock + range->length;
	}
	return end;
}

/* ---- restoring ---- */

/* Cuts a struct behind its first units.  False: no memory. */
static bool
cut_back(CrdtStruct *item, uint64_t units, CrdtArena *scratch)
{
	CrdtTextPlace place = {(size_t) units, false};
	uint8_t *copy;

	item->length = units;
	if (item->kind == CRDT_JSON || item->kind == CRDT_ANY)
		item->content.size = crdt_any_prefix_bytes(item->content, units);
	if (item->kind != CRDT_STRING)
		return true;
	if (!item->ascii)
		place = crdt_utf16_place(item->content, units - item->begins_replaced);
	item->content.size = place.offset;
	if (!place.inside_pair && crdt_utf8_ends_in_high_surrogate(item->content))
		place.offset -= 3;
	else if (!place.inside_pair)
		return true;
	/* half of a pair, or what Yjs takes for one, is a U+FFFD */
	copy = crdt_arena_take_bytes(scratch, place.offset + 3);
	if (copy == NULL)
		return false;
	memcpy(copy, item->content.data, place.offset);
	memcpy(copy + place.offset, "\xef\xbf\xbd", 3);
	item->content = (CrdtBytes){copy, place.offset + 3};
	return true;
}

/* Writes a client's structs below clock. */
static bool
write_client(CrdtDoc *doc, const CrdtStateVectorEntry *entry, CrdtUpdateWriter *writer)
{
	CrdtClient *client = &doc->clients[crdt_client_find(doc, entry->client)];
	CrdtCursor cursor = {0, 0};

	do
	{
		CrdtStruct item;

		if (crdt_structs_clock_at(client, cursor) >= entry->clock)
			return true;
		crdt_item_to_struct(doc, crdt_item(doc, crdt_structs_at(client, cursor)), &item);
		/* a GC stays whole, as in Yjs */
		if (item.kind != CRDT_GC && item.clock + item.length > entry->clock &&
			!cut_back(&item, entry->clock - item.clock, &doc->scratch))
			return false;
		crdt_update_writer_add(writer, &item, 0);
	} while (crdt_structs_next(client, &cursor));
	return true;
}

static CrdtStatus
check_restorable(const CrdtDoc *doc, const CrdtSnapshot *snapshot, CrdtError *error)
{
	if (!doc->options.keep_deleted)
		return crdt_error_set(
			error, CRDT_INVALID, 0,
			"the document does not keep what is deleted, so no earlier state of it "
			"can be restored");
	for (size_t i = 0; i < snapshot->vector.count; i++)
	{
		const CrdtStateVectorEntry *entry = &snapshot->vector.entries[i];

		if (entry->clock > crdt_doc_state(doc, entry->client))
			return crdt_error_set(error, CRDT_INVALID, 0,
								  "the snapshot knows client %llu up to %llu, the document only up "
								  "to %llu",
								  (unsigned long long) entry->client,
								  (unsigned long long) entry->clock,
								  (unsigned long long) crdt_doc_state(doc, entry->client));
	}
	return CRDT_OK;
}

CrdtStatus
crdt_snapshot_restore(CrdtDoc *doc, const CrdtSnapshot *snapshot, CrdtFormat format,
					  CrdtBuffer *out, CrdtError *error)
{
	CrdtStatus status = check_restorable(doc, snapshot, error);
	size_t size_before = out->size;
	CrdtUpdateWriter writer;
	bool done = true;

	if (status != CRDT_OK)
		return status;
	crdt_update_writer_open(&writer, &doc->host, format);
	for (size_t i = snapshot->vector.count; done && i-- > 0;)
		if (snapshot->vector.entries[i].clock > 0)
			done = write_client(doc, &snapshot->vector.entries[i], &writer);
	done = done && crdt_update_writer_finish(
					   &writer, format == CRDT_V2 ? &snapshot->sorted : &snapshot->deletes, out);
	crdt_update_writer_close(&writer);
	crdt_arena_reset(&doc->scratch);
	if (done)
		return CRDT_OK;
	out->size = size_before;
	out->failed = false;
	return crdt_error_no_memory(error);
}
