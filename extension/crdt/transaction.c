/*
 * transaction.c: the end of a transaction: garbage collection and merging (FORMAT 8.1 to 8.4).
 *
 * Here: what Yjs calls tryGc and tryMerge.  Not here: formatting clean-up (clean.c), which is a
 * transaction of its own.
 */
#include "transaction.h"

#include <string.h>

#include "clean.h"
#include "content.h"
#include "index.h"
#include "integrate.h"
#include "redone.h"
#include "structs.h"
#include "tables.h"
#include "undoing.h"

/* Larger arrays than this are given back when the transaction ends. */
#define ARRAY_KEPT 256

/* ---- noting ---- */

void
crdt_transaction_touch_first(CrdtDoc *doc, uint32_t number)
{
	CrdtTransaction *transaction = &doc->transaction;
	CrdtClient *client = &doc->clients[number];

	transaction->changed = true;
	doc->edited_since_apply |= doc->edit_depth > 0;
	client->in_transaction = true;
	client->state_before = client->state;
	transaction->clients[transaction->client_count++] = (CrdtTouched){client->state, number};
}

void
crdt_transaction_add_deleted(CrdtDoc *doc, const CrdtItem *item)
{
	CrdtTransaction *transaction = &doc->transaction;
	CrdtPlace place = crdt_unpack(doc, item->id);
	CrdtClient *client = &doc->clients[place.client];

	transaction->changed = true;
	if (client->deleted_at < transaction->deleted_count)
	{
		CrdtDeletedRange *last = &transaction->deleted[client->deleted_at];

		if (last->client == place.client && last->clock + last->length == place.clock)
		{
			last->length += crdt_item_length(item);
			return;
		}
	}
	client->deleted_at = (uint32_t) transaction->deleted_count;
	transaction->deleted[transaction->deleted_count++] =
		(CrdtDeletedRange){place.clock, crdt_item_length(item), place.client};
}

void
crdt_transaction_note_type(CrdtDoc *doc, uint32_t number)
{
	CrdtType *type = crdt_type(doc, number);

	if (type->changed)
		return;
	if (type->item != 0)
	{
		const CrdtItem *holder = crdt_item(doc, type->item);
		CrdtPlace place = crdt_unpack(doc, holder->id);
		const CrdtClient *client = &doc->clients[place.client];

		if (holder->deleted || (client->in_transaction && place.clock >= client->state_before))
			return;
	}
	type->changed = true;
	doc->transaction.types[doc->transaction.type_count++] = number;
}

void
crdt_transaction_merge_later(CrdtDoc *doc, const CrdtItem *item)
{
	CrdtPlace place = crdt_unpack(doc, item->id);
	const CrdtClient *client = &doc->clients[place.client];

	if (!client->in_transaction || place.clock < client->state_before)
		doc->transaction.to_merge[doc->transaction.to_merge_count++] = item->id;
}

bool
crdt_transaction_reserve(CrdtDoc *doc, uint64_t clients, uint64_t deleted, uint64_t to_merge)
{
	CrdtTransaction *transaction = &doc->transaction;

	if (clients > SIZE_MAX / 64 || deleted > SIZE_MAX / 64 || to_merge > SIZE_MAX / 64)
		return false;
	return crdt_array_reserve(&doc->host, &transaction->clients, &transaction->client_capacity,
							  transaction->client_count + (size_t) clients, sizeof(CrdtTouched)) &&
		   crdt_array_reserve(&doc->host, &transaction->deleted, &transaction->deleted_capacity,
							  transaction->deleted_count + (size_t) deleted,
							  sizeof(CrdtDeletedRange)) &&
		   crdt_array_reserve(&doc->host, &transaction->to_merge, &transaction->to_merge_capacity,
							  transaction->to_merge_count + (size_t) to_merge,
							  sizeof(CrdtPackedId)) &&
		   (!doc->notes_changes ||
			crdt_array_reserve(&doc->host, &transaction->types, &transaction->type_capacity,
							   transaction->type_count + (size_t) deleted, sizeof(uint32_t)));
}

/* ---- the delete set, sorted and merged (8.1) ---- */

static bool
range_is_before(const void *a, const void *b)
{
	const CrdtDeletedRange *left = a;
	const CrdtDeletedRange *right = b;

	return left->client != right->client ? left->client < right->client
										 : left->clock < right->clock;
}

void
crdt_transaction_sort_deleted(CrdtDoc *doc)
{
	CrdtTransaction *transaction = &doc->transaction;
	CrdtDeletedRange *ranges = transaction->deleted;
	size_t kept = 0;

	crdt_sort(ranges, transaction->deleted_count, sizeof(*ranges), range_is_before);
	for (size_t i = 1; i < transaction->deleted_count; i++)
	{
		if (ranges[kept].client == ranges[i].client &&
			ranges[kept].clock + ranges[kept].length >= ranges[i].clock)
		{
			uint64_t end = ranges[i].clock + ranges[i].length;

			if (end > ranges[kept].clock + ranges[kept].length)
				ranges[kept].length = end - ranges[kept].clock;
		}
		else
			ranges[++kept] = ranges[i];
	}
	if (transaction->deleted_count > 0)
		transaction->deleted_count = kept + 1;
}

/* ---- garbage collection (8.3) ---- */

/* A child of a collected type: only its place remains. */
static void
collect_child(CrdtDoc *doc, CrdtRef ref, uint32_t *stack)
{
	CrdtItem *item = crdt_item(doc, ref);

	if (item->kind == CRDT_TYPE)
	{
		CrdtType *type = crdt_type(doc, item->content.type);

		type->next = *stack;
		*stack = type->number;
	}
	crdt_content_drop(doc, item);
	crdt_redone_remove(doc, ref);
	item->kind = CRDT_GC;
	item->list = 0;
	item->deleted = 1;
	doc->nested_items--;
}

static void
collect_list(CrdtDoc *doc, uint32_t number, uint32_t *stack)
{
	CrdtList *list = &doc->lists[number];
	CrdtRef ref = list->first;

	while (ref != 0)
	{
		CrdtRef next = crdt_item(doc, ref)->right;

		collect_child(doc, ref, stack);
		ref = next;
	}
	crdt_index_drop(doc, number);
	list->first = 0;
	list->last = 0;
	list->length = 0;
}

static void
collect_item(CrdtDoc *doc, CrdtItem *item)
{
	uint32_t stack = 0;

	if (item->kind == CRDT_TYPE)
	{
		stack = item->content.type;
		crdt_type(doc, stack)->next = 0;
		doc->keyed_types -= doc->lists[item->list].key != 0;
	}
	crdt_content_drop(doc, item);
	while (stack != 0)
	{
		CrdtType *type = crdt_type(doc, stack);
		uint32_t key = type->first_key;

		stack = type->next;
		type->gone = true;
		collect_list(doc, type->sequence, &stack);
		for (; key != 0; key = doc->lists[key].next_key)
			collect_list(doc, key, &stack);
	}
}

static void
collect_range(CrdtDoc *doc, const CrdtDeletedRange *range)
{
	CrdtClient *client = &doc->clients[range->client];
	CrdtCursor cursor = crdt_structs_find(client, range->clock);

	do
	{
		CrdtItem *item = crdt_item(doc, crdt_structs_at(client, cursor));

		if (crdt_structs_clock_at(client, cursor) >= range->clock + range->length)
			return;
		if (item->kind != CRDT_GC && item->kind != CRDT_DELETED && item->deleted && !item->keep)
			collect_item(doc, item);
	} while (crdt_structs_next(client, &cursor));
}

/* ---- merging (8.4) ---- */

static bool
items_can_merge(const CrdtDoc *doc, CrdtRef left_ref, const CrdtItem *left, const CrdtItem *right)
{
	CrdtPlace origin;
	CrdtPlace start;

	if (left->right == 0 || right->left != left_ref || right->origin == CRDT_PACKED_NONE)
		return false;
	if (left->list != right->list || !crdt_ids_equal(doc, left->right_origin, right->right_origin))
		return false;
	if (doc->redone.count > 0 && (crdt_redone_find(doc, left_ref) != CRDT_PACKED_NONE ||
								  crdt_redone_find(doc, left->right) != CRDT_PACKED_NONE))
		return false;
	origin = crdt_unpack(doc, right->origin);
	start = crdt_unpack(doc, left->id);
	return origin.client == start.client &&
		   origin.clock == start.clock + crdt_item_length(left) - 1;
}

/* Joins right to its left neighbour by clock; false: they stay two. */
static bool
merge_pair(CrdtDoc *doc, CrdtRef left_ref, CrdtRef right_ref)
{
	CrdtItem *left = crdt_item(doc, left_ref);
	CrdtItem *right = crdt_item(doc, right_ref);

	if (left->kind != right->kind || left->deleted != right->deleted)
		return false;
	if (left->kind == CRDT_GC)
		left->content.length += right->content.length;
	else
	{
		CrdtRef next = right->right;

		if (!items_can_merge(doc, left_ref, left, right) || left->right != right_ref ||
			!crdt_content_merge(doc, left, right))
			return false;
		if (doc->lists[left->list].index != 0)
			crdt_index_joining(doc, left_ref, right_ref);
		left->keep |= right->keep;
		left->right = next;
		if (next != 0)
			crdt_item(doc, next)->left = left_ref;
		else
			doc->lists[left->list].last = left_ref;
		doc->nested_items -= crdt_type(doc, doc->lists[left->list].type)->item != 0;
	}
	crdt_pool_release(&doc->items, right_ref);
	return true;
}

/* Joins the struct at cursor with those before it as far as it goes.  Cursor then stands on the
 * one that has taken them up; returns how many were. */
static uint64_t
merge_lefts(CrdtDoc *doc, uint32_t number, CrdtCursor *cursor)
{
	const CrdtClient *client = &doc->clients[number];
	CrdtRef right = crdt_structs_at(client, *cursor);
	CrdtCursor before = *cursor;
	uint64_t merged = 0;

	while (crdt_structs_previous(client, &before))
	{
		CrdtRef left = crdt_structs_at(client, before);

		if (!merge_pair(doc, left, right))
			break;
		crdt_structs_remove(doc, number, cursor);
		before = *cursor;
		right = left;
		merged++;
	}
	return merged;
}

/* From cursor leftwards to the struct that contains clock; the very first struct has no left. */
static void
merge_down_to(CrdtDoc *doc, uint32_t number, CrdtCursor cursor, uint64_t clock)
{
	const CrdtClient *client = &doc->clients[number];

	while (crdt_structs_clock_at(client, cursor) >= clock)
	{
		merge_lefts(doc, number, &cursor);
		if (!crdt_structs_previous(client, &cursor))
			return;
	}
}

static void
merge_range(CrdtDoc *doc, const CrdtDeletedRange *range)
{
	CrdtClient *client = &doc->clients[range->client];
	CrdtCursor cursor = crdt_structs_find(client, range->clock + range->length - 1);

	(void) crdt_structs_next(client, &cursor);
	merge_down_to(doc, range->client, cursor, range->clock);
}

/* What came with the transaction is left to merge_appended: whether two neighbours can be joined does
 * not depend on what they were joined with before. */
static void
merge_deleted(CrdtDoc *doc)
{
	const CrdtTransaction *transaction = &doc->transaction;

	/* transactions that began and ended since have noted states of their own */
	for (size_t i = 0; i < transaction->client_count; i++)
	{
		CrdtClient *client = &doc->clients[transaction->clients[i].client];

		client->in_transaction = true;
		client->state_before = transaction->clients[i].state_before;
	}
	for (size_t i = transaction->deleted_count; i-- > 0;)
	{
		const CrdtClient *client = &doc->clients[transaction->deleted[i].client];

		if (!client->in_transaction || transaction->deleted[i].clock < client->state_before)
			merge_range(doc, &transaction->deleted[i]);
	}
	for (size_t i = 0; i < transaction->client_count; i++)
		doc->clients[transaction->clients[i].client].in_transaction = false;
}

static void
merge_appended(CrdtDoc *doc, const CrdtTouched *touched)
{
	CrdtClient *client = &doc->clients[touched->client];
	CrdtCursor first = crdt_structs_find(client, touched->state_before);

	merge_down_to(doc, touched->client, crdt_structs_last(client),
				  crdt_structs_clock_at(client, first));
}

static void
merge_split(CrdtDoc *doc, CrdtPackedId id)
{
	CrdtPlace place = crdt_unpack(doc, id);
	CrdtClient *client = &doc->clients[place.client];
	CrdtCursor cursor = crdt_structs_find(client, place.clock);
	CrdtCursor next = cursor;

	if (crdt_structs_next(client, &next))
	{
		uint64_t merged = merge_lefts(doc, place.client, &next);

		if (merged > 1)
			return;
		cursor = crdt_structs_find(client, place.clock);
	}
	merge_lefts(doc, place.client, &cursor);
}

/* ---- the end ---- */

static bool
is_empty(const CrdtTransaction *transaction)
{
	return transaction->client_count == 0 && transaction->deleted_count == 0;
}

/* Everything that exists is older than the next transaction. */
static void
close_body(CrdtDoc *doc)
{
	CrdtTransaction *transaction = &doc->transaction;

	for (size_t i = 0; i < transaction->client_count; i++)
		doc->clients[transaction->clients[i].client].in_transaction = false;
	for (size_t i = 0; i < transaction->type_count; i++)
		crdt_type(doc, transaction->types[i])->changed = false;
}

/* Notes which client the transaction deleted something of first, second ...; before that is sorted:
 * what cleaning and undoing do depends on it. */
static void
rank_clients(CrdtDoc *doc)
{
	uint32_t rank = 0;

	for (size_t i = 0; i < doc->transaction.deleted_count; i++)
	{
		CrdtClient *client = &doc->clients[doc->transaction.deleted[i].client];

		if (client->rank == 0)
			client->rank = ++rank;
	}
}

static void
forget_ranks(CrdtDoc *doc)
{
	for (size_t i = 0; i < doc->transaction.deleted_count; i++)
		doc->clients[doc->transaction.deleted[i].client].rank = 0;
}

static void
collect_and_merge(CrdtDoc *doc)
{
	CrdtTransaction *transaction = &doc->transaction;

	if (!doc->options.keep_deleted && transaction->has_garbage)
		for (size_t i = transaction->deleted_count; i-- > 0;)
			collect_range(doc, &transaction->deleted[i]);
	if (transaction->deleted_count > 0)
		merge_deleted(doc);
	for (size_t i = 0; i < transaction->client_count; i++)
		merge_appended(doc, &transaction->clients[i]);
	for (size_t i = transaction->to_merge_count; i-- > 0;)
		merge_split(doc, transaction->to_merge[i]);
}

static void
tell_observer(CrdtDoc *doc)
{
	CrdtTransaction *transaction = &doc->transaction;
	CrdtChange change = {transaction->local, transaction->origin};

	if (doc->options.after_transaction == NULL || is_empty(transaction))
		return;
	transaction->is_ending = true;
	doc->options.after_transaction(doc->options.context, doc, &change);
	transaction->is_ending = false;
}

/* Makes the document's transaction an empty one. */
static void
forget(CrdtDoc *doc)
{
	CrdtTransaction *transaction = &doc->transaction;

	transaction->client_count = 0;
	transaction->deleted_count = 0;
	transaction->to_merge_count = 0;
	transaction->type_count = 0;
	transaction->changed = false;
	transaction->has_garbage = false;
	transaction->local = false;
	transaction->origin = NULL;
	if (transaction->client_capacity > ARRAY_KEPT || transaction->deleted_capacity > ARRAY_KEPT ||
		transaction->to_merge_capacity > ARRAY_KEPT)
		crdt_transaction_free(doc);
}

/* The transaction that waits longest becomes the document's; false: none waits. */
static bool
take_queued(CrdtDoc *doc)
{
	if (doc->queue_count == 0)
		return false;
	crdt_transaction_free(doc);
	doc->transaction = doc->queue[0];
	doc->queue_count--;
	memmove(doc->queue, doc->queue + 1, doc->queue_count * sizeof(CrdtTransaction));
	return true;
}

void
crdt_transaction_end(CrdtDoc *doc)
{
	do
	{
		close_body(doc);
		if (doc->notes_changes)
			rank_clients(doc);
		crdt_transaction_sort_deleted(doc);
		if (doc->undos != NULL)
			crdt_undos_note(doc);
		if (doc->options.clean_formatting && !doc->transaction.local)
			crdt_clean(doc);
		if (doc->notes_changes)
			forget_ranks(doc);
		collect_and_merge(doc);
		tell_observer(doc);
		forget(doc);
	} while (take_queued(doc));
	crdt_leaves_trim(doc);
	crdt_pool_trim(&doc->host, &doc->items);
	crdt_pool_trim(&doc->host, &doc->pieces);
}

bool
crdt_transaction_nest(CrdtDoc *doc, void (*body)(CrdtDoc *doc, void *context), void *context)
{
	CrdtTransaction outer = doc->transaction;

	if (!crdt_array_reserve(&doc->host, &doc->queue, &doc->queue_capacity, doc->queue_count + 1,
							sizeof(CrdtTransaction)))
		return false;
	doc->transaction = (CrdtTransaction){.local = true};
	body(doc, context);
	close_body(doc);
	doc->queue[doc->queue_count++] = doc->transaction;
	doc->transaction = outer;
	return true;
}

void
crdt_transaction_free(CrdtDoc *doc)
{
	CrdtTransaction *transaction = &doc->transaction;

	crdt_array_free(&doc->host, &transaction->clients, &transaction->client_capacity,
					sizeof(CrdtTouched));
	crdt_array_free(&doc->host, &transaction->deleted, &transaction->deleted_capacity,
					sizeof(CrdtDeletedRange));
	crdt_array_free(&doc->host, &transaction->to_merge, &transaction->to_merge_capacity,
					sizeof(CrdtPackedId));
	crdt_array_free(&doc->host, &transaction->types, &transaction->type_capacity, sizeof(uint32_t));
}
