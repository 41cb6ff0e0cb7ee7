/*
 * copier.c: the least that a server can do: copies every frame of a document to its other connections, with one write a
 * connection and round of its loop.  It stores nothing, checks nothing and merges nothing: the limit that
 * servers are compared with.
 *
 *     copier            -- listens on a free port of 127.0.0.1, and prints it
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 1024
#define ROOMS 65536
#define READ_BYTES 65536
#define PATH_BYTES 256

typedef struct Buffer
{
	uint8_t *data;
	size_t size, capacity;
} Buffer;

typedef struct Connection Connection;

typedef struct Room
{
	char path[PATH_BYTES];
	Connection **members;
	int count, capacity;
} Room;

struct Connection
{
	int fd;
	Room *room; /* NULL: not upgraded yet */
	int place; /* among its members */
	Buffer in, out;
	bool is_listed; /* has something to write */
	bool is_choked; /* until epoll says writable */
	bool is_dead;
	Connection *next_listed, *next_dead;
};

static Room rooms[ROOMS];
static int epoll;
static Connection *listed, *dead;

static void
append(Buffer *buffer, const void *data, size_t size)
{
	if (buffer->size + size > buffer->capacity)
	{
		buffer->capacity = (buffer->size + size) * 2;
		buffer->data = realloc(buffer->data, buffer->capacity);
		if (buffer->data == NULL)
			abort();
	}
	memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
}

static void
list(Connection *connection)
{
	if (connection->is_listed || connection->is_choked)
		return;
	connection->is_listed = true;
	connection->next_listed = listed;
	listed = connection;
}

static void
end_connection(Connection *connection)
{
	Room *room = connection->room;

	if (connection->is_dead)
		return;
	connection->is_dead = true;
	if (room != NULL)
	{
		room->members[connection->place] = room->members[--room->count];
		room->members[connection->place]->place = connection->place;
	}
	connection->next_dead = dead;
	dead = connection;
}

static void
queue(Connection *connection, const uint8_t *payload, size_t size)
{
	uint8_t head[10] = {0x82};
	size_t head_size = 2;

	if (size < 126)
		head[1] = (uint8_t) size;
	else if (size < 65536)
	{
		head[1] = 126;
		head[2] = (uint8_t) (size >> 8);
		head[3] = (uint8_t) size;
		head_size = 4;
	}
	else
	{
		head[1] = 127;
		for (int i = 0; i < 8; i++)
			head[2 + i] = (uint8_t) ((uint64_t) size >> (56 - 8 * i));
		head_size = 10;
	}
	append(&connection->out, head, head_size);
	append(&connection->out, payload, size);
	list(connection);
}

static void
take_message(Connection *connection, const uint8_t *payload, size_t size)
{
	/* step 1 wants an answer */
	if (size >= 2 && payload[0] == 0 && payload[1] == 0)
	{
		queue(connection, (const uint8_t *) "\x00\x01\x02\x00\x00", 5);
		return;
	}
	if (size >= 2 && payload[0] == 0 && payload[1] == 1)
		return;
	for (int i = 0; i < connection->room->count; i++)
		if (connection->room->members[i] != connection)
			queue(connection->room->members[i], payload, size);
}

static void
join(Connection *connection, const char *path)
{
	uint32_t hash = 2166136261u;

	for (const char *at = path; *at != '\0'; at++)
		hash = (hash ^ (uint8_t) *at) * 16777619u;
	Room *room = &rooms[hash % ROOMS];

	while (room->path[0] != '\0' && strcmp(room->path, path) != 0)
		room = room == &rooms[ROOMS - 1] ? rooms : room + 1;
	snprintf(room->path, sizeof room->path, "%s", path);
	if (room->count == room->capacity)
	{
		room->capacity = room->capacity == 0 ? 4 : room->capacity * 2;
		room->members = realloc(room->members, (size_t) room->capacity * sizeof(Connection *));
	}
	connection->room = room;
	connection->place = room->count;
	room->members[room->count++] = connection;
}

/* Bytes of the request; 0: not all there. */
static size_t
upgrade(Connection *connection)
{
	char *request = (char *) connection->in.data;
	char *end = memmem(request, connection->in.size, "\r\n\r\n", 4);
	char *key =
		end == NULL ? NULL : memmem(request, (size_t) (end - request), "Sec-WebSocket-Key: ", 19);
	char path[PATH_BYTES], accept[128], answer[256];
	unsigned char hash[SHA_DIGEST_LENGTH];

	if (key == NULL || sscanf(request, "GET %255s", path) != 1)
		return 0;
	int size =
		snprintf(accept, sizeof accept, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);

	SHA1((unsigned char *) accept, (size_t) size, hash);
	EVP_EncodeBlock((unsigned char *) accept, hash, sizeof hash);
	size =
		snprintf(answer, sizeof answer,
				 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
				 "Sec-WebSocket-Accept: %s\r\n\r\n",
				 accept);
	append(&connection->out, answer, (size_t) size);
	list(connection);
	join(connection, path);
	return (size_t) (end - request) + 4;
}

/* Bytes of the first frame at at; 0: not all there. */
static size_t
take_frame(Connection *connection, size_t at)
{
	uint8_t *data = connection->in.data + at;
	size_t left = connection->in.size - at, head = 2;

	if (left < 2)
		return 0;
	size_t size = data[1] & 127;

	head += size == 126 ? 2 : size == 127 ? 8 : 0;
	if (left < head + 4)
		return 0;
	if (head > 2)
		for (size_t i = 2, wide = 0; i < head; i++)
			size = wide = wide << 8 | data[i];
	if (left < head + 4 + size)
		return 0;
	uint8_t *mask = data + head, *payload = mask + 4;

	for (size_t i = 0; i < size; i++)
		payload[i] ^= mask[i & 3];
	if ((data[0] & 15) == 2)
		take_message(connection, payload, size);
	else if ((data[0] & 15) == 8)
		end_connection(connection);
	return head + 4 + size;
}

static void
receive(Connection *connection)
{
	static uint8_t buffer[READ_BYTES];
	ssize_t got = read(connection->fd, buffer, sizeof buffer);
	size_t at = 0, used;

	if (got <= 0)
	{
		if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
			end_connection(connection);
		return;
	}
	append(&connection->in, buffer, (size_t) got);
	if (connection->room == NULL)
		at = upgrade(connection);
	while (connection->room != NULL && !connection->is_dead &&
		   (used = take_frame(connection, at)) > 0)
		at += used;
	connection->in.size -= at;
	memmove(connection->in.data, connection->in.data + at, connection->in.size);
}

static void
flush(Connection *connection)
{
	ssize_t wrote = write(connection->fd, connection->out.data, connection->out.size);
	size_t left = connection->out.size - (wrote > 0 ? (size_t) wrote : 0);
	bool was_choked = connection->is_choked;

	if (wrote < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
	{
		end_connection(connection);
		return;
	}
	if (wrote > 0)
		memmove(connection->out.data, connection->out.data + wrote, left);
	connection->out.size = left;
	connection->is_choked = left > 0;
	if (connection->is_choked != was_choked)
	{
		struct epoll_event event = {EPOLLIN | (left > 0 ? EPOLLOUT : 0), {.ptr = connection}};

		epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event);
	}
}

static void
end_round(void)
{
	for (Connection *connection; (connection = listed) != NULL;)
	{
		listed = connection->next_listed;
		connection->is_listed = false;
		if (!connection->is_dead)
			flush(connection);
	}
	for (Connection *connection; (connection = dead) != NULL;)
	{
		dead = connection->next_dead;
		close(connection->fd);
		free(connection->in.data);
		free(connection->out.data);
		free(connection);
	}
}

static void
accept_all(int listener)
{
	for (int fd, one = 1; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
	{
		Connection *connection = calloc(1, sizeof *connection);
		struct epoll_event event = {EPOLLIN, {.ptr = connection}};

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		connection->fd = fd;
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	}
}

int
main(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct epoll_event events[EVENTS], event = {EPOLLIN, {.ptr = NULL}};
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (bind(listener, (struct sockaddr *) &address, sizeof address) < 0 ||
		listen(listener, 4096) < 0 ||
		getsockname(listener, (struct sockaddr *) &address, &size) < 0)
	{
		perror("copier");
		return 1;
	}
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	epoll = epoll_create1(0);
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	for (;;)
	{
		int count = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < count; i++)
		{
			Connection *connection = events[i].data.ptr;

			if (connection == NULL)
				accept_all(listener);
			else if ((events[i].events & EPOLLOUT) != 0)
				flush(connection);
			if (connection != NULL && !connection->is_dead &&
				(events[i].events & ~(uint32_t) EPOLLOUT) != 0)
				receive(connection);
		}
		end_round();
	}
}
