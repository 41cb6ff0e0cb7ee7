/*
 * presence_report.c: rows of ydoc_data.presence (presence_report.h).
 *
 * Here: when what is reported.  Not here: the tables (extension/schema/store_presence.sql).
 */
#include "presence_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "config.h"
#include "database.h"
#include "identity.h"
#include "log.h"
#include "loop.h"
#include "presence_entry.h"
#include "room.h"

#define REPORT_SECONDS 1.0 /* between two statements */
#define FAILED_SECONDS 30.0 /* after one that failed */
#define RENEWALS_PER_TIMEOUT 2
#define LEASE_MS_PER_SECOND 2000 /* rows count twice as long as a relay may be silent */
#define MAX_ROWS 5000 /* of one statement; more wait for the next */

typedef struct ReportQuery
{
	DatabaseQuery query; /* first */
	char relay[17];
	uint8_t lease[8];
	uint8_t is_anew;
	bool is_last; /* takes all back */
	Buffer documents, clients, names; /* arrays; the name of who left is NULL, an unknown one '' */
	uint32_t count;
} ReportQuery;

static Presence *unreported_list;
static uint32_t reported_count; /* rows that there are */
static bool is_reporting, is_ending;
static bool begins_anew = true; /* whatever the database has of us is wrong */
static bool has_failed;
static double reported_at;
static ev_timer report_timer;

static void mark_all(Room *room);
static void report(struct ev_loop *, ev_timer *, int);
static void report_now(void);
static ReportQuery *query_new(void);
static void write_changes(ReportQuery *query, Presence *presence);
static const char *name_of(const PresenceEntry *entry);
static void write_row(ReportQuery *query, const char *document, const PresenceEntry *entry);
static void finish(ReportQuery *query);
static void report_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void query_free(ReportQuery *query);

void
presence_report_start(void)
{
	ev_timer_init(&report_timer, report, REPORT_SECONDS, REPORT_SECONDS);
	ev_timer_start(loop_ev(), &report_timer);
}

void
presence_report_end(void)
{
	is_ending = true;
	if (!is_reporting)
		report_now();
}

bool
presence_report_is_idle(void)
{
	return !is_reporting && (!is_ending || reported_count == 0 || has_failed);
}

void
presence_mark_unreported(Presence *presence, PresenceEntry *entry)
{
	entry->is_unreported = true;
	if (presence->is_unreported)
		return;
	room_retain(presence->room); /* the last one's leaving is still to be reported */
	presence->is_unreported = true;
	presence->next_unreported = unreported_list;
	unreported_list = presence;
}

void
presence_forget_unreported(Presence *presence)
{
	Presence **place = &unreported_list;

	while (*place != NULL && *place != presence)
		place = &(*place)->next_unreported;
	if (*place != NULL)
		*place = presence->next_unreported;
}

/* The database has lost our rows, or took us for dead. */
static void
mark_all(Room *room)
{
	Presence *presence = room_presence(room);

	for (uint32_t i = 0; i < presence->capacity; i++)
	{
		PresenceEntry *entry = presence->slots[i];

		if (entry == NULL)
			continue;
		entry->is_reported = false;
		if (entry->owner != NULL)
			presence_mark_unreported(presence, entry);
	}
}

static void
report(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) loop, (void) watcher, (void) events;
	if (!is_reporting)
		report_now();
}

static void
report_now(void)
{
	double since = loop_now() - reported_at;
	bool is_due =
		reported_count > 0 && since * RENEWALS_PER_TIMEOUT >= (double) config.relay_timeout;

	if (is_ending ? reported_count == 0 : unreported_list == NULL && !is_due)
		return;
	if (has_failed && since < FAILED_SECONDS && !is_ending)
		return;
	if (begins_anew && !is_ending)
	{
		reported_count = 0;
		room_each(mark_all);
	}
	ReportQuery *query = query_new();

	if (query == NULL)
		return;
	while (unreported_list != NULL && query->count < MAX_ROWS && !is_ending)
		write_changes(query, unreported_list);
	if (query->documents.failed || query->clients.failed || query->names.failed)
	{
		begins_anew = true; /* out of memory: what was marked is no longer known */
		query_free(query);
		return;
	}
	if (query->count == 0 && !is_due && !is_ending)
	{
		query_free(query); /* somebody came and went in between */
		return;
	}
	finish(query);
}

static ReportQuery *
query_new(void)
{
	ReportQuery *query = calloc(1, sizeof *query);

	if (query == NULL)
		return NULL;
	(void) buffer_reserve(&query->documents, DATABASE_ARRAY_HEADER);
	(void) buffer_reserve(&query->clients, DATABASE_ARRAY_HEADER);
	(void) buffer_reserve(&query->names, DATABASE_ARRAY_HEADER);
	return query;
}

/* Takes the room off the list when all of it is written. */
static void
write_changes(ReportQuery *query, Presence *presence)
{
	for (uint32_t i = 0; i < presence->capacity; i++)
	{
		PresenceEntry *entry = presence->slots[i];

		if (entry == NULL || !entry->is_unreported)
			continue;
		if (query->count == MAX_ROWS)
			return;
		entry->is_unreported = false;
		if (entry->owner == NULL && !entry->is_reported)
			continue;
		write_row(query, room_name(presence->room), entry);
		reported_count += (entry->owner != NULL) - entry->is_reported;
		entry->is_reported = entry->owner != NULL;
	}
	unreported_list = presence->next_unreported;
	presence->is_unreported = false;
	room_release(presence->room); /* lives to the end of the round at least */
}

/* By his token, where there are any; what a client calls itself could be anybody's name. */
static const char *
name_of(const PresenceEntry *entry)
{
	const char *name = !identity_is_checked() ? entry->user_name
					   : entry->owner != NULL ? entry->owner->user_name
											  : NULL;

	return name != NULL ? name : "";
}

static void
write_row(ReportQuery *query, const char *document, const PresenceEntry *entry)
{
	const char *name = name_of(entry);
	uint8_t client[8];

	database_write_number(client, (int64_t) entry->client);
	buffer_write_u32(&query->documents, (uint32_t) strlen(document));
	buffer_write(&query->documents, (Bytes){(const uint8_t *) document, strlen(document)});
	buffer_write_u32(&query->clients, sizeof client);
	buffer_write(&query->clients, (Bytes){client, sizeof client});
	if (entry->owner == NULL)
		buffer_write_u32(&query->names, UINT32_MAX); /* NULL */
	else
	{
		buffer_write_u32(&query->names, (uint32_t) strlen(name));
		buffer_write(&query->names, (Bytes){(const uint8_t *) name, strlen(name)});
	}
	query->count++;
}

static void
finish(ReportQuery *query)
{
	/* with nobody here there is nothing to renew: our row goes, and we begin anew */
	bool is_empty = reported_count == 0 || is_ending;

	database_write_number(query->lease, is_empty ? 0 : config.relay_timeout * LEASE_MS_PER_SECOND);
	snprintf(query->relay, sizeof query->relay, "%016" PRIx64, bus_own_relay());
	query->is_anew = begins_anew || is_ending;
	query->is_last = is_ending;
	database_write_array_header(query->documents.data, DATABASE_TEXT, false, query->count);
	database_write_array_header(query->clients.data, DATABASE_INT8, false, query->count);
	database_write_array_header(query->names.data, DATABASE_TEXT, true, query->count);
	query->query = (DatabaseQuery){STATEMENT_REPORT,
								   report_done,
								   {{(const uint8_t *) query->relay, strlen(query->relay)},
									{query->lease, sizeof query->lease},
									{&query->is_anew, 1},
									buffer_view(&query->documents),
									buffer_view(&query->clients),
									buffer_view(&query->names)},
								   NULL,
								   {0}};
	begins_anew = is_empty;
	is_reporting = true;
	reported_at = loop_now();
	database_submit(0, &query->query);
}

static void
report_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	ReportQuery *query = (ReportQuery *) database_query;
	bool ok = answer->row_count == 1;

	is_reporting = false;
	if (!ok || database_number(answer, 0, 0) == 0)
		begins_anew = true;
	/* said once: a role without the right to these tables is no reason not to work */
	if (!ok && !has_failed)
		log_event(LEVEL_WARNING, "presence_not_reported", "{s:s?, s:s?}", "sqlstate",
				  answer->sqlstate, "reason", answer->message);
	has_failed = !ok;
	if (query->is_last)
		reported_count = 0;
	else if (is_ending)
		report_now();
	query_free(query);
}

static void
query_free(ReportQuery *query)
{
	buffer_free(&query->documents);
	buffer_free(&query->clients);
	buffer_free(&query->names);
	free(query);
}
