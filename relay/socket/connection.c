/*
 * connection.c: the switchboard between libwebsockets and the rest.
 *
 * Here: callbacks, putting fragments together, liveness, flow control, closing.  Not here: what a
 * message means (ywebsocket.c), whose turn it is (member.c), who gets what (room.c), plain HTTP
 * (http.c).
 *
 * Frames are written outside the WRITEABLE callback, past the library as long as the kernel takes all (wire.h),
 * else with LWS_WRITE_RAW.  The library's rule says otherwise; it is safe in 4.1 on HTTP/1 without extensions, on
 * this thread, as long as nobody writes after a close began (CLOSING) or while a write is incomplete
 * (connection_is_choked).
 */
#include "connection.h"

#include <jansson.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "hocuspocus.h"
#include "http.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "member.h"
#include "metrics.h"
#include "name.h"
#include "presence.h"
#include "room.h"
#include "user.h"
#include "wire.h"
#include "ywebsocket.h"

#define SWEEP_SECONDS 1.0
#define SWEEP_SHARE 10 /* each connection is looked at every 10 sweeps */
#define QUIET_SECONDS 10 /* sent nothing for this long: say something, at the latest after 20 s */
#define PING_SECONDS 25
#define SILENT_SECONDS 60 /* received nothing, pongs included: gone */
#define UNPROVEN_SECONDS 10.0 /* the database does not say what it may do */
#define CLOSING_SECONDS 5.0 /* a Close that does not get out, or is not answered */

static int callback(struct lws *, enum lws_callback_reasons, void *, void *, size_t);
static int open_connection(struct lws *wsi, HttpSlot *slot);
static void open_member(Connection *connection, const char *document);
static void receive(Connection *connection, Bytes part);
static bool assemble(Connection *connection, Bytes part);
static void handle(Connection *connection, Bytes message);
static void forget_message(Connection *connection);
static void heard(void *context);
static void answer_ping(Connection *connection);
static void peer_ended(Connection *connection);
static void begin_closing(Connection *connection);
static void write_close(Connection *connection);
static void lost_patience(struct ev_loop *, ev_timer *, int);
static void closed(HttpSlot *slot);
static const char *some_document(const Connection *connection);
static void sweep(struct ev_loop *, ev_timer *, int);
static void look_after(Connection *connection, double now);
static void keep_alive(Connection *connection);
static void kill_socket(Connection *connection);

static Connection **table;
static uint32_t table_size, table_capacity;
static uint32_t sweep_at;
static int64_t count_at_goodbye = -1;
static int64_t reassembly_bytes;
static ev_timer sweep_timer;

const struct lws_protocols *
connection_protocols(void)
{
	static const struct lws_protocols protocols[] = {
		{.name = "ydoc",
		 .callback = callback,
		 .per_session_data_size = sizeof(HttpSlot),
		 .rx_buffer_size = 1024, /* of each connection; a read takes no more */
		 .tx_packet_size = 1 << 20},
		{0},
	};

	return protocols;
}

void
connection_start(void)
{
	ev_timer_init(&sweep_timer, sweep, SWEEP_SECONDS, SWEEP_SECONDS);
	ev_timer_start(loop_ev(), &sweep_timer);
}

void
connection_stop(void)
{
	free(table);
	table = NULL;
	table_size = table_capacity = 0;
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
	buffer_free(&connection->message);
	free(connection->close_reason);
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
	/* the library is asked only if it was given something */
	if (connection->may_be_choked)
		connection->may_be_choked = lws_partial_buffered(connection->wsi) != 0;
	return connection->may_be_choked;
}

void
connection_write(Connection *connection, Bytes frames)
{
	if (!connection_is_open(connection) || frames.size == 0)
		return;
	bool is_written =
		connection->may_be_choked
			? lws_write(connection->wsi, (unsigned char *) frames.data, frames.size,
						LWS_WRITE_RAW) >= 0
			: wire_write(connection->wsi, connection->fd, frames, &connection->may_be_choked);

	if (!is_written)
	{
		kill_socket(connection);
		return;
	}
	connection->sent_at = loop_now();
	metrics_add(METRIC_WRITES, 1);
	metrics_add(METRIC_BYTES_SENT, (int64_t) frames.size);
}

void
connection_ask_writable(Connection *connection)
{
	if (connection_is_open(connection))
		lws_callback_on_writable(connection->wsi);
}

void
connection_close(Connection *connection, uint16_t code, const char *reason)
{
	if (!connection_is_open(connection))
		return;
	begin_closing(connection);
	connection->close_code = code;
	connection->close_reason = strndup(reason, CLOSE_REASON_MAX);
	metrics_add(METRIC_CONNECTIONS_CLOSED_BY_US, 1);
	log_event(code == CLOSE_GOING_AWAY ? LEVEL_DEBUG : LEVEL_INFO, "connection_closed_by_us",
			  "{s:s?, s:i, s:s}", "document", some_document(connection), "code", (int) code,
			  "reason", reason);
	lws_callback_on_writable(connection->wsi);
}

void
connection_ping(Connection *connection)
{
	static unsigned char ping[LWS_PRE + 1];

	if (!connection_is_open(connection) || connection_is_choked(connection))
		return;
	connection->pinged_at = loop_now();
	connection->may_be_choked = true;
	if (lws_write(connection->wsi, ping + LWS_PRE, 1, LWS_WRITE_PING) < 0)
		kill_socket(connection);
}

void
connection_pause(Connection *connection, ConnectionPause reason)
{
	if (!connection_is_open(connection))
		return;
	if (connection->pauses == 0)
		lws_rx_flow_control(connection->wsi, 0);
	if (reason == PAUSE_UNPROVEN)
		connection->proving_since = loop_now();
	connection->pauses |= reason;
}

void
connection_resume(Connection *connection, ConnectionPause reason)
{
	if ((connection->pauses & reason) == 0)
		return;
	connection->pauses &= ~(unsigned) reason;
	if (connection->pauses != 0 || connection->wsi == NULL)
		return;
	connection->received_at = loop_now(); /* it could not be heard meanwhile */
	lws_rx_flow_control(connection->wsi, 1);
}

void
connection_pause_all(ConnectionPause reason)
{
	for (uint32_t i = 0; i < table_size; i++)
		connection_pause(table[i], reason);
}

void
connection_resume_all(ConnectionPause reason)
{
	for (uint32_t i = 0; i < table_size; i++)
		connection_resume(table[i], reason);
}

void
connection_send_away(double share)
{
	if (count_at_goodbye < 0)
		count_at_goodbye = table_size;
	int64_t may_stay = share >= 1.0 ? 0 : (int64_t) ((double) count_at_goodbye * (1.0 - share));

	for (uint32_t i = (uint32_t) may_stay; i < table_size; i++)
	{
		if (!connection_is_open(table[i]))
			continue;
		/* reading again, or the peer's answer to the close would never be seen */
		if (table[i]->pauses != 0)
			lws_rx_flow_control(table[i]->wsi, 1);
		for (Member *member = table[i]->members; member != NULL; member = member->next)
			if (member->room != NULL)
				presence_release(member);
		connection_close(table[i], CLOSE_GOING_AWAY, "relay is restarting");
	}
}

int64_t
connection_count(void)
{
	return table_size;
}

void
connection_each(void (*visit)(Connection *connection))
{
	for (uint32_t i = 0; i < table_size; i++)
		visit(table[i]);
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
	HttpSlot *slot = user;
	Connection *connection = slot != NULL ? slot->connection : NULL;

	switch (reason)
	{
		case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
			listener_handshake_done(wsi);
			return http_check_upgrade(wsi);
		case LWS_CALLBACK_ESTABLISHED: return open_connection(wsi, slot);
		case LWS_CALLBACK_RECEIVE:
			if (connection != NULL)
				receive(connection, (Bytes){in, size});
			return 0;
		case LWS_CALLBACK_RECEIVE_PONG:
			if (connection != NULL)
				peer_ended(connection);
			return 0;
		case LWS_CALLBACK_SERVER_WRITEABLE:
			if (connection == NULL)
				return -1;
			if (connection->state == CONNECTION_CLOSING)
				write_close(connection);
			else
			{
				answer_ping(connection);
				member_serve_all(connection);
			}
			return 0;
		case LWS_CALLBACK_CLOSED: closed(slot); return 0;
		case LWS_CALLBACK_WSI_DESTROY: listener_socket_gone(wsi); return 0;
		default: return http_callback(wsi, reason, slot, in, size);
	}
}

/* Returns -1 to have the socket dropped. */
static int
open_connection(struct lws *wsi, HttpSlot *slot)
{
	char name[NAME_MAX_BYTES + 1] = "";

	if (table_size == table_capacity)
	{
		uint32_t capacity = table_capacity == 0 ? 64 : table_capacity * 2;
		Connection **larger = realloc(table, capacity * sizeof *larger);

		if (larger == NULL)
			return -1;
		table = larger;
		table_capacity = capacity;
	}
	Connection *connection = calloc(1, sizeof *connection);

	bool is_hocuspocus = http_is_hocuspocus(wsi);

	if (connection == NULL || loop_is_draining() ||
		(!is_hocuspocus && !http_document_name(wsi, name)) || !wire_open(wsi, heard, connection))
	{
		free(connection);
		return -1;
	}
	connection->wsi = wsi;
	connection->fd = lws_get_socket_fd(wsi);
	connection->address = listener_address(wsi);
	connection->may_be_choked = true; /* by the answer to its request */
	connection->references = 1;
	connection->received_at = connection->sent_at = connection->proving_since = loop_now();
	connection->index = table_size;
	ev_timer_init(&connection->patience, lost_patience, CLOSING_SECONDS, 0.0);
	connection->patience.data = connection;
	table[table_size++] = connection;
	slot->connection = connection;
	metrics_add(METRIC_CONNECTIONS_OPENED, 1);
	metrics_set(METRIC_CONNECTIONS, table_size);
	log_event(LEVEL_DEBUG, "connection_opened", "{s:s}", "document", name);
	if (!identity_may_come(wsi))
		connection_close(connection, CLOSE_FORBIDDEN, "a page from elsewhere");
	else if (is_hocuspocus)
		hocuspocus_open(connection);
	else
		open_member(connection, name);
	return 0;
}

/*
 * Who it is.  A bad token is answered by a close code and not by an HTTP status: a browser's page
 * never sees the status, so its provider would try for ever.
 */
static void
open_member(Connection *connection, const char *document)
{
	TokenVerdict refusal;
	Identity *identity = identity_of_request(connection->wsi, &refusal);
	Member *member =
		identity != NULL
			? member_new(connection, (Bytes){(const uint8_t *) document, strlen(document)},
						 identity)
			: NULL;

	if (member != NULL)
		member_prove(member);
	else if (identity != NULL || refusal == TOKEN_OUT_OF_MEMORY)
		connection_close(connection, CLOSE_OVERLOAD, "out of memory");
	else
	{
		char reason[CLOSE_REASON_MAX];

		metrics_add(METRIC_TOKENS_REFUSED, 1);
		if (refusal != TOKEN_OUT_OF_MEMORY)
			listener_authentication_failed(connection->wsi);
		snprintf(reason, sizeof reason, "token refused: %s", token_reason(refusal));
		connection_close(connection, CLOSE_UNAUTHORIZED, reason);
	}
}

static void
receive(Connection *connection, Bytes part)
{
	connection->received_at = loop_now();
	if (!connection_is_open(connection))
		return;
	if ((connection->pauses & PAUSE_UNPROVEN) != 0)
	{
		/* the library keeps back what it has read already, as long as we do not read on */
		connection_close(connection, CLOSE_OVERLOAD, "too early");
		return;
	}
	if (lws_is_first_fragment(connection->wsi) && !lws_frame_is_binary(connection->wsi))
	{
		connection_close(connection, CLOSE_UNSUPPORTED, "the protocol is binary");
		return;
	}
	bool whole = lws_remaining_packet_payload(connection->wsi) == 0 &&
				 lws_is_final_fragment(connection->wsi);

	if (whole && connection->message.size == 0 && part.size <= (size_t) config.max_message_bytes)
		handle(connection, part); /* in one piece, as nearly all are: no copy */
	else if (assemble(connection, part) && whole)
	{
		handle(connection, buffer_view(&connection->message));
		forget_message(connection);
	}
	else if (lws_remaining_packet_payload(connection->wsi) == 0)
		throttle_message(connection, 0); /* one more fragment, and be it empty */
}

/* Appends a part; false if that was too much and the connection is being closed. */
static bool
assemble(Connection *connection, Bytes part)
{
	Buffer *message = &connection->message;

	bool is_hocuspocus = connection->protocol == PROTOCOL_HOCUSPOCUS;
	size_t most = is_hocuspocus && !connection->is_proven ? HOCUSPOCUS_UNPROVEN_BYTES
														  : (size_t) config.max_message_bytes;

	if (message->size + part.size > most)
		connection_close(connection, is_hocuspocus ? CLOSE_TOO_LONG : CLOSE_TOO_BIG,
						 "message too big");
	else if (reassembly_bytes + (int64_t) part.size > config.max_reassembly_bytes)
		connection_close(connection, CLOSE_OVERLOAD, "too many large messages at once");
	else
	{
		buffer_write(message, part);
		if (!message->failed)
		{
			reassembly_bytes += (int64_t) part.size;
			metrics_set(METRIC_REASSEMBLY_BYTES, reassembly_bytes);
			return true;
		}
		connection_close(connection, CLOSE_OVERLOAD, "out of memory");
	}
	forget_message(connection);
	return false;
}

static void
handle(Connection *connection, Bytes message)
{
	metrics_add(METRIC_MESSAGES_RECEIVED, 1);
	metrics_add(METRIC_BYTES_RECEIVED, (int64_t) message.size);
	int code = connection->protocol == PROTOCOL_HOCUSPOCUS
				   ? hocuspocus_handle(connection, message)
				   : ywebsocket_handle(connection->members, message);

	throttle_message(connection, message.size);
	if (code == CLOSE_MALFORMED)
		metrics_add(METRIC_MESSAGES_MALFORMED, 1);
	if (code != 0)
		connection_close(connection, (uint16_t) code, ywebsocket_reason(code));
}

static void
forget_message(Connection *connection)
{
	reassembly_bytes -= (int64_t) connection->message.size;
	metrics_set(METRIC_REASSEMBLY_BYTES, reassembly_bytes);
	buffer_free(&connection->message);
}

/* A ping or a pong.  As if it were a message: a flood is read more slowly. */
static void
heard(void *context)
{
	Connection *connection = context;

	connection->received_at = loop_now();
	throttle_message(connection, 0);
	connection_ask_writable(connection);
}

static void
answer_ping(Connection *connection)
{
	unsigned char pong[LWS_PRE + WIRE_CONTROL_MAX];
	size_t size;

	connection->may_be_choked = true;
	if (wire_take_ping(connection->wsi, pong + LWS_PRE, &size) &&
		lws_write(connection->wsi, pong + LWS_PRE, size, LWS_WRITE_PONG) < 0)
		kill_socket(connection);
}

/* The peer has said goodbye, or broken the protocol (wire.h): it gets a Close, unless it has ours. */
static void
peer_ended(Connection *connection)
{
	WireEnd end = wire_end(connection->wsi);

	connection->peer_has_ended = true;
	if (connection_is_open(connection) && end.reason != NULL)
	{
		bool is_too_long = end.code == CLOSE_TOO_BIG && connection->protocol == PROTOCOL_HOCUSPOCUS;

		metrics_add(METRIC_MESSAGES_MALFORMED, 1);
		connection_close(connection, is_too_long ? CLOSE_TOO_LONG : end.code, end.reason);
	}
	else if (connection_is_open(connection))
	{
		begin_closing(connection);
		connection->close_code = end.code; /* it gets its own back */
	}
	if (connection->has_written_close)
		wire_shut(connection->wsi);
	else
		lws_callback_on_writable(connection->wsi);
}

/* Not by the library, which would wait for the peer's Close: it may have come, and is wire.c's. */
static void
write_close(Connection *connection)
{
	uint8_t frame[2 + WIRE_CONTROL_MAX] = {0x88};
	size_t size = 0;

	if (connection->has_written_close)
		return;
	if (connection->close_code != 0)
	{
		frame[2] = (uint8_t) (connection->close_code >> 8);
		frame[3] = (uint8_t) connection->close_code;
		size = connection->close_reason != NULL ? strlen(connection->close_reason) : 0;
		memcpy(frame + 4, connection->close_reason != NULL ? connection->close_reason : "", size);
		size += 2;
	}
	frame[1] = (uint8_t) size;
	connection->has_written_close = connection->may_be_choked = true;
	if (lws_write(connection->wsi, frame, 2 + size, LWS_WRITE_RAW) < 0)
		kill_socket(connection);
	else if (connection->peer_has_ended)
		wire_shut(connection->wsi);
}

static void
lost_patience(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void) loop, (void) events;
	kill_socket(timer->data);
}

static void
closed(HttpSlot *slot)
{
	Connection *connection = slot != NULL ? slot->connection : NULL;

	if (connection == NULL)
		return;
	slot->connection = NULL;
	connection->state = CONNECTION_GONE;
	connection->wsi = NULL;
	ev_timer_stop(loop_ev(), &connection->patience);
	forget_message(connection);
	member_forget_all(connection);
	user_leave(connection->user);
	connection->user = NULL;
	table[connection->index] = table[--table_size];
	table[connection->index]->index = connection->index;
	metrics_set(METRIC_CONNECTIONS, table_size);
	connection_release(connection);
}

/* Nobody writes to it any more. */
static void
begin_closing(Connection *connection)
{
	/* reading again, or the peer's answer to the close would never be seen */
	connection_resume(connection, connection->pauses);
	connection->state = CONNECTION_CLOSING;
	ev_timer_set(&connection->patience, CLOSING_SECONDS, 0.0);
	ev_timer_start(loop_ev(), &connection->patience);
	member_leave_all(connection);
}

/* For the log; NULL if it has none. */
static const char *
some_document(const Connection *connection)
{
	return connection->members != NULL ? member_document(connection->members) : NULL;
}

/* A share of all connections each second, so that 10,000 of them are no jolt. */
static void
sweep(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) watcher, (void) events;
	uint32_t visits = table_size / SWEEP_SHARE + 1;
	double now = ev_now(loop);

	for (uint32_t i = 0; i < visits && table_size > 0; i++)
		look_after(table[sweep_at++ % table_size], now);
}

static void
look_after(Connection *connection, double now)
{
	double silent = now - connection->received_at;

	if (connection->state == CONNECTION_CLOSING)
		return;
	if ((connection->pauses & PAUSE_UNPROVEN) != 0)
	{
		if (now - connection->proving_since > UNPROVEN_SECONDS)
			connection_close(connection, CLOSE_OVERLOAD, "rights cannot be told now");
		return;
	}
	if (connection->protocol == PROTOCOL_HOCUSPOCUS && !connection->is_proven &&
		now - connection->proving_since > HOCUSPOCUS_UNPROVEN_SECONDS)
	{
		connection_close(connection, CLOSE_TIMEOUT, "Connection Timeout");
		return;
	}
	/* whoever cannot be asked is not silent; while a write waits, TCP_USER_TIMEOUT looks after it */
	bool can_answer = connection->pauses == 0 && !connection_is_choked(connection);

	if (silent > SILENT_SECONDS && can_answer)
	{
		log_event(LEVEL_INFO, "connection_silent", "{s:s?}", "document", some_document(connection));
		kill_socket(connection);
		return;
	}
	if (connection_is_choked(connection))
		return;
	if (silent > PING_SECONDS && now - connection->pinged_at > QUIET_SECONDS)
		connection_ping(connection);
	/* browsers cannot see pings: y-websocket reconnects after 30 s without a message */
	if (now - connection->sent_at >= QUIET_SECONDS)
		keep_alive(connection);
}

static void
keep_alive(Connection *connection)
{
	if (connection->protocol == PROTOCOL_HOCUSPOCUS)
		hocuspocus_keep_alive(connection);
	else
		member_keep_alive(connection);
}

/* Without a close frame: it could not be sent or would not be read. */
static void
kill_socket(Connection *connection)
{
	if (connection_is_open(connection))
		begin_closing(connection);
	lws_set_timeout(connection->wsi, (enum pending_timeout) 1, LWS_TO_KILL_ASYNC);
	/* the library looks at its timers after an event of its own: make one */
	lws_cancel_service(lws_get_context(connection->wsi));
}
