/*
 * http_answer.c: bytes of answers, and getting them out.
 *
 * Here: heads, problems, writing.  Not here: what is answered (the endpoints).
 */
#include "http_answer.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "metrics.h"

#define PART_BYTES (64 << 10) /* a write; the library copies what the kernel does not take of it */
#define STALL_SECONDS 30.0 /* without a byte that the peer takes */
#define DRAIN_SECONDS 2.0 /* for the rest of a refused body */
#define HEAD_MOST 1024

/*
 * A page of ours loads nothing from elsewhere and runs no inline script, so a document's content
 * that slips into markup is inert.  Inline styles are let through: editors position cursors so.
 */
const char *const http_common_fields[] = {
	"X-Content-Type-Options",
	"nosniff",
	"Content-Security-Policy",
	"default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:;"
	" style-src 'self' 'unsafe-inline'; base-uri 'self'; frame-ancestors 'none';"
	" object-src 'none'",
	"Referrer-Policy",
	"same-origin",
	"Connection",
	"close", /* one request a socket: listener_request_head() */
	NULL,
};

/* What is no page needs none of that. */
static const char data_fields[] =
	"X-Content-Type-Options: nosniff\r\n"
	"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; sandbox\r\n"
	"Referrer-Policy: no-referrer\r\n"
	"Cache-Control: private, no-store\r\n"
	"Connection: close\r\n";

static int64_t answer_bytes;

static const char *phrase_of(unsigned status);
static json_t *problem_json(unsigned status, const char *code, const char *detail);
static bool begin(HttpRequest *request, unsigned status, const char *type, size_t size);
static void end(HttpRequest *request);
static void count_bytes(int64_t bytes);

void
http_answer_field(HttpRequest *request, const char *name, const char *value)
{
	Buffer *fields = &request->answer_fields;

	if (strpbrk(value, "\r\n") != NULL)
		return;
	for (const char *const *part = (const char *[]){name, ": ", value, "\r\n", NULL}; *part != NULL;
		 part++)
		buffer_write(fields, (Bytes){(const uint8_t *) *part, strlen(*part)});
}

void
http_answer(HttpRequest *request, unsigned status, const char *type, Bytes content)
{
	if (!begin(request, status, type, content.size))
		return;
	if (request->head.method != HTTP_HEAD)
		buffer_write(&request->answer_body, content);
	end(request);
}

void
http_answer_take(HttpRequest *request, unsigned status, const char *type, Buffer *content)
{
	if (begin(request, status, type, content->size))
	{
		if (request->head.method != HTTP_HEAD)
		{
			request->answer_body = *content;
			*content = (Buffer){0};
		}
		end(request);
	}
	buffer_free(content);
}

void
http_answer_json(HttpRequest *request, unsigned status, json_t *json)
{
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	if (text == NULL)
		http_problem(request, 503, "overloaded", "out of memory");
	else
		http_answer(request, status, "application/json",
					(Bytes){(const uint8_t *) text, strlen(text)});
	free(text);
}

void
http_problem(HttpRequest *request, unsigned status, const char *code, const char *detail)
{
	json_t *json = problem_json(status, code, detail);
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	size_t size = text != NULL ? strlen(text) : 0;

	json_decref(json);
	metrics_add(METRIC_HTTP_PROBLEMS, 1);
	if (status == 401)
		http_answer_field(request, "WWW-Authenticate", "Bearer");
	http_answer(request, status, "application/problem+json", (Bytes){(const uint8_t *) text, size});
	free(text);
}

void
http_problem_of_database(HttpRequest *request, const char *sqlstate, const char *message)
{
	static const struct
	{
		const char *sqlstate; /* or the beginning */
		unsigned status;
		const char *code;
	} problems[] = {
		{"28000", 401, "bad-token"},        {"42501", 403, "forbidden"},
		{"YD001", 410, "document-deleted"}, {"YD002", 410, "document-moved"},
		{"42704", 404, "not-found"},        {"22P03", 422, "malformed-bytes"},
		{"54", 413, "too-large"},           {"22", 400, "malformed"},
	};

	for (size_t i = 0; i < sizeof problems / sizeof problems[0]; i++)
		if (strncmp(sqlstate, problems[i].sqlstate, strlen(problems[i].sqlstate)) == 0)
		{
			http_problem(request, problems[i].status, problems[i].code, message);
			return;
		}
	/* of the installation, or of the moment: not for strangers to read */
	http_answer_field(request, "Retry-After", "5");
	http_problem(request, 503, "database-away", "the database cannot answer now");
}

bool
http_answer_write(HttpRequest *request)
{
	if (request->state != HTTP_REQUEST_WRITING)
		return request->state != HTTP_REQUEST_DONE;
	const Buffer *head = &request->answer_head, *body = &request->answer_body;
	bool is_head = request->written < head->size;
	size_t at = is_head ? request->written : request->written - head->size;
	const Buffer *part = is_head ? head : body;
	size_t size = part->size - at < PART_BYTES ? part->size - at : PART_BYTES;

	if (size > 0 && lws_write(request->wsi, part->data + at, size, LWS_WRITE_RAW) < 0)
		return false;
	request->written += size;
	if (request->written == head->size + body->size)
	{
		bool is_over = request->body_size == 0 || request->is_body_complete;

		request->state = is_over ? HTTP_REQUEST_DONE : HTTP_REQUEST_DRAINING;
		http_request_set_limit(request, DRAIN_SECONDS);
		return !is_over;
	}
	http_request_set_limit(request, STALL_SECONDS);
	lws_callback_on_writable(request->wsi);
	return true;
}

int
http_refusal(char *text, size_t size, unsigned status, const char *more, const char *code,
			 const char *detail)
{
	json_t *json = problem_json(status, code, detail);
	char *body = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	int length = snprintf(text, size,
						  "HTTP/1.1 %u %s\r\nContent-Type: application/problem+json\r\n"
						  "Content-Length: %zu\r\n%s%s\r\n%s",
						  status, phrase_of(status), body != NULL ? strlen(body) : 0, data_fields,
						  more, body != NULL ? body : "");

	json_decref(json);
	free(body);
	return length < (int) size ? length : (int) size - 1;
}

int64_t
http_answer_bytes(void)
{
	return answer_bytes;
}

void
http_answer_free(HttpRequest *request)
{
	if (request->state >= HTTP_REQUEST_WRITING)
		count_bytes(-(int64_t) request->answer_body.size);
	buffer_free(&request->answer_head);
	buffer_free(&request->answer_fields);
	buffer_free(&request->answer_body);
}

static const char *
phrase_of(unsigned status)
{
	switch (status)
	{
		case 200: return "OK";
		case 201: return "Created";
		case 204: return "No Content";
		case 303: return "See Other";
		case 304: return "Not Modified";
		case 400: return "Bad Request";
		case 401: return "Unauthorized";
		case 403: return "Forbidden";
		case 404: return "Not Found";
		case 405: return "Method Not Allowed";
		case 406: return "Not Acceptable";
		case 408: return "Request Timeout";
		case 409: return "Conflict";
		case 410: return "Gone";
		case 411: return "Length Required";
		case 413: return "Content Too Large";
		case 414: return "URI Too Long";
		case 415: return "Unsupported Media Type";
		case 422: return "Unprocessable Content";
		case 426: return "Upgrade Required";
		case 429: return "Too Many Requests";
		case 431: return "Request Header Fields Too Large";
		case 500: return "Internal Server Error";
		case 501: return "Not Implemented";
		case 503: return "Service Unavailable";
		default: return "Answer";
	}
}

static json_t *
problem_json(unsigned status, const char *code, const char *detail)
{
	return json_pack("{s:s+, s:s, s:i, s:s}", "type", "urn:problem-type:ydoc:", code, "title",
					 phrase_of(status), "status", (int) status, "detail", detail);
}

/* False if nobody waits for an answer, or has one already. */
static bool
begin(HttpRequest *request, unsigned status, const char *type, size_t size)
{
	char line[HEAD_MOST];
	const char *origin = request->allowed_origin;

	if (request->wsi == NULL || request->state >= HTTP_REQUEST_WRITING)
		return false;
	if (origin != NULL)
	{
		http_answer_field(request, "Access-Control-Allow-Origin", origin);
		http_answer_field(request, "Access-Control-Allow-Credentials", "true");
		http_answer_field(request, "Access-Control-Expose-Headers", "ETag, Link, Retry-After");
	}
	else
		http_answer_field(request, "Cross-Origin-Resource-Policy", "same-origin");
	if (type != NULL)
	{
		http_answer_field(request, "Content-Type", type);
		snprintf(line, sizeof line, "%zu", size);
		http_answer_field(request, "Content-Length", line);
	}
	int length = snprintf(line, sizeof line, "HTTP/1.1 %u %s\r\nVary: Origin\r\n%s", status,
						  phrase_of(status), data_fields);

	buffer_write(&request->answer_head, (Bytes){(const uint8_t *) line, (size_t) length});
	buffer_write(&request->answer_head, buffer_view(&request->answer_fields));
	buffer_write(&request->answer_head, (Bytes){(const uint8_t *) "\r\n", 2});
	return true;
}

static void
end(HttpRequest *request)
{
	request->written = 0;
	count_bytes((int64_t) request->answer_body.size);
	if (request->answer_head.failed || request->answer_fields.failed || request->answer_body.failed)
	{
		http_request_set_limit(request, 0.0); /* out of memory: cut */
		request->state = HTTP_REQUEST_WRITING;
		return;
	}
	request->state = HTTP_REQUEST_WRITING;
	http_request_set_limit(request, STALL_SECONDS);
	lws_callback_on_writable(request->wsi);
}

static void
count_bytes(int64_t bytes)
{
	answer_bytes += bytes;
	metrics_set(METRIC_HTTP_ANSWER_BYTES, answer_bytes);
}
