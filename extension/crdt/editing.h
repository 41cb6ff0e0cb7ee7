/*
 * editing.h: one call of edit.h from the inside: checked, prepared, reserved, done.
 *
 *     CrdtEditing edit;
 *
 *     if (crdt_editing_open(&edit, doc, type, CRDT_ACCEPTS_LIST, error))
 *     {
 *         ... crdt_prepare_...(&edit, ...)       -- canonical copies; counts what they need
 *         if (crdt_editing_reserve(&edit))
 *             ... crdt_editing_add(&edit, ...)   -- changes the document
 *     }
 *     return crdt_editing_close(&edit);
 *
 * Failures are sticky (edit.status), so that steps need no checks of their own.  What is prepared
 * lives in the document's scratch arena until the call ends.
 */
#ifndef CRDT_EDITING_H
#define CRDT_EDITING_H

#include "edit.h"
#include "marks.h"
#include "reserve.h"

/* What a type lets itself be done to. */
typedef enum CrdtAccepts
{
	CRDT_ACCEPTS_TEXT,
	CRDT_ACCEPTS_LIST,
	CRDT_ACCEPTS_MAP
} CrdtAccepts;

typedef struct CrdtEditing
{
	CrdtDoc *doc;
	CrdtError *error;
	CrdtStatus status;
	uint32_t type;
	uint32_t client; /* number of the document's own */
	CrdtNeeds needs;
	size_t client_count; /* of doc->noted_clients: whose structs are cut or get more */
	unsigned depth; /* of the input being prepared */
	bool is_open;
} CrdtEditing;

/* ---- what is prepared ---- */

/* One new item, with what is in it if it is a type. */
typedef struct CrdtPrepared
{
	CrdtStruct wire; /* its content */
	uint32_t name; /* of wire.name */
	struct CrdtPreparedType *type; /* TYPE; else NULL */
} CrdtPrepared;

typedef struct CrdtPreparedEntry
{
	uint32_t key;
	CrdtPrepared value;
} CrdtPreparedEntry;

typedef struct CrdtPreparedOp
{
	CrdtDeltaKind kind; /* EMBED is an INSERT of another content */
	CrdtPrepared content;
	uint64_t length;
	CrdtMarks marks; /* in the order of a JavaScript object */
	bool inherits; /* INSERT: the marks are those of the place */
	bool drops_newline; /* INSERT: at the end of the text without the newline at its own end */
	bool needs_something; /* RETAIN: at the very end of the text nothing happens */
} CrdtPreparedOp;

typedef struct CrdtPreparedType
{
	CrdtPreparedOp *text; /* NULL: none */
	CrdtPreparedOp *delta;
	size_t delta_count;
	CrdtPrepared *items;
	size_t item_count;
	CrdtPreparedEntry *entries;
	size_t entry_count;
} CrdtPreparedType;

/* ---- the call (edit.c) ---- */

/* A call that edits no type in particular. */
bool crdt_editing_open_doc(CrdtEditing *edit, CrdtDoc *doc, const void *origin, CrdtError *error);

/* False if the type cannot be edited like that. */
bool crdt_editing_open(CrdtEditing *edit, CrdtDoc *doc, const CrdtType *type, CrdtAccepts how,
					   CrdtError *error);
CrdtStatus crdt_editing_close(CrdtEditing *edit);

/* Notes a failure; the first one counts. */
void
crdt_editing_fail(CrdtEditing *edit, CrdtStatus status, const char *format, ...) CRDT_PRINTF(3, 4);
void crdt_editing_no_memory(CrdtEditing *edit);

static inline bool
crdt_editing_failed(const CrdtEditing *edit)
{
	return edit->status != CRDT_OK;
}

/* The item may be cut (or one like it, of that client). */
void crdt_editing_need_cut(CrdtEditing *edit, CrdtRef ref);

/* Room for all that was counted; counting then starts anew.  False: failed. */
bool crdt_editing_reserve(CrdtEditing *edit);

/* Adds an item between left and right of the list, and what is in it.  0: failed. */
CrdtRef crdt_editing_add(CrdtEditing *edit, uint32_t list, CrdtRef left, CrdtRef right,
						 const CrdtPrepared *content);

/* The same for a format mark; a kept value is shared with the item it came from. */
CrdtRef
crdt_editing_add_mark(CrdtEditing *edit, uint32_t list, CrdtRef left, CrdtRef right, CrdtMark mark);

/* Cuts the item after its first at units. */
void crdt_editing_cut(CrdtEditing *edit, CrdtRef ref, uint64_t at);

void crdt_editing_delete(CrdtEditing *edit, CrdtRef ref);

/* ---- preparing (prepare.c) ---- */

void crdt_prepare_name(CrdtEditing *edit, CrdtBytes name, uint32_t *number);
void crdt_prepare_text(CrdtEditing *edit, CrdtBytes text, CrdtPrepared *out);

/* An entry of a map, or an embed. */
void crdt_prepare_value(CrdtEditing *edit, const CrdtInput *input, CrdtPrepared *out);
void crdt_prepare_embed(CrdtEditing *edit, const CrdtInput *input, CrdtPrepared *out);

/* Elements of a list; values in a row become one item.  *out lives in scratch. */
void crdt_prepare_elements(CrdtEditing *edit, const CrdtInput *inputs, size_t count, bool only_xml,
						   CrdtPrepared **out, size_t *out_count);

void crdt_prepare_marks(CrdtEditing *edit, const CrdtAttributes *attributes, CrdtMarks *out);
void
crdt_prepare_delta(CrdtEditing *edit, const CrdtDeltaOp *ops, size_t count, CrdtPreparedOp **out);

/* A new item with that content is coming: count it. */
void crdt_prepare_count(CrdtEditing *edit, const CrdtStruct *wire);

/* ---- what is in a new type ---- */

/* Behind left, which it returns moved to the last one added (edit_list.c). */
CrdtRef crdt_editing_add_elements(CrdtEditing *edit, uint32_t list, CrdtRef left,
								  const CrdtPrepared *elements, size_t count);
void crdt_editing_set(CrdtEditing *edit, uint32_t type, const CrdtPreparedEntry *entry);

/* Operations from the start of a text (edit_text.c). */
void crdt_editing_run(CrdtEditing *edit, uint32_t type, const CrdtPreparedOp *ops, size_t count);

/* Counts what running them in a new text of that length needs. */
void crdt_prepare_run(CrdtEditing *edit, const CrdtPreparedOp *ops, size_t count, uint64_t length);

#endif
