/*
 * document.c: a document's life, its roots, and what it holds of memory (document.h).
 */
#include "document.h"

#include <string.h>

#include "encode.h"
#include "index.h"
#include "plan.h"
#include "redone.h"
#include "structs.h"
#include "tables.h"
#include "transaction.h"

CrdtDoc *
crdt_doc_new(const CrdtHost *host, const CrdtDocOptions *options)
{
	CrdtDoc *doc = host->resize(host->context, NULL, 0, sizeof(CrdtDoc));

	if (doc == NULL)
		return NULL;
	memset(doc, 0, sizeof(*doc));
	doc->host = *host;
	if (options != NULL)
		doc->options = *options;
	doc->notes_changes = doc->options.clean_formatting;
	doc->items.record_size = sizeof(CrdtItem);
	doc->items.chunk_bits = CRDT_ITEM_CHUNK_BITS;
	doc->pieces.record_size = sizeof(CrdtPiece);
	doc->pieces.chunk_bits = CRDT_PIECE_CHUNK_BITS;
	doc->types.record_size = sizeof(CrdtType);
	doc->types.chunk_bits = CRDT_TYPE_CHUNK_BITS;
	crdt_arena_open(&doc->text, &doc->host);
	crdt_arena_open(&doc->scratch, &doc->host);
	crdt_pending_open(&doc->pending, &doc->host);
	return doc;
}

static void
free_hash(CrdtDoc *doc, CrdtHash *hash)
{
	crdt_array_free(&doc->host, &hash->entries, &hash->capacity, sizeof(uint32_t));
}

void
crdt_doc_free(CrdtDoc *doc)
{
	CrdtHost host;

	if (doc == NULL)
		return;
	host = doc->host;
	if (doc->plan != NULL)
		crdt_plan_free(doc->plan);
	crdt_pending_close(&doc->pending);
	crdt_transaction_free(doc);
	crdt_array_free(&doc->host, &doc->queue, &doc->queue_capacity, sizeof(CrdtTransaction));
	crdt_redone_free(doc);
	crdt_change_encoder_free(doc);
	crdt_index_free(doc);
	crdt_structs_free(doc);
	crdt_pool_free(&doc->host, &doc->items);
	crdt_pool_free(&doc->host, &doc->pieces);
	crdt_pool_free(&doc->host, &doc->types);
	crdt_arena_close(&doc->text);
	crdt_arena_close(&doc->scratch);
	free_hash(doc, &doc->client_hash);
	free_hash(doc, &doc->name_hash);
	free_hash(doc, &doc->list_hash);
	crdt_array_free(&doc->host, &doc->noted_clients, &doc->noted_capacity, sizeof(uint32_t));
	crdt_array_free(&doc->host, &doc->wide_ids, &doc->wide_capacity, sizeof(CrdtId));
	crdt_array_free(&doc->host, &doc->clients, &doc->client_capacity, sizeof(CrdtClient));
	crdt_array_free(&doc->host, &doc->names, &doc->name_capacity, sizeof(CrdtBytes));
	crdt_array_free(&doc->host, &doc->roots, &doc->root_capacity, sizeof(uint32_t));
	crdt_array_free(&doc->host, &doc->lists, &doc->list_capacity, sizeof(CrdtList));
	host.resize(host.context, doc, sizeof(*doc), 0);
}

size_t
crdt_doc_memory_bytes(const CrdtDoc *doc)
{
	size_t hash_entries =
		doc->client_hash.capacity + doc->name_hash.capacity + doc->list_hash.capacity;

	return sizeof(*doc) + doc->text.bytes + doc->scratch.bytes + crdt_pool_bytes(&doc->items) +
		   crdt_pool_bytes(&doc->pieces) + crdt_pool_bytes(&doc->types) + crdt_structs_bytes(doc) +
		   hash_entries * sizeof(uint32_t) + doc->wide_capacity * sizeof(CrdtId) +
		   doc->client_capacity * sizeof(CrdtClient) + doc->name_capacity * sizeof(CrdtBytes) +
		   doc->root_capacity * sizeof(uint32_t) + doc->list_capacity * sizeof(CrdtList) +
		   doc->pending.missing.capacity * sizeof(CrdtStateVectorEntry) +
		   doc->transaction.client_capacity * sizeof(CrdtTouched) +
		   doc->transaction.type_capacity * sizeof(uint32_t) +
		   doc->noted_capacity * sizeof(uint32_t) + crdt_change_encoder_bytes(doc) +
		   doc->redone.capacity * sizeof(CrdtRedoneEntry) + crdt_index_bytes(doc) +
		   doc->transaction.deleted_capacity * sizeof(CrdtDeletedRange) +
		   doc->transaction.to_merge_capacity * sizeof(CrdtPackedId) +
		   doc->pending.update.capacity + doc->pending.late.capacity +
		   doc->pending.client_capacity * sizeof(CrdtWaitingClient) +
		   (doc->pending.deletes.capacity + doc->pending.ranges.capacity) * sizeof(CrdtIdRange) +
		   (doc->plan == NULL ? 0 : crdt_plan_bytes(doc->plan));
}

bool
crdt_doc_is_waiting(const CrdtDoc *doc)
{
	return doc->pending.update.size > 0 || doc->pending.deletes.count > 0;
}

/* ---- roots ---- */

size_t
crdt_doc_root_count(const CrdtDoc *doc)
{
	return doc->root_count;
}

const CrdtType *
crdt_doc_root(const CrdtDoc *doc, size_t index)
{
	return crdt_type(doc, doc->roots[index]);
}

const CrdtType *
crdt_doc_find_root(const CrdtDoc *doc, CrdtBytes name)
{
	uint32_t type = crdt_root_find(doc, crdt_name_find(doc, name));

	return type == 0 ? NULL : crdt_type(doc, type);
}

CrdtBytes
crdt_doc_root_name(const CrdtDoc *doc, const CrdtType *root)
{
	return crdt_name(doc, root->name);
}

CrdtStatus
crdt_doc_declare_root(CrdtDoc *doc, CrdtBytes name, CrdtKind kind, CrdtError *error)
{
	uint32_t number;
	uint32_t type;

	if (kind > CRDT_XML_TEXT)
		return crdt_error_set(error, CRDT_INVALID, 0, "%d is not a kind of shared type",
							  (int) kind);
	if (!crdt_name_add(doc, name, &number) || !crdt_root_add(doc, number, &type))
		return crdt_error_no_memory(error);
	if (crdt_type(doc, type)->kind != CRDT_UNTYPED && crdt_type(doc, type)->kind != kind)
		return crdt_error_set(error, CRDT_INVALID, 0,
							  "root is declared as kind %d already, not as %d",
							  crdt_type(doc, type)->kind, (int) kind);
	if (crdt_type(doc, type)->kind == CRDT_UNTYPED)
	{
		crdt_type(doc, type)->kind = (uint8_t) kind;
		crdt_type(doc, type)->has_formatting = false;
	}
	return CRDT_OK;
}

const CrdtType *
crdt_doc_open_root(CrdtDoc *doc, CrdtBytes name, CrdtKind kind, CrdtError *error)
{
	if (crdt_doc_declare_root(doc, name, kind, error) != CRDT_OK)
		return NULL;
	return crdt_doc_find_root(doc, name);
}
