/*
 * Plain HTTP beside the WebSockets: health, metrics, static files, and whether to upgrade.
 *
 *     GET /healthz    200 while the process runs
 *     GET /readyz     200 while the database answers in time and nobody asked us to stop, else 503
 *     GET /metrics    OpenMetrics
 *     GET /…          a file of config.static_dir
 *     GET /NAME with "Upgrade: websocket"    document NAME, by y-websocket
 *     GET config.hocuspocus_path with it     the protocol of Hocuspocus, which names documents itself
 */
#ifndef RELAY_HTTP_H
#define RELAY_HTTP_H

#include <libwebsockets.h>
#include <stdbool.h>

#include "connection.h"

typedef struct HttpSlot /* libwebsockets keeps one per socket */
{
	Connection *connection; /* after the upgrade */
	char *body; /* of an answer under way */
	size_t size;
} HttpSlot;

/* 0 to go on with the upgrade; otherwise it has been answered. */
int http_check_upgrade(struct lws *wsi);

/* The request's path is the one for Hocuspocus. */
bool http_is_hocuspocus(struct lws *wsi);

/* The document a request names, NUL-terminated, into name[NAME_MAX_BYTES + 1]; false if its path
 * is no document's name. */
bool http_document_name(struct lws *wsi, char *name);

/* Every callback that is not about a WebSocket. */
int http_callback(struct lws *wsi, enum lws_callback_reasons reason, HttpSlot *slot, void *in,
				  size_t size);

const struct lws_protocol_vhost_options *http_security_headers(void);
const struct lws_http_mount *http_mounts(void);

#endif
