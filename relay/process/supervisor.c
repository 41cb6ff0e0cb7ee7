/*
 * supervisor.c: processes (supervisor.h).
 *
 * Here: starting, replacing and ending workers.  Not here: what a worker does (main.c), counters
 * (board.c).  Nothing of libpq, OpenSSL or libwebsockets is used in this process.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "board.h"
#include "config.h"
#include "log.h"
#include "metrics.h"
#include "sandbox.h"
#include "service.h"

#define VARIABLE "YDOC_RELAY_SUPERVISED" /* board:cell:worker:socket,socket… */
#define TURN_SECONDS 0.05 /* while something is under way */
#define IDLE_SECONDS 1.0
#define BACKOFF_LEAST 0.1
#define BACKOFF_MOST 5.0
#define OLD_AGE_SECONDS 10.0 /* who dies later than this is started again at once */
#define PATIENCE_SECONDS 0.5 /* a pause so long is no time to keep people waiting in */
#define READY_SECONDS 60.0 /* a replacement that is not ready by then is given up */
#define STUCK_SECONDS 30.0 /* of a loop that does not turn */
#define LAST_SECONDS 45.0 /* to drain, beside config.drain */

typedef struct Process
{
	pid_t pid; /* 0: none */
	int cell;
	double started_at;
	double told_to_end_at; /* 0: not */
} Process;

typedef struct Worker
{
	int number;
	Process now, old; /* old: being replaced */
	double restart_at, backoff;
	int fds[LISTENER_MAX_SOCKETS];
	int fd_count;
} Worker;

static Worker workers[BOARD_WORKERS];
static int worker_count;
static char **arguments;
static int board_fd = -1;
static int port;
static bool is_stopping, was_ready;
static int rolling; /* the worker that is being replaced, from 1; 0: none is */
static bool has_replacement; /* it has been started */
static bool roll_again;
static int end_status;
static double watchdog_seconds, watchdog_told_at;

static bool open_sockets(Worker *worker);
static void close_sockets(Worker *worker);
static void block_signals(sigset_t *signals);
static void handle_signal(int signal_number);
static void stop(void);
static double pause_seconds(void);
static void turn(void);
static void start(Worker *worker);
static void run_worker(const Worker *worker, pid_t supervisor);
static void reap(void);
static void ended(Worker *worker, Process *process, int status);
static void end(Process *process, int signal_number);
static void kill_stuck(Worker *worker);
static void begin_roll(void);
static void roll(void);
static void next_roll(void);
static void give_up_roll(Worker *worker);
static bool all_ended(void);
static void tell_manager(void);

int
supervisor_run(char **argv)
{
	sigset_t signals;
	char problem[SANDBOX_PROBLEM_MAX];

	block_signals(&signals); /* before the port file tells others of us */
	arguments = argv;
	worker_count = (int) config.workers;
	board_fd = board_create(worker_count);
	if (board_fd < 0)
	{
		log_event(LEVEL_ERROR, "board_failed", "{s:s}", "reason", strerror(errno));
		return EX_OSERR;
	}
	fcntl(board_fd, F_SETFD, FD_CLOEXEC);
	for (int i = 0; i < worker_count; i++)
	{
		workers[i].number = i + 1;
		if (!open_sockets(&workers[i]))
			return EX_UNAVAILABLE;
	}
	if (!listener_write_port_file(port))
		return EX_UNAVAILABLE;
	if (config.user != NULL &&
		!sandbox_become(config.user, true, problem)) /* it may have to open a port again */
	{
		log_event(LEVEL_ERROR, "user_failed", "{s:s, s:s}", "user", config.user, "reason", problem);
		return EX_NOPERM;
	}
	log_event(LEVEL_INFO, "supervising", "{s:i, s:i}", "workers", worker_count, "port", port);
	watchdog_seconds = service_watchdog_seconds();
	for (int i = 0; i < worker_count; i++)
		start(&workers[i]);
	while (!is_stopping || !all_ended())
	{
		double seconds = pause_seconds();
		struct timespec wait = {(time_t) seconds, (long) ((seconds - (time_t) seconds) * 1e9)};

		handle_signal(sigtimedwait(&signals, NULL, &wait));
		reap();
		turn();
	}
	log_event(LEVEL_INFO, "stopped", "{s:i}", "status", end_status);
	return end_status;
}

bool
supervisor_is_over_us(SupervisedWorker *worker)
{
	const char *at = getenv(VARIABLE);
	int fd, cell, read = 0;

	if (at == NULL)
		return false;
	*worker = (SupervisedWorker){0};
	if (sscanf(at, "%d:%d:%d:%n", &fd, &cell, &worker->number, &read) != 3 || read == 0 ||
		!board_join(fd, cell))
	{
		log_event(LEVEL_ERROR, "supervisor_differs", NULL);
		exit(EX_SOFTWARE);
	}
	at += read;
	for (int count = 0; worker->fd_count < LISTENER_MAX_SOCKETS &&
						sscanf(at, "%d%n", &worker->fds[worker->fd_count], &count) == 1;
		 at += count + (at[count] == ','))
		worker->fd_count++;
	unsetenv(VARIABLE);
	log_set_worker(worker->number);
	return true;
}

static bool
open_sockets(Worker *worker)
{
	if (worker->fd_count == 0)
		worker->fd_count = listener_open(worker->fds, &port, true);
	return worker->fd_count > 0;
}

static void
close_sockets(Worker *worker)
{
	while (worker->fd_count > 0)
		close(worker->fds[--worker->fd_count]);
}

static void
block_signals(sigset_t *signals)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD};

	sigemptyset(signals);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		sigaddset(signals, numbers[i]);
	sigprocmask(SIG_BLOCK, signals, NULL);
}

static void
handle_signal(int signal_number)
{
	switch (signal_number)
	{
		case SIGTERM:
		case SIGINT:
			log_event(LEVEL_INFO, "draining", "{s:i}", "signal", signal_number);
			stop();
			break;
		case SIGHUP:
		case SIGUSR2:
			if (rolling > 0)
				roll_again = true;
			else if (!is_stopping)
				begin_roll();
			break;
		default: break; /* a child, or the time */
	}
}

static void
stop(void)
{
	int signal_number = is_stopping ? SIGQUIT : SIGTERM;

	if (!is_stopping)
		service_tell("STOPPING=1");
	is_stopping = true;
	for (int i = 0; i < worker_count; i++)
	{
		close_sockets(&workers[i]);
		end(&workers[i].now, signal_number);
		end(&workers[i].old, signal_number);
	}
}

static double
pause_seconds(void)
{
	double seconds = IDLE_SECONDS;

	if (watchdog_seconds > 0.0 && watchdog_seconds < seconds)
		seconds = watchdog_seconds;
	if (!was_ready || rolling > 0 || is_stopping)
		return TURN_SECONDS;
	for (int i = 0; i < worker_count; i++)
		if (workers[i].now.pid == 0 || board_state_of(workers[i].now.cell) != BOARD_READY)
			return TURN_SECONDS;
	return seconds;
}

static void
turn(void)
{
	double now = metrics_clock();

	for (int i = 0; i < worker_count; i++)
	{
		if (workers[i].now.pid == 0 && !is_stopping && now >= workers[i].restart_at)
			start(&workers[i]);
		kill_stuck(&workers[i]);
	}
	if (rolling > 0 && !is_stopping)
		roll();
	tell_manager();
}

static void
start(Worker *worker)
{
	pid_t supervisor = getpid();

	if (!open_sockets(worker))
	{
		worker->restart_at = metrics_clock() + BACKOFF_MOST;
		return;
	}
	worker->now = (Process){.cell = board_take_cell(worker->number), .started_at = metrics_clock()};
	worker->now.pid = fork();
	if (worker->now.pid == 0)
		run_worker(worker, supervisor);
	if (worker->now.pid > 0)
	{
		log_event(LEVEL_INFO, "worker_started", "{s:i, s:i}", "worker", worker->number, "pid",
				  (int) worker->now.pid);
		return;
	}
	log_event(LEVEL_ERROR, "worker_failed", "{s:i, s:s}", "worker", worker->number, "reason",
			  strerror(errno));
	worker->now.pid = 0;
	board_give_back(worker->now.cell, true);
	worker->restart_at = metrics_clock() + BACKOFF_MOST;
}

/* In the child: does not return. */
static void
run_worker(const Worker *worker, pid_t supervisor)
{
	sigset_t none;
	char value[32 + 12 * LISTENER_MAX_SOCKETS];
	int length =
		snprintf(value, sizeof value, "%d:%d:%d:", board_fd, worker->now.cell, worker->number);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != supervisor) /* it died just now */
		_exit(EX_OK);
	fcntl(board_fd, F_SETFD, 0);
	for (int i = 0; i < worker->fd_count; i++)
	{
		fcntl(worker->fds[i], F_SETFD, 0);
		length += snprintf(value + length, sizeof value - (size_t) length, "%s%d", i > 0 ? "," : "",
						   worker->fds[i]);
	}
	setenv(VARIABLE, value, 1);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	signal(SIGINT, SIG_IGN); /* of a terminal: the supervisor gets it, too, and tells us once */
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(arguments[0], arguments);
	execv("/proc/self/exe", arguments); /* it was started by a name that leads nowhere now */
	_exit(EX_OSERR);
}

static void
reap(void)
{
	int status;

	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		for (int i = 0; i < worker_count; i++)
		{
			if (workers[i].now.pid == pid)
				ended(&workers[i], &workers[i].now, status);
			else if (workers[i].old.pid == pid)
				ended(&workers[i], &workers[i].old, status);
		}
}

static void
ended(Worker *worker, Process *process, int status)
{
	/* SIGTERM ends a process that has only just begun */
	bool in_order =
		process->told_to_end_at > 0.0 &&
		(WIFEXITED(status) ? WEXITSTATUS(status) == EX_OK : WTERMSIG(status) == SIGTERM);
	bool is_old_age = metrics_clock() - process->started_at > OLD_AGE_SECONDS;

	log_event(in_order ? LEVEL_INFO : LEVEL_ERROR, "worker_ended", "{s:i, s:i, s:i, s:i}", "worker",
			  worker->number, "pid", (int) process->pid, "status",
			  WIFEXITED(status) ? WEXITSTATUS(status) : 0, "signal",
			  WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	board_give_back(process->cell, in_order);
	process->pid = 0;
	if (is_stopping && !in_order && end_status == EX_OK)
		end_status = EX_SOFTWARE;
	if (is_stopping || process == &worker->old)
		return;
	if (worker->old.pid != 0 && worker->old.told_to_end_at == 0.0) /* it was to replace that one */
	{
		give_up_roll(worker);
		return;
	}
	if (!was_ready && WIFEXITED(status) && WEXITSTATUS(status) == EX_CONFIG)
	{
		stop(); /* it has said what is wrong, and the next one would say the same */
		end_status = EX_CONFIG;
		return;
	}
	worker->restart_at = metrics_clock() + (is_old_age ? 0.0 : worker->backoff);
	if (!is_old_age && worker->backoff > PATIENCE_SECONDS)
		close_sockets(worker);
	worker->backoff = is_old_age || worker->backoff == 0.0 ? BACKOFF_LEAST : worker->backoff * 2;
	if (worker->backoff > BACKOFF_MOST)
		worker->backoff = BACKOFF_MOST;
}

/* By SIGTERM, in order; by SIGQUIT at once. */
static void
end(Process *process, int signal_number)
{
	if (process->pid == 0)
		return;
	if (process->told_to_end_at == 0.0)
		process->told_to_end_at = metrics_clock();
	kill(process->pid, signal_number);
}

/* A loop that does not turn, or a drain that does not end. */
static void
kill_stuck(Worker *worker)
{
	Process *const processes[] = {&worker->now, &worker->old};
	double now = metrics_clock();

	for (int i = 0; i < 2; i++)
	{
		Process *process = processes[i];
		bool is_ending = process->told_to_end_at > 0.0;

		if (process->pid == 0 ||
			(is_ending ? now - process->told_to_end_at < LAST_SECONDS + (double) config.drain
					   : now - board_beaten_at(process->cell) < STUCK_SECONDS))
			continue;
		log_event(LEVEL_ERROR, "worker_stuck", "{s:i, s:i}", "worker", worker->number, "pid",
				  (int) process->pid);
		kill(process->pid, SIGKILL);
	}
}

static void
begin_roll(void)
{
	char state[100];

	snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld",
			 (long long) (metrics_clock() * 1e6));
	service_tell(state);
	log_event(LEVEL_INFO, "rolling", "{s:i}", "workers", worker_count);
	rolling = 1;
}

/* One step of the rolling restart, if it is time for one. */
static void
roll(void)
{
	Worker *worker = &workers[rolling - 1];

	if (!has_replacement && worker->now.pid != 0)
	{
		worker->old = worker->now;
		start(worker);
		has_replacement = worker->now.pid != 0;
		if (!has_replacement)
			give_up_roll(worker);
	}
	else if (worker->old.pid != 0 && worker->old.told_to_end_at == 0.0)
	{
		if (board_state_of(worker->now.cell) == BOARD_READY)
			end(&worker->old, SIGTERM);
		else if (metrics_clock() - worker->now.started_at > READY_SECONDS)
			kill(worker->now.pid, SIGKILL); /* given up when it is reaped */
	}
	else if (worker->old.pid == 0) /* it has drained; or it was dead: what starts next is new */
		next_roll();
}

static void
next_roll(void)
{
	has_replacement = false;
	if (++rolling <= worker_count)
		return;
	log_event(LEVEL_INFO, "rolled", "{s:i}", "workers", worker_count);
	rolling = 0;
	service_tell("READY=1");
	if (roll_again)
		begin_roll();
	roll_again = false;
}

/* The replacement does not work: those who do stay. */
static void
give_up_roll(Worker *worker)
{
	log_event(LEVEL_ERROR, "rolling_failed", "{s:i}", "worker", worker->number);
	worker->now = worker->old;
	worker->old = (Process){0};
	rolling = 0;
	has_replacement = roll_again = false;
	service_tell("READY=1");
}

static bool
all_ended(void)
{
	for (int i = 0; i < worker_count; i++)
		if (workers[i].now.pid != 0 || workers[i].old.pid != 0)
			return false;
	return true;
}

static void
tell_manager(void)
{
	double now = metrics_clock();

	if (!was_ready && board_is_ready(false))
	{
		was_ready = true;
		log_event(LEVEL_INFO, "ready", NULL);
		service_tell("READY=1");
	}
	if (watchdog_seconds > 0.0 && now - watchdog_told_at >= watchdog_seconds)
	{
		watchdog_told_at = now;
		service_tell("WATCHDOG=1");
	}
}
