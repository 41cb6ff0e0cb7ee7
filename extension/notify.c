/*
 * notify.c: collects what a transaction changed and tells listeners when it commits (notify.h).
 */
#include "notify.h"

#include "access/xact.h"
#include "commands/async.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pg_ydoc.h"
#include "stat.h"

#define CHANNEL "ydoc"
#define INT64_CHARACTERS 20 /* at most, its sign included */

typedef struct ChangedDocument
{
	char *name;
	int64 epoch;
	int64 seq;
	SubTransactionId changed_in;
	int ordinal; /* in the order of time */
} ChangedDocument;

static ChangedDocument *changed = NULL; /* in the transaction's memory */
static int changed_count = 0;
static int changed_capacity = 0;

void
notify_changed(const char *document, int64 epoch, int64 seq)
{
	MemoryContext old_context;

	if (!ydoc_notify_enabled)
		return;
	if (changed_count > 0)
	{
		ChangedDocument *last = &changed[changed_count - 1];

		/* many calls for one document are one entry */
		if (last->changed_in == GetCurrentSubTransactionId() && strcmp(last->name, document) == 0)
		{
			last->epoch = epoch;
			last->seq = seq;
			return;
		}
	}
	old_context = MemoryContextSwitchTo(TopTransactionContext);
	if (changed_count == changed_capacity)
	{
		changed_capacity = Max(2 * changed_capacity, 16);
		changed = changed == NULL ? palloc(changed_capacity * sizeof(ChangedDocument))
								  : repalloc(changed, changed_capacity * sizeof(ChangedDocument));
	}
	changed[changed_count++] = (ChangedDocument){.name = pstrdup(document),
												 .epoch = epoch,
												 .seq = seq,
												 .changed_in = GetCurrentSubTransactionId()};
	MemoryContextSwitchTo(old_context);
}

static void
forget(void)
{
	/* the memory goes with the transaction */
	changed = NULL;
	changed_count = 0;
	changed_capacity = 0;
}

static int
by_name_and_time(const void *a, const void *b)
{
	const ChangedDocument *left = a;
	const ChangedDocument *right = b;
	int order = strcmp(left->name, right->name);

	return order != 0 ? order : left->ordinal - right->ordinal;
}

/* EPOCH SEQ NAME.  A batch has a hundred of these: printf would take longer than to queue them. */
static void
send_one(const ChangedDocument *document)
{
	char *payload = palloc(2 * (INT64_CHARACTERS + 1) + strlen(document->name) + 1);
	char *end = payload;

	end += pg_lltoa(document->epoch, end);
	*end++ = ' ';
	end += pg_lltoa(document->seq, end);
	*end++ = ' ';
	strcpy(end, document->name);
	Async_Notify(CHANNEL, payload);
	pfree(payload);
	stat_count(STAT_NOTIFICATIONS, 1);
}

static void
send_all(void)
{
	for (int i = 0; i < changed_count; i++)
		changed[i].ordinal = i;
	qsort(changed, changed_count, sizeof(ChangedDocument), by_name_and_time);
	for (int i = 0; i < changed_count; i++)
		if (i + 1 == changed_count || strcmp(changed[i].name, changed[i + 1].name) != 0)
			send_one(&changed[i]);
}

static void
at_transaction_end(XactEvent event, void *argument)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (changed_count > 0)
				send_all();
			forget();
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (changed_count > 0)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot prepare a transaction that has changed documents"),
						 errhint("Listeners could not be told of it.  Set ydoc.notify to off for "
								 "such transactions.")));
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE: forget(); break;
		default: break;
	}
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
					  void *argument)
{
	int kept = 0;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (int i = 0; i < changed_count; i++)
	{
		if (changed[i].changed_in == id)
		{
			if (event == SUBXACT_EVENT_ABORT_SUB)
				continue;
			changed[i].changed_in = parent;
		}
		changed[kept++] = changed[i];
	}
	changed_count = kept;
}

void
notify_register(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}
