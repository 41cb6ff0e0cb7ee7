/*
 * replace.c: the smallest edit that turns a text into another one.
 *
 * The difference is Myers's ("An O(ND) Difference Algorithm and Its Variations", 1986), in linear
 * space by its middle snake, over characters: a shortest edit script.  Of the shortest, the one with
 * the smallest update is wanted, which has few insertions: so pieces up to CELLS_MAX are aligned with
 * gap costs (Gotoh, "An improved algorithm for matching biological sequences", 1982).  Texts with
 * more than COST_MAX differences are compared by lines first, which is not always shortest, and then
 * by characters between the lines that stay; a piece that is still too different is replaced as a
 * whole.  Characters that stay keep their identity, so cursors and concurrent edits in them survive;
 * inserted ones take the formatting of their place; embedded objects stay.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "bridge.h"
#include "crdt/snapshot.h"
#include "edit.h"

#define COST_MAX 2000
#define CELLS_MAX (1 << 20)

/* A character that goes or comes costs most, for identity is what all this is about; then count the
 * bytes of another item or deleted range. */
#define CHARACTER_COST 200
#define INSERTION_COST 14
#define DELETION_COST 3

/* A text as tokens: its characters, or its lines. */
typedef struct Tokens
{
	uint32 *values;
	size_t *starts; /* of lines: the first character; one more than there are lines */
	size_t count;
} Tokens;

/* What stays: runs of equal tokens, in order. */
typedef struct Difference
{
	const uint32 *before;
	const uint32 *after;
	bool *deleted; /* of each token before */
	bool *inserted; /* of each token after */
	int64 *forward; /* furthest x on each diagonal */
	int64 *backward;
	int64 offset; /* of diagonal 0 */
} Difference;

/* ---- the text before ---- */

typedef struct OldText
{
	Tokens characters;
	size_t capacity;
	uint32 *indexes; /* of each character, as Yjs counts: UTF-16 units and embeds */
	CrdtDoc *doc;
	const CrdtType *type;
	uint64 index;
	bool in_insert;
	int depth;
} OldText;

static void
add_character(OldText *text, uint32 character, int units)
{
	if (text->characters.count == text->capacity)
	{
		text->capacity = Max(2 * text->capacity, 256);
		text->characters.values =
			text->characters.values == NULL
				? palloc(text->capacity * sizeof(uint32))
				: repalloc_huge(text->characters.values, text->capacity * sizeof(uint32));
		text->indexes = text->indexes == NULL
							? palloc(text->capacity * sizeof(uint32))
							: repalloc_huge(text->indexes, text->capacity * sizeof(uint32));
	}
	text->characters.values[text->characters.count] = character;
	text->indexes[text->characters.count++] = (uint32) text->index;
	text->index += units;
}

/* Characters of UTF-8, lone surrogates in their three-byte form among them. */
static void
add_characters(OldText *text, CrdtBytes bytes)
{
	for (size_t at = 0; at < bytes.size;)
	{
		int size = pg_utf_mblen(bytes.data + at);
		uint32 character = utf8_to_unicode(bytes.data + at);

		if (at + size > bytes.size)
			break;
		add_character(text, character, character >= 0x10000 ? 2 : 1);
		at += size;
	}
}

/* A delta is an array of {insert: string or anything else, attributes: ...}. */
static bool
see_scalar(OldText *text)
{
	if (text->in_insert && text->depth == 2)
	{
		text->index++;
		text->in_insert = false;
	}
	return true;
}

static bool
see_string(void *context, CrdtBytes string)
{
	OldText *text = context;

	if (text->in_insert && text->depth == 2 &&
		!crdt_doc_is_embed(text->doc, text->type, text->index))
	{
		add_characters(text, string);
		text->in_insert = false;
	}
	return see_scalar(text);
}

static bool
see_nothing(void *context)
{
	return see_scalar(context);
}

static bool
see_boolean(void *context, bool value)
{
	return see_scalar(context);
}

static bool
see_number(void *context, double value)
{
	return see_scalar(context);
}

static bool
see_bigint(void *context, int64_t value)
{
	return see_scalar(context);
}

static bool
see_bytes(void *context, CrdtBytes value)
{
	return see_scalar(context);
}

static bool
see_begin(void *context)
{
	OldText *text = context;

	(void) see_scalar(text); /* an embed that is an object or array counts once */
	text->depth++;
	return true;
}

static bool
see_end(void *context)
{
	((OldText *) context)->depth--;
	return true;
}

static bool
see_key(void *context, CrdtBytes key)
{
	OldText *text = context;

	if (text->depth == 2)
		text->in_insert = key.size == 6 && memcmp(key.data, "insert", 6) == 0;
	return true;
}

static void
read_old_text(CrdtDoc *doc, const CrdtType *type, OldText *text)
{
	CrdtVisitor visitor = {.context = text,
						   .null = see_nothing,
						   .undefined = see_nothing,
						   .boolean = see_boolean,
						   .number = see_number,
						   .bigint = see_bigint,
						   .string = see_string,
						   .bytes = see_bytes,
						   .document = see_bytes,
						   .begin_array = see_begin,
						   .end_array = see_end,
						   .begin_object = see_begin,
						   .key = see_key,
						   .end_object = see_end};
	CrdtError error;

	text->doc = doc;
	text->type = type;
	if (crdt_doc_delta(doc, type, NULL, NULL, &visitor, &error) != CRDT_OK)
		bridge_report(&error, "document");
}

/* ---- differences ---- */

static int64
least_cost(int64 width, int64 height)
{
	return Min(COST_MAX, (width + height + 1) / 2);
}

/*
 * A point on a shortest path through the rectangle, where the search from the start and that from
 * the end meet; false if they do not within COST_MAX.  The rectangle has neither a common first nor
 * a common last token, and both sides are longer than 0.
 */
static bool
find_middle(Difference *difference, int64 x0, int64 x1, int64 y0, int64 y1, int64 *x, int64 *y)
{
	int64 *forward = difference->forward + difference->offset;
	int64 *backward = difference->backward + difference->offset;
	int64 width = x1 - x0;
	int64 height = y1 - y0;
	int64 delta = width - height;
	bool is_odd = (delta & 1) != 0;

	forward[1] = 0;
	backward[1] = 0;
	for (int64 cost = 0; cost <= least_cost(width, height); cost++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int64 k = -cost; k <= cost; k += 2)
		{
			int64 at = k == -cost || (k != cost && forward[k - 1] < forward[k + 1])
						   ? forward[k + 1]
						   : forward[k - 1] + 1;

			while (at < width && at - k < height && at - k >= 0 &&
				   difference->before[x0 + at] == difference->after[y0 + at - k])
				at++;
			forward[k] = at;
			if (is_odd && k - delta >= -(cost - 1) && k - delta <= cost - 1 &&
				at + backward[-(k - delta)] >= width)
			{
				*x = x0 + Min(at, width);
				*y = y0 + Max(Min(at - k, height), 0);
				return true;
			}
		}
		for (int64 k = -cost; k <= cost; k += 2)
		{
			int64 at = k == -cost || (k != cost && backward[k - 1] < backward[k + 1])
						   ? backward[k + 1]
						   : backward[k - 1] + 1;

			while (at < width && at - k < height && at - k >= 0 &&
				   difference->before[x1 - at - 1] == difference->after[y1 - at + k - 1])
				at++;
			backward[k] = at;
			if (!is_odd && -k + delta >= -cost && -k + delta <= cost &&
				at + forward[-k + delta] >= width)
			{
				*x = x1 - Min(at, width);
				*y = y1 - Max(Min(at - k, height), 0);
				return true;
			}
		}
	}
	return false;
}

/* ---- small pieces: the cheapest alignment ---- */

typedef enum Step
{
	STEP_KEEP,
	STEP_DELETE,
	STEP_INSERT,
	STEP_COUNT
} Step;

#define UNREACHABLE (1 << 29)

/* The cheapest way to come to a cell by a step, and by which step one came before. */
static int
cheapest(const int *costs, const int *extra, Step *from)
{
	int least = UNREACHABLE;

	for (Step step = STEP_KEEP; step < STEP_COUNT; step++)
		if (costs[step] + extra[step] < least)
		{
			least = costs[step] + extra[step];
			*from = step;
		}
	return least;
}

/* Marks what the steps back from the last cell delete and insert. */
static void
trace_back(Difference *difference, const uint8 *came_from, int64 x0, int64 x1, int64 y0, int64 y1,
		   Step step)
{
	int64 width = y1 - y0 + 1;
	int64 x = x1 - x0;
	int64 y = y1 - y0;

	while (x > 0 || y > 0)
	{
		uint8 from = came_from[x * width + y];

		if (step == STEP_DELETE)
			difference->deleted[x0 + --x] = true;
		else if (step == STEP_INSERT)
			difference->inserted[y0 + --y] = true;
		else
			x--, y--;
		step = (Step) (from >> (2 * step) & 3);
	}
}

static void
align(Difference *difference, int64 x0, int64 x1, int64 y0, int64 y1)
{
	static const int keep[STEP_COUNT] = {0, 0, 0};
	static const int delete[STEP_COUNT] = {DELETION_COST, 0, UNREACHABLE};
	static const int insert[STEP_COUNT] = {INSERTION_COST, INSERTION_COST, 0};
	int64 width = y1 - y0 + 1;
	uint8 *came_from = palloc0((x1 - x0 + 1) * width);
	int(*above)[STEP_COUNT] = palloc(sizeof(*above) * width);
	int(*row)[STEP_COUNT] = palloc(sizeof(*row) * width);
	Step last = STEP_KEEP;

	for (int64 x = 0; x <= x1 - x0; x++)
	{
		int(*swap)[STEP_COUNT] = above;

		CHECK_FOR_INTERRUPTS();
		for (int64 y = 0; y < width; y++)
		{
			Step from[STEP_COUNT] = {STEP_KEEP, STEP_KEEP, STEP_KEEP};
			bool are_equal =
				x > 0 && y > 0 && difference->before[x0 + x - 1] == difference->after[y0 + y - 1];

			row[y][STEP_KEEP] = are_equal          ? cheapest(above[y - 1], keep, &from[STEP_KEEP])
								: x == 0 && y == 0 ? 0
												   : UNREACHABLE;
			row[y][STEP_DELETE] =
				x > 0 ? cheapest(above[y], delete, &from[STEP_DELETE]) + CHARACTER_COST
					  : UNREACHABLE;
			row[y][STEP_INSERT] =
				y > 0 ? cheapest(row[y - 1], insert, &from[STEP_INSERT]) + CHARACTER_COST
					  : UNREACHABLE;
			came_from[x * width + y] =
				(uint8) (from[STEP_KEEP] | from[STEP_DELETE] << 2 | from[STEP_INSERT] << 4);
		}
		above = row;
		row = swap;
	}
	(void) cheapest(above[width - 1], keep, &last);
	trace_back(difference, came_from, x0, x1, y0, y1, last);
	pfree(came_from);
	pfree(above);
	pfree(row);
}

/* ---- large pieces, and all of it ---- */

/* False if a piece was too different to be looked into. */
static bool
compare(Difference *difference, int64 x0, int64 x1, int64 y0, int64 y1)
{
	bool is_small = true;
	int64 x;
	int64 y;

	check_stack_depth();
	while (x0 < x1 && y0 < y1 && difference->before[x0] == difference->after[y0])
		x0++, y0++;
	while (x0 < x1 && y0 < y1 && difference->before[x1 - 1] == difference->after[y1 - 1])
		x1--, y1--;
	if (x0 < x1 && y0 < y1)
	{
		if ((x1 - x0 + 1) * (y1 - y0 + 1) <= CELLS_MAX)
		{
			align(difference, x0, x1, y0, y1);
			return true;
		}
		if (find_middle(difference, x0, x1, y0, y1, &x, &y) && (x > x0 || y > y0) &&
			(x < x1 || y < y1))
			return compare(difference, x0, x, y0, y) & compare(difference, x, x1, y, y1);
		is_small = (x1 - x0) + (y1 - y0) <= COST_MAX;
	}
	memset(difference->deleted + x0, true, x1 - x0);
	memset(difference->inserted + y0, true, y1 - y0);
	return is_small;
}

static Difference
difference_new(const Tokens *before, const Tokens *after)
{
	int64 diagonals = Min(COST_MAX, (int64) (before->count + after->count + 1) / 2) + 2;

	return (Difference){.before = before->values,
						.after = after->values,
						.deleted = palloc0(before->count + 1),
						.inserted = palloc0(after->count + 1),
						.forward = palloc0(sizeof(int64) * (2 * diagonals + 1)),
						.backward = palloc0(sizeof(int64) * (2 * diagonals + 1)),
						.offset = diagonals};
}

/* Lines as tokens: their hashes, 32 bits; that two are taken for one costs a larger edit, for the
 * characters decide (compare_lines). */
static Tokens
lines_of(const Tokens *characters)
{
	Tokens lines = {palloc(sizeof(uint32) * (characters->count + 1)),
					palloc(sizeof(size_t) * (characters->count + 2)), 0};
	size_t start = 0;

	lines.starts[0] = 0;
	for (size_t i = 0; i < characters->count; i++)
		if (characters->values[i] == '\n' || i + 1 == characters->count)
		{
			lines.values[lines.count++] =
				hash_bytes((const unsigned char *) (characters->values + start),
						   (int) ((i + 1 - start) * sizeof(uint32)));
			lines.starts[lines.count] = start = i + 1;
		}
	return lines;
}

/* Lines first, then the characters of what lies between lines that stay. */
static void
compare_by_lines(Difference *characters, const Tokens *before, const Tokens *after)
{
	Tokens old_lines = lines_of(before);
	Tokens new_lines = lines_of(after);
	Difference lines = difference_new(&old_lines, &new_lines);
	size_t x = 0;
	size_t y = 0;

	(void) compare(&lines, 0, old_lines.count, 0, new_lines.count);
	while (x < old_lines.count || y < new_lines.count)
	{
		size_t x0 = x;
		size_t y0 = y;

		while (x < old_lines.count && lines.deleted[x])
			x++;
		while (y < new_lines.count && lines.inserted[y])
			y++;
		if (x == x0 && y == y0) /* one that stays, if its hash tells the truth */
			x++, y++;
		(void) compare(characters, old_lines.starts[x0], old_lines.starts[x], new_lines.starts[y0],
					   new_lines.starts[y]);
	}
}

static Difference
compare_texts(const Tokens *before, const Tokens *after)
{
	Difference difference = difference_new(before, after);

	if (!compare(&difference, 0, before->count, 0, after->count))
	{
		memset(difference.deleted, false, before->count);
		memset(difference.inserted, false, after->count);
		compare_by_lines(&difference, before, after);
	}
	return difference;
}

/* ---- the edit ---- */

/* The index behind a character. */
static uint64
end_of(const OldText *old, size_t character)
{
	return old->indexes[character] + (old->characters.values[character] >= 0x10000 ? 2 : 1);
}

static void
delete_characters(CrdtDoc *doc, const CrdtType *type, const OldText *old, size_t from, size_t to)
{
	CrdtError error;

	/* from the end, in runs that no embed interrupts */
	while (to > from)
	{
		size_t start = to - 1;
		uint64 end = end_of(old, start);

		while (start > from && old->indexes[start] == end_of(old, start - 1))
			start--;
		edit_check(
			crdt_text_delete(doc, type, old->indexes[start], end - old->indexes[start], &error),
			&error);
		to = start;
	}
}

static void
insert_characters(CrdtDoc *doc, const CrdtType *type, uint64 index, const Tokens *after,
				  size_t from, size_t to)
{
	uint8_t *text = palloc(4 * (to - from) + 1);
	size_t size = 0;
	CrdtError error;

	for (size_t i = from; i < to; i++)
	{
		unicode_to_utf8(after->values[i], text + size);
		size += pg_utf_mblen(text + size);
	}
	edit_check(crdt_text_insert(doc, type, index, (CrdtBytes){text, size}, NULL, &error), &error);
	pfree(text);
}

void
edit_replace_text(CrdtDoc *doc, const CrdtType *type, CrdtBytes text)
{
	OldText old = {0};
	OldText new = {0};
	Difference difference;
	size_t x;
	size_t y;

	read_old_text(doc, type, &old);
	add_characters(&new, text);
	difference = compare_texts(&old.characters, &new.characters);
	/* from the end, so that the indices before stay what they were */
	x = old.characters.count;
	y = new.characters.count;
	while (x > 0 || y > 0)
	{
		size_t x1 = x;
		size_t y1 = y;

		while (x > 0 && difference.deleted[x - 1])
			x--;
		while (y > 0 && difference.inserted[y - 1])
			y--;
		if (y < y1) /* right behind what is before, whose formatting it takes */
			insert_characters(doc, type, x1 > 0 ? end_of(&old, x1 - 1) : 0, &new.characters, y, y1);
		if (x < x1)
			delete_characters(doc, type, &old, x, x1);
		if (x == x1 && y == y1)
		{
			/* a character that stays */
			x--;
			y--;
		}
	}
}
