/*
 * The loop: libev's, with libwebsockets as a guest, and its rounds.
 *
 *     a round:  sockets are read -> messages reach their rooms -> the round ends:
 *               batches close, queries leave, presence is encoded, rooms write to their members
 *
 * Nothing is written to a client and no query leaves before the round ends, so what arrives
 * together is stored together and sent together; an idle relay adds no delay, a busy one has
 * larger rounds.  All of the relay runs on this one thread.
 */
#ifndef RELAY_LOOP_H
#define RELAY_LOOP_H

#include <ev.h>
#include <stdbool.h>

struct lws_vhost;

/*
 * From here on signals wait until loop_start() can obey them.  To be called before others can know
 * of this process (--port-file): until then a signal just ends it.
 */
void loop_hold_signals(void);

/* Makes loop, libwebsockets context and vhost; false after logging why. */
bool loop_start(void);

/* Takes connections from these sockets and runs until loop_end(); returns the status given to it. */
int loop_run(const int *sockets, int count);

void loop_end(int status);

/* Frees everything; connections that are still open are cut. */
void loop_stop(void);

struct ev_loop *loop_ev(void);
struct lws_vhost *loop_vhost(void);

/* Seconds of the round's beginning; steady enough to measure silence with. */
double loop_now(void);

/* At least 0, less than 1; not for secrets. */
double loop_random(void);

/* True from SIGTERM on: nothing new is begun. */
bool loop_is_draining(void);

#endif
