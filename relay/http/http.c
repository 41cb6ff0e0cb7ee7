/*
 * http.c: requests that are not WebSockets, and those that want to become one.
 *
 * Here: which endpoint, who asks, from which page; health.  Not here: sockets (listener.c), bodies
 * and time (http_request.c), answers' bytes (http_answer.c), documents (api.c).
 */
#include "http.h"

#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "board.h"
#include "breaker.h"
#include "config.h"
#include "database.h"
#include "http_answer.h"
#include "listener.h"
#include "loop.h"
#include "metrics.h"
#include "session.h"
#include "name.h"

#define PREFLIGHT_SECONDS "600"

static int refuse_upgrade(struct lws *wsi, unsigned status, const char *code, const char *detail);
static int answer(struct lws *wsi, HttpSlot *slot);
static void answer_head(HttpRequest *request, const char *head);
static bool may_ask(HttpRequest *request);
static void find_endpoint(HttpRequest *request);
static bool matches(HttpRequest *request, const char *pattern, bool *is_malformed);
static void answer_options(HttpRequest *request, unsigned methods);
static void name_methods(HttpRequest *request, const char *field, unsigned methods);
static bool identify(HttpRequest *request);
static void get_health(HttpRequest *request);
static void get_readiness(HttpRequest *request);
static void get_metrics(HttpRequest *request);

static const HttpEndpoint health_endpoints[] = {
	{HTTP_GET, "/healthz", .handle = get_health, .is_public = true},
	{HTTP_GET, "/readyz", .handle = get_readiness, .is_public = true},
	{HTTP_GET, "/metrics", .handle = get_metrics, .is_public = true},
	{0},
};

static const HttpEndpoint *const endpoint_tables[] = {health_endpoints, api_endpoints,
													  session_endpoints};

int
http_check_upgrade(struct lws *wsi)
{
	char name[NAME_MAX_BYTES + 1];

	free(listener_take_head(wsi));
	/* that it is a handshake as it must be, handshake.c has seen */
	if (!http_is_hocuspocus(wsi) && !http_document_name(wsi, name))
		return refuse_upgrade(wsi, 400, "malformed", "the path is no document's name");
	if (loop_is_draining())
		return refuse_upgrade(wsi, 503, "overloaded", "the relay is about to stop");
	return 0;
}

bool
http_is_hocuspocus(struct lws *wsi)
{
	const char *path = listener_request_path(wsi);
	size_t size = strlen(config.hocuspocus_path);

	if (size > 1 && config.hocuspocus_path[size - 1] == '/')
		size--; /* providers leave it away */
	if (path == NULL || size == 0 || strncmp(path, config.hocuspocus_path, size) != 0)
		return false;
	return path[size] == '\0' || (size > 1 && strcmp(path + size, "/") == 0);
}

bool
http_document_name(struct lws *wsi, char *name)
{
	const char *path = listener_request_path(wsi);
	size_t size = path != NULL ? strlen(path) : 0;

	/* each byte may be percent-encoded */
	if (path == NULL || path[0] != '/' || size > NAME_MAX_BYTES * 3 + 1)
		return false;
	char decoded[NAME_MAX_BYTES * 3 + 1];
	ssize_t length = http_decode(path + 1, size - 1, decoded);

	if (length < 0 || !name_is_document((Bytes){(const uint8_t *) decoded, (size_t) length}))
		return false;
	memcpy(name, decoded, (size_t) length);
	name[length] = '\0';
	return true;
}

void
http_authentication_failed(const HttpRequest *request)
{
	if (request->wsi != NULL)
		listener_authentication_failed(request->wsi);
}

int
http_callback(struct lws *wsi, enum lws_callback_reasons reason, HttpSlot *slot, void *in,
			  size_t size)
{
	HttpRequest *request = slot != NULL ? slot->request : NULL;

	switch (reason)
	{
		case LWS_CALLBACK_FILTER_HTTP_CONNECTION:
			if (listener_request_path(wsi) ==
				NULL) /* a second request, which nobody has looked at */
				return -1;
			listener_handshake_done(wsi);
			listener_request_done(wsi);
			return 0;
		case LWS_CALLBACK_HTTP: listener_handshake_done(wsi); return answer(wsi, slot);
		case LWS_CALLBACK_HTTP_BODY:
			return request == NULL || http_request_take_body(request, (Bytes){in, size}) ? 0 : -1;
		case LWS_CALLBACK_HTTP_BODY_COMPLETION:
			return request == NULL || http_request_body_complete(request) ? 0 : -1;
		case LWS_CALLBACK_HTTP_WRITEABLE:
			if (request != NULL)
				return http_answer_write(request) ? 0 : -1;
			return lws_callback_http_dummy(wsi, reason, slot, in, size);
		case LWS_CALLBACK_HTTP_FILE_COMPLETION: return -1; /* as "Connection: close" says */
		case LWS_CALLBACK_CLOSED_HTTP:
		case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
			if (request != NULL)
			{
				slot->request = NULL;
				http_request_gone(request);
			}
			return 0;
		default: return lws_callback_http_dummy(wsi, reason, slot, in, size);
	}
}

const struct lws_protocol_vhost_options *
http_security_headers(void)
{
	static struct lws_protocol_vhost_options headers[10];
	static char names[10][40];

	for (int i = 0; http_common_fields[2 * i] != NULL; i++)
	{
		for (size_t j = 0; http_common_fields[2 * i][j] != '\0'; j++)
			names[i][j] = (char) (http_common_fields[2 * i][j] | 0x20);
		strcat(names[i], ":");
		headers[i] = (struct lws_protocol_vhost_options){
			http_common_fields[2 * i + 2] != NULL ? &headers[i + 1] : NULL, NULL, names[i],
			http_common_fields[2 * i + 1]};
	}
	return headers;
}

/* Without files every path is ours anyway. */
const struct lws_http_mount *
http_mounts(void)
{
	static const struct lws_protocol_vhost_options more_types[] = {
		{&more_types[1], NULL, ".map", "application/json"},
		{&more_types[2], NULL, ".mjs", "text/javascript"},
		{&more_types[3], NULL, ".woff2", "font/woff2"},
		{NULL, NULL, ".webmanifest", "application/manifest+json"},
	};
	static struct lws_http_mount mounts[2];

	if (config.static_dir == NULL)
		return NULL;
	mounts[0] = (struct lws_http_mount){
		.mountpoint = "/api",
		.mountpoint_len = 4,
		.origin = "ydoc",
		.origin_protocol = LWSMPRO_CALLBACK,
		.protocol = "ydoc",
		.mount_next = &mounts[1],
	};
	mounts[1] = (struct lws_http_mount){
		.mountpoint = "/",
		.mountpoint_len = 1,
		.origin = config.static_dir,
		.origin_protocol = LWSMPRO_FILE,
		.def = "index.html",
		.protocol = "ydoc",
		.extra_mimetypes = more_types,
	};
	return &mounts[0];
}

static int
refuse_upgrade(struct lws *wsi, unsigned status, const char *code, const char *detail)
{
	char text[1024];
	int size = http_refusal(
		text, sizeof text, status,
		status == 426 ? "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n" : "", code, detail);

	metrics_add(METRIC_CONNECTIONS_REFUSED, 1);
	(void) !lws_write(wsi, (unsigned char *) text, (size_t) size, LWS_WRITE_RAW);
	return 1;
}

/* ---- from a request to its endpoint ---- */

/* Whatever no file was found for. */
static int
answer(struct lws *wsi, HttpSlot *slot)
{
	char *head = listener_take_head(wsi);

	if (head == NULL || slot == NULL || slot->request != NULL) /* a second request of this socket */
	{
		free(head);
		return -1;
	}
	slot->request = http_request_new(wsi);
	if (slot->request != NULL)
		answer_head(slot->request, head);
	free(head);
	return slot->request != NULL ? 0 : -1;
}

static void
answer_head(HttpRequest *request, const char *head)
{
	switch (http_head_read(&request->head, head, strlen(head)))
	{
		case HTTP_HEAD_GOOD: break;
		case HTTP_HEAD_TARGET_TOO_LONG:
			http_problem(request, 414, "target-too-long", "the path is longer than 8 kB");
			return;
		case HTTP_HEAD_TOO_MANY:
			http_problem(request, 431, "head-too-large", "too many header fields or parameters");
			return;
		default: http_problem(request, 400, "malformed", "this is no request of HTTP/1.1"); return;
	}
	if (!http_request_announce(request))
		return;
	request->method = request->head.method == HTTP_HEAD ? HTTP_GET : request->head.method;
	find_endpoint(request);
	if (request->endpoint == NULL)
		return; /* answered */
	if (request->endpoint->is_public || (may_ask(request) && identify(request)))
		http_request_begin(request);
}

/*
 * A browser sends a request from any page that it shows, and our cookie with it: only pages of our own
 * host and of config.origins may ask.  Others cannot read an answer, but might have one made.  What is
 * no browser says nothing of the kind.
 */
static bool
may_ask(HttpRequest *request)
{
	const char *origin = http_field(&request->head, "origin");
	const char *host = http_field(&request->head, "host");
	const char *site = http_field(&request->head, "sec-fetch-site");
	bool is_ours = origin != NULL && host != NULL && identity_is_own_origin(origin, host);

	if (origin != NULL && identity_is_listed_origin(origin))
		request->allowed_origin = origin;
	else if (origin != NULL
				 ? !is_ours
				 : site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
	{
		http_problem(request, 403, "cross-site",
					 "a page from elsewhere asks; the relay's option origins lists those that may");
		return false;
	}
	if (identity_may_come(request->wsi) && (host == NULL || identity_may_be_called(host)))
		return true;
	http_problem(
		request, 403, "cross-site",
		"a relay without keys, for this machine alone, is asked by another name; the relay's"
		" option origins lists those that may");
	return false;
}

/* Into request->endpoint, or answers that there is none. */
static void
find_endpoint(HttpRequest *request)
{
	unsigned methods = 0;
	bool is_malformed = false, is_public = true;

	for (size_t i = 0; i < sizeof endpoint_tables / sizeof endpoint_tables[0]; i++)
		for (const HttpEndpoint *endpoint = endpoint_tables[i]; endpoint->path != NULL; endpoint++)
		{
			if (!matches(request, endpoint->path, &is_malformed))
				continue;
			methods |= endpoint->method;
			is_public &= endpoint->is_public;
			if (endpoint->method == request->method)
			{
				request->endpoint = endpoint;
				return;
			}
		}
	if (is_malformed)
		http_problem(request, 400, "malformed",
					 "the path is not UTF-8 without control characters, percent-encoded");
	else if (methods == 0)
		http_problem(
			request, 404, "no-endpoint",
			strncmp(request->head.path, "/api/documents/", 15) == 0
				? "there is nothing at this path; a slash in a document's name is written %2F"
				: "there is nothing at this path");
	else if (request->method == HTTP_OPTIONS)
	{
		if (is_public || may_ask(request))
			answer_options(request, methods);
	}
	else
	{
		name_methods(request, "Allow", methods);
		http_problem(request, 405, "method", "this path does not take that method");
	}
}

/* If so, request->names are what stands for ":name" in the pattern. */
static bool
matches(HttpRequest *request, const char *pattern, bool *is_malformed)
{
	const char *path = request->head.path;
	size_t name_count = 0;
	char *text;

	free(request->name_text);
	memset(request->names, 0, sizeof request->names);
	text = request->name_text = malloc(strlen(path) + 1);
	while (text != NULL && *path == '/' && *pattern == '/')
	{
		size_t size = strcspn(++path, "/"), pattern_size = strcspn(++pattern, "/");
		ssize_t length = http_decode(path, size, text);

		if (length < 0 || !http_is_plain_text(text, (size_t) length))
		{
			*is_malformed = true;
			return false;
		}
		text[length] = '\0';
		if (*pattern == ':')
		{
			if (length == 0 || name_count == HTTP_NAMES_MAX)
				return false;
			request->names[name_count++] = (Bytes){(const uint8_t *) text, (size_t) length};
			text += length + 1;
		}
		else if ((size_t) length != pattern_size || memcmp(text, pattern, pattern_size) != 0)
			return false;
		path += size;
		pattern += pattern_size;
	}
	return text != NULL && *path == '\0' && *pattern == '\0';
}

static void
answer_options(HttpRequest *request, unsigned methods)
{
	name_methods(request, "Allow", methods);
	if (request->allowed_origin != NULL &&
		http_field(&request->head, "access-control-request-method") != NULL)
	{
		name_methods(request, "Access-Control-Allow-Methods", methods);
		http_answer_field(request, "Access-Control-Allow-Headers",
						  "Authorization, Content-Type, If-None-Match, X-CSRF-Token");
		http_answer_field(request, "Access-Control-Max-Age", PREFLIGHT_SECONDS);
	}
	http_answer(request, 204, NULL, (Bytes){0});
}

static void
name_methods(HttpRequest *request, const char *field, unsigned methods)
{
	static const struct
	{
		HttpMethod method;
		const char *name;
	} known[] = {{HTTP_GET, ", GET, HEAD"}, {HTTP_POST, ", POST"},     {HTTP_PUT, ", PUT"},
				 {HTTP_PATCH, ", PATCH"},   {HTTP_DELETE, ", DELETE"}, {HTTP_OPTIONS, ", OPTIONS"}};
	char list[100] = "";

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (((methods | HTTP_OPTIONS) & known[i].method) != 0)
			strcat(list, known[i].name);
	http_answer_field(request, field, list + 2);
}

/* False after answering that its token is bad. */
static bool
identify(HttpRequest *request)
{
	TokenVerdict refusal;

	request->identity = identity_of_request(request->wsi, &refusal);
	if (request->identity != NULL)
		return true;
	metrics_add(METRIC_TOKENS_REFUSED, 1);
	if (refusal == TOKEN_OUT_OF_MEMORY)
		http_problem(request, 503, "overloaded", "out of memory");
	else
	{
		http_authentication_failed(request);
		http_problem(request, 401, "bad-token", token_reason(refusal));
	}
	return false;
}

/* ---- health ---- */

static Bytes
view(const char *text)
{
	return (Bytes){(const uint8_t *) text, strlen(text)};
}

static void
get_health(HttpRequest *request)
{
	http_answer(request, 200, "text/plain", view("ok\n"));
}

static void
get_readiness(HttpRequest *request)
{
	bool ready = database_is_ready() && breaker_is_ready() && board_is_ready(!loop_is_draining());

	http_answer(request, ready ? 200 : 503, "text/plain", view(ready ? "ready\n" : "not ready\n"));
}

static void
get_metrics(HttpRequest *request)
{
	char *text;

	if (request->wsi == NULL || !listener_may_watch(request->wsi))
	{
		http_problem(
			request, 403, "address",
			"not from this address: the relay's option metrics-networks lists those that may");
		return;
	}
	text = board_metrics_text();
	if (text == NULL)
		http_problem(request, 503, "overloaded", "out of memory");
	else
		http_answer(request, 200, "application/openmetrics-text; version=1.0.0; charset=utf-8",
					view(text));
	free(text);
}
