/*
 * user.c: the table of users who are connected.
 *
 * Here: counting.  Not here: who somebody is (identity.c), what he may do (access.c).
 */
#include "user.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "metrics.h"

static json_t *counts; /* of connections, by user */

/* Of somebody in particular; NULL: he is not. */
static const char *
name_of(const Identity *identity)
{
	if (identity->is_stranger || identity->is_link)
		return NULL;
	return identity->is_session ? identity->shown : identity->token.subject;
}

bool
user_enter(const Identity *identity, char **user)
{
	const char *name = name_of(identity);

	*user = NULL;
	if (name == NULL || config.max_connections_per_user == 0)
		return true;
	if (counts == NULL)
		counts = json_object();
	json_t *count = json_object_get(counts, name);

	if (count != NULL && json_integer_value(count) >= config.max_connections_per_user)
	{
		metrics_add(METRIC_USERS_LIMITED, 1);
		return false;
	}
	if ((*user = strdup(name)) == NULL)
		return false;
	if (count != NULL)
		json_integer_set(count, json_integer_value(count) + 1);
	else if (json_object_set_new(counts, name, json_integer(1)) != 0)
	{
		free(*user);
		*user = NULL;
		return false;
	}
	return true;
}

void
user_leave(char *user)
{
	json_t *count = user != NULL ? json_object_get(counts, user) : NULL;

	if (count != NULL && json_integer_value(count) > 1)
		json_integer_set(count, json_integer_value(count) - 1);
	else if (count != NULL)
		json_object_del(counts, user);
	free(user);
}

void
user_stop(void)
{
	json_decref(counts);
	counts = NULL;
}
