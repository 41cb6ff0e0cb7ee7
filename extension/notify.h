/*
 * notify.h: one notification per transaction and document, on channel "ydoc".
 *
 * The payload is "EPOCH SEQ NAME": no content, since whoever can connect can listen.  SEQ 0 says that
 * the document of that epoch was deleted or has moved.
 */
#ifndef YDOC_NOTIFY_H
#define YDOC_NOTIFY_H

#include "postgres.h"

/* Called once, when the module is loaded. */
void notify_register(void);

/* The current transaction has brought the document to seq, or ended it (0); listeners hear of what was
 * said last, if it commits. */
void notify_changed(const char *document, int64 epoch, int64 seq);

#endif
