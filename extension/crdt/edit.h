/*
 * edit.h: local edits, each giving the exact update that Yjs would emit (FORMAT 10, 6.7).
 *
 *     CrdtDocOptions options = {.after_transaction = send, .context = &network};
 *     CrdtDoc *doc = crdt_doc_new(host, &options);
 *     const CrdtType *text;
 *
 *     crdt_doc_set_client(doc, 42);
 *     text = crdt_doc_open_root(doc, CRDT_LITERAL("text"), CRDT_TEXT, &error);
 *     crdt_doc_begin(doc, origin);
 *     crdt_text_insert(doc, text, 0, CRDT_LITERAL("Hello"), NULL, &error);
 *     crdt_text_format(doc, text, 0, 5, &bold, &error);
 *     crdt_doc_commit(doc);                  -- send() is called once, and encodes the update
 *
 * An edit outside begin and commit is a transaction of its own.  Indices and lengths count what Yjs
 * counts: UTF-16 units in a text, elements elsewhere.  An edit that fails changed nothing; those
 * before it in the transaction stand.  CRDT_INVALID: an argument is wrong (an index beyond the
 * end, a type that was deleted, one of another kind, a value that such a type cannot hold).
 */
#ifndef CRDT_EDIT_H
#define CRDT_EDIT_H

#include "document.h"

/* ---- who edits, and when ---- */

/* The client id that the next edits get: below 2^53, and nobody else's.  0 at first. */
void crdt_doc_set_client(CrdtDoc *doc, uint64_t client);
uint64_t crdt_doc_client(const CrdtDoc *doc);

/* Opens a transaction; origin (any pointer, or NULL) tells observers and undo managers who acts.
 * Inside an open one it joins that, and needs its own commit.  No updates are applied meanwhile. */
void crdt_doc_begin(CrdtDoc *doc, const void *origin);

/* Ends it: what was deleted lets its content go, neighbours are joined, observers hear of it. */
void crdt_doc_commit(CrdtDoc *doc);

/* ---- what goes in ---- */

typedef struct CrdtEntry CrdtEntry;
typedef struct CrdtDeltaOp CrdtDeltaOp;

typedef enum CrdtInputKind
{
	CRDT_INPUT_VALUE, /* null, boolean, number, string, array, object ... as lib0 writes it */
	CRDT_INPUT_BYTES,
	CRDT_INPUT_SUBDOCUMENT,
	CRDT_INPUT_SHARED /* a new shared type with what is in it */
} CrdtInputKind;

/* One element, value or embed.  Borrowed during the call. */
typedef struct CrdtInput
{
	CrdtInputKind kind;
	CrdtBytes bytes; /* VALUE: one value, encoded (value.h); BYTES: they; SUBDOCUMENT: its guid */
	CrdtBytes options; /* SUBDOCUMENT: an object, encoded; size 0: none */

	/* SHARED; they are written in the order of these members */
	CrdtKind shared;
	CrdtBytes name; /* of an XML element or hook */
	CrdtBytes text; /* TEXT, XML_TEXT: inserted first */
	const CrdtDeltaOp *delta; /* TEXT, XML_TEXT: applied then */
	size_t delta_count;
	const struct CrdtInput *items; /* ARRAY: elements; XML_ELEMENT, XML_FRAGMENT: children */
	size_t item_count;
	const CrdtEntry *entries; /* MAP, XML_HOOK: entries; otherwise attributes */
	size_t entry_count;
} CrdtInput;

struct CrdtEntry
{
	CrdtBytes key;
	CrdtInput value;
};

/* One attribute of a run of text: bold: true. */
typedef struct CrdtAttribute
{
	CrdtBytes key;
	CrdtBytes value; /* encoded; null ends the attribute */
} CrdtAttribute;

/* The attributes of a call; where it takes a pointer, NULL means "those of the place". */
typedef struct CrdtAttributes
{
	const CrdtAttribute *list;
	size_t count;
} CrdtAttributes;

typedef enum CrdtDeltaKind
{
	CRDT_DELTA_INSERT,
	CRDT_DELTA_EMBED,
	CRDT_DELTA_RETAIN,
	CRDT_DELTA_DELETE
} CrdtDeltaKind;

/* One operation of Quill's Delta. */
struct CrdtDeltaOp
{
	CrdtDeltaKind kind;
	CrdtBytes text; /* INSERT */
	const CrdtInput *embed; /* EMBED: a VALUE or SHARED */
	uint64_t length; /* RETAIN, DELETE */
	CrdtAttributes attributes; /* not of DELETE */
};

/* Inputs nest at most this deep. */
#define CRDT_INPUT_DEPTH_MAX 200

/* ---- texts (TEXT, XML_TEXT, a root not declared) ---- */

/* attributes NULL: those in force at index. */
CRDT_MUST_CHECK CrdtStatus crdt_text_insert(CrdtDoc *doc, const CrdtType *type, uint64_t index,
											CrdtBytes text, const CrdtAttributes *attributes,
											CrdtError *error);
/* attributes NULL: none, as in Yjs. */
CRDT_MUST_CHECK CrdtStatus crdt_text_insert_embed(CrdtDoc *doc, const CrdtType *type,
												  uint64_t index, const CrdtInput *embed,
												  const CrdtAttributes *attributes,
												  CrdtError *error);
/* Beyond the end nothing is deleted, as in Yjs. */
CRDT_MUST_CHECK CrdtStatus crdt_text_delete(CrdtDoc *doc, const CrdtType *type, uint64_t index,
											uint64_t length, CrdtError *error);
/* Beyond the end newlines are added, as in Yjs. */
CRDT_MUST_CHECK CrdtStatus crdt_text_format(CrdtDoc *doc, const CrdtType *type, uint64_t index,
											uint64_t length, const CrdtAttributes *attributes,
											CrdtError *error);
/* keeps_last_newline: Yjs's sanitize; false drops a newline at the end of the last insert. */
CRDT_MUST_CHECK CrdtStatus crdt_text_apply_delta(CrdtDoc *doc, const CrdtType *type,
												 const CrdtDeltaOp *ops, size_t count,
												 bool keeps_last_newline, CrdtError *error);

/* ---- lists (ARRAY, XML_FRAGMENT, XML_ELEMENT) ---- */

CRDT_MUST_CHECK CrdtStatus crdt_list_insert(CrdtDoc *doc, const CrdtType *type, uint64_t index,
											const CrdtInput *inputs, size_t count,
											CrdtError *error);
/* To the very end: behind deleted elements too, unlike an insert at the length. */
CRDT_MUST_CHECK CrdtStatus crdt_list_push(CrdtDoc *doc, const CrdtType *type,
										  const CrdtInput *inputs, size_t count, CrdtError *error);
/* Right behind the child child; NULL: at the start. */
CRDT_MUST_CHECK CrdtStatus crdt_list_insert_after(CrdtDoc *doc, const CrdtType *type,
												  const CrdtType *child, const CrdtInput *inputs,
												  size_t count, CrdtError *error);
/* All of it must be there. */
CRDT_MUST_CHECK CrdtStatus crdt_list_delete(CrdtDoc *doc, const CrdtType *type, uint64_t index,
											uint64_t length, CrdtError *error);

/* ---- maps, and the attributes of the other types ---- */

CRDT_MUST_CHECK CrdtStatus crdt_map_set(CrdtDoc *doc, const CrdtType *type, CrdtBytes key,
										const CrdtInput *value, CrdtError *error);
/* No such key: nothing happens. */
CRDT_MUST_CHECK CrdtStatus crdt_map_delete(CrdtDoc *doc, const CrdtType *type, CrdtBytes key,
										   CrdtError *error);
CRDT_MUST_CHECK CrdtStatus crdt_map_clear(CrdtDoc *doc, const CrdtType *type, CrdtError *error);

#endif
