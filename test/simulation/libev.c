/*
 * libev.c: timers on the world's clock, readiness by the world's word.
 */
#include "libev.h"

#include <stdlib.h>

#include "chance.h"
#include "world.h"

static Relay *
relay_of(struct ev_loop *loop)
{
	return (Relay *) loop;
}

struct ev_loop *
ev_default_loop(unsigned flags)
{
	(void) flags;
	return (struct ev_loop *) relay_now;
}

void
ev_loop_destroy(struct ev_loop *loop)
{
	(void) loop;
}

void
ev_break(struct ev_loop *loop, int how)
{
	(void) how;
	relay_of(loop)->wants_end = true;
}

ev_tstamp
ev_now(struct ev_loop *loop)
{
	(void) loop;
	return world_now;
}

ev_tstamp
ev_time(void)
{
	return world_now;
}

void
ev_timer_start(struct ev_loop *loop, ev_timer *timer)
{
	Relay *relay = relay_of(loop);

	if (timer->active)
		return;
	timer->active = 1;
	timer->at += world_now;
	ARRAY_ADD(relay->timers, relay->timer_count, relay->timer_capacity, timer);
}

void
ev_timer_stop(struct ev_loop *loop, ev_timer *timer)
{
	Relay *relay = relay_of(loop);

	if (!timer->active)
		return;
	timer->active = 0;
	timer->at -= world_now;
	for (size_t i = 0; i < relay->timer_count; i++)
		if (relay->timers[i] == timer)
			relay->timers[i] = relay->timers[--relay->timer_count];
}

void
ev_timer_again(struct ev_loop *loop, ev_timer *timer)
{
	ev_timer_stop(loop, timer);
	if (timer->repeat > 0.0)
	{
		timer->at = timer->repeat;
		ev_timer_start(loop, timer);
	}
}

/* Tokens expire by the clock on the wall; the relays here know no users. */
void
ev_periodic_start(struct ev_loop *loop, ev_periodic *periodic)
{
	(void) loop, (void) periodic;
	abort();
}

void
ev_periodic_stop(struct ev_loop *loop, ev_periodic *periodic)
{
	(void) loop;
	if (periodic->active)
		abort();
}

bool
libev_fire_timer(Relay *relay)
{
	ev_timer *due = NULL;

	for (size_t i = 0; i < relay->timer_count; i++)
		if (relay->timers[i]->at <= world_now && (due == NULL || relay->timers[i]->at < due->at))
			due = relay->timers[i];
	if (due == NULL)
		return false;
	if (due->repeat > 0.0)
		due->at =
			due->at + due->repeat > world_now ? due->at + due->repeat : world_now + due->repeat;
	else
		ev_timer_stop((struct ev_loop *) relay, due);
	due->cb((struct ev_loop *) relay, due, EV_TIMER);
	return true;
}

void
ev_io_start(struct ev_loop *loop, ev_io *io)
{
	Relay *relay = relay_of(loop);

	if (io->active)
		return;
	io->active = 1;
	ARRAY_ADD(relay->ios, relay->io_count, relay->io_capacity, io);
}

void
ev_io_stop(struct ev_loop *loop, ev_io *io)
{
	Relay *relay = relay_of(loop);

	if (!io->active)
		return;
	io->active = 0;
	for (size_t i = 0; i < relay->io_count; i++)
		if (relay->ios[i] == io)
			relay->ios[i] = relay->ios[--relay->io_count];
}

bool
libev_io(Relay *relay, int fd, int events)
{
	for (size_t i = 0; i < relay->io_count; i++)
	{
		ev_io *io = relay->ios[i];

		if (io->fd == fd && (io->events & events) != 0)
		{
			io->cb((struct ev_loop *) relay, io, io->events & events);
			return true;
		}
	}
	return false;
}

int
libev_watched(const Relay *relay, int fd)
{
	int events = 0;

	for (size_t i = 0; i < relay->io_count; i++)
		if (relay->ios[i]->fd == fd)
			events |= relay->ios[i]->events;
	return events & (EV_READ | EV_WRITE);
}

void
ev_prepare_start(struct ev_loop *loop, ev_prepare *prepare)
{
	Relay *relay = relay_of(loop);

	if (!prepare->active)
		ARRAY_ADD(relay->prepares, relay->prepare_count, relay->prepare_capacity, prepare);
	prepare->active = 1;
}

void
ev_prepare_stop(struct ev_loop *loop, ev_prepare *prepare)
{
	Relay *relay = relay_of(loop);

	for (size_t i = 0; i < relay->prepare_count; i++)
		if (relay->prepares[i] == prepare)
			relay->prepares[i] = relay->prepares[--relay->prepare_count];
	prepare->active = 0;
}

void
libev_end_round(Relay *relay)
{
	for (size_t i = 0; i < relay->prepare_count; i++)
		relay->prepares[i]->cb((struct ev_loop *) relay, relay->prepares[i], EV_PREPARE);
}

void
ev_signal_start(struct ev_loop *loop, ev_signal *watcher)
{
	Relay *relay = relay_of(loop);

	if (!watcher->active)
		ARRAY_ADD(relay->signals, relay->signal_count, relay->signal_capacity, watcher);
	watcher->active = 1;
}

void
ev_signal_stop(struct ev_loop *loop, ev_signal *watcher)
{
	Relay *relay = relay_of(loop);

	for (size_t i = 0; i < relay->signal_count; i++)
		if (relay->signals[i] == watcher)
			relay->signals[i] = relay->signals[--relay->signal_count];
	watcher->active = 0;
}

void
libev_signal(Relay *relay, int number)
{
	for (size_t i = 0; i < relay->signal_count; i++)
		if (relay->signals[i]->signum == number)
		{
			relay->signals[i]->cb((struct ev_loop *) relay, relay->signals[i], EV_SIGNAL);
			return;
		}
}

void
libev_forget(Relay *relay)
{
	free(relay->timers);
	free(relay->ios);
	free(relay->prepares);
	free(relay->signals);
	relay->timers = NULL;
	relay->ios = NULL;
	relay->prepares = NULL;
	relay->signals = NULL;
	relay->timer_count = relay->timer_capacity = relay->io_count = relay->io_capacity = 0;
	relay->prepare_count = relay->prepare_capacity = 0;
	relay->signal_count = relay->signal_capacity = 0;
}
