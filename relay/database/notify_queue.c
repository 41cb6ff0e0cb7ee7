/*
 * notify_queue.c: how full it is, and what follows (notify_queue.h).
 *
 * Here: asking, deciding.  Not here: how a commit is kept silent (batch.c, database.c).
 */
#include "notify_queue.h"

#include <jansson.h>

#include "catch_up.h"
#include "config.h"
#include "database.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"

#define ASK_SECONDS 10.0
#define POLL_SECONDS 1.0 /* the heads of all rooms, while commits are silent */
#define REMIND_SECONDS 300.0
#define PPM_PER_PERCENT 10000

static DatabaseQuery query;
static bool is_asking, is_avoided;
static double warned_at;
static ev_timer timer;

static void turn(struct ev_loop *, ev_timer *, int);
static void usage_done(DatabaseQuery *query, const DatabaseAnswer *answer);
static void judge(int64_t usage_ppm);
static void avoid(bool avoided, const char *reason);

void
notify_queue_start(void)
{
	metrics_set(METRIC_NOTIFIES, 1);
	ev_timer_init(&timer, turn, POLL_SECONDS, ASK_SECONDS);
	ev_timer_start(loop_ev(), &timer);
}

bool
notify_queue_is_avoided(void)
{
	return is_avoided;
}

void
notify_queue_suspect(void)
{
	if (!is_avoided)
		avoid(true, "a commit failed on a limit");
}

static void
turn(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) loop, (void) watcher, (void) events;
	if (is_avoided)
		room_check_all();
	if (is_asking)
		return;
	is_asking = true;
	query = (DatabaseQuery){.statement = STATEMENT_QUEUE_USAGE, .done = usage_done};
	database_submit(0, &query);
}

static void
usage_done(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	(void) database_query;
	is_asking = false;
	if (answer->row_count == 1)
		judge(database_number(answer, 0, 0));
}

static void
judge(int64_t usage_ppm)
{
	bool is_alarming = usage_ppm >= config.notify_alarm * PPM_PER_PERCENT;

	metrics_set(METRIC_NOTIFY_QUEUE_USAGE, usage_ppm);
	if (is_alarming && (warned_at == 0.0 || loop_now() - warned_at > REMIND_SECONDS))
	{
		warned_at = loop_now();
		log_event(LEVEL_WARNING, "notify_queue_fills", "{s:f, s:s}", "usage",
				  (double) usage_ppm / 1e6, "hint",
				  "A session that listens does not read; pg_stat_activity shows those idle in "
				  "transaction.");
	}
	if (!is_alarming)
		warned_at = 0.0;
	if (!is_avoided && usage_ppm >= config.notify_off * PPM_PER_PERCENT)
		avoid(true, "the notification queue fills");
	else if (is_avoided && !is_alarming)
		avoid(false, "the notification queue has room");
}

static void
avoid(bool avoided, const char *reason)
{
	is_avoided = avoided;
	metrics_set(METRIC_NOTIFIES, !avoided);
	log_event(avoided ? LEVEL_ERROR : LEVEL_WARNING, avoided ? "notify_off" : "notify_on", "{s:s}",
			  "reason", reason);
	ev_timer_stop(loop_ev(), &timer);
	timer.repeat = avoided ? POLL_SECONDS : ASK_SECONDS;
	ev_timer_again(loop_ev(), &timer);
}
