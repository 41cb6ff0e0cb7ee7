/*
 * integrate.c: puts an item where YATA says it belongs (FORMAT 7.4).
 *
 * Here: the search among concurrent neighbours, linking, and deleting.  Not here: waiting for
 * missing items (plan_wait.c), finding the neighbours an item names (apply.c), merging neighbours
 * afterwards (transaction.c).
 */
#include "integrate.h"

#include <inttypes.h>

#include "content.h"
#include "index.h"
#include "structs.h"
#include "tables.h"
#include "transaction.h"

bool
crdt_ids_equal(const CrdtDoc *doc, CrdtPackedId a, CrdtPackedId b)
{
	CrdtPlace place_a;
	CrdtPlace place_b;

	if (a == b)
		return true;
	if (a == CRDT_PACKED_NONE || b == CRDT_PACKED_NONE || doc->wide_count == 0)
		return false;
	place_a = crdt_unpack(doc, a);
	place_b = crdt_unpack(doc, b);
	return place_a.client == place_b.client && place_a.clock == place_b.clock;
}

static uint64_t
client_id_of(const CrdtDoc *doc, const CrdtItem *item)
{
	return doc->clients[crdt_unpack(doc, item->id).client].id;
}

/* ---- how long the search may take ---- */

/* Steps between two questions to the host: about a hundredth of a second. */
#define WALK_STRETCH 100000

static void
grant_steps(CrdtWalk *walk)
{
	walk->left = WALK_STRETCH;
	if (walk->limit > 0 && walk->limit - walk->granted < WALK_STRETCH)
		walk->left = walk->limit - walk->granted;
	walk->granted += walk->left;
}

void
crdt_walk_begin(CrdtDoc *doc)
{
	doc->walk.granted = 0;
	doc->walk.is_counted = true;
	grant_steps(&doc->walk);
}

void
crdt_walk_end(CrdtDoc *doc)
{
	doc->walk.is_counted = false;
	doc->walk.left = 0;
}

/* All that was granted was walked: may it be more? */
static bool
may_walk_on(CrdtDoc *doc)
{
	CrdtWalk *walk = &doc->walk;

	if (walk->status != CRDT_OK)
		return false;
	if (walk->limit > 0 && walk->granted >= walk->limit)
		walk->status = CRDT_LIMIT;
	else if (doc->host.cancelled != NULL && doc->host.cancelled(doc->host.context))
		walk->status = CRDT_CANCELLED;
	else
		grant_steps(walk);
	return walk->status == CRDT_OK;
}

/* May the search pass one more item? */
static bool
take_step(CrdtDoc *doc)
{
	CrdtWalk *walk = &doc->walk;

	if (!walk->is_counted)
		return true;
	if (walk->left == 0 && !may_walk_on(doc))
		return false;
	walk->left--;
	return true;
}

CrdtStatus
crdt_walk_error(const CrdtDoc *doc, CrdtError *error)
{
	if (doc->walk.status == CRDT_CANCELLED)
		return crdt_error_set(error, CRDT_CANCELLED, 0, "cancelled");
	return crdt_error_set(error, CRDT_LIMIT, 0,
						  "too many concurrent items at one place: their order takes more than "
						  "%" PRIu64 " steps to find",
						  doc->walk.limit);
}

CrdtStatus
crdt_doc_check_whole(const CrdtDoc *doc, CrdtError *error)
{
	if (!crdt_walk_has_stopped(doc))
		return CRDT_OK;
	return crdt_error_set(error, CRDT_INVALID, 0,
						  "the document is broken: an update was given up half way");
}

void
crdt_doc_limit_walk(CrdtDoc *doc, uint64_t steps)
{
	doc->walk.limit = steps;
}

bool
crdt_doc_is_broken(const CrdtDoc *doc)
{
	return crdt_walk_has_stopped(doc);
}

/* ---- the search ---- */

/* Items from start up to and without end are no longer conflicting. */
static void
clear_conflicting(CrdtDoc *doc, CrdtRef start, CrdtRef end)
{
	for (CrdtRef ref = start; ref != end; ref = crdt_item(doc, ref)->right)
		crdt_item(doc, ref)->conflicting = 0;
}

static void
clear_marks(CrdtDoc *doc, CrdtRef start, CrdtRef end)
{
	for (CrdtRef ref = start; ref != end; ref = crdt_item(doc, ref)->right)
	{
		crdt_item(doc, ref)->visited = 0;
		crdt_item(doc, ref)->conflicting = 0;
	}
}

/* Items from start up to and without end were passed; those from unsettled on may be conflicting. */
static void
mark_passed(CrdtDoc *doc, CrdtRef start, CrdtRef unsettled, CrdtRef end)
{
	bool conflicting = false;

	for (CrdtRef ref = start; ref != end; ref = crdt_item(doc, ref)->right)
	{
		conflicting |= ref == unsettled;
		crdt_item(doc, ref)->visited = 1;
		crdt_item(doc, ref)->conflicting = conflicting;
	}
}

/* The item that holds o's origin, if this search has passed it; 0 otherwise. */
static CrdtRef
visited_origin(CrdtDoc *doc, const CrdtItem *o)
{
	CrdtRef ref;

	if (o->origin == CRDT_PACKED_NONE)
		return 0;
	ref = crdt_structs_get(doc, crdt_unpack(doc, o->origin));
	return ref != 0 && crdt_item(doc, ref)->visited ? ref : 0;
}

/* Passes those that have our origin.  As long as all have, nobody asks whom we passed, and nothing is
 * marked: many may have typed at one place.  Returns the first other one; 0: left is the place. */
static CrdtRef
pass_siblings(CrdtDoc *doc, const CrdtItem *item, CrdtRef start, CrdtRef *left, CrdtRef *unsettled)
{
	uint64_t own_client = client_id_of(doc, item);
	CrdtRef ref = start;

	while (ref != 0 && ref != item->right && take_step(doc))
	{
		const CrdtItem *o = crdt_item(doc, ref);

		if (!crdt_ids_equal(doc, item->origin, o->origin))
			return ref;
		if (client_id_of(doc, o) < own_client)
		{
			*left = ref;
			*unsettled = o->right;
		}
		else if (crdt_ids_equal(doc, item->right_origin, o->right_origin))
			return 0;
		ref = o->right;
	}
	return 0;
}

/*
 * YATA's conflict resolution: the item that ours goes behind.
 *
 *     origin | a1 a2 b1 ... | right origin          o walks from left to right; left is the best
 *                                                   place so far
 *
 * o has our origin:          a smaller client stays left of us: left = o; a larger one with our
 *                            right origin: stop; any other larger one: look on
 * o hangs on one we passed:  it belongs to that one: left = o if that one is already left of us
 * anything else:             the concurrent group ends here: stop
 *
 * Every replica walks the same way over the same set, therefore all agree.
 */
static CrdtRef
find_left(CrdtDoc *doc, const CrdtItem *item, CrdtRef start)
{
	uint64_t own_client = client_id_of(doc, item);
	CrdtRef left = item->left;
	CrdtRef unsettled = start; /* first one that may be conflicting */
	CrdtRef ref = pass_siblings(doc, item, start, &left, &unsettled);

	if (ref == 0)
		return left;
	mark_passed(doc, start, unsettled, ref);
	while (ref != 0 && ref != item->right && take_step(doc))
	{
		CrdtItem *o = crdt_item(doc, ref);
		bool goes_left = false;

		o->visited = 1;
		o->conflicting = 1;
		if (crdt_ids_equal(doc, item->origin, o->origin))
		{
			goes_left = client_id_of(doc, o) < own_client;
			if (!goes_left && crdt_ids_equal(doc, item->right_origin, o->right_origin))
				break;
		}
		else
		{
			CrdtRef origin = visited_origin(doc, o);

			if (origin == 0)
				break;
			goes_left = !crdt_item(doc, origin)->conflicting;
		}
		if (goes_left)
		{
			left = ref;
			clear_conflicting(doc, unsettled, o->right);
			unsettled = o->right;
		}
		ref = o->right;
	}
	if (ref != 0 && crdt_item(doc, ref)->visited)
		ref = crdt_item(doc, ref)->right;
	clear_marks(doc, start, ref);
	return left;
}

/* ---- linking ---- */

static void
resolve_conflicts(CrdtDoc *doc, CrdtItem *item, const CrdtList *list)
{
	CrdtRef between; /* what stands where item wants to go */

	if (item->left != 0)
		between = crdt_item(doc, item->left)->right;
	else if (item->right != 0 && crdt_item(doc, item->right)->left == 0)
		return;
	else
		between = list->first;
	if (between != item->right)
		item->left = find_left(doc, item, between);
}

static void
link_item(CrdtDoc *doc, CrdtRef ref, CrdtItem *item, CrdtList *list)
{
	if (item->left != 0)
	{
		CrdtItem *left = crdt_item(doc, item->left);

		item->right = left->right;
		left->right = ref;
	}
	else
	{
		item->right = list->first;
		list->first = ref;
	}
	if (item->right != 0)
	{
		crdt_item(doc, item->right)->left = ref;
		return;
	}
	list->last = ref;
	/* the new last item of a key is its value now */
	if (list->key != 0 && item->left != 0)
		crdt_item_delete(doc, item->left);
}

static void
integrate_content(CrdtDoc *doc, CrdtRef ref, CrdtItem *item, const CrdtList *list)
{
	switch (item->kind)
	{
		case CRDT_DELETED:
			item->deleted = 1;
			crdt_transaction_add_deleted(doc, item);
			break;
		case CRDT_TYPE:
			crdt_type(doc, item->content.type)->item = ref;
			doc->keyed_types += list->key != 0;
			break;
		case CRDT_FORMAT_MARK:
			crdt_type(doc, list->type)->has_formatting = true;
			crdt_type(doc, list->type)->has_marks = true;
			break;
		default: break;
	}
}

void
crdt_item_integrate(CrdtDoc *doc, uint32_t client, CrdtRef ref)
{
	CrdtItem *item = crdt_item(doc, ref);
	CrdtList *list = &doc->lists[item->list];
	uint64_t length = crdt_item_length(item);
	CrdtRef holder;

	crdt_transaction_touch(doc, client);
	if (item->list == 0)
	{
		if (item->kind != CRDT_GC)
			crdt_content_drop(doc, item);
		item->kind = CRDT_GC;
		item->deleted = 1;
		crdt_structs_append(doc, client, ref, length, true);
		return;
	}
	resolve_conflicts(doc, item, list);
	link_item(doc, ref, item, list);
	if (list->index != 0)
		crdt_index_linked(doc, ref);
	if (list->key == 0 && crdt_item_is_countable(item))
		list->length += length;
	crdt_structs_append(doc, client, ref, length, item->kind == CRDT_DELETED);
	integrate_content(doc, ref, item, list);
	crdt_transaction_note_change(doc, list->type);
	holder = crdt_type(doc, list->type)->item;
	doc->nested_items += holder != 0;
	if ((holder != 0 && crdt_item(doc, holder)->deleted) || (list->key != 0 && item->right != 0))
		crdt_item_delete(doc, ref);
}

/* ---- deleting ---- */

/* Marks one item deleted; a type it holds goes on the stack. */
static void
delete_one(CrdtDoc *doc, CrdtRef ref, uint32_t *stack)
{
	CrdtItem *item = crdt_item(doc, ref);
	CrdtList *list = &doc->lists[item->list];

	if (list->key == 0 && crdt_item_is_countable(item))
		list->length -= item->length;
	if (list->index != 0)
		crdt_index_deleted(doc, ref);
	item->deleted = 1;
	doc->transaction.has_garbage = true;
	crdt_structs_note_deleted(doc, crdt_unpack(doc, item->id));
	crdt_transaction_add_deleted(doc, item);
	crdt_transaction_note_change(doc, list->type);
	if (item->kind == CRDT_TYPE)
	{
		CrdtType *type = crdt_type(doc, item->content.type);

		type->at_child = doc->lists[type->sequence].first;
		type->at_key = type->first_key;
		type->next = *stack;
		*stack = type->number;
	}
}

/* The next child of a type that is being deleted, list before keys; 0: that was all. */
static CrdtRef
next_child(CrdtDoc *doc, CrdtType *type)
{
	CrdtRef child = type->at_child;

	if (child != 0)
	{
		type->at_child = crdt_item(doc, child)->right;
		return child;
	}
	while (child == 0 && type->at_key != 0)
	{
		child = doc->lists[type->at_key].last;
		type->at_key = doc->lists[type->at_key].next_key;
	}
	return child;
}

/* What is in a type goes depth first: undoing and cleaning depend on which client's structs were
 * deleted first. */
void
crdt_item_delete(CrdtDoc *doc, CrdtRef ref)
{
	uint32_t stack = 0;

	if (crdt_item(doc, ref)->deleted)
		return;
	delete_one(doc, ref, &stack);
	while (stack != 0)
	{
		CrdtType *type = crdt_type(doc, stack);
		CrdtRef child = next_child(doc, type);

		if (child == 0)
			stack = type->next;
		else if (!crdt_item(doc, child)->deleted)
			delete_one(doc, child, &stack);
		else
			crdt_transaction_merge_later(doc, crdt_item(doc, child));
	}
}
