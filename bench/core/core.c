/*
 * core.c: times the core on one editing trace; prints one JSON object of milliseconds.
 *
 * compare.mjs starts it and yjs.mjs in turns.  Both measure the same things by the same names and
 * check that they come out right, for a fast wrong answer is none.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../extension/crdt/document.h"
#include "../../extension/crdt/update.h"
#include "../../test/core/host.h"
#include "../../test/core/trace.h"

/* Short work is done once to warm up, then this often; its median counts. */
#define REPEATS 9

/* As many updates as Yjs merges in reasonable time. */
#define MERGED_PREFIX 10000

static CrdtHost host;

static double now_ms(void);
static double median(double *values, size_t count);
static void must(CrdtStatus status, const CrdtError *error);
static void must_equal(const char *what, CrdtBytes got, CrdtBytes expected);
static CrdtDoc *new_doc(void);
static CrdtDoc *apply_all(const Trace *trace, double *ms);
static CrdtDoc *load(const Trace *trace, double *ms, double *first_ms);
static double encode(CrdtDoc *doc, const Trace *trace);
static double read_text(CrdtDoc *doc, const Trace *trace, CrdtBytes root);
static double merge(const Trace *trace, size_t count);

int
main(int argc, char **argv)
{
	CrdtBytes root = {(const uint8_t *) "content", 7};
	double apply_ms, load_ms, first_load_ms;
	CrdtDoc *applied, *loaded;
	Trace trace;

	if (argc != 3)
	{
		fprintf(stderr, "usage: bench-core TRACES_DIRECTORY NAME\n");
		return 2;
	}
	host = test_host_plain();
	trace_read(&trace, argv[1], argv[2], false);
	loaded = load(&trace, &load_ms, &first_load_ms);
	applied = apply_all(&trace, &apply_ms);
	printf("{\"apply\": %.4f, \"load\": %.4f, \"loadFirst\": %.4f", apply_ms, load_ms,
		   first_load_ms);
	printf(", \"encode\": %.4f", encode(loaded, &trace));
	printf(", \"encodeApplied\": %.4f", encode(applied, &trace));
	printf(", \"text\": %.4f", read_text(loaded, &trace, root));
	printf(", \"mergePrefix\": %.4f", merge(&trace, MERGED_PREFIX));
	printf(", \"mergeAll\": %.4f", merge(&trace, trace.update_count));
	printf(", \"loadedBytes\": %zu, \"appliedBytes\": %zu, \"stateBytes\": %zu}\n",
		   crdt_doc_memory_bytes(loaded), crdt_doc_memory_bytes(applied), trace.state.size);
	crdt_doc_free(applied);
	crdt_doc_free(loaded);
	trace_free(&trace);
	return 0;
}

/* Each update is a call, as a server gets them. */
static CrdtDoc *
apply_all(const Trace *trace, double *ms)
{
	CrdtDoc *doc = new_doc();
	CrdtError error = {0};
	double start = now_ms();

	for (size_t i = 0; i < trace->update_count; i++)
		must(crdt_doc_apply(doc, trace->updates[i], CRDT_V1, NULL, &error), &error);
	*ms = now_ms() - start;
	return doc;
}

static CrdtDoc *
load(const Trace *trace, double *ms, double *first_ms)
{
	double times[REPEATS];
	CrdtDoc *doc = NULL;
	CrdtError error = {0};

	for (int i = -1; i < REPEATS; i++)
	{
		double start;

		crdt_doc_free(doc);
		start = now_ms();
		doc = new_doc();
		must(crdt_doc_apply(doc, input_view(&trace->state), CRDT_V1, NULL, &error), &error);
		*(i < 0 ? first_ms : &times[i]) = now_ms() - start;
	}
	*ms = median(times, REPEATS);
	return doc;
}

static double
encode(CrdtDoc *doc, const Trace *trace)
{
	double times[REPEATS];
	CrdtError error = {0};

	for (int i = -1; i < REPEATS; i++)
	{
		double start = now_ms();
		CrdtBuffer out;

		crdt_buffer_open(&out, &host);
		must(crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, &out, &error), &error);
		if (i >= 0)
			times[i] = now_ms() - start;
		must_equal("state", crdt_buffer_view(&out), input_view(&trace->state));
		crdt_buffer_close(&out);
	}
	return median(times, REPEATS);
}

static double
read_text(CrdtDoc *doc, const Trace *trace, CrdtBytes root)
{
	double times[REPEATS];
	CrdtError error = {0};

	for (int i = -1; i < REPEATS; i++)
	{
		double start = now_ms();
		CrdtBuffer out;

		crdt_buffer_open(&out, &host);
		must(crdt_doc_text(doc, crdt_doc_find_root(doc, root), &out, &error), &error);
		if (i >= 0)
			times[i] = now_ms() - start;
		must_equal("text", crdt_buffer_view(&out), input_view(&trace->text));
		crdt_buffer_close(&out);
	}
	return median(times, REPEATS);
}

static double
merge(const Trace *trace, size_t count)
{
	CrdtDoc *doc = new_doc();
	CrdtError error = {0};
	CrdtBuffer out;
	CrdtBuffer state;
	double start;
	double ms;

	if (count > trace->update_count)
		count = trace->update_count;
	crdt_buffer_open(&out, &host);
	start = now_ms();
	must(crdt_update_merge(&host, trace->updates, count, CRDT_V1, &out, &error), &error);
	ms = now_ms() - start;

	must(crdt_doc_apply(doc, crdt_buffer_view(&out), CRDT_V1, NULL, &error), &error);
	crdt_buffer_open(&state, &host);
	must(crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, &state, &error), &error);
	if (count == trace->update_count)
		must_equal("state of the merge", crdt_buffer_view(&state), input_view(&trace->state));
	crdt_buffer_close(&state);
	crdt_buffer_close(&out);
	crdt_doc_free(doc);
	return ms;
}

static CrdtDoc *
new_doc(void)
{
	CrdtDoc *doc = crdt_doc_new(&host, NULL);

	if (doc == NULL)
	{
		fprintf(stderr, "no memory\n");
		exit(1);
	}
	return doc;
}

static void
must(CrdtStatus status, const CrdtError *error)
{
	if (status == CRDT_OK)
		return;
	fprintf(stderr, "%s (byte %zu)\n", error->message, error->offset);
	exit(1);
}

static void
must_equal(const char *what, CrdtBytes got, CrdtBytes expected)
{
	if (got.size == expected.size && memcmp(got.data, expected.data, got.size) == 0)
		return;
	fprintf(stderr, "the %s is not that of Yjs\n", what);
	exit(1);
}

static double
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}

static int
compare_doubles(const void *a, const void *b)
{
	double difference = *(const double *) a - *(const double *) b;

	return (difference > 0) - (difference < 0);
}

static double
median(double *values, size_t count)
{
	qsort(values, count, sizeof *values, compare_doubles);
	return values[count / 2];
}
