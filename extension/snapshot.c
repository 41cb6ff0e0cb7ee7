/*
 * snapshot.c: documents at earlier times: Yjs's snapshots, and reading as of them.
 *
 * A ydoc lets the content of what is deleted go, as Yjs does; so what is read as of a snapshot is a
 * history: an update that still has it, such as the merged rows of a log, or the state of a client
 * with gc off.
 */
#include "postgres.h"

#include "fmgr.h"

#include "bridge.h"
#include "crdt/snapshot.h"
#include "read.h"
#include "value.h"

PG_FUNCTION_INFO_V1(ydoc_snapshot);
Datum
ydoc_snapshot(PG_FUNCTION_ARGS)
{
	YdocValue *value = ydoc_value_arg(fcinfo, 0);
	CrdtFormat format = bridge_format_arg(fcinfo, 1);
	CrdtSnapshot *snapshot = crdt_snapshot_take(value->doc);
	CrdtBuffer bytes;
	CrdtHost host;
	CrdtError error = {.status = CRDT_NO_MEMORY};

	if (snapshot == NULL)
		bridge_report(&error, "document");
	bridge_buffer(&bytes, &host);
	if (crdt_snapshot_write(snapshot, format, &bytes, &error) != CRDT_OK)
		bridge_report(&error, "document");
	crdt_snapshot_free(snapshot);
	PG_RETURN_BYTEA_P(bridge_bytea(crdt_buffer_view(&bytes)));
}

/* A document in the current memory context that keeps what is deleted. */
static CrdtDoc *
document_of_history(bytea *history, CrdtHost *host)
{
	CrdtDocOptions options = {.keep_deleted = true};
	CrdtDoc *doc;
	CrdtError error = {.status = CRDT_NO_MEMORY};

	bridge_host(host, CurrentMemoryContext);
	doc = crdt_doc_new(host, &options);
	if (doc == NULL || crdt_doc_apply(doc, bridge_view(history), CRDT_V1, NULL, &error) != CRDT_OK)
		bridge_report(&error, "history");
	return doc;
}

static CrdtSnapshot *
snapshot_arg(FunctionCallInfo fcinfo, int number, const CrdtHost *host)
{
	CrdtSnapshot *snapshot;
	CrdtError error;

	if (PG_NARGS() <= number || PG_ARGISNULL(number))
		return NULL;
	if (crdt_snapshot_read(host, bridge_view(PG_GETARG_BYTEA_PP(number)), CRDT_V1, &snapshot,
						   &error) != CRDT_OK)
		bridge_report(&error, "snapshot");
	return snapshot;
}

PG_FUNCTION_INFO_V1(ydoc_at);
Datum
ydoc_at(PG_FUNCTION_ARGS)
{
	CrdtHost host;
	CrdtDoc *doc = document_of_history(PG_GETARG_BYTEA_PP(0), &host);
	CrdtSnapshot *snapshot = snapshot_arg(fcinfo, 1, &host);
	YdocValue *value = ydoc_value_new(CurrentMemoryContext);
	CrdtBuffer update;
	CrdtError error;

	bridge_buffer(&update, &host);
	if (crdt_snapshot_restore(doc, snapshot, CRDT_V1, &update, &error) != CRDT_OK)
		bridge_report(&error, "snapshot");
	crdt_doc_free(doc);
	ydoc_value_apply(value, crdt_buffer_view(&update), "history");
	PG_RETURN_DATUM(ydoc_value_datum(value));
}

PG_FUNCTION_INFO_V1(ydoc_delta_at);
Datum
ydoc_delta_at(PG_FUNCTION_ARGS)
{
	CrdtHost host;
	CrdtDoc *doc;
	Jsonb *delta;

	/* not strict: without a previous snapshot nothing is compared */
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	doc = document_of_history(PG_GETARG_BYTEA_PP(0), &host);
	delta = read_delta_between(doc, PG_GETARG_TEXT_PP(1), snapshot_arg(fcinfo, 2, &host),
							   snapshot_arg(fcinfo, 3, &host));
	crdt_doc_free(doc);
	if (delta == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(delta);
}
