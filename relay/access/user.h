/*
 * Users: how many connections each has, so that no account takes what is everybody's.
 *
 *     if (!user_enter(identity, &connection->user)) refuse;        he has as many as he may
 *     ... user_leave(connection->user);
 *
 * A user is a token's sub; where a session was shown, which has nothing to look into, the session.  Strangers, and
 * who comes by a link that many may have, are nobody in particular: of those, addresses are counted (address.h).
 */
#ifndef RELAY_USER_H
#define RELAY_USER_H

#include <stdbool.h>

#include "identity.h"

/* A connection more of who that is.  False if he has config.max_connections_per_user, or there is no memory: it is not
 * counted then.  *user is what to leave with; NULL: nobody in particular. */
bool user_enter(const Identity *identity, char **user);
void user_leave(char *user);

void user_stop(void);

#endif
