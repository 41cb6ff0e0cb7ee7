/*
 * Addresses: how many sockets each peer has.
 *
 *     if (!address_count(&peer)) refuse;       ...       address_forget(&peer);
 *
 * An IPv6 address counts by its first 64 bits: nobody has less than that many to change between.
 */
#ifndef RELAY_ADDRESS_H
#define RELAY_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct Address
{
	uint64_t high, low;
} Address;

Address address_of(const struct sockaddr *peer);

/* One socket more of it; false, and not counted, if it has config.max_connections_per_address. */
bool address_count(Address address);
void address_forget(Address address);

void address_stop(void);

#endif
