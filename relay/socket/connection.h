/*
 * A connection: one WebSocket, from its upgrade to its end.  Which documents it has: member.h.
 *
 *     connection_write(connection, bytes);              whole frames, ready for the wire
 *     connection_close(connection, CLOSE_REFUSED, "…"); from anywhere, at most once
 *
 * What libwebsockets holds back is one write at most, because nobody writes while
 * connection_is_choked().
 *
 *     OPEN -> CLOSING (close frame) -> GONE (memory lives on while somebody holds it)
 */
#ifndef RELAY_CONNECTION_H
#define RELAY_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "address.h"
#include "frame.h"
#include "throttle.h"
#include "../../token/token.h"

struct lws;
struct lws_protocols;
typedef struct Identity Identity;
typedef struct Member Member;

/* Close codes: RFC 6455's, and ours.  Providers of y-websocket >= 3.1 do not come back after
 * 4400..4499; every other code means "try again". */
enum
{
	CLOSE_GOING_AWAY = 1001, /* we stop: another relay, or this one in a moment */
	CLOSE_UNSUPPORTED = 1003,
	CLOSE_TOO_LONG = 1009, /* a message, to providers of Hocuspocus: version 2 gives up then */
	CLOSE_INTERNAL = 1011,
	CLOSE_RESTART = 1012, /* begin anew */
	CLOSE_OVERLOAD = 1013,
	CLOSE_MALFORMED = 4400, /* a message that breaks the protocol */
	CLOSE_REFUSED = 4400, /* an update that the database will never take */
	CLOSE_UNAUTHORIZED = 4401, /* its token is bad or has expired, or it has none: get a good one */
	CLOSE_FORBIDDEN = 4403, /* it may not read the document, whatever token of his it shows */
	CLOSE_DELETED = 4404, /* there is no such document any more */
	CLOSE_TIMEOUT = 4408, /* no document was opened in time */
	CLOSE_MOVED = 4410, /* it has another name: the reason, if that has room for it */
	CLOSE_TOO_BIG = 4413 /* a message, a document; after 1009 providers would send it again */
};

enum
{
	CLOSE_REASON_MAX = 123 /* bytes, RFC 6455 */
};

typedef enum ConnectionState
{
	CONNECTION_OPEN,
	CONNECTION_CLOSING, /* a close is asked for or under way: no writes */
	CONNECTION_GONE /* no socket any more */
} ConnectionState;

typedef enum ConnectionProtocol
{
	PROTOCOL_YWEBSOCKET, /* one member, which the URL names */
	PROTOCOL_HOCUSPOCUS /* members are named in messages, and come and go */
} ConnectionProtocol;

typedef enum ConnectionPause
{
	PAUSE_DATABASE = 1, /* much waits to be stored */
	PAUSE_RATE = 2, /* it sends too fast */
	PAUSE_UNPROVEN = 4 /* what a member of it may do is being asked */
} ConnectionPause;

struct Connection
{
	struct lws *wsi; /* NULL once GONE */
	int fd;
	ConnectionState state;
	ConnectionProtocol protocol;
	bool may_be_choked; /* something may wait in the library */
	double sent_at, received_at, pinged_at;
	int references; /* the socket's, its members', and one of each list that it is on */
	uint32_t index; /* in the table of all */
	uint32_t member_count;
	Member *members; /* held */
	Member *waiting, **waiting_end; /* held: the row of those who wait for the socket (member.c) */
	Buffer message; /* fragments so far */
	double proving_since; /* when it was opened, or PAUSE_UNPROVEN began */
	ev_timer patience; /* while CLOSING */
	bool peer_has_ended; /* nothing more comes from it */
	bool has_written_close; /* nor from us */
	unsigned pauses; /* why we do not read from it (ConnectionPause) */
	uint16_t close_code;
	char *close_reason; /* NULL: none, or out of memory */
	Throttle throttle;
	Address address; /* from where its updates come (config.log_addresses) */
	char *user; /* whose it counts as (user.h); NULL: nobody's in particular, or not admitted yet */

	/* hocuspocus.c's */
	Identity *identity; /* of the request; NULL: its token was refused */
	TokenVerdict refusal; /* then why */
	bool is_proven; /* it was admitted to some document */
	bool is_later_provider; /* version 3 at least: it knows of closed documents */
	bool takes_pings; /* version 4 at least */
	uint16_t unproven_messages; /* that came before it was proven */
	uint32_t unproven_bytes;
};

/* For the context; the first entry serves every request. */
const struct lws_protocols *connection_protocols(void);

/* Starts the sweep for silent peers. */
void connection_start(void);
void connection_stop(void);

Connection *connection_retain(Connection *connection);
void connection_release(Connection *connection);

/* Not CLOSING, not GONE. */
bool connection_is_open(const Connection *connection);

/* True while the kernel has not taken all of the last write: then nobody writes. */
bool connection_is_choked(Connection *connection);

/* Bytes must be whole frames; they are copied as far as the kernel does not take them. */
void connection_write(Connection *connection, Bytes frames);

/* member_serve_all() when the socket is free; never in this round. */
void connection_ask_writable(Connection *connection);

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

#endif
