/*
 * slices.c: a document in slices: nothing in one waits for a later one, and together they are the
 * whole.
 *
 * Asked of every document that a case ends in.  Someone who has nothing, and someone who has a part,
 * apply the slices of several sizes one by one; in one go, and with a new walk after each.
 */
#include "kinds.h"

#include <stdio.h>
#include <string.h>

#include "../../extension/crdt/slice.h"
#include "../../extension/crdt/update.h"

/* One unit of each; a few structs; most of them; all. */
static const size_t slice_sizes[] = {1, 50, 300, 1 << 20};

static CrdtDoc *new_receiver(Case *c);
static void expect_walk(Case *c, CrdtDoc *doc, CrdtBytes part, size_t slice_bytes, bool anew);
static bool apply_slices(Case *c, CrdtDoc *doc, CrdtDoc *receiver, size_t slice_bytes, bool anew);
static bool apply_slice(Case *c, CrdtDoc *receiver, CrdtBytes slice, bool may_wait);
static CrdtBuffer state_of(Case *c, CrdtDoc *doc, CrdtBytes state_vector);
static CrdtBuffer vector_of(Case *c, CrdtDoc *doc);
static void expect_same(Case *c, CrdtDoc *doc, CrdtBytes part, CrdtDoc *receiver);
static bool is_place_unsure(Case *c, CrdtDoc *doc);
static bool note_unsure(void *context, const CrdtStructView *item);
static bool pass_over(void *context, uint64_t client, uint64_t clock, uint64_t length);

void
expect_slices(Case *c, CrdtDoc *doc)
{
	CrdtSlices *slices;
	CrdtError error = {0};
	CrdtBuffer part;
	bool last;

	crdt_buffer_open(&part, &c->world.host);
	if (is_place_unsure(c, doc))
		return;
	for (size_t i = 0; i < sizeof slice_sizes / sizeof *slice_sizes; i++)
	{
		expect_walk(c, doc, (CrdtBytes){NULL, 0}, slice_sizes[i], false);
		expect_walk(c, doc, (CrdtBytes){NULL, 0}, slice_sizes[i], true);
	}
	/* whoever has the first slice has a part */
	if (!case_expect_ok(c, "slices",
						crdt_slices_open(doc, (CrdtBytes){NULL, 0}, 200, &slices, &error), &error))
		return;
	if (case_expect_ok(c, "slices", crdt_slices_next(slices, &part, &last, &error), &error) &&
		!last)
		expect_walk(c, doc, crdt_buffer_view(&part), 50, false);
	crdt_slices_close(slices);
	crdt_buffer_close(&part);
}

/* Keeps what is deleted, as whoever it is compared with. */
static CrdtDoc *
new_receiver(Case *c)
{
	CrdtDocOptions options = {.keep_deleted = true};

	return crdt_doc_new(&c->world.host, &options);
}

/* part: an update that the receiver has already.  anew: a new walk after each slice. */
static void
expect_walk(Case *c, CrdtDoc *doc, CrdtBytes part, size_t slice_bytes, bool anew)
{
	CrdtDoc *receiver = new_receiver(c);

	char where[sizeof c->where];

	strcpy(where, c->where);
	snprintf(c->where, sizeof c->where, "%.80s, slices of %zu bytes%s%s", where, slice_bytes,
			 anew ? ", a walk for each" : "", part.size > 0 ? ", the first known" : "");
	if (part.size == 0 || apply_slice(c, receiver, part, false))
		if (apply_slices(c, doc, receiver, slice_bytes, anew))
			expect_same(c, doc, part, receiver);
	crdt_doc_free(receiver);
	strcpy(c->where, where);
}

static bool
apply_slices(Case *c, CrdtDoc *doc, CrdtDoc *receiver, size_t slice_bytes, bool anew)
{
	CrdtBuffer vector = vector_of(c, receiver);
	CrdtSlices *slices = NULL;
	CrdtError error = {0};
	bool last = false;
	bool ok = true;

	while (ok && !last)
	{
		CrdtBuffer slice;

		crdt_buffer_open(&slice, &c->world.host);
		if (slices == NULL)
			ok = case_expect_ok(
				c, "slices",
				crdt_slices_open(doc, crdt_buffer_view(&vector), slice_bytes, &slices, &error),
				&error);
		ok = ok &&
			 case_expect_ok(c, "slice", crdt_slices_next(slices, &slice, &last, &error), &error);
		ok = ok &&
			 apply_slice(c, receiver, crdt_buffer_view(&slice), last && crdt_doc_is_waiting(doc));
		if (ok && anew && !last && !crdt_slices_structs_done(slices))
		{
			CrdtBuffer reached;

			crdt_buffer_open(&reached, &c->world.host);
			ok = case_expect_ok(c, "reached", crdt_slices_write_reached(slices, &reached, &error),
								&error);
			crdt_slices_close(slices);
			slices = NULL;
			crdt_buffer_close(&vector);
			vector = reached;
		}
		crdt_buffer_close(&slice);
	}
	if (slices != NULL)
		crdt_slices_close(slices);
	crdt_buffer_close(&vector);
	return ok;
}

static bool
apply_slice(Case *c, CrdtDoc *receiver, CrdtBytes slice, bool may_wait)
{
	CrdtError error = {0};
	bool ok = case_expect_ok(c, "apply slice",
							 crdt_doc_apply(receiver, slice, CRDT_V1, NULL, &error), &error);

	if (may_wait || !crdt_doc_is_waiting(receiver))
		return ok;
	case_fail(c, "slice", "something of it waits for a later one");
	return false;
}

static CrdtBuffer
state_of(Case *c, CrdtDoc *doc, CrdtBytes state_vector)
{
	CrdtError error = {0};
	CrdtBuffer out;

	crdt_buffer_open(&out, &c->world.host);
	case_expect_ok(c, "state", crdt_doc_encode(doc, CRDT_V1, state_vector, &out, &error), &error);
	return out;
}

static CrdtBuffer
vector_of(Case *c, CrdtDoc *doc)
{
	CrdtError error = {0};
	CrdtBuffer out;

	crdt_buffer_open(&out, &c->world.host);
	case_expect_ok(c, "sv", crdt_doc_encode_state_vector(doc, &out, &error), &error);
	return out;
}

/* The receiver has what one has who applied all in one update. */
static void
expect_same(Case *c, CrdtDoc *doc, CrdtBytes part, CrdtDoc *receiver)
{
	CrdtDoc *whole = new_receiver(c);
	CrdtBuffer vector;
	CrdtBuffer rest;
	CrdtBuffer expected;
	CrdtBuffer got;

	if (part.size > 0)
		apply_slice(c, whole, part, false);
	vector = vector_of(c, whole);
	rest = state_of(c, doc, crdt_buffer_view(&vector));
	apply_slice(c, whole, crdt_buffer_view(&rest), crdt_doc_is_waiting(doc));
	expected = state_of(c, whole, (CrdtBytes){NULL, 0});
	got = state_of(c, receiver, (CrdtBytes){NULL, 0});
	case_expect_same(c, "state of slices", crdt_buffer_view(&expected), crdt_buffer_view(&got));
	crdt_buffer_close(&vector);
	crdt_buffer_close(&rest);
	crdt_buffer_close(&expected);
	crdt_buffer_close(&got);
	crdt_doc_free(whole);
}

/*
 * Yjs's undo makes, once in many thousand histories, an item that names one unit as what is left of it
 * and as what is right of it.  Where that stands depends, in Yjs and here, on whether the item with that
 * unit is in pieces already, so that slices need not end in the order of the whole.
 */
static bool
is_place_unsure(Case *c, CrdtDoc *doc)
{
	bool unsure = false;
	CrdtUpdateVisitor visitor = {.item = note_unsure, .deleted = pass_over, .context = &unsure};
	CrdtBuffer state = state_of(c, doc, (CrdtBytes){NULL, 0});
	CrdtError error = {0};

	case_expect_ok(
		c, "items",
		crdt_update_inspect(&c->world.host, crdt_buffer_view(&state), CRDT_V1, &visitor, &error),
		&error);
	crdt_buffer_close(&state);
	return unsure;
}

static bool
note_unsure(void *context, const CrdtStructView *item)
{
	if (item->has_origin && item->has_right_origin &&
		item->origin_client == item->right_origin_client &&
		item->origin_clock == item->right_origin_clock)
		*(bool *) context = true;
	return true;
}

static bool
pass_over(void *context, uint64_t client, uint64_t clock, uint64_t length)
{
	(void) context;
	(void) client;
	(void) clock;
	(void) length;
	return true;
}
