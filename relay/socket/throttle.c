/*
 * throttle.c: buckets, and who waits for them to fill.
 *
 * Here: counting, pausing, resuming.  Not here: how a socket is not read (connection.c).
 */
#include "throttle.h"

#include "config.h"
#include "loop.h"
#include "member.h"
#include "metrics.h"
#include "presence.h"
#include "ywebsocket.h"

#define TICK 0.02
#define COSTLY_MESSAGES 20.0 /* that a costly one counts for */
#define BURST_SECONDS 2.0 /* a bucket holds what its rate gives in this time */

static Connection *waiting;
static ev_timer tick_timer;

static bool take(Bucket *bucket, double amount, int64_t rate);
static bool has(Bucket *bucket, double amount, int64_t rate);
static void list(Connection *connection);
static void tick(struct ev_loop *, ev_timer *, int);
static bool look_again(Connection *connection);
static bool look_at_presence(Member *member);
static void take_held_presence(Member *member);

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
	bool has_messages = take(&throttle->messages, 1.0, config.max_message_rate);
	bool has_bytes = take(&throttle->bytes, (double) bytes, config.max_byte_rate);

	if ((has_messages && has_bytes) || !connection_is_open(connection))
		return;
	connection_pause(connection, PAUSE_RATE);
	metrics_add(METRIC_THROTTLED, 1);
	list(connection);
}

void
throttle_costly_message(Connection *connection)
{
	(void) take(&connection->throttle.messages, COSTLY_MESSAGES, config.max_message_rate);
}

bool
throttle_holds_presence(Member *member, Bytes entries)
{
	Buffer *held = &member->held_presence;

	if (held->size == 0 && has(&member->presence, 1.0, config.max_presence_rate))
	{
		(void) take(&member->presence, 1.0, config.max_presence_rate);
		return false;
	}
	if (held->size > 0)
		metrics_add(METRIC_PRESENCE_COALESCED, 1);
	buffer_reset(held);
	buffer_write(held, entries); /* without memory it is dropped: presence may */
	list(member->connection);
	return true;
}

/* Takes amount, whether it is there or not; false if the bucket is in debt now. */
static bool
take(Bucket *bucket, double amount, int64_t rate)
{
	return bucket_take(bucket, amount, (double) rate, (double) rate * BURST_SECONDS);
}

static bool
has(Bucket *bucket, double amount, int64_t rate)
{
	return bucket_has(bucket, amount, (double) rate, (double) rate * BURST_SECONDS);
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
	bool may_read = has(&throttle->messages, 1.0, config.max_message_rate) &&
					has(&throttle->bytes, 1.0, config.max_byte_rate);
	bool holds_presence = false;

	for (Member *member = connection->members; member != NULL; member = member->next)
		holds_presence |= look_at_presence(member);
	if (!connection_is_open(connection))
		return false;
	if (may_read)
		connection_resume(connection, PAUSE_RATE);
	return !may_read || holds_presence;
}

/* Does it still hold some? */
static bool
look_at_presence(Member *member)
{
	if (member->held_presence.size > 0 && member_is_open(member) &&
		has(&member->presence, 1.0, config.max_presence_rate))
		take_held_presence(member);
	return member->held_presence.size > 0 && member_is_open(member);
}

static void
take_held_presence(Member *member)
{
	Buffer held = member->held_presence;

	member->held_presence = (Buffer){0};
	(void) take(&member->presence, 1.0, config.max_presence_rate);
	int code = presence_take(member, buffer_view(&held));

	if (code != 0)
		member_close(member, (uint16_t) code, ywebsocket_reason(code));
	buffer_free(&held);
}
