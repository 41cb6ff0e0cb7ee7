/*
 * Addresses: what each peer has and has done, so that no single one takes what is everybody's.
 *
 *     AddressVerdict verdict = address_arrive(address);       a socket more
 *     if (verdict != ADDRESS_WELCOME) refuse;                 not counted then
 *     ... address_failed(address);                            a token that is refused
 *     address_leave(address);
 *
 * Limits are for each of: open sockets (config.max_connections_per_address), new ones a second
 * (max_handshake_rate), failed authentications a minute (max_failure_rate).  An IPv6 address counts by
 * its first 64 bits: nobody has less than that many to change between.  Networks of
 * config.unlimited_networks have no limits.  The table is bounded: what an address did is forgotten when
 * it no longer matters, or earlier when too many do something.
 */
#ifndef RELAY_ADDRESS_H
#define RELAY_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum
{
	ADDRESS_TEXT_SIZE = 48 /* with the NUL */
};

typedef struct Address
{
	uint64_t high, low;
	bool is_unlimited;
	bool may_watch; /* read /metrics (config.metrics_networks) */
} Address;

typedef enum AddressVerdict
{
	ADDRESS_WELCOME,
	ADDRESS_HAS_TOO_MANY, /* sockets */
	ADDRESS_IS_TOO_FAST,
	ADDRESS_FAILED_TOO_OFTEN,
	ADDRESS_OUT_OF_MEMORY
} AddressVerdict;

Address address_of(const struct sockaddr *peer);

/* As people write it, of IPv6 its network; empty: there is none. */
void address_write(Address address, char text[ADDRESS_TEXT_SIZE]);

AddressVerdict address_arrive(Address address);
void address_leave(Address address);
void address_failed(Address address);

void address_start(void);
void address_stop(void);

#endif
