/*
 * undo.c: undo managers (undo.h; FORMAT 11).
 */
#include "undo.h"

#include "undoing.h"

void
crdt_undos_note(CrdtDoc *doc)
{
	(void) doc;
}
