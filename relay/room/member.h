/*
 * A member: one document of one connection, from its being named to its end.
 *
 *     member_write(member, frames);                  whole frames, ready for the wire
 *     member_want(member, WANT_PRESENCE);            told to its room when the socket is free
 *     member_close(member, CLOSE_REFUSED, "…");      from anywhere, at most once
 *
 * Memory is bounded whatever the peer does: nothing is queued here.  What a member should get is a
 * bit in `wants` or a position in its room's log; who found the socket full waits in a row, and each
 * has its turn when the socket is free.
 *
 *               admitted       socket full, log moved on          its turn
 *     UNPROVEN ---------> LIVE --------------------------> BEHIND ---------> CATCHING_UP
 *                          ^ ^                                                 |     |
 *                          | +----------- one merged update from its seq ------+     | that is large
 *                          |                                                         |
 *              sync step 1 +-----------> LOADING slice by slice <--------------------+
 *     any of them -> LEAVING (it, or its connection, is being closed) -> GONE
 *                                                      (memory lives on while somebody holds it)
 *
 * In a checked relay (identity.h) it is UNPROVEN until the database has said what it may do: it is
 * in no room yet.  A connection of y-websocket has one member, which its URL names, and ends with it.
 * One of Hocuspocus has several, and goes on without those that are REFUSED.
 */
#ifndef RELAY_MEMBER_H
#define RELAY_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "access.h"
#include "connection.h"
#include "frame.h"
#include "identity.h"
#include "throttle.h"

typedef struct Room Room;

typedef enum MemberState
{
	MEMBER_UNPROVEN, /* what it may do is being asked: it gets nothing, nothing is taken from it */
	MEMBER_LIVE, /* gets every frame its room publishes */
	MEMBER_BEHIND, /* socket full: gets nothing, keeps the seq it has */
	MEMBER_CATCHING_UP, /* its fetch is on the way; new frames wait in the room's log */
	MEMBER_LOADING, /* what it lacks goes out in slices; new frames wait as well */
	MEMBER_LEAVING, /* a close is asked for or under way: no writes */
	MEMBER_REFUSED, /* it was told: its messages are dropped, until it shows a new token */
	MEMBER_GONE /* in no room and of no connection any more */
} MemberState;

typedef enum MemberWant
{
	WANT_LOG = 1, /* what its room's log has after its position */
	WANT_SYNC = 2, /* an answer to its sync step 1 (state_vector) */
	WANT_PRESENCE = 4, /* everybody's awareness state */
	WANT_ALIVE = 8, /* anything: its connection was sent nothing for long */
	WANT_LEVEL = 16, /* what it may do, or may not do any more */
	WANT_STATUS = 32, /* what became of its updates (accepted, refused) */
	WANT_STATELESS = 64, /* stateless messages of its room after its position */
	WANT_TOKEN = 128 /* that its token is about to expire */
} MemberWant;

struct Member
{
	/* what a room looks at for each frame stands together */
	Connection *connection; /* held */
	Room *room; /* NULL while UNPROVEN, and once GONE */
	uint64_t position; /* of the room's log: all before it was written */
	MemberState state;
	unsigned wants;
	AccessLevel level;
	bool was_denied; /* it was told that its updates are refused */
	bool was_given_some; /* of its room's document: an answer, or frames of the log */
	bool is_listed; /* has something to do at the round's end, or waits for the socket */

	Member *next; /* of its connection */
	int references; /* its connection's, and one per batch item, query or list that names it */
	Identity *identity;
	char *user_name; /* of that, as the database says; NULL: nobody's */

	/* its room's (room.c) */
	uint32_t member_index;
	int64_t seq; /* while BEHIND: it has the document up to here */
	const void *awaited; /* while CATCHING_UP: the question whose answer counts (catch_up.c) */
	Buffer state_vector; /* of WANT_SYNC: the newest one it sent */
	struct SyncQuestion *question; /* while LOADING: whose slices it gets (sync.c) */
	uint32_t slice; /* the next one of these */
	bool gets_step2, needs_step1; /* as the last of all, before the first of all */

	/* presence.c's */
	bool has_spoken; /* it sent an awareness message */
	bool is_challenged; /* somebody else claims one of its ids: it has been pinged */
	uint32_t presence_count; /* awareness ids it speaks for */
	float introductions; /* that it may still make */
	double introduced_at;

	/* access.c's */
	bool waits_for_level; /* is in its list */
	int doubts; /* how often the database thought otherwise than we */
	Member *next_waiting;

	/* throttle.c's */
	Bucket presence;
	Buffer held_presence; /* entries that came too fast */

	/* hocuspocus.c's */
	uint32_t address_size; /* bytes of document that are its name there: a session may follow */
	uint32_t accepted, refused; /* updates of which it has not been told yet */
	bool was_admitted;
	bool owes_answer; /* it has asked, and waits to hear what became of its own answer */
	bool is_judged; /* whether all that it has is stored is being asked (answer.c) */
	bool was_asked; /* for a new token */
	bool owes_level; /* it has shown one, and waits to hear what it may do */
	uint16_t close_code; /* while LEAVING, and its connection is not */
	char *close_reason;
	uint64_t
		stateless_position; /* of its room's stateless messages: all before was written, or lost */

	/* member.c's */
	char *document; /* its name; while UNPROVEN, and always where the protocol needs it */
	ev_periodic expiry; /* of its token */
	Member *next_listed;
};

/* UNPROVEN; its connection's from now on.  address is the document's name, or that, a NUL and more.
 * Takes the identity, which may be NULL if it is going to be closed.  NULL when out of memory. */
Member *member_new(Connection *connection, Bytes address, Identity *identity);

Member *member_retain(Member *member);
void member_release(Member *member);

/* Asks what it may do, where that is asked: it is admitted or closed sooner or later. */
void member_prove(Member *member);

/* A new token, which it takes: what it may do is asked again. */
void member_set_identity(Member *member, Identity *identity);

/* Its document's name. */
const char *member_document(const Member *member);

/* UNPROVEN until now, it enters its room. */
void member_admit(Member *member);

/* Not LEAVING, not GONE. */
bool member_is_open(const Member *member);

/* True while the kernel has not taken all of the last write to its connection: then nobody writes. */
bool member_is_choked(const Member *member);

/* Bytes must be whole frames; they are copied as far as the kernel does not take them. */
void member_write(Member *member, Bytes frames);

/* Remembers wants (MemberWant) and has room_serve() called when the socket is free. */
void member_want(Member *member, unsigned wants);

/* There is more for it, but others have their turn first: room_serve() in the next round. */
void member_yield(Member *member);

/* An update of it is stored, or never will be: if its protocol tells, it is told. */
void member_tell_status(Member *member, bool is_accepted);

/* Its protocol tells what becomes of updates. */
bool member_is_told_status(const Member *member);

/* It leaves at once, without a word. */
void member_detach(Member *member);

/* Logs and counts; later calls do nothing.  Of a connection that may have several members it ends the
 * member alone if code is final (4400 to 4499), or if the document cannot be read (CLOSE_INTERNAL): the
 * others are not disturbed.  Else it ends the connection: providers come back with that, not with a
 * document. */
void member_close(Member *member, uint16_t code, const char *reason);

/* The connection's socket is free: who waited for it has his turn. */
void member_serve_all(Connection *connection);

/* Says something to the peer, in the name of any of them. */
void member_keep_alive(Connection *connection);

/* The connection is closing, and then it is gone. */
void member_leave_all(Connection *connection);
void member_forget_all(Connection *connection);

/* Visits all of them, also those that are leaving. */
void member_each(void (*visit)(Member *member));

void member_end_round(void);
void member_stop(void);

#endif
