/*
 * address.c: a table of peers' addresses, open addressing.
 */
#include "address.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "config.h"

#define FIRST_SLOTS 64

typedef struct AddressSlot
{
	Address address;
	int64_t count; /* 0: free */
} AddressSlot;

static AddressSlot *slots;
static uint64_t capacity, used; /* a power of two; slots that are not free */
static uint64_t seed;

static AddressSlot *find(Address address);
static bool grow(void);
static void close_gap(uint64_t gap);

Address
address_of(const struct sockaddr *peer)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *) peer;
	const struct sockaddr_in *four = (const struct sockaddr_in *) peer;
	Address address = {0};

	if (peer->sa_family == AF_INET)
		address.low = UINT64_C(1) << 32 | four->sin_addr.s_addr;
	else if (peer->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
	{
		uint32_t mapped;

		memcpy(&mapped, six->sin6_addr.s6_addr + 12, sizeof mapped);
		address.low = UINT64_C(1) << 32 | mapped;
	}
	else if (peer->sa_family == AF_INET6)
		memcpy(&address.high, six->sin6_addr.s6_addr, sizeof address.high);
	return address;
}

bool
address_count(Address address)
{
	if (config.max_connections_per_address == 0)
		return true;
	if ((used + 1) * 2 > capacity && !grow())
		return false;
	AddressSlot *slot = find(address);

	if (slot->count >= config.max_connections_per_address)
		return false;
	if (slot->count == 0)
	{
		slot->address = address;
		used++;
	}
	slot->count++;
	return true;
}

void
address_forget(Address address)
{
	if (config.max_connections_per_address == 0)
		return;
	AddressSlot *slot = find(address);

	if (--slot->count > 0)
		return;
	used--;
	close_gap((uint64_t) (slot - slots));
}

void
address_stop(void)
{
	free(slots);
}

static uint64_t
home_of(Address address)
{
	uint64_t hash = (address.high ^ seed) * UINT64_C(0x9e3779b97f4a7c15);

	hash = (hash ^ hash >> 29 ^ address.low) * UINT64_C(0xbf58476d1ce4e5b9);
	return (hash ^ hash >> 32) & (capacity - 1);
}

/* Its slot, or the free one where it would be. */
static AddressSlot *
find(Address address)
{
	uint64_t i = home_of(address);

	while (slots[i].count > 0 &&
		   (slots[i].address.high != address.high || slots[i].address.low != address.low))
		i = (i + 1) & (capacity - 1);
	return &slots[i];
}

static bool
grow(void)
{
	AddressSlot *before = slots;
	uint64_t capacity_before = capacity;
	AddressSlot *larger = calloc(capacity == 0 ? FIRST_SLOTS : capacity * 2, sizeof(AddressSlot));

	if (larger == NULL)
		return false;
	if (seed == 0 && getrandom(&seed, sizeof seed, 0) < 0)
		seed = (uint64_t) (uintptr_t) larger;
	slots = larger;
	capacity = capacity == 0 ? FIRST_SLOTS : capacity * 2;
	for (uint64_t i = 0; i < capacity_before; i++)
		if (before[i].count > 0)
			*find(before[i].address) = before[i];
	free(before);
	return true;
}

/* What was put behind the slot because it was taken moves up. */
static void
close_gap(uint64_t gap)
{
	for (uint64_t i = (gap + 1) & (capacity - 1); slots[i].count > 0; i = (i + 1) & (capacity - 1))
	{
		uint64_t home = home_of(slots[i].address);

		/* may it stand at the gap: is that not before its home, on the way to i? */
		if (((i - home) & (capacity - 1)) >= ((i - gap) & (capacity - 1)))
		{
			slots[gap] = slots[i];
			slots[i].count = 0;
			gap = i;
		}
	}
}
