/*
 * sockets.c: libwebsockets' functions; listener.c's, wire.c's and sandbox.c's.
 */
#include "sockets.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../relay/socket/connection.h"
#include "../../relay/socket/listener.h"
#include "../../relay/process/sandbox.h"
#include "../../relay/socket/wire.h"
#include "chance.h"
#include "editor.h"
#include "invariant.h"
#include "world.h"

enum /* of Hocuspocus */
{
	MESSAGE_AUTH = 2,
	MESSAGE_SYNC_STATUS = 8
};

static Socket **sockets;
static size_t socket_count, socket_capacity;

static int call(Socket *socket, enum lws_callback_reasons reason, void *in, size_t size);
static void drop_up(Socket *socket);
static void deliver_part(Socket *socket, UpMessage *message);
static void close_relay_side(Socket *socket);
static void fill_kernel(Socket *socket);
static void check_written(void *context, Bytes message);
static void check_status(Socket *socket);
static void check_denial(Socket *socket, bool is_guests, Bytes reason);
static void drop_unstored(Socket *socket, size_t place);
static void move_bytes(Buffer *to, Buffer *from, size_t size);

/* ---- the editor's side ---- */

Socket *
socket_open(Relay *relay, struct Editor *editor, Document *document, size_t capacity)
{
	if (!relay_is_awake(relay) || relay->was_terminated)
		return NULL;
	Socket *socket = allocate(sizeof *socket);

	socket->relay = relay;
	socket->editor = editor;
	socket->document = document;
	socket->capacity = capacity;
	snprintf(socket->path, sizeof socket->path, "/%s", editor->is_hocuspocus ? "" : document->name);
	socket->has_addresses = editor->is_hocuspocus;
	socket->slot = allocate(relay->slot_size);
	ARRAY_ADD(sockets, socket_count, socket_capacity, socket);
	relay_enter(relay);
	int refused = call(socket, LWS_CALLBACK_ESTABLISHED, NULL, 0);

	socket->is_upgraded = refused == 0;
	if (refused != 0)
		close_relay_side(socket);
	relay_leave(relay);
	return socket;
}

void
socket_send(Socket *socket, UpKind kind, Buffer *bytes)
{
	UpMessage message = {kind, *bytes, 0};

	*bytes = (Buffer){0};
	if (socket->is_gone)
		buffer_free(&message.bytes);
	else
		ARRAY_ADD(socket->up, socket->up_count, socket->up_capacity, message);
}

Socket *
socket_find_shareable(const Relay *relay, const Document *document)
{
	for (size_t i = 0; i < socket_count; i++)
	{
		const Socket *socket = sockets[i];
		bool is_open = !socket->is_gone && !socket->is_closing && !socket->is_reset &&
					   !socket->is_killed && socket->is_upgraded && socket->reason == 0;

		if (is_open && socket->relay == relay && socket->has_addresses &&
			socket->document != document && socket->guest_document == NULL &&
			socket->editor != NULL && !socket->editor->is_hostile)
			return sockets[i];
	}
	return NULL;
}

static bool
is_name(const Document *document, Bytes address)
{
	return document != NULL && address.size == strlen(document->name) &&
		   memcmp(address.data, document->name, address.size) == 0;
}

struct Editor *
socket_addressee(const Socket *socket, Bytes address)
{
	return is_name(socket->document, address) ? socket->editor : socket->guest;
}

void
socket_expect_status(Socket *socket, Document *document, Bytes update)
{
	SentUpdate copy = {.document = document};

	buffer_write(&copy.bytes, update);
	ARRAY_ADD(socket->unstored, socket->unstored_count, socket->unstored_capacity, copy);
}

void
socket_leave(Socket *socket, bool says_goodbye)
{
	Buffer nothing = {0};

	if (says_goodbye && !socket->is_gone)
		socket_send(socket, UP_CLOSE, &nothing);
	socket->editor = NULL;
}

Bytes
socket_peek(const Socket *socket)
{
	return buffer_view(&socket->kernel);
}

void
socket_consume(Socket *socket, size_t size)
{
	array_drop(socket->kernel.data, &socket->kernel.size, size, 1);
}

/* ---- what the world makes happen at the relay ---- */

bool
socket_deliver(Socket *socket)
{
	if (socket->is_gone || socket->up_count == 0 || socket->is_paused ||
		!relay_is_awake(socket->relay) || socket->reason != 0)
		return false;
	UpMessage *message = &socket->up[0];

	relay_enter(socket->relay);
	switch (message->kind)
	{
		case UP_PONG:
			socket->heard(socket->heard_context);
			drop_up(socket);
			break;
		case UP_CLOSE:
			socket->is_closing = true;
			call(socket, LWS_CALLBACK_RECEIVE_PONG, NULL, 0); /* wire.c's mark */
			drop_up(socket);
			break;
		default: deliver_part(socket, message); break;
	}
	relay_leave(socket->relay);
	return true;
}

static void
deliver_part(Socket *socket, UpMessage *message)
{
	size_t left = message->bytes.size - message->delivered;
	size_t size = left > 1 && chance_in(6) ? chance_between(1, (uint32_t) left - 1) : left;
	uint8_t *part = allocate(size + 1); /* a block of its own: reading beyond it is noticed */

	if (size > 0)
		memcpy(part, message->bytes.data + message->delivered, size);
	socket->is_first = message->delivered == 0;
	socket->is_binary = message->kind == UP_BINARY;
	/* either one frame that arrives in parts, or several frames */
	bool is_last = size == left;

	socket->is_final = is_last || chance_in(2);
	socket->remaining = socket->is_final ? left - size : 0;
	message->delivered += size;
	if (call(socket, LWS_CALLBACK_RECEIVE, part, size) != 0)
		socket->is_killed = true;
	free(part);
	if (is_last)
		drop_up(socket);
}

bool
socket_writable(Socket *socket)
{
	if (socket->is_gone || !relay_is_awake(socket->relay))
		return false;
	if (socket->partial.size > 0)
	{
		size_t before = socket->partial.size;

		fill_kernel(socket);
		return socket->partial.size != before;
	}
	if (!socket->wants_writable || socket->is_closing)
		return false;
	socket->wants_writable = false;
	relay_enter(socket->relay);
	if (call(socket, LWS_CALLBACK_SERVER_WRITEABLE, NULL, 0) != 0)
		socket->is_killed = true;
	relay_leave(socket->relay);
	return true;
}

/* The relay hears that the socket is no more. */
bool
socket_finish(Socket *socket)
{
	if (socket->is_gone || !relay_is_awake(socket->relay) ||
		!(socket->is_reset || socket->is_killed || socket->is_closing))
		return false;
	relay_enter(socket->relay);
	close_relay_side(socket);
	relay_leave(socket->relay);
	return true;
}

Socket **
sockets_all(size_t *count)
{
	*count = socket_count;
	return sockets;
}

/* Of a relay that is killed. */
void
sockets_cut_all(Relay *relay)
{
	for (size_t i = 0; i < socket_count; i++)
		if (sockets[i]->relay == relay)
			sockets[i]->is_reset = true;
}

void
sockets_forget(Relay *relay)
{
	for (size_t i = 0; i < socket_count; i++)
		if (sockets[i]->relay == relay && !sockets[i]->is_gone)
		{
			sockets[i]->is_gone = true;
			free(sockets[i]->slot);
			sockets[i]->slot = NULL;
		}
}

void
sockets_sweep(void)
{
	for (size_t i = 0; i < socket_count;)
	{
		Socket *socket = sockets[i];

		if (!socket->is_gone || socket->editor != NULL)
		{
			i++;
			continue;
		}
		while (socket->up_count > 0)
			drop_up(socket);
		free(socket->up);
		while (socket->unstored_count > 0)
			drop_unstored(socket, 0);
		free(socket->unstored);
		buffer_free(&socket->kernel);
		buffer_free(&socket->partial);
		free(socket);
		sockets[i] = sockets[--socket_count];
	}
	if (socket_count == 0)
	{
		free(sockets);
		sockets = NULL;
		socket_capacity = 0;
	}
}

static int
call(Socket *socket, enum lws_callback_reasons reason, void *in, size_t size)
{
	return socket->relay->callback(socket, reason, socket->slot, in, size);
}

static void
drop_up(Socket *socket)
{
	buffer_free(&socket->up[0].bytes);
	array_drop(socket->up, &socket->up_count, 1, sizeof *socket->up);
}

static void
close_relay_side(Socket *socket)
{
	call(socket, LWS_CALLBACK_CLOSED, NULL, 0);
	call(socket, LWS_CALLBACK_WSI_DESTROY, NULL, 0);
	free(socket->slot);
	socket->slot = NULL;
	socket->is_gone = true;
}

static void
fill_kernel(Socket *socket)
{
	size_t space =
		socket->capacity > socket->kernel.size ? socket->capacity - socket->kernel.size : 0;

	move_bytes(&socket->kernel, &socket->partial,
			   space < socket->partial.size ? space : socket->partial.size);
	if (socket->partial.size == 0)
		socket->writes_held_back = 0;
}

static void
move_bytes(Buffer *to, Buffer *from, size_t size)
{
	buffer_write(to, (Bytes){from->data, size});
	array_drop(from->data, &from->size, size, 1);
}

/* ---- libwebsockets' functions ---- */

static int take_close(Socket *socket, Bytes frame);

int
lws_write(struct lws *socket, unsigned char *data, size_t size, enum lws_write_protocol protocol)
{
	Bytes frames = {data, size};
	size_t taken;

	if (socket->relay->is_muted)
		return (int) size;
	if (socket->is_reset)
		return -1;
	if ((protocol & 0x1f) == LWS_WRITE_PING)
	{
		Buffer nothing = {0};

		if (socket->editor != NULL)
			socket_send(socket, UP_PONG, &nothing);
		return (int) size;
	}
	if (size > 0 && data[0] == 0x88)
		return take_close(socket, frames);
	invariant_check(COMES_TO_REST, !socket->is_closing, "a relay writes after a close");
	invariant_check(COMMITTED_REACHES_ALL,
					frames_visit(frames, check_written, socket, &taken) && taken == size,
					"a relay writes frames that are not whole");
	if (socket->partial.size > 0)
		socket->writes_held_back++;
	invariant_check(MEMORY_IS_BOUNDED, socket->writes_held_back <= 1,
					"a relay writes to a socket that is full, and not only one answer");
	if (world_flaw == FLAW_FRAMES_ARE_LOST && chance_in(100))
		return (int) size;
	buffer_write(&socket->partial, frames);
	if (socket->editor == NULL && socket->capacity <= socket->kernel.size)
		return (int) size; /* nobody reads; the kernel is full */
	fill_kernel(socket);
	if (socket->partial.size > 0 && socket->partial.size > socket->most_partial)
		socket->most_partial = socket->partial.size;
	return (int) size;
}

/* A Close: the editor's comes back to it, or the relay says why. */
static int
take_close(Socket *socket, Bytes frame)
{
	invariant_check(ENDS_IN_ORDER, frame.size <= 2 + 2 + 123 && frame.data[1] == frame.size - 2,
					"a Close of %zu bytes", frame.size);
	socket->is_closing = true;
	if (frame.size == 2)
		return (int) frame.size;
	socket->reason = socket->close_code = frame.data[2] << 8 | frame.data[3];
	world_closed(socket, socket->reason);
	return (int) frame.size;
}

int
lws_get_socket_fd(struct lws *socket)
{
	(void) socket;
	return -1;
}

int
lws_partial_buffered(struct lws *socket)
{
	return socket->partial.size > 0;
}

int
lws_callback_on_writable(struct lws *socket)
{
	socket->wants_writable = true;
	return 1;
}

int
lws_rx_flow_control(struct lws *socket, int enable)
{
	socket->is_paused = (enable & 1) == 0;
	return 0;
}

void
lws_set_timeout(struct lws *socket, enum pending_timeout reason, int seconds)
{
	(void) reason;
	if (seconds == LWS_TO_KILL_ASYNC)
		socket->is_killed = true;
}

int
lws_is_first_fragment(struct lws *socket)
{
	return socket->is_first;
}

int
lws_is_final_fragment(struct lws *socket)
{
	return socket->is_final;
}

int
lws_frame_is_binary(struct lws *socket)
{
	return socket->is_binary;
}

size_t
lws_remaining_packet_payload(struct lws *socket)
{
	return socket->remaining;
}

struct lws_context *
lws_get_context(const struct lws *socket)
{
	return (struct lws_context *) socket->relay;
}

void
lws_cancel_service(struct lws_context *context)
{
	(void) context;
}

/* Editors are programs: their requests have no headers that anybody asks for. */
int
lws_hdr_total_length(struct lws *socket, enum lws_token_indexes header)
{
	(void) socket, (void) header;
	return 0;
}

void
lws_set_log_level(int level, void (*emit)(int level, const char *line))
{
	(void) level, (void) emit;
}

struct lws_context *
lws_create_context(const struct lws_context_creation_info *info)
{
	relay_now->callback = info->protocols[0].callback;
	relay_now->slot_size = info->protocols[0].per_session_data_size;
	return (struct lws_context *) relay_now;
}

struct lws_vhost *
lws_create_vhost(struct lws_context *context, const struct lws_context_creation_info *info)
{
	(void) info;
	return (struct lws_vhost *) context;
}

void
lws_context_destroy(struct lws_context *context)
{
	for (size_t i = 0; i < socket_count; i++)
		if (sockets[i]->relay == (Relay *) context && !sockets[i]->is_gone)
			close_relay_side(sockets[i]);
}

/* ---- listener.c's functions ---- */

int
listener_open(int *fds, int *port, bool is_shared)
{
	(void) is_shared;
	fds[0] = -1;
	*port = 1;
	return 1;
}

void
listener_start(const int *fds, int count)
{
	(void) fds, (void) count;
}

bool
listener_write_port_file(int port)
{
	(void) port;
	return true;
}

void
listener_stop_accepting(void)
{
}

bool
listener_is_idle(void)
{
	return true;
}

void
listener_stop(void)
{
}

void
listener_end_round(void)
{
}

Address
listener_address(struct lws *socket)
{
	(void) socket;
	return (Address){0};
}

void
listener_handshake_done(struct lws *socket)
{
	(void) socket;
}

void
listener_request_done(struct lws *socket)
{
	(void) socket;
}

void
listener_socket_gone(struct lws *socket)
{
	(void) socket;
}

const char *
listener_request_path(struct lws *socket)
{
	return socket->path;
}

/* ---- wire.c's functions: editors send what they may, and no pings ---- */

bool
wire_open(struct lws *socket, void (*heard)(void *context), void *context)
{
	socket->heard = heard;
	socket->heard_context = context;
	return true;
}

bool
wire_take_ping(struct lws *socket, uint8_t payload[WIRE_CONTROL_MAX], size_t *size)
{
	(void) socket, (void) payload, (void) size;
	return false;
}

WireEnd
wire_end(struct lws *socket)
{
	(void) socket;
	return (WireEnd){0};
}

bool
wire_write(struct lws *socket, int fd, Bytes frames, bool *is_choked)
{
	(void) fd;
	invariant_check(MEMORY_IS_BOUNDED, socket->partial.size == 0,
					"a relay writes past what waits in the library");
	int written = lws_write(socket, (unsigned char *) frames.data, frames.size, LWS_WRITE_RAW);

	*is_choked = socket->partial.size > 0;
	return written >= 0;
}

void
wire_shut(struct lws *socket)
{
	socket->is_closing = true;
}

/* ---- sandbox.c's functions: this process goes on as it is ---- */

bool
sandbox_is_supported(void)
{
	return false;
}

void
sandbox_begin(bool core_dumps)
{
	(void) core_dumps;
}

bool
sandbox_become(const char *user, bool keeps_ports, char *problem)
{
	(void) user, (void) keeps_ports, (void) problem;
	return false;
}

bool
sandbox_enter(char *problem)
{
	(void) problem;
	return false;
}

/* ---- frames ---- */

bool
frames_visit(Bytes frames, void (*visit)(void *context, Bytes message), void *context,
			 size_t *taken)
{
	const uint8_t *at = frames.data, *end = frames.data + frames.size;

	for (*taken = 0; at + 2 <= end; *taken = (size_t) (at - frames.data))
	{
		size_t header = at[1] < 126 ? 2 : at[1] == 126 ? 4 : 10;
		uint64_t size = at[1] < 126 ? at[1] : 0;

		if (at[0] != 0x82 || at[1] > 127) /* one unmasked binary frame */
			return false;
		if ((size_t) (end - at) < header)
			return true;
		for (size_t i = 2; i < header; i++)
			size = size << 8 | at[i];
		if ((size_t) (end - at) - header < size)
			return true;
		visit(context, (Bytes){at + header, (size_t) size});
		at += header + size;
	}
	return true;
}

static void
check_written(void *context, Bytes message)
{
	Socket *socket = context;
	Frame frame = frame_begin(message);
	Bytes address = socket->has_addresses ? frame_read_bytes(&frame) : (Bytes){0};
	bool is_guests = socket->has_addresses && is_name(socket->guest_document, address);
	Document *document = is_guests ? socket->guest_document : socket->document;
	uint64_t type = frame_read_varuint(&frame);
	uint64_t step = type == 0 ? frame_read_varuint(&frame) : 0;
	Update update = {0};

	invariant_check(DOCUMENTS_ARE_INDEPENDENT, !socket->has_addresses || is_name(document, address),
					"a relay writes a frame of another document to a client of %s", document->name);
	if (socket->has_addresses && type == MESSAGE_SYNC_STATUS && frame_read_varuint(&frame) == 1)
		check_status(socket);
	if (socket->has_addresses && type == MESSAGE_AUTH && frame_read_varuint(&frame) == 1)
		check_denial(socket, is_guests, frame_read_bytes(&frame));
	if (type != 0 || step == 0)
		return;
	Bytes bytes = frame_read_bytes(&frame);

	invariant_check(SHOWN_IS_DURABLE,
					!frame.failed && update_read(bytes, &update) &&
						content_includes(&document->ever, &update),
					"a relay writes an update of %zu bytes for %s that was not committed",
					bytes.size, document->name);
	update_free(&update);
}

/* What it says to be stored are as many updates as have been committed, at most. */
static void
check_status(Socket *socket)
{
	socket->said_to_be_stored++;
	for (size_t i = 0; i < socket->unstored_count;)
	{
		Update update = {0};
		bool is_stored = update_read(buffer_view(&socket->unstored[i].bytes), &update) &&
						 content_includes(&socket->unstored[i].document->ever, &update);

		update_free(&update);
		if (is_stored)
			drop_unstored(socket, i);
		else
			i++;
		socket->stored += is_stored;
	}
	invariant_check(SHOWN_IS_DURABLE, socket->said_to_be_stored <= socket->stored,
					"a relay says that %u updates of a client of %s are stored, and %u are",
					socket->said_to_be_stored, socket->document->name, socket->stored);
}

/* As a close of the socket would be. */
static void
check_denial(Socket *socket, bool is_guests, Bytes reason)
{
	static const char gone[] = "document deleted";
	const Document *document = is_guests ? socket->guest_document : socket->document;
	bool is_gone = reason.size == sizeof gone - 1 && memcmp(reason.data, gone, reason.size) == 0;

	/* there was no memory for the reason */
	is_gone |= reason.size == 0 && document->was_gone && relay_memory_failed > 0;
	socket->is_denied |= !is_guests;
	socket->guest_is_out |= is_guests;
	if (world_traces)
		fprintf(stderr, "%s is denied: %.*s\n", socket->document->name, (int) reason.size,
				reason.data);
	world_denied(is_guests ? socket->guest : socket->editor, is_gone ? 4404 : 4400);
}

static void
drop_unstored(Socket *socket, size_t place)
{
	buffer_free(&socket->unstored[place].bytes);
	socket->unstored[place] = socket->unstored[--socket->unstored_count];
}
