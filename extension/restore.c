/*
 * restore.c: taking back what was written to a stored document: ydoc.undo, and so ydoc.restore.
 *
 *     log rows      1  2  3  4  5        undo what ann wrote in 2..4
 *     by            .  a  b  a  b
 *                   │  └──┼──┘  │
 *     a document of the history, nothing of it collected: rows in order, ann's 2 and 4 tracked
 *                   └─────┴─────┴──> undo manager: 4, then 2, taken back
 *                                    what that did, as an update ──> one log row, as any edit
 *
 * What others wrote stays, as with the undo of an editor, and editors that are open see an edit.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "access.h"
#include "bridge.h"
#include "crdt/undo.h"
#include "crdt/update.h"
#include "history.h"
#include "pg_ydoc.h"
#include "store_edit.h"

/* Updates to be merged into one. */
typedef struct Updates
{
	MemoryContext context; /* holds the bytes too */
	CrdtBytes *list;
	int count;
	int capacity;
} Updates;

typedef struct Undoing
{
	const text *actor; /* NULL: everybody */
	int64 from_seq;
	int64 to_seq;
	CrdtHost host;
	CrdtDoc *doc; /* of the history */
	CrdtUndo *undo;
	Updates run; /* rows that are not applied yet, all tracked or none */
	bool run_is_tracked;
	Updates made; /* by undoing */
	CrdtStatus status;
} Undoing;

/* ---- lists of updates ---- */

static void
open_updates(Updates *updates)
{
	updates->context =
		AllocSetContextCreate(CurrentMemoryContext, "ydoc updates", ALLOCSET_DEFAULT_SIZES);
	updates->list = NULL;
	updates->count = updates->capacity = 0;
}

static void
add_update(Updates *updates, CrdtBytes update)
{
	uint8_t *copy = MemoryContextAllocHuge(updates->context, update.size);

	if (updates->count == updates->capacity)
	{
		updates->capacity = Max(2 * updates->capacity, 64);
		updates->list =
			updates->list == NULL
				? MemoryContextAllocHuge(updates->context, updates->capacity * sizeof(CrdtBytes))
				: repalloc_huge(updates->list, updates->capacity * sizeof(CrdtBytes));
	}
	memcpy(copy, update.data, update.size);
	updates->list[updates->count++] = (CrdtBytes){copy, update.size};
}

static void
clear_updates(Updates *updates)
{
	MemoryContextReset(updates->context);
	updates->list = NULL;
	updates->count = updates->capacity = 0;
}

/* All of them as one, appended to out. */
static void
merge_updates(const Updates *updates, CrdtHost *host, CrdtBuffer *out)
{
	CrdtError error;

	if (crdt_update_merge(host, updates->list, updates->count, CRDT_V1, out, &error) != CRDT_OK)
		bridge_report(&error, "history");
}

/* ---- the document of the history ---- */

static void
apply_run(Undoing *undoing)
{
	CrdtBuffer merged;
	CrdtHost host;
	CrdtError error;

	if (undoing->run.count == 0)
		return;
	bridge_buffer(&merged, &host);
	merge_updates(&undoing->run, &host, &merged);
	crdt_undo_track_updates(undoing->undo, undoing->run_is_tracked);
	if (crdt_doc_apply(undoing->doc, crdt_buffer_view(&merged), CRDT_V1, NULL, &error) != CRDT_OK)
		bridge_report(&error, "history");
	crdt_undo_track_updates(undoing->undo, false);
	crdt_buffer_close(&merged);
	clear_updates(&undoing->run);
}

static void
add_to_run(Undoing *undoing, CrdtBytes update, bool tracked)
{
	if (tracked != undoing->run_is_tracked)
		apply_run(undoing);
	undoing->run_is_tracked = tracked;
	add_update(&undoing->run, update);
}

static bool
is_of_actor(const Undoing *undoing, const char *name, size_t size)
{
	const text *actor = undoing->actor;

	return actor == NULL ||
		   (VARSIZE_ANY_EXHDR(actor) == size && memcmp(VARDATA_ANY(actor), name, size) == 0);
}

static pg_noreturn void
report_inside(int64 seq, const HistoryRow *row)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("seq " INT64_FORMAT " is inside a log row", seq),
					errdetail("The updates " INT64_FORMAT " to " INT64_FORMAT " were merged.",
							  row->seq_from, row->seq),
					errhint("ydoc.history shows which seqs begin and end a row.")));
}

static void
take_row(void *context, const HistoryRow *row)
{
	Undoing *undoing = context;
	bool wanted = row->actor == NULL ? undoing->actor == NULL
									 : is_of_actor(undoing, VARDATA_ANY(row->actor),
												   VARSIZE_ANY_EXHDR(row->actor));

	if (row->seq_from < undoing->from_seq && row->seq >= undoing->from_seq)
		report_inside(undoing->from_seq, row);
	if (row->seq_from <= undoing->to_seq && row->seq > undoing->to_seq)
		report_inside(undoing->to_seq, row);
	add_to_run(undoing, row->update,
			   wanted && row->seq_from >= undoing->from_seq && row->seq <= undoing->to_seq);
}

/* What this transaction has edited comes behind the log. */
static void
take_edits(Undoing *undoing, const StoreHead *head)
{
	int count = store_edit_count(head);
	const char *actor = access_actor();
	bool wanted = undoing->from_seq <= head->seq + 1 && undoing->to_seq > head->seq &&
				  is_of_actor(undoing, actor, strlen(actor));

	for (int i = 0; i < count; i++)
		add_to_run(undoing, store_edit_update(head, i), wanted);
	apply_run(undoing);
}

/* ---- undoing ---- */

static void
note_made(void *context, CrdtDoc *doc, const CrdtChange *change)
{
	Undoing *undoing = context;
	CrdtBuffer update;
	CrdtError error;

	if (!change->local || undoing->status != CRDT_OK)
		return;
	crdt_buffer_open(&update, &undoing->host);
	undoing->status = crdt_doc_encode_transaction(doc, CRDT_V1, &update, &error);
	if (undoing->status == CRDT_OK)
		add_update(&undoing->made, crdt_buffer_view(&update));
	crdt_buffer_close(&update);
}

static void
open_undoing(Undoing *undoing)
{
	CrdtDocOptions options = {
		.keep_deleted = true, .after_transaction = note_made, .context = undoing};

	bridge_host(&undoing->host, CurrentMemoryContext);
	open_updates(&undoing->run);
	open_updates(&undoing->made);
	undoing->doc = crdt_doc_new(&undoing->host, &options);
	if (undoing->doc != NULL)
		undoing->undo = crdt_undo_new(undoing->doc, NULL);
	if (undoing->undo == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/* Takes all tracked steps back, the newest first. */
static void
take_back(Undoing *undoing, uint64 client)
{
	bool done = true;
	CrdtError error;

	crdt_doc_set_client(undoing->doc, client);
	while (done)
	{
		CHECK_FOR_INTERRUPTS();
		if (crdt_undo(undoing->undo, &done, &error) != CRDT_OK)
			bridge_report(&error, "history");
	}
	if (undoing->status != CRDT_OK || crdt_undo_lost_steps(undoing->undo))
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/* Does to the document what undoing did to its history. */
static void
edit_undo(CachedDocument *document, const StoreHead *head, void *context)
{
	Undoing *undoing = context;
	CrdtError error;

	open_undoing(undoing);
	history_walk(head, take_row, undoing);
	take_edits(undoing, head);
	take_back(undoing, crdt_doc_client(document->doc));
	if (undoing->made.count > 0)
	{
		merge_updates(&undoing->made, &document->host, &document->edit);
		if (crdt_doc_apply(document->doc, crdt_buffer_view(&document->edit), CRDT_V1, NULL,
						   &error) != CRDT_OK)
			bridge_report(&error, "edit");
	}
	crdt_undo_free(undoing->undo);
	crdt_doc_free(undoing->doc);
}

/* An edit makes the document if there is none; undoing must not. */
static void
require_document(const char *name)
{
	StoreHead head;

	store_open();
	if (!store_read_head(name, &head) && !store_lock_row(name, &head))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("there is no document \"%s\"", name)));
	store_close();
}

PG_FUNCTION_INFO_V1(ydoc_store_undo);
Datum
ydoc_store_undo(PG_FUNCTION_ARGS)
{
	Undoing undoing = {0};
	const char *name;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	undoing.actor = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	undoing.from_seq = PG_GETARG_INT64(2);
	undoing.to_seq = PG_ARGISNULL(3) ? PG_INT64_MAX : PG_GETARG_INT64(3);
	name = store_check_name(PG_GETARG_TEXT_PP(0));
	require_document(name);
	PG_RETURN_INT64(store_edit_run(name, edit_undo, &undoing));
}
