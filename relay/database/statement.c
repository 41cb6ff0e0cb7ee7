/*
 * statement.c: the SQL of the relay.
 *
 * Here: each statement, the types of its parameters, on which connection it goes out.  Not here: sending it
 * (database.c), making its parameters and reading its rows (whoever asks).
 */
#include "statement.h"

#include <string.h>

#include "identity.h"

enum
{
	OID_BOOL = 16,
	OID_BYTEA = 17,
	OID_INT8 = 20,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_BYTEA_ARRAY = 1001,
	OID_TEXT_ARRAY = 1009,
	OID_INT8_ARRAY = 1016
};

#define SESSION_COLUMNS                                                                       \
	"session::text, status, access_token, refresh_token,"                                     \
	" pg_catalog.to_json(access_expires_at) #>> '{}',"                                        \
	" pg_catalog.to_json(refresh_expires_at) #>> '{}',"                                       \
	" pg_catalog.ceil(EXTRACT(EPOCH FROM refresh_expires_at - pg_catalog.clock_timestamp()))" \
	"::bigint"

static const StatementInfo statements[STATEMENT_COUNT] = {
	[STATEMENT_APPLY] = {"apply",
						 ROLE_WRITER,
						 5,
						 {OID_TEXT_ARRAY, OID_BYTEA_ARRAY, OID_TEXT_ARRAY, OID_INT8_ARRAY,
						  OID_TEXT_ARRAY},
						 "SELECT ordinal, epoch, seq, logged_from, logged, sqlstate, message"
						 " FROM ydoc.apply_batch($1, $2, $3, known_epochs => $4, sources => $5)",
						 .checked_sql =
							 "SELECT ordinal, epoch, seq, logged_from, logged, sqlstate, message"
							 " FROM ydoc_data.relay_apply($1, $2, $3, $4, $5)"},
	/* the setting lasts as long as the transaction: it must be made first, and a pooler may stand
	 * between */
	[STATEMENT_APPLY_SILENTLY] =
		{"apply_silently",
		 ROLE_WRITER,
		 5,
		 {OID_TEXT_ARRAY, OID_BYTEA_ARRAY, OID_TEXT_ARRAY, OID_INT8_ARRAY, OID_TEXT_ARRAY},
		 "SELECT ordinal, epoch, seq, logged_from, logged, sqlstate, message"
		 " FROM (SELECT pg_catalog.set_config('ydoc.notify', 'off', true) OFFSET 0) AS s (setting),"
		 " LATERAL ydoc.apply_batch($1, $2, $3, known_epochs => CASE s.setting WHEN 'off' THEN $4 "
		 "END, sources => $5)",
		 .checked_sql =
			 "SELECT ordinal, epoch, seq, logged_from, logged, sqlstate, message"
			 " FROM (SELECT pg_catalog.set_config('ydoc.notify', 'off', true) OFFSET 0) AS s "
			 "(setting),"
			 " LATERAL ydoc_data.relay_apply($1, $2, $3, CASE s.setting WHEN 'off' THEN $4 END, "
			 "$5)"},
	[STATEMENT_SYNC] = {"sync",
						ROLE_READER,
						5,
						{OID_TEXT, OID_BYTEA, OID_INT4, OID_INT4, OID_INT8},
						"SELECT epoch, seq, update, state_vector, reached"
						" FROM ydoc.sync_slices($1, $2, $3, $4, known_epoch => $5)",
						.checked_sql = "SELECT epoch, seq, update, state_vector, reached"
									   " FROM ydoc_data.relay_sync_slices($6, $1, $2, $3, $4, $5)",
						.claims = OID_TEXT},
	[STATEMENT_CHANGES] = {"changes",
						   ROLE_READER,
						   4,
						   {OID_TEXT, OID_INT8, OID_INT8, OID_INT4},
						   "SELECT epoch, seq, update, state_vector"
						   " FROM ydoc.changes($1, $2, known_epoch => $3, max_bytes => $4)",
						   .checked_sql = "SELECT epoch, seq, update, state_vector"
										  " FROM ydoc_data.relay_changes($5, $1, $2, $3, $4)",
						   .claims = OID_TEXT},
	[STATEMENT_CHANGES_OF_SEVERAL] =
		{"changes_of_several",
		 ROLE_READER,
		 4,
		 {OID_TEXT_ARRAY, OID_INT8_ARRAY, OID_INT8_ARRAY, OID_INT4},
		 "SELECT epoch, seq, update, state_vector, ordinal FROM ydoc.changes_of($1, $2, $3, $4)",
		 .checked_sql = "SELECT epoch, seq, update, state_vector, ordinal"
						" FROM ydoc_data.relay_changes_of($5, $1, $2, $3, $4)",
		 .claims = OID_TEXT_ARRAY},
	[STATEMENT_HEADS] = {"heads",
						 ROLE_READER,
						 1,
						 {OID_TEXT_ARRAY},
						 "SELECT document, epoch, seq, (deleted_at IS NOT NULL)::integer"
						 " FROM ydoc.heads($1)",
						 .checked_sql =
							 "SELECT document, epoch, seq, (deleted_at IS NOT NULL)::integer"
							 " FROM ydoc_data.relay_heads($1, $2)",
						 .claims = OID_TEXT_ARRAY},
	[STATEMENT_WARM] = {"warm",
						ROLE_READER,
						1,
						{OID_TEXT_ARRAY},
						"SELECT document FROM ydoc.heads($1)",
						.may_fail = true,
						.checked_sql = "SELECT document FROM ydoc_data.relay_heads($1, $2)",
						.claims = OID_TEXT_ARRAY},
	[STATEMENT_LEVELS] =
		{"levels",
		 ROLE_READER,
		 2,
		 {OID_TEXT_ARRAY, OID_TEXT_ARRAY},
		 "SELECT ordinal, level, is_known, live, user_name FROM ydoc_data.relay_levels($1, $2)",
		 .may_fail = true},
	[STATEMENT_INCLUDES] = {"includes",
							ROLE_READER,
							3,
							{OID_TEXT, OID_TEXT, OID_BYTEA},
							"SELECT ydoc_data.relay_includes($1, $2, $3)::integer",
							.may_fail = true},
	[STATEMENT_REPORT] = {"report",
						  ROLE_READER,
						  6,
						  {OID_TEXT, OID_INT8, OID_BOOL, OID_TEXT_ARRAY, OID_INT8_ARRAY,
						   OID_TEXT_ARRAY},
						  "SELECT ydoc_data.relay_report($1, $2, $3, $4, $5, $6)",
						  .may_fail = true},
	[STATEMENT_CONTENT] =
		{"content",
		 ROLE_READER,
		 7,
		 {OID_TEXT, OID_TEXT, OID_TEXT, OID_TEXT, OID_BYTEA, OID_INT8, OID_INT8},
		 "SELECT epoch, seq, content"
		 " FROM ydoc.content($1, $2, nullif($3, ''), nullif($4, ''), nullif($5, ''), $6, $7)",
		 .may_fail = true,
		 .checked_sql = "SELECT epoch, seq, content FROM ydoc_data.relay_content($8, $1, $2,"
						" nullif($3, ''), nullif($4, ''), nullif($5, ''), $6, $7)",
		 .claims = OID_TEXT},
	[STATEMENT_DOCUMENTS] =
		{"documents",
		 ROLE_READER,
		 3,
		 {OID_TEXT, OID_TEXT, OID_INT4},
		 "SELECT document, epoch::text, seq, pg_catalog.to_json(created_at) #>> '{}', 'admin'"
		 " FROM ydoc.documents($1, $2, $3)",
		 .may_fail = true,
		 .checked_sql =
			 "SELECT document, epoch::text, seq, pg_catalog.to_json(created_at) #>> '{}', level"
			 " FROM ydoc_data.relay_documents($4, $1, $2, $3)",
		 .claims = OID_TEXT},
	[STATEMENT_VERSIONS] =
		{"versions",
		 ROLE_READER,
		 1,
		 {OID_TEXT},
		 "SELECT head.epoch, v.label, v.seq, pg_catalog.to_json(v.at) #>> '{}', v.actor, v.note"
		 " FROM ydoc.heads(ARRAY[$1]) AS head LEFT JOIN ydoc.versions($1) AS v ON true"
		 " WHERE head.deleted_at IS NULL",
		 .may_fail = true,
		 .checked_sql =
			 "SELECT head.epoch, v.label, v.seq, pg_catalog.to_json(v.at) #>> '{}', v.actor, v.note"
			 " FROM ydoc_data.relay_heads(ARRAY[$1], ARRAY[$2]) AS head"
			 " LEFT JOIN ydoc_data.relay_versions($2, $1) AS v ON true WHERE head.deleted_at IS "
			 "NULL",
		 .claims = OID_TEXT},
	[STATEMENT_SESSION_START] = {"session_start",
								 ROLE_WRITER,
								 2,
								 {OID_TEXT, OID_TEXT},
								 "SELECT " SESSION_COLUMNS
								 " FROM ydoc_data.relay_start_session($1, $2)",
								 .may_fail = true},
	[STATEMENT_SESSION_REFRESH] = {"session_refresh",
								   ROLE_WRITER,
								   1,
								   {OID_TEXT},
								   "SELECT " SESSION_COLUMNS
								   " FROM ydoc_data.relay_refresh_session($1)",
								   .may_fail = true},
	[STATEMENT_SESSION_END] = {"session_end",
							   ROLE_WRITER,
							   1,
							   {OID_TEXT},
							   "SELECT ydoc_data.relay_end_session($1)",
							   .may_fail = true},
	[STATEMENT_SESSIONS_END] = {"sessions_end",
								ROLE_WRITER,
								1,
								{OID_TEXT},
								"SELECT ydoc_data.relay_end_sessions($1)",
								.may_fail = true},
	[STATEMENT_SESSIONS] =
		{"sessions",
		 ROLE_READER,
		 1,
		 {OID_TEXT},
		 "SELECT session::text, device, pg_catalog.to_json(created_at) #>> '{}',"
		 " pg_catalog.to_json(seen_at) #>> '{}', pg_catalog.to_json(expires_at) #>> '{}', is_this"
		 " FROM ydoc_data.relay_sessions($1)",
		 .may_fail = true},
	[STATEMENT_PRESENCE] = {"presence",
							ROLE_LISTENER,
							1,
							{OID_TEXT_ARRAY},
							"SELECT pg_catalog.pg_notify('ydoc_presence', payload)"
							" FROM pg_catalog.unnest($1) AS payload",
							.may_fail = true},
	[STATEMENT_RELAY_KEY] = {"relay_key",
							 ROLE_LISTENER,
							 0,
							 {0},
							 "SELECT ydoc_data.relay_presence_key()",
							 .may_fail = true},
	[STATEMENT_QUEUE_USAGE] =
		{"queue_usage",
		 ROLE_LISTENER,
		 0,
		 {0},
		 "SELECT (pg_catalog.pg_notification_queue_usage() * 1000000)::bigint",
		 .may_fail = true},
};

const StatementInfo *
statement_info(DatabaseStatement statement)
{
	return &statements[statement];
}

const char *
statement_sql(const StatementInfo *statement)
{
	return identity_is_checked() && statement->checked_sql != NULL ? statement->checked_sql
																   : statement->sql;
}

int
statement_types(const StatementInfo *statement, Oid *types)
{
	memcpy(types, statement->types, sizeof statement->types);
	if (statement->claims == 0 || !identity_is_checked())
		return statement->parameter_count;
	types[statement->parameter_count] = statement->claims;
	return statement->parameter_count + 1;
}
