/*
 * size.c: how large a stored document may become (size.h).
 */
#include "size.h"

#include "bridge.h"
#include "crdt/update.h"
#include "pg_ydoc.h"

/* What the limit may be exceeded by, and how much has to come in between two measurements. */
#define SLACK_SHARE 64
#define MEASURE_SHARE 128

/* Something may also have been deleted since: of the time, at most so much goes into measuring. */
#define MEASURE_PAUSE 9 /* times what it took */

void
size_note(CachedDocument *document, size_t bytes)
{
	document->size_most += bytes;
}

static void
measure(CachedDocument *document)
{
	CrdtBuffer state;
	CrdtHost host;
	CrdtError error;
	instr_time start;
	instr_time took;

	INSTR_TIME_SET_CURRENT(start);
	bridge_buffer(&state, &host);
	if (crdt_doc_encode(document->doc, CRDT_V1, (CrdtBytes){NULL, 0}, &state, &error) != CRDT_OK)
		bridge_report(&error, "document");
	document->size_most = document->size_measured = state.size;
	crdt_buffer_close(&state);
	INSTR_TIME_SET_CURRENT(document->size_due);
	took = document->size_due;
	INSTR_TIME_SUBTRACT(took, start);
	for (int i = 0; i < MEASURE_PAUSE; i++)
		INSTR_TIME_ADD(document->size_due, took);
}

/* A count of clients comes first. */
static bool
has_structs(CrdtBytes update)
{
	return update.size > 0 && update.data[0] != 0;
}

/* Bytes of what the document lacks of the update; 0: no structs.  One that is malformed counts whole. */
static size_t
news_bytes(CachedDocument *document, CrdtBytes update)
{
	CrdtBuffer known;
	CrdtBuffer news;
	CrdtHost host;
	CrdtError error;
	size_t size = update.size;

	bridge_buffer(&known, &host);
	bridge_buffer(&news, &host);
	if (crdt_doc_encode_state_vector(document->doc, &known, &error) == CRDT_OK &&
		crdt_update_diff(&host, update, CRDT_V1, crdt_buffer_view(&known), &news, &error) ==
			CRDT_OK)
		size = has_structs(crdt_buffer_view(&news)) ? news.size : 0;
	crdt_buffer_close(&known);
	crdt_buffer_close(&news);
	return size;
}

static size_t
most_bytes(void)
{
	size_t limit = (size_t) ydoc_max_document_size_kb * 1024;

	return limit + limit / SLACK_SHARE;
}

static void
measure_if_due(CachedDocument *document)
{
	size_t grown = document->size_most - document->size_measured;
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	if (grown > (size_t) ydoc_max_document_size_kb * 1024 / MEASURE_SHARE ||
		(grown > 0 && INSTR_TIME_GET_MICROSEC(now) > INSTR_TIME_GET_MICROSEC(document->size_due)))
		measure(document);
}

bool
size_note_edit(CachedDocument *document, CrdtBytes edit, size_t *size)
{
	size_note(document, edit.size);
	if (document->size_most <= most_bytes() || !has_structs(edit))
		return true;
	measure_if_due(document);
	*size = document->size_most;
	return *size <= most_bytes();
}

bool
size_allows(CachedDocument *document, CrdtBytes update, size_t *size)
{
	size_t most = most_bytes();
	size_t news;

	if (document->size_most + update.size <= most || !has_structs(update))
		return true;
	measure_if_due(document);
	if (document->size_most + update.size <= most)
		return true;
	news = news_bytes(document, update);
	*size = document->size_most + news;
	return news == 0 || *size <= most;
}
