/*
 * encode.h: pieces of encode.c that slice.c uses too.
 */
#ifndef CRDT_ENCODE_H
#define CRDT_ENCODE_H

#include "item.h"

/* Appends integrated, an update, merged with what someone at state_vector lacks of what waits. */
CRDT_MUST_CHECK CrdtStatus crdt_encode_with_waiting(CrdtDoc *doc, CrdtFormat format,
													CrdtBytes state_vector, CrdtBytes integrated,
													CrdtBuffer *out, CrdtError *error);

/* What is kept for encoding the document's transactions. */
void crdt_change_encoder_free(CrdtDoc *doc);
size_t crdt_change_encoder_bytes(const CrdtDoc *doc);

#endif
