/*
 * wire.c: the frame that both update formats share: blocks of structs per client, then the delete
 * set (FORMAT 2 and 5.1; wire.h).
 *
 *     update := clients, clients x (structs, client, clock, struct ...), delete set
 *
 * Here: walking that frame and building it, and what structs are like in both.  Not here: a struct's
 * bytes (wire_v1.c, wire_v2.c).
 *
 * The number of structs goes in front of a block, and the number of blocks in front of all, so the
 * writer collects the structs' bytes and assembles the update at the end.
 */
#include "wire.h"

#include <string.h>

#include "any.h"
#include "update.h"
#include "utf.h"

/* Bytes of the smallest client block (three varints) and struct (a GC) in V1. */
#define V1_BLOCK_BYTES 3
#define V1_STRUCT_BYTES 2

/* The same of a block in V2, in the last column; a struct may take none. */
#define V2_BLOCK_BYTES 2

/* ---- reading ---- */

void
crdt_update_reader_open(CrdtUpdateReader *reader, CrdtBytes update, CrdtFormat format,
						CrdtArena *scratch, CrdtArena *kept)
{
	crdt_reader_open(&reader->bytes, update);
	reader->format = format;
	reader->scratch = scratch;
	reader->kept = kept;
	reader->structs_left = 0;
	reader->client = 0;
	reader->clock = 0;
	reader->block_number = 0;
	reader->takes_flagged_skips = false;
	if (format == CRDT_V2)
		crdt_v2_read_columns(reader);
	else if (format != CRDT_V1)
		crdt_reader_fail(&reader->bytes, CRDT_INVALID, "update format %d is not known",
						 (int) format);
	reader->blocks_left = crdt_read_count(
		&reader->bytes, format == CRDT_V2 ? V2_BLOCK_BYTES : V1_BLOCK_BYTES, "clients");
}

/* Columns yield values for ever: what bounds the number of structs is that we set a bound. */
static uint64_t
read_struct_count(CrdtUpdateReader *reader)
{
	CrdtReader *bytes = &reader->bytes;
	uint64_t count = crdt_read_varuint(bytes);

	if (count > reader->columns.structs_allowed)
	{
		crdt_reader_fail(bytes, CRDT_LIMIT, "more structs than %d and %d for each byte",
						 CRDT_V2_STRUCTS_BASE, CRDT_V2_STRUCTS_PER_BYTE);
		return 0;
	}
	reader->columns.structs_allowed -= count;
	return count;
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
		if (reader->format == CRDT_V1)
		{
			reader->structs_left = crdt_read_count(&reader->bytes, V1_STRUCT_BYTES, "structs");
			reader->client = crdt_read_varuint(&reader->bytes);
		}
		else
		{
			reader->structs_left = read_struct_count(reader);
			reader->client = crdt_column_read_uint(&reader->columns.client, &reader->bytes);
		}
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
	if (reader->format == CRDT_V1)
		crdt_v1_read_struct(reader, out);
	else
		crdt_v2_read_struct(reader, out);
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

bool
crdt_update_reader_pause(const CrdtUpdateReader *reader, CrdtUpdatePlace *place)
{
	CrdtColumns *columns = place->columns;

	if (reader->format == CRDT_V2)
	{
		if (columns == NULL)
			columns = crdt_arena_take(reader->kept, sizeof(*columns));
		if (columns == NULL)
			return false;
		*columns = reader->columns;
	}
	*place = (CrdtUpdatePlace){.cursor = reader->bytes.cursor,
							   .blocks_left = reader->blocks_left,
							   .structs_left = reader->structs_left,
							   .client = reader->client,
							   .clock = reader->clock,
							   .block_number = reader->block_number,
							   .columns = columns};
	return true;
}

void
crdt_update_reader_resume(CrdtUpdateReader *reader, CrdtBytes update, CrdtFormat format,
						  CrdtArena *scratch, CrdtArena *kept, const CrdtUpdatePlace *place)
{
	crdt_reader_open(&reader->bytes, update);
	reader->format = format;
	reader->scratch = scratch;
	reader->kept = kept;
	reader->takes_flagged_skips = false;
	reader->bytes.cursor = place->cursor;
	reader->blocks_left = place->blocks_left;
	reader->structs_left = place->structs_left;
	reader->client = place->client;
	reader->clock = place->clock;
	reader->block_number = place->block_number;
	if (format == CRDT_V2)
		reader->columns = *place->columns;
}

/* ---- writing ---- */

void
crdt_update_writer_open(CrdtUpdateWriter *writer, const CrdtHost *host, CrdtFormat format)
{
	writer->format = format;
	writer->client_size = 0;
	crdt_buffer_open(&writer->structs, host);
	crdt_buffer_open(&writer->text, host);
	writer->blocks = NULL;
	writer->block_count = 0;
	writer->block_capacity = 0;
	if (format == CRDT_V2)
		crdt_v2_writer_open(&writer->columns, host);
}

void
crdt_update_writer_close(CrdtUpdateWriter *writer)
{
	crdt_array_free(writer->structs.host, &writer->blocks, &writer->block_capacity,
					sizeof(CrdtBlockHead));
	crdt_buffer_close(&writer->structs);
	crdt_buffer_close(&writer->text);
	writer->block_count = 0;
	if (writer->format == CRDT_V2)
		crdt_v2_writer_close(&writer->columns);
}

void
crdt_update_writer_expect(CrdtUpdateWriter *writer, size_t bytes)
{
	if (bytes > 0)
		(void) crdt_buffer_room(&writer->structs, bytes + bytes / 8);
}

void
crdt_update_writer_clear(CrdtUpdateWriter *writer)
{
	writer->structs.size = 0;
	writer->structs.failed = false;
	writer->text.size = 0;
	writer->text.failed = false;
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
	if (writer->format == CRDT_V2)
		crdt_column_write_uint(&writer->columns.client, item->client);
	return block;
}

void
crdt_update_writer_add(CrdtUpdateWriter *writer, const CrdtStruct *item, uint64_t offset)
{
	CrdtBlockHead *block = block_for(writer, item, offset);

	if (block == NULL)
		return;
	if (writer->format == CRDT_V1)
		crdt_v1_write_struct(writer, item, offset);
	else
		crdt_v2_write_struct(writer, item, offset);
	block->struct_count++;
	block->end = writer->structs.size;
}

uint64_t
crdt_update_writer_struct_count(const CrdtUpdateWriter *writer)
{
	uint64_t count = 0;

	for (size_t i = 0; i < writer->block_count; i++)
		count += writer->blocks[i].struct_count;
	return count;
}

/*
 * Our own bound must not refuse what we write, however well it could be written: after its delete
 * set, where nobody reads, such an update gets zeros until it is large enough.
 */
static void
pad(const CrdtUpdateWriter *writer, size_t size, CrdtBuffer *out)
{
	uint64_t struct_count = crdt_update_writer_struct_count(writer);
	uint64_t needed;

	if (struct_count <= CRDT_V2_STRUCTS_BASE)
		return;
	needed = (struct_count - CRDT_V2_STRUCTS_BASE) / CRDT_V2_STRUCTS_PER_BYTE + 1;
	for (; size < needed; size++)
		crdt_write_u8(out, 0);
}

static uint8_t *
put_block_head(const CrdtUpdateWriter *writer, const CrdtBlockHead *block, uint8_t *at)
{
	at = crdt_put_varuint(at, block->struct_count);
	if (writer->format == CRDT_V1)
		at = crdt_put_varuint(at, block->client);
	return crdt_put_varuint(at, block->clock);
}

/* Appends the blocks, each behind its head. */
static bool
copy_blocks(const CrdtUpdateWriter *writer, CrdtBuffer *out)
{
	size_t start = 0;
	uint8_t *at = crdt_buffer_room(out, writer->structs.size +
											(1 + 3 * writer->block_count) * CRDT_VARUINT_BYTES);

	if (at == NULL)
		return false;
	at = crdt_put_varuint(at, writer->block_count);
	for (size_t i = 0; i < writer->block_count; i++)
	{
		const CrdtBlockHead *block = &writer->blocks[i];

		at = put_block_head(writer, block, at);
		/* a GC of V2 may leave nothing in the last column */
		if (block->end > start)
			memcpy(at, writer->structs.data + start, block->end - start);
		at += block->end - start;
		start = block->end;
	}
	out->size = (size_t) (at - out->data);
	return true;
}

/* The same where they are, from the last to the first; then out, which is empty, gets that memory. */
static bool
hand_over_blocks(CrdtUpdateWriter *writer, CrdtBuffer *out)
{
	CrdtBuffer *structs = &writer->structs;
	CrdtBuffer unused = *out;
	uint8_t head[3 * CRDT_VARUINT_BYTES];
	size_t heads = (size_t) (crdt_put_varuint(head, writer->block_count) - head);
	uint8_t *at;

	for (size_t i = 0; i < writer->block_count; i++)
		heads += (size_t) (put_block_head(writer, &writer->blocks[i], head) - head);
	if (crdt_buffer_room(structs, heads) == NULL)
		return false;
	structs->size += heads;
	at = structs->data + structs->size;
	for (size_t i = writer->block_count; i-- > 0;)
	{
		size_t start = i == 0 ? 0 : writer->blocks[i - 1].end;
		size_t size = writer->blocks[i].end - start;
		size_t head_size = (size_t) (put_block_head(writer, &writer->blocks[i], head) - head);

		at -= size;
		memmove(at, structs->data + start, size);
		at -= head_size;
		memcpy(at, head, head_size);
	}
	crdt_put_varuint(structs->data, writer->block_count);
	*out = *structs;
	*structs = unused;
	structs->host = out->host;
	out->host = unused.host; /* the same, but it may live longer */
	return true;
}

static bool
is_same_memory(const CrdtHost *one, const CrdtHost *other)
{
	return one->resize == other->resize && one->context == other->context;
}

bool
crdt_update_writer_finish(CrdtUpdateWriter *writer, const CrdtIdSet *deletes, CrdtBuffer *out)
{
	size_t size_before = out->size;
	bool is_all = writer->format == CRDT_V1 && out->size == 0 && !out->failed &&
				  is_same_memory(out->host, writer->structs.host);

	if (writer->structs.failed || writer->text.failed)
		return false;
	if (writer->format == CRDT_V2 && !crdt_v2_write_columns(writer, out))
		return false;
	if (!(is_all ? hand_over_blocks(writer, out) : copy_blocks(writer, out)))
		return false;
	crdt_idset_write(deletes, writer->format, out);
	if (writer->format == CRDT_V2)
		pad(writer, out->size - size_before, out);
	return !out->failed;
}

/* ---- what structs are like in both formats ---- */

static bool
is_truthy(CrdtBytes value)
{
	static const uint8_t integer_zero[] = {CRDT_ANY_INTEGER, 0};
	static const uint8_t minus_zero[] = {CRDT_ANY_INTEGER, 0x40};
	static const uint8_t nan[] = {CRDT_ANY_FLOAT64, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0};
	static const uint8_t no_text[] = {CRDT_ANY_STRING, 0};
	static const uint8_t bigint_zero[] = {CRDT_ANY_BIGINT, 0, 0, 0, 0, 0, 0, 0, 0};
	const CrdtBytes falsy[] = {
		{integer_zero, sizeof(integer_zero)},
		{minus_zero, sizeof(minus_zero)},
		{nan, sizeof(nan)},
		{no_text, sizeof(no_text)},
		{bigint_zero, sizeof(bigint_zero)},
	};

	if (value.data[0] == CRDT_ANY_UNDEFINED || value.data[0] == CRDT_ANY_NULL ||
		value.data[0] == CRDT_ANY_FALSE)
		return false;
	for (size_t i = 0; i < sizeof(falsy) / sizeof(falsy[0]); i++)
		if (crdt_bytes_equal(value, falsy[i]))
			return false;
	return true;
}

/* The members of a subdocument's options that Yjs keeps, found in an object. */
typedef struct SubdocumentOptions
{
	bool no_gc;
	bool auto_load;
	CrdtBytes meta; /* data NULL: none */
	CrdtBytes guid; /* that replaces the struct's; data NULL: none */
} SubdocumentOptions;

static SubdocumentOptions
find_options(CrdtBytes value)
{
	SubdocumentOptions options = {false, false, {NULL, 0}, {NULL, 0}};
	CrdtReader members;
	uint64_t count;

	if (value.data[0] != CRDT_ANY_OBJECT)
		return options;
	crdt_reader_open(&members, (CrdtBytes){value.data + 1, value.size - 1});
	count = crdt_read_varuint(&members);
	for (uint64_t i = 0; i < count; i++)
	{
		CrdtBytes key = crdt_read_byte_array(&members);
		CrdtBytes rest = {members.cursor, crdt_reader_left(&members)};
		CrdtBytes member = crdt_read_bytes(&members, crdt_any_prefix_bytes(rest, 1));
		uint8_t tag = member.data[0];

		if (crdt_bytes_equal(key, CRDT_LITERAL("gc")))
			options.no_gc = tag != CRDT_ANY_UNDEFINED && !is_truthy(member);
		else if (crdt_bytes_equal(key, CRDT_LITERAL("autoLoad")))
			options.auto_load = is_truthy(member);
		else if (crdt_bytes_equal(key, CRDT_LITERAL("meta")) && tag != CRDT_ANY_UNDEFINED &&
				 tag != CRDT_ANY_NULL)
			options.meta = member;
		else if (crdt_bytes_equal(key, CRDT_LITERAL("guid")) && tag == CRDT_ANY_STRING)
		{
			CrdtReader text;

			crdt_reader_open(&text, (CrdtBytes){member.data + 1, member.size - 1});
			options.guid = crdt_read_byte_array(&text);
		}
	}
	return options;
}

/* Yjs makes a document of the options and writes them back from it. */
CrdtBytes
crdt_read_subdocument_options(CrdtReader *bytes, CrdtArena *scratch, CrdtBytes *guid)
{
	CrdtBytes value = crdt_any_read(bytes, 1, scratch);
	SubdocumentOptions options;
	CrdtBuffer object;
	CrdtBytes copy = {NULL, 0};

	if (crdt_reader_failed(bytes))
		return value;
	if (value.data[0] == CRDT_ANY_UNDEFINED || value.data[0] == CRDT_ANY_NULL)
	{
		crdt_reader_fail(bytes, CRDT_MALFORMED, "a subdocument has no options");
		return value;
	}
	options = find_options(value);
	if (options.guid.data != NULL)
		*guid = options.guid;
	crdt_buffer_open(&object, scratch->host);
	crdt_write_u8(&object, CRDT_ANY_OBJECT);
	crdt_write_varuint(&object,
					   (uint64_t) options.no_gc + options.auto_load + (options.meta.data != NULL));
	if (options.no_gc)
	{
		crdt_write_byte_array(&object, CRDT_LITERAL("gc"));
		crdt_write_u8(&object, CRDT_ANY_FALSE);
	}
	if (options.auto_load)
	{
		crdt_write_byte_array(&object, CRDT_LITERAL("autoLoad"));
		crdt_write_u8(&object, CRDT_ANY_TRUE);
	}
	if (options.meta.data != NULL)
	{
		crdt_write_byte_array(&object, CRDT_LITERAL("meta"));
		crdt_write_bytes(&object, options.meta);
	}
	if (!object.failed)
		copy = crdt_arena_copy(scratch, crdt_buffer_view(&object));
	crdt_buffer_close(&object);
	if (copy.data == NULL)
		crdt_reader_fail(bytes, CRDT_NO_MEMORY, "out of memory");
	return copy;
}

CrdtBytes
crdt_struct_values(const CrdtStruct *item, uint64_t offset)
{
	CrdtBytes values = item->content;
	size_t skipped = offset == 0 ? 0 : crdt_any_prefix_bytes(values, offset);

	return (CrdtBytes){values.data + skipped, values.size - skipped};
}

CrdtTextHead
crdt_struct_text(const CrdtStruct *item, uint64_t offset, CrdtBytes *rest, uint8_t inside[static 3])
{
	CrdtTextPlace place = {0, false};
	CrdtTextHead head =
		item->begins_replaced && offset == 0 ? CRDT_TEXT_BEGINS_REPLACED : CRDT_TEXT_WHOLE;

	if (item->begins_replaced && offset > 0)
		offset--;
	if (item->ascii)
		place.offset = (size_t) offset;
	else if (offset > 0)
		place = crdt_utf16_place(item->content, offset);
	if (place.inside_pair)
	{
		const uint8_t *pair = item->content.data + place.offset;

		crdt_utf8_put(inside, 0xdc00 | (uint32_t) (pair[2] & 0x0f) << 6 | (pair[3] & 0x3f));
		place.offset += 4;
		head = CRDT_TEXT_BEGINS_INSIDE;
	}
	*rest = (CrdtBytes){item->content.data + place.offset, item->content.size - place.offset};
	return head;
}
