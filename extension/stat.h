/*
 * stat.h: what was done, counted: by this session, and by the whole server if the module is among
 * shared_preload_libraries.  Shown by view ydoc.stat.
 *
 *     stat_count(STAT_LOG_ROWS, 3);
 *
 * Counted when it is done, as pg_stat_database does, whether or not the transaction commits.
 */
#ifndef YDOC_STAT_H
#define YDOC_STAT_H

#include "postgres.h"

typedef enum StatCounter
{
	STAT_UPDATES_APPLIED, /* by ydoc.apply and its kin: had news */
	STAT_UPDATES_KNOWN, /* had none */
	STAT_UPDATES_REFUSED, /* of a batch */
	STAT_LOG_ROWS, /* written, by SQL edits too */
	STAT_LOG_BYTES, /* of updates in them */
	STAT_NOTIFICATIONS,
	STAT_CACHE_HITS, /* a document was found decoded */
	STAT_CACHE_MISSES, /* it was decoded */
	STAT_CACHE_EVICTIONS, /* it had to go for others */
	STAT_COUNT
} StatCounter;

/* Called once, when the module is loaded: asks for shared memory if there is still time. */
void stat_register(void);

void stat_count(StatCounter counter, uint64 amount);

#endif
