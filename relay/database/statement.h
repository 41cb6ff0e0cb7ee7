/*
 * statement.h: what the relay says to the database (statement.c); used by database.c alone.
 *
 *     const StatementInfo *statement = statement_info(STATEMENT_SYNC);
 *     Oid types[DATABASE_MAX_PARAMETERS + 1];
 *     int count = statement_types(statement, types);
 *
 *     PQsendPrepare(pg, statement->name, statement_sql(statement), count, types);
 */
#ifndef RELAY_STATEMENT_H
#define RELAY_STATEMENT_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "database.h"

typedef enum ConnectionRole
{
	ROLE_LISTENER,
	ROLE_WRITER,
	ROLE_READER
} ConnectionRole;

typedef struct StatementInfo
{
	const char *name;
	ConnectionRole role;
	int parameter_count;
	Oid types[DATABASE_MAX_PARAMETERS];
	const char *sql;
	bool may_fail; /* the relay works without it: its errors are answered, it is not prepared */
	const char *checked_sql; /* in a checked relay; NULL: the same */
	Oid claims; /* of one parameter more, which that takes; 0: none */
} StatementInfo;

const StatementInfo *statement_info(DatabaseStatement statement);

/* Its text, for a relay as this one is. */
const char *statement_sql(const StatementInfo *statement);

/* The types of its parameters, at most DATABASE_MAX_PARAMETERS + 1; returns how many there are. */
int statement_types(const StatementInfo *statement, Oid *types);

#endif
