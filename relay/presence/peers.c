/*
 * peers.c: the table of other relays.
 *
 * Here: who is in it.  Not here: what they say, when they are dead (bus.c).
 */
#include "peers.h"

#include "loop.h"

#define MAX_PEERS 256
#define MAX_REMOVED 64

static Peer peers[MAX_PEERS]; /* the first peer_count */
static int peer_count;
static uint64_t removed[MAX_REMOVED]; /* a ring of those removed last */
static unsigned removed_count;

Peer *
peers_find(uint64_t relay)
{
	for (int i = 0; i < peer_count; i++)
		if (peers[i].relay == relay)
			return &peers[i];
	return NULL;
}

Peer *
peers_add(uint64_t relay, const SealKey *key)
{
	if (peer_count == MAX_PEERS)
		return NULL;
	peers[peer_count] = (Peer){.relay = relay, .heard_at = loop_now(), .key = *key};
	return &peers[peer_count++];
}

void
peers_remove(Peer *peer)
{
	removed[removed_count++ % MAX_REMOVED] = peer->relay;
	buffer_free(&peer->parts);
	*peer = peers[--peer_count];
}

int
peers_count(void)
{
	return peer_count;
}

Peer *
peers_unheard_since(double time)
{
	for (int i = 0; i < peer_count; i++)
		if (peers[i].heard_at < time)
			return &peers[i];
	return NULL;
}

void
peers_heard_all(double time)
{
	for (int i = 0; i < peer_count; i++)
		peers[i].heard_at = time;
}

bool
peers_was_removed(uint64_t relay)
{
	for (int i = 0; i < MAX_REMOVED; i++)
		if (removed[i] == relay)
			return true;
	return false;
}

void
peers_stop(void)
{
	while (peer_count > 0)
		peers_remove(&peers[0]);
}
