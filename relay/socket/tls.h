/*
 * TLS: ends here, in front of everything else.
 *
 *     client  ==TLS==>  outer socket | pipe | inner socket  -->  listener, libwebsockets
 *
 *     fd = tls_wrap(fd);          accepted; from now on fd speaks plain text
 *
 * The inner sockets are a pair in this process, so the rest of the relay sees each request as it was sent
 * and needs to know nothing of TLS.  Nothing is read from one side before the other has taken what was
 * read, so a slow peer holds up who writes to it, and a pipe holds one record and the kernel's buffers.
 * The first bytes are kept until they are a whole head: the listener looks at it without taking it.
 *
 * Certificate and key are read again when their files change, and on SIGHUP; who is connected stays.
 */
#ifndef RELAY_TLS_H
#define RELAY_TLS_H

#include <stdbool.h>
#include <stddef.h>

enum
{
	TLS_PROBLEM_MAX = 300
};

/* config.tls_certificate is given. */
bool tls_is_on(void);

/* Could these files be used?  False after saying in problem why not. */
bool tls_check(char *problem, size_t size);

/* False after logging why. */
bool tls_start(void);
void tls_stop(void);

/* Reads the files again; if they are bad that is logged, and things stay as they are. */
void tls_reload(void);

/* Takes an accepted socket; -1, and it is closed, when out of memory or descriptors. */
int tls_wrap(int fd);

/* Nothing is on its way any more. */
bool tls_is_idle(void);

#endif
