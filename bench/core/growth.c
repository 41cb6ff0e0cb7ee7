/*
 * growth.c: what an operation costs as documents grow and writers become many; prints one JSON object.
 *
 * Somebody types single characters, sometimes deletes the last one, and now and then goes on elsewhere:
 * a tenth of the time, and then it is the next writer's turn.  Each operation is an update.  Only the
 * second half of them is timed, when the document has about its size; small documents are made so
 * often that the clock has something to tell.  With a file's name, the state after the first half and
 * the updates of the second one go there, each behind its length, as in NAME.updates (growth.mjs gives
 * them to others).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/edit.h"
#include "../../test/core/host.h"
#include "../../test/core/input.h"
#include "measure.h"

#define FIRST_CLIENT 1000
#define TIMED_OPERATIONS 100000

/* The updates of a session, one behind the other; ends[i] is where update i ends. */
typedef struct Session
{
	size_t count;
	size_t *ends;
	CrdtBuffer bytes;
} Session;

static CrdtHost host;

static double type_session(Session *session, size_t operations, uint64_t writers);
static void note_update(void *context, CrdtDoc *doc, const CrdtChange *change);
static CrdtBytes update_of(const Session *session, size_t index);
static CrdtDoc *apply_session(const Session *session, CrdtBuffer *half, double *ms);
static void measure_state(CrdtDoc *doc);
static void write_session(const Session *session, CrdtBytes half, const char *path);
static void write_update(FILE *file, CrdtBytes update);
static uint64_t next_random(uint64_t *seed);

int
main(int argc, char **argv)
{
	Session session = {0};
	CrdtDoc *doc = NULL;
	CrdtBuffer half;
	size_t operations, rounds;
	uint64_t writers;
	double local_ms, apply_ms, sum_ms = 0;

	operations = argc < 3 ? 0 : strtoul(argv[1], NULL, 10);
	writers = argc < 3 ? 0 : strtoul(argv[2], NULL, 10);
	if (operations < 2 || writers < 1)
	{
		fprintf(stderr, "usage: bench-growth OPERATIONS WRITERS [FILE]\n");
		return 2;
	}
	host = test_host_plain();
	crdt_buffer_open(&half, &host);
	rounds = (TIMED_OPERATIONS + operations - 1) / operations;
	for (size_t i = 0; i < rounds; i++)
		sum_ms += type_session(&session, operations, writers);
	local_ms = sum_ms / (double) rounds;
	sum_ms = 0;
	for (size_t i = 0; i < rounds; i++)
	{
		crdt_doc_free(doc);
		doc = apply_session(&session, &half, &apply_ms);
		sum_ms += apply_ms;
	}
	apply_ms = sum_ms / (double) rounds;
	printf("{\"operations\": %zu, \"writers\": %" PRIu64 ", \"local\": %.4f, \"apply\": %.4f",
		   operations, writers, local_ms * 1e3 / (double) (operations - operations / 2),
		   apply_ms * 1e3 / (double) (operations - operations / 2));
	measure_state(doc);
	crdt_doc_free(doc);
	if (argc > 3)
		write_session(&session, crdt_buffer_view(&half), argv[3]);
	crdt_buffer_close(&half);
	crdt_buffer_close(&session.bytes);
	free(session.ends);
	return 0;
}

/* Milliseconds of the second half. */
static double
type_session(Session *session, size_t operations, uint64_t writers)
{
	CrdtDocOptions options = {.after_transaction = note_update, .context = session};
	CrdtDoc *doc = new_doc(&host, &options);
	CrdtError error = {0};
	const CrdtType *text;
	uint64_t seed = 1, writer = 0, cursor = 0, length = 0;
	double start = 0;

	free(session->ends);
	crdt_buffer_close(&session->bytes);
	crdt_buffer_open(&session->bytes, &host);
	session->ends = test_alloc(operations * sizeof *session->ends);
	session->count = 0;
	crdt_doc_set_client(doc, FIRST_CLIENT);
	text = crdt_doc_open_root(doc, CRDT_LITERAL("content"), CRDT_TEXT, &error);
	if (text == NULL)
		must(error.status, &error);
	for (size_t i = 0; i < operations; i++)
	{
		uint64_t dice = next_random(&seed);
		uint8_t letter = (uint8_t) ('a' + dice % 26);

		if (i == operations / 2)
			start = now_ms();
		if (dice >> 8 & 1 && (dice >> 9) % 5 == 0)
		{
			writer = (writer + 1) % writers;
			crdt_doc_set_client(doc, FIRST_CLIENT + writer);
			cursor = next_random(&seed) % (length + 1);
		}
		if (cursor > 0 && (dice >> 20) % 16 == 0)
		{
			must(crdt_text_delete(doc, text, --cursor, 1, &error), &error);
			length--;
		}
		else
		{
			must(crdt_text_insert(doc, text, cursor++, (CrdtBytes){&letter, 1}, NULL, &error),
				 &error);
			length++;
		}
	}
	start = now_ms() - start;
	if (session->count != operations || session->bytes.failed)
	{
		fprintf(stderr, "%zu operations gave %zu updates\n", operations, session->count);
		exit(1);
	}
	crdt_doc_free(doc);
	return start;
}

static void
note_update(void *context, CrdtDoc *doc, const CrdtChange *change)
{
	Session *session = context;
	CrdtError error = {0};

	(void) change;
	must(crdt_doc_encode_transaction(doc, CRDT_V1, &session->bytes, &error), &error);
	session->ends[session->count++] = session->bytes.size;
}

static CrdtBytes
update_of(const Session *session, size_t index)
{
	size_t start = index == 0 ? 0 : session->ends[index - 1];

	return (CrdtBytes){session->bytes.data + start, session->ends[index] - start};
}

static CrdtDoc *
apply_session(const Session *session, CrdtBuffer *half, double *ms)
{
	CrdtDoc *doc = new_doc(&host, NULL);
	CrdtError error = {0};
	double start = 0;

	for (size_t i = 0; i < session->count; i++)
	{
		if (i == session->count / 2)
		{
			half->size = 0;
			must(crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, half, &error), &error);
			start = now_ms();
		}
		must(crdt_doc_apply(doc, update_of(session, i), CRDT_V1, NULL, &error), &error);
	}
	*ms = now_ms() - start;
	return doc;
}

/* Encoding and loading all of it, once warm. */
static void
measure_state(CrdtDoc *doc)
{
	double encode_ms = 0, load_ms = 0;
	CrdtError error = {0};
	size_t size = 0, memory = 0;

	for (int i = 0; i < 2; i++)
	{
		CrdtDoc *loaded = new_doc(&host, NULL);
		CrdtBuffer out;
		double start = now_ms();

		crdt_buffer_open(&out, &host);
		must(crdt_doc_encode(doc, CRDT_V1, (CrdtBytes){NULL, 0}, &out, &error), &error);
		encode_ms = now_ms() - start;
		start = now_ms();
		must(crdt_doc_apply(loaded, crdt_buffer_view(&out), CRDT_V1, NULL, &error), &error);
		load_ms = now_ms() - start;
		size = out.size;
		memory = crdt_doc_memory_bytes(loaded);
		crdt_buffer_close(&out);
		crdt_doc_free(loaded);
	}
	printf(", \"encodeMs\": %.4f, \"loadMs\": %.4f, \"stateBytes\": %zu, \"memoryBytes\": %zu}\n",
		   encode_ms, load_ms, size, memory);
}

static void
write_session(const Session *session, CrdtBytes half, const char *path)
{
	FILE *file = fopen(path, "wb");

	if (file != NULL)
		write_update(file, half);
	for (size_t i = session->count / 2; file != NULL && i < session->count; i++)
		write_update(file, update_of(session, i));
	if (file == NULL || ferror(file) || fclose(file) != 0)
	{
		perror(path);
		exit(1);
	}
}

static void
write_update(FILE *file, CrdtBytes update)
{
	uint8_t head[4] = {(uint8_t) update.size, (uint8_t) (update.size >> 8),
					   (uint8_t) (update.size >> 16), (uint8_t) (update.size >> 24)};

	fwrite(head, 1, sizeof head, file);
	fwrite(update.data, 1, update.size, file);
}

/* SplitMix64. */
static uint64_t
next_random(uint64_t *seed)
{
	uint64_t value = *seed += UINT64_C(0x9e3779b97f4a7c15);

	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}
