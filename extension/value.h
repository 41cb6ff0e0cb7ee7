/*
 * value.h: the type ydoc: a version byte and a Yjs update (V1) that is the document's whole state.
 *
 * A function that works on a document gets it decoded, as an expanded object, and hands on what it
 * made in that form: nested calls and PL/pgSQL variables decode once and encode when the document is
 * stored.
 *
 *     YdocValue *value = ydoc_value_arg(fcinfo, 0);            -- to read
 *     YdocValue *value = ydoc_value_writable(fcinfo, 0);       -- to change, then return it
 *
 *     ydoc_value_edit_begin(value);
 *     crdt_text_insert(value->doc, ...);
 *     ydoc_value_edit_end(value);
 *     PG_RETURN_DATUM(ydoc_value_datum(value));
 *
 * "doc := f(doc)" hands the variable out to read only (before PostgreSQL 18), and the old value is
 * thrown away right after.  Copying it would cost the whole document for each keystroke.  So values
 * that descend from one another share a lineage: one decoded document, at the newest version, and
 * the updates that led there.  An older value that is still read is decoded anew from those, and
 * what is edited from it is a fork, with a client id of its own.
 */
#ifndef YDOC_VALUE_H
#define YDOC_VALUE_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/expandeddatum.h"

#include "crdt/document.h"

#define YDOC_VERSION 1

typedef struct YdocLineage YdocLineage;

typedef struct YdocValue
{
	ExpandedObjectHeader header;
	uint32 magic;
	YdocLineage *lineage; /* shared with its ancestors and descendants */
	uint64 version; /* in the lineage */
	CrdtDoc *doc; /* the lineage's, once ydoc_value_arg or _writable has handed the value out */
	CrdtHost host; /* the object's own memory context */
	CrdtBuffer flat; /* the encoded state, if it is current */
	bool flat_is_current;
	MemoryContextCallback at_end;
} YdocValue;

/* An empty document in a context of its own under parent. */
YdocValue *ydoc_value_new(MemoryContext parent);

/* Argument number as a document; the first is for reading only, the second may be changed and
 * returned: the caller's value, if that is not the result itself, reads as before. */
YdocValue *ydoc_value_arg(FunctionCallInfo fcinfo, int number);
YdocValue *ydoc_value_writable(FunctionCallInfo fcinfo, int number);
YdocValue *ydoc_value_of(Datum datum); /* the same of any datum: for reading */
YdocValue *ydoc_value_to_change(Datum datum); /* to change */

/* Around local edits (crdt/edit.h), which become one transaction and one step of the lineage.  The
 * client id is random, and the same for edits that descend from one another.  An error between them
 * leaves the value as it was. */
void ydoc_value_edit_begin(YdocValue *value);
void ydoc_value_edit_end(YdocValue *value);

/* A client id that nobody else has: 53 random bits. */
uint64 ydoc_random_client(void);

/* Decodes a stored value into a new document under parent. */
YdocValue *ydoc_value_decode(struct varlena *flat, MemoryContext parent);

/* Merges an update (V1); malformed ones are reported.  what names it in the message. */
void ydoc_value_apply(YdocValue *value, CrdtBytes update, const char *what);

/* The same of a client's update, which may take ydoc.max_conflict_steps at most. */
void ydoc_value_accept(YdocValue *value, CrdtBytes update, CrdtFormat format);

/* The document's whole state as an update; lives as long as the value does not change. */
CrdtBytes ydoc_value_update(YdocValue *value);

/* The same of an argument, without decoding it if it is flat. */
CrdtBytes ydoc_value_update_of_arg(FunctionCallInfo fcinfo, int number);

Datum ydoc_value_datum(YdocValue *value);

/* The update inside a detoasted flat value, its version checked. */
CrdtBytes ydoc_flat_update(const struct varlena *flat);

bool type_is_ydoc(Oid type);

/* Somebody else's document as a value, for functions that read, while it lives. */
Datum ydoc_value_view(CrdtDoc *doc);

/* A flat value that holds this update, which is a document's canonical state. */
struct varlena *ydoc_flat_make(CrdtBytes update);

#endif
