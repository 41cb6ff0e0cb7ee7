/*
 * Database connections: a few, each a pipeline in the loop.
 *
 *     typedef struct Fetch { DatabaseQuery query; ... } Fetch;        (query is the first member)
 *     fetch->query = (DatabaseQuery){STATEMENT_CHANGES, fetch_done, {name, since}};
 *     database_submit(hash, &fetch->query);
 *     ...
 *     static void fetch_done(DatabaseQuery *query, const DatabaseAnswer *answer) { ... }
 *
 * One connection listens, some write, some read.  Documents are hashed over them, so that the
 * queries about one document are answered in the order they were submitted.  A query waits as
 * long as the database is away; when a connection breaks, what was in flight goes back to the
 * front and is sent again.  That is right because every statement may run twice: applying an
 * update again adds nothing.
 */
#ifndef RELAY_DATABASE_H
#define RELAY_DATABASE_H

#include <stdbool.h>
#include <stdint.h>

#include "binary.h"
#include "frame.h"

enum
{
	DATABASE_MAX_PARAMETERS = 7,
	MAX_DATABASE_WRITERS = 64,
	MAX_DATABASE_READERS = 64
};

typedef enum DatabaseStatement
{
	STATEMENT_APPLY, /* on a writer: documents, updates, actors or in a checked relay their claims,
					  * known epochs, sources (arrays) */
	STATEMENT_APPLY_SILENTLY, /* the same, but nobody is notified */
	/* on a reader, like all below: document, state vector, bytes of a slice and of all, known epoch */
	STATEMENT_SYNC,
	STATEMENT_CHANGES, /* document, since, known epoch, bytes at most */
	STATEMENT_CHANGES_OF_SEVERAL, /* the same, but the first three are arrays */
	STATEMENT_HEADS, /* documents (array) */
	STATEMENT_WARM, /* documents (array): none; on writers as well, by the connection itself */
	STATEMENT_LEVELS, /* documents, claims (arrays) */
	STATEMENT_INCLUDES, /* claims, document, update */
	STATEMENT_REPORT, /* relay, lease, whether anew, documents, clients, names (arrays) */
	STATEMENT_CONTENT, /* document, kind, root, version, state vector (all but the first two may be empty),
						* epoch and seq that are known */
	STATEMENT_DOCUMENTS, /* after, prefix, at most (int4) */
	STATEMENT_VERSIONS, /* document */
	STATEMENT_SESSION_START, /* on a writer, but for the last: credential, device */
	STATEMENT_SESSION_REFRESH, /* refresh token */
	STATEMENT_SESSION_END, /* one of its tokens */
	STATEMENT_SESSIONS_END, /* likewise */
	STATEMENT_SESSIONS, /* on a reader: an access token */
	STATEMENT_PRESENCE, /* on the listener, like all below: payloads (array) to notify relays with */
	STATEMENT_RELAY_KEY, /* no parameters */
	STATEMENT_QUEUE_USAGE, /* no parameters; the notification queue's, in millionths */
	STATEMENT_COUNT
} DatabaseStatement;

typedef struct DatabaseQuery DatabaseQuery;
typedef void (*DatabaseDone)(DatabaseQuery *query, const DatabaseAnswer *answer);

struct DatabaseQuery
{
	DatabaseStatement statement;
	DatabaseDone done; /* called exactly once; the query is the caller's again */
	Bytes parameters
		[DATABASE_MAX_PARAMETERS]; /* in PostgreSQL's binary format; the caller keeps them until done */
	DatabaseQuery *next;
	Bytes
		claims; /* in a checked relay, for SYNC, CHANGES, CHANGES_OF_SEVERAL and HEADS (arrays), CONTENT, DOCUMENTS, VERSIONS: of who asks; kept likewise */
};

typedef struct DatabaseEvents
{
	void (*listening)(void); /* again: whatever was notified before may have been missed */
	void (*reconnected)(void); /* another one: perhaps with another server than before */
	void (*notified)(const char *channel, const char *payload);
} DatabaseEvents;

/* CREATE EXTENSION and ydoc.create_store() where missing, waiting for it; false after logging. */
bool database_init(void);

bool database_start(const DatabaseEvents *events);

/* Fails what still waits (SQLSTATE 57P01) and disconnects. */
void database_stop(void);

void database_submit(uint32_t hash, DatabaseQuery *query);

/* The writer of that hash works: false means its updates wait. */
bool database_writer_is_up(uint32_t hash);

/* All connections work. */
bool database_is_ready(void);

/* Queries leave here, not when they are submitted. */
void database_end_round(void);

#endif
