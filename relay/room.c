/*
 * room.c: members, who gets what, when.
 *
 * Here: the rooms' table, sync, publishing, slow members, gaps and epochs.  Not here: bytes of
 * messages (ywebsocket.c), storing (batch.c), presence's rules (presence.c).
 */
#include "room.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "batch.h"
#include "config.h"
#include "database.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "ywebsocket.h"

#define CLOSE_INTERNAL 1011
#define CHECK_SECONDS 30.0
#define FIRST_BUCKETS 256
#define UNCHECKED (-1)

struct Room
{
	char *name;
	uint32_t name_size;
	uint32_t hash;
	Room *next; /* in its bucket */
	int references; /* batch items and queries that name it */
	int uncommitted; /* updates in batches */
	bool batch_came_back; /* in this round */
	int syncs_asked; /* on their way */
	Connection **members;
	uint32_t member_count, member_capacity;
	RoomLog log;

	bool knows_seq; /* the next two are known */
	int64_t epoch; /* 0: the document does not exist yet */
	int64_t seq; /* published completely up to here */
	int64_t announced; /* heard of; what lies between is fetched */
	int64_t seq_at_check; /* when its head was asked for; UNCHECKED: not asked */
	bool is_fetching, is_resyncing;

	bool is_listed; /* has something to do at the round's end */
	Room *next_listed;
	Presence presence;
};

typedef struct RoomQuery /* one question about one document */
{
	DatabaseQuery query; /* first */
	Room *room; /* held */
	Connection *connection; /* held; NULL if it is for all members */
	int64_t announced; /* the room's when it was asked */
	uint8_t since[8];
	Buffer state_vector;
} RoomQuery;

typedef struct HeadsQuery
{
	DatabaseQuery query; /* first */
	Buffer names;
} HeadsQuery;

static Room **buckets;
static uint32_t bucket_count, room_count;
static uint64_t hash_seed;
static Room *listed;
static Buffer scratch; /* frames under construction; empty between functions */
static ev_timer check_timer;
static bool is_checking;

static uint32_t hash_name(const char *name, size_t size);
static Room *room_open(const char *name, size_t name_size);
static bool grow_table(void);
static void room_free(Room *room);
static void list(Room *room);
static void flush(Room *room);
static void flush_member(Connection *member);
static void leave_behind(Room *room);
static RoomQuery *
query_new(Room *room, Connection *connection, DatabaseStatement statement, DatabaseDone done);
static void query_free(RoomQuery *query);
static void ask_sync(Connection *connection);
static void sync_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void ask_catch_up(Connection *connection);
static void catch_up_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void fetch_if_behind(Room *room);
static void fetch_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void resync(Room *room);
static void resync_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void begin_anew(Room *room, int64_t epoch, int64_t seq, const DatabaseAnswer *answer);
static void resync_slow_member(Connection *member);
static bool learn_epoch(Room *room, int64_t epoch);
static void learn_seq(Room *room, int64_t epoch, int64_t seq);
static void publish_update(Room *room, Bytes update);
static void heads_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void resync_if_deleted(Room *room);
static void check_timeout(struct ev_loop *, ev_timer *, int);

void
room_start(void)
{
	if (getrandom(&hash_seed, sizeof hash_seed, 0) < 0)
		hash_seed = (uint64_t) (ev_time() * 1e6);
	ev_timer_init(&check_timer, check_timeout, CHECK_SECONDS, CHECK_SECONDS);
	ev_timer_start(loop_ev(), &check_timer);
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
	free(buckets);
	buffer_free(&scratch);
}

bool
room_join(const char *name, Connection *connection)
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
		Connection **members = realloc(room->members, capacity * sizeof *members);

		if (members == NULL)
		{
			list(room); /* it may be empty */
			return false;
		}
		room->members = members;
		room->member_capacity = capacity;
	}
	connection->room = room;
	connection->member_index = room->member_count;
	connection->position = room->log.end;
	room->members[room->member_count++] = connection;
	return true;
}

void
room_leave(Connection *connection)
{
	Room *room = connection->room;

	presence_leave(connection);
	connection->room = NULL;
	room->members[connection->member_index] = room->members[--room->member_count];
	room->members[connection->member_index]->member_index = connection->member_index;
	list(room);
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
room_retain(Room *room)
{
	room->references++;
	return room;
}

void
room_release(Room *room)
{
	if (--room->references == 0)
		list(room);
}

int
room_take_sync(Connection *connection, Bytes state_vector)
{
	/* one question at a time; of those that wait only the newest counts */
	buffer_reset(&connection->state_vector);
	buffer_write(&connection->state_vector, state_vector);
	if (connection->state_vector.failed)
		return CLOSE_OVERLOAD;
	connection_want(connection, WANT_SYNC);
	return 0;
}

int
room_take_update(Connection *connection, Bytes update)
{
	static const uint8_t nothing[] = {0, 0};

	/* the answer to our step 1 of a client that has nothing we lack: no need to ask anybody */
	if (update.size == sizeof nothing && memcmp(update.data, nothing, sizeof nothing) == 0)
		return 0;
	return batch_add(connection, update);
}

void
room_committed(Room *room, int64_t epoch, int64_t seq, int64_t logged_from, Bytes logged)
{
	if (logged.size > 0)
		publish_update(room, logged);
	if (!learn_epoch(room, epoch))
		return;
	if (room->knows_seq && logged.size > 0 && logged_from <= room->seq + 1 && seq > room->seq)
		room->seq = seq;
	else if (seq > room->announced)
		room->announced = seq; /* a row of the same batch closes the gap, or it is fetched */
}

void
room_count_uncommitted(Room *room, int change)
{
	room->uncommitted += change;
	if (change < 0) /* a batch came back: gaps that it did not fill are somebody else's */
	{
		room->batch_came_back = true;
		list(room);
	}
}

void
room_announced(const char *name, int64_t epoch, int64_t seq)
{
	Room *room = room_find(name, strlen(name));

	if (room == NULL || !learn_epoch(room, epoch))
		return;
	if (seq > room->announced)
		room->announced = seq;
	list(room);
}

void
room_check_all(void)
{
	HeadsQuery *query = room_count > 0 && !is_checking ? calloc(1, sizeof *query) : NULL;
	uint32_t count = 0;

	if (query == NULL || buffer_reserve(&query->names, DATABASE_ARRAY_HEADER) == NULL)
	{
		free(query);
		return;
	}
	for (uint32_t i = 0; i < bucket_count; i++)
		for (Room *room = buckets[i]; room != NULL; room = room->next, count++)
		{
			room->seq_at_check = room->knows_seq ? room->seq : UNCHECKED;
			buffer_write_u32(&query->names, room->name_size);
			buffer_write(&query->names, (Bytes){(const uint8_t *) room->name, room->name_size});
		}
	if (query->names.failed)
	{
		buffer_free(&query->names);
		free(query);
		return;
	}
	database_write_array_header(query->names.data, DATABASE_TEXT, false, count);
	query->query = (DatabaseQuery){STATEMENT_HEADS, heads_done, {buffer_view(&query->names)}, NULL};
	is_checking = true;
	database_submit(0, &query->query);
}

void
room_publish(Room *room, Bytes frames)
{
	if (room->member_count == 0 || frames.size == 0)
		return;
	if (!room_log_append(&room->log, frames, room->knows_seq ? room->seq : 0))
	{
		/* out of memory: members may not miss a frame, so they fetch when there is memory again */
		for (uint32_t i = 0; i < room->member_count; i++)
			resync_slow_member(room->members[i]);
		return;
	}
	metrics_add(METRIC_FRAMES_PUBLISHED, 1);
	list(room);
}

void
room_serve(Connection *connection)
{
	if (connection->state == CONNECTION_BEHIND && !connection->asks_database)
		ask_catch_up(connection);
	if (connection->state != CONNECTION_LIVE)
		return; /* what it wants comes after what it lacks */
	flush_member(connection);
	connection->wants &= ~(unsigned) WANT_LOG;
	if (connection_is_choked(connection))
	{
		connection_want(connection, WANT_LOG);
		return;
	}
	if ((connection->wants & WANT_SYNC) != 0 && !connection->asks_database)
		ask_sync(connection);
	if ((connection->wants & WANT_PRESENCE) != 0)
	{
		connection->wants &= ~(unsigned) WANT_PRESENCE;
		presence_write_all(connection->room, &scratch);
	}
	if ((connection->wants & WANT_ALIVE) != 0)
	{
		static const uint8_t no_entries[] = {0};

		connection->wants &= ~(unsigned) WANT_ALIVE;
		if (scratch.size == 0) /* harmless to every client, and it is a message */
			ywebsocket_write_awareness(&scratch, (Bytes){no_entries, sizeof no_entries});
	}
	if (!scratch.failed)
		connection_write(connection, buffer_view(&scratch));
	buffer_reset(&scratch);
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
			Room **place = &buckets[room->hash & (bucket_count - 1)];

			while (*place != room)
				place = &(*place)->next;
			*place = room->next;
			room_free(room);
			metrics_set(METRIC_ROOMS, --room_count);
		}
		else
		{
			fetch_if_behind(room);
			flush(room);
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
	room->seq_at_check = UNCHECKED;
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

static void
room_free(Room *room)
{
	presence_free(&room->presence);
	room_log_free(&room->log);
	free(room->members);
	free(room->name);
	free(room);
}

static void
list(Room *room)
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
	for (uint32_t i = 0; i < room->member_count; i++)
	{
		Connection *member = room->members[i];

		if (member->state == CONNECTION_LIVE)
			flush_member(member);
		if (member->state == CONNECTION_LIVE || member->state == CONNECTION_CATCHING_UP)
			slowest = member->position < slowest ? member->position : slowest;
	}
	if (room->log.end - slowest > (uint64_t) config.max_room_log_bytes)
		leave_behind(room);
	else
		room_log_trim(&room->log, slowest);
}

static void
flush_member(Connection *member)
{
	const RoomLog *log = &member->room->log;

	while (member->position < log->end && connection_is_open(member) &&
		   !connection_is_choked(member))
	{
		Bytes frames = room_log_read(log, member->position);

		connection_write(member, frames);
		member->position += frames.size;
	}
	if (member->position < log->end)
		connection_want(member, WANT_LOG);
}

/* The log is full: who lacks its older half will fetch, so that the half can go. */
static void
leave_behind(Room *room)
{
	uint64_t keep = room->log.end - (uint64_t) config.max_room_log_bytes / 2;

	for (uint32_t i = 0; i < room->member_count; i++)
	{
		Connection *member = room->members[i];

		if (member->state != CONNECTION_LIVE || member->position >= keep)
			continue;
		member->seq = room_log_seq_at(&room->log, member->position);
		member->state = CONNECTION_BEHIND;
		connection_want(member, WANT_LOG);
		metrics_add(METRIC_FELL_BEHIND, 1);
		log_event(LEVEL_DEBUG, "fell_behind", "{s:s, s:I}", "document", room->name, "seq",
				  (json_int_t) member->seq);
	}
	room_log_trim(&room->log, keep);
}

static RoomQuery *
query_new(Room *room, Connection *connection, DatabaseStatement statement, DatabaseDone done)
{
	RoomQuery *query = calloc(1, sizeof *query);

	if (query == NULL)
		return NULL;
	query->room = room_retain(room);
	if (connection != NULL)
		query->connection = connection_retain(connection);
	query->announced = room->announced;
	query->query =
		(DatabaseQuery){statement, done, {{(const uint8_t *) room->name, room->name_size}}, NULL};
	return query;
}

static void
query_free(RoomQuery *query)
{
	buffer_free(&query->state_vector);
	room_release(query->room);
	if (query->connection != NULL)
		connection_release(query->connection);
	free(query);
}

static void
ask_sync(Connection *connection)
{
	Room *room = connection->room;
	RoomQuery *query = query_new(room, connection, STATEMENT_SYNC, sync_done);

	connection->wants &= ~(unsigned) WANT_SYNC;
	if (query == NULL)
	{
		connection_close(connection, CLOSE_OVERLOAD, "out of memory");
		return;
	}
	query->state_vector = connection->state_vector; /* taken over */
	connection->state_vector = (Buffer){0};
	query->query.parameters[1] = buffer_view(&query->state_vector);
	connection->asks_database = true;
	room->syncs_asked++;
	database_submit(room->hash, &query->query);
	metrics_add(METRIC_SYNCS, 1);
}

/* Step 2, then our own step 1 so that the client sends what we lack, then who is here. */
static void
sync_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	RoomQuery *query = (RoomQuery *) database_query;
	Connection *connection = query->connection;

	connection->asks_database = false;
	query->room->syncs_asked--;
	if (answer->row_count != 1)
	{
		log_event(LEVEL_WARNING, "sync_failed", "{s:s, s:s?, s:s?}", "document", query->room->name,
				  "sqlstate", answer->sqlstate, "reason", answer->message);
		/* class 22: what the client asked is wrong, and will be wrong the next time */
		bool is_wrong = answer->sqlstate != NULL && strncmp(answer->sqlstate, "22", 2) == 0;

		connection_close(connection, is_wrong ? CLOSE_REFUSED : CLOSE_INTERNAL,
						 is_wrong ? "malformed state vector" : "the document cannot be read");
	}
	else if (connection_is_open(connection))
	{
		learn_seq(query->room, database_number(answer, 0, 0), database_number(answer, 0, 1));
		ywebsocket_write_step2(&scratch, database_bytes(answer, 0, 2));
		ywebsocket_write_step1(&scratch, database_bytes(answer, 0, 3));
		presence_write_all(query->room, &scratch);
		if (scratch.failed)
			connection_close(connection, CLOSE_OVERLOAD, "out of memory");
		connection_write(connection, buffer_view(&scratch));
		buffer_free(&scratch); /* it may have been a large document */
		connection_want(connection, WANT_LOG);
	}
	query_free(query);
}

/* From here on new frames wait for it in the log; all before is in the answer. */
static void
ask_catch_up(Connection *connection)
{
	Room *room = connection->room;
	RoomQuery *query = query_new(room, connection, STATEMENT_CHANGES, catch_up_done);

	if (query == NULL)
	{
		connection_close(connection, CLOSE_OVERLOAD, "out of memory");
		return;
	}
	database_write_number(query->since, connection->seq);
	query->query.parameters[1] = (Bytes){query->since, sizeof query->since};
	connection->state = CONNECTION_CATCHING_UP;
	connection->position = room->log.end;
	connection->asks_database = true;
	database_submit(room->hash, &query->query);
}

static void
catch_up_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	RoomQuery *query = (RoomQuery *) database_query;
	Connection *connection = query->connection;
	Room *room = query->room;

	connection->asks_database = false;
	if (connection->state == CONNECTION_BEHIND) /* fell back again meanwhile */
		connection_want(connection, WANT_LOG);
	if (answer->row_count != 1)
		connection_close(connection, CLOSE_INTERNAL, "the document cannot be read");
	else if (connection->state == CONNECTION_CATCHING_UP)
	{
		if (!database_is_null(answer, 0, 2))
			ywebsocket_write_update(&scratch, database_bytes(answer, 0, 2));
		if (scratch.failed)
			connection_close(connection, CLOSE_OVERLOAD, "out of memory");
		connection_write(connection, buffer_view(&scratch));
		buffer_free(&scratch);
		bool is_in_log = connection->position >= room->log.begin;

		if (connection_is_open(connection))
			connection->state = is_in_log ? CONNECTION_LIVE : CONNECTION_BEHIND;
		connection->seq =
			database_number(answer, 0, 0) == room->epoch ? database_number(answer, 0, 1) : 0;
		connection_want(connection, WANT_LOG | WANT_PRESENCE);
	}
	query_free(query);
}

static void
fetch_if_behind(Room *room)
{
	int64_t seq = room->knows_seq ? room->seq : 0;

	if (!room->knows_seq && room->syncs_asked > 0)
		return; /* that answer tells where to begin */
	if (room->uncommitted > 0 && !room->batch_came_back)
		return; /* the gap is most likely our own batch, whose result is about to arrive */
	room->batch_came_back = false;
	if (room->is_fetching || room->is_resyncing || room->announced <= seq ||
		room->member_count == 0)
		return;
	RoomQuery *query = query_new(room, NULL, STATEMENT_CHANGES, fetch_done);

	if (query == NULL)
		return; /* the next check finds the gap again */
	database_write_number(query->since, seq);
	query->query.parameters[1] = (Bytes){query->since, sizeof query->since};
	room->is_fetching = true;
	database_submit(room->hash, &query->query);
	metrics_add(METRIC_FETCHES, 1);
}

static void
fetch_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	RoomQuery *query = (RoomQuery *) database_query;
	Room *room = query->room;

	room->is_fetching = false;
	if (answer->row_count != 1)
	{
		log_event(LEVEL_WARNING, "fetch_failed", "{s:s, s:s?, s:s?}", "document", room->name,
				  "sqlstate", answer->sqlstate, "reason", answer->message);
		room->announced = room->seq; /* not again until somebody announces more */
	}
	else if (learn_epoch(room, database_number(answer, 0, 0)))
	{
		int64_t seq = database_number(answer, 0, 1);

		if (!database_is_null(answer, 0, 2))
			publish_update(room, database_bytes(answer, 0, 2));
		learn_seq(room, database_number(answer, 0, 0), seq);
		if (seq > room->seq)
			room->seq = seq;
		/* announced, but not there: anybody may NOTIFY, so do not ask for ever */
		if (room->announced == query->announced && room->announced > room->seq)
			room->announced = room->seq;
		list(room);
	}
	query_free(query);
}

/*
 * Another epoch: commits that members have seen may be lost, and their seqs given to others.
 * Everything is published anew, and our step 1 makes every client send what the database lacks.
 */
static void
resync(Room *room)
{
	static const uint8_t empty_state_vector[] = {0};
	RoomQuery *query =
		room->is_resyncing ? NULL : query_new(room, NULL, STATEMENT_SYNC, resync_done);

	if (query == NULL)
		return;
	query->query.parameters[1] = (Bytes){empty_state_vector, sizeof empty_state_vector};
	room->is_resyncing = true;
	database_submit(room->hash, &query->query);
}

static void
resync_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	RoomQuery *query = (RoomQuery *) database_query;
	Room *room = query->room;

	room->is_resyncing = false;
	if (answer->row_count == 1)
	{
		int64_t epoch = database_number(answer, 0, 0), seq = database_number(answer, 0, 1);

		if (epoch == room->epoch && seq >= room->seq)
			learn_seq(room, epoch, seq); /* a false alarm: anybody may NOTIFY */
		else
			begin_anew(room, epoch, seq, answer);
	}
	query_free(query);
}

static void
begin_anew(Room *room, int64_t epoch, int64_t seq, const DatabaseAnswer *answer)
{
	log_event(LEVEL_WARNING, "epoch_changed", "{s:s, s:I, s:I, s:I, s:I}", "document", room->name,
			  "epoch_before", (json_int_t) room->epoch, "seq_before", (json_int_t) room->seq,
			  "epoch", (json_int_t) epoch, "seq", (json_int_t) seq);
	metrics_add(METRIC_EPOCH_CHANGES, 1);
	room->epoch = epoch;
	room->seq = room->announced = seq;
	room->knows_seq = true;
	publish_update(room, database_bytes(answer, 0, 2));
	ywebsocket_write_step1(&scratch, database_bytes(answer, 0, 3));
	if (!scratch.failed)
		room_publish(room, buffer_view(&scratch));
	buffer_free(&scratch);
	for (uint32_t i = 0; i < room->member_count; i++)
		if (room->members[i]->state != CONNECTION_LIVE)
			resync_slow_member(room->members[i]);
}

/* It cannot follow the log: the whole document, and our step 1, when its socket is free. */
static void
resync_slow_member(Connection *member)
{
	static const uint8_t empty_state_vector[] = {0};

	if (!connection_is_open(member))
		return;
	member->state = CONNECTION_BEHIND;
	member->seq = 0;
	if (room_take_sync(member, (Bytes){empty_state_vector, sizeof empty_state_vector}) != 0)
		connection_close(member, CLOSE_OVERLOAD, "out of memory");
}

/* Compares an epoch heard of with the room's.  False if it is another one: the room begins anew. */
static bool
learn_epoch(Room *room, int64_t epoch)
{
	if (!room->knows_seq)
		return true; /* nothing to compare with: the first answer to a sync will tell */
	if (room->epoch == 0)
		room->epoch = epoch; /* the document has come into being */
	if (room->epoch == epoch)
		return true;
	resync(room);
	return false;
}

/* A snapshot's head, whose content every member was given or will be. */
static void
learn_seq(Room *room, int64_t epoch, int64_t seq)
{
	if (!room->knows_seq)
	{
		room->knows_seq = true;
		room->epoch = epoch;
		room->seq = seq;
	}
	else if (learn_epoch(room, epoch) && seq > room->announced)
		room->announced = seq;
	list(room);
}

static void
publish_update(Room *room, Bytes update)
{
	Buffer frame = {0};

	if (room->member_count == 0)
		return;
	ywebsocket_write_update(&frame, update);
	if (!frame.failed)
		room_publish(room, buffer_view(&frame));
	else
		for (uint32_t i = 0; i < room->member_count; i++)
			resync_slow_member(room->members[i]);
	buffer_free(&frame);
}

static void
heads_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	HeadsQuery *query = (HeadsQuery *) database_query;

	is_checking = false;
	for (int row = 0; row < answer->row_count; row++)
	{
		Bytes name = database_bytes(answer, row, 0);
		Room *room = room_find((const char *) name.data, name.size);
		int64_t epoch = database_number(answer, row, 1), seq = database_number(answer, row, 2);

		if (room == NULL)
			continue;
		/* seqs never go back within an epoch: then somebody made the document anew */
		if (room->knows_seq && room->epoch == epoch && seq < room->seq_at_check)
			resync(room);
		else
			room_announced(room->name, epoch, seq);
		room->seq_at_check = UNCHECKED;
	}
	if (answer->result != NULL)
		room_each(resync_if_deleted);
	buffer_free(&query->names);
	free(query);
}

/* It was there when we asked, and the answer does not mention it. */
static void
resync_if_deleted(Room *room)
{
	if (room->seq_at_check > 0)
		resync(room);
	room->seq_at_check = UNCHECKED;
}

/* Notification is a hint; this finds what nobody announced. */
static void
check_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void) loop, (void) timer, (void) events;
	room_check_all();
}
