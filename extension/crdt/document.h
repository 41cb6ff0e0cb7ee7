/*
 * document.h: Yjs documents in memory: apply updates, encode, read.
 *
 *     CrdtDoc *doc = crdt_doc_new(host, NULL);
 *
 *     if (crdt_doc_apply(doc, update, CRDT_V1, NULL, &error) != CRDT_OK)
 *         report(&error);                         -- the document is as it was
 *     crdt_doc_encode(doc, CRDT_V1, nothing, &out, &error);
 *     crdt_doc_text(doc, crdt_doc_find_root(doc, name), &out, &error);
 *     crdt_doc_free(doc);
 *
 * A document owns its memory, all of it from the host; deleting a host whose memory is one region
 * (a PostgreSQL memory context) frees the document as well as crdt_doc_free does.  Nothing here
 * jumps, and a function that fails leaves the document as it was; the one exception is an update
 * that is given up while it is merged (crdt_doc_is_broken).
 */
#ifndef CRDT_DOCUMENT_H
#define CRDT_DOCUMENT_H

#include "host.h"

typedef struct CrdtDoc CrdtDoc;

/* One shared type of a document: a root, or one nested in another.  Borrowed from the document,
 * and valid as long as that lives; a type that was deleted reads as empty. */
typedef struct CrdtType CrdtType;

/* Numbers are those of the wire (FORMAT 4). */
typedef enum CrdtKind
{
	CRDT_ARRAY = 0,
	CRDT_MAP = 1,
	CRDT_TEXT = 2,
	CRDT_XML_ELEMENT = 3,
	CRDT_XML_FRAGMENT = 4,
	CRDT_XML_HOOK = 5,
	CRDT_XML_TEXT = 6,
	CRDT_UNTYPED = 7 /* a root that nobody has declared */
} CrdtKind;

/* What an observer hears of a transaction. */
typedef struct CrdtChange
{
	bool local; /* made by edits here (or by cleaning), not by an update that was applied */
	const void *origin; /* as given to crdt_doc_begin; NULL for others */
} CrdtChange;

typedef struct CrdtDocOptions
{
	/* Yjs's gc: false: the content of what is deleted stays. */
	bool keep_deleted;
	/* Do as a receiving JavaScript client does: delete formatting items that an update made
	 * redundant (FORMAT 8.5).  Off for a store, which invents no deletions. */
	bool clean_formatting;
	/* Called at the end of each transaction that changed something, after its garbage was collected:
	 * Yjs's update event.  May only read the document, and encode the transaction. */
	void (*after_transaction)(void *context, CrdtDoc *doc, const CrdtChange *change);
	void *context;
} CrdtDocOptions;

/* ---- life ---- */

/* An empty document; options NULL means all off.  Keeps a copy of host.  NULL: no memory. */
CRDT_MUST_CHECK CrdtDoc *crdt_doc_new(const CrdtHost *host, const CrdtDocOptions *options);
void crdt_doc_free(CrdtDoc *doc);

/* Bytes that the document holds of its host's memory. */
size_t crdt_doc_memory_bytes(const CrdtDoc *doc);

/* ---- merging ---- */

/* What an update did to a document. */
typedef struct CrdtApplied
{
	bool changed; /* something was integrated, deleted, or newly parked: the update was news */
	bool waiting; /* the document now holds parts that wait for updates not seen yet */
	bool client_taken; /* the update writes as the document's own client: set another one before the
						* next edit (crdt_doc_set_client), as Yjs does */
} CrdtApplied;

/* Yjs's applyUpdate, but whole or not at all.  applied may be NULL. */
CRDT_MUST_CHECK CrdtStatus crdt_doc_apply(CrdtDoc *doc, CrdtBytes update, CrdtFormat format,
										  CrdtApplied *applied, CrdtError *error);

/*
 * The roots under which somebody may change something, who may change nothing else: a commenter.  An
 * update of his is refused (CRDT_FORBIDDEN) unless each struct in it and each item that it deletes is
 * under one of them, nothing of it has to wait, and none of its clients has last written elsewhere: to
 * go on in another's name would push aside what that one is about to send.  What is known already
 * counts for nothing, as a client that comes back sends all deletes that it knows.
 */
typedef struct CrdtConfines
{
	const CrdtBytes *roots;
	size_t count;
} CrdtConfines;

/*
 * crdt_doc_apply for him.  Appends to news, as an update of the same format, what of the update was
 * news, if anything was: that was checked and applied, and that alone is to be kept and passed on.  The
 * cost is that of reading the update, and of the structs in the ranges that it deletes.
 */
CRDT_MUST_CHECK CrdtStatus crdt_doc_apply_confined(CrdtDoc *doc, CrdtBytes update,
												   CrdtFormat format, const CrdtConfines *confines,
												   CrdtBuffer *news, CrdtApplied *applied,
												   CrdtError *error);

/* Is all that an edit has changed, which was just made in the document and gave this update, within
 * the confines? */
CRDT_MUST_CHECK CrdtStatus crdt_doc_check_edit(CrdtDoc *doc, CrdtBytes update, CrdtFormat format,
											   const CrdtConfines *confines, CrdtError *error);

/* Does the document hold parts that wait for updates not seen yet? */
bool crdt_doc_is_waiting(const CrdtDoc *doc);

/* What waits, as Yjs keeps it (FORMAT 7.5): the structs as a V2 update, with the smallest clock that
 * they lack of each client (in the bytes of a state vector), and the deletes as a V2 update.  What
 * there is nothing of, nothing is appended to. */
CRDT_MUST_CHECK CrdtStatus crdt_doc_pending(const CrdtDoc *doc, CrdtBuffer *structs,
											CrdtBuffer *missing, CrdtBuffer *deletes,
											CrdtError *error);

/* How much that is, in bytes: encoded, and something for each struct and deleted range, for what
 * waits is read again and again. */
uint64_t crdt_doc_waiting_bytes(const CrdtDoc *doc);

/* From now on an update is refused (CRDT_LIMIT) that would have more than so many bytes wait, or about
 * so many of one client's structs, unless it lessens what waits.  0: no bound, as at first: what was
 * accepted once can always be applied again. */
void crdt_doc_limit_waiting(CrdtDoc *doc, uint64_t bytes, uint64_t client_bytes);

/*
 * Finding the place of an item among concurrent ones takes a step for each of them, and of a whole
 * update the square.  From now on an update that takes more steps is given up (CRDT_LIMIT).  0: no
 * bound, as at first; the host may still cancel.
 */
void crdt_doc_limit_walk(CrdtDoc *doc, uint64_t steps);

/* Was an update given up half way, for that limit or since the host cancelled?  Then the document is
 * good for nothing but to be freed: to apply, edit and encode fails (CRDT_INVALID), what is read is
 * wrong. */
bool crdt_doc_is_broken(const CrdtDoc *doc);

typedef struct CrdtAwaitedVisitor
{
	/* The first unknown clock of a client, and one that is known to be needed.  False to stop. */
	bool (*client)(void *context, uint64_t client, uint64_t from, uint64_t to);
	void *context;
} CrdtAwaitedVisitor;

/* Shows the clients that something waits for, descending: of all that a struct lacks, Yjs notes
 * one. */
void crdt_doc_awaited(const CrdtDoc *doc, const CrdtAwaitedVisitor *visitor);

/* ---- encoding (appends to out; unchanged on failure) ---- */

/* Yjs's encodeStateAsUpdate for someone who is at state_vector (size 0: who has nothing). */
CRDT_MUST_CHECK CrdtStatus crdt_doc_encode(CrdtDoc *doc, CrdtFormat format, CrdtBytes state_vector,
										   CrdtBuffer *out, CrdtError *error);

/* The update of the transaction that has just ended, as Yjs's update events carry it; only inside
 * after_transaction.  CRDT_INVALID elsewhere. */
CRDT_MUST_CHECK CrdtStatus crdt_doc_encode_transaction(CrdtDoc *doc, CrdtFormat format,
													   CrdtBuffer *out, CrdtError *error);

/* Yjs's encodeStateVector. */
CRDT_MUST_CHECK CrdtStatus crdt_doc_encode_state_vector(const CrdtDoc *doc, CrdtBuffer *out,
														CrdtError *error);

/* ---- reading ---- */

/* Roots in the order of their first mention. */
size_t crdt_doc_root_count(const CrdtDoc *doc);
const CrdtType *crdt_doc_root(const CrdtDoc *doc, size_t index);
const CrdtType *crdt_doc_find_root(const CrdtDoc *doc, CrdtBytes name); /* NULL: none */
CrdtBytes crdt_doc_root_name(const CrdtDoc *doc, const CrdtType *root);

/* Declares what a root is (Yjs's doc.getText and friends), creating it if need be.
 * CRDT_INVALID if it was declared as something else. */
CRDT_MUST_CHECK CrdtStatus crdt_doc_declare_root(CrdtDoc *doc, CrdtBytes name, CrdtKind kind,
												 CrdtError *error);

/* Declares a root and returns it; NULL: refused, see error. */
CRDT_MUST_CHECK const CrdtType *
crdt_doc_open_root(CrdtDoc *doc, CrdtBytes name, CrdtKind kind, CrdtError *error);

/* What the type is: as declared or made; for an undeclared root the kind its content suggests
 * (CRDT_UNTYPED if it is empty). */
CrdtKind crdt_doc_kind(const CrdtDoc *doc, const CrdtType *type);

/* Yjs's length: UTF-16 units of a text, elements of a list; of a map 0. */
uint64_t crdt_doc_length(const CrdtDoc *doc, const CrdtType *type);

/* How many characters have been parted so far: an index between the two units of one makes two U+FFFD of it.  As
 * in Yjs that is so even if the edit then changes nothing, and no update tells of it. */
uint64_t crdt_doc_parted_characters(const CrdtDoc *doc);

/* Is what a text has at that index an embed?  A string can be one, too, which a delta does not tell from text. */
bool crdt_doc_is_embed(CrdtDoc *doc, const CrdtType *type, uint64_t index);

/* The shared type at that index or under that key; NULL: there is none. */
const CrdtType *crdt_doc_child(CrdtDoc *doc, const CrdtType *type, uint64_t index);
const CrdtType *crdt_doc_entry(const CrdtDoc *doc, const CrdtType *type, CrdtBytes key);

/* The name of an XML element or hook (Yjs's nodeName); empty for everything else. */
CrdtBytes crdt_doc_element_name(const CrdtDoc *doc, const CrdtType *type);

/* A type's visible text (Yjs's toString of a Text), UTF-8, appended to out. */
CRDT_MUST_CHECK CrdtStatus crdt_doc_text(const CrdtDoc *doc, const CrdtType *type, CrdtBuffer *out,
										 CrdtError *error);

/* A type's markup (Yjs's toString of XML types), UTF-8, appended to out. */
CRDT_MUST_CHECK CrdtStatus crdt_doc_xml(const CrdtDoc *doc, const CrdtType *type, CrdtKind kind,
										CrdtBuffer *out, CrdtError *error);

/*
 * Receives a value piece by piece, in document order.  Callbacks return false to stop (the reading
 * function then answers CRDT_CANCELLED).  Strings are UTF-8, except that a lone surrogate comes as
 * its three-byte form (ED A0..BF xx), as in WTF-8.  Keys of objects come in the order Yjs would
 * print them; a key never comes twice.
 */
typedef struct CrdtVisitor
{
	void *context;
	bool (*null)(void *context);
	bool (*undefined)(void *context);
	bool (*boolean)(void *context, bool value);
	bool (*number)(void *context, double value);
	bool (*bigint)(void *context, int64_t value);
	bool (*string)(void *context, CrdtBytes value);
	bool (*bytes)(void *context, CrdtBytes value);
	bool (*document)(void *context, CrdtBytes guid); /* a subdocument */
	bool (*begin_array)(void *context);
	bool (*end_array)(void *context);
	bool (*begin_object)(void *context);
	bool (*key)(void *context, CrdtBytes key);
	bool (*end_object)(void *context);
} CrdtVisitor;

/* Yjs's toJSON of a type read as kind: a Text is a string, XML its markup (maps for hooks),
 * arrays and maps hold their nested types' toJSON.  The attributes of a text or element are what
 * it holds as a map. */
CRDT_MUST_CHECK CrdtStatus crdt_doc_visit(const CrdtDoc *doc, const CrdtType *type, CrdtKind kind,
										  const CrdtVisitor *visitor, CrdtError *error);

/* What crdt_doc_visit shows of one key of a map, or of the element at an index; nothing is shown of what is
 * not there.  It costs what is shown, not what the type holds beside it. */
CRDT_MUST_CHECK CrdtStatus crdt_doc_visit_entry(const CrdtDoc *doc, const CrdtType *type,
												CrdtBytes key, const CrdtVisitor *visitor,
												CrdtError *error);
CRDT_MUST_CHECK CrdtStatus crdt_doc_visit_element(CrdtDoc *doc, const CrdtType *type,
												  uint64_t index, const CrdtVisitor *visitor,
												  CrdtError *error);

/* crdt_doc_visit as JSON text, appended to out: undefined array elements and numbers that JSON lacks
 * are null, undefined members are left out, bytes are base64 strings, a bigint is its digits, a
 * subdocument is an object {"guid": ...}, a lone surrogate becomes U+FFFD. */
CRDT_MUST_CHECK CrdtStatus crdt_doc_json(const CrdtDoc *doc, const CrdtType *type, CrdtKind kind,
										 CrdtBuffer *out, CrdtError *error);

#endif
