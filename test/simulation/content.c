/*
 * content.c: ranges of clocks, deletes, and their bytes.
 */
#include "content.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"

static uint32_t most_weight = 40;

static size_t weight(uint32_t client, uint32_t clock);
static size_t padding(const Update *update);
static bool apply_range(Content *content, Range range);
static void absorb_waiting(Content *content, uint32_t client);
static bool has_delete(const Content *content, uint32_t number);
static bool apply_delete(Content *content, uint32_t number);
static bool includes_range(const Content *content, Range range);

void
content_set_weight(uint32_t most_bytes)
{
	most_weight = most_bytes;
}

/* ---- updates ---- */

void
update_add_range(Update *update, uint32_t client, uint32_t from, uint32_t to)
{
	Range range = {client, from, to};

	if (from < to)
		ARRAY_ADD(update->ranges, update->range_count, update->range_capacity, range);
}

void
update_add_delete(Update *update, uint32_t number)
{
	ARRAY_ADD(update->deletes, update->delete_count, update->delete_capacity, number);
}

void
update_add(Update *update, const Update *more)
{
	for (size_t i = 0; i < more->range_count; i++)
		update_add_range(update, more->ranges[i].client, more->ranges[i].from, more->ranges[i].to);
	for (size_t i = 0; i < more->delete_count; i++)
		update_add_delete(update, more->deletes[i]);
}

void
update_reset(Update *update)
{
	update->range_count = update->delete_count = 0;
}

void
update_free(Update *update)
{
	free(update->ranges);
	free(update->deletes);
	*update = (Update){0};
}

void
update_write(const Update *update, Buffer *out)
{
	static const uint8_t zeros[1 << 16];
	size_t pad = padding(update);

	buffer_write_varuint(out, update->range_count);
	for (size_t i = 0; i < update->range_count; i++)
	{
		buffer_write_varuint(out, update->ranges[i].client);
		buffer_write_varuint(out, update->ranges[i].from);
		buffer_write_varuint(out, update->ranges[i].to - update->ranges[i].from);
	}
	buffer_write_varuint(out, update->delete_count);
	for (size_t i = 0; i < update->delete_count; i++)
		buffer_write_varuint(out, update->deletes[i]);
	if (update->range_count + update->delete_count == 0)
		return; /* two zeros, as Yjs's empty update */
	buffer_write_varuint(out, pad);
	for (; pad > sizeof zeros; pad -= sizeof zeros)
		buffer_write(out, (Bytes){zeros, sizeof zeros});
	buffer_write(out, (Bytes){zeros, pad});
}

bool
update_read(Bytes bytes, Update *update)
{
	Frame frame = frame_begin(bytes);
	Update read = {0};
	uint64_t count = frame_read_varuint(&frame);

	for (uint64_t i = 0; i < count && !frame.failed; i++)
	{
		uint64_t client = frame_read_varuint(&frame);
		uint64_t from = frame_read_varuint(&frame);
		uint64_t length = frame_read_varuint(&frame);

		if (client >= MAX_CLIENTS || from > UINT32_MAX / 2 || length == 0 ||
			length > UINT32_MAX / 2)
			frame.failed = true;
		else
			update_add_range(&read, (uint32_t) client, (uint32_t) from, (uint32_t) (from + length));
	}
	count = frame_read_varuint(&frame);
	for (uint64_t i = 0; i < count && !frame.failed; i++)
	{
		uint64_t number = frame_read_varuint(&frame);

		if (number > 1 << 20)
			frame.failed = true;
		else
			update_add_delete(&read, (uint32_t) number);
	}
	bool is_empty = read.range_count + read.delete_count == 0;
	Bytes pad = is_empty ? (Bytes){0} : frame_read_bytes(&frame);
	bool ok = !frame.failed && frame.at == frame.end && (is_empty || pad.size == padding(&read));

	if (ok)
		update_add(update, &read);
	update_free(&read);
	return ok;
}

/* ---- content ---- */

bool
content_apply(Content *content, const Update *update)
{
	bool is_news = false;

	for (size_t i = 0; i < update->range_count; i++)
		is_news |= apply_range(content, update->ranges[i]);
	for (size_t i = 0; i < update->delete_count; i++)
		is_news |= apply_delete(content, update->deletes[i]);
	return is_news;
}

bool
content_includes(const Content *content, const Update *update)
{
	for (size_t i = 0; i < update->range_count; i++)
		if (!includes_range(content, update->ranges[i]))
			return false;
	for (size_t i = 0; i < update->delete_count; i++)
		if (!has_delete(content, update->deletes[i]))
			return false;
	return true;
}

bool
content_is_same(const Content *a, const Content *b)
{
	Update all = {0};
	bool same = memcmp(a->state, b->state, sizeof a->state) == 0 &&
				a->waiting.range_count == b->waiting.range_count &&
				content_includes(a, &b->waiting) && content_includes(b, &a->waiting);

	content_diff(a, NULL, &all);
	same = same && content_includes(b, &all);
	update_reset(&all);
	content_diff(b, NULL, &all);
	same = same && content_includes(a, &all);
	update_free(&all);
	return same;
}

void
content_diff(const Content *content, const uint32_t *state_vector, Update *out)
{
	for (uint32_t client = 0; client < MAX_CLIENTS; client++)
		update_add_range(out, client, state_vector != NULL ? state_vector[client] : 0,
						 content->state[client]);
	update_add(out, &content->waiting);
	for (uint32_t number = 0; number < content->delete_limit; number++)
		if (has_delete(content, number))
			update_add_delete(out, number);
}

void
content_write_state_vector(const Content *content, Buffer *out)
{
	uint32_t count = 0;

	for (uint32_t client = 0; client < MAX_CLIENTS; client++)
		count += content->state[client] > 0;
	buffer_write_varuint(out, count);
	for (uint32_t client = 0; client < MAX_CLIENTS; client++)
		if (content->state[client] > 0)
		{
			buffer_write_varuint(out, client);
			buffer_write_varuint(out, content->state[client]);
		}
}

bool
content_read_state_vector(Bytes bytes, uint32_t state_vector[MAX_CLIENTS])
{
	Frame frame = frame_begin(bytes);
	uint64_t count = frame_read_varuint(&frame);

	memset(state_vector, 0, MAX_CLIENTS * sizeof *state_vector);
	for (uint64_t i = 0; i < count && !frame.failed; i++)
	{
		uint64_t client = frame_read_varuint(&frame), clock = frame_read_varuint(&frame);

		if (client >= MAX_CLIENTS || clock > UINT32_MAX / 2)
			return false;
		state_vector[client] = (uint32_t) clock;
	}
	return !frame.failed && frame.at == frame.end;
}

void
content_copy(Content *to, const Content *from)
{
	Update all = {0};

	content_free(to);
	content_diff(from, NULL, &all);
	content_apply(to, &all);
	update_free(&all);
}

void
content_free(Content *content)
{
	update_free(&content->waiting);
	free(content->deletes);
	*content = (Content){0};
}

void
content_print(const Content *content)
{
	for (uint32_t client = 0; client < MAX_CLIENTS; client++)
		if (content->state[client] > 0)
			fprintf(stderr, " %u:%u", client, content->state[client]);
	for (size_t i = 0; i < content->waiting.range_count; i++)
		fprintf(stderr, " (%u:%u..%u)", content->waiting.ranges[i].client,
				content->waiting.ranges[i].from, content->waiting.ranges[i].to);
	fprintf(stderr, " deletes");
	for (uint32_t number = 0, first = 0; number <= content->delete_limit; number++)
		if (!has_delete(content, number))
		{
			if (first < number)
				fprintf(stderr, " %u..%u", first, number - 1);
			first = number + 1;
		}
	fprintf(stderr, "\n");
}

/* ---- helpers ---- */

static size_t
weight(uint32_t client, uint32_t clock)
{
	uint32_t hash = (client * 2654435761U ^ clock * 40503U) * 2246822519U >> 8;

	return hash % 16 == 0 ? hash / 16 % (most_weight + 1) : hash / 16 % 12;
}

static size_t
padding(const Update *update)
{
	size_t bytes = 0;

	for (size_t i = 0; i < update->range_count; i++)
		for (uint32_t clock = update->ranges[i].from; clock < update->ranges[i].to; clock++)
			bytes += weight(update->ranges[i].client, clock);
	return bytes;
}

static bool
apply_range(Content *content, Range range)
{
	uint32_t *state = &content->state[range.client];
	Update *waiting = &content->waiting;

	if (includes_range(content, range))
		return false;
	if (range.from <= *state)
	{
		*state = range.to;
		absorb_waiting(content, range.client);
		return true;
	}
	/* waits: one range with all that it touches */
	for (size_t i = 0; i < waiting->range_count;)
	{
		Range other = waiting->ranges[i];

		if (other.client == range.client && other.from <= range.to && range.from <= other.to)
		{
			range.from = other.from < range.from ? other.from : range.from;
			range.to = other.to > range.to ? other.to : range.to;
			waiting->ranges[i] = waiting->ranges[--waiting->range_count];
		}
		else
			i++;
	}
	update_add_range(waiting, range.client, range.from, range.to);
	return true;
}

static void
absorb_waiting(Content *content, uint32_t client)
{
	Update *waiting = &content->waiting;
	uint32_t *state = &content->state[client];

	for (size_t i = 0; i < waiting->range_count;)
		if (waiting->ranges[i].client == client && waiting->ranges[i].from <= *state)
		{
			if (waiting->ranges[i].to > *state)
				*state = waiting->ranges[i].to;
			waiting->ranges[i] = waiting->ranges[--waiting->range_count];
			i = 0; /* that may have closed the gap of another */
		}
		else
			i++;
}

static bool
includes_range(const Content *content, Range range)
{
	if (range.to <= content->state[range.client])
		return true;
	if (range.from < content->state[range.client])
		range.from = content->state[range.client];
	for (size_t i = 0; i < content->waiting.range_count; i++)
	{
		const Range *other = &content->waiting.ranges[i];

		if (other->client == range.client && other->from <= range.from && range.to <= other->to)
			return true;
	}
	return false;
}

static bool
has_delete(const Content *content, uint32_t number)
{
	return number < content->delete_limit && (content->deletes[number / 8] >> number % 8 & 1) != 0;
}

static bool
apply_delete(Content *content, uint32_t number)
{
	if (has_delete(content, number))
		return false;
	if (number >= content->delete_limit)
	{
		uint32_t limit = (number / 64 + 1) * 64;
		uint8_t *larger = allocate(limit / 8);

		if (content->delete_limit > 0)
			memcpy(larger, content->deletes, content->delete_limit / 8);
		free(content->deletes);
		content->deletes = larger;
		content->delete_limit = limit;
	}
	content->deletes[number / 8] |= (uint8_t) (1 << number % 8);
	return true;
}
