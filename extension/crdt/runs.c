/*
 * runs.c: visible units with their clients and clocks (runs.h).
 */
#include "runs.h"

#include "reading.h"
#include "utf.h"

typedef struct Showing
{
	CrdtReading reading;
	const CrdtRunVisitor *visitor;
} Showing;

static void show_type(Showing *showing, const CrdtType *type);

static void
show_item(Showing *showing, const CrdtItem *item, uint64_t index, CrdtBytes key)
{
	const CrdtDoc *doc = showing->reading.doc;
	const CrdtRunVisitor *visitor = showing->visitor;
	CrdtPlace place = crdt_unpack(doc, item->id);
	CrdtRun run = {
		.client = doc->clients[place.client].id,
		.clock = place.clock,
		.units = item->length,
		.index = index,
		.key = key,
		.is_text = item->kind == CRDT_STRING,
		.type = item->kind == CRDT_TYPE ? crdt_item_type(doc, item) : NULL,
		.item = item,
	};

	crdt_reading_go_on(&showing->reading, visitor->run(visitor->context, &run));
	if (run.type == NULL || showing->reading.status != CRDT_OK)
		return;
	crdt_reading_go_on(&showing->reading, visitor->enter(visitor->context));
	show_type(showing, run.type);
	if (showing->reading.status == CRDT_OK)
		crdt_reading_go_on(&showing->reading, visitor->leave(visitor->context));
}

static void
show_type(Showing *showing, const CrdtType *type)
{
	const CrdtDoc *doc = showing->reading.doc;
	const CrdtItem *item = crdt_next_visible(doc, doc->lists[type->sequence].first);
	uint64_t index = 0;

	if (!crdt_reading_enter(&showing->reading))
		return;
	for (; item != NULL && showing->reading.status == CRDT_OK;
		 item = crdt_next_visible(doc, item->right))
		if (crdt_item_is_countable(item))
		{
			show_item(showing, item, index, (CrdtBytes){NULL, 0});
			index += item->length;
		}
	for (uint32_t list = type->first_key; list != 0 && showing->reading.status == CRDT_OK;
		 list = doc->lists[list].next_key)
		if ((item = crdt_list_value(doc, list)) != NULL)
			show_item(showing, item, 0, crdt_name(doc, doc->lists[list].key));
	crdt_reading_leave(&showing->reading);
}

CrdtStatus
crdt_doc_visit_runs(const CrdtDoc *doc, const CrdtType *type, const CrdtRunVisitor *visitor,
					CrdtError *error)
{
	Showing showing = {.reading = {.doc = doc}, .visitor = visitor};

	show_type(&showing, type);
	return crdt_reading_end(&showing.reading, NULL, 0, error);
}

/* Where unit begins; in the middle of a character: where that ends. */
static size_t
place_of(const CrdtItem *item, CrdtBytes text, uint64_t unit)
{
	CrdtTextPlace place;

	if (item->ascii)
		return (size_t) unit;
	place = crdt_utf16_place(text, unit);
	return place.offset + (place.inside_pair ? 4 : 0);
}

CrdtStatus
crdt_run_text(const CrdtRun *run, uint64_t from, uint64_t units, CrdtBuffer *out, CrdtError *error)
{
	const CrdtItem *item = run->item;
	size_t size_before = out->size;
	bool begins_replaced;
	CrdtBytes text = crdt_item_bytes(item, &begins_replaced);
	uint64_t end = from + units;
	size_t start;

	if (begins_replaced && from == 0)
		crdt_write_bytes(out, CRDT_LITERAL("\xef\xbf\xbd"));
	from -= begins_replaced && from > 0;
	start = place_of(item, text, from);
	text.size = place_of(item, text, end - begins_replaced) - start;
	text.data += start;
	crdt_write_bytes(out, text);
	if (!out->failed)
		return CRDT_OK;
	out->size = size_before;
	out->failed = false;
	return crdt_error_no_memory(error);
}
