/*
 * listener.c: accept, within limits.
 *
 * Here: listening sockets, the two caps, socket options, the request line.  Not here: requests (http.c,
 * connection.c).
 */
#include "listener.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <libwebsockets.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "config.h"
#include "handshake.h"
#include "http_answer.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "proxy.h"
#include "tls.h"
#include "wire.h"

#define ACCEPTS_PER_ROUND 64
#define TLS_ACCEPTS_PER_ROUND 8 /* a handshake is milliseconds of work */
#define BACKLOG 4096
#define UNSENT_BYTES (128 << 10) /* of a socket in the kernel: what a slow peer gets is not old */
/* TCP_USER_TIMEOUT: a peer that vanished is noticed.  The kernel counts as such also one that has no room
 * in its window for so long, and on this host (a proxy) a window opens by 64 kB at the least: at 4 kB/s
 * 30 s are not enough. */
#define UNACKNOWLEDGED_MS 120000
#define PAUSE_SECONDS 0.1 /* after running out of descriptors */
#define REQUEST_SECONDS 10.0
#define ANSWER_SECONDS 2.0 /* the request is complete: milliseconds are enough */
#define REQUEST_BYTES 16384 /* all headers of a request */

typedef struct Refusal
{
	unsigned status;
	const char *code, *detail;
	const char *fields; /* of the answer, each with its CR LF; NULL: none */
} Refusal;

#define LATER "Retry-After: 5\r\n"

static const Refusal unavailable = {503, "overloaded", "the relay takes no more connections now",
									LATER};
static const Refusal address_refusals[] = {
	[ADDRESS_HAS_TOO_MANY] = {429, "too-many-connections", "too many connections from this address",
							  LATER},
	[ADDRESS_IS_TOO_FAST] = {429, "too-fast", "too many new connections from this address", LATER},
	[ADDRESS_FAILED_TOO_OFTEN] = {429, "too-many-failures",
								  "too many refused tokens from this address", LATER},
	[ADDRESS_OUT_OF_MEMORY] = {503, "overloaded", "out of memory", LATER},
};
static const Refusal too_slow = {408, "too-slow", "the request did not arrive in time", NULL};
static const Refusal head_too_large = {431, "head-too-large",
									   "the request's header fields are larger than 16 kB", NULL};
static const Refusal unknown_method = {501, "method", "this method is not known here", NULL};
static const Refusal malformed = {400, "malformed", "this is no request of HTTP/1.1", NULL};

typedef struct Arrival Arrival;

typedef struct ArrivalList
{
	Arrival *first, *last;
} ArrivalList;

struct Arrival /* a socket; the library's opaque pointer leads to it */
{
	int fd;
	Address address;
	bool
		is_counted; /* of it: not while a proxy, whose own it is then, has not said whom it speaks for */
	bool is_proxied;
	bool is_unfinished; /* its first request is not being answered yet */
	struct lws *wsi; /* once the library has it */
	ssize_t seen; /* bytes of an incomplete request */
	char *path; /* of the first request; NULL before and after */
	size_t head_bytes; /* of the first request */
	Handshake handshake;
	char *head; /* all of its head, NUL-terminated, until somebody takes it */
	ev_io io; /* until the request is complete */
	ev_timer timer;
	ArrivalList *list; /* NULL: on none */
	Arrival *next, *previous;
};

static ev_io watchers[LISTENER_MAX_SOCKETS];
static int socket_count;
static ev_timer pause_timer;
static ArrivalList incomplete, complete; /* requests */
static int64_t handshakes; /* unfinished ones in the library */
static int64_t sockets;
static bool is_paused, is_stopped = true;

static int listen_at(struct addrinfo *address, int port, bool is_shared);
static bool is_listened_at(const struct addrinfo *address);
static void set_port(struct sockaddr *address, int port);
static int bound_port(int fd);
static void accept_some(struct ev_loop *, ev_io *, int);
static void arrive(int fd, const struct sockaddr *peer);
static AddressVerdict count(Arrival *arrival, const struct sockaddr *peer);
static void peek_request(struct ev_loop *, ev_io *, int);
static void take_request(Arrival *arrival, const char *request, size_t size);
static void adopt(Arrival *arrival);
static bool is_decodable(const char *path);
static bool has_stalling_header(const char *at, const char *end);
static bool is_stalling_name(const char *name, size_t size);
static void arrival_timeout(struct ev_loop *, ev_timer *, int);
static void kill_unanswered(struct ev_loop *, ev_timer *, int);
static void refuse_arrival(Arrival *arrival, const Refusal *refusal);
static void refuse_handshake(Arrival *arrival);
static void handshake_done(Arrival *arrival);
static void append_arrival(ArrivalList *list, Arrival *arrival);
static void unlink_arrival(Arrival *arrival);
static void arrival_free(Arrival *arrival);
static void refuse(int fd, const Refusal *refusal);
static void turn_away(int fd, const Refusal *refusal);
static void pause_accepting(bool pause);
static void resume_later(struct ev_loop *, ev_timer *, int);

int
listener_open(int *fds, int *port, bool is_shared)
{
	const char *colon = strrchr(config.listen, ':');
	char *host = strndup(config.listen, (size_t) (colon - config.listen));
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *addresses = NULL;
	int count = 0;

	if (host != NULL && host[0] == '[' && host[strlen(host) - 1] == ']') /* [::1]:1234 */
	{
		host[strlen(host) - 1] = '\0';
		memmove(host, host + 1, strlen(host));
	}
	int failure =
		getaddrinfo(host != NULL && host[0] != '\0' ? host : NULL, colon + 1, &hints, &addresses);

	free(host);
	if (failure != 0)
	{
		log_event(LEVEL_ERROR, "listen_failed", "{s:s, s:s}", "listen", config.listen, "reason",
				  gai_strerror(failure));
		return 0;
	}
	for (struct addrinfo *a = addresses; a != NULL && count < LISTENER_MAX_SOCKETS; a = a->ai_next)
	{
		int fd = listen_at(a, *port, is_shared);

		if (fd < 0)
			continue;
		fds[count++] = fd;
		if (*port == 0) /* one port for all addresses */
			*port = bound_port(fd);
	}
	freeaddrinfo(addresses);
	return count;
}

void
listener_start(const int *fds, int count)
{
	for (socket_count = 0; socket_count < count; socket_count++)
	{
		ev_io_init(&watchers[socket_count], accept_some, fds[socket_count], EV_READ);
		ev_io_start(loop_ev(), &watchers[socket_count]);
	}
	is_stopped = false;
	ev_timer_init(&pause_timer, resume_later, PAUSE_SECONDS, 0.0);
	log_event(LEVEL_INFO, "listening", "{s:s, s:i}", "listen", config.listen, "port",
			  bound_port(watchers[0].fd));
}

/* Written beside and renamed, so that who waits for the file never reads half of it. */
bool
listener_write_port_file(int port)
{
	char *beside;

	if (config.port_file == NULL)
		return true;
	if (asprintf(&beside, "%s.new", config.port_file) < 0)
		return false;
	FILE *file = fopen(beside, "w");
	bool ok = file != NULL && fprintf(file, "%d\n", port) > 0;

	if (file != NULL && fclose(file) != 0)
		ok = false;
	ok = ok && rename(beside, config.port_file) == 0;
	if (!ok)
		log_event(LEVEL_ERROR, "port_file_failed", "{s:s, s:s}", "file", config.port_file, "reason",
				  strerror(errno));
	free(beside);
	return ok;
}

void
listener_stop_accepting(void)
{
	for (int i = 0; i < socket_count; i++)
	{
		ev_io_stop(loop_ev(), &watchers[i]);
		close(watchers[i].fd);
	}
	socket_count = 0;
	is_stopped = true;
	if (ev_is_active(&pause_timer))
		ev_timer_stop(loop_ev(), &pause_timer);
}

bool
listener_is_idle(void)
{
	return sockets == 0;
}

void
listener_stop(void)
{
	listener_stop_accepting();
	while (incomplete.first != NULL)
		refuse_arrival(incomplete.first, &unavailable);
	while (complete.first != NULL)
		refuse_arrival(complete.first, &unavailable);
}

void
listener_end_round(void)
{
	while (complete.first != NULL && handshakes < config.max_handshakes)
		adopt(complete.first);
}

const char *
listener_request_path(struct lws *wsi)
{
	const Arrival *arrival = lws_get_opaque_user_data(wsi);

	return arrival != NULL ? arrival->path : NULL;
}

char *
listener_take_head(struct lws *wsi)
{
	Arrival *arrival = lws_get_opaque_user_data(wsi);
	char *head = arrival != NULL ? arrival->head : NULL;

	if (arrival != NULL)
		arrival->head = NULL;
	return head;
}

void
listener_handshake_done(struct lws *wsi)
{
	handshake_done(lws_get_opaque_user_data(wsi));
}

void
listener_request_done(struct lws *wsi)
{
	Arrival *arrival = lws_get_opaque_user_data(wsi);

	if (arrival == NULL)
		return;
	free(arrival->path);
	arrival->path = NULL;
}

Address
listener_address(struct lws *wsi)
{
	const Arrival *arrival = lws_get_opaque_user_data(wsi);

	return arrival != NULL ? arrival->address : (Address){0};
}

bool
listener_may_watch(struct lws *wsi)
{
	const Arrival *arrival = lws_get_opaque_user_data(wsi);

	return arrival != NULL && arrival->address.may_watch;
}

void
listener_authentication_failed(struct lws *wsi)
{
	const Arrival *arrival = lws_get_opaque_user_data(wsi);

	if (arrival != NULL && arrival->is_counted)
		address_failed(arrival->address);
}

void
listener_socket_gone(struct lws *wsi)
{
	Arrival *arrival = lws_get_opaque_user_data(wsi);

	lws_set_opaque_user_data(wsi, NULL);
	if (arrival != NULL)
		arrival_free(arrival);
}

/* -1 after logging why. */
static int
listen_at(struct addrinfo *address, int port, bool is_shared)
{
	static const int on = 1;
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1; /* a family this kernel lacks */
	if (port != 0)
		set_port(address->ai_addr, port);
	bool is_given = port != 0 || strcmp(strrchr(config.listen, ':'), ":0") != 0;
	bool is_taken = is_given && !is_shared && is_listened_at(address);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	/* several relays on one port share its connections; but not on one that was given by chance */
	if (is_given || is_shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	if (address->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
	{
		log_event(LEVEL_ERROR, "listen_failed", "{s:s, s:s}", "listen", config.listen, "reason",
				  strerror(errno));
		close(fd);
		return -1;
	}
	if (is_taken)
		log_event(
			LEVEL_WARNING, "port_is_shared", "{s:s, s:s}", "listen", config.listen, "hint",
			"another process of this user listens there, and gets its share of the connections");
	return fd;
}

static bool
is_listened_at(const struct addrinfo *address)
{
	static const int on = 1;
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (address->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	bool is_taken = bind(fd, address->ai_addr, address->ai_addrlen) != 0 && errno == EADDRINUSE;

	close(fd);
	return is_taken;
}

static void
set_port(struct sockaddr *address, int port)
{
	if (address->sa_family == AF_INET6)
		((struct sockaddr_in6 *) address)->sin6_port = htons((uint16_t) port);
	else
		((struct sockaddr_in *) address)->sin_port = htons((uint16_t) port);
}

static int
bound_port(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof address;

	if (getsockname(fd, (struct sockaddr *) &address, &size) != 0)
		return 0;
	return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *) &address)->sin6_port
											   : ((struct sockaddr_in *) &address)->sin_port);
}

static void
accept_some(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void) events;
	int most = tls_is_on() ? TLS_ACCEPTS_PER_ROUND : ACCEPTS_PER_ROUND;

	for (int i = 0; i < most && !is_paused; i++)
	{
		struct sockaddr_storage peer = {0};
		socklen_t peer_size = sizeof peer;
		int fd = accept4(watcher->fd, (struct sockaddr *) &peer, &peer_size,
						 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0 && sockets >= config.max_connections)
			turn_away(fd, &unavailable);
		else if (fd >= 0)
			arrive(fd, (struct sockaddr *) &peer);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		{
			log_event(LEVEL_WARNING, "accept_failed", "{s:s}", "reason", strerror(errno));
			pause_accepting(true);
			ev_timer_set(&pause_timer, PAUSE_SECONDS, 0.0);
			ev_timer_start(loop, &pause_timer);
		}
		else if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static void
arrive(int fd, const struct sockaddr *peer)
{
	static const int on = 1;
	static const unsigned unacknowledged_ms = UNACKNOWLEDGED_MS;
	static const int unsent_bytes = UNSENT_BYTES;
	Arrival *arrival = calloc(1, sizeof *arrival);

	if (arrival == NULL)
	{
		turn_away(fd, &unavailable);
		return;
	}
	arrival->is_proxied = proxy_is_trusted(peer);
	arrival->address = address_of(peer);
	AddressVerdict verdict = arrival->is_proxied ? ADDRESS_WELCOME : count(arrival, peer);

	if (verdict != ADDRESS_WELCOME)
	{
		turn_away(fd, &address_refusals[verdict]);
		free(arrival);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, sizeof unsent_bytes);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	if (tls_is_on() && (fd = tls_wrap(fd)) < 0)
	{
		if (arrival->is_counted)
			address_leave(arrival->address);
		free(arrival);
		return;
	}
	arrival->fd = fd;
	arrival->is_unfinished = true;
	ev_io_init(&arrival->io, peek_request, fd, EV_READ);
	ev_timer_init(&arrival->timer, arrival_timeout, REQUEST_SECONDS, 0.0);
	arrival->io.data = arrival->timer.data = arrival;
	ev_io_start(loop_ev(), &arrival->io);
	ev_timer_start(loop_ev(), &arrival->timer);
	append_arrival(&incomplete, arrival);
	sockets++;
	metrics_add(METRIC_HANDSHAKES, 1);
}

static AddressVerdict
count(Arrival *arrival, const struct sockaddr *peer)
{
	AddressVerdict verdict;

	arrival->address = address_of(peer);
	verdict = address_arrive(arrival->address);
	arrival->is_counted = verdict == ADDRESS_WELCOME;
	return verdict;
}

/* Looks without taking: libwebsockets reads the request itself. */
static void
peek_request(struct ev_loop *loop, ev_io *io, int events)
{
	static char request[REQUEST_BYTES];
	Arrival *arrival = io->data;
	ssize_t size = recv(arrival->fd, request, sizeof request, MSG_PEEK);
	int wanted = (int) size + 1;

	(void) loop, (void) events;
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= arrival->seen) /* woken without news: the peer has closed */
	{
		close(arrival->fd);
		arrival_free(arrival);
	}
	else if (memmem(request, (size_t) size, "\r\n\r\n", 4) != NULL)
		take_request(arrival, request, (size_t) size);
	else if (size == sizeof request)
		refuse_arrival(arrival, &head_too_large);
	else
	{
		/* not to be woken for what we have seen */
		arrival->seen = size;
		setsockopt(arrival->fd, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted);
	}
}

static void
take_request(Arrival *arrival, const char *request, size_t size)
{
	const char *end = memmem(request, size, "\r\n", 2);
	const char *headers_end = (const char *) memmem(request, size, "\r\n\r\n", 4) + 2;
	const char *target = memchr(request, ' ', (size_t) (end - request));
	size_t method_size = target != NULL ? (size_t) (target - request) : 0, length = 0;

	if (target++ != NULL)
		while (target + length < end && strchr(" ?#", target[length]) == NULL)
			length++;
	arrival->head_bytes = (size_t) (headers_end + 2 - request);
	arrival->path = length > 0 ? strndup(target, length) : NULL;
	arrival->handshake = handshake_judge(request, arrival->head_bytes);
	arrival->head = strndup(request, arrival->head_bytes);
	if (arrival->path == NULL || arrival->head == NULL || arrival->path[0] != '/' ||
		!is_decodable(arrival->path) || has_stalling_header(end, headers_end))
	{
		/* the library would drop the socket without a word, or say nothing at all */
		refuse_arrival(arrival, &malformed);
		return;
	}
	if (arrival->handshake.refusal != NULL)
	{
		refuse_handshake(arrival);
		return;
	}
	if (!http_is_method(request, method_size))
	{
		refuse_arrival(arrival, &unknown_method);
		return;
	}
	struct sockaddr_storage client;
	AddressVerdict verdict = ADDRESS_WELCOME;

	if (arrival->is_proxied && proxy_find_client(arrival->head, &client))
		verdict = count(arrival, (struct sockaddr *) &client);
	if (verdict != ADDRESS_WELCOME)
	{
		refuse_arrival(arrival, &address_refusals[verdict]);
		return;
	}
	unlink_arrival(arrival);
	append_arrival(&complete, arrival); /* adopted at the round's end */
}

static void
adopt(Arrival *arrival)
{
	static const int one = 1;

	setsockopt(arrival->fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
	if (!wire_expect_request(arrival->fd, arrival->head_bytes, &arrival->handshake))
	{
		refuse_arrival(arrival, &unavailable);
		return;
	}
	unlink_arrival(arrival);
	struct lws *wsi = lws_adopt_socket_vhost(loop_vhost(), arrival->fd);

	if (wsi == NULL)
	{
		metrics_add(METRIC_CONNECTIONS_REFUSED, 1); /* the library has closed the descriptor */
		arrival_free(arrival);
		return;
	}
	lws_set_opaque_user_data(wsi, arrival);
	arrival->wsi = wsi;
	handshakes++;
	ev_timer_init(&arrival->timer, kill_unanswered, ANSWER_SECONDS, 0.0);
	ev_timer_start(loop_ev(), &arrival->timer);
}

/* No percent sign without two digits, and none that stands for a control character. */
static bool
is_decodable(const char *path)
{
	for (; (path = strchr(path, '%')) != NULL; path++)
		if (!isxdigit((unsigned char) path[1]) || !isxdigit((unsigned char) path[2]) ||
			path[1] == '0' || path[1] == '1' || (path[1] == '7' && (path[2] | 0x20) == 'f'))
			return false;
	return true;
}

/* Version 4.1 waits for ever after a header whose name is the beginning of one it knows ("x:"), and drops
 * what goes on in the next line. */
static bool
has_stalling_header(const char *headers, const char *end)
{
	const char *at = headers;

	while ((at = memchr(at, '\n', (size_t) (end - at))) != NULL)
	{
		if (++at == end)
			break;
		const char *line_end = memchr(at, '\n', (size_t) (end - at));
		const char *colon = memchr(at, ':', (size_t) (line_end - at));

		if (colon == NULL || is_stalling_name(at, (size_t) (colon - at)))
			return true;
	}
	return false;
}

static bool
is_stalling_name(const char *name, size_t size)
{
	bool begins_one = false;

	if (size == 0 || memchr(name, ' ', size) != NULL)
		return true; /* not a name at all */
	for (int i = 0; i < WSI_TOKEN_COUNT; i++)
	{
		const char *known = (const char *) lws_token_to_string((enum lws_token_indexes) i);

		if (known == NULL || strncasecmp(known, name, size) != 0)
			continue;
		if (known[size] == ':')
			return false;
		begins_one = true;
	}
	return begins_one;
}

static void
arrival_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void) loop, (void) events;
	refuse_arrival(timer->data, &too_slow);
}

static void
kill_unanswered(struct ev_loop *loop, ev_timer *timer, int events)
{
	Arrival *arrival = timer->data;

	(void) loop, (void) events;
	metrics_add(METRIC_CONNECTIONS_REFUSED, 1);
	lws_set_timeout(arrival->wsi, (enum pending_timeout) 1, LWS_TO_KILL_SYNC); /* frees arrival */
}

static void
refuse_arrival(Arrival *arrival, const Refusal *refusal)
{
	refuse(arrival->fd, refusal);
	arrival_free(arrival);
}

/* handshake.h says with which status, and with which fields. */
static void
refuse_handshake(Arrival *arrival)
{
	char fields[200] = "";
	const char *more = strstr(arrival->handshake.refusal, "\r\n");
	unsigned status = (unsigned) atoi(arrival->handshake.refusal);
	Refusal refusal = {status, "handshake", "this is no handshake of WebSocket version 13", NULL};

	if (more != NULL)
		snprintf(fields, sizeof fields, "%s\r\n", more + 2);
	refusal.fields = fields;
	refuse_arrival(arrival, &refusal);
}

static void
handshake_done(Arrival *arrival)
{
	if (arrival == NULL || !arrival->is_unfinished)
		return;
	arrival->is_unfinished = false;
	metrics_add(METRIC_HANDSHAKES, -1);
	ev_timer_stop(loop_ev(), &arrival->timer);
	if (arrival->wsi != NULL)
		handshakes--;
}

static void
append_arrival(ArrivalList *list, Arrival *arrival)
{
	arrival->list = list;
	arrival->next = NULL;
	arrival->previous = list->last;
	*(list->last != NULL ? &list->last->next : &list->first) = arrival;
	list->last = arrival;
}

/* Off its list, and no longer watched by us. */
static void
unlink_arrival(Arrival *arrival)
{
	ArrivalList *list = arrival->list;

	ev_io_stop(loop_ev(), &arrival->io);
	ev_timer_stop(loop_ev(), &arrival->timer);
	if (list == NULL)
		return;
	*(arrival->previous != NULL ? &arrival->previous->next : &list->first) = arrival->next;
	*(arrival->next != NULL ? &arrival->next->previous : &list->last) = arrival->previous;
	arrival->list = NULL;
}

/* Its descriptor is closed, or the library's. */
static void
arrival_free(Arrival *arrival)
{
	unlink_arrival(arrival);
	handshake_done(arrival);
	sockets--;
	wire_forget(arrival->fd);
	if (arrival->is_counted)
		address_leave(arrival->address);
	free(arrival->path);
	free(arrival->head);
	free(arrival);
}

/*
 * Said at once: a balancer tries another relay, a provider comes back.  What has come is read, for if it were left in
 * the socket, closing it would be a reset, which may overtake the answer.
 */
static void
refuse(int fd, const Refusal *refusal)
{
	char answer[1024], unread[4096];
	int size = http_refusal(answer, sizeof answer, refusal->status,
							refusal->fields != NULL ? refusal->fields : "", refusal->code,
							refusal->detail);

	metrics_add(METRIC_CONNECTIONS_REFUSED, 1);
	if (send(fd, answer, (size_t) size, MSG_NOSIGNAL) < 0)
		log_event(LEVEL_DEBUG, "refusal_unsent", NULL);
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 16 && recv(fd, unread, sizeof unread, MSG_DONTWAIT) > 0; i++)
		continue;
	close(fd);
}

/* Before TLS nothing can be said. */
static void
turn_away(int fd, const Refusal *refusal)
{
	if (!tls_is_on())
	{
		refuse(fd, refusal);
		return;
	}
	metrics_add(METRIC_CONNECTIONS_REFUSED, 1);
	close(fd);
}

static void
pause_accepting(bool pause)
{
	is_paused = pause;
	for (int i = 0; i < socket_count; i++)
		if (pause)
			ev_io_stop(loop_ev(), &watchers[i]);
		else
			ev_io_start(loop_ev(), &watchers[i]);
}

static void
resume_later(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) loop, (void) watcher, (void) events;
	if (!is_stopped)
		pause_accepting(false);
}
