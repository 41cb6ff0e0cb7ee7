/*
 * read.h: reading documents as SQL values; shared by the functions on values and on stored ones.
 */
#ifndef YDOC_READ_H
#define YDOC_READ_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

#include "bridge.h"
#include "crdt/document.h"
#include "crdt/snapshot.h"
#include "path.h"

/*
 * A way to read a document, for functions on values and their twins on stored documents: argument 1
 * of the call says what of the document, a root or a path.  NULL: there is nothing.
 */
typedef struct varlena *(*DocumentReader)(CrdtDoc *doc, FunctionCallInfo fcinfo);

struct varlena *read_text(CrdtDoc *doc, FunctionCallInfo fcinfo); /* "" for a root not there */
struct varlena *read_json(CrdtDoc *doc, FunctionCallInfo fcinfo); /* no argument: all roots */
struct varlena *read_json_at(CrdtDoc *doc, FunctionCallInfo fcinfo); /* plain values too */
struct varlena *read_json_text_at(CrdtDoc *doc, FunctionCallInfo fcinfo); /* a string as it is */
struct varlena *read_delta(CrdtDoc *doc, FunctionCallInfo fcinfo);
struct varlena *read_xml(CrdtDoc *doc, FunctionCallInfo fcinfo);
struct varlena *read_prosemirror(CrdtDoc *doc, FunctionCallInfo fcinfo);
struct varlena *read_html(CrdtDoc *doc, FunctionCallInfo fcinfo);
struct varlena *read_markdown(CrdtDoc *doc, FunctionCallInfo fcinfo);

/* Runs a reader on argument 0, a value. */
Datum read_argument(FunctionCallInfo fcinfo, DocumentReader reader);

/* Defines the SQL function symbol, which reads what open (as read_argument) finds. */
#define READ_FUNCTION(symbol, open, reader) \
	PG_FUNCTION_INFO_V1(symbol);            \
	Datum symbol(PG_FUNCTION_ARGS)          \
	{                                       \
		return open(fcinfo, reader);        \
	}

/* ---- for readers ---- */

/* The shared type that argument 1 leads to, NULL: none; path is for messages. */
const CrdtType *read_place(CrdtDoc *doc, FunctionCallInfo fcinfo, Path *path);

/* Reports (22023) that something of that kind is not what is wanted. */
pg_noreturn void read_refuse(const Path *path, CrdtKind kind, const char *wanted);

/* One shared type. */
Jsonb *read_type(const CrdtDoc *doc, const CrdtType *type);

/* What a map holds under a key, an array at an index; NULL: nothing, or it is neither.  It costs what it
 * reads, however much there is beside it. */
Jsonb *read_member(CrdtDoc *doc, const CrdtType *type, CrdtBytes step);

/* What the type holds as a map (attributes of an element); its rich text as a Delta. */
Jsonb *read_attributes(const CrdtDoc *doc, const CrdtType *type);
Jsonb *read_type_delta(CrdtDoc *doc, const CrdtType *type);

/* One encoded value (crdt/value.h). */
Jsonb *read_value(CrdtBytes value);

/* The root's text as Quill's Delta; snapshots as in crdt/snapshot.h.  NULL if there is no such
 * root. */
Jsonb *read_delta_between(CrdtDoc *doc, const text *root, const CrdtSnapshot *snapshot,
						  const CrdtSnapshot *previous);

#endif
