/*
 * editor.c: providers of y-websocket and of Hocuspocus, model of.
 *
 * A connection of Hocuspocus may have two: the guest writes to it, and whoever has made it reads for both.
 */
#include "editor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "world.h"

#define SILENCE_SECONDS 30.0
#define RENEW_SECONDS 15.0
#define OUTDATED_SECONDS 30.0

enum
{
	MESSAGE_SYNC = 0,
	MESSAGE_AWARENESS = 1,

	/* Hocuspocus' */
	MESSAGE_AUTH = 2,
	MESSAGE_CLOSE = 7,
	MESSAGE_SYNC_STATUS = 8
};

static void begin_message(const Editor *editor, Buffer *message, uint64_t type);

static void take_message(void *context, Bytes message);
static void take_sync(Editor *editor, Frame *frame);
static void take_awareness(Editor *editor, Bytes entries);
static void be_guest(Editor *editor, Relay *relay);
static bool is_guest(const Editor *editor);
static void send_token(Editor *editor);
static void send_update(Editor *editor, uint64_t step, const Update *update);
static void send_states(Editor *editor, const uint32_t *clients, uint32_t count);
static void lose_connection(Editor *editor);

bool
editor_open(Editor *editor, Document *document)
{
	if (document->next_client >= MAX_CLIENTS)
		return false;
	*editor = (Editor){.is_open = true,
					   .document = document,
					   .client = document->next_client++,
					   .wants_connection = true,
					   .is_lazy = chance_in(4),
					   .is_hocuspocus = chance_in(3),
					   .capacity = chance_in(3) ? chance_between(200, 3000) : 1 << 20};
	editor->presence[editor->client] = (KnownState){1, true, world_now};
	return true;
}

void
editor_close(Editor *editor, bool says_goodbye)
{
	if (!editor->is_open)
		return;
	if (editor->socket != NULL && says_goodbye)
	{
		editor->presence[editor->client].is_present = false;
		editor->presence[editor->client].clock++;
		send_states(editor, &editor->client, 1);
	}
	editor_disconnect(editor, says_goodbye);
	content_free(&editor->content);
	buffer_free(&editor->inbox);
	editor->is_open = false;
}

bool
editor_connect(Editor *editor, Relay *relay)
{
	if (editor->socket != NULL || editor->is_refused || editor->retry_at > world_now)
		return false;
	if (editor->is_hocuspocus && !editor->is_hostile && chance_in(2))
		be_guest(editor, relay);
	if (editor->socket == NULL)
		editor->socket = socket_open(relay, editor, editor->document, editor->capacity);
	editor->retry_at = world_now + 2.5 * chance_real();
	if (editor->socket == NULL)
		return false;
	editor->heard_at = world_now;
	if (editor->is_hocuspocus && chance_in(2))
		send_token(editor);
	editor_ask(editor);
	send_states(editor, &editor->client, 1);
	return true;
}

/* A second document on somebody's connection, if there is one. */
static void
be_guest(Editor *editor, Relay *relay)
{
	editor->socket = relay_is_awake(relay) ? socket_find_shareable(relay, editor->document) : NULL;
	if (editor->socket == NULL)
		return;
	if (world_traces)
		fprintf(stderr, "client %u of %s comes with client %u of %s\n", editor->client,
				editor->document->name, editor->socket->editor->client,
				editor->socket->document->name);
	editor->socket->guest = editor;
	editor->socket->guest_document = editor->document;
}

static bool
is_guest(const Editor *editor)
{
	return editor->socket->guest == editor;
}

void
editor_ask(Editor *editor)
{
	Buffer message = {0}, vector = {0};

	if (editor->socket == NULL)
		return;
	content_write_state_vector(&editor->content, &vector);
	begin_message(editor, &message, MESSAGE_SYNC);
	buffer_write_varuint(&message, 0);
	buffer_write_varbytes(&message, buffer_view(&vector));
	buffer_free(&vector);
	socket_send(editor->socket, UP_BINARY, &message);
	editor->is_asking = true;
	editor->unsynced = 1;
}

/* Of a relay that asks nobody for it. */
static void
send_token(Editor *editor)
{
	Buffer message = {0};

	begin_message(editor, &message, MESSAGE_AUTH);
	buffer_write_varuint(&message, 0);
	buffer_write_varbytes(&message, (Bytes){(const uint8_t *) "", 0});
	socket_send(editor->socket, UP_BINARY, &message);
}

static void
begin_message(const Editor *editor, Buffer *message, uint64_t type)
{
	const char *name = editor->document->name;

	if (editor->is_hocuspocus)
		buffer_write_varbytes(message, (Bytes){(const uint8_t *) name, strlen(name)});
	buffer_write_varuint(message, type);
}

void
editor_disconnect(Editor *editor, bool says_goodbye)
{
	Buffer message = {0};

	if (editor->socket == NULL)
		return;
	if (is_guest(editor))
	{
		begin_message(editor, &message, MESSAGE_CLOSE);
		socket_send(editor->socket, UP_BINARY, &message);
		editor->socket->guest_is_out = true;
	}
	else
		socket_leave(editor->socket, says_goodbye);
	lose_connection(editor);
}

static void
lose_connection(Editor *editor)
{
	if (world_traces)
		fprintf(stderr, "%.3f client %u of %s loses its connection, code %d\n", world_now,
				editor->client, editor->document->name, editor->socket->close_code);
	Editor *guest = is_guest(editor) ? NULL : editor->socket->guest;

	if (is_guest(editor))
		editor->socket->guest = NULL;
	else
		editor->socket->editor = NULL;
	if (guest != NULL)
		lose_connection(guest);
	editor->socket = NULL;
	buffer_reset(&editor->inbox);
	for (uint32_t client = 0; client < MAX_CLIENTS; client++)
		if (client != editor->client)
			editor->presence[client].is_present = false;
}

void
editor_type(Editor *editor)
{
	Update update = {0};
	uint32_t clock = editor->content.state[editor->client];

	if (chance_in(4))
		update_add_delete(&update, editor->document->next_delete++);
	else
	{
		uint32_t count = chance_in(30) ? 60 : chance_between(1, 4);

		update_add_range(&update, editor->client, clock, clock + count);
		editor->document->clocks_given += count;
	}
	content_apply(&editor->content, &update);
	send_update(editor, 2, &update);
	update_free(&update);
}

bool
editor_read(Editor *editor)
{
	Socket *socket = editor->socket;

	if (socket == NULL || is_guest(editor))
		return false; /* who has brought him reads for both */
	Bytes bytes = socket_peek(socket);

	if (bytes.size == 0)
	{
		bool is_closed = socket->close_code != 0 && socket->partial.size == 0;

		if (!is_closed && !socket->is_gone)
			return false;
		editor->is_refused = is_closed && socket->close_code >= 4400 && socket->close_code < 4500;
		lose_connection(editor);
		return true;
	}
	size_t size = chance_in(3) ? chance_between(1, (uint32_t) bytes.size) : bytes.size;
	size_t taken = 0;

	buffer_write(&editor->inbox, (Bytes){bytes.data, size});
	socket_consume(socket, size);
	frames_visit(buffer_view(&editor->inbox), take_message, editor, &taken);
	array_drop(editor->inbox.data, &editor->inbox.size, taken, 1);
	if (socket->guest != NULL && socket->guest->is_refused)
		lose_connection(socket->guest);
	if (editor->is_refused)
		editor_disconnect(editor, true);
	return true;
}

void
editor_tick(Editor *editor)
{
	KnownState *own = &editor->presence[editor->client];

	if (!editor->is_open)
		return;
	for (uint32_t client = 0; client < MAX_CLIENTS; client++)
		if (client != editor->client &&
			world_now - editor->presence[client].updated_at > OUTDATED_SECONDS)
			editor->presence[client].is_present = false;
	if (world_now - own->updated_at > RENEW_SECONDS)
	{
		own->clock++;
		own->updated_at = world_now;
		send_states(editor, &editor->client, 1);
	}
	if (editor->socket != NULL && world_now - editor->heard_at > SILENCE_SECONDS)
	{
		if (world_traces)
			fprintf(stderr, "client %u has heard nothing for long\n", editor->client);
		editor_disconnect(editor, true);
	}
}

void
editor_rave(Editor *editor, size_t most_bytes)
{
	Buffer message = {0};
	UpKind kind = UP_BINARY;

	if (editor->socket == NULL)
		return;
	editor->has_typed_rubbish = true;
	switch (chance_below(5))
	{
		case 0: /* no message at all */
			if (chance_in(2))
				begin_message(editor, &message, chance_below(MESSAGE_CLOSE));
			for (uint32_t i = chance_below(40); i > 0; i--)
				buffer_write_u8(&message, (uint8_t) chance_bits());
			break;
		case 1: /* an update that is none */
			begin_message(editor, &message, MESSAGE_SYNC);
			buffer_write_varuint(&message, 2);
			buffer_write_varbytes(&message, (Bytes){(const uint8_t *) "\x05\x05\x05", 3});
			break;
		case 2: /* a state vector that is none */
			begin_message(editor, &message, MESSAGE_SYNC);
			buffer_write_varuint(&message, 0);
			buffer_write_varbytes(&message, (Bytes){(const uint8_t *) "\x05\x05", 2});
			break;
		case 3:
			kind = UP_TEXT;
			buffer_write(&message, (Bytes){(const uint8_t *) "hello", 5});
			break;
		default: /* larger than --max-message */
			for (size_t i = 0; i <= most_bytes / 16; i++)
				buffer_write(&message, (Bytes){(const uint8_t *) "0123456789abcdef", 16});
			break;
	}
	socket_send(editor->socket, kind, &message);
}

void
editor_flood(Editor *editor)
{
	Update update = {0};

	update_add_range(&update, editor->client, 0, 1);
	content_apply(&editor->content, &update);
	for (int i = 0; i < 400; i++)
		send_update(editor, 2, &update);
	update_free(&update);
}

void
editor_spoil(Editor *editor)
{
	Buffer message = {0};

	if (editor->socket == NULL)
		return;
	editor->has_typed_rubbish = true;
	begin_message(editor, &message, MESSAGE_SYNC);
	buffer_write_varuint(&message, 2);
	buffer_write_varbytes(&message, (Bytes){(const uint8_t *) "\xff\xff\xff", 3});
	socket_send(editor->socket, UP_BINARY, &message);
}

/* ---- messages ---- */

static void
take_message(void *context, Bytes message)
{
	Editor *editor = context;
	Frame frame = frame_begin(message);

	editor->heard_at = world_now;
	if (editor->socket->guest != NULL)
		editor->socket->guest->heard_at = world_now;
	if (editor->is_hocuspocus)
		editor = socket_addressee(editor->socket, frame_read_bytes(&frame));
	if (editor == NULL)
		return; /* of a document that he has closed */
	switch (frame_read_varuint(&frame))
	{
		case MESSAGE_SYNC: take_sync(editor, &frame); break;
		case MESSAGE_AWARENESS: take_awareness(editor, frame_read_bytes(&frame)); break;
		case MESSAGE_AUTH:
			editor->is_refused |= editor->is_hocuspocus && frame_read_varuint(&frame) == 1;
			break;
		case MESSAGE_SYNC_STATUS:
			editor->unsynced -= editor->unsynced > 0 && frame_read_varuint(&frame) == 1;
			break;
		default: break;
	}
}

static void
take_sync(Editor *editor, Frame *frame)
{
	uint64_t step = frame_read_varuint(frame);
	Bytes bytes = frame_read_bytes(frame);
	uint32_t state_vector[MAX_CLIENTS];
	Update update = {0};

	if (step == 0 && content_read_state_vector(bytes, state_vector))
	{
		content_diff(&editor->content, state_vector, &update);
		send_update(editor, 1, &update);
	}
	else if (update_read(bytes, &update))
	{
		content_apply(&editor->content, &update);
		editor->is_asking &= step != 1;
		if (world_traces)
		{
			fprintf(stderr, "client %u of %s was sent %zu bytes and has ", editor->client,
					editor->document->name, bytes.size);
			content_print(&editor->content);
		}
	}
	update_free(&update);
}

static void
send_update(Editor *editor, uint64_t step, const Update *update)
{
	Buffer message = {0}, bytes = {0};

	if (editor->socket == NULL)
		return;
	update_write(update, &bytes);
	if (editor->is_hocuspocus)
		socket_expect_status(editor->socket, editor->document, buffer_view(&bytes));
	editor->unsynced += step == 2;
	if (world_traces)
		fprintf(stderr, "client %u of %s sends %zu bytes to relay %d\n", editor->client,
				editor->document->name, bytes.size, editor->socket->relay->number);
	begin_message(editor, &message, MESSAGE_SYNC);
	buffer_write_varuint(&message, step);
	buffer_write_varbytes(&message, buffer_view(&bytes));
	buffer_free(&bytes);
	socket_send(editor->socket, UP_BINARY, &message);
}

/* ---- presence, by the rules of y-protocols ---- */

static void
take_awareness(Editor *editor, Bytes entries)
{
	Frame frame = frame_begin(entries);
	uint32_t changed[MAX_CLIENTS], changed_count = 0;

	for (uint64_t count = frame_read_varuint(&frame); count > 0 && !frame.failed; count--)
	{
		uint64_t client = frame_read_varuint(&frame), clock = frame_read_varuint(&frame);
		Bytes state = frame_read_bytes(&frame);
		bool is_gone = state.size == 4 && memcmp(state.data, "null", 4) == 0;

		if (frame.failed || client >= MAX_CLIENTS)
			return;
		if (world_flaw == FLAW_STATES_ARE_LOST && client % 3 == editor->client % 3)
			continue;
		KnownState *known = &editor->presence[client];

		if (clock < known->clock || (clock == known->clock && !(is_gone && known->is_present)))
			continue;
		known->clock = (uint32_t) clock;
		known->updated_at = world_now;
		if (is_gone && client == editor->client)
			known->clock++; /* nobody else ends it */
		else
			known->is_present = !is_gone;
		if (changed_count < MAX_CLIENTS)
			changed[changed_count++] = (uint32_t) client;
	}
	/* a provider sends on what it was told */
	if (changed_count > 0)
		send_states(editor, changed, changed_count);
}

static void
send_states(Editor *editor, const uint32_t *clients, uint32_t count)
{
	Buffer entries = {0}, message = {0};
	char state[32];

	if (editor->socket == NULL)
		return;
	buffer_write_varuint(&entries, count);
	for (uint32_t i = 0; i < count; i++)
	{
		KnownState *known = &editor->presence[clients[i]];

		if (known->is_present)
			snprintf(state, sizeof state, "{\"client\":%u}", clients[i]);
		else
			snprintf(state, sizeof state, "null");
		buffer_write_varuint(&entries, clients[i]);
		buffer_write_varuint(&entries, known->clock);
		buffer_write_varbytes(&entries, (Bytes){(const uint8_t *) state, strlen(state)});
	}
	begin_message(editor, &message, MESSAGE_AWARENESS);
	buffer_write_varbytes(&message, buffer_view(&entries));
	buffer_free(&entries);
	socket_send(editor->socket, UP_BINARY, &message);
}
