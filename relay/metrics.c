/*
 * metrics.c: the table of counters and gauges.
 *
 * Here: names, help, text.  Not here: the HTTP answer (http.c).
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

typedef struct MetricInfo
{
	const char *name;
	bool is_counter;
	const char *help;
} MetricInfo;

#define COUNTER(metric_name, help_text)                            \
	{                                                              \
		.name = metric_name, .is_counter = true, .help = help_text \
	}
#define GAUGE(metric_name, help_text)                               \
	{                                                               \
		.name = metric_name, .is_counter = false, .help = help_text \
	}

static const MetricInfo infos[METRIC_COUNT] = {
	[METRIC_CONNECTIONS] = GAUGE("connections", "WebSocket connections open now"),
	[METRIC_CONNECTIONS_OPENED] = COUNTER("connections_opened", "WebSocket connections upgraded"),
	[METRIC_CONNECTIONS_REFUSED] =
		COUNTER("connections_refused", "Sockets or upgrades turned away"),
	[METRIC_HANDSHAKES] = GAUGE("handshakes", "Sockets whose first request is not complete"),
	[METRIC_ROOMS] = GAUGE("rooms", "Documents open now"),
	[METRIC_ROOMS_CLOSED] = COUNTER("rooms_closed", "Open documents that were deleted or renamed"),
	[METRIC_MESSAGES_RECEIVED] = COUNTER("messages_received", "Whole messages from clients"),
	[METRIC_BYTES_RECEIVED] = COUNTER("received_bytes", "Bytes of whole messages from clients"),
	[METRIC_MESSAGES_UNKNOWN] =
		COUNTER("messages_unknown", "Messages of a type the protocol says to ignore"),
	[METRIC_MESSAGES_MALFORMED] = COUNTER("messages_malformed", "Messages that broke the protocol"),
	[METRIC_SYNCS] = COUNTER("syncs", "Sync steps 1 answered"),
	[METRIC_UPDATES_RECEIVED] = COUNTER("updates_received", "Updates taken from clients"),
	[METRIC_UPDATES_REFUSED] = COUNTER("updates_refused", "Updates the database refused"),
	[METRIC_BATCHES] = COUNTER("batches", "Batches committed"),
	[METRIC_BATCHES_SENT_AGAIN] =
		COUNTER("batches_sent_again", "Batches sent again after an unknown or transient outcome"),
	[METRIC_PENDING_BYTES] = GAUGE("pending_bytes", "Bytes of updates not yet committed"),
	[METRIC_REASSEMBLY_BYTES] = GAUGE("reassembly_bytes", "Bytes of messages not yet complete"),
	[METRIC_FRAMES_PUBLISHED] = COUNTER("frames_published", "Frames appended to room logs"),
	[METRIC_WRITES] = COUNTER("writes", "Write calls to clients"),
	[METRIC_BYTES_SENT] = COUNTER("sent_bytes", "Bytes written to clients"),
	[METRIC_FELL_BEHIND] = COUNTER("fell_behind", "Times a slow connection fell behind"),
	[METRIC_FETCHES] = COUNTER("fetches", "Changes fetched that others committed"),
	[METRIC_EPOCH_CHANGES] = COUNTER("epoch_changes", "Documents found in a new epoch"),
	[METRIC_NOTIFICATIONS] = COUNTER("notifications", "Notifications from the database"),
	[METRIC_NOTIFICATIONS_FOREIGN] =
		COUNTER("notifications_foreign", "Messages between relays that no relay has sealed"),
	[METRIC_RELAYS] = GAUGE("other_relays", "Other relays on the database that live"),
	[METRIC_PRESENCE_CLIENTS] = GAUGE("presence_clients", "Awareness states of clients here"),
	[METRIC_PRESENCE_BYTES] = GAUGE("presence_bytes", "Memory that awareness states take"),
	[METRIC_PRESENCE_ACCEPTED] = COUNTER("presence_accepted", "Awareness entries accepted"),
	[METRIC_PRESENCE_IGNORED] =
		COUNTER("presence_ignored", "Awareness entries old, known or of somebody else"),
	[METRIC_PRESENCE_REFUSED] =
		COUNTER("presence_refused", "Awareness entries too large, too many or not JSON"),
	[METRIC_DATABASE_UP] = GAUGE("database_connections_up", "Database connections that work"),
	[METRIC_DATABASE_CONNECTS] = COUNTER("database_connects", "Database connections established"),
};

static int64_t values[METRIC_COUNT];

void
metrics_add(Metric metric, int64_t amount)
{
	values[metric] += amount;
}

void
metrics_set(Metric metric, int64_t value)
{
	values[metric] = value;
}

char *
metrics_text(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	for (int i = 0; i < METRIC_COUNT; i++)
	{
		const MetricInfo *info = &infos[i];

		fprintf(out, "# TYPE ydoc_relay_%s %s\n", info->name,
				info->is_counter ? "counter" : "gauge");
		fprintf(out, "# HELP ydoc_relay_%s %s.\n", info->name, info->help);
		fprintf(out, "ydoc_relay_%s%s %" PRId64 "\n", info->name, info->is_counter ? "_total" : "",
				values[i]);
	}
	fputs("# EOF\n", out);
	return fclose(out) == 0 ? text : NULL;
}
