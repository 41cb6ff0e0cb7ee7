/*
 * Sync: what a client lacks of a document, in slices (ydoc.sync_slices).
 *
 *     sync_begin(member, state_vector, …);  LOADING: asks, or joins who asked the same
 *     sync_serve(member, &out);             its socket is free: the next slice
 *
 *     question    "notes/7" from {7: 120, 9: 4}     its answer: some slices, and where they reach
 *                    ^      ^                       of those that follow, the next question
 *                    ann    ben                     followers: a number of slices each
 *
 * A slow line gets messages that are short enough for the patience of its provider.  Slices are
 * fetched a window at a time, so that a member holds no more than that, and shared by all who
 * follow the same question.  Each reader is asked few questions at once, in the order they came.
 *
 * Who asked by a sync step 1 gets the last slice as the step 2, and those before it as updates: a
 * provider says "synced" when all is there.  Our own step 1 goes ahead, so that what the client has
 * to say need not wait for the end of a slow line.
 */
#ifndef RELAY_SYNC_H
#define RELAY_SYNC_H

#include "member.h"
#include "frame.h"

typedef struct SyncQuestion SyncQuestion;

/* Keeps the state vector of its sync step 1 until its turn; false if that is too much, with those of all
 * others. */
bool sync_keep_vector(Member *member, Bytes state_vector);
void sync_drop_vector(Member *member);

/* Whoever has state_vector is sent what it lacks.  is_step2: as if it had asked for that, and it is asked
 * in its turn; otherwise all it gets is updates. */
void sync_begin(Member *member, Bytes state_vector, bool is_step2);

/* Writes a slice, if one is there, or appends it to out; the last one ends the loading. */
void sync_serve(Member *member, Buffer *out);

/* It loads no more. */
void sync_leave(Member *member);

/* From here on the log has what the member is not going to be sent otherwise. */
uint64_t sync_position(const Member *member);

/* What was asked so far is nobody else's answer: the document began anew. */
void sync_forget(Room *room);

void sync_end_round(void);
void sync_stop(void);

#endif
