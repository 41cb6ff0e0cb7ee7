/*
 * The log: one JSON object per line on stderr, for people with jq and for collectors.
 *
 *     log_event(LEVEL_WARNING, "update_refused", "{s:s, s:I}", "document", room->name, "bytes",
 *               (json_int_t) update.size);
 *
 * writes {"time": "2026-11-23T19:20:03.512Z", "level": "warning", "event": "update_refused",
 * "document": "notes/7", "bytes": 40}.  An event's name never changes once released: it is what
 * alarms are tied to.
 *
 * Strangers make events happen: of one event at most 100 lines are written a second (of errors and
 * at level debug any), and {"event": "log_suppressed", "of": …, "count": …} tells how many more
 * there were.
 */
#ifndef RELAY_LOG_H
#define RELAY_LOG_H

#include <stdbool.h>

typedef enum LogLevel
{
	LEVEL_DEBUG,
	LEVEL_INFO,
	LEVEL_WARNING,
	LEVEL_ERROR
} LogLevel;

/* The level of that name; false if there is none. */
bool log_level_find(const char *name, LogLevel *level);

/* What is below this level is not written; info at first. */
void log_set_level(LogLevel level);

/* Each line tells which of several workers writes it; 0: there is one process only. */
void log_set_worker(int worker);

/* fields is jansson's format of one object, or NULL for an event without fields. */
void log_event(LogLevel level, const char *event, const char *fields, ...);

#endif
