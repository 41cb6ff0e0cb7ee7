/*
 * websocket.h: the client's side of WebSocket (RFC 6455) on non-blocking sockets, for measuring: no TLS, no
 * compression, masks of zeros (which are masks), messages up to a bound.
 *
 *     WebSocket socket;
 *
 *     websocket_connect(&socket, host, port, "/notes/7");
 *     ... epoll says readable or writable:
 *     websocket_service(&socket, events, on_message, context);       -- false: closed
 *     websocket_send(&socket, bytes, size);                          -- once socket.is_open
 */
#ifndef LOAD_WEBSOCKET_H
#define LOAD_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Bytes
{
	uint8_t *data;
	size_t size, capacity;
} Bytes;

typedef struct WebSocket
{
	int fd;
	bool is_open; /* the server has agreed */
	bool wants_write;
	uint16_t close_code; /* of the server's close frame */
	Bytes in, out;
	Bytes fragments; /* of a message that is not whole yet */
	uint64_t frames_in, bytes_in, writes;
} WebSocket;

typedef void (*WebSocketMessage)(void *context, const uint8_t *data, size_t size);

/* Begins; false if there is no socket to be had. */
bool websocket_connect(WebSocket *socket, const char *host, uint16_t port, const char *path);

/* Reads, and writes what waits.  False: the connection is gone. */
bool websocket_service(WebSocket *socket, uint32_t events, WebSocketMessage message, void *context);

/* A binary message; sent at once as far as the socket takes it. */
bool websocket_send(WebSocket *socket, const uint8_t *data, size_t size);

void websocket_close(WebSocket *socket);

void bytes_append(Bytes *bytes, const void *data, size_t size);

#endif
