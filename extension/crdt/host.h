/*
 * host.h: all that the core knows of the world: memory, cancellation, and how it reports errors.
 *
 * The core is plain C11.  It opens nothing, prints nothing, jumps nowhere and keeps no global
 * state; whoever calls it hands over a host and gets back a status.  In PostgreSQL the host is a
 * memory context (extension/bridge.c), in tests it is malloc, or something that fails on purpose.
 *
 *     CrdtError error;
 *
 *     if (crdt_doc_apply(doc, update, CRDT_V1, NULL, &error) != CRDT_OK)
 *         printf("%s (byte %zu)\n", error.message, error.offset);
 *
 * Bytes travel as a view, pointer and size: borrowed, never NUL-terminated (Yjs strings may hold
 * U+0000), valid as long as whatever they were taken from.
 */
#ifndef CRDT_HOST_H
#define CRDT_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define CRDT_MUST_CHECK __attribute__((warn_unused_result))
#define CRDT_PRINTF(format_index, first_argument) \
	__attribute__((format(printf, format_index, first_argument)))
#else
#define CRDT_MUST_CHECK
#define CRDT_PRINTF(format_index, first_argument)
#endif

typedef struct CrdtHost
{
	/* new_size 0 frees, block NULL allocates; returns NULL instead of jumping, and then the old
	 * block is untouched.  Blocks are aligned for any type. */
	void *(*resize)(void *context, void *block, size_t old_size, size_t new_size);
	/* Asked now and then by loops that grow with the input; true makes them return CRDT_CANCELLED.
	 * May be NULL. */
	bool (*cancelled)(void *context);
	void *context;
	/* Random per process: makes the places in our hash tables unpredictable to strangers. */
	uint64_t hash_seed;
} CrdtHost;

typedef enum CrdtStatus
{
	CRDT_OK = 0,
	CRDT_TRUNCATED, /* the input ends too early */
	CRDT_MALFORMED, /* bytes that no Yjs writes */
	CRDT_LIMIT, /* beyond 2^53, too deep, or more than a document holds */
	CRDT_INVALID, /* an argument is wrong, the bytes are not */
	CRDT_NO_MEMORY,
	CRDT_CANCELLED,
	CRDT_FORBIDDEN /* changes what whoever sent it may not change (document.h) */
} CrdtStatus;

#define CRDT_MESSAGE_SIZE 192

typedef struct CrdtError
{
	CrdtStatus status;
	size_t offset; /* byte of the input at which the problem was noticed */
	size_t part; /* which input, from 0, where a function takes several */
	char message[CRDT_MESSAGE_SIZE]; /* lower case, no full stop, for people */
} CrdtError;

/* A borrowed run of bytes. */
typedef struct CrdtBytes
{
	const uint8_t *data;
	size_t size;
} CrdtBytes;

/* The literal as a view. */
#define CRDT_LITERAL(text) ((CrdtBytes){(const uint8_t *) (text), sizeof(text) - 1})

/*
 * A growing run of bytes, owned.  Writers note a failed allocation and go on without effect, so
 * that ten writes need one check.
 */
typedef struct CrdtBuffer
{
	const CrdtHost *host;
	uint8_t *data;
	size_t size;
	size_t capacity;
	bool failed;
} CrdtBuffer;

/* An empty buffer; allocates at the first write. */
void crdt_buffer_open(CrdtBuffer *buffer, const CrdtHost *host);
void crdt_buffer_close(CrdtBuffer *buffer);
CrdtBytes crdt_buffer_view(const CrdtBuffer *buffer);

/* The integer of the two binary formats.  V1 is what y-websocket sends. */
typedef enum CrdtFormat
{
	CRDT_V1 = 1,
	CRDT_V2 = 2
} CrdtFormat;

#endif
