/*
 * confine.c: is what an update changes under the roots that its sender is confined to (confine.h)?
 *
 * Here: what of an update is news, under which root a struct or an item is.  Not here: who is
 * confined (the caller's business), applying (apply.c).
 *
 * The wire gives a struct's parent only if it has no neighbours; else it is in the list of its origin,
 * or of its right origin.  So the root of a struct is known once those of what it refers to are, and
 * a plan puts structs behind what they refer to: one look each.
 *
 *     origin, right origin     both must be under a root of ours; if one is garbage (GC), the struct
 *                              becomes garbage as well, and shows nowhere
 *     a root's name            one of ours
 *     a parent by id           under a root of ours, or garbage
 *     none of these (GC)       shows nowhere
 *
 * What is logged and passed on is what was checked: an update may carry, beside its news, structs that
 * are known to us and that whoever merges updates (fold, diff) would take for the real ones.
 */
#include "confine.h"

#include <string.h>

#include "integrate.h"
#include "structs.h"
#include "tables.h"

#define CANCEL_INTERVAL 4096
#define NAME_SHOWN_BYTES 80

/* ---- roots ---- */

static bool
is_confined_name(const CrdtConfines *confines, CrdtBytes name)
{
	for (size_t i = 0; i < confines->count; i++)
		if (crdt_bytes_equal(confines->roots[i], name))
			return true;
	return false;
}

/* Garbage (0) is under none, and may be anywhere. */
static bool
is_confined(const CrdtDoc *doc, const CrdtConfines *confines, uint32_t root)
{
	return root == 0 || is_confined_name(confines, crdt_name(doc, crdt_type(doc, root)->name));
}

/* The number of the root that an item is under; 0: garbage. */
static uint32_t
root_of_item(const CrdtDoc *doc, CrdtRef ref)
{
	const CrdtItem *item = crdt_item(doc, ref);

	return item->list == 0 ? 0 : crdt_type(doc, doc->lists[item->list].type)->root;
}

static bool
is_cancelled(const CrdtDoc *doc)
{
	return doc->host.cancelled != NULL && doc->host.cancelled(doc->host.context);
}

/* ---- refusing ---- */

/* A name's beginning as it may stand in a message: whole characters, no control characters. */
static void
write_shown_name(CrdtBytes name, char shown[NAME_SHOWN_BYTES + 4])
{
	size_t size = name.size < NAME_SHOWN_BYTES ? name.size : NAME_SHOWN_BYTES;

	while (size < name.size && size > 0 && (name.data[size] & 0xc0) == 0x80)
		size--;
	for (size_t i = 0; i < size; i++)
	{
		uint8_t byte = name.data[i];

		/* U+0000 and lone surrogates are no text in SQL */
		if (byte < 0x20 || byte == 0x7f)
			byte = '?';
		if (byte == 0xed && i + 2 < size && name.data[i + 1] >= 0xa0)
		{
			memcpy(shown + i, "???", 3);
			i += 2;
			continue;
		}
		shown[i] = (char) byte;
	}
	strcpy(shown + size, size < name.size ? "..." : "");
}

static CrdtStatus
refuse_root(CrdtError *error, const char *verb, CrdtBytes root)
{
	char shown[NAME_SHOWN_BYTES + 4];

	write_shown_name(root, shown);
	return crdt_error_set(error, CRDT_FORBIDDEN, 0, "it %s root \"%s\"", verb, shown);
}

static CrdtStatus
refuse_root_number(const CrdtDoc *doc, CrdtError *error, const char *verb, uint32_t root)
{
	return refuse_root(error, verb, crdt_name(doc, crdt_type(doc, root)->name));
}

static CrdtStatus
refuse_waiting(CrdtError *error)
{
	return crdt_error_set(error, CRDT_FORBIDDEN, 0, "it needs updates that are missing");
}

/* ---- what is news ---- */

typedef struct News
{
	CrdtDoc *doc;
	const CrdtConfines *confines;
	CrdtError *error;
	CrdtUpdateReader reader;
	CrdtArena values; /* of one struct */
	CrdtArena kept; /* the reader's */
	CrdtUpdateWriter writer;
	CrdtIdSet blocks; /* whose, in stream order */
	CrdtIdSet coming; /* clocks of the structs that are news, one range a client */
	CrdtIdSet deletes; /* of the update */
	CrdtIdSet deleting; /* those that delete something */
	uint64_t next; /* the clock that the current block's client may go on with */
} News;

static void
news_open(News *news, CrdtBytes update, CrdtFormat format)
{
	const CrdtHost *host = &news->doc->host;

	crdt_arena_open(&news->values, host);
	crdt_arena_open(&news->kept, host);
	crdt_idset_open(&news->blocks, host);
	crdt_idset_open(&news->coming, host);
	crdt_idset_open(&news->deletes, host);
	crdt_idset_open(&news->deleting, host);
	crdt_update_writer_open(&news->writer, host, format);
	crdt_update_reader_open(&news->reader, update, format, &news->values, &news->kept);
	news->reader.takes_flagged_skips = true;
}

static void
news_close(News *news)
{
	crdt_update_writer_close(&news->writer);
	crdt_idset_close(&news->blocks);
	crdt_idset_close(&news->coming);
	crdt_idset_close(&news->deletes);
	crdt_idset_close(&news->deleting);
	crdt_arena_close(&news->values);
	crdt_arena_close(&news->kept);
}

/* Does the range wait in the document already? */
static bool
waits_already(const CrdtDoc *doc, CrdtIdRange range)
{
	return doc->pending.update.size > 0 && crdt_pending_holds(&doc->pending, range);
}

/* Takes what is news of one struct. */
static CrdtStatus
take_struct(News *news, const CrdtStruct *item)
{
	uint64_t end = item->clock + item->length;
	uint64_t offset = item->clock < news->next ? news->next - item->clock : 0;
	CrdtIdRange range = {item->client, item->clock + offset, item->length - offset};

	if (item->kind == CRDT_SKIP || end <= news->next || waits_already(news->doc, range))
		return CRDT_OK;
	if (item->clock > news->next)
		return refuse_waiting(news->error);
	/* before the document hears of another root */
	if (offset == 0 && (item->flags & CRDT_PARENT_IS_ROOT) != 0 &&
		!is_confined_name(news->confines, item->parent_name))
		return refuse_root(news->error, "changes", item->parent_name);
	crdt_update_writer_add(&news->writer, item, offset);
	if (!crdt_idset_add(&news->coming, range))
		return crdt_error_no_memory(news->error);
	news->next = end;
	return CRDT_OK;
}

static CrdtStatus
begin_block(News *news, uint64_t client)
{
	news->next = crdt_doc_state(news->doc, client);
	return crdt_idset_add(&news->blocks, (CrdtIdRange){client, 0, 0})
			   ? CRDT_OK
			   : crdt_error_no_memory(news->error);
}

static CrdtStatus
take_structs(News *news)
{
	CrdtStruct item;
	CrdtStatus status = CRDT_OK;
	size_t block = 0;
	uint64_t read = 0;

	while (status == CRDT_OK && crdt_update_reader_next(&news->reader, &item))
	{
		if (news->reader.block_number != block)
			status = begin_block(news, item.client);
		block = news->reader.block_number;
		if (status == CRDT_OK)
			status = take_struct(news, &item);
		if (++read % CANCEL_INTERVAL == 0 && is_cancelled(news->doc))
			status = crdt_error_set(news->error, CRDT_CANCELLED, 0, "cancelled");
		crdt_arena_reset(&news->values);
	}
	return status;
}

/* Of two blocks of one client nobody knows which one others will take. */
static CrdtStatus
check_blocks(News *news)
{
	if (!crdt_idset_group(&news->blocks, CRDT_V1))
		return crdt_error_no_memory(news->error);
	for (size_t i = 1; i < news->blocks.count; i++)
		if (news->blocks.ranges[i].client == news->blocks.ranges[i - 1].client)
			return crdt_error_set(news->error, CRDT_FORBIDDEN, 0,
								  "it has several blocks of structs of client %llu",
								  (unsigned long long) news->blocks.ranges[i].client);
	return CRDT_OK;
}

/* What a range deletes of the structs that are there, up to clock end. */
static CrdtStatus
take_known_deletes(News *news, CrdtClient *client, uint64_t clock, uint64_t end)
{
	CrdtCursor cursor;
	uint64_t walked = 0;

	if (clock >= end)
		return CRDT_OK;
	cursor = crdt_structs_find(client, clock);
	do
	{
		CrdtRef ref = crdt_structs_at(client, cursor);
		uint64_t begin = crdt_structs_clock_at(client, cursor);
		uint64_t struct_end = begin + crdt_item_length(crdt_item(news->doc, ref));
		uint32_t root = root_of_item(news->doc, ref);

		if (begin >= end)
			break;
		if (++walked % CANCEL_INTERVAL == 0 && is_cancelled(news->doc))
			return crdt_error_set(news->error, CRDT_CANCELLED, 0, "cancelled");
		if (crdt_item(news->doc, ref)->deleted)
			continue;
		if (!is_confined(news->doc, news->confines, root))
			return refuse_root_number(news->doc, news->error, "deletes something under", root);
		begin = begin > clock ? begin : clock;
		struct_end = struct_end < end ? struct_end : end;
		if (!crdt_idset_add(&news->deleting, (CrdtIdRange){client->id, begin, struct_end - begin}))
			return crdt_error_no_memory(news->error);
	} while (crdt_structs_next(client, &cursor));
	return CRDT_OK;
}

/* What a range, of which nothing is known, deletes of the structs that are coming. */
static CrdtStatus
take_coming_deletes(News *news, CrdtIdRange range)
{
	size_t at = crdt_idset_find(&news->coming, range.client, range.clock + 1);
	const CrdtIdRange *coming = &news->coming.ranges[at];

	if (range.length > 0 && at < news->coming.count && coming->client == range.client &&
		coming->clock <= range.clock)
	{
		uint64_t left = coming->clock + coming->length - range.clock;
		uint64_t length = range.length < left ? range.length : left;

		if (!crdt_idset_add(&news->deleting, (CrdtIdRange){range.client, range.clock, length}))
			return crdt_error_no_memory(news->error);
		range.clock += length;
		range.length -= length;
	}
	return range.length == 0 || crdt_idset_holds(&news->doc->pending.deletes, range)
			   ? CRDT_OK
			   : refuse_waiting(news->error);
}

static CrdtStatus
take_deletes(News *news)
{
	CrdtStatus status = CRDT_OK;

	crdt_update_reader_take_deletes(&news->reader, &news->deletes);
	status = crdt_update_reader_status(&news->reader, news->error);
	crdt_idset_normalize(&news->deletes);
	crdt_idset_normalize(&news->coming);
	for (size_t i = 0; status == CRDT_OK && i < news->deletes.count; i++)
	{
		CrdtIdRange range = news->deletes.ranges[i];
		uint64_t end = range.clock + range.length;
		uint64_t state = crdt_doc_state(news->doc, range.client);
		uint64_t known_end = end < state ? end : state;

		if (range.clock < known_end)
		{
			uint32_t client = crdt_client_find(news->doc, range.client);

			status = take_known_deletes(news, &news->doc->clients[client], range.clock, known_end);
			range.clock = known_end;
			range.length = end - known_end;
		}
		if (status == CRDT_OK)
			status = take_coming_deletes(news, range);
	}
	return status;
}

/* Appends what of the update is news to out: nothing, if nothing is. */
static CrdtStatus
write_news(News *news, CrdtBuffer *out)
{
	CrdtStatus status = take_structs(news);

	if (status == CRDT_OK)
		status = crdt_update_reader_status(&news->reader, news->error);
	if (status == CRDT_OK)
		status = check_blocks(news);
	if (status == CRDT_OK)
		status = take_deletes(news);
	if (status != CRDT_OK)
		return status;
	if (news->writer.block_count == 0 && news->deleting.count == 0)
		return CRDT_OK;
	return crdt_update_writer_finish(&news->writer, &news->deleting, out)
			   ? CRDT_OK
			   : crdt_error_no_memory(news->error);
}

CrdtStatus
crdt_doc_apply_confined(CrdtDoc *doc, CrdtBytes update, CrdtFormat format,
						const CrdtConfines *confines, CrdtBuffer *out, CrdtApplied *applied,
						CrdtError *error)
{
	News news = {.doc = doc, .confines = confines, .error = error};
	size_t size_before = out->size;
	CrdtStatus status = crdt_doc_check_whole(doc, error);

	if (status != CRDT_OK)
		return status;
	if (doc->pending.update.size > 0 && !crdt_pending_track(&doc->pending, 0))
		return crdt_error_no_memory(error);
	news_open(&news, update, format);
	status = write_news(&news, out);
	news_close(&news);
	if (status == CRDT_OK && out->size == size_before)
	{
		if (applied != NULL)
			*applied = (CrdtApplied){.waiting = crdt_doc_is_waiting(doc)};
		return CRDT_OK;
	}
	if (status == CRDT_OK)
	{
		CrdtBytes written = {out->data + size_before, out->size - size_before};

		status = crdt_apply(doc, written, format, confines, applied, error);
	}
	if (status != CRDT_OK)
		out->size = size_before;
	return status;
}

/* ---- under which root ---- */

#define ROOT_UNKNOWN UINT32_MAX

typedef struct Roots
{
	const CrdtPlan *plan;
	const CrdtConfines *confines;
	uint32_t *of_arrival; /* by arrival */
} Roots;

/* The arrival of the client that contains clock; NULL: none. */
static const CrdtArrival *
find_arrival(const CrdtPlan *plan, uint64_t client_id, uint64_t clock)
{
	size_t low = 0;
	size_t high = plan->run_count;
	const CrdtArrivalRun *run;

	while (low < high) /* descending */
	{
		size_t middle = low + (high - low) / 2;

		if (plan->runs[middle].client_id > client_id)
			low = middle + 1;
		else
			high = middle;
	}
	run = &plan->runs[low];
	if (low == plan->run_count || run->client_id != client_id)
		return NULL;
	low = run->start;
	high = run->end;
	while (low < high) /* the first that begins behind clock */
	{
		size_t middle = low + (high - low) / 2;

		if (plan->arrivals[middle].clock <= clock)
			low = middle + 1;
		else
			high = middle;
	}
	return low == run->start ? NULL : &plan->arrivals[low - 1];
}

/* Of what is there, in the document or planned; id.client is the client's number. */
static uint32_t
root_at(const Roots *roots, CrdtId id)
{
	CrdtDoc *doc = roots->plan->doc;
	CrdtPlace place = {id.clock, (uint32_t) id.client};
	const CrdtArrival *arrival;

	if (place.clock < doc->clients[place.client].state)
		return root_of_item(doc, crdt_structs_get(doc, place));
	arrival = find_arrival(roots->plan, doc->clients[place.client].id, place.clock);
	return arrival == NULL ? ROOT_UNKNOWN : roots->of_arrival[arrival - roots->plan->arrivals];
}

static CrdtStatus
check_root(const Roots *roots, uint32_t root)
{
	const CrdtPlan *plan = roots->plan;

	if (root == ROOT_UNKNOWN)
		return refuse_waiting(plan->error);
	return is_confined(plan->doc, roots->confines, root)
			   ? CRDT_OK
			   : refuse_root_number(plan->doc, plan->error, "changes", root);
}

/* One arrival, in the order of integration. */
static CrdtStatus
find_root(const Roots *roots, const CrdtArrival *arrival)
{
	uint32_t *root = &roots->of_arrival[arrival - roots->plan->arrivals];
	bool has_origin = (arrival->flags & CRDT_HAS_ORIGIN) != 0;
	CrdtStatus status = CRDT_OK;

	*root = 0;
	if (!crdt_kind_has_origin(arrival->kind))
		return CRDT_OK;
	if (has_origin)
	{
		*root = root_at(roots, arrival->origin);
		status = check_root(roots, *root);
	}
	if (status == CRDT_OK && (arrival->flags & CRDT_HAS_RIGHT_ORIGIN) != 0)
	{
		uint32_t right = root_at(roots, arrival->right_origin);

		status = check_root(roots, right);
		if (!has_origin || right == 0)
			*root = right;
	}
	if (status == CRDT_OK && (arrival->flags & CRDT_PARENT_IS_ROOT) != 0)
		status = check_root(roots, *root = arrival->root);
	else if (status == CRDT_OK && (arrival->flags & CRDT_PARENT_IS_ID) != 0)
	{
		*root = root_at(roots, arrival->parent_id);
		status = check_root(roots, *root);
	}
	return status;
}

/* Has each client, if it has written anything, written last within the confines? */
static CrdtStatus
check_clients(const Roots *roots)
{
	const CrdtPlan *plan = roots->plan;

	for (size_t i = 0; i < plan->run_count; i++)
	{
		CrdtClient *client = &plan->doc->clients[plan->runs[i].client];
		uint32_t root;

		if (client->state == 0)
			continue;
		root = root_at(roots, (CrdtId){plan->runs[i].client, client->state - 1});
		if (!is_confined(plan->doc, roots->confines, root))
			return refuse_root_number(plan->doc, plan->error,
									  "goes on as a client that has last changed", root);
	}
	return CRDT_OK;
}

CrdtStatus
crdt_confine_check(CrdtPlan *plan, const CrdtConfines *confines)
{
	Roots roots = {.plan = plan, .confines = confines};
	CrdtStatus status;

	if (crdt_plan_has_rest(plan) || plan->adds_deletes)
		return refuse_waiting(plan->error);
	roots.of_arrival =
		crdt_arena_take(&plan->scratch, (plan->arrival_count + 1) * sizeof(uint32_t));
	if (roots.of_arrival == NULL)
		return crdt_error_no_memory(plan->error);
	memset(roots.of_arrival, 0xff, plan->arrival_count * sizeof(uint32_t));
	status = check_clients(&roots);
	for (const CrdtStep *step = plan->steps; step < plan->steps + plan->step_count; step++)
		for (size_t at = step->start; status == CRDT_OK && at < step->end; at++)
			status = find_root(&roots, &plan->arrivals[at]);
	return status;
}

/* ---- edits made here ---- */

/* Are the items of a range, which is known, within the confines? */
static CrdtStatus
check_range(CrdtDoc *doc, CrdtIdRange range, const CrdtConfines *confines, CrdtError *error)
{
	uint32_t number = crdt_client_find(doc, range.client);
	CrdtClient *client = number == CRDT_NO_CLIENT ? NULL : &doc->clients[number];
	CrdtCursor cursor;

	if (client == NULL || range.length == 0 || range.clock >= client->state)
		return CRDT_OK;
	cursor = crdt_structs_find(client, range.clock);
	do
	{
		uint32_t root = root_of_item(doc, crdt_structs_at(client, cursor));

		if (crdt_structs_clock_at(client, cursor) >= range.clock + range.length)
			break;
		if (!is_confined(doc, confines, root))
			return refuse_root_number(doc, error, "changes", root);
	} while (crdt_structs_next(client, &cursor));
	return CRDT_OK;
}

CrdtStatus
crdt_doc_check_edit(CrdtDoc *doc, CrdtBytes update, CrdtFormat format, const CrdtConfines *confines,
					CrdtError *error)
{
	CrdtArena values;
	CrdtArena kept;
	CrdtIdSet ranges;
	CrdtUpdateReader reader;
	CrdtStruct item;
	CrdtStatus status = CRDT_OK;

	crdt_arena_open(&values, &doc->host);
	crdt_arena_open(&kept, &doc->host);
	crdt_idset_open(&ranges, &doc->host);
	crdt_update_reader_open(&reader, update, format, &values, &kept);
	while (status == CRDT_OK && crdt_update_reader_next(&reader, &item))
	{
		if (item.kind != CRDT_SKIP &&
			!crdt_idset_add(&ranges, (CrdtIdRange){item.client, item.clock, item.length}))
			status = crdt_error_no_memory(error);
		crdt_arena_reset(&values);
	}
	if (status == CRDT_OK)
		crdt_update_reader_take_deletes(&reader, &ranges);
	if (status == CRDT_OK)
		status = crdt_update_reader_status(&reader, error);
	for (size_t i = 0; status == CRDT_OK && i < ranges.count; i++)
		status = check_range(doc, ranges.ranges[i], confines, error);
	crdt_idset_close(&ranges);
	crdt_arena_close(&values);
	crdt_arena_close(&kept);
	return status;
}
