/*
 * batch.c: what waits, what is in flight, what was refused.
 *
 * Here: filling batches, reading their rows, too much pending.  Not here: connections and sending
 * again (database.c), who hears of an update (room.c).
 */
#include "batch.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breaker.h"
#include "catch_up.h"
#include "config.h"
#include "database.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "notify_queue.h"
#include "room.h"

#define MAX_ITEMS 1000
#define PROMPT_SECONDS 0.01
#define ENOUGH_ITEMS 100 /* that wait for no more */
#define ITEM_BYTES (sizeof(BatchItem) + 24) /* and what stands around it in the parameters */
#define LOOK_SECONDS 0.25
#define MAX_BYTES (4 << 20) /* a batch takes one update more when it is below */
#define LIMIT_EXCEEDED "54000" /* program_limit_exceeded: a full notification queue, too */

typedef struct BatchItem
{
	Room *room; /* held */
	Member *member; /* held; NULL: a ticket has it */
	bool is_told; /* the member, what becomes of it */
	BatchTicket *ticket; /* NULL once it is told */
	size_t start, size; /* of its update, in the batch's */
	int64_t known_epoch; /* at which the member knew the document when it sent this */
	double received_at;
	size_t cost; /* in memory */
} BatchItem;

typedef struct Batch
{
	DatabaseQuery query; /* first: batch_done() gets it back */
	struct Batch *next;
	uint32_t writer;
	double opened_at; /* when its first update came */
	/* the parameters, growing in PostgreSQL's own format */
	Buffer documents, updates, known_epochs;
	Buffer actors; /* in a checked relay: their claims */
	Buffer sources; /* none, unless config.log_addresses */
	BatchItem *items;
	uint32_t count, capacity;
	double sent_at;
} Batch;

typedef struct Writer
{
	Batch *in_flight;
	Batch *first, *last; /* waiting */
	double sent_at; /* its last batch */
} Writer;

/* Columns of ydoc.apply_batch() */
enum
{
	COLUMN_ORDINAL,
	COLUMN_EPOCH,
	COLUMN_SEQ,
	COLUMN_LOGGED_FROM,
	COLUMN_LOGGED,
	COLUMN_SQLSTATE,
	COLUMN_MESSAGE
};

static Writer writers[MAX_DATABASE_WRITERS];
static int64_t pending_bytes;
static bool somebody_is_paused;
static ev_timer look_timer, interval_timer;

static int add(BatchItem *item, Bytes update);
static Batch *open_batch(uint32_t writer);
static Batch *batch_new(uint32_t writer);
static bool batch_append(Batch *batch, const BatchItem *item, Bytes update);
static void write_source(const BatchItem *item, Buffer *sources);
static void batch_send(Batch *batch);
static void batch_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static bool may_work_silently(const Batch *batch, const DatabaseAnswer *answer);
static void read_rows(Batch *batch, const DatabaseAnswer *answer);
static void split(Batch *batch);
static Member *author_of(Bytes logged, const Batch *batch, const BatchItem *item);
static void put_first(Writer *writer, Batch *first, Batch *last);
static void refuse(BatchItem *item, const char *sqlstate, const char *message);
static void give_up(BatchItem *item, uint16_t code, const char *reason);
static void tell(BatchItem *item, const char *sqlstate, const char *message);
static void batch_free(Batch *batch);
static size_t item_cost(const Room *room, Bytes update);
static void count_pending(int64_t bytes);
static uint32_t choose_writer(uint32_t hash);
static bool is_prompt(uint32_t writer);
static bool gathers_more(const Writer *writer);
static void interval_over(struct ev_loop *, ev_timer *, int);
static void look(struct ev_loop *, ev_timer *, int);

void
batch_start(void)
{
	ev_timer_init(&look_timer, look, LOOK_SECONDS, LOOK_SECONDS);
	ev_timer_start(loop_ev(), &look_timer);
	ev_init(&interval_timer, interval_over);
}

int
batch_add(Member *member, Bytes update, bool is_told)
{
	Room *room = member->room;
	int code = add(&(BatchItem){.room = room, .member = member, .is_told = is_told}, update);

	/* Too fast for the database: stop reading, the peer's TCP does the rest.  When the database is
	 * away nothing would drain, so then the bound alone counts. */
	if (code == 0 && pending_bytes > config.max_pending_bytes / 2 &&
		database_writer_is_up(room_writer(room)))
	{
		connection_pause(member->connection, PAUSE_DATABASE);
		somebody_is_paused = true;
	}
	return code;
}

int
batch_add_for(Room *room, BatchTicket *ticket, Bytes update)
{
	return add(&(BatchItem){.room = room, .ticket = ticket}, update);
}

static int
add(BatchItem *item, Bytes update)
{
	Room *room = item->room;
	uint32_t writer = room_writer(room);

	if (room_is_committed(room))
		writer = choose_writer(room_hash(room));
	if (!breaker_takes(writer) ||
		(pending_bytes > 0 &&
		 pending_bytes + (int64_t) item_cost(room, update) > config.max_pending_bytes))
	{
		metrics_add(METRIC_UPDATES_TURNED_AWAY, 1);
		return CLOSE_OVERLOAD;
	}
	Batch *batch = open_batch(writer);

	item->size = update.size;
	item->known_epoch = item->ticket != NULL && item->ticket->known_epoch != 0
							? item->ticket->known_epoch
							: room_epoch(room);
	item->received_at = metrics_clock();
	item->cost = item_cost(room, update);
	if (batch == NULL || !batch_append(batch, item, update))
		return CLOSE_OVERLOAD;
	room_set_writer(room, writer);
	metrics_add(METRIC_UPDATES_RECEIVED, 1);
	return 0;
}

/*
 * For a room of which nothing is under way.  The first writer that answers promptly: what many people type
 * shares few large transactions, and the others have what comes while one of these takes long.
 */
static uint32_t
choose_writer(uint32_t hash)
{
	for (uint32_t i = 0; i < (uint32_t) config.writers; i++)
		if (is_prompt(i))
			return i;
	return hash % (uint32_t) config.writers;
}

static bool
is_prompt(uint32_t number)
{
	const Writer *writer = &writers[number];
	bool is_late = writer->in_flight != NULL && loop_now() - writer->sent_at > PROMPT_SECONDS;
	bool is_behind = writer->first != NULL && writer->first->next != NULL;

	return !is_late && !is_behind && breaker_takes(number) && database_writer_is_up(number);
}

void
batch_end_round(void)
{
	for (uint32_t i = 0; i < (uint32_t) config.writers; i++)
	{
		Batch *batch = writers[i].first;

		if (batch == NULL || writers[i].in_flight != NULL || gathers_more(&writers[i]))
			continue;
		writers[i].first = batch->next;
		if (writers[i].first == NULL)
			writers[i].last = NULL;
		writers[i].in_flight = batch;
		writers[i].sent_at = loop_now();
		batch_send(batch);
	}
}

/*
 * While updates keep coming, a transaction for a few of them costs more than they do: a writer's batches are
 * an interval apart.  Whoever types alone finds the last one long ago, and does not wait.
 */
static bool
gathers_more(const Writer *writer)
{
	double rest = writer->sent_at + (double) config.batch_interval / 1000.0 - loop_now();

	if (rest <= 0.0 || rest > 1.0 || writer->first->next != NULL ||
		writer->first->count >= ENOUGH_ITEMS || loop_is_draining())
		return false;
	if (!ev_is_active(&interval_timer))
	{
		ev_timer_set(&interval_timer, rest, 0.0);
		ev_timer_start(loop_ev(), &interval_timer);
	}
	return true;
}

/* Another round, at whose end it is looked again. */
static void
interval_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void) loop, (void) timer, (void) events;
}

bool
batch_is_idle(void)
{
	for (uint32_t i = 0; i < (uint32_t) config.writers; i++)
		if (writers[i].in_flight != NULL || writers[i].first != NULL)
			return false;
	return true;
}

int64_t
batch_pending_bytes(void)
{
	return pending_bytes;
}

void
batch_stop(void)
{
	for (uint32_t i = 0; i < MAX_DATABASE_WRITERS; i++)
		for (Batch *batch; (batch = writers[i].first) != NULL;)
		{
			writers[i].first = batch->next;
			batch_free(batch);
		}
}

/* The batch that still takes updates. */
static Batch *
open_batch(uint32_t writer)
{
	Batch *batch = writers[writer].last;

	if (batch != NULL && batch->count < MAX_ITEMS && batch->updates.size < MAX_BYTES)
		return batch;
	batch = batch_new(writer);
	if (batch == NULL)
		return NULL;
	if (writers[writer].last != NULL)
		writers[writer].last->next = batch;
	else
		writers[writer].first = batch;
	writers[writer].last = batch;
	return batch;
}

static Batch *
batch_new(uint32_t writer)
{
	Batch *batch = calloc(1, sizeof *batch);

	if (batch == NULL)
		return NULL;
	batch->writer = writer;
	batch->opened_at = loop_now();
	if (buffer_reserve(&batch->documents, DATABASE_ARRAY_HEADER) == NULL ||
		buffer_reserve(&batch->updates, DATABASE_ARRAY_HEADER) == NULL ||
		buffer_reserve(&batch->actors, DATABASE_ARRAY_HEADER) == NULL ||
		buffer_reserve(&batch->sources, DATABASE_ARRAY_HEADER) == NULL ||
		buffer_reserve(&batch->known_epochs, DATABASE_ARRAY_HEADER) == NULL)
	{
		batch_free(batch);
		return NULL;
	}
	return batch;
}

/* All of it or nothing; false when out of memory. */
static bool
batch_append(Batch *batch, const BatchItem *item, Bytes update)
{
	const char *name = room_name(item->room);
	size_t name_size = strlen(name);
	size_t documents = batch->documents.size, updates = batch->updates.size;
	size_t actors = batch->actors.size, known_epochs = batch->known_epochs.size;
	size_t sources = batch->sources.size;
	uint8_t known_epoch[8];

	if (batch->count == batch->capacity)
	{
		uint32_t capacity = batch->capacity == 0 ? 16 : batch->capacity * 2;
		BatchItem *items = realloc(batch->items, capacity * sizeof *items);

		if (items == NULL)
			return false;
		batch->items = items;
		batch->capacity = capacity;
	}
	buffer_write_u32(&batch->documents, (uint32_t) name_size);
	buffer_write(&batch->documents, (Bytes){(const uint8_t *) name, name_size});
	buffer_write_u32(&batch->updates, (uint32_t) update.size);
	buffer_write(&batch->updates, update);
	if (identity_is_checked())
	{
		Bytes claims =
			identity_claims(item->member != NULL ? item->member->identity : item->ticket->identity);

		buffer_write_u32(&batch->actors, (uint32_t) claims.size);
		buffer_write(&batch->actors, claims);
	}
	else
		buffer_write_u32(&batch->actors, UINT32_MAX); /* NULL: nobody has logged in */
	database_write_number(known_epoch, item->known_epoch);
	buffer_write_u32(&batch->known_epochs, sizeof known_epoch);
	buffer_write(&batch->known_epochs, (Bytes){known_epoch, sizeof known_epoch});
	if (config.log_addresses)
		write_source(item, &batch->sources);
	if (batch->documents.failed || batch->updates.failed || batch->actors.failed ||
		batch->known_epochs.failed || batch->sources.failed)
	{
		batch->documents.size = documents;
		batch->updates.size = updates;
		batch->actors.size = actors;
		batch->known_epochs.size = known_epochs;
		batch->sources.size = sources;
		batch->documents.failed = batch->updates.failed = batch->actors.failed =
			batch->known_epochs.failed = batch->sources.failed = false;
		return false;
	}
	batch->items[batch->count] = *item;
	batch->items[batch->count++].start = updates + 4;
	count_pending((int64_t) item->cost);
	room_retain(item->room);
	if (item->member != NULL)
		member_retain(item->member);
	room_count_uncommitted(item->room, 1);
	return true;
}

/* NULL: it has none, as of a socket of this machine's file system. */
static void
write_source(const BatchItem *item, Buffer *sources)
{
	char text[ADDRESS_TEXT_SIZE];

	address_write(item->member != NULL ? item->member->connection->address : item->ticket->address,
				  text);
	buffer_write_u32(sources, text[0] != '\0' ? (uint32_t) strlen(text) : UINT32_MAX);
	buffer_write(sources, (Bytes){(const uint8_t *) text, strlen(text)});
}

static void
batch_send(Batch *batch)
{
	database_write_array_header(batch->documents.data, DATABASE_TEXT, false, batch->count);
	database_write_array_header(batch->updates.data, DATABASE_BYTEA, false, batch->count);
	database_write_array_header(batch->actors.data, DATABASE_TEXT, true, batch->count);
	database_write_array_header(batch->known_epochs.data, DATABASE_INT8, false, batch->count);
	database_write_array_header(batch->sources.data, DATABASE_TEXT, true,
								config.log_addresses ? batch->count : 0);
	batch->query = (DatabaseQuery){
		notify_queue_is_avoided() ? STATEMENT_APPLY_SILENTLY : STATEMENT_APPLY,
		batch_done,
		{buffer_view(&batch->documents), buffer_view(&batch->updates), buffer_view(&batch->actors),
		 buffer_view(&batch->known_epochs), buffer_view(&batch->sources)},
		NULL,
		{0}};
	database_submit(batch->writer, &batch->query);
	batch->sent_at = metrics_clock();
	for (uint32_t i = 0; i < batch->count; i++)
		metrics_observe(HISTOGRAM_QUEUE, batch->sent_at - batch->items[i].received_at);
}

static void
batch_done(DatabaseQuery *query, const DatabaseAnswer *answer)
{
	Batch *batch = (Batch *) query;

	bool is_stopping = answer->result == NULL && strncmp(answer->sqlstate, "57", 2) == 0;

	writers[batch->writer].in_flight = NULL;
	if (!is_stopping)
		breaker_answered(batch->writer, loop_now() - batch->opened_at);
	if (answer->result != NULL && (uint32_t) answer->row_count == batch->count)
	{
		metrics_add(METRIC_BATCHES, 1);
		metrics_observe(HISTOGRAM_COMMIT, metrics_clock() - batch->sent_at);
		read_rows(batch, answer);
	}
	else if (answer->result != NULL)
		for (uint32_t i = 0; i < batch->count; i++)
			refuse(&batch->items[i], "XX000", "the database lost count of the batch");
	else if (is_stopping)
		for (uint32_t i = 0; i < batch->count; i++) /* we are stopping; the client has them */
			give_up(&batch->items[i], CLOSE_GOING_AWAY, "relay is restarting");
	else if (may_work_silently(batch, answer))
	{
		put_first(&writers[batch->writer], batch, batch);
		return;
	}
	else if (batch->count > 1)
	{
		split(batch);
		return;
	}
	else
		for (uint32_t i = 0; i < batch->count; i++)
			refuse(&batch->items[i], answer->sqlstate, answer->message);
	batch_free(batch);
	if (somebody_is_paused && pending_bytes <= config.max_pending_bytes / 4)
	{
		somebody_is_paused = false;
		connection_resume_all(PAUSE_DATABASE);
	}
}

/* The notification queue may be full: what was not to raise a notification has failed on something else. */
static bool
may_work_silently(const Batch *batch, const DatabaseAnswer *answer)
{
	if (batch->query.statement != STATEMENT_APPLY || strcmp(answer->sqlstate, LIMIT_EXCEEDED) != 0)
		return false;
	notify_queue_suspect();
	return true;
}

/* Who has sent just what was logged.  What freed updates that had waited, or has theirs with it, is more. */
static Member *
author_of(Bytes logged, const Batch *batch, const BatchItem *item)
{
	bool is_same = logged.size == item->size &&
				   memcmp(logged.data, batch->updates.data + item->start, item->size) == 0;

	return is_same ? item->member : NULL;
}

static void
read_rows(Batch *batch, const DatabaseAnswer *answer)
{
	for (int row = 0; row < answer->row_count; row++)
	{
		int64_t ordinal = database_number(answer, row, COLUMN_ORDINAL);

		if (ordinal < 1 || ordinal > (int64_t) batch->count)
			continue;
		BatchItem *item = &batch->items[ordinal - 1];

		if (database_is_null(answer, row, COLUMN_SEQ))
		{
			/* bytes of the answer's text are NUL-terminated by libpq */
			refuse(item, (const char *) database_bytes(answer, row, COLUMN_SQLSTATE).data,
				   (const char *) database_bytes(answer, row, COLUMN_MESSAGE).data);
			continue;
		}
		Bytes logged = database_is_null(answer, row, COLUMN_LOGGED)
						   ? (Bytes){0}
						   : database_bytes(answer, row, COLUMN_LOGGED);

		room_committed(item->room, database_number(answer, row, COLUMN_EPOCH),
					   database_number(answer, row, COLUMN_SEQ),
					   database_number(answer, row, COLUMN_LOGGED_FROM), logged,
					   author_of(logged, batch, item));
		if (item->is_told)
			member_tell_status(item->member, true);
		tell(item, NULL, NULL);
		metrics_observe(HISTOGRAM_DELIVERY, metrics_clock() - item->received_at);
	}
}

/*
 * The statement itself failed, for a reason in its parameters: one item spoils the batch although
 * the function should have reported it alone.  So each goes alone now, in order and before all
 * that came later; the guilty one is refused, nothing else is lost.
 */
static void
split(Batch *batch)
{
	Batch *first = NULL, **end = &first, *last = NULL;

	for (uint32_t i = 0; i < batch->count; i++)
	{
		BatchItem *item = &batch->items[i];
		Batch *single = batch_new(batch->writer);

		if (single == NULL ||
			!batch_append(single, item, (Bytes){batch->updates.data + item->start, item->size}))
		{
			if (single != NULL)
				batch_free(single);
			give_up(item, CLOSE_OVERLOAD, "out of memory");
		}
		else
		{
			item->ticket = NULL; /* the other one has it */
			single->opened_at = batch->opened_at;
			*end = last = single;
			end = &single->next;
		}
	}
	if (last != NULL)
		put_first(&writers[batch->writer], first, last);
	batch_free(batch);
}

/* From first to last, before all that came later. */
static void
put_first(Writer *writer, Batch *first, Batch *last)
{
	last->next = writer->first;
	writer->first = first;
	if (writer->last == NULL)
		writer->last = last;
}

/*
 * An update of a document that is gone closes its room.  Any other that will never be accepted closes its
 * connection, for good: y-websocket >= 3.1 does not come back after 4400..4499, and anything else would
 * bring the client back with the same update, again and again.
 */
static void
refuse(BatchItem *item, const char *sqlstate, const char *message)
{
	char reason[CLOSE_REASON_MAX + 1];
	size_t length = (size_t) snprintf(reason, sizeof reason, "update refused: %s", message);

	/* a reason must be valid UTF-8: no character may be cut in two */
	for (size_t i = 0; i < length && i < sizeof reason - 1; i++)
		if ((unsigned char) reason[i] >= 0x80)
			reason[i] = '?';
	metrics_add(METRIC_UPDATES_REFUSED, 1);
	tell(item, sqlstate, message);
	if (item->is_told)
		member_tell_status(item->member, false);
	if (room_close_if_gone(item->room, sqlstate, message) || item->member == NULL)
		return;
	if (strcmp(sqlstate, "28000") == 0 && access_is_denied(item->member, sqlstate))
		return;
	if (identity_is_checked() && strcmp(sqlstate, "42501") == 0 && access_doubt(item->member))
		return; /* it reads on, and has been told */
	log_event(LEVEL_WARNING, "update_refused", "{s:s, s:I, s:s, s:s}", "document",
			  room_name(item->room), "bytes", (json_int_t) item->size, "sqlstate", sqlstate,
			  "reason", message);
	/* 54000: it, or the document with it, is larger than the database allows */
	member_close(item->member, strcmp(sqlstate, "54000") == 0 ? CLOSE_TOO_BIG : CLOSE_REFUSED,
				 reason);
}

/* It is not stored, and nobody knows whether it might be. */
static void
give_up(BatchItem *item, uint16_t code, const char *reason)
{
	if (item->member != NULL)
		member_close(item->member, code, reason);
	tell(item, "57P01", reason);
}

/* Once. */
static void
tell(BatchItem *item, const char *sqlstate, const char *message)
{
	BatchTicket *ticket = item->ticket;

	item->ticket = NULL;
	if (ticket != NULL)
		ticket->done(ticket, sqlstate, message);
}

static void
batch_free(Batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++)
	{
		BatchItem *item = &batch->items[i];

		tell(item, "57P01", "relay is stopping");
		count_pending(-(int64_t) item->cost);
		room_count_uncommitted(item->room, -1);
		if (item->member != NULL)
			member_release(item->member);
		room_release(item->room);
	}
	free(batch->items);
	buffer_free(&batch->documents);
	buffer_free(&batch->updates);
	buffer_free(&batch->actors);
	buffer_free(&batch->known_epochs);
	buffer_free(&batch->sources);
	free(batch);
}

/* What an update takes in memory while it waits. */
static size_t
item_cost(const Room *room, Bytes update)
{
	return update.size + strlen(room_name(room)) + ITEM_BYTES +
		   (config.log_addresses ? ADDRESS_TEXT_SIZE : 0);
}

static void
look(struct ev_loop *loop, ev_timer *timer, int events)
{
	double now = ev_now(loop), oldest = 0.0;

	(void) timer, (void) events;
	for (uint32_t i = 0; i < (uint32_t) config.writers; i++)
	{
		const Batch *batch = writers[i].in_flight != NULL ? writers[i].in_flight : writers[i].first;
		double age = batch != NULL ? now - batch->opened_at : 0.0;

		breaker_look(i, age);
		oldest = age > oldest ? age : oldest;
	}
	metrics_set(METRIC_OLDEST_PENDING_MS, (int64_t) (oldest * 1000.0));
}

static void
count_pending(int64_t bytes)
{
	pending_bytes += bytes;
	metrics_set(METRIC_PENDING_BYTES, pending_bytes);
}
