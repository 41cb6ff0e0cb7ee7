/*
 * wire.c: the frame that both update formats share: blocks of structs per client, then the delete
 * set (FORMAT 2 and 5.1; wire.h).
 *
 *     update := clients, clients x (structs, client, clock, struct ...), delete set
 *
 * Here: walking that frame and building it.  Not here: what a struct looks like (wire_v1.c).
 *
 * The number of structs goes in front of a block, and the number of blocks in front of all, so the
 * writer collects the structs' bytes and assembles the update at the end.
 */
#include "wire.h"

/* Bytes of the smallest client block (three varints) and struct (a GC) in V1. */
#define V1_BLOCK_BYTES 3
#define V1_STRUCT_BYTES 2

/* ---- reading ---- */

void
crdt_update_reader_open(CrdtUpdateReader *reader, CrdtBytes update, CrdtFormat format,
						CrdtArena *scratch)
{
	crdt_reader_open(&reader->bytes, update);
	reader->format = format;
	reader->scratch = scratch;
	reader->structs_left = 0;
	reader->client = 0;
	reader->clock = 0;
	reader->block_number = 0;
	reader->takes_flagged_skips = false;
	if (format != CRDT_V1)
		crdt_reader_fail(&reader->bytes, CRDT_INVALID, "update format %d is not known",
						 (int) format);
	reader->blocks_left = crdt_read_count(&reader->bytes, V1_BLOCK_BYTES, "clients");
}

/* Moves to the next block that has structs; false when there is none. */
static bool
enter_block(CrdtUpdateReader *reader)
{
	while (reader->structs_left == 0)
	{
		if (reader->blocks_left == 0)
			return false;
		reader->blocks_left--;
		reader->structs_left = crdt_read_count(&reader->bytes, V1_STRUCT_BYTES, "structs");
		reader->client = crdt_read_varuint(&reader->bytes);
		reader->clock = crdt_read_varuint(&reader->bytes);
		reader->block_number++;
		if (crdt_reader_failed(&reader->bytes))
			return false;
	}
	return true;
}

bool
crdt_update_reader_next(CrdtUpdateReader *reader, CrdtStruct *out)
{
	uint64_t end;

	if (crdt_reader_failed(&reader->bytes) || !enter_block(reader))
		return false;
	out->client = reader->client;
	out->clock = reader->clock;
	crdt_v1_read_struct(reader, out);
	if (crdt_reader_failed(&reader->bytes))
		return false;
	if (out->length == 0)
	{
		crdt_reader_fail(&reader->bytes, CRDT_MALFORMED, "struct of client %llu has length 0",
						 (unsigned long long) out->client);
		return false;
	}
	end = crdt_read_sum(&reader->bytes, out->clock, out->length);
	reader->clock = end;
	reader->structs_left--;
	return !crdt_reader_failed(&reader->bytes);
}

void
crdt_update_reader_take_deletes(CrdtUpdateReader *reader, CrdtIdSet *deletes)
{
	if (!crdt_reader_failed(&reader->bytes))
		crdt_idset_read(&reader->bytes, reader->format, deletes);
}

CrdtStatus
crdt_update_reader_status(const CrdtUpdateReader *reader, CrdtError *error)
{
	if (error != NULL && crdt_reader_failed(&reader->bytes))
		*error = reader->bytes.error;
	return reader->bytes.error.status;
}

CrdtUpdatePlace
crdt_update_reader_place(const CrdtUpdateReader *reader)
{
	return (CrdtUpdatePlace){.cursor = reader->bytes.cursor,
							 .blocks_left = reader->blocks_left,
							 .structs_left = reader->structs_left,
							 .client = reader->client,
							 .clock = reader->clock,
							 .block_number = reader->block_number};
}

void
crdt_update_reader_move(CrdtUpdateReader *reader, const CrdtUpdatePlace *place)
{
	reader->bytes.cursor = place->cursor;
	reader->blocks_left = place->blocks_left;
	reader->structs_left = place->structs_left;
	reader->client = place->client;
	reader->clock = place->clock;
	reader->block_number = place->block_number;
}

/* ---- writing ---- */

void
crdt_update_writer_open(CrdtUpdateWriter *writer, const CrdtHost *host, CrdtFormat format)
{
	writer->format = format;
	crdt_buffer_open(&writer->structs, host);
	crdt_buffer_open(&writer->text, host);
	writer->blocks = NULL;
	writer->block_count = 0;
	writer->block_capacity = 0;
}

void
crdt_update_writer_close(CrdtUpdateWriter *writer)
{
	crdt_array_free(writer->structs.host, &writer->blocks, &writer->block_capacity,
					sizeof(CrdtBlockHead));
	crdt_buffer_close(&writer->structs);
	crdt_buffer_close(&writer->text);
	writer->block_count = 0;
}

/* The block that item belongs to; NULL: no memory. */
static CrdtBlockHead *
block_for(CrdtUpdateWriter *writer, const CrdtStruct *item, uint64_t offset)
{
	size_t count = writer->block_count;
	CrdtBlockHead *block;

	if (count > 0 && writer->blocks[count - 1].client == item->client)
		return &writer->blocks[count - 1];
	if (!crdt_array_reserve(writer->structs.host, &writer->blocks, &writer->block_capacity,
							count + 1, sizeof(CrdtBlockHead)))
	{
		writer->structs.failed = true;
		return NULL;
	}
	block = &writer->blocks[writer->block_count++];
	*block = (CrdtBlockHead){.client = item->client, .clock = item->clock + offset};
	return block;
}

void
crdt_update_writer_add(CrdtUpdateWriter *writer, const CrdtStruct *item, uint64_t offset)
{
	CrdtBlockHead *block = block_for(writer, item, offset);

	if (block == NULL)
		return;
	crdt_v1_write_struct(writer, item, offset);
	block->struct_count++;
	block->end = writer->structs.size;
}

bool
crdt_update_writer_finish(CrdtUpdateWriter *writer, const CrdtIdSet *deletes, CrdtBuffer *out)
{
	size_t start = 0;

	if (writer->structs.failed || writer->text.failed)
		return false;
	crdt_buffer_room(out, writer->structs.size + 16 * writer->block_count);
	crdt_write_varuint(out, writer->block_count);
	for (size_t i = 0; i < writer->block_count; i++)
	{
		const CrdtBlockHead *block = &writer->blocks[i];

		crdt_write_varuint(out, block->struct_count);
		crdt_write_varuint(out, block->client);
		crdt_write_varuint(out, block->clock);
		crdt_write_bytes(out, (CrdtBytes){writer->structs.data + start, block->end - start});
		start = block->end;
	}
	crdt_idset_write(deletes, writer->format, out);
	return !out->failed;
}
