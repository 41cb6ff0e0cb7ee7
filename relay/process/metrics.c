/*
 * metrics.c: the tables of counters, gauges and histograms, and their text.
 *
 * Here: names, help, text.  Not here: the HTTP answer (http.c), cells of several workers (board.c).
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"

#define PREFIX "ydoc_relay_"

typedef struct MetricInfo
{
	const char *name;
	bool is_counter;
	const char *help;
	double scale; /* of a gauge that is no whole number; 0: it is one */
	bool is_shared; /* a gauge: two processes say it of the same thing, so that a sum is nothing */
} MetricInfo;

#define COUNTER(metric_name, help_text)                            \
	{                                                              \
		.name = metric_name, .is_counter = true, .help = help_text \
	}
#define GAUGE(metric_name, help_text)                               \
	{                                                               \
		.name = metric_name, .is_counter = false, .help = help_text \
	}
#define SHARED(metric_name, unit, help_text)                                     \
	{                                                                            \
		.name = metric_name, .help = help_text, .scale = unit, .is_shared = true \
	}

static const MetricInfo infos[METRIC_COUNT] = {
	[METRIC_START_TIME] =
		GAUGE("start_time_seconds", "When the process started, seconds since 1970"),
	[METRIC_CONNECTIONS] = GAUGE("connections", "WebSocket connections open now"),
	[METRIC_CONNECTIONS_OPENED] = COUNTER("connections_opened", "WebSocket connections upgraded"),
	[METRIC_CONNECTIONS_REFUSED] =
		COUNTER("connections_refused", "Sockets or upgrades turned away"),
	[METRIC_CONNECTIONS_CLOSED_BY_US] =
		COUNTER("connections_closed_by_relay", "WebSocket connections that the relay closed"),
	[METRIC_HANDSHAKES] = GAUGE("handshakes", "Sockets whose first request is not complete"),
	[METRIC_ADDRESSES_LIMITED] =
		COUNTER("addresses_limited", "Sockets turned away for what their address does"),
	[METRIC_USERS_LIMITED] =
		COUNTER("users_limited", "Connections turned away whose user has as many as he may"),
	[METRIC_HTTP_REQUESTS] = COUNTER("http_requests", "Requests over plain HTTP, without files"),
	[METRIC_HTTP_PROBLEMS] = COUNTER("http_problems", "Such requests that were refused or failed"),
	[METRIC_HTTP_BODY_BYTES] = GAUGE("http_body_bytes", "Bytes of requests that are being read"),
	[METRIC_HTTP_ANSWER_BYTES] =
		GAUGE("http_answer_bytes", "Bytes of answers that are being written"),
	[METRIC_ROOMS] = GAUGE("rooms", "Documents open now"),
	[METRIC_ROOMS_CLOSED] = COUNTER("rooms_closed", "Open documents that were deleted or renamed"),
	[METRIC_MESSAGES_RECEIVED] = COUNTER("messages_received", "Whole messages from clients"),
	[METRIC_BYTES_RECEIVED] = COUNTER("received_bytes", "Bytes of whole messages from clients"),
	[METRIC_MESSAGES_UNKNOWN] =
		COUNTER("messages_unknown", "Messages of a type the protocol says to ignore"),
	[METRIC_MESSAGES_MALFORMED] = COUNTER("messages_malformed", "Messages that broke the protocol"),
	[METRIC_MESSAGES_UNADDRESSED] = COUNTER(
		"messages_unaddressed", "Messages for documents that are not open on their connection"),
	[METRIC_MEMBERS_CLOSED] =
		COUNTER("documents_closed", "Documents closed on connections that went on"),
	[METRIC_STATELESS] = COUNTER("stateless_messages", "Stateless messages passed on"),
	[METRIC_STATELESS_DENIED] =
		COUNTER("stateless_messages_denied", "Stateless messages of clients that may only read"),
	[METRIC_STATELESS_LOST] =
		COUNTER("stateless_lost", "Times a slow client missed stateless messages"),
	[METRIC_THROTTLED] = COUNTER("throttled", "Times a connection sent too fast to be read on"),
	[METRIC_SYNCS] = COUNTER("syncs", "Documents loaded by clients, whole or in part"),
	[METRIC_SYNCS_SHARED] =
		COUNTER("syncs_shared", "Windows of slices that somebody else had asked for"),
	[METRIC_SYNC_QUERIES] = COUNTER("sync_queries", "Windows of slices asked of the database"),
	[METRIC_LOAD_BYTES] = GAUGE("load_bytes", "Bytes of slices held for clients that load"),
	[METRIC_UPDATES_RECEIVED] = COUNTER("updates_received", "Updates taken from clients"),
	[METRIC_UPDATES_REFUSED] = COUNTER("updates_refused", "Updates the database refused"),
	[METRIC_UPDATES_DENIED] = COUNTER("updates_denied", "Updates of clients that may only read"),
	[METRIC_TOKENS_REFUSED] =
		COUNTER("tokens_refused", "Connections and documents refused for a bad token"),
	[METRIC_ACCESS_QUESTIONS] =
		COUNTER("access_questions", "Questions to the database about levels of access"),
	[METRIC_BATCHES] = COUNTER("batches", "Batches committed"),
	[METRIC_BATCHES_SENT_AGAIN] =
		COUNTER("batches_sent_again", "Batches sent again after an unknown or transient outcome"),
	[METRIC_UPDATES_TURNED_AWAY] =
		COUNTER("updates_turned_away", "Updates not taken because too much waits, or for too long"),
	[METRIC_PENDING_BYTES] = GAUGE("pending_bytes", "Bytes of updates not yet committed"),
	[METRIC_OLDEST_PENDING_MS] = SHARED("oldest_pending_milliseconds", 0,
										"How long the oldest update not yet committed waits"),
	[METRIC_BREAKERS_OPEN] = GAUGE("breakers_open", "Writers for which no updates are taken"),
	[METRIC_REASSEMBLY_BYTES] = GAUGE("reassembly_bytes", "Bytes of messages not yet complete"),
	[METRIC_FRAMES_PUBLISHED] = COUNTER("frames_published", "Frames appended to room logs"),
	[METRIC_WRITES] = COUNTER("writes", "Write calls to clients"),
	[METRIC_BYTES_SENT] = COUNTER("sent_bytes", "Bytes written to clients"),
	[METRIC_FELL_BEHIND] = COUNTER("fell_behind", "Times a slow connection fell behind"),
	[METRIC_CAUGHT_UP] =
		COUNTER("caught_up", "Times such a connection was sent what it had missed"),
	[METRIC_FETCHES] = COUNTER("fetches", "Changes fetched that others committed"),
	[METRIC_CHECKS] = COUNTER("checks", "Times all documents were compared with the database"),
	[METRIC_EPOCH_CHANGES] = COUNTER("epoch_changes", "Documents found in a new epoch"),
	[METRIC_NOTIFICATIONS] = COUNTER("notifications", "Notifications from the database"),
	[METRIC_NOTIFICATIONS_FOREIGN] =
		COUNTER("notifications_foreign", "Messages between relays that no relay has sealed"),
	[METRIC_NOTIFY_QUEUE_USAGE] =
		SHARED("notify_queue_usage_ratio", 1e-6, "Share of the server's notification queue in use"),
	[METRIC_NOTIFIES] = SHARED(
		"notifies", 0, "1 while commits of this relay raise notifications, 0 while it polls"),
	[METRIC_RELAYS] = SHARED("other_relays", 0, "Other relays on the database that live"),
	[METRIC_PRESENCE_CLIENTS] = GAUGE("presence_clients", "Awareness states of clients here"),
	[METRIC_PRESENCE_BYTES] = GAUGE("presence_bytes", "Memory that awareness states take"),
	[METRIC_PRESENCE_ACCEPTED] = COUNTER("presence_accepted", "Awareness entries accepted"),
	[METRIC_PRESENCE_IGNORED] =
		COUNTER("presence_ignored", "Awareness entries old, known or of somebody else"),
	[METRIC_PRESENCE_REFUSED] =
		COUNTER("presence_refused", "Awareness entries too large, too many or not JSON"),
	[METRIC_PRESENCE_COALESCED] = COUNTER(
		"presence_coalesced", "Awareness messages that came too fast and gave way to newer ones"),
	[METRIC_PRESENCE_NOT_SHARED] =
		COUNTER("presence_not_shared", "Awareness entries too large to tell other relays"),
	[METRIC_DATABASE_UP] = GAUGE("database_connections_up", "Database connections that work"),
	[METRIC_DATABASE_CONNECTS] = COUNTER("database_connects", "Database connections established"),
	[METRIC_DATABASE_DISCONNECTS] = COUNTER("database_disconnects", "Database connections lost"),
	[METRIC_WORKER_FAILURES] =
		COUNTER("worker_failures", "Processes of the worker that ended in no order"),
};

static const MetricInfo histogram_infos[HISTOGRAM_COUNT] = {
	[HISTOGRAM_QUEUE] = {.name = "update_queue_seconds",
						 .help = "From an update's arrival to its batch's departure"},
	[HISTOGRAM_COMMIT] = {.name = "commit_seconds",
						  .help = "From a batch's departure to the answer that it is committed"},
	[HISTOGRAM_DELIVERY] = {.name = "update_delivery_seconds",
							.help = "From an update's arrival to its way to the other members"},
};

static const struct
{
	double most;
	const char *text;
} bounds[METRIC_BUCKETS] = {
	{0.0005, "0.0005"}, {0.001, "0.001"}, {0.0025, "0.0025"}, {0.005, "0.005"}, {0.01, "0.01"},
	{0.025, "0.025"},   {0.05, "0.05"},   {0.1, "0.1"},       {0.25, "0.25"},   {0.5, "0.5"},
	{1.0, "1.0"},       {2.5, "2.5"},     {5.0, "5.0"},       {10.0, "10.0"},   {1e300, "+Inf"},
};

static MetricsCell first_cell;
static MetricsCell *cell = &first_cell;

static void write_head(FILE *out, const MetricInfo *info, const char *type);
static const char *unit_of(const char *name);
static void write_label(FILE *out, const int *workers, int i);
static void
write_metric(FILE *out, const MetricsCell *cells, const int *workers, int count, Metric metric);
static void write_histogram(FILE *out, const MetricsCell *cells, const int *workers, int count,
							Histogram histogram);

void
metrics_add(Metric metric, int64_t amount)
{
	cell->values[metric] += amount;
}

void
metrics_set(Metric metric, int64_t value)
{
	cell->values[metric] = value;
}

void
metrics_observe(Histogram histogram, double seconds)
{
	int i = 0;

	while (i < METRIC_BUCKETS - 1 && seconds > bounds[i].most)
		i++;
	cell->buckets[histogram][i]++;
	cell->sums[histogram] += seconds;
}

double
metrics_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

void
metrics_use_cell(MetricsCell *other)
{
	cell = other != NULL ? other : &first_cell;
	metrics_set(METRIC_START_TIME, (int64_t) time(NULL));
}

const MetricsCell *
metrics_cell(void)
{
	return cell;
}

void
metrics_cell_add(MetricsCell *sum, const MetricsCell *more, int with_gauges)
{
	for (int i = 0; i < METRIC_COUNT; i++)
		if (infos[i].is_shared && with_gauges && sum->values[i] < more->values[i])
			sum->values[i] = more->values[i];
		else if (infos[i].is_counter || (with_gauges && !infos[i].is_shared))
			sum->values[i] += more->values[i];
	for (int i = 0; i < HISTOGRAM_COUNT; i++)
	{
		sum->sums[i] += more->sums[i];
		for (int k = 0; k < METRIC_BUCKETS; k++)
			sum->buckets[i][k] += more->buckets[i][k];
	}
}

char *
metrics_text(const MetricsCell *cells, const int *workers, int count)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	fputs("# TYPE " PREFIX "build info\n# HELP " PREFIX "build Which relay this is.\n" PREFIX
		  "build_info{version=\"" RELAY_VERSION "\"} 1\n",
		  out);
	for (int i = 0; i < METRIC_COUNT; i++)
		write_metric(out, cells, workers, count, (Metric) i);
	for (int i = 0; i < HISTOGRAM_COUNT; i++)
		write_histogram(out, cells, workers, count, (Histogram) i);
	fputs("# EOF\n", out);
	bool ok = ferror(out) == 0;

	if (fclose(out) == 0 && ok)
		return text;
	free(text);
	return NULL;
}

static void
write_head(FILE *out, const MetricInfo *info, const char *type)
{
	const char *unit = unit_of(info->name);

	fprintf(out, "# TYPE " PREFIX "%s %s\n", info->name, type);
	if (unit != NULL)
		fprintf(out, "# UNIT " PREFIX "%s %s\n", info->name, unit);
	fprintf(out, "# HELP " PREFIX "%s %s.\n", info->name, info->help);
}

/* A name that has a unit ends in it. */
static const char *
unit_of(const char *name)
{
	static const char *const units[] = {"bytes", "seconds", "ratio"};
	const char *last = strrchr(name, '_');

	for (size_t i = 0; last != NULL && i < sizeof units / sizeof units[0]; i++)
		if (strcmp(last + 1, units[i]) == 0)
			return units[i];
	return NULL;
}

static void
write_label(FILE *out, const int *workers, int i)
{
	if (workers != NULL)
		fprintf(out, "{worker=\"%d\"}", workers[i]);
}

static void
write_metric(FILE *out, const MetricsCell *cells, const int *workers, int count, Metric metric)
{
	const MetricInfo *info = &infos[metric];

	write_head(out, info, info->is_counter ? "counter" : "gauge");
	for (int i = 0; i < count; i++)
	{
		fprintf(out, PREFIX "%s%s", info->name, info->is_counter ? "_total" : "");
		write_label(out, workers, i);
		if (info->scale != 0.0)
			fprintf(out, " %.6f\n", (double) cells[i].values[metric] * info->scale);
		else
			fprintf(out, " %" PRId64 "\n", cells[i].values[metric]);
	}
}

static void
write_histogram(FILE *out, const MetricsCell *cells, const int *workers, int count,
				Histogram histogram)
{
	const MetricInfo *info = &histogram_infos[histogram];

	write_head(out, info, "histogram");
	for (int i = 0; i < count; i++)
	{
		int64_t seen = 0;

		for (int k = 0; k < METRIC_BUCKETS; k++)
		{
			seen += cells[i].buckets[histogram][k];
			fprintf(out, PREFIX "%s_bucket{", info->name);
			if (workers != NULL)
				fprintf(out, "worker=\"%d\",", workers[i]);
			fprintf(out, "le=\"%s\"} %" PRId64 "\n", bounds[k].text, seen);
		}
		fprintf(out, PREFIX "%s_sum", info->name);
		write_label(out, workers, i);
		fprintf(out, " %.9f\n" PREFIX "%s_count", cells[i].sums[histogram], info->name);
		write_label(out, workers, i);
		fprintf(out, " %" PRId64 "\n", seen);
	}
}
