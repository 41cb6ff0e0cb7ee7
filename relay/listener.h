/*
 * The listener: our own accept loop in front of libwebsockets.
 *
 * The library's listener accepts without bound, and its list of unfinished handshakes makes each
 * further one dearer: under a storm of connects it collapses and stays collapsed.  So we accept
 * only while fewer than config.max_handshakes sockets have an incomplete request; the rest waits
 * in the kernel's backlog, where waiting is cheap.  Beyond config.max_connections a socket is told
 * 503 and closed.
 *
 * A socket is handed over when its request line is there, so that we have seen the line as it was
 * sent: a document's name is what the client wrote.
 */
#ifndef RELAY_LISTENER_H
#define RELAY_LISTENER_H

#include <stdbool.h>

struct lws;

/* As it stands in the request line, percent-encoded, without the query: libwebsockets only offers
 * a normalised one, in which "a+b" has become "a b" and "a//b" "a/b".  NULL after the socket's
 * first request; all answers say "Connection: close". */
const char *listener_request_path(struct lws *wsi);

/* Listens as config.listen says and writes config.port_file; false after logging why. */
bool listener_start(void);

void listener_stop(void);

/* The first request of a socket is complete: it no longer counts as a handshake. */
void listener_handshake_done(struct lws *wsi);

/* The first request was plain HTTP and is being answered. */
void listener_request_done(struct lws *wsi);

/* The socket is gone, whatever state it was in. */
void listener_socket_gone(struct lws *wsi);

#endif
