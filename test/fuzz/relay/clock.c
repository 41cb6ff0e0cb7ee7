/*
 * clock.c: the loop's time, and libev's functions for timers (clock.h).
 */
#include "clock.h"

#include "../require.h"
#include "loop.h"

#define MOST_TIMERS 8
#define MOST_EXPIRIES 64
#define FIRST_SECOND 1000.0

static ev_timer *timers[MOST_TIMERS];
static ev_periodic *expiries[MOST_EXPIRIES]; /* of tokens */
static int timer_count, expiry_count;
static double now;

void
clock_begin(void)
{
	now = FIRST_SECOND;
}

void
clock_end(void)
{
	while (timer_count > 0)
		timers[--timer_count]->active = 0;
	fuzz_require(expiry_count == 0, "somebody who has gone will expire");
}

void
clock_pass(double seconds)
{
	double end = now + seconds;

	for (;;)
	{
		ev_timer *timer = NULL;
		ev_periodic *expiry = NULL;
		double at = end;

		for (int i = 0; i < timer_count; i++)
			if (timers[i]->at <= at)
				at = (timer = timers[i])->at;
		for (int i = 0; i < expiry_count; i++)
			if (expiries[i]->offset - CLOCK_WALL + FIRST_SECOND <= at)
				at = (expiry = expiries[i])->offset - CLOCK_WALL + FIRST_SECOND;
		if (timer == NULL && expiry == NULL)
			break;
		now = at > now ? at : now;
		if (expiry != NULL)
		{
			ev_periodic_stop(loop_ev(), expiry);
			expiry->cb(loop_ev(), expiry, EV_PERIODIC);
			continue;
		}
		if (timer->repeat > 0.0)
			timer->at = now + timer->repeat;
		else
			ev_timer_stop(loop_ev(), timer);
		timer->cb(loop_ev(), timer, EV_TIMER);
	}
	now = end;
}

struct ev_loop *
loop_ev(void)
{
	return (struct ev_loop *) timers;
}

double
loop_now(void)
{
	return now;
}

/* ---- libev's functions ---- */

ev_tstamp
ev_time(void)
{
	return now - FIRST_SECOND + CLOCK_WALL;
}

ev_tstamp
ev_now(struct ev_loop *loop)
{
	(void) loop;
	return ev_time();
}

void
ev_timer_start(struct ev_loop *loop, ev_timer *timer)
{
	(void) loop;
	if (timer->active)
		return;
	fuzz_require(timer_count < MOST_TIMERS, "too many timers");
	timer->active = 1;
	timer->at += now; /* it was set to how long from now */
	timers[timer_count++] = timer;
}

void
ev_timer_stop(struct ev_loop *loop, ev_timer *timer)
{
	int i = 0;

	(void) loop;
	if (!timer->active)
		return;
	while (timers[i] != timer)
		i++;
	timers[i] = timers[--timer_count];
	timer->active = 0;
}

void
ev_timer_again(struct ev_loop *loop, ev_timer *timer)
{
	ev_timer_stop(loop, timer);
	timer->at = timer->repeat;
	ev_timer_start(loop, timer);
}

void
ev_periodic_start(struct ev_loop *loop, ev_periodic *periodic)
{
	(void) loop;
	if (periodic->active)
		return;
	fuzz_require(expiry_count < MOST_EXPIRIES, "too many members");
	periodic->active = 1;
	expiries[expiry_count++] = periodic;
}

void
ev_periodic_stop(struct ev_loop *loop, ev_periodic *periodic)
{
	int i = 0;

	(void) loop;
	if (!periodic->active)
		return;
	while (expiries[i] != periodic)
		i++;
	expiries[i] = expiries[--expiry_count];
	periodic->active = 0;
}
