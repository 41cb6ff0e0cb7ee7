/*
 * world.h: what surrounds the relay's protocols, member.c and presence.c while they are fuzzed.
 *
 *     world_begin(&nature);  ...  world_end();      every input has a world of its own
 *     world_open(0);                                a connection
 *     world_say(connection, message);               one message of its peer
 *     world_end_round();                            what follows from it is written
 *
 * Rooms keep no documents: an update is published to all who are there as soon as the round ends, a state vector is
 * answered with itself.  So what must be written follows from what was taken, and world_taken has that.
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "connection.h"
#include "frame.h"
#include "member.h"

enum
{
	WORLD_CONNECTIONS = 2,
	WORLD_DOCUMENTS = 3, /* that a connection may have */
	WORLD_MAX_TEXT = 64 /* bytes of an awareness or stateless message */
};

typedef struct WorldNature
{
	ConnectionProtocol protocol;
	bool is_checked; /* tokens count, and the database is asked */
	bool is_stamping; /* the user's name, in awareness states */
	bool is_throttling; /* presence */
	bool is_strict; /* about the size of texts */
} WorldNature;

typedef enum TakenKind
{
	TAKEN_NOTHING,
	TAKEN_STATE_VECTOR,
	TAKEN_ANSWER,
	TAKEN_UPDATE,
	TAKEN_STATELESS
} TakenKind;

typedef struct Taken /* what a room was given, of the message that is being handled */
{
	TakenKind kind;
	int count;
	const Member *member; /* NULL if that is not said */
	const Room *room;
	Bytes bytes; /* as they were given */
} Taken;

extern WorldNature world_nature;
extern Taken world_taken;
extern Connection *world_connections[WORLD_CONNECTIONS]; /* NULL: there is none */

/* Called for each message that is written. */
extern void (*world_written)(Connection *connection, Bytes message);

void world_begin(const WorldNature *nature);
void world_end(void);

void world_open(int number);

/* Its socket is gone. */
void world_close(int number);

/* As connection.c does it.  Returns what the protocol returned. */
int world_say(Connection *connection, Bytes message);

/* The socket is full, or it is free again. */
void world_choke(Connection *connection, bool is_choked);

void world_end_round(void);

/* An update, or a stateless message, was published in this room. */
bool world_has_published(const Room *room, TakenKind kind, Bytes payload);

#endif
