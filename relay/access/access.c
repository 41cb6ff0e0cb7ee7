/*
 * access.c: asking ydoc_data.relay_levels, and what follows from its answers.
 *
 * Here: who is asked about and when.  Not here: tokens (identity.c), the rule (the database's), how a
 * member is admitted or closed (member.c).
 *
 * Whoever is asked about waits in a list, in the order in which they came; one question is on its way
 * at a time, so that a storm of them does not keep documents waiting.
 */
#include "access.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "catch_up.h"
#include "member.h"
#include "database.h"
#include "identity.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"

#define MAX_ASKED 200 /* in one question */
#define CHECK_SECONDS 30.0 /* grants that end at a time tell nobody */
#define UNKNOWN_IDENTITY (ACCESS_ADMIN + 1) /* the database does not take what it was shown */
#define MAX_DOUBTS 3 /* of a member: then what it writes is refused for good */
/* a session of the database keeps an answer for a second: ask when that is over */
#define DOUBT_SECONDS 1.2

typedef struct AccessQuery
{
	DatabaseQuery query; /* first */
	Buffer documents, claims; /* parameters */
	Member *members[MAX_ASKED]; /* held */
	Identity *shown[MAX_ASKED]; /* what was asked about; held */
	Identity *live[MAX_ASKED]; /* what is to be shown from now on; held, NULL: the same */
	char *user_name[MAX_ASKED]; /* NULL: nobody's */
	uint32_t count;
} AccessQuery;

static Member *waiting, **waiting_end = &waiting; /* held */
static uint32_t alone; /* so many of the first in the list are asked about one by one */
static const char *ended_session; /* while its members are looked for */
static bool is_asking;
static ev_timer check_timer, doubt_timer;

static AccessQuery *take_waiting(void);
static void add(AccessQuery *query, Member *member);
static void answered(DatabaseQuery *query, const DatabaseAnswer *answer);
static bool read_levels(AccessQuery *query, const DatabaseAnswer *answer, int *levels);
static char *copy_text(Bytes text);
static int read_level(Bytes name);
static void ask_one_by_one(const AccessQuery *query);
static void take_name(AccessQuery *query, uint32_t i);
static void go_live(AccessQuery *query, uint32_t i);
static void query_free(AccessQuery *query);
static void apply(Member *member, AccessLevel level);
static void tell_denial(Member *member);
static void drop_if_outdated(Member *member);
static void enqueue(Member *member);
static void enqueue_if_of_session(Member *member);
static void ask_again(struct ev_loop *, ev_timer *, int);

void
access_start(void)
{
	ev_timer_init(&doubt_timer, ask_again, DOUBT_SECONDS, 0.0);
	ev_timer_init(&check_timer, ask_again, CHECK_SECONDS, CHECK_SECONDS);
	if (identity_is_checked())
		ev_timer_start(loop_ev(), &check_timer);
}

void
access_stop(void)
{
	for (Member *member; (member = waiting) != NULL;)
	{
		waiting = member->next_waiting;
		member_release(member);
	}
	waiting_end = &waiting;
	ev_timer_stop(loop_ev(), &check_timer);
	ev_timer_stop(loop_ev(), &doubt_timer);
}

void
access_ask(Member *member)
{
	enqueue(member);
}

void
access_ask_all(void)
{
	if (identity_is_checked())
		member_each(enqueue);
}

void
access_changed(const char *payload)
{
	static const char prefix[] = "session ";

	if (strncmp(payload, prefix, sizeof prefix - 1) != 0)
	{
		access_ask_all();
		return;
	}
	ended_session = payload + sizeof prefix - 1;
	if (identity_is_checked() && ended_session[0] != '\0')
		member_each(enqueue_if_of_session);
	ended_session = NULL;
}

/* What it shows names its session, unless the first answer is still to come. */
static void
enqueue_if_of_session(Member *member)
{
	const Identity *identity = member->identity;

	if (identity != NULL && identity->is_session &&
		(strncmp(identity->shown, "ydoc_live_", 10) != 0 ||
		 strncmp(identity->shown + 10, ended_session, strlen(ended_session)) == 0))
		enqueue(member);
}

bool
access_doubt(Member *member)
{
	if (member->level == ACCESS_COMMENT)
	{
		tell_denial(member);
		return true;
	}
	if (member->level >= ACCESS_WRITE)
	{
		if (++member->doubts > MAX_DOUBTS)
			return false;
		apply(member, ACCESS_READ);
	}
	if (!ev_is_active(&doubt_timer))
	{
		ev_timer_set(&doubt_timer, DOUBT_SECONDS, 0.0);
		ev_timer_start(loop_ev(), &doubt_timer);
	}
	return true;
}

bool
access_is_denied(Member *member, const char *sqlstate)
{
	if (!identity_is_checked() || sqlstate == NULL)
		return false;
	if (strcmp(sqlstate, "28000") == 0)
	{
		member_close(member, CLOSE_UNAUTHORIZED, "token is not valid any more");
		return true;
	}
	if (strcmp(sqlstate, "42501") != 0)
		return false;
	/* a connection comes back and is told; a document would not */
	member_close(member,
				 member->connection->protocol == PROTOCOL_HOCUSPOCUS ? CLOSE_FORBIDDEN
																	 : CLOSE_OVERLOAD,
				 "rights have changed");
	return true;
}

void
access_keys_changed(void)
{
	member_each(drop_if_outdated);
}

void
access_end_round(void)
{
	AccessQuery *query = is_asking || waiting == NULL ? NULL : take_waiting();

	if (query == NULL)
		return;
	database_write_array_header(query->documents.data, DATABASE_TEXT, false, query->count);
	database_write_array_header(query->claims.data, DATABASE_TEXT, false, query->count);
	query->query = (DatabaseQuery){
		.statement = STATEMENT_LEVELS,
		.done = answered,
		.parameters = {buffer_view(&query->documents), buffer_view(&query->claims)}};
	is_asking = true;
	database_submit(0, &query->query);
	metrics_add(METRIC_ACCESS_QUESTIONS, 1);
}

/* NULL if nobody is left who wants to know, or out of memory: then they wait. */
static AccessQuery *
take_waiting(void)
{
	AccessQuery *query = calloc(1, sizeof *query);
	uint32_t most = alone > 0 ? 1 : MAX_ASKED;

	if (query == NULL || buffer_reserve(&query->documents, DATABASE_ARRAY_HEADER) == NULL ||
		buffer_reserve(&query->claims, DATABASE_ARRAY_HEADER) == NULL)
	{
		query_free(query);
		return NULL;
	}
	while (waiting != NULL && query->count < most)
	{
		Member *member = waiting;

		waiting = member->next_waiting;
		if (waiting == NULL)
			waiting_end = &waiting;
		alone -= alone > 0;
		member->next_waiting = NULL;
		member->waits_for_level = false;
		if (member_is_open(member))
			add(query, member);
		else
			member_release(member);
	}
	if (query->count > 0 && !query->documents.failed && !query->claims.failed)
		return query;
	for (uint32_t i = 0; i < query->count; i++)
		member_close(query->members[i], CLOSE_OVERLOAD, "out of memory");
	query_free(query);
	return NULL;
}

/* Takes over the list's hold. */
static void
add(AccessQuery *query, Member *member)
{
	const char *document = member_document(member);
	size_t size = strlen(document);
	Bytes claims = identity_claims(member->identity);

	buffer_write_u32(&query->documents, (uint32_t) size);
	buffer_write(&query->documents, (Bytes){(const uint8_t *) document, size});
	buffer_write_u32(&query->claims, (uint32_t) claims.size);
	buffer_write(&query->claims, claims);
	query->shown[query->count] = identity_retain(member->identity);
	query->members[query->count++] = member;
}

static void
answered(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	AccessQuery *query = (AccessQuery *) database_query;
	int levels[MAX_ASKED];
	bool is_stopping = answer->sqlstate != NULL && strncmp(answer->sqlstate, "57", 2) == 0;

	is_asking = false;
	if (read_levels(query, answer, levels))
		for (uint32_t i = 0; i < query->count; i++)
		{
			if (levels[i] == UNKNOWN_IDENTITY)
				member_close(query->members[i], CLOSE_UNAUTHORIZED, "token is not valid any more");
			else
			{
				take_name(query, i);
				go_live(query, i);
				apply(query->members[i], (AccessLevel) levels[i]);
			}
		}
	else if (!is_stopping && query->count > 1)
		ask_one_by_one(query);
	else if (!is_stopping)
	{
		Member *member = query->members[0];

		log_event(LEVEL_WARNING, "access_unknown", "{s:s, s:s?, s:s?}", "document",
				  member_document(member), "sqlstate", answer->sqlstate, "reason", answer->message);
		/* the others of its connection may well be told theirs */
		member_close(member,
					 member->connection->protocol == PROTOCOL_HOCUSPOCUS ? CLOSE_FORBIDDEN
																		 : CLOSE_OVERLOAD,
					 "rights cannot be told now");
	}
	query_free(query);
}

/* False if the answer is none about all of them. */
static bool
read_levels(AccessQuery *query, const DatabaseAnswer *answer, int *levels)
{
	if (answer->result == NULL || (uint32_t) answer->row_count != query->count)
		return false;
	for (uint32_t i = 0; i < query->count; i++)
		levels[i] = -1;
	for (int row = 0; row < answer->row_count; row++)
	{
		int64_t ordinal = database_number(answer, row, 0);

		if (ordinal < 1 || ordinal > (int64_t) query->count)
			return false;
		levels[ordinal - 1] = database_number(answer, row, 2) != 0
								  ? read_level(database_bytes(answer, row, 1))
								  : UNKNOWN_IDENTITY;
		if (!database_is_null(answer, row, 3) && query->live[ordinal - 1] == NULL)
			query->live[ordinal - 1] = identity_of_session(database_bytes(answer, row, 3));
		if (!database_is_null(answer, row, 4) && query->user_name[ordinal - 1] == NULL)
			query->user_name[ordinal - 1] = copy_text(database_bytes(answer, row, 4));
	}
	for (uint32_t i = 0; i < query->count; i++)
		if (levels[i] < 0)
			return false;
	return true;
}

/* NULL when out of memory: then he has no name. */
static char *
copy_text(Bytes text)
{
	return strndup((const char *) text.data, text.size);
}

static int
read_level(Bytes name)
{
	static const char *const names[] = {"none", "read", "comment", "write", "admin"};

	for (int i = ACCESS_NONE; i <= ACCESS_ADMIN; i++)
		if (name.size == strlen(names[i]) && memcmp(name.data, names[i], name.size) == 0)
			return i;
	return -1;
}

/* One of them spoils the question, most likely by what the rule makes of its claims. */
static void
ask_one_by_one(const AccessQuery *query)
{
	for (uint32_t i = query->count; i-- > 0;)
	{
		Member *member = query->members[i];

		if (member->waits_for_level)
			continue; /* will be asked about anyway */
		member->waits_for_level = true;
		member->next_waiting = waiting;
		if (waiting == NULL)
			waiting_end = &member->next_waiting;
		waiting = member_retain(member);
		alone++;
	}
}

static void
take_name(AccessQuery *query, uint32_t i)
{
	Member *member = query->members[i];

	if (member->identity != query->shown[i])
		return;
	free(member->user_name);
	member->user_name = query->user_name[i];
	query->user_name[i] = NULL;
}

/* An access token is good for minutes, what came in with it as long as the session: unless it has shown
 * something else in the meantime. */
static void
go_live(AccessQuery *query, uint32_t i)
{
	Member *member = query->members[i];

	if (query->live[i] == NULL || member->identity != query->shown[i])
		return;
	member->identity = query->live[i];
	query->live[i] = NULL;
	identity_release(query->shown[i]); /* the member's */
}

static void
query_free(AccessQuery *query)
{
	if (query == NULL)
		return;
	for (uint32_t i = 0; i < query->count; i++)
	{
		member_release(query->members[i]);
		identity_release(query->shown[i]);
		identity_release(query->live[i]);
		free(query->user_name[i]);
	}
	buffer_free(&query->documents);
	buffer_free(&query->claims);
	free(query);
}

static void
apply(Member *member, AccessLevel level)
{
	AccessLevel before = member->level;

	if (!member_is_open(member))
		return;
	member->level = level;
	if (member->owes_level)
		member_want(member, WANT_LEVEL);
	member->owes_level = false;
	if (level == ACCESS_NONE && member->identity->is_stranger)
		member_close(member, CLOSE_UNAUTHORIZED, "log in to read this document");
	else if (level == ACCESS_NONE)
		member_close(member, CLOSE_FORBIDDEN, "no right to read this document");
	else if (member->state == MEMBER_UNPROVEN)
		member_admit(member);
	else if (level < before && before >= ACCESS_COMMENT && level < ACCESS_WRITE)
	{
		member->was_denied = true;
		member_want(member, WANT_LEVEL);
	}
	else if (level > before && level >= ACCESS_COMMENT && before < ACCESS_WRITE)
	{
		member->was_denied = false;
		member_want(member, WANT_LEVEL);
		catch_up_anew(member); /* asks for what it was not allowed to send */
	}
}

/* Once; who hears of each of his updates has heard it. */
static void
tell_denial(Member *member)
{
	if (!member->was_denied && !member_is_told_status(member))
		member_want(member, WANT_LEVEL);
	member->was_denied = true;
}

/* It has expired, or its key is one that is trusted no more. */
static void
drop_if_outdated(Member *member)
{
	if (!member_is_open(member) || member->identity == NULL)
		return;
	if (!identity_is_current(member->identity))
		member_close(member, CLOSE_UNAUTHORIZED, "token is not valid any more");
}

static void
enqueue(Member *member)
{
	if (member->waits_for_level || !member_is_open(member))
		return;
	member->waits_for_level = true;
	member->next_waiting = NULL;
	*waiting_end = member_retain(member);
	waiting_end = &member->next_waiting;
}

static void
ask_again(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void) loop, (void) watcher, (void) events;
	access_ask_all();
}
