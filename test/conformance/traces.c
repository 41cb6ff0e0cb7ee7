/*
 * traces.c: people's editing sessions through the core.
 *
 * Of each trace: its updates one by one must end in Yjs's state and text; merged without a document
 * first, the same; the state, loaded and written again, or sent in slices, must be the same bytes.  Of one writer's:
 * typed anew here, each edit must give the update that it gave there.
 */
#include <getopt.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/edit.h"
#include "../../extension/crdt/slice.h"
#include "../../extension/crdt/update.h"
#include "../core/guard.h"
#include "../core/host.h"
#include "../core/trace.h"

#define SLICE_BYTES 4096

typedef struct TraceRun
{
	const char *name;
	const char *root;
	const char *text_sha256;
	const char *v2_sha256;
	const char *directory;
	Trace trace;
	size_t failures;
} TraceRun;

static void run_directory(const char *directory, const char *only, size_t counts[2]);
static void run_trace_of(const char *directory, const json_t *entry, size_t counts[2]);
static void apply_one_by_one(TraceRun *run);
static void apply_merged(TraceRun *run);
static void load_state(TraceRun *run);
static void send_in_slices(TraceRun *run);
static void type_it_anew(TraceRun *run);
static void expect_end(TraceRun *run, const char *how, TestHost *world, CrdtDoc *doc);
static void
expect_bytes(TraceRun *run, const char *how, const char *what, CrdtBytes expected, CrdtBytes got);
static void expect_sha256(TraceRun *run, const char *how, const char *what, const char *expected,
						  CrdtBytes bytes);
static void fail(TraceRun *run, const char *how, const char *what, const char *why);
static CrdtDoc *new_doc(TestHost *world);
static void end_doc(TraceRun *run, const char *how, TestHost *world, CrdtDoc *doc);

static const char usage[] =
	"usage: traces [--only NAME] DIRECTORY...\n"
	"Applies the editing traces that DIRECTORY/index.json lists and compares with Yjs's results.\n"
	"Ends with the line \"N passed, N failed\"; status 1 if any failed, 2 if it could not run.\n";

int
main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"only", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *only = NULL;
	size_t counts[2] = {0, 0}; /* passed, failed */
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
	{
		switch (option)
		{
			case 'o': only = optarg; break;
			case 'h': fputs(usage, stdout); return 0;
			default: fputs(usage, stderr); return 2;
		}
	}
	for (int i = optind; i < argc; i++)
		run_directory(argv[i], only, counts);
	printf("%zu passed, %zu failed\n", counts[0], counts[1]);
	if (counts[0] + counts[1] == 0)
	{
		fputs(usage, stderr);
		return 2;
	}
	return counts[1] == 0 ? 0 : 1;
}

static void
run_directory(const char *directory, const char *only, size_t counts[2])
{
	Input input = input_read_in(directory, "index.json");
	json_error_t error;
	json_t *index = json_loadb((const char *) input.data, input.size, 0, &error);
	size_t i;
	json_t *entry;

	if (!json_is_array(index))
	{
		fprintf(stderr, "%s/index.json: %s\n", directory, error.text);
		exit(2);
	}
	json_array_foreach(index, i, entry)
	{
		const char *name = json_string_value(json_object_get(entry, "name"));

		if (only == NULL || strcmp(only, name) == 0)
			run_trace_of(directory, entry, counts);
	}
	json_decref(index);
	input_free(&input);
}

static void
run_trace_of(const char *directory, const json_t *entry, size_t counts[2])
{
	size_t update_count = (size_t) json_integer_value(json_object_get(entry, "updates"));
	TraceRun run = {
		.name = json_string_value(json_object_get(entry, "name")),
		.root = json_string_value(json_object_get(entry, "root")),
		.text_sha256 = json_string_value(json_object_get(entry, "textSha256")),
		.v2_sha256 = json_string_value(json_object_get(entry, "v2Sha256")),
		.directory = directory,
	};
	const char *kind = json_string_value(json_object_get(entry, "kind"));

	trace_read(&run.trace, directory, run.name, update_count == 0);
	if (run.trace.update_count != update_count)
		fail(&run, "reading", "updates", "not as many as the index says");
	load_state(&run);
	send_in_slices(&run);
	if (update_count > 0)
	{
		apply_one_by_one(&run);
		apply_merged(&run);
	}
	if (kind != NULL && strcmp(kind, "sequential") == 0)
		type_it_anew(&run);
	printf("%s %s: %zu updates, %zu bytes of state, %zu of text\n",
		   run.failures == 0 ? "pass" : "FAIL", run.name, run.trace.update_count,
		   run.trace.state.size, run.trace.text.size);
	counts[run.failures == 0 ? 0 : 1]++;
	trace_free(&run.trace);
}

static void
apply_one_by_one(TraceRun *run)
{
	TestHost world;
	CrdtDoc *doc = new_doc(&world);
	Guard guard = {0};

	for (size_t i = 0; i < run->trace.update_count; i++)
	{
		CrdtBytes update = guard_place(&guard, run->trace.updates[i]);
		CrdtApplied applied = {0};
		CrdtError error = {0};

		if (crdt_doc_apply(doc, update, CRDT_V1, &applied, &error) != CRDT_OK)
		{
			printf("update %zu, byte %zu\n", i, error.offset);
			fail(run, "one by one", "apply", error.message);
			break;
		}
		if (!applied.changed || applied.waiting)
		{
			printf("update %zu\n", i);
			fail(run, "one by one", "apply",
				 applied.waiting ? "waits for something" : "is said to be no news");
			break;
		}
	}
	guard_close(&guard);
	expect_end(run, "one by one", &world, doc);
	end_doc(run, "one by one", &world, doc);
}

static void
apply_merged(TraceRun *run)
{
	TestHost world;
	CrdtDoc *doc = new_doc(&world);
	Guard guard = {0};
	CrdtError error = {0};
	CrdtBuffer merged;

	crdt_buffer_open(&merged, &world.host);
	if (crdt_update_merge(&world.host, run->trace.updates, run->trace.update_count, CRDT_V1,
						  &merged, &error) != CRDT_OK)
		fail(run, "merged", "merge", error.message);
	else if (crdt_doc_apply(doc, guard_place(&guard, crdt_buffer_view(&merged)), CRDT_V1, NULL,
							&error) != CRDT_OK)
		fail(run, "merged", "apply", error.message);
	crdt_buffer_close(&merged);
	guard_close(&guard);
	expect_end(run, "merged", &world, doc);
	end_doc(run, "merged", &world, doc);
}

static void
load_state(TraceRun *run)
{
	TestHost world;
	CrdtDoc *doc = new_doc(&world);
	Guard guard = {0};
	CrdtError error = {0};
	CrdtBytes state = guard_place(&guard, input_view(&run->trace.state));

	if (crdt_update_check(&world.host, state, CRDT_V1, &error) != CRDT_OK)
		fail(run, "loaded", "check", error.message);
	if (crdt_doc_apply(doc, state, CRDT_V1, NULL, &error) != CRDT_OK)
		fail(run, "loaded", "apply", error.message);
	guard_close(&guard);
	expect_end(run, "loaded", &world, doc);
	end_doc(run, "loaded", &world, doc);
}

/* The state goes to somebody in slices, as to a slow line. */
static void
send_in_slices(TraceRun *run)
{
	TestHost here;
	TestHost there;
	CrdtDoc *sender = new_doc(&here);
	CrdtDoc *receiver = new_doc(&there);
	CrdtSlices *slices = NULL;
	CrdtError error = {0};
	bool last = false;

	if (crdt_doc_apply(sender, input_view(&run->trace.state), CRDT_V1, NULL, &error) != CRDT_OK ||
		crdt_slices_open(sender, (CrdtBytes){NULL, 0}, SLICE_BYTES, &slices, &error) != CRDT_OK)
		fail(run, "in slices", "load", error.message);
	while (run->failures == 0 && !last)
	{
		CrdtBuffer slice;

		crdt_buffer_open(&slice, &here.host);
		if (crdt_slices_next(slices, &slice, &last, &error) != CRDT_OK ||
			crdt_doc_apply(receiver, crdt_buffer_view(&slice), CRDT_V1, NULL, &error) != CRDT_OK)
			fail(run, "in slices", "slice", error.message);
		if (slice.size > SLICE_BYTES)
			fail(run, "in slices", "slice", "is larger than it may be");
		if (crdt_doc_is_waiting(receiver))
			fail(run, "in slices", "slice", "waits for a later one");
		crdt_buffer_close(&slice);
	}
	if (slices != NULL)
		crdt_slices_close(slices);
	expect_end(run, "in slices", &there, receiver);
	end_doc(run, "in slices", &here, sender);
	end_doc(run, "in slices", &there, receiver);
}

/* ---- typed anew ---- */

/* The traces' agent 0. */
#define TRACE_CLIENT 1000001

/* What the document emits. */
typedef struct Emitted
{
	CrdtBuffer update;
	size_t count;
} Emitted;

static void
note_update(void *context, CrdtDoc *doc, const CrdtChange *change)
{
	Emitted *emitted = context;
	CrdtError error;

	(void) change;
	emitted->update.size = 0;
	if (crdt_doc_encode_transaction(doc, CRDT_V1, &emitted->update, &error) == CRDT_OK)
		emitted->count++;
}

/* One line of the patches: [index, units deleted, text inserted]. */
static CrdtStatus
type_patch(CrdtDoc *doc, const CrdtType *root, const json_t *patch, CrdtError *error)
{
	uint64_t index = (uint64_t) json_integer_value(json_array_get(patch, 0));
	uint64_t deleted = (uint64_t) json_integer_value(json_array_get(patch, 1));
	const json_t *text = json_array_get(patch, 2);
	CrdtStatus status = CRDT_OK;

	crdt_doc_begin(doc, NULL);
	if (deleted > 0)
		status = crdt_text_delete(doc, root, index, deleted, error);
	if (status == CRDT_OK && json_string_length(text) > 0)
		status = crdt_text_insert(
			doc, root, index,
			(CrdtBytes){(const uint8_t *) json_string_value(text), json_string_length(text)}, NULL,
			error);
	crdt_doc_commit(doc);
	return status;
}

static void
type_lines(TraceRun *run, CrdtDoc *doc, const CrdtType *root, Emitted *emitted, Input patches)
{
	const char *line = (const char *) patches.data;
	const char *end = line + patches.size;

	for (size_t i = 0; line < end && run->failures == 0; i++)
	{
		const char *newline = memchr(line, '\n', (size_t) (end - line));
		json_t *patch = json_loadb(line, (size_t) (newline - line), 0, NULL);
		CrdtError error = {0};

		if (type_patch(doc, root, patch, &error) != CRDT_OK)
			fail(run, "typed anew", "edit", error.message);
		json_decref(patch);
		if (emitted->count != i + 1 || i >= run->trace.update_count)
			fail(run, "typed anew", "updates", "an edit gave none, or there are too many edits");
		else
			expect_bytes(run, "typed anew", "update", run->trace.updates[i],
						 crdt_buffer_view(&emitted->update));
		line = newline + 1;
	}
}

static void
type_it_anew(TraceRun *run)
{
	CrdtBytes name = {(const uint8_t *) run->root, strlen(run->root)};
	char file[512];
	TestHost world;
	Emitted emitted = {.count = 0};
	CrdtDocOptions options = {.after_transaction = note_update, .context = &emitted};
	CrdtError error = {0};
	const CrdtType *root;
	CrdtDoc *doc;
	Input patches;

	snprintf(file, sizeof file, "%s.patches", run->name);
	patches = input_read_in(run->directory, file);
	test_host_open(&world);
	doc = crdt_doc_new(&world.host, &options);
	crdt_buffer_open(&emitted.update, &world.host);
	crdt_doc_set_client(doc, TRACE_CLIENT);
	root = crdt_doc_open_root(doc, name, CRDT_TEXT, &error);
	if (root == NULL)
		fail(run, "typed anew", "root", error.message);
	else
		type_lines(run, doc, root, &emitted, patches);
	crdt_buffer_close(&emitted.update);
	expect_end(run, "typed anew", &world, doc);
	end_doc(run, "typed anew", &world, doc);
	input_free(&patches);
}

/* Is the document what Yjs's was in the end? */
static void
expect_end(TraceRun *run, const char *how, TestHost *world, CrdtDoc *doc)
{
	CrdtBytes name = {(const uint8_t *) run->root, strlen(run->root)};
	const CrdtType *root = crdt_doc_find_root(doc, name);
	CrdtError error = {0};
	CrdtBuffer out;

	crdt_buffer_open(&out, &world->host);
	if (crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, &out, &error) != CRDT_OK)
		fail(run, how, "encode", error.message);
	expect_bytes(run, how, "state", input_view(&run->trace.state), crdt_buffer_view(&out));
	out.size = 0;
	if (crdt_doc_encode(doc, CRDT_V2, (CrdtBytes){NULL, 0}, &out, &error) != CRDT_OK)
		fail(run, how, "encode", error.message);
	expect_sha256(run, how, "SHA-256 of the state in V2", run->v2_sha256, crdt_buffer_view(&out));
	crdt_buffer_close(&out);

	crdt_buffer_open(&out, &world->host);
	if (root == NULL)
		fail(run, how, "root", "there is none");
	else if (crdt_doc_text(doc, root, &out, &error) != CRDT_OK)
		fail(run, how, "text", error.message);
	expect_bytes(run, how, "text", input_view(&run->trace.text), crdt_buffer_view(&out));
	expect_sha256(run, how, "SHA-256 of the text", run->text_sha256, crdt_buffer_view(&out));
	crdt_buffer_close(&out);
}

static void
expect_bytes(TraceRun *run, const char *how, const char *what, CrdtBytes expected, CrdtBytes got)
{
	size_t same = 0;
	char why[128];

	while (same < expected.size && same < got.size && expected.data[same] == got.data[same])
		same++;
	if (expected.size == got.size && same == got.size)
		return;
	snprintf(why, sizeof why, "%zu bytes expected, %zu got, different from byte %zu on",
			 expected.size, got.size, same);
	fail(run, how, what, why);
}

static void
expect_sha256(TraceRun *run, const char *how, const char *what, const char *expected,
			  CrdtBytes bytes)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	char printed[2 * EVP_MAX_MD_SIZE + 1] = "";

	if (EVP_Digest(bytes.data, bytes.size, digest, &size, EVP_sha256(), NULL) != 1)
		fail(run, how, "SHA-256", "cannot be computed");
	for (unsigned i = 0; i < size; i++)
		snprintf(printed + 2 * i, 3, "%02x", digest[i]);
	if (strcmp(printed, expected) != 0)
		fail(run, how, what, printed);
}

static void
fail(TraceRun *run, const char *how, const char *what, const char *why)
{
	run->failures++;
	printf("FAIL %s, %s: %s: %s\n", run->name, how, what, why);
}

static CrdtDoc *
new_doc(TestHost *world)
{
	CrdtDoc *doc;

	test_host_open(world);
	doc = crdt_doc_new(&world->host, NULL);
	if (doc == NULL)
	{
		fprintf(stderr, "crdt_doc_new gave no document\n");
		exit(2);
	}
	return doc;
}

static void
end_doc(TraceRun *run, const char *how, TestHost *world, CrdtDoc *doc)
{
	crdt_doc_free(doc);
	if (world->bytes != 0 || world->wrong_sizes != 0)
		fail(run, how, "memory", "not all came back as it was given");
}
