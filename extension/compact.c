/*
 * compact.c: folding log rows into segments and moving stored states forward (compact.h).
 *
 * Here: one document.  Not here: which documents (due.c), one after the other (sweep.c).
 *
 * A stored state is only ever replaced by one that was read back and holds all that the tables hold
 * up to its seq.  Compaction adds nothing and drops nothing: what waits for updates that have not
 * come is part of the state.
 */
#include "compact.h"

#include "access/detoast.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "bridge.h"
#include "crdt/snapshot.h"
#include "crdt/update.h"
#include "due.h"
#include "store_edit.h"
#include "value.h"

/* A tail of more rows or bytes than this is not folded first: it goes into the state at once. */
#define FOLD_ROWS_MAX 10000
#define FOLD_BYTES_MAX (16 * 1024 * 1024)

void
compact_check_rights(void)
{
	static const char *const tables[] = {"log", "state", "segment"};

	if (!OidIsValid(store_table("segment")) || !OidIsValid(store_table("due")))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("the store of this database was made by an older release"),
						errhint("SELECT ydoc.upgrade_store() makes what is new.")));
	for (int i = 0; i < (int) lengthof(tables); i++)
		if (!store_sees_all(tables[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("compaction needs to see all rows of table ydoc_data.%s", tables[i]),
					 errhint("The owner of the tables may run it.")));
}

/* ---- reading what there is ---- */

/* Bytes of the stored state, of which only the head is read; 0: there is none. */
static int64
state_bytes_of(const StoreHead *head)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(head->name)};
	int64 bytes = 0;

	store_prepare(&plan, "SELECT s.state FROM ydoc_data.state s WHERE s.document = $1", 1, types);
	if (SPI_execute_plan(plan, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a document's stored state");
	if (SPI_processed == 1)
	{
		bool null;

		bytes = (int64) toast_raw_datum_size(
					SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null)) -
				VARHDRSZ;
	}
	SPI_freetuptable(SPI_tuptable);
	return bytes;
}

/* The segments behind the stored state, without gaps. */
typedef struct Segments
{
	int count;
	int64 *seq_from;
	int64 *seq;
	int64 *bytes;
	int64 all_bytes;
} Segments;

static Segments
list_segments(const StoreHead *head)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, INT8OID};
	Datum values[] = {CStringGetTextDatum(head->name), Int64GetDatum(head->state_seq)};
	Segments segments = {0};
	int64 seq = head->state_seq;

	store_prepare(&plan,
				  "SELECT s.seq_from, s.seq, pg_catalog.octet_length(s.update)::bigint"
				  " FROM ydoc_data.segment s WHERE s.document = $1 AND s.seq > $2 ORDER BY s.seq",
				  2, types);
	if (SPI_execute_plan(plan, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read a document's segments");
	segments.seq_from = palloc(sizeof(int64) * Max(SPI_processed, 1));
	segments.seq = palloc(sizeof(int64) * Max(SPI_processed, 1));
	segments.bytes = palloc(sizeof(int64) * Max(SPI_processed, 1));
	for (uint64 row = 0; row < SPI_processed && store_int64(row, 1) <= seq + 1; row++)
	{
		seq = segments.seq[segments.count] = store_int64(row, 2);
		segments.seq_from[segments.count] = store_int64(row, 1);
		segments.bytes[segments.count] = store_int64(row, 3);
		segments.all_bytes += segments.bytes[segments.count++];
	}
	SPI_freetuptable(SPI_tuptable);
	return segments;
}

/* Updates to be merged; borrowed from SPI's memory until the document is done. */
typedef struct Updates
{
	CrdtBytes *updates;
	uint64 count;
	int64 bytes;
} Updates;

typedef enum TailRead
{
	TAIL_READ,
	TAIL_TOO_LONG, /* to be folded */
	TAIL_HAS_GAP
} TailRead;

/* The log rows after a seq, all of them. */
static TailRead
read_tail(const StoreHead *head, int64 seq, Updates *tail)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, INT8OID, INT8OID, INT8OID};
	Datum values[] = {CStringGetTextDatum(head->name), Int64GetDatum(seq), Int64GetDatum(head->seq),
					  Int64GetDatum(FOLD_ROWS_MAX + 1)};

	store_prepare(&plan,
				  "SELECT l.seq_from, l.seq, l.update FROM ydoc_data.log l"
				  " WHERE l.document = $1 AND l.seq > $2 AND l.seq <= $3 ORDER BY l.seq LIMIT $4",
				  4, types);
	if (SPI_execute_plan(plan, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read a document's log");
	*tail = (Updates){.count = SPI_processed};
	if (tail->count > FOLD_ROWS_MAX)
		return TAIL_TOO_LONG;
	tail->updates = palloc(sizeof(CrdtBytes) * Max(tail->count, 1));
	for (uint64 row = 0; row < tail->count; row++)
	{
		if (store_int64(row, 1) > seq + 1)
			return TAIL_HAS_GAP;
		seq = store_int64(row, 2);
		tail->updates[row] = bridge_view(store_varlena(row, 3));
		tail->bytes += (int64) tail->updates[row].size;
		if (tail->bytes > FOLD_BYTES_MAX)
			return TAIL_TOO_LONG;
	}
	return seq == head->seq ? TAIL_READ : TAIL_HAS_GAP;
}

/* ---- fencing ---- */

static void
plan_fence(Compaction *compaction, const CrdtError *error)
{
	if (error->status == CRDT_NO_MEMORY || error->status == CRDT_CANCELLED)
		bridge_report(error, "document");
	compaction->kind = COMPACTION_FENCE;
	compaction->problem = fence_problem(error);
	compaction->sqlstate = ERRCODE_DATA_CORRUPTED;
}

static void
plan_fence_for(Compaction *compaction, const char *problem)
{
	compaction->kind = COMPACTION_FENCE;
	compaction->problem = problem;
	compaction->sqlstate = ERRCODE_DATA_CORRUPTED;
}

/* ---- tier 1: folding ---- */

/* The updates of the segments from one on, and then those of the tail. */
static Updates
segments_and_tail(const StoreHead *head, int64 seq_from, const Updates *tail)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, INT8OID};
	Datum values[] = {CStringGetTextDatum(head->name), Int64GetDatum(seq_from)};
	Updates all = {0};

	store_prepare(&plan,
				  "SELECT s.update FROM ydoc_data.segment s"
				  " WHERE s.document = $1 AND s.seq >= $2 ORDER BY s.seq",
				  2, types);
	if (SPI_execute_plan(plan, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read a document's segments");
	all.updates = palloc(sizeof(CrdtBytes) * (SPI_processed + tail->count));
	for (uint64 row = 0; row < SPI_processed; row++)
		all.updates[all.count++] = bridge_view(store_varlena(row, 1));
	memcpy(all.updates + all.count, tail->updates, sizeof(CrdtBytes) * tail->count);
	all.count += tail->count;
	return all;
}

/*
 * Folds the tail into a segment.  Each segment that is not larger than what comes after it joins it, so
 * sizes fall by half at least, there are few of them, and a byte is merged a few times at most.
 * False: the tail is to go into the state.
 */
static bool
plan_fold(Compaction *compaction)
{
	const StoreHead *head = &compaction->head;
	Segments segments = list_segments(head);
	int kept = segments.count;
	int64 seq = kept > 0 ? segments.seq[kept - 1] : head->state_seq;
	int64 joined;
	Updates tail;
	CrdtBuffer merged;
	CrdtHost host;
	CrdtError error;

	switch (read_tail(head, seq, &tail))
	{
		case TAIL_TOO_LONG: return false;
		case TAIL_HAS_GAP: plan_fence_for(compaction, "the log lacks rows"); return true;
		case TAIL_READ: break;
	}
	compaction->log_rows = (int64) tail.count;
	if (tail.count == 0)
		return segments.all_bytes < due_bytes(compaction->state_bytes);
	bridge_buffer(&merged, &host);
	if (crdt_update_merge(&host, tail.updates, tail.count, CRDT_V1, &merged, &error) != CRDT_OK)
	{
		plan_fence(compaction, &error);
		return true;
	}
	joined = (int64) merged.size;
	if (segments.all_bytes + joined >= due_bytes(compaction->state_bytes))
		return false;
	if (tail.count < 2)
		return true; /* a copy of one row serves nobody */
	while (kept > 0 && segments.bytes[kept - 1] <= joined)
		joined += segments.bytes[--kept];
	compaction->kind = COMPACTION_FOLD;
	compaction->seq_from = seq + 1;
	if (kept < segments.count)
	{
		Updates all = segments_and_tail(head, segments.seq[kept], &tail);

		compaction->seq_from = segments.seq_from[kept];
		crdt_buffer_close(&merged);
		if (crdt_update_merge(&host, all.updates, all.count, CRDT_V1, &merged, &error) != CRDT_OK)
		{
			plan_fence(compaction, &error);
			return true;
		}
	}
	compaction->merged = (struct varlena *) bridge_bytea(crdt_buffer_view(&merged));
	compaction->merged_bytes = (int64) merged.size;
	return true;
}

/* ---- tier 2: the stored state ---- */

static CrdtBytes
state_vector_of(const CachedDocument *document)
{
	CrdtBuffer state_vector;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&state_vector, &host);
	if (crdt_doc_encode_state_vector(document->doc, &state_vector, &error) != CRDT_OK)
		bridge_report(&error, "document");
	return crdt_buffer_view(&state_vector);
}

static CrdtBytes
encode(const CachedDocument *document)
{
	CrdtBuffer update;
	CrdtHost host;
	CrdtError error;

	bridge_buffer(&update, &host);
	if (crdt_doc_encode(document->doc, CRDT_V1, (CrdtBytes){NULL, 0}, &update, &error) != CRDT_OK)
		bridge_report(&error, "document");
	return crdt_buffer_view(&update);
}

/* Another document of one that was encoded; NULL: it cannot be decoded. */
static CachedDocument *
read_back(const StoreHead *head, CrdtBytes update)
{
	CachedDocument *document = cache_new(head->name, head->store, head->epoch);
	CrdtError error;

	if (crdt_doc_apply(document->doc, update, CRDT_V1, NULL, &error) == CRDT_OK)
		return document;
	if (error.status == CRDT_NO_MEMORY || error.status == CRDT_CANCELLED)
		bridge_report(&error, "document");
	cache_drop(document);
	return NULL;
}

static bool
has_all_of(const CachedDocument *document, CrdtBytes state_vector)
{
	CrdtHost host;
	CrdtError error;
	bool includes;

	bridge_host(&host, CurrentMemoryContext);
	if (crdt_state_vector_includes(&host, state_vector_of(document), state_vector, &includes,
								   &error) != CRDT_OK)
		bridge_report(&error, "state vector");
	return includes;
}

/* Is an update no news, not even as something that waits? */
static bool
has_update(CachedDocument *document, CrdtBytes update)
{
	CrdtApplied applied;
	CrdtError error;

	if (crdt_doc_apply(document->doc, update, CRDT_V1, &applied, &error) == CRDT_OK)
		return !applied.changed;
	if (error.status == CRDT_NO_MEMORY || error.status == CRDT_CANCELLED)
		bridge_report(&error, "document");
	return false;
}

static bool
same_snapshot(const CachedDocument *one, const CachedDocument *other)
{
	CrdtSnapshot *a = crdt_snapshot_take(one->doc);
	CrdtSnapshot *b = crdt_snapshot_take(other->doc);
	bool same;

	if (a == NULL || b == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	same = crdt_snapshots_equal(a, b);
	crdt_snapshot_free(a);
	crdt_snapshot_free(b);
	return same;
}

/*
 * The document's state, encoded.  While nothing waits, it is the same bytes as before.
 *
 * Of what a struct lacks Yjs notes one update, so structs can go on waiting for one another although
 * all has come: whoever loads such a state anew has everything.  So a document in which something waits
 * is loaded anew here, until that brings no more.
 */
static CrdtBytes
encode_healed(const StoreHead *head, CachedDocument **document)
{
	CrdtBytes state = encode(*document);
	bool got_more = true;

	while (got_more && crdt_doc_is_waiting((*document)->doc))
	{
		CachedDocument *healed = read_back(head, state);

		if (healed == NULL)
			return state; /* that is found out again */
		got_more = !has_all_of(*document, state_vector_of(healed));
		cache_drop(*document);
		*document = healed;
		state = encode(healed);
	}
	return state;
}

/* The new state must be readable, and hold all that the old one and the log hold. */
static void
plan_state(Compaction *compaction)
{
	const StoreHead *head = &compaction->head;
	CachedDocument *document = cache_new(head->name, head->store, head->epoch);
	CachedDocument *again;
	CrdtBytes stored_vector;
	CrdtBytes vector;
	CrdtBytes unhealed;
	CrdtBytes state;
	CrdtError error;
	bool waited;
	bool is_whole;

	if (!store_apply_state(head, document, &error))
	{
		plan_fence(compaction, &error);
		return;
	}
	stored_vector = state_vector_of(document);
	if (!store_apply_tail(head, document, &error))
	{
		plan_fence(compaction, &error);
		return;
	}
	vector = state_vector_of(document);
	waited = crdt_doc_is_waiting(document->doc);
	unhealed = waited ? encode(document) : (CrdtBytes){NULL, 0};
	state = encode_healed(head, &document);
	again = read_back(head, state);
	is_whole = again != NULL && has_all_of(again, stored_vector) && has_all_of(again, vector) &&
			   (waited ? has_update(again, unhealed) : same_snapshot(again, document));
	if (is_whole)
	{
		compaction->kind = COMPACTION_STATE;
		compaction->merged = ydoc_flat_make(state);
		compaction->merged_bytes = compaction->state_bytes = (int64) state.size;
		compaction->waiting = waiting_clients(again->doc);
	}
	else
		plan_fence_for(compaction, again == NULL ? "its state cannot be read back"
												 : "its state lacks updates when it is read back");
	cache_drop(document);
	if (again != NULL)
		cache_drop(again);
}

/* ---- the plan ---- */

static void
plan_document(Compaction *compaction, bool force)
{
	const StoreHead *head = &compaction->head;

	if (head->state_seq > 0)
		compaction->state_bytes = state_bytes_of(head);
	if (head->seq == head->state_seq)
		return;
	if (!force && (!due_is_enough(head->tail_rows, head->tail_bytes, compaction->state_bytes) ||
				   plan_fold(compaction)))
		return;
	compaction->log_rows = head->tail_rows;
	plan_state(compaction);
}

/* Copies what is to be written out of SPI's memory. */
static void
keep_outside(Compaction *compaction)
{
	if (compaction->merged != NULL)
	{
		Size size = VARSIZE_ANY(compaction->merged);

		compaction->merged = memcpy(SPI_palloc(size), compaction->merged, size);
	}
	if (compaction->problem != NULL)
	{
		Size size = strlen(compaction->problem) + 1;

		compaction->problem = memcpy(SPI_palloc(size), compaction->problem, size);
	}
}

Compaction *
compact_plan(const char *name, bool force)
{
	Compaction *compaction = palloc0(sizeof(Compaction));
	bool found;

	name = pstrdup(name);
	store_open();
	store_edit_flush(); /* what this transaction has edited has its log rows */
	/* one snapshot for all: a state and the segments and rows that go on from it */
	PushActiveSnapshot(GetTransactionSnapshot());
	found = store_read_head(name, &compaction->head);
	if (found)
		plan_document(compaction, force);
	keep_outside(compaction);
	PopActiveSnapshot();
	store_close();
	return found ? compaction : NULL;
}

/* ---- writing ---- */

/* The document's row, locked; false: it is not to be had. */
static bool
lock_row(const char *name, bool wait, StoreHead *head)
{
	static SPIPlanPtr wait_plan = NULL;
	static SPIPlanPtr skip_plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(name)};

	store_prepare(&wait_plan,
				  "SELECT " STORE_HEAD_COLUMNS " FROM ydoc_data.document d WHERE d.name = $1"
				  " FOR NO KEY UPDATE",
				  1, types);
	store_prepare(&skip_plan,
				  "SELECT " STORE_HEAD_COLUMNS " FROM ydoc_data.document d WHERE d.name = $1"
				  " FOR NO KEY UPDATE SKIP LOCKED",
				  1, types);
	if (SPI_execute_plan(wait ? wait_plan : skip_plan, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not lock a document's row");
	if (SPI_processed == 0)
		return false;
	store_head_of_row(name, 0, head);
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/* The new segment takes the place of those that it holds. */
static void
write_segment(const Compaction *compaction)
{
	static SPIPlanPtr delete_plan = NULL;
	static SPIPlanPtr insert_plan = NULL;
	Oid types[] = {TEXTOID, INT8OID, INT8OID, BYTEAOID};
	Datum values[] = {CStringGetTextDatum(compaction->head.name),
					  Int64GetDatum(compaction->seq_from), Int64GetDatum(compaction->head.seq),
					  PointerGetDatum(compaction->merged)};

	store_prepare(&delete_plan,
				  "DELETE FROM ydoc_data.segment s WHERE s.document = $1 AND s.seq >= $2", 2,
				  types);
	if (SPI_execute_plan(delete_plan, values, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete a document's segments");
	store_prepare(&insert_plan,
				  "INSERT INTO ydoc_data.segment (document, seq_from, seq, update)"
				  " VALUES ($1, $2, $3, $4)",
				  4, types);
	if (SPI_execute_plan(insert_plan, values, NULL, false, 0) != SPI_OK_INSERT ||
		SPI_processed != 1)
		elog(ERROR, "could not store a document's segment");
}

/* The oid of type ydoc, whatever schema it is in. */
static Oid
state_type(void)
{
	Oid table = store_table("state");

	return get_atttype(table, get_attnum(table, "state"));
}

static void
write_state(const Compaction *compaction)
{
	static SPIPlanPtr delete_plan = NULL;
	static SPIPlanPtr upsert_plan = NULL;
	static Oid type = InvalidOid; /* that the plan was made for */
	Oid types[] = {TEXTOID, INT8OID, state_type()};
	Datum values[] = {CStringGetTextDatum(compaction->head.name),
					  Int64GetDatum(compaction->head.seq), PointerGetDatum(compaction->merged)};

	if (type != types[2])
	{
		upsert_plan = NULL;
		type = types[2];
	}
	store_prepare(&upsert_plan,
				  "INSERT INTO ydoc_data.state AS s (document, seq, state) VALUES ($1, $2, $3)"
				  " ON CONFLICT (document) DO UPDATE SET seq = $2, state = $3"
				  " WHERE s.seq < $2",
				  3, types);
	if (SPI_execute_plan(upsert_plan, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not store a document's state");
	if (SPI_processed != 1)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("document \"%s\" has a stored state that is no older",
							   compaction->head.name),
						errdetail("Its row in ydoc_data.document knows nothing of that, so it was "
								  "changed by other means.")));
	store_prepare(&delete_plan,
				  "DELETE FROM ydoc_data.segment s WHERE s.document = $1 AND s.seq <= $2", 2,
				  types);
	if (SPI_execute_plan(delete_plan, values, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete a document's segments");
}

/* Counts what is behind now: few rows, and exact whatever happened to the log. */
static void
count_tail(StoreHead *head)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, INT8OID, INT8OID};
	Datum values[] = {CStringGetTextDatum(head->name), Int64GetDatum(head->state_seq),
					  Int64GetDatum(head->segment_seq)};

	store_prepare(&plan,
				  "SELECT l.rows, l.bytes + s.bytes FROM"
				  " (SELECT pg_catalog.count(*) AS rows,"
				  "  coalesce(pg_catalog.sum(pg_catalog.octet_length(l.update)), 0) AS bytes"
				  "  FROM ydoc_data.log l WHERE l.document = $1 AND l.seq > $3) l,"
				  " (SELECT coalesce(pg_catalog.sum(pg_catalog.octet_length(s.update)), 0) AS bytes"
				  "  FROM ydoc_data.segment s WHERE s.document = $1 AND s.seq > $2) s",
				  3, types);
	if (SPI_execute_plan(plan, values, NULL, false, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not count what follows a document's stored state");
	head->tail_rows = store_int64(0, 1);
	head->tail_bytes = store_int64(0, 2);
	SPI_freetuptable(SPI_tuptable);
}

static void
write_row(const StoreHead *head)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID};
	Datum values[] = {CStringGetTextDatum(head->name), Int64GetDatum(head->state_seq),
					  Int64GetDatum(head->segment_seq), Int64GetDatum(head->tail_rows),
					  Int64GetDatum(head->tail_bytes)};

	store_prepare(&plan,
				  "UPDATE ydoc_data.document SET state_seq = $2, segment_seq = $3, tail_rows = $4,"
				  " tail_bytes = $5 WHERE name = $1",
				  5, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not update a document's row");
	if (SPI_processed != 1)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("document \"%s\" may not be written", head->name),
						errdetail("A policy or trigger of table ydoc_data.document keeps its row "
								  "as it is.")));
}

/* On the locked row. */
static void
write_down(const Compaction *compaction, StoreHead *head)
{
	const char *name = head->name;

	switch (compaction->kind)
	{
		case COMPACTION_FENCE:
			fence_set(name, compaction->head.seq, compaction->problem, compaction->sqlstate);
			due_remove(name);
			return;
		case COMPACTION_FOLD:
			write_segment(compaction);
			head->segment_seq = compaction->head.seq;
			break;
		case COMPACTION_STATE:
			write_state(compaction);
			head->state_seq = head->segment_seq = compaction->head.seq;
			fence_remove(name);
			if (head->seq == head->state_seq)
				waiting_write(name, &compaction->waiting);
			break;
		case COMPACTION_NONE: break;
	}
	if (compaction->kind != COMPACTION_NONE ||
		due_is_enough(head->tail_rows, head->tail_bytes, compaction->state_bytes))
	{
		count_tail(head);
		write_row(head);
	}
	if (!due_is_enough(head->tail_rows, head->tail_bytes, compaction->state_bytes))
		due_remove(name);
}

CompactionOutcome
compact_write(const Compaction *compaction, bool wait)
{
	const StoreHead *read = &compaction->head;
	CompactionOutcome outcome = COMPACTION_STALE;
	StoreHead head;

	store_open();
	if (!lock_row(read->name, wait, &head))
		outcome = wait ? COMPACTION_GONE : COMPACTION_BUSY;
	else if (head.is_deleted)
		outcome = COMPACTION_GONE;
	else if (head.epoch == read->epoch && head.seq >= read->seq &&
			 head.state_seq == read->state_seq && head.segment_seq == read->segment_seq)
	{
		write_down(compaction, &head);
		outcome = COMPACTION_DONE;
	}
	store_close();
	return outcome;
}
