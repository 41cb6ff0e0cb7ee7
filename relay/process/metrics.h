/*
 * Counters, gauges and histograms, and their text for Prometheus and its kin (OpenMetrics 1.0).
 *
 *     metrics_add(METRIC_UPDATES_RECEIVED, 1);
 *     metrics_set(METRIC_CONNECTIONS, connection_count());
 *     double began = metrics_clock();   ...   metrics_observe(HISTOGRAM_COMMIT, metrics_clock() - began);
 *
 * One thread, so plain integers do.  With several workers each counts in a cell of memory that all
 * can read (board.h), since a scrape reaches any one of them.
 */
#ifndef RELAY_METRICS_H
#define RELAY_METRICS_H

#include <stdint.h>

typedef enum Metric
{
	METRIC_START_TIME,
	METRIC_CONNECTIONS,
	METRIC_CONNECTIONS_OPENED,
	METRIC_CONNECTIONS_REFUSED,
	METRIC_CONNECTIONS_CLOSED_BY_US,
	METRIC_HANDSHAKES,
	METRIC_ADDRESSES_LIMITED,
	METRIC_USERS_LIMITED,
	METRIC_HTTP_REQUESTS,
	METRIC_HTTP_PROBLEMS,
	METRIC_HTTP_BODY_BYTES,
	METRIC_HTTP_ANSWER_BYTES,
	METRIC_ROOMS,
	METRIC_ROOMS_CLOSED,
	METRIC_MESSAGES_RECEIVED,
	METRIC_BYTES_RECEIVED,
	METRIC_MESSAGES_UNKNOWN,
	METRIC_MESSAGES_MALFORMED,
	METRIC_MESSAGES_UNADDRESSED,
	METRIC_MEMBERS_CLOSED,
	METRIC_STATELESS,
	METRIC_STATELESS_DENIED,
	METRIC_STATELESS_LOST,
	METRIC_THROTTLED,
	METRIC_SYNCS,
	METRIC_SYNCS_SHARED,
	METRIC_SYNC_QUERIES,
	METRIC_LOAD_BYTES,
	METRIC_UPDATES_RECEIVED,
	METRIC_UPDATES_REFUSED,
	METRIC_UPDATES_DENIED,
	METRIC_TOKENS_REFUSED,
	METRIC_ACCESS_QUESTIONS,
	METRIC_BATCHES,
	METRIC_BATCHES_SENT_AGAIN,
	METRIC_UPDATES_TURNED_AWAY,
	METRIC_PENDING_BYTES,
	METRIC_OLDEST_PENDING_MS,
	METRIC_BREAKERS_OPEN,
	METRIC_REASSEMBLY_BYTES,
	METRIC_FRAMES_PUBLISHED,
	METRIC_WRITES,
	METRIC_BYTES_SENT,
	METRIC_FELL_BEHIND,
	METRIC_CAUGHT_UP,
	METRIC_FETCHES,
	METRIC_CHECKS,
	METRIC_EPOCH_CHANGES,
	METRIC_NOTIFICATIONS,
	METRIC_NOTIFICATIONS_FOREIGN,
	METRIC_NOTIFY_QUEUE_USAGE, /* in millionths */
	METRIC_NOTIFIES,
	METRIC_RELAYS,
	METRIC_PRESENCE_CLIENTS,
	METRIC_PRESENCE_BYTES,
	METRIC_PRESENCE_ACCEPTED,
	METRIC_PRESENCE_IGNORED,
	METRIC_PRESENCE_REFUSED,
	METRIC_PRESENCE_COALESCED,
	METRIC_PRESENCE_NOT_SHARED,
	METRIC_DATABASE_UP,
	METRIC_DATABASE_CONNECTS,
	METRIC_DATABASE_DISCONNECTS,
	METRIC_WORKER_FAILURES,
	METRIC_COUNT
} Metric;

typedef enum Histogram /* of seconds */
{
	HISTOGRAM_QUEUE, /* an update waits for its batch to leave */
	HISTOGRAM_COMMIT, /* a batch is with the database */
	HISTOGRAM_DELIVERY, /* both, until the update is on its way to the others */
	HISTOGRAM_COUNT
} Histogram;

enum
{
	METRIC_BUCKETS = 15 /* the last one takes everything */
};

typedef struct MetricsCell
{
	int64_t values[METRIC_COUNT];
	int64_t buckets[HISTOGRAM_COUNT][METRIC_BUCKETS];
	double sums[HISTOGRAM_COUNT];
} MetricsCell;

void metrics_add(Metric metric, int64_t amount);
void metrics_set(Metric metric, int64_t value);
void metrics_observe(Histogram histogram, double seconds);

/* Seconds of a clock that is good for differences, read anew: within a round, too. */
double metrics_clock(void);

/* What is counted from now on is counted there; the cell must stay.  NULL: in a cell of our own. */
void metrics_use_cell(MetricsCell *cell);
const MetricsCell *metrics_cell(void);

/* Adds what never goes back, and what stands now if so wished: of what both say of one thing, the larger. */
void metrics_cell_add(MetricsCell *sum, const MetricsCell *cell, int with_gauges);

/*
 * OpenMetrics text of these cells; the caller frees it.  NULL when out of memory.  workers: the
 * number of each cell's worker, for its label; NULL: one cell without a label.
 */
char *metrics_text(const MetricsCell *cells, const int *workers, int count);

#endif
