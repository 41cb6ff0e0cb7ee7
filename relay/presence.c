/*
 * presence.c: awareness states by the rules of y-protocols (FORMAT 14.2).
 *
 * Here: accepting, owning, expiring, encoding.  Not here: messages (ywebsocket.c), the channel
 * between relays (bus.c).
 */
#include "presence.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "loop.h"
#include "metrics.h"
#include "room.h"
#include "ywebsocket.h"

#define FIRST_SLOTS 8
#define MAX_IDS 32 /* a connection may introduce; tabs of one browser share theirs */
#define MAX_STATE_BYTES 65536
#define STALE_SECONDS 20.0 /* clients renew after 15: its owner is gone, another may speak */
#define TIMEOUT_SECONDS 30.0 /* as y-protocols removes states */
#define FORGET_SECONDS 60.0 /* keep the clock of a state that is gone */
#define SWEEP_SECONDS 5.0

struct PresenceEntry
{
	uint64_t client, clock;
	uint8_t *state; /* JSON; NULL: gone */
	size_t size;
	Connection *owner; /* borrowed, it calls presence_leave(); NULL: another relay's, or gone */
	uint64_t relay; /* of another relay; 0: ours */
	double updated_at;
	bool is_changed, is_unshared;
};

typedef struct NewState /* an entry of a message */
{
	uint64_t client, clock;
	Bytes state; /* size 0: gone */
	Connection *owner;
	uint64_t relay;
} NewState;

static Presence *changed_list, *unshared_list;
static uint64_t relay_to_forget;
static ev_timer sweep_timer;

static bool take_entries(Room *room, Bytes entries, Connection *owner, uint64_t relay);
static void take(Room *room, const NewState *new_state);
static bool is_acceptable(const PresenceEntry *entry, const NewState *new_state);
static bool is_json(Bytes text);
static PresenceEntry *find(const Presence *presence, uint64_t client);
static PresenceEntry *insert(Presence *presence, uint64_t client);
static void insert_slot(PresenceEntry **slots, uint32_t capacity, PresenceEntry *entry);
static void set_owner(PresenceEntry *entry, Connection *owner);
static void remove_state(Presence *presence, PresenceEntry *entry);
static void mark(Presence *presence, PresenceEntry *entry);
static size_t entry_size(const PresenceEntry *entry);
static void write_entry(Buffer *out, const PresenceEntry *entry);
static void publish_changes(Presence *presence);
static void forget_relay_in(Room *room);
static void expire(Room *room);
static void sweep(struct ev_loop *, ev_timer *, int);

void
presence_start(void)
{
	ev_timer_init(&sweep_timer, sweep, SWEEP_SECONDS, SWEEP_SECONDS);
	ev_timer_start(loop_ev(), &sweep_timer);
}

int
presence_take(Connection *connection, Bytes entries)
{
	return take_entries(connection->room, entries, connection, 0) ? 0 : CLOSE_MALFORMED;
}

void
presence_take_remote(Room *room, uint64_t relay, Bytes entries)
{
	take_entries(room, entries, NULL, relay);
}

void
presence_leave(Connection *connection)
{
	Presence *presence = room_presence(connection->room);

	if (connection->presence_count == 0)
		return;
	for (uint32_t i = 0; i < presence->capacity; i++)
		if (presence->slots[i] != NULL && presence->slots[i]->owner == connection)
			remove_state(presence, presence->slots[i]);
}

void
presence_forget_relay(uint64_t relay)
{
	relay_to_forget = relay;
	room_each(forget_relay_in);
}

void
presence_room_opened(Room *room)
{
	room_presence(room)->room = room;
	bus_ask_presence(room_name(room));
}

void
presence_free(Presence *presence)
{
	Presence **place;

	for (place = &changed_list; *place != NULL && *place != presence;)
		place = &(*place)->next_changed;
	if (*place != NULL)
		*place = presence->next_changed;
	for (place = &unshared_list; *place != NULL && *place != presence;)
		place = &(*place)->next_unshared;
	if (*place != NULL)
		*place = presence->next_unshared;
	for (uint32_t i = 0; i < presence->capacity; i++)
		if (presence->slots[i] != NULL)
		{
			free(presence->slots[i]->state);
			free(presence->slots[i]);
		}
	free(presence->slots);
}

void
presence_write_all(Room *room, Buffer *out)
{
	const Presence *presence = room_presence(room);
	Buffer entries = {0};
	uint32_t present = 0;

	for (uint32_t i = 0; i < presence->capacity; i++)
		present += presence->slots[i] != NULL && presence->slots[i]->state != NULL;
	if (present == 0)
		return;
	buffer_write_varuint(&entries, present);
	for (uint32_t i = 0; i < presence->capacity; i++)
		if (presence->slots[i] != NULL && presence->slots[i]->state != NULL)
			write_entry(&entries, presence->slots[i]);
	if (!entries.failed) /* presence may be dropped */
		ywebsocket_write_awareness(out, buffer_view(&entries));
	buffer_free(&entries);
}

void
presence_end_round(void)
{
	for (Presence *presence; (presence = changed_list) != NULL;)
	{
		changed_list = presence->next_changed;
		presence->is_changed = false;
		publish_changes(presence);
	}
}

Room *
presence_next_unshared(Buffer *entries, size_t max_bytes)
{
	Presence *presence = unshared_list;
	uint32_t count = 0, left = 0;
	size_t size = 9; /* the count of entries, at most */
	Buffer body = {0};

	if (presence == NULL)
		return NULL;
	for (uint32_t i = 0; i < presence->capacity; i++)
	{
		PresenceEntry *entry = presence->slots[i];

		if (entry == NULL || !entry->is_unshared)
			continue;
		if (9 + entry_size(entry) > max_bytes)
		{
			metrics_add(METRIC_PRESENCE_NOT_SHARED, 1);
			entry->is_unshared = false;
		}
		else if (size + entry_size(entry) > max_bytes)
			left++;
		else
		{
			size += entry_size(entry);
			write_entry(&body, entry);
			entry->is_unshared = false;
			count++;
		}
	}
	buffer_write_varuint(entries, count);
	buffer_write(entries, buffer_view(&body));
	entries->failed |= body.failed;
	buffer_free(&body);
	if (left == 0)
	{
		unshared_list = presence->next_unshared;
		presence->is_unshared = false;
		room_release(presence->room); /* lives to the end of the round at least */
	}
	return presence->room;
}

bool
presence_has_unshared(void)
{
	return unshared_list != NULL;
}

void
presence_share_all(Room *room)
{
	Presence *presence = room_presence(room);
	bool any = false;

	for (uint32_t i = 0; i < presence->capacity; i++)
		if (presence->slots[i] != NULL && presence->slots[i]->owner != NULL)
			any = presence->slots[i]->is_unshared = true;
	if (any && !presence->is_unshared)
	{
		room_retain(presence->room);
		presence->is_unshared = true;
		presence->next_unshared = unshared_list;
		unshared_list = presence;
	}
}

/* False if the message is malformed; its entries up to there have been taken. */
static bool
take_entries(Room *room, Bytes entries, Connection *owner, uint64_t relay)
{
	Frame frame = frame_begin(entries);
	uint64_t count = frame_read_varuint(&frame);

	for (uint64_t i = 0; i < count && !frame.failed; i++)
	{
		NewState new_state = {.owner = owner, .relay = relay};

		new_state.client = frame_read_varuint(&frame);
		new_state.clock = frame_read_varuint(&frame);
		new_state.state = frame_read_bytes(&frame);
		if (frame.failed)
			break;
		if (new_state.state.size == 4 && memcmp(new_state.state.data, "null", 4) == 0)
			new_state.state.size = 0;
		take(room, &new_state);
	}
	return !frame.failed;
}

static void
take(Room *room, const NewState *new_state)
{
	Presence *presence = room_presence(room);
	PresenceEntry *entry = find(presence, new_state->client);
	uint8_t *state = NULL;

	if (!is_acceptable(entry, new_state))
	{
		metrics_add(METRIC_PRESENCE_IGNORED, 1);
		return;
	}
	if (new_state->state.size > 0)
	{
		state = malloc(new_state->state.size);
		if (entry == NULL && state != NULL)
			entry = insert(presence, new_state->client);
		if (state == NULL || entry == NULL) /* out of memory: presence may be dropped */
		{
			free(state);
			return;
		}
		memcpy(state, new_state->state.data, new_state->state.size);
	}
	set_owner(entry, state != NULL ? new_state->owner : NULL);
	free(entry->state);
	entry->state = state;
	entry->size = new_state->state.size;
	entry->clock = new_state->clock;
	entry->relay = new_state->relay;
	entry->updated_at = loop_now();
	mark(presence, entry);
	metrics_add(METRIC_PRESENCE_ACCEPTED, 1);
}

static bool
is_acceptable(const PresenceEntry *entry, const NewState *new_state)
{
	bool is_gone = new_state->state.size == 0;
	uint64_t clock = entry != NULL ? entry->clock : 0;
	bool is_present = entry != NULL && entry->state != NULL;

	if (is_gone ? !is_present || new_state->clock < clock : new_state->clock <= clock)
		return false;
	if (is_present && (entry->owner != new_state->owner || entry->relay != new_state->relay) &&
		(is_gone || loop_now() - entry->updated_at < STALE_SECONDS))
		return false; /* somebody else's */
	if (is_gone)
		return true;
	if (new_state->owner != NULL && (!is_present || entry->owner != new_state->owner) &&
		new_state->owner->presence_count >= MAX_IDS)
		return false;

	/* entries of many are sent as one message: a bad one would spoil it for every reader */
	return new_state->state.size <= MAX_STATE_BYTES && is_json(new_state->state);
}

static bool
is_json(Bytes text)
{
	json_t *value = json_loadb((const char *) text.data, text.size,
							   JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
	bool ok = value != NULL;

	json_decref(value);
	return ok;
}

static PresenceEntry *
find(const Presence *presence, uint64_t client)
{
	if (presence->capacity == 0)
		return NULL;
	for (uint32_t i = (uint32_t) client;; i++)
	{
		PresenceEntry *entry = presence->slots[i & (presence->capacity - 1)];

		if (entry == NULL || entry->client == client)
			return entry;
	}
}

/* NULL when out of memory. */
static PresenceEntry *
insert(Presence *presence, uint64_t client)
{
	if ((presence->count + 1) * 2 > presence->capacity)
	{
		uint32_t capacity = presence->capacity == 0 ? FIRST_SLOTS : presence->capacity * 2;
		PresenceEntry **slots = calloc(capacity, sizeof *slots);

		if (slots == NULL)
			return NULL;
		for (uint32_t i = 0; i < presence->capacity; i++)
			if (presence->slots[i] != NULL)
				insert_slot(slots, capacity, presence->slots[i]);
		free(presence->slots);
		presence->slots = slots;
		presence->capacity = capacity;
	}
	PresenceEntry *entry = calloc(1, sizeof *entry);

	if (entry == NULL)
		return NULL;
	entry->client = client;
	insert_slot(presence->slots, presence->capacity, entry);
	presence->count++;
	return entry;
}

/* Client ids are random already: their low bits do as a hash, and a probe is bounded by the load. */
static void
insert_slot(PresenceEntry **slots, uint32_t capacity, PresenceEntry *entry)
{
	uint32_t i = (uint32_t) entry->client;

	while (slots[i & (capacity - 1)] != NULL)
		i++;
	slots[i & (capacity - 1)] = entry;
}

static void
set_owner(PresenceEntry *entry, Connection *owner)
{
	if (entry->owner != NULL)
		entry->owner->presence_count--;
	if (owner != NULL)
		owner->presence_count++;
	entry->owner = owner;
}

static void
remove_state(Presence *presence, PresenceEntry *entry)
{
	free(entry->state);
	entry->state = NULL;
	entry->size = 0;
	set_owner(entry, NULL);
	entry->updated_at = loop_now();
	mark(presence, entry);
}

/* Members will hear of it, and other relays if it is ours. */
static void
mark(Presence *presence, PresenceEntry *entry)
{
	entry->is_changed = true;
	if (!presence->is_changed)
	{
		presence->is_changed = true;
		presence->next_changed = changed_list;
		changed_list = presence;
	}
	entry->is_unshared = entry->relay == 0 && bus_has_peers();
	if (entry->is_unshared && !presence->is_unshared)
	{
		room_retain(presence->room); /* the last one's leaving is still to be told */
		presence->is_unshared = true;
		presence->next_unshared = unshared_list;
		unshared_list = presence;
		bus_share_soon();
	}
}

static size_t
entry_size(const PresenceEntry *entry)
{
	size_t size = entry->state != NULL ? entry->size : 4;

	return varuint_size(entry->client) + varuint_size(entry->clock) + varuint_size(size) + size;
}

static void
write_entry(Buffer *out, const PresenceEntry *entry)
{
	static const Bytes gone = {(const uint8_t *) "null", 4};

	buffer_write_varuint(out, entry->client);
	buffer_write_varuint(out, entry->clock);
	buffer_write_varbytes(out, entry->state != NULL ? (Bytes){entry->state, entry->size} : gone);
}

static void
publish_changes(Presence *presence)
{
	Buffer entries = {0}, frame = {0};
	uint32_t count = 0;

	for (uint32_t i = 0; i < presence->capacity; i++)
		count += presence->slots[i] != NULL && presence->slots[i]->is_changed;
	buffer_write_varuint(&entries, count);
	for (uint32_t i = 0; i < presence->capacity; i++)
		if (presence->slots[i] != NULL && presence->slots[i]->is_changed)
		{
			presence->slots[i]->is_changed = false;
			write_entry(&entries, presence->slots[i]);
		}
	ywebsocket_write_awareness(&frame, buffer_view(&entries));
	if (!entries.failed && !frame.failed)
		room_publish(presence->room, buffer_view(&frame));
	buffer_free(&entries);
	buffer_free(&frame);
}

static void
forget_relay_in(Room *room)
{
	Presence *presence = room_presence(room);

	for (uint32_t i = 0; i < presence->capacity; i++)
		if (presence->slots[i] != NULL && presence->slots[i]->relay == relay_to_forget &&
			presence->slots[i]->state != NULL)
			remove_state(presence, presence->slots[i]);
}

/* Who was not renewed is gone, as in every client; clocks of the gone are forgotten later. */
static void
expire(Room *room)
{
	Presence *presence = room_presence(room);
	double now = loop_now();
	uint32_t forgotten = 0;

	for (uint32_t i = 0; i < presence->capacity; i++)
	{
		PresenceEntry *entry = presence->slots[i];

		if (entry == NULL || entry->is_changed || entry->is_unshared)
			continue;
		if (entry->state != NULL && now - entry->updated_at > TIMEOUT_SECONDS)
			remove_state(presence, entry);
		else if (entry->state == NULL && now - entry->updated_at > FORGET_SECONDS)
			forgotten++;
	}
	PresenceEntry **slots = forgotten > 0 ? calloc(presence->capacity, sizeof *slots) : NULL;

	if (slots == NULL)
		return;
	for (uint32_t i = 0; i < presence->capacity; i++)
	{
		PresenceEntry *entry = presence->slots[i];

		if (entry == NULL)
			continue;
		bool is_needed = entry->state != NULL || entry->is_changed || entry->is_unshared ||
						 now - entry->updated_at <= FORGET_SECONDS;

		if (is_needed)
			insert_slot(slots, presence->capacity, entry);
		else
		{
			free(entry);
			presence->count--;
		}
	}
	free(presence->slots);
	presence->slots = slots;
}

static void
sweep(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) loop, (void) watcher, (void) events;
	room_each(expire);
}
