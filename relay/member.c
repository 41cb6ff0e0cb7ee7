/*
 * member.c: who has something to do, whose turn it is, who enters and who leaves.
 *
 * Here: members and their rows.  Not here: sockets (connection.c), what a member gets (room.c).
 */
#include "member.h"

#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "presence.h"
#include "room.h"

static void list(Member *member);
static void append(Member *member, Member ***end);
static void serve(Member *member);
static void wait_for_socket(Member *member);
static void leave(Member *member);
static void expired(struct ev_loop *, ev_periodic *, int);
static void visit_members(Connection *connection);

static Member *listed, **listed_end = &listed; /* served in the order in which they were listed */
static void (*visitor)(Member *member); /* of member_each() */

Member *
member_new(Connection *connection, const char *document, Identity *identity)
{
	Member *member = calloc(1, sizeof *member);

	if (member == NULL || (member->document = strdup(document)) == NULL)
	{
		identity_release(identity);
		free(member);
		return NULL;
	}
	member->connection = connection_retain(connection);
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
	if (member->identity->token.expires_at < INT64_MAX)
	{
		/* by the clock on the wall, which may be set */
		ev_periodic_set(&member->expiry, (double) member->identity->token.expires_at, 0.0, NULL);
		ev_periodic_start(loop_ev(), &member->expiry);
	}
	connection_pause(member->connection, PAUSE_UNPROVEN);
	access_ask(member);
}

static void
expired(struct ev_loop *loop, ev_periodic *watcher, int events)
{
	(void) loop, (void) events;
	member_close(watcher->data, CLOSE_UNAUTHORIZED, "token expired");
}

const char *
member_document(const Member *member)
{
	return member->room != NULL ? room_name(member->room) : member->document;
}

void
member_admit(Member *member)
{
	if (!room_join(member->document, member))
	{
		member_close(member, CLOSE_OVERLOAD, "out of memory");
		return;
	}
	member->state = MEMBER_LIVE;
	free(member->document);
	member->document = NULL;
	connection_resume(member->connection, PAUSE_UNPROVEN);
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
	if (member_is_open(member))
		connection_write(member->connection, frames);
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
member_close(Member *member, uint16_t code, const char *reason)
{
	if (member_is_open(member))
		connection_close(member->connection, code, reason);
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
	member->state = MEMBER_GONE;
	ev_periodic_stop(loop_ev(), &member->expiry);
	if (member->room != NULL)
		room_leave(member);
	member_release(member);
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
	if (!member_is_open(member) || member->state == MEMBER_UNPROVEN)
		return;
	if (!member_is_choked(member))
		room_serve(member);
	else
	{
		wait_for_socket(member);
		connection_ask_writable(member->connection);
	}
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
