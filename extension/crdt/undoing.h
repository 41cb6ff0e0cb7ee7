/*
 * undoing.h: what the end of a transaction asks of undo managers (undo.h).
 */
#ifndef CRDT_UNDOING_H
#define CRDT_UNDOING_H

#include "item.h"

/* Lets the document's undo managers note the ending transaction, before its garbage goes. */
void crdt_undos_note(CrdtDoc *doc);

#endif
