/*
 * ydoc-relay: lets Yjs editors work live on documents kept in PostgreSQL.
 *
 * Here: start and end.  README.md draws the way of a frame; each header is a page about its part.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "access.h"
#include "address.h"
#include "api.h"
#include "batch.h"
#include "board.h"
#include "bus.h"
#include "catch_up.h"
#include "config.h"
#include "connection.h"
#include "database.h"
#include "hocuspocus.h"
#include "identity.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "member.h"
#include "metrics.h"
#include "notify_queue.h"
#include "presence.h"
#include "proxy.h"
#include "room.h"
#include "sandbox.h"
#include "supervisor.h"
#include "sync.h"
#include "throttle.h"
#include "tls.h"
#include "user.h"

static int run(char **argv);
static bool become_user(void);
static void enter_sandbox(void);
static bool init_apart(void);
static int serve(const int *sockets, int count);

int
main(int argc, char **argv)
{
	int status = config_read(argc, argv);

	if (status < 0)
		status = run(argv);
	config_free();
	return status;
}

/* As a worker, as a supervisor, or alone. */
static int
run(char **argv)
{
	SupervisedWorker worker;
	int sockets[LISTENER_MAX_SOCKETS], port = 0;

	sandbox_begin(config.core_dumps);
	if (supervisor_is_over_us(&worker))
		return serve(worker.fds, worker.fd_count);
	if (config.init &&
		!(config.workers > 0 || config.user != NULL ? init_apart() : database_init()))
		return EX_UNAVAILABLE;
	if (config.workers > 0)
		return supervisor_run(argv);
	metrics_use_cell(NULL);
	loop_hold_signals();
	int count = listener_open(sockets, &port, false);

	if (count == 0 || !listener_write_port_file(port))
		return EX_UNAVAILABLE;
	return become_user() ? serve(sockets, count) : EX_NOPERM;
}

static bool
become_user(void)
{
	char problem[SANDBOX_PROBLEM_MAX];

	if (config.user == NULL || sandbox_become(config.user, false, problem))
		return true;
	log_event(LEVEL_ERROR, "user_failed", "{s:s, s:s}", "user", config.user, "reason", problem);
	return false;
}

/* Not fatal: older kernels, and containers in containers, cannot. */
static void
enter_sandbox(void)
{
	char problem[SANDBOX_PROBLEM_MAX];

	if (geteuid() == 0)
		log_event(LEVEL_WARNING, "runs_as_root", "{s:s}", "hint",
				  "--user names one who may do less");
	if (config.sandbox && sandbox_is_supported() && !sandbox_enter(problem))
		log_event(LEVEL_WARNING, "sandbox_failed", "{s:s}", "reason", problem);
}

/* In a process of its own: the supervisor keeps free of database connections, and root away from them. */
static bool
init_apart(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(become_user() && database_init() ? EX_OK : EX_UNAVAILABLE);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
		   WEXITSTATUS(status) == EX_OK;
}

static int
serve(const int *sockets, int count)
{
	int status = EX_OSERR;

	if (!identity_start())
		status = EX_CONFIG;
	else if (loop_start() && tls_start())
	{
		address_start();
		proxy_start();
		access_start();
		room_start();
		catch_up_start();
		presence_start();
		bus_start(board_predecessor());
		board_set_relay(bus_own_relay());
		notify_queue_start();
		connection_start();
		throttle_start();
		batch_start();
		if (database_start(&bus_events))
		{
			enter_sandbox();
			status = loop_run(sockets, count);
		}
		listener_stop();
		database_stop();
		batch_stop();
		sync_stop();
		access_stop();
		api_stop();
	}
	tls_stop();
	loop_stop(); /* cuts what is still connected */
	throttle_stop();
	presence_stop();
	member_stop();
	hocuspocus_stop();
	connection_stop();
	room_stop();
	bus_stop();
	address_stop();
	user_stop();
	identity_stop();
	log_event(LEVEL_INFO, "stopped", NULL);
	return status;
}
