/*
 * api.c: endpoints of documents.
 *
 * Here: what is asked of the database, and its answers as HTTP's.  Not here: who may (the database
 * checks the claims of each question), how an update is stored (batch.c).
 *
 * What is read waits in a list and is asked a few at a time: people who type come first, and no crowd
 * of readers has more documents in memory than config.max_load_memory and these few.
 */
#include "api.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../token/base64url.h"
#include "api_openapi.h"
#include "batch.h"
#include "config.h"
#include "database.h"
#include "http_answer.h"
#include "listener.h"
#include "loop.h"
#include "name.h"
#include "room.h"

#define PAGE_LEAST 1
#define PAGE_MOST 1000
#define PAGE_STANDARD 100
#define POSTED_SHARE 4 /* a quarter of config.max_pending_bytes */

typedef struct Kind
{
	const char *segment; /* of the path */
	const char *name; /* ydoc.content's */
	const char *type;
	const char *accepted; /* media type that asks for it; NULL: only its segment does */
} Kind;

static const Kind kinds[] = {
	/* the first is what somebody gets who takes anything */
	{"update", "update", "application/octet-stream", "application/octet-stream"},
	{"json", "json", "application/json", "application/json"},
	{"text", "text", "text/plain; charset=utf-8", "text/plain"},
	{"html", "html", "text/html; charset=utf-8", "text/html"},
	{"markdown", "markdown", "text/markdown; charset=utf-8", "text/markdown"},
	{"state-vector", "state_vector", "application/octet-stream", NULL},
};

#define KINDS ((int) (sizeof kinds / sizeof kinds[0]))

typedef struct Question /* to a reader */
{
	DatabaseQuery query; /* first */
	HttpRequest *request; /* held */
	const Kind *kind;
	uint8_t known[2][8]; /* epoch, seq */
	uint8_t at_most[4];
	int64_t page; /* the same */
	uint8_t *state_vector;
	struct Question *next;
} Question;

typedef struct Post
{
	BatchTicket ticket; /* first */
	HttpRequest *request; /* held */
} Post;

static void get_openapi(HttpRequest *request);
static void get_documents(HttpRequest *request);
static void got_documents(DatabaseQuery *query, const DatabaseAnswer *answer);
static void get_content(HttpRequest *request);
static void got_content(DatabaseQuery *query, const DatabaseAnswer *answer);
static void get_versions(HttpRequest *request);
static void got_versions(DatabaseQuery *query, const DatabaseAnswer *answer);
static void post_update(HttpRequest *request);
static bool has_room_for(size_t size);
static void posted(BatchTicket *ticket, const char *sqlstate, const char *message);
static bool name_is_good(HttpRequest *request);
static const Kind *find_kind(HttpRequest *request);
static const Kind *accepted_kind(const char *accept);
static double quality_of(const char *accept, const char *type);
static bool read_known(const char *tags, const Kind *kind, int64_t *epoch, int64_t *seq);
static bool read_epoch(const char *text, int64_t *epoch);
static bool read_state_vector(Question *question, const char *text, Bytes *vector);
static void answer_failure(HttpRequest *request, const char *sqlstate, const char *message);
static Question *question_new(HttpRequest *request);
static void ask(Question *question);
static void question_free(Question *question);

static Question *first, **last_next = &first;
static int64_t asked; /* of the database, not answered yet */

#define DOCUMENT "/api/documents/:name"
#define VERSION DOCUMENT "/versions/:label"

const HttpEndpoint api_endpoints[] = {
	{HTTP_GET, "/api/openapi.json", .handle = get_openapi, .is_public = true},
	{HTTP_GET, "/api/documents", .handle = get_documents},
	{HTTP_GET, DOCUMENT, .handle = get_content},
	{HTTP_GET, DOCUMENT "/update", .handle = get_content},
	{HTTP_GET, DOCUMENT "/state-vector", .handle = get_content},
	{HTTP_GET, DOCUMENT "/json", .handle = get_content},
	{HTTP_GET, DOCUMENT "/text", .handle = get_content},
	{HTTP_GET, DOCUMENT "/html", .handle = get_content},
	{HTTP_GET, DOCUMENT "/markdown", .handle = get_content},
	{HTTP_GET, DOCUMENT "/versions", .handle = get_versions},
	{HTTP_GET, VERSION, .handle = get_content},
	{HTTP_GET, VERSION "/update", .handle = get_content},
	{HTTP_GET, VERSION "/state-vector", .handle = get_content},
	{HTTP_GET, VERSION "/json", .handle = get_content},
	{HTTP_GET, VERSION "/text", .handle = get_content},
	{HTTP_GET, VERSION "/html", .handle = get_content},
	{HTTP_GET, VERSION "/markdown", .handle = get_content},
	{HTTP_POST, DOCUMENT "/update", .handle = post_update,
	 .most_body_bytes = &config.max_message_bytes,
	 .body_types = "application/octet-stream, text/plain", .takes_untyped = true},
	{0},
};

void
api_end_round(void)
{
	while (first != NULL && asked < config.readers && http_answer_bytes() < config.max_load_memory)
	{
		Question *question = first;

		first = question->next;
		if (first == NULL)
			last_next = &first;
		if (question->request->state != HTTP_REQUEST_ANSWERING)
		{
			question_free(question); /* it has gone, or was told that we are too slow */
			continue;
		}
		asked++;
		database_submit((uint32_t) asked, &question->query);
	}
}

void
api_stop(void)
{
	for (Question *question; (question = first) != NULL;)
	{
		first = question->next;
		question_free(question);
	}
	last_next = &first;
}

static void
get_openapi(HttpRequest *request)
{
	http_answer(request, 200, "application/json",
				(Bytes){(const uint8_t *) api_openapi, sizeof api_openapi - 1});
}

/* ---- the list ---- */

static Bytes
text_view(const char *text)
{
	return (Bytes){(const uint8_t *) text, text != NULL ? strlen(text) : 0};
}

static void
get_documents(HttpRequest *request)
{
	const char *after = http_parameter(&request->head, "after");
	const char *prefix = http_parameter(&request->head, "prefix");
	const char *limit = http_parameter(&request->head, "limit");
	char *end;
	long at_most = limit != NULL ? strtol(limit, &end, 10) : PAGE_STANDARD;

	if (limit != NULL && (*limit < '0' || *limit > '9' || *end != '\0' || at_most < PAGE_LEAST ||
						  at_most > PAGE_MOST))
	{
		http_problem(request, 400, "malformed", "limit must be a number from 1 to 1000");
		return;
	}
	Question *question = question_new(request);

	if (question == NULL)
		return;
	question->page = at_most;
	database_write_int4(question->at_most, (int32_t) at_most);
	question->query.statement = STATEMENT_DOCUMENTS;
	question->query.done = got_documents;
	question->query.parameters[0] = text_view(after);
	question->query.parameters[1] = text_view(prefix);
	question->query.parameters[2] = (Bytes){question->at_most, sizeof question->at_most};
	ask(question);
}

static json_t *
json_text(const DatabaseAnswer *answer, int row, int column)
{
	Bytes text = database_bytes(answer, row, column);

	return database_is_null(answer, row, column)
			   ? json_null()
			   : json_stringn((const char *) text.data, text.size);
}

static void
got_documents(DatabaseQuery *query, const DatabaseAnswer *answer)
{
	Question *question = (Question *) query;
	HttpRequest *request = question->request;
	json_t *list = json_array(), *next = json_null();
	int64_t at_most = question->page;

	asked--;
	for (int row = 0; answer->result != NULL && row < answer->row_count; row++)
	{
		bool is_mark = database_is_null(answer, row, 4);

		if (row == at_most - 1 || is_mark) /* there may be more after it */
		{
			json_decref(next);
			next = json_text(answer, row, 0);
		}
		if (!is_mark)
			json_array_append_new(
				list, json_pack("{s:o, s:o, s:I, s:o, s:o}", "name", json_text(answer, row, 0),
								"epoch", json_text(answer, row, 1), "seq",
								(json_int_t) database_number(answer, row, 2), "created_at",
								json_text(answer, row, 3), "level", json_text(answer, row, 4)));
	}
	if (answer->result == NULL)
	{
		answer_failure(request, answer->sqlstate, answer->message);
		json_decref(list);
		json_decref(next);
	}
	else
		http_answer_json(request, 200,
						 json_pack("{s:o, s:o}", "documents", list, "next_after", next));
	question_free(question);
}

/* ---- one of them ---- */

static void
get_content(HttpRequest *request)
{
	const Kind *kind = name_is_good(request) ? find_kind(request) : NULL;
	const char *vector = http_parameter(&request->head, "state_vector");
	const char *tags = http_field(&request->head, "if-none-match");
	const char *format = http_parameter(&request->head, "format");
	bool is_second = format != NULL && strcmp(format, "2") == 0;
	int64_t epoch = 0, seq = 0;

	if (kind == NULL)
		return;
	if ((vector != NULL || format != NULL) && kind != &kinds[0])
	{
		http_problem(request, 400, "malformed", "state_vector and format are for updates");
		return;
	}
	if (format != NULL && !is_second && strcmp(format, "1") != 0)
	{
		http_problem(request, 400, "malformed", "format must be 1 or 2");
		return;
	}
	Question *question = question_new(request);
	Bytes vector_bytes = {0};

	if (question == NULL || !read_state_vector(question, vector, &vector_bytes))
		return;
	question->kind = kind;
	if (tags != NULL)
		(void) read_known(tags, kind, &epoch, &seq);
	database_write_number(question->known[0], epoch);
	database_write_number(question->known[1], seq);
	question->query.statement = STATEMENT_CONTENT;
	question->query.done = got_content;
	question->query.parameters[0] = request->names[0];
	question->query.parameters[1] = text_view(is_second ? "update_v2" : kind->name);
	question->query.parameters[2] = text_view(http_parameter(&request->head, "root"));
	question->query.parameters[3] = request->names[1];
	question->query.parameters[4] = vector_bytes;
	question->query.parameters[5] = (Bytes){question->known[0], sizeof question->known[0]};
	question->query.parameters[6] = (Bytes){question->known[1], sizeof question->known[1]};
	ask(question);
}

static void
got_content(DatabaseQuery *query, const DatabaseAnswer *answer)
{
	Question *question = (Question *) query;
	HttpRequest *request = question->request;
	char tag[100];

	asked--;
	if (answer->result == NULL)
		answer_failure(request, answer->sqlstate, answer->message);
	else if (answer->row_count != 1)
		http_problem(request, 404, request->names[1].size > 0 ? "no-version" : "no-document",
					 request->names[1].size > 0 ? "there is no such document or version"
												: "there is no document of that name");
	else
	{
		snprintf(tag, sizeof tag, "\"%lld.%lld.%s\"", (long long) database_number(answer, 0, 0),
				 (long long) database_number(answer, 0, 1), question->kind->segment);
		http_answer_field(request, "ETag", tag);
		http_answer_field(request, "Vary", "Accept, Authorization, Cookie");
		if (database_is_null(answer, 0, 2))
			http_answer(request, 304, NULL, (Bytes){0});
		else
			http_answer(request, 200, question->kind->type, database_bytes(answer, 0, 2));
	}
	question_free(question);
}

static void
get_versions(HttpRequest *request)
{
	Question *question = name_is_good(request) ? question_new(request) : NULL;

	if (question == NULL)
		return;
	question->query.statement = STATEMENT_VERSIONS;
	question->query.done = got_versions;
	question->query.parameters[0] = request->names[0];
	ask(question);
}

static void
got_versions(DatabaseQuery *query, const DatabaseAnswer *answer)
{
	Question *question = (Question *) query;
	HttpRequest *request = question->request;
	json_t *list = json_array();

	asked--;
	for (int row = 0; answer->result != NULL && row < answer->row_count; row++)
		if (!database_is_null(answer, row, 1))
			json_array_append_new(
				list, json_pack("{s:o, s:I, s:o, s:o, s:o}", "label", json_text(answer, row, 1),
								"seq", (json_int_t) database_number(answer, row, 2), "at",
								json_text(answer, row, 3), "actor", json_text(answer, row, 4),
								"note", json_text(answer, row, 5)));
	if (answer->result == NULL)
		answer_failure(request, answer->sqlstate, answer->message);
	else if (answer->row_count == 0)
		http_problem(request, 404, "no-document", "there is no document of that name");
	else
		http_answer_json(request, 200, json_pack("{s:O}", "versions", list));
	json_decref(list);
	question_free(question);
}

/* ---- an update ---- */

/* As fetch sends it, or navigator.sendBeacon when a page closes. */
static void
post_update(HttpRequest *request)
{
	const char *epoch = http_parameter(&request->head, "epoch");
	int64_t known_epoch = 0;
	Post *post = NULL;
	Room *room = NULL;
	int code = CLOSE_OVERLOAD;

	if (!name_is_good(request))
		return;
	if (epoch != NULL && !read_epoch(epoch, &known_epoch))
	{
		http_problem(request, 400, "malformed", "epoch must be the number that the list has");
		return;
	}
	if (request->body.size == 0)
	{
		http_problem(request, 400, "malformed", "the body is to be an update, and is empty");
		return;
	}
	if (!loop_is_draining() && has_room_for(request->body.size) &&
		(post = calloc(1, sizeof *post)) != NULL)
		room = room_hold((const char *) request->names[0].data, request->names[0].size);
	if (room != NULL)
	{
		post->ticket = (BatchTicket){
			.identity = request->identity, .known_epoch = known_epoch, .done = posted};
		if (request->wsi != NULL)
			post->ticket.address = listener_address(request->wsi);
		post->request = http_retain(request);
		code = batch_add_for(room, &post->ticket, buffer_view(&request->body));
		room_release(room);
	}
	if (code == 0)
		return;
	if (post != NULL && post->request != NULL)
		http_release(request);
	free(post);
	http_answer_field(request, "Retry-After", "5");
	http_problem(request, 503, "overloaded", "the database does not keep up; come back later");
}

/* Of what may wait for the database.  Whoever posts need not have the right to, as only the database can tell: so
 * he leaves the most of it to those who type, of whom that is known. */
static bool
has_room_for(size_t size)
{
	int64_t waiting = batch_pending_bytes();

	return waiting == 0 || waiting + (int64_t) size <= config.max_pending_bytes / POSTED_SHARE;
}

static void
posted(BatchTicket *ticket, const char *sqlstate, const char *message)
{
	Post *post = (Post *) ticket;

	if (sqlstate == NULL)
		http_answer(post->request, 204, NULL, (Bytes){0});
	else
		answer_failure(post->request, sqlstate, message);
	http_release(post->request);
	free(post);
}

/* ---- what a request says ---- */

/* False after answering that the path names no document that could be. */
static bool
name_is_good(HttpRequest *request)
{
	if (name_is_document(request->names[0]))
		return true;
	http_problem(request, 400, "malformed", "a document's name has 1 to 1024 bytes");
	return false;
}

/* As the path says, or else the Accept field; NULL after answering that there is none. */
static const Kind *
find_kind(HttpRequest *request)
{
	const char *segment = strrchr(request->endpoint->path, '/') + 1;
	const char *accept = http_field(&request->head, "accept");
	const Kind *kind = NULL;

	for (int i = 0; i < KINDS && segment[0] != ':'; i++)
		if (strcmp(segment, kinds[i].segment) == 0)
			return &kinds[i];
	kind = accept != NULL ? accepted_kind(accept) : &kinds[0];
	if (kind == NULL)
		http_problem(
			request, 406, "not-acceptable",
			"there are application/octet-stream, application/json, text/plain, text/html and"
			" text/markdown");
	return kind;
}

/* The one that is liked best, of several the first. */
static const Kind *
accepted_kind(const char *accept)
{
	const Kind *best = NULL;
	double most = 0.0;

	for (int i = 0; i < KINDS; i++)
	{
		double quality = kinds[i].accepted != NULL ? quality_of(accept, kinds[i].accepted) : 0.0;

		if (quality > most)
		{
			best = &kinds[i];
			most = quality;
		}
	}
	return best;
}

/* What the most specific range of the field (RFC 9110 section 12.5.1) says of the type; 0: not that. */
static double
quality_of(const char *accept, const char *type)
{
	size_t type_size = strlen(type), group = strcspn(type, "/") + 1;
	int precision = 0;
	double quality = 0.0;

	for (const char *at = accept; *at != '\0'; at += strcspn(at, ","), at += *at == ',')
	{
		at += strspn(at, " \t");
		size_t size = strcspn(at, ";, \t"), whole = strcspn(at, ",");
		int match = size == type_size && strncasecmp(at, type, size) == 0                        ? 3
					: size == group + 1 && strncasecmp(at, type, group) == 0 && at[group] == '*' ? 2
					: size == 3 && strncmp(at, "*/*", 3) == 0                                    ? 1
															  : 0;
		const char *parameter = memmem(at, whole, "q=", 2);

		if (match <= precision)
			continue;
		precision = match;
		quality = parameter != NULL ? atof(parameter + 2) : 1.0;
	}
	return quality;
}

/* "EPOCH.SEQ.KIND", one of ours among these tags. */
static bool
read_known(const char *tags, const Kind *kind, int64_t *epoch, int64_t *seq)
{
	size_t length = strlen(kind->segment);

	for (const char *at = tags; (at = strchr(at, '"')) != NULL; at++)
	{
		char *end;

		errno = 0;
		*epoch = strtoll(at + 1, &end, 10);
		*seq = *end == '.' ? strtoll(end + 1, &end, 10) : 0;
		if (errno == 0 && *end == '.' && strncmp(end + 1, kind->segment, length) == 0 &&
			end[length + 1] == '"')
			return true;
	}
	*epoch = *seq = 0;
	return false;
}

static bool
read_epoch(const char *text, int64_t *epoch)
{
	char *end;

	errno = 0;
	*epoch = strtoll(text, &end, 10);
	return errno == 0 && text[0] >= '1' && text[0] <= '9' && *end == '\0';
}

/* False after answering that it is none. */
static bool
read_state_vector(Question *question, const char *text, Bytes *vector)
{
	size_t size = text != NULL ? strlen(text) : 0;

	if (size == 0)
		return true;
	question->state_vector = malloc(size);
	if (question->state_vector != NULL &&
		base64url_decode((Bytes){(const uint8_t *) text, size}, question->state_vector, &size))
	{
		*vector = (Bytes){question->state_vector, size};
		return true;
	}
	http_problem(question->request, 400, "malformed",
				 "state_vector must be base64url without padding");
	question_free(question);
	return false;
}

/* A stranger who may not may log in. */
static void
answer_failure(HttpRequest *request, const char *sqlstate, const char *message)
{
	if (strcmp(sqlstate, "42501") == 0 && identity_is_checked() && request->identity->is_stranger)
		http_problem(request, 401, "unauthorized", "log in for this document");
	else
		http_problem_of_database(request, sqlstate, message);
}

/* ---- questions ---- */

/* NULL after answering that there is no memory. */
static Question *
question_new(HttpRequest *request)
{
	Question *question = calloc(1, sizeof *question);

	if (question == NULL)
	{
		http_problem(request, 503, "overloaded", "out of memory");
		return NULL;
	}
	question->request = http_retain(request);
	question->query.claims = identity_claims(request->identity);
	return question;
}

static void
ask(Question *question)
{
	question->next = NULL;
	*last_next = question;
	last_next = &question->next;
}

static void
question_free(Question *question)
{
	http_release(question->request);
	free(question->state_vector);
	free(question);
}
