/*
 * content.c: contents of items (content.h).
 *
 * Bytes lie in the document's text arena.  Text that arrives keystroke by keystroke lands there
 * side by side, so that joining it to its left neighbour costs nothing.  Where the two are not
 * side by side, the left one moves into a block of twice its size, which has a head in front:
 *
 *     [capacity used] h e l l o . . . .        item.growable; used = 5
 *
 * A cut leaves the bytes where they are.  The left part still begins the block, but may only grow
 * again when it reaches up to used, that is, when it has been joined to what was cut off.
 */
#include "content.h"

#include <string.h>

#include "any.h"
#include "tables.h"
#include "utf.h"

static const uint8_t replacement_text[] = {0xef, 0xbf, 0xbd}; /* U+FFFD */

typedef struct BlockHead
{
	size_t capacity;
	size_t used;
} BlockHead;

static bool
is_ascii_text(const CrdtItem *item)
{
	return item->kind == CRDT_STRING && item->ascii;
}

bool
crdt_content_has_piece(const CrdtItem *item)
{
	switch (item->kind)
	{
		case CRDT_STRING: return !item->ascii;
		case CRDT_JSON:
		case CRDT_BINARY:
		case CRDT_EMBED:
		case CRDT_FORMAT_MARK:
		case CRDT_ANY:
		case CRDT_SUBDOCUMENT: return true;
		default: return false;
	}
}

static CrdtPiece *
take_piece(CrdtDoc *doc)
{
	uint32_t number = crdt_pool_take(&doc->pieces);
	CrdtPiece *piece = crdt_pool_record(&doc->pieces, number);

	*piece = (CrdtPiece){.number = number};
	return piece;
}

/* Yjs takes any high surrogate before a cut for half of a pair: what is behind the cut loses its
 * first unit, and has a U+FFFD instead. */
static void
drop_first_unit(CrdtPiece *piece)
{
	uint8_t *text = piece->bytes;
	size_t size = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

	if (size == 4)
	{
		/* a pair itself: its second half stays */
		crdt_utf8_put(text + 1, 0xdc00 | (uint32_t) (text[2] & 0x0f) << 6 | (text[3] & 0x3f));
		size = 1;
	}
	piece->bytes += size;
	piece->size -= size;
	piece->begins_replaced = true;
}

/* ---- making ---- */

/* The part of arrival's text from unit offset on. */
static CrdtBytes
text_tail(const CrdtStruct *arrival, uint64_t offset, bool *begins_replaced)
{
	CrdtTextPlace place = {(size_t) offset, false};

	*begins_replaced = false;
	if (!arrival->ascii)
		place = crdt_utf16_place(arrival->content, offset);
	if (place.inside_pair)
	{
		*begins_replaced = true;
		place.offset += 4;
	}
	return (CrdtBytes){arrival->content.data + place.offset, arrival->content.size - place.offset};
}

void
crdt_content_make(CrdtDoc *doc, CrdtItem *item, const CrdtStruct *arrival, uint64_t offset,
				  uint32_t name)
{
	CrdtBytes bytes = arrival->content;
	bool begins_replaced = false;
	CrdtPiece *piece;
	uint8_t *copy;

	item->kind = arrival->kind & 0xf;
	item->ascii = arrival->kind == CRDT_STRING && arrival->ascii;
	item->growable = 0;
	if (item->kind == CRDT_GC || item->kind == CRDT_DELETED)
	{
		item->content.length = arrival->length - offset;
		return;
	}
	item->length = (uint32_t) (arrival->length - offset);
	if (item->kind == CRDT_TYPE)
		return;
	if (item->kind == CRDT_STRING)
		bytes = text_tail(arrival, offset, &begins_replaced);
	else if (offset > 0)
	{
		size_t skipped = crdt_any_prefix_bytes(bytes, offset);

		bytes = (CrdtBytes){bytes.data + skipped, bytes.size - skipped};
	}
	copy = crdt_arena_take_bytes(&doc->text, bytes.size);
	if (bytes.size > 0)
		memcpy(copy, bytes.data, bytes.size);
	if (item->ascii)
	{
		item->content.text = copy;
		return;
	}
	piece = take_piece(doc);
	piece->bytes = copy;
	piece->size = bytes.size;
	piece->name = name;
	piece->begins_replaced = begins_replaced;
	item->content.piece = piece;
	if (item->kind == CRDT_STRING && offset > 0 && !begins_replaced &&
		crdt_utf8_ends_in_high_surrogate(
			(CrdtBytes){arrival->content.data, arrival->content.size - bytes.size}))
		drop_first_unit(piece);
}

/* ---- cutting ---- */

/* Cuts text; a surrogate pair cut in two becomes a U+FFFD on either side, as in Yjs. */
static void
split_text(CrdtDoc *doc, CrdtPiece *left, CrdtPiece *right, uint64_t at)
{
	CrdtTextPlace place;

	if (left->begins_replaced)
		at--;
	place = crdt_utf16_place((CrdtBytes){left->bytes, left->size}, at);
	right->bytes = left->bytes + place.offset;
	right->size = left->size - place.offset;
	left->size = place.offset;
	if (place.inside_pair)
	{
		doc->parted_characters++;
		/* the pair's four bytes: three hold the left U+FFFD, the right one is only noted */
		memcpy(left->bytes + place.offset, replacement_text, sizeof(replacement_text));
		left->size += sizeof(replacement_text);
		right->bytes += 4;
		right->size -= 4;
		right->begins_replaced = true;
	}
	else if (crdt_utf8_ends_in_high_surrogate((CrdtBytes){left->bytes, left->size}))
	{
		memcpy(left->bytes + left->size - 3, replacement_text, sizeof(replacement_text));
		drop_first_unit(right);
	}
}

void
crdt_content_split(CrdtDoc *doc, CrdtItem *item, CrdtItem *right, uint64_t at)
{
	CrdtPiece *left_piece = item->content.piece;
	CrdtPiece *right_piece;

	right->growable = 0;
	if (item->kind == CRDT_GC || item->kind == CRDT_DELETED)
	{
		right->content.length = item->content.length - at;
		item->content.length = at;
		return;
	}
	right->length = item->length - (uint32_t) at;
	item->length = (uint32_t) at;
	if (is_ascii_text(item))
	{
		right->content.text = item->content.text + at;
		return;
	}
	right_piece = take_piece(doc);
	right_piece->name = left_piece->name;
	right->content.piece = right_piece;
	if (left_piece->joint > at)
		left_piece->joint = 0;
	if (item->kind == CRDT_STRING)
	{
		split_text(doc, left_piece, right_piece, at);
		return;
	}
	right_piece->size = crdt_any_prefix_bytes((CrdtBytes){left_piece->bytes, left_piece->size}, at);
	right_piece->bytes = left_piece->bytes + right_piece->size;
	right_piece->size = left_piece->size - right_piece->size;
	left_piece->size -= right_piece->size;
}

/* ---- joining ---- */

static uint8_t *
bytes_of(const CrdtItem *item, size_t *size)
{
	if (is_ascii_text(item))
	{
		*size = item->length;
		return item->content.text;
	}
	*size = item->content.piece->size;
	return item->content.piece->bytes;
}

/* Makes room for more bytes behind the item's own; NULL: no memory.  Returns where the item's
 * bytes are now. */
static uint8_t *
make_room(CrdtDoc *doc, CrdtItem *item, uint8_t *bytes, size_t size, size_t more)
{
	BlockHead head;
	uint8_t *block;

	if (item->growable)
	{
		memcpy(&head, bytes - sizeof(head), sizeof(head));
		if (head.used == size && head.capacity - size >= more)
		{
			head.used += more;
			memcpy(bytes - sizeof(head), &head, sizeof(head));
			return bytes;
		}
	}
	head = (BlockHead){(size + more) * 2, size + more};
	block = crdt_arena_take_bytes(&doc->text, sizeof(head) + head.capacity);
	if (block == NULL)
		return NULL;
	memcpy(block, &head, sizeof(head));
	memcpy(block + sizeof(head), bytes, size);
	item->growable = 1;
	return block + sizeof(head);
}

/* Two lone surrogates that meet are one character. */
static uint32_t
meeting_character(const uint8_t *left, size_t left_size, const uint8_t *right, size_t right_size)
{
	const uint8_t *high = left + left_size - 3;

	if (!crdt_utf8_ends_in_high_surrogate((CrdtBytes){left, left_size}) ||
		!crdt_utf8_begins_with_low_surrogate((CrdtBytes){right, right_size}))
		return 0;
	return 0x10000 + ((uint32_t) (high[1] & 0xf) << 16 | (uint32_t) (high[2] & 0x3f) << 10) +
		   ((uint32_t) (right[1] & 0xf) << 6 | (right[2] & 0x3f));
}

/* left_size: what is in front of it; SIZE_MAX: there is none, a character lies across. */
static void
note_joint(CrdtItem *left, size_t left_size)
{
	CrdtPiece *piece = left->content.piece;

	piece->joint = left_size <= UINT32_MAX ? left->length : 0;
	if (piece->joint > 0)
		piece->joint_bytes = (uint32_t) left_size;
}

bool
crdt_content_merge(CrdtDoc *doc, CrdtItem *left, CrdtItem *right)
{
	size_t left_size;
	size_t right_size;
	uint8_t *left_bytes;
	uint8_t *right_bytes;
	bool replaced;
	uint32_t character = 0;
	uint8_t *bytes;

	if (left->kind == CRDT_GC || left->kind == CRDT_DELETED)
	{
		left->content.length += right->content.length;
		return true;
	}
	if (left->kind != CRDT_STRING && left->kind != CRDT_ANY && left->kind != CRDT_JSON)
		return false;
	if ((uint64_t) left->length + right->length > UINT32_MAX)
		return false;
	left_bytes = bytes_of(left, &left_size);
	right_bytes = bytes_of(right, &right_size);
	replaced = !is_ascii_text(right) && right->content.piece->begins_replaced;
	bytes = left_bytes;
	if (left->kind == CRDT_STRING && !replaced)
		character = meeting_character(left_bytes, left_size, right_bytes, right_size);
	if (character != 0)
	{
		/* six bytes become four */
		bytes = make_room(doc, left, left_bytes, left_size, right_size);
		if (bytes == NULL)
			return false;
		left_size -= 3;
		left_size += crdt_utf8_put(bytes + left_size, character);
		right_size -= 3;
		memcpy(bytes + left_size, right_bytes + 3, right_size);
		left->growable = 0; /* its head counts two bytes too many */
	}
	else if (replaced || left_bytes + left_size != right_bytes)
	{
		size_t prefix = replaced ? sizeof(replacement_text) : 0;

		bytes = make_room(doc, left, left_bytes, left_size, prefix + right_size);
		if (bytes == NULL)
			return false;
		memcpy(bytes + left_size, replacement_text, prefix);
		memcpy(bytes + left_size + prefix, right_bytes, right_size);
		right_size += prefix;
	}
	if (is_ascii_text(left) && !is_ascii_text(right))
	{
		/* the right one's piece serves for both */
		left->content.piece = right->content.piece;
		left->content.piece->begins_replaced = false;
		left->ascii = 0;
	}
	else if (!is_ascii_text(right))
		crdt_pool_release(&doc->pieces, right->content.piece->number);
	if (is_ascii_text(left))
		left->content.text = bytes;
	else
	{
		left->content.piece->bytes = bytes;
		left->content.piece->size = left_size + right_size;
	}
	if (crdt_content_has_piece(left))
		note_joint(left, character == 0 ? left_size : SIZE_MAX);
	left->length += right->length;
	return true;
}

void
crdt_content_drop(CrdtDoc *doc, CrdtItem *item)
{
	uint64_t length = crdt_item_length(item);

	if (crdt_content_has_piece(item))
		crdt_pool_release(&doc->pieces, item->content.piece->number);
	item->kind = CRDT_DELETED;
	item->ascii = 0;
	item->growable = 0;
	item->content.length = length;
}

/* ---- for the wire ---- */

static CrdtId
id_for_wire(const CrdtDoc *doc, CrdtPackedId packed)
{
	CrdtPlace place = crdt_unpack(doc, packed);

	return (CrdtId){doc->clients[place.client].id, place.clock};
}

static void
parent_for_wire(const CrdtDoc *doc, const CrdtList *list, CrdtStruct *out)
{
	const CrdtType *type = crdt_type(doc, list->type);

	if (type->item == 0)
	{
		out->flags |= CRDT_PARENT_IS_ROOT;
		out->parent_name = crdt_name(doc, type->name);
	}
	else
	{
		out->flags |= CRDT_PARENT_IS_ID;
		out->parent_id = id_for_wire(doc, crdt_item(doc, type->item)->id);
	}
}

static void
content_for_wire(const CrdtDoc *doc, const CrdtItem *item, CrdtStruct *out)
{
	out->ascii = item->ascii;
	out->begins_replaced = false;
	if (item->kind == CRDT_TYPE)
	{
		const CrdtType *type = crdt_item_type(doc, item);

		out->type_ref = type->kind;
		out->name = crdt_name(doc, type->name);
	}
	else if (item->kind != CRDT_GC && item->kind != CRDT_DELETED)
	{
		out->content = crdt_item_bytes(item, &out->begins_replaced);
		if (item->kind == CRDT_FORMAT_MARK || item->kind == CRDT_SUBDOCUMENT)
			out->name = crdt_name(doc, item->content.piece->name);
	}
}

void
crdt_item_to_struct(const CrdtDoc *doc, const CrdtItem *item, CrdtStruct *out)
{
	CrdtId id = id_for_wire(doc, item->id);
	const CrdtList *list = &doc->lists[item->list];

	out->client = id.client;
	out->clock = id.clock;
	out->length = crdt_item_length(item);
	out->kind = item->kind;
	out->flags = 0;
	out->parent_sub = (CrdtBytes){NULL, 0};
	if (item->kind == CRDT_GC)
		return;
	if (item->origin != CRDT_PACKED_NONE)
	{
		out->flags |= CRDT_HAS_ORIGIN;
		out->origin = id_for_wire(doc, item->origin);
	}
	if (item->right_origin != CRDT_PACKED_NONE)
	{
		out->flags |= CRDT_HAS_RIGHT_ORIGIN;
		out->right_origin = id_for_wire(doc, item->right_origin);
	}
	if (out->flags == 0)
		parent_for_wire(doc, list, out);
	if (list->key != 0)
		out->parent_sub = crdt_name(doc, list->key);
	content_for_wire(doc, item, out);
}

static bool
is_joined(const CrdtItem *item)
{
	return item->kind == CRDT_ANY || item->kind == CRDT_JSON ||
		   (item->kind == CRDT_STRING && !item->ascii);
}

void
crdt_item_to_struct_from(const CrdtDoc *doc, const CrdtItem *item, uint64_t *offset,
						 CrdtStruct *out)
{
	const CrdtPiece *piece = item->content.piece;

	crdt_item_to_struct(doc, item, out);
	if (!is_joined(item) || piece->joint == 0 || piece->joint > *offset)
		return;
	*offset -= piece->joint;
	out->clock += piece->joint;
	out->length -= piece->joint;
	out->content.data += piece->joint_bytes;
	out->content.size -= piece->joint_bytes;
	out->begins_replaced = false;
	out->flags =
		(uint8_t) ((out->flags & ~(CRDT_PARENT_IS_ROOT | CRDT_PARENT_IS_ID)) | CRDT_HAS_ORIGIN);
	out->origin = (CrdtId){out->client, out->clock - 1};
}
