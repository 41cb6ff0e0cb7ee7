/*
 * diff.c: one update without a document: is it valid, what of it is news to someone, the state
 * vector it reaches, its bytes in the other format, and whose it is (FORMAT 6.2 to 6.5; update.h).
 */
#include "update.h"

#include "wire.h"

/* Structs read between two questions whether to go on. */
#define CANCEL_INTERVAL 4096

/* One update, read from beginning to end. */
typedef struct Pass
{
	const CrdtHost *host;
	CrdtArena values; /* of one struct */
	CrdtArena kept; /* the reader's */
	CrdtUpdateReader reader;
	CrdtStruct current;
	bool has_current;
	uint64_t structs_read;
	CrdtIdSet deletes;
} Pass;

static void
pass_next(Pass *pass)
{
	const CrdtHost *host = pass->host;

	/* nothing of a struct is needed when the next one is read */
	crdt_arena_reset(&pass->values);
	if (++pass->structs_read % CANCEL_INTERVAL == 0 && host->cancelled != NULL &&
		host->cancelled(host->context))
		crdt_reader_fail(&pass->reader.bytes, CRDT_CANCELLED, "cancelled");
	pass->has_current = crdt_update_reader_next(&pass->reader, &pass->current);
	if (!pass->has_current)
		crdt_update_reader_take_deletes(&pass->reader, &pass->deletes);
}

/* Opens it at its first struct. */
static void
pass_open(Pass *pass, const CrdtHost *host, CrdtBytes update, CrdtFormat format)
{
	pass->host = host;
	pass->structs_read = 0;
	crdt_arena_open(&pass->values, host);
	crdt_arena_open(&pass->kept, host);
	crdt_idset_open(&pass->deletes, host);
	crdt_update_reader_open(&pass->reader, update, format, &pass->values, &pass->kept);
	pass_next(pass);
}

static void
pass_close(Pass *pass)
{
	crdt_arena_close(&pass->values);
	crdt_arena_close(&pass->kept);
	crdt_idset_close(&pass->deletes);
}

static uint64_t
current_end(const Pass *pass)
{
	return pass->current.clock + pass->current.length;
}

CrdtStatus
crdt_update_check(const CrdtHost *host, CrdtBytes update, CrdtFormat format, CrdtError *error)
{
	Pass pass;
	CrdtStatus status;

	pass_open(&pass, host, update, format);
	while (pass.has_current)
		pass_next(&pass);
	status = crdt_update_reader_status(&pass.reader, error);
	pass_close(&pass);
	return status;
}

/* ---- the difference ---- */

/* Of every client: nothing of what is known, and then, from the first news on, everything. */
static void
write_news(Pass *pass, const CrdtStateVector *known, CrdtUpdateWriter *writer)
{
	while (pass->has_current)
	{
		uint64_t client = pass->current.client;
		uint64_t clock = crdt_state_vector_clock(known, client);

		while (pass->has_current && pass->current.client == client &&
			   (pass->current.kind == CRDT_SKIP || current_end(pass) <= clock))
			pass_next(pass);
		for (; pass->has_current && pass->current.client == client; pass_next(pass))
		{
			uint64_t offset = clock > pass->current.clock ? clock - pass->current.clock : 0;

			crdt_update_writer_add(writer, &pass->current, offset);
			clock = 0;
		}
	}
}

CrdtStatus
crdt_update_diff(const CrdtHost *host, CrdtBytes update, CrdtFormat format, CrdtBytes state_vector,
				 CrdtBuffer *out, CrdtError *error)
{
	size_t size_before = out->size;
	CrdtStateVector known;
	CrdtUpdateWriter writer;
	Pass pass;
	CrdtStatus status = crdt_state_vector_open(&known, host, state_vector, error);

	if (status != CRDT_OK)
	{
		if (error != NULL)
			error->part = 1;
		return status;
	}
	crdt_update_writer_open(&writer, host, format);
	pass_open(&pass, host, update, format);
	write_news(&pass, &known, &writer);
	status = crdt_update_reader_status(&pass.reader, error);
	if (status == CRDT_OK && !(crdt_idset_group(&pass.deletes, format) &&
							   crdt_update_writer_finish(&writer, &pass.deletes, out)))
	{
		out->size = size_before;
		status = crdt_error_no_memory(error);
	}
	pass_close(&pass);
	crdt_update_writer_close(&writer);
	crdt_state_vector_close(&known);
	return status;
}

/* ---- the other format ---- */

static CrdtStatus
finish_converted(CrdtUpdateWriter *writer, CrdtIdSet *deletes, CrdtBuffer *out, CrdtError *error)
{
	size_t size_before = out->size;

	if (writer->format == CRDT_V2 && crdt_idset_has_empty_range(deletes))
		return crdt_error_set(error, CRDT_MALFORMED, 0,
							  "a deleted range has length 0, which V2 cannot say");
	if (crdt_idset_group(deletes, writer->format) &&
		crdt_update_writer_finish(writer, deletes, out))
		return CRDT_OK;
	out->size = size_before;
	return crdt_error_no_memory(error);
}

CrdtStatus
crdt_update_convert(const CrdtHost *host, CrdtBytes update, CrdtFormat from, CrdtFormat to,
					CrdtBuffer *out, CrdtError *error)
{
	CrdtUpdateWriter writer;
	Pass pass;
	CrdtStatus status;

	if (to != CRDT_V1 && to != CRDT_V2)
		return crdt_error_set(error, CRDT_INVALID, 0, "update format %d is not known", (int) to);
	crdt_update_writer_open(&writer, host, to);
	pass_open(&pass, host, update, from);
	for (; pass.has_current; pass_next(&pass))
		crdt_update_writer_add(&writer, &pass.current, 0);
	status = crdt_update_reader_status(&pass.reader, error);
	if (status == CRDT_OK)
		status = finish_converted(&writer, &pass.deletes, out, error);
	pass_close(&pass);
	crdt_update_writer_close(&writer);
	return status;
}

/* ---- whose it is ---- */

/* A run of structs of one client that follow each other in the update. */
static bool
collect_runs(Pass *pass, CrdtIdSet *runs)
{
	while (pass->has_current)
	{
		CrdtIdRange run = {pass->current.client, pass->current.clock, 0};
		uint64_t end = run.clock;

		for (; pass->has_current && pass->current.client == run.client; pass_next(pass))
			end = current_end(pass);
		/* a later block of the same client may begin before this one's end: the end is kept */
		run.length = end;
		if (!crdt_idset_add(runs, run))
			return false;
	}
	return true;
}

CrdtStatus
crdt_update_meta(const CrdtHost *host, CrdtBytes update, CrdtFormat format,
				 const CrdtMetaVisitor *visitor, CrdtError *error)
{
	CrdtIdSet runs; /* the length is the end */
	Pass pass;
	CrdtStatus status;
	bool has_memory;

	crdt_idset_open(&runs, host);
	pass_open(&pass, host, update, format);
	has_memory = collect_runs(&pass, &runs);
	status = crdt_update_reader_status(&pass.reader, error);
	if (status == CRDT_OK && !(has_memory && crdt_idset_group(&runs, CRDT_V1)))
		status = crdt_error_no_memory(error);
	for (size_t i = 0; status == CRDT_OK && i < runs.count; i++)
	{
		const CrdtIdRange *run = &runs.ranges[i];

		/* of several runs of one client the last one counts */
		if ((i + 1 == runs.count || run[1].client != run->client) &&
			!visitor->client(visitor->context, run->client, run->clock, run->length))
			status = crdt_error_set(error, CRDT_CANCELLED, 0, "stopped");
	}
	pass_close(&pass);
	crdt_idset_close(&runs);
	return status;
}

/* ---- state vectors ---- */

/* Appends an entry for every run of structs of one client that begins at clock 0, up to its first
 * hole.  Returns how many.  Yjs counts a Skip as known if it is the very first struct and begins at
 * clock 0, which no Yjs writes; to claim what is not there would lose it, so we do not. */
static uint64_t
write_states(Pass *pass, CrdtBuffer *entries)
{
	uint64_t count = 0;
	bool is_first = true;

	while (pass->has_current)
	{
		uint64_t client = pass->current.client;
		bool is_gap_free = pass->current.clock == 0;
		/* Yjs takes the very first struct for known before it looks whether it is a Skip */
		uint64_t state = is_first && is_gap_free ? current_end(pass) : 0;

		is_first = false;
		for (; pass->has_current && pass->current.client == client; pass_next(pass))
		{
			is_gap_free = is_gap_free && pass->current.kind != CRDT_SKIP;
			if (is_gap_free)
				state = current_end(pass);
		}
		if (state > 0)
		{
			count++;
			crdt_write_varuint(entries, client);
			crdt_write_varuint(entries, state);
		}
	}
	return count;
}

CrdtStatus
crdt_update_state_vector(const CrdtHost *host, CrdtBytes update, CrdtFormat format, CrdtBuffer *out,
						 CrdtError *error)
{
	size_t size_before = out->size;
	CrdtBuffer entries;
	Pass pass;
	CrdtStatus status;
	uint64_t count;

	crdt_buffer_open(&entries, host);
	pass_open(&pass, host, update, format);
	count = write_states(&pass, &entries);
	status = crdt_update_reader_status(&pass.reader, error);
	if (status == CRDT_OK)
	{
		crdt_write_varuint(out, count);
		crdt_write_bytes(out, crdt_buffer_view(&entries));
		if (entries.failed || out->failed)
		{
			out->size = size_before;
			status = crdt_error_no_memory(error);
		}
	}
	pass_close(&pass);
	crdt_buffer_close(&entries);
	return status;
}

CrdtStatus
crdt_state_vector_check(const CrdtHost *host, CrdtBytes state_vector, CrdtError *error)
{
	CrdtStateVector vector;
	CrdtStatus status;

	if (state_vector.size == 0)
		return crdt_error_set(error, CRDT_TRUNCATED, 0, "a state vector of no bytes");
	status = crdt_state_vector_open(&vector, host, state_vector, error);
	if (status == CRDT_OK)
		crdt_state_vector_close(&vector);
	return status;
}

CrdtStatus
crdt_state_vector_includes(const CrdtHost *host, CrdtBytes one, CrdtBytes other, bool *includes,
						   CrdtError *error)
{
	CrdtStateVector vector;
	CrdtStateVector included;
	CrdtStatus status = crdt_state_vector_open(&vector, host, one, error);

	if (status != CRDT_OK)
		return status;
	status = crdt_state_vector_open(&included, host, other, error);
	if (status == CRDT_OK)
	{
		*includes = true;
		for (size_t i = 0; i < included.count; i++)
			*includes &= crdt_state_vector_clock(&vector, included.entries[i].client) >=
						 included.entries[i].clock;
		crdt_state_vector_close(&included);
	}
	else
		error->part = 1;
	crdt_state_vector_close(&vector);
	return status;
}
