/*
 * Plain HTTP beside the WebSockets: which endpoint answers, and whether to upgrade.
 *
 *     GET /healthz    200 while the process runs
 *     GET /readyz     200 while the database answers in time and nobody asked us to stop, else 503
 *     GET /metrics    OpenMetrics
 *     /api/…          the endpoints of api.c
 *     GET /…          a file of config.static_dir
 *     GET /NAME with "Upgrade: websocket"    document NAME, by y-websocket
 *     GET config.hocuspocus_path with it     the protocol of Hocuspocus, which names documents itself
 *
 * An endpoint is a row of a table that http.c lists:
 *
 *     const HttpEndpoint session_endpoints[] = {
 *         {HTTP_POST, "/api/session", .handle = create_session, .most_body_bytes = &config.…, .body_types = "application/json"},
 *         {0},
 *     };
 *
 * Before it is called, it is known who asks (request->identity; a bad token was answered 401), that no
 * page from elsewhere asks (403; those of config.origins may), and the body is complete, within its
 * limit and of one of its types.  HEAD is GET without content; OPTIONS, 404 and 405 need no rows.
 */
#ifndef RELAY_HTTP_H
#define RELAY_HTTP_H

#include <libwebsockets.h>
#include <stdbool.h>
#include <stdint.h>

#include "connection.h"
#include "http_request.h"

struct HttpEndpoint
{
	HttpMethod method;
	/* segments of a path; ":name" is one of any text, percent-encoded in the request: request->names */
	const char *path;
	void (*handle)(HttpRequest *request); /* answers at once or later */
	const int64_t *most_body_bytes; /* NULL: it takes no body */
	const char *body_types; /* separated by ", "; NULL: any */
	bool takes_untyped; /* and bodies whose type is not said */
	bool is_public; /* for everybody on every page: nobody is asked who he is */
};

typedef struct HttpSlot /* libwebsockets keeps one per socket */
{
	Connection *connection; /* after the upgrade */
	HttpRequest *request; /* of plain HTTP, until it is answered */
} HttpSlot;

/* 0 to go on with the upgrade; otherwise it has been answered. */
int http_check_upgrade(struct lws *wsi);

/* The request's path is the one for Hocuspocus. */
bool http_is_hocuspocus(struct lws *wsi);

/* The document a request names, NUL-terminated, into name[NAME_MAX_BYTES + 1]; false if its path
 * is no document's name. */
bool http_document_name(struct lws *wsi, char *name);

/* What somebody shows there (a token, an assertion) is refused: his address may do that so often. */
void http_authentication_failed(const HttpRequest *request);

/* Every callback that is not about a WebSocket. */
int http_callback(struct lws *wsi, enum lws_callback_reasons reason, HttpSlot *slot, void *in,
				  size_t size);

const struct lws_protocol_vhost_options *http_security_headers(void);
const struct lws_http_mount *http_mounts(void);

#endif
