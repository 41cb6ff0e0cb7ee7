/*
 * size.h: how large a stored document may become: ydoc.max_document_size.
 *
 *     if (size_allows(document, update, &size))
 *         ... apply ...
 *     size_note(document, update.size);
 *
 * A document's size is that of its state as an update.  To know it takes encoding, so what came into the
 * document is added up, which is never less, and it is measured only when the sum is beyond the limit: when
 * it has grown by a share of that, or when some time has passed, for something may have been deleted.  So the
 * limit is kept up to a share, costs nothing before, and cannot be made to cost much.
 */
#ifndef YDOC_SIZE_H
#define YDOC_SIZE_H

#include "cache.h"

/* So many bytes came into the document. */
void size_note(CachedDocument *document, size_t bytes);

/* The same of an edit that was just made; false if that makes the document too large: then size is what it
 * has. */
bool size_note_edit(CachedDocument *document, CrdtBytes edit, size_t *size);

/* May the update, V1, come into the document?  If not, size is what it would have.  What only deletes may
 * always: it makes room. */
bool size_allows(CachedDocument *document, CrdtBytes update, size_t *size);

#endif
