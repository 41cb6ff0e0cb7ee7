/*
 * object.c: the order of an object's members, and keys that repeat (object.h).
 */
#include "object.h"

#include <string.h>

#include "any.h"

void
crdt_object_open(CrdtObject *object, const CrdtHost *host)
{
	*object = (CrdtObject){0};
	crdt_buffer_open(&object->values, host);
}

void
crdt_object_close(CrdtObject *object)
{
	crdt_array_free(object->values.host, &object->members, &object->capacity, sizeof(CrdtMember));
	crdt_buffer_close(&object->values);
}

int
crdt_bytes_compare(CrdtBytes a, CrdtBytes b)
{
	size_t common = a.size < b.size ? a.size : b.size;
	int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

	return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

bool
crdt_key_is_index(CrdtBytes key, uint32_t *index)
{
	uint64_t value = 0;

	if (key.size == 0 || key.size > 10 || (key.size > 1 && key.data[0] == '0'))
		return false;
	for (size_t i = 0; i < key.size; i++)
	{
		if (key.data[i] < '0' || key.data[i] > '9')
			return false;
		value = value * 10 + (key.data[i] - '0');
	}
	*index = (uint32_t) value;
	return value < UINT32_MAX;
}

void
crdt_object_begin_member(CrdtObject *object, CrdtBytes key)
{
	CrdtMember *member;

	if (!crdt_array_reserve(object->values.host, &object->members, &object->capacity,
							object->count + 1, sizeof(CrdtMember)))
	{
		object->values.failed = true;
		return;
	}
	member = &object->members[object->count];
	*member =
		(CrdtMember){.key = key, .value_start = object->values.size, .position = object->count};
	member->is_index = crdt_key_is_index(key, &member->index);
	object->count++;
}

void
crdt_object_end_member(CrdtObject *object)
{
	if (!object->values.failed)
		object->members[object->count - 1].value_end = object->values.size;
}

static bool
key_is_before(const void *a, const void *b)
{
	const CrdtMember *left = a;
	const CrdtMember *right = b;
	int order = crdt_bytes_compare(left->key, right->key);

	return order != 0 ? order < 0 : left->position < right->position;
}

static bool
member_is_before(const void *a, const void *b)
{
	const CrdtMember *left = a;
	const CrdtMember *right = b;

	if (left->is_index != right->is_index)
		return left->is_index;
	if (left->is_index)
		return left->index < right->index;
	return left->position < right->position;
}

/* Of members with one key, the first place and the last value stay. */
static void
join_repeated(CrdtObject *object)
{
	size_t kept = 0;

	crdt_sort(object->members, object->count, sizeof(CrdtMember), key_is_before);
	for (size_t i = 1; i < object->count; i++)
	{
		CrdtMember *before = &object->members[kept];
		const CrdtMember *member = &object->members[i];

		if (crdt_bytes_equal(before->key, member->key))
		{
			before->value_start = member->value_start;
			before->value_end = member->value_end;
		}
		else
			object->members[++kept] = *member;
	}
	if (object->count > 0)
		object->count = kept + 1;
}

void
crdt_object_write(CrdtObject *object, CrdtBuffer *out)
{
	if (object->values.failed)
	{
		out->failed = true;
		return;
	}
	join_repeated(object);
	crdt_sort(object->members, object->count, sizeof(CrdtMember), member_is_before);
	crdt_write_u8(out, CRDT_ANY_OBJECT);
	crdt_write_varuint(out, object->count);
	for (size_t i = 0; i < object->count; i++)
	{
		const CrdtMember *member = &object->members[i];

		crdt_write_byte_array(out, member->key);
		crdt_write_bytes(out, (CrdtBytes){object->values.data + member->value_start,
										  member->value_end - member->value_start});
	}
}
