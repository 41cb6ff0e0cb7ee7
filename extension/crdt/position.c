/*
 * position.c: relative positions (position.h; FORMAT 5.4).
 */
#include "position.h"

#include <string.h>

#include "any.h"
#include "index.h"
#include "redone.h"
#include "structs.h"
#include "tables.h"

enum
{
	KIND_ITEM,
	KIND_ROOT,
	KIND_TYPE
};

/* ---- finding ---- */

static void
set_item(const CrdtDoc *doc, const CrdtItem *item, uint64_t unit, CrdtPosition *position)
{
	CrdtPlace place = crdt_unpack(doc, item->id);

	position->has_item = true;
	position->item_client = doc->clients[place.client].id;
	position->item_clock = place.clock + unit;
}

static void
set_type(const CrdtDoc *doc, const CrdtType *type, CrdtPosition *position)
{
	CrdtPlace place;

	if (type->item == 0)
	{
		position->has_root = true;
		position->root = crdt_name(doc, type->name);
		return;
	}
	place = crdt_unpack(doc, crdt_item(doc, type->item)->id);
	position->has_type = true;
	position->type_client = doc->clients[place.client].id;
	position->type_clock = place.clock;
}

CrdtStatus
crdt_position_find(CrdtDoc *doc, const CrdtType *type, uint64_t index, int64_t assoc,
				   CrdtPosition *position, CrdtError *error)
{
	const CrdtList *list = &doc->lists[type->sequence];
	CrdtIndexPlace start;

	*position = (CrdtPosition){.assoc = assoc};
	if (type->gone)
		return crdt_error_set(error, CRDT_INVALID, 0, "the type was deleted");
	set_type(doc, type, position);
	if (assoc < 0 && index-- == 0)
		return CRDT_OK;
	if (index >= list->length)
	{
		/* behind the last element, deleted or not */
		if (assoc < 0 && list->last != 0)
			set_item(doc, crdt_item(doc, list->last),
					 crdt_item_length(crdt_item(doc, list->last)) - 1, position);
		return CRDT_OK;
	}
	start = crdt_index_seek(doc, type->sequence, index + 1, NULL, NULL);
	index -= start.units;
	for (CrdtRef ref = start.item; ref != 0; ref = crdt_item(doc, ref)->right)
	{
		const CrdtItem *item = crdt_item(doc, ref);

		if (item->deleted || !crdt_item_is_countable(item))
			continue;
		if (index < item->length)
		{
			set_item(doc, item, index, position);
			break;
		}
		index -= item->length;
	}
	return CRDT_OK;
}

/* ---- writing and reading ---- */

CrdtStatus
crdt_position_write(const CrdtPosition *position, CrdtBuffer *out, CrdtError *error)
{
	size_t size_before = out->size;
	uint64_t magnitude = (uint64_t) (position->assoc < 0 ? -position->assoc : position->assoc);

	if (position->has_item)
	{
		crdt_write_varuint(out, KIND_ITEM);
		crdt_write_varuint(out, position->item_client);
		crdt_write_varuint(out, position->item_clock);
	}
	else if (position->has_root)
	{
		crdt_write_varuint(out, KIND_ROOT);
		crdt_write_string(out, position->root);
	}
	else if (position->has_type)
	{
		crdt_write_varuint(out, KIND_TYPE);
		crdt_write_varuint(out, position->type_client);
		crdt_write_varuint(out, position->type_clock);
	}
	else
		return crdt_error_set(error, CRDT_INVALID, 0, "the position names nothing");
	crdt_write_varint(out, (CrdtVarint){magnitude, position->assoc < 0});
	if (!out->failed)
		return CRDT_OK;
	out->size = size_before;
	out->failed = false;
	return crdt_error_no_memory(error);
}

CrdtStatus
crdt_position_read(CrdtBytes bytes, CrdtPosition *position, CrdtError *error)
{
	CrdtReader reader;
	CrdtVarint assoc = {0, false};

	*position = (CrdtPosition){0};
	crdt_reader_open(&reader, bytes);
	switch (crdt_read_varuint(&reader))
	{
		case KIND_ITEM:
			position->has_item = true;
			position->item_client = crdt_read_varuint(&reader);
			position->item_clock = crdt_read_varuint(&reader);
			break;
		case KIND_ROOT:
			position->has_root = true;
			position->root = crdt_read_string(&reader);
			break;
		case KIND_TYPE:
			position->has_type = true;
			position->type_client = crdt_read_varuint(&reader);
			position->type_clock = crdt_read_varuint(&reader);
			break;
		default: break; /* in Yjs a position that names nothing */
	}
	if (crdt_reader_left(&reader) > 0)
		assoc = crdt_read_varint(&reader);
	position->assoc = assoc.negative ? -(int64_t) assoc.magnitude : (int64_t) assoc.magnitude;
	if (crdt_reader_failed(&reader) && error != NULL)
		*error = reader.error;
	return reader.error.status;
}

static void
write_number(CrdtBuffer *out, double number)
{
	crdt_write_number(out, number);
}

/* "item":{"client":1,"clock":4}, */
static void
write_id(CrdtBuffer *out, CrdtBytes key, uint64_t client, uint64_t clock)
{
	crdt_write_json_string(out, key, true);
	crdt_write_bytes(out, CRDT_LITERAL(":{\"client\":"));
	write_number(out, (double) client);
	crdt_write_bytes(out, CRDT_LITERAL(",\"clock\":"));
	write_number(out, (double) clock);
	crdt_write_bytes(out, CRDT_LITERAL("},"));
}

CrdtStatus
crdt_position_write_json(const CrdtPosition *position, CrdtBuffer *out, CrdtError *error)
{
	size_t size_before = out->size;

	crdt_write_u8(out, '{');
	if (position->has_type)
		write_id(out, CRDT_LITERAL("type"), position->type_client, position->type_clock);
	if (position->has_root && position->root.size > 0) /* "" is nothing to JavaScript */
	{
		crdt_write_bytes(out, CRDT_LITERAL("\"tname\":"));
		crdt_write_json_string(out, position->root, true);
		crdt_write_u8(out, ',');
	}
	if (position->has_item)
		write_id(out, CRDT_LITERAL("item"), position->item_client, position->item_clock);
	crdt_write_bytes(out, CRDT_LITERAL("\"assoc\":"));
	write_number(out, (double) position->assoc);
	crdt_write_u8(out, '}');
	if (!out->failed)
		return CRDT_OK;
	out->size = size_before;
	out->failed = false;
	return crdt_error_no_memory(error);
}

/* ---- resolving ---- */

/* The newest item that holds what is at the place, and which unit of it; 0: it is unknown. */
static CrdtRef
follow(CrdtDoc *doc, uint64_t client, uint64_t clock, uint64_t *unit)
{
	uint32_t number = crdt_client_find(doc, client);
	CrdtPlace place = {clock, number};
	CrdtRef ref;
	CrdtPackedId redone;

	if (number == CRDT_NO_CLIENT || clock >= doc->clients[number].state)
		return 0;
	for (;;)
	{
		ref = crdt_structs_get(doc, place);
		*unit = place.clock - crdt_unpack(doc, crdt_item(doc, ref)->id).clock;
		redone = crdt_redone_find(doc, ref);
		if (redone == CRDT_PACKED_NONE)
			return ref;
		place = crdt_unpack(doc, redone);
		place.clock += *unit;
	}
}

static void
resolve_item(CrdtDoc *doc, const CrdtPosition *position, CrdtAbsolutePosition *place)
{
	uint64_t unit;
	CrdtRef ref = follow(doc, position->item_client, position->item_clock, &unit);
	const CrdtItem *item = ref == 0 ? NULL : crdt_item(doc, ref);
	const CrdtType *type;

	if (item == NULL || item->kind == CRDT_GC)
		return;
	type = crdt_type(doc, doc->lists[item->list].type);
	place->type = type;
	if (type->item != 0 && crdt_item(doc, type->item)->deleted)
		return;
	if (!item->deleted && crdt_item_is_countable(item))
		place->index = unit + (position->assoc >= 0 ? 0 : 1);
	if (doc->lists[item->list].key == 0)
		place->index += crdt_index_units_before(doc, item->list, ref);
}

/* The nested type that the item at the place holds; NULL: none. */
static const CrdtType *
resolve_type(CrdtDoc *doc, const CrdtPosition *position)
{
	uint64_t unit;
	CrdtRef ref = follow(doc, position->type_client, position->type_clock, &unit);

	return ref == 0 || crdt_item(doc, ref)->kind != CRDT_TYPE
			   ? NULL
			   : crdt_item_type(doc, crdt_item(doc, ref));
}

CrdtStatus
crdt_position_resolve(CrdtDoc *doc, const CrdtPosition *position, CrdtAbsolutePosition *place,
					  CrdtError *error)
{
	uint32_t name;
	uint32_t root;

	*place = (CrdtAbsolutePosition){NULL, 0, position->assoc};
	if (position->has_item)
	{
		resolve_item(doc, position, place);
		return CRDT_OK;
	}
	if (position->has_root)
	{
		/* as in Yjs a root that nobody has mentioned is there from now on */
		if (!crdt_name_add(doc, position->root, &name) || !crdt_root_add(doc, name, &root))
			return crdt_error_no_memory(error);
		place->type = crdt_type(doc, root);
	}
	else if (position->has_type)
		place->type = resolve_type(doc, position);
	else
		return crdt_error_set(error, CRDT_INVALID, 0, "the position names nothing");
	if (place->type != NULL && position->assoc >= 0)
		place->index = crdt_doc_length(doc, place->type);
	return CRDT_OK;
}
