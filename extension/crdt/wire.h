/*
 * wire.h: one interface to both update formats (FORMAT 2 and 3).
 *
 * A reader yields the structs of an update in stream order, then its delete set; a writer takes
 * structs and a delete set.  Everything else in the core speaks CrdtStruct and never bytes:
 *
 *     crdt_update_reader_open(&reader, update, CRDT_V1, &scratch, &scratch);
 *     while (crdt_update_reader_next(&reader, &item))
 *         ...
 *     crdt_update_reader_take_deletes(&reader, &deletes);
 *     if (reader.bytes.error.status != CRDT_OK) ...
 *
 * What comes out is valid: text is UTF-8, values are canonical (any.h), clocks and their sums stay
 * below 2^53, lengths are not 0.
 */
#ifndef CRDT_WIRE_H
#define CRDT_WIRE_H

#include "bytes.h"
#include "column.h"
#include "idset.h"
#include "memory.h"

typedef struct CrdtId
{
	uint64_t client;
	uint64_t clock;
} CrdtId;

/* The low five bits of a struct's info byte. */
typedef enum CrdtStructKind
{
	CRDT_GC = 0,
	CRDT_DELETED = 1,
	CRDT_JSON = 2,
	CRDT_BINARY = 3,
	CRDT_STRING = 4,
	CRDT_EMBED = 5,
	CRDT_FORMAT_MARK = 6,
	CRDT_TYPE = 7,
	CRDT_ANY = 8,
	CRDT_SUBDOCUMENT = 9,
	CRDT_SKIP = 10
} CrdtStructKind;

/* The high three bits of the info byte, and how the parent is given. */
#define CRDT_HAS_ORIGIN 0x80
#define CRDT_HAS_RIGHT_ORIGIN 0x40
#define CRDT_HAS_PARENT_SUB 0x20
#define CRDT_PARENT_IS_ROOT 0x01 /* parent_name */
#define CRDT_PARENT_IS_ID 0x02 /* parent_id; neither: inherited from origin or right origin */

typedef struct CrdtStruct
{
	uint64_t client;
	uint64_t clock;
	uint64_t length; /* UTF-16 units or elements */
	CrdtId origin;
	CrdtId right_origin;
	union
	{
		CrdtId parent_id;
		CrdtBytes parent_name;
	};
	CrdtBytes parent_sub; /* data NULL: none, or not in the stream */
	/* STRING: internal text; JSON, ANY: values in a row; EMBED: a value; FORMAT_MARK: the value;
	 * BINARY: bytes; SUBDOCUMENT: the options */
	CrdtBytes content;
	CrdtBytes name; /* FORMAT_MARK: key; TYPE: of an element or hook; SUBDOCUMENT: guid */
	uint8_t kind; /* CrdtStructKind */
	uint8_t flags;
	uint8_t type_ref; /* TYPE: CrdtKind */
	bool ascii; /* STRING: every byte is a unit */
	bool begins_replaced; /* STRING: a U+FFFD goes before the content, and counts */
} CrdtStruct;

/* A struct of kind GC, DELETED or SKIP is only a length. */
static inline bool
crdt_kind_has_origin(uint8_t kind)
{
	return kind != CRDT_GC && kind != CRDT_SKIP;
}

/* ---- reading ---- */

/* The columns of a V2 update, but for the last one, which CrdtUpdateReader.bytes reads. */
typedef struct CrdtColumns
{
	CrdtColumn key_clock;
	CrdtColumn client;
	CrdtColumn left_clock;
	CrdtColumn right_clock;
	CrdtColumn info;
	CrdtColumn parent_info;
	CrdtColumn type_ref;
	CrdtColumn length;
	CrdtStringColumn strings;
	CrdtBytes *keys; /* those read so far, which may be referred to */
	size_t key_count;
	size_t key_capacity;
	uint64_t structs_allowed; /* what the size of the update still allows (update.h) */
	uint64_t repeated_allowed; /* bytes of keys referred to */
} CrdtColumns;

typedef struct CrdtUpdateReader
{
	CrdtReader bytes; /* V2: of the last column */
	CrdtFormat format;
	CrdtArena *scratch; /* holds values that were not canonical in the input */
	CrdtArena *kept; /* holds what must live as long as the reader (V2) */
	uint64_t blocks_left;
	uint64_t structs_left; /* of the current block */
	uint64_t client;
	uint64_t clock; /* of the next struct */
	size_t block_number; /* from 1; tells two blocks of one client apart */
	/* As Yjs's document reader: a Skip's flags mean nothing.  Its lazy reader refuses them. */
	bool takes_flagged_skips;
	CrdtColumns columns; /* V2 */
} CrdtUpdateReader;

/* scratch may be reset between two structs, kept only when the reader is done with. */
void crdt_update_reader_open(CrdtUpdateReader *reader, CrdtBytes update, CrdtFormat format,
							 CrdtArena *scratch, CrdtArena *kept);

/* The next struct; false at the end of the structs or on failure.  Views live as long as the
 * input, scratch and kept. */
bool crdt_update_reader_next(CrdtUpdateReader *reader, CrdtStruct *out);

/* How many more structs there are for sure.  0 in V2, where only reading them shows that. */
static inline size_t
crdt_update_reader_coming(const CrdtUpdateReader *reader)
{
	return reader->format == CRDT_V1 ? (size_t) reader->structs_left : 0;
}

/* Appends the whole delete set, in stream order, to deletes; once, when crdt_update_reader_next has
 * said false.  Failures are the reader's. */
void crdt_update_reader_take_deletes(CrdtUpdateReader *reader, CrdtIdSet *deletes);

/* Fills error from the reader and returns its status. */
CrdtStatus crdt_update_reader_status(const CrdtUpdateReader *reader, CrdtError *error);

/* Where a reader stands among the structs.  Small: thousands of updates can wait for one reader. */
typedef struct CrdtUpdatePlace
{
	const uint8_t *cursor;
	uint64_t blocks_left;
	uint64_t structs_left;
	uint64_t client;
	uint64_t clock;
	size_t block_number;
	CrdtColumns *columns; /* V2; to be NULL at first, then used again */
} CrdtUpdatePlace;

/* False: no memory (which kept gives). */
CRDT_MUST_CHECK bool
crdt_update_reader_pause(const CrdtUpdateReader *reader, CrdtUpdatePlace *place);

/* Opens a reader on the update that was paused, and at its place. */
void crdt_update_reader_resume(CrdtUpdateReader *reader, CrdtBytes update, CrdtFormat format,
							   CrdtArena *scratch, CrdtArena *kept, const CrdtUpdatePlace *place);

/* ---- writing ---- */

typedef struct CrdtBlockHead
{
	uint64_t client;
	uint64_t clock;
	uint64_t struct_count;
	size_t end; /* of its structs in the structs' buffer */
} CrdtBlockHead;

/* The columns of a V2 update, but for the last one. */
typedef struct CrdtColumnWriters
{
	CrdtColumnWriter key_clock;
	CrdtColumnWriter client;
	CrdtColumnWriter left_clock;
	CrdtColumnWriter right_clock;
	CrdtColumnWriter info;
	CrdtColumnWriter parent_info;
	CrdtColumnWriter type_ref;
	CrdtColumnWriter length;
	CrdtStringColumnWriter strings;
	int64_t key_count;
} CrdtColumnWriters;

typedef struct CrdtUpdateWriter
{
	CrdtFormat format;
	/* V1: the client whose structs come, as it is written, for they mostly refer to its own */
	uint64_t client;
	uint8_t client_bytes[CRDT_VARUINT_BYTES];
	uint8_t client_size; /* 0: no struct came yet */
	CrdtBuffer structs; /* V2: the last column */
	CrdtBuffer text; /* something whose length goes in front of it */
	CrdtBlockHead *blocks;
	size_t block_count;
	size_t block_capacity;
	CrdtColumnWriters columns; /* V2 */
} CrdtUpdateWriter;

void crdt_update_writer_open(CrdtUpdateWriter *writer, const CrdtHost *host, CrdtFormat format);
void crdt_update_writer_close(CrdtUpdateWriter *writer);

/* About so many bytes of structs will be written: memory for them, and an eighth more. */
void crdt_update_writer_expect(CrdtUpdateWriter *writer, size_t bytes);

/* Forgets what was written and keeps the memory.  V1 only. */
void crdt_update_writer_clear(CrdtUpdateWriter *writer);

/* Writes item from its unit number offset on (< length): a block is begun whenever the client
 * changes.  offset > 0 sets the origin to the unit before, as Yjs does. */
void crdt_update_writer_add(CrdtUpdateWriter *writer, const CrdtStruct *item, uint64_t offset);

/* Structs written so far. */
uint64_t crdt_update_writer_struct_count(const CrdtUpdateWriter *writer);

/* Appends the whole update to out; deletes as crdt_idset_write wants them.  False: no memory now
 * or earlier (out may hold a part then).  The structs may go there in the writer's own memory, so that
 * they are not in two places at once: nothing more is written before the writer is cleared. */
CRDT_MUST_CHECK bool
crdt_update_writer_finish(CrdtUpdateWriter *writer, const CrdtIdSet *deletes, CrdtBuffer *out);

/* ---- what the two formats implement (wire_v1.c, wire_v2.c) ---- */

void crdt_v1_read_struct(CrdtUpdateReader *reader, CrdtStruct *out);
void crdt_v1_write_struct(CrdtUpdateWriter *writer, const CrdtStruct *item, uint64_t offset);

void crdt_v2_read_struct(CrdtUpdateReader *reader, CrdtStruct *out);
void crdt_v2_write_struct(CrdtUpdateWriter *writer, const CrdtStruct *item, uint64_t offset);

/* Begins reading: the head with all columns but the last. */
void crdt_v2_read_columns(CrdtUpdateReader *reader);

void crdt_v2_writer_open(CrdtColumnWriters *columns, const CrdtHost *host);
void crdt_v2_writer_close(CrdtColumnWriters *columns);

/* Appends that head to out.  False: no memory now or earlier. */
CRDT_MUST_CHECK bool crdt_v2_write_columns(CrdtUpdateWriter *writer, CrdtBuffer *out);

/* ---- what they share (wire.c) ---- */

/* A subdocument's options in the form that Yjs writes them in (FORMAT 4); they may replace guid. */
CrdtBytes crdt_read_subdocument_options(CrdtReader *bytes, CrdtArena *scratch, CrdtBytes *guid);

/* The values of a JSON or ANY item from number offset on. */
CrdtBytes crdt_struct_values(const CrdtStruct *item, uint64_t offset);

/* The text of a STRING item from unit offset on: what comes first, if anything, then a view of the
 * rest. */
typedef enum CrdtTextHead
{
	CRDT_TEXT_WHOLE,
	CRDT_TEXT_BEGINS_REPLACED, /* U+FFFD, for begins_replaced */
	CRDT_TEXT_BEGINS_INSIDE /* the second half of a surrogate pair */
} CrdtTextHead;

/* inside: that half, in its internal form. */
CrdtTextHead crdt_struct_text(const CrdtStruct *item, uint64_t offset, CrdtBytes *rest,
							  uint8_t inside[static 3]);

#endif
