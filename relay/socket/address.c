/*
 * address.c: a table of peers' addresses, open addressing.
 *
 * Nothing is taken out of it one by one: when half of it is used, it is built anew of what matters.
 */
#include "address.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "bucket.h"
#include "config.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "network.h"

#define FIRST_SLOTS 64
#define SLOTS_MOST (1 << 17) /* more than that are for open sockets only */
#define ARRIVAL_BURST_SECONDS 10.0 /* a relay restarts, and a whole office comes back */
#define IS_FOUR (UINT64_C(1) << 32) /* in Address.low */
#define IS_SIX (UINT64_C(2) << 32)
#define COMPLAINT_SECONDS 10.0 /* between two lines of the log */

typedef struct AddressSlot
{
	Address address;
	bool is_used;
	int64_t count; /* of open sockets */
	Bucket arrivals, failures;
} AddressSlot;

static AddressSlot *slots;
static uint64_t capacity, used; /* a power of two; slots that are not free */
static uint64_t seed;
static NetworkList unlimited, watchers;

static AddressSlot *get(Address address);
static AddressSlot *find(Address address);
static bool make_room(void);
static bool matters(AddressSlot *slot);
static bool rebuild(uint64_t new_capacity, bool sockets_only);
static void complain(AddressVerdict verdict);

void
address_start(void)
{
	/* config.c has judged them */
	(void) networks_read(&unlimited, config.unlimited_networks);
	(void) networks_read(&watchers, config.metrics_networks);
}

Address
address_of(const struct sockaddr *peer)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *) peer;
	const struct sockaddr_in *four = (const struct sockaddr_in *) peer;
	Address address = {.is_unlimited = networks_have(&unlimited, peer),
					   .may_watch = networks_have(&watchers, peer)};

	if (peer->sa_family == AF_INET)
		address.low = IS_FOUR | four->sin_addr.s_addr;
	else if (peer->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
	{
		uint32_t mapped;

		memcpy(&mapped, six->sin6_addr.s6_addr + 12, sizeof mapped);
		address.low = IS_FOUR | mapped;
	}
	else if (peer->sa_family == AF_INET6)
	{
		address.low = IS_SIX;
		memcpy(&address.high, six->sin6_addr.s6_addr, sizeof address.high);
	}
	return address;
}

void
address_write(Address address, char text[ADDRESS_TEXT_SIZE])
{
	struct in_addr four = {(uint32_t) address.low};
	struct in6_addr six = {0};

	text[0] = '\0';
	if (address.low == IS_SIX)
	{
		memcpy(six.s6_addr, &address.high, sizeof address.high);
		inet_ntop(AF_INET6, &six, text, ADDRESS_TEXT_SIZE - sizeof "/64");
		strcat(text, "/64");
	}
	else if (address.low != 0)
		inet_ntop(AF_INET, &four, text, ADDRESS_TEXT_SIZE);
}

AddressVerdict
address_arrive(Address address)
{
	AddressSlot *slot = address.is_unlimited ? NULL : get(address);
	double rate = (double) config.max_handshake_rate;
	double failures = (double) config.max_failure_rate;
	AddressVerdict verdict = ADDRESS_WELCOME;

	if (address.is_unlimited)
		return ADDRESS_WELCOME;
	if (slot == NULL)
		return ADDRESS_OUT_OF_MEMORY;
	if (config.max_connections_per_address > 0 && slot->count >= config.max_connections_per_address)
		verdict = ADDRESS_HAS_TOO_MANY;
	else if (!bucket_has(&slot->failures, 1.0, failures / 60.0, failures))
		verdict = ADDRESS_FAILED_TOO_OFTEN;
	else if (!bucket_has(&slot->arrivals, 1.0, rate, rate * ARRIVAL_BURST_SECONDS))
		verdict = ADDRESS_IS_TOO_FAST;
	if (verdict != ADDRESS_WELCOME)
	{
		metrics_add(METRIC_ADDRESSES_LIMITED, 1);
		complain(verdict);
		return verdict;
	}
	(void) bucket_take(&slot->arrivals, 1.0, rate, rate * ARRIVAL_BURST_SECONDS);
	slot->count++;
	return ADDRESS_WELCOME;
}

void
address_leave(Address address)
{
	if (!address.is_unlimited)
		find(address)->count--; /* it is there as long as it has sockets */
}

void
address_failed(Address address)
{
	AddressSlot *slot = address.is_unlimited ? NULL : get(address);
	double failures = (double) config.max_failure_rate;

	if (slot != NULL)
		(void) bucket_take(&slot->failures, 1.0, failures / 60.0, failures);
}

void
address_stop(void)
{
	free(slots);
}

/* NULL when out of memory. */
static AddressSlot *
get(Address address)
{
	AddressSlot *slot = capacity > 0 ? find(address) : NULL;

	if (slot != NULL && slot->is_used)
		return slot;
	if ((used + 1) * 2 > capacity && !make_room())
		return NULL;
	slot = find(address);
	*slot = (AddressSlot){.address = address, .is_used = true};
	used++;
	return slot;
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

	while (slots[i].is_used &&
		   (slots[i].address.high != address.high || slots[i].address.low != address.low))
		i = (i + 1) & (capacity - 1);
	return &slots[i];
}

/* Forgets those that matter no more; then the table grows, or it forgets all that have no sockets. */
static bool
make_room(void)
{
	uint64_t before = used;

	if (capacity == 0)
		return rebuild(FIRST_SLOTS, false);
	if (!rebuild(capacity, false))
		return false;
	if (used <= before / 2)
		return true;
	if (capacity < SLOTS_MOST)
		return rebuild(capacity * 2, false);
	log_event(LEVEL_WARNING, "addresses_forgotten", "{s:I}", "addresses", (json_int_t) used);
	return rebuild(capacity, true) && (used <= before / 2 || rebuild(capacity * 2, true));
}

static bool
matters(AddressSlot *slot)
{
	return slot->count > 0 ||
		   !bucket_is_full(&slot->arrivals, (double) config.max_handshake_rate) ||
		   !bucket_is_full(&slot->failures, (double) config.max_failure_rate / 60.0);
}

static bool
rebuild(uint64_t new_capacity, bool sockets_only)
{
	AddressSlot *before = slots;
	uint64_t capacity_before = capacity;
	AddressSlot *table = calloc(new_capacity, sizeof(AddressSlot));

	if (table == NULL)
		return false;
	if (seed == 0 && getrandom(&seed, sizeof seed, 0) < 0)
		seed = (uint64_t) (uintptr_t) table;
	slots = table;
	capacity = new_capacity;
	used = 0;
	for (uint64_t i = 0; i < capacity_before; i++)
		if (before[i].is_used && (sockets_only ? before[i].count > 0 : matters(&before[i])))
		{
			*find(before[i].address) = before[i];
			used++;
		}
	free(before);
	return true;
}

/* Whoever sees only this in the log has forgotten to say which proxies he trusts. */
static void
complain(AddressVerdict verdict)
{
	static const char *const limits[] = {
		[ADDRESS_HAS_TOO_MANY] = "max-connections-per-address",
		[ADDRESS_IS_TOO_FAST] = "max-handshake-rate",
		[ADDRESS_FAILED_TOO_OFTEN] = "max-failure-rate",
	};
	static double complained_at;

	if (loop_now() - complained_at < COMPLAINT_SECONDS)
		return;
	complained_at = loop_now();
	log_event(LEVEL_WARNING, "address_limited", "{s:s, s:s}", "limit", limits[verdict], "hint",
			  "if all come from one address, a proxy stands before us: see --trusted-proxy");
}
