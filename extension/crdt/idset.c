/*
 * idset.c: sets of (client, clock) ranges, and state vectors (idset.h; FORMAT 5.1, 5.2 and 8.1).
 *
 * Here: collecting, sorting, joining, and their bytes:
 *
 *     delete set := clients, clients x (client, ranges, ranges x (clock, length))
 *
 *                    [3, 5) [9, 12)
 *     V1              3 2    9 3        as they are
 *     V2              3 1    4 2        the distance from the range before, the length less one
 *
 * What Yjs writes is in order already, and finding that out is the usual cost of sorting.  The sort
 * (memory.h) does not keep equal elements in their order; where that matters the place in the list
 * stands in for the clock, so that no two elements are equal.
 */
#include "idset.h"

#include "memory.h"

/* Bytes of the smallest client (two varints) and the smallest range. */
#define CLIENT_BYTES 2
#define RANGE_BYTES 2

/* Clients descending, clocks ascending. */
static bool
range_is_before(const void *a, const void *b)
{
	const CrdtIdRange *left = a;
	const CrdtIdRange *right = b;

	return left->client != right->client ? left->client > right->client
										 : left->clock < right->clock;
}

static void
sort_ranges(CrdtIdRange *ranges, size_t count)
{
	crdt_sort(ranges, count, sizeof(CrdtIdRange), range_is_before);
}

/* ---- sets of ranges ---- */

void
crdt_idset_open(CrdtIdSet *set, const CrdtHost *host)
{
	*set = (CrdtIdSet){.host = host};
}

void
crdt_idset_close(CrdtIdSet *set)
{
	crdt_array_free(set->host, &set->ranges, &set->capacity, sizeof(CrdtIdRange));
	set->count = 0;
}

bool
crdt_idset_add(CrdtIdSet *set, CrdtIdRange range)
{
	if (set->count == set->capacity && !crdt_array_reserve(set->host, &set->ranges, &set->capacity,
														   set->count + 1, sizeof(CrdtIdRange)))
		return false;
	set->ranges[set->count++] = range;
	return true;
}

/* Do the ranges of each client, as they stand, ascend without overlapping? */
static bool
ranges_ascend(const CrdtIdSet *set)
{
	for (size_t i = 1; i < set->count; i++)
	{
		const CrdtIdRange *left = &set->ranges[i - 1];
		const CrdtIdRange *right = &set->ranges[i];

		if (left->client == right->client && left->clock + left->length > right->clock)
			return false;
	}
	return true;
}

/* Clients descending, in a sort that keeps the order of equals.  False: no memory. */
static bool
group_clients(CrdtIdSet *set)
{
	CrdtIdRange *places = NULL;
	CrdtIdRange *grouped = NULL;
	size_t place_capacity = 0;
	size_t grouped_capacity = 0;
	size_t in_order = 1;

	while (in_order < set->count &&
		   set->ranges[in_order].client <= set->ranges[in_order - 1].client)
		in_order++;
	if (in_order >= set->count)
		return true;
	if (!crdt_array_reserve(set->host, &places, &place_capacity, set->count, sizeof(CrdtIdRange)))
		return false;
	if (!crdt_array_reserve(set->host, &grouped, &grouped_capacity, set->count,
							sizeof(CrdtIdRange)))
	{
		crdt_array_free(set->host, &places, &place_capacity, sizeof(CrdtIdRange));
		return false;
	}
	for (size_t i = 0; i < set->count; i++)
		places[i] = (CrdtIdRange){.client = set->ranges[i].client, .clock = i};
	sort_ranges(places, set->count);
	for (size_t i = 0; i < set->count; i++)
		grouped[i] = set->ranges[places[i].clock];
	crdt_array_free(set->host, &places, &place_capacity, sizeof(CrdtIdRange));
	crdt_array_free(set->host, &set->ranges, &set->capacity, sizeof(CrdtIdRange));
	set->ranges = grouped;
	set->capacity = grouped_capacity;
	return true;
}

bool
crdt_idset_group(CrdtIdSet *set, CrdtFormat format)
{
	if (!group_clients(set))
		return false;
	if (format == CRDT_V2 && !ranges_ascend(set))
		crdt_idset_normalize(set);
	return true;
}

void
crdt_idset_normalize(CrdtIdSet *set)
{
	size_t joined = 1; /* ranges that are done */

	sort_ranges(set->ranges, set->count);
	for (size_t i = 1; i < set->count; i++)
	{
		CrdtIdRange *left = &set->ranges[joined - 1];
		CrdtIdRange right = set->ranges[i];

		if (left->client == right.client && left->clock + left->length >= right.clock)
		{
			uint64_t length = right.clock + right.length - left->clock;

			left->length = length > left->length ? length : left->length;
		}
		else
			set->ranges[joined++] = right;
	}
	if (joined < set->count)
		set->count = joined;
}

size_t
crdt_idset_find(const CrdtIdSet *set, uint64_t client, uint64_t clock)
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
crdt_idset_holds(const CrdtIdSet *set, CrdtIdRange range)
{
	size_t at = crdt_idset_find(set, range.client, range.clock + 1);
	const CrdtIdRange *held = &set->ranges[at];

	return at < set->count && held->client == range.client && held->clock <= range.clock &&
		   held->clock + held->length >= range.clock + range.length;
}

/* Appends a range that does not come before the last one; joins them if they touch. */
static void
append_range(CrdtIdSet *set, CrdtIdRange range)
{
	CrdtIdRange *last = set->ranges + set->count - 1;

	if (set->count == 0 || last->client != range.client || last->clock + last->length < range.clock)
		set->ranges[set->count++] = range;
	else if (last->clock + last->length < range.clock + range.length)
		last->length = range.clock + range.length - last->clock;
}

bool
crdt_idset_merge(const CrdtIdSet *a, const CrdtIdSet *b, CrdtIdSet *out)
{
	size_t i = 0;
	size_t j = 0;

	if (!crdt_array_reserve(out->host, &out->ranges, &out->capacity, a->count + b->count,
							sizeof(CrdtIdRange)))
		return false;
	while (i < a->count && j < b->count)
		append_range(out, range_is_before(&b->ranges[j], &a->ranges[i]) ? b->ranges[j++]
																		: a->ranges[i++]);
	while (i < a->count)
		append_range(out, a->ranges[i++]);
	while (j < b->count)
		append_range(out, b->ranges[j++]);
	return true;
}

/* The number behind the last range of the client of the range at number first. */
static size_t
client_end(const CrdtIdSet *set, size_t first)
{
	size_t end = first;

	while (end < set->count && set->ranges[end].client == set->ranges[first].client)
		end++;
	return end;
}

bool
crdt_idset_has_empty_range(const CrdtIdSet *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->ranges[i].length == 0)
			return true;
	return false;
}

/* ---- the bytes of delete sets ---- */

/* Reads the ranges of one client. */
static void
read_ranges(CrdtReader *reader, CrdtFormat format, uint64_t client, CrdtIdSet *set)
{
	uint64_t count = crdt_read_count(reader, RANGE_BYTES, "deleted ranges");
	uint64_t before = 0; /* V2: end of the range before */

	if (!crdt_array_reserve(set->host, &set->ranges, &set->capacity, set->count + (size_t) count,
							sizeof(CrdtIdRange)))
	{
		crdt_reader_fail(reader, CRDT_NO_MEMORY, "out of memory");
		return;
	}
	for (uint64_t i = 0; i < count && !crdt_reader_failed(reader); i++)
	{
		CrdtIdRange range = {.client = client};

		range.clock = crdt_read_sum(reader, before, crdt_read_varuint(reader));
		range.length = crdt_read_varuint(reader);
		if (format == CRDT_V2)
			range.length++;
		before = crdt_read_sum(reader, range.clock, range.length);
		if (format == CRDT_V1)
			before = 0;
		set->ranges[set->count++] = range;
	}
}

void
crdt_idset_read(CrdtReader *reader, CrdtFormat format, CrdtIdSet *set)
{
	uint64_t count = crdt_read_count(reader, CLIENT_BYTES, "clients with deletes");

	for (uint64_t i = 0; i < count && !crdt_reader_failed(reader); i++)
		read_ranges(reader, format, crdt_read_varuint(reader), set);
}

static void
write_ranges(const CrdtIdRange *ranges, size_t count, CrdtFormat format, CrdtBuffer *out)
{
	uint64_t before = 0;

	crdt_write_varuint(out, ranges->client);
	crdt_write_varuint(out, count);
	for (size_t i = 0; i < count; i++)
	{
		uint8_t *at = crdt_buffer_room(out, 2 * CRDT_VARUINT_BYTES);

		if (at == NULL)
			return;
		at = crdt_put_varuint(at, ranges[i].clock - before);
		at = crdt_put_varuint(at, ranges[i].length - (format == CRDT_V2));
		out->size = (size_t) (at - out->data);
		if (format == CRDT_V2)
			before = ranges[i].clock + ranges[i].length;
	}
}

void
crdt_idset_write(const CrdtIdSet *set, CrdtFormat format, CrdtBuffer *out)
{
	size_t client_count = 0;

	for (size_t first = 0; first < set->count; first = client_end(set, first))
		client_count++;
	crdt_write_varuint(out, client_count);
	for (size_t first = 0, end; first < set->count; first = end)
	{
		end = client_end(set, first);
		write_ranges(set->ranges + first, end - first, format, out);
	}
}

/* ---- state vectors ---- */

/* Turns what was read, clients descending, into the vector's entries.  False: no memory. */
static bool
take_entries(CrdtStateVector *vector, const CrdtIdSet *read)
{
	if (!crdt_array_reserve(vector->host, &vector->entries, &vector->capacity, read->count,
							sizeof(CrdtStateVectorEntry)))
		return false;
	for (size_t i = read->count; i > 0; i--)
	{
		CrdtIdRange entry = read->ranges[i - 1];

		/* of equals, the one read last comes first on this way */
		if (vector->count == 0 || vector->entries[vector->count - 1].client != entry.client)
			vector->entries[vector->count++] =
				(CrdtStateVectorEntry){.client = entry.client, .clock = entry.length};
	}
	return true;
}

CrdtStatus
crdt_state_vector_open(CrdtStateVector *vector, const CrdtHost *host, CrdtBytes bytes,
					   CrdtError *error)
{
	CrdtReader reader;
	CrdtIdSet read; /* the clock is the place in the list, the length is the clock */
	uint64_t count = 0;
	CrdtStatus status;

	*vector = (CrdtStateVector){.host = host};
	crdt_reader_open(&reader, bytes);
	crdt_idset_open(&read, host);
	if (bytes.size > 0)
		count = crdt_read_count(&reader, 2, "clients");
	for (uint64_t i = 0; i < count && !crdt_reader_failed(&reader); i++)
	{
		uint64_t client = crdt_read_varuint(&reader);
		CrdtIdRange entry = {client, i, crdt_read_varuint(&reader)};

		if (!crdt_idset_add(&read, entry))
			crdt_reader_fail(&reader, CRDT_NO_MEMORY, "out of memory");
	}
	sort_ranges(read.ranges, read.count);
	if (!crdt_reader_failed(&reader) && !take_entries(vector, &read))
		crdt_reader_fail(&reader, CRDT_NO_MEMORY, "out of memory");
	crdt_idset_close(&read);
	status = reader.error.status;
	if (status != CRDT_OK && error != NULL)
		*error = reader.error;
	return status;
}

void
crdt_state_vector_close(CrdtStateVector *vector)
{
	crdt_array_free(vector->host, &vector->entries, &vector->capacity,
					sizeof(CrdtStateVectorEntry));
	vector->count = 0;
}

uint64_t
crdt_state_vector_clock(const CrdtStateVector *vector, uint64_t client)
{
	size_t low = 0;
	size_t high = vector->count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (vector->entries[middle].client == client)
			return vector->entries[middle].clock;
		if (vector->entries[middle].client < client)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}
