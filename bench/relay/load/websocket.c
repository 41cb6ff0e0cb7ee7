/*
 * websocket.c: the client's side of WebSocket (websocket.h).
 */
#include "websocket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536
#define OPCODE_BINARY 2
#define OPCODE_CLOSE 8
#define OPCODE_PING 9
#define OPCODE_PONG 10

void
bytes_append(Bytes *bytes, const void *data, size_t size)
{
	if (bytes->size + size > bytes->capacity)
	{
		bytes->capacity = (bytes->size + size) * 2;
		bytes->data = realloc(bytes->data, bytes->capacity);
		if (bytes->data == NULL)
		{
			fputs("load: out of memory\n", stderr);
			exit(1);
		}
	}
	if (size > 0)
		memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
}

static void
drop_front(Bytes *bytes, size_t size)
{
	bytes->size -= size;
	memmove(bytes->data, bytes->data + size, bytes->size);
	if (bytes->size == 0 && bytes->capacity > READ_BYTES)
	{
		free(bytes->data);
		*bytes = (Bytes){0};
	}
}

bool
websocket_connect(WebSocket *socket_, const char *host, uint16_t port, const char *path)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	char request[2048];
	int one = 1;

	*socket_ = (WebSocket){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
	if (socket_->fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return false;
	setsockopt(socket_->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(socket_->fd, (struct sockaddr *) &address, sizeof address) < 0 &&
		errno != EINPROGRESS)
		return false;
	int size = snprintf(request, sizeof request,
						"GET %s HTTP/1.1\r\nHost: %s:%u\r\nUpgrade: websocket\r\n"
						"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
						"Sec-WebSocket-Version: 13\r\n\r\n",
						path, host, port);

	bytes_append(&socket_->out, request, (size_t) size);
	socket_->wants_write = true;
	return true;
}

static bool
flush(WebSocket *socket)
{
	size_t done = 0;

	while (done < socket->out.size)
	{
		ssize_t wrote = write(socket->fd, socket->out.data + done, socket->out.size - done);

		socket->writes++;
		if (wrote < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN))
			break;
		if (wrote < 0)
			return false;
		done += (size_t) wrote;
	}
	if (done > 0)
		drop_front(&socket->out, done);
	socket->wants_write = socket->out.size > 0;
	return true;
}

static bool
send_frame(WebSocket *socket, uint8_t opcode, const uint8_t *data, size_t size)
{
	uint8_t head[14] = {0x80 | opcode};
	size_t head_size = 2;

	if (size < 126)
		head[1] = 0x80 | (uint8_t) size;
	else if (size < 65536)
	{
		head[1] = 0x80 | 126;
		head[2] = (uint8_t) (size >> 8);
		head[3] = (uint8_t) size;
		head_size = 4;
	}
	else
	{
		head[1] = 0x80 | 127;
		for (int i = 0; i < 8; i++)
			head[2 + i] = (uint8_t) ((uint64_t) size >> (56 - 8 * i));
		head_size = 10;
	}
	bytes_append(&socket->out, head, head_size + 4); /* a mask of zeros */
	bytes_append(&socket->out, data, size);
	return socket->wants_write || flush(socket);
}

bool
websocket_send(WebSocket *socket, const uint8_t *data, size_t size)
{
	return send_frame(socket, OPCODE_BINARY, data, size);
}

/* The server's answer to our request; false: it refuses.  *used: bytes of it, 0 until all is there. */
static bool
read_answer(WebSocket *socket, size_t *used)
{
	uint8_t *end = memmem(socket->in.data, socket->in.size, "\r\n\r\n", 4);

	*used = 0;
	if (end == NULL)
		return socket->in.size < 16384;
	if (socket->in.size < 12 || memcmp(socket->in.data + 9, "101", 3) != 0)
		return false;
	*used = (size_t) (end - socket->in.data) + 4;
	socket->is_open = true;
	return true;
}

typedef struct Frame
{
	bool is_last;
	uint8_t opcode;
	uint8_t *data;
	size_t size;
	size_t whole; /* with its head; 0: not all there */
} Frame;

static Frame
next_frame(const WebSocket *socket, size_t at)
{
	const uint8_t *data = socket->in.data + at;
	size_t left = socket->in.size - at;
	size_t head = 2;
	Frame frame = {0};

	if (left < 2)
		return frame;
	frame.size = data[1] & 127;
	if (frame.size == 126)
		head = 4;
	else if (frame.size == 127)
		head = 10;
	if (left < head)
		return frame;
	if (head > 2)
	{
		frame.size = 0;
		for (size_t i = 2; i < head; i++)
			frame.size = frame.size << 8 | data[i];
	}
	if (frame.size > left - head)
		return frame;
	frame.is_last = (data[0] & 0x80) != 0;
	frame.opcode = data[0] & 15;
	frame.data = socket->in.data + at + head;
	frame.whole = head + frame.size;
	return frame;
}

/* A frame of data: a message, or a part of one. */
static void
take_data(WebSocket *socket, const Frame *frame, WebSocketMessage message, void *context)
{
	if (frame->is_last && socket->fragments.size == 0)
	{
		message(context, frame->data, frame->size);
		return;
	}
	bytes_append(&socket->fragments, frame->data, frame->size);
	if (!frame->is_last)
		return;
	message(context, socket->fragments.data, socket->fragments.size);
	free(socket->fragments.data);
	socket->fragments = (Bytes){0};
}

static bool
take_frames(WebSocket *socket, WebSocketMessage message, void *context)
{
	size_t at = 0;

	for (Frame frame; (frame = next_frame(socket, at)).whole > 0; at += frame.whole)
	{
		socket->frames_in++;
		if (frame.opcode == OPCODE_CLOSE)
		{
			if (frame.size >= 2)
				socket->close_code = (uint16_t) (frame.data[0] << 8 | frame.data[1]);
			return false;
		}
		if (frame.opcode == OPCODE_PING)
		{
			if (!send_frame(socket, OPCODE_PONG, frame.data, frame.size))
				return false;
		}
		else if (frame.opcode != OPCODE_PONG)
			take_data(socket, &frame, message, context);
	}
	if (at > 0)
		drop_front(&socket->in, at);
	return true;
}

bool
websocket_service(WebSocket *socket, uint32_t events, WebSocketMessage message, void *context)
{
	static uint8_t buffer[READ_BYTES];

	if ((events & EPOLLOUT) != 0 && !flush(socket))
		return false;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
		return true;
	ssize_t got = read(socket->fd, buffer, sizeof buffer);

	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return true;
	if (got <= 0)
		return false;
	socket->bytes_in += (uint64_t) got;
	bytes_append(&socket->in, buffer, (size_t) got);
	if (!socket->is_open)
	{
		size_t used;

		if (!read_answer(socket, &used))
			return false;
		if (used == 0)
			return true;
		drop_front(&socket->in, used);
		message(context, NULL, 0); /* it is open */
	}
	return take_frames(socket, message, context);
}

void
websocket_close(WebSocket *socket)
{
	close(socket->fd);
	free(socket->in.data);
	free(socket->out.data);
	free(socket->fragments.data);
	*socket = (WebSocket){.fd = -1, .close_code = socket->close_code};
}
