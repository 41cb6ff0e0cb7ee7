/*
 * loop.c: the event loop, its rounds, signals, and the orderly end.
 *
 * Here: what happens in which order.  Not here: accepting (listener.c), what a callback of
 * libwebsockets does (connection.c).
 *
 * Some of the library's defaults are defeated on purpose: its poll() loop and its keep-alive list
 * are linear in the number of connections, its own listener accepts without bound, and
 * permessage-deflate keeps a pointer into buffers that several connections share.
 */
#include "loop.h"

#include <jansson.h>
#include <libwebsockets.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "batch.h"
#include "bus.h"
#include "config.h"
#include "connection.h"
#include "database.h"
#include "http.h"
#include "listener.h"
#include "log.h"
#include "presence.h"
#include "room.h"

#define DRAIN_SECONDS 5.0 /* for what is in flight to be committed */
#define GOODBYE_SECONDS 0.5 /* closes are spread over this long */
#define GOODBYE_LAST 2.0 /* clients that do not answer the close are cut then */
#define DRAIN_TICK 0.02

static struct ev_loop *ev;
static struct lws_context *context;
static struct lws_vhost *vhost;
static ev_prepare round_end;
static ev_signal on_term, on_int;
static ev_timer drain_tick;
static double draining_since, goodbye_since;
static bool was_ready, is_draining, says_goodbye;
static int end_status;

static void raise_file_limit(void);
static void end_round(struct ev_loop *, ev_prepare *, int);
static void begin_drain(struct ev_loop *, ev_signal *, int);
static void drain(struct ev_loop *, ev_timer *, int);
static void tell_service_manager(const char *state);
static void forward_library_log(int level, const char *line);

bool
loop_start(void)
{
	static const lws_retry_bo_t no_keep_alive = {0}; /* we ping ourselves: connection.c */
	static void *foreign_loops[1];
	struct lws_context_creation_info info = {
		.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
				   LWS_SERVER_OPTION_VALIDATE_UTF8,
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = connection_protocols(),
		.foreign_loops = foreign_loops,
		.retry_and_idle_policy = &no_keep_alive,
		.extensions = NULL, /* no permessage-deflate */
		.alpn = "http/1.1", /* WebSocket over h2 can neither write raw nor pause reading */
		.pt_serv_buf_size = 65536,
		.max_http_header_data = 16384,
		.timeout_secs = 10,
		.keepalive_timeout = 15,
		.headers = http_security_headers(),
		.mounts = http_mounts(),
		.server_string = "ydoc-relay",
	};

	signal(SIGPIPE, SIG_IGN);
	raise_file_limit();
	lws_set_log_level(LLL_ERR | LLL_WARN, forward_library_log);
	ev = ev_default_loop(EVFLAG_AUTO);
	if (ev == NULL)
		return false;
	foreign_loops[0] = ev;
	context = lws_create_context(&info);
	if (context != NULL)
		vhost = lws_create_vhost(context, &info);
	if (vhost == NULL)
	{
		log_event(LEVEL_ERROR, "context_failed", NULL);
		return false;
	}
	ev_prepare_init(&round_end, end_round);
	ev_prepare_start(ev, &round_end);
	ev_signal_init(&on_term, begin_drain, SIGTERM);
	ev_signal_init(&on_int, begin_drain, SIGINT);
	ev_signal_start(ev, &on_term);
	ev_signal_start(ev, &on_int);
	return true;
}

int
loop_run(void)
{
	ev_run(ev, 0);
	return end_status;
}

void
loop_end(int status)
{
	end_status = status;
	ev_break(ev, EVBREAK_ALL);
}

void
loop_stop(void)
{
	if (context != NULL)
		lws_context_destroy(context);
	if (ev != NULL)
	{
		ev_prepare_stop(ev, &round_end);
		ev_signal_stop(ev, &on_term);
		ev_signal_stop(ev, &on_int);
		ev_timer_stop(ev, &drain_tick);
		ev_loop_destroy(ev);
	}
}

struct ev_loop *
loop_ev(void)
{
	return ev;
}

struct lws_vhost *
loop_vhost(void)
{
	return vhost;
}

double
loop_now(void)
{
	return ev_now(ev);
}

bool
loop_is_draining(void)
{
	return is_draining;
}

/*
 * libwebsockets sizes its tables when the context is made: raise the limit first, but only as far
 * as our own cap needs, since each possible descriptor costs memory.
 */
static void
raise_file_limit(void)
{
	struct rlimit limit;
	rlim_t wanted = (rlim_t) (config.max_connections + config.writers + config.readers + 64);

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	rlim_t most = limit.rlim_max;

	limit.rlim_cur = wanted < most ? wanted : most;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
		log_event(LEVEL_WARNING, "file_limit_low", "{s:I, s:I}", "limit",
				  (json_int_t) limit.rlim_cur, "wanted", (json_int_t) wanted);
}

/* The order matters: a stage only makes work for later ones, so one pass is enough. */
static void
end_round(struct ev_loop *loop, ev_prepare *watcher, int events)
{
	(void) loop, (void) watcher, (void) events;
	listener_end_round();
	batch_end_round(); /* open batches to idle writers */
	presence_end_round(); /* what moved, as one message per room, into the room's log */
	room_end_round(); /* one write per member; empty rooms go */
	connection_end_round(); /* answers, closes */
	database_end_round(); /* queries leave */
	if (!was_ready && database_is_ready())
	{
		was_ready = true;
		tell_service_manager("READY=1");
	}
}

static void
begin_drain(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void) events;
	if (is_draining) /* a second signal: do not wait any longer */
	{
		loop_end(EX_OK);
		return;
	}
	log_event(LEVEL_INFO, "draining", "{s:i}", "signal", watcher->signum);
	tell_service_manager("STOPPING=1");
	is_draining = true;
	draining_since = ev_now(loop);
	listener_stop();
	connection_pause_all();
	ev_timer_init(&drain_tick, drain, 0.0, DRAIN_TICK);
	ev_timer_start(loop, &drain_tick);
}

/* What was taken is committed and shown to everybody first; then everybody is sent away. */
static void
drain(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) watcher, (void) events;
	double now = ev_now(loop);

	if (!says_goodbye)
	{
		bool in_time = now - draining_since < DRAIN_SECONDS;

		if (in_time && !batch_is_idle())
			return;
		if (!in_time)
			log_event(LEVEL_WARNING, "drain_timeout", "{s:I}", "pending_bytes",
					  (json_int_t) batch_pending_bytes());
		bus_say_goodbye();
		says_goodbye = true;
		goodbye_since = now;
	}
	connection_close_share((now - goodbye_since + DRAIN_TICK) / GOODBYE_SECONDS);
	if (connection_count() == 0 || now - goodbye_since > GOODBYE_LAST)
		loop_end(EX_OK);
}

/* systemd's protocol is one datagram; no library is needed for it. */
static void
tell_service_manager(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (path == NULL || strlen(path) >= sizeof address.sun_path)
		return;
	memcpy(address.sun_path, path, strlen(path));
	if (path[0] == '@') /* the abstract name space */
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	socklen_t size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path));

	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *) &address, size) < 0)
		log_event(LEVEL_WARNING, "service_manager_silent", NULL);
	close(fd);
}

/* What it calls a warning is mostly a client that went away. */
static void
forward_library_log(int level, const char *line)
{
	size_t length = strcspn(line, "\n");

	log_event(level == LLL_ERR ? LEVEL_WARNING : LEVEL_DEBUG, "libwebsockets", "{s:s%}", "message",
			  line, length);
}
