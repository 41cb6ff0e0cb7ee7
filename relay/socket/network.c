/*
 * network.c: reading and comparing addresses.
 */
#include "network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static bool read_network(Network *network, const char *text, size_t size);
static bool read_mapped(const char *text, struct in6_addr *address, bool *is_v4);

bool
networks_read(NetworkList *list, const char *text)
{
	list->count = 0;
	for (const char *at = text != NULL ? text : ""; *at != '\0';)
	{
		size_t size = strcspn(at, ", ");

		if (size > 0 && (list->count == NETWORKS_MAX ||
						 !read_network(&list->networks[list->count++], at, size)))
			return false;
		at += size;
		at += strspn(at, ", ");
	}
	return true;
}

bool
networks_have(const NetworkList *list, const struct sockaddr *address)
{
	struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	if (address->sa_family == AF_INET)
		memcpy(mapped.s6_addr + 12, &((const struct sockaddr_in *) address)->sin_addr, 4);
	else if (address->sa_family == AF_INET6)
		mapped = ((const struct sockaddr_in6 *) address)->sin6_addr;
	else
		return false;
	for (int i = 0; i < list->count; i++)
	{
		const Network *network = &list->networks[i];
		int bytes = network->bits / 8, rest = network->bits % 8;
		uint8_t mask = (uint8_t) (0xff00 >> rest);

		if (memcmp(mapped.s6_addr, network->address.s6_addr, (size_t) bytes) == 0 &&
			(rest == 0 || ((mapped.s6_addr[bytes] ^ network->address.s6_addr[bytes]) & mask) == 0))
			return true;
	}
	return false;
}

bool
network_read_address(const char *text, size_t size, struct sockaddr_storage *address)
{
	char copy[INET6_ADDRSTRLEN + 8];
	struct sockaddr_in6 *six = (struct sockaddr_in6 *) address;
	bool is_v4;

	if (size == 0 || size >= sizeof copy)
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	char *from = copy, *colon = strchr(copy, ':');

	if (copy[0] == '[')
	{
		char *end = strchr(copy, ']');

		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
		*end = '\0';
		from++;
	}
	else if (colon != NULL && strchr(colon + 1, ':') == NULL)
		*colon = '\0'; /* a port */
	*address = (struct sockaddr_storage){.ss_family = AF_INET6};
	return read_mapped(from, &six->sin6_addr, &is_v4);
}

static bool
read_network(Network *network, const char *text, size_t size)
{
	char copy[INET6_ADDRSTRLEN + 5];
	char *slash, *end;
	bool is_v4;

	if (size >= sizeof copy)
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	slash = strchr(copy, '/');
	if (slash != NULL)
		*slash++ = '\0';
	if (!read_mapped(copy, &network->address, &is_v4))
		return false;
	long most = is_v4 ? 32 : 128;
	long bits = slash != NULL ? strtol(slash, &end, 10) : most;

	if (slash != NULL && (*slash < '0' || *slash > '9' || *end != '\0'))
		return false;
	network->bits = (int) (is_v4 ? bits + 96 : bits);
	return bits >= 0 && bits <= most;
}

static bool
read_mapped(const char *text, struct in6_addr *address, bool *is_v4)
{
	struct in_addr four;

	*is_v4 = inet_pton(AF_INET, text, &four) == 1;
	if (!*is_v4)
		return inet_pton(AF_INET6, text, address) == 1;
	*address = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
	memcpy(address->s6_addr + 12, &four, sizeof four);
	return true;
}
