/*
 * read.h: reading documents as SQL values; shared by the functions on values and on stored ones.
 */
#ifndef YDOC_READ_H
#define YDOC_READ_H

#include "postgres.h"

#include "crdt/document.h"
#include "crdt/snapshot.h"
#include "utils/jsonb.h"

/* The root's visible text; "" if there is no such root. */
text *read_text(const CrdtDoc *doc, const text *root);

/* The root as jsonb, by the kind its content suggests; NULL if there is no such root.  root NULL:
 * an object with all roots. */
Jsonb *read_json(const CrdtDoc *doc, const text *root);

/* One shared type. */
Jsonb *read_type(const CrdtDoc *doc, const CrdtType *type);

/* What the type holds as a map (attributes of an element); its rich text as a Delta. */
Jsonb *read_attributes(const CrdtDoc *doc, const CrdtType *type);
Jsonb *read_type_delta(CrdtDoc *doc, const CrdtType *type);

/* One encoded value (crdt/value.h). */
Jsonb *read_value(CrdtBytes value);

/* The root's text as Quill's Delta; snapshots as in crdt/snapshot.h.  NULL if there is no such
 * root. */
Jsonb *read_delta(CrdtDoc *doc, const text *root, const CrdtSnapshot *snapshot,
				  const CrdtSnapshot *previous);

#endif
