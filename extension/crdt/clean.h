/*
 * clean.h: formatting clean-up, as a JavaScript client does it after a remote change (FORMAT 8.5).
 */
#ifndef CRDT_CLEAN_H
#define CRDT_CLEAN_H

#include "item.h"

/* Notes the order in which the ending transaction deleted; before its delete set is sorted. */
void crdt_clean_prepare(CrdtDoc *doc);

/*
 * If the ending transaction may have made formatting redundant, queues one that deletes that.
 * Lack of memory means less cleaning, never a failure: what stays is valid.
 */
void crdt_clean(CrdtDoc *doc);

#endif
