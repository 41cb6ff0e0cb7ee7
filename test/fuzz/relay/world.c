/*
 * world.c: rooms, connections and rights as simple as can be (world.h).
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "../require.h"
#include "access.h"
#include "bus.h"
#include "clock.h"
#include "config.h"
#include "hocuspocus.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "presence_entry.h"
#include "presence_report.h"
#include "presence_share.h"
#include "room.h"
#include "sync.h"
#include "user.h"
#include "ywebsocket.h"

#define MOST_ASKED 64
#define ROUNDS 8 /* after which nobody may have anything to do */

struct Room
{
	char *name;
	Member *members[WORLD_CONNECTIONS * (WORLD_DOCUMENTS + 1)];
	uint32_t member_count;
	int holds;
	Presence presence;
	Buffer log; /* frames to be published at the round's end */
	Buffer updates, stateless; /* frames, all that there were */
	Room *next;
};

Config config;
WorldNature world_nature;
Taken world_taken;
Connection *world_connections[WORLD_CONNECTIONS];
void (*world_written)(Connection *connection, Bytes message);

static Room *rooms;
static Member *asked[MOST_ASKED]; /* held: what they may do is being asked */
static int asked_count;
static bool is_choked[WORLD_CONNECTIONS], wants_writable[WORLD_CONNECTIONS];
static int identities;

static void answer_about(Member *member);
static void publish(Room *room);
static void check_quiet(Connection *connection);
static void sweep_rooms(void);
static int number_of(const Connection *connection);
static int take(Member *member, TakenKind kind, Bytes bytes);

void
world_begin(const WorldNature *nature)
{
	world_nature = *nature;
	clock_begin();
	config = (Config){.documents_per_connection = WORLD_DOCUMENTS,
					  .max_message_bytes = 1 << 20,
					  .max_presence_message_bytes = nature->is_strict ? WORLD_MAX_TEXT : 1 << 18,
					  .max_stateless_bytes = nature->is_strict ? WORLD_MAX_TEXT : 1 << 14,
					  .max_presence_rate = nature->is_throttling ? 2 : 0,
					  .max_presence_bytes = 1 << 16,
					  .max_presence_state_bytes = 512,
					  .stamp_user = nature->is_stamping ? "user.name" : NULL};
	for (int i = 0; i < WORLD_CONNECTIONS; i++)
		is_choked[i] = wants_writable[i] = false;
	presence_start();
	throttle_start();
}

void
world_end(void)
{
	for (int i = 0; i < WORLD_CONNECTIONS; i++)
		if (world_connections[i] != NULL)
			world_close(i);
	world_end_round();
	throttle_stop();
	presence_stop();
	hocuspocus_stop();
	member_stop();
	sweep_rooms();
	clock_end();
	fuzz_require(rooms == NULL, "a room is left");
	fuzz_require(identities == 0, "an identity is left");
	fuzz_require(metrics_cell()->values[METRIC_PRESENCE_BYTES] == 0, "presence is left");
	fuzz_require(metrics_cell()->values[METRIC_PRESENCE_CLIENTS] == 0, "somebody is left");
}

/* ---- connections ---- */

void
world_open(int number)
{
	Connection *connection = calloc(1, sizeof *connection);

	connection->wsi = (struct lws *) connection;
	connection->references = 1;
	connection->protocol = world_nature.protocol;
	connection->received_at = loop_now();
	world_connections[number] = connection;
	is_choked[number] = wants_writable[number] = false;
	if (connection->protocol == PROTOCOL_HOCUSPOCUS)
	{
		hocuspocus_open(connection);
		return;
	}
	TokenVerdict refusal;
	Identity *identity = identity_of_request(connection->wsi, &refusal);

	member_prove(member_new(connection, (Bytes){(const uint8_t *) "notes", 5}, identity));
}

void
world_close(int number)
{
	Connection *connection = world_connections[number];

	connection->state = CONNECTION_GONE;
	connection->wsi = NULL;
	member_forget_all(connection);
	fuzz_require(connection->members == NULL && connection->member_count == 0, "a member is left");
	world_connections[number] = NULL;
	connection_release(connection);
}

int
world_say(Connection *connection, Bytes message)
{
	world_taken = (Taken){0};
	connection->received_at = loop_now();
	int code = connection->protocol == PROTOCOL_HOCUSPOCUS
				   ? hocuspocus_handle(connection, message)
				   : ywebsocket_handle(connection->members, message);

	if (code != 0)
		connection_close(connection, (uint16_t) code, ywebsocket_reason(code));
	return code;
}

void
world_choke(Connection *connection, bool choke)
{
	is_choked[number_of(connection)] = choke;
}

/* Until all is quiet. */
void
world_end_round(void)
{
	for (int round = 0; round < ROUNDS; round++)
	{
		while (asked_count > 0)
		{
			Member *member = asked[--asked_count];

			member->waits_for_level = false;
			answer_about(member);
			member_release(member);
		}
		presence_end_round();
		for (Room *room = rooms; room != NULL; room = room->next)
			publish(room);
		for (int i = 0; i < WORLD_CONNECTIONS; i++)
			if (world_connections[i] != NULL && wants_writable[i] && !is_choked[i])
			{
				wants_writable[i] = false;
				member_serve_all(world_connections[i]);
			}
		member_end_round();
		hocuspocus_share(false);

		Buffer entries = {0};

		while (presence_next_unshared(&entries, 1024) != NULL)
			buffer_reset(&entries);
		buffer_free(&entries);
		sweep_rooms();
	}
	connection_each(check_quiet);
}

/* Nobody whose socket is free waits for anything any more. */
static void
check_quiet(Connection *connection)
{
	if (!connection_is_open(connection) || connection_is_choked(connection))
		return;
	for (const Member *member = connection->members; member != NULL; member = member->next)
		fuzz_require(member->state != MEMBER_UNPROVEN && member->state != MEMBER_LEAVING &&
						 (!member_is_open(member) ||
						  (member->wants == 0 && member->accepted == 0 && member->refused == 0)),
					 "somebody waits for ever");
}

static int
number_of(const Connection *connection)
{
	for (int i = 0; i < WORLD_CONNECTIONS; i++)
		if (world_connections[i] == connection)
			return i;
	fuzz_require(false, "a connection is used that is gone");
	return -1;
}

Connection *
connection_retain(Connection *connection)
{
	connection->references++;
	return connection;
}

void
connection_release(Connection *connection)
{
	if (--connection->references > 0)
		return;
	identity_release(connection->identity);
	free(connection);
}

bool
connection_is_open(const Connection *connection)
{
	return connection->state < CONNECTION_CLOSING;
}

bool
connection_is_choked(Connection *connection)
{
	return is_choked[number_of(connection)];
}

void
connection_write(Connection *connection, Bytes frames)
{
	Bytes message;

	if (!connection_is_open(connection) || frames.size == 0)
		return;
	fuzz_require(!is_choked[number_of(connection)], "somebody writes to a socket that is full");
	for (Bytes rest = frames; frame_take_message(&rest, &message);)
		world_written(connection, message);
}

void
connection_ask_writable(Connection *connection)
{
	wants_writable[number_of(connection)] = true;
}

void
connection_close(Connection *connection, uint16_t code, const char *reason)
{
	fuzz_require(code >= 1000 && reason != NULL && strlen(reason) <= CLOSE_REASON_MAX,
				 "closed without a reason");
	if (!connection_is_open(connection))
		return;
	connection->pauses = 0;
	connection->close_code = code;
	connection->state = CONNECTION_CLOSING;
	member_leave_all(connection);
}

void
connection_ping(Connection *connection)
{
	connection->pinged_at = loop_now();
}

void
connection_pause(Connection *connection, ConnectionPause reason)
{
	connection->pauses |= reason;
}

void
connection_resume(Connection *connection, ConnectionPause reason)
{
	connection->pauses &= ~(unsigned) reason;
}

void
connection_each(void (*visit)(Connection *connection))
{
	for (int i = 0; i < WORLD_CONNECTIONS; i++)
		if (world_connections[i] != NULL)
			visit(world_connections[i]);
}

void
listener_authentication_failed(struct lws *wsi)
{
	(void) wsi;
}

bool
user_enter(const Identity *identity, char **user)
{
	(void) identity;
	*user = NULL;
	return true;
}

/* ---- who somebody is: as the first letter of his token says ---- */

static Identity *
identity_new(bool is_stranger, int64_t expires_at)
{
	Identity *identity = calloc(1, sizeof *identity);

	identities++;
	identity->references = 1;
	identity->is_stranger = is_stranger;
	identity->token.expires_at = expires_at;
	return identity;
}

bool
identity_is_checked(void)
{
	return world_nature.is_checked;
}

bool
identity_is_current(const Identity *identity)
{
	return (double) identity->token.expires_at > ev_time();
}

Identity *
identity_of_request(struct lws *wsi, TokenVerdict *refusal)
{
	(void) wsi;
	*refusal = TOKEN_VALID;
	return identity_new(true, INT64_MAX);
}

Identity *
identity_of_token(Bytes token, TokenVerdict *refusal)
{
	*refusal = token.data[0] == 'b' ? TOKEN_MALFORMED : TOKEN_VALID;
	return *refusal == TOKEN_VALID ? identity_new(false, CLOCK_WALL + token.data[0]) : NULL;
}

Identity *
identity_retain(Identity *identity)
{
	identity->references++;
	return identity;
}

void
identity_release(Identity *identity)
{
	if (identity == NULL || --identity->references > 0)
		return;
	identities--;
	free(identity);
}

const char *
token_reason(TokenVerdict verdict)
{
	return verdict == TOKEN_EXPIRED ? "it has expired" : "it is malformed";
}

/* ---- what he may do: as the first letter of the document says ---- */

void
access_ask(Member *member)
{
	if (member->waits_for_level)
		return;
	fuzz_require(asked_count < MOST_ASKED, "too many members");
	member->waits_for_level = true;
	asked[asked_count++] = member_retain(member);
}

static void
answer_about(Member *member)
{
	char letter = member_document(member)[0];

	if (!member_is_open(member))
		return;
	if (letter == 'x')
	{
		member_close(member, CLOSE_FORBIDDEN, "no right to read this document");
		return;
	}
	member->level = letter == 'r' ? ACCESS_READ : letter == 'c' ? ACCESS_COMMENT : ACCESS_WRITE;
	if (member->user_name == NULL && number_of(member->connection) == 0)
		member->user_name = strdup("Ann");
	if (member->state == MEMBER_UNPROVEN)
		member_admit(member);
	else if (member->owes_level)
		member_want(member, WANT_LEVEL);
	member->owes_level = false;
}

/* ---- rooms ---- */

static Room *
room_open(const char *name)
{
	Room *room = rooms;

	while (room != NULL && strcmp(room->name, name) != 0)
		room = room->next;
	if (room != NULL)
		return room;
	room = calloc(1, sizeof *room);
	room->name = strdup(name);
	room->next = rooms;
	rooms = room;
	presence_room_opened(room);
	return room;
}

bool
room_join(const char *name, Member *member)
{
	Room *room = room_open(name);

	fuzz_require(room->member_count < sizeof room->members / sizeof *room->members,
				 "too many members in a room");
	member->room = room;
	member->stateless_position = room->stateless.size;
	room->members[room->member_count++] = member;
	return true;
}

void
room_leave(Member *member)
{
	Room *room = member->room;
	uint32_t i = 0;

	presence_leave(member);
	sync_drop_vector(member);
	member->room = NULL;
	while (room->members[i] != member)
		i++;
	room->members[i] = room->members[--room->member_count];
}

static void
sweep_rooms(void)
{
	for (Room **place = &rooms, *room; (room = *place) != NULL;)
	{
		if (room->member_count > 0 || room->holds > 0)
		{
			place = &room->next;
			continue;
		}
		*place = room->next;
		presence_free(&room->presence);
		buffer_free(&room->log);
		buffer_free(&room->updates);
		buffer_free(&room->stateless);
		free(room->name);
		free(room);
	}
}

const char *
room_name(const Room *room)
{
	return room->name;
}

uint32_t
room_member_count(const Room *room)
{
	return room->member_count;
}

Presence *
room_presence(Room *room)
{
	return &room->presence;
}

Room *
room_retain(Room *room)
{
	room->holds++;
	return room;
}

void
room_release(Room *room)
{
	room->holds--;
}

void
room_each(void (*visit)(Room *room))
{
	for (Room *room = rooms; room != NULL; room = room->next)
		visit(room);
}

bool
world_has_published(const Room *room, TakenKind kind, Bytes payload)
{
	bool is_stateless = kind == TAKEN_STATELESS;
	Bytes frames = buffer_view(is_stateless ? &room->stateless : &room->updates), message;
	size_t before = (is_stateless ? 1 : 2) + varuint_size(payload.size); /* types, size */

	while (frame_take_message(&frames, &message))
		if (message.size == before + payload.size &&
			(payload.size == 0 || memcmp(message.data + before, payload.data, payload.size) == 0))
			return true;
	return false;
}

static int
take(Member *member, TakenKind kind, Bytes bytes)
{
	world_taken = (Taken){kind, world_taken.count + 1, member, member->room, bytes};
	return 0;
}

int
room_take_sync(Member *member, Bytes state_vector)
{
	sync_drop_vector(member);
	buffer_write(&member->state_vector, state_vector);
	member->owes_answer = true;
	member_want(member, WANT_SYNC);
	return take(member, TAKEN_STATE_VECTOR, state_vector);
}

int
room_take_answer(Member *member, Bytes update)
{
	if (member->owes_answer)
		member_tell_status(member, access_may_send(member->level));
	member->owes_answer = false;
	return take(member, TAKEN_ANSWER, update);
}

int
room_take_update(Member *member, Bytes update)
{
	bool may_send = access_may_send(member->level);

	member_tell_status(member, may_send);
	if (may_send)
	{
		ywebsocket_write_update(&member->room->updates, update);
		ywebsocket_write_update(&member->room->log, update);
	}
	else if (!member->was_denied && !member_is_told_status(member))
		member_want(member, WANT_LEVEL);
	member->was_denied |= !may_send;
	return take(member, TAKEN_UPDATE, update);
}

void
room_publish(Room *room, Bytes frames, Member *author)
{
	(void) author;
	buffer_write(&room->log, frames);
}

void
room_publish_stateless(Room *room, Bytes payload)
{
	world_taken = (Taken){TAKEN_STATELESS, world_taken.count + 1, NULL, room, payload};
	ywebsocket_write_stateless(&room->stateless, payload);
	for (uint32_t i = 0; i < room->member_count; i++)
		member_want(room->members[i], WANT_STATELESS);
}

Bytes
room_take_stateless(Member *member)
{
	Bytes all = buffer_view(&member->room->stateless);
	Bytes frames = {all.data + member->stateless_position, all.size - member->stateless_position};

	member->stateless_position = all.size;
	return frames;
}

void
room_serve(Member *member)
{
	Buffer out = {0};

	if ((member->wants & WANT_PRESENCE) != 0)
		presence_write_all(member->room, &out);
	if ((member->wants & WANT_SYNC) != 0)
		ywebsocket_write_step2(&out, buffer_view(&member->state_vector));
	member->wants &= ~(unsigned) (WANT_PRESENCE | WANT_SYNC);
	member_write(member, buffer_view(&out));
	buffer_free(&out);
}

/* To all of the room: the frames are shared. */
static void
publish(Room *room)
{
	hocuspocus_share(true);
	for (uint32_t i = 0; i < room->member_count; i++)
		if (room->log.size > 0 && !member_is_choked(room->members[i]))
			member_write(room->members[i], buffer_view(&room->log));
	hocuspocus_share(false);
	buffer_free(&room->log);
}

void
sync_drop_vector(Member *member)
{
	buffer_free(&member->state_vector);
}

/* ---- other relays, SQL, the log: nobody else is there, but what they would be told is written ---- */

bool
bus_has_peers(void)
{
	return true;
}

bool
bus_is_silent(uint64_t relay)
{
	(void) relay;
	return false;
}

void
bus_ask_presence(const char *document)
{
	(void) document;
}

void
bus_contest(const char *document, uint64_t relay, uint64_t client)
{
	(void) document, (void) relay, (void) client;
}

void
bus_share_soon(void)
{
}

void
bus_share_stateless(const char *document, Bytes payload)
{
	fuzz_require(strcmp(document, world_taken.room->name) == 0 &&
					 payload.data == world_taken.bytes.data,
				 "other relays are told something else");
}

void
presence_report_start(void)
{
}

void
presence_mark_unreported(Presence *presence, PresenceEntry *entry)
{
	(void) presence, (void) entry;
}

void
presence_forget_unreported(Presence *presence)
{
	(void) presence;
}

void
log_event(LogLevel level, const char *event, const char *fields, ...)
{
	(void) level, (void) event, (void) fields;
}
