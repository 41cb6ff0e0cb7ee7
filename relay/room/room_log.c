/*
 * room_log.c: chunks of wire-ready frames.
 *
 * Here: appending, reading, dropping.  Not here: who reads and when (room.c).
 *
 * A chunk needs no count of its readers: the kernel or libwebsockets has copied what was written,
 * so a chunk is needed exactly as long as some position lies before its end.
 */
#include "room_log.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CHUNK 2048 /* most rounds publish little, and most rooms are quiet */
#define LATER_CHUNK 16384

struct RoomLogChunk
{
	RoomLogChunk *next;
	uint64_t start; /* position of data[0] */
	int64_t seq; /* everything up to it was published before this chunk; or ROOM_LOG_NO_SEQ */
	size_t used, capacity;
	uint8_t data[];
};

static RoomLogChunk *chunk_at(const RoomLog *log, uint64_t position);

bool
room_log_append(RoomLog *log, Bytes frames, int64_t seq)
{
	RoomLogChunk *chunk = log->last;

	if (chunk == NULL || chunk->capacity - chunk->used < frames.size)
	{
		size_t capacity = chunk == NULL ? FIRST_CHUNK : LATER_CHUNK;

		if (capacity < frames.size)
			capacity = frames.size;
		chunk = malloc(sizeof *chunk + capacity);
		if (chunk == NULL)
			return false;
		*chunk = (RoomLogChunk){.start = log->end, .seq = seq, .capacity = capacity};
		if (log->last != NULL)
			log->last->next = chunk;
		else
			log->first = chunk;
		log->last = chunk;
	}
	memcpy(chunk->data + chunk->used, frames.data, frames.size);
	chunk->used += frames.size;
	log->end += frames.size;
	return true;
}

Bytes
room_log_read(const RoomLog *log, uint64_t position)
{
	const RoomLogChunk *chunk = chunk_at(log, position);

	if (chunk == NULL)
		return (Bytes){0};
	size_t offset = (size_t) (position - chunk->start);

	return (Bytes){chunk->data + offset, chunk->used - offset};
}

int64_t
room_log_seq_at(const RoomLog *log, uint64_t position)
{
	const RoomLogChunk *chunk = chunk_at(log, position);

	if (chunk == NULL)
		chunk = log->last;
	return chunk != NULL ? chunk->seq : 0;
}

void
room_log_forget_seqs(RoomLog *log)
{
	for (RoomLogChunk *chunk = log->first; chunk != NULL; chunk = chunk->next)
		chunk->seq = ROOM_LOG_NO_SEQ;
}

void
room_log_trim(RoomLog *log, uint64_t position)
{
	while (log->first != NULL && log->first->start + log->first->used <= position)
	{
		RoomLogChunk *chunk = log->first;

		log->first = chunk->next;
		free(chunk);
	}
	if (log->first == NULL)
		log->last = NULL;
	log->begin = log->first != NULL ? log->first->start : log->end;
}

void
room_log_break(RoomLog *log)
{
	room_log_trim(log, log->end);
	log->begin = ++log->end;
}

void
room_log_free(RoomLog *log)
{
	room_log_trim(log, log->end);
}

/* The chunk that holds the byte at position; NULL at the end. */
static RoomLogChunk *
chunk_at(const RoomLog *log, uint64_t position)
{
	/* nearly everybody reads the newest */
	if (log->last != NULL && position >= log->last->start)
		return position < log->end ? log->last : NULL;
	for (RoomLogChunk *chunk = log->first; chunk != NULL; chunk = chunk->next)
		if (position < chunk->start + chunk->used)
			return chunk;
	return NULL;
}
