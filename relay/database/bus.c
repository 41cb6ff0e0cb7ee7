/*
 * bus.c: LISTEN's payloads, and presence between relays.
 *
 * Here: parsing and writing payloads, which relays live.  Not here: gaps and epochs (room.c),
 * whose state counts (presence.c, presence_share.c), the bytes of a seal (seal.c).
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

#include "access.h"
#include "catch_up.h"
#include "config.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "notify_queue.h"
#include "peers.h"
#include "presence_share.h"
#include "room.h"
#include "seal.h"

#define SHARE_SECONDS 0.1 /* between two statements: 10 notifications a second and room at most */
#define SLOW_SHARE_SECONDS 1.0 /* while the notification queue fills */
#define MAX_WAITING 1024 /* payloads while the database is away: after it all is told anew */
#define BEATS_PER_TIMEOUT 4
#define LONELY_BEAT_SECONDS 10.0 /* while nobody is heard */
#define WATCH_SECONDS 0.25
#define GRACE_SECONDS 5.0 /* after the database was away: relays reconnect with pauses */
#define KEY_SECONDS 10.0 /* until it is asked for again */
#define MAX_PAYLOAD 7900 /* PostgreSQL's limit is 8000 */
#define MAX_BODY 5800 /* what that holds as base64, sealed, after relay and kind */
#define MAX_STATES 32768 /* entries of one message, unless a single one is larger */
#define MAX_PAYLOADS 64 /* of one statement; more wait for the next */
#define RELAY_SIZE 8

typedef struct ShareQuery
{
	DatabaseQuery query; /* first */
	Buffer payloads;
} ShareQuery;

static uint64_t own_relay, gone_relay;
static Bytes shared_key; /* what relays seal with; empty: not known yet */
static uint8_t shared_key_bytes[SEAL_KEY_SIZE];
static SealKey own_key;
static uint64_t own_counter;
static double own_heard_at, told_at, hello_at, shared_at, key_asked_at;
static bool is_deaf; /* we do not hear ourselves */
static bool is_leaving;
static Buffer payloads; /* elements of a text array, waiting for the next tick */
static uint32_t payload_count;
static bool is_sharing, is_asking_key, was_key_missed;
static DatabaseQuery key_query;
static ev_timer share_timer, watch_timer;

static void listening(void);
static void ask_key(void);
static void key_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void say_hello(void);
static void notified(const char *channel, const char *payload);
static void commit_notified(const char *payload);
static void relay_notified(const char *payload);
static void open_message(uint64_t relay, Bytes sealed);
static void own_heard(void);
static Peer *heard(uint64_t relay, const SealKey *key, char kind);
static void lost(Peer *peer);
static void handle(Peer *peer, char kind, Bytes body);
static bool take_part(Peer *peer, Bytes part, bool is_last);
static void states_told(Peer *peer, Bytes part, bool is_last);
static void stateless_told(Peer *peer, Bytes part, bool is_last);
static void states_asked(Bytes body);
static void contested(Bytes body);
static Room *room_of(Frame *frame);
static uint64_t relay_of(Frame *frame);
static void write_name(Buffer *body, const char *name);
static void write_relay(Buffer *body, uint64_t relay);
static void tell(char kind, Bytes body);
static void tell_of_relay(char kind, uint64_t relay);
static void tell_in_parts(char part_kind, char last_kind, Bytes body);
static void append_payload(Bytes sealed);
static void share(struct ev_loop *, ev_timer *, int);
static void share_now(void);
static void share_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void watch(struct ev_loop *, ev_timer *, int);

const DatabaseEvents bus_events = {
	.listening = listening, .reconnected = room_check_all, .notified = notified};

void
bus_start(uint64_t predecessor)
{
	if (getrandom(&own_relay, sizeof own_relay, 0) < 0 || own_relay == 0)
		own_relay = (uint64_t) (ev_time() * 1e6);
	gone_relay = predecessor;
	ev_timer_init(&share_timer, share, SHARE_SECONDS, 0.0);
	ev_timer_init(&watch_timer, watch, WATCH_SECONDS, WATCH_SECONDS);
	ev_timer_start(loop_ev(), &watch_timer);
}

void
bus_stop(void)
{
	peers_stop();
	buffer_free(&payloads);
}

uint64_t
bus_own_relay(void)
{
	return own_relay;
}

bool
bus_has_peers(void)
{
	return peers_count() > 0;
}

bool
bus_is_silent(uint64_t relay)
{
	const Peer *peer = peers_find(relay);

	return peer == NULL ||
		   (!is_deaf && loop_now() - peer->heard_at > (double) config.relay_timeout / 2);
}

void
bus_ask_presence(const char *document)
{
	Buffer body = {0};

	if (!bus_has_peers())
		return;
	write_name(&body, document);
	tell('a', buffer_view(&body));
	buffer_free(&body);
}

void
bus_contest(const char *document, uint64_t relay, uint64_t client)
{
	Buffer body = {0};

	write_relay(&body, relay);
	write_name(&body, document);
	buffer_write_varuint(&body, client);
	tell('c', buffer_view(&body));
	buffer_free(&body);
}

void
bus_share_stateless(const char *document, Bytes payload)
{
	Buffer body = {0};

	if (!bus_has_peers())
		return;
	write_name(&body, document);
	buffer_write_varbytes(&body, payload);
	if (!body.failed)
		tell_in_parts('S', 's', buffer_view(&body));
	buffer_free(&body);
}

void
bus_say_goodbye(void)
{
	if (!bus_has_peers())
		return;
	tell_of_relay('x', own_relay);
	is_leaving = true;
	share_now();
}

bool
bus_is_idle(void)
{
	return !is_sharing && payload_count == 0 && (!bus_has_peers() || !presence_has_unshared());
}

void
bus_share_soon(void)
{
	if (!ev_is_active(&share_timer) && !is_sharing)
	{
		double seconds = notify_queue_is_avoided() ? SLOW_SHARE_SECONDS : SHARE_SECONDS;
		double wait = shared_at + seconds - loop_now();

		ev_timer_set(&share_timer, wait > 0.0 ? wait : 0.0, 0.0);
		ev_timer_start(loop_ev(), &share_timer);
	}
}

/* Again: presence that was told meanwhile is unknown here, and commits were not announced. */
static void
listening(void)
{
	room_check_all();
	access_ask_all();
	presence_doubt_relays();
	own_heard_at = loop_now();
	ask_key();
}

static void
ask_key(void)
{
	if (is_asking_key)
		return;
	is_asking_key = true;
	key_asked_at = loop_now();
	key_query = (DatabaseQuery){.statement = STATEMENT_RELAY_KEY, .done = key_done};
	database_submit(0, &key_query);
}

static void
key_done(DatabaseQuery *query, const DatabaseAnswer *answer)
{
	Bytes key = answer->row_count == 1 ? database_bytes(answer, 0, 0) : (Bytes){0};

	(void) query;
	is_asking_key = false;
	if (key.size == SEAL_KEY_SIZE)
	{
		memcpy(shared_key_bytes, key.data, key.size);
		shared_key = (Bytes){shared_key_bytes, key.size};
		if (seal_derive(shared_key, own_relay, &own_key))
			say_hello();
		else
			shared_key.size = 0;
	}
	if (shared_key.size == 0) /* asked for again, told once */
		log_event(was_key_missed ? LEVEL_DEBUG : LEVEL_WARNING, "relay_key_missing", "{s:s?, s:s}",
				  "reason", answer->message, "consequence",
				  "who is here is not shared with other relays");
	was_key_missed = shared_key.size == 0;
}

static void
say_hello(void)
{
	hello_at = loop_now();
	tell('h', (Bytes){0});
	room_each(presence_share_all); /* who could not hear us either asks before or after us */
	if (gone_relay != 0)
		tell_of_relay('x', gone_relay);
	gone_relay = 0;
}

static void
notified(const char *channel, const char *payload)
{
	if (strcmp(channel, "ydoc") == 0)
		commit_notified(payload);
	else if (strcmp(channel, "ydoc_access") == 0)
		access_changed(payload);
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

	if (end == payload || end[0] != ' ' || relay == 0 || shared_key.size == 0)
		return;
	const char *base64 = end + 1;
	size_t length = strlen(base64);
	uint8_t *sealed = malloc(length / 4 * 3 + 3);
	int size =
		sealed == NULL ? -1 : EVP_DecodeBlock(sealed, (const unsigned char *) base64, (int) length);

	/* the size counts padding */
	for (size_t i = length; size > 0 && i > 0 && base64[i - 1] == '='; i--)
		size--;
	if (size > 0)
		open_message(relay, (Bytes){sealed, (size_t) size});
	free(sealed);
}

static void
open_message(uint64_t relay, Bytes sealed)
{
	Peer *peer = peers_find(relay);
	SealKey key = relay == own_relay ? own_key : peer != NULL ? peer->key : (SealKey){0};
	uint64_t counter = 0;
	Buffer message = {0};
	bool ok = relay == own_relay || peer != NULL || seal_derive(shared_key, relay, &key);

	if (!ok || !seal_read(&key, sealed, &counter, &message) || message.size == 0)
		metrics_add(METRIC_NOTIFICATIONS_FOREIGN, 1);
	else if (relay == own_relay)
		own_heard();
	else if (peer == NULL || counter > peer->counter) /* else a statement that was sent again */
	{
		char kind = (char) message.data[0];

		peer = kind == 'x' && peer == NULL ? NULL : heard(relay, &key, kind);
		if (peer != NULL)
		{
			peer->counter = counter;
			handle(peer, kind, (Bytes){message.data + 1, message.size - 1});
		}
	}
	buffer_free(&message);
}

/* While nothing came from the database, others may have spoken: their time begins anew. */
static void
own_heard(void)
{
	own_heard_at = loop_now();
	if (is_deaf)
		peers_heard_all(loop_now() + GRACE_SECONDS);
	is_deaf = false;
}

/* NULL if there are too many. */
static Peer *
heard(uint64_t relay, const SealKey *key, char kind)
{
	Peer *peer = peers_find(relay);

	if (peer != NULL)
	{
		peer->heard_at = loop_now();
		return peer;
	}
	peer = peers_add(relay, key);
	if (peer == NULL)
		return NULL;
	metrics_set(METRIC_RELAYS, peers_count());
	log_event(LEVEL_INFO, "relay_heard", "{s:i}", "relays", peers_count());

	/* until now nobody was there to be told */
	room_each(presence_share_all);
	bus_share_soon();

	/* we took it for dead, and it does not know: or it is neither new nor answering us */
	if (peers_was_removed(relay) ||
		(kind != 'h' && loop_now() - hello_at > (double) config.relay_timeout))
		tell_of_relay('f', relay);
	return peer;
}

static void
lost(Peer *peer)
{
	uint64_t relay = peer->relay;

	peers_remove(peer);
	metrics_set(METRIC_RELAYS, peers_count());
	log_event(LEVEL_INFO, "relay_lost", "{s:i}", "relays", peers_count());
	presence_forget_relay(relay);
}

static void
handle(Peer *peer, char kind, Bytes body)
{
	Frame frame = frame_begin(body);

	switch (kind)
	{
		case 'h':
			tell('b', (Bytes){0}); /* so that it hears of us */
			room_each(presence_share_all);
			bus_share_soon();
			break;
		case 'p': states_told(peer, body, true); break;
		case 'P': states_told(peer, body, false); break;
		case 's': stateless_told(peer, body, true); break;
		case 'S': stateless_told(peer, body, false); break;
		case 'a': states_asked(body); break;
		case 'c': contested(body); break;
		case 'f':
			if (relay_of(&frame) == own_relay)
				room_each(presence_renew_all);
			break;
		case 'x':
			peer = peers_find(relay_of(&frame));
			if (peer != NULL)
				lost(peer);
			break;
		default: break; /* a beat, or a later relay's */
	}
}

/* True if the message is whole now. */
static bool
take_part(Peer *peer, Bytes part, bool is_last)
{
	/* a state and a name at most: more comes from nobody who knows the rules */
	if (peer->parts.size + part.size > (size_t) config.max_presence_state_bytes + 2 * MAX_STATES)
		buffer_free(&peer->parts);
	buffer_write(&peer->parts, part);
	return is_last;
}

static void
stateless_told(Peer *peer, Bytes part, bool is_last)
{
	if (!take_part(peer, part, is_last))
		return;
	Frame frame = frame_begin(buffer_view(&peer->parts));
	Room *room = room_of(&frame);
	Bytes payload = frame_read_bytes(&frame);

	if (room != NULL && !frame.failed)
		room_publish_stateless(room, payload);
	buffer_free(&peer->parts);
}

static void
states_told(Peer *peer, Bytes part, bool is_last)
{
	if (!take_part(peer, part, is_last))
		return;
	Frame frame = frame_begin(buffer_view(&peer->parts));
	Room *room = room_of(&frame);
	Bytes entries = frame_read_bytes(&frame);

	if (room != NULL && !frame.failed)
		presence_take_remote(room, peer->relay, entries);
	buffer_free(&peer->parts);
}

static void
states_asked(Bytes body)
{
	Frame frame = frame_begin(body);
	Room *room = room_of(&frame);

	if (room != NULL)
	{
		presence_share_all(room);
		bus_share_soon();
	}
}

static void
contested(Bytes body)
{
	Frame frame = frame_begin(body);
	bool is_ours = relay_of(&frame) == own_relay;
	Room *room = room_of(&frame);
	uint64_t client = frame_read_varuint(&frame);

	if (is_ours && room != NULL && !frame.failed)
		presence_contested(room, client);
}

/* NULL if it is not open here. */
static Room *
room_of(Frame *frame)
{
	Bytes name = frame_read_bytes(frame);

	return frame->failed ? NULL : room_find((const char *) name.data, name.size);
}

static uint64_t
relay_of(Frame *frame)
{
	Bytes number = frame_read_bytes(frame);
	uint64_t relay = 0;

	for (size_t i = 0; number.size == RELAY_SIZE && i < RELAY_SIZE; i++)
		relay = relay << 8 | number.data[i];
	return relay;
}

static void
write_name(Buffer *body, const char *name)
{
	buffer_write_varbytes(body, (Bytes){(const uint8_t *) name, strlen(name)});
}

static void
write_relay(Buffer *body, uint64_t relay)
{
	uint8_t number[RELAY_SIZE];

	for (int i = 0; i < RELAY_SIZE; i++)
		number[i] = (uint8_t) (relay >> 8 * (RELAY_SIZE - 1 - i));
	buffer_write_varbytes(body, (Bytes){number, RELAY_SIZE});
}

static void
tell(char kind, Bytes body)
{
	Buffer message = {0}, sealed = {0};

	if (shared_key.size == 0 || is_leaving || body.size > MAX_BODY || payload_count >= MAX_WAITING)
		return;
	buffer_write_u8(&message, (uint8_t) kind);
	buffer_write(&message, body);
	if (!message.failed && seal_write(&own_key, ++own_counter, buffer_view(&message), &sealed))
		append_payload(buffer_view(&sealed));
	buffer_free(&message);
	buffer_free(&sealed);
	told_at = loop_now();
	bus_share_soon();
}

static void
tell_of_relay(char kind, uint64_t relay)
{
	Buffer body = {0};

	write_relay(&body, relay);
	if (!body.failed)
		tell(kind, buffer_view(&body));
	buffer_free(&body);
}

static void
tell_in_parts(char part_kind, char last_kind, Bytes body)
{
	for (; body.size > MAX_BODY; body.data += MAX_BODY, body.size -= MAX_BODY)
		tell(part_kind, (Bytes){body.data, MAX_BODY});
	tell(last_kind, body);
}

static void
append_payload(Bytes sealed)
{
	char payload[MAX_PAYLOAD + 100];
	int length = snprintf(payload, sizeof payload, "%016" PRIx64 " ", own_relay);

	length += EVP_EncodeBlock((unsigned char *) payload + length, sealed.data, (int) sealed.size);
	if (payload_count == 0)
	{
		buffer_reset(&payloads);
		(void) buffer_reserve(&payloads, DATABASE_ARRAY_HEADER);
	}
	buffer_write_u32(&payloads, (uint32_t) length);
	buffer_write(&payloads, (Bytes){(const uint8_t *) payload, (size_t) length});
	payload_count++;
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
		room = presence_next_unshared(&entries, MAX_STATES);
		write_name(&body, room_name(room));
		buffer_write_varbytes(&body, buffer_view(&entries));
		if (!entries.failed && !body.failed && bus_has_peers())
			tell_in_parts('P', 'p', buffer_view(&body));
	}
	buffer_free(&body);
	buffer_free(&entries);
	ShareQuery *query = payload_count > 0 && !payloads.failed ? calloc(1, sizeof *query) : NULL;

	if (query != NULL)
	{
		query->payloads = payloads; /* taken over */
		database_write_array_header(query->payloads.data, DATABASE_TEXT, false, payload_count);
		query->query = (DatabaseQuery){
			STATEMENT_PRESENCE, share_done, {buffer_view(&query->payloads)}, NULL, {0}};
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

/* Beats, and those whose beats are missing. */
static void
watch(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) loop, (void) watcher, (void) events;
	double now = loop_now(), timeout = (double) config.relay_timeout;
	double beat = bus_has_peers() ? timeout / BEATS_PER_TIMEOUT : LONELY_BEAT_SECONDS;

	if (shared_key.size == 0 && now - key_asked_at >= KEY_SECONDS)
		ask_key();
	if (now - told_at >= beat && payload_count == 0)
		tell('b', (Bytes){0});
	is_deaf = is_deaf || now - own_heard_at > timeout / 2;
	for (Peer *peer; !is_deaf && (peer = peers_unheard_since(now - timeout)) != NULL;)
		lost(peer);
}
