/*
 * The verified user's name in an awareness state (--stamp-user).
 *
 *     --stamp-user user.name      {"user":{"name":"Ben","color":"#f00"}} of Ann's -> {"user":{"name":"Ann","color":"#f00"}}
 *                                 of a stranger's                                -> {"user":{"color":"#f00"}}
 *
 * A state that says so already stays as it is, byte for byte: clients take over what comes back to them,
 * and send that from then on.
 */
#ifndef RELAY_PRESENCE_STAMP_H
#define RELAY_PRESENCE_STAMP_H

#include "frame.h"

/* The state as it may be shown; valid until the next call.  user_name NULL: nobody's.  What is no JSON
 * object comes back as it is: it shows no name, or is refused.  Size 0, as if it were gone, when out of memory. */
Bytes presence_stamp(Bytes state, const char *user_name);

void presence_stamp_stop(void);

#endif
