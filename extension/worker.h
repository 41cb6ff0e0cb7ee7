/*
 * worker.h: compaction in the background, if the library is in shared_preload_libraries.
 *
 *     postmaster ── ydoc launcher          no database; every ydoc.worker_naptime seconds, for each of
 *                     │                    ydoc.worker_databases in turn:
 *                     └─ ydoc worker       connects, compacts what is in the queue, goes
 *
 * Workers come and go, so that they take one of max_worker_processes however many databases there
 * are, and none stands in the way of DROP DATABASE.
 */
#ifndef YDOC_WORKER_H
#define YDOC_WORKER_H

/* Called once, when the module is loaded: has the postmaster start the launcher if it loads us. */
void worker_register(void);

/* Are these names, separated by commas? */
bool worker_is_list(const char *names);

#endif
