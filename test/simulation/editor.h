/*
 * An editor: a Yjs document with a provider of y-websocket or of Hocuspocus, as far as the relay could tell.
 *
 *     editor_open(editor, document);       a new client
 *     editor_connect(editor, relay);       sync step 1, its awareness state
 *     editor_type(editor);                 an edit of its own, sent if it is connected
 *     editor_read(editor);                 what the socket has: answers step 1, applies the rest
 *     editor_tick(editor);                 its timers: silence, presence
 *
 * It keeps what it has typed, whatever happens to its connection, and sends what the other side lacks
 * when that says what it has.
 */
#ifndef SIMULATION_EDITOR_H
#define SIMULATION_EDITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "content.h"
#include "relay.h"
#include "sockets.h"
#include "store.h"

typedef struct KnownState /* of a client's presence */
{
	uint32_t clock;
	bool is_present;
	double updated_at;
} KnownState;

typedef struct Editor
{
	bool is_open;
	bool is_hostile; /* sends what no provider would */
	bool is_refused; /* was told not to come back */
	bool wants_connection;
	Document *document;
	uint32_t client;
	Content content;
	Socket *socket;
	bool is_lazy; /* reads seldom */
	bool is_hocuspocus;
	uint32_t
		unsynced; /* there: what it has not been told yet that it is stored, as its provider counts */
	bool is_asking; /* has sent a step 1 that is not answered yet */
	Buffer inbox;
	double heard_at, retry_at;
	KnownState presence[MAX_CLIENTS]; /* its own among them */
	bool has_typed_rubbish; /* something was sent that the relay or the store must refuse */
	uint32_t capacity; /* of its socket */
} Editor;

/* False if the document has had too many clients. */
bool editor_open(Editor *editor, Document *document);

/* Gone for good, with or without a goodbye. */
void editor_close(Editor *editor, bool says_goodbye);

bool editor_connect(Editor *editor, Relay *relay);
void editor_disconnect(Editor *editor, bool says_goodbye);
void editor_type(Editor *editor);

/* Step 1 again, as providers do that are told to resynchronise now and then. */
void editor_ask(Editor *editor);
bool editor_read(Editor *editor);
void editor_tick(Editor *editor);

/* What no provider would send: rubbish, or a message of more than most_bytes. */
void editor_rave(Editor *editor, size_t most_bytes);

/* The same small update many times over. */
void editor_flood(Editor *editor);

/* Something that needs a whole statement to fail before it is found. */
void editor_spoil(Editor *editor);

#endif
