/*
 * access.h: what somebody may do with a document, by the one rule of the store (ydoc.access_level).
 *
 *     if (access_level(name, claims, &actor) < ACCESS_WRITE)
 *         refuse(...)                              -- claims: the user's, as JSON text, or a token
 *
 * For whoever speaks for many users: a session keeps what it was told for a second, so that a batch does not
 * ask for each update.  Between store_open and store_close.
 */
#ifndef YDOC_ACCESS_H
#define YDOC_ACCESS_H

#include "postgres.h"

#include "crdt/document.h"

/* In the order of SQL's ydoc.level. */
typedef enum AccessLevel
{
	ACCESS_UNKNOWN = -1, /* what was shown is not good: a token that has expired */
	ACCESS_NONE,
	ACCESS_READ,
	ACCESS_COMMENT,
	ACCESS_WRITE,
	ACCESS_ADMIN
} AccessLevel;

/* claims: what somebody shows (ydoc.claims_of); NULL: nothing.  actor may be NULL; else *actor is whom it
 * names, for the log: claim "sub"; NULL: nobody. */
AccessLevel access_level(const char *document, const text *claims, text **actor);

/* Where somebody may write whose level is comment; NULL is never the answer, no roots may be. */
const CrdtConfines *access_confines(const char *document);

/* Who is answerable for what is edited now (ydoc.actor); if that names nobody, "sub" of the claims of a session whose
 * word counts on whom it speaks for (PostgREST's); empty: nobody.  Between store_open() and store_close(). */
const char *access_actor(void);

#endif
