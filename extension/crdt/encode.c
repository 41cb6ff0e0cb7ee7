/*
 * encode.c: a document as an update, and its state vector (FORMAT 6.6, 5.2).
 */
#include "encode.h"

#include <string.h>

#include "content.h"
#include "integrate.h"
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
	CrdtStruct item;
	uint64_t offset;

	if (encoded->clock >= client->state)
		return;
	cursor = crdt_structs_find(client, encoded->clock);
	offset = encoded->clock - crdt_structs_clock_at(client, cursor);
	crdt_item_to_struct_from(doc, crdt_item(doc, crdt_structs_at(client, cursor)), &offset, &item);
	crdt_update_writer_add(writer, &item, offset);
	while (crdt_structs_next(client, &cursor))
	{
		crdt_item_to_struct(doc, crdt_item(doc, crdt_structs_at(client, cursor)), &item);
		crdt_update_writer_add(writer, &item, 0);
	}
}

/* Everything deleted. */
static bool
collect_deletes(const CrdtDoc *doc, const EncodedClient *clients, size_t count, CrdtIdSet *deletes)
{
	for (size_t i = 0; i < count; i++)
		if (!crdt_structs_collect_deleted(&doc->clients[clients[i].number], deletes))
			return false;
	return true;
}

/* Writes what the clients have from their clocks on, about so many bytes; deletes NULL: all that is
 * deleted. */
static bool
encode_clients(CrdtDoc *doc, CrdtFormat format, const EncodedClient *clients, size_t count,
			   size_t bytes, const CrdtIdSet *deletes, CrdtBuffer *out)
{
	CrdtUpdateWriter writer;
	CrdtIdSet all;
	bool done;

	crdt_update_writer_open(&writer, &doc->host, format);
	crdt_update_writer_expect(&writer, bytes);
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
	size_t size_before = out->size;
	bool is_state = format == CRDT_V1 && vector->count == 0;
	size_t count;
	EncodedClient *clients = sorted_clients(doc, &count);
	bool done;

	if (clients == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		clients[i].clock = crdt_state_vector_clock(vector, clients[i].id);
	done =
		encode_clients(doc, format, clients, count, is_state ? doc->encoded_bytes : 0, NULL, out);
	free_clients(doc, clients);
	if (done && is_state)
		doc->encoded_bytes = out->size - size_before;
	return done;
}

/* ---- one transaction ---- */

/* What that takes, kept for the next one: an editor's every keystroke is a transaction. */
struct CrdtChangeEncoder
{
	CrdtUpdateWriter writer; /* V1 */
	CrdtIdSet deletes;
	EncodedClient *clients;
	size_t client_capacity;
};

/* An encoder that has grown larger is not kept. */
#define ENCODER_KEPT_BYTES 4096

static CrdtChangeEncoder *
open_change_encoder(CrdtDoc *doc)
{
	CrdtChangeEncoder *encoder = doc->change_encoder;

	if (encoder == NULL)
	{
		encoder = doc->host.resize(doc->host.context, NULL, 0, sizeof(*encoder));
		if (encoder == NULL)
			return NULL;
		crdt_update_writer_open(&encoder->writer, &doc->host, CRDT_V1);
		crdt_idset_open(&encoder->deletes, &doc->host);
		encoder->clients = NULL;
		encoder->client_capacity = 0;
		doc->change_encoder = encoder;
	}
	return encoder;
}

void
crdt_change_encoder_free(CrdtDoc *doc)
{
	CrdtChangeEncoder *encoder = doc->change_encoder;

	if (encoder == NULL)
		return;
	crdt_update_writer_close(&encoder->writer);
	crdt_idset_close(&encoder->deletes);
	crdt_array_free(&doc->host, &encoder->clients, &encoder->client_capacity,
					sizeof(EncodedClient));
	doc->host.resize(doc->host.context, encoder, sizeof(*encoder), 0);
	doc->change_encoder = NULL;
}

size_t
crdt_change_encoder_bytes(const CrdtDoc *doc)
{
	const CrdtChangeEncoder *encoder = doc->change_encoder;

	if (encoder == NULL)
		return 0;
	return sizeof(*encoder) + encoder->writer.structs.capacity + encoder->writer.text.capacity +
		   encoder->writer.block_capacity * sizeof(CrdtBlockHead) +
		   encoder->deletes.capacity * sizeof(CrdtIdRange) +
		   encoder->client_capacity * sizeof(EncodedClient);
}

/* Takes up what the ending transaction added and deleted. */
static bool
take_change(const CrdtDoc *doc, CrdtChangeEncoder *encoder)
{
	const CrdtTransaction *transaction = &doc->transaction;

	if (!crdt_array_reserve(&doc->host, &encoder->clients, &encoder->client_capacity,
							transaction->client_count, sizeof(EncodedClient)))
		return false;
	for (size_t i = 0; i < transaction->client_count; i++)
	{
		const CrdtTouched *touched = &transaction->clients[i];

		encoder->clients[i] = (EncodedClient){doc->clients[touched->client].id,
											  touched->state_before, touched->client};
	}
	crdt_sort(encoder->clients, transaction->client_count, sizeof(EncodedClient), client_is_before);
	encoder->deletes.count = 0;
	for (size_t i = 0; i < transaction->deleted_count; i++)
	{
		const CrdtDeletedRange *range = &transaction->deleted[i];

		if (!crdt_idset_add(&encoder->deletes, (CrdtIdRange){doc->clients[range->client].id,
															 range->clock, range->length}))
			return false;
	}
	crdt_idset_normalize(&encoder->deletes);
	return true;
}

static bool
encode_change(CrdtDoc *doc, CrdtFormat format, CrdtBuffer *out)
{
	CrdtChangeEncoder *encoder = open_change_encoder(doc);

	if (encoder == NULL || !take_change(doc, encoder))
		return false;
	if (format != CRDT_V1)
		return encode_clients(doc, format, encoder->clients, doc->transaction.client_count, 0,
							  &encoder->deletes, out);
	crdt_update_writer_clear(&encoder->writer);
	for (size_t i = 0; i < doc->transaction.client_count; i++)
		write_client(doc, &encoder->clients[i], &encoder->writer);
	return crdt_update_writer_finish(&encoder->writer, &encoder->deletes, out);
}

CrdtStatus
crdt_doc_encode_transaction(CrdtDoc *doc, CrdtFormat format, CrdtBuffer *out, CrdtError *error)
{
	size_t size_before = out->size;
	CrdtStatus status = CRDT_OK;

	if (!doc->transaction.is_ending)
		return crdt_error_set(error, CRDT_INVALID, 0, "no transaction is ending");
	if (!encode_change(doc, format, out))
	{
		out->size = size_before;
		out->failed = false;
		status = crdt_error_no_memory(error);
	}
	if (crdt_change_encoder_bytes(doc) > ENCODER_KEPT_BYTES)
		crdt_change_encoder_free(doc);
	return status;
}

/* ---- what waits ---- */

/* Appends the structs that wait as one V2 update, if any do. */
static CrdtStatus
write_waiting_structs(const CrdtPending *pending, CrdtBuffer *out, CrdtError *error)
{
	uint64_t struct_count;

	if (pending->late_count > 0)
		return crdt_pending_merge(pending, (CrdtBytes){NULL, 0}, out, &struct_count, error);
	crdt_write_bytes(out, crdt_buffer_view(&pending->update));
	return out->failed ? crdt_error_no_memory(error) : CRDT_OK;
}

/* Appends the deletes that wait as an update without structs, if any do. */
static CrdtStatus
write_waiting_deletes(const CrdtPending *pending, CrdtFormat format, CrdtBuffer *out,
					  CrdtError *error)
{
	CrdtUpdateWriter writer;
	bool done;

	if (pending->deletes.count == 0)
		return CRDT_OK;
	crdt_update_writer_open(&writer, pending->update.host, format);
	done = crdt_update_writer_finish(&writer, &pending->deletes, out);
	crdt_update_writer_close(&writer);
	return done ? CRDT_OK : crdt_error_no_memory(error);
}

/* Appends what someone at state_vector lacks of the structs that wait, if any do. */
static CrdtStatus
write_waiting_news(const CrdtPending *pending, CrdtFormat format, CrdtBytes state_vector,
				   CrdtBuffer *out, CrdtError *error)
{
	const CrdtHost *host = pending->update.host;
	CrdtStatus status;
	CrdtBuffer all;
	CrdtBuffer news;

	if (pending->update.size == 0)
		return CRDT_OK;
	crdt_buffer_open(&all, host);
	crdt_buffer_open(&news, host);
	status = write_waiting_structs(pending, &all, error);
	if (status == CRDT_OK)
		status = crdt_update_diff(host, crdt_buffer_view(&all), CRDT_V2, state_vector,
								  format == CRDT_V2 ? out : &news, error);
	if (status == CRDT_OK && format != CRDT_V2)
		status = crdt_update_convert(host, crdt_buffer_view(&news), CRDT_V2, format, out, error);
	crdt_buffer_close(&all);
	crdt_buffer_close(&news);
	return status;
}

CrdtStatus
crdt_encode_with_waiting(CrdtDoc *doc, CrdtFormat format, CrdtBytes state_vector,
						 CrdtBytes integrated, CrdtBuffer *out, CrdtError *error)
{
	CrdtBuffer deletes;
	CrdtBuffer news;
	CrdtBytes views[3] = {integrated};
	size_t count = 1;
	CrdtStatus status;

	crdt_buffer_open(&deletes, &doc->host);
	crdt_buffer_open(&news, &doc->host);
	status = write_waiting_deletes(&doc->pending, format, &deletes, error);
	if (status == CRDT_OK)
		status = write_waiting_news(&doc->pending, format, state_vector, &news, error);
	if (deletes.size > 0)
		views[count++] = crdt_buffer_view(&deletes);
	if (news.size > 0)
		views[count++] = crdt_buffer_view(&news);
	if (status == CRDT_OK)
		status = crdt_update_merge(&doc->host, views, count, format, out, error);
	crdt_buffer_close(&deletes);
	crdt_buffer_close(&news);
	return status;
}

/* Merges what is integrated, the deletes and the structs that wait. */
static CrdtStatus
encode_waiting(CrdtDoc *doc, CrdtFormat format, CrdtBytes state_vector,
			   const CrdtStateVector *vector, CrdtBuffer *out, CrdtError *error)
{
	CrdtBuffer integrated;
	CrdtStatus status;

	crdt_buffer_open(&integrated, &doc->host);
	status = encode_integrated(doc, format, vector, &integrated)
				 ? crdt_encode_with_waiting(doc, format, state_vector,
											crdt_buffer_view(&integrated), out, error)
				 : crdt_error_no_memory(error);
	crdt_buffer_close(&integrated);
	return status;
}

static void
write_missing(const CrdtStateVector *missing, CrdtBuffer *out)
{
	crdt_write_varuint(out, missing->count);
	for (size_t i = missing->count; i > 0; i--)
	{
		crdt_write_varuint(out, missing->entries[i - 1].client);
		crdt_write_varuint(out, missing->entries[i - 1].clock);
	}
}

/* ---- public ---- */

CrdtStatus
crdt_doc_encode(CrdtDoc *doc, CrdtFormat format, CrdtBytes state_vector, CrdtBuffer *out,
				CrdtError *error)
{
	static const uint8_t nothing_known[] = {0};
	size_t size_before = out->size;
	CrdtStateVector vector;
	CrdtStatus status = crdt_doc_check_whole(doc, error);

	if (status != CRDT_OK)
		return status;
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
	EncodedClient *clients;

	if (crdt_doc_check_whole(doc, error) != CRDT_OK)
		return error->status;
	clients = sorted_clients(doc, &count);
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

CrdtStatus
crdt_doc_pending(const CrdtDoc *doc, CrdtBuffer *structs, CrdtBuffer *missing, CrdtBuffer *deletes,
				 CrdtError *error)
{
	const CrdtPending *pending = &doc->pending;
	size_t structs_before = structs->size;
	size_t missing_before = missing->size;
	size_t deletes_before = deletes->size;
	CrdtStatus status = CRDT_OK;

	if (pending->update.size > 0)
	{
		status = write_waiting_structs(pending, structs, error);
		write_missing(&pending->missing, missing);
	}
	if (status == CRDT_OK)
		status = write_waiting_deletes(pending, CRDT_V2, deletes, error);
	if (status == CRDT_OK && missing->failed)
		status = crdt_error_no_memory(error);
	if (status == CRDT_OK)
		return CRDT_OK;
	structs->size = structs_before;
	missing->size = missing_before;
	deletes->size = deletes_before;
	structs->failed = missing->failed = deletes->failed = false;
	return status;
}
