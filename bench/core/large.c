/*
 * large.c: what a document of 20 MB costs, in time and in memory; prints one JSON object.
 *
 * Ten people type words of up to twelve letters, delete one now and then, and go on elsewhere a tenth of
 * the time.  Measured: its state merged with a thousand updates that came since, its state vector, loading,
 * encoding; and encoding once more when all but one hundredth of the text is deleted.  Times are medians
 * with plain malloc; memory is what a counting one gave, peaks beyond what was there before.  The state, the
 * updates (each behind its length) and the state of what is left go to files of DIRECTORY, for others
 * to do the same (large.mjs).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/edit.h"
#include "../../test/core/host.h"
#include "measure.h"

#define FIRST_CLIENT 1000
#define WRITERS 10
#define LATE_CLIENT 2000
#define PENDING 1000
#define WORD_MAX 12
#define KEPT 10 /* units of every KEPT + DELETED */
#define DELETED 990
#define ROUNDS 3
#define BYTES_PER_OPERATION 9.4 /* about: of the state */

typedef struct Large
{
	CrdtBuffer state;
	CrdtBuffer updates[PENDING]; /* what came since */
	size_t pending;
	CrdtBuffer deleted; /* the state of what is left */
	CrdtBytes all[PENDING + 1]; /* the state and the updates */
} Large;

static CrdtHost plain;
static Large large;

static void make_large(size_t bytes);
static void type_words(CrdtDoc *doc, const CrdtType *text, size_t operations);
static void type_late(CrdtDoc *doc, const CrdtType *text);
static void note_update(void *context, CrdtDoc *doc, const CrdtChange *change);
static void delete_most(void);
static CrdtDoc *loaded(const CrdtHost *host, CrdtBytes state);
static const CrdtType *text_of(CrdtDoc *doc);
static void measure_merge(void);
static void measure_vector(void);
static void measure_load(void);
static void measure_encode(const char *name, CrdtBytes state);
static void print_of_bytes(const char *name, size_t measured, size_t bytes);
static void write_files(const char *directory);
static FILE *open_file(const char *directory, const char *name);
static void close_file(FILE *file, const char *name);
static uint64_t next_random(void);

int
main(int argc, char **argv)
{
	size_t bytes = argc < 2 ? 0 : strtoul(argv[1], NULL, 10);

	if (bytes < 1000 || argc < 3)
	{
		fprintf(stderr, "usage: bench-large BYTES DIRECTORY\n");
		return 2;
	}
	plain = test_host_plain();
	make_large(bytes);
	delete_most();
	write_files(argv[2]);
	printf("{\"stateBytes\": %zu, \"deletedBytes\": %zu", large.state.size, large.deleted.size);
	measure_merge();
	measure_vector();
	measure_load();
	measure_encode("encode", crdt_buffer_view(&large.state));
	measure_encode("deletedEncode", crdt_buffer_view(&large.deleted));
	printf("}\n");
	for (size_t i = 0; i < large.pending; i++)
		crdt_buffer_close(&large.updates[i]);
	crdt_buffer_close(&large.state);
	crdt_buffer_close(&large.deleted);
	return 0;
}

/* ---- the document ---- */

static void
make_large(size_t bytes)
{
	CrdtDocOptions options = {.after_transaction = note_update};
	CrdtDoc *doc = new_doc(&plain, &options);
	const CrdtType *text = text_of(doc);
	CrdtError error = {0};

	large.pending = PENDING; /* none is noted */
	type_words(doc, text, (size_t) ((double) bytes / BYTES_PER_OPERATION));
	crdt_buffer_open(&large.state, &plain);
	must(crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, &large.state, &error), &error);
	large.pending = 0;
	type_late(doc, text);
	crdt_doc_free(doc);
	large.all[0] = crdt_buffer_view(&large.state);
	for (size_t i = 0; i < PENDING; i++)
		large.all[i + 1] = crdt_buffer_view(&large.updates[i]);
}

static void
type_words(CrdtDoc *doc, const CrdtType *text, size_t operations)
{
	uint64_t writer = 0, cursor = 0, length = 0;
	CrdtError error = {0};

	for (size_t i = 0; i < operations; i++)
	{
		uint64_t dice = next_random(), size = 1 + (dice >> 32) % WORD_MAX;
		uint8_t word[WORD_MAX];

		if (dice % 10 == 0)
		{
			writer = (writer + 1) % WRITERS;
			cursor = next_random() % (length + 1);
		}
		crdt_doc_set_client(doc, FIRST_CLIENT + writer);
		if (cursor >= size && (dice >> 8) % 16 == 0)
		{
			cursor -= size;
			length -= size;
			must(crdt_text_delete(doc, text, cursor, size, &error), &error);
			continue;
		}
		memset(word, 'a' + (int) (dice >> 16) % 26, sizeof word);
		must(crdt_text_insert(doc, text, cursor, (CrdtBytes){word, size}, NULL, &error), &error);
		cursor += size;
		length += size;
	}
}

/* One letter each, as somebody types them. */
static void
type_late(CrdtDoc *doc, const CrdtType *text)
{
	CrdtError error = {0};

	crdt_doc_set_client(doc, LATE_CLIENT);
	for (uint64_t i = 0; i < PENDING; i++)
		must(crdt_text_insert(doc, text, 1000 + i, CRDT_LITERAL("z"), NULL, &error), &error);
}

static void
note_update(void *context, CrdtDoc *doc, const CrdtChange *change)
{
	CrdtError error = {0};

	(void) context;
	(void) change;
	if (large.pending == PENDING)
		return;
	crdt_buffer_open(&large.updates[large.pending], &plain);
	must(crdt_doc_encode_transaction(doc, CRDT_V1, &large.updates[large.pending++], &error),
		 &error);
}

static void
delete_most(void)
{
	CrdtDoc *doc = loaded(&plain, crdt_buffer_view(&large.state));
	const CrdtType *text = text_of(doc);
	uint64_t length = crdt_doc_length(doc, text);
	CrdtError error = {0};

	crdt_doc_set_client(doc, LATE_CLIENT);
	for (uint64_t at = 0; at + KEPT + DELETED <= length; at += KEPT, length -= DELETED)
		must(crdt_text_delete(doc, text, at, DELETED, &error), &error);
	crdt_buffer_open(&large.deleted, &plain);
	must(crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, &large.deleted, &error), &error);
	crdt_doc_free(doc);
}

static CrdtDoc *
loaded(const CrdtHost *host, CrdtBytes state)
{
	CrdtDoc *doc = new_doc(host, NULL);
	CrdtError error = {0};

	must(crdt_doc_apply(doc, state, CRDT_V1, NULL, &error), &error);
	return doc;
}

static const CrdtType *
text_of(CrdtDoc *doc)
{
	CrdtError error = {0};
	const CrdtType *text = crdt_doc_open_root(doc, CRDT_LITERAL("content"), CRDT_TEXT, &error);

	if (text == NULL)
		must(error.status, &error);
	return text;
}

/* ---- measuring ---- */

static void
measure_merge(void)
{
	double ms[ROUNDS];
	CrdtBuffer out;
	CrdtError error = {0};
	TestHost world;

	for (int i = 0; i < ROUNDS; i++)
	{
		double start = now_ms();

		crdt_buffer_open(&out, &plain);
		must(crdt_update_merge(&plain, large.all, PENDING + 1, CRDT_V1, &out, &error), &error);
		ms[i] = now_ms() - start;
		if (i == 0)
			printf(", \"mergeHash\": %u", hash_bytes(crdt_buffer_view(&out)));
		crdt_buffer_close(&out);
	}
	printf(", \"merge\": %.4f", median(ms, ROUNDS));
	test_host_open(&world);
	crdt_buffer_open(&out, &world.host);
	must(crdt_update_merge(&world.host, large.all, PENDING + 1, CRDT_V1, &out, &error), &error);
	print_of_bytes("mergePeak", world.peak_bytes, large.state.size);
	crdt_buffer_close(&out);
}

static void
measure_vector(void)
{
	double ms[ROUNDS];
	CrdtError error = {0};

	for (int i = 0; i < ROUNDS; i++)
	{
		CrdtBuffer out;
		double start = now_ms();

		crdt_buffer_open(&out, &plain);
		must(crdt_update_state_vector(&plain, large.all[0], CRDT_V1, &out, &error), &error);
		ms[i] = now_ms() - start;
		crdt_buffer_close(&out);
	}
	printf(", \"vector\": %.4f", median(ms, ROUNDS));
}

static void
measure_load(void)
{
	double ms[ROUNDS];
	TestHost world;

	for (int i = 0; i < ROUNDS; i++)
	{
		double start = now_ms();
		CrdtDoc *doc = loaded(&plain, large.all[0]);

		ms[i] = now_ms() - start;
		crdt_doc_free(doc);
	}
	printf(", \"load\": %.4f", median(ms, ROUNDS));
	test_host_open(&world);
	crdt_doc_free(loaded(&world.host, large.all[0]));
	print_of_bytes("loadPeak", world.peak_bytes, large.state.size);
}

/* The peak is that of encoding, beside the document, the output included. */
static void
measure_encode(const char *name, CrdtBytes state)
{
	double ms[ROUNDS];
	CrdtBuffer out;
	CrdtError error = {0};
	CrdtDoc *doc;
	TestHost world;
	size_t before;
	char label[64];

	test_host_open(&world);
	doc = loaded(&world.host, state);
	before = world.bytes;
	snprintf(label, sizeof label, "%sKept", name);
	print_of_bytes(label, before, state.size);
	for (int i = 0; i < ROUNDS; i++)
	{
		double start = now_ms();

		world.peak_bytes = world.bytes;
		crdt_buffer_open(&out, &world.host);
		must(crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, &out, &error), &error);
		ms[i] = now_ms() - start;
		must_equal("state", crdt_buffer_view(&out), state);
		crdt_buffer_close(&out);
	}
	printf(", \"%s\": %.4f", name, median(ms, ROUNDS));
	snprintf(label, sizeof label, "%sPeak", name);
	print_of_bytes(label, world.peak_bytes - before, state.size);
	crdt_doc_free(doc);
}

static void
print_of_bytes(const char *name, size_t measured, size_t bytes)
{
	printf(", \"%s\": %.4f", name, (double) measured / (double) bytes);
}

/* ---- files ---- */

static void
write_files(const char *directory)
{
	FILE *file = open_file(directory, "large.state");

	fwrite(large.state.data, 1, large.state.size, file);
	close_file(file, "large.state");
	file = open_file(directory, "large.deleted");
	fwrite(large.deleted.data, 1, large.deleted.size, file);
	close_file(file, "large.deleted");
	file = open_file(directory, "large.updates");
	for (size_t i = 0; i < PENDING; i++)
	{
		CrdtBytes update = large.all[i + 1];
		uint8_t head[4] = {(uint8_t) update.size, (uint8_t) (update.size >> 8),
						   (uint8_t) (update.size >> 16), (uint8_t) (update.size >> 24)};

		fwrite(head, 1, sizeof head, file);
		fwrite(update.data, 1, update.size, file);
	}
	close_file(file, "large.updates");
}

static FILE *
open_file(const char *directory, const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	file = fopen(path, "wb");
	if (file == NULL)
	{
		perror(path);
		exit(1);
	}
	return file;
}

static void
close_file(FILE *file, const char *name)
{
	bool failed = ferror(file) != 0;

	if (fclose(file) != 0 || failed)
	{
		perror(name);
		exit(1);
	}
}

/* SplitMix64. */
static uint64_t
next_random(void)
{
	static uint64_t seed = 1;
	uint64_t value = seed += UINT64_C(0x9e3779b97f4a7c15);

	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}
