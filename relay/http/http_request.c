/*
 * http_request.c: requests from their head to their end.
 *
 * Here: memory, bodies, time.  Not here: which endpoint (http.c), bytes of answers (http_answer.c).
 */
#include "http_request.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "http.h"
#include "http_answer.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "wire.h"

#define BODY_SECONDS 10.0 /* and a second more for each so many bytes: */
#define BODY_BYTES_PER_SECOND 32768.0
#define PAUSE_SECONDS \
	9.5 /* without a byte of it: after ten the library closes the socket, and says nothing */
#define ANSWER_SECONDS 30.0

static int64_t body_bytes; /* of all bodies */

static bool check_body(HttpRequest *request);
static void refuse_type(HttpRequest *request);
static bool read_length(const char *text, uint64_t *length);
static bool is_taken_type(const char *types, const char *type);
static void wait_for_body(HttpRequest *request);
static void hand_over(HttpRequest *request);
static void out_of_time(struct ev_loop *, ev_timer *, int);
static void forget_body(HttpRequest *request);
static void count_bytes(int64_t bytes);

HttpRequest *
http_request_new(struct lws *wsi)
{
	HttpRequest *request = calloc(1, sizeof *request);

	if (request == NULL)
		return NULL;
	metrics_add(METRIC_HTTP_REQUESTS, 1);
	request->wsi = wsi;
	request->references = 1;
	ev_init(&request->timer, out_of_time);
	request->timer.data = request;
	return request;
}

HttpRequest *
http_retain(HttpRequest *request)
{
	request->references++;
	return request;
}

void
http_release(HttpRequest *request)
{
	if (--request->references > 0)
		return;
	forget_body(request);
	http_answer_free(request);
	identity_release(request->identity);
	http_head_free(&request->head);
	free(request->name_text);
	free(request);
}

bool
http_request_announce(HttpRequest *request)
{
	const char *length = http_field(&request->head, "content-length");

	if (length == NULL || read_length(length, &request->body_size))
	{
		wire_expect_body(request->wsi, request->body_size);
		return true;
	}
	http_problem(request, 400, "malformed", "Content-Length is no number");
	return false;
}

void
http_request_begin(HttpRequest *request)
{
	static const char proceed[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const char *expected = http_field(&request->head, "expect");

	if (!check_body(request))
		return;
	if (request->body_size == 0)
	{
		hand_over(request);
		return;
	}
	request->body_deadline =
		loop_now() + BODY_SECONDS + (double) request->body_size / BODY_BYTES_PER_SECOND;
	wait_for_body(request);
	/* RAW: as it stands */
	if (expected != NULL && strcasecmp(expected, "100-continue") == 0 &&
		lws_write(request->wsi, (unsigned char *) proceed, sizeof proceed - 1, LWS_WRITE_RAW) < 0)
		http_request_set_limit(request, 0.0);
}

bool
http_request_take_body(HttpRequest *request, Bytes part)
{
	if (request->state != HTTP_REQUEST_READING)
		return true; /* refused: dropped */
	if (request->body.size + part.size > request->body_size)
		return false;
	if (body_bytes + (int64_t) part.size > config.max_reassembly_bytes)
	{
		http_answer_field(request, "Retry-After", "5");
		http_problem(request, 503, "overloaded", "too many large requests at once");
		return true;
	}
	buffer_write(&request->body, part);
	if (request->body.failed)
		http_problem(request, 503, "overloaded", "out of memory");
	else
	{
		count_bytes((int64_t) part.size);
		wait_for_body(request);
	}
	return true;
}

bool
http_request_body_complete(HttpRequest *request)
{
	request->is_body_complete = true;
	if (request->state == HTTP_REQUEST_READING)
	{
		if (request->body.size != request->body_size)
			return false;
		hand_over(request);
	}
	return request->state < HTTP_REQUEST_DRAINING;
}

void
http_request_gone(HttpRequest *request)
{
	ev_timer_stop(loop_ev(), &request->timer);
	request->wsi = NULL;
	http_answer_free(request);
	request->state = HTTP_REQUEST_DONE;
	forget_body(request);
	http_release(request);
}

void
http_request_set_limit(HttpRequest *request, double seconds)
{
	if (request->wsi == NULL)
		return;
	ev_timer_stop(loop_ev(), &request->timer);
	ev_timer_set(&request->timer, seconds, 0.0);
	ev_timer_start(loop_ev(), &request->timer);
}

/* False after answering why the body is not taken. */
static bool
check_body(HttpRequest *request)
{
	const HttpEndpoint *endpoint = request->endpoint;
	const char *type = http_field(&request->head, "content-type");
	const char *length = http_field(&request->head, "content-length");
	uint64_t size = request->body_size;

	if (http_field(&request->head, "transfer-encoding") != NULL)
	{
		http_problem(request, 411, "length-required",
					 "a body needs a Content-Length; Transfer-Encoding is not taken");
		return false;
	}
	if (endpoint->most_body_bytes == NULL && size > 0)
		http_problem(request, 400, "unexpected-body", "this takes no body");
	else if (endpoint->most_body_bytes == NULL)
		return true;
	else if (length == NULL)
		http_problem(request, 411, "length-required", "a body needs a Content-Length");
	else if (size > (uint64_t) *endpoint->most_body_bytes)
		http_problem(request, 413, "too-large", "the body is larger than the relay takes");
	else if (http_field(&request->head, "content-encoding") != NULL)
		http_problem(request, 415, "unsupported-type", "compressed bodies are not taken");
	else if (type == NULL ? endpoint->body_types != NULL && !endpoint->takes_untyped
						  : !is_taken_type(endpoint->body_types, type))
		refuse_type(request);
	else
		return true;
	return false;
}

static void
refuse_type(HttpRequest *request)
{
	char detail[200];

	snprintf(detail, sizeof detail, "the body must be %s", request->endpoint->body_types);
	http_problem(request, 415, "unsupported-type", detail);
}

static bool
read_length(const char *text, uint64_t *length)
{
	size_t size = strlen(text);

	if (size == 0 || size > 18 || strspn(text, "0123456789") != size)
		return false;
	*length = strtoull(text, NULL, 10);
	return true;
}

/* types: "application/json, text/plain"; what follows a semicolon in type is a parameter. */
static bool
is_taken_type(const char *types, const char *type)
{
	size_t size = strcspn(type, "; \t");

	for (const char *at = types; at != NULL && *at != '\0';)
	{
		size_t length = strcspn(at, ", ");

		if (length == size && strncasecmp(at, type, size) == 0)
			return true;
		at += length;
		at += strspn(at, ", ");
	}
	return types == NULL;
}

static void
wait_for_body(HttpRequest *request)
{
	double left = request->body_deadline - loop_now();

	http_request_set_limit(request, left < PAUSE_SECONDS ? left : PAUSE_SECONDS);
}

static void
hand_over(HttpRequest *request)
{
	request->state = HTTP_REQUEST_ANSWERING;
	lws_set_timeout(request->wsi, NO_PENDING_TIMEOUT, 0); /* ours looks after it */
	http_request_set_limit(request, ANSWER_SECONDS);
	request->endpoint->handle(request);
}

static void
out_of_time(struct ev_loop *loop, ev_timer *timer, int events)
{
	HttpRequest *request = timer->data;

	(void) loop, (void) events;
	switch (request->state)
	{
		case HTTP_REQUEST_READING:
			http_problem(request, 408, "too-slow", "the body did not arrive in time");
			break;
		case HTTP_REQUEST_ANSWERING:
			http_answer_field(request, "Retry-After", "5");
			http_problem(request, 503, "database-away", "the database does not answer in time");
			break;
		default:
			/* it does not read: the kernel is to forget what waits */
			lws_set_timeout(request->wsi, (enum pending_timeout) 1, LWS_TO_KILL_ASYNC);
			lws_cancel_service(lws_get_context(request->wsi));
	}
}

static void
forget_body(HttpRequest *request)
{
	count_bytes(-(int64_t) request->body.size);
	buffer_free(&request->body);
}

static void
count_bytes(int64_t bytes)
{
	body_bytes += bytes;
	metrics_set(METRIC_HTTP_BODY_BYTES, body_bytes);
}
