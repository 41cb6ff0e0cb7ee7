/*
 * libpq.c: pipelines, results in order, notifications, and how they end.
 *
 * Here: what libpq and the network do.  Not here: what statements mean (store.c), results (result.c).
 */
#include "libpq.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "libev.h"
#include "result.h"
#include "world.h"

uint32_t libpq_errors, libpq_lost_hints;
uint64_t libpq_hints_lost;

static Link **links;
static size_t link_count, link_capacity;
static Session **sessions;
static size_t session_count, session_capacity;
static int next_fd = 1000, next_pid = 5000;

static void fire(Link *link, int events);
static PGresult *execute(Session *session, Request *request);
static PGresult *execute_sql(Session *session, const char *sql, const Parameter *parameters);
static PGresult *passing_error(void);
static void end_transaction(Session *session);
static void session_free(Session *session);
static void reply(Session *session, Reply reply);
static void reply_free(Reply *reply);
static void request_free(Request *request);
static void make_visible(Link *link, size_t count);
static void send_request(Link *link, Request request);
static void hint(Session *session, const char *channel, const char *payload);
static Parameter copy(const void *data, size_t size);

Link **
libpq_links(size_t *count)
{
	*count = link_count;
	return links;
}

Session **
libpq_sessions(size_t *count)
{
	*count = session_count;
	return sessions;
}

/* ---- what the world makes happen ---- */

bool
libpq_connect(Link *link)
{
	int watched = libev_watched(link->relay, link->fd);

	if (link->status != CONNECTION_STARTED || watched == 0)
		return false;
	fire(link, watched);
	return true;
}

bool
libpq_execute(Session *session)
{
	if (session->received_count == 0)
	{
		if (session->link != NULL)
			return false;
		session_free(session);
		return true;
	}
	Request request = session->received[0];

	if (store.is_in_transaction && !session->is_in_transaction && request.kind != REQUEST_SYNC)
		return false; /* waits for a lock */
	array_drop(session->received, &session->received_count, 1, sizeof request);
	if (request.kind == REQUEST_SYNC)
		end_transaction(session);
	PGresult *result = execute(session, &request);

	reply(session, (Reply){.result = result, .is_sync = request.kind == REQUEST_SYNC});
	if (request.kind == REQUEST_PREPARE)
		ARRAY_ADD(session->prepared, session->prepared_count, session->prepared_capacity, request);
	else
		request_free(&request);
	return true;
}

bool
libpq_deliver(Link *link)
{
	if (link->status != CONNECTION_OK || (libev_watched(link->relay, link->fd) & EV_READ) == 0)
		return false;
	if (link->is_broken && link->break_kind == BREAK_WRITE)
		link->break_kind = BREAK_RESET; /* whoever does not write notices by reading */
	if (link->is_broken && link->break_kind == BREAK_SILENT)
	{
		if (link->noticed_at > world_now)
			return false;
		link->break_kind = BREAK_RESET;
	}
	if (!link->is_broken)
	{
		if (link->session->reply_count == 0)
			return false;
		make_visible(link, chance_between(1, (uint32_t) link->session->reply_count));
	}
	fire(link, EV_READ);
	return true;
}

bool
libpq_write(Link *link)
{
	if (link->status != CONNECTION_OK || (libev_watched(link->relay, link->fd) & EV_WRITE) == 0)
		return false;
	fire(link, EV_WRITE);
	return true;
}

/* The link may be gone after that. */
static void
fire(Link *link, int events)
{
	Relay *relay = link->relay;

	relay_enter(relay);
	libev_io(relay, link->fd, events);
	relay_leave(relay);
}

void
libpq_break(Link *link, BreakKind kind)
{
	if (link->session == NULL || link->is_broken)
		return;
	/* some answers may have come through */
	if (link->session->reply_count > 0)
		make_visible(link, chance_below((uint32_t) link->session->reply_count + 1));
	if (kind == BREAK_FATAL && link->outstanding == 0)
		kind = BREAK_RESET; /* libpq takes a goodbye between statements for a notice */
	if (kind == BREAK_FATAL)
	{
		static const char sqlstates[][6] = {"57P01", "57P02", "XX000", "08P01"};
		Reply last_words = {
			.result = result_error("FATAL", sqlstates[chance_below(4)], "terminating connection")};

		ARRAY_ADD(link->visible, link->visible_count, link->visible_capacity, last_words);
	}
	link->is_broken = true;
	link->break_kind = kind;
	link->noticed_at = world_now + 30.0 * chance_real();
	snprintf(link->error, sizeof link->error, "server closed the connection unexpectedly\n");
	link->session->link = NULL;
	if (chance_in(2)) /* the backend notices before it begins the next statement */
		while (link->session->received_count > 0)
			request_free(&link->session->received[--link->session->received_count]);
	link->session = NULL;
}

void
libpq_crash(void)
{
	for (size_t i = 0; i < link_count; i++)
		libpq_break(links[i], (BreakKind) chance_below(BREAK_WRITE + 1));
	libpq_close();
}

void
libpq_notify(const char *channel, const char *payload)
{
	for (size_t i = 0; i < session_count; i++)
		if (sessions[i]->link != NULL &&
			(strcmp(channel, "ydoc") == 0 ? sessions[i]->listens : sessions[i]->listens_presence))
			hint(sessions[i], channel, payload);
}

void
libpq_close(void)
{
	while (session_count > 0)
		session_free(sessions[session_count - 1]);
	if (link_count == 0)
	{
		free(links);
		free(sessions);
		links = NULL;
		sessions = NULL;
		link_capacity = session_capacity = 0;
	}
}

/* ---- sessions ---- */

static PGresult *
execute(Session *session, Request *request)
{
	PGresult *result = NULL;

	if (request->kind == REQUEST_SYNC)
	{
		result = result_new(0);
		result->status = PGRES_PIPELINE_SYNC;
		return result;
	}
	if (session->is_aborted)
	{
		result = result_new(0);
		result->status = PGRES_PIPELINE_ABORTED;
		return result;
	}
	if (libpq_errors > 0 && chance_in(libpq_errors))
		result = passing_error();
	else if (request->kind == REQUEST_QUERY)
		result = execute_sql(session, request->sql, request->parameters);
	else if (request->kind == REQUEST_PREPARE)
	{
		result = result_new(0);
		result->status = PGRES_COMMAND_OK;
	}
	else
		for (size_t i = 0; i < session->prepared_count && result == NULL; i++)
			if (strcmp(session->prepared[i].name, request->name) == 0)
				result = execute_sql(session, session->prepared[i].sql, request->parameters);
	if (result == NULL)
		result = result_error("ERROR", "26000", "prepared statement does not exist");
	session->is_aborted = result->status == PGRES_FATAL_ERROR;
	return result;
}

static PGresult *
execute_sql(Session *session, const char *sql, const Parameter *parameters)
{
	PGresult *result;

	if (strncmp(sql, "LISTEN ", 7) == 0)
	{
		session->listens |= strcmp(sql, "LISTEN ydoc") == 0;
		session->listens_presence |= strcmp(sql, "LISTEN ydoc_presence") == 0;
		result = result_new(0);
		result->status = PGRES_COMMAND_OK;
	}
	else if (strcmp(sql, "SELECT 'ydoc_data.document'::pg_catalog.regclass") == 0 ||
			 strncmp(sql, "SELECT FROM ydoc_data.document,", 31) == 0)
		result = result_new(1); /* there is a store, and we may read it: nobody looks at the row */
	else if (strcmp(sql, "SELECT pg_catalog.pg_backend_pid()") == 0)
	{
		char pid[20];
		size_t size = (size_t) snprintf(pid, sizeof pid, "%d", session->pid);

		result = result_new(1);
		result_set_bytes(result, result_add_row(result), 0, (Bytes){(uint8_t *) pid, size});
	}
	else
	{
		result =
			store_execute(sql, parameters, session->link != NULL ? session->link->relay : NULL);
		session->is_in_transaction = store.is_in_transaction;
	}
	return result;
}

static PGresult *
passing_error(void)
{
	static const char sqlstates[][6] = {"40P01", "57014", "53200", "55P03",
										"0A000", "42501", "58030", "08006"};

	return result_error("ERROR", sqlstates[chance_below(8)], "an error of the moment");
}

/* At a sync; may fail although the statement did not. */
static void
end_transaction(Session *session)
{
	session->is_aborted = false;
	if (!session->is_in_transaction)
		return;
	session->is_in_transaction = false;
	PGresult *error = NULL;

	if (libpq_errors > 0 && chance_in(libpq_errors))
	{
		store_roll_back();
		error = passing_error();
	}
	else if (!store_commit())
		error = result_error("ERROR", "54000", "too many notifications in the NOTIFY queue");
	if (error != NULL)
		reply(session, (Reply){.result = error, .is_extra = true});
}

static void
session_free(Session *session)
{
	if (session->is_in_transaction)
		store_roll_back();
	for (size_t i = 0; i < session->received_count; i++)
		request_free(&session->received[i]);
	for (size_t i = 0; i < session->prepared_count; i++)
		request_free(&session->prepared[i]);
	for (size_t i = 0; i < session->reply_count; i++)
		reply_free(&session->replies[i]);
	free(session->received);
	free(session->prepared);
	free(session->replies);
	for (size_t i = 0; i < session_count; i++)
		if (sessions[i] == session)
			sessions[i] = sessions[--session_count];
	free(session);
}

static void
reply(Session *session, Reply reply)
{
	if (session->link == NULL)
		reply_free(&reply);
	else
		ARRAY_ADD(session->replies, session->reply_count, session->reply_capacity, reply);
}

/* A notification may be lost or come twice: the relay is told that it is a hint. */
static void
hint(Session *session, const char *channel, const char *payload)
{
	int times = 1;

	if (libpq_lost_hints > 0 && chance_in(libpq_lost_hints))
	{
		times = chance_in(4) ? 2 : 0;
		libpq_hints_lost += times == 0;
	}
	for (int i = 0; i < times; i++)
		reply(session, (Reply){.channel = strdup(channel), .payload = strdup(payload)});
}

static void
reply_free(Reply *reply)
{
	PQclear(reply->result);
	free(reply->channel);
	free(reply->payload);
}

static void
request_free(Request *request)
{
	free(request->name);
	free(request->sql);
	for (int i = 0; i < request->parameter_count; i++)
		free(request->parameters[i].data);
}

static void
make_visible(Link *link, size_t count)
{
	Session *session = link->session;

	for (size_t i = 0; i < count; i++)
		if (session->replies[i].result != NULL)
			ARRAY_ADD(link->visible, link->visible_count, link->visible_capacity,
					  session->replies[i]);
		else
			ARRAY_ADD(link->notifications, link->notification_count, link->notification_capacity,
					  session->replies[i]);
	array_drop(session->replies, &session->reply_count, count, sizeof *session->replies);
}

/* ---- libpq's functions: connecting ---- */

PGconn *
PQconnectStartParams(const char *const *keywords, const char *const *values, int expand)
{
	Link *link = allocate(sizeof *link);

	(void) expand;
	for (int i = 0; keywords[i] != NULL; i++)
		link->is_pooled |= strcmp(keywords[i], "dbname") == 0 && strcmp(values[i], "pooled") == 0;
	link->relay = relay_now;
	link->fd = next_fd++;
	link->polls_left = (int) chance_below(4);
	link->status = chance_in(50) ? CONNECTION_BAD : CONNECTION_STARTED;
	ARRAY_ADD(links, link_count, link_capacity, link);
	return link;
}

PostgresPollingStatusType
PQconnectPoll(PGconn *link)
{
	if (!store.is_up || link->relay->is_muted)
	{
		link->status = CONNECTION_BAD;
		snprintf(link->error, sizeof link->error, "connection refused\n");
		return PGRES_POLLING_FAILED;
	}
	if (link->polls_left-- > 0)
	{
		if (chance_in(4))
			link->fd = next_fd++; /* another host, or without TLS */
		return chance_in(2) ? PGRES_POLLING_READING : PGRES_POLLING_WRITING;
	}
	link->status = CONNECTION_OK;
	link->session = allocate(sizeof *link->session);
	link->session->link = link;
	link->session->pid = next_pid++;
	link->pid = link->session->pid + (link->is_pooled ? 1000000 : 0);
	ARRAY_ADD(sessions, session_count, session_capacity, link->session);
	return PGRES_POLLING_OK;
}

void
PQfinish(PGconn *link)
{
	if (link == NULL)
		return;
	if (link->session != NULL)
		libpq_break(link, BREAK_RESET);
	for (size_t i = 0; i < link->request_count; i++)
		request_free(&link->requests[i]);
	for (size_t i = 0; i < link->visible_count; i++)
		reply_free(&link->visible[i]);
	for (size_t i = 0; i < link->notification_count; i++)
		reply_free(&link->notifications[i]);
	free(link->requests);
	free(link->visible);
	free(link->notifications);
	for (size_t i = 0; i < link_count; i++)
		if (links[i] == link)
			links[i] = links[--link_count];
	free(link);
}

ConnStatusType
PQstatus(const PGconn *link)
{
	return link != NULL ? link->status : CONNECTION_BAD;
}

int
PQbackendPID(const PGconn *link)
{
	return link->pid;
}

int
PQsocket(const PGconn *link)
{
	return link->fd;
}

char *
PQerrorMessage(const PGconn *link)
{
	return link != NULL ? (char *) link->error : "connection pointer is NULL";
}

PQconninfoOption *
PQconninfoParse(const char *conninfo, char **message)
{
	(void) conninfo, (void) message;
	return calloc(1, sizeof(PQconninfoOption)); /* there is nothing in it */
}

void
PQconninfoFree(PQconninfoOption *options)
{
	free(options);
}

int
PQsetnonblocking(PGconn *link, int on)
{
	(void) link, (void) on;
	return 0;
}

int
PQenterPipelineMode(PGconn *link)
{
	return link->status == CONNECTION_OK;
}

PQnoticeProcessor
PQsetNoticeProcessor(PGconn *link, PQnoticeProcessor processor, void *context)
{
	(void) link, (void) context;
	return processor;
}

/* ---- sending ---- */

static bool
cannot_write(const Link *link)
{
	return link->status != CONNECTION_OK || (link->is_broken && link->break_kind == BREAK_WRITE);
}

static void
send_request(Link *link, Request request)
{
	link->outstanding += request.kind != REQUEST_SYNC;
	ARRAY_ADD(link->requests, link->request_count, link->request_capacity, request);
}

int
PQsendQueryParams(PGconn *link, const char *command, int count, const Oid *types,
				  const char *const *values, const int *sizes, const int *formats, int format)
{
	Request request = {.kind = REQUEST_QUERY, .parameter_count = count};

	(void) types, (void) formats, (void) format;
	if (cannot_write(link))
		return 0;
	request.sql = strdup(command);
	for (int i = 0; i < count; i++)
		request.parameters[i] = copy(values[i], (size_t) sizes[i]);
	send_request(link, request);
	return 1;
}

int
PQsendPrepare(PGconn *link, const char *name, const char *sql, int count, const Oid *types)
{
	(void) count, (void) types;
	if (cannot_write(link))
		return 0;
	send_request(link,
				 (Request){.kind = REQUEST_PREPARE, .name = strdup(name), .sql = strdup(sql)});
	return 1;
}

int
PQsendQueryPrepared(PGconn *link, const char *name, int count, const char *const *values,
					const int *sizes, const int *formats, int format)
{
	Request request = {.kind = REQUEST_EXECUTE, .parameter_count = count};

	(void) formats, (void) format;
	if (cannot_write(link))
		return 0;
	request.name = strdup(name);
	for (int i = 0; i < count; i++)
		request.parameters[i] = copy(values[i], (size_t) sizes[i]);
	send_request(link, request);
	return 1;
}

int
PQpipelineSync(PGconn *link)
{
	if (cannot_write(link))
		return 0;
	send_request(link, (Request){.kind = REQUEST_SYNC});
	return 1;
}

int
PQflush(PGconn *link)
{
	size_t count = link->request_count;

	if (cannot_write(link))
		return -1;
	if (count > 0 && chance_in(8))
		count = chance_below((uint32_t) count); /* the kernel takes no more for now */
	for (size_t i = 0; i < count; i++)
		if (link->session != NULL)
			ARRAY_ADD(link->session->received, link->session->received_count,
					  link->session->received_capacity, link->requests[i]);
		else
			request_free(&link->requests[i]); /* nobody is there any more */
	array_drop(link->requests, &link->request_count, count, sizeof *link->requests);
	return link->request_count > 0;
}

static Parameter
copy(const void *data, size_t size)
{
	Parameter parameter = {allocate(size + 1), size};

	memcpy(parameter.data, data, size);
	return parameter;
}

/* ---- receiving ---- */

int
PQconsumeInput(PGconn *link)
{
	if (link->is_broken && link->break_kind == BREAK_RESET && link->outstanding > 0 &&
		!link->end_is_near && chance_in(2))
		link->break_kind = BREAK_FATAL; /* it ends without a word, and results tell */
	if (link->is_broken && link->break_kind == BREAK_RESET)
	{
		link->status = CONNECTION_BAD;
		return 0;
	}
	if (link->is_broken && link->end_is_near)
	{
		link->status = CONNECTION_BAD;
		return 0;
	}
	link->end_is_near = link->is_broken; /* the goodbye has been read, then the socket ends */
	return 1;
}

int
PQisBusy(PGconn *link)
{
	return link != NULL && !link->null_is_due && link->visible_count == 0 && !link->is_broken &&
		   link->status == CONNECTION_OK;
}

PGresult *
PQgetResult(PGconn *link)
{
	if (link->null_is_due)
	{
		link->null_is_due = false;
		return NULL;
	}
	if (link->visible_count > 0)
	{
		Reply first = link->visible[0];

		array_drop(link->visible, &link->visible_count, 1, sizeof first);
		link->null_is_due = !first.is_sync;
		link->outstanding -= !first.is_sync && !first.is_extra;
		if (first.result->severity != NULL && strcmp(first.result->severity, "FATAL") == 0)
			link->status = chance_in(2) ? CONNECTION_BAD : link->status;
		return first.result;
	}
	if (!link->is_broken || link->outstanding == 0)
		return NULL;
	link->outstanding--;
	if (link->outstanding == 0 || chance_in(2))
		link->status = CONNECTION_BAD; /* libpq says so only after some of these */
	link->null_is_due = true;
	return result_error(NULL, "", "");
}

PGnotify *
PQnotifies(PGconn *link)
{
	if (link->notification_count == 0)
		return NULL;
	Reply first = link->notifications[0];
	size_t channel_size = strlen(first.channel) + 1, payload_size = strlen(first.payload) + 1;
	PGnotify *notify = allocate(sizeof *notify + channel_size + payload_size);

	array_drop(link->notifications, &link->notification_count, 1, sizeof first);
	notify->relname = (char *) (notify + 1);
	notify->extra = notify->relname + channel_size;
	memcpy(notify->relname, first.channel, channel_size);
	memcpy(notify->extra, first.payload, payload_size);
	reply_free(&first);
	return notify;
}

void
PQfreemem(void *memory)
{
	free(memory);
}
