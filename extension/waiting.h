/*
 * waiting.h: what documents wait for, and since when.
 *
 * What comes before what it builds on waits in the document (crdt/pending.h) and in the log.  Table
 * ydoc_data.waiting says since when, a row for each Yjs client that a document waits for.  It is
 * written only when a document begins or ends to wait for somebody.
 *
 *     WaitingClients before = waiting_clients(doc);
 *     ...                                           -- updates applied
 *     if (!waiting_is_same(&before, &after))
 *         waiting_write(name, &after);
 */
#ifndef YDOC_WAITING_H
#define YDOC_WAITING_H

#include "postgres.h"

#include "crdt/document.h"

/* Of how many clients it is noted: strangers can make documents wait for as many as they like. */
#define WAITING_CLIENTS_MAX 32

typedef struct WaitingClients
{
	int count;
	uint64 clients[WAITING_CLIENTS_MAX];
} WaitingClients;

/* Whom a document waits for, as far as it is noted. */
WaitingClients waiting_clients(const CrdtDoc *doc);

bool waiting_is_same(const WaitingClients *one, const WaitingClients *other);

/* Writes that down, whatever the caller's rights; since when stays for those that stay. */
void waiting_write(const char *name, const WaitingClients *waiting);

#endif
