/*
 * presence.c: awareness states by the rules of y-protocols (FORMAT 14.2).
 *
 * Here: whose state counts, owning, expiring, telling members.  Not here: messages (ywebsocket.c),
 * other relays (presence_share.c, bus.c), SQL (presence_report.c).
 */
#include "presence.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "config.h"
#include "loop.h"
#include "metrics.h"
#include "presence_entry.h"
#include "presence_report.h"
#include "presence_share.h"
#include "presence_stamp.h"
#include "room.h"
#include "ywebsocket.h"

#define FIRST_SLOTS 8
#define MAX_IDS 32 /* a member may speak for; tabs of one browser share theirs */
#define INTRODUCTIONS_PER_SECOND 0.5 /* MAX_IDS at once, then so many */
#define MAX_TAKEN 1000 /* entries of a message: nobody has so many clients */
#define MAX_CLOCK (UINT64_C(1) << 52) /* numbers beyond 2^53 stop JavaScript's readers */
#define MAX_ENTRIES 10000 /* of a room, those lately gone included */
#define MAX_USER_NAME 200 /* bytes */
#define STALE_SECONDS 20.0 /* clients renew after 15: its owner is gone, another may speak */
#define TIMEOUT_SECONDS 30.0 /* as y-protocols removes states */
#define RELEASED_SECONDS 5.0 /* clients come back at once */
#define FORGET_SECONDS 60.0 /* keep the clock of a state that is gone */
#define ANSWER_SECONDS 3.0 /* whose client is claimed by another has to answer a ping */
#define SWEEP_SECONDS 1.0
#define TICK_LEAST 0.02 /* between two messages of a room */
#define TICK_PER_MEMBER 0.0001
#define TICK_MOST 0.2

typedef enum Verdict
{
	VERDICT_IGNORE,
	VERDICT_SAME, /* nothing new, but its owner lives */
	VERDICT_TAKE,
	VERDICT_INTRODUCE, /* take, with the next clock and a new owner */
	VERDICT_CONTEST, /* somebody else speaks for it */
	VERDICT_REMIND /* the clock is too old for the others: the client must say it with a new one */
} Verdict;

typedef struct Challenge
{
	Member *member; /* held */
	double at;
	struct Challenge *next;
} Challenge;

static Presence *changed_list;
static Challenge *challenges;
static int64_t held_bytes, present_count;
static ev_timer sweep_timer, tick_timer;

static PresenceNews read_news(Frame *frame, Member *member);
static bool take(Room *room, const PresenceNews *news);
static Verdict judge(const PresenceEntry *entry, const PresenceNews *news);
static Verdict judge_claim(const PresenceEntry *entry, const PresenceNews *news);
static bool is_first_words(const PresenceNews *news);
static bool is_free(const PresenceEntry *entry);
static bool may_introduce(const Presence *presence, Member *member);
static bool is_judgeable(Bytes state, char **user_name);
static char *user_name_of(const json_t *state);
static bool is_same_name(const char *a, const char *b);
static PresenceEntry *insert(Presence *presence, uint64_t client);
static void insert_slot(PresenceEntry **slots, uint32_t capacity, PresenceEntry *entry);
static void set_owner(PresenceEntry *entry, Member *owner);
static void count_held(int64_t bytes, int present);
static void write_entry(Buffer *out, const PresenceEntry *entry);
static double tick_of(const Room *room);
static void publish_changes(Presence *presence);
static void expire(Room *room);
static bool is_expired(const PresenceEntry *entry);
static bool is_needed(const PresenceEntry *entry);
static void judge_challenges(void);
static void sweep(struct ev_loop *, ev_timer *, int);
static void tick(struct ev_loop *, ev_timer *, int);

void
presence_start(void)
{
	ev_timer_init(&sweep_timer, sweep, SWEEP_SECONDS, SWEEP_SECONDS);
	ev_timer_start(loop_ev(), &sweep_timer);
	ev_init(&tick_timer, tick);
	presence_report_start();
}

void
presence_stop(void)
{
	presence_stamp_stop();
	while (challenges != NULL)
	{
		Challenge *next = challenges->next;

		member_release(challenges->member);
		free(challenges);
		challenges = next;
	}
}

bool
presence_is_echo(Member *member, Bytes entries)
{
	const Presence *presence = room_presence(member->room);
	Frame frame = frame_begin(entries);
	uint64_t count = frame_read_varuint(&frame);

	for (uint64_t i = 0; i < count && !frame.failed; i++)
	{
		PresenceNews news = read_news(&frame, member);

		if (!frame.failed && judge(presence_find(presence, news.client), &news) != VERDICT_IGNORE)
			return false;
	}
	if (frame.failed) /* whoever takes it says so */
		return false;
	member->has_spoken = true;
	metrics_add(METRIC_PRESENCE_IGNORED, (int64_t) count);
	return true;
}

int
presence_take(Member *member, Bytes entries)
{
	Frame frame = frame_begin(entries);
	uint64_t count = frame_read_varuint(&frame);
	int taken = 0;

	for (uint64_t i = 0; i < count && !frame.failed && taken < MAX_TAKEN; i++)
	{
		PresenceNews news = read_news(&frame, member);

		if (!frame.failed)
			taken += take(member->room, &news);
	}
	member->has_spoken = true;
	return frame.failed ? CLOSE_MALFORMED : 0;
}

void
presence_leave(Member *member)
{
	Presence *presence = room_presence(member->room);

	for (uint32_t i = 0; i < presence->capacity && member->presence_count > 0; i++)
		if (presence->slots[i] != NULL && presence->slots[i]->owner == member)
			presence_remove(presence, presence->slots[i]);
}

void
presence_release(Member *member)
{
	Presence *presence = room_presence(member->room);

	for (uint32_t i = 0; i < presence->capacity && member->presence_count > 0; i++)
	{
		PresenceEntry *entry = presence->slots[i];

		if (entry == NULL || entry->owner != member)
			continue;
		set_owner(entry, NULL);
		entry->is_released = true;
		entry->updated_at = loop_now();
		presence_mark_unshared(presence, entry);
		presence_mark_unreported(presence, entry);
	}
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
	Presence **place = &changed_list;

	while (*place != NULL && *place != presence)
		place = &(*place)->next_changed;
	if (*place != NULL)
		*place = presence->next_changed;
	presence_forget_unshared(presence);
	presence_forget_unreported(presence);
	for (uint32_t i = 0; i < presence->capacity; i++)
	{
		PresenceEntry *entry = presence->slots[i];

		if (entry == NULL)
			continue;
		count_held(-(int64_t) (sizeof *entry + entry->size), -(entry->state != NULL));
		free(entry->state);
		free(entry->user_name);
		free(entry);
	}
	free(presence->slots);
	buffer_free(&presence->everybody);
}

void
presence_write_all(Room *room, Buffer *out)
{
	Presence *presence = room_presence(room);
	Buffer entries = {0};
	uint32_t present = 0;

	for (uint32_t i = 0; i < presence->capacity; i++)
		present += presence->slots[i] != NULL && presence->slots[i]->state != NULL;
	if (present == 0)
		return;
	if (presence->everybody.size == 0) /* many who join share one encoding */
	{
		buffer_write_varuint(&entries, present);
		for (uint32_t i = 0; i < presence->capacity; i++)
			if (presence->slots[i] != NULL && presence->slots[i]->state != NULL)
				write_entry(&entries, presence->slots[i]);
		ywebsocket_write_awareness(&presence->everybody, buffer_view(&entries));
		if (entries.failed || presence->everybody.failed)
			buffer_free(&presence->everybody); /* presence may be dropped */
		buffer_free(&entries);
	}
	buffer_write(out, buffer_view(&presence->everybody));
}

void
presence_end_round(void)
{
	Presence **place = &changed_list;
	double now = loop_now(), next = TICK_MOST;

	while (*place != NULL)
	{
		Presence *presence = *place;
		double wait = presence->published_at + tick_of(presence->room) - now;

		if (wait > 0.0)
		{
			next = wait < next ? wait : next;
			place = &presence->next_changed;
			continue;
		}
		*place = presence->next_changed;
		presence->is_changed = false;
		presence->published_at = now;
		publish_changes(presence);
	}
	if (changed_list != NULL && !ev_is_active(&tick_timer))
	{
		ev_timer_set(&tick_timer, next, 0.0);
		ev_timer_start(loop_ev(), &tick_timer);
	}
}

static PresenceNews
read_news(Frame *frame, Member *member)
{
	PresenceNews news = {.owner = member};

	news.client = frame_read_varuint(frame);
	news.clock = frame_read_varuint(frame);
	news.state = frame_read_bytes(frame);
	if (news.state.size == 4 && memcmp(news.state.data, "null", 4) == 0)
		news.state.size = 0;
	if (config.stamp_user != NULL && news.state.size > 0 && !frame->failed)
		news.state = presence_stamp(news.state, member->user_name);
	return news;
}

/* True if it was news. */
static bool
take(Room *room, const PresenceNews *news)
{
	Presence *presence = room_presence(room);
	PresenceEntry *entry = presence_find(presence, news->client);
	PresenceNews adopted = *news;

	switch (judge(entry, news))
	{
		case VERDICT_SAME:
			entry->spoken_clock = news->clock;
			entry->updated_at = loop_now();
			break;
		case VERDICT_TAKE:
			/* ahead by one since the introduction: the client will hear of it and follow */
			if (entry->clock >= news->clock && news->state.size > 0)
				adopted.clock = entry->clock + 1;
			else if (entry->clock > news->clock)
				adopted.clock = entry->clock;
			if (presence_set(presence, &adopted))
				presence_find(presence, news->client)->spoken_clock = news->clock;
			return true;
		case VERDICT_INTRODUCE:
			if (!may_introduce(presence, news->owner))
				break;
			adopted.clock = news->clock + 1;
			if (presence_set(presence, &adopted))
				presence_find(presence, news->client)->spoken_clock = news->clock;
			return true;
		case VERDICT_CONTEST:
			if (loop_now() - entry->contested_at > ANSWER_SECONDS)
			{
				entry->contested_at = loop_now();
				if (entry->owner != NULL)
					presence_contest(entry);
				else
					bus_contest(room_name(room), entry->relay, entry->client);
			}
			break;
		case VERDICT_REMIND: presence_remind(news->owner, entry->client, entry->clock); break;
		default: break;
	}
	metrics_add(METRIC_PRESENCE_IGNORED, 1);
	return false;
}

/* What a member says of a client. */
static Verdict
judge(const PresenceEntry *entry, const PresenceNews *news)
{
	bool is_present = entry != NULL && entry->state != NULL;
	bool is_its_own = is_present && entry->owner == news->owner;

	if (news->clock > MAX_CLOCK)
		return VERDICT_IGNORE;
	if (news->state.size == 0)
		return is_its_own && news->clock >= entry->spoken_clock ? VERDICT_TAKE : VERDICT_IGNORE;
	if (!is_its_own)
		return judge_claim(entry, news);
	if (news->clock <= entry->spoken_clock)
		return VERDICT_IGNORE;
	if (news->state.size == entry->size &&
		memcmp(news->state.data, entry->state, entry->size) == 0 && news->clock <= entry->clock)
		return VERDICT_SAME; /* it has followed our clock */
	return VERDICT_TAKE;
}

/*
 * A member says that a client is here that it has not spoken for yet.  A clock that we know
 * already is most likely an echo of what we told, unless the member just came.
 */
static Verdict
judge_claim(const PresenceEntry *entry, const PresenceNews *news)
{
	if (entry == NULL) /* a clock of 0 is nobody's yet: y-protocols ignores it, too */
		return news->clock > 0 ? VERDICT_INTRODUCE : VERDICT_IGNORE;
	if (news->clock <= entry->clock && !is_first_words(news))
		return VERDICT_IGNORE;
	if (!is_free(entry))
		return VERDICT_CONTEST;
	return news->clock < entry->clock ? VERDICT_REMIND : VERDICT_INTRODUCE;
}

static bool
is_first_words(const PresenceNews *news)
{
	return !news->owner->has_spoken;
}

/* Nobody speaks for it, or not any more. */
static bool
is_free(const PresenceEntry *entry)
{
	return entry->state == NULL || entry->is_released ||
		   loop_now() - entry->updated_at > STALE_SECONDS ||
		   (entry->owner == NULL && bus_is_silent(entry->relay));
}

/* A bucket of introductions; ids lately gone are kept for a while, so they count, too. */
static bool
may_introduce(const Presence *presence, Member *member)
{
	double now = loop_now();

	if (member->introduced_at == 0.0)
		member->introductions = MAX_IDS;
	else
		member->introductions += (float) ((now - member->introduced_at) * INTRODUCTIONS_PER_SECOND);
	if (member->introductions > MAX_IDS)
		member->introductions = MAX_IDS;
	member->introduced_at = now;
	if (member->introductions < 1.0f || member->presence_count >= MAX_IDS ||
		presence->count >= MAX_ENTRIES)
	{
		metrics_add(METRIC_PRESENCE_REFUSED, 1);
		return false;
	}
	member->introductions -= 1.0f;
	return true;
}

bool
presence_set(Presence *presence, const PresenceNews *news)
{
	PresenceEntry *entry = presence_find(presence, news->client);
	char *user_name = NULL;
	uint8_t *state = NULL;

	if (news->state.size > 0)
	{
		if (news->state.size > (size_t) config.max_presence_state_bytes ||
			held_bytes + (int64_t) (sizeof *entry + news->state.size) > config.max_presence_bytes ||
			(entry == NULL && presence->count >= MAX_ENTRIES) ||
			!is_judgeable(news->state, &user_name))
		{
			metrics_add(METRIC_PRESENCE_REFUSED, 1);
			return false;
		}
		state = malloc(news->state.size);
		if (entry == NULL && state != NULL)
			entry = insert(presence, news->client);
		if (state == NULL || entry == NULL) /* out of memory */
		{
			free(state);
			free(user_name);
			return false;
		}
		memcpy(state, news->state.data, news->state.size);
	}
	count_held((int64_t) news->state.size - (int64_t) entry->size,
			   (state != NULL) - (entry->state != NULL));
	set_owner(entry, state != NULL ? news->owner : NULL);
	free(entry->state);
	entry->state = state;
	entry->size = news->state.size;
	entry->clock = news->clock;
	entry->relay = news->relay;
	entry->is_released = news->is_released;
	entry->is_doubtful = false;
	entry->updated_at = loop_now();
	if (entry->owner != NULL && !is_same_name(user_name, entry->user_name))
		presence_mark_unreported(presence, entry);
	free(entry->user_name);
	entry->user_name = user_name;
	presence_mark(presence, entry);
	metrics_add(METRIC_PRESENCE_ACCEPTED, 1);
	return true;
}

void
presence_remove(Presence *presence, PresenceEntry *entry)
{
	count_held(-(int64_t) entry->size, -(entry->state != NULL));
	free(entry->state);
	free(entry->user_name);
	entry->state = NULL;
	entry->user_name = NULL;
	entry->size = 0;
	entry->is_released = entry->is_doubtful = false;
	set_owner(entry, NULL);
	entry->updated_at = loop_now();
	presence_mark(presence, entry);
}

void
presence_mark(Presence *presence, PresenceEntry *entry)
{
	buffer_free(&presence->everybody);
	entry->is_changed = true;
	if (!presence->is_changed)
	{
		presence->is_changed = true;
		presence->next_changed = changed_list;
		changed_list = presence;
	}
	if (entry->relay == 0)
		presence_mark_unshared(presence, entry);
	if (entry->is_reported != (entry->owner != NULL))
		presence_mark_unreported(presence, entry);
}

/* Entries of many are sent as one message: a bad one would spoil it for every reader. */
static bool
is_judgeable(Bytes state, char **user_name)
{
	json_t *value = json_loadb((const char *) state.data, state.size,
							   JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);

	if (value != NULL)
		*user_name = user_name_of(value);
	bool is_json = value != NULL;

	json_decref(value);
	return is_json;
}

/* Where editors put it: {"user": {"name": …}}, or {"name": …}.  NULL if there is none. */
static char *
user_name_of(const json_t *state)
{
	const json_t *user = json_object_get(state, "user");
	const char *name = json_string_value(json_object_get(user != NULL ? user : state, "name"));
	size_t size = name != NULL ? strlen(name) : 0;

	if (size == 0)
		return NULL;
	if (size > MAX_USER_NAME) /* cut where a character begins */
		for (size = MAX_USER_NAME; ((unsigned char) name[size] & 0xc0) == 0x80;)
			size--;
	return strndup(name, size);
}

static bool
is_same_name(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

PresenceEntry *
presence_find(const Presence *presence, uint64_t client)
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
	count_held(sizeof *entry, 0);
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
set_owner(PresenceEntry *entry, Member *owner)
{
	if (entry->owner != NULL)
		entry->owner->presence_count--;
	if (owner != NULL)
		owner->presence_count++;
	entry->owner = owner;
}

static void
count_held(int64_t bytes, int present)
{
	held_bytes += bytes;
	present_count += present;
	metrics_set(METRIC_PRESENCE_BYTES, held_bytes);
	metrics_set(METRIC_PRESENCE_CLIENTS, present_count);
}

static void
write_entry(Buffer *out, const PresenceEntry *entry)
{
	static const Bytes gone = {(const uint8_t *) "null", 4};

	buffer_write_varuint(out, entry->client);
	buffer_write_varuint(out, entry->clock);
	buffer_write_varbytes(out, entry->state != NULL ? (Bytes){entry->state, entry->size} : gone);
}

/* Everybody moves and everybody is told: without a tick the work grows with the square of both. */
static double
tick_of(const Room *room)
{
	double seconds = room_member_count(room) * TICK_PER_MEMBER;

	return seconds < TICK_LEAST ? TICK_LEAST : seconds > TICK_MOST ? TICK_MOST : seconds;
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
		room_publish(presence->room, buffer_view(&frame), NULL);
	buffer_free(&entries);
	buffer_free(&frame);
}

void
presence_contest(PresenceEntry *entry)
{
	Member *owner = entry->owner;
	Challenge *challenge = owner->is_challenged ? NULL : calloc(1, sizeof *challenge);

	if (challenge == NULL)
		return;
	*challenge = (Challenge){member_retain(owner), loop_now(), challenges};
	challenges = challenge;
	owner->is_challenged = true;
	connection_ping(owner->connection);
}

/* To the client itself "gone" means "you have been forgotten": it answers with the next clock. */
void
presence_remind(Member *owner, uint64_t client, uint64_t clock)
{
	PresenceEntry gone = {.client = client, .clock = clock};
	Buffer entries = {0}, frame = {0};

	buffer_write_varuint(&entries, 1);
	write_entry(&entries, &gone);
	ywebsocket_write_awareness(&frame, buffer_view(&entries));
	if (!entries.failed && !frame.failed && owner->state == MEMBER_LIVE && !member_is_choked(owner))
		member_write(owner, buffer_view(&frame));
	buffer_free(&entries);
	buffer_free(&frame);
}

/* Who was not renewed is gone, as in every client; clocks of the gone are forgotten later. */
static void
expire(Room *room)
{
	Presence *presence = room_presence(room);
	uint32_t forgotten = 0;

	for (uint32_t i = 0; i < presence->capacity; i++)
	{
		PresenceEntry *entry = presence->slots[i];

		if (entry != NULL && is_expired(entry))
			presence_remove(presence, entry);
		forgotten += entry != NULL && !is_needed(entry);
	}
	PresenceEntry **slots = forgotten > 0 ? calloc(presence->capacity, sizeof *slots) : NULL;

	if (slots == NULL)
		return;
	for (uint32_t i = 0; i < presence->capacity; i++)
	{
		PresenceEntry *entry = presence->slots[i];

		if (entry != NULL && is_needed(entry))
			insert_slot(slots, presence->capacity, entry);
		else if (entry != NULL)
		{
			count_held(-(int64_t) sizeof *entry, 0);
			free(entry);
			presence->count--;
		}
	}
	free(presence->slots);
	presence->slots = slots;
}

static bool
is_expired(const PresenceEntry *entry)
{
	return entry->state != NULL && loop_now() - entry->updated_at >
									   (entry->is_released ? RELEASED_SECONDS : TIMEOUT_SECONDS);
}

static bool
is_needed(const PresenceEntry *entry)
{
	return entry->state != NULL || entry->is_changed || entry->is_unshared ||
		   entry->is_unreported || entry->is_reported ||
		   loop_now() - entry->updated_at <= FORGET_SECONDS;
}

/* Whoever was heard since the ping is there; a connection that we do not read cannot be heard. */
static void
judge_challenges(void)
{
	Challenge **place = &challenges;

	while (*place != NULL)
	{
		Challenge *challenge = *place;
		Member *member = challenge->member;

		if (loop_now() - challenge->at < ANSWER_SECONDS)
		{
			place = &challenge->next;
			continue;
		}
		if (member_is_open(member) && member->connection->received_at < challenge->at &&
			member->connection->pauses == 0)
		{
			presence_leave(member);
			bus_ask_presence(room_name(member->room)); /* it may be at another relay by now */
		}
		member->is_challenged = false;
		*place = challenge->next;
		member_release(member);
		free(challenge);
	}
}

static void
sweep(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) loop, (void) watcher, (void) events;
	judge_challenges();
	presence_share_judge_doubts();
	room_each(expire);
}

/* Something became due: the round that begins with this ends with telling it. */
static void
tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) loop, (void) watcher, (void) events;
}
