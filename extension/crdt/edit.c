/*
 * edit.c: transactions of local edits, and what all edits share (edit.h, editing.h).
 *
 * Here: who edits, opening and closing a call, adding, cutting and deleting items.  Not here: what
 * may be added (prepare.c), where in a list or text (edit_list.c, edit_text.c).
 */
#include "edit.h"

#include <stdarg.h>
#include <stdio.h>

#include "content.h"
#include "editing.h"
#include "integrate.h"
#include "structs.h"
#include "tables.h"
#include "transaction.h"

/* More clients than that are forgotten with the call. */
#define NOTED_KEPT 64

/* ---- transactions ---- */

void
crdt_doc_set_client(CrdtDoc *doc, uint64_t client)
{
	doc->edit_client = client & CRDT_SAFE_INTEGER_MAX;
}

uint64_t
crdt_doc_client(const CrdtDoc *doc)
{
	return doc->edit_client;
}

void
crdt_doc_begin(CrdtDoc *doc, const void *origin)
{
	if (doc->edit_depth++ > 0)
		return;
	doc->transaction.local = true;
	doc->transaction.origin = origin;
}

void
crdt_doc_commit(CrdtDoc *doc)
{
	if (doc->edit_depth > 0 && --doc->edit_depth == 0 && !crdt_doc_is_broken(doc))
		crdt_transaction_end(doc);
}

/* ---- a call ---- */

void
crdt_editing_fail(CrdtEditing *edit, CrdtStatus status, const char *format, ...)
{
	char message[CRDT_MESSAGE_SIZE];
	va_list arguments;

	if (crdt_editing_failed(edit))
		return;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	edit->status = crdt_error_set(edit->error, status, 0, "%s", message);
}

void
crdt_editing_no_memory(CrdtEditing *edit)
{
	if (!crdt_editing_failed(edit))
		edit->status = crdt_error_no_memory(edit->error);
}

static bool
accepts(CrdtKind kind, CrdtAccepts how)
{
	switch (kind)
	{
		case CRDT_UNTYPED: return true;
		case CRDT_TEXT:
		case CRDT_XML_TEXT: return how != CRDT_ACCEPTS_LIST;
		case CRDT_ARRAY:
		case CRDT_XML_FRAGMENT: return how == CRDT_ACCEPTS_LIST;
		case CRDT_MAP:
		case CRDT_XML_HOOK: return how == CRDT_ACCEPTS_MAP;
		case CRDT_XML_ELEMENT: return how != CRDT_ACCEPTS_TEXT;
	}
	return false;
}

static void
check_type(CrdtEditing *edit, const CrdtType *type, CrdtAccepts how)
{
	static const char *const nouns[] = {"a text", "a list", "a map"};

	if (type == NULL)
		crdt_editing_fail(edit, CRDT_INVALID, "there is no such type");
	else if (type->gone || (type->item != 0 && crdt_item(edit->doc, type->item)->deleted))
		crdt_editing_fail(edit, CRDT_INVALID, "the type was deleted");
	else if (!accepts((CrdtKind) type->kind, how))
		crdt_editing_fail(edit, CRDT_INVALID, "a type of kind %d cannot be edited as %s",
						  type->kind, nouns[how]);
}

/* The client's structs are going to be cut, or get more. */
static void
note_client(CrdtEditing *edit, uint32_t client)
{
	const CrdtClient *known = &edit->doc->clients[client];

	if (known->coming_splits + known->coming_structs > 0)
		return;
	if (!crdt_array_reserve(&edit->doc->host, &edit->doc->noted_clients, &edit->doc->noted_capacity,
							edit->client_count + 1, sizeof(uint32_t)))
		crdt_editing_no_memory(edit);
	else
		edit->doc->noted_clients[edit->client_count++] = client;
}

/* Counting starts: the own client is in it always. */
static void
begin_counting(CrdtEditing *edit)
{
	edit->needs = crdt_needs(edit->doc);
	note_client(edit, edit->client);
	edit->doc->clients[edit->client].coming_structs = 1;
}

static void
end_counting(CrdtEditing *edit)
{
	for (size_t i = 0; i < edit->client_count; i++)
	{
		CrdtClient *client = &edit->doc->clients[edit->doc->noted_clients[i]];

		client->coming_splits = 0;
		client->coming_structs = 0;
	}
	/* it may not have got into the list, for lack of memory */
	edit->doc->clients[edit->client].coming_splits = 0;
	edit->doc->clients[edit->client].coming_structs = 0;
	edit->client_count = 0;
}

bool
crdt_editing_open(CrdtEditing *edit, CrdtDoc *doc, const CrdtType *type, CrdtAccepts how,
				  CrdtError *error)
{
	*edit = (CrdtEditing){.doc = doc, .error = error};
	check_type(edit, type, how);
	if (crdt_editing_failed(edit) || !crdt_editing_open_doc(edit, doc, NULL, error))
		return false;
	edit->type = type->number;
	return true;
}

bool
crdt_editing_open_doc(CrdtEditing *edit, CrdtDoc *doc, const void *origin, CrdtError *error)
{
	*edit = (CrdtEditing){.doc = doc, .error = error};
	edit->status = crdt_doc_check_whole(doc, error);
	if (crdt_editing_failed(edit))
		return false;
	if (!crdt_client_add(doc, doc->edit_client, &edit->client))
	{
		crdt_editing_no_memory(edit);
		return false;
	}
	if (doc->clients[edit->client].state > CRDT_SAFE_INTEGER_MAX / 2)
	{
		crdt_editing_fail(edit, CRDT_LIMIT, "the clock of client %llu is too high to edit",
						  (unsigned long long) doc->edit_client);
		return false;
	}
	crdt_doc_begin(doc, origin);
	edit->is_open = true;
	begin_counting(edit);
	return !crdt_editing_failed(edit);
}

CrdtStatus
crdt_editing_close(CrdtEditing *edit)
{
	if (edit->is_open)
	{
		end_counting(edit);
		crdt_doc_commit(edit->doc);
		crdt_arena_reset(&edit->doc->scratch);
	}
	if (edit->doc->noted_capacity > NOTED_KEPT)
		crdt_array_free(&edit->doc->host, &edit->doc->noted_clients, &edit->doc->noted_capacity,
						sizeof(uint32_t));
	return edit->status;
}

void
crdt_editing_need_cut(CrdtEditing *edit, CrdtRef ref)
{
	uint32_t client = crdt_unpack(edit->doc, crdt_item(edit->doc, ref)->id).client;

	note_client(edit, client);
	if (!crdt_editing_failed(edit))
		crdt_needs_split(edit->doc, &edit->needs, client);
}

bool
crdt_editing_reserve(CrdtEditing *edit)
{
	CrdtStatus status;

	if (crdt_editing_failed(edit))
		return false;
	edit->needs.wide |=
		crdt_id_is_wide(edit->client, edit->doc->clients[edit->client].state + (UINT64_C(1) << 40));
	status = crdt_reserve(edit->doc, &edit->needs, edit->doc->noted_clients, edit->client_count,
						  edit->error);
	end_counting(edit);
	begin_counting(edit);
	if (status != CRDT_OK)
		edit->status = status;
	return !crdt_editing_failed(edit);
}

/* ---- steps ---- */

/* Every step asks again for what it takes.  All of it was reserved, so this finds it there; should
 * the count have been too low, it is the step that fails, and not the heap. */
static bool
ask_for_item(CrdtEditing *edit, const CrdtStruct *wire)
{
	crdt_prepare_count(edit, wire);
	return crdt_editing_reserve(edit);
}

/* An item without content at the end of the own client's structs. */
static CrdtItem *
new_item(CrdtEditing *edit, uint32_t list, CrdtRef left, CrdtRef right, CrdtRef *ref)
{
	CrdtDoc *doc = edit->doc;
	CrdtItem *item;

	*ref = crdt_pool_take(&doc->items);
	item = crdt_item(doc, *ref);
	*item = (CrdtItem){.id = crdt_pack(doc, edit->client, doc->clients[edit->client].state),
					   .origin = left != 0 ? crdt_item_last_id(doc, left) : CRDT_PACKED_NONE,
					   .right_origin = right != 0 ? crdt_item(doc, right)->id : CRDT_PACKED_NONE,
					   .left = left,
					   .right = right,
					   .list = list};
	return item;
}

/* FORMAT 10.6: the content of a new type follows its holder. */
static void
fill_type(CrdtEditing *edit, uint32_t number, const CrdtPreparedType *content)
{
	if (content->text != NULL)
		crdt_editing_run(edit, number, content->text, 1);
	if (content->delta_count > 0)
		crdt_editing_run(edit, number, content->delta, content->delta_count);
	(void) crdt_editing_add_elements(edit, crdt_type(edit->doc, number)->sequence, 0,
									 content->items, content->item_count);
	for (size_t i = 0; i < content->entry_count; i++)
		crdt_editing_set(edit, number, &content->entries[i]);
}

CrdtRef
crdt_editing_add(CrdtEditing *edit, uint32_t list, CrdtRef left, CrdtRef right,
				 const CrdtPrepared *content)
{
	CrdtDoc *doc = edit->doc;
	CrdtItem *item;
	CrdtRef ref;

	if (!ask_for_item(edit, &content->wire))
		return 0;
	item = new_item(edit, list, left, right, &ref);
	crdt_content_make(doc, item, &content->wire, 0, content->name);
	if (item->kind == CRDT_TYPE)
		item->content.type = crdt_type_add(doc, content->wire.type_ref, content->name, ref);
	crdt_item_integrate(doc, edit->client, ref);
	if (content->type != NULL)
		fill_type(edit, item->content.type, content->type);
	return ref;
}

CrdtRef
crdt_editing_add_mark(CrdtEditing *edit, uint32_t list, CrdtRef left, CrdtRef right, CrdtMark mark)
{
	CrdtStruct wire = {.kind = CRDT_FORMAT_MARK, .length = 1, .content = mark.value};
	CrdtItem *item;
	CrdtRef ref;

	if (!ask_for_item(edit, &wire))
		return 0;
	item = new_item(edit, list, left, right, &ref);
	crdt_content_make(edit->doc, item, &wire, 0, mark.key);
	if (mark.is_kept)
		item->content.piece->bytes = (uint8_t *) mark.value.data;
	crdt_item_integrate(edit->doc, edit->client, ref);
	return ref;
}

void
crdt_editing_cut(CrdtEditing *edit, CrdtRef ref, uint64_t at)
{
	CrdtDoc *doc = edit->doc;
	CrdtPlace place = crdt_unpack(doc, crdt_item(doc, ref)->id);

	crdt_editing_need_cut(edit, ref);
	if (!crdt_editing_reserve(edit))
		return;
	place.clock += at;
	(void) crdt_structs_clean_start(doc, place);
}

void
crdt_editing_delete(CrdtEditing *edit, CrdtRef ref)
{
	edit->needs.deleted++;
	edit->needs.deep |= crdt_item(edit->doc, ref)->kind == CRDT_TYPE;
	if (crdt_editing_reserve(edit))
		crdt_item_delete(edit->doc, ref);
}
