/*
 * prosemirror.h: ProseMirror's JSON: making documents of it, and making it, member by member.
 *
 *     JsonbParseState *state = NULL;
 *
 *     pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
 *     prosemirror_push_key(&state, "type");
 *     prosemirror_push_string(&state, WJB_VALUE, CRDT_LITERAL("paragraph"));
 */
#ifndef YDOC_PROSEMIRROR_H
#define YDOC_PROSEMIRROR_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "crdt/document.h"

/* A new value of type ydoc whose root holds the document {"type": "doc", "content": [...]}. */
Datum prosemirror_document(const Jsonb *json, CrdtBytes root);

/* What mark an attribute of text is: its name, without the hash of one that may overlap itself. */
CrdtBytes prosemirror_mark_name(CrdtBytes key);

/* A key, or a string as an element or value; what jsonb lacks reads as U+FFFD. */
void prosemirror_push_key(JsonbParseState **state, const char *key);
void prosemirror_push_string(JsonbParseState **state, JsonbIteratorToken token, CrdtBytes string);

#endif
