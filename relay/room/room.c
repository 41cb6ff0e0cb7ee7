/*
 * room.c: members, who gets what, when.
 *
 * Here: the rooms' table, publishing, who is too slow.  Not here: what the database is asked
 * (catch_up.c), bytes of messages (ywebsocket.c), storing (batch.c), presence's rules (presence.c).
 */
#include "room_inside.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "access.h"
#include "answer.h"
#include "batch.h"
#include "catch_up.h"
#include "config.h"
#include "hocuspocus.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "sync.h"
#include "ywebsocket.h"

#define FIRST_BUCKETS 256
#define SCRATCH_KEPT 65536
#define MAX_STATELESS_LOG (256 << 10) /* bytes that a room keeps for slow members */

static Room **buckets;
static uint32_t bucket_count, room_count;
static uint64_t hash_seed;
static Room *listed;
static Room *closed; /* whose documents are gone; some members or queries hold them still */
static Buffer scratch; /* frames under construction; empty between functions */

static uint32_t hash_name(const char *name, size_t size);
static Room *room_open(const char *name, size_t name_size);
static bool grow_table(void);
static int take(Member *member, Bytes update, bool is_told);
static bool is_nothing(Bytes update);
static void leave_table(Room *room);
static void room_free(Room *room);
static void close_member(Member *member, bool is_moved, const char *new_name);
static bool read_new_name(const Room *room, const char *message, char *name, size_t size);
static void flush(Room *room);
static void fetch_ahead(const Room *room, uint32_t place);
static void trim_stateless(Room *room);
static void skip_own(Member *author);
static uint64_t needed_position(const Member *member);
static void flush_member(Member *member);
static void leave_behind(Room *room);
static void serve_document(Member *member);

void
room_start(void)
{
	if (getrandom(&hash_seed, sizeof hash_seed, 0) < 0)
		hash_seed = (uint64_t) (ev_time() * 1e6);
}

void
room_stop(void)
{
	for (uint32_t i = 0; i < bucket_count; i++)
		for (Room *room; (room = buckets[i]) != NULL;)
		{
			buckets[i] = room->next;
			room_free(room);
		}
	for (Room *room; (room = closed) != NULL;)
	{
		closed = room->next;
		room_free(room);
	}
	free(buckets);
	buffer_free(&scratch);
}

bool
room_join(const char *name, Member *member)
{
	size_t name_size = strlen(name);
	Room *room = room_find(name, name_size);

	if (room == NULL)
		room = room_open(name, name_size);
	if (room == NULL)
		return false;
	if (room->member_count == room->member_capacity)
	{
		uint32_t capacity = room->member_capacity == 0 ? 4 : room->member_capacity * 2;
		Member **members = realloc(room->members, capacity * sizeof *members);

		if (members == NULL)
		{
			room_list(room); /* it may be empty */
			return false;
		}
		room->members = members;
		room->member_capacity = capacity;
	}
	member->room = room;
	member->member_index = room->member_count;
	member->position = room->log.end;
	member->stateless_position = room->stateless.end;
	room->members[room->member_count++] = member;
	return true;
}

void
room_leave(Member *member)
{
	Room *room = member->room;

	presence_leave(member);
	sync_leave(member);
	sync_drop_vector(member);
	member->room = NULL;
	room->members[member->member_index] = room->members[--room->member_count];
	room->members[member->member_index]->member_index = member->member_index;
	room_list(room);
}

const char *
room_name(const Room *room)
{
	return room->name;
}

uint32_t
room_hash(const Room *room)
{
	return room->hash;
}

uint32_t
room_member_count(const Room *room)
{
	return room->member_count;
}

Presence *
room_presence(Room *room)
{
	return &room->presence;
}

Room *
room_find(const char *name, size_t name_size)
{
	if (bucket_count == 0)
		return NULL;
	uint32_t hash = hash_name(name, name_size);
	Room *room = buckets[hash & (bucket_count - 1)];

	while (room != NULL && (room->hash != hash || room->name_size != name_size ||
							memcmp(room->name, name, name_size) != 0))
		room = room->next;
	return room;
}

Room *
room_hold(const char *name, size_t name_size)
{
	Room *room = room_find(name, name_size);

	if (room == NULL)
		room = room_open(name, name_size);
	return room != NULL ? room_retain(room) : NULL;
}

Room *
room_retain(Room *room)
{
	room->references++;
	return room;
}

void
room_release(Room *room)
{
	if (--room->references == 0)
		room_list(room);
}

int64_t
room_epoch(const Room *room)
{
	return room->epoch;
}

bool
room_close_if_gone(Room *room, const char *sqlstate, const char *message)
{
	char new_name[CLOSE_REASON_MAX + 1] = "";
	bool is_moved = sqlstate != NULL && strcmp(sqlstate, "YD002") == 0;

	if (!is_moved && (sqlstate == NULL || strcmp(sqlstate, "YD001") != 0))
		return false;
	if (room->is_closed)
		return true;
	leave_table(room);
	room->is_closed = true;
	room->next = closed;
	closed = room;
	if (is_moved && !read_new_name(room, message, new_name, sizeof new_name))
		new_name[0] = '\0';
	log_event(LEVEL_INFO, "room_closed", "{s:s, s:i, s:s, s:s}", "document", room->name, "members",
			  (int) room->member_count, "sqlstate", sqlstate, "reason", message);
	metrics_add(METRIC_ROOMS_CLOSED, 1);
	for (uint32_t i = 0; i < room->member_count; i++)
		close_member(room->members[i], is_moved, new_name);
	room_list(room);
	return true;
}

int
room_take_sync(Member *member, Bytes state_vector)
{
	/* one question at a time; of those that wait only the newest counts */
	if (!sync_keep_vector(member, state_vector))
		return CLOSE_OVERLOAD;
	member->owes_answer = true;
	member_want(member, WANT_SYNC);
	return 0;
}

int
room_take_update(Member *member, Bytes update)
{
	if (access_may_send(member->level))
		return take(member, update, true);
	metrics_add(METRIC_UPDATES_DENIED, 1);
	member_tell_status(member, false);
	if (!member->was_denied && !member_is_told_status(member))
		member_want(member, WANT_LEVEL);
	member->was_denied = true;
	return 0;
}

/* Who may only read can have been asked while he might write, and means nothing by his answer. */
int
room_take_answer(Member *member, Bytes update)
{
	bool is_told =
		member->owes_answer; /* where we have asked on our own, nobody waits for an answer */

	member->owes_answer = false;
	if (access_may_send(member->level) || is_nothing(update))
		return take(member, update, is_told);
	if (is_told && member_is_told_status(member))
		answer_judge(member, update);
	return 0;
}

static int
take(Member *member, Bytes update, bool is_told)
{
	if (!is_nothing(update))
		return batch_add(member, update, is_told);
	if (is_told)
		member_tell_status(member, true);
	return 0;
}

/* Of a client that has nothing we lack: no need to ask anybody. */
static bool
is_nothing(Bytes update)
{
	static const uint8_t nothing[] = {0, 0};

	return update.size == sizeof nothing && memcmp(update.data, nothing, sizeof nothing) == 0;
}

void
room_count_uncommitted(Room *room, int change)
{
	room->uncommitted += change;
	if (change < 0) /* a batch came back: gaps that it did not fill are somebody else's */
	{
		room->batch_came_back = true;
		room_list(room);
	}
}

bool
room_is_committed(const Room *room)
{
	return room->uncommitted == 0;
}

uint32_t
room_writer(const Room *room)
{
	return room->writer;
}

void
room_set_writer(Room *room, uint32_t writer)
{
	room->writer = writer;
}

void
room_publish(Room *room, Bytes frames, Member *author)
{
	uint64_t start = room->log.end;

	if (room->member_count == 0 || frames.size == 0)
		return;
	if (!room_log_append(&room->log, frames, room->knows_seq ? room->seq : 0))
	{
		/* out of memory: members may not miss a frame, so they fetch when there is memory again */
		for (uint32_t i = 0; i < room->member_count; i++)
			catch_up_anew(room->members[i]);
		return;
	}
	if (author != NULL && author->position == start)
		skip_own(author);
	metrics_add(METRIC_FRAMES_PUBLISHED, 1);
	room_list(room);
}

/*
 * It has all before, and these it has written: a write to it costs as much as one to somebody else.  Who is
 * written to anyway, to be told that it is stored, gets it back, as from a server of Hocuspocus.
 */
static void
skip_own(Member *author)
{
	if (author->state != MEMBER_LIVE || member_is_told_status(author))
		return;
	author->position = author->room->log.end;
	author->was_given_some = true;
}

void
room_publish_stateless(Room *room, Bytes payload)
{
	Buffer frame = {0};

	ywebsocket_write_stateless(&frame, payload);
	if (!frame.failed && room_log_append(&room->stateless, buffer_view(&frame), 0))
		for (uint32_t i = 0; i < room->member_count; i++)
			if (room->members[i]->connection->protocol == PROTOCOL_HOCUSPOCUS)
				member_want(room->members[i], WANT_STATELESS);
	buffer_free(&frame);
	metrics_add(METRIC_STATELESS, 1);
	room_list(room);
}

Bytes
room_take_stateless(Member *member)
{
	const RoomLog *log = &member->room->stateless;

	if (member->stateless_position < log->begin)
	{
		metrics_add(METRIC_STATELESS_LOST, 1);
		member->stateless_position = log->begin;
	}
	Bytes frames = room_log_read(log, member->stateless_position);

	member->stateless_position += frames.size;
	if (frames.size > 0)
		room_list(member->room); /* what all have can go */
	return frames;
}

void
room_serve(Member *member)
{
	serve_document(member);
	if (member->state == MEMBER_LIVE && !member_is_choked(member))
	{
		if ((member->wants & WANT_PRESENCE) != 0)
			presence_write_all(member->room, &scratch);
		member->wants &= ~(unsigned) WANT_PRESENCE;
	}
	if ((member->wants & WANT_ALIVE) != 0 && !member_is_choked(member))
	{
		static const uint8_t no_entries[] = {0};

		member->wants &= ~(unsigned) WANT_ALIVE;
		if (scratch.size == 0) /* harmless to every client, and it is a message */
			ywebsocket_write_awareness(&scratch, (Bytes){no_entries, sizeof no_entries});
	}
	if (scratch.failed)
		member_close(member, CLOSE_OVERLOAD, "out of memory");
	if (scratch.size > 0 || !member_is_choked(member))
		member_write(member, buffer_view(&scratch));
	if (scratch.capacity > SCRATCH_KEPT)
		buffer_free(&scratch);
	buffer_reset(&scratch);
	if (member->wants != 0 && member_is_choked(member))
		member_yield(member);
}

/* What it lacks of the document, as its state says; what is to be written may go to scratch. */
static void
serve_document(Member *member)
{
	bool can_load = member->state == MEMBER_LIVE || member->state == MEMBER_BEHIND;

	if (can_load && (member->wants & WANT_SYNC) != 0)
	{
		member->wants &= ~(unsigned) WANT_SYNC;
		sync_begin(member, buffer_view(&member->state_vector), true);
		sync_drop_vector(member);
	}
	switch (member->state)
	{
		case MEMBER_LIVE:
			member->wants &= ~(unsigned) WANT_LOG;
			flush_member(member);
			break;
		case MEMBER_LOADING: sync_serve(member, &scratch); break;
		case MEMBER_BEHIND: catch_up_member(member); break;
		default: break;
	}
}

Member *
room_reader(const Room *room)
{
	for (uint32_t i = 0; i < room->member_count; i++)
		if (member_is_open(room->members[i]))
			return room->members[i];
	return NULL;
}

void
room_each(void (*visit)(Room *room))
{
	for (uint32_t i = 0; i < bucket_count; i++)
		for (Room *room = buckets[i]; room != NULL; room = room->next)
			visit(room);
}

void
room_end_round(void)
{
	Room *room = listed;

	listed = NULL;
	while (room != NULL)
	{
		Room *next = room->next_listed;

		room->is_listed = false;
		room->next_listed = NULL;
		if (room->member_count == 0 && room->references == 0)
		{
			leave_table(room);
			room_free(room);
		}
		else
		{
			catch_up_room(room);
			flush(room);
			trim_stateless(room);
		}
		room = next;
	}
}

/* FNV-1a from a start that nobody outside knows. */
static uint32_t
hash_name(const char *name, size_t size)
{
	uint64_t hash = hash_seed;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char) name[i]) * UINT64_C(0x100000001b3);
	return (uint32_t) (hash ^ hash >> 32);
}

static Room *
room_open(const char *name, size_t name_size)
{
	if (room_count >= bucket_count && !grow_table())
		return NULL;
	Room *room = calloc(1, sizeof *room);

	if (room == NULL || (room->name = strndup(name, name_size)) == NULL)
	{
		free(room);
		return NULL;
	}
	room->name_size = (uint32_t) name_size;
	room->seq_at_check = ROOM_UNCHECKED;
	room->hash = hash_name(name, name_size);
	room->next = buckets[room->hash & (bucket_count - 1)];
	buckets[room->hash & (bucket_count - 1)] = room;
	metrics_set(METRIC_ROOMS, ++room_count);
	presence_room_opened(room);
	return room;
}

static bool
grow_table(void)
{
	uint32_t count = bucket_count == 0 ? FIRST_BUCKETS : bucket_count * 2;
	Room **larger = calloc(count, sizeof *larger);

	if (larger == NULL)
		return false;
	for (uint32_t i = 0; i < bucket_count; i++)
		for (Room *room = buckets[i], *next; room != NULL; room = next)
		{
			next = room->next;
			room->next = larger[room->hash & (count - 1)];
			larger[room->hash & (count - 1)] = room;
		}
	free(buckets);
	buckets = larger;
	bucket_count = count;
	return true;
}

/* Out of the table, or off the list of closed rooms. */
static void
leave_table(Room *room)
{
	Room **place = room->is_closed ? &closed : &buckets[room->hash & (bucket_count - 1)];

	while (*place != room)
		place = &(*place)->next;
	*place = room->next;
	if (!room->is_closed)
		metrics_set(METRIC_ROOMS, --room_count);
}

static void
room_free(Room *room)
{
	presence_free(&room->presence);
	room_log_free(&room->log);
	room_log_free(&room->stateless);
	free(room->members);
	free(room->name);
	free(room);
}

void
room_list(Room *room)
{
	if (room->is_listed)
		return;
	room->is_listed = true;
	room->next_listed = listed;
	listed = room;
}

/* One write per member (and chunk, when much was published). */
static void
flush(Room *room)
{
	uint64_t slowest = room->log.end;

	if (room->log.first == NULL)
		return;
	hocuspocus_share(true);
	for (uint32_t i = 0; i < room->member_count; i++)
	{
		Member *member = room->members[i];

		fetch_ahead(room, i);
		if (member->state == MEMBER_LIVE)
			flush_member(member);
		uint64_t position = needed_position(member);

		slowest = position < slowest ? position : slowest;
	}
	hocuspocus_share(false);
	if (room->log.end - slowest > (uint64_t) config.max_room_log_bytes)
		leave_behind(room);
	else
		room_log_trim(&room->log, slowest);
}

/*
 * Of many members none is in the processor's cache any more when its turn comes, and a write to the one
 * before takes long: meanwhile the memory of the next ones is brought in.
 */
static void
fetch_ahead(const Room *room, uint32_t place)
{
	if (place + 2 < room->member_count)
		__builtin_prefetch(room->members[place + 2]);
	if (place + 1 < room->member_count)
		__builtin_prefetch(room->members[place + 1]->connection);
}

/* Drops what all have, and more if one is too slow. */
static void
trim_stateless(Room *room)
{
	RoomLog *log = &room->stateless;
	uint64_t slowest = log->end;

	if (log->first == NULL)
		return;
	for (uint32_t i = 0; i < room->member_count; i++)
		if (room->members[i]->connection->protocol == PROTOCOL_HOCUSPOCUS &&
			room->members[i]->stateless_position < slowest)
			slowest = room->members[i]->stateless_position;
	if (log->end - slowest > MAX_STATELESS_LOG)
		slowest = log->end - MAX_STATELESS_LOG / 2;
	room_log_trim(log, slowest);
}

/*
 * Who has come after another document was given the name, and before we knew, has nothing of the one
 * that is gone yet: he is let back in, and finds what is there.
 */
static void
close_member(Member *member, bool is_moved, const char *new_name)
{
	if (member->room->epoch != 0 && !member->was_given_some)
		member_close(member, CLOSE_RESTART, "come back");
	else if (is_moved)
		member_close(member, CLOSE_MOVED, new_name);
	else
		member_close(member, CLOSE_DELETED, "document deleted");
}

/* The message is: document "NAME" has moved to "NEW NAME".  False: it is not, or the new name does not
 * fit. */
static bool
read_new_name(const Room *room, const char *message, char *name, size_t size)
{
	static const char start[] = "document \"", middle[] = "\" has moved to \"";
	size_t prefix = sizeof start - 1 + room->name_size + sizeof middle - 1;
	size_t length = strlen(message);

	if (length <= prefix || length - prefix > size || message[length - 1] != '"' ||
		memcmp(message, start, sizeof start - 1) != 0 ||
		memcmp(message + prefix - (sizeof middle - 1), middle, sizeof middle - 1) != 0)
		return false;
	memcpy(name, message + prefix, length - prefix - 1);
	name[length - prefix - 1] = '\0';
	return true;
}

/* What it is going to be given of the log begins here. */
static uint64_t
needed_position(const Member *member)
{
	switch (member->state)
	{
		case MEMBER_LIVE:
		case MEMBER_CATCHING_UP: return member->position;
		case MEMBER_LOADING: return sync_position(member);
		default: return UINT64_MAX;
	}
}

static void
flush_member(Member *member)
{
	const RoomLog *log = &member->room->log;

	while (member->position < log->end && member_is_open(member) && !member_is_choked(member))
	{
		Bytes frames = room_log_read(log, member->position);

		member_write(member, frames);
		member->was_given_some = true;
		member->position += frames.size;
	}
	if (member->position < log->end)
		member_want(member, WANT_LOG);
}

/* The log is full: who lacks its older half will fetch, so that the half can go. */
static void
leave_behind(Room *room)
{
	uint64_t keep = room->log.end - (uint64_t) config.max_room_log_bytes / 2;

	for (uint32_t i = 0; i < room->member_count; i++)
		if (room->members[i]->state == MEMBER_LIVE && room->members[i]->position < keep)
			room_leave_behind(room->members[i]);
	room_log_trim(&room->log, keep);
}

void
room_leave_behind(Member *member)
{
	member->seq = room_log_seq_at(&member->room->log, member->position);
	if (member->seq == ROOM_LOG_NO_SEQ)
		catch_up_anew(member);
	else
	{
		member->state = MEMBER_BEHIND;
		member_want(member, WANT_LOG);
	}
	metrics_add(METRIC_FELL_BEHIND, 1);
	log_event(LEVEL_DEBUG, "fell_behind", "{s:s, s:I}", "document", member->room->name, "seq",
			  (json_int_t) member->seq);
}
