/*
 * libev, as far as a relay uses it: watchers are remembered, the world says when they fire.
 */
#ifndef SIMULATION_LIBEV_H
#define SIMULATION_LIBEV_H

#include <signal.h>

#include "relay.h"

/* Fires the timer that is due first; false if none is. */
bool libev_fire_timer(Relay *relay);

/* Calls whoever watches fd for some of these events; false if nobody does. */
bool libev_io(Relay *relay, int fd, int events);

/* Events that are waited for at fd. */
int libev_watched(const Relay *relay, int fd);

void libev_end_round(Relay *relay);
void libev_signal(Relay *relay, int number);
void libev_forget(Relay *relay);

#endif
