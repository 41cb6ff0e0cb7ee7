/*
 * Catching up: what a room asks the database, and what it makes of the answers.
 *
 *     catch_up_sync(connection);          a client's sync step 1
 *     catch_up_member(connection);        it was too slow for the log: one merged update from its seq
 *     catch_up_room(room);                something was committed that is not published yet
 *
 *     room_committed(room, epoch, seq, from, logged);   <- the batch's row: into the room's log
 *     room_announced("notes/7", epoch, seq);            <- NOTIFY: fetched unless it is known already
 *     room_doubted("notes/7");                          <- NOTIFY with seq 0: asked
 *
 * (epoch, seq) is what the room has published completely.  Own commits that follow on it
 * move it; whatever leaves a gap is fetched from there with ydoc.changes.  Publishing an update
 * twice is harmless, not publishing it is not: so every doubt ends in a fetch.  Another epoch, or a
 * seq that went back, begins the room anew: commits were lost, and members bring back what they have
 * seen.  Only where the database says that the document of the room's epoch is gone, the room is closed.
 */
#ifndef RELAY_CATCH_UP_H
#define RELAY_CATCH_UP_H

#include <stdint.h>

#include "room.h"

/* The connection's WANT_SYNC: an answer to its state vector. */
void catch_up_sync(Connection *connection);

/* A member that is BEHIND: what it lacks. */
void catch_up_member(Connection *connection);

/* It cannot follow the log: the whole document, and our step 1, when its socket is free. */
void catch_up_anew(Connection *member);

/* Fetches what was announced, if it is not about to arrive anyway. */
void catch_up_room(Room *room);

/* An update of ours is in the database, in the order of a batch.  logged: the log row that it closes,
 * which holds the seqs from logged_from to seq and is to be sent to members; empty if the row goes
 * on, or if the update added nothing: then seq may be somebody else's, or the trace of an earlier
 * attempt whose answer was lost. */
void room_committed(Room *room, int64_t epoch, int64_t seq, int64_t logged_from, Bytes logged);

/* Somebody committed; a hint that may be late, doubled or missing. */
void room_announced(const char *name, int64_t epoch, int64_t seq);

/* Somebody says that the document is gone; a hint, too: the database is asked. */
void room_doubted(const char *name);

/* Compares all rooms with the database, in case nobody announced what happened. */
void room_check_all(void);

void catch_up_start(void);

#endif
