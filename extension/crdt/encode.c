/*
 * encode.c: a document as an update, and its state vector (FORMAT 6.6, 5.2).
 */
#include "document.h"

#include <string.h>

#include "content.h"
#include "plan.h"
#include "structs.h"
#include "tables.h"
#include "update.h"

/* A client and the clock to encode from. */
typedef struct EncodedClient
{
	uint64_t id;
	uint64_t clock;
	uint32_t number;
} EncodedClient;

static bool
client_is_before(const void *a, const void *b)
{
	return ((const EncodedClient *) a)->id > ((const EncodedClient *) b)->id;
}

/* The clients that have structs, descending; NULL: no memory. */
static EncodedClient *
sorted_clients(const CrdtDoc *doc, size_t *count)
{
	EncodedClient *clients = doc->host.resize(doc->host.context, NULL, 0,
											  (doc->client_count + 1) * sizeof(EncodedClient));

	*count = 0;
	if (clients == NULL)
		return NULL;
	for (size_t i = 0; i < doc->client_count; i++)
		if (doc->clients[i].state > 0)
			clients[(*count)++] = (EncodedClient){doc->clients[i].id, 0, (uint32_t) i};
	crdt_sort(clients, *count, sizeof(EncodedClient), client_is_before);
	return clients;
}

static void
free_clients(const CrdtDoc *doc, EncodedClient *clients)
{
	doc->host.resize(doc->host.context, clients, (doc->client_count + 1) * sizeof(EncodedClient),
					 0);
}

static void
write_client(CrdtDoc *doc, const EncodedClient *encoded, CrdtUpdateWriter *writer)
{
	CrdtClient *client = &doc->clients[encoded->number];
	CrdtCursor cursor;
	uint64_t offset;

	if (encoded->clock >= client->state)
		return;
	cursor = crdt_structs_find(client, encoded->clock);
	offset = encoded->clock - crdt_structs_clock_at(client, cursor);
	do
	{
		CrdtStruct item;

		crdt_item_to_struct(doc, crdt_item(doc, crdt_structs_at(client, cursor)), &item);
		crdt_update_writer_add(writer, &item, offset);
		offset = 0;
	} while (crdt_structs_next(client, &cursor));
}

/* Everything deleted, as maximal runs of structs. */
static bool
collect_deletes(const CrdtDoc *doc, const EncodedClient *clients, size_t count, CrdtIdSet *deletes)
{
	for (size_t i = 0; i < count; i++)
	{
		const CrdtClient *client = &doc->clients[clients[i].number];
		CrdtCursor cursor = {0, 0};
		CrdtIdRange range = {client->id, 0, 0};

		do
		{
			const CrdtItem *item = crdt_item(doc, crdt_structs_at(client, cursor));

			if (item->deleted)
			{
				if (range.length == 0)
					range.clock = crdt_structs_clock_at(client, cursor);
				range.length += crdt_item_length(item);
			}
			else if (range.length > 0)
			{
				if (!crdt_idset_add(deletes, range))
					return false;
				range.length = 0;
			}
		} while (crdt_structs_next(client, &cursor));
		if (range.length > 0 && !crdt_idset_add(deletes, range))
			return false;
	}
	return true;
}

/* Writes what the clients have from their clocks on; deletes NULL: all that is deleted. */
static bool
encode_clients(CrdtDoc *doc, CrdtFormat format, const EncodedClient *clients, size_t count,
			   const CrdtIdSet *deletes, CrdtBuffer *out)
{
	CrdtUpdateWriter writer;
	CrdtIdSet all;
	bool done;

	crdt_update_writer_open(&writer, &doc->host, format);
	crdt_idset_open(&all, &doc->host);
	for (size_t i = 0; i < count; i++)
		write_client(doc, &clients[i], &writer);
	done = (deletes != NULL || collect_deletes(doc, clients, count, &all)) &&
		   crdt_update_writer_finish(&writer, deletes != NULL ? deletes : &all, out);
	crdt_idset_close(&all);
	crdt_update_writer_close(&writer);
	return done;
}

/* The integrated part of the document. */
static bool
encode_integrated(CrdtDoc *doc, CrdtFormat format, const CrdtStateVector *vector, CrdtBuffer *out)
{
	size_t count;
	EncodedClient *clients = sorted_clients(doc, &count);
	bool done;

	if (clients == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		clients[i].clock = crdt_state_vector_clock(vector, clients[i].id);
	done = encode_clients(doc, format, clients, count, NULL, out);
	free_clients(doc, clients);
	return done;
}

/* ---- one transaction ---- */

/* What the ending transaction added and deleted. */
static bool
encode_change(CrdtDoc *doc, CrdtFormat format, EncodedClient *clients, CrdtBuffer *out)
{
	const CrdtTransaction *transaction = &doc->transaction;
	CrdtIdSet deletes;
	bool done = true;

	for (size_t i = 0; i < transaction->client_count; i++)
	{
		const CrdtTouched *touched = &transaction->clients[i];

		clients[i] = (EncodedClient){doc->clients[touched->client].id, touched->state_before,
									 touched->client};
	}
	crdt_sort(clients, transaction->client_count, sizeof(EncodedClient), client_is_before);
	crdt_idset_open(&deletes, &doc->host);
	for (size_t i = 0; done && i < transaction->deleted_count; i++)
	{
		const CrdtDeletedRange *range = &transaction->deleted[i];

		done = crdt_idset_add(
			&deletes, (CrdtIdRange){doc->clients[range->client].id, range->clock, range->length});
	}
	if (done)
		crdt_idset_normalize(&deletes);
	done = done && encode_clients(doc, format, clients, transaction->client_count, &deletes, out);
	crdt_idset_close(&deletes);
	return done;
}

CrdtStatus
crdt_doc_encode_transaction(CrdtDoc *doc, CrdtFormat format, CrdtBuffer *out, CrdtError *error)
{
	size_t size_before = out->size;
	size_t capacity = 0;
	EncodedClient *clients = NULL;
	CrdtStatus status = CRDT_OK;

	if (!doc->transaction.is_ending)
		return crdt_error_set(error, CRDT_INVALID, 0, "no transaction is ending");
	if (!crdt_array_reserve(&doc->host, &clients, &capacity, doc->transaction.client_count + 1,
							sizeof(EncodedClient)) ||
		!encode_change(doc, format, clients, out))
	{
		out->size = size_before;
		out->failed = false;
		status = crdt_error_no_memory(error);
	}
	crdt_array_free(&doc->host, &clients, &capacity, sizeof(EncodedClient));
	return status;
}

/* ---- what waits ---- */

/* The parts that the document's encoding is merged from when something waits. */
typedef struct Parts
{
	CrdtBuffer integrated;
	CrdtBuffer deletes;
	CrdtBuffer waiting; /* all structs that wait */
	CrdtBuffer structs; /* those of them that are asked for */
} Parts;

static CrdtStatus
merge_parts(CrdtDoc *doc, CrdtFormat format, const Parts *parts, CrdtBuffer *out, CrdtError *error)
{
	CrdtBytes views[3];
	size_t count = 0;

	views[count++] = crdt_buffer_view(&parts->integrated);
	if (parts->deletes.size > 0)
		views[count++] = crdt_buffer_view(&parts->deletes);
	if (parts->structs.size > 0)
		views[count++] = crdt_buffer_view(&parts->structs);
	return crdt_update_merge(&doc->host, views, count, format, out, error);
}

static CrdtStatus
encode_waiting(CrdtDoc *doc, CrdtFormat format, CrdtBytes state_vector,
			   const CrdtStateVector *vector, CrdtBuffer *out, CrdtError *error)
{
	Parts parts;
	CrdtStatus status = CRDT_OK;

	crdt_buffer_open(&parts.integrated, &doc->host);
	crdt_buffer_open(&parts.deletes, &doc->host);
	crdt_buffer_open(&parts.waiting, &doc->host);
	crdt_buffer_open(&parts.structs, &doc->host);
	if (!encode_integrated(doc, format, vector, &parts.integrated))
		status = crdt_error_no_memory(error);
	if (status == CRDT_OK && doc->pending.deletes.count > 0)
	{
		crdt_write_varuint(&parts.deletes, 0);
		crdt_idset_write(&doc->pending.deletes, CRDT_V1, &parts.deletes);
		if (parts.deletes.failed)
			status = crdt_error_no_memory(error);
	}
	if (status == CRDT_OK && doc->pending.late_count > 0)
		status = crdt_pending_merge(&doc->pending, (CrdtBytes){NULL, 0}, &parts.waiting, error);
	if (status == CRDT_OK && doc->pending.update.size > 0)
		status = crdt_update_diff(
			&doc->host,
			crdt_buffer_view(doc->pending.late_count > 0 ? &parts.waiting : &doc->pending.update),
			CRDT_V1, state_vector, &parts.structs, error);
	if (status == CRDT_OK)
		status = merge_parts(doc, format, &parts, out, error);
	crdt_buffer_close(&parts.integrated);
	crdt_buffer_close(&parts.deletes);
	crdt_buffer_close(&parts.waiting);
	crdt_buffer_close(&parts.structs);
	return status;
}

/* ---- public ---- */

CrdtStatus
crdt_doc_encode(CrdtDoc *doc, CrdtFormat format, CrdtBytes state_vector, CrdtBuffer *out,
				CrdtError *error)
{
	static const uint8_t nothing_known[] = {0};
	size_t size_before = out->size;
	CrdtStateVector vector;
	CrdtStatus status;

	if (state_vector.size == 0)
		state_vector = (CrdtBytes){nothing_known, sizeof(nothing_known)};
	status = crdt_state_vector_open(&vector, &doc->host, state_vector, error);
	if (status != CRDT_OK)
		return status;
	if (crdt_doc_is_waiting(doc))
		status = encode_waiting(doc, format, state_vector, &vector, out, error);
	else if (!encode_integrated(doc, format, &vector, out))
		status = crdt_error_no_memory(error);
	crdt_state_vector_close(&vector);
	if (status != CRDT_OK)
	{
		out->size = size_before;
		out->failed = false;
	}
	return status;
}

CrdtStatus
crdt_doc_encode_state_vector(const CrdtDoc *doc, CrdtBuffer *out, CrdtError *error)
{
	size_t size_before = out->size;
	size_t count;
	EncodedClient *clients = sorted_clients(doc, &count);

	if (clients == NULL)
		return crdt_error_no_memory(error);
	crdt_write_varuint(out, count);
	for (size_t i = 0; i < count; i++)
	{
		crdt_write_varuint(out, clients[i].id);
		crdt_write_varuint(out, doc->clients[clients[i].number].state);
	}
	free_clients(doc, clients);
	if (!out->failed)
		return CRDT_OK;
	out->size = size_before;
	out->failed = false;
	return crdt_error_no_memory(error);
}
