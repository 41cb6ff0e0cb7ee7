/*
 * member.c: who has something to do, whose turn it is, who enters and who leaves.
 *
 * Here: members and their rows.  Not here: sockets (connection.c), what a member gets (room.c).
 */
#include "member.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "hocuspocus.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "room.h"
#include "sync.h"
#include "user.h"
#include "ywebsocket.h"

#define WARN_SECONDS 30.0 /* before a token expires */
#define FIRST_FINAL_CODE 4400
#define LAST_FINAL_CODE 4499

static void list(Member *member);
static void append(Member *member, Member ***end);
static void serve(Member *member);
static void wait_for_socket(Member *member);
static bool is_of_document(uint16_t code);
static void leave(Member *member);
static void leave_room(Member *member);
static void say_farewell(Member *member);
static void watch_expiry(Member *member, bool may_warn);
static void expired(struct ev_loop *, ev_periodic *, int);
static void visit_members(Connection *connection);

static Member *listed, **listed_end = &listed; /* served in the order in which they were listed */
static void (*visitor)(Member *member); /* of member_each() */

Member *
member_new(Connection *connection, Bytes address, Identity *identity)
{
	Member *member = calloc(1, sizeof *member);

	if (member == NULL || (member->document = malloc(address.size + 1)) == NULL)
	{
		identity_release(identity);
		free(member);
		return NULL;
	}
	memcpy(member->document, address.data, address.size);
	member->document[address.size] = '\0';
	member->address_size = (uint32_t) address.size;
	member->connection = connection_retain(connection);
	connection->member_count++;
	member->references = 1;
	member->identity = identity;
	ev_periodic_init(&member->expiry, expired, 0.0, 0.0, NULL);
	member->expiry.data = member;
	member->next = connection->members;
	connection->members = member;
	return member;
}

Member *
member_retain(Member *member)
{
	member->references++;
	return member;
}

void
member_release(Member *member)
{
	if (--member->references > 0)
		return;
	connection_release(member->connection);
	buffer_free(&member->held_presence);
	identity_release(member->identity);
	free(member->user_name);
	free(member->close_reason);
	free(member->document);
	free(member);
}

void
member_prove(Member *member)
{
	if (!identity_is_checked())
	{
		member->level = ACCESS_ADMIN;
		member_admit(member);
		return;
	}
	watch_expiry(member, true);
	connection_pause(member->connection, PAUSE_UNPROVEN);
	access_ask(member);
}

void
member_set_identity(Member *member, Identity *identity)
{
	/* who shows the old token again is not asked a second time */
	bool is_newer = identity->token.expires_at > member->identity->token.expires_at;

	identity_release(member->identity);
	member->identity = identity;
	if (identity_is_checked())
	{
		watch_expiry(member, is_newer);
		access_ask(member);
	}
	else
		member_want(member, WANT_LEVEL);
}

/* By the clock on the wall, which may be set.  Who can be asked for a new token is asked before. */
static void
watch_expiry(Member *member, bool may_warn)
{
	int64_t expires_at = member->identity->token.expires_at;
	double left = (double) expires_at - ev_time();
	double warning = left / 2 < WARN_SECONDS ? left / 2 : WARN_SECONDS;

	ev_periodic_stop(loop_ev(), &member->expiry);
	member->was_asked = false;
	if (expires_at == INT64_MAX)
		return;
	if (warning < 0.0 || !may_warn || member->connection->protocol != PROTOCOL_HOCUSPOCUS)
		warning = 0.0;
	ev_periodic_set(&member->expiry, (double) expires_at - warning, 0.0, NULL);
	ev_periodic_start(loop_ev(), &member->expiry);
}

static void
expired(struct ev_loop *loop, ev_periodic *watcher, int events)
{
	Member *member = watcher->data;
	double expires_at = (double) member->identity->token.expires_at;

	(void) events;
	if (ev_now(loop) >= expires_at)
		member_close(member, CLOSE_UNAUTHORIZED, "token expired");
	else
	{
		member_want(member, WANT_TOKEN);
		ev_periodic_set(watcher, expires_at, 0.0, NULL);
		ev_periodic_start(loop, watcher);
	}
}

const char *
member_document(const Member *member)
{
	return member->room != NULL ? room_name(member->room) : member->document;
}

/* It counts as the connection of who is the first in it to be somebody. */
static bool
has_room_for_user(const Member *member)
{
	Connection *connection = member->connection;

	return connection->user != NULL || user_enter(member->identity, &connection->user);
}

void
member_admit(Member *member)
{
	if (identity_is_checked() && !has_room_for_user(member))
	{
		member_close(member, CLOSE_OVERLOAD, "too many connections of this user");
		return;
	}
	if (!room_join(member->document, member))
	{
		member_close(member, CLOSE_OVERLOAD, "out of memory");
		return;
	}
	member->state = MEMBER_LIVE;
	member->was_admitted = member->connection->is_proven = true;
	connection_resume(member->connection, PAUSE_UNPROVEN);
	if (member->connection->protocol == PROTOCOL_HOCUSPOCUS)
		member_want(member, WANT_LEVEL);
	else
	{
		free(member->document);
		member->document = NULL;
	}
}

bool
member_is_open(const Member *member)
{
	return member->state < MEMBER_LEAVING;
}

bool
member_is_choked(const Member *member)
{
	return connection_is_choked(member->connection);
}

void
member_write(Member *member, Bytes frames)
{
	if (!member_is_open(member))
		return;
	if (member->connection->protocol == PROTOCOL_HOCUSPOCUS)
		hocuspocus_write(member, frames);
	else
		ywebsocket_write(member, frames);
}

void
member_want(Member *member, unsigned wants)
{
	if (!member_is_open(member))
		return;
	member->wants |= wants;
	list(member);
}

void
member_yield(Member *member)
{
	if (!member_is_open(member))
		return;
	if (!member->is_listed)
		wait_for_socket(member);
	connection_ask_writable(member->connection);
}

void
member_tell_status(Member *member, bool is_accepted)
{
	if (!member_is_told_status(member))
		return;
	member->accepted += is_accepted;
	member->refused += !is_accepted;
	member_want(member, WANT_STATUS);
}

bool
member_is_told_status(const Member *member)
{
	return member->connection->protocol == PROTOCOL_HOCUSPOCUS;
}

void
member_detach(Member *member)
{
	if (member->state == MEMBER_UNPROVEN)
		connection_resume(member->connection, PAUSE_UNPROVEN);
	leave(member);
}

/* Other documents of the connection have nothing to do with it. */
static bool
is_of_document(uint16_t code)
{
	return code == CLOSE_INTERNAL || (code >= FIRST_FINAL_CODE && code <= LAST_FINAL_CODE);
}

void
member_close(Member *member, uint16_t code, const char *reason)
{
	if (!member_is_open(member))
		return;
	if (!is_of_document(code) || member->connection->protocol != PROTOCOL_HOCUSPOCUS)
	{
		connection_close(member->connection, code, reason);
		return;
	}
	if (member->state == MEMBER_UNPROVEN)
		connection_resume(member->connection, PAUSE_UNPROVEN);
	member->state = MEMBER_LEAVING;
	member->close_code = code;
	member->close_reason = strndup(reason, CLOSE_REASON_MAX);
	ev_periodic_stop(loop_ev(), &member->expiry);
	metrics_add(METRIC_MEMBERS_CLOSED, 1);
	log_event(LEVEL_INFO, "member_closed", "{s:s, s:i, s:s}", "document", member_document(member),
			  "code", (int) code, "reason", reason);
	list(member); /* it leaves at the round's end: rooms may be in the middle of something */
}

void
member_serve_all(Connection *connection)
{
	for (Member *member; (member = connection->waiting) != NULL;)
	{
		connection->waiting = member->next_listed;
		append(member, &listed_end); /* with the row's hold */
	}
	connection->waiting_end = NULL;
}

void
member_keep_alive(Connection *connection)
{
	Member *member = connection->members;

	while (member != NULL && (!member_is_open(member) || member->state == MEMBER_UNPROVEN))
		member = member->next;
	if (member != NULL)
		member_want(member, WANT_ALIVE);
}

void
member_leave_all(Connection *connection)
{
	for (Member *member = connection->members; member != NULL; member = member->next)
		if (member_is_open(member))
			member->state = MEMBER_LEAVING;
}

void
member_forget_all(Connection *connection)
{
	for (Member *member; (member = connection->waiting) != NULL;)
	{
		connection->waiting = member->next_listed;
		member->is_listed = false;
		member_release(member);
	}
	connection->waiting_end = NULL;
	while (connection->members != NULL)
		leave(connection->members);
}

/* Of its room and of its connection. */
static void
leave(Member *member)
{
	Member **place = &member->connection->members;

	while (*place != member)
		place = &(*place)->next;
	*place = member->next;
	member->connection->member_count--;
	member->state = MEMBER_GONE;
	ev_periodic_stop(loop_ev(), &member->expiry);
	leave_room(member);
	member_release(member);
}

static void
leave_room(Member *member)
{
	if (member->room != NULL)
		room_leave(member);
	else
		sync_drop_vector(member); /* a question that came before it was admitted */
}

void
member_each(void (*visit)(Member *member))
{
	visitor = visit;
	connection_each(visit_members);
}

static void
visit_members(Connection *connection)
{
	for (Member *member = connection->members; member != NULL; member = member->next)
		visitor(member);
}

void
member_end_round(void)
{
	/* serving one may list it again, choked now: it then waits for its socket */
	for (Member *member; (member = listed) != NULL;)
	{
		listed = member->next_listed;
		if (listed == NULL)
			listed_end = &listed;
		member->is_listed = false;
		member->next_listed = NULL;
		serve(member);
		member_release(member);
	}
}

static void
serve(Member *member)
{
	bool is_farewell = member->state == MEMBER_LEAVING;

	if (member->state == MEMBER_UNPROVEN || member->state > MEMBER_LEAVING ||
		!connection_is_open(member->connection))
		return;
	if (is_farewell)
		leave_room(member);
	if (!member_is_choked(member))
		is_farewell ? say_farewell(member) : room_serve(member);
	else
	{
		wait_for_socket(member);
		connection_ask_writable(member->connection);
	}
}

static void
say_farewell(Member *member)
{
	member->state = MEMBER_REFUSED;
	hocuspocus_write_farewell(member);
	free(member->close_reason);
	member->close_reason = NULL;
	identity_release(member->identity);
	member->identity = NULL;
	buffer_free(&member->held_presence);
}

void
member_stop(void)
{
	for (Member *member; (member = listed) != NULL;)
	{
		listed = member->next_listed;
		member_release(member);
	}
	listed_end = &listed;
}

static void
list(Member *member)
{
	if (member->is_listed)
		return;
	member->is_listed = true;
	append(member_retain(member), &listed_end);
}

/* Last in the row of its connection. */
static void
wait_for_socket(Member *member)
{
	Connection *connection = member->connection;

	member->is_listed = true;
	if (connection->waiting == NULL)
		connection->waiting_end = &connection->waiting;
	append(member_retain(member), &connection->waiting_end);
}

static void
append(Member *member, Member ***end)
{
	member->next_listed = NULL;
	**end = member;
	*end = &member->next_listed;
}
