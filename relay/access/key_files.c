/*
 * key_files.c: reading files of keys (key_files.h).  Not here: what is in them (../token/keys.c).
 */
#include "key_files.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

static bool read_file(const char *path, bool is_secret, Keys *keys, char *problem);
static bool everybody_may_read(int fd);
static bool holds_secret(const Keys *keys);
static void log_left_out(const char *id, const char *why);

bool
key_files_load(Keys *keys, const char *keys_path, const char *secret_path,
			   char problem[KEYS_PROBLEM_MAX])
{
	*keys = (Keys){.left_out = log_left_out};
	if ((keys_path == NULL || read_file(keys_path, false, keys, problem)) &&
		(secret_path == NULL || read_file(secret_path, true, keys, problem)))
		return true;
	keys_free(keys);
	return false;
}

static bool
read_file(const char *path, bool is_secret, Keys *keys, char *problem)
{
	char what[KEYS_PROBLEM_MAX - 200] = "";
	uint8_t *data = malloc(KEYS_FILE_MAX + 1);
	int fd = data != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	size_t size = 0;
	ssize_t got = -1;

	while (fd >= 0 && size <= KEYS_FILE_MAX &&
		   (got = read(fd, data + size, KEYS_FILE_MAX + 1 - size)) > 0)
		size += (size_t) got;
	if (data == NULL || fd < 0 || got < 0)
		snprintf(what, sizeof what, "%s", data == NULL ? "out of memory" : strerror(errno));
	else if (size > KEYS_FILE_MAX)
		snprintf(what, sizeof what, "is larger than %d bytes", KEYS_FILE_MAX);
	else
	{
		char why[KEYS_PROBLEM_MAX];
		bool ok = is_secret ? keys_read_secret(keys, (Bytes){data, size}, why)
							: keys_read(keys, (Bytes){data, size}, why);

		if (!ok)
			snprintf(what, sizeof what, "%.300s", why);
		else if (holds_secret(keys) && everybody_may_read(fd))
			log_event(LEVEL_WARNING, "secret_is_readable", "{s:s, s:s}", "file", path, "hint",
					  "everybody on this machine may read it: chmod o-r");
	}
	if (fd >= 0)
		close(fd);
	if (data != NULL)
		OPENSSL_cleanse(data, KEYS_FILE_MAX + 1);
	free(data);
	if (what[0] != '\0')
		snprintf(problem, KEYS_PROBLEM_MAX, "%.180s: %s", path, what);
	return what[0] == '\0';
}

static bool
everybody_may_read(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && (status.st_mode & S_IROTH) != 0;
}

static bool
holds_secret(const Keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		if (keys->keys[i].secret != NULL)
			return true;
	return false;
}

static void
log_left_out(const char *id, const char *why)
{
	log_event(LEVEL_INFO, "key_left_out", "{s:s?, s:s}", "kid", id, "reason", why);
}
