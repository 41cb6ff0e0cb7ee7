/*
 * Catching up: what a room knows of its document's log, and how it gets what it lacks.
 *
 *     room_committed(room, epoch, seq, from, logged, author);   <- the batch's row: into the room's log
 *     room_announced("notes/7", epoch, seq);                    <- NOTIFY: fetched unless it is known
 *     catch_up_member(member);                                  too slow: one merged update from its seq
 *
 * (epoch, seq) is what the room has published completely.  Own commits that follow on it
 * move it; whatever leaves a gap is fetched from there with ydoc.changes.  Publishing an update
 * twice is harmless, not publishing it is not: so every doubt ends in a fetch.  Another epoch, or a
 * seq that went back, begins the room anew.  What is larger than a slice is loaded (sync.h).
 */
#ifndef RELAY_CATCH_UP_H
#define RELAY_CATCH_UP_H

#include <stdint.h>

#include "room.h"

/* A member that is BEHIND: what it lacks. */
void catch_up_member(Member *member);

/* It cannot follow the log: it loads the whole document, and is asked for what it has. */
void catch_up_anew(Member *member);

/* Fetches what was announced, if it is not about to arrive anyway; what several rooms of a round fetch is
 * one statement. */
void catch_up_room(Room *room);
void catch_up_end_round(void);

/* An update of ours is in the database, in the order of a batch.  logged: the log row that it
 * closes, which holds the seqs from logged_from to seq and is to be sent to members; empty if the
 * row goes on, or if the update added nothing: then seq may be somebody else's, or the trace of an
 * earlier attempt whose answer was lost.  author: who has sent just that row; NULL: nobody. */
void room_committed(Room *room, int64_t epoch, int64_t seq, int64_t logged_from, Bytes logged,
					Member *author);

/* Somebody committed; a hint that may be late, doubled or missing. */
void room_announced(const char *name, int64_t epoch, int64_t seq);

/* Somebody says that the document is gone; a hint, too: the database is asked. */
void room_doubted(const char *name);

/* Compares all rooms with the database, in case nobody announced what happened. */
void room_check_all(void);

/* A snapshot's head, whose content every member was given or will be. */
void catch_up_learn(Room *room, int64_t epoch, int64_t seq);

void catch_up_start(void);

#endif
