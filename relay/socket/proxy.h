/*
 * Proxies: whose address a request has come from, when one of ours stands before us.
 *
 *     if (proxy_is_trusted((struct sockaddr *) &peer))
 *         has_client = proxy_find_client(head, &client);
 *
 * Each proxy appends the address that it has the request from to config.proxy_header; whatever was there
 * before may be anybody's invention.  So the list is read from its end, and the first address that is no
 * trusted proxy's is the client's.
 */
#ifndef RELAY_PROXY_H
#define RELAY_PROXY_H

#include <stdbool.h>
#include <sys/socket.h>

/* Reads config.trusted_proxy. */
void proxy_start(void);

bool proxy_is_trusted(const struct sockaddr *peer);

/* head: of the request, NUL-terminated.  False if a trusted proxy says nothing that can be used. */
bool proxy_find_client(const char *head, struct sockaddr_storage *client);

#endif
