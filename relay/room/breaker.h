/*
 * The circuit breaker of a writer: when PostgreSQL is slow or away, no more updates are taken.
 *
 *     if (!breaker_takes(writer)) return CLOSE_OVERLOAD;      before an update waits
 *     breaker_look(writer, oldest_age);                       now and then
 *     breaker_answered(writer, took);                         a batch is done
 *
 *                 oldest waits too long                   nothing waits any more
 *     CLOSED ------------------------------> OPEN ------------------------------> HALF_OPEN
 *        ^                                    ^                                    |   |
 *        |                                    +--- the next batch takes long ------+   |
 *        +----------------------- the next batch is answered in time ------------------+
 *
 * What waits already is kept and stored as soon as that is possible; whoever sends more is closed
 * with 1013, keeps it himself and comes back.
 */
#ifndef RELAY_BREAKER_H
#define RELAY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

bool breaker_takes(uint32_t writer);

/* Seconds that the oldest update of that writer has waited; 0: none waits. */
void breaker_look(uint32_t writer, double oldest_age);

/* took: seconds that the batch's oldest update waited in all. */
void breaker_answered(uint32_t writer, double took);

/* False if updates are turned away and nobody gets any through. */
bool breaker_is_ready(void);

#endif
