/*
 * slice.c: a document in slices, each an update that needs no later one (slice.h).
 *
 * Here: the order, the cuts, a slice's bytes.  Not here: a struct's bytes (wire_v1.c), what waits
 * (encode.c).
 *
 * Items refer to items of other clients, and those again to others, so no client's structs can go
 * out before all of another's.  The walk takes the structs of the highest client, and before one
 * that names an item not sent yet, the structs of that one's client:
 *
 *     client 9   a ── b ── c        the stack when b names y:   9
 *                     │             x, y go out, then b          4
 *     client 4   x ── y ── z
 *
 * Every struct was integrated when all it names was, so this ends, and a client is on the stack
 * once at most.  In a slice the structs stand by client again, as an update wants them.
 */
#include "slice.h"

#include <string.h>

#include "any.h"
#include "content.h"
#include "encode.h"
#include "structs.h"
#include "tables.h"
#include "update.h"
#include "utf.h"

#define HEAD_BYTES 8 /* the count of blocks, the count of clients of the delete set */
#define BLOCK_BYTES 20 /* count, client and clock, at most */
#define STRUCT_BYTES 64 /* of a struct around its text or values, mostly */
#define DELETE_CLIENT_BYTES 12 /* client and count of ranges, at most for people's documents */
#define CANCEL_CHECK_INTERVAL 4096
#define CUT_SHARE 8 /* what is left of a slice is cut for if it is more than this share */

typedef struct SliceClient
{
	uint64_t clock; /* of its first unit that is not sent yet */
	CrdtCursor cursor; /* of that one's struct, once placed */
	bool is_placed;
	bool is_suspended; /* on the stack */
	uint32_t slice; /* the latest one that has structs of it */
} SliceClient;

/* Structs in a row of one client, as they were written. */
typedef struct SliceRun
{
	uint64_t client;
	uint64_t clock;
	uint64_t struct_count;
	size_t start; /* in writer.structs */
	size_t end;
} SliceRun;

struct CrdtSlices
{
	CrdtDoc *doc;
	CrdtBytes state_vector;
	CrdtStateVector given;
	size_t slice_bytes;

	SliceClient *clients; /* by number */
	size_t client_count;
	uint32_t *order; /* those that have structs, descending by id */
	size_t order_count;
	size_t order_at;
	uint32_t *stack; /* numbers; the top one's struct is to go next */
	size_t stack_count;
	CrdtStruct rest; /* of a struct that was cut: the top one's, if has_rest */
	bool has_rest;

	uint32_t slice; /* number of the one being made, from 1 */
	size_t head_bytes; /* of its blocks */
	CrdtUpdateWriter writer; /* its structs, in the order of the walk */
	SliceRun *runs;
	size_t run_count;
	size_t run_capacity;
	uint64_t struct_count; /* of all slices */

	bool structs_done;
	bool is_done;
	CrdtIdSet deletes; /* all of them, once structs_done */
	size_t delete_at;
	size_t delete_end; /* of this slice */
};

/* ---- life ---- */

/* For crdt_sort, which has no context. */
typedef struct OrderedClient
{
	uint64_t id;
	uint32_t number;
} OrderedClient;

static bool
client_is_before(const void *a, const void *b)
{
	return ((const OrderedClient *) a)->id > ((const OrderedClient *) b)->id;
}

static bool
order_clients(CrdtSlices *slices)
{
	const CrdtDoc *doc = slices->doc;
	const CrdtHost *host = &doc->host;
	OrderedClient *ordered = NULL;
	size_t capacity = 0;

	if (!crdt_array_reserve(host, &ordered, &capacity, slices->client_count + 1,
							sizeof(OrderedClient)))
		return false;
	for (size_t i = 0; i < slices->client_count; i++)
		if (doc->clients[i].state > 0)
			ordered[slices->order_count++] = (OrderedClient){doc->clients[i].id, (uint32_t) i};
	crdt_sort(ordered, slices->order_count, sizeof(OrderedClient), client_is_before);
	for (size_t i = 0; i < slices->order_count; i++)
		slices->order[i] = ordered[i].number;
	crdt_array_free(host, &ordered, &capacity, sizeof(OrderedClient));
	return true;
}

static void *
take_array(const CrdtHost *host, size_t count, size_t element_size)
{
	void *array = host->resize(host->context, NULL, 0, (count + 1) * element_size);

	if (array != NULL)
		memset(array, 0, (count + 1) * element_size);
	return array;
}

static void
free_array(const CrdtHost *host, void *array, size_t count, size_t element_size)
{
	if (array != NULL)
		host->resize(host->context, array, (count + 1) * element_size, 0);
}

CrdtStatus
crdt_slices_open(CrdtDoc *doc, CrdtBytes state_vector, size_t slice_bytes, CrdtSlices **out,
				 CrdtError *error)
{
	static const uint8_t nothing_known[] = {0};
	const CrdtHost *host = &doc->host;
	CrdtSlices *slices;
	CrdtStatus status;

	*out = NULL;
	slices = take_array(host, 0, sizeof(CrdtSlices));
	if (slices == NULL)
		return crdt_error_no_memory(error);
	slices->doc = doc;
	slices->slice_bytes = slice_bytes;
	slices->state_vector =
		state_vector.size > 0 ? state_vector : (CrdtBytes){nothing_known, sizeof(nothing_known)};
	crdt_update_writer_open(&slices->writer, host, CRDT_V1);
	crdt_idset_open(&slices->deletes, host);
	status = crdt_state_vector_open(&slices->given, host, slices->state_vector, error);
	if (status != CRDT_OK)
	{
		crdt_slices_close(slices);
		return status;
	}
	slices->client_count = doc->client_count;
	slices->clients = take_array(host, slices->client_count, sizeof(SliceClient));
	slices->order = take_array(host, slices->client_count, sizeof(uint32_t));
	slices->stack = take_array(host, slices->client_count, sizeof(uint32_t));
	if (slices->clients == NULL || slices->order == NULL || slices->stack == NULL ||
		!order_clients(slices))
	{
		crdt_slices_close(slices);
		return crdt_error_no_memory(error);
	}
	for (size_t i = 0; i < slices->client_count; i++)
		slices->clients[i].clock = crdt_state_vector_clock(&slices->given, doc->clients[i].id);
	*out = slices;
	return CRDT_OK;
}

/* All before from is known of that client. */
static bool
note_lacked(void *context, uint64_t client, uint64_t from, uint64_t to)
{
	CrdtSlices *slices = context;
	uint32_t number = crdt_client_find(slices->doc, client);

	(void) to;
	if (number != CRDT_NO_CLIENT && from < slices->clients[number].clock)
		slices->clients[number].clock = from;
	return true;
}

CrdtStatus
crdt_slices_open_without(CrdtDoc *doc, CrdtBytes update, size_t slice_bytes, CrdtSlices **out,
						 CrdtError *error)
{
	CrdtMetaVisitor visitor = {.client = note_lacked};
	CrdtStatus status = crdt_slices_open(doc, (CrdtBytes){NULL, 0}, slice_bytes, out, error);

	if (status != CRDT_OK)
		return status;
	visitor.context = *out;
	for (size_t i = 0; i < doc->client_count; i++)
		(*out)->clients[i].clock = doc->clients[i].state;
	status = crdt_update_meta(&doc->host, update, CRDT_V1, &visitor, error);
	if (status == CRDT_OK)
		return CRDT_OK;
	crdt_slices_close(*out);
	*out = NULL;
	return status;
}

void
crdt_slices_close(CrdtSlices *slices)
{
	const CrdtHost *host = &slices->doc->host;

	crdt_state_vector_close(&slices->given);
	crdt_update_writer_close(&slices->writer);
	crdt_idset_close(&slices->deletes);
	crdt_array_free(host, &slices->runs, &slices->run_capacity, sizeof(SliceRun));
	free_array(host, slices->clients, slices->client_count, sizeof(SliceClient));
	free_array(host, slices->order, slices->client_count, sizeof(uint32_t));
	free_array(host, slices->stack, slices->client_count, sizeof(uint32_t));
	free_array(host, slices, 0, sizeof(CrdtSlices));
}

/* ---- the order ---- */

static bool
is_exhausted(const CrdtSlices *slices, uint32_t number)
{
	return slices->clients[number].clock >= slices->doc->clients[number].state;
}

static void
suspend(CrdtSlices *slices, uint32_t number)
{
	slices->clients[number].is_suspended = true;
	slices->stack[slices->stack_count++] = number;
}

static void
resume(CrdtSlices *slices)
{
	slices->clients[slices->stack[--slices->stack_count]].is_suspended = false;
}

/* The next struct of a client that has some left. */
static const CrdtItem *
item_of(CrdtSlices *slices, uint32_t number)
{
	CrdtClient *client = &slices->doc->clients[number];
	SliceClient *state = &slices->clients[number];

	if (!state->is_placed)
	{
		state->cursor = crdt_structs_find(client, state->clock);
		state->is_placed = true;
	}
	return crdt_item(slices->doc, crdt_structs_at(client, state->cursor));
}

/* Is what packed names not sent yet, and of another client that can go first?  Sets needed if so. */
static bool
names_unsent(const CrdtSlices *slices, uint32_t number, CrdtPackedId packed, uint32_t *needed)
{
	CrdtPlace place = crdt_unpack(slices->doc, packed);

	if (place.client == number || place.clock < slices->clients[place.client].clock ||
		slices->clients[place.client].is_suspended || is_exhausted(slices, place.client))
		return false;
	*needed = place.client;
	return true;
}

/* The client whose structs have to go before that item; CRDT_NO_CLIENT: none. */
static uint32_t
needed_client(const CrdtSlices *slices, uint32_t number, const CrdtItem *item)
{
	const CrdtDoc *doc = slices->doc;
	uint32_t needed = CRDT_NO_CLIENT;
	CrdtRef holder;

	if (item->kind == CRDT_GC)
		return CRDT_NO_CLIENT;
	if (item->origin != CRDT_PACKED_NONE && names_unsent(slices, number, item->origin, &needed))
		return needed;
	if (item->right_origin != CRDT_PACKED_NONE &&
		names_unsent(slices, number, item->right_origin, &needed))
		return needed;
	holder = crdt_type(doc, doc->lists[item->list].type)->item;
	if (holder != 0 && names_unsent(slices, number, crdt_item(doc, holder)->id, &needed))
		return needed;
	return CRDT_NO_CLIENT;
}

/* Makes the client whose struct goes next the top of the stack; false: all are sent. */
static bool
find_next(CrdtSlices *slices)
{
	for (;;)
	{
		uint32_t top;
		uint32_t needed;

		while (slices->stack_count == 0)
		{
			if (slices->order_at == slices->order_count)
				return false;
			if (is_exhausted(slices, slices->order[slices->order_at]))
				slices->order_at++;
			else
				suspend(slices, slices->order[slices->order_at]);
		}
		if (slices->has_rest)
			return true;
		top = slices->stack[slices->stack_count - 1];
		needed = needed_client(slices, top, item_of(slices, top));
		if (needed == CRDT_NO_CLIENT)
			return true;
		suspend(slices, needed);
	}
}

/* ---- cutting ---- */

/* What stands under a key is one value: of two halves the second would delete the first. */
static bool
is_cuttable(const CrdtStruct *item)
{
	return (item->kind == CRDT_STRING || item->kind == CRDT_ANY || item->kind == CRDT_JSON) &&
		   item->length > 1 && item->parent_sub.data == NULL;
}

/* Makes item what is right of unit offset (0 < offset < length), whose content begins with tail. */
static void
drop_head(CrdtStruct *item, uint64_t offset, CrdtBytes tail)
{
	item->clock += offset;
	item->length -= offset;
	item->content = tail;
	if (!crdt_kind_has_origin(item->kind))
		return;
	item->flags &= (uint8_t) ~(CRDT_PARENT_IS_ROOT | CRDT_PARENT_IS_ID);
	item->flags |= CRDT_HAS_ORIGIN;
	item->origin = (CrdtId){item->client, item->clock - 1};
}

/* The same for a place that a state vector names: it may be inside a character. */
static void
drop_known(CrdtStruct *item, uint64_t offset)
{
	CrdtBytes tail = item->content;
	CrdtTextHead head = CRDT_TEXT_WHOLE;
	uint8_t inside[3];

	if (item->kind == CRDT_STRING)
		head = crdt_struct_text(item, offset, &tail, inside);
	else if (item->kind == CRDT_ANY || item->kind == CRDT_JSON)
		tail = crdt_struct_values(item, offset);
	drop_head(item, offset, tail);
	item->begins_replaced = head == CRDT_TEXT_BEGINS_INSIDE;
}

/* Bytes of whole characters, at least one if there is any, that fit into room; sets their units. */
static size_t
characters_within(CrdtBytes text, bool ascii, size_t room, uint64_t *units)
{
	size_t size = room < text.size ? room : text.size;

	while (size < text.size && size > 0 && (text.data[size] & 0xc0) == 0x80)
		size--;
	if (size == 0 && text.size > 0)
		while (++size < text.size && (text.data[size] & 0xc0) == 0x80)
			;
	*units = ascii ? size : crdt_utf16_length((CrdtBytes){text.data, size});
	return size;
}

/* Bytes of whole values, at least one, that fit into room; sets their number. */
static size_t
values_within(const CrdtStruct *item, size_t room, uint64_t *units)
{
	size_t size = 0;

	for (*units = 0; *units < item->length; ++*units)
	{
		CrdtBytes behind = {item->content.data + size, item->content.size - size};
		size_t next = crdt_any_prefix_bytes(behind, 1);

		if (*units > 0 && size + next > room)
			break;
		size += next;
	}
	return size;
}

/* Cuts item to what fits into room; true: rest is what does not. */
static bool
cut(CrdtStruct *item, size_t room, CrdtStruct *rest)
{
	uint64_t units;
	size_t size = item->kind == CRDT_STRING
					  ? characters_within(item->content, item->ascii, room, &units)
					  : values_within(item, room, &units);

	if (item->begins_replaced)
		units++;
	if (units == 0 || units >= item->length)
		return false;
	*rest = *item;
	rest->begins_replaced = false;
	drop_head(rest, units, (CrdtBytes){item->content.data + size, item->content.size - size});
	item->length = units;
	item->content.size = size;
	return true;
}

/* ---- structs ---- */

static size_t
used_bytes(const CrdtSlices *slices)
{
	return slices->head_bytes + slices->writer.structs.size;
}

/* The top client's next struct, or what of it is not sent yet. */
static void
take_struct(CrdtSlices *slices, uint32_t number, CrdtStruct *out)
{
	uint64_t clock = slices->clients[number].clock;

	if (slices->has_rest)
	{
		*out = slices->rest;
		return;
	}
	crdt_item_to_struct(slices->doc, item_of(slices, number), out);
	if (clock > out->clock)
		drop_known(out, clock - out->clock);
}

/* Notes that the struct was written from start on.  False: no memory. */
static bool
note_struct(CrdtSlices *slices, const CrdtStruct *item, size_t start)
{
	SliceRun *last = slices->run_count > 0 ? &slices->runs[slices->run_count - 1] : NULL;

	if (last == NULL || last->client != item->client)
	{
		if (!crdt_array_reserve(&slices->doc->host, &slices->runs, &slices->run_capacity,
								slices->run_count + 1, sizeof(SliceRun)))
			return false;
		last = &slices->runs[slices->run_count++];
		*last = (SliceRun){.client = item->client, .clock = item->clock, .start = start};
	}
	last->struct_count++;
	last->end = slices->writer.structs.size;
	return true;
}

/* The client's struct up to item's end is sent: on to the next one, unless a rest is left. */
static void
advance(CrdtSlices *slices, uint32_t number, const CrdtStruct *item)
{
	SliceClient *state = &slices->clients[number];

	state->clock = item->clock + item->length;
	if (slices->has_rest)
		return;
	(void) crdt_structs_next(&slices->doc->clients[number], &state->cursor);
	resume(slices);
}

/* Adds the next struct, or what fits of it; full: no more goes into this slice. */
static bool
add_struct(CrdtSlices *slices, bool *full)
{
	uint32_t number = slices->stack[slices->stack_count - 1];
	SliceClient *state = &slices->clients[number];
	CrdtBuffer *structs = &slices->writer.structs;
	bool is_first = slices->run_count == 0;
	size_t head = state->slice == slices->slice ? 0 : BLOCK_BYTES;
	size_t start = structs->size;
	size_t used = used_bytes(slices) + head;
	size_t room = used < slices->slice_bytes ? slices->slice_bytes - used : 0;
	bool is_cut = false;
	CrdtStruct item;
	CrdtStruct rest;

	take_struct(slices, number, &item);
	if (is_cuttable(&item) && item.content.size + STRUCT_BYTES > room)
	{
		*full = !is_first && room < slices->slice_bytes / CUT_SHARE;
		if (*full)
			return true;
		is_cut = cut(&item, room > STRUCT_BYTES ? room - STRUCT_BYTES : 0, &rest);
	}
	crdt_v1_write_struct(&slices->writer, &item, 0);
	if (structs->failed || slices->writer.text.failed)
		return false;
	if (!is_first && used_bytes(slices) + head > slices->slice_bytes)
	{
		structs->size = start;
		*full = true;
		return true;
	}
	if (!note_struct(slices, &item, start))
		return false;
	slices->head_bytes += head;
	state->slice = slices->slice;
	slices->has_rest = is_cut;
	if (is_cut)
		slices->rest = rest;
	advance(slices, number, &item);
	*full = is_cut || used_bytes(slices) >= slices->slice_bytes;
	slices->struct_count++;
	return true;
}

static CrdtStatus
add_structs(CrdtSlices *slices, CrdtError *error)
{
	const CrdtHost *host = &slices->doc->host;
	bool full = false;

	while (!full && !slices->structs_done)
	{
		if (!find_next(slices))
			slices->structs_done = true;
		else if (!add_struct(slices, &full))
			return crdt_error_no_memory(error);
		if (slices->struct_count % CANCEL_CHECK_INTERVAL == 0 && host->cancelled != NULL &&
			host->cancelled(host->context))
			return crdt_error_set(error, CRDT_CANCELLED, 0, "cancelled");
	}
	return CRDT_OK;
}

/* ---- what is deleted ---- */

static bool
collect_deletes(CrdtSlices *slices)
{
	for (size_t i = 0; i < slices->order_count; i++)
		if (!crdt_structs_collect_deleted(&slices->doc->clients[slices->order[i]],
										  &slices->deletes))
			return false;
	return true;
}

static size_t
varuint_bytes(uint64_t value)
{
	size_t size = 1;

	for (; value >= 128; value >>= 7)
		size++;
	return size;
}

/* Finds how many ranges this slice can take: some, unless it has structs. */
static void
fit_deletes(CrdtSlices *slices)
{
	size_t used = used_bytes(slices);
	size_t at = slices->delete_at;

	for (; at < slices->deletes.count; at++)
	{
		const CrdtIdRange *range = &slices->deletes.ranges[at];

		used += varuint_bytes(range->clock) + varuint_bytes(range->length);
		if (at == slices->delete_at || range[-1].client != range->client)
			used += DELETE_CLIENT_BYTES;
		if (used > slices->slice_bytes && (at > slices->delete_at || slices->run_count > 0))
			break;
	}
	slices->delete_end = at;
}

/* ---- a slice's bytes ---- */

static bool
run_is_before(const void *a, const void *b)
{
	const SliceRun *left = a;
	const SliceRun *right = b;

	return left->client != right->client ? left->client > right->client
										 : left->clock < right->clock;
}

static size_t
end_of_block(const CrdtSlices *slices, size_t first)
{
	size_t end = first + 1;

	while (end < slices->run_count && slices->runs[end].client == slices->runs[first].client)
		end++;
	return end;
}

/* Runs of one client follow on each other: they are a block. */
static void
write_block(const CrdtSlices *slices, size_t first, size_t end, CrdtBuffer *out)
{
	uint64_t struct_count = 0;

	for (size_t i = first; i < end; i++)
		struct_count += slices->runs[i].struct_count;
	crdt_write_varuint(out, struct_count);
	crdt_write_varuint(out, slices->runs[first].client);
	crdt_write_varuint(out, slices->runs[first].clock);
	for (size_t i = first; i < end; i++)
	{
		const SliceRun *run = &slices->runs[i];

		crdt_write_bytes(
			out, (CrdtBytes){slices->writer.structs.data + run->start, run->end - run->start});
	}
}

static void
write_slice(CrdtSlices *slices, CrdtBuffer *out)
{
	CrdtIdSet deletes = {.host = slices->deletes.host,
						 .ranges = slices->deletes.ranges + slices->delete_at,
						 .count = slices->delete_end - slices->delete_at};
	size_t block_count = 0;

	crdt_sort(slices->runs, slices->run_count, sizeof(SliceRun), run_is_before);
	for (size_t i = 0; i < slices->run_count; i = end_of_block(slices, i))
		block_count++;
	crdt_write_varuint(out, block_count);
	for (size_t i = 0, end; i < slices->run_count; i = end)
	{
		end = end_of_block(slices, i);
		write_block(slices, i, end, out);
	}
	crdt_idset_write(&deletes, CRDT_V1, out);
	slices->delete_at = slices->delete_end;
}

/* The last slice, with what waits. */
static CrdtStatus
write_last(CrdtSlices *slices, CrdtBuffer *out, CrdtError *error)
{
	CrdtBuffer integrated;
	CrdtStatus status;

	if (!crdt_doc_is_waiting(slices->doc))
	{
		write_slice(slices, out);
		return out->failed ? crdt_error_no_memory(error) : CRDT_OK;
	}
	crdt_buffer_open(&integrated, &slices->doc->host);
	write_slice(slices, &integrated);
	status = integrated.failed
				 ? crdt_error_no_memory(error)
				 : crdt_encode_with_waiting(slices->doc, CRDT_V1, slices->state_vector,
											crdt_buffer_view(&integrated), out, error);
	crdt_buffer_close(&integrated);
	return status;
}

static CrdtStatus
make_slice(CrdtSlices *slices, CrdtBuffer *out, bool *last, CrdtError *error)
{
	bool knew_deletes = slices->structs_done;
	CrdtStatus status;

	slices->slice++;
	slices->head_bytes = HEAD_BYTES;
	slices->run_count = 0;
	slices->writer.structs.size = 0;
	status = add_structs(slices, error);
	if (status != CRDT_OK)
		return status;
	if (slices->structs_done && !knew_deletes && !collect_deletes(slices))
		return crdt_error_no_memory(error);
	fit_deletes(slices);
	*last = slices->structs_done && slices->delete_end == slices->deletes.count;
	if (*last)
		return write_last(slices, out, error);
	write_slice(slices, out);
	return out->failed ? crdt_error_no_memory(error) : CRDT_OK;
}

CrdtStatus
crdt_slices_next(CrdtSlices *slices, CrdtBuffer *out, bool *last, CrdtError *error)
{
	size_t size_before = out->size;
	CrdtStatus status;

	*last = false;
	if (slices->is_done)
		return crdt_error_set(error, CRDT_INVALID, 0, "there are no more slices");
	status = make_slice(slices, out, last, error);
	slices->is_done = *last || status != CRDT_OK;
	if (status != CRDT_OK)
	{
		out->size = size_before;
		out->failed = false;
	}
	return status;
}

bool
crdt_slices_structs_done(const CrdtSlices *slices)
{
	return slices->structs_done;
}

/* What was given, moved on; of clients that the document does not know, as it was given. */
CrdtStatus
crdt_slices_write_reached(const CrdtSlices *slices, CrdtBuffer *out, CrdtError *error)
{
	CrdtDoc *doc = slices->doc;
	size_t size_before = out->size;
	uint64_t count = 0;

	for (size_t i = 0; i < slices->client_count; i++)
		count += slices->clients[i].clock > 0;
	for (size_t i = 0; i < slices->given.count; i++)
		count += crdt_client_find(doc, slices->given.entries[i].client) == CRDT_NO_CLIENT;
	crdt_write_varuint(out, count);
	for (size_t i = 0; i < slices->client_count; i++)
		if (slices->clients[i].clock > 0)
		{
			crdt_write_varuint(out, doc->clients[i].id);
			crdt_write_varuint(out, slices->clients[i].clock);
		}
	for (size_t i = 0; i < slices->given.count; i++)
		if (crdt_client_find(doc, slices->given.entries[i].client) == CRDT_NO_CLIENT)
		{
			crdt_write_varuint(out, slices->given.entries[i].client);
			crdt_write_varuint(out, slices->given.entries[i].clock);
		}
	if (!out->failed)
		return CRDT_OK;
	out->size = size_before;
	out->failed = false;
	return crdt_error_no_memory(error);
}
