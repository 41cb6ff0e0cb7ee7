/*
 * breaker.c: the states of the writers' circuit breakers.
 */
#include "breaker.h"

#include <jansson.h>

#include "config.h"
#include "database.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"

#define PROBE_SHARE 0.5 /* of the bound: how long the batch after a break may take */

typedef enum BreakerState
{
	BREAKER_CLOSED, /* updates are taken */
	BREAKER_OPEN, /* none are */
	BREAKER_HALF_OPEN /* they are, and the first batch of them is watched */
} BreakerState;

typedef struct Breaker
{
	BreakerState state;
	double since;
} Breaker;

static Breaker breakers[MAX_DATABASE_WRITERS];
static int open_count;
static double answered_at; /* by any writer */

static double bound_of(const Breaker *breaker);
static void enter(uint32_t writer, BreakerState state, double age);

bool
breaker_takes(uint32_t writer)
{
	return breakers[writer].state != BREAKER_OPEN;
}

void
breaker_look(uint32_t writer, double oldest_age)
{
	const Breaker *breaker = &breakers[writer];

	if (breaker->state != BREAKER_OPEN && oldest_age > bound_of(breaker))
		enter(writer, BREAKER_OPEN, oldest_age);
	else if (breaker->state == BREAKER_OPEN && oldest_age == 0.0)
		enter(writer, BREAKER_HALF_OPEN, 0.0);
}

void
breaker_answered(uint32_t writer, double took)
{
	const Breaker *breaker = &breakers[writer];

	answered_at = loop_now();
	if (breaker->state == BREAKER_HALF_OPEN)
		enter(writer, took > bound_of(breaker) ? BREAKER_OPEN : BREAKER_CLOSED, took);
}

static double
bound_of(const Breaker *breaker)
{
	return (double) config.max_wait_seconds *
		   (breaker->state == BREAKER_HALF_OPEN ? PROBE_SHARE : 1.0);
}

/* One writer may be held up by a lock on one document: that is no reason to send everybody to other
 * relays, where it would be the same. */
bool
breaker_is_ready(void)
{
	return open_count == 0 || loop_now() - answered_at < (double) config.max_wait_seconds;
}

static void
enter(uint32_t writer, BreakerState state, double age)
{
	static const char *const events[] = {"breaker_closed", "breaker_open", "breaker_half_open"};
	Breaker *breaker = &breakers[writer];

	if (breaker->state == state)
		return;
	open_count += (state == BREAKER_OPEN) - (breaker->state == BREAKER_OPEN);
	metrics_set(METRIC_BREAKERS_OPEN, open_count);
	log_event(state == BREAKER_OPEN ? LEVEL_WARNING : LEVEL_INFO, events[state], "{s:i, s:I, s:I}",
			  "writer", (int) writer, "oldest_ms", (json_int_t) (age * 1000.0), "after_ms",
			  (json_int_t) (breaker->since > 0.0 ? (loop_now() - breaker->since) * 1000.0 : 0.0));
	breaker->state = state;
	breaker->since = loop_now();
}
