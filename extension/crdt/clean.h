/*
 * clean.h: formatting clean-up, as a JavaScript client does it after a remote change (FORMAT 8.5).
 */
#ifndef CRDT_CLEAN_H
#define CRDT_CLEAN_H

#include "item.h"

/*
 * If the ending transaction may have made formatting redundant, queues one that deletes that.
 * Lack of memory means less cleaning, never a failure: what stays is valid.
 */
void crdt_clean(CrdtDoc *doc);

#endif
