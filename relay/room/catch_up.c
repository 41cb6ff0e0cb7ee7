/*
 * catch_up.c: gaps, slow members, epochs.
 *
 * Here: what others committed, what a slow member missed, the check for what nobody announced.  Not
 * here: members and their log (room.c), loading (sync.c), storing (batch.c).
 */
#include "catch_up.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "database.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "room_inside.h"
#include "sync.h"
#include "ywebsocket.h"

#define FETCH_ROOMS 64 /* of one statement */
#define CHECK_JITTER 0.5 /* so that many relays do not ask in step: 3/4 to 5/4 of the interval */

enum
{
	PARAMETER_BYTES = 3 /* the last of its parameters: max_bytes */
};

/* Columns of ydoc.changes() */
enum
{
	COLUMN_EPOCH,
	COLUMN_SEQ,
	COLUMN_UPDATE,
	COLUMN_STATE_VECTOR,
	COLUMN_ORDINAL /* of several questions */
};

typedef struct ChangesQuery ChangesQuery;

struct ChangesQuery
{
	DatabaseQuery query; /* first */
	ChangesQuery *next; /* that is due */
	Room *room; /* held */
	Member *member; /* held; NULL if it is for all members */
	Member *asker; /* held: in whose name it is asked */
	Identity *identity; /* held: his when it was */
	int64_t announced, epoch, seq; /* the room's when it was asked; seqs count within an epoch */
	bool is_doubt; /* somebody has said that the document of the epoch known then is gone */
	uint8_t since[8], known_epoch[8], max_bytes[4]; /* parameters */
};

typedef struct FetchQuery /* several of them in one statement */
{
	DatabaseQuery query; /* first */
	Buffer documents, sinces, known_epochs, claims; /* parameters */
	ChangesQuery *parts[FETCH_ROOMS];
	uint32_t count;
} FetchQuery;

typedef struct HeadsQuery
{
	DatabaseQuery query; /* first */
	Buffer names, claims;
	uint32_t count;
} HeadsQuery;

static ev_timer check_timer;
static HeadsQuery *check; /* being filled */
static ChangesQuery *due, **due_end = &due; /* what rooms fetch, until the round's end */
static bool is_checking, is_check_due;

static ChangesQuery *query_new(Room *room, Member *member, int64_t since, DatabaseDone done);
static void query_free(ChangesQuery *query);
static void member_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void fetch_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void take_fetched(ChangesQuery *query, const DatabaseAnswer *answer, int row);
static bool is_of_before(const ChangesQuery *query);
static bool fetch_several(void);
static void append_part(FetchQuery *fetch, ChangesQuery *part);
static void several_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void fetch_free(FetchQuery *fetch);
static void take_changes(Room *room, const DatabaseAnswer *answer, int row);
static void load_by_all(Room *room, int64_t seq, Bytes state_vector);
static void resync(Room *room);
static void resync_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void begin_anew(Room *room, int64_t epoch, int64_t seq);
static bool learn_epoch(Room *room, int64_t epoch);
static void publish_update(Room *room, Bytes update, Member *author);
static void schedule_check(void);
static void check_room(Room *room);
static void heads_free(HeadsQuery *query);
static void heads_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void resync_if_deleted(Room *room);
static void check_timeout(struct ev_loop *, ev_timer *, int);

void
catch_up_start(void)
{
	ev_init(&check_timer, check_timeout);
	schedule_check();
}

static void
schedule_check(void)
{
	double seconds = (double) config.check_seconds;

	ev_timer_set(&check_timer, seconds * (1.0 + CHECK_JITTER * (loop_random() - 0.5)), 0.0);
	ev_timer_start(loop_ev(), &check_timer);
}

void
room_committed(Room *room, int64_t epoch, int64_t seq, int64_t logged_from, Bytes logged,
			   Member *author)
{
	/* what is larger than a slice is left as a gap: fetched, it goes out in slices */
	bool is_large = logged.size > (size_t) config.slice_bytes;

	if (logged.size > 0 && !is_large)
		publish_update(room, logged, author);
	/* no answer has told it yet, but this is what members have seen some of */
	if (!room->knows_seq && room->epoch == 0)
		room->epoch = epoch;
	if (!learn_epoch(room, epoch))
		return;
	if (room->knows_seq && logged.size > 0 && !is_large && logged_from <= room->seq + 1 &&
		seq > room->seq)
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
	/* the answer under way may be older than what we are to look for */
	is_check_due = is_checking;
	HeadsQuery *query = !is_checking ? calloc(1, sizeof *query) : NULL;

	if (query == NULL || buffer_reserve(&query->names, DATABASE_ARRAY_HEADER) == NULL ||
		buffer_reserve(&query->claims, DATABASE_ARRAY_HEADER) == NULL)
	{
		heads_free(query);
		return;
	}
	check = query;
	room_each(check_room);
	if (query->names.failed || query->claims.failed || query->count == 0)
	{
		heads_free(query);
		return;
	}
	database_write_array_header(query->names.data, DATABASE_TEXT, false, query->count);
	database_write_array_header(query->claims.data, DATABASE_TEXT, false, query->count);
	query->query = (DatabaseQuery){.statement = STATEMENT_HEADS,
								   .done = heads_done,
								   .parameters = {buffer_view(&query->names)},
								   .claims = buffer_view(&query->claims)};
	is_checking = true;
	database_submit(0, &query->query);
	metrics_add(METRIC_CHECKS, 1);
}

static void
check_room(Room *room)
{
	const Member *asker = room_reader(room);

	room->seq_at_check = room->knows_seq && asker != NULL ? room->seq : ROOM_UNCHECKED;
	if (asker == NULL)
		return;
	Bytes claims = identity_claims(asker->identity);

	buffer_write_u32(&check->claims, (uint32_t) claims.size);
	buffer_write(&check->claims, claims);
	buffer_write_u32(&check->names, room->name_size);
	buffer_write(&check->names, (Bytes){(const uint8_t *) room->name, room->name_size});
	check->count++;
}

static ChangesQuery *
query_new(Room *room, Member *member, int64_t since, DatabaseDone done)
{
	Member *asker = member != NULL ? member : room_reader(room);
	ChangesQuery *query = asker != NULL ? calloc(1, sizeof *query) : NULL;

	if (query == NULL)
		return NULL;
	query->room = room_retain(room);
	query->asker = member_retain(asker);
	query->identity = identity_retain(asker->identity);
	if (member != NULL)
		query->member = member_retain(member);
	query->announced = room->announced;
	query->epoch = room->epoch;
	query->seq = since;
	database_write_number(query->since, since);
	database_write_number(query->known_epoch, room->epoch);
	database_write_int4(query->max_bytes, (int32_t) config.slice_bytes);
	query->query = (DatabaseQuery){STATEMENT_CHANGES,
								   done,
								   {{(const uint8_t *) room->name, room->name_size},
									{query->since, sizeof query->since},
									{query->known_epoch, sizeof query->known_epoch},
									{query->max_bytes, sizeof query->max_bytes}},
								   NULL,
								   identity_claims(query->identity)};
	return query;
}

static void
query_free(ChangesQuery *query)
{
	room_release(query->room);
	if (query->member != NULL)
		member_release(query->member);
	member_release(query->asker);
	identity_release(query->identity);
	free(query);
}

/* From here on new frames wait for it in the log; all before is in the answer. */
void
catch_up_member(Member *member)
{
	Room *room = member->room;
	ChangesQuery *query = query_new(room, member, member->seq, member_done);

	if (query == NULL)
	{
		member_close(member, CLOSE_OVERLOAD, "out of memory");
		return;
	}
	member->state = MEMBER_CATCHING_UP;
	member->awaited = query;
	member->position = room->log.end;
	database_submit(room->hash, &query->query);
}

static void
member_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	ChangesQuery *query = (ChangesQuery *) database_query;
	Member *member = query->member;
	Room *room = query->room;

	if (member->state != MEMBER_CATCHING_UP || member->awaited != query)
		; /* it is loading, or asks anew */
	else if (answer->row_count != 1)
	{
		if (!access_is_denied(member, answer->sqlstate) &&
			!room_close_if_gone(room, answer->sqlstate, answer->message))
			member_close(member, CLOSE_INTERNAL, "the document cannot be read");
	}
	else
	{
		bool is_in_log = member->position >= room->log.begin;

		metrics_add(METRIC_CAUGHT_UP, 1);
		member->state = is_in_log ? MEMBER_LIVE : MEMBER_BEHIND;
		member->seq = database_number(answer, 0, COLUMN_EPOCH) == room->epoch
						  ? database_number(answer, 0, COLUMN_SEQ)
						  : 0;
		if (!database_is_null(answer, 0, COLUMN_STATE_VECTOR))
			sync_begin(member, database_bytes(answer, 0, COLUMN_STATE_VECTOR), false);
		else if (!database_is_null(answer, 0, COLUMN_UPDATE))
		{
			Buffer frame = {0};

			ywebsocket_write_update(&frame, database_bytes(answer, 0, COLUMN_UPDATE));
			if (frame.failed)
				member_close(member, CLOSE_OVERLOAD, "out of memory");
			member_write(member, buffer_view(&frame));
			buffer_free(&frame);
		}
		member_want(member, WANT_LOG | WANT_PRESENCE);
	}
	query_free(query);
}

void
catch_up_room(Room *room)
{
	int64_t seq = room->knows_seq ? room->seq : 0;

	if (!room->knows_seq && room->questions != NULL)
		return; /* that answer tells where to begin */
	if (room->uncommitted > 0 && !room->batch_came_back)
		return; /* the gap is most likely our own batch, whose result is about to arrive */
	room->batch_came_back = false;
	if (room->is_fetching || room->is_resyncing || room->is_closed || room->member_count == 0)
		return;
	if (room->announced <= seq && !room->is_doubted)
		return;
	ChangesQuery *query = query_new(room, NULL, seq, fetch_done);

	if (query == NULL)
		return; /* the next check finds the gap again */
	query->is_doubt = room->is_doubted && room->epoch != 0;
	room->is_fetching = true;
	room->is_doubted = false;
	query->next = NULL;
	*due_end = query;
	due_end = &query->next;
	metrics_add(METRIC_FETCHES, 1);
}

/* Another relay's batch was announced as one: what it changed is asked for as one. */
void
catch_up_end_round(void)
{
	while (due != NULL)
	{
		ChangesQuery *query = due;

		if (query->next != NULL && fetch_several())
			continue;
		due = query->next;
		database_submit(query->room->hash, &query->query);
	}
	due_end = &due;
}

/* The first of those that are due; false when out of memory. */
static bool
fetch_several(void)
{
	FetchQuery *fetch = calloc(1, sizeof *fetch);
	ChangesQuery *query = due;

	if (fetch == NULL)
		return false;
	(void) buffer_reserve(&fetch->documents, DATABASE_ARRAY_HEADER);
	(void) buffer_reserve(&fetch->sinces, DATABASE_ARRAY_HEADER);
	(void) buffer_reserve(&fetch->known_epochs, DATABASE_ARRAY_HEADER);
	(void) buffer_reserve(&fetch->claims, DATABASE_ARRAY_HEADER);
	for (; query != NULL && fetch->count < FETCH_ROOMS; query = query->next)
		append_part(fetch, query);
	if (fetch->documents.failed || fetch->sinces.failed || fetch->known_epochs.failed ||
		fetch->claims.failed)
	{
		fetch_free(fetch);
		return false;
	}
	due = query;
	database_write_array_header(fetch->documents.data, DATABASE_TEXT, false, fetch->count);
	database_write_array_header(fetch->sinces.data, DATABASE_INT8, false, fetch->count);
	database_write_array_header(fetch->known_epochs.data, DATABASE_INT8, false, fetch->count);
	database_write_array_header(fetch->claims.data, DATABASE_TEXT, false, fetch->count);
	const ChangesQuery *first = fetch->parts[0];

	fetch->query = (DatabaseQuery){
		.statement = STATEMENT_CHANGES_OF_SEVERAL,
		.done = several_done,
		.parameters = {buffer_view(&fetch->documents), buffer_view(&fetch->sinces),
					   buffer_view(&fetch->known_epochs), first->query.parameters[PARAMETER_BYTES]},
		.claims = buffer_view(&fetch->claims)};
	database_submit(first->room->hash, &fetch->query);
	return true;
}

static void
append_part(FetchQuery *fetch, ChangesQuery *part)
{
	Buffer *arrays[] = {&fetch->documents, &fetch->sinces, &fetch->known_epochs};

	for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
	{
		buffer_write_u32(arrays[i], (uint32_t) part->query.parameters[i].size);
		buffer_write(arrays[i], part->query.parameters[i]);
	}
	buffer_write_u32(&fetch->claims, (uint32_t) part->query.claims.size);
	buffer_write(&fetch->claims, part->query.claims);
	fetch->parts[fetch->count++] = part;
}

/* One that cannot be answered spoils the statement: so each is asked alone then. */
static void
several_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	FetchQuery *fetch = (FetchQuery *) database_query;
	bool is_stopping = answer->sqlstate != NULL && strncmp(answer->sqlstate, "57", 2) == 0;

	for (int row = 0; row < answer->row_count; row++)
	{
		int64_t ordinal = database_number(answer, row, COLUMN_ORDINAL);

		if (ordinal < 1 || ordinal > (int64_t) fetch->count || fetch->parts[ordinal - 1] == NULL)
			continue;
		take_fetched(fetch->parts[ordinal - 1], answer, row);
		fetch->parts[ordinal - 1] = NULL;
	}
	for (uint32_t i = 0; i < fetch->count; i++)
	{
		ChangesQuery *part = fetch->parts[i];

		if (part != NULL && is_stopping)
			fetch_done(&part->query, answer);
		else if (part != NULL)
			database_submit(part->room->hash, &part->query);
	}
	fetch_free(fetch);
}

static void
fetch_free(FetchQuery *fetch)
{
	buffer_free(&fetch->documents);
	buffer_free(&fetch->sinces);
	buffer_free(&fetch->known_epochs);
	buffer_free(&fetch->claims);
	free(fetch);
}

static void
fetch_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	ChangesQuery *query = (ChangesQuery *) database_query;
	Room *room = query->room;

	if (answer->row_count == 1)
	{
		take_fetched(query, answer, 0);
		return;
	}
	room->is_fetching = false;
	room_list(room);
	if (access_is_denied(query->asker, answer->sqlstate))
		room->is_doubted |= query->is_doubt; /* another is asked for */
	else if (is_of_before(query))
		; /* what is announced now is asked for anew */
	else if (!room_close_if_gone(room, answer->sqlstate, answer->message))
	{
		log_event(LEVEL_WARNING, "fetch_failed", "{s:s, s:s?, s:s?}", "document", room->name,
				  "sqlstate", answer->sqlstate, "reason", answer->message);
		room->announced = room->seq; /* not again until somebody announces more */
	}
	query_free(query);
}

static void
take_fetched(ChangesQuery *query, const DatabaseAnswer *answer, int row)
{
	Room *room = query->room;
	int64_t epoch = database_number(answer, row, COLUMN_EPOCH);

	room->is_fetching = false;
	room_list(room); /* if somebody doubts it meanwhile */
	if (query->is_doubt && epoch == 0)
		(void) room_close_if_gone(room, "YD001", "the document was deleted and is forgotten");
	else if (learn_epoch(room, epoch) && !is_of_before(query))
	{
		take_changes(room, answer, row);
		/* announced, but not there: anybody may NOTIFY, so do not ask for ever */
		if (room->announced == query->announced && room->announced > room->seq)
			room->announced = room->seq;
	}
	query_free(query);
}

/* The room has begun anew since it was asked: the changes since a seq of the epoch before are not all. */
static bool
is_of_before(const ChangesQuery *query)
{
	return query->epoch != query->room->epoch && query->seq != 0;
}

static void
take_changes(Room *room, const DatabaseAnswer *answer, int row)
{
	int64_t seq = database_number(answer, row, COLUMN_SEQ);

	if (!database_is_null(answer, row, COLUMN_STATE_VECTOR))
		load_by_all(room, seq, database_bytes(answer, row, COLUMN_STATE_VECTOR));
	else if (!database_is_null(answer, row, COLUMN_UPDATE))
		publish_update(room, database_bytes(answer, row, COLUMN_UPDATE), NULL);
	catch_up_learn(room, database_number(answer, row, COLUMN_EPOCH), seq);
	if (seq > room->seq)
		room->seq = seq;
}

/*
 * What was committed is larger than a slice: nobody gets it from the log.  Who has all that the log
 * has is at state_vector, and loads from there, all as one; everybody else finds out when the
 * socket is free.
 */
static void
load_by_all(Room *room, int64_t seq, Bytes state_vector)
{
	log_event(LEVEL_DEBUG, "large_update", "{s:s, s:I}", "document", room->name, "seq",
			  (json_int_t) seq);
	for (uint32_t i = 0; i < room->member_count; i++)
	{
		Member *member = room->members[i];

		if (member->state != MEMBER_LIVE)
			continue;
		if (member->position == room->log.end)
			sync_begin(member, state_vector, false);
		else
			room_leave_behind(member);
	}
	room_log_break(&room->log);
}

/*
 * Another epoch: commits that members have seen may be lost, and their seqs given to others.
 * Everybody gets everything anew, and our step 1 makes every client send what the database lacks.
 * First we look whether it is true: anybody may NOTIFY.
 */
static void
resync(Room *room)
{
	ChangesQuery *query = room->is_resyncing || room->is_closed
							  ? NULL
							  : query_new(room, NULL, INT64_MAX, resync_done);

	if (query == NULL)
		return;
	room->is_resyncing = true;
	database_submit(room->hash, &query->query);
}

static void
resync_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	ChangesQuery *query = (ChangesQuery *) database_query;
	Room *room = query->room;

	room->is_resyncing = false;
	room_list(room);
	if (access_is_denied(query->asker, answer->sqlstate))
		resync(room);
	else if (answer->row_count != 1)
		(void) room_close_if_gone(room, answer->sqlstate, answer->message);
	else
	{
		int64_t epoch = database_number(answer, 0, COLUMN_EPOCH);
		int64_t seq = database_number(answer, 0, COLUMN_SEQ);

		if (epoch != room->epoch || seq < room->seq)
			begin_anew(room, epoch, seq);
		else if (room->knows_seq) /* a false alarm */
			catch_up_learn(room, epoch, seq);
	}
	query_free(query);
}

static void
begin_anew(Room *room, int64_t epoch, int64_t seq)
{
	log_event(LEVEL_WARNING, "epoch_changed", "{s:s, s:I, s:I, s:I, s:I}", "document", room->name,
			  "epoch_before", (json_int_t) room->epoch, "seq_before", (json_int_t) room->seq,
			  "epoch", (json_int_t) epoch, "seq", (json_int_t) seq);
	metrics_add(METRIC_EPOCH_CHANGES, 1);
	room->epoch = epoch;
	room->seq = room->announced = seq;
	room->knows_seq = true;
	sync_forget(room);
	/* who falls behind in what is appended to a chunk from before would have a seq of the epoch before */
	room_log_forget_seqs(&room->log);
	for (uint32_t i = 0; i < room->member_count; i++)
		catch_up_anew(room->members[i]);
}

/* Whatever it was at before, the answers to that are not for it any more. */
void
catch_up_anew(Member *member)
{
	static const uint8_t empty_state_vector[] = {0};

	if (member_is_open(member))
		sync_begin(member, (Bytes){empty_state_vector, sizeof empty_state_vector}, true);
}

/* Compares an epoch heard of with the room's.  False if it is another one: the room begins anew. */
static bool
learn_epoch(Room *room, int64_t epoch)
{
	if (!room->knows_seq && room->epoch == 0)
		return true; /* nothing to compare with: the first answer to a sync will tell */
	if (room->epoch == 0)
		room->epoch = epoch; /* the document has come into being */
	if (room->epoch == epoch)
		return true;
	resync(room);
	return false;
}

void
catch_up_learn(Room *room, int64_t epoch, int64_t seq)
{
	if (!room->knows_seq && (room->epoch == 0 || epoch == 0 || room->epoch == epoch))
	{
		/* before the document came into being, or after it went? */
		room->is_doubted |= epoch == 0 && room->epoch != 0;
		room->knows_seq = true;
		room->epoch = epoch != 0 ? epoch : room->epoch;
		room->seq = seq;
	}
	else if (learn_epoch(room, epoch) && seq > room->announced)
		room->announced = seq;
	room_list(room);
}

static void
publish_update(Room *room, Bytes update, Member *author)
{
	Buffer frame = {0};

	if (room->member_count == 0)
		return;
	ywebsocket_write_update(&frame, update);
	if (!frame.failed)
		room_publish(room, buffer_view(&frame), author);
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
	heads_free(query);
	if (is_check_due && !loop_is_draining())
		room_check_all();
}

static void
heads_free(HeadsQuery *query)
{
	if (query == NULL)
		return;
	buffer_free(&query->names);
	buffer_free(&query->claims);
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
	schedule_check();
}