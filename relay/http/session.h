/*
 * Sessions over HTTP: for applications that have no server of their own for logging in (--sessions).
 *
 *     POST   /api/session            a login assertion, as Bearer or {"token": …}     201, cookies
 *     POST   /api/session/refresh    the refresh cookie                               200, the next cookies
 *     DELETE /api/session            logs out here                                    204, cookies gone
 *     DELETE /api/sessions           logs out everywhere                              204
 *     GET    /api/sessions           where one is logged in
 *
 * Three cookies, and nothing that a script may read but the last one:
 *
 *     __Host-ydoc_access     goes with upgrades and requests; the database knows whose it is
 *     __Host-ydoc_refresh    good once
 *     __Host-ydoc_csrf       must come back in the field X-CSRF-Token wherever cookies change something:
 *                            another site's page can have a cookie sent, but not read it
 *
 * The prefix makes browsers take them from our own host over TLS alone; --secure-cookies=false leaves it,
 * and Secure, away.  What is shown is the proof: the database keeps the sessions (ydoc.start_session).
 */
#ifndef RELAY_SESSION_H
#define RELAY_SESSION_H

#include "http.h"

/* Answers 404 unless config.sessions. */
extern const HttpEndpoint session_endpoints[];

#endif
