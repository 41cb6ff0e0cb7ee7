/*
 * A room: the members of this relay's connections that one document has, and what they have been given.
 *
 *     room_join("notes/7", member);             upgraded
 *     room_take_sync(member, state_vector);     -> WANT_SYNC -> sync.h
 *     room_take_update(member, update);         -> batch -> ydoc.apply_batch
 *     room_publish(room, frames, author);           <- commits (catch_up.h), presence
 *
 * Why a member that joins misses nothing: its position is the log's end from the upgrade on, and
 * its sync is answered from a later snapshot.  What was committed before that snapshot is in the
 * answer, what is committed after it will be published behind its position.
 */
#ifndef RELAY_ROOM_H
#define RELAY_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "member.h"
#include "frame.h"
#include "presence.h"
#include "room_log.h"

/* Makes it a member; false when out of memory. */
bool room_join(const char *name, Member *member);
void room_leave(Member *member);

const char *room_name(const Room *room);
uint32_t room_hash(const Room *room);
uint32_t room_member_count(const Room *room);
Presence *room_presence(Room *room);

/* NULL if nobody here has the document open.  name_size in bytes. */
Room *room_find(const char *name, size_t name_size);

/* Opens it if need be, and holds it; NULL when out of memory. */
Room *room_hold(const char *name, size_t name_size);

/* Rooms live while they have members or are held. */
Room *room_retain(Room *room);
void room_release(Room *room);

/* Each returns 0, or the code to close with. */
int room_take_sync(Member *member, Bytes state_vector);
int room_take_update(Member *member, Bytes update);
int room_take_answer(Member *member, Bytes update); /* to our sync step 1 */

void room_count_uncommitted(Room *room, int change);

/* Nothing of it is on the way to the database. */
bool room_is_committed(const Room *room);

/* Which writer has what is (batch.c): the order of a room's updates is that of its writer. */
uint32_t room_writer(const Room *room);
void room_set_writer(Room *room, uint32_t writer);

/*
 * The database has answered with this SQLSTATE and message.  If they say that the document is gone
 * (YD001: deleted, YD002: renamed), closes all members, for good: what they hold of it must not come
 * back.  The room leaves the table, so who comes later gets a new one, and what is under way for this
 * one reaches nobody else.  False: they say something else.
 */
bool room_close_if_gone(Room *room, const char *sqlstate, const char *message);

/* The epoch at which its members know the document; 0: they do not yet, or there was none. */
int64_t room_epoch(const Room *room);

/* Appends whole frames to the log of the room.  Who has sent just what is in them (NULL: nobody) is
 * mostly not sent them back. */
void room_publish(Room *room, Bytes frames, Member *author);

/* A stateless message (hocuspocus.h) to all members whose protocol has them; who is very slow misses some. */
void room_publish_stateless(Room *room, Bytes payload);

/* Frames with those that it has not been given yet, which are to be written at once; empty: that was all. */
Bytes room_take_stateless(Member *member);

/* Gives the member what it wants; its socket is free. */
void room_serve(Member *member);

/* A member in whose name the database may be asked about the document; NULL if there is none. */
Member *room_reader(const Room *room);

/* Visits every open room. */
void room_each(void (*visit)(Room *room));

void room_start(void);
void room_stop(void);
void room_end_round(void);

#endif
