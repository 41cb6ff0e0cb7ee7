/*
 * What a relay that somebody has taken over could do beyond what a relay does: as little as
 * possible.
 *
 *     sandbox_begin(core_dumps)      no new privileges, no core dumps: keys and tokens are in memory
 *     ... listening sockets are opened, perhaps as root ...
 *     sandbox_become("door", …)      root no more
 *     ... keys are read, connections begun ...
 *     sandbox_enter()                a filter of system calls, in the process that talks to strangers
 *
 * Behind the filter a process starts no program (or is killed), opens no file to write, makes no
 * memory executable that it can write, and no socket that is not of IP or the machine.  It still
 * reads files: keys again on SIGHUP, what is served to plain GET, what the resolver needs.  Each
 * step holds for the processes that are started later.
 */
#ifndef RELAY_SANDBOX_H
#define RELAY_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

enum
{
	SANDBOX_PROBLEM_MAX = 200
};

/* False: sanitizers look into their own process, and could not. */
bool sandbox_is_supported(void);

void sandbox_begin(bool core_dumps);

/* Takes the user's id, group and groups, and gives up all others.  keeps_ports: it may still
 * listen on ports below 1024.  False if it could not: the reason is in
 * problem[SANDBOX_PROBLEM_MAX]. */
bool sandbox_become(const char *user, bool keeps_ports, char *problem);

/* False if the kernel would not: nothing has changed then, and the reason is in problem. */
bool sandbox_enter(char *problem);

#endif
