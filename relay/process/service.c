/*
 * service.c: datagrams to the service manager.
 *
 * Here: the protocol.  Not here: when what is true (loop.c, supervisor.c).
 */
#include "service.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

void
service_tell(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (path == NULL || path[0] == '\0' || strlen(path) >= sizeof address.sun_path)
		return;
	memcpy(address.sun_path, path, strlen(path));
	if (path[0] == '@') /* the abstract name space */
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	socklen_t size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path));

	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *) &address, size) < 0)
		log_event(LEVEL_WARNING, "service_manager_silent", NULL);
	close(fd);
}

/* Half the time that it waits, as it recommends. */
double
service_watchdog_seconds(void)
{
	const char *pid = getenv("WATCHDOG_PID"), *limit = getenv("WATCHDOG_USEC");
	long long limit_us = limit != NULL ? strtoll(limit, NULL, 10) : 0;

	if (limit_us <= 0 || (pid != NULL && strtoll(pid, NULL, 10) != (long long) getpid()))
		return 0.0;
	return (double) limit_us / 2e6;
}
