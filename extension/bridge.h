/*
 * bridge.h: the border between PostgreSQL and the core: memory contexts become hosts, statuses
 * become errors.  No other file turns one into the other.
 *
 *     CrdtHost host;
 *     CrdtError error;
 *
 *     bridge_host(&host, CurrentMemoryContext);
 *     if (crdt_update_check(&host, bytes, CRDT_V1, &error) != CRDT_OK)
 *         bridge_report(&error, "update");
 */
#ifndef YDOC_BRIDGE_H
#define YDOC_BRIDGE_H

#include "postgres.h"

#include "fmgr.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "crdt/document.h"
#include "crdt/host.h"

#ifndef pg_noreturn /* before 18 */
#define pg_noreturn pg_attribute_noreturn()
#endif

/* A host whose memory is context; freed by deleting or resetting that. */
void bridge_host(CrdtHost *host, MemoryContext context);

/* The error as ereport(ERROR): 22P03 for bytes, 22023 for arguments, 54000 for limits, 53200 for
 * memory; a cancelled query as such.  what names the input: "update", "state vector". */
pg_noreturn void bridge_report(const CrdtError *error, const char *what);

/* The SQLSTATE bridge_report would use, in errcode's form. */
int bridge_sqlstate(const CrdtError *error);

/* The bytes of a detoasted varlena, borrowed. */
CrdtBytes bridge_view(const struct varlena *datum);

/* A new bytea with these bytes. */
bytea *bridge_bytea(CrdtBytes bytes);

/* A buffer in the current memory context. */
void bridge_buffer(CrdtBuffer *buffer, CrdtHost *host);

/* Text for text and jsonb, which lack U+0000: it becomes U+FFFD, as do lone surrogates. */
CrdtBytes bridge_text(CrdtBytes internal);

/* Argument number as an update format, 1 or 2; V1 if the call has not that many arguments. */
CrdtFormat bridge_format_arg(FunctionCallInfo fcinfo, int number);

/*
 * Is an update that was given as one of V1 one of V2?  Read as V1 that has no structs, for its first byte is
 * 0, and a rest, which Yjs ignores: all that is in it would be lost without a word.
 */
bool bridge_is_second_format(CrdtBytes update);

/* The same as an error, if it was given as format. */
void bridge_check_format(CrdtBytes update, CrdtFormat format);

/* Prepares a set-returning function for tuplestore_putvalues(resultinfo->setResult ...). */
void bridge_materialize(FunctionCallInfo fcinfo);

/* The server encoding is UTF8, or an error that says so. */
void bridge_require_utf8(void);

#endif
