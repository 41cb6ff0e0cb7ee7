/*
 * Key files: the keys of ../token/keys.h as an administrator gives them to the relay.
 *
 *     Keys keys;
 *     char problem[KEYS_PROBLEM_MAX];
 *     if (!key_files_load(&keys, "jwks.json", NULL, problem)) ...       problem says what is wrong
 */
#ifndef RELAY_KEY_FILES_H
#define RELAY_KEY_FILES_H

#include "../../token/keys.h"

/* Reads both files, of which one may be NULL.  False after saying why in problem; keys is empty then.
 * Logs what it leaves out, and secrets in files that everybody may read. */
bool key_files_load(Keys *keys, const char *keys_path, const char *secret_path,
					char problem[KEYS_PROBLEM_MAX]);

#endif
