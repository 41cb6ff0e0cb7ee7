/*
 * answer.c: asking ydoc_data.relay_includes.
 *
 * Here: one question of a member at a time.  Not here: answers of those who may write: they are stored
 * (batch.c).
 */
#include "answer.h"

#include <stdlib.h>
#include <string.h>

#include "database.h"
#include "room.h"

#define MAX_UNDER_WAY (16 << 20) /* bytes of all answers that are being judged */

typedef struct AnswerQuery
{
	DatabaseQuery query; /* first */
	Member *member; /* held */
	Room *room; /* held */
	Identity *identity; /* held: his when it was asked */
	Buffer update;
} AnswerQuery;

static int64_t bytes_under_way;

static void judged(DatabaseQuery *query, const DatabaseAnswer *answer);

void
answer_judge(Member *member, Bytes update)
{
	bool is_too_much = member->is_judged || bytes_under_way + (int64_t) update.size > MAX_UNDER_WAY;
	AnswerQuery *query = is_too_much ? NULL : calloc(1, sizeof *query);
	const char *name = room_name(member->room);

	if (query != NULL)
		buffer_write(&query->update, update);
	if (query == NULL || query->update.failed)
	{
		free(query);
		member_tell_status(member, false); /* nobody knows, so nobody is told that all is well */
		return;
	}
	query->member = member_retain(member);
	query->room = room_retain(member->room);
	query->identity = identity_retain(member->identity);
	query->query = (DatabaseQuery){STATEMENT_INCLUDES,
								   judged,
								   {identity_claims(query->identity),
									{(const uint8_t *) name, strlen(name)},
									buffer_view(&query->update)},
								   NULL,
								   {0}};
	member->is_judged = true;
	bytes_under_way += (int64_t) query->update.capacity;
	database_submit(room_hash(member->room), &query->query);
}

static void
judged(DatabaseQuery *database_query, const DatabaseAnswer *answer)
{
	AnswerQuery *query = (AnswerQuery *) database_query;

	query->member->is_judged = false;
	bytes_under_way -= (int64_t) query->update.capacity;
	member_tell_status(query->member, answer->row_count == 1 && database_number(answer, 0, 0) == 1);
	buffer_free(&query->update);
	identity_release(query->identity);
	room_release(query->room);
	member_release(query->member);
	free(query);
}
