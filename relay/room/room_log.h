/*
 * A room's log: the frames it published lately, ready for the wire, once for all members.
 *
 *     position   begin                                   end
 *                  | chunk | chunk      | chunk ......... |      frames never straddle chunks
 *                          ^ ann        ^ ben             ^ everybody else
 *
 * A member is a position, nothing more.  room_log_read() gives what one write can take from there;
 * room_log_trim() drops the chunks that everybody has.  Positions count bytes since the room was
 * opened and never return, so a position before `begin` tells a member that it missed something.
 */
#ifndef RELAY_ROOM_LOG_H
#define RELAY_ROOM_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

#define ROOM_LOG_NO_SEQ (-1)

typedef struct RoomLogChunk RoomLogChunk;

typedef struct RoomLog /* {0} is an empty one */
{
	RoomLogChunk *first, *last;
	uint64_t begin, end;
} RoomLog;

/* seq: the room's, of which all was published before this frame.  False when out of memory. */
bool room_log_append(RoomLog *log, Bytes frames, int64_t seq);

/* Whole frames from position on, at most a chunk's; empty at the end.  position >= begin. */
Bytes room_log_read(const RoomLog *log, uint64_t position);

/* Who was written all before position has everything up to this seq, and maybe more;
 * ROOM_LOG_NO_SEQ: no seq tells what he has. */
int64_t room_log_seq_at(const RoomLog *log, uint64_t position);

/* The seqs of what was appended so far are of another epoch. */
void room_log_forget_seqs(RoomLog *log);

/* Drops what lies before position, chunk by chunk. */
void room_log_trim(RoomLog *log, uint64_t position);

/* Something that everybody needs is not in the log: all positions so far are behind. */
void room_log_break(RoomLog *log);

void room_log_free(RoomLog *log);

#endif
