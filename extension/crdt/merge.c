/*
 * merge.c: many updates into one, without a document (FORMAT 6.1; update.h).
 *
 * The structs of every update are a list, and the lists are merged into one that has the clients
 * descending and their clocks ascending:
 *
 *     update 0:  client 7 [0..3)            client 2 [0..9)    one update is read at a time,
 *     update 1:  client 7   [2..5)                             the others wait for their turn
 *     update 2:  client 7          [6..8)
 *     result:    client 7 [0..3)[3..5) Skip [6..8)    client 2 [0..9)
 *
 * Here: the merging, and whose turn it is.  Not here: bytes (wire.h).
 *
 * Turns.  Yjs keeps its readers in an array and sorts that after every run of structs, which is
 * quadratic.  The place of equals in it shows in the result, for one struct may come in several
 * lengths, or as an Item here and as a GC there.  The sort is stable, and the reader just read is
 * the first of the array: so among equals the one read last comes first, and those not yet read
 * follow in the order of the inputs.  That is Turn.rank, and it lets a queue (of the inputs that
 * come in order) and a heap (of all others) do the same work.
 *
 * Except that Yjs's comparison, given a GC and an Item of the same place, says "before" both ways
 * round: then the order is the engine's.  take_turn notices, and a merge of not too many updates
 * starts again with the array, sorted as V8 does.
 */
#include "update.h"

#include <string.h>

#include "any.h"
#include "merge.h"
#include "utf.h"
#include "wire.h"

/* V8 sorts up to as many by insertion.  Of more, with such a tie, we keep the stable order: as
 * valid a result, if not the one V8 happens to get. */
#define ARRAY_MOST 63

/* Structs between two questions whether to go on. */
#define CANCEL_INTERVAL 4096

/* An update that was begun, in front of which others have come. */
typedef struct Paused
{
	struct Paused *next_free;
	CrdtUpdatePlace place; /* behind current */
	CrdtStruct current;
} Paused;

/* An update that waits. */
typedef struct Turn
{
	uint64_t client; /* of its current struct */
	uint64_t clock;
	size_t part; /* the input's number */
	int64_t rank; /* among equals the smallest is first: part, or -n for the n-th pause */
	Paused *paused; /* NULL: not begun, and the current struct is the first that is no Skip */
	bool is_gc;
} Turn;

typedef struct Merge
{
	const CrdtHost *host;
	const CrdtBytes *updates;
	size_t update_count;
	CrdtFormat format;

	CrdtUpdateReader reader; /* of the update whose turn it is; its error is that of the merge */
	CrdtStruct current; /* never a Skip */
	bool has_current;
	size_t part; /* the update's number */
	uint64_t structs_read;

	CrdtStruct held; /* the result's last struct, not written yet because a GC may join it */
	bool has_held;

	Turn *queue; /* inputs not begun, as long as they came in order */
	size_t queue_first;
	size_t queue_end;
	size_t queue_capacity;
	Turn *heap; /* all others; or Yjs's array, whose first is the update whose turn it is */
	size_t heap_count;
	size_t heap_capacity;
	size_t turn_count; /* inputs that have structs at all */
	int64_t pause_count;
	bool uses_array;
	bool array_is_begun;
	bool has_mixed_tie; /* a GC and an Item, of one place, were current at one time */

	CrdtUpdateWriter writer;
	CrdtIdSet deletes;
	CrdtArena values; /* the reader's, and texts cut inside a surrogate pair */
	CrdtArena pauses; /* and what else readers need as long as they live */
	Paused *free_pauses;
} Merge;

static void merge_open(Merge *merge, const CrdtHost *host, const CrdtBytes *updates, size_t count,
					   CrdtFormat format, bool uses_array);
static void merge_close(Merge *merge);
static void merge_all(Merge *merge);
static bool needs_array(const Merge *merge);
static bool take_turn(Merge *merge);
static bool take_turn_of_array(Merge *merge);
static void sort_as_v8(Turn *turns, size_t count);
static bool queue_add(Merge *merge, Turn turn);
static bool heap_add(Merge *merge, Turn turn);
static void heap_remove_first(Merge *merge);

CrdtStatus
crdt_update_merge(const CrdtHost *host, const CrdtBytes *updates, size_t count, CrdtFormat format,
				  CrdtBuffer *out, CrdtError *error)
{
	uint64_t struct_count;
	CrdtStatus status;

	if (count != 1)
		return crdt_update_merge_counted(host, updates, count, format, out, &struct_count, error);
	status = crdt_update_check(host, updates[0], format, error);
	if (status == CRDT_OK)
		crdt_write_bytes(out, updates[0]);
	return out->failed ? crdt_error_no_memory(error) : status;
}

CrdtStatus
crdt_update_merge_counted(const CrdtHost *host, const CrdtBytes *updates, size_t count,
						  CrdtFormat format, CrdtBuffer *out, uint64_t *struct_count,
						  CrdtError *error)
{
	size_t size_before = out->size;
	CrdtStatus status = CRDT_OK;
	Merge merge;

	merge_open(&merge, host, updates, count, format, false);
	merge_all(&merge);
	if (needs_array(&merge))
	{
		merge_close(&merge);
		merge_open(&merge, host, updates, count, format, true);
		merge_all(&merge);
	}
	*struct_count = crdt_update_writer_struct_count(&merge.writer);
	if (crdt_reader_failed(&merge.reader.bytes))
	{
		status = crdt_update_reader_status(&merge.reader, error);
		if (error != NULL)
			error->part = merge.part;
	}
	else
	{
		crdt_idset_normalize(&merge.deletes);
		if (!crdt_update_writer_finish(&merge.writer, &merge.deletes, out))
		{
			out->size = size_before;
			status = crdt_error_no_memory(error);
		}
	}
	merge_close(&merge);
	return status;
}

/* What is merged is, most often, a state and little that came since. */
static size_t
largest(const CrdtBytes *updates, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size = updates[i].size > size ? updates[i].size : size;
	return size;
}

static void
merge_open(Merge *merge, const CrdtHost *host, const CrdtBytes *updates, size_t count,
		   CrdtFormat format, bool uses_array)
{
	*merge = (Merge){.host = host,
					 .updates = updates,
					 .update_count = count,
					 .format = format,
					 .uses_array = uses_array};
	crdt_update_writer_open(&merge->writer, host, format);
	crdt_update_writer_expect(&merge->writer, largest(updates, count));
	crdt_idset_open(&merge->deletes, host);
	crdt_arena_open(&merge->values, host);
	crdt_arena_open(&merge->pauses, host);
}

static void
merge_close(Merge *merge)
{
	crdt_update_writer_close(&merge->writer);
	crdt_idset_close(&merge->deletes);
	crdt_arena_close(&merge->values);
	crdt_arena_close(&merge->pauses);
	crdt_array_free(merge->host, &merge->queue, &merge->queue_capacity, sizeof(Turn));
	crdt_array_free(merge->host, &merge->heap, &merge->heap_capacity, sizeof(Turn));
}

/* ---- reading ---- */

/* The next struct that is no Skip.  At the end of the structs the delete set is taken. */
static void
advance(Merge *merge)
{
	const CrdtHost *host = merge->host;

	do
	{
		if (++merge->structs_read % CANCEL_INTERVAL == 0 && host->cancelled != NULL &&
			host->cancelled(host->context))
			crdt_reader_fail(&merge->reader.bytes, CRDT_CANCELLED, "cancelled");
		merge->has_current = crdt_update_reader_next(&merge->reader, &merge->current);
	} while (merge->has_current && merge->current.kind == CRDT_SKIP);
	if (!merge->has_current)
		crdt_update_reader_take_deletes(&merge->reader, &merge->deletes);
}

static void
begin_update(Merge *merge, size_t part)
{
	merge->part = part;
	crdt_update_reader_open(&merge->reader, merge->updates[part], merge->format, &merge->values,
							&merge->pauses);
	advance(merge);
}

static void
fail_without_memory(Merge *merge)
{
	crdt_reader_fail(&merge->reader.bytes, CRDT_NO_MEMORY, "out of memory");
	merge->has_current = false;
}

static uint64_t
struct_end(const CrdtStruct *item)
{
	return item->clock + item->length;
}

/* ---- the result, struct by struct ---- */

/* Reads over what the result has already.  False: another update may have to come first. */
static bool
skip_known(Merge *merge)
{
	uint64_t client = merge->current.client;
	uint64_t known = struct_end(&merge->held);
	bool skipped = false;

	while (merge->has_current && merge->current.client >= merge->held.client &&
		   struct_end(&merge->current) <= known)
	{
		advance(merge);
		skipped = true;
	}
	return merge->has_current && merge->current.client == client &&
		   !(skipped && merge->current.clock > known);
}

/* Writes held, and holds next instead. */
static void
hold(Merge *merge, const CrdtStruct *next)
{
	if (merge->has_held)
		crdt_update_writer_add(&merge->writer, &merge->held, 0);
	merge->held = *next;
	merge->has_held = true;
}

/*
 * What is left of text without its first units.  Where Yjs cuts behind the high half of a surrogate
 * pair it puts U+FFFD in the place of the unit that follows, whatever that is:
 *
 *     x [pair] y    cut after 2:    U+FFFD y
 *     x [high] y    cut after 2:    U+FFFD            a lone half, which only V2 can bring
 */
static CrdtBytes
text_tail(Merge *merge, CrdtBytes text, uint64_t units)
{
	CrdtTextPlace place = crdt_utf16_place(text, units);
	CrdtBytes front = {text.data, place.offset};
	CrdtBytes tail = {text.data + place.offset, text.size - place.offset};
	uint8_t head[8];
	size_t head_size = crdt_utf8_put(head, 0xfffd);
	size_t dropped = 4; /* bytes of the character that loses a half */
	uint8_t *copy;

	if (!place.inside_pair)
	{
		CrdtTextPlace second = crdt_utf16_place(tail, 1);

		if (!crdt_utf8_ends_in_high_surrogate(front))
			return tail;
		if (second.inside_pair)
			head_size +=
				crdt_utf8_put(head + head_size, 0xdc00 | (uint32_t) (tail.data[2] & 0x0f) << 6 |
													(tail.data[3] & 0x3f));
		else
			dropped = second.offset;
	}
	copy = crdt_arena_take_bytes(&merge->values, head_size + tail.size - dropped);
	if (copy == NULL)
	{
		fail_without_memory(merge);
		return tail;
	}
	memcpy(copy, head, head_size);
	memcpy(copy + head_size, tail.data + dropped, tail.size - dropped);
	return (CrdtBytes){copy, head_size + tail.size - dropped};
}

/* Cuts the first units off item. */
static void
cut_front(Merge *merge, CrdtStruct *item, uint64_t units)
{
	size_t cut_bytes = 0;

	if (crdt_kind_has_origin(item->kind))
	{
		item->origin = (CrdtId){item->client, item->clock + units - 1};
		item->flags |= CRDT_HAS_ORIGIN;
	}
	if (item->kind == CRDT_STRING && !item->ascii)
		item->content = text_tail(merge, item->content, units);
	else if (item->kind == CRDT_STRING)
		cut_bytes = (size_t) units;
	else if (item->kind == CRDT_JSON || item->kind == CRDT_ANY)
		cut_bytes = crdt_any_prefix_bytes(item->content, units);
	if (cut_bytes > 0)
		item->content = (CrdtBytes){item->content.data + cut_bytes, item->content.size - cut_bytes};
	item->clock += units;
	item->length -= units;
}

/* Puts current behind held, which is of the same client: joined, cut, or after a Skip. */
static void
hold_behind(Merge *merge)
{
	CrdtStruct next = merge->current;
	uint64_t end = struct_end(&merge->held);

	if (end < next.clock)
	{
		CrdtStruct gap = {
			.client = next.client, .clock = end, .length = next.clock - end, .kind = CRDT_SKIP};

		hold(merge, &gap);
	}
	else if (merge->held.kind == CRDT_GC && next.kind == CRDT_GC)
	{
		/* current stays: Yjs drops it as known when its turn is taken anew */
		merge->held.length = struct_end(&next) - merge->held.clock;
		return;
	}
	else if (next.clock < end)
		cut_front(merge, &next, end - next.clock);
	hold(merge, &next);
	advance(merge);
}

/* Takes structs from the update whose turn it is until another's may have to come first. */
static void
merge_run(Merge *merge)
{
	uint64_t client = merge->current.client;

	if (merge->has_held && !skip_known(merge))
		return;
	if (merge->has_held && merge->held.client == client)
		hold_behind(merge);
	else
	{
		hold(merge, &merge->current);
		advance(merge);
	}
	while (merge->has_current && merge->current.client == client &&
		   merge->current.clock == struct_end(&merge->held))
	{
		hold(merge, &merge->current);
		advance(merge);
	}
}

/* ---- whose turn it is ---- */

static Turn
current_turn(const Merge *merge, int64_t rank)
{
	return (Turn){.client = merge->current.client,
				  .clock = merge->current.clock,
				  .rank = rank,
				  .part = merge->part,
				  .is_gc = merge->current.kind == CRDT_GC};
}

static bool
is_same_place(const Turn *a, const Turn *b)
{
	return a->client == b->client && a->clock == b->clock;
}

static bool
comes_before(const Turn *a, const Turn *b)
{
	if (a->client != b->client)
		return a->client > b->client;
	return a->clock != b->clock ? a->clock < b->clock : a->rank < b->rank;
}

static bool
needs_array(const Merge *merge)
{
	return merge->has_mixed_tie && !merge->uses_array && merge->turn_count <= ARRAY_MOST;
}

/* Looks at every update's first struct. */
static void
collect_turns(Merge *merge)
{
	for (size_t part = 0; part < merge->update_count; part++)
	{
		Turn turn;
		bool in_order;

		crdt_arena_reset(&merge->values);
		begin_update(merge, part);
		if (crdt_reader_failed(&merge->reader.bytes))
			return;
		if (!merge->has_current)
			continue;
		turn = current_turn(merge, (int64_t) part);
		in_order =
			merge->queue_end == 0 || comes_before(&merge->queue[merge->queue_end - 1], &turn);
		merge->turn_count++;
		merge->has_current = false;
		if (!(in_order && !merge->uses_array ? queue_add(merge, turn) : heap_add(merge, turn)))
		{
			fail_without_memory(merge);
			return;
		}
	}
}

static void
merge_all(Merge *merge)
{
	collect_turns(merge);
	while (!crdt_reader_failed(&merge->reader.bytes) && !needs_array(merge) &&
		   (merge->uses_array ? take_turn_of_array(merge) : take_turn(merge)))
		merge_run(merge);
	if (merge->has_held)
		crdt_update_writer_add(&merge->writer, &merge->held, 0);
}

/* Keeps the update whose turn it was in turn.  False: no memory. */
static bool
pause_update(Merge *merge, Turn *turn)
{
	Paused *paused = merge->free_pauses;

	if (paused != NULL)
		merge->free_pauses = paused->next_free;
	else if ((paused = crdt_arena_take(&merge->pauses, sizeof(Paused))) != NULL)
		paused->place.columns = NULL;
	if (paused == NULL || !crdt_update_reader_pause(&merge->reader, &paused->place))
	{
		fail_without_memory(merge);
		return false;
	}
	paused->current = merge->current;
	turn->paused = paused;
	return true;
}

static void
resume_update(Merge *merge, const Turn *turn)
{
	Paused *paused = turn->paused;

	if (paused == NULL)
	{
		begin_update(merge, turn->part);
		return;
	}
	merge->part = turn->part;
	crdt_update_reader_resume(&merge->reader, merge->updates[turn->part], merge->format,
							  &merge->values, &merge->pauses, &paused->place);
	merge->current = paused->current;
	merge->has_current = true;
	paused->next_free = merge->free_pauses;
	merge->free_pauses = paused;
}

/* Who is first of those that wait; NULL: none. */
static const Turn *
first_waiting(const Merge *merge)
{
	const Turn *queued = merge->queue + merge->queue_first;

	if (merge->queue_first == merge->queue_end)
		return merge->heap_count == 0 ? NULL : merge->heap;
	return merge->heap_count == 0 || comes_before(queued, merge->heap) ? queued : merge->heap;
}

static void
remove_first_waiting(Merge *merge, const Turn *first)
{
	if (first == merge->heap)
		heap_remove_first(merge);
	else
		merge->queue_first++;
}

/* Makes the update that comes first the one that is read.  False: none is left, or a failure. */
static bool
take_turn(Merge *merge)
{
	const Turn *first = first_waiting(merge);
	Turn own = current_turn(merge, -1 - merge->pause_count);

	if (first == NULL && !merge->has_current)
		return false;
	if (!merge->has_current || (first != NULL && comes_before(first, &own)))
	{
		Turn next = *first;

		remove_first_waiting(merge, first);
		if (merge->has_current)
		{
			merge->pause_count++;
			if (!pause_update(merge, &own))
				return false;
			if (!heap_add(merge, own))
			{
				fail_without_memory(merge);
				return false;
			}
		}
		resume_update(merge, &next);
		first = first_waiting(merge);
		own = next;
	}
	if (first != NULL && is_same_place(first, &own) && first->is_gc != own.is_gc)
		merge->has_mixed_tie = true;
	return merge->has_current;
}

/* ---- the array of Yjs ---- */

/* The same, in the way of Yjs: the exhausted one leaves, then all are sorted. */
static bool
take_turn_of_array(Merge *merge)
{
	Turn *array = merge->heap;

	if (merge->has_current)
	{
		array[0] = current_turn(merge, 0);
		if (!pause_update(merge, &array[0]))
			return false;
	}
	else if (merge->array_is_begun && --merge->heap_count > 0)
		memmove(array, array + 1, merge->heap_count * sizeof(Turn));
	if (merge->heap_count == 0)
		return false;
	merge->array_is_begun = true;
	sort_as_v8(array, merge->heap_count);
	resume_update(merge, &array[0]);
	return merge->has_current;
}

/* Yjs's comparison, negative or not: that of a GC and an Item contradicts itself. */
static bool
is_less_to_yjs(const Turn *a, const Turn *b)
{
	if (is_same_place(a, b))
		return a->is_gc != b->is_gc;
	return comes_before(a, b);
}

/* What V8's Array.prototype.sort does to at most ARRAY_MOST elements: the run at the beginning, if
 * it descends reversed, then binary insertion of the others. */
static void
sort_as_v8(Turn *turns, size_t count)
{
	size_t run = 2;
	bool descends;

	if (count < 2)
		return;
	descends = is_less_to_yjs(&turns[1], &turns[0]);
	while (run < count && is_less_to_yjs(&turns[run], &turns[run - 1]) == descends)
		run++;
	for (size_t i = 0; descends && i < run / 2; i++)
	{
		Turn left = turns[i];

		turns[i] = turns[run - 1 - i];
		turns[run - 1 - i] = left;
	}
	for (; run < count; run++)
	{
		Turn pivot = turns[run];
		size_t low = 0;
		size_t high = run;

		while (low < high)
		{
			size_t middle = low + (high - low) / 2;

			if (is_less_to_yjs(&pivot, &turns[middle]))
				high = middle;
			else
				low = middle + 1;
		}
		memmove(turns + low + 1, turns + low, (run - low) * sizeof(Turn));
		turns[low] = pivot;
	}
}

/* ---- the queue and the heap ---- */

static bool
queue_add(Merge *merge, Turn turn)
{
	if (merge->queue_end == merge->queue_capacity &&
		!crdt_array_reserve(merge->host, &merge->queue, &merge->queue_capacity,
							merge->queue_end + 1, sizeof(Turn)))
		return false;
	merge->queue[merge->queue_end++] = turn;
	return true;
}

static bool
heap_add(Merge *merge, Turn turn)
{
	size_t at = merge->heap_count;

	if (!crdt_array_reserve(merge->host, &merge->heap, &merge->heap_capacity, at + 1, sizeof(Turn)))
		return false;
	merge->heap_count++;
	while (!merge->uses_array && at > 0 && comes_before(&turn, &merge->heap[(at - 1) / 2]))
	{
		merge->heap[at] = merge->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	merge->heap[at] = turn;
	return true;
}

static void
heap_remove_first(Merge *merge)
{
	Turn last = merge->heap[--merge->heap_count];
	size_t at = 0;
	size_t child;

	while ((child = 2 * at + 1) < merge->heap_count)
	{
		if (child + 1 < merge->heap_count &&
			comes_before(&merge->heap[child + 1], &merge->heap[child]))
			child++;
		if (!comes_before(&merge->heap[child], &last))
			break;
		merge->heap[at] = merge->heap[child];
		at = child;
	}
	merge->heap[at] = last;
}
