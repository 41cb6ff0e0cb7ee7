/*
 * measure.c: clock, medians, checks.
 */
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct Clients
{
	uint8_t *data; /* client and clock of each, as in a state vector */
	size_t size;
	size_t capacity;
	size_t count;
} Clients;

static int compare_doubles(const void *a, const void *b);
static bool note_client(void *context, uint64_t client, uint64_t from, uint64_t to);
static size_t write_varuint(uint8_t *out, uint64_t value);

double
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}

double
median(double *values, size_t count)
{
	qsort(values, count, sizeof *values, compare_doubles);
	return values[count / 2];
}

static int
compare_doubles(const void *a, const void *b)
{
	double difference = *(const double *) a - *(const double *) b;

	return (difference > 0) - (difference < 0);
}

void
must(CrdtStatus status, const CrdtError *error)
{
	if (status == CRDT_OK)
		return;
	fprintf(stderr, "%s (byte %zu)\n", error->message, error->offset);
	exit(1);
}

void
must_equal(const char *what, CrdtBytes got, CrdtBytes expected)
{
	if (got.size == expected.size && memcmp(got.data, expected.data, got.size) == 0)
		return;
	fprintf(stderr, "the %s is not that of Yjs\n", what);
	exit(1);
}

CrdtDoc *
new_doc(const CrdtHost *host, const CrdtDocOptions *options)
{
	CrdtDoc *doc = crdt_doc_new(host, options);

	if (doc == NULL)
	{
		fprintf(stderr, "no memory\n");
		exit(1);
	}
	return doc;
}

uint32_t
hash_bytes(CrdtBytes bytes)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < bytes.size; i++)
		hash = (hash ^ bytes.data[i]) * 16777619u;
	return hash;
}

void
returning_client(const CrdtHost *host, CrdtBytes state, CrdtBuffer *out)
{
	Clients clients = {0};
	CrdtMetaVisitor visitor = {note_client, &clients};
	CrdtError error = {0};
	uint8_t count[10];
	size_t count_size;

	must(crdt_update_meta(host, state, CRDT_V1, &visitor, &error), &error);
	count_size = write_varuint(count, clients.count);
	crdt_buffer_open(out, host);
	out->capacity = out->size = count_size + clients.size;
	out->data = host->resize(host->context, NULL, 0, out->capacity);
	if (out->data == NULL)
		abort();
	memcpy(out->data, count, count_size);
	memcpy(out->data + count_size, clients.data, clients.size);
	free(clients.data);
}

static bool
note_client(void *context, uint64_t client, uint64_t from, uint64_t to)
{
	Clients *clients = context;

	(void) from;
	if (clients->capacity - clients->size < 20)
	{
		clients->capacity = 2 * clients->capacity + 64;
		clients->data = realloc(clients->data, clients->capacity);
		if (clients->data == NULL)
			abort();
	}
	clients->size += write_varuint(clients->data + clients->size, client);
	clients->size += write_varuint(clients->data + clients->size, to * 9 / 10);
	clients->count++;
	return true;
}

static size_t
write_varuint(uint8_t *out, uint64_t value)
{
	size_t size = 0;

	for (; value >= 0x80; value >>= 7)
		out[size++] = (uint8_t) (value | 0x80);
	out[size++] = (uint8_t) value;
	return size;
}
