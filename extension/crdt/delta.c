/*
 * delta.c: a text as Quill's Delta, now or as of a snapshot, or what changed between two
 * (snapshot.h; FORMAT 9.4 and 12).
 *
 *     items    <b> h e l l o <b=null> w o r l d
 *     delta    {insert: "hello", attributes: {b: true}} {insert: "world"}
 *
 * As of a snapshot an item may be visible in parts: it is walked in pieces that are visible or not
 * as a whole.
 */
#include <string.h>

#include "any.h"
#include "marks.h"
#include "reading.h"
#include "snapshot_set.h"
#include "tables.h"
#include "utf.h"

typedef struct Delta
{
	CrdtReading reading;
	CrdtDoc *doc;
	const CrdtSnapshot *snapshot; /* NULL: now */
	const CrdtSnapshot *previous; /* NULL: no comparison */
	const CrdtVisitor *visitor;
	CrdtMarks marks; /* in force; ychange among them */
	uint32_t ychange; /* name */
	CrdtBuffer text; /* of the operation at hand */
} Delta;

/* Some units of an item that are visible, or not, together. */
typedef struct Piece
{
	const CrdtItem *item;
	uint64_t client;
	uint64_t clock;
	uint64_t start; /* units */
	uint64_t end;
} Piece;

/* {type: "removed"}, {type: "added"} */
static const uint8_t removed[] = {CRDT_ANY_OBJECT,
								  1,
								  4,
								  't',
								  'y',
								  'p',
								  'e',
								  CRDT_ANY_STRING,
								  7,
								  'r',
								  'e',
								  'm',
								  'o',
								  'v',
								  'e',
								  'd'};
static const uint8_t added[] = {CRDT_ANY_OBJECT, 1, 4,   't', 'y', 'p', 'e',
								CRDT_ANY_STRING, 5, 'a', 'd', 'd', 'e', 'd'};

/* ---- showing operations ---- */

static void
no_memory(Delta *delta)
{
	if (delta->reading.status == CRDT_OK)
		delta->reading.status = CRDT_NO_MEMORY;
}

/* {"insert": ... */
static void
begin_op(Delta *delta)
{
	const CrdtVisitor *visitor = delta->visitor;

	crdt_reading_go_on(&delta->reading, visitor->begin_object(visitor->context) &&
											visitor->key(visitor->context, CRDT_LITERAL("insert")));
}

/* ... "attributes": {...}} */
static void
end_op(Delta *delta)
{
	const CrdtVisitor *visitor = delta->visitor;
	CrdtMarks members = {NULL, 0, 0};
	bool goes_on = true;

	if (!crdt_marks_reserve(&members, &delta->doc->scratch, delta->marks.count))
	{
		no_memory(delta);
		return;
	}
	for (size_t i = 0; i < delta->marks.count; i++)
		crdt_marks_set_member(delta->doc, &members, delta->marks.list[i]);
	if (members.count > 0)
		goes_on = visitor->key(visitor->context, CRDT_LITERAL("attributes")) &&
				  visitor->begin_object(visitor->context);
	for (size_t i = 0; i < members.count && goes_on; i++)
		goes_on = visitor->key(visitor->context, crdt_name(delta->doc, members.list[i].key)) &&
				  crdt_any_visit(members.list[i].value, visitor);
	if (members.count > 0)
		goes_on = goes_on && visitor->end_object(visitor->context);
	crdt_reading_go_on(&delta->reading, goes_on && visitor->end_object(visitor->context));
}

/* The text collected so far, as an operation. */
static void
flush(Delta *delta)
{
	if (delta->text.failed)
		no_memory(delta);
	if (delta->text.size == 0 || delta->reading.status != CRDT_OK)
		return;
	begin_op(delta);
	if (delta->reading.status == CRDT_OK)
		crdt_reading_go_on(&delta->reading, delta->visitor->string(delta->visitor->context,
																   crdt_buffer_view(&delta->text)));
	if (delta->reading.status == CRDT_OK)
		end_op(delta);
	delta->text.size = 0;
}

/* ---- pieces ---- */

/* Units of a text from start up to end; half of a pair is a U+FFFD. */
static void
add_text(Delta *delta, const Piece *piece)
{
	bool begins_replaced;
	CrdtBytes text = crdt_item_bytes(piece->item, &begins_replaced);
	uint64_t start = piece->start;
	uint64_t end = piece->end - begins_replaced;
	CrdtTextPlace from;
	CrdtTextPlace to;

	if (begins_replaced && start == 0)
		crdt_write_bytes(&delta->text, CRDT_LITERAL("\xef\xbf\xbd"));
	else
		start -= begins_replaced;
	if (piece->item->ascii)
	{
		crdt_write_joined(&delta->text, (CrdtBytes){text.data + start, (size_t) (end - start)});
		return;
	}
	from = crdt_utf16_place(text, start);
	to = crdt_utf16_place(text, end);
	if (from.inside_pair)
	{
		crdt_write_bytes(&delta->text, CRDT_LITERAL("\xef\xbf\xbd"));
		from.offset += 4;
	}
	if (to.offset > from.offset)
		crdt_write_joined(&delta->text,
						  (CrdtBytes){text.data + from.offset, to.offset - from.offset});
	if (to.inside_pair)
		crdt_write_bytes(&delta->text, CRDT_LITERAL("\xef\xbf\xbd"));
}

static bool
is_visible(const CrdtSnapshot *snapshot, const Piece *piece)
{
	if (snapshot == NULL)
		return !piece->item->deleted;
	return crdt_snapshot_shows(snapshot, piece->client, piece->clock + piece->start);
}

static void
set_ychange(Delta *delta, CrdtBytes value)
{
	flush(delta);
	if (crdt_marks_reserve(&delta->marks, &delta->doc->scratch, delta->marks.count + 1))
		crdt_marks_set(&delta->marks, (CrdtMark){delta->ychange, false, value});
	else
		no_memory(delta);
}

static void
show_text(Delta *delta, const Piece *piece)
{
	if (!is_visible(delta->snapshot, piece))
		set_ychange(delta, (CrdtBytes){removed, sizeof(removed)});
	else if (delta->previous != NULL && !is_visible(delta->previous, piece))
		set_ychange(delta, (CrdtBytes){added, sizeof(added)});
	else if (delta->ychange != 0 && crdt_marks_find(&delta->marks, delta->ychange) != NULL)
	{
		flush(delta);
		crdt_marks_remove(&delta->marks, delta->ychange);
	}
	add_text(delta, piece);
}

static void
show_embed(Delta *delta, const CrdtItem *item)
{
	flush(delta);
	if (delta->reading.status != CRDT_OK)
		return;
	begin_op(delta);
	if (delta->reading.status == CRDT_OK)
		crdt_show_element(&delta->reading, item, delta->visitor);
	if (delta->reading.status == CRDT_OK)
		end_op(delta);
}

static void
pass_mark(Delta *delta, const CrdtItem *item)
{
	flush(delta);
	if (crdt_marks_reserve(&delta->marks, &delta->doc->scratch, delta->marks.count + 1))
		crdt_marks_pass(&delta->marks, item);
	else
		no_memory(delta);
}

static void
show_piece(Delta *delta, const Piece *piece)
{
	bool is_now = is_visible(delta->snapshot, piece);

	if (!is_now && (delta->previous == NULL || !is_visible(delta->previous, piece)))
		return;
	switch (piece->item->kind)
	{
		case CRDT_STRING: show_text(delta, piece); break;
		case CRDT_TYPE:
		case CRDT_EMBED: show_embed(delta, piece->item); break;
		case CRDT_FORMAT_MARK:
			if (is_now)
				pass_mark(delta, piece->item);
			break;
		default: break;
	}
}

/* Cuts the item at the snapshots' borders. */
static void
show_item(Delta *delta, const CrdtItem *item)
{
	CrdtPlace place = crdt_unpack(delta->doc, item->id);
	uint64_t length = crdt_item_length(item);
	Piece piece = {item, delta->doc->clients[place.client].id, place.clock, 0, 0};

	while (piece.start < length && delta->reading.status == CRDT_OK)
	{
		uint64_t border = place.clock + length;

		if (delta->snapshot != NULL)
			border = crdt_snapshot_next_border(delta->snapshot, piece.client,
											   place.clock + piece.start, border);
		if (delta->previous != NULL)
			border = crdt_snapshot_next_border(delta->previous, piece.client,
											   place.clock + piece.start, border);
		piece.end = border - place.clock;
		show_piece(delta, &piece);
		piece.start = piece.end;
	}
}

/* ---- the whole ---- */

static CrdtStatus
show_delta(Delta *delta, const CrdtType *type, CrdtBuffer *out, size_t size_before,
		   CrdtError *error)
{
	const CrdtVisitor *visitor = delta->visitor;
	CrdtRef ref = delta->doc->lists[type->sequence].first;
	CrdtStatus status;

	if ((delta->snapshot != NULL || delta->previous != NULL) &&
		!crdt_name_add(delta->doc, CRDT_LITERAL("ychange"), &delta->ychange))
		return crdt_error_no_memory(error);
	crdt_buffer_open(&delta->text, &delta->doc->host);
	crdt_reading_go_on(&delta->reading, visitor->begin_array(visitor->context));
	for (; ref != 0 && delta->reading.status == CRDT_OK; ref = crdt_item(delta->doc, ref)->right)
		show_item(delta, crdt_item(delta->doc, ref));
	if (delta->reading.status == CRDT_OK)
		flush(delta);
	if (delta->reading.status == CRDT_OK)
		crdt_reading_go_on(&delta->reading, visitor->end_array(visitor->context));
	crdt_buffer_close(&delta->text);
	status = crdt_reading_end(&delta->reading, out, size_before, error);
	crdt_arena_reset(&delta->doc->scratch);
	return status;
}

CrdtStatus
crdt_doc_delta(CrdtDoc *doc, const CrdtType *type, const CrdtSnapshot *snapshot,
			   const CrdtSnapshot *previous, const CrdtVisitor *visitor, CrdtError *error)
{
	Delta delta = {.reading = {.doc = doc},
				   .doc = doc,
				   .snapshot = snapshot,
				   .previous = previous,
				   .visitor = visitor};

	return show_delta(&delta, type, NULL, 0, error);
}

CrdtStatus
crdt_doc_delta_json(CrdtDoc *doc, const CrdtType *type, const CrdtSnapshot *snapshot,
					const CrdtSnapshot *previous, CrdtBuffer *out, CrdtError *error)
{
	CrdtJsonWriter writer;
	CrdtVisitor visitor = crdt_json_visitor(&writer, out);
	Delta delta = {.reading = {.doc = doc},
				   .doc = doc,
				   .snapshot = snapshot,
				   .previous = previous,
				   .visitor = &visitor};

	return show_delta(&delta, type, out, out->size, error);
}
