/*
 * blame.c: who wrote what is there now: ydoc.blame.
 *
 *     log rows                  spans of each client             visible runs (crdt/runs.h)
 *     seq 4, ann: 7 [0..5) ─┐   7: [0..5) row 0, [5..9) row 2    7 [2..9) "llo hey"
 *     seq 5, ben: 9 [0..2)  ├──>9: [0..2) row 1                └──> ann "llo", ann "hey" later
 *     seq 6, ann: 7 [3..9) ─┘
 *
 * A unit belongs to the first row that brought it: clients that come back send again what is known.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "bridge.h"
#include "crdt/runs.h"
#include "crdt/update.h"
#include "history.h"
#include "path.h"

/* What is told of a log row. */
typedef struct Writing
{
	int64 seq;
	TimestampTz at;
	text *actor; /* shared by rows that follow one another */
} Writing;

/* Clocks from..to - 1 of a client, and the row that first brought them. */
typedef struct Span
{
	uint64 from;
	uint64 to;
	int writing;
} Span;

/* A client's spans, ascending and apart. */
typedef struct ClientSpans
{
	uint64 client; /* the key */
	Span *spans;
	int count;
	int capacity;
} ClientSpans;

typedef struct Blame
{
	MemoryContext context;
	HTAB *clients;
	Writing *writings;
	int writing_count;
	int writing_capacity;
} Blame;

/* ---- which row brought which clocks ---- */

static void
insert_span(ClientSpans *client, int at, Span span)
{
	if (client->count == client->capacity)
	{
		client->capacity = Max(2 * client->capacity, 4);
		client->spans = client->spans == NULL
							? palloc(client->capacity * sizeof(Span))
							: repalloc_huge(client->spans, client->capacity * sizeof(Span));
	}
	memmove(&client->spans[at + 1], &client->spans[at], (client->count - at) * sizeof(Span));
	client->spans[at] = span;
	client->count++;
}

/* The first span that ends beyond clock. */
static int
find_span(const ClientSpans *client, uint64 clock)
{
	int low = 0;
	int high = client->count;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (client->spans[middle].to <= clock)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Notes what of the clocks no earlier row has brought. */
static void
add_span(ClientSpans *client, Span span)
{
	for (int at = find_span(client, span.from); span.from < span.to; at++)
	{
		uint64 known_from = at < client->count ? client->spans[at].from : span.to;
		Span *before = at > 0 ? &client->spans[at - 1] : NULL;
		Span piece = {span.from, Min(known_from, span.to), span.writing};

		if (piece.from < piece.to)
		{
			span.from = piece.to;
			if (before != NULL && before->to == piece.from && before->writing == piece.writing)
			{
				before->to = piece.to;
				at--;
			}
			else
				insert_span(client, at, piece);
			continue;
		}
		span.from = client->spans[at].to;
	}
}

static bool
note_struct(void *context, const CrdtStructView *item)
{
	Blame *blame = context;
	bool found;
	ClientSpans *client;

	/* what is deleted is not shown, so nobody asks whose it was */
	if (strcmp(item->kind, "skip") == 0 || strcmp(item->kind, "gc") == 0)
		return true;
	client = hash_search(blame->clients, &item->client, HASH_ENTER, &found);
	if (!found)
	{
		client->spans = NULL;
		client->count = client->capacity = 0;
	}
	add_span(client, (Span){item->clock, item->clock + item->length, blame->writing_count - 1});
	return true;
}

static bool
note_deleted(void *context, uint64_t client, uint64_t clock, uint64_t length)
{
	return true;
}

static bool
same_text(const text *a, const text *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		   memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

static text *
keep_actor(const Blame *blame, const text *actor)
{
	text *last = blame->writing_count > 0 ? blame->writings[blame->writing_count - 1].actor : NULL;

	if (actor == NULL || same_text(last, actor))
		return actor == NULL ? NULL : last;
	return cstring_to_text_with_len(VARDATA_ANY(actor), VARSIZE_ANY_EXHDR(actor));
}

static void
note_row(void *context, const HistoryRow *row)
{
	Blame *blame = context;
	CrdtUpdateVisitor visitor = {note_struct, note_deleted, blame};
	MemoryContext rows_context = CurrentMemoryContext;
	CrdtHost host;
	CrdtError error;

	MemoryContextSwitchTo(blame->context);
	if (blame->writing_count == blame->writing_capacity)
	{
		blame->writing_capacity *= 2;
		blame->writings = repalloc_huge(blame->writings, blame->writing_capacity * sizeof(Writing));
	}
	blame->writings[blame->writing_count] =
		(Writing){row->seq, row->at, keep_actor(blame, row->actor)};
	blame->writing_count++;
	bridge_host(&host, rows_context);
	if (crdt_update_inspect(&host, row->update, CRDT_V1, &visitor, &error) != CRDT_OK)
		bridge_report(&error, psprintf("log row " INT64_FORMAT, row->seq));
	MemoryContextSwitchTo(rows_context);
}

static void
open_blame(Blame *blame)
{
	HASHCTL control = {
		.keysize = sizeof(uint64), .entrysize = sizeof(ClientSpans), .hcxt = CurrentMemoryContext};

	blame->context = CurrentMemoryContext;
	blame->clients =
		hash_create("ydoc clients", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	blame->writing_count = 0;
	blame->writing_capacity = 64;
	blame->writings = palloc(blame->writing_capacity * sizeof(Writing));
}

/* ---- what is visible ---- */

/* A row of the answer while it grows. */
typedef struct Passage
{
	bool is_open;
	bool is_text;
	int depth; /* of its type */
	uint64 index;
	uint64 units;
	CrdtBuffer text;
	const Writing *writing; /* the newest; NULL: no row of the log has it */
} Passage;

typedef struct Telling
{
	const Blame *blame;
	FunctionCallInfo fcinfo;
	int64 gap; /* microseconds */
	Datum *path; /* of the type that runs are of, as texts */
	int depth;
	int capacity;
	CrdtBytes last_key; /* of the last run: if its type is entered, what leads there */
	uint64 last_index;
	CrdtHost host;
	Passage passage;
} Telling;

static void
push_step(Telling *telling, CrdtBytes step)
{
	CrdtBytes shown = bridge_text(step);

	if (telling->depth == telling->capacity)
	{
		telling->capacity *= 2;
		telling->path = repalloc(telling->path, telling->capacity * sizeof(Datum));
	}
	telling->path[telling->depth++] =
		PointerGetDatum(cstring_to_text_with_len((const char *) shown.data, (int) shown.size));
}

static Datum
path_datum(const Telling *telling)
{
	return PointerGetDatum(
		construct_array(telling->path, telling->depth, TEXTOID, -1, false, TYPALIGN_INT));
}

/* path, index, length, text, actor, at, seq */
static void
put_row(Telling *telling, bool has_index, uint64 index, uint64 units, const CrdtBytes *content,
		const Writing *writing)
{
	ReturnSetInfo *result = (ReturnSetInfo *) telling->fcinfo->resultinfo;
	Datum values[] = {path_datum(telling),
					  Int64GetDatum((int64) index),
					  Int64GetDatum((int64) units),
					  (Datum) 0,
					  (Datum) 0,
					  (Datum) 0,
					  (Datum) 0};
	bool nulls[] = {false, !has_index,      false,          content == NULL,
					true,  writing == NULL, writing == NULL};

	if (content != NULL)
		values[3] = PointerGetDatum(bridge_bytea(bridge_text(*content)));
	if (writing != NULL)
	{
		values[4] = PointerGetDatum(writing->actor);
		nulls[4] = writing->actor == NULL;
		values[5] = TimestampTzGetDatum(writing->at);
		values[6] = Int64GetDatum(writing->seq);
	}
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
end_passage(Telling *telling)
{
	Passage *passage = &telling->passage;
	CrdtBytes content = crdt_buffer_view(&passage->text);

	if (!passage->is_open)
		return;
	put_row(telling, true, passage->index, passage->units, passage->is_text ? &content : NULL,
			passage->writing);
	passage->is_open = false;
	passage->text.size = 0;
}

/* Does it go on with what was written by the same actor, within the gap? */
static bool
joins(const Telling *telling, const CrdtRun *run, uint64 index, const Writing *writing)
{
	const Passage *passage = &telling->passage;
	const Writing *before = passage->writing;

	if (!passage->is_open || passage->depth != telling->depth || passage->is_text != run->is_text ||
		passage->index + passage->units != index || run->type != NULL)
		return false;
	if (before == NULL || writing == NULL || before == writing)
		return before == writing;
	return same_text(before->actor, writing->actor) && telling->gap > 0 &&
		   Max(before->at, writing->at) - Min(before->at, writing->at) <= telling->gap;
}

/* Units of a run that one row brought. */
static void
tell_piece(Telling *telling, const CrdtRun *run, uint64 from, uint64 units, const Writing *writing)
{
	Passage *passage = &telling->passage;
	CrdtError error;

	if (!joins(telling, run, run->index + from, writing))
	{
		end_passage(telling);
		passage->is_open = true;
		passage->is_text = run->is_text;
		passage->depth = telling->depth;
		passage->index = run->index + from;
		passage->units = 0;
		passage->writing = writing;
	}
	else if (writing != NULL && writing->seq > passage->writing->seq)
		passage->writing = writing;
	passage->units += units;
	if (run->is_text && crdt_run_text(run, from, units, &passage->text, &error) != CRDT_OK)
		bridge_report(&error, "document");
}

static bool
tell_run(void *context, const CrdtRun *run)
{
	Telling *telling = context;
	const ClientSpans *client = hash_search(telling->blame->clients, &run->client, HASH_FIND, NULL);
	uint64 done = 0;
	int at = client == NULL ? 0 : find_span(client, run->clock);

	telling->last_key = run->key;
	telling->last_index = run->index;
	while (done < run->units)
	{
		const Span *span = client != NULL && at < client->count ? &client->spans[at] : NULL;
		uint64 clock = run->clock + done;
		uint64 units = run->units - done;
		const Writing *writing = NULL;

		if (span != NULL && span->from <= clock)
		{
			writing = &telling->blame->writings[span->writing];
			units = Min(units, span->to - clock);
			at++;
		}
		else if (span != NULL)
			units = Min(units, span->from - clock);
		if (run->key.data == NULL)
			tell_piece(telling, run, done, units, writing);
		else
		{
			end_passage(telling);
			push_step(telling, run->key);
			put_row(telling, false, 0, units, NULL, writing);
			telling->depth--;
		}
		done += units;
	}
	return true;
}

static bool
enter_type(void *context)
{
	Telling *telling = context;

	end_passage(telling);
	if (telling->last_key.data != NULL)
		push_step(telling, telling->last_key);
	else
	{
		char *digits = psprintf(UINT64_FORMAT, telling->last_index);

		push_step(telling, (CrdtBytes){(const uint8_t *) digits, strlen(digits)});
	}
	return true;
}

static bool
leave_type(void *context)
{
	Telling *telling = context;

	end_passage(telling);
	telling->depth--;
	return true;
}

static void
tell(Telling *telling, CachedDocument *document, CrdtBytes root)
{
	const CrdtType *type = crdt_doc_find_root(document->doc, root);
	CrdtRunVisitor visitor = {telling, tell_run, enter_type, leave_type};
	CrdtError error;

	if (type == NULL)
		return;
	telling->capacity = 8;
	telling->path = palloc(telling->capacity * sizeof(Datum));
	push_step(telling, root);
	bridge_buffer(&telling->passage.text, &telling->host);
	if (crdt_doc_visit_runs(document->doc, type, &visitor, &error) != CRDT_OK)
		bridge_report(&error, "document");
	end_passage(telling);
}

static int64
interval_microseconds(const Interval *interval)
{
	return interval->time +
		   (interval->day + (int64) interval->month * DAYS_PER_MONTH) * USECS_PER_DAY;
}

PG_FUNCTION_INFO_V1(ydoc_store_blame);
Datum
ydoc_store_blame(PG_FUNCTION_ARGS)
{
	StoreHead head = {.name = store_check_name(PG_GETARG_TEXT_PP(0))};
	Telling telling = {.fcinfo = fcinfo, .gap = interval_microseconds(PG_GETARG_INTERVAL_P(2))};
	Blame blame;

	bridge_require_utf8();
	bridge_materialize(fcinfo);
	store_open();
	if (store_read_head(head.name, &head))
	{
		CachedDocument *document;

		open_blame(&blame);
		history_walk(&head, note_row, &blame);
		telling.blame = &blame;
		document = store_get_or_report(&head);
		tell(&telling, document, bridge_view(PG_GETARG_TEXT_PP(1)));
		cache_release(document);
	}
	store_close();
	return (Datum) 0;
}
