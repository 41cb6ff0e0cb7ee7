/*
 * updates.c: any bytes as an update, without a document: every function of update.h.
 *
 *     [flags] [size] [bytes of the first update] [bytes of the second, or of a state vector]
 */
#include <string.h>

#include "../../../extension/crdt/update.h"
#include "limits.h"

typedef struct Input
{
	CrdtFormat format;
	CrdtBytes first;
	CrdtBytes second;
} Input;

static Input
read_input(const uint8_t *data, size_t size)
{
	Input input = {CRDT_V1, {data, 0}, {data, 0}};
	size_t cut;

	if (size < 2)
		return input;
	input.format = data[0] & 1 ? CRDT_V2 : CRDT_V1;
	cut = (size - 2) * data[1] / 255;
	input.first = (CrdtBytes){data + 2, cut};
	input.second = (CrdtBytes){data + 2 + cut, size - 2 - cut};
	return input;
}

/* What was seen of an update. */
typedef struct Seen
{
	uint64_t client;
	uint64_t end;
	bool
		forged; /* two blocks of one client in a row: Yjs, and we, write them as one, with other clocks */
} Seen;

static bool
on_struct(void *context, const CrdtStructView *item)
{
	Seen *seen = context;

	fuzz_require(item->length > 0 && item->kind != NULL, "a struct of no length or kind");
	seen->forged |= item->client == seen->client && item->clock != seen->end;
	seen->client = item->client;
	seen->end = item->clock + item->length;
	return true;
}

static bool
on_deleted(void *context, uint64_t client, uint64_t clock, uint64_t length)
{
	(void) context;
	(void) client;
	fuzz_require(clock + length < UINT64_C(1) << 53, "a range beyond all clocks");
	return true;
}

static bool
on_client(void *context, uint64_t client, uint64_t from, uint64_t to)
{
	(void) context;
	(void) client;
	(void) from; /* beyond to, if the client comes twice */
	fuzz_require(to > 0, "a client without structs");
	return true;
}

/* All that only look agree whether the update is valid.  Says whether it is forged. */
static bool
check_looks(const CrdtHost *host, const Input *input)
{
	Seen seen = {UINT64_MAX, 0, false};
	const CrdtUpdateVisitor structs = {on_struct, on_deleted, &seen};
	const CrdtMetaVisitor clients = {on_client, NULL};
	CrdtError error;
	CrdtBuffer out;
	bool valid = crdt_update_check(host, input->first, input->format, &error) == CRDT_OK;
	bool has_vector;

	crdt_buffer_open(&out, host);
	has_vector =
		crdt_update_state_vector(host, input->first, input->format, &out, &error) == CRDT_OK;
	fuzz_require(has_vector == valid, "checked and read differently");
	if (valid)
		fuzz_require(crdt_state_vector_check(host, crdt_buffer_view(&out), &error) == CRDT_OK,
					 "an invalid state vector was written");
	fuzz_require((crdt_update_inspect(host, input->first, input->format, &structs, &error) ==
				  CRDT_OK) == valid,
				 "checked and inspected differently");
	fuzz_require(
		(crdt_update_meta(host, input->first, input->format, &clients, &error) == CRDT_OK) == valid,
		"checked and measured differently");
	crdt_buffer_close(&out);
	return seen.forged;
}

/* To the other format and back: what comes out is valid, and stays the same from then on. */
static void
check_conversion(const CrdtHost *host, const Input *input)
{
	CrdtFormat other = input->format == CRDT_V1 ? CRDT_V2 : CRDT_V1;
	CrdtBuffer there;
	CrdtBuffer back;
	CrdtBuffer again;
	CrdtError error;

	crdt_buffer_open(&there, host);
	crdt_buffer_open(&back, host);
	crdt_buffer_open(&again, host);
	if (crdt_update_convert(host, input->first, input->format, other, &there, &error) == CRDT_OK &&
		crdt_update_convert(host, crdt_buffer_view(&there), other, input->format, &back, &error) ==
			CRDT_OK)
	{
		fuzz_require(crdt_update_convert(host, crdt_buffer_view(&back), input->format, other,
										 &again, &error) == CRDT_OK,
					 "a converted update was refused");
		fuzz_require(crdt_update_check(host, crdt_buffer_view(&back), input->format, &error) ==
						 CRDT_OK,
					 "a converted update is not valid");
	}
	crdt_buffer_close(&there);
	crdt_buffer_close(&back);
	crdt_buffer_close(&again);
}

/* What merging and cutting give is valid again. */
static void
check_products(const CrdtHost *host, const Input *input)
{
	CrdtBytes updates[] = {input->first, input->second, input->first};
	CrdtError error;
	CrdtBuffer out;

	crdt_buffer_open(&out, host);
	if (crdt_update_merge(host, updates, 3, input->format, &out, &error) == CRDT_OK)
		fuzz_require(crdt_update_check(host, crdt_buffer_view(&out), input->format, &error) ==
						 CRDT_OK,
					 "a merged update is not valid");
	out.size = 0;
	if (crdt_update_diff(host, input->first, input->format, input->second, &out, &error) == CRDT_OK)
		fuzz_require(crdt_update_check(host, crdt_buffer_view(&out), input->format, &error) ==
						 CRDT_OK,
					 "a difference is not valid");
	crdt_buffer_close(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input = read_input(data, size);
	Limits limits;

	limits_open(&limits, 3 * size, input.format == CRDT_V2);
	if (!check_looks(&limits.host, &input))
	{
		check_conversion(&limits.host, &input);
		check_products(&limits.host, &input);
	}
	limits_close(&limits);
	return 0;
}
