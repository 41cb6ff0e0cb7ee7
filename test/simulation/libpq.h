/*
 * libpq and the way to the store: database connections that break in every way they can.
 *
 *     link: what the relay holds (PGconn)         session: the backend at the other end
 *
 *       requests, until flushed  ------------------>  received  -> store_execute()
 *       visible, once delivered  <------------------  replies
 *
 * A link that breaks leaves a session behind that may still execute what it had received: a
 * commit whose answer never comes, perhaps after the same statement came again on another link.
 */
#ifndef SIMULATION_LIBPQ_H
#define SIMULATION_LIBPQ_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "relay.h"
#include "store.h"

typedef enum RequestKind
{
	REQUEST_QUERY, /* a statement that is not prepared */
	REQUEST_PREPARE,
	REQUEST_EXECUTE,
	REQUEST_SYNC
} RequestKind;

typedef struct Request
{
	RequestKind kind;
	char *name; /* of the statement */
	char *sql; /* of REQUEST_QUERY and REQUEST_PREPARE */
	Parameter parameters[8];
	int parameter_count;
} Request;

typedef struct Reply
{
	PGresult *result; /* NULL: a notification */
	bool is_sync;
	bool is_extra; /* the result of a sync that failed */
	char *channel, *payload;
} Reply;

typedef struct Session
{
	struct pg_conn *link; /* NULL: gone */
	Request *received;
	size_t received_count, received_capacity;
	Request *prepared;
	size_t prepared_count, prepared_capacity;
	Reply *replies;
	size_t reply_count, reply_capacity;
	int pid;
	bool listens, listens_presence;
	bool is_in_transaction;
	bool is_aborted; /* nothing is executed before the next sync */
} Session;

typedef enum BreakKind
{
	BREAK_RESET, /* reading fails */
	BREAK_FATAL, /* the backend says goodbye first */
	BREAK_WRITE, /* writing fails */
	BREAK_SILENT, /* nothing arrives any more; noticed after a while */
	BREAK_KINDS
} BreakKind;

typedef struct pg_conn
{
	Relay *relay;
	int fd;
	int pid; /* of the backend, or what a pooler says instead */
	bool is_pooled;
	ConnStatusType status;
	int polls_left;
	Session *session; /* NULL before it is connected, and once it is broken */
	bool is_broken;
	BreakKind break_kind;
	double noticed_at; /* of BREAK_SILENT */
	bool end_is_near; /* of BREAK_FATAL: the last words were read */
	Request *requests; /* not flushed yet */
	size_t request_count, request_capacity;
	int outstanding; /* requests without a result */
	Reply *visible;
	size_t visible_count, visible_capacity;
	Reply *notifications;
	size_t notification_count, notification_capacity;
	bool null_is_due;
	char error[80];
} Link;

/* One in so many statements fails for a reason of the moment, and preparations; 0: none does. */
extern uint32_t libpq_errors;

/* One in so many notifications is lost, comes twice or late; 0: none. */
extern uint32_t libpq_lost_hints;
extern uint64_t libpq_hints_lost;

Link **libpq_links(size_t *count);
Session **libpq_sessions(size_t *count);

/* Each returns false if there was nothing to do. */
bool libpq_connect(Link *link);
bool libpq_execute(Session *session);
bool libpq_deliver(Link *link);
bool libpq_write(Link *link);

void libpq_break(Link *link, BreakKind kind);

/* PostgreSQL is killed: all links break, all sessions end. */
void libpq_crash(void);

/* To everybody who listens. */
void libpq_notify(const char *channel, const char *payload);

/* Ends the sessions that are left. */
void libpq_close(void);

#endif
