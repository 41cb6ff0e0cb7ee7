/*
 * A request over plain HTTP and its answer, which may take a question to the database.
 *
 *     static void get_text(HttpRequest *request)                  an endpoint (http.h)
 *     {
 *         ... request->names[0], http_parameter(&request->head, "root") ...
 *         query->request = http_retain(request);                  ask, and answer in done():
 *     }
 *     static void got_text(DatabaseQuery *query, const DatabaseAnswer *answer)
 *     {
 *         http_answer(request, 200, "text/plain; charset=utf-8", database_bytes(answer, 0, 0));
 *         http_release(request);
 *     }
 *
 * Each request is answered once, by one of http_answer.h, and each socket serves one request.  The
 * socket may die at any time: the request lives on while it is held, and an answer to nobody is
 * dropped.  Nobody waits for ever: a body that comes too slowly, an endpoint that does not answer and
 * a peer that does not read are each cut or told so.
 *
 *     READING the body -> ANSWERING (the endpoint's turn) -> WRITING -> DONE
 *                 +---------- refused ------------------------> WRITING -> DRAINING -> DONE
 *
 * A body that is refused is read on for a moment: were its socket closed at once, the kernel would reset
 * it, and who is still sending would never see the answer.
 */
#ifndef RELAY_HTTP_REQUEST_H
#define RELAY_HTTP_REQUEST_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "http_head.h"
#include "identity.h"

struct lws;
typedef struct HttpEndpoint HttpEndpoint;

enum
{
	HTTP_NAMES_MAX = 4
};

typedef enum HttpRequestState
{
	HTTP_REQUEST_READING,
	HTTP_REQUEST_ANSWERING,
	HTTP_REQUEST_WRITING,
	HTTP_REQUEST_DRAINING,
	HTTP_REQUEST_DONE
} HttpRequestState;

typedef struct HttpRequest
{
	struct lws *wsi; /* NULL once the socket is gone */
	int references;
	HttpRequestState state;
	const HttpEndpoint *endpoint; /* NULL: there is none, and the answer says so */
	HttpHead head;
	HttpMethod method; /* that the endpoint sees: GET for HEAD */
	Bytes names[HTTP_NAMES_MAX]; /* decoded, NUL-terminated, of the path's ":name" segments */
	char *name_text; /* where they are */
	Identity *identity; /* never NULL in an endpoint's hands */
	const char *allowed_origin; /* listed, and so the page there may read the answer; else NULL */
	Buffer body;
	uint64_t body_size; /* as announced */
	double body_deadline; /* loop_now() until which it may take */
	bool is_body_complete;
	ev_timer timer;

	/* http_answer.c's */
	Buffer answer_head, answer_fields, answer_body;
	size_t written; /* of both */
} HttpRequest;

/* NULL when out of memory; the caller's first reference is the socket's. */
HttpRequest *http_request_new(struct lws *wsi);
HttpRequest *http_retain(HttpRequest *request);
void http_release(HttpRequest *request);

/* Reads how large a body is announced; false after answering that this cannot be told. */
bool http_request_announce(HttpRequest *request);

/* The head is good: reads the body, if it has one and the endpoint takes it, then calls the endpoint. */
void http_request_begin(HttpRequest *request);

/* libwebsockets' callbacks; false: the socket is to be closed. */
bool http_request_take_body(HttpRequest *request, Bytes part);
bool http_request_body_complete(HttpRequest *request);

/* Its socket is gone, and the socket's reference with it. */
void http_request_gone(HttpRequest *request);

/* From now on it has so many seconds for what its state says. */
void http_request_set_limit(HttpRequest *request, double seconds);

#endif
