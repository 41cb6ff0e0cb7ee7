/*
 * database.c: libpq's pipelines, reconnection.
 *
 * Here: moving parameters and results.  Not here: what their bytes say (binary.c), the SQL (statement.c), what a
 * document or a room is (batch.c, room.c), what a notification means (bus.c).
 *
 *     DOWN --timer--> CONNECTING --PQconnectPoll--> PROBING --whose backend?--> SETTING_UP --prepared, listening--> UP
 *      ^                  |                            |                            |                               |
 *      +------------------+-------- any failure -------+----------------------------+-------------------------------+
 *
 * A pooler (pgbouncer) tells clients a process id of its own making, not that of the backend that answers: so a connection
 * finds out whether it may count on having one backend.  If not, its statements are not prepared, and one goes out
 * at a time; and nothing can be listened to.
 */
#include "database.h"

#include <jansson.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "config.h"
#include "identity.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "statement.h"

#define MAX_IN_FLIGHT 64
#define INIT_ATTEMPTS 5 /* extension and store, each made by another at the same time */
#define CONNECT_SECONDS 10.0
#define BACKOFF_LEAST 0.05
#define BACKOFF_MOST 5.0

typedef enum LinkState
{
	LINK_DOWN, /* waits for its timer */
	LINK_CONNECTING, /* PQconnectPoll */
	LINK_PROBING, /* is there a pooler between? */
	LINK_SETTING_UP, /* statements are being prepared */
	LINK_UP
} LinkState;

typedef struct QueryList
{
	DatabaseQuery *first, **end;
} QueryList;

typedef struct Link /* one database connection */
{
	ConnectionRole role;
	int number;
	LinkState state;
	PGconn *pg;
	ev_io io;
	ev_timer timer; /* reconnection while DOWN, else the limit for coming up */
	double backoff;
	bool is_failing; /* its last statement failed for now: connecting again is no success yet */
	bool is_pooled; /* each statement may meet another backend */
	bool was_up;
	DatabaseQuery warm; /* the first of its session */
	bool is_warming;
	int syncs_expected; /* a pipeline sync ends each query and the set-up */
	PGresult *held; /* of the query whose sync is awaited: it is not committed yet */
	int in_flight_count;
	QueryList in_flight, waiting;
} Link;

static Link *links;
static int link_count;
static const DatabaseEvents *events;
static bool has_listened; /* once in this process's life */

static PGconn *connect_start(ConnectionRole role, bool wait);
static void log_notice(void *context, const char *message);
static void link_connect(Link *link);
static void link_poll(Link *link);
static void link_watch(Link *link, int ev_events);
static void link_probe(Link *link);
static bool link_take_probe(Link *link, PGresult *result);
static void link_set_up(Link *link);
static void link_up(Link *link);
static void link_down(Link *link, const char *reason);
static void link_io(struct ev_loop *, ev_io *, int);
static void link_timeout(struct ev_loop *, ev_timer *, int);
static void link_read(Link *link);
static bool link_take_result(Link *link, PGresult *result);
static void link_hold(Link *link, PGresult *result);
static void hint_at_store(const Link *link, const char *sqlstate);
static bool link_answer(Link *link);
static void link_pump(Link *link);
static void link_flush(Link *link);
static bool prepare(Link *link, const StatementInfo *statement);
static void link_warm(Link *link);
static void warmed(DatabaseQuery *query, const DatabaseAnswer *answer);
static bool send_query(Link *link, const DatabaseQuery *query);
static bool outcome_is_unknown(const Link *link, const PGresult *result);
static bool may_work_later(const char *sqlstate);
static void list_append(QueryList *list, DatabaseQuery *query);
static DatabaseQuery *list_pop(QueryList *list);
static Link *link_of(ConnectionRole role, uint32_t hash);
static bool init(PGconn *pg, bool *is_overtaken);

bool
database_init(void)
{
	PGconn *pg = connect_start(ROLE_LISTENER, true);
	bool ok = pg != NULL && PQstatus(pg) == CONNECTION_OK;
	bool is_overtaken = ok;

	/* several relays may start at once: whoever comes second fails, when the other has done it, and looks again.  No
	 * advisory lock, which anybody could hold. */
	for (int i = 0; i < INIT_ATTEMPTS && is_overtaken; i++)
		ok = init(pg, &is_overtaken);
	if (!ok)
		log_event(LEVEL_ERROR, "init_failed", "{s:s}", "reason",
				  pg != NULL ? PQerrorMessage(pg) : "out of memory");
	PQfinish(pg);
	return ok;
}

/* *is_overtaken: it failed, but somebody else has made some of it at the same time. */
static bool
init(PGconn *pg, bool *is_overtaken)
{
	static const char *const steps[] = {
		"SET client_min_messages TO warning",
		"CREATE EXTENSION IF NOT EXISTS pg_ydoc",
		"SELECT ydoc.create_store()"
		" WHERE pg_catalog.to_regclass('ydoc_data.document') IS NULL",
	};
	/* unique_violation in a catalog; duplicate schema, table, object */
	static const char overtaken[] = "23505 42P06 42P07 42710";
	bool ok = true;

	*is_overtaken = false;
	for (size_t i = 0; ok && i < sizeof steps / sizeof steps[0]; i++)
	{
		PGresult *result = PQexec(pg, steps[i]);
		ExecStatusType status = PQresultStatus(result);
		const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

		ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
		*is_overtaken = !ok && sqlstate != NULL && strstr(overtaken, sqlstate) != NULL;
		PQclear(result);
	}
	return ok;
}

bool
database_start(const DatabaseEvents *subscriber)
{
	events = subscriber;
	link_count = 1 + (int) (config.writers + config.readers);
	links = calloc((size_t) link_count, sizeof *links);
	if (links == NULL)
		return false;
	for (int i = 0; i < link_count; i++)
	{
		Link *link = &links[i];

		link->role = i == 0 ? ROLE_LISTENER : i <= config.writers ? ROLE_WRITER : ROLE_READER;
		link->number = i;
		link->waiting.end = &link->waiting.first;
		link->in_flight.end = &link->in_flight.first;
		link->backoff = BACKOFF_LEAST;
		ev_init(&link->io, link_io);
		ev_init(&link->timer, link_timeout);
		link->io.data = link->timer.data = link;
		link_connect(link);
	}
	return true;
}

void
database_stop(void)
{
	static const DatabaseAnswer shut_down = {.sqlstate = "57P01", .message = "relay is stopping"};

	for (int i = 0; i < link_count; i++)
	{
		Link *link = &links[i];

		ev_io_stop(loop_ev(), &link->io);
		ev_timer_stop(loop_ev(), &link->timer);
		PQfinish(link->pg);
		link_hold(link, NULL);
		for (DatabaseQuery *query; (query = list_pop(&link->in_flight)) != NULL;)
			query->done(query, &shut_down);
		for (DatabaseQuery *query; (query = list_pop(&link->waiting)) != NULL;)
			query->done(query, &shut_down);
	}
	free(links);
	links = NULL;
	link_count = 0;
}

void
database_submit(uint32_t hash, DatabaseQuery *query)
{
	list_append(&link_of(statement_info(query->statement)->role, hash)->waiting, query);
}

bool
database_writer_is_up(uint32_t hash)
{
	return link_of(ROLE_WRITER, hash)->state == LINK_UP;
}

bool
database_is_ready(void)
{
	for (int i = 0; i < link_count; i++)
		if (links[i].state != LINK_UP)
			return false;
	return true;
}

void
database_end_round(void)
{
	for (int i = 0; i < link_count; i++)
		if (links[i].state == LINK_UP && links[i].waiting.first != NULL)
			link_pump(&links[i]);
}

/* The user's connection string comes last and wins over ours. */
static PGconn *
connect_start(ConnectionRole role, bool wait)
{
	const char *database = role == ROLE_LISTENER && config.listen_database != NULL
							   ? config.listen_database
							   : config.database;

	static const char *const keywords[] = {"fallback_application_name",
										   "client_encoding",
										   "target_session_attrs",
										   "tcp_user_timeout",
										   "keepalives_idle",
										   "connect_timeout",
										   "dbname",
										   NULL};
	const char *values[] = {"ydoc-relay", "UTF8", "read-write", "30000",
							"30",         "10",   database,     NULL};

	PGconn *pg =
		wait ? PQconnectdbParams(keywords, values, 1) : PQconnectStartParams(keywords, values, 1);

	PQsetNoticeProcessor(pg, log_notice, NULL);
	return pg;
}

static void
log_notice(void *context, const char *message)
{
	size_t length = strcspn(message, "\n");

	(void) context;
	log_event(LEVEL_INFO, "database_notice", "{s:s%}", "message", message, length);
}

static void
link_connect(Link *link)
{
	link->state = LINK_CONNECTING;
	link->pg = connect_start(link->role, false);
	ev_timer_stop(loop_ev(), &link->timer);
	ev_timer_set(&link->timer, CONNECT_SECONDS, 0.0);
	ev_timer_start(loop_ev(), &link->timer);
	if (link->pg == NULL || PQstatus(link->pg) == CONNECTION_BAD)
		link_down(link, link->pg != NULL ? PQerrorMessage(link->pg) : "out of memory");
	else
		link_watch(link, EV_WRITE);
}

static void
link_poll(Link *link)
{
	switch (PQconnectPoll(link->pg))
	{
		case PGRES_POLLING_READING: link_watch(link, EV_READ); break;
		case PGRES_POLLING_WRITING: link_watch(link, EV_WRITE); break;
		case PGRES_POLLING_OK: link_probe(link); break;
		default: link_down(link, PQerrorMessage(link->pg));
	}
}

/* libpq may have changed its socket (several hosts, a retry without TLS): never keep the old one. */
static void
link_watch(Link *link, int ev_events)
{
	int fd = PQsocket(link->pg);

	if (link->io.fd == fd && link->io.events == ev_events && ev_is_active(&link->io) &&
		link->state == LINK_UP)
		return;
	ev_io_stop(loop_ev(), &link->io);
	ev_io_set(&link->io, fd, ev_events);
	ev_io_start(loop_ev(), &link->io);
}

static void
link_probe(Link *link)
{
	link->state = LINK_PROBING;
	if (PQsetnonblocking(link->pg, 1) != 0 || PQenterPipelineMode(link->pg) != 1 ||
		!PQsendQueryParams(link->pg, "SELECT pg_catalog.pg_backend_pid()", 0, NULL, NULL, NULL,
						   NULL, 0) ||
		!PQpipelineSync(link->pg))
	{
		link_down(link, PQerrorMessage(link->pg));
		return;
	}
	link->syncs_expected = 1;
	link_flush(link);
}

/* Is the backend that answers the one that we were told of?  False if the link went down. */
static bool
link_take_probe(Link *link, PGresult *result)
{
	link->is_pooled = atoi(PQgetvalue(result, 0, 0)) != PQbackendPID(link->pg);
	if (!link->is_pooled || link->role != ROLE_LISTENER)
		return true;
	log_event(
		LEVEL_ERROR, "listener_is_pooled", "{s:s}", "hint",
		"notifications do not pass a pooler: let --listen-database lead to the server itself");
	if (link->backoff <= BACKOFF_LEAST && !has_listened)
		loop_end(EX_CONFIG);
	link_down(link, "a pooler is between us and the server");
	return false;
}

static void
link_set_up(Link *link)
{
	static const char may_read_sql[] = "SELECT FROM ydoc_data.document, ydoc_data.log,"
									   " ydoc_data.segment, ydoc_data.state LIMIT 0";
	bool ok = true;

	link->state = LINK_SETTING_UP;
	if (link->role == ROLE_LISTENER)
		ok = PQsendQueryParams(link->pg, "LISTEN ydoc", 0, NULL, NULL, NULL, NULL, 0) &&
			 PQsendQueryParams(link->pg, "LISTEN ydoc_presence", 0, NULL, NULL, NULL, NULL, 0) &&
			 PQsendQueryParams(link->pg, "LISTEN ydoc_access", 0, NULL, NULL, NULL, NULL, 0) &&
			 /* functions alone are no store: without tables we are not ready */
			 PQsendQueryParams(link->pg, "SELECT 'ydoc_data.document'::pg_catalog.regclass", 0,
							   NULL, NULL, NULL, NULL, 0);
	else if (link->role == ROLE_READER && !identity_is_checked())
		/* a relay without keys reads tables by itself: who may not is not ready either */
		ok = PQsendQueryParams(link->pg, may_read_sql, 0, NULL, NULL, NULL, NULL, 0);
	for (DatabaseStatement i = 0; i < STATEMENT_COUNT && !link->is_pooled; i++)
	{
		const StatementInfo *statement = statement_info(i);

		if (statement->role == link->role && !statement->may_fail)
			ok = ok && prepare(link, statement);
	}
	if (!ok || !PQpipelineSync(link->pg))
	{
		link_down(link, PQerrorMessage(link->pg));
		return;
	}
	link->syncs_expected = 1;
	link_flush(link);
}

static void
link_up(Link *link)
{
	link->state = LINK_UP;
	if (!link->is_failing)
		link->backoff = BACKOFF_LEAST;
	ev_timer_stop(loop_ev(), &link->timer);
	metrics_add(METRIC_DATABASE_UP, 1);
	metrics_add(METRIC_DATABASE_CONNECTS, 1);
	log_event(LEVEL_INFO, "database_up", "{s:i}", "connection", link->number);
	if (link->role == ROLE_LISTENER)
	{
		has_listened = true;
		events->listening();
	}
	else if (link->was_up)
		events->reconnected();
	link->was_up = true;
	if (link->role != ROLE_LISTENER && !link->is_pooled)
		link_warm(link);
}

/*
 * The first call in a session loads the extension and reads the catalog, which takes as long as to read a
 * document: it is one about no documents, before somebody waits.
 */
static void
link_warm(Link *link)
{
	static uint8_t none[DATABASE_ARRAY_HEADER];

	if (link->is_warming)
		return; /* it is sent again */
	link->is_warming = true;
	database_write_array_header(none, DATABASE_TEXT, false, 0);
	link->warm = (DatabaseQuery){.statement = STATEMENT_WARM,
								 .done = warmed,
								 .parameters = {{none, sizeof none}},
								 .claims = {none, sizeof none}};
	link->warm.next = link->waiting.first;
	link->waiting.first = &link->warm;
	if (link->warm.next == NULL)
		link->waiting.end = &link->warm.next;
}

static void
warmed(DatabaseQuery *query, const DatabaseAnswer *answer)
{
	(void) answer;
	for (int i = 0; i < link_count; i++)
		if (&links[i].warm == query)
			links[i].is_warming = false;
}

/* What was in flight goes back to the front: its outcome is unknown, so it is asked again. */
static void
link_down(Link *link, const char *reason)
{
	size_t length = strcspn(reason, "\n");
	/* the loss and the first failure are news, then one line every few seconds is enough */
	bool is_news = link->state != LINK_CONNECTING || link->backoff <= BACKOFF_LEAST ||
				   link->backoff >= BACKOFF_MOST;

	log_event(is_news ? LEVEL_WARNING : LEVEL_DEBUG, "database_down", "{s:i, s:s%, s:i}",
			  "connection", link->number, "reason", reason, length, "in_flight",
			  link->in_flight_count);
	if (link->state == LINK_UP)
	{
		metrics_add(METRIC_DATABASE_UP, -1);
		metrics_add(METRIC_DATABASE_DISCONNECTS, 1);
	}
	link->state = LINK_DOWN;
	ev_io_stop(loop_ev(), &link->io);
	PQfinish(link->pg);
	link->pg = NULL;
	link->syncs_expected = 0;
	link_hold(link, NULL);
	if (link->in_flight.first != NULL)
	{
		if (link->role == ROLE_WRITER)
			metrics_add(METRIC_BATCHES_SENT_AGAIN, link->in_flight_count);
		*link->in_flight.end = link->waiting.first;
		if (link->waiting.first == NULL)
			link->waiting.end = link->in_flight.end;
		link->waiting.first = link->in_flight.first;
		link->in_flight = (QueryList){NULL, &link->in_flight.first};
		link->in_flight_count = 0;
	}
	/* jitter of one half, so that many relays do not come back in step */
	double delay = link->backoff * (0.5 + loop_random() / 2);

	link->backoff = link->backoff * 2 < BACKOFF_MOST ? link->backoff * 2 : BACKOFF_MOST;
	ev_timer_stop(loop_ev(), &link->timer);
	ev_timer_set(&link->timer, delay, 0.0);
	ev_timer_start(loop_ev(), &link->timer);
}

static void
link_timeout(struct ev_loop *loop, ev_timer *timer, int ev_events)
{
	Link *link = timer->data;

	(void) loop, (void) ev_events;
	if (link->state == LINK_DOWN)
		link_connect(link);
	else
		link_down(link, "timeout while connecting");
}

static void
link_io(struct ev_loop *loop, ev_io *io, int ev_events)
{
	Link *link = io->data;

	(void) loop;
	if (link->state == LINK_CONNECTING)
	{
		link_poll(link);
		return;
	}
	if (ev_events & EV_READ)
		link_read(link);
	if (link->state >= LINK_PROBING)
		link_flush(link);
	if (link->state == LINK_UP && link->is_pooled)
		link_pump(link); /* there is room for the next one */
}

static void
link_read(Link *link)
{
	int nulls = 0;

	if (!PQconsumeInput(link->pg))
	{
		link_down(link, PQerrorMessage(link->pg));
		return;
	}
	while (link->syncs_expected > 0 && nulls < 2 && !PQisBusy(link->pg))
	{
		PGresult *result = PQgetResult(link->pg);

		nulls = result == NULL ? nulls + 1 : 0; /* one separates queries, two are the end */
		if (result != NULL && !link_take_result(link, result))
			return;
	}
	if (PQstatus(link->pg) == CONNECTION_BAD)
	{
		link_down(link, PQerrorMessage(link->pg));
		return;
	}
	for (PGnotify *notify; link->role == ROLE_LISTENER && (notify = PQnotifies(link->pg)) != NULL;)
	{
		metrics_add(METRIC_NOTIFICATIONS, 1);
		events->notified(notify->relname, notify->extra);
		PQfreemem(notify);
	}
}

/*
 * A statement that has succeeded is committed at its sync, and that may fail: deferred constraints are
 * checked then, edits in SQL are written, listeners are told.  The later result counts.
 */
static void
link_hold(Link *link, PGresult *result)
{
	PQclear(link->held);
	link->held = result;
}

/* Takes the result; false if the link went down. */
static bool
link_take_result(Link *link, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	bool is_up = true;

	if (status == PGRES_PIPELINE_SYNC)
	{
		link->syncs_expected--;
		if (link->state == LINK_PROBING)
			link_set_up(link);
		else if (link->state == LINK_SETTING_UP)
			link_up(link);
		else if (link->held != NULL)
			is_up = link_answer(link);
	}
	else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
			 (link->state != LINK_UP || outcome_is_unknown(link, result)))
	{
		const char *message = PQresultErrorMessage(result);
		const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

		link->is_failing |= severity != NULL && strcmp(severity, "ERROR") == 0;
		hint_at_store(link, PQresultErrorField(result, PG_DIAG_SQLSTATE));
		link_down(link, message[0] != '\0' ? message : "connection lost");
		is_up = false;
	}
	else if (link->state == LINK_PROBING)
		is_up = link_take_probe(link, result);
	else if (link->state == LINK_UP)
	{
		link_hold(link, result);
		return true;
	}
	PQclear(result);
	return is_up;
}

/* Once: what whoever starts a relay for the first time has forgotten. */
static void
hint_at_store(const Link *link, const char *sqlstate)
{
	static bool is_told = false;
	bool is_denied = sqlstate != NULL && strcmp(sqlstate, "42501") == 0;

	/* that somebody may read and not write turns out when somebody writes */
	if (is_told || sqlstate == NULL || (link->state != LINK_SETTING_UP && !is_denied))
		return;
	is_told = true;
	if (strcmp(sqlstate, "3F000") == 0 || strcmp(sqlstate, "42P01") == 0 ||
		strcmp(sqlstate, "42883") == 0 || strcmp(sqlstate, "42703") == 0)
		log_event(LEVEL_ERROR, "store_missing", "{s:s}", "hint",
				  "--init creates the extension pg_ydoc and its store in this database; after an "
				  "upgrade of the extension, SELECT ydoc.upgrade_store() makes what is new");
	else if (is_denied)
		log_event(
			LEVEL_ERROR, "rights_missing", "{s:s}", "hint",
			identity_is_checked()
				? "SELECT ydoc.grant_relay('ROLE') gives the role what a relay needs"
				: "SELECT ydoc.grant_relay('ROLE') gives the role what a relay with keys needs; "
				  "without keys it needs as well USAGE on schema ydoc_data, SELECT on its tables "
				  "document, log, segment, state and version, INSERT on document and log, UPDATE "
				  "on document");
	else
		is_told = false;
}

static bool
link_answer(Link *link)
{
	DatabaseQuery *query = list_pop(&link->in_flight);
	DatabaseAnswer answer = {0};
	PGresult *result = link->held;

	link->held = NULL;

	if (query == NULL)
	{
		PQclear(result);
		link_down(link, "an answer without a question");
		return false;
	}
	link->in_flight_count--;
	/* that a session is warm does not say that what failed works again */
	if (query != &link->warm)
	{
		link->is_failing = false;
		link->backoff = BACKOFF_LEAST;
	}
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
	{
		answer.result = result;
		answer.row_count = PQntuples(result);
	}
	else
	{
		answer.sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		answer.message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
		if (answer.sqlstate == NULL)
			answer.sqlstate = "XX000";
		if (answer.message == NULL)
			answer.message = "unexpected result";
	}
	query->done(query, &answer);
	PQclear(result);
	return true;
}

static void
link_pump(Link *link)
{
	int most = link->is_pooled ? 1 : MAX_IN_FLIGHT;

	while (link->waiting.first != NULL && link->in_flight_count < most)
	{
		if (!send_query(link, link->waiting.first))
		{
			link_down(link, PQerrorMessage(link->pg));
			return;
		}
		link->syncs_expected++;
		list_append(&link->in_flight, list_pop(&link->waiting));
		link->in_flight_count++;
	}
	link_flush(link);
}

static void
link_flush(Link *link)
{
	int left = PQflush(link->pg);

	if (left < 0)
		link_down(link, PQerrorMessage(link->pg));
	else
		link_watch(link, left > 0 ? EV_READ | EV_WRITE : EV_READ);
}

/* A sync after each query: an error must not take its successors with it. */
static bool
send_query(Link *link, const DatabaseQuery *query)
{
	const StatementInfo *statement = statement_info(query->statement);
	const char *values[DATABASE_MAX_PARAMETERS + 1];
	int sizes[DATABASE_MAX_PARAMETERS + 1];
	int formats[DATABASE_MAX_PARAMETERS + 1];
	Oid types[DATABASE_MAX_PARAMETERS + 1];
	int count = statement_types(statement, types);

	for (int i = 0; i < count; i++)
	{
		Bytes value = i < statement->parameter_count ? query->parameters[i] : query->claims;

		values[i] = value.data != NULL ? (const char *) value.data : "";
		sizes[i] = (int) value.size;
		formats[i] = 1;
	}
	int sent =
		link->is_pooled || statement->may_fail
			? PQsendQueryParams(link->pg, statement_sql(statement), count, types, values, sizes,
								formats, 1)
			: PQsendQueryPrepared(link->pg, statement->name, count, values, sizes, formats, 1);

	return sent && PQpipelineSync(link->pg);
}

static bool
prepare(Link *link, const StatementInfo *statement)
{
	Oid types[DATABASE_MAX_PARAMETERS + 1];
	int count = statement_types(statement, types);

	return PQsendPrepare(link->pg, statement->name, statement_sql(statement), count, types) != 0;
}

/*
 * When a backend dies, libpq first hands out one FATAL result for the head of the pipeline and
 * empty ones for the rest, and only then marks the connection bad.  Taken for failed statements
 * they would lose updates that may or may not be committed.
 */
static bool
outcome_is_unknown(const Link *link, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	const DatabaseQuery *query = link->in_flight.first;
	const StatementInfo *statement = query != NULL ? statement_info(query->statement) : NULL;
	bool may_fail = statement != NULL && statement->may_fail;
	/* not of us, but of him in whose name we ask */
	bool is_denied = statement != NULL && statement->claims != 0 && identity_is_checked() &&
					 sqlstate != NULL &&
					 (strcmp(sqlstate, "42501") == 0 || strcmp(sqlstate, "28000") == 0);

	return PQstatus(link->pg) == CONNECTION_BAD || sqlstate == NULL || severity == NULL ||
		   strcmp(severity, "ERROR") != 0 || (!may_fail && !is_denied && may_work_later(sqlstate));
}

/* Errors of the moment or of the installation, not of the statement's parameters: the connection
 * is begun anew after a pause, and the statement sent again. */
static bool
may_work_later(const char *sqlstate)
{
	static const char classes[][3] = {
		"08", /* connection */
		"0A", /* a cached plan's result type changed: prepare again */
		"25", /* read-only: we are on the wrong side of a failover */
		"26", /* prepared statement unknown: a pooler gave us another backend */
		"40", /* serialization, deadlock */
		"42", /* function or right missing: an upgrade is under way */
		"53", /* resources: disk full, connections */
		"55", /* lock not available */
		"57", /* operator: shutdown, cancel */
		"58", /* the system around the database */
	};

	for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
		if (strncmp(sqlstate, classes[i], 2) == 0)
			return true;
	return false;
}

static void
list_append(QueryList *list, DatabaseQuery *query)
{
	query->next = NULL;
	*list->end = query;
	list->end = &query->next;
}

static DatabaseQuery *
list_pop(QueryList *list)
{
	DatabaseQuery *query = list->first;

	if (query == NULL)
		return NULL;
	list->first = query->next;
	if (list->first == NULL)
		list->end = &list->first;
	query->next = NULL;
	return query;
}

/* links: the listener, then writers, then readers. */
static Link *
link_of(ConnectionRole role, uint32_t hash)
{
	if (role == ROLE_LISTENER)
		return &links[0];
	if (role == ROLE_WRITER)
		return &links[1 + hash % (uint32_t) config.writers];
	return &links[1 + (uint32_t) config.writers + hash % (uint32_t) config.readers];
}
