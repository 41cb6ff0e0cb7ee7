/*
 * clean.c: deletes format marks that an applied update made redundant (clean.h; FORMAT 8.5).
 *
 *     <b> <i> <b> x        two marks for one key before the same text: only the last one counts
 *     <b=null> x           at the start of a text nothing is bold anyway
 *
 * The deletes are a transaction of their own.  It begins before the first one's garbage is
 * collected, since a deleted mark must still be known as one, and it ends after that.
 */
#include "clean.h"

#include "any.h"
#include "integrate.h"
#include "structs.h"
#include "transaction.h"

typedef struct Cleaning
{
	CrdtDoc *doc;
	CrdtTransaction first; /* what is being cleaned up after; the document's is the second */
	uint32_t *types; /* whose first gap is cleaned */
	size_t type_count;
	size_t type_capacity;
	CrdtRef *marks; /* redundant ones of the gap at hand, from right to left */
	size_t mark_count;
	size_t mark_capacity;
	uint32_t *keys; /* seen in the gap at hand */
	size_t key_count;
	size_t key_capacity;
} Cleaning;

/* ---- one gap: the marks and deleted items between two visible contents ---- */

static bool
is_in_gap(const CrdtItem *item)
{
	return item->deleted || !crdt_item_is_countable(item);
}

/* Is the key noted already?  Notes it. */
static bool
see_key(Cleaning *cleaning, uint32_t key)
{
	for (size_t i = 0; i < cleaning->key_count; i++)
		if (cleaning->keys[i] == key)
			return true;
	if (crdt_array_reserve(&cleaning->doc->host, &cleaning->keys, &cleaning->key_capacity,
						   cleaning->key_count + 1, sizeof(uint32_t)))
		cleaning->keys[cleaning->key_count++] = key;
	return false;
}

static void
delete_mark(Cleaning *cleaning, CrdtRef ref)
{
	CrdtDoc *doc = cleaning->doc;

	if (crdt_transaction_reserve(doc, 0, 1, 0))
		crdt_item_delete(doc, ref);
}

/* Finds the redundant marks of a gap, from its last item leftwards: of those for one key the last
 * one stays, unless null goes and it is null. */
static void
find_redundant(Cleaning *cleaning, CrdtRef ref, bool null_goes)
{
	CrdtDoc *doc = cleaning->doc;

	cleaning->key_count = 0;
	cleaning->mark_count = 0;
	for (; ref != 0 && is_in_gap(crdt_item(doc, ref)); ref = crdt_item(doc, ref)->left)
	{
		const CrdtItem *item = crdt_item(doc, ref);
		const CrdtPiece *mark = item->content.piece;

		if (item->deleted || item->kind != CRDT_FORMAT_MARK)
			continue;
		if ((see_key(cleaning, mark->name) || (null_goes && mark->bytes[0] == CRDT_ANY_NULL)) &&
			crdt_array_reserve(&doc->host, &cleaning->marks, &cleaning->mark_capacity,
							   cleaning->mark_count + 1, sizeof(CrdtRef)))
			cleaning->marks[cleaning->mark_count++] = ref;
	}
}

/* The gap that a deleted item lies in. */
static void
clean_around(Cleaning *cleaning, CrdtRef ref)
{
	CrdtDoc *doc = cleaning->doc;
	CrdtRef right;

	while ((right = crdt_item(doc, ref)->right) != 0 && is_in_gap(crdt_item(doc, right)))
		ref = right;
	find_redundant(cleaning, ref, false);
	for (size_t i = 0; i < cleaning->mark_count; i++)
		delete_mark(cleaning, cleaning->marks[i]);
}

/* The gap before a text's first visible content, where nothing is in force yet. */
static void
clean_start(Cleaning *cleaning, const CrdtType *type)
{
	CrdtDoc *doc = cleaning->doc;
	CrdtRef ref = doc->lists[type->sequence].first;

	while (ref != 0 && is_in_gap(crdt_item(doc, ref)))
		ref = crdt_item(doc, ref)->right;
	if (ref == 0 || crdt_item(doc, ref)->left == 0)
		return;
	/* Yjs deletes these from left to right: undo managers see which client's went first */
	find_redundant(cleaning, crdt_item(doc, ref)->left, true);
	for (size_t i = cleaning->mark_count; i-- > 0;)
		delete_mark(cleaning, cleaning->marks[i]);
}

/* ---- which gaps ---- */

static void
choose_type(Cleaning *cleaning, uint32_t number)
{
	CrdtType *type = crdt_type(cleaning->doc, number);

	if (type->to_clean ||
		!crdt_array_reserve(&cleaning->doc->host, &cleaning->types, &cleaning->type_capacity,
							cleaning->type_count + 1, sizeof(uint32_t)))
		return;
	type->to_clean = true;
	cleaning->types[cleaning->type_count++] = number;
}

/* Texts that got marks. */
static void
choose_by_arrivals(Cleaning *cleaning)
{
	CrdtDoc *doc = cleaning->doc;

	for (size_t i = 0; i < cleaning->first.client_count; i++)
	{
		const CrdtTouched *touched = &cleaning->first.clients[i];
		CrdtClient *client = &doc->clients[touched->client];
		CrdtCursor cursor = crdt_structs_find(client, touched->state_before);

		do
		{
			const CrdtItem *item = crdt_item(doc, crdt_structs_at(client, cursor));

			if (!item->deleted && item->kind == CRDT_FORMAT_MARK)
				choose_type(cleaning, doc->lists[item->list].type);
		} while (crdt_structs_next(client, &cursor));
	}
}

static void
clean_by_deleted(Cleaning *cleaning, const CrdtDeletedRange *range)
{
	CrdtDoc *doc = cleaning->doc;
	CrdtClient *client = &doc->clients[range->client];
	CrdtCursor cursor = crdt_structs_find(client, range->clock);

	do
	{
		CrdtRef ref = crdt_structs_at(client, cursor);
		const CrdtItem *item = crdt_item(doc, ref);
		const CrdtType *type;

		if (crdt_structs_clock_at(client, cursor) >= range->clock + range->length)
			return;
		if (item->kind == CRDT_GC)
			continue;
		type = crdt_type(doc, doc->lists[item->list].type);
		if (!type->has_formatting || type->to_clean)
			continue;
		if (item->kind == CRDT_FORMAT_MARK)
			choose_type(cleaning, type->number);
		else
			clean_around(cleaning, ref);
	} while (crdt_structs_next(client, &cursor));
}

/* Was a visible text with formatting changed? */
static bool
formatting_may_be_redundant(const CrdtDoc *doc)
{
	const CrdtTransaction *transaction = &doc->transaction;

	for (size_t i = 0; i < transaction->type_count; i++)
	{
		const CrdtType *type = crdt_type(doc, transaction->types[i]);

		if (type->has_formatting && (type->kind == CRDT_TEXT || type->kind == CRDT_XML_TEXT) &&
			(type->item == 0 || (!type->gone && !crdt_item(doc, type->item)->deleted)))
			return true;
	}
	return false;
}

/* ---- the two transactions ---- */

/* Ranges of one client. */
typedef struct RangeGroup
{
	size_t start;
	size_t end;
	uint32_t rank;
} RangeGroup;

static bool
group_is_before(const void *a, const void *b)
{
	return ((const RangeGroup *) a)->rank < ((const RangeGroup *) b)->rank;
}

/* The deleted ranges, client by client in the order of their ranks: what is cleaned depends on it. */
static void
clean_by_ranges(Cleaning *cleaning)
{
	CrdtDoc *doc = cleaning->doc;
	const CrdtTransaction *first = &cleaning->first;
	RangeGroup *groups = NULL;
	size_t count = 0;
	size_t capacity = 0;

	for (size_t i = 0; i < first->deleted_count; i++)
	{
		uint32_t client = first->deleted[i].client;

		if (i > 0 && client == first->deleted[i - 1].client)
		{
			groups[count - 1].end = i + 1;
			continue;
		}
		if (!crdt_array_reserve(&doc->host, &groups, &capacity, count + 1, sizeof(RangeGroup)))
			break;
		groups[count++] = (RangeGroup){i, i + 1, doc->clients[client].rank};
	}
	crdt_sort(groups, count, sizeof(RangeGroup), group_is_before);
	for (size_t group = 0; group < count; group++)
		for (size_t i = groups[group].start; i < groups[group].end; i++)
			clean_by_deleted(cleaning, &first->deleted[i]);
	crdt_array_free(&doc->host, &groups, &capacity, sizeof(RangeGroup));
}

static void
clean(CrdtDoc *doc, void *context)
{
	Cleaning *cleaning = context;

	choose_by_arrivals(cleaning);
	clean_by_ranges(cleaning);
	for (size_t i = 0; i < cleaning->type_count; i++)
	{
		crdt_type(doc, cleaning->types[i])->to_clean = false;
		clean_start(cleaning, crdt_type(doc, cleaning->types[i]));
	}
	crdt_array_free(&doc->host, &cleaning->types, &cleaning->type_capacity, sizeof(uint32_t));
	crdt_array_free(&doc->host, &cleaning->keys, &cleaning->key_capacity, sizeof(uint32_t));
	crdt_array_free(&doc->host, &cleaning->marks, &cleaning->mark_capacity, sizeof(CrdtRef));
}

void
crdt_clean(CrdtDoc *doc)
{
	Cleaning cleaning = {.doc = doc, .first = doc->transaction};

	if (formatting_may_be_redundant(doc))
		(void) !crdt_transaction_nest(doc, clean, &cleaning);
}
