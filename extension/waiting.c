/*
 * waiting.c: what documents wait for (waiting.h), and the function that shows it.
 */
#include "waiting.h"

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "bridge.h"
#include "store.h"

/* ---- noting ---- */

static bool
note_client(void *context, uint64_t client, uint64_t from, uint64_t to)
{
	WaitingClients *waiting = context;

	waiting->clients[waiting->count++] = client;
	return waiting->count < WAITING_CLIENTS_MAX;
}

WaitingClients
waiting_clients(const CrdtDoc *doc)
{
	WaitingClients waiting = {0};
	CrdtAwaitedVisitor visitor = {.client = note_client, .context = &waiting};

	if (crdt_doc_is_waiting(doc))
		crdt_doc_awaited(doc, &visitor);
	return waiting;
}

bool
waiting_is_same(const WaitingClients *one, const WaitingClients *other)
{
	return one->count == other->count &&
		   memcmp(one->clients, other->clients, one->count * sizeof(one->clients[0])) == 0;
}

void
waiting_write(const char *name, const WaitingClients *waiting)
{
	static SPIPlanPtr delete_plan = NULL;
	static SPIPlanPtr insert_plan = NULL;
	Oid types[] = {TEXTOID, INT8ARRAYOID};
	Datum clients[WAITING_CLIENTS_MAX];
	Datum values[2];

	if (!OidIsValid(store_table("waiting")))
		return; /* a store that was not upgraded yet: writing goes on */
	for (int i = 0; i < waiting->count; i++)
		clients[i] = Int64GetDatum((int64) waiting->clients[i]);
	values[0] = CStringGetTextDatum(name);
	values[1] = PointerGetDatum(construct_array(clients, waiting->count, INT8OID, sizeof(int64),
												FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	store_prepare(&delete_plan,
				  "DELETE FROM ydoc_data.waiting WHERE document = $1 AND client <> ALL ($2)", 2,
				  types);
	if (store_execute_as_owner("waiting", delete_plan, values) != SPI_OK_DELETE)
		elog(ERROR, "could not note that a document waits no more");
	if (waiting->count == 0)
		return;
	store_prepare(&insert_plan,
				  "INSERT INTO ydoc_data.waiting (document, client)"
				  " SELECT $1, n.client FROM pg_catalog.unnest($2) AS n (client)"
				  " ON CONFLICT (document, client) DO NOTHING",
				  2, types);
	if (store_execute_as_owner("waiting", insert_plan, values) != SPI_OK_INSERT)
		elog(ERROR, "could not note that a document waits");
}

/* ---- showing ---- */

typedef struct Shown
{
	ReturnSetInfo *result;
	int64 bytes;
} Shown;

static bool
show_client(void *context, uint64_t client, uint64_t from, uint64_t to)
{
	Shown *shown = context;
	Datum values[] = {Int64GetDatum((int64) client), Int64GetDatum((int64) from),
					  Int64GetDatum((int64) to), Int64GetDatum(shown->bytes)};
	bool nulls[4] = {false};

	tuplestore_putvalues(shown->result->setResult, shown->result->setDesc, values, nulls);
	return true;
}

PG_FUNCTION_INFO_V1(ydoc_store_awaited);
Datum
ydoc_store_awaited(PG_FUNCTION_ARGS)
{
	StoreHead head = {.name = store_check_name(PG_GETARG_TEXT_PP(0))};

	bridge_materialize(fcinfo);
	store_open();
	if (store_read_head(head.name, &head))
	{
		CachedDocument *document = store_get_or_report(&head);
		Shown shown = {.result = (ReturnSetInfo *) fcinfo->resultinfo,
					   .bytes = (int64) crdt_doc_waiting_bytes(document->doc)};
		CrdtAwaitedVisitor visitor = {.client = show_client, .context = &shown};

		crdt_doc_awaited(document->doc, &visitor);
		cache_release(document);
	}
	store_close();
	return (Datum) 0;
}
