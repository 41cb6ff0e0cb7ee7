/*
 * The listener: our own accept loop in front of libwebsockets.
 *
 * The library's listener accepts without bound, and its list of unfinished handshakes makes each
 * further one dearer: under a storm of connects it collapses and stays collapsed.  So we accept
 * only while fewer than config.max_handshakes sockets have an incomplete request; the rest waits
 * in the kernel's backlog, where waiting is cheap.  Beyond config.max_connections a socket is told
 * 503 and closed.
 */
#ifndef RELAY_LISTENER_H
#define RELAY_LISTENER_H

#include <stdbool.h>

struct lws;

/* Listens as config.listen says and writes config.port_file; false after logging why. */
bool listener_start(void);

void listener_stop(void);

/* The first request of a socket is complete: it no longer counts as a handshake. */
void listener_handshake_done(struct lws *wsi);

/* The socket is gone, whatever state it was in. */
void listener_socket_gone(struct lws *wsi);

#endif
