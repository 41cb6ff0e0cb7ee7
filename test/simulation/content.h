/*
 * What documents hold here: as much of a CRDT as the relay could ever notice.
 *
 *     client 3   clocks 0..11 are there, 14..15 wait for what lies between
 *     deletes    numbers that some editor gave to its deletes
 *
 * Updates are bytes that only this file understands.  As in Yjs a state vector tells clocks and
 * nothing of deletes, so an answer to it has all deletes; applying what is known is no news; what
 * lacks a predecessor waits, and is passed on.  Each clock brings a number of bytes along that
 * follows from it, so that frames of all sizes go through.
 */
#ifndef SIMULATION_CONTENT_H
#define SIMULATION_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../relay/socket/frame.h"

enum
{
	MAX_CLIENTS = 32
};

typedef struct Range
{
	uint32_t client, from, to; /* clocks from ... to - 1 */
} Range;

typedef struct Update /* {0} is an empty one */
{
	Range *ranges;
	size_t range_count, range_capacity;
	uint32_t *deletes;
	size_t delete_count, delete_capacity;
} Update;

typedef struct Content /* {0} is an empty document */
{
	uint32_t state[MAX_CLIENTS]; /* clocks below it are there */
	Update waiting; /* ranges that lack a predecessor: apart from each other; no deletes */
	uint8_t *deletes; /* a bit each */
	uint32_t delete_limit;
} Content;

/* Bytes per clock: most few, some up to this many. */
void content_set_weight(uint32_t most_bytes);

void update_add_range(Update *update, uint32_t client, uint32_t from, uint32_t to);
void update_add_delete(Update *update, uint32_t number);
void update_add(Update *update, const Update *more);
void update_reset(Update *update);
void update_free(Update *update);
void update_write(const Update *update, Buffer *out);

/* Appends to update; false if these bytes are no update. */
bool update_read(Bytes bytes, Update *update);

/* True if that was news. */
bool content_apply(Content *content, const Update *update);
bool content_includes(const Content *content, const Update *update);
bool content_is_same(const Content *a, const Content *b);

/* What somebody with this state vector lacks; NULL: who has nothing. */
void content_diff(const Content *content, const uint32_t *state_vector, Update *out);
void content_write_state_vector(const Content *content, Buffer *out);
bool content_read_state_vector(Bytes bytes, uint32_t state_vector[MAX_CLIENTS]);

void content_copy(Content *to, const Content *from);
void content_free(Content *content);
void content_print(const Content *content);

#endif
