/*
 * The service manager: systemd's protocol is a datagram to the socket it names; no library is
 * needed for it.
 *
 *     service_tell("READY=1");
 *
 * Nothing happens if nobody started us that way.
 */
#ifndef RELAY_SERVICE_H
#define RELAY_SERVICE_H

/* state: lines of sd_notify(3). */
void service_tell(const char *state);

/* Seconds between two WATCHDOG=1 that the manager wants; 0: it wants none. */
double service_watchdog_seconds(void);

#endif
