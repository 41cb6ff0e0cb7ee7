/*
 * http.c: requests that are not WebSockets, and those that want to become one.
 *
 * Here: paths, answers, headers.  Not here: sockets (listener.c), documents (room.c).
 */
#include "http.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "breaker.h"
#include "config.h"
#include "database.h"
#include "listener.h"
#include "loop.h"
#include "metrics.h"
#include "name.h"

static int refuse_upgrade(struct lws *wsi, unsigned status);
static int decoded(const char *at);
static int answer(struct lws *wsi, HttpSlot *slot, const char *path);
static int
begin_answer(struct lws *wsi, HttpSlot *slot, unsigned status, const char *type, char *body);
static int write_body(struct lws *wsi, HttpSlot *slot);
static bool is_path(const char *path, const char *wanted);

int
http_check_upgrade(struct lws *wsi)
{
	char name[NAME_MAX_BYTES + 1];

	/* that it is a handshake as it must be, handshake.c has seen */
	if (!http_is_hocuspocus(wsi) && !http_document_name(wsi, name))
		return refuse_upgrade(wsi, HTTP_STATUS_BAD_REQUEST);
	if (loop_is_draining())
		return refuse_upgrade(wsi, HTTP_STATUS_SERVICE_UNAVAILABLE);
	return 0;
}

bool
http_is_hocuspocus(struct lws *wsi)
{
	const char *path = listener_request_path(wsi);
	size_t size = strlen(config.hocuspocus_path);

	if (path == NULL || size == 0 || strncmp(path, config.hocuspocus_path, size) != 0)
		return false;
	return path[size] == '\0' || (size > 1 && strcmp(path + size, "/") == 0);
}

bool
http_document_name(struct lws *wsi, char *name)
{
	const char *path = listener_request_path(wsi);
	size_t size = 0;

	if (path == NULL || *path++ != '/')
		return false;
	for (; *path != '\0' && size < NAME_MAX_BYTES; size++)
	{
		int value = decoded(path);

		if (value < 0)
			return false;
		path += *path == '%' ? 3 : 1;
		name[size] = (char) value;
	}
	name[size] = '\0';
	return *path == '\0' && name_is_document((Bytes){(const uint8_t *) name, size});
}

int
http_callback(struct lws *wsi, enum lws_callback_reasons reason, HttpSlot *slot, void *in,
			  size_t size)
{
	switch (reason)
	{
		case LWS_CALLBACK_FILTER_HTTP_CONNECTION:
			if (listener_request_path(wsi) ==
				NULL) /* a second request, which nobody has looked at */
				return -1;
			listener_handshake_done(wsi);
			listener_request_done(wsi);
			return 0;
		case LWS_CALLBACK_HTTP: listener_handshake_done(wsi); return answer(wsi, slot, in);
		case LWS_CALLBACK_HTTP_WRITEABLE:
			if (slot != NULL && slot->body != NULL)
				return write_body(wsi, slot);
			return lws_callback_http_dummy(wsi, reason, slot, in, size);
		case LWS_CALLBACK_CLOSED_HTTP:
		case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
			if (slot != NULL)
			{
				free(slot->body);
				slot->body = NULL;
			}
			return 0;
		default: return lws_callback_http_dummy(wsi, reason, slot, in, size);
	}
}

/*
 * A page of ours loads nothing from elsewhere and runs no inline script, so a document's content
 * that slips into markup is inert.  Inline styles are let through: editors position cursors so.
 */
const struct lws_protocol_vhost_options *
http_security_headers(void)
{
	static const struct lws_protocol_vhost_options headers[] = {
		{&headers[1], NULL, "x-content-type-options:", "nosniff"},
		{&headers[2], NULL, "content-security-policy:",
		 "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:;"
		 " style-src 'self' 'unsafe-inline'; base-uri 'self'; frame-ancestors 'none';"
		 " object-src 'none'"},
		{&headers[3], NULL, "referrer-policy:", "same-origin"},
		{NULL, NULL, "connection:", "close"}, /* one request a socket: listener_request_path() */
	};

	return headers;
}

const struct lws_http_mount *
http_mounts(void)
{
	static const struct lws_protocol_vhost_options more_types[] = {
		{&more_types[1], NULL, ".map", "application/json"},
		{&more_types[2], NULL, ".mjs", "text/javascript"},
		{&more_types[3], NULL, ".woff2", "font/woff2"},
		{NULL, NULL, ".webmanifest", "application/manifest+json"},
	};
	static struct lws_http_mount mount;

	if (config.static_dir == NULL)
		return NULL;
	mount = (struct lws_http_mount){
		.mountpoint = "/",
		.mountpoint_len = 1,
		.origin = config.static_dir,
		.origin_protocol = LWSMPRO_FILE,
		.def = "index.html",
		.protocol = "ydoc",
		.extra_mimetypes = more_types,
	};
	return &mount;
}

static int
refuse_upgrade(struct lws *wsi, unsigned status)
{
	metrics_add(METRIC_CONNECTIONS_REFUSED, 1);
	lws_return_http_status(wsi, status, NULL);
	return 1;
}

/* The byte that stands there, percent-encoded or not; -1 for a percent sign without two digits. */
static int
decoded(const char *at)
{
	char digits[3] = {0};

	if (*at != '%')
		return (unsigned char) *at;
	if (!isxdigit((unsigned char) at[1]) || !isxdigit((unsigned char) at[2]))
		return -1;
	memcpy(digits, at + 1, 2);
	return (int) strtol(digits, NULL, 16);
}

/* Whatever no file was found for. */
static int
answer(struct lws *wsi, HttpSlot *slot, const char *path)
{
	if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) == 0 &&
		lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) == 0)
	{
		/* answering before a body has been read would desynchronise the connection: close it */
		lws_return_http_status(wsi, HTTP_STATUS_METHOD_NOT_ALLOWED, NULL);
		return -1;
	}
	if (is_path(path, "healthz"))
		return begin_answer(wsi, slot, 200, "text/plain", strdup("ok\n"));
	if (is_path(path, "readyz"))
	{
		bool ready =
			database_is_ready() && breaker_is_ready() && board_is_ready(!loop_is_draining());

		return begin_answer(wsi, slot, ready ? 200 : 503, "text/plain",
							strdup(ready ? "ready\n" : "not ready\n"));
	}
	if (is_path(path, "metrics"))
		return begin_answer(wsi, slot, 200,
							"application/openmetrics-text; version=1.0.0; charset=utf-8",
							board_metrics_text());
	return begin_answer(wsi, slot, 404, "text/plain", strdup("not found\n"));
}

/* Takes the body. */
static int
begin_answer(struct lws *wsi, HttpSlot *slot, unsigned status, const char *type, char *body)
{
	unsigned char headers[LWS_PRE + 2048];
	unsigned char *start = headers + LWS_PRE, *at = start, *end = headers + sizeof headers - 1;

	free(slot->body);
	slot->body = body;
	slot->size = body != NULL ? strlen(body) : 0;
	if (body == NULL || lws_add_http_common_headers(wsi, status, type, slot->size, &at, end) ||
		lws_add_http_header_by_name(wsi, (const unsigned char *) "cache-control:",
									(const unsigned char *) "no-store", 8, &at, end) ||
		lws_finalize_write_http_header(wsi, start, &at, end))
		return 1;
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0)
	{
		free(slot->body);
		slot->body = NULL;
		return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
	}
	lws_callback_on_writable(wsi);
	return 0;
}

static int
write_body(struct lws *wsi, HttpSlot *slot)
{
	unsigned char *copy = malloc(LWS_PRE + slot->size);
	int written = -1;

	if (copy != NULL)
	{
		memcpy(copy + LWS_PRE, slot->body, slot->size);
		written = lws_write(wsi, copy + LWS_PRE, slot->size, LWS_WRITE_HTTP_FINAL);
	}
	free(copy);
	free(slot->body);
	slot->body = NULL;
	return written < 0 || lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

/* With a static mount the path comes without its slash, without one with it. */
static bool
is_path(const char *path, const char *wanted)
{
	return strcmp(path[0] == '/' ? path + 1 : path, wanted) == 0;
}
