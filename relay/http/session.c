/*
 * session.c: endpoints of sessions (session.h).
 *
 * Here: cookies, the double submit, questions to the database.  Not here: what a session is, and whether
 * a token is one's (the database), whether an assertion is good (identity.c), pages from elsewhere (http.c).
 */
#include "session.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "database.h"
#include "http_answer.h"
#include "listener.h"
#include "metrics.h"

#define CSRF_BYTES 32
#define CSRF_LETTERS (2 * CSRF_BYTES)
#define TOKEN_LETTERS_MAX 200 /* of a session: ours have 56 */
#define DEVICE_MAX 200
#define COOKIE_MAX 512

typedef struct SessionQuery
{
	DatabaseQuery query; /* first */
	HttpRequest *request; /* held */
	Identity *identity; /* of the assertion; held, or NULL */
	char device[DEVICE_MAX + 1];
	char token[TOKEN_LETTERS_MAX + 1];
	char csrf[CSRF_LETTERS + 1];
} SessionQuery;

enum /* columns of a session's start and refresh */
{
	COLUMN_SESSION,
	COLUMN_STATUS,
	COLUMN_ACCESS_TOKEN,
	COLUMN_REFRESH_TOKEN,
	COLUMN_ACCESS_EXPIRES_AT,
	COLUMN_REFRESH_EXPIRES_AT,
	COLUMN_SECONDS
};

static const int64_t most_body_bytes = 3 * TOKEN_MAX;

static void create_session(HttpRequest *request);
static Identity *read_assertion(HttpRequest *request);
static void take_device(const HttpRequest *request, char device[DEVICE_MAX + 1]);
static void refresh_session(HttpRequest *request);
static void got_tokens(DatabaseQuery *query, const DatabaseAnswer *answer);
static void answer_tokens(SessionQuery *query, const DatabaseAnswer *answer);
static void end_session(HttpRequest *request);
static void end_sessions(HttpRequest *request);
static void end(HttpRequest *request, DatabaseStatement statement);
static void ended(DatabaseQuery *query, const DatabaseAnswer *answer);
static void list_sessions(HttpRequest *request);
static void got_sessions(DatabaseQuery *query, const DatabaseAnswer *answer);
static bool is_on(HttpRequest *request);
static bool is_ours(HttpRequest *request, SessionQuery *query);
static bool take_cookie(const HttpRequest *request, const char *name, char *value, size_t most);
static void
set_cookie(HttpRequest *request, const char *name, Bytes value, int64_t seconds, bool is_readable);
static void clear_cookies(HttpRequest *request);
static SessionQuery *query_new(HttpRequest *request);
static void query_free(SessionQuery *query);
static json_t *json_of(const DatabaseAnswer *answer, int row, int column);

const HttpEndpoint session_endpoints[] = {
	{HTTP_POST, "/api/session", .handle = create_session, .most_body_bytes = &most_body_bytes,
	 .body_types = "application/json", .takes_untyped = true},
	{HTTP_POST, "/api/session/refresh", .handle = refresh_session},
	{HTTP_DELETE, "/api/session", .handle = end_session},
	{HTTP_DELETE, "/api/sessions", .handle = end_sessions},
	{HTTP_GET, "/api/sessions", .handle = list_sessions},
	{0},
};

/* ---- logging in, and on ---- */

static void
create_session(HttpRequest *request)
{
	Identity *identity = is_on(request) ? read_assertion(request) : NULL;
	SessionQuery *query = identity != NULL ? query_new(request) : NULL;

	if (query == NULL)
	{
		identity_release(identity);
		return;
	}
	query->identity = identity;
	take_device(request, query->device);
	query->query.statement = STATEMENT_SESSION_START;
	query->query.done = got_tokens;
	query->query.parameters[0] = identity_claims(identity);
	query->query.parameters[1] = (Bytes){(const uint8_t *) query->device, strlen(query->device)};
	database_submit(0, &query->query);
}

/* The caller's to release; NULL after answering that there is none, or that it is bad. */
static Identity *
read_assertion(HttpRequest *request)
{
	TokenVerdict refusal = TOKEN_MALFORMED;
	Identity *identity = NULL;
	json_t *body = request->body.size > 0
					   ? json_loadb((const char *) request->body.data, request->body.size, 0, NULL)
					   : NULL;
	const json_t *token = json_object_get(body, "token");
	bool is_given =
		json_is_string(token) || (request->body.size == 0 && !request->identity->is_stranger);

	if (json_is_string(token))
		identity = identity_of_token(
			(Bytes){(const uint8_t *) json_string_value(token), json_string_length(token)},
			&refusal);
	else if (is_given)
	{
		identity = identity_retain(request->identity);
		refusal = TOKEN_VALID;
	}
	json_decref(body);
	/* a session does not come of another one, and a link is nobody's */
	if (identity != NULL && !identity->is_session && !identity->is_link)
		return identity;
	identity_release(identity);
	if (request->wsi != NULL)
		listener_authentication_failed(request->wsi);
	metrics_add(METRIC_TOKENS_REFUSED, 1);
	if (refusal == TOKEN_OUT_OF_MEMORY)
		http_problem(request, 503, "overloaded", "out of memory");
	else
		http_problem(request, 401, "bad-token",
					 is_given && refusal != TOKEN_VALID
						 ? token_reason(refusal)
						 : "a login assertion is needed: as Bearer, or {\"token\": \"…\"}");
	return NULL;
}

/* What the browser calls itself, for the list of one's sessions. */
static void
take_device(const HttpRequest *request, char device[DEVICE_MAX + 1])
{
	const char *agent = http_field(&request->head, "user-agent");
	size_t size = agent != NULL ? strlen(agent) : 0;

	size = size < DEVICE_MAX ? size : DEVICE_MAX;
	while (size > 0 && !http_is_plain_text(agent, size)) /* a character that was cut in two */
		size--;
	memcpy(device, agent != NULL ? agent : "", size);
	device[size] = '\0';
}

static void
refresh_session(HttpRequest *request)
{
	SessionQuery *query = is_on(request) ? query_new(request) : NULL;

	if (query == NULL)
		return;
	if (!is_ours(request, query) ||
		!take_cookie(request, "ydoc_refresh", query->token, TOKEN_LETTERS_MAX))
	{
		if (request->state == HTTP_REQUEST_ANSWERING)
			http_problem(request, 401, "no-session", "there is no session to refresh: log in");
		query_free(query);
		return;
	}
	query->query.statement = STATEMENT_SESSION_REFRESH;
	query->query.done = got_tokens;
	query->query.parameters[0] = (Bytes){(const uint8_t *) query->token, strlen(query->token)};
	database_submit(0, &query->query);
}

static void
got_tokens(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	SessionQuery *query = (SessionQuery *) database_query;
	HttpRequest *request = query->request;
	bool is_refresh = database_query->statement == STATEMENT_SESSION_REFRESH;

	if (answer->result == NULL || answer->row_count != 1)
		http_problem_of_database(request, answer->sqlstate != NULL ? answer->sqlstate : "XX000",
								 answer->message != NULL ? answer->message : "");
	else if (!database_is_null(answer, 0, COLUMN_ACCESS_TOKEN))
		answer_tokens(query, answer);
	else
	{
		Bytes status = database_bytes(answer, 0, COLUMN_STATUS);
		bool is_replay = status.size == 8 && memcmp(status.data, "replayed", 8) == 0;

		if (request->wsi != NULL)
			listener_authentication_failed(request->wsi);
		metrics_add(METRIC_TOKENS_REFUSED, 1);
		if (is_refresh)
			clear_cookies(request);
		http_problem(request, 401,
					 is_refresh  ? is_replay ? "session-replayed" : "session-ended"
					 : is_replay ? "assertion-used"
								 : "bad-token",
					 is_refresh  ? "the session has ended: log in"
					 : is_replay ? "this login assertion has started a session before"
								 : "the database does not take this login assertion");
	}
	query_free(query);
}

static void
answer_tokens(SessionQuery *query, const DatabaseAnswer *answer)
{
	HttpRequest *request = query->request;
	int64_t seconds = database_number(answer, 0, COLUMN_SECONDS);
	bool is_refresh = query->query.statement == STATEMENT_SESSION_REFRESH;
	uint8_t random[CSRF_BYTES];

	if (!is_refresh)
	{
		if (RAND_bytes(random, sizeof random) != 1)
		{
			http_problem(request, 503, "overloaded", "no random numbers to be had");
			return;
		}
		for (size_t i = 0; i < sizeof random; i++)
			snprintf(query->csrf + 2 * i, 3, "%02x", random[i]);
	}
	set_cookie(request, config.cookie, database_bytes(answer, 0, COLUMN_ACCESS_TOKEN), seconds,
			   false);
	set_cookie(request, "ydoc_refresh", database_bytes(answer, 0, COLUMN_REFRESH_TOKEN), seconds,
			   false);
	set_cookie(request, "ydoc_csrf", (Bytes){(const uint8_t *) query->csrf, CSRF_LETTERS}, seconds,
			   true);
	http_answer_json(request, is_refresh ? 200 : 201,
					 json_pack("{s:o, s:s, s:o, s:o}", "session",
							   json_of(answer, 0, COLUMN_SESSION), "csrf_token", query->csrf,
							   "access_expires_at", json_of(answer, 0, COLUMN_ACCESS_EXPIRES_AT),
							   "refresh_expires_at",
							   json_of(answer, 0, COLUMN_REFRESH_EXPIRES_AT)));
}

/* ---- logging out ---- */

static void
end_session(HttpRequest *request)
{
	end(request, STATEMENT_SESSION_END);
}

static void
end_sessions(HttpRequest *request)
{
	end(request, STATEMENT_SESSIONS_END);
}

static void
end(HttpRequest *request, DatabaseStatement statement)
{
	SessionQuery *query = is_on(request) ? query_new(request) : NULL;

	if (query == NULL)
		return;
	if (!is_ours(request, query) ||
		(!take_cookie(request, "ydoc_refresh", query->token, TOKEN_LETTERS_MAX) &&
		 !take_cookie(request, config.cookie, query->token, TOKEN_LETTERS_MAX)))
	{
		if (request->state == HTTP_REQUEST_ANSWERING)
			http_problem(request, 401, "no-session", "there is no session to end");
		query_free(query);
		return;
	}
	query->query.statement = statement;
	query->query.done = ended;
	query->query.parameters[0] = (Bytes){(const uint8_t *) query->token, strlen(query->token)};
	database_submit(0, &query->query);
}

static void
ended(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	SessionQuery *query = (SessionQuery *) database_query;

	if (answer->result == NULL)
		http_problem_of_database(query->request, answer->sqlstate, answer->message);
	else
	{
		clear_cookies(query->request);
		http_answer(query->request, 204, NULL, (Bytes){0});
	}
	query_free(query);
}

/* ---- where one is logged in ---- */

static void
list_sessions(HttpRequest *request)
{
	SessionQuery *query = is_on(request) ? query_new(request) : NULL;

	if (query == NULL)
		return;
	if (!request->identity->is_session)
	{
		http_problem(request, 401, "no-session", "there is no session: log in");
		query_free(query);
		return;
	}
	query->query.statement = STATEMENT_SESSIONS;
	query->query.done = got_sessions;
	query->query.parameters[0] = identity_claims(request->identity);
	database_submit(0, &query->query);
}

static void
got_sessions(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	SessionQuery *query = (SessionQuery *) database_query;
	json_t *list = json_array();

	for (int row = 0; answer->result != NULL && row < answer->row_count; row++)
		json_array_append_new(
			list,
			json_pack("{s:o, s:o, s:o, s:o, s:o, s:b}", "session", json_of(answer, row, 0),
					  "device", json_of(answer, row, 1), "created_at", json_of(answer, row, 2),
					  "seen_at", json_of(answer, row, 3), "expires_at", json_of(answer, row, 4),
					  "is_this", database_number(answer, row, 5) != 0));
	if (answer->result == NULL)
		http_problem_of_database(query->request, answer->sqlstate, answer->message);
	else if (answer->row_count == 0)
		http_problem(query->request, 401, "no-session", "the session has ended: log in");
	else
		http_answer_json(query->request, 200, json_pack("{s:O}", "sessions", list));
	json_decref(list);
	query_free(query);
}

/* ---- cookies ---- */

/* False after answering that the relay has no sessions. */
static bool
is_on(HttpRequest *request)
{
	if (config.sessions)
		return true;
	http_problem(request, 404, "no-endpoint", "this relay has no sessions (--sessions)");
	return false;
}

/* The page that asks can read our cookie: it has sent the same again.  False after answering, or if there is
 * no such cookie. */
static bool
is_ours(HttpRequest *request, SessionQuery *query)
{
	const char *shown = http_field(&request->head, "x-csrf-token");

	if (!take_cookie(request, "ydoc_csrf", query->csrf, CSRF_LETTERS))
		return false;
	if (strlen(query->csrf) == CSRF_LETTERS && shown != NULL && strlen(shown) == CSRF_LETTERS &&
		strspn(shown, "0123456789abcdef") == CSRF_LETTERS &&
		CRYPTO_memcmp(shown, query->csrf, CSRF_LETTERS) == 0)
		return true;
	http_problem(request, 403, "csrf",
				 config.secure_cookies
					 ? "the field X-CSRF-Token must repeat what is in the cookie __Host-ydoc_csrf"
					 : "the field X-CSRF-Token must repeat what is in the cookie ydoc_csrf");
	return false;
}

/* False if there is none, several of that name, or something that is none of ours. */
static bool
take_cookie(const HttpRequest *request, const char *name, char *value, size_t most)
{
	const char *field = http_field(&request->head, "cookie");
	char full[COOKIE_MAX];
	Bytes found;

	snprintf(full, sizeof full, "%s%s", config.secure_cookies ? "__Host-" : "", name);
	if (field == NULL || !identity_find_cookie(field, full, &found) || found.size == 0 ||
		found.size > most)
		return false;
	memcpy(value, found.data, found.size);
	value[found.size] = '\0';
	return true;
}

static void
set_cookie(HttpRequest *request, const char *name, Bytes value, int64_t seconds, bool is_readable)
{
	char field[COOKIE_MAX];

	snprintf(field, sizeof field, "%s%s=%.*s; Path=/; Max-Age=%lld; SameSite=Strict%s%s",
			 config.secure_cookies ? "__Host-" : "", name, (int) value.size,
			 value.data != NULL ? (const char *) value.data : "", (long long) seconds,
			 config.secure_cookies ? "; Secure" : "", is_readable ? "" : "; HttpOnly");
	http_answer_field(request, "Set-Cookie", field);
	OPENSSL_cleanse(field, sizeof field);
}

static void
clear_cookies(HttpRequest *request)
{
	set_cookie(request, config.cookie, (Bytes){0}, 0, false);
	set_cookie(request, "ydoc_refresh", (Bytes){0}, 0, false);
	set_cookie(request, "ydoc_csrf", (Bytes){0}, 0, true);
}

/* ---- questions ---- */

/* NULL after answering that there is no memory. */
static SessionQuery *
query_new(HttpRequest *request)
{
	SessionQuery *query = calloc(1, sizeof *query);

	if (query == NULL)
		http_problem(request, 503, "overloaded", "out of memory");
	else
		query->request = http_retain(request);
	return query;
}

static void
query_free(SessionQuery *query)
{
	http_release(query->request);
	identity_release(query->identity);
	OPENSSL_cleanse(query, sizeof *query);
	free(query);
}

static json_t *
json_of(const DatabaseAnswer *answer, int row, int column)
{
	Bytes text = database_bytes(answer, row, column);

	return database_is_null(answer, row, column)
			   ? json_null()
			   : json_stringn((const char *) text.data, text.size);
}
