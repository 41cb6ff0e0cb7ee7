/*
 * inspect.c: shows what is in an update, struct by struct (update.h).
 *
 * Here: wire.h's records as a stranger may read them.  Not here: whether the update is valid, which
 * diff.c finds out before anything is shown.
 */
#include "update.h"

#include "any.h"
#include "wire.h"

/* Structs shown between two questions whether to go on. */
#define CANCEL_INTERVAL 4096

typedef struct Inspection
{
	CrdtUpdateReader reader;
	CrdtArena values; /* of one struct */
	CrdtArena kept; /* the reader's */
	CrdtBuffer value; /* of one struct */
	const CrdtUpdateVisitor *visitor;
} Inspection;

static const char *
kind_name(uint8_t kind)
{
	static const char *const names[] = {
		[CRDT_GC] = "gc",         [CRDT_DELETED] = "deleted",    [CRDT_JSON] = "json",
		[CRDT_BINARY] = "binary", [CRDT_STRING] = "string",      [CRDT_EMBED] = "embed",
		[CRDT_TYPE] = "type",     [CRDT_FORMAT_MARK] = "format", [CRDT_ANY] = "any",
		[CRDT_SKIP] = "skip",     [CRDT_SUBDOCUMENT] = "doc",
	};

	return names[kind];
}

static const char *
type_name(uint8_t type_ref)
{
	static const char *const names[] = {
		[CRDT_ARRAY] = "array",
		[CRDT_MAP] = "map",
		[CRDT_TEXT] = "text",
		[CRDT_XML_ELEMENT] = "xmlelement",
		[CRDT_XML_FRAGMENT] = "xmlfragment",
		[CRDT_XML_HOOK] = "xmlhook",
		[CRDT_XML_TEXT] = "xmltext",
	};

	return names[type_ref];
}

static void
view_place(const CrdtStruct *item, CrdtStructView *view)
{
	view->has_origin = (item->flags & CRDT_HAS_ORIGIN) != 0;
	if (view->has_origin)
	{
		view->origin_client = item->origin.client;
		view->origin_clock = item->origin.clock;
	}
	view->has_right_origin = (item->flags & CRDT_HAS_RIGHT_ORIGIN) != 0;
	if (view->has_right_origin)
	{
		view->right_origin_client = item->right_origin.client;
		view->right_origin_clock = item->right_origin.clock;
	}
	view->has_parent_id = (item->flags & CRDT_PARENT_IS_ID) != 0;
	if (view->has_parent_id)
	{
		view->parent_client = item->parent_id.client;
		view->parent_clock = item->parent_id.clock;
	}
	if ((item->flags & CRDT_PARENT_IS_ROOT) != 0)
		view->root = item->parent_name;
	view->key = item->parent_sub;
}

/* An encoded value: tag, count, content. */
static CrdtBytes
tagged(CrdtBuffer *out, uint8_t tag, uint64_t count, CrdtBytes content)
{
	out->size = 0;
	crdt_write_u8(out, tag);
	crdt_write_varuint(out, count);
	crdt_write_bytes(out, content);
	return crdt_buffer_view(out);
}

static void
view_content(const CrdtStruct *item, CrdtBuffer *out, CrdtStructView *view)
{
	switch (item->kind)
	{
		case CRDT_JSON:
		case CRDT_ANY:
			view->value = tagged(out, CRDT_ANY_ARRAY, item->length, item->content);
			break;
		case CRDT_STRING:
			view->value = tagged(out, CRDT_ANY_STRING, item->content.size, item->content);
			break;
		case CRDT_BINARY:
			view->value = tagged(out, CRDT_ANY_BYTES, item->content.size, item->content);
			break;
		case CRDT_FORMAT_MARK:
		case CRDT_SUBDOCUMENT:
			view->name = item->name;
			view->value = item->content;
			break;
		case CRDT_EMBED: view->value = item->content; break;
		case CRDT_TYPE:
			view->type = type_name(item->type_ref);
			if (item->type_ref == CRDT_XML_ELEMENT || item->type_ref == CRDT_XML_HOOK)
				view->name = item->name;
			break;
		default: break;
	}
}

/* Reads one struct and shows it; false at the end. */
static bool
show_next(Inspection *inspection)
{
	CrdtReader *bytes = &inspection->reader.bytes;
	CrdtStruct item;
	CrdtStructView view = {0};

	crdt_arena_reset(&inspection->values);
	if (!crdt_update_reader_next(&inspection->reader, &item))
		return false;
	view.client = item.client;
	view.clock = item.clock;
	view.length = item.length;
	view.kind = kind_name(item.kind);
	if (crdt_kind_has_origin(item.kind))
		view_place(&item, &view);
	view_content(&item, &inspection->value, &view);
	if (inspection->value.failed)
		crdt_reader_fail(bytes, CRDT_NO_MEMORY, "out of memory");
	else if (!inspection->visitor->item(inspection->visitor->context, &view))
		crdt_reader_fail(bytes, CRDT_CANCELLED, "stopped");
	return !crdt_reader_failed(bytes);
}

static void
show_deletes(Inspection *inspection, const CrdtHost *host)
{
	const CrdtUpdateVisitor *visitor = inspection->visitor;
	CrdtReader *bytes = &inspection->reader.bytes;
	CrdtIdSet deletes;

	crdt_idset_open(&deletes, host);
	crdt_update_reader_take_deletes(&inspection->reader, &deletes);
	for (size_t i = 0; i < deletes.count && !crdt_reader_failed(bytes); i++)
	{
		const CrdtIdRange *range = &deletes.ranges[i];

		if (!visitor->deleted(visitor->context, range->client, range->clock, range->length))
			crdt_reader_fail(bytes, CRDT_CANCELLED, "stopped");
	}
	crdt_idset_close(&deletes);
}

CrdtStatus
crdt_update_inspect(const CrdtHost *host, CrdtBytes update, CrdtFormat format,
					const CrdtUpdateVisitor *visitor, CrdtError *error)
{
	Inspection inspection = {.visitor = visitor};
	CrdtStatus status = crdt_update_check(host, update, format, error);
	uint64_t shown = 0;

	if (status != CRDT_OK)
		return status;
	crdt_arena_open(&inspection.values, host);
	crdt_arena_open(&inspection.kept, host);
	crdt_buffer_open(&inspection.value, host);
	crdt_update_reader_open(&inspection.reader, update, format, &inspection.values,
							&inspection.kept);
	while (show_next(&inspection))
		if (++shown % CANCEL_INTERVAL == 0 && host->cancelled != NULL &&
			host->cancelled(host->context))
			crdt_reader_fail(&inspection.reader.bytes, CRDT_CANCELLED, "cancelled");
	show_deletes(&inspection, host);
	status = crdt_update_reader_status(&inspection.reader, error);
	crdt_arena_close(&inspection.values);
	crdt_arena_close(&inspection.kept);
	crdt_buffer_close(&inspection.value);
	return status;
}
