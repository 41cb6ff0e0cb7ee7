/*
 * The listener: our own accept loop in front of libwebsockets.
 *
 * The library's listener accepts without bound, and its lists of unfinished handshakes make each
 * further one dearer: under a storm of connects it collapses and stays collapsed.  So a socket
 * waits here, cheaply, until the headers of its first request are complete, and at most
 * config.max_handshakes are in the library's hands before their request is answered.  Beyond
 * config.max_connections a socket is told 503 and closed.
 *
 * Looking at the request first also shows its line as it was sent: a document's name is what the
 * client wrote.  (This sees plain text: TLS ends before it, in tls.h or in a proxy.)
 */
#ifndef RELAY_LISTENER_H
#define RELAY_LISTENER_H

#include <stdbool.h>

#include "address.h"

struct lws;

/* As it stands in the request line, percent-encoded, without the query: libwebsockets only offers
 * a normalised one, in which "a+b" has become "a b" and "a//b" "a/b".  NULL after the socket's
 * first request; all answers say "Connection: close". */
const char *listener_request_path(struct lws *wsi);

/* The whole head of the socket's first request, NUL-terminated; the caller's to free.  NULL if it was
 * taken already. */
char *listener_take_head(struct lws *wsi);

enum
{
	LISTENER_MAX_SOCKETS = 8 /* a host name may mean several addresses */
};

/*
 * Opens listening sockets as config.listen says, into fds, and returns how many; 0 after logging
 * why.  A port of 0 in *port is the one of config.listen; it gets the real one.  is_shared: others
 * of ours listen on the port, too, whatever it is.
 */
int listener_open(int *fds, int *port, bool is_shared);

/* These sockets become the listener's; it takes connections from then on. */
void listener_start(const int *fds, int count);

/* Tells config.port_file; false after logging why. */
bool listener_write_port_file(int port);

/* Accepts no more; requests that are on their way are answered. */
void listener_stop_accepting(void);

/* No socket is open any more. */
bool listener_is_idle(void);

/* Refuses what has not become a request. */
void listener_stop(void);

/* Hands complete requests to the library. */
void listener_end_round(void);

/* The first request of a socket is complete: it no longer counts as a handshake. */
void listener_handshake_done(struct lws *wsi);

/* The first request was plain HTTP and is being answered. */
void listener_request_done(struct lws *wsi);

/* Whose it is: the peer's, or as a proxy says that is trusted. */
Address listener_address(struct lws *wsi);

/* Its address is one of config.metrics_networks. */
bool listener_may_watch(struct lws *wsi);

/* A token, or whatever else somebody shows there, is refused: his address may do that so often. */
void listener_authentication_failed(struct lws *wsi);

/* The socket is gone, whatever state it was in. */
void listener_socket_gone(struct lws *wsi);

#endif
