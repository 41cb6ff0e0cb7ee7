/*
 * The inside of a room, for the files that work on it: room.c and catch_up.c.  Everybody else uses
 * room.h.
 */
#ifndef RELAY_ROOM_INSIDE_H
#define RELAY_ROOM_INSIDE_H

#include "room.h"

enum
{
	ROOM_UNCHECKED = -1
};

struct Room
{
	char *name;
	uint32_t name_size;
	uint32_t hash;
	Room *next; /* in its bucket, or of those that are closed */
	int references; /* batch items and queries that name it */
	int uncommitted; /* updates in batches */
	uint32_t writer; /* of these */
	bool batch_came_back; /* in this round */
	struct SyncQuestion *questions; /* of members that load (sync.c) */
	Member **members;
	uint32_t member_count, member_capacity;
	RoomLog log;
	RoomLog stateless; /* messages that are not stored */

	bool knows_seq; /* the next two are known */
	int64_t epoch; /* 0: the document does not exist yet */
	int64_t seq; /* published completely up to here */
	int64_t announced; /* heard of; what lies between is fetched */
	int64_t seq_at_check; /* when its head was asked for; ROOM_UNCHECKED: not asked */
	bool is_fetching, is_resyncing;
	bool is_doubted; /* the document may be gone: to be asked */
	bool is_closed; /* it is gone, and so is the room from the table: its members are leaving */

	bool is_listed; /* has something to do at the round's end */
	Room *next_listed;
	Presence presence;
};

/* It gets no more of the log: what it lacks from its seq on, when its socket is free. */
void room_leave_behind(Member *member);

/* Is visited at the round's end. */
void room_list(Room *room);

#endif
