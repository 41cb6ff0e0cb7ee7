/*
 * marks.c: formatting in force, and JavaScript's two notions of equal values (marks.h).
 */
#include "marks.h"

#include <string.h>

#include "any.h"
#include "object.h"

/* ---- the map ---- */

bool
crdt_marks_grow(CrdtMarks *marks, CrdtArena *arena, size_t capacity)
{
	CrdtMark *list;

	if (capacity < 2 * marks->capacity)
		capacity = 2 * marks->capacity;
	list = capacity > SIZE_MAX / 64 ? NULL : crdt_arena_take(arena, capacity * sizeof(CrdtMark));
	if (list == NULL)
		return false;
	if (marks->count > 0)
		memcpy(list, marks->list, marks->count * sizeof(CrdtMark));
	marks->list = list;
	marks->capacity = capacity;
	return true;
}

const CrdtMark *
crdt_marks_find(const CrdtMarks *marks, uint32_t key)
{
	for (size_t i = 0; i < marks->count; i++)
		if (marks->list[i].key == key)
			return &marks->list[i];
	return NULL;
}

CrdtMark
crdt_marks_get(const CrdtMarks *marks, uint32_t key)
{
	static const uint8_t null[] = {CRDT_ANY_NULL};
	const CrdtMark *mark = crdt_marks_find(marks, key);

	return mark != NULL ? *mark : (CrdtMark){key, false, {null, sizeof(null)}};
}

static void
insert_at(CrdtMarks *marks, size_t at, CrdtMark mark)
{
	memmove(marks->list + at + 1, marks->list + at, (marks->count - at) * sizeof(CrdtMark));
	marks->list[at] = mark;
	marks->count++;
}

void
crdt_marks_set(CrdtMarks *marks, CrdtMark mark)
{
	const CrdtMark *old = crdt_marks_find(marks, mark.key);

	if (old != NULL)
		marks->list[old - marks->list] = mark;
	else
		insert_at(marks, marks->count, mark);
}

void
crdt_marks_set_member(const CrdtDoc *doc, CrdtMarks *marks, CrdtMark mark)
{
	size_t at = 0;
	uint32_t index;
	uint32_t other;

	if (crdt_marks_find(marks, mark.key) != NULL ||
		!crdt_key_is_index(crdt_name(doc, mark.key), &index))
	{
		crdt_marks_set(marks, mark);
		return;
	}
	while (at < marks->count && crdt_key_is_index(crdt_name(doc, marks->list[at].key), &other) &&
		   other < index)
		at++;
	insert_at(marks, at, mark);
}

void
crdt_marks_remove(CrdtMarks *marks, uint32_t key)
{
	const CrdtMark *mark = crdt_marks_find(marks, key);
	size_t at;

	if (mark == NULL)
		return;
	at = (size_t) (mark - marks->list);
	marks->count--;
	memmove(marks->list + at, marks->list + at + 1, (marks->count - at) * sizeof(CrdtMark));
}

CrdtMark
crdt_item_mark(const CrdtItem *item)
{
	const CrdtPiece *piece = item->content.piece;

	return (CrdtMark){piece->name, true, {piece->bytes, piece->size}};
}

void
crdt_marks_pass(CrdtMarks *marks, const CrdtItem *item)
{
	CrdtMark mark = crdt_item_mark(item);

	if (crdt_value_is_null(mark.value))
		crdt_marks_remove(marks, mark.key);
	else
		crdt_marks_set(marks, mark);
}

/* ---- values ---- */

bool
crdt_value_is_null(CrdtBytes value)
{
	return value.data[0] == CRDT_ANY_NULL;
}

static bool
is_object(CrdtBytes value)
{
	uint8_t tag = value.data[0];

	return tag == CRDT_ANY_OBJECT || tag == CRDT_ANY_ARRAY || tag == CRDT_ANY_BYTES;
}

static bool
is_number(CrdtBytes value)
{
	uint8_t tag = value.data[0];

	return tag == CRDT_ANY_INTEGER || tag == CRDT_ANY_FLOAT32 || tag == CRDT_ANY_FLOAT64;
}

static double
number_of(CrdtBytes value)
{
	CrdtReader reader;

	crdt_reader_open(&reader, (CrdtBytes){value.data + 1, value.size - 1});
	return crdt_any_read_number(&reader, value.data[0]);
}

/* === of values that are not objects: 0 is -0, and NaN is not itself. */
static bool
primitives_equal(CrdtBytes a, CrdtBytes b)
{
	if (is_number(a) && is_number(b))
		return number_of(a) == number_of(b);
	return crdt_bytes_equal(a, b);
}

bool
crdt_values_identical(CrdtBytes a, CrdtBytes b)
{
	if (is_object(a) || is_object(b))
		return a.data == b.data;
	return primitives_equal(a, b);
}

/* The members of an object, elements of an array, or bytes, one after the other. */
typedef struct Members
{
	CrdtReader reader; /* at the next one */
	uint64_t count;
	uint8_t tag;
} Members;

static Members
members_of(CrdtBytes value)
{
	Members members;

	members.tag = value.data[0];
	crdt_reader_open(&members.reader, (CrdtBytes){value.data + 1, value.size - 1});
	members.count = crdt_read_varuint(&members.reader);
	return members;
}

static CrdtBytes
next_value(CrdtReader *reader)
{
	CrdtBytes rest = {reader->cursor, crdt_reader_left(reader)};

	return crdt_read_bytes(reader, crdt_any_prefix_bytes(rest, 1));
}

/* The member of that key; start: where to look first.  size 0: there is none. */
static CrdtBytes
find_member(const Members *members, CrdtReader *start, CrdtBytes key)
{
	CrdtReader reader = *start;

	/* usually the keys come in one order */
	for (int pass = 0; pass < 2; pass++)
	{
		while (crdt_reader_left(&reader) > 0)
		{
			CrdtBytes other = crdt_read_byte_array(&reader);
			CrdtBytes value = next_value(&reader);

			if (crdt_bytes_equal(key, other))
			{
				*start = reader;
				return value;
			}
		}
		reader = members->reader;
	}
	return (CrdtBytes){NULL, 0};
}

static bool values_equal_deep(CrdtBytes a, CrdtBytes b);

static bool
objects_equal(Members a, Members b)
{
	CrdtReader start = b.reader;

	while (crdt_reader_left(&a.reader) > 0)
	{
		CrdtBytes key = crdt_read_byte_array(&a.reader);
		CrdtBytes value = next_value(&a.reader);
		CrdtBytes other = find_member(&b, &start, key);

		if (other.size == 0 || !values_equal_deep(value, other))
			return false;
	}
	return true;
}

/* lib0's deep equality.  Values nest at most CRDT_ANY_DEPTH_MAX deep. */
static bool
values_equal_deep(CrdtBytes a, CrdtBytes b)
{
	Members members_a;
	Members members_b;

	if (!is_object(a) || !is_object(b))
		return !is_object(a) && !is_object(b) && primitives_equal(a, b);
	members_a = members_of(a);
	members_b = members_of(b);
	if (members_a.tag != members_b.tag || members_a.count != members_b.count)
		return false;
	if (members_a.tag == CRDT_ANY_BYTES)
		return crdt_bytes_equal(a, b);
	if (members_a.tag == CRDT_ANY_OBJECT)
		return objects_equal(members_a, members_b);
	while (crdt_reader_left(&members_a.reader) > 0)
		if (!values_equal_deep(next_value(&members_a.reader), next_value(&members_b.reader)))
			return false;
	return true;
}

bool
crdt_values_equal(CrdtBytes a, CrdtBytes b)
{
	/* one and the same is equal, even if it holds a NaN */
	if (is_object(a) && a.data == b.data)
		return true;
	if (is_object(a) && is_object(b) && members_of(a).count == 0)
		return members_of(b).count == 0; /* flat equality does not ask what kind they are */
	return values_equal_deep(a, b);
}
