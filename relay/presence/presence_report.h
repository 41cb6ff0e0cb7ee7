/*
 * Presence for SQL: who is connected here, as rows of ydoc_data.presence, for ydoc.presence().
 *
 * Only who and where, never what: document, client, the name in the state.  Rows are written when
 * somebody comes or goes, all of a tick in one statement; in between one row a relay is renewed, so
 * that a relay that died is no longer counted.  While nobody is here nothing is written at all.
 */
#ifndef RELAY_PRESENCE_REPORT_H
#define RELAY_PRESENCE_REPORT_H

#include <stdbool.h>

void presence_report_start(void);

/* Takes back all rows of this relay. */
void presence_report_end(void);

/* Nothing is on its way. */
bool presence_report_is_idle(void);

#endif
