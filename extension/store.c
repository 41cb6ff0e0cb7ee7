/*
 * store.c: documents of the store, decoded (store.h).
 *
 * Here: the tables, rows, epochs, decoding.  Not here: what the tables are (schema/store_tables.sql), functions that
 * read (store_read.c), writing (batch.c).
 */
#include "store.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#if PG_VERSION_NUM >= 150000
#include "access/xlogrecovery.h"
#endif
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "bridge.h"
#include "size.h"
#include "stat.h"
#include "store_edit.h"
#include "store_gone.h"
#include "store_log.h"
#include "store_rows.h"

#define NAME_BYTES_MAX 1024
#define STORE_SCHEMA "ydoc_data"
#define FIRST_EPOCH INT64CONST(1577836800000000) /* 2020 began: there was no document before */

/* ---- the tables ---- */

Oid
store_table(const char *table)
{
	Oid schema = get_namespace_oid(STORE_SCHEMA, true);

	return OidIsValid(schema) ? get_relname_relid(table, schema) : InvalidOid;
}

Oid
store_oid(void)
{
	return store_table("document");
}

void
store_open(void)
{
	if (!OidIsValid(store_oid()))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("this database has no store for documents"),
						errhint("SELECT ydoc.create_store() creates its tables.")));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

void
store_close(void)
{
	SPI_finish();
}

SPIPlanPtr
store_prepare(SPIPlanPtr *plan, const char *sql, int argument_count, Oid *types)
{
	if (*plan == NULL)
	{
		SPIPlanPtr fresh = SPI_prepare(sql, argument_count, types);

		if (fresh == NULL || SPI_keepplan(fresh) != 0)
			elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
		*plan = fresh;
	}
	return *plan;
}

static bool
may_read(const char *table)
{
	Oid relation = store_table(table);

	return OidIsValid(relation) &&
		   pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

bool
store_sees_all(const char *table)
{
	return may_read(table) && check_enable_rls(store_table(table), InvalidOid, true) != RLS_ENABLED;
}

int
store_execute_as_owner(const char *table, SPIPlanPtr plan, Datum *values)
{
	HeapTuple relation = SearchSysCache1(RELOID, ObjectIdGetDatum(store_table(table)));
	Oid owner;
	Oid user;
	int security_context;
	int result;

	if (!HeapTupleIsValid(relation))
		elog(ERROR, "there is no table %s", table);
	owner = ((Form_pg_class) GETSTRUCT(relation))->relowner;
	ReleaseSysCache(relation);
	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(owner,
						   security_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	result = SPI_execute_plan(plan, values, NULL, false, 0);
	SetUserIdAndSecContext(user, security_context);
	return result;
}

/* ---- names ---- */

/* In UTF-8: U+0001 to 1F, 7F, and 80 to 9F, with which terminals begin commands as well. */
static bool
is_control(const unsigned char *at)
{
	return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0);
}

char *
store_check_name(const text *name)
{
	char *string = text_to_cstring(name);
	size_t size = strlen(string);

	if (size < 1 || size > NAME_BYTES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a document's name has 1 to %d bytes, not %zu", NAME_BYTES_MAX, size)));
	for (size_t i = 0; i < size; i++)
		if (is_control((unsigned char *) string + i))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a document's name holds no control characters"),
					 errdetail("Byte %zu of the name is %d.", i, (unsigned char) string[i])));
	return string;
}

/* ---- epochs ---- */

/* The line of history that this server writes; on a standby, the one that it follows. */
static TimeLineID
current_timeline(void)
{
	TimeLineID timeline = 0;

	if (RecoveryInProgress())
	{
		(void) GetXLogReplayRecPtr(&timeline);
		return timeline;
	}
#if PG_VERSION_NUM >= 150000
	return GetWALInsertionTimeLine();
#else
	return ThisTimeLineID;
#endif
}

/*
 * Whoever has read up to (epoch, seq) wants to know what follows; but a server that was promoted or
 * restored may lack commits that were shown, and hand their seqs out again.  Each such fork has a
 * system identifier and timeline of its own, and a dump that is restored in the same server a table or a
 * database of its own.  So these are part of the epoch that we tell: it changes for every document when they
 * do, and its clients are asked for what they hold.
 */
static uint64
mix_with_fork(Oid store, uint64 epoch)
{
	uint64 fork[] = {GetSystemIdentifier(), current_timeline(),
					 (uint64) MyDatabaseId << 32 | store};

	return (hash_bytes_extended((const unsigned char *) fork, sizeof(fork), 0) ^ epoch) &
		   PG_INT64_MAX;
}

int64
store_epoch(Oid store, int64 epoch)
{
	uint64 told = mix_with_fork(store, epoch);

	return told == 0 ? 1 : (int64) told; /* 0 is that of no document */
}

/* What was told on another fork is no time of any document here: such a caller is asked for what he
 * holds. */
bool
store_epoch_is_buried(Oid store, int64 known_epoch, int64 buried)
{
	int64 epoch;

	if (known_epoch == 0 || buried == 0)
		return false;
	epoch = (int64) mix_with_fork(store, known_epoch);
	return epoch >= FIRST_EPOCH && epoch <= buried;
}

/* ---- reading rows ---- */

int64
store_int64(uint64 row, int column)
{
	bool null;
	Datum value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &null);

	return null ? 0 : DatumGetInt64(value);
}

static bool
is_null(int row, int column)
{
	bool null;

	(void) SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &null);
	return null;
}

struct varlena *
store_varlena(uint64 row, int column)
{
	bool null;
	Datum value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &null);

	return null ? NULL : PG_DETOAST_DATUM_PACKED(value);
}

static const char read_head_sql[] =
	"SELECT " STORE_HEAD_COLUMNS " FROM ydoc_data.document d WHERE d.name = $1";

static const char lock_head_sql[] =
	"SELECT " STORE_HEAD_COLUMNS " FROM ydoc_data.document d WHERE d.name = $1 FOR NO KEY UPDATE";

void
store_head_of_row(const char *name, int row, StoreHead *head)
{
	Oid store = store_oid();

	*head = (StoreHead){.name = name,
						.store = store,
						.epoch = store_epoch(store, store_int64(row, 1)),
						.row_epoch = store_int64(row, 1),
						.seq = store_int64(row, 2),
						.state_seq = store_int64(row, 3),
						.segment_seq = store_int64(row, 4),
						.tail_rows = store_int64(row, 5),
						.tail_bytes = store_int64(row, 6),
						.buried = store_int64(row, 7),
						.is_deleted = !is_null(row, 8),
						.for_writing = true};
}

/* Runs one of these; false: no row. */
static bool
get_head(SPIPlanPtr *plan, const char *sql, bool for_writing, const char *name, StoreHead *head)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(name)};

	store_prepare(plan, sql, 1, types);
	if (SPI_execute_plan(*plan, values, NULL, !for_writing, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a document's row");
	if (SPI_processed == 0)
		return false;
	store_head_of_row(name, 0, head);
	head->for_writing = for_writing;
	SPI_freetuptable(SPI_tuptable);
	return true;
}

bool
store_read_head(const char *name, StoreHead *head)
{
	static SPIPlanPtr plan = NULL;
	StoreHead read;
	bool found;

	if (!store_rows_read_head(name, &read, &found))
		found = get_head(&plan, read_head_sql, false, name, &read);
	if (!found || read.is_deleted)
		return false;
	*head = read;
	return true;
}

bool
store_lock_row(const char *name, StoreHead *head)
{
	static SPIPlanPtr plan = NULL;

	return get_head(&plan, lock_head_sql, true, name, head);
}

/* A plan that was made while a table had one page, as the planner knew, reads all of it.  That the table has grown it is
 * told by whoever analyzes it, and not before the transaction that made it grow has ended: so plans are made anew each
 * time the documents made here have doubled. */
static void
note_made(void)
{
	static uint64 made = 0;

	made++;
	if (made >= 64 && (made & (made - 1)) == 0)
		ResetPlanCache();
}

bool
store_insert_row(const char *name)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(name)};

	store_prepare(&plan,
				  "INSERT INTO ydoc_data.document (name) VALUES ($1) ON CONFLICT (name) DO NOTHING",
				  1, types);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not create a document's row");
	if (SPI_processed != 1)
		return false;
	note_made();
	return true;
}

void
store_lock_head(const char *name, StoreHead *head)
{
	bool found = store_lock_row(name, head);

	/* more than once: who renames it leaves behind a row that only the next statement sees */
	for (int attempt = 0; !found && attempt < STORE_LOCK_ATTEMPTS; attempt++)
	{
		(void) store_insert_row(name);
		found = store_lock_row(name, head);
	}
	if (!found)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("document \"%s\" may not be written", name),
						errdetail("A policy of table ydoc_data.document hides its row, or it was "
								  "deleted just now.")));
	if (head->is_deleted)
		store_report_gone(name, 0, true);
}

/* ---- decoding ---- */

bool
store_apply_state(const StoreHead *head, CachedDocument *document, CrdtError *error)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, INT8OID};
	Datum values[] = {CStringGetTextDatum(head->name), Int64GetDatum(head->seq)};
	bool applied = true;

	if (head->state_seq == 0)
		return true;
	store_prepare(&plan,
				  "SELECT s.seq, s.state::pg_catalog.bytea FROM ydoc_data.state s"
				  " WHERE s.document = $1 AND s.seq <= $2",
				  2, types);
	if (SPI_execute_plan(plan, values, NULL, !head->for_writing, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a document's stored state");
	if (SPI_processed == 1)
	{
		CrdtBytes update = bridge_view(store_varlena(0, 2));

		applied = crdt_doc_apply(document->doc, update, CRDT_V1, NULL, error) == CRDT_OK;
		if (applied)
			document->seq = store_int64(0, 1);
		size_note(document, update.size);
	}
	SPI_freetuptable(SPI_tuptable);
	return applied;
}

/* Applies the segments that go on from the document's seq.  They are made of the log: should one be
 * hidden, missing or damaged, the log has what it held. */
static bool
apply_segments(const StoreHead *head, CachedDocument *document, CrdtError *error)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, INT8OID, INT8OID};
	Datum values[] = {CStringGetTextDatum(head->name), Int64GetDatum(document->seq),
					  Int64GetDatum(head->seq)};

	if (head->segment_seq <= document->seq || !may_read("segment"))
		return true;
	store_prepare(&plan,
				  "SELECT s.seq_from, s.seq, s.update FROM ydoc_data.segment s"
				  " WHERE s.document = $1 AND s.seq > $2 AND s.seq <= $3 ORDER BY s.seq",
				  3, types);
	if (SPI_execute_plan(plan, values, NULL, !head->for_writing, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read a document's segments");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		CrdtBytes update = bridge_view(store_varlena(row, 3));

		if (store_int64(row, 1) > document->seq + 1)
			break;
		if (crdt_doc_apply(document->doc, update, CRDT_V1, NULL, error) != CRDT_OK)
		{
			if (error->status == CRDT_NO_MEMORY || error->status == CRDT_CANCELLED)
				return false;
			break;
		}
		document->seq = store_int64(row, 2);
		size_note(document, update.size);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_freetuptable(SPI_tuptable);
	return true;
}

static bool
log_lacks_rows(const CachedDocument *document, CrdtError *error)
{
	*error = (CrdtError){.status = CRDT_MALFORMED};
	snprintf(error->message, sizeof(error->message), "the log lacks what follows seq " INT64_FORMAT,
			 document->seq);
	return false;
}

static bool
apply_log_row(CachedDocument *document, const StoreLogView *row, CrdtError *error)
{
	/* rows that are not seen would leave a document that looks whole and is not */
	if (row->seq_from > document->seq + 1)
		return log_lacks_rows(document, error);
	if (crdt_doc_apply(document->doc, row->update, CRDT_V1, NULL, error) != CRDT_OK)
		return false;
	document->seq = row->seq;
	size_note(document, row->update.size);
	return true;
}

/* Applies the log rows after the document's seq up to head's. */
static bool
apply_log(const StoreHead *head, CachedDocument *document, CrdtError *error)
{
	StoreLog *log;
	StoreLogView row;
	bool applied = true;

	if (document->seq >= head->seq)
		return true;
	log = store_log_begin(head, document->seq);
	while (applied && document->seq < head->seq)
		applied = store_log_next(log, &row) ? apply_log_row(document, &row, error)
											: log_lacks_rows(document, error);
	store_log_end(log);
	return applied;
}

bool
store_apply_tail(const StoreHead *head, CachedDocument *document, CrdtError *error)
{
	return apply_segments(head, document, error) && apply_log(head, document, error);
}

/* Applies what this transaction has edited beyond its rows. */
static bool
apply_edits(const StoreHead *head, CachedDocument *document, CrdtError *error)
{
	int count = store_edit_count(head);

	for (; document->edits < count; document->edits++)
	{
		CrdtBytes update = store_edit_update(head, document->edits);

		if (crdt_doc_apply(document->doc, update, CRDT_V1, NULL, error) != CRDT_OK)
			return false;
		size_note(document, update.size);
	}
	return true;
}

static CachedDocument *
take_cached(const StoreHead *head)
{
	/* who may not see everything gets nothing that was decoded for another */
	if (!head->sees_all && (!store_sees_all("log") || !store_sees_all("state")))
		return NULL;
	return cache_take(head->name, head->store, head->epoch, head->seq);
}

/* Gives up a document that cannot be brought up to its row's seq. */
static CachedDocument *
give_up(CachedDocument *document, const CrdtError *error)
{
	cache_drop(document);
	if (error->status == CRDT_NO_MEMORY || error->status == CRDT_CANCELLED)
		bridge_report(error, "document");
	return NULL;
}

CachedDocument *
store_get(const StoreHead *head, CrdtError *error)
{
	CachedDocument *document = take_cached(head);

	/* compaction ends waiting that only the order in which updates came was the reason for */
	if (document != NULL && crdt_doc_is_waiting(document->doc) &&
		document->compacted_seq < Max(head->state_seq, head->segment_seq))
	{
		cache_drop(document);
		document = NULL;
	}
	stat_count(document != NULL ? STAT_CACHE_HITS : STAT_CACHE_MISSES, 1);
	if (document != NULL && document->seq == head->seq && document->edits == store_edit_count(head))
		return document;
	if (document == NULL)
	{
		document = cache_new(head->name, head->store, head->epoch);
		document->compacted_seq = Max(head->state_seq, head->segment_seq);
		cache_touch(document);
		if (!store_apply_state(head, document, error) || !apply_segments(head, document, error))
			return give_up(document, error);
	}
	/* what is read may be of this transaction, and roll back with it */
	cache_touch(document);
	return apply_log(head, document, error) && apply_edits(head, document, error)
			   ? document
			   : give_up(document, error);
}

/* The document as of head, for reading; an error if it cannot be decoded. */
CachedDocument *
store_get_or_report(const StoreHead *head)
{
	CrdtError error;
	CachedDocument *document = store_get(head, &error);

	if (document == NULL)
		ereport(
			ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("document \"%s\" cannot be decoded: %s", head->name, error.message),
			 errdetail("The problem is at byte %zu of its stored state or of a row of its log.",
					   error.offset),
			 errhint("Its rows of ydoc_data.state and ydoc_data.segment may be deleted, the log "
					 "has what they hold; which row of the log is bad says SELECT seq FROM "
					 "ydoc_data.log WHERE document = %s AND NOT yupdate_valid(update).",
					 quote_literal_cstr(head->name))));
	return document;
}

bool
store_read_known_head(const char *name, int64 known_epoch, StoreHead *head)
{
	bool found = store_read_head(name, head);

	if (!found || store_epoch_is_buried(head->store, known_epoch, head->buried))
		store_report_gone(name, known_epoch, false);
	return found;
}
