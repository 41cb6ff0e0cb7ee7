/*
 * store_slices.c: what a client lacks of a stored document, in slices for a slow line.
 *
 * Here: ydoc.sync_slices, and where ydoc.changes sends who lacks too much for one update.  Not here:
 * the cuts (crdt/slice.c), the document (store.c).
 */
#include "store_slices.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"

#include "bridge.h"
#include "crdt/slice.h"
#include "crdt/update.h"

/* Less than a slice's own head: every slice would hold one character. */
#define SLICE_BYTES_MIN 1024

enum
{
	COLUMN_EPOCH,
	COLUMN_SEQ,
	COLUMN_UPDATE,
	COLUMN_STATE_VECTOR,
	COLUMN_REACHED,
	COLUMNS
};

static void
put_slice(FunctionCallInfo fcinfo, const StoreHead *head, CrdtBytes update, bytea *state_vector,
		  bytea *reached)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	bytea *copy = bridge_bytea(update);
	Datum values[COLUMNS] = {
		[COLUMN_EPOCH] = Int64GetDatum(head->epoch),
		[COLUMN_SEQ] = Int64GetDatum(head->seq),
		[COLUMN_UPDATE] = PointerGetDatum(copy),
		[COLUMN_STATE_VECTOR] = PointerGetDatum(state_vector),
		[COLUMN_REACHED] = PointerGetDatum(reached),
	};
	bool nulls[COLUMNS] = {
		[COLUMN_STATE_VECTOR] = state_vector == NULL,
		[COLUMN_REACHED] = reached == NULL,
	};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	pfree(copy);
}

static bytea *
reached_by(const CrdtSlices *slices)
{
	CrdtBuffer reached;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&reached, &host);
	if (crdt_slices_write_reached(slices, &reached, &error) != CRDT_OK)
		bridge_report(&error, "document");
	return bridge_bytea(crdt_buffer_view(&reached));
}

static bytea *
state_vector_of(CrdtDoc *doc)
{
	CrdtBuffer state_vector;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&state_vector, &host);
	if (crdt_doc_encode_state_vector(doc, &state_vector, &error) != CRDT_OK)
		bridge_report(&error, "document");
	return bridge_bytea(crdt_buffer_view(&state_vector));
}

/* Puts slices until all are there, or max_bytes. */
static void
put_slices(FunctionCallInfo fcinfo, const StoreHead *head, CrdtDoc *doc, CrdtSlices *slices,
		   int64 max_bytes)
{
	bytea *state_vector = state_vector_of(doc);
	int64 total = 0;
	bool last = false;
	bool is_cut = false;
	CrdtBuffer slice;
	CrdtHost host;

	bridge_buffer(&slice, &host);
	while (!last && !is_cut)
	{
		CrdtError error;

		CHECK_FOR_INTERRUPTS();
		slice.size = 0;
		if (crdt_slices_next(slices, &slice, &last, &error) != CRDT_OK)
			bridge_report(&error, "document");
		total += slice.size;
		/* what is deleted goes out whole: another call could not tell where this one ended */
		is_cut = !last && total >= max_bytes && !crdt_slices_structs_done(slices);
		put_slice(fcinfo, head, crdt_buffer_view(&slice), state_vector,
				  is_cut ? reached_by(slices) : NULL);
		state_vector = NULL; /* once is enough */
	}
	crdt_buffer_close(&slice);
}

/* What is malformed is refused, whether there is a document or not. */
static void
check_state_vector(CrdtBytes state_vector)
{
	CrdtHost host;
	CrdtError error;

	bridge_host(&host, CurrentMemoryContext);
	if (state_vector.size > 0 && crdt_state_vector_check(&host, state_vector, &error) != CRDT_OK)
		bridge_report(&error, "state vector");
}

PG_FUNCTION_INFO_V1(ydoc_store_sync_slices);
Datum
ydoc_store_sync_slices(PG_FUNCTION_ARGS)
{
	const char *name = store_check_name(PG_GETARG_TEXT_PP(0));
	StoreHead head = {0};
	CrdtBytes given = bridge_view(PG_GETARG_BYTEA_PP(1));
	int32 slice_bytes = PG_GETARG_INT32(2);
	int32 max_bytes = PG_GETARG_INT32(3);

	if (slice_bytes < SLICE_BYTES_MIN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a slice has at least %d bytes, not %d", SLICE_BYTES_MIN, slice_bytes)));
	bridge_materialize(fcinfo);
	store_open();
	if (!store_read_known_head(name, PG_GETARG_INT64(4), &head))
	{
		check_state_vector(given);
		put_slice(fcinfo, &head, CRDT_LITERAL("\0\0"), bridge_bytea(CRDT_LITERAL("\0")), NULL);
	}
	else
	{
		CachedDocument *document = store_get_or_report(&head);
		CrdtSlices *slices;
		CrdtError error;

		if (crdt_slices_open(document->doc, given, slice_bytes, &slices, &error) != CRDT_OK)
			bridge_report(&error, "state vector");
		put_slices(fcinfo, &head, document->doc, slices, max_bytes);
		crdt_slices_close(slices);
		cache_release(document);
	}
	store_close();
	return (Datum) 0;
}

bytea *
store_state_vector_without(const StoreHead *head, CrdtBytes update)
{
	CachedDocument *document = store_get_or_report(head);
	CrdtSlices *slices;
	CrdtError error;
	bytea *state_vector;

	if (crdt_slices_open_without(document->doc, update, SLICE_BYTES_MIN, &slices, &error) !=
		CRDT_OK)
		bridge_report(&error, "update");
	state_vector = reached_by(slices);
	crdt_slices_close(slices);
	cache_release(document);
	return state_vector;
}
