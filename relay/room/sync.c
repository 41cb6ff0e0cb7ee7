/*
 * sync.c: questions to ydoc.sync_slices, who shares them, and their order.
 *
 * Here: asking, the slices of an answer, when a member has them all.  Not here: cutting (the
 * database does), what is committed meanwhile (room.c: it waits in the log).
 */
#include "sync.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "catch_up.h"
#include "config.h"
#include "database.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "room_inside.h"
#include "ywebsocket.h"

#define ROUND_BYTES (4 << 20) /* of slices: what a round may write before others have their turn */

/* Columns of ydoc.sync_slices() */
enum
{
	COLUMN_EPOCH,
	COLUMN_SEQ,
	COLUMN_UPDATE,
	COLUMN_STATE_VECTOR,
	COLUMN_REACHED
};

typedef enum QuestionState
{
	QUESTION_WAITING, /* for its turn */
	QUESTION_ASKED,
	QUESTION_ANSWERED
} QuestionState;

struct SyncQuestion
{
	DatabaseQuery query; /* first: answered() gets it back */
	QuestionState state;
	Room *room; /* held */
	int references; /* followers, and the reader's while it waits or is asked */
	bool is_forgotten; /* nobody joins any more */
	SyncQuestion *next; /* of its room */
	SyncQuestion *next_waiting;
	Member *asker; /* held while it is asked: a follower, in whose name it is */
	Identity *identity; /* held likewise: his */
	Buffer state_vector;
	uint8_t slice_bytes[4], max_bytes[4], known_epoch[8]; /* parameters */
	uint64_t
		position; /* the log's end when it was asked: what was published before is in the answer */

	/* the answer */
	int64_t epoch, seq;
	Buffer step1, frames;
	size_t *ends; /* of each slice in frames */
	uint32_t slice_count;
	size_t last_update_bytes; /* at the end of the last one */
	Buffer reached; /* where to go on; empty: that was all */
};

typedef struct Reader
{
	int64_t asked;
	SyncQuestion *first, *last; /* waiting */
} Reader;

static Reader readers[MAX_DATABASE_READERS];
static int64_t held_bytes; /* of slices */
static int64_t vector_bytes; /* of state vectors */
static int64_t round_bytes;

static void serve_slice(Member *member, Buffer *out);
static void write_slice(Member *member, uint32_t number, bool is_end, Buffer *out);
static void write_now(Member *member, Buffer *out);
static void follow(Member *member, Bytes state_vector);
static SyncQuestion *find_question(const Room *room, Bytes state_vector);
static SyncQuestion *new_question(Room *room, Bytes state_vector);
static void wait_for_turn(SyncQuestion *question);
static Member *find_asker(const SyncQuestion *question);
static void release(SyncQuestion *question);
static void ask(SyncQuestion *question);
static void answered(DatabaseQuery *query, const DatabaseAnswer *answer);
static bool take_slices(SyncQuestion *question, const DatabaseAnswer *answer);
static void ask_anew(SyncQuestion *question);
static void refuse_followers(SyncQuestion *question, const DatabaseAnswer *answer);
static void finish(Member *member);
static void count_held(int64_t bytes);

bool
sync_keep_vector(Member *member, Bytes state_vector)
{
	sync_drop_vector(member);
	if (vector_bytes + (int64_t) state_vector.size > config.max_load_memory)
		return false;
	buffer_write(&member->state_vector, state_vector);
	vector_bytes += (int64_t) member->state_vector.capacity;
	return !member->state_vector.failed;
}

void
sync_drop_vector(Member *member)
{
	vector_bytes -= (int64_t) member->state_vector.capacity;
	buffer_free(&member->state_vector);
}

void
sync_begin(Member *member, Bytes state_vector, bool is_step2)
{
	sync_leave(member);
	member->state = MEMBER_LOADING;
	member->gets_step2 = is_step2;
	/* what somebody has who may not write is asked for only if he is told that we do not take it */
	member->needs_step1 =
		is_step2 && (access_may_send(member->level) || member_is_told_status(member));
	metrics_add(METRIC_SYNCS, 1);
	follow(member, state_vector);
}

/* As many slices as the kernel takes: who has a fast line is done before the next one begins, and who has a slow one
 * keeps nobody waiting. */
void
sync_serve(Member *member, Buffer *out)
{
	const SyncQuestion *question = member->question;

	if (question->state != QUESTION_ANSWERED)
		return;
	while (member->state == MEMBER_LOADING && member->question == question &&
		   !member_is_choked(member) && round_bytes <= ROUND_BYTES)
		serve_slice(member, out);
	if (member->state == MEMBER_LOADING && member->question == question)
		member_yield(member);
}

static void
serve_slice(Member *member, Buffer *out)
{
	SyncQuestion *question = member->question;
	uint32_t number = member->slice++;
	bool is_last = member->slice == question->slice_count;
	bool is_end = is_last && question->reached.size == 0;

	write_slice(member, number, is_end, out);
	if (is_end)
		finish(member);
	else if (is_last)
	{
		question->references++; /* its bytes name the next one */
		sync_leave(member);
		follow(member, buffer_view(&question->reached));
		release(question);
	}
}

static void
write_slice(Member *member, uint32_t number, bool is_end, Buffer *out)
{
	const SyncQuestion *question = member->question;
	size_t start = number > 0 ? question->ends[number - 1] : 0;
	Bytes slice = {question->frames.data + start, question->ends[number] - start};

	/* who did not ask gets the last one, too, as an update */
	if (is_end && !member->gets_step2)
		ywebsocket_write_update(out, (Bytes){slice.data + slice.size - question->last_update_bytes,
											 question->last_update_bytes});
	else if (member->needs_step1) /* both in one write */
	{
		buffer_write(out, buffer_view(&question->step1));
		buffer_write(out, slice);
		if (!is_end)
			write_now(member, out);
	}
	else
		member_write(member, slice);
	member->needs_step1 = false;
	member->was_given_some = true;
	round_bytes += (int64_t) slice.size;
}

/* Before what comes after it. */
static void
write_now(Member *member, Buffer *out)
{
	if (out->failed)
		member_close(member, CLOSE_OVERLOAD, "out of memory");
	else
		member_write(member, buffer_view(out));
	buffer_reset(out);
}

void
sync_leave(Member *member)
{
	SyncQuestion *question = member->question;

	member->question = NULL;
	member->slice = 0;
	if (question != NULL)
		release(question);
}

uint64_t
sync_position(const Member *member)
{
	const SyncQuestion *question = member->question;

	return question != NULL && question->state != QUESTION_WAITING ? question->position
																   : UINT64_MAX;
}

void
sync_forget(Room *room)
{
	for (SyncQuestion *question = room->questions; question != NULL; question = question->next)
		question->is_forgotten = true;
}

/* Asks what is due, in the order it came. */
void
sync_end_round(void)
{
	round_bytes = 0;
	for (int64_t i = 0; i < config.readers; i++)
		while (readers[i].first != NULL && readers[i].asked < config.max_loads)
		{
			SyncQuestion *question = readers[i].first;

			readers[i].first = question->next_waiting;
			if ((question->asker = find_asker(question)) == NULL)
			{
				/* those who wanted to know are gone, or on their way */
				question->is_forgotten = true;
				release(question);
			}
			else
			{
				readers[i].asked++;
				ask(question);
			}
		}
}

void
sync_stop(void)
{
	for (int i = 0; i < MAX_DATABASE_READERS; i++)
		while (readers[i].first != NULL)
		{
			SyncQuestion *question = readers[i].first;

			readers[i].first = question->next_waiting;
			release(question);
		}
}

/* Makes the member wait for the answer to that question. */
static void
follow(Member *member, Bytes state_vector)
{
	SyncQuestion *question = find_question(member->room, state_vector);

	if (question == NULL)
		question = new_question(member->room, state_vector);
	else
		metrics_add(METRIC_SYNCS_SHARED, 1);
	if (question == NULL)
	{
		member_close(member, CLOSE_OVERLOAD, "out of memory");
		return;
	}
	question->references++;
	member->question = question;
	member->slice = 0;
	if (question->state == QUESTION_ANSWERED)
		member_yield(member);
}

/* The same question, if what was committed since it was asked is still in the log. */
static SyncQuestion *
find_question(const Room *room, Bytes state_vector)
{
	SyncQuestion *question = room->questions;

	while (question != NULL &&
		   (question->is_forgotten || question->state_vector.size != state_vector.size ||
			memcmp(question->state_vector.data, state_vector.data, state_vector.size) != 0 ||
			(question->state != QUESTION_WAITING && question->position < room->log.begin)))
		question = question->next;
	return question;
}

/* It waits for its turn, which holds a reference.  NULL when out of memory. */
static SyncQuestion *
new_question(Room *room, Bytes state_vector)
{
	SyncQuestion *question = calloc(1, sizeof *question);

	if (question == NULL)
		return NULL;
	buffer_write(&question->state_vector, state_vector);
	if (question->state_vector.failed)
	{
		free(question);
		return NULL;
	}
	vector_bytes += (int64_t) question->state_vector.capacity;
	question->references = 1;
	question->room = room_retain(room);
	question->next = room->questions;
	room->questions = question;
	wait_for_turn(question);
	return question;
}

static void
wait_for_turn(SyncQuestion *question)
{
	Reader *reader = &readers[question->room->hash % (uint32_t) config.readers];

	question->state = QUESTION_WAITING;
	question->next_waiting = NULL;
	if (reader->first != NULL)
		reader->last->next_waiting = question;
	else
		reader->first = question;
	reader->last = question;
}

/* All followers may read, so the question of any of them is everybody's.  NULL if none is left. */
static Member *
find_asker(const SyncQuestion *question)
{
	const Room *room = question->room;

	for (uint32_t i = 0; i < room->member_count; i++)
		if (room->members[i]->question == question && member_is_open(room->members[i]))
			return room->members[i];
	return NULL;
}

static void
release(SyncQuestion *question)
{
	if (--question->references > 0)
		return;
	SyncQuestion **place = &question->room->questions;

	while (*place != question)
		place = &(*place)->next;
	*place = question->next;
	count_held(-(int64_t) question->frames.capacity);
	vector_bytes -= (int64_t) question->state_vector.capacity;
	room_release(question->room);
	buffer_free(&question->state_vector);
	buffer_free(&question->step1);
	buffer_free(&question->frames);
	buffer_free(&question->reached);
	free(question->ends);
	free(question);
}

static void
ask(SyncQuestion *question)
{
	Room *room = question->room;
	/* much is held for slow lines: a slice at a time then, which is the least one can hold */
	int64_t window = held_bytes < config.max_load_memory ? config.load_window : config.slice_bytes;

	member_retain(question->asker);
	question->identity = identity_retain(question->asker->identity);
	database_write_int4(question->slice_bytes, (int32_t) config.slice_bytes);
	database_write_int4(question->max_bytes, (int32_t) window);
	database_write_number(question->known_epoch, room->epoch);
	question->query = (DatabaseQuery){STATEMENT_SYNC,
									  answered,
									  {{(const uint8_t *) room->name, room->name_size},
									   buffer_view(&question->state_vector),
									   {question->slice_bytes, sizeof question->slice_bytes},
									   {question->max_bytes, sizeof question->max_bytes},
									   {question->known_epoch, sizeof question->known_epoch}},
									  NULL,
									  identity_claims(question->identity)};
	question->state = QUESTION_ASKED;
	question->position = room->log.end;
	database_submit(room->hash, &question->query);
	metrics_add(METRIC_SYNC_QUERIES, 1);
}

static void
answered(DatabaseQuery *query, const DatabaseAnswer *answer)
{
	SyncQuestion *question = (SyncQuestion *) query;
	Room *room = question->room;

	bool is_denied = access_is_denied(question->asker, answer->sqlstate);

	readers[room->hash % (uint32_t) config.readers].asked--;
	member_release(question->asker);
	identity_release(question->identity);
	if (is_denied) /* to him alone: in another's name then, if there is another */
	{
		wait_for_turn(question);
		return;
	}
	question->state = QUESTION_ANSWERED;
	if (answer->row_count < 1 || !take_slices(question, answer))
	{
		question->is_forgotten = true;
		if (!room_close_if_gone(room, answer->sqlstate, answer->message))
			refuse_followers(question, answer);
	}
	else
	{
		catch_up_learn(room, question->epoch, question->seq);
		if (question->epoch != room->epoch && question->epoch != 0)
			ask_anew(question);
		for (uint32_t i = 0; i < room->member_count; i++)
			if (room->members[i]->question == question)
				member_want(room->members[i], WANT_LOG);
	}
	release(question);
}

/*
 * The answer is of another document than the room's, which was made before it or after: nobody is given of
 * the wrong one.  Which that is, the room is finding out.
 */
static void
ask_anew(SyncQuestion *question)
{
	Room *room = question->room;

	question->is_forgotten = true;
	for (uint32_t i = 0; i < room->member_count; i++)
	{
		Member *member = room->members[i];

		if (member->question != question)
			continue;
		sync_leave(member);
		follow(member, buffer_view(&question->state_vector));
	}
}

/* Rows as frames, ready for the wire.  False when out of memory. */
static bool
take_slices(SyncQuestion *question, const DatabaseAnswer *answer)
{
	int last = answer->row_count - 1;

	question->epoch = database_number(answer, 0, COLUMN_EPOCH);
	question->seq = database_number(answer, 0, COLUMN_SEQ);
	if (!database_is_null(answer, last, COLUMN_REACHED))
		buffer_write(&question->reached, database_bytes(answer, last, COLUMN_REACHED));
	ywebsocket_write_step1(&question->step1, database_bytes(answer, 0, COLUMN_STATE_VECTOR));
	question->ends = calloc((size_t) answer->row_count, sizeof *question->ends);
	for (int row = 0; row <= last && question->ends != NULL; row++)
	{
		Bytes update = database_bytes(answer, row, COLUMN_UPDATE);

		if (row == last && question->reached.size == 0)
			ywebsocket_write_step2(&question->frames, update);
		else
			ywebsocket_write_update(&question->frames, update);
		question->ends[question->slice_count++] = question->frames.size;
		question->last_update_bytes = update.size;
	}
	count_held((int64_t) question->frames.capacity);
	return question->ends != NULL && !question->reached.failed && !question->step1.failed &&
		   !question->frames.failed;
}

static void
refuse_followers(SyncQuestion *question, const DatabaseAnswer *answer)
{
	Room *room = question->room;
	/* class 22: what the client asked is wrong, and will be wrong the next time */
	bool is_wrong = answer->sqlstate != NULL && strncmp(answer->sqlstate, "22", 2) == 0;
	bool is_stopping = answer->sqlstate != NULL && strncmp(answer->sqlstate, "57", 2) == 0;
	bool no_memory = answer->result != NULL; /* there is an answer, which could not be kept */
	uint16_t code = is_wrong      ? CLOSE_REFUSED
					: is_stopping ? CLOSE_RESTART
					: no_memory   ? CLOSE_OVERLOAD
								  : CLOSE_INTERNAL;

	if (!is_stopping)
		log_event(LEVEL_WARNING, "sync_failed", "{s:s, s:s?, s:s?}", "document", room->name,
				  "sqlstate", answer->sqlstate, "reason",
				  no_memory ? "out of memory" : answer->message);
	for (uint32_t i = 0; i < room->member_count; i++)
		if (room->members[i]->question == question)
			member_close(room->members[i], code,
						 is_wrong      ? "malformed state vector"
						 : is_stopping ? "relay is restarting"
						 : no_memory   ? "out of memory"
									   : "the document cannot be read");
}

/* All is sent: what was committed since the answer is in the log, or fetched. */
static void
finish(Member *member)
{
	SyncQuestion *question = member->question;

	member->position = question->position;
	member->seq = question->epoch == member->room->epoch ? question->seq : 0;
	member->state = question->position >= member->room->log.begin ? MEMBER_LIVE : MEMBER_BEHIND;
	sync_leave(member);
	member_want(member, WANT_LOG | WANT_PRESENCE);
}

static void
count_held(int64_t bytes)
{
	held_bytes += bytes;
	metrics_set(METRIC_LOAD_BYTES, held_bytes);
}
