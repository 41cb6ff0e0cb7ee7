/*
 * Counters and gauges, and their text for Prometheus and its kin (OpenMetrics 1.0).
 *
 *     metrics_add(METRIC_UPDATES_RECEIVED, 1);
 *     metrics_set(METRIC_CONNECTIONS, connection_count());
 *     char *text = metrics_text();      ...      free(text);
 *
 * One thread, so plain integers do.
 */
#ifndef RELAY_METRICS_H
#define RELAY_METRICS_H

#include <stdint.h>

typedef enum Metric
{
	METRIC_CONNECTIONS,
	METRIC_CONNECTIONS_OPENED,
	METRIC_CONNECTIONS_REFUSED,
	METRIC_HANDSHAKES,
	METRIC_ROOMS,
	METRIC_ROOMS_CLOSED,
	METRIC_MESSAGES_RECEIVED,
	METRIC_BYTES_RECEIVED,
	METRIC_MESSAGES_UNKNOWN,
	METRIC_MESSAGES_MALFORMED,
	METRIC_SYNCS,
	METRIC_UPDATES_RECEIVED,
	METRIC_UPDATES_REFUSED,
	METRIC_BATCHES,
	METRIC_BATCHES_SENT_AGAIN,
	METRIC_PENDING_BYTES,
	METRIC_REASSEMBLY_BYTES,
	METRIC_FRAMES_PUBLISHED,
	METRIC_WRITES,
	METRIC_BYTES_SENT,
	METRIC_FELL_BEHIND,
	METRIC_FETCHES,
	METRIC_EPOCH_CHANGES,
	METRIC_NOTIFICATIONS,
	METRIC_PRESENCE_ACCEPTED,
	METRIC_PRESENCE_IGNORED,
	METRIC_PRESENCE_NOT_SHARED,
	METRIC_DATABASE_UP,
	METRIC_DATABASE_CONNECTS,
	METRIC_COUNT
} Metric;

void metrics_add(Metric metric, int64_t amount);
void metrics_set(Metric metric, int64_t value);

/* All of them as OpenMetrics text; the caller frees it.  NULL when out of memory. */
char *metrics_text(void);

#endif
