/*
 * bus.c: LISTEN's payloads, and presence between relays.
 *
 * Here: parsing and writing payloads, which relays live.  Not here: gaps and epochs (room.c),
 * whose state counts (presence.c).
 */
#include "bus.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "catch_up.h"
#include "log.h"
#include "loop.h"
#include "presence.h"
#include "room.h"

#define MAX_PEERS 64
#define SHARE_SECONDS 0.1 /* between two statements: 10 notifications a second and room at most */
#define BEAT_SECONDS 10.0
#define SILENT_SECONDS 30.0
#define MAX_PAYLOAD 7900 /* PostgreSQL's limit is 8000 */
#define MAX_BODY (MAX_PAYLOAD / 4 * 3 - 32) /* what that holds as base64, after relay and kind */
#define MAX_PAYLOADS 64 /* of one statement; more wait for the next */

typedef struct Peer
{
	uint64_t relay; /* 0: free */
	double heard_at;
} Peer;

typedef struct ShareQuery
{
	DatabaseQuery query; /* first */
	Buffer payloads;
} ShareQuery;

static uint64_t own_relay;
static Peer peers[MAX_PEERS];
static int peer_count;
static Buffer payloads; /* elements of a text array, waiting for the next tick */
static uint32_t payload_count;
static bool is_sharing;
static double shared_at;
static ev_timer share_timer, beat_timer;

static void listening(void);
static void notified(const char *channel, const char *payload);
static void commit_notified(const char *payload);
static void relay_notified(const char *payload);
static void heard(uint64_t relay);
static void lost(Peer *peer);
static void states_told(uint64_t relay, const char *base64);
static void states_asked(const char *base64);
static uint8_t *decode(const char *base64, Bytes *bytes);
static void tell(char kind, Bytes body);
static void share(struct ev_loop *, ev_timer *, int);
static void share_now(void);
static void share_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void beat(struct ev_loop *, ev_timer *, int);

const DatabaseEvents bus_events = {.listening = listening, .notified = notified};

void
bus_start(void)
{
	if (getrandom(&own_relay, sizeof own_relay, 0) < 0 || own_relay == 0)
		own_relay = (uint64_t) (ev_time() * 1e6);
	ev_timer_init(&share_timer, share, SHARE_SECONDS, 0.0);
	ev_timer_init(&beat_timer, beat, BEAT_SECONDS, BEAT_SECONDS);
	ev_timer_start(loop_ev(), &beat_timer);
}

void
bus_stop(void)
{
	buffer_free(&payloads);
}

bool
bus_has_peers(void)
{
	return peer_count > 0;
}

void
bus_ask_presence(const char *document)
{
	Buffer body = {0};

	if (peer_count == 0)
		return;
	buffer_write_varbytes(&body, (Bytes){(const uint8_t *) document, strlen(document)});
	tell('a', buffer_view(&body));
	buffer_free(&body);
}

void
bus_say_goodbye(void)
{
	if (peer_count > 0)
	{
		tell('x', (Bytes){0});
		share_now();
	}
}

void
bus_share_soon(void)
{
	if (!ev_is_active(&share_timer) && !is_sharing)
	{
		double wait = shared_at + SHARE_SECONDS - loop_now();

		ev_timer_set(&share_timer, wait > 0.0 ? wait : 0.0, 0.0);
		ev_timer_start(loop_ev(), &share_timer);
	}
}

/* Again: presence that was told meanwhile is unknown here, and commits were not announced. */
static void
listening(void)
{
	tell('h', (Bytes){0});
	room_check_all();
}

static void
notified(const char *channel, const char *payload)
{
	if (strcmp(channel, "ydoc") == 0)
		commit_notified(payload);
	else
		relay_notified(payload);
}

/* Anybody with a database login may NOTIFY: what does not parse is ignored, what lies costs a
 * fetch. */
static void
commit_notified(const char *payload)
{
	char *end;

	errno = 0;
	int64_t epoch = strtoll(payload, &end, 10);

	if (end == payload || *end != ' ')
		return;
	const char *second = end + 1;
	int64_t seq = strtoll(second, &end, 10);

	if (end == second || *end != ' ' || errno != 0 || epoch < 1 || seq < 0)
		return;
	if (seq == 0)
		room_doubted(end + 1);
	else
		room_announced(end + 1, epoch, seq);
}

static void
relay_notified(const char *payload)
{
	char *end;
	uint64_t relay = strtoull(payload, &end, 16);

	if (end == payload || end[0] != ' ' || end[1] == '\0' || relay == 0 || relay == own_relay)
		return;
	char kind = end[1];
	const char *body = end[2] == ' ' ? end + 3 : end + 2;

	if (kind != 'x')
		heard(relay);
	switch (kind)
	{
		case 'h':
			tell('b', (Bytes){0}); /* so that it hears of us */
			room_each(presence_share_all);
			bus_share_soon();
			break;
		case 'p': states_told(relay, body); break;
		case 'a': states_asked(body); break;
		case 'x':
			for (int i = 0; i < MAX_PEERS; i++)
				if (peers[i].relay == relay)
					lost(&peers[i]);
			break;
		default: break; /* a beat, or a later relay's */
	}
}

static void
heard(uint64_t relay)
{
	Peer *place = NULL;

	for (int i = 0; i < MAX_PEERS; i++)
	{
		if (peers[i].relay == relay)
		{
			peers[i].heard_at = loop_now();
			return;
		}
		if (peers[i].relay == 0 && place == NULL)
			place = &peers[i];
	}
	if (place == NULL)
		return;
	*place = (Peer){relay, loop_now()};
	peer_count++;
	log_event(LEVEL_INFO, "relay_heard", "{s:i}", "relays", peer_count);

	/* until now nobody was there to be told */
	room_each(presence_share_all);
	bus_share_soon();
}

static void
lost(Peer *peer)
{
	uint64_t relay = peer->relay;

	peer->relay = 0;
	peer_count--;
	log_event(LEVEL_INFO, "relay_lost", "{s:i}", "relays", peer_count);
	presence_forget_relay(relay);
}

static void
states_told(uint64_t relay, const char *base64)
{
	Bytes body;
	uint8_t *data = decode(base64, &body);
	Frame frame = frame_begin(body);
	Bytes name = frame_read_bytes(&frame);
	Bytes entries = frame_read_bytes(&frame);
	Room *room = frame.failed ? NULL : room_find((const char *) name.data, name.size);

	if (room != NULL)
		presence_take_remote(room, relay, entries);
	free(data);
}

static void
states_asked(const char *base64)
{
	Bytes body;
	uint8_t *data = decode(base64, &body);
	Frame frame = frame_begin(body);
	Bytes name = frame_read_bytes(&frame);
	Room *room = frame.failed ? NULL : room_find((const char *) name.data, name.size);

	if (room != NULL)
	{
		presence_share_all(room);
		bus_share_soon();
	}
	free(data);
}

/* What bytes view is the caller's to free; NULL and no bytes if it is no base64. */
static uint8_t *
decode(const char *base64, Bytes *bytes)
{
	size_t length = strlen(base64);
	uint8_t *data = malloc(length / 4 * 3 + 1);
	int size =
		data == NULL ? -1 : EVP_DecodeBlock(data, (const unsigned char *) base64, (int) length);

	/* its size counts padding: harmless, a message says itself where it ends */
	*bytes = (Bytes){data, size > 0 ? (size_t) size : 0};
	return data;
}

static void
tell(char kind, Bytes body)
{
	char payload[MAX_PAYLOAD + 100];
	int length = snprintf(payload, sizeof payload, "%016" PRIx64 " %c ", own_relay, kind);

	if (body.size / 3 * 4 + 4 + (size_t) length > MAX_PAYLOAD)
		return;
	if (body.size > 0)
		length += EVP_EncodeBlock((unsigned char *) payload + length, body.data, (int) body.size);
	if (payload_count == 0)
	{
		buffer_reset(&payloads);
		(void) buffer_reserve(&payloads, DATABASE_ARRAY_HEADER);
	}
	buffer_write_u32(&payloads, (uint32_t) length);
	buffer_write(&payloads, (Bytes){(const uint8_t *) payload, (size_t) length});
	payload_count++;
	bus_share_soon();
}

static void
share(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) loop, (void) watcher, (void) events;
	share_now();
}

/* One statement at a time: while the database is slow or away, states coalesce. */
static void
share_now(void)
{
	Buffer body = {0}, entries = {0};
	Room *room;

	if (is_sharing)
		return;
	shared_at = loop_now();
	while (payload_count < MAX_PAYLOADS && presence_has_unshared())
	{
		buffer_reset(&entries);
		buffer_reset(&body);
		room = presence_next_unshared(&entries, MAX_BODY - ROOM_NAME_MAX - 8);
		buffer_write_varbytes(&body,
							  (Bytes){(const uint8_t *) room_name(room), strlen(room_name(room))});
		buffer_write_varbytes(&body, buffer_view(&entries));
		if (!entries.failed && !body.failed && peer_count > 0)
			tell('p', buffer_view(&body));
	}
	buffer_free(&body);
	buffer_free(&entries);
	ShareQuery *query = payload_count > 0 && !payloads.failed ? calloc(1, sizeof *query) : NULL;

	if (query != NULL)
	{
		query->payloads = payloads; /* taken over */
		database_write_array_header(query->payloads.data, DATABASE_TEXT, false, payload_count);
		query->query =
			(DatabaseQuery){STATEMENT_PRESENCE, share_done, {buffer_view(&query->payloads)}, NULL};
		payloads = (Buffer){0};
		is_sharing = true;
		database_submit(0, &query->query);
	}
	payload_count = 0;
}

static void
share_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	ShareQuery *query = (ShareQuery *) database_query;

	if (answer->result == NULL)
		log_event(LEVEL_WARNING, "presence_not_shared", "{s:s?}", "reason", answer->message);
	is_sharing = false;
	buffer_free(&query->payloads);
	free(query);
	if (payload_count > 0 || presence_has_unshared())
		bus_share_soon();
}

static void
beat(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) watcher, (void) events;
	double now = ev_now(loop);

	for (int i = 0; i < MAX_PEERS; i++)
		if (peers[i].relay != 0 && now - peers[i].heard_at > SILENT_SECONDS)
			lost(&peers[i]);
	if (payload_count == 0)
		tell('b', (Bytes){0});
}
