/*
 * edits.c: writing in a document, and what others get of it.  The updates are those that Yjs emits
 * for the same edits (examples.mjs).
 */
#include "replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../extension/crdt/edit.h"
#include "../../extension/crdt/value.h"
#include "examples.h"

/* What a writer has sent: how often, and the last update. */
typedef struct Sent
{
	CrdtBuffer update;
	size_t count;
} Sent;

static void
send(void *context, CrdtDoc *doc, const CrdtChange *change)
{
	Sent *sent = context;
	CrdtError error;

	(void) change;
	sent->update.size = 0;
	sent->count++;
	assert_int_equal(crdt_doc_encode_transaction(doc, CRDT_V1, &sent->update, &error), CRDT_OK);
}

static Replica
writer(uint64_t client, Sent *sent)
{
	Replica replica =
		replica_new_with((CrdtDocOptions){.after_transaction = send, .context = sent});

	sent->count = 0;
	crdt_buffer_open(&sent->update, &replica.world->host);
	crdt_doc_set_client(replica.doc, client);
	return replica;
}

static void
close_writer(Replica *replica, Sent *sent)
{
	crdt_buffer_close(&sent->update);
	replica_close(replica);
}

static const CrdtType *
root(Replica *replica, CrdtBytes name, CrdtKind kind)
{
	CrdtError error;
	const CrdtType *type = crdt_doc_open_root(replica->doc, name, kind, &error);

	assert_non_null(type);
	return type;
}

static void
work(CrdtStatus status, const CrdtError *error)
{
	if (status != CRDT_OK)
		print_message("%s\n", error->message);
	assert_int_equal(status, CRDT_OK);
}

static void
typing_sends_the_update_that_yjs_sends(void **state)
{
	Sent sent;
	Replica ann = writer(1, &sent);
	const CrdtType *text = root(&ann, NAME("t"), CRDT_TEXT);
	CrdtError error;

	(void) state;
	work(crdt_text_insert(ann.doc, text, 0, NAME("cat"), NULL, &error), &error);
	assert_bytes_equal(crdt_buffer_view(&sent.update), BYTES(ann_writes_cat));
	work(crdt_text_insert(ann.doc, text, 3, NAME("s"), NULL, &error), &error);
	assert_bytes_equal(crdt_buffer_view(&sent.update), BYTES(ann_adds_s));
	assert_text(&ann, "t", "cats");
	close_writer(&ann, &sent);
}

static void
edits_between_begin_and_commit_are_one_update(void **state)
{
	static const uint8_t yes[] = {120};
	CrdtAttribute bold = {NAME("bold"), BYTES(yes)};
	CrdtAttributes attributes = {&bold, 1};
	Sent sent;
	Replica ann = writer(1, &sent);
	Replica ben = replica_new();
	const CrdtType *text = root(&ann, NAME("t"), CRDT_TEXT);
	CrdtError error;

	(void) state;
	crdt_doc_begin(ann.doc, NULL);
	work(crdt_text_insert(ann.doc, text, 0, NAME("cat"), NULL, &error), &error);
	work(crdt_text_insert(ann.doc, text, 3, NAME("s"), NULL, &error), &error);
	work(crdt_text_format(ann.doc, text, 0, 4, &attributes, &error), &error);
	assert_int_equal(sent.count, 0);
	crdt_doc_commit(ann.doc);
	assert_int_equal(sent.count, 1);

	receive(&ben, crdt_buffer_view(&sent.update));
	assert_text(&ben, "t", "cats");
	assert_same_state(&ann, &ben);
	replica_close(&ben);
	close_writer(&ann, &sent);
}

static void
a_new_map_comes_with_what_is_in_it(void **state)
{
	CrdtBuffer number;
	CrdtEntry entries[2];
	CrdtInput map = {.kind = CRDT_INPUT_SHARED, .shared = CRDT_MAP, .entries = entries};
	Sent sent;
	Replica ann = writer(1, &sent);
	Replica ben = replica_new();
	const CrdtType *list = root(&ann, NAME("tasks"), CRDT_ARRAY);
	const CrdtType *task;
	CrdtError error;

	(void) state;
	crdt_buffer_open(&number, &ann.world->host);
	crdt_value_number(&number, 3);
	entries[0] = (CrdtEntry){NAME("hours"), {.bytes = crdt_buffer_view(&number)}};
	entries[1] = (CrdtEntry){
		NAME("title"), {.kind = CRDT_INPUT_SHARED, .shared = CRDT_TEXT, .text = NAME("Sweep")}};
	map.entry_count = 2;
	work(crdt_list_insert(ann.doc, list, 0, &map, 1, &error), &error);
	assert_int_equal(sent.count, 1);
	receive(&ben, crdt_buffer_view(&sent.update));
	assert_json(&ben, "tasks", CRDT_ARRAY, "[{\"hours\":3,\"title\":\"Sweep\"}]");

	task = crdt_doc_child(ann.doc, list, 0);
	work(crdt_text_insert(ann.doc, crdt_doc_entry(ann.doc, task, NAME("title")), 5, NAME(" up"),
						  NULL, &error),
		 &error);
	receive(&ben, crdt_buffer_view(&sent.update));
	assert_json(&ben, "tasks", CRDT_ARRAY, "[{\"hours\":3,\"title\":\"Sweep up\"}]");
	crdt_buffer_close(&number);
	replica_close(&ben);
	close_writer(&ann, &sent);
}

static void
an_edit_that_is_refused_changes_nothing(void **state)
{
	static const uint8_t undefined[] = {127};
	CrdtInput element = {.bytes = BYTES(undefined)};
	Sent sent;
	Replica ann = writer(1, &sent);
	const CrdtType *text = root(&ann, NAME("t"), CRDT_TEXT);
	const CrdtType *list = root(&ann, NAME("l"), CRDT_ARRAY);
	CrdtError error;

	(void) state;
	work(crdt_text_insert(ann.doc, text, 0, NAME("cat"), NULL, &error), &error);
	sent.count = 0;
	assert_int_equal(crdt_text_insert(ann.doc, text, 4, NAME("s"), NULL, &error), CRDT_INVALID);
	assert_string_equal(error.message, "index 4 is beyond the length, 3");
	assert_int_equal(crdt_text_insert(ann.doc, text, 0, NAME("\xff"), NULL, &error), CRDT_INVALID);
	assert_int_equal(crdt_list_insert(ann.doc, text, 0, &element, 1, &error), CRDT_INVALID);
	assert_int_equal(crdt_list_insert(ann.doc, list, 0, &element, 1, &error), CRDT_INVALID);
	assert_string_equal(error.message, "a list cannot hold undefined or a bigint");
	assert_int_equal(crdt_list_delete(ann.doc, list, 0, 1, &error), CRDT_INVALID);
	assert_int_equal(crdt_text_insert(ann.doc, NULL, 0, NAME("s"), NULL, &error), CRDT_INVALID);
	assert_int_equal(sent.count, 0);
	assert_state(&ann, BYTES(ann_writes_cat));
	close_writer(&ann, &sent);
}

static void
a_type_that_was_deleted_is_not_edited(void **state)
{
	CrdtInput text = {.kind = CRDT_INPUT_SHARED, .shared = CRDT_TEXT, .text = NAME("gone soon")};
	Sent sent;
	Replica ann = writer(1, &sent);
	const CrdtType *list = root(&ann, NAME("l"), CRDT_ARRAY);
	const CrdtType *child;
	CrdtError error;

	(void) state;
	work(crdt_list_insert(ann.doc, list, 0, &text, 1, &error), &error);
	child = crdt_doc_child(ann.doc, list, 0);
	work(crdt_list_delete(ann.doc, list, 0, 1, &error), &error);
	assert_int_equal(crdt_text_insert(ann.doc, child, 0, NAME("x"), NULL, &error), CRDT_INVALID);
	assert_string_equal(error.message, "the type was deleted");
	close_writer(&ann, &sent);
}

/* A model of the text: ASCII, so that units are bytes. */
typedef struct Model
{
	char text[40000];
	size_t length;
} Model;

static void
model_insert(Model *model, size_t index, const char *text)
{
	size_t size = strlen(text);

	memmove(model->text + index + size, model->text + index, model->length - index);
	memcpy(model->text + index, text, size);
	model->length += size;
}

static void
model_delete(Model *model, size_t index, size_t length)
{
	memmove(model->text + index, model->text + index + length, model->length - index - length);
	model->length -= length;
}

/* Long enough for a position index, which must then follow every change. */
static void
edits_anywhere_in_a_long_text_are_where_they_should_be(void **state)
{
	static Model model;
	Sent sent;
	Replica ann = writer(1, &sent);
	Replica ben = replica_new();
	const CrdtType *text = root(&ann, NAME("t"), CRDT_TEXT);
	CrdtError error;
	CrdtBuffer got;

	(void) state;
	model.length = 0;
	srand(7);
	for (int i = 0; i < 6000; i++)
	{
		size_t index = model.length == 0 ? 0 : (size_t) rand() % model.length;
		size_t length = (size_t) rand() % 4;

		if (rand() % 3 > 0 || model.length - index < length)
		{
			char word[8];

			snprintf(word, sizeof word, "%d", rand() % 1000);
			model_insert(&model, index, word);
			work(crdt_text_insert(ann.doc, text, index,
								  (CrdtBytes){(const uint8_t *) word, strlen(word)}, NULL, &error),
				 &error);
		}
		else
		{
			model_delete(&model, index, length);
			work(crdt_text_delete(ann.doc, text, index, length, &error), &error);
		}
		receive(&ben, crdt_buffer_view(&sent.update));
	}
	got = text_of(&ann, "t");
	assert_bytes_equal(crdt_buffer_view(&got),
					   (CrdtBytes){(const uint8_t *) model.text, model.length});
	crdt_buffer_close(&got);
	assert_same_state(&ann, &ben);
	replica_close(&ben);
	close_writer(&ann, &sent);
}

/* One edit of a formatted text, anywhere or close to where the last one was. */
static void
edit_formatted(CrdtDoc *doc, const CrdtType *text, uint64_t *index)
{
	const CrdtBytes keys[] = {NAME("bold"), NAME("em"), NAME("code")};
	uint64_t length = crdt_doc_length(doc, text);
	CrdtAttribute mark = {keys[rand() % 3], rand() % 3 == 0 ? NAME("\x7e") : NAME("\x78")};
	CrdtAttributes marks = {&mark, 1};
	CrdtError error;

	if (rand() % 3 == 0 || *index > length)
		*index = (uint64_t) rand() % (length + 1);
	switch (length == 0 ? 0 : rand() % 8)
	{
		case 5:
			work(crdt_text_delete(doc, text, *index, (uint64_t) rand() % 4, &error), &error);
			return;
		case 6:
			*index = (uint64_t) rand() % length;
			work(crdt_text_format(doc, text, *index, (length - *index) % 40, &marks, &error),
				 &error);
			return;
		case 7:
			work(crdt_text_insert(doc, text, *index, NAME("x"), &marks, &error), &error);
			return;
		default: work(crdt_text_insert(doc, text, *index, NAME("ab"), NULL, &error), &error);
	}
	*index += 2;
}

/* Does an edit give the same update in a document that was loaded just now, whose position index is
 * new? */
static void
assert_edits_like_new(Replica *replica, const Sent *sent, const CrdtType *text, uint64_t index)
{
	Sent fresh_sent;
	Replica fresh = writer(crdt_doc_client(replica->doc), &fresh_sent);
	CrdtBuffer before = state_of(replica);
	CrdtError error;

	receive(&fresh, crdt_buffer_view(&before));
	work(crdt_text_insert(replica->doc, text, index, NAME("new"), NULL, &error), &error);
	work(crdt_text_insert(fresh.doc, root(&fresh, NAME("t"), CRDT_TEXT), index, NAME("new"), NULL,
						  &error),
		 &error);
	assert_bytes_equal(crdt_buffer_view(&sent->update), crdt_buffer_view(&fresh_sent.update));
	crdt_buffer_close(&before);
	close_writer(&fresh, &fresh_sent);
}

static void
edits_in_a_long_formatted_text_are_those_of_a_newly_loaded_one(void **state)
{
	Sent sent;
	Sent other_sent;
	Replica ann = writer(1, &sent);
	Replica ben = writer(2, &other_sent);
	const CrdtType *text = root(&ann, NAME("t"), CRDT_TEXT);
	const CrdtType *other_text = root(&ben, NAME("t"), CRDT_TEXT);
	uint64_t index = 0;
	uint64_t other_index = 0;

	(void) state;
	srand(11);
	for (int i = 0; i < 6000; i++)
	{
		edit_formatted(ann.doc, text, &index);
		receive(&ben, crdt_buffer_view(&sent.update));
		if (i % 3 == 0)
		{
			edit_formatted(ben.doc, other_text, &other_index);
			receive(&ann, crdt_buffer_view(&other_sent.update));
		}
		if (i % 60 == 0 && index <= crdt_doc_length(ann.doc, text))
		{
			assert_edits_like_new(&ann, &sent, text, index);
			receive(&ben, crdt_buffer_view(&sent.update));
		}
	}
	assert_same_state(&ann, &ben);
	close_writer(&ben, &other_sent);
	close_writer(&ann, &sent);
}

int
run_edit_tests(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(typing_sends_the_update_that_yjs_sends),
		cmocka_unit_test(edits_between_begin_and_commit_are_one_update),
		cmocka_unit_test(a_new_map_comes_with_what_is_in_it),
		cmocka_unit_test(an_edit_that_is_refused_changes_nothing),
		cmocka_unit_test(a_type_that_was_deleted_is_not_edited),
		cmocka_unit_test(edits_anywhere_in_a_long_text_are_where_they_should_be),
		cmocka_unit_test(edits_in_a_long_formatted_text_are_those_of_a_newly_loaded_one),
	};

	return cmocka_run_group_tests_name("edits", tests, NULL, NULL);
}
