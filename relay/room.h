/*
 * A room: the connections of this relay to one document, and what they have been given.
 *
 *     room_join("notes/7", connection);             upgraded
 *     room_take_sync(connection, state_vector);     -> WANT_SYNC -> ydoc.sync -> step 2, step 1
 *     room_take_update(connection, update);         -> batch -> ydoc.apply_batch
 *     room_committed(room, epoch, seq, from, logged);   <- the batch's row: into the room's log
 *     room_announced("notes/7", epoch, seq);        <- NOTIFY: fetched unless it is known already
 *
 * (epoch, seq) is what the room has published completely.  Own commits that follow on it
 * move it; whatever leaves a gap is fetched from there with ydoc.changes.  Publishing an update
 * twice is harmless, not publishing it is not: so every doubt ends in a fetch.
 *
 * Why a member that joins misses nothing: its position is the log's end from the upgrade on, and
 * its sync is answered from a later snapshot.  What was committed before that snapshot is in the
 * answer, what is committed after it will be published behind its position.
 */
#ifndef RELAY_ROOM_H
#define RELAY_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"
#include "frame.h"
#include "presence.h"
#include "room_log.h"

enum
{
	ROOM_NAME_MAX = 1024 /* bytes */
};

/* Makes the connection a member; false when out of memory. */
bool room_join(const char *name, Connection *connection);
void room_leave(Connection *connection);

const char *room_name(const Room *room);
uint32_t room_hash(const Room *room);
Presence *room_presence(Room *room);

/* NULL if nobody here has the document open.  name_size in bytes. */
Room *room_find(const char *name, size_t name_size);

/* Rooms live while they have members or are held. */
Room *room_retain(Room *room);
void room_release(Room *room);

/* Each returns 0, or the code to close with. */
int room_take_sync(Connection *connection, Bytes state_vector);
int room_take_update(Connection *connection, Bytes update);

/* An update of ours is in the database, in the order of a batch.  logged: the log row that it closes,
 * which holds the seqs from logged_from to seq and is to be sent to members; empty if the row goes
 * on, or if the update added nothing: then seq may be somebody else's, or the trace of an earlier
 * attempt whose answer was lost. */
void room_committed(Room *room, int64_t epoch, int64_t seq, int64_t logged_from, Bytes logged);
void room_count_uncommitted(Room *room, int change);

/* Somebody committed; a hint that may be late, doubled or missing. */
void room_announced(const char *name, int64_t epoch, int64_t seq);

/* Compares all rooms with the database, in case nobody announced what happened. */
void room_check_all(void);

/* Appends whole frames to the log of the room. */
void room_publish(Room *room, Bytes frames);

/* Gives the connection what it wants; its socket is free. */
void room_serve(Connection *connection);

/* Visits every open room. */
void room_each(void (*visit)(Room *room));

void room_start(void);
void room_stop(void);
void room_end_round(void);

#endif
