/*
 * value.h: the type ydoc: a version byte and a Yjs update (V1) that is the document's whole state.
 *
 * A function that works on a document gets it decoded, as an expanded object, and hands on what it
 * made in that form: nested calls and PL/pgSQL variables decode once and encode when the document is
 * stored.  From PostgreSQL 18 on "doc := doc || update" changes the variable in place (ydoc_support);
 * before, each such line makes a copy.
 *
 *     YdocValue *value = ydoc_value_arg(fcinfo, 0);            -- to read
 *     YdocValue *value = ydoc_value_writable(fcinfo, 0);       -- to change, then return it
 *
 *     PG_RETURN_DATUM(ydoc_value_datum(value));
 */
#ifndef YDOC_VALUE_H
#define YDOC_VALUE_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/expandeddatum.h"

#include "crdt/document.h"

#define YDOC_VERSION 1

typedef struct YdocValue
{
	ExpandedObjectHeader header;
	uint32 magic;
	CrdtHost host; /* the object's own memory context */
	CrdtDoc *doc;
	CrdtBuffer flat; /* the encoded state, if it is current */
	bool flat_is_current;
} YdocValue;

/* An empty document in a context of its own under parent. */
YdocValue *ydoc_value_new(MemoryContext parent);

/* Argument number as a document; the first is for reading only, the second may be changed (the
 * caller's own if PostgreSQL says it is free to change, else a copy). */
YdocValue *ydoc_value_arg(FunctionCallInfo fcinfo, int number);
YdocValue *ydoc_value_writable(FunctionCallInfo fcinfo, int number);

/* Decodes a stored value into a new document under parent. */
YdocValue *ydoc_value_decode(struct varlena *flat, MemoryContext parent);

/* Merges an update (V1); malformed ones are reported.  what names it in the message. */
void ydoc_value_apply(YdocValue *value, CrdtBytes update, const char *what);
void
ydoc_value_apply_format(YdocValue *value, CrdtBytes update, CrdtFormat format, const char *what);

/* The document's whole state as an update; lives as long as the value does not change. */
CrdtBytes ydoc_value_update(YdocValue *value);

/* The same of an argument, without decoding it if it is flat. */
CrdtBytes ydoc_value_update_of_arg(FunctionCallInfo fcinfo, int number);

Datum ydoc_value_datum(YdocValue *value);

/* The update inside a detoasted flat value, its version checked. */
CrdtBytes ydoc_flat_update(const struct varlena *flat);

/* A flat value that holds this update, which is a document's canonical state. */
struct varlena *ydoc_flat_make(CrdtBytes update);

#endif
