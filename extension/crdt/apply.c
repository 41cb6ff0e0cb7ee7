/*
 * apply.c: carries out a plan: integrates structs, then deletes (FORMAT 7.5).
 *
 * Here: finding the neighbours and the list that an arriving item names (7.3).  Not here: whatever
 * can fail, which is in plan*.c; the place among concurrent neighbours (integrate.c).
 */
#include "content.h"
#include "integrate.h"
#include "plan.h"
#include "structs.h"
#include "tables.h"
#include "transaction.h"

/* ---- one arriving struct ---- */

/* What an arrival names, found in the document. */
typedef struct Surroundings
{
	CrdtRef left;
	CrdtRef right;
	CrdtPackedId origin;
	CrdtPackedId right_origin;
	uint32_t list; /* 0: there is none any more, the arrival becomes a GC */
} Surroundings;

/* 0: the sequence. */
static uint32_t
key_of(const CrdtArrival *arrival)
{
	return (arrival->flags & CRDT_HAS_PARENT_SUB) != 0 ? arrival->key : 0;
}

/* The list of a parent given by id; 0 if that holds no type any more. */
static uint32_t
list_of_parent(CrdtDoc *doc, const CrdtArrival *arrival)
{
	CrdtPlace place = {arrival->parent_id.clock, (uint32_t) arrival->parent_id.client};
	CrdtRef ref = crdt_structs_get(doc, place);

	if (ref == 0 || crdt_item(doc, ref)->kind != CRDT_TYPE)
		return 0;
	return crdt_list_add(doc, crdt_item(doc, ref)->content.type, key_of(arrival));
}

static uint32_t
find_list(CrdtDoc *doc, const CrdtArrival *arrival, const Surroundings *around)
{
	if (around->left != 0 && crdt_item(doc, around->left)->kind == CRDT_GC)
		return 0;
	if (around->right != 0 && crdt_item(doc, around->right)->kind == CRDT_GC)
		return 0;
	if ((arrival->flags & CRDT_PARENT_IS_ROOT) != 0)
		return crdt_list_add(doc, arrival->root, key_of(arrival));
	if ((arrival->flags & CRDT_PARENT_IS_ID) != 0)
		return list_of_parent(doc, arrival);
	return crdt_item(doc, around->left != 0 ? around->left : around->right)->list;
}

/* The item that starts exactly at place, which packed says too.  Where nobody else has written, it
 * stands right behind left. */
static CrdtRef
find_right(CrdtDoc *doc, CrdtRef left, CrdtPlace place, CrdtPackedId packed)
{
	const CrdtItem *item = left == 0 ? NULL : crdt_item(doc, left);

	if (item != NULL && item->list != 0 && item->right != 0 &&
		crdt_item(doc, item->right)->id == packed)
		return item->right;
	return crdt_structs_clean_start(doc, place);
}

/* Also done for what is known already: Yjs looks up, and cuts, before it finds that out. */
static Surroundings
look_around(CrdtDoc *doc, const CrdtArrival *arrival)
{
	Surroundings around = {0, 0, CRDT_PACKED_NONE, CRDT_PACKED_NONE, 0};

	if ((arrival->flags & CRDT_HAS_ORIGIN) != 0)
	{
		CrdtPlace place = {arrival->origin.clock, (uint32_t) arrival->origin.client};

		around.left = crdt_structs_clean_end(doc, place);
		around.origin = crdt_pack(doc, place.client, place.clock);
	}
	if ((arrival->flags & CRDT_HAS_RIGHT_ORIGIN) != 0)
	{
		CrdtPlace place = {arrival->right_origin.clock, (uint32_t) arrival->right_origin.client};

		around.right_origin = crdt_pack(doc, place.client, place.clock);
		around.right = find_right(doc, around.left, place, around.right_origin);
	}
	return around;
}

static void
integrate_arrival(CrdtDoc *doc, const CrdtArrival *arrival, uint64_t offset)
{
	Surroundings around = {0, 0, CRDT_PACKED_NONE, CRDT_PACKED_NONE, 0};
	CrdtRef ref;
	CrdtItem *item;

	if (arrival->kind != CRDT_GC)
		around = look_around(doc, arrival);
	if (offset >= arrival->length)
		return;
	if (arrival->kind != CRDT_GC)
		around.list = find_list(doc, arrival, &around);
	if (offset > 0 && around.list != 0)
	{
		CrdtPlace before = {arrival->clock + offset - 1, arrival->client};

		around.left = crdt_structs_clean_end(doc, before);
		around.origin = crdt_item_last_id(doc, around.left);
		if (crdt_item(doc, around.left)->kind == CRDT_GC)
			around.list = 0;
	}
	ref = crdt_pool_take(&doc->items);
	item = crdt_item(doc, ref);
	*item = (CrdtItem){.id = crdt_pack(doc, arrival->client, arrival->clock + offset),
					   .origin = around.origin,
					   .right_origin = around.right_origin,
					   .left = around.left,
					   .right = around.right,
					   .list = around.list};
	if (around.list == 0)
	{
		item->kind = CRDT_GC;
		item->content.length = arrival->length - offset;
	}
	else
	{
		CrdtStruct content;

		content.kind = arrival->kind;
		content.ascii = arrival->ascii;
		content.length = arrival->length;
		content.content = arrival->content;
		crdt_content_make(doc, item, &content, offset, arrival->name);
		if (arrival->kind == CRDT_TYPE)
			item->content.type = crdt_type_add(doc, arrival->type_ref, arrival->name, ref);
	}
	crdt_item_integrate(doc, arrival->client, ref);
}

/* ---- deletes ---- */

/* Deletes what is visible in a range that is known, cutting items at its ends. */
static void
delete_range(CrdtDoc *doc, const CrdtDeletedRange *range)
{
	CrdtClient *client = &doc->clients[range->client];
	uint64_t clock = range->clock;
	uint64_t end = range->clock + range->length;
	CrdtCursor cursor = crdt_structs_find(client, clock);

	while (crdt_structs_skip_deleted(client, &cursor, end))
	{
		uint64_t start = crdt_structs_clock_at(client, cursor);
		uint64_t struct_end =
			start + crdt_item_length(crdt_item(doc, crdt_structs_at(client, cursor)));
		CrdtRef ref;

		if (start > clock)
			clock = start;
		ref = crdt_structs_clean_start(doc, (CrdtPlace){clock, range->client});
		if (struct_end > end)
			(void) crdt_structs_clean_end(doc, (CrdtPlace){end - 1, range->client});
		crdt_item_delete(doc, ref);
		if (struct_end >= end)
			return;
		clock = struct_end;
		cursor = crdt_structs_find(client, clock);
	}
}

/* ---- the whole ---- */

/* Structs that wait from now on take the place of those that waited; true if they are others. */
static bool
swap_pending(CrdtDoc *doc, CrdtPlan *plan)
{
	CrdtPending *old = &doc->pending;
	CrdtPending *new = &plan->pending;
	CrdtIdSet deletes = old->deletes;
	CrdtPending kept;
	bool differs;

	if (!plan->pending_changed)
		return false;
	differs = !crdt_bytes_equal(crdt_buffer_view(&old->update), crdt_buffer_view(&new->update));
	kept = *old;
	*old = *new;
	*new = kept;
	old->deletes = deletes;
	crdt_idset_open(&new->deletes, &doc->host);
	return differs;
}

/* The same for deletes. */
static bool
swap_deletes(CrdtDoc *doc, CrdtPlan *plan)
{
	CrdtIdSet old = doc->pending.deletes;
	const CrdtIdSet *new = &plan->waiting_deletes;
	bool differs = old.count != new->count;

	if (!plan->deletes_changed)
		return false;
	for (size_t i = 0; !differs && i < old.count; i++)
		differs = old.ranges[i].client != new->ranges[i].client ||
				  old.ranges[i].clock != new->ranges[i].clock ||
				  old.ranges[i].length != new->ranges[i].length;
	doc->pending.deletes = *new;
	plan->waiting_deletes = old;
	return differs;
}

/* False: given up half way. */
static bool
carry_out_pass(CrdtPlan *plan, const CrdtPass *pass)
{
	CrdtDoc *doc = plan->doc;

	for (const CrdtStep *step = plan->steps + pass->step_start; step < plan->steps + pass->step_end;
		 step++)
		for (size_t at = step->start; at < step->end; at++)
		{
			const CrdtArrival *arrival = &plan->arrivals[at];

			integrate_arrival(doc, arrival, crdt_step_offset(step, arrival));
			if (crdt_walk_has_stopped(doc))
				return false;
		}
	for (size_t at = pass->delete_start; at < pass->delete_end; at++)
		delete_range(doc, &plan->deletes[at]);
	return true;
}

static CrdtStatus
carry_out(CrdtPlan *plan, CrdtApplied *applied, CrdtError *error)
{
	CrdtDoc *doc = plan->doc;
	uint64_t edit_state = applied == NULL ? 0 : crdt_doc_state(doc, doc->edit_client);
	bool changed;

	crdt_walk_begin(doc);
	for (size_t i = 0; i < plan->pass_count; i++)
		if (!carry_out_pass(plan, &plan->passes[i]))
		{
			/* the transaction never ends: nobody is to hear of it */
			crdt_plan_clear(plan);
			return crdt_walk_error(doc, error);
		}
	crdt_walk_end(doc);
	changed = doc->transaction.changed;
	if (plan->is_late)
		crdt_plan_add_late(plan);
	changed |= plan->is_late && !plan->rest_is_known;
	changed |= swap_pending(doc, plan) && !plan->rest_is_known;
	changed |= swap_deletes(doc, plan);
	doc->edited_since_apply = false;
	crdt_plan_clear(plan);
	crdt_transaction_end(doc);
	if (applied != NULL)
		*applied = (CrdtApplied){changed, crdt_doc_is_waiting(doc),
								 crdt_doc_state(doc, doc->edit_client) > edit_state};
	return CRDT_OK;
}

CrdtStatus
crdt_apply(CrdtDoc *doc, CrdtBytes update, CrdtFormat format, const CrdtConfines *confines,
		   CrdtApplied *applied, CrdtError *error)
{
	CrdtPlan *plan = doc->plan != NULL ? doc->plan : (doc->plan = crdt_plan_new(doc));
	bool is_first = doc->client_count == 0;
	CrdtStatus status;

	if (plan == NULL)
		return crdt_error_no_memory(error);
	if (doc->edit_depth > 0)
		return crdt_error_set(error, CRDT_INVALID, 0,
							  "an update cannot be applied inside a transaction of edits");
	status = crdt_doc_check_whole(doc, error);
	if (status == CRDT_OK)
		status = crdt_plan_make(plan, update, format, confines, error);
	if (status == CRDT_OK)
		status = carry_out(plan, applied, error);
	if (status == CRDT_OK && is_first && format == CRDT_V1)
		doc->encoded_bytes = update.size;
	return status;
}

CrdtStatus
crdt_doc_apply(CrdtDoc *doc, CrdtBytes update, CrdtFormat format, CrdtApplied *applied,
			   CrdtError *error)
{
	return crdt_apply(doc, update, format, NULL, applied, error);
}
