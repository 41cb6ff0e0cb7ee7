/*
 * log.c: events as lines of JSON.
 *
 * Here: levels, the line.  Not here: what is worth an event (everybody), counting (metrics.c).
 */
#include "log.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static LogLevel least_level = LEVEL_INFO;
static int own_worker;

/* Of one event in one second. */
typedef struct Tally
{
	const char *event; /* NULL: free, and so are all that follow */
	time_t second;
	int lines;
	int64_t suppressed;
} Tally;

#define LINES_PER_SECOND 100
#define TALLIES 128 /* more than there are events */

static Tally tallies[TALLIES];

static bool is_too_much(const char *event);
static void tell_suppressed(Tally *tally);
static json_t *event_new(LogLevel level, const char *event);
static void write_line(char *line);

bool
log_level_find(const char *name, LogLevel *level)
{
	for (int i = LEVEL_DEBUG; i <= LEVEL_ERROR; i++)
		if (strcmp(name, level_names[i]) == 0)
		{
			*level = (LogLevel) i;
			return true;
		}
	return false;
}

void
log_set_level(LogLevel level)
{
	least_level = level;
}

void
log_set_worker(int worker)
{
	own_worker = worker;
}

void
log_event(LogLevel level, const char *event, const char *fields, ...)
{
	if (level < least_level ||
		(least_level > LEVEL_DEBUG && level < LEVEL_ERROR && is_too_much(event)))
		return;
	json_t *object = event_new(level, event);

	if (fields != NULL)
	{
		va_list values;

		va_start(values, fields);
		json_t *more = json_vpack_ex(NULL, 0, fields, values);
		va_end(values);
		/* text that is not UTF-8 cannot be packed: the event alone is better than nothing */
		if (more != NULL)
			json_object_update(object, more);
		else
			json_object_set_new(object, "fields_lost", json_true());
		json_decref(more);
	}
	write_line(json_dumps(object, JSON_ENSURE_ASCII));
	json_decref(object);
}

/* Counts it.  What was suppressed in a second that is over is told first, whatever event comes next. */
static bool
is_too_much(const char *event)
{
	static time_t last_second;
	time_t second = time(NULL);
	Tally *tally = tallies;

	if (second != last_second)
		for (Tally *each = tallies; each < tallies + TALLIES && each->event != NULL; each++)
			if (each->suppressed > 0)
				tell_suppressed(each);
	last_second = second;
	while (tally < tallies + TALLIES && tally->event != NULL && strcmp(tally->event, event) != 0)
		tally++;
	if (tally == tallies + TALLIES)
		return false;
	if (tally->event == NULL || tally->second != second)
		*tally = (Tally){.event = event, .second = second};
	if (++tally->lines <= LINES_PER_SECOND)
		return false;
	tally->suppressed++;
	return true;
}

static void
tell_suppressed(Tally *tally)
{
	json_t *object = event_new(LEVEL_WARNING, "log_suppressed");

	json_object_set_new(object, "of", json_string(tally->event));
	json_object_set_new(object, "count", json_integer(tally->suppressed));
	tally->suppressed = 0;
	write_line(json_dumps(object, JSON_ENSURE_ASCII));
	json_decref(object);
}

static json_t *
event_new(LogLevel level, const char *event)
{
	struct timespec now;
	struct tm parts;
	char date[32];
	char stamp[64];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(stamp, sizeof stamp, "%s.%03ldZ", date, now.tv_nsec / 1000000);
	json_t *object =
		json_pack("{s:s, s:s, s:s}", "time", stamp, "level", level_names[level], "event", event);

	if (own_worker > 0)
		json_object_set_new(object, "worker", json_integer(own_worker));
	return object;
}

/* One write(2) per line, so that several processes may share a log file; takes the line. */
static void
write_line(char *line)
{
	if (line == NULL)
		return;
	size_t length = strlen(line);

	line[length] = '\n'; /* in place of the NUL: the length is what counts */
	ssize_t written = write(STDERR_FILENO, line, length + 1);

	(void) written; /* a log that cannot be written has nobody to tell */
	free(line);
}
