/*
 * presence_share.c: presence between relays.
 *
 * Here: which entries are to be told, what others told.  Not here: the channel, and which relays
 * live (bus.c).
 */
#include "presence_share.h"

#include "bus.h"
#include "loop.h"
#include "metrics.h"
#include "presence_entry.h"
#include "room.h"

#define DOUBT_SECONDS 10.0 /* relays tell everything within a second, unless the database is slow */

typedef enum EntryKind
{
	ENTRY_GONE,
	ENTRY_HERE,
	ENTRY_RELEASED
} EntryKind;

static Presence *unshared_list;
static uint64_t relay_to_forget;
static double doubting_since; /* 0: not */

static size_t entry_size(const PresenceEntry *entry);
static void write_entry(Buffer *out, const PresenceEntry *entry);
static void take_remote(Presence *presence, const PresenceNews *news, EntryKind kind);
static bool is_acceptable(const PresenceEntry *entry, const PresenceNews *news);
static void forget_relay_in(Room *room);
static void doubt_in(Room *room);
static void judge_doubts_in(Room *room);

void
presence_mark_unshared(Presence *presence, PresenceEntry *entry)
{
	entry->is_unshared = bus_has_peers();
	if (!entry->is_unshared || presence->is_unshared)
		return;
	room_retain(presence->room); /* the last one's leaving is still to be told */
	presence->is_unshared = true;
	presence->next_unshared = unshared_list;
	unshared_list = presence;
	bus_share_soon();
}

void
presence_forget_unshared(Presence *presence)
{
	Presence **place = &unshared_list;

	while (*place != NULL && *place != presence)
		place = &(*place)->next_unshared;
	if (*place != NULL)
		*place = presence->next_unshared;
}

Room *
presence_next_unshared(Buffer *entries, size_t max_bytes)
{
	Presence *presence = unshared_list;
	uint32_t count = 0, left = 0;
	Buffer body = {0};

	if (presence == NULL)
		return NULL;
	for (uint32_t i = 0; i < presence->capacity; i++)
	{
		PresenceEntry *entry = presence->slots[i];

		if (entry == NULL || !entry->is_unshared)
			continue;
		if (count > 0 && body.size + entry_size(entry) > max_bytes)
		{
			left++;
			continue;
		}
		write_entry(&body, entry);
		entry->is_unshared = false;
		count++;
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

	for (uint32_t i = 0; i < presence->capacity; i++)
		if (presence->slots[i] != NULL && presence->slots[i]->owner != NULL)
			presence_mark_unshared(presence, presence->slots[i]);
}

void
presence_renew_all(Room *room)
{
	Presence *presence = room_presence(room);

	for (uint32_t i = 0; i < presence->capacity; i++)
	{
		PresenceEntry *entry = presence->slots[i];

		if (entry == NULL || entry->owner == NULL)
			continue;
		/* never ahead of its client by more than one: a state of the past would overwrite its own */
		if (entry->clock > entry->spoken_clock)
			presence_remind(entry->owner, entry->client, entry->clock);
		else
			entry->clock++;
		presence_mark(presence, entry);
	}
}

void
presence_take_remote(Room *room, uint64_t relay, Bytes entries)
{
	Frame frame = frame_begin(entries);
	uint64_t count = frame_read_varuint(&frame);

	for (uint64_t i = 0; i < count && !frame.failed; i++)
	{
		PresenceNews news = {.relay = relay};

		news.client = frame_read_varuint(&frame);
		news.clock = frame_read_varuint(&frame);
		EntryKind kind = (EntryKind) frame_read_varuint(&frame);

		if (kind == ENTRY_HERE)
			news.state = frame_read_bytes(&frame);
		if (!frame.failed)
			take_remote(room_presence(room), &news, kind);
	}
}

void
presence_contested(Room *room, uint64_t client)
{
	PresenceEntry *entry = presence_find(room_presence(room), client);

	if (entry != NULL && entry->owner != NULL)
		presence_contest(entry);
}

void
presence_forget_relay(uint64_t relay)
{
	relay_to_forget = relay;
	room_each(forget_relay_in);
}

void
presence_doubt_relays(void)
{
	doubting_since = loop_now();
	room_each(doubt_in);
}

void
presence_share_judge_doubts(void)
{
	if (doubting_since == 0.0 || loop_now() - doubting_since < DOUBT_SECONDS)
		return;
	doubting_since = 0.0;
	room_each(judge_doubts_in);
}

static size_t
entry_size(const PresenceEntry *entry)
{
	return varuint_size(entry->client) + varuint_size(entry->clock) + 1 +
		   (entry->state != NULL ? varuint_size(entry->size) + entry->size : 0);
}

static void
write_entry(Buffer *out, const PresenceEntry *entry)
{
	EntryKind kind = entry->is_released     ? ENTRY_RELEASED
					 : entry->state != NULL ? ENTRY_HERE
											: ENTRY_GONE;

	buffer_write_varuint(out, entry->client);
	buffer_write_varuint(out, entry->clock);
	buffer_write_varuint(out, kind);
	if (kind == ENTRY_HERE)
		buffer_write_varbytes(out, (Bytes){entry->state, entry->size});
}

static void
take_remote(Presence *presence, const PresenceNews *news, EntryKind kind)
{
	PresenceEntry *entry = presence_find(presence, news->client);
	bool is_its_own = entry != NULL && entry->state != NULL && entry->owner == NULL &&
					  entry->relay == news->relay && !entry->is_released;

	if (is_its_own && kind == ENTRY_GONE && news->clock >= entry->clock)
	{
		entry->clock = news->clock;
		presence_remove(presence, entry);
	}
	else if (is_its_own && kind == ENTRY_RELEASED)
	{
		entry->is_released = true;
		entry->updated_at = loop_now();
	}
	else if (is_its_own && kind == ENTRY_HERE && news->clock == entry->clock)
		entry->is_doubtful = false;
	else if (kind == ENTRY_HERE && is_acceptable(entry, news))
		presence_set(presence, news);
	else
	{
		/* it came to another relay while it was ours: is our connection to it dead? */
		if (kind == ENTRY_HERE && entry->owner != NULL && news->clock > entry->clock)
			presence_contest(entry);
		metrics_add(METRIC_PRESENCE_IGNORED, 1);
	}
}

/* A state with a clock that is not the one we know already. */
static bool
is_acceptable(const PresenceEntry *entry, const PresenceNews *news)
{
	if (entry == NULL)
		return true;
	if (entry->state == NULL || entry->is_released)
		return news->clock > entry->clock ||
			   (news->clock == entry->clock && (entry->is_released || entry->relay == news->relay));
	if (news->clock <= entry->clock)
		return false;
	/* a client of ours stays ours until its connection is gone */
	return entry->owner == NULL && (entry->relay == news->relay || bus_is_silent(entry->relay));
}

static void
forget_relay_in(Room *room)
{
	Presence *presence = room_presence(room);

	for (uint32_t i = 0; i < presence->capacity; i++)
	{
		PresenceEntry *entry = presence->slots[i];

		if (entry != NULL && entry->relay == relay_to_forget && entry->state != NULL &&
			!entry->is_released)
			presence_remove(presence, entry);
	}
}

static void
doubt_in(Room *room)
{
	Presence *presence = room_presence(room);

	for (uint32_t i = 0; i < presence->capacity; i++)
		if (presence->slots[i] != NULL && presence->slots[i]->relay != 0)
			presence->slots[i]->is_doubtful = true;
}

static void
judge_doubts_in(Room *room)
{
	Presence *presence = room_presence(room);

	for (uint32_t i = 0; i < presence->capacity; i++)
	{
		PresenceEntry *entry = presence->slots[i];

		if (entry != NULL && entry->is_doubtful && entry->state != NULL)
			presence_remove(presence, entry);
	}
}
