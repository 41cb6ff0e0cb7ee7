/*
 * core.c: times the core on one editing trace; prints one JSON object of milliseconds and bytes.
 *
 * bench.mjs starts it and peers.mjs in turns.  Both measure the same things by the same names and
 * check that they come out right, for a fast wrong answer is none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../test/core/host.h"
#include "measure.h"
#include "patches.h"
#include "../../test/core/trace.h"

/* As many updates as Yjs merges in reasonable time. */
#define MERGED_PREFIX 5000

/* Where the updates of the local replay go, and whether they are those of the trace. */
typedef struct Outgoing
{
	const Trace *trace;
	CrdtBuffer update;
	size_t count;
} Outgoing;

static CrdtHost host;

static CrdtDoc *apply_all(const Trace *trace);
static CrdtDoc *load(const char *key, CrdtBytes state, CrdtFormat format);
static void encode(const char *key, CrdtDoc *doc, CrdtFormat format, CrdtBytes expected);
static void read_text(CrdtDoc *doc, const Trace *trace, CrdtBytes root);
static void diff(CrdtDoc *doc, CrdtBytes state);
static void merge(const char *key, const Trace *trace, size_t count);
static void replay(const Trace *trace, const char *directory, const char *name, CrdtBytes root);
static void send_update(void *context, CrdtDoc *doc, const CrdtChange *change);
static bool has_updates(const char *directory, const char *name);
static void print_ms(const char *key, double ms);

int
main(int argc, char **argv)
{
	CrdtBytes root;
	CrdtBuffer v2;
	CrdtDoc *loaded;
	CrdtError error = {0};
	Trace trace;

	if (argc != 4)
	{
		fprintf(stderr, "usage: bench-core TRACES_DIRECTORY NAME ROOT\n");
		return 2;
	}
	host = test_host_plain();
	root = (CrdtBytes){(const uint8_t *) argv[3], strlen(argv[3])};
	trace_read(&trace, argv[1], argv[2], !has_updates(argv[1], argv[2]));
	crdt_buffer_open(&v2, &host);
	must(crdt_update_convert(&host, input_view(&trace.state), CRDT_V1, CRDT_V2, &v2, &error),
		 &error);

	printf("{\"stateBytes\": %zu", trace.state.size);
	loaded = load("load", input_view(&trace.state), CRDT_V1);
	printf(", \"loadedBytes\": %zu", crdt_doc_memory_bytes(loaded));
	crdt_doc_free(load("loadV2", crdt_buffer_view(&v2), CRDT_V2));
	encode("encode", loaded, CRDT_V1, input_view(&trace.state));
	encode("encodeV2", loaded, CRDT_V2, crdt_buffer_view(&v2));
	read_text(loaded, &trace, root);
	diff(loaded, input_view(&trace.state));
	if (trace.update_count > 0)
	{
		CrdtDoc *applied = apply_all(&trace);

		printf(", \"updates\": %zu, \"appliedBytes\": %zu", trace.update_count,
			   crdt_doc_memory_bytes(applied));
		encode("encodeApplied", applied, CRDT_V1, input_view(&trace.state));
		crdt_doc_free(applied);
		merge("mergePrefix", &trace, MERGED_PREFIX);
		merge("mergeAll", &trace, trace.update_count);
		replay(&trace, argv[1], argv[2], root);
	}
	printf("}\n");
	crdt_buffer_close(&v2);
	crdt_doc_free(loaded);
	trace_free(&trace);
	return 0;
}

/* Each update is a call, as a server gets them. */
static CrdtDoc *
apply_all(const Trace *trace)
{
	CrdtDoc *doc = new_doc(&host, NULL);
	CrdtError error = {0};
	double start = now_ms();

	for (size_t i = 0; i < trace->update_count; i++)
		must(crdt_doc_apply(doc, trace->updates[i], CRDT_V1, NULL, &error), &error);
	print_ms("apply", now_ms() - start);
	return doc;
}

/* The first time is a figure of its own: pages and caches are cold. */
static CrdtDoc *
load(const char *key, CrdtBytes state, CrdtFormat format)
{
	double times[REPEATS];
	CrdtDoc *doc = NULL;
	CrdtError error = {0};

	for (int i = -1; i < REPEATS; i++)
	{
		double start;
		double ms;

		crdt_doc_free(doc);
		start = now_ms();
		doc = new_doc(&host, NULL);
		must(crdt_doc_apply(doc, state, format, NULL, &error), &error);
		ms = now_ms() - start;
		if (i >= 0)
			times[i] = ms;
		else if (format == CRDT_V1)
			print_ms("loadFirst", ms);
	}
	print_ms(key, median(times, REPEATS));
	return doc;
}

static void
encode(const char *key, CrdtDoc *doc, CrdtFormat format, CrdtBytes expected)
{
	double times[REPEATS];
	CrdtError error = {0};

	for (int i = -1; i < REPEATS; i++)
	{
		double start = now_ms();
		CrdtBuffer out;

		crdt_buffer_open(&out, &host);
		must(crdt_doc_encode(doc, format, (CrdtBytes){NULL, 0}, &out, &error), &error);
		if (i >= 0)
			times[i] = now_ms() - start;
		else
			printf(", \"%sHash\": %u", key, hash_bytes(crdt_buffer_view(&out)));
		must_equal("state", crdt_buffer_view(&out), expected);
		crdt_buffer_close(&out);
	}
	print_ms(key, median(times, REPEATS));
}

static void
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
	print_ms("text", median(times, REPEATS));
}

/* What a client lacks who was away for the last tenth: from the document, and from its bytes. */
static void
diff(CrdtDoc *doc, CrdtBytes state)
{
	double times[2][REPEATS];
	uint32_t hash = 0;
	CrdtBuffer known;
	CrdtError error = {0};

	returning_client(&host, state, &known);
	for (int i = -1; i < REPEATS; i++)
	{
		CrdtBuffer out[2];
		double start = now_ms();
		double between;
		double end;

		crdt_buffer_open(&out[0], &host);
		crdt_buffer_open(&out[1], &host);
		must(crdt_doc_encode(doc, CRDT_V1, crdt_buffer_view(&known), &out[0], &error), &error);
		between = now_ms();
		must(crdt_update_diff(&host, state, CRDT_V1, crdt_buffer_view(&known), &out[1], &error),
			 &error);
		end = now_ms();
		hash = hash_bytes(crdt_buffer_view(&out[0]));
		if (i >= 0)
		{
			times[0][i] = between - start;
			times[1][i] = end - between;
		}
		crdt_buffer_close(&out[0]);
		crdt_buffer_close(&out[1]);
	}
	crdt_buffer_close(&known);
	printf(", \"diffHash\": %u", hash);
	print_ms("diff", median(times[0], REPEATS));
	print_ms("diffUpdate", median(times[1], REPEATS));
}

static void
merge(const char *key, const Trace *trace, size_t count)
{
	CrdtDoc *doc = new_doc(&host, NULL);
	CrdtError error = {0};
	CrdtBuffer out;
	CrdtBuffer state;
	double start;

	if (count > trace->update_count)
		count = trace->update_count;
	crdt_buffer_open(&out, &host);
	start = now_ms();
	must(crdt_update_merge(&host, trace->updates, count, CRDT_V1, &out, &error), &error);
	print_ms(key, now_ms() - start);
	printf(", \"%sHash\": %u", key, hash_bytes(crdt_buffer_view(&out)));

	must(crdt_doc_apply(doc, crdt_buffer_view(&out), CRDT_V1, NULL, &error), &error);
	crdt_buffer_open(&state, &host);
	must(crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, &state, &error), &error);
	if (count == trace->update_count)
		must_equal("state of the merge", crdt_buffer_view(&state), input_view(&trace->state));
	crdt_buffer_close(&state);
	crdt_buffer_close(&out);
	crdt_doc_free(doc);
}

/* The author's side: every edit is typed again, and its update is what the author's Yjs sent. */
static void
replay(const Trace *trace, const char *directory, const char *name, CrdtBytes root)
{
	Outgoing outgoing = {.trace = trace};
	CrdtDocOptions options = {.after_transaction = send_update, .context = &outgoing};
	CrdtDoc *doc = new_doc(&host, &options);
	const CrdtType *text;
	CrdtError error = {0};
	Patches patches;
	double start;

	if (patches_read(&patches, directory, name))
	{
		crdt_buffer_open(&outgoing.update, &host);
		crdt_doc_set_client(doc, 1000001);
		text = crdt_doc_open_root(doc, root, CRDT_TEXT, &error);
		if (text == NULL)
			must(error.status, &error);
		start = now_ms();
		for (size_t i = 0; i < patches.count; i++)
			patch_apply(doc, text, &patches.list[i]);
		print_ms("local", now_ms() - start);
		if (outgoing.count != trace->update_count)
		{
			fprintf(stderr, "%zu edits gave %zu updates\n", patches.count, outgoing.count);
			exit(1);
		}
		crdt_buffer_close(&outgoing.update);
	}
	patches_free(&patches);
	crdt_doc_free(doc);
}

static void
send_update(void *context, CrdtDoc *doc, const CrdtChange *change)
{
	Outgoing *outgoing = context;
	CrdtError error = {0};

	(void) change;
	outgoing->update.size = 0;
	must(crdt_doc_encode_transaction(doc, CRDT_V1, &outgoing->update, &error), &error);
	if (outgoing->count < outgoing->trace->update_count)
		must_equal("update of an edit", crdt_buffer_view(&outgoing->update),
				   outgoing->trace->updates[outgoing->count]);
	outgoing->count++;
}

static bool
has_updates(const char *directory, const char *name)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s.updates.gz", directory, name);
	return access(path, R_OK) == 0;
}

static void
print_ms(const char *key, double ms)
{
	printf(", \"%s\": %.4f", key, ms);
}
