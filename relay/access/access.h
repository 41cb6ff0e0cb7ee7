/*
 * Access: what a member may do with its document, as the database says of its claims.
 *
 *     access_ask(member);        upgraded: UNPROVEN, until it is admitted or closed
 *     access_ask_all();              rights have changed, or may have: everybody is asked about again
 *     access_doubt(member);      the database has refused what we thought it may do
 *
 *     none                4403, of a stranger 4401: he may log in
 *     read                a member that gets everything and whose presence is shown; its updates are
 *                         refused, and it is told so
 *     comment             a member; the database refuses those of its updates that are no comments, and
 *                         it is told so
 *     write, admin        a member
 *
 * This is for manners and for reading: what is written, the database checks itself, with the claims
 * of each update.  Only in a checked relay (identity.h); in another everybody may do everything.
 */
#ifndef RELAY_ACCESS_H
#define RELAY_ACCESS_H

#include <stdbool.h>

typedef struct Member Member;

typedef enum AccessLevel /* ydoc.level */
{
	ACCESS_NONE,
	ACCESS_READ,
	ACCESS_COMMENT,
	ACCESS_WRITE,
	ACCESS_ADMIN
} AccessLevel;

/* Its updates go to the database, which may refuse them. */
static inline bool
access_may_send(AccessLevel level)
{
	return level >= ACCESS_COMMENT;
}

void access_start(void);
void access_stop(void);

void access_ask(Member *member);
void access_ask_all(void);

/* As notified: everybody is asked about, or, if it is "session ID", who came with that session. */
void access_changed(const char *payload);

/* It may only read until the database was asked again; or it may only comment, and is told so.  False: it
 * was thought to be allowed to write too often. */
bool access_doubt(Member *member);

/* The database has refused, with this SQLSTATE, what was asked in the member's name: it has lost its
 * right, and is closed to come back and be told.  False: that is not what the database says. */
bool access_is_denied(Member *member, const char *sqlstate);

/* Tokens may be valid no more: whose is not is closed (4401). */
void access_keys_changed(void);

/* Questions leave here: one at a time, of some hundred members each. */
void access_end_round(void);

#endif
