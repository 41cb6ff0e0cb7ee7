/*
 * object.h: collecting the members of an object into its canonical encoding (FORMAT 1.5).
 *
 * JavaScript prints integer-like keys first and ascending, then the others in the order of their
 * first insertion; a key that comes again keeps its place and takes the new value.
 */
#ifndef CRDT_OBJECT_H
#define CRDT_OBJECT_H

#include "bytes.h"

typedef struct CrdtMember
{
	CrdtBytes key;
	size_t value_start; /* in values */
	size_t value_end;
	size_t position; /* of its first insertion */
	uint32_t index; /* of an integer-like key */
	bool is_index;
} CrdtMember;

typedef struct CrdtObject
{
	CrdtBuffer values;
	CrdtMember *members;
	size_t count;
	size_t capacity;
} CrdtObject;

void crdt_object_open(CrdtObject *object, const CrdtHost *host);
void crdt_object_close(CrdtObject *object);

/* Begins a member: append its one canonical value to object->values next.  The key is borrowed. */
void crdt_object_begin_member(CrdtObject *object, CrdtBytes key);
void crdt_object_end_member(CrdtObject *object);

/* Appends the object to out, tag and count included. */
void crdt_object_write(CrdtObject *object, CrdtBuffer *out);

/* Is key the canonical form of an integer from 0 to 2^32 - 2? */
bool crdt_key_is_index(CrdtBytes key, uint32_t *index);

/* Bytewise order. */
int crdt_bytes_compare(CrdtBytes a, CrdtBytes b);

#endif
