/*
 * The supervisor: starts workers, each a relay of its own on the same port, and keeps them running.
 *
 *     kernel --SO_REUSEPORT--> socket 1 --> worker 1     own connections, own database connections,
 *                              socket 2 --> worker 2     own event loop: they share nothing but the
 *                              ...                       board (counters, who is ready)
 *
 * The sockets are opened here and inherited: what the kernel has accepted for a worker that died
 * waits for the next one.  A worker is this program started again, so a rolling restart takes up a
 * new version of it and a changed configuration.
 *
 *     SIGTERM, SIGINT    all workers drain and end, then the supervisor; a second one does not wait
 *     SIGHUP, SIGUSR2    one worker after the other is replaced: the new one is ready before the old
 *                        one drains; if it does not get ready, the old ones stay
 *
 * A worker that dies is started again, after a pause that grows as long as it dies young; one
 * whose loop does not turn for 30 s is killed first.  When the supervisor dies, its workers drain.
 */
#ifndef RELAY_SUPERVISOR_H
#define RELAY_SUPERVISOR_H

#include <stdbool.h>

#include "listener.h"

/* Runs config.workers of them; returns the status to exit with. */
int supervisor_run(char **argv);

typedef struct SupervisedWorker
{
	int number; /* from 1 */
	int fds[LISTENER_MAX_SOCKETS];
	int fd_count;
} SupervisedWorker;

/* True if a supervisor has started this process; then its end has been asked for, too, and the
 * board is joined.  Ends the process if the supervisor does not fit. */
bool supervisor_is_over_us(SupervisedWorker *worker);

#endif
