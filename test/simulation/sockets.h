/*
 * libwebsockets and the way to editors: sockets with small buffers, cuts, slow readers.
 *
 *     editor  -> up: messages ------------------------> callback(RECEIVE), perhaps in parts
 *     editor  <- kernel: bytes, up to a capacity <----- lws_write()
 *                            partial: what the kernel did not take
 *
 * Whatever a relay writes is looked at the moment it is written: frames must be whole, and what is
 * in them committed.  Stands in for listener.c and wire.c too, since these are about sockets of the system.
 */
#ifndef SIMULATION_SOCKETS_H
#define SIMULATION_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "../../relay/socket/frame.h"
#include "relay.h"
#include "store.h"

struct Editor;

typedef enum UpKind
{
	UP_BINARY,
	UP_TEXT,
	UP_PONG,
	UP_CLOSE
} UpKind;

typedef struct UpMessage
{
	UpKind kind;
	Buffer bytes;
	size_t delivered;
} UpMessage;

typedef struct SentUpdate
{
	Document *document;
	Buffer bytes;
} SentUpdate;

typedef struct lws
{
	Relay *relay;
	struct Editor *editor; /* NULL: it is not there any more */
	Document *document;
	char path[MAX_NAME + 2];
	void *slot; /* the relay's */
	UpMessage *up;
	size_t up_count, up_capacity;
	Buffer kernel, partial;
	size_t capacity; /* of kernel, in bytes */
	int writes_held_back; /* in partial */
	bool wants_writable;
	bool is_paused;
	bool is_reset; /* writing fails, and the relay will hear of it */
	bool is_killed; /* the relay has asked for its end */
	bool is_closing; /* a close went out or came in */
	bool is_upgraded;
	bool is_gone; /* of the relay's side */
	int reason; /* of the close that the relay asked for */
	int close_code; /* on its way to the editor */
	bool is_first, is_final, is_binary;
	size_t remaining;
	size_t most_partial;

	bool has_addresses; /* it is one of Hocuspocus */
	bool is_denied; /* its document: it goes on without */
	struct Editor *guest; /* another one on the same connection; NULL: none, or it is gone */
	Document *guest_document; /* of another document; NULL: there was none yet */
	bool guest_is_out; /* it has closed its document, or was denied it */
	SentUpdate *unstored; /* updates that were sent and not committed when last looked at */
	size_t unstored_count, unstored_capacity;
	uint32_t stored, said_to_be_stored;
	void (*heard)(void *context); /* of wire_open() */
	void *heard_context;
} Socket;

/* The editor's end of a new connection; NULL if nobody listens or it was refused. */
Socket *socket_open(Relay *relay, struct Editor *editor, Document *document, size_t capacity);

/* The editor sends; takes the bytes. */
void socket_send(Socket *socket, UpKind kind, Buffer *bytes);

/* A connection to that relay on which another document can be opened; NULL if there is none. */
Socket *socket_find_shareable(const Relay *relay, const Document *document);

/* Whose frame that is, by its address; NULL if he is gone. */
struct Editor *socket_addressee(const Socket *socket, Bytes address);

/* It is going to be sent, and the relay will say when it is stored. */
void socket_expect_status(Socket *socket, Document *document, Bytes update);

/* The editor is gone: with a close, or so that the relay does not notice. */
void socket_leave(Socket *socket, bool says_goodbye);

/* Each returns false if there was nothing to do. */
bool socket_deliver(Socket *socket);
bool socket_writable(Socket *socket);
bool socket_finish(Socket *socket);

/* Bytes that the kernel has for the editor, at most so many; the close code once all were read. */
Bytes socket_peek(const Socket *socket);
void socket_consume(Socket *socket, size_t size);

Socket **sockets_all(size_t *count);
void sockets_cut_all(Relay *relay);
void sockets_forget(Relay *relay);

/* Frees sockets that nobody holds. */
void sockets_sweep(void);

/* Calls visit for each whole message of a run of frames; false if they are not whole frames. */
bool frames_visit(Bytes frames, void (*visit)(void *context, Bytes message), void *context,
				  size_t *taken);

#endif
