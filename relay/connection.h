/*
 * A connection: one WebSocket, from its upgrade to its end.
 *
 *     connection_write(connection, bytes);              whole frames, ready for the wire
 *     connection_want(connection, WANT_PRESENCE);       told to its room when the socket is free
 *     connection_close(connection, CLOSE_REFUSED, "…"); from anywhere, at most once
 *
 * Memory is bounded whatever the peer does: nothing is queued for it here.  What libwebsockets
 * holds back is one write at most, because nobody writes while connection_is_choked(); whatever
 * else it should get is a bit in `wants` or a position in its room's log.
 *
 *               upgrade        socket full, log moved on          its turn
 *     (nobody) ---------> LIVE --------------------------> BEHIND ---------> CATCHING_UP
 *                          ^ ^                                                 |     |
 *                          | +----------- one merged update from its seq ------+     | that is large
 *                          |                                                         |
 *              sync step 1 +-----------> LOADING slice by slice <--------------------+
 *     any of them -> CLOSING (close frame) -> GONE (memory lives on while somebody holds it)
 *
 * In a checked relay (identity.h) it is UNPROVEN before, until the database has said what it may do:
 * no member of its room yet, and nothing is read from it.
 */
#ifndef RELAY_CONNECTION_H
#define RELAY_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "access.h"
#include "frame.h"
#include "identity.h"
#include "throttle.h"

struct lws;
struct lws_protocols;
typedef struct Room Room;

/* Close codes: RFC 6455's, and ours.  Providers of y-websocket >= 3.1 do not come back after
 * 4400..4499; every other code means "try again". */
enum
{
	CLOSE_GOING_AWAY = 1001, /* we stop: another relay, or this one in a moment */
	CLOSE_UNSUPPORTED = 1003,
	CLOSE_INTERNAL = 1011,
	CLOSE_RESTART = 1012, /* begin anew */
	CLOSE_OVERLOAD = 1013,
	CLOSE_MALFORMED = 4400, /* a message that breaks the protocol */
	CLOSE_REFUSED = 4400, /* an update that the database will never take */
	CLOSE_UNAUTHORIZED = 4401, /* its token is bad or has expired, or it has none: get a good one */
	CLOSE_FORBIDDEN = 4403, /* it may not read the document, whatever token of his it shows */
	CLOSE_DELETED = 4404, /* there is no such document any more */
	CLOSE_MOVED = 4410, /* it has another name: the reason, if that has room for it */
	CLOSE_TOO_BIG = 4413 /* a message, a document; after 1009 providers would send it again */
};

enum
{
	CLOSE_REASON_MAX = 123 /* bytes, RFC 6455 */
};

typedef enum ConnectionState
{
	CONNECTION_UNPROVEN, /* what it may do is being asked: it gets nothing, nothing is read from it */
	CONNECTION_LIVE, /* gets every frame its room publishes */
	CONNECTION_BEHIND, /* socket full: gets nothing, keeps the seq it has */
	CONNECTION_CATCHING_UP, /* its fetch is on the way; new frames wait in the room's log */
	CONNECTION_LOADING, /* what it lacks goes out in slices; new frames wait as well */
	CONNECTION_CLOSING, /* a close is asked for or under way: no writes */
	CONNECTION_GONE /* no socket any more */
} ConnectionState;

typedef enum ConnectionWant
{
	WANT_LOG = 1, /* what its room's log has after its position */
	WANT_SYNC = 2, /* an answer to its sync step 1 (state_vector) */
	WANT_PRESENCE = 4, /* everybody's awareness state */
	WANT_ALIVE = 8, /* anything: it was sent nothing for long */
	WANT_DENIAL = 16 /* that its updates are refused */
} ConnectionWant;

typedef enum ConnectionPause
{
	PAUSE_DATABASE = 1, /* much waits to be stored */
	PAUSE_RATE = 2, /* it sends too fast */
	PAUSE_UNPROVEN = 4
} ConnectionPause;

struct Connection
{
	struct lws *wsi; /* NULL once GONE */
	int references; /* the socket's, and one per batch item or query that names it */
	ConnectionState state;
	Room *room; /* NULL while UNPROVEN, and once GONE */
	Identity *identity;
	AccessLevel level;

	/* its room's (room.c) */
	uint32_t member_index;
	uint64_t position; /* of the room's log: all before it was written */
	bool was_given_some; /* of its room's document: an answer, or frames of the log */
	int64_t seq; /* while BEHIND: it has the document up to here */
	Buffer state_vector; /* of WANT_SYNC: the newest one it sent */
	struct SyncQuestion *question; /* while LOADING: whose slices it gets (sync.c) */
	uint32_t slice; /* the next one of these */
	bool gets_step2, needs_step1; /* as the last of all, before the first of all */

	/* presence.c's */
	uint32_t presence_count; /* awareness ids it speaks for */
	bool has_spoken; /* it sent an awareness message */
	bool is_challenged; /* somebody else claims one of its ids: it has been pinged */
	float introductions; /* that it may still make */
	double introduced_at;

	/* access.c's */
	bool waits_for_level; /* is in its list */
	Connection *next_waiting;
	bool was_denied; /* it was told that its updates are refused */
	int doubts; /* how often the database thought otherwise than we */

	/* connection.c's */
	char *document; /* while UNPROVEN */
	ev_periodic expiry; /* of its token */
	unsigned wants;
	uint32_t index; /* in the table of all */
	Buffer message; /* fragments so far */
	double received_at, sent_at, pinged_at;
	double closing_since;
	unsigned pauses; /* why we do not read from it (ConnectionPause) */
	Throttle throttle;
	bool is_listed; /* has something to do at the round's end */
	Connection *next_listed;
	uint16_t close_code;
	char close_reason[CLOSE_REASON_MAX + 1];
};

/* For the context; the first entry serves every request. */
const struct lws_protocols *connection_protocols(void);

/* Starts the sweep for silent peers. */
void connection_start(void);
void connection_stop(void);

Connection *connection_retain(Connection *connection);
void connection_release(Connection *connection);

/* Its document's name. */
const char *connection_document(const Connection *connection);

/* UNPROVEN until now, it becomes a member of its room. */
void connection_admit(Connection *connection);

/* Not CLOSING, not GONE. */
bool connection_is_open(const Connection *connection);

/* True while the kernel has not taken all of the last write: then nobody writes. */
bool connection_is_choked(const Connection *connection);

/* Bytes must be whole frames; they are copied as far as the kernel does not take them. */
void connection_write(Connection *connection, Bytes frames);

/* Remembers wants (ConnectionWant) and has room_serve() called when the socket is free. */
void connection_want(Connection *connection, unsigned wants);

/* There is more for it, but others have their turn first: room_serve() in the next round. */
void connection_yield(Connection *connection);

/* Logs and counts; the close frame goes out when the socket is free.  Later calls do nothing. */
void connection_close(Connection *connection, uint16_t code, const char *reason);

/* Whatever it answers shows in received_at. */
void connection_ping(Connection *connection);

/* Stops reading from it: the peer's TCP window fills, nothing is lost.  It goes on when there is no
 * reason left. */
void connection_pause(Connection *connection, ConnectionPause reason);
void connection_resume(Connection *connection, ConnectionPause reason);
void connection_pause_all(ConnectionPause reason);
void connection_resume_all(ConnectionPause reason);

/* We stop: sends connections away until at most 1 - share of those are left that were open at the
 * first call.  Their clients may be taken over wherever they come back. */
void connection_send_away(double share);

int64_t connection_count(void);

/* Visits all of them, also those that are closing. */
void connection_each(void (*visit)(Connection *connection));
void connection_end_round(void);

#endif
