/*
 * Networks: lists of address ranges, and addresses as text.
 *
 *     NetworkList list;
 *     if (!networks_read(&list, "10.0.0.0/8, 2001:db8::/32, 192.0.2.1")) ...
 *     if (networks_have(&list, (struct sockaddr *) &peer)) ...
 *
 * An IPv4 address that comes as IPv6 (::ffff:192.0.2.1) is an IPv4 address.
 */
#ifndef RELAY_NETWORK_H
#define RELAY_NETWORK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum
{
	NETWORKS_MAX = 64
};

typedef struct Network
{
	struct in6_addr address; /* IPv4 ones mapped */
	int bits;
} Network;

typedef struct NetworkList
{
	Network networks[NETWORKS_MAX];
	int count;
} NetworkList;

/* text may be NULL.  False if something in it is no network, or if there are too many. */
bool networks_read(NetworkList *list, const char *text);

bool networks_have(const NetworkList *list, const struct sockaddr *address);

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1" or "[2001:db8::1]:80" of size bytes; false if it is none. */
bool network_read_address(const char *text, size_t size, struct sockaddr_storage *address);

#endif
