/*
 * update.h: what can be done with Yjs updates without a document: check, merge, diff, and the
 * state vector they reach.  Streaming: the cost is that of reading the bytes (merging n updates of
 * b bytes in all costs b log n), whatever the document's size.  FORMAT 6.
 *
 *     CrdtBuffer merged;
 *
 *     crdt_buffer_open(&merged, host);
 *     if (crdt_update_merge(host, updates, count, CRDT_V1, &merged, &error) != CRDT_OK)
 *         report(&error);                    -- error.part says which update
 *     ...
 *     crdt_buffer_close(&merged);
 *
 * Every function checks its input completely before it answers; out is appended to, and left as
 * it was when the answer is not CRDT_OK.
 */
#ifndef CRDT_UPDATE_H
#define CRDT_UPDATE_H

#include "host.h"

/* V2 stores runs, so few bytes can say many structs, and a damaged update claims any number of them.
 * One of n bytes may hold as many; what claims more is CRDT_LIMIT.  People's documents have less than
 * one struct in four bytes.  Should ours have more, zeros follow it, which no reader looks at. */
#ifndef CRDT_V2_STRUCTS_BASE
#define CRDT_V2_STRUCTS_BASE 262144
#endif
#define CRDT_V2_STRUCTS_PER_BYTE 4

/* Memory that any function of the core takes for an input of n bytes, or keeps of it in a document:
 * at most the base, and as much per byte; for V2, also as much for each struct it may claim. */
#define CRDT_MEMORY_BASE 262144
#define CRDT_MEMORY_PER_BYTE 512

/* Is this a whole, valid update?  Bytes after its end are ignored, as Yjs does.  The judgement is that
 * of Yjs's lazy reader, which all functions here use: a document may still refuse the update, because
 * a struct refers to itself, or take one that is refused here, because a hole has flags. */
CRDT_MUST_CHECK CrdtStatus crdt_update_check(const CrdtHost *host, CrdtBytes update,
											 CrdtFormat format, CrdtError *error);

/* Yjs's mergeUpdates: one update that has the effect of all.  The same bytes as Yjs writes, with one
 * exception: if more than 63 updates are merged, and one has garbage where another still has the
 * item, Yjs's choice between them depends on the sort of its engine; ours is then another, as valid
 * one.  A single update is copied unchanged; none give the empty update. */
CRDT_MUST_CHECK CrdtStatus crdt_update_merge(const CrdtHost *host, const CrdtBytes *updates,
											 size_t count, CrdtFormat format, CrdtBuffer *out,
											 CrdtError *error);

/* Yjs's diffUpdate: what of update is news to someone who is at state_vector (part 1 in errors). */
CRDT_MUST_CHECK CrdtStatus crdt_update_diff(const CrdtHost *host, CrdtBytes update,
											CrdtFormat format, CrdtBytes state_vector,
											CrdtBuffer *out, CrdtError *error);

/* Yjs's convertUpdateFormat.  What V1 cannot say is lost on the way there: NaN and undefined within
 * embeds and formats become null, as in any JSON. */
CRDT_MUST_CHECK CrdtStatus crdt_update_convert(const CrdtHost *host, CrdtBytes update,
											   CrdtFormat from, CrdtFormat to, CrdtBuffer *out,
											   CrdtError *error);

/* Yjs's encodeStateVectorFromUpdate. */
CRDT_MUST_CHECK CrdtStatus crdt_update_state_vector(const CrdtHost *host, CrdtBytes update,
													CrdtFormat format, CrdtBuffer *out,
													CrdtError *error);

/* Is this a whole, valid state vector? */
CRDT_MUST_CHECK CrdtStatus crdt_state_vector_check(const CrdtHost *host, CrdtBytes state_vector,
												   CrdtError *error);

/* Does somebody at one state vector know all that somebody at another knows?  (Errors: part 0 is the
 * one, part 1 the other.) */
CRDT_MUST_CHECK CrdtStatus crdt_state_vector_includes(const CrdtHost *host, CrdtBytes one,
													  CrdtBytes other, bool *includes,
													  CrdtError *error);

/* ---- looking into updates; callbacks return false to stop (the answer is CRDT_CANCELLED then) ---- */

typedef struct CrdtMetaVisitor
{
	/* The first clock of a client's structs, and the one after its last. */
	bool (*client)(void *context, uint64_t client, uint64_t from, uint64_t to);
	void *context;
} CrdtMetaVisitor;

/* Yjs's parseUpdateMeta: each client that has structs in update, descending. */
CRDT_MUST_CHECK CrdtStatus crdt_update_meta(const CrdtHost *host, CrdtBytes update,
											CrdtFormat format, const CrdtMetaVisitor *visitor,
											CrdtError *error);

/* A struct of an update, as it is there.  Bytes are borrowed, until the callback returns. */
typedef struct CrdtStructView
{
	uint64_t client;
	uint64_t clock;
	uint64_t length; /* UTF-16 units or elements */
	const char *kind; /* gc skip deleted json binary string embed format type any doc */
	bool has_origin;
	bool has_right_origin;
	bool has_parent_id; /* no parent, by id or by name: it is that of the origin or right origin */
	uint64_t origin_client;
	uint64_t origin_clock;
	uint64_t right_origin_client;
	uint64_t right_origin_clock;
	uint64_t parent_client;
	uint64_t parent_clock;
	CrdtBytes root; /* the parent by name; data NULL: none */
	CrdtBytes key; /* in a map; data NULL: none, or not said here */
	const char *type; /* array map text xmlelement xmlfragment xmlhook xmltext; NULL: not a type */
	CrdtBytes name; /* of an element or hook; key of a format; guid of a doc; data NULL: none */
	/* The content as one encoded value (value.h): the text, the bytes, the embed, the format's value,
	 * the doc's options, an array of a json's or any's values; data NULL: none. */
	CrdtBytes value;
} CrdtStructView;

typedef struct CrdtUpdateVisitor
{
	bool (*item)(void *context, const CrdtStructView *item);
	bool (*deleted)(void *context, uint64_t client, uint64_t clock, uint64_t length);
	void *context;
} CrdtUpdateVisitor;

/* Shows the structs and then the deleted ranges of update, in its order. */
CRDT_MUST_CHECK CrdtStatus crdt_update_inspect(const CrdtHost *host, CrdtBytes update,
											   CrdtFormat format, const CrdtUpdateVisitor *visitor,
											   CrdtError *error);

#endif
