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
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "access.h"
#include "api.h"
#include "batch.h"
#include "board.h"
#include "bus.h"
#include "catch_up.h"
#include "config.h"
#include "connection.h"
#include "database.h"
#include "http.h"
#include "identity.h"
#include "listener.h"
#include "log.h"
#include "member.h"
#include "presence.h"
#include "presence_report.h"
#include "room.h"
#include "service.h"
#include "sync.h"
#include "tls.h"

#if LWS_LIBRARY_VERSION_NUMBER < 4001000
#error "the relay needs libwebsockets 4.1 or newer: 4.0 does not serve the sockets that it is given"
#endif

#define AWAY_PER_SECOND 500.0 /* connections, unless config.drain says how long */
#define AWAY_MOST 30.0 /* seconds, likewise */
#define CLOSING_SECONDS 2.0 /* clients that do not answer the close are cut then */
#define COMMIT_SECONDS 5.0 /* for what is in flight to be committed */
#define GOODBYE_SECONDS 1.0 /* for other relays and SQL to be told */
#define DRAIN_TICK 0.02
#define BEAT_SECONDS 1.0

typedef enum DrainPhase
{
	DRAIN_NOT,
	DRAIN_CONNECTIONS, /* are sent away, the others work on */
	DRAIN_BATCHES, /* are committed */
	DRAIN_GOODBYE /* is said to other relays and to SQL */
} DrainPhase;

static struct ev_loop *ev;
static struct lws_context *context;
static struct lws_vhost *vhost;
static ev_prepare round_end;
static ev_signal on_term, on_int, on_quit, on_hup, on_usr2;
static ev_timer drain_tick, beat_timer;
static DrainPhase drain_phase;
static double phase_since, away_seconds, watchdog_seconds;
static bool was_ready;
static const int *listening_sockets;
static int listening_count; /* 0: the listener has them */
static int end_status;

static void set_mask_of_signals(int how);
static void listen_now(void);
static void raise_file_limit(void);
static void end_round(struct ev_loop *, ev_prepare *, int);
static void beat(struct ev_loop *, ev_timer *, int);
static void reload(struct ev_loop *, ev_signal *, int);
static void begin_drain(struct ev_loop *, ev_signal *, int);
static void drain(struct ev_loop *, ev_timer *, int);
static void enter_phase(DrainPhase phase);
static void forward_library_log(int level, const char *line);

void
loop_hold_signals(void)
{
	set_mask_of_signals(SIG_BLOCK);
}

bool
loop_start(void)
{
	static const lws_retry_bo_t no_keep_alive = {0}; /* we ping ourselves: connection.c */
	static void *foreign_loops[1];
	struct lws_context_creation_info info = {
		.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
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
	/* a worker is told by its supervisor; a terminal or a service manager tells all processes */
	ev_signal_init(&on_quit, begin_drain, SIGQUIT);
	ev_signal_start(ev, board_is_joined() ? &on_quit : &on_int);
	/* a worker is replaced instead; to whoever sends either to a relay with workers, one without does what it can */
	ev_signal_init(&on_hup, reload, SIGHUP);
	ev_signal_init(&on_usr2, reload, SIGUSR2);
	if (!board_is_joined())
	{
		ev_signal_start(ev, &on_hup);
		ev_signal_start(ev, &on_usr2);
	}
	set_mask_of_signals(SIG_UNBLOCK);
	watchdog_seconds = service_watchdog_seconds();
	bool is_watched = watchdog_seconds > 0.0 && watchdog_seconds < BEAT_SECONDS;
	double seconds = is_watched ? watchdog_seconds : BEAT_SECONDS;

	ev_timer_init(&beat_timer, beat, seconds, seconds);
	ev_timer_start(ev, &beat_timer);
	return true;
}

int
loop_run(const int *sockets, int count)
{
	listening_sockets = sockets;
	listening_count = count;
	/* who still serves takes the connections until we can do it as well; else they need not wait
	 * for the database outside */
	if (!board_is_replacement())
		listen_now();
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
		ev_signal_stop(ev, &on_quit);
		ev_signal_stop(ev, &on_hup);
		ev_signal_stop(ev, &on_usr2);
		ev_timer_stop(ev, &drain_tick);
		ev_timer_stop(ev, &beat_timer);
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

double
loop_random(void)
{
	static unsigned short state[3];

	if (state[0] == 0 && state[1] == 0 && state[2] == 0)
	{
		uint64_t seed = (uint64_t) (ev_time() * 1e6) ^ (uint64_t) getpid() << 32;

		memcpy(state, &seed, sizeof state);
	}
	return erand48(state);
}

bool
loop_is_draining(void)
{
	return drain_phase != DRAIN_NOT;
}

static void
set_mask_of_signals(int how)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR2);
	sigprocmask(how, &signals, NULL);
}

static void
listen_now(void)
{
	if (listening_count > 0)
		listener_start(listening_sockets, listening_count);
	listening_count = 0;
}

/*
 * libwebsockets sizes its tables when the context is made: raise the limit first, but only as far
 * as our own cap needs, since each possible descriptor costs memory.
 */
static void
raise_file_limit(void)
{
	struct rlimit limit;
	int64_t per_connection = tls_is_on() ? 3 : 1; /* both ends of a pipe, too */
	rlim_t wanted =
		(rlim_t) (config.max_connections * per_connection + config.writers + config.readers + 64);

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
	access_end_round(); /* who came is asked about */
	batch_end_round(); /* open batches to idle writers */
	presence_end_round(); /* what moved, as one message per room, into the room's log */
	room_end_round(); /* one write per member; empty rooms go */
	catch_up_end_round(); /* what others committed is asked for */
	member_end_round(); /* answers, closes */
	sync_end_round(); /* who is next to load */
	api_end_round(); /* and who is next to read over plain HTTP */
	database_end_round(); /* queries leave */
	if (!was_ready && database_is_ready())
	{
		was_ready = true;
		listen_now();
		board_set_state(BOARD_READY);
		service_tell("READY=1");
	}
}

/* Whoever watches us sees that the loop turns. */
static void
beat(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) loop, (void) watcher, (void) events;
	board_beat();
	if (watchdog_seconds > 0.0)
		service_tell("WATCHDOG=1");
}

static void
reload(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void) loop, (void) watcher, (void) events;
	if (identity_reload())
		access_keys_changed();
	tls_reload();
}

static void
begin_drain(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void) events;
	if (loop_is_draining() && board_is_joined() && watcher->signum == SIGTERM)
		return; /* from the service manager and from the supervisor */
	if (loop_is_draining() || watcher->signum == SIGQUIT) /* do not wait any longer */
	{
		loop_end(EX_OK);
		return;
	}
	double count = (double) connection_count();

	log_event(LEVEL_INFO, "draining", "{s:i, s:I}", "signal", watcher->signum, "connections",
			  (json_int_t) connection_count());
	board_set_state(BOARD_DRAINING);
	service_tell("STOPPING=1");
	away_seconds = config.drain > 0 ? (double) config.drain : count / AWAY_PER_SECOND;
	if (config.drain == 0 && away_seconds > AWAY_MOST)
		away_seconds = AWAY_MOST;
	enter_phase(DRAIN_CONNECTIONS);
	listening_count = 0;
	listener_stop_accepting();
	ev_timer_init(&drain_tick, drain, 0.0, DRAIN_TICK);
	ev_timer_start(loop, &drain_tick);
}

/*
 * One after the other is sent away, so that they do not come back all at once; the others work on.
 * What was taken from them is committed and shown; then other relays and SQL hear that we are gone.
 */
static void
drain(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) loop, (void) watcher, (void) events;
	double waited = loop_now() - phase_since;

	switch (drain_phase)
	{
		case DRAIN_CONNECTIONS:
			connection_send_away(away_seconds > 0.0 ? (waited + DRAIN_TICK) / away_seconds : 1.0);
			if ((connection_count() == 0 && listener_is_idle() && tls_is_idle()) ||
				waited > away_seconds + CLOSING_SECONDS)
				enter_phase(DRAIN_BATCHES);
			break;
		case DRAIN_BATCHES:
			if (!batch_is_idle() && waited < COMMIT_SECONDS)
				break;
			if (!batch_is_idle())
				log_event(LEVEL_WARNING, "drain_timeout", "{s:I}", "pending_bytes",
						  (json_int_t) batch_pending_bytes());
			enter_phase(DRAIN_GOODBYE);
			bus_say_goodbye();
			presence_report_end();
			break;
		default:
			if ((bus_is_idle() && presence_report_is_idle()) || waited > GOODBYE_SECONDS)
				loop_end(EX_OK);
	}
}

static void
enter_phase(DrainPhase phase)
{
	drain_phase = phase;
	phase_since = loop_now();
}

/* What it calls a warning is mostly a client that went away. */
static void
forward_library_log(int level, const char *line)
{
	size_t length = strcspn(line, "\n");

	log_event(level == LLL_ERR ? LEVEL_WARNING : LEVEL_DEBUG, "libwebsockets", "{s:s%}", "message",
			  line, length);
}
