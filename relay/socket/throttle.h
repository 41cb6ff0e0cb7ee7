/*
 * Fast producers: how much of a connection is read.
 *
 *     throttle_message(connection, size);               after each message
 *     if (throttle_holds_presence(member, entries)) held, the newest only
 *
 *     level  burst |\      /|        messages and bytes have a bucket each, that fills at a rate
 *                  |  \  /  |\       up to a burst.  What was sent is taken, and may run into debt:
 *                0 |---\/---|-\--    then the socket is read no more until that is paid off, so
 *                               \    the peer's TCP holds it back and nothing is lost.
 *
 * Each member has one more for presence, which is no reason to stop: what is too fast is coalesced.
 */
#ifndef RELAY_THROTTLE_H
#define RELAY_THROTTLE_H

#include <stdbool.h>

#include "bucket.h"
#include "frame.h"

typedef struct Connection Connection;
typedef struct Member Member;

typedef struct Throttle /* of a connection; {0} at first */
{
	Bucket messages, bytes;
	Connection *next; /* of those that wait for their buckets */
	bool is_listed;
} Throttle;

void throttle_message(Connection *connection, size_t bytes);

/* The message is one that costs others more than it costs its sender. */
void throttle_costly_message(Connection *connection);

/* False if they may be taken now; true if they are kept for later, instead of what was kept so far. */
bool throttle_holds_presence(Member *member, Bytes entries);

void throttle_start(void);
void throttle_stop(void);

#endif
