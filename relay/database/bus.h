/*
 * The bus: what relays and SQL sessions tell each other through the database.
 *
 *     channel ydoc            <epoch> <seq> <document>       raised by each commit: a hint; seq 0: the
 *                                                            document is deleted or has moved
 *     channel ydoc_presence   <relay> <base64>               between relays only, sealed (seal.h)
 *
 *         kind h  hello, tell me everything    b  I am alive        x  a relay is gone: which
 *              p  states: name, entries        P  a part of p, more follows
 *              a  who is in: name              c  somebody here claims your client: relay, name, client
 *              f  I had forgotten you: whom         s, S  a stateless message: name, payload; a part of it
 *
 * NOTIFY today; a logical-replication stream could take its place behind this page.  A relay that
 * is silent for config.relay_timeout seconds is dead, and its people are gone.  Notifications come
 * back to whoever raised them: as long as a relay does not hear itself, the database is slow or
 * away and says nothing about others.  While no other relay is heard, presence costs the database
 * nothing but one "b" every 10 s.
 */
#ifndef RELAY_BUS_H
#define RELAY_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "database.h"

/* What the listener connection reports goes here. */
extern const DatabaseEvents bus_events;

/* predecessor: a relay that is known to be gone, whom nobody has told so; 0: none. */
void bus_start(uint64_t predecessor);
void bus_stop(void);

/* This relay's number, by chance and never 0. */
uint64_t bus_own_relay(void);

bool bus_has_peers(void);

/* The relay has not been heard for so long that its clients may be taken over. */
bool bus_is_silent(uint64_t relay);

/* A room was opened: other relays are asked who is in it. */
void bus_ask_presence(const char *document);

/* A connection here claims a client of that relay. */
void bus_contest(const char *document, uint64_t relay, uint64_t client);

/* presence_next_unshared() has something: it goes out with the next tick. */
void bus_share_soon(void);

/* Members at other relays are given the stateless message, too. */
void bus_share_stateless(const char *document, Bytes payload);

/* Other relays need not wait for the timeout. */
void bus_say_goodbye(void);

/* What was to be told has been told. */
bool bus_is_idle(void);

#endif
