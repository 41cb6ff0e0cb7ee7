/*
 * clean.h: formatting clean-up, as a JavaScript client does it after a remote change (FORMAT 8.5).
 */
#ifndef CRDT_CLEAN_H
#define CRDT_CLEAN_H

#include "item.h"

/*
 * Ends the document's transaction and, if it may have made formatting redundant, deletes that in a
 * second one.  Lack of memory means less cleaning, never a failure: what stays is valid.
 */
void crdt_clean_and_end(CrdtDoc *doc);

#endif
