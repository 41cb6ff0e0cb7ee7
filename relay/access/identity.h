/*
 * Identity: who a connection speaks for, as its token says it.
 *
 *     Identity *identity = identity_of_request(wsi, &refusal);     at the upgrade
 *     if (identity == NULL) ...                                    it has a token, and that is bad
 *     ... identity->claims, identity->expires_at ...
 *     identity_release(identity);
 *
 * With keys configured the relay is *checked*: everybody has claims, who shows no token those of a
 * stranger, {}, and the database is asked what they allow (access.h).  Without keys nobody is asked
 * anything: whoever reaches the port has the rights of the relay's own database role.
 *
 * A token is taken from the first of these that has one:
 *
 *     Authorization: Bearer TOKEN        programs; browsers cannot send it with a WebSocket
 *     ?token=TOKEN                       if config.token_in_url
 *     Cookie: NAME=TOKEN                 config.cookie, with sessions __Host-; only from pages of our own host and of
 *                                        config.origins, for a browser sends it from any page
 */
#ifndef RELAY_IDENTITY_H
#define RELAY_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "../../token/token.h"

struct lws;

typedef struct Identity /* never changes; shared by those who hold it */
{
	int references;
	TokenClaims token; /* of a stranger: json is {}, the rest empty */
	char *shown; /* to the database, instead of the claims; NULL: they are */
	bool is_stranger;
	bool is_session; /* the database knows whose: shown is its access token, or what came of it */
	bool is_link; /* the database knows what it opens: shown is the secret of ydoc.create_link */
} Identity;

/* Reads the keys, if any are configured; false after logging why. */
bool identity_start(void);
void identity_stop(void);

/* Reads them again (SIGHUP).  Bad files are logged, and the keys stay what they are.  True if some of
 * them may be gone: identity_is_current() is to be asked again. */
bool identity_reload(void);

/* Keys are configured. */
bool identity_is_checked(void);

/*
 * A browser connects from any page that it shows, to any machine that it reaches.  Where keys are, a token says
 * whose request it is, and a cookie counts for pages that we trust alone.  Without keys, reaching the port is the right to
 * read: so a page must be of the host that it asks (any port), and a relay that listens on its own machine only
 * believes no other name (which may be made to lead here); or config.origins lists it.  Programs send no Origin.
 */
bool identity_may_come(struct lws *wsi);

/* The same of a request for content, which a page of the host that it asks sends without an Origin: by the host that
 * it names. */
bool identity_may_be_called(const char *host);

/* The caller's to release.  NULL if a token is there and is refused, for the reason in *refusal, or
 * when out of memory.  Only during the upgrade: the request's headers are gone after it. */
Identity *identity_of_request(struct lws *wsi, TokenVerdict *refusal);

/* Of a token that has come in another way; likewise. */
Identity *identity_of_token(Bytes token, TokenVerdict *refusal);

/* Of a connection that was let in by a session's access token, as the database wants to be asked from now
 * on (relay_levels).  NULL when out of memory. */
Identity *identity_of_session(Bytes shown);

/* The value of the cookie of that name in a Cookie field; false: there is none, or several. */
bool identity_find_cookie(const char *field, const char *name, Bytes *value);

/* It has not expired, and its token's key is one of the present ones. */
bool identity_is_current(const Identity *identity);

/* A page from there is of the host that it asks, and came by TLS if our cookies do (or it is this machine's). */
bool identity_is_own_origin(const char *origin, const char *host);

/* A page from there is trusted like one of our own (config.origins). */
bool identity_is_listed_origin(const char *origin);

/* What the database is shown: the claims, or the token itself (config.pass_tokens). */
Bytes identity_claims(const Identity *identity);
Identity *identity_retain(Identity *identity);
void identity_release(Identity *identity);

#endif
