/*
 * presence_stamp.c: one field of a JSON object (presence_stamp.h).
 */
#include "presence_stamp.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

/* as presence.c judges states */
#define DECODING (JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL)

static char *stamped; /* the last one that was changed */

static bool set_field(json_t *object, const char *path, const char *user_name);
static bool set_name(json_t *object, const char *key, const char *user_name);

Bytes
presence_stamp(Bytes state, const char *user_name)
{
	json_t *object = json_loadb((const char *) state.data, state.size, DECODING, NULL);
	bool is_changed = object != NULL && set_field(object, config.stamp_user, user_name);

	if (is_changed)
	{
		free(stamped);
		stamped = json_dumps(object, JSON_COMPACT);
		state = (Bytes){(const uint8_t *) stamped, stamped != NULL ? strlen(stamped) : 0};
	}
	json_decref(object);
	return state;
}

void
presence_stamp_stop(void)
{
	free(stamped);
	stamped = NULL;
}

/* True if that changes the object. */
static bool
set_field(json_t *object, const char *path, const char *user_name)
{
	size_t size = strcspn(path, ".");
	char key[256];

	if (size >= sizeof key || !json_is_object(object))
		return false;
	memcpy(key, path, size);
	key[size] = '\0';
	if (path[size] == '\0')
		return set_name(object, key, user_name);

	json_t *inner = json_object_get(object, key);

	if (!json_is_object(inner) && user_name == NULL)
		return inner != NULL &&
			   json_object_del(object, key) == 0; /* "user": "Ann" shows a name, too */
	if (!json_is_object(inner) && json_object_set_new(object, key, json_object()) != 0)
		return false;
	return set_field(json_object_get(object, key), path + size + 1, user_name);
}

static bool
set_name(json_t *object, const char *key, const char *user_name)
{
	const json_t *now = json_object_get(object, key);

	if (user_name == NULL)
		return now != NULL && json_object_del(object, key) == 0;
	if (json_is_string(now) && json_string_length(now) == strlen(user_name) &&
		memcmp(json_string_value(now), user_name, strlen(user_name)) == 0)
		return false;
	return json_object_set_new(object, key, json_string(user_name)) == 0;
}
