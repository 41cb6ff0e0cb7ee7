/*
 * The server's notification queue, which one listener that does not read can fill for everybody:
 * when it is full, every commit that notifies fails.
 *
 *     usage                   what happens
 *     config.notify_alarm     a warning in the log, again every few minutes
 *     config.notify_off       our commits raise no notifications any more; relays ask for the heads of
 *                             their documents every second instead, and presence slows down
 *     below the alarm         as before
 */
#ifndef RELAY_NOTIFY_QUEUE_H
#define RELAY_NOTIFY_QUEUE_H

#include <stdbool.h>

void notify_queue_start(void);

/* Our commits are not to raise notifications. */
bool notify_queue_is_avoided(void);

/* A commit that notifies failed on some limit, which may have been this one. */
void notify_queue_suspect(void);

#endif
