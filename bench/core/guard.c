/*
 * guard.c: fixed work for the core, of which valgrind's callgrind counts the instructions (guard.mjs).
 *
 * Preparing and checking are not counted.  Each workload ends a part of callgrind's profile that bears
 * its name.  Memory comes from one block, in order, so that no allocator but the core's is counted.
 * `calibration` is work that has nothing to do with the core, but is of its kind and compiled with
 * it: counts are compared as multiples of its count, so that another compiler moves both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "../../extension/crdt/edit.h"
#include "../../extension/crdt/value.h"
#include "../../test/core/input.h"
#include "../../test/core/trace.h"
#include "measure.h"
#include "patches.h"

#define POOL_BYTES ((size_t) 512 << 20)
#define APPLIED 10000
#define TYPED 3000
#define MERGED 5000
#define SETS 1000
#define FORMATS 300
#define PUSHED 3000

typedef struct Pool
{
	uint8_t *data;
	size_t used;
} Pool;

static CrdtHost host;
static const char *directory;

static const uint8_t is_true = 120; /* lib0's true */
static const CrdtInput true_value = {.kind = CRDT_INPUT_VALUE, .bytes = {&is_true, 1}};

static void *pool_resize(void *context, void *block, size_t old_size, size_t new_size);
static void begin(void);
static void calibrate(void);
static CrdtDoc *apply(const char *name, const CrdtBytes *updates, size_t count, CrdtFormat format);
static void encode(const char *name, CrdtDoc *doc, CrdtFormat format, CrdtBytes state_vector);
static void measure_updates(void);
static void measure_state(const char *trace_name, const char *root);
static const CrdtType *open_root(CrdtDoc *doc, const char *name, CrdtKind kind);
static void measure_typing(void);
static void measure_values(void);
static void measure_growth(void);
static void keep_update(void *context, CrdtDoc *doc, const CrdtChange *change);

/* Ends what is counted under that name. */
#define END(name) CALLGRIND_DUMP_STATS_AT(name)

int
main(int argc, char **argv)
{
	Pool pool = {malloc(POOL_BYTES), 0};

	if (argc != 2 || pool.data == NULL)
	{
		fprintf(stderr, "usage: valgrind --tool=callgrind bench-guard TRACES_DIRECTORY\n");
		return 2;
	}
	directory = argv[1];
	host = (CrdtHost){.resize = pool_resize, .context = &pool, .hash_seed = 1};
	calibrate();
	measure_updates();
	measure_state("rustcode", "content");
	measure_state("node_nodecc", "text");
	measure_typing();
	measure_values();
	measure_growth();
	free(pool.data);
	return 0;
}

static void
begin(void)
{
	CALLGRIND_ZERO_STATS;
}

/* Never frees, but for the last block, which may also grow in place. */
static void *
pool_resize(void *context, void *block, size_t old_size, size_t new_size)
{
	Pool *pool = context;
	size_t old_room = (old_size + 15) & ~(size_t) 15;
	size_t new_room = (new_size + 15) & ~(size_t) 15;
	uint8_t *result;

	if (block != NULL && (uint8_t *) block + old_room == pool->data + pool->used)
		pool->used -= old_room;
	else if (block != NULL && new_room <= old_room)
		return new_size == 0 ? NULL : block;
	if (new_size == 0)
		return NULL;
	if (new_room > POOL_BYTES - pool->used)
	{
		fprintf(stderr, "the pool is too small\n");
		exit(2);
	}
	result = pool->data + pool->used;
	pool->used += new_room;
	if (block != NULL && result != block)
		memcpy(result, block, old_size < new_size ? old_size : new_size);
	return result;
}

/* Integers of variable length, look-ups in a sorted array, a list that is walked: what decoding and
 * integrating are made of. */
static void
calibrate(void)
{
	Input input = input_read_in(directory, "sveltecomponent.updates");
	size_t count = 0, capacity = input.size;
	uint64_t *values = test_alloc(capacity * sizeof *values);
	uint32_t *next = test_alloc(capacity * sizeof *next);
	uint64_t sum = 0;

	begin();
	for (size_t at = 0; at < input.size;)
	{
		uint64_t value = 0;
		unsigned shift = 0;
		uint8_t byte;

		do
		{
			byte = input.data[at++];
			value |= (uint64_t) (byte & 0x7f) << shift;
			shift += 7;
		} while (byte & 0x80 && at < input.size && shift < 56);
		values[count] = count == 0 ? value : values[count - 1] + value;
		next[count] = (uint32_t) (value % (count + 1));
		count++;
	}
	for (size_t i = 0; i < count; i += 7)
	{
		uint64_t wanted = values[next[i]];
		size_t low = 0, high = count;

		while (low < high)
		{
			size_t middle = low + (high - low) / 2;

			if (values[middle] < wanted)
				low = middle + 1;
			else
				high = middle;
		}
		for (uint32_t walk = next[low < count ? low : 0], steps = 0; walk != 0 && steps < 8;
			 steps++)
		{
			sum += values[walk];
			walk = next[walk];
		}
	}
	END("calibration");
	if (sum == 0)
		exit(2);
	free(values);
	free(next);
	input_free(&input);
}

/* name NULL: not counted */
static CrdtDoc *
apply(const char *name, const CrdtBytes *updates, size_t count, CrdtFormat format)
{
	CrdtDoc *doc = new_doc(&host, NULL);
	CrdtError error = {0};

	if (name != NULL)
		begin();
	for (size_t i = 0; i < count; i++)
		must(crdt_doc_apply(doc, updates[i], format, NULL, &error), &error);
	if (name != NULL)
		END(name);
	return doc;
}

static void
encode(const char *name, CrdtDoc *doc, CrdtFormat format, CrdtBytes state_vector)
{
	CrdtBuffer out;
	CrdtError error = {0};

	crdt_buffer_open(&out, &host);
	begin();
	must(crdt_doc_encode(doc, format, state_vector, &out, &error), &error);
	END(name);
	crdt_buffer_close(&out);
}

/* Single updates: of one writer, of two at once; merged without a document. */
static void
measure_updates(void)
{
	Trace trace;
	CrdtBuffer merged;
	CrdtDoc *doc;
	CrdtError error = {0};

	trace_read(&trace, directory, "automerge-paper", false);
	crdt_doc_free(apply("apply, one writer", trace.updates, APPLIED, CRDT_V1));
	crdt_buffer_open(&merged, &host);
	begin();
	must(crdt_update_merge(&host, trace.updates, MERGED, CRDT_V1, &merged, &error), &error);
	END("merge");
	crdt_buffer_close(&merged);
	trace_free(&trace);
	trace_read(&trace, directory, "friendsforever", false);
	crdt_doc_free(apply("apply, two writers", trace.updates, APPLIED, CRDT_V1));
	doc = apply(NULL, trace.updates, trace.update_count, CRDT_V1);
	encode("encode what was applied", doc, CRDT_V1, (CrdtBytes){NULL, 0});
	crdt_doc_free(doc);
	trace_free(&trace);
}

/* A whole document: loaded, encoded, read, compared. */
static void
measure_state(const char *trace_name, const char *root)
{
	char name[64];
	Trace trace;
	CrdtBytes state;
	CrdtBytes v2;
	CrdtBuffer buffer, known, text, diff;
	CrdtDoc *doc;
	CrdtError error = {0};

	trace_read(&trace, directory, trace_name, true);
	state = input_view(&trace.state);
	crdt_buffer_open(&buffer, &host);
	must(crdt_update_convert(&host, state, CRDT_V1, CRDT_V2, &buffer, &error), &error);
	v2 = crdt_buffer_view(&buffer);
	returning_client(&host, state, &known);

#define NAME(what) (snprintf(name, sizeof name, "%s, %s", what, trace_name), name)
	doc = apply(NAME("load"), &state, 1, CRDT_V1);
	crdt_doc_free(apply(NAME("load V2"), &v2, 1, CRDT_V2));
	encode(NAME("encode"), doc, CRDT_V1, (CrdtBytes){NULL, 0});
	encode(NAME("encode V2"), doc, CRDT_V2, (CrdtBytes){NULL, 0});
	encode(NAME("diff"), doc, CRDT_V1, crdt_buffer_view(&known));
	crdt_buffer_open(&diff, &host);
	NAME("diff of bytes");
	begin();
	must(crdt_update_diff(&host, state, CRDT_V1, crdt_buffer_view(&known), &diff, &error), &error);
	END(name);
	crdt_buffer_open(&text, &host);
	NAME("text");
	begin();
	must(crdt_doc_text(doc,
					   crdt_doc_find_root(doc, (CrdtBytes){(const uint8_t *) root, strlen(root)}),
					   &text, &error),
		 &error);
	END(name);
#undef NAME
	must_equal("text", crdt_buffer_view(&text), input_view(&trace.text));
	crdt_buffer_close(&text);
	crdt_buffer_close(&diff);
	crdt_doc_free(doc);
	crdt_buffer_close(&known);
	crdt_buffer_close(&buffer);
	trace_free(&trace);
}

static const CrdtType *
open_root(CrdtDoc *doc, const char *name, CrdtKind kind)
{
	CrdtError error = {0};
	const CrdtType *type =
		crdt_doc_open_root(doc, (CrdtBytes){(const uint8_t *) name, strlen(name)}, kind, &error);

	if (type == NULL)
		must(error.status, &error);
	return type;
}

/* Local edits, each with its update. */
static void
measure_typing(void)
{
	CrdtBuffer update;
	CrdtDocOptions options = {.after_transaction = keep_update, .context = &update};
	CrdtDoc *doc = new_doc(&host, &options);
	const CrdtType *text;
	Patches patches;

	crdt_buffer_open(&update, &host);
	if (!patches_read(&patches, directory, "seph-blog1") || patches.count < TYPED)
		exit(2);
	crdt_doc_set_client(doc, 1);
	text = open_root(doc, "content", CRDT_TEXT);
	begin();
	for (size_t i = 0; i < TYPED; i++)
		patch_apply(doc, text, &patches.list[i]);
	END("type");
	patches_free(&patches);
	crdt_doc_free(doc);
}

/* Entries of a map written over and over, and formatting here and there. */
static void
measure_values(void)
{
	CrdtBuffer update;
	CrdtDocOptions options = {.after_transaction = keep_update, .context = &update};
	CrdtDoc *doc = new_doc(&host, &options);
	CrdtError error = {0};
	CrdtAttribute bold = {CRDT_LITERAL("bold"), true_value.bytes};
	CrdtAttributes attributes = {&bold, 1};
	Input words = input_read_in(directory, "sveltecomponent.txt");
	const CrdtType *map = open_root(doc, "map", CRDT_MAP);
	const CrdtType *text = open_root(doc, "text", CRDT_TEXT);

	crdt_buffer_open(&update, &host);
	crdt_doc_set_client(doc, 1);
	begin();
	for (size_t i = 0; i < SETS; i++)
	{
		uint8_t key[2] = {(uint8_t) ('a' + i % 10), (uint8_t) ('a' + i / 10 % 10)};

		must(crdt_map_set(doc, map, (CrdtBytes){key, 2}, &true_value, &error), &error);
	}
	END("set");
	must(crdt_text_insert(doc, text, 0, input_view(&words), NULL, &error), &error);
	begin();
	for (size_t i = 0; i < FORMATS; i++)
		must(crdt_text_format(doc, text, i * 7919 % 10000, 5, &attributes, &error), &error);
	END("format");
	input_free(&words);
	crdt_doc_free(doc);
}

/* What grows at its end: each element, and each character, must cost the same. */
static void
measure_growth(void)
{
	CrdtBuffer update;
	CrdtDocOptions options = {.after_transaction = keep_update, .context = &update};
	CrdtDoc *doc = new_doc(&host, &options);
	CrdtError error = {0};
	const CrdtType *array = open_root(doc, "array", CRDT_ARRAY);
	const CrdtType *text = open_root(doc, "text", CRDT_TEXT);

	crdt_buffer_open(&update, &host);
	crdt_doc_set_client(doc, 1);
	begin();
	for (size_t i = 0; i < PUSHED; i++)
		must(crdt_list_push(doc, array, &true_value, 1, &error), &error);
	END("push");
	begin();
	for (size_t i = 0; i < PUSHED; i++)
		must(crdt_text_insert(doc, text, i, CRDT_LITERAL("\xc3\xa9"), NULL, &error), &error);
	END("append");
	crdt_doc_free(doc);
}

static void
keep_update(void *context, CrdtDoc *doc, const CrdtChange *change)
{
	CrdtBuffer *update = context;
	CrdtError error = {0};

	(void) change;
	update->size = 0;
	must(crdt_doc_encode_transaction(doc, CRDT_V1, update, &error), &error);
}
