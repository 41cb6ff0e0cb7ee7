/*
 * Batches: updates on their way into the database, each batch one transaction.
 *
 *     code = batch_add(member, update);      copied; committed some time after the round
 *     ...                                        room_committed() or member_close() follows
 *
 * Each writer has one batch in flight at most; while it is, the next ones fill.  So an idle relay
 * stores at once and a busy one groups by itself; while updates keep coming, a writer's batches are
 * also config.batch_interval apart.  The first writer that answers promptly gets them; a room stays
 * with its own as long as anything of it is under way, hence a document's updates are stored in the
 * order they came.
 */
#ifndef RELAY_BATCH_H
#define RELAY_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "member.h"
#include "frame.h"

void batch_start(void);

/* is_told: the member hears what becomes of it, if its protocol tells.  Returns 0, or the code to close
 * with when too much waits already, or for too long. */
int batch_add(Member *member, Bytes update, bool is_told);

/*
 * An update of somebody who has no connection, and waits for its outcome: done is called once, with
 * NULLs when it is committed, else with SQLSTATE and message (57P01: we are stopping).
 */
typedef struct BatchTicket BatchTicket;

struct BatchTicket
{
	Identity *identity; /* held by the ticket's owner until done */
	Address address; /* from where it came */
	int64_t known_epoch; /* at which he knows the document; 0: he does not say */
	void (*done)(BatchTicket *ticket, const char *sqlstate, const char *message);
};

/* Returns 0, or the code as above; then nothing follows. */
int batch_add_for(Room *room, BatchTicket *ticket, Bytes update);

/* Sends a batch to each writer that has none in flight. */
void batch_end_round(void);

/* Everything taken has been committed or refused. */
bool batch_is_idle(void);
int64_t batch_pending_bytes(void);

/* Drops what waits: clients hold it and send it again to whoever they connect to next. */
void batch_stop(void);

#endif
