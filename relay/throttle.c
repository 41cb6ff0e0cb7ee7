/*
 * throttle.c: buckets, and who waits for them to fill.
 *
 * Here: counting, pausing, resuming.  Not here: how a socket is not read (connection.c).
 */
#include "throttle.h"

#include "config.h"
#include "connection.h"
#include "loop.h"
#include "metrics.h"
#include "presence.h"
#include "ywebsocket.h"

#define TICK 0.02
#define BURST_SECONDS 2.0 /* a bucket holds what its rate gives in this time */

static Connection *waiting;
static ev_timer tick_timer;

static bool bucket_take(Bucket *bucket, double amount, int64_t rate);
static bool bucket_has(Bucket *bucket, double amount, int64_t rate);
static void list(Connection *connection);
static void tick(struct ev_loop *, ev_timer *, int);
static bool look_again(Connection *connection);
static void take_held_presence(Connection *connection);

void
throttle_start(void)
{
	ev_timer_init(&tick_timer, tick, TICK, TICK);
}

void
throttle_stop(void)
{
	for (Connection *connection; (connection = waiting) != NULL;)
	{
		waiting = connection->throttle.next;
		connection_release(connection);
	}
}

void
throttle_message(Connection *connection, size_t bytes)
{
	Throttle *throttle = &connection->throttle;
	bool has_messages = bucket_take(&throttle->messages, 1.0, config.max_message_rate);
	bool has_bytes = bucket_take(&throttle->bytes, (double) bytes, config.max_byte_rate);

	if ((has_messages && has_bytes) || !connection_is_open(connection))
		return;
	connection_pause(connection, PAUSE_RATE);
	metrics_add(METRIC_THROTTLED, 1);
	list(connection);
}

bool
throttle_holds_presence(Connection *connection, Bytes entries)
{
	Throttle *throttle = &connection->throttle;

	if (throttle->held_presence.size == 0 &&
		bucket_has(&throttle->presence, 1.0, config.max_presence_rate))
	{
		(void) bucket_take(&throttle->presence, 1.0, config.max_presence_rate);
		return false;
	}
	if (throttle->held_presence.size > 0)
		metrics_add(METRIC_PRESENCE_COALESCED, 1);
	buffer_reset(&throttle->held_presence);
	buffer_write(&throttle->held_presence,
				 entries); /* without memory it is dropped: presence may */
	list(connection);
	return true;
}

void
throttle_free(Throttle *throttle)
{
	buffer_free(&throttle->held_presence);
}

/* Lets time flow in; rate 0: there is no limit. */
static void
bucket_fill(Bucket *bucket, int64_t rate)
{
	double now = loop_now();

	bucket->taken -= (now - bucket->at) * (double) rate;
	if (bucket->taken < 0.0)
		bucket->taken = 0.0;
	bucket->at = now;
}

/* Takes amount, whether it is there or not; false if the bucket is in debt now. */
static bool
bucket_take(Bucket *bucket, double amount, int64_t rate)
{
	if (rate == 0)
		return true;
	bucket_fill(bucket, rate);
	bucket->taken += amount;
	return bucket->taken <= (double) rate * BURST_SECONDS;
}

static bool
bucket_has(Bucket *bucket, double amount, int64_t rate)
{
	if (rate == 0)
		return true;
	bucket_fill(bucket, rate);
	return bucket->taken + amount <= (double) rate * BURST_SECONDS;
}

static void
list(Connection *connection)
{
	if (connection->throttle.is_listed)
		return;
	connection->throttle.is_listed = true;
	connection->throttle.next = waiting;
	waiting = connection_retain(connection);
	if (!ev_is_active(&tick_timer))
		ev_timer_again(loop_ev(), &tick_timer);
}

static void
tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	Connection **place = &waiting;

	(void) events;
	while (*place != NULL)
	{
		Connection *connection = *place;

		if (look_again(connection))
		{
			place = &connection->throttle.next;
			continue;
		}
		*place = connection->throttle.next;
		connection->throttle.is_listed = false;
		connection_release(connection);
	}
	if (waiting == NULL)
		ev_timer_stop(loop, timer);
}

/* Does it still wait for something? */
static bool
look_again(Connection *connection)
{
	Throttle *throttle = &connection->throttle;
	bool may_read = bucket_has(&throttle->messages, 1.0, config.max_message_rate) &&
					bucket_has(&throttle->bytes, 1.0, config.max_byte_rate);

	if (!connection_is_open(connection))
		return false;
	if (throttle->held_presence.size > 0 &&
		bucket_has(&throttle->presence, 1.0, config.max_presence_rate))
		take_held_presence(connection);
	if (may_read)
		connection_resume(connection, PAUSE_RATE);
	return !may_read || throttle->held_presence.size > 0;
}

static void
take_held_presence(Connection *connection)
{
	Buffer held = connection->throttle.held_presence;

	connection->throttle.held_presence = (Buffer){0};
	(void) bucket_take(&connection->throttle.presence, 1.0, config.max_presence_rate);
	int code = presence_take(connection, buffer_view(&held));

	if (code != 0)
		connection_close(connection, (uint16_t) code, ywebsocket_reason(code));
	buffer_free(&held);
}
