/*
 * store_gone.h: documents that are not there any more, and what is said to those who ask for them.
 *
 * A document that is deleted or renamed leaves its row behind under its name.  So a writer who is late is
 * told, instead of bringing it back by making it anew:
 *
 *     deleted_at   moved_to   buried
 *     NULL         NULL       < epoch    a document that is there
 *     when         NULL       < epoch    deleted; its content is kept
 *     when         NULL       = epoch    purged: its content was removed for good
 *     when         set        >= epoch   renamed; buried is its epoch under the new name
 *
 * An epoch up to buried (NULL: none) is that of a document that has left this name for good.  buried stays
 * when the name is used again, with a greater epoch: so who means the document before is known by the
 * epoch at which he knows it.
 */
#ifndef YDOC_STORE_GONE_H
#define YDOC_STORE_GONE_H

#include "bridge.h"
#include "store.h"

/* SQLSTATE class YD is ours; the relay knows these two, and how the message of the second ends. */
#define ERRCODE_DOCUMENT_DELETED MAKE_SQLSTATE('Y', 'D', '0', '0', '1')
#define ERRCODE_DOCUMENT_MOVED MAKE_SQLSTATE('Y', 'D', '0', '0', '2')

typedef struct StoreGone
{
	int sqlstate;
	const char *message;
	const char *detail; /* or NULL, as hint */
	const char *hint;
} StoreGone;

/* Is the document gone, or, for a caller who knows it at known_epoch (0: does not say), the one that he
 * means?  for_writing: as of now, instead of the statement's snapshot.  Between store_open and
 * store_close. */
bool store_gone(const char *name, int64 known_epoch, bool for_writing, StoreGone *gone);

/* The same as an error; returns if it is not gone. */
void store_report_gone(const char *name, int64 known_epoch, bool for_writing);

/* What a document that has left this name is called now; NULL: nobody knows, or may know.  Its row need not
 * say that it is there. */
char *store_moved_to(const char *name, bool for_writing);

/* Raises the error. */
pg_noreturn void store_gone_report(const StoreGone *gone);

#endif
