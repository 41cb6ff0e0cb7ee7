/*
 * store.c: statements on documents, as extension/ answers them.
 *
 * Here: rows, seqs, epochs, answers.  Not here: when a statement runs, whether its answer arrives
 * (libpq.c).
 */
#include "store.h"

#include <endian.h>
#include <inttypes.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "libpq.h"
#include "result.h"
#include "world.h"

enum
{
	MAX_COLUMNS = 8,
	FIRST_BIRTH = 1000
};

#define FORK (INT64_C(1) << 32) /* epochs of different forks are that far apart */

typedef struct Columns /* of a select list */
{
	char names[MAX_COLUMNS][48];
	uint32_t count;
} Columns;

typedef struct Elements /* of an array parameter */
{
	Bytes *items;
	size_t count, capacity;
} Elements;

typedef struct BatchItem
{
	Document *document; /* NULL: refused before */
	Update update;
	int64_t known_epoch;
	int64_t epoch, seq, logged_from;
	bool closes_row;
	const char *sqlstate; /* NULL: accepted */
} BatchItem;

Store store;

static int64_t last_birth;
static bool is_to_be_silent; /* the transaction */

static PGresult *apply_batch(const Columns *columns, const Parameter *parameters);
static PGresult *answer_slices(const Columns *columns, const Parameter *parameters);
static PGresult *answer_changes(const Columns *columns, const Parameter *parameters);
static PGresult *answer_changes_of(const Columns *columns, const Parameter *parameters);
static PGresult *add_changes(PGresult *, const Columns *, Bytes name, const uint8_t *since,
							 const uint8_t *known_epoch, const Parameter *max_bytes);
static void
set_who_lacks(PGresult *, const Columns *, uint32_t row, const Document *document, int64_t since);
static PGresult *answer_heads(const Columns *columns, const Parameter *parameters);
static void trace(const Relay *asker, const char *function, const Parameter *parameters,
				  const PGresult *result);
static PGresult *notify_all(const Parameter *parameters);
static PGresult *one_value(Bytes value);
static bool is_gone(const Document *document, int64_t known_epoch);
static int64_t number_at(const uint8_t *data);
static Columns select_list(const char *sql);
static Elements elements_of(const Parameter *parameter);
static Bytes bytes_of(const Parameter *parameter);
static void set_number(PGresult *, const Columns *, uint32_t row, const char *column, int64_t);
static void
set_update(PGresult *, const Columns *, uint32_t row, const char *column, const Update *);
static int column_of(const Columns *columns, const char *name);
static void apply_items(Document *document, BatchItem *items, size_t count);
static void change(Document *document);
static void add_row(Document *document, int64_t seq_from, const Update *update);
static void commit_document(Document *document);
static void announce(const Document *document, int64_t seq);
static void drop_rows(Document *document, size_t from);
static void bring_into_being(Document *document);

void
store_open(uint32_t document_count, uint32_t name_size)
{
	store = (Store){.document_count = document_count, .is_up = true};
	last_birth = FIRST_BIRTH;
	for (uint32_t i = 0; i < document_count; i++)
	{
		snprintf(store.documents[i].name, sizeof store.documents[i].name, "notes-%0*u",
				 (int) name_size - 6, i);
		store.documents[i].next_client = SQL_CLIENT + 1;
	}
}

void
store_close(void)
{
	for (uint32_t i = 0; i < store.document_count; i++)
	{
		Document *document = &store.documents[i];

		drop_rows(document, 0);
		free(document->rows);
		content_free(&document->content);
		content_free(&document->base);
		content_free(&document->ever);
	}
}

PGresult *
store_execute(const char *sql, const Parameter *parameters, const Relay *asker)
{
	static const struct
	{
		const char *function;
		PGresult *(*answer)(const Columns *columns, const Parameter *parameters);
	} functions[] = {
		{" ydoc.apply_batch(", apply_batch},     {" FROM ydoc.sync_slices(", answer_slices},
		{" FROM ydoc.changes(", answer_changes}, {" FROM ydoc.changes_of(", answer_changes_of},
		{" FROM ydoc.heads(", answer_heads},
	};
	Columns columns = select_list(sql);

	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
		if (strstr(sql, functions[i].function) != NULL)
		{
			is_to_be_silent = strstr(sql, "'ydoc.notify', 'off'") != NULL;
			PGresult *result = functions[i].answer(&columns, parameters);

			if (world_traces)
				trace(asker, functions[i].function, parameters, result);
			return result;
		}
	if (strstr(sql, "pg_notify('ydoc_presence'") != NULL)
		return notify_all(parameters);
	if (strstr(sql, "relay_report(") != NULL)
		return one_value((Bytes){NULL, 0});
	if (strstr(sql, "relay_presence_key(") != NULL)
		return one_value((Bytes){(const uint8_t *) "0123456789abcdef0123456789abcdef", 32});
	if (strstr(sql, "pg_notification_queue_usage(") != NULL)
	{
		PGresult *result = one_value((Bytes){NULL, 0});

		result_set_number(result, 0, 0, store.queue_usage);
		return result;
	}
	fprintf(stderr, "not ok: the simulation does not know the statement: %s\n", sql);
	_Exit(1);
}

/* For people: what was asked of which document, and the numbers of the answer. */
static void
trace(const Relay *asker, const char *function, const Parameter *parameters, const PGresult *result)
{
	bool is_array = strstr(function, "sync") == NULL && strstr(function, "changes(") == NULL;

	fprintf(stderr, "relay %d: %s", asker != NULL ? asker->number : -1, strstr(function, "ydoc."));
	if (!is_array)
		fprintf(stderr, "%.*s", (int) parameters[0].size, (const char *) parameters[0].data);
	fprintf(stderr, ") %s", result->sqlstate);
	for (uint32_t row = 0; row < result->row_count; row++)
	{
		fprintf(stderr, " (");
		for (uint32_t column = 0; column < result->column_count; column++)
		{
			const Cell *cell = &result->cells[row * result->column_count + column];

			if (cell->size == sizeof(int64_t))
				fprintf(stderr, " %" PRId64, number_at((const uint8_t *) cell->data));
			else
				fprintf(stderr, " [%zu]", cell->size);
		}
		fprintf(stderr, ")");
	}
	fprintf(stderr, "\n");
}

Document *
store_find(const char *name, size_t size)
{
	for (uint32_t i = 0; i < store.document_count; i++)
		if (strlen(store.documents[i].name) == size &&
			memcmp(store.documents[i].name, name, size) == 0)
			return &store.documents[i];
	return NULL;
}

void
store_edit(Document *document)
{
	Update update = {0};

	if (document->is_broken || document->is_deleted || store.is_full || store.is_in_transaction)
		return;
	is_to_be_silent = false;
	change(document);
	bring_into_being(document);
	uint32_t clock = document->ever.state[SQL_CLIENT];

	if (chance_in(4))
		update_add_delete(&update, document->next_delete++);
	else
	{
		uint32_t count = chance_between(1, 3);

		update_add_range(&update, SQL_CLIENT, clock, clock + count);
		document->clocks_given += count;
	}
	if (content_apply(&document->content, &update))
	{
		document->seq++;
		add_row(document, document->seq, &update);
	}
	update_free(&update);
	(void) store_commit();
}

/* ---- commits that are lost, documents that go ---- */

int64_t
store_epoch(const Document *document)
{
	return document->exists ? document->birth + store.forks * FORK : 0;
}

void
store_fork(void)
{
	if (store.is_in_transaction)
		return;
	store.forks++;
	store.has_forked = true;
	for (uint32_t i = 0; i < store.document_count; i++)
	{
		Document *document = &store.documents[i];

		drop_rows(document, chance_below((uint32_t) document->row_count + 1));
		document->seq = document->row_count > 0 ? document->rows[document->row_count - 1].seq
												: document->base_seq;
		content_copy(&document->content, &document->base);
		for (size_t row = 0; row < document->row_count; row++)
			content_apply(&document->content, &document->rows[row].update);
	}
}

void
store_delete(Document *document)
{
	if (!document->exists || document->is_deleted || store.is_in_transaction)
		return;
	document->is_deleted = document->was_gone = store.has_forked = true;
	announce(document, 0);
}

void
store_undelete(Document *document)
{
	if (!document->is_deleted || store.is_in_transaction)
		return;
	document->is_deleted = false;
	announce(document, document->seq);
}

void
store_replace(Document *document)
{
	if (!document->exists || store.is_in_transaction)
		return;
	document->buried = document->birth;
	announce(document, 0);
	store_drop(document);
	bring_into_being(document);
}

void
store_drop(Document *document)
{
	if (!document->exists || store.is_in_transaction)
		return;
	document->exists = document->is_deleted = false;
	document->was_gone = true;
	document->birth = document->seq = document->base_seq = 0;
	drop_rows(document, 0);
	content_free(&document->content);
	content_free(&document->base);
	store.has_forked = true;
}

/* The sender knows another document of that name, or this one is deleted. */
static bool
is_gone(const Document *document, int64_t known_epoch)
{
	int64_t birth = known_epoch - store.forks * FORK;

	return document->is_deleted || (known_epoch != 0 && document->buried != 0 &&
									birth >= FIRST_BIRTH && birth <= document->buried);
}

void
store_fold(Document *document)
{
	size_t count = store.is_in_transaction ? 0 : chance_below((uint32_t) document->row_count + 1);

	for (size_t i = 0; i < count; i++)
	{
		content_apply(&document->base, &document->rows[i].update);
		document->base_seq = document->rows[i].seq;
		update_free(&document->rows[i].update);
	}
	array_drop(document->rows, &document->row_count, count, sizeof *document->rows);
}

/* ---- transactions: one at a time ---- */

static void
change(Document *document)
{
	store.is_in_transaction = true;
	if (document->before != NULL)
		return;
	document->before = allocate(sizeof *document->before);
	*document->before = *document;
	document->before->content = (Content){0};
	content_copy(&document->before->content, &document->content);
}

bool
store_commit(void)
{
	if (store.queue_usage >= 1000000 && !is_to_be_silent && store.is_in_transaction)
	{
		store_roll_back();
		return false;
	}
	for (uint32_t i = 0; i < store.document_count; i++)
		if (store.documents[i].before != NULL)
			commit_document(&store.documents[i]);
	store.is_in_transaction = false;
	return true;
}

static void
commit_document(Document *document)
{
	size_t first = document->before->row_count;

	if (world_flaw == FLAW_STORE_FORGETS && chance_in(50))
	{
		store_roll_back();
		return;
	}
	for (size_t i = first; i < document->row_count; i++)
		content_apply(&document->ever, &document->rows[i].update);
	if (document->row_count > first)
		announce(document, document->seq);
	content_free(&document->before->content);
	free(document->before);
	document->before = NULL;
}

void
store_roll_back(void)
{
	for (uint32_t i = 0; i < store.document_count; i++)
	{
		Document *document = &store.documents[i], *before = document->before;

		if (before == NULL)
			continue;
		drop_rows(document, before->row_count);
		content_free(&document->content);
		document->exists = before->exists;
		document->birth = before->birth;
		document->seq = before->seq;
		document->content = before->content;
		document->before = NULL;
		free(before);
	}
	store.is_in_transaction = false;
}

/* ---- statements ---- */

static PGresult *
apply_batch(const Columns *columns, const Parameter *parameters)
{
	static const uint8_t spoiler[] = {0xff, 0xff}; /* fails the whole statement */
	Elements names = elements_of(&parameters[0]), updates = elements_of(&parameters[1]);
	Elements known_epochs = elements_of(&parameters[3]);
	BatchItem *items = allocate((updates.count + 1) * sizeof *items);
	PGresult *result = NULL;

	if (store.is_full)
		result = result_error("ERROR", "53100", "could not extend file: No space left on device");
	for (size_t i = 0; i < updates.count && result == NULL; i++)
		if (updates.items[i].size >= 2 && memcmp(updates.items[i].data, spoiler, 2) == 0)
			result = result_error("ERROR", "22021", "invalid byte sequence");
	for (size_t i = 0; i < updates.count && result == NULL; i++)
	{
		items[i].document = store_find((const char *) names.items[i].data, names.items[i].size);
		items[i].known_epoch = number_at(known_epochs.items[i].data);
		if (items[i].document == NULL || items[i].document->is_broken)
			items[i].sqlstate = "XX001";
		else if (is_gone(items[i].document, items[i].known_epoch))
			items[i].sqlstate = "YD001";
		else if (!update_read(updates.items[i], &items[i].update) ||
				 (world_flaw == FLAW_STORE_REFUSES && chance_in(50)))
			items[i].sqlstate = "22P03";
	}
	for (uint32_t i = 0; i < store.document_count && result == NULL; i++)
		apply_items(&store.documents[i], items, updates.count);
	if (result == NULL)
	{
		result = result_new(columns->count);
		for (size_t i = 0; i < updates.count; i++)
		{
			uint32_t row = result_add_row(result);

			result_set_int(result, row, (uint32_t) column_of(columns, "ordinal"), (int) i + 1);
			set_number(result, columns, row, "epoch", items[i].epoch);
			if (items[i].sqlstate != NULL)
			{
				Bytes sqlstate = {(const uint8_t *) items[i].sqlstate, 5};

				result_set_bytes(result, row, (uint32_t) column_of(columns, "sqlstate"), sqlstate);
				result_set_bytes(result, row, (uint32_t) column_of(columns, "message"), sqlstate);
				continue;
			}
			set_number(result, columns, row, "seq", items[i].seq);
			if (items[i].closes_row)
			{
				set_number(result, columns, row, "logged_from", items[i].logged_from);
				set_update(result, columns, row, "logged", &items[i].update);
			}
		}
	}
	for (size_t i = 0; i < updates.count; i++)
		update_free(&items[i].update);
	free(items);
	free(names.items);
	free(updates.items);
	free(known_epochs.items);
	return result;
}

/* All of the batch's for this document: one row of the log. */
static void
apply_items(Document *document, BatchItem *items, size_t count)
{
	Update row = {0};
	BatchItem *last = NULL;
	int64_t seq_from = 0;

	for (size_t i = 0; i < count; i++)
	{
		if (items[i].document != document || items[i].sqlstate != NULL)
			continue;
		if (items[i].update.range_count + items[i].update.delete_count > 0)
		{
			change(document);
			bring_into_being(document);
		}
		if (content_apply(&document->content, &items[i].update))
		{
			document->seq++;
			seq_from = last == NULL ? document->seq : seq_from;
			last = &items[i];
			update_add(&row, &items[i].update);
		}
		items[i].epoch = store_epoch(document);
		items[i].seq = document->seq;
	}
	if (last == NULL)
		return;
	last->closes_row = true;
	last->logged_from = seq_from;
	update_reset(&last->update);
	update_add(&last->update, &row);
	add_row(document, seq_from, &row);
	update_free(&row);
}

/* A row: a slice, and where it ends if others follow that are to be asked for. */
static void
add_slice(PGresult *result, const Columns *columns, const Document *document, const Update *slice,
		  const uint32_t *reached)
{
	uint32_t row = result_add_row(result);
	Buffer vector = {0};

	set_number(result, columns, row, "epoch", store_epoch(document));
	set_number(result, columns, row, "seq", document->seq);
	set_update(result, columns, row, "update", slice);
	if (row == 0)
	{
		content_write_state_vector(&document->content, &vector);
		result_set_bytes(result, row, (uint32_t) column_of(columns, "state_vector"),
						 buffer_view(&vector));
	}
	buffer_reset(&vector);
	if (reached != NULL)
	{
		Content at = {0};

		memcpy(at.state, reached, sizeof at.state);
		content_write_state_vector(&at, &vector);
		result_set_bytes(result, row, (uint32_t) column_of(columns, "reached"),
						 buffer_view(&vector));
	}
	buffer_free(&vector);
}

/* Cuts where it likes; what waits and the deletes come last. */
static void
add_slices(PGresult *result, const Columns *columns, const Document *document, uint32_t *reached)
{
	Update all = {0}, slice = {0}, last = {0};
	bool is_cut = false;

	content_diff(&document->content, reached, &all);
	for (size_t i = 0; i < all.range_count && !is_cut; i++)
	{
		Range range = all.ranges[i];

		if (range.from != reached[range.client])
			update_add_range(&last, range.client, range.from, range.to);
		else
			while (range.from < range.to && !is_cut)
			{
				uint32_t clocks = chance_between(1, range.to - range.from);

				update_add_range(&slice, range.client, range.from, range.from + clocks);
				reached[range.client] = range.from += clocks;
				is_cut = chance_in(8);
				if (is_cut || chance_in(3))
				{
					add_slice(result, columns, document, &slice, is_cut ? reached : NULL);
					update_reset(&slice);
				}
			}
	}
	for (size_t i = 0; i < all.delete_count; i++)
		update_add_delete(&last, all.deletes[i]);
	update_add(&slice, &last);
	if (!is_cut)
		add_slice(result, columns, document, &slice, NULL);
	update_free(&all);
	update_free(&slice);
	update_free(&last);
}

static PGresult *
answer_slices(const Columns *columns, const Parameter *parameters)
{
	Bytes name = bytes_of(&parameters[0]);
	Document *document = store_find((const char *) name.data, name.size);
	uint32_t state_vector[MAX_CLIENTS];

	if (document == NULL || document->is_broken)
		return result_error("ERROR", "XX001", "document cannot be decoded");
	if (is_gone(document, number_at(parameters[4].data)))
		return result_error("ERROR", "YD001", "document was deleted");
	if (!content_read_state_vector(bytes_of(&parameters[1]), state_vector))
		return result_error("ERROR", "22P03", "invalid state vector");
	PGresult *result = result_new(columns->count);

	add_slices(result, columns, document, state_vector);
	return result;
}

static PGresult *
answer_changes(const Columns *columns, const Parameter *parameters)
{
	return add_changes(result_new(columns->count), columns, bytes_of(&parameters[0]),
					   parameters[1].data, parameters[2].data, &parameters[3]);
}

static PGresult *
answer_changes_of(const Columns *columns, const Parameter *parameters)
{
	Elements names = elements_of(&parameters[0]), since = elements_of(&parameters[1]);
	Elements known_epochs = elements_of(&parameters[2]);
	PGresult *result = result_new(columns->count);

	for (size_t i = 0; i < names.count && result->status == PGRES_TUPLES_OK; i++)
	{
		result = add_changes(result, columns, names.items[i], since.items[i].data,
							 known_epochs.items[i].data, &parameters[3]);
		if (result->status == PGRES_TUPLES_OK)
			result_set_int(result, (uint32_t) i, (uint32_t) column_of(columns, "ordinal"),
						   (int32_t) i + 1);
	}
	free(names.items);
	free(since.items);
	free(known_epochs.items);
	return result;
}

/* The result with a row more, or instead of it an error. */
static PGresult *
add_changes(PGresult *result, const Columns *columns, Bytes name, const uint8_t *since_number,
			const uint8_t *known_epoch, const Parameter *max_bytes_number)
{
	Document *document = store_find((const char *) name.data, name.size);
	bool is_unreadable = document == NULL || document->is_broken;
	Update update = {0};

	if (is_unreadable || is_gone(document, number_at(known_epoch)))
	{
		PQclear(result);
		return is_unreadable ? result_error("ERROR", "XX001", "document cannot be decoded")
							 : result_error("ERROR", "YD001", "document was deleted");
	}
	int64_t since = number_at(since_number);
	uint32_t max_bytes;

	memcpy(&max_bytes, max_bytes_number->data, sizeof max_bytes);
	max_bytes = ntohl(max_bytes);
	uint32_t row = result_add_row(result);

	set_number(result, columns, row, "epoch", store_epoch(document));
	set_number(result, columns, row, "seq", document->seq);
	if (world_flaw == FLAW_STORE_ECHOES)
	{
		document->seq++;
		announce(document, document->seq);
	}
	if (since >= document->seq)
		return result;
	bool is_in_log = since >= document->base_seq && since > 0;

	for (size_t i = 0; is_in_log && i < document->row_count; i++)
		if (document->rows[i].seq > since)
			update_add(&update, &document->rows[i].update);
	if (!is_in_log)
		content_diff(&document->content, NULL, &update);
	Buffer bytes = {0};

	update_write(&update, &bytes);
	if (is_in_log && bytes.size > max_bytes)
		set_who_lacks(result, columns, row, document, since);
	else
		set_update(result, columns, row, "update", &update);
	buffer_free(&bytes);
	update_free(&update);
	return result;
}

/* Too much for one update: the state vector of whoever has all up to since, to ask for slices with. */
static void
set_who_lacks(PGresult *result, const Columns *columns, uint32_t row, const Document *document,
			  int64_t since)
{
	Content before = {0};
	Buffer vector = {0};

	content_copy(&before, &document->base);
	for (size_t i = 0; i < document->row_count && document->rows[i].seq <= since; i++)
		(void) content_apply(&before, &document->rows[i].update);
	content_write_state_vector(&before, &vector);
	result_set_bytes(result, row, (uint32_t) column_of(columns, "state_vector"),
					 buffer_view(&vector));
	buffer_free(&vector);
	content_free(&before);
}

static PGresult *
answer_heads(const Columns *columns, const Parameter *parameters)
{
	Elements names = elements_of(&parameters[0]);
	PGresult *result = result_new(columns->count);

	for (size_t i = 0; i < names.count; i++)
	{
		Document *document = store_find((const char *) names.items[i].data, names.items[i].size);

		if (document == NULL || !document->exists)
			continue;
		uint32_t row = result_add_row(result);

		result_set_bytes(result, row, (uint32_t) column_of(columns, "document"), names.items[i]);
		set_number(result, columns, row, "epoch", store_epoch(document));
		set_number(result, columns, row, "seq", document->seq);
		result_set_int(result, row,
					   (uint32_t) column_of(columns, "(deleted_at IS NOT NULL)::integer"),
					   document->is_deleted);
	}
	free(names.items);
	return result;
}

static PGresult *
notify_all(const Parameter *parameters)
{
	Elements payloads = elements_of(&parameters[0]);
	PGresult *result = result_new(1);

	for (size_t i = 0; i < payloads.count; i++)
	{
		char *payload = allocate(payloads.items[i].size + 1);

		memcpy(payload, payloads.items[i].data, payloads.items[i].size);
		libpq_notify("ydoc_presence", payload);
		free(payload);
		result_add_row(result);
	}
	free(payloads.items);
	return result;
}

static PGresult *
one_value(Bytes value)
{
	PGresult *result = result_new(1);
	uint32_t row = result_add_row(result);

	if (value.data != NULL)
		result_set_bytes(result, row, 0, value);
	return result;
}

/* ---- parameters and columns ---- */

static int64_t
number_at(const uint8_t *data)
{
	uint64_t wide;

	memcpy(&wide, data, sizeof wide);
	return (int64_t) be64toh(wide);
}

static Columns
select_list(const char *sql)
{
	Columns columns = {.count = 0};
	const char *at = sql + strlen("SELECT ");

	for (; columns.count < MAX_COLUMNS; columns.count++)
	{
		const char *comma = strstr(at, ", "), *from = strstr(at, " FROM ");
		size_t length = (size_t) ((comma != NULL && comma < from ? comma : from) - at);

		if (from == NULL)
			break; /* no table is asked */
		snprintf(columns.names[columns.count], sizeof columns.names[0], "%.*s", (int) length, at);
		at += length;
		if (strncmp(at, ", ", 2) != 0)
			break;
		at += 2;
	}
	columns.count++;
	return columns;
}

static int
column_of(const Columns *columns, const char *name)
{
	for (uint32_t i = 0; i < columns->count; i++)
		if (strcmp(columns->names[i], name) == 0)
			return (int) i;
	fprintf(stderr, "not ok: a statement does not ask for column %s\n", name);
	_Exit(1);
}

static Elements
elements_of(const Parameter *parameter)
{
	Elements elements = {0};
	uint32_t header[5], size;
	const uint8_t *at = parameter->data + sizeof header, *end = parameter->data + parameter->size;

	memcpy(header, parameter->data, sizeof header);
	for (uint32_t i = 0; i < be32toh(header[3]) && at + sizeof size <= end; i++)
	{
		memcpy(&size, at, sizeof size);
		size = be32toh(size);
		at += sizeof size;
		Bytes element = {at, size != UINT32_MAX ? size : 0};

		ARRAY_ADD(elements.items, elements.count, elements.capacity, element);
		at += element.size;
	}
	if (at != end || elements.count != be32toh(header[3]))
	{
		fprintf(stderr, "not ok: an array of %u elements has other bytes than it says\n",
				be32toh(header[3]));
		_Exit(1);
	}
	return elements;
}

static Bytes
bytes_of(const Parameter *parameter)
{
	return (Bytes){parameter->data, parameter->size};
}

static void
set_number(PGresult *result, const Columns *columns, uint32_t row, const char *column,
		   int64_t value)
{
	result_set_number(result, row, (uint32_t) column_of(columns, column), value);
}

static void
set_update(PGresult *result, const Columns *columns, uint32_t row, const char *column,
		   const Update *update)
{
	Buffer bytes = {0};

	update_write(update, &bytes);
	result_set_bytes(result, row, (uint32_t) column_of(columns, column), buffer_view(&bytes));
	buffer_free(&bytes);
}

/* ---- documents ---- */

static void
bring_into_being(Document *document)
{
	if (document->exists)
		return;
	document->exists = true;
	document->birth = ++last_birth;
}

static void
add_row(Document *document, int64_t seq_from, const Update *update)
{
	LogRow row = {.seq_from = seq_from, .seq = document->seq};

	update_add(&row.update, update);
	ARRAY_ADD(document->rows, document->row_count, document->row_capacity, row);
}

static void
announce(const Document *document, int64_t seq)
{
	char payload[MAX_NAME + 48];

	if (store.is_silent || is_to_be_silent)
		return;
	snprintf(payload, sizeof payload, "%" PRId64 " %" PRId64 " %s", store_epoch(document), seq,
			 document->name);
	libpq_notify("ydoc", payload);
}

static void
drop_rows(Document *document, size_t from)
{
	for (size_t i = from; i < document->row_count; i++)
		update_free(&document->rows[i].update);
	document->row_count = from;
}
