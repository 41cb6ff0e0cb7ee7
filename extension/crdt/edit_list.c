/*
 * edit_list.c: edits of lists, and of maps and attributes (edit.h; FORMAT 10.1, 10.2, 10.5).
 */
#include "edit.h"

#include "editing.h"
#include "index.h"
#include "structs.h"
#include "tables.h"

/* ---- adding ---- */

static CrdtRef
right_of(const CrdtDoc *doc, uint32_t list, CrdtRef left)
{
	return left != 0 ? crdt_item(doc, left)->right : doc->lists[list].first;
}

CrdtRef
crdt_editing_add_elements(CrdtEditing *edit, uint32_t list, CrdtRef left,
						  const CrdtPrepared *elements, size_t count)
{
	CrdtRef right = right_of(edit->doc, list, left);

	for (size_t i = 0; i < count && !crdt_editing_failed(edit); i++)
		left = crdt_editing_add(edit, list, left, right, &elements[i]);
	return left;
}

/* A place in a list: behind left, or inside it. */
typedef struct ListPlace
{
	CrdtRef left; /* 0: at the start */
	uint64_t cut; /* units of left before the place; 0: all of it */
} ListPlace;

/* Right behind the element before index, which is at most the length. */
static ListPlace
find_place(CrdtDoc *doc, uint32_t list, uint64_t index)
{
	CrdtIndexPlace start = crdt_index_seek(doc, list, index, NULL, NULL);
	CrdtRef ref = index == 0 ? 0 : start.item;

	index -= start.units;
	for (; ref != 0; ref = crdt_item(doc, ref)->right)
	{
		const CrdtItem *item = crdt_item(doc, ref);

		if (item->deleted || !crdt_item_is_countable(item))
			continue;
		if (index <= item->length)
			return (ListPlace){ref, index < item->length ? index : 0};
		index -= item->length;
	}
	return (ListPlace){0, 0};
}

static bool
holds_only_xml(const CrdtEditing *edit)
{
	uint8_t kind = crdt_type(edit->doc, edit->type)->kind;

	return kind == CRDT_XML_FRAGMENT || kind == CRDT_XML_ELEMENT;
}

static void
insert_at(CrdtEditing *edit, ListPlace place, const CrdtInput *inputs, size_t count)
{
	uint32_t list = crdt_type(edit->doc, edit->type)->sequence;
	CrdtPrepared *elements;
	size_t element_count;

	if (place.cut > 0)
		crdt_editing_need_cut(edit, place.left);
	crdt_prepare_elements(edit, inputs, count, holds_only_xml(edit), &elements, &element_count);
	if (!crdt_editing_reserve(edit))
		return;
	if (place.cut > 0)
		crdt_editing_cut(edit, place.left, place.cut);
	(void) crdt_editing_add_elements(edit, list, place.left, elements, element_count);
}

CrdtStatus
crdt_list_insert(CrdtDoc *doc, const CrdtType *type, uint64_t index, const CrdtInput *inputs,
				 size_t count, CrdtError *error)
{
	CrdtEditing edit;

	if (crdt_editing_open(&edit, doc, type, CRDT_ACCEPTS_LIST, error))
	{
		uint64_t length = doc->lists[type->sequence].length;

		if (index > length)
			crdt_editing_fail(&edit, CRDT_INVALID, "index %llu is beyond the length, %llu",
							  (unsigned long long) index, (unsigned long long) length);
		else
			insert_at(&edit, find_place(doc, type->sequence, index), inputs, count);
	}
	return crdt_editing_close(&edit);
}

CrdtStatus
crdt_list_push(CrdtDoc *doc, const CrdtType *type, const CrdtInput *inputs, size_t count,
			   CrdtError *error)
{
	CrdtEditing edit;

	/* Yjs's XML types have no push of their own: theirs is an insert at the length */
	if (type != NULL && (type->kind == CRDT_XML_FRAGMENT || type->kind == CRDT_XML_ELEMENT))
		return crdt_list_insert(doc, type, doc->lists[type->sequence].length, inputs, count, error);
	if (crdt_editing_open(&edit, doc, type, CRDT_ACCEPTS_LIST, error))
		insert_at(&edit, (ListPlace){doc->lists[type->sequence].last, 0}, inputs, count);
	return crdt_editing_close(&edit);
}

CrdtStatus
crdt_list_insert_after(CrdtDoc *doc, const CrdtType *type, const CrdtType *child,
					   const CrdtInput *inputs, size_t count, CrdtError *error)
{
	CrdtEditing edit;

	if (crdt_editing_open(&edit, doc, type, CRDT_ACCEPTS_LIST, error))
	{
		CrdtRef left = child == NULL || child->gone ? 0 : child->item;

		if (child != NULL && (left == 0 || crdt_item(doc, left)->list != type->sequence))
			crdt_editing_fail(&edit, CRDT_INVALID, "the child is not in the list");
		else
			insert_at(&edit, (ListPlace){left, 0}, inputs, count);
	}
	return crdt_editing_close(&edit);
}

/* ---- deleting ---- */

/* Counts what deleting length units from ref on takes, its first skipped units staying; what is
 * left of length at the end of the list. */
static uint64_t
count_deleted(CrdtEditing *edit, CrdtRef ref, uint64_t skipped, uint64_t length)
{
	for (; ref != 0 && length > 0; ref = crdt_item(edit->doc, ref)->right)
	{
		const CrdtItem *item = crdt_item(edit->doc, ref);
		uint64_t units;

		if (item->deleted)
			continue;
		units = item->length - skipped;
		if (skipped > 0)
			crdt_editing_need_cut(edit, ref);
		if (length < units)
			crdt_editing_need_cut(edit, ref);
		edit->needs.deleted++;
		edit->needs.deep |= item->kind == CRDT_TYPE;
		length -= units < length ? units : length;
		skipped = 0;
	}
	return length;
}

static void
delete_from(CrdtEditing *edit, CrdtRef ref, uint64_t length)
{
	while (ref != 0 && length > 0 && !crdt_editing_failed(edit))
	{
		CrdtItem *item = crdt_item(edit->doc, ref);

		if (!item->deleted)
		{
			if (length < item->length)
				crdt_editing_cut(edit, ref, length);
			length -= item->length;
			crdt_editing_delete(edit, ref);
		}
		ref = crdt_item(edit->doc, ref)->right;
	}
}

CrdtStatus
crdt_list_delete(CrdtDoc *doc, const CrdtType *type, uint64_t index, uint64_t length,
				 CrdtError *error)
{
	CrdtEditing edit;

	if (crdt_editing_open(&edit, doc, type, CRDT_ACCEPTS_LIST, error))
	{
		uint64_t had = doc->lists[type->sequence].length;
		ListPlace place;
		CrdtRef first;

		if (index > had || length > had - index)
			crdt_editing_fail(
				&edit, CRDT_INVALID, "%llu elements from %llu on are more than there are, %llu",
				(unsigned long long) length, (unsigned long long) index, (unsigned long long) had);
		else if (length > 0)
		{
			place = find_place(doc, type->sequence, index);
			first = place.cut > 0 ? place.left : right_of(doc, type->sequence, place.left);
			(void) count_deleted(&edit, first, place.cut, length);
			if (crdt_editing_reserve(&edit))
			{
				if (place.cut > 0)
					crdt_editing_cut(&edit, place.left, place.cut);
				delete_from(&edit, right_of(doc, type->sequence, place.left), length);
			}
		}
	}
	return crdt_editing_close(&edit);
}

/* ---- maps ---- */

void
crdt_editing_set(CrdtEditing *edit, uint32_t type, const CrdtPreparedEntry *entry)
{
	uint32_t list;

	edit->needs.lists++;
	edit->needs.deep = true; /* the old value may be a type */
	if (!crdt_editing_reserve(edit))
		return;
	list = crdt_list_add(edit->doc, type, entry->key);
	(void) crdt_editing_add(edit, list, edit->doc->lists[list].last, 0, &entry->value);
}

CrdtStatus
crdt_map_set(CrdtDoc *doc, const CrdtType *type, CrdtBytes key, const CrdtInput *value,
			 CrdtError *error)
{
	CrdtEditing edit;

	if (crdt_editing_open(&edit, doc, type, CRDT_ACCEPTS_MAP, error))
	{
		CrdtPreparedEntry entry;

		crdt_prepare_name(&edit, key, &entry.key);
		crdt_prepare_value(&edit, value, &entry.value);
		edit.needs.lists++;
		if (crdt_editing_reserve(&edit))
			crdt_editing_set(&edit, type->number, &entry);
	}
	return crdt_editing_close(&edit);
}

CrdtStatus
crdt_map_delete(CrdtDoc *doc, const CrdtType *type, CrdtBytes key, CrdtError *error)
{
	CrdtEditing edit;

	if (crdt_editing_open(&edit, doc, type, CRDT_ACCEPTS_MAP, error))
	{
		uint32_t name = crdt_name_find(doc, key.data == NULL ? CRDT_LITERAL("") : key);
		uint32_t list = name == 0 ? 0 : crdt_list_find(doc, type->number, name);

		if (list != 0 && doc->lists[list].last != 0)
			crdt_editing_delete(&edit, doc->lists[list].last);
	}
	return crdt_editing_close(&edit);
}

CrdtStatus
crdt_map_clear(CrdtDoc *doc, const CrdtType *type, CrdtError *error)
{
	CrdtEditing edit;

	if (crdt_editing_open(&edit, doc, type, CRDT_ACCEPTS_MAP, error))
	{
		edit.needs.deep = true;
		for (uint32_t key = type->first_key; key != 0; key = doc->lists[key].next_key)
			edit.needs.deleted++;
		if (crdt_editing_reserve(&edit))
			for (uint32_t key = type->first_key; key != 0; key = doc->lists[key].next_key)
				if (doc->lists[key].last != 0)
					crdt_editing_delete(&edit, doc->lists[key].last);
	}
	return crdt_editing_close(&edit);
}
