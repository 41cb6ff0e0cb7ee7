/*
 * item.h: a decoded document from the inside: items, lists, types, clients (FORMAT 7.1).
 *
 * An item is a record of 48 bytes in a pool; records refer to each other by 32-bit numbers, so a
 * loaded document takes about three times its encoded bytes.  Every item belongs to one list: the
 * sequence of a type, or the history of one key of a map, whose last item is the value.
 *
 *     type "t" ── sequence ──> [h e l l o] <-> [deleted 3] <-> [!]
 *              └─ key "x" ───> [deleted 1] <-> [any 42]          last = the value
 *
 * Structs that only hold a place (GC) are records without a list.  Who is where by clock: the
 * index of structs.h.
 *
 * Bounds: 2^31 structs, 2^24 lists, 2^32 names in one document; more is CRDT_LIMIT.
 */
#ifndef CRDT_ITEM_H
#define CRDT_ITEM_H

#include "document.h"
#include "memory.h"
#include "wire.h"

/* ---- ids in eight bytes ---- */

/*
 * A client's number in this document and a clock, 20 and 44 bits.  What does not fit (a document
 * of a million clients; a clock only an attacker reaches) stands in doc->wide_ids, and the packed
 * id says where.
 */
typedef uint64_t CrdtPackedId;

#define CRDT_PACKED_CLOCK_BITS 44
#define CRDT_PACKED_CLOCK_MASK ((UINT64_C(1) << CRDT_PACKED_CLOCK_BITS) - 1)
#define CRDT_PACKED_WIDE UINT64_C(0xfffff)
#define CRDT_PACKED_NONE UINT64_MAX

/* The same, unpacked: client is the number in this document, not Yjs's client id. */
typedef struct CrdtPlace
{
	uint64_t clock;
	uint32_t client;
} CrdtPlace;

/* ---- items ---- */

typedef uint32_t CrdtRef; /* an item of the document; 0: none */

/*
 * Bytes of a content that are not plain ASCII text.  begins_replaced: a U+FFFD, left by a
 * surrogate pair cut in two, goes before the bytes.
 *
 * Values (ANY, JSON) and units of text can only be counted from the first on.  The joint is a place that
 * is known: where the last ones were joined to those before, which is where what grows is read next.
 */
typedef struct CrdtPiece
{
	uint32_t number; /* its place in doc->pieces */
	union
	{
		uint32_t name; /* FORMAT_MARK: key; SUBDOCUMENT: guid */
		uint32_t joint_bytes; /* ANY, JSON, STRING: in front of the joint */
	};
	uint8_t *bytes;
	size_t size;
	uint32_t joint; /* values or units in front of it; 0: none is known */
	bool begins_replaced;
} CrdtPiece;

typedef struct CrdtItem
{
	CrdtPackedId id;
	CrdtPackedId origin;
	CrdtPackedId right_origin;
	uint32_t left : 31;
	uint32_t visited : 1; /* integrate.c: seen in this search for a place */
	uint32_t right : 31;
	uint32_t conflicting : 1; /* integrate.c: seen since the best place so far */
	uint32_t list : 24; /* 0: GC */
	uint32_t kind : 4; /* CrdtStructKind */
	uint32_t deleted : 1;
	uint32_t keep : 1;
	uint32_t ascii : 1; /* STRING: content.text, length bytes; else content.piece */
	uint32_t growable : 1; /* the bytes begin a block with a head (content.c) */
	uint32_t length; /* UTF-16 units or elements; GC and DELETED use content.length */
	union
	{
		uint8_t *text;
		CrdtPiece *piece;
		uint64_t length;
		uint32_t type; /* TYPE: number of the type */
	} content;
} CrdtItem;

/* ---- lists, types, clients ---- */

typedef struct CrdtList
{
	uint32_t type;
	uint32_t key; /* name; 0: the type's sequence */
	CrdtRef first;
	CrdtRef last;
	uint64_t length; /* of a sequence: what is visible and countable */
	uint32_t next_key; /* next list of a key of this type, in order of first insertion; 0: none */
	uint32_t index; /* number + 1 in doc->indexes; 0: none (index.h) */
} CrdtList;

struct CrdtType
{
	CrdtRef item; /* its holder; 0: a root */
	uint32_t number; /* in doc->types */
	uint32_t root; /* number of the root that it is under; its own: a root */
	uint32_t name; /* of a root, element or hook; 0: none */
	uint32_t sequence; /* list */
	uint32_t first_key; /* list; 0: none */
	uint32_t last_key;
	uint8_t kind; /* CrdtKind */
	bool has_formatting; /* a format mark was integrated while it was known to be a text */
	bool has_marks; /* one was integrated at all */
	bool gone; /* garbage: its holder is no item that holds a type any more */
	bool changed; /* is in transaction.types */
	bool to_clean; /* clean.c: holds formatting that may be redundant now */
	uint32_t next; /* the type below on a stack of types (integrate.c, transaction.c) */
	CrdtRef at_child; /* integrate.c: next child to delete; 0: the keys follow */
	uint32_t at_key; /* the list of the next key */
};

typedef struct CrdtLeaf CrdtLeaf;
typedef struct CrdtIndex CrdtIndex;
typedef struct CrdtChangeEncoder CrdtChangeEncoder;

typedef struct CrdtClient
{
	uint64_t id;
	uint64_t state; /* first unknown clock */
	uint64_t state_before; /* of the current transaction, if in_transaction */
	uint64_t *leaf_clocks; /* first clock of each leaf */
	CrdtLeaf **leaves;
	uint32_t leaf_count;
	uint32_t leaf_capacity; /* of leaf_clocks */
	uint32_t leaves_capacity; /* of leaves */
	uint32_t hint; /* leaf of the last look-up */
	uint32_t hint_at; /* and the place in it */
	uint64_t planned_state; /* plan.c: what state is going to be */
	uint64_t coming_splits; /* plan.c: what an update may do here */
	uint64_t coming_structs; /* plan.c */
	uint32_t run; /* plan.c: number + 1 of its arrivals in this pass */
	uint32_t rank; /* when the ending transaction first deleted something of it; 0: never */
	uint32_t deleted_at; /* where in transaction.deleted its last range may stand */
	bool is_planned; /* plan.c: what it notes here is in use */
	bool in_transaction;
} CrdtClient;

/* Open addressing; entries are numbers + 1 of what is looked up. */
typedef struct CrdtHash
{
	uint32_t *entries;
	size_t capacity; /* a power of two, or 0 */
	size_t count;
} CrdtHash;

/* Records of one size, by number from 1, in chunks that never move.  One of items has 12 KiB: more than
 * what allocators make powers of two of, which would be a third more. */
#define CRDT_ITEM_CHUNK_BITS 8
#define CRDT_PIECE_CHUNK_BITS 7
#define CRDT_TYPE_CHUNK_BITS 3

typedef struct CrdtPool
{
	void **chunks;
	size_t chunk_count;
	size_t chunk_capacity;
	size_t record_size;
	uint32_t chunk_bits; /* a chunk has 2^chunk_bits records */
	uint64_t used; /* numbers ever taken, 0 included */
	uint32_t free; /* released records; the first four bytes of each name the next */
	uint64_t free_count;
} CrdtPool;

/* ---- the document ---- */

typedef struct CrdtDeletedRange
{
	uint64_t clock;
	uint64_t length;
	uint32_t client; /* number */
} CrdtDeletedRange;

/* A client that got structs, and what its state was before. */
typedef struct CrdtTouched
{
	uint64_t state_before;
	uint32_t client; /* number */
} CrdtTouched;

/* Items that were deleted and brought back (redone.h). */
typedef struct CrdtRedoneEntry
{
	CrdtPackedId id; /* of the successor */
	CrdtRef ref; /* 0: free */
} CrdtRedoneEntry;

typedef struct CrdtRedone
{
	CrdtRedoneEntry *entries;
	size_t capacity; /* a power of two, or 0 */
	size_t count;
} CrdtRedone;

/* What the current transaction did; empty between transactions. */
typedef struct CrdtTransaction
{
	CrdtTouched *clients;
	size_t client_count;
	size_t client_capacity;
	uint32_t *types; /* whose lists changed; noted only if doc->notes_changes */
	size_t type_count;
	size_t type_capacity;
	CrdtDeletedRange *deleted;
	size_t deleted_count;
	size_t deleted_capacity;
	CrdtPackedId *to_merge; /* right parts of splits */
	size_t to_merge_count;
	size_t to_merge_capacity;
	const void *origin; /* who acts, for observers and undo managers */
	bool changed;
	bool has_garbage; /* something was deleted that had not come deleted */
	bool local; /* an edit here, not an update that was applied */
	bool is_ending; /* may be encoded (crdt_doc_encode_transaction) */
} CrdtTransaction;

/* Do a struct's content and name mean something?  They are not set otherwise. */
static inline bool
crdt_struct_has_content(const CrdtStruct *item)
{
	return item->kind != CRDT_GC && item->kind != CRDT_SKIP && item->kind != CRDT_DELETED &&
		   item->kind != CRDT_TYPE;
}

static inline bool
crdt_kind_has_name(uint8_t kind, uint8_t type_ref)
{
	return kind == CRDT_FORMAT_MARK || kind == CRDT_SUBDOCUMENT ||
		   (kind == CRDT_TYPE && (type_ref == CRDT_XML_ELEMENT || type_ref == CRDT_XML_HOOK));
}

static inline bool
crdt_struct_has_name(const CrdtStruct *item)
{
	return crdt_kind_has_name(item->kind, item->type_ref);
}

/* What waits of one client. */
typedef struct CrdtWaitingClient
{
	uint64_t client;
	uint64_t bytes; /* as crdt_pending_struct_cost counts them */
} CrdtWaitingClient;

/* Structs that wait for others (FORMAT 7.5). */
typedef struct CrdtPending
{
	CrdtBuffer update; /* V2, whatever came: some values V1 cannot say; size 0: nothing waits */
	/* Updates that came to wait later, each as a byte array.  They are merged into update when
	 * that is needed, or when they have grown as large: so waiting costs no more than arriving. */
	CrdtBuffer late;
	size_t late_count;
	uint64_t update_structs;
	uint64_t late_structs;
	CrdtStateVector missing;
	CrdtIdSet deletes; /* normalized */
	CrdtIdSet ranges; /* of clocks that wait, normalized, if is_tracked (pending.h) */
	CrdtWaitingClient *clients; /* whose structs wait, descending, if is_tracked */
	size_t client_count;
	size_t client_capacity;
	bool is_tracked;
} CrdtPending;

/* The steps of the search among concurrent neighbours (integrate.c). */
typedef struct CrdtWalk
{
	uint64_t limit; /* of one update; 0: any number */
	uint64_t granted; /* so far to the update at hand */
	uint64_t left; /* of those */
	bool is_counted; /* an update is being integrated: edits stand beside what they name */
	CrdtStatus status; /* why an update was given up half way: the document is broken */
} CrdtWalk;

struct CrdtDoc
{
	CrdtHost host;
	CrdtDocOptions options;
	CrdtArena text; /* bytes of contents and names */
	CrdtArena scratch; /* of one call */

	CrdtPool items;
	CrdtPool pieces;
	CrdtId *wide_ids; /* .client is the client's number */
	size_t wide_count;
	size_t wide_capacity;

	CrdtClient *clients;
	size_t client_count;
	size_t client_capacity;
	CrdtHash client_hash;
	uint32_t client_hint;
	CrdtLeaf *spare_leaves[2]; /* by size: small, large */
	size_t spare_count[2];

	CrdtBytes *names; /* number 0 is none */
	size_t name_count;
	size_t name_capacity;
	CrdtHash name_hash;

	CrdtPool types; /* never released: who holds a CrdtType may keep it */
	uint32_t *roots; /* types, in order of first mention */
	size_t root_count;
	size_t root_capacity;

	CrdtList *lists; /* number 0 is none */
	size_t list_count;
	size_t list_capacity;
	CrdtHash list_hash; /* keys: (type, name) */

	uint64_t nested_items; /* records in lists of nested types: bounds what a deletion reaches */
	uint64_t keyed_types; /* types that were put under a key of a map */
	uint64_t parted_characters;
	CrdtTransaction transaction;
	CrdtTransaction *queue; /* transactions that end after the current one (clean.c, undo.c) */
	size_t queue_count;
	size_t queue_capacity;
	CrdtIndex **indexes; /* of long lists (index.h) */
	size_t index_count;
	size_t index_capacity;
	uint32_t *block_of; /* by item: its block, if its list has an index */
	size_t block_of_capacity;
	CrdtRedone redone;
	uint64_t edit_client; /* Yjs's client id of local edits */
	uint32_t *noted_clients; /* of the edit at hand (editing.h) */
	size_t noted_capacity;
	CrdtChangeEncoder *change_encoder; /* encode.c; made when first needed */
	size_t
		encoded_bytes; /* of the state when it last came or went as V1: what the next takes, about */
	uint32_t edit_depth; /* begins that are not committed yet */
	bool notes_changes; /* somebody wants to know which types a transaction changed */
	struct CrdtUndo *undos; /* managers that watch */
	struct CrdtPlan *plan; /* plan.h; made when first needed */
	CrdtPending pending;
	uint64_t waiting_limit; /* bytes that may wait; 0: any number */
	uint64_t waiting_client_limit; /* of one client's structs */
	CrdtWalk walk;
	bool edited_since_apply; /* edits, too, bring what deletes wait for */
};

/* ---- access ---- */

static inline CrdtItem *
crdt_item(const CrdtDoc *doc, CrdtRef ref)
{
	const CrdtPool *pool = &doc->items;

	return (CrdtItem *) pool->chunks[ref >> CRDT_ITEM_CHUNK_BITS] +
		   (ref & ((1u << CRDT_ITEM_CHUNK_BITS) - 1));
}

static inline CrdtType *
crdt_type(const CrdtDoc *doc, uint32_t number)
{
	const CrdtPool *pool = &doc->types;

	return (CrdtType *) pool->chunks[number >> CRDT_TYPE_CHUNK_BITS] +
		   (number & ((1u << CRDT_TYPE_CHUNK_BITS) - 1));
}

static inline CrdtPlace
crdt_unpack(const CrdtDoc *doc, CrdtPackedId id)
{
	CrdtPlace place = {id & CRDT_PACKED_CLOCK_MASK, (uint32_t) (id >> CRDT_PACKED_CLOCK_BITS)};

	if (place.client == CRDT_PACKED_WIDE)
	{
		const CrdtId *wide = &doc->wide_ids[place.clock];

		place.client = (uint32_t) wide->client;
		place.clock = wide->clock;
	}
	return place;
}

static inline uint64_t
crdt_item_length(const CrdtItem *item)
{
	return item->kind == CRDT_GC || item->kind == CRDT_DELETED ? item->content.length
															   : item->length;
}

/* Does the item count for indices: visible, and neither formatting nor a deleted content? */
static inline bool
crdt_item_is_countable(const CrdtItem *item)
{
	return item->kind != CRDT_FORMAT_MARK && item->kind != CRDT_DELETED && item->kind != CRDT_GC;
}

static inline const CrdtType *
crdt_item_type(const CrdtDoc *doc, const CrdtItem *item)
{
	return crdt_type(doc, item->content.type);
}

static inline CrdtBytes
crdt_name(const CrdtDoc *doc, uint32_t name)
{
	return doc->names[name];
}

/* A content's bytes as they are kept.  STRING: internal text; JSON, ANY: canonical values in a row;
 * EMBED, FORMAT_MARK, SUBDOCUMENT: one value; BINARY: the bytes.  Mind begins_replaced. */
static inline CrdtBytes
crdt_item_bytes(const CrdtItem *item, bool *begins_replaced)
{
	if (item->kind == CRDT_STRING && item->ascii)
	{
		*begins_replaced = false;
		return (CrdtBytes){item->content.text, item->length};
	}
	*begins_replaced = item->content.piece->begins_replaced;
	return (CrdtBytes){item->content.piece->bytes, item->content.piece->size};
}

/* First clock of client that is unknown; 0 for a client never seen. */
uint64_t crdt_doc_state(const CrdtDoc *doc, uint64_t client);

#endif
