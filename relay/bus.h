/*
 * The bus: what relays and SQL sessions tell each other through the database.
 *
 *     channel ydoc            <epoch> <seq> <document>       raised by each commit: a hint; seq 0: the
 *                                                            document is deleted or has moved
 *     channel ydoc_presence   <relay> <kind> <base64>        between relays only
 *
 *         kind h  hello, tell me everything    b  I am alive         x  I am leaving
 *              p  states: name, entries        a  who is in: name
 *
 * NOTIFY today; a logical-replication stream could take its place behind this page.  Relays that
 * are silent for 30 s are dead, and so are their states.  As long as no other relay is heard,
 * presence costs the database nothing but one "b" every 10 s.
 */
#ifndef RELAY_BUS_H
#define RELAY_BUS_H

#include <stdbool.h>

#include "database.h"

/* What the listener connection reports goes here. */
extern const DatabaseEvents bus_events;

void bus_start(void);
void bus_stop(void);

bool bus_has_peers(void);

/* A room was opened: other relays are asked who is in it. */
void bus_ask_presence(const char *document);

/* presence_next_unshared() has something: it goes out with the next tick. */
void bus_share_soon(void);

/* Other relays need not wait for 30 s of silence. */
void bus_say_goodbye(void);

#endif
