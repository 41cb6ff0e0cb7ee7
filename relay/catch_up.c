/*
 * catch_up.c: questions to the database about a room, gaps, epochs.
 *
 * Here: sync, slow members, what others committed, the check for what nobody announced.  Not here:
 * members and their log (room.c), storing (batch.c).
 */
#include "catch_up.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "database.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "room_inside.h"
#include "ywebsocket.h"

#define CLOSE_INTERNAL 1011
#define CHECK_SECONDS 30.0

typedef struct RoomQuery /* one question about one document */
{
	DatabaseQuery query; /* first */
	Room *room; /* held */
	Connection *connection; /* held; NULL if it is for all members */
	int64_t announced; /* the room's when it was asked */
	bool is_doubt; /* somebody has said that the document is gone */
	uint8_t since[8], known_epoch[8];
	Buffer state_vector;
} RoomQuery;

typedef struct HeadsQuery
{
	DatabaseQuery query; /* first */
	Buffer names;
	uint32_t count;
} HeadsQuery;

static Buffer scratch; /* frames under construction; empty between functions */
static ev_timer check_timer;
static HeadsQuery *check; /* being filled */
static bool is_checking;

static RoomQuery *
query_new(Room *room, Connection *connection, DatabaseStatement statement, DatabaseDone done);
static void query_free(RoomQuery *query);
static void sync_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void member_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void fetch_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void resync(Room *room);
static void resync_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void begin_anew(Room *room, int64_t epoch, int64_t seq, const DatabaseAnswer *answer);
static bool learn_epoch(Room *room, int64_t epoch);
static void learn_seq(Room *room, int64_t epoch, int64_t seq);
static void publish_update(Room *room, Bytes update);
static void check_room(Room *room);
static void heads_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void resync_if_deleted(Room *room);
static void check_timeout(struct ev_loop *, ev_timer *, int);

void
catch_up_start(void)
{
	ev_timer_init(&check_timer, check_timeout, CHECK_SECONDS, CHECK_SECONDS);
	ev_timer_start(loop_ev(), &check_timer);
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
room_announced(const char *name, int64_t epoch, int64_t seq)
{
	Room *room = room_find(name, strlen(name));

	if (room == NULL || !learn_epoch(room, epoch))
		return;
	if (seq > room->announced)
		room->announced = seq;
	room_list(room);
}

void
room_doubted(const char *name)
{
	Room *room = room_find(name, strlen(name));

	if (room == NULL)
		return;
	room->is_doubted = true;
	room_list(room);
}

void
room_check_all(void)
{
	HeadsQuery *query = !is_checking ? calloc(1, sizeof *query) : NULL;

	if (query == NULL || buffer_reserve(&query->names, DATABASE_ARRAY_HEADER) == NULL)
	{
		free(query);
		return;
	}
	check = query;
	room_each(check_room);
	if (query->names.failed || query->count == 0)
	{
		buffer_free(&query->names);
		free(query);
		return;
	}
	database_write_array_header(query->names.data, DATABASE_TEXT, false, query->count);
	query->query = (DatabaseQuery){STATEMENT_HEADS, heads_done, {buffer_view(&query->names)}, NULL};
	is_checking = true;
	database_submit(0, &query->query);
}

static void
check_room(Room *room)
{
	room->seq_at_check = room->knows_seq ? room->seq : ROOM_UNCHECKED;
	buffer_write_u32(&check->names, room->name_size);
	buffer_write(&check->names, (Bytes){(const uint8_t *) room->name, room->name_size});
	check->count++;
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
	database_write_number(query->known_epoch, room->epoch);
	query->query = (DatabaseQuery){statement,
								   done,
								   {{(const uint8_t *) room->name, room->name_size},
									{0},
									{query->known_epoch, sizeof query->known_epoch}},
								   NULL};
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

void
catch_up_sync(Connection *connection)
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
	if (answer->row_count != 1 &&
		!room_close_if_gone(query->room, answer->sqlstate, answer->message))
	{
		log_event(LEVEL_WARNING, "sync_failed", "{s:s, s:s?, s:s?}", "document", query->room->name,
				  "sqlstate", answer->sqlstate, "reason", answer->message);
		/* class 22: what the client asked is wrong, and will be wrong the next time */
		bool is_wrong = answer->sqlstate != NULL && strncmp(answer->sqlstate, "22", 2) == 0;

		connection_close(connection, is_wrong ? CLOSE_REFUSED : CLOSE_INTERNAL,
						 is_wrong ? "malformed state vector" : "the document cannot be read");
	}
	else if (answer->row_count == 1 && connection_is_open(connection))
	{
		learn_seq(query->room, database_number(answer, 0, 0), database_number(answer, 0, 1));
		ywebsocket_write_step2(&scratch, database_bytes(answer, 0, 2));
		ywebsocket_write_step1(&scratch, database_bytes(answer, 0, 3));
		presence_write_all(query->room, &scratch);
		if (scratch.failed)
			connection_close(connection, CLOSE_OVERLOAD, "out of memory");
		connection_write(connection, buffer_view(&scratch));
		connection->was_given_some = true;
		buffer_free(&scratch); /* it may have been a large document */
		connection_want(connection, WANT_LOG);
	}
	query_free(query);
}

/* From here on new frames wait for it in the log; all before is in the answer. */
void
catch_up_member(Connection *connection)
{
	Room *room = connection->room;
	RoomQuery *query = query_new(room, connection, STATEMENT_CHANGES, member_done);

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
member_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	RoomQuery *query = (RoomQuery *) database_query;
	Connection *connection = query->connection;
	Room *room = query->room;

	connection->asks_database = false;
	if (connection->state == CONNECTION_BEHIND) /* fell back again meanwhile */
		connection_want(connection, WANT_LOG);
	if (answer->row_count != 1 && !room_close_if_gone(room, answer->sqlstate, answer->message))
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

void
catch_up_room(Room *room)
{
	int64_t seq = room->knows_seq ? room->seq : 0;

	if (!room->knows_seq && room->syncs_asked > 0)
		return; /* that answer tells where to begin */
	if (room->uncommitted > 0 && !room->batch_came_back)
		return; /* the gap is most likely our own batch, whose result is about to arrive */
	room->batch_came_back = false;
	if (room->is_fetching || room->is_resyncing || room->is_closed || room->member_count == 0)
		return;
	if (room->announced <= seq && !room->is_doubted)
		return;
	RoomQuery *query = query_new(room, NULL, STATEMENT_CHANGES, fetch_done);

	if (query == NULL)
		return; /* the next check finds the gap again */
	database_write_number(query->since, seq);
	query->query.parameters[1] = (Bytes){query->since, sizeof query->since};
	query->is_doubt = room->is_doubted;
	room->is_fetching = true;
	room->is_doubted = false;
	database_submit(room->hash, &query->query);
	metrics_add(METRIC_FETCHES, 1);
}

static void
fetch_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	RoomQuery *query = (RoomQuery *) database_query;
	Room *room = query->room;

	room->is_fetching = false;
	room_list(room); /* if somebody doubts it meanwhile */
	if (answer->row_count != 1 && !room_close_if_gone(room, answer->sqlstate, answer->message))
	{
		log_event(LEVEL_WARNING, "fetch_failed", "{s:s, s:s?, s:s?}", "document", room->name,
				  "sqlstate", answer->sqlstate, "reason", answer->message);
		room->announced = room->seq; /* not again until somebody announces more */
	}
	else if (answer->row_count == 1 && query->is_doubt && room->epoch != 0 &&
			 database_number(answer, 0, 0) == 0)
		(void) room_close_if_gone(room, "YD001", "the document was deleted and is forgotten");
	else if (answer->row_count == 1 && learn_epoch(room, database_number(answer, 0, 0)))
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
	RoomQuery *query = room->is_resyncing || room->is_closed
						   ? NULL
						   : query_new(room, NULL, STATEMENT_SYNC, resync_done);

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
	room_list(room);
	if (answer->row_count != 1)
		(void) room_close_if_gone(room, answer->sqlstate, answer->message);
	else
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
			catch_up_anew(room->members[i]);
}

/* It cannot follow the log: the whole document, and our step 1, when its socket is free. */
void
catch_up_anew(Connection *member)
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
	room_list(room);
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
			catch_up_anew(room->members[i]);
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
		if (database_number(answer, row, 3) != 0)
			room_doubted(room->name); /* that answer tells where it has gone */
		/* seqs never go back within an epoch: then somebody made the document anew */
		else if (room->knows_seq && room->epoch == epoch && seq < room->seq_at_check)
			resync(room);
		else
			room_announced(room->name, epoch, seq);
		room->seq_at_check = ROOM_UNCHECKED;
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
	room->seq_at_check = ROOM_UNCHECKED;
}

/* Notification is a hint; this finds what nobody announced. */
static void
check_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void) loop, (void) timer, (void) events;
	room_check_all();
}