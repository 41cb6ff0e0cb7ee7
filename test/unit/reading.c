/*
 * reading.c: what is read of a document: roots, text, JSON, markup.
 */
#include "replica.h"

#include <string.h>

#include "../../extension/crdt/bytes.h"
#include "examples.h"

static void
roots_come_in_the_order_of_their_first_mention(void **state)
{
	static const CrdtKind kinds[] = {CRDT_TEXT, CRDT_ARRAY, CRDT_MAP, CRDT_XML_FRAGMENT};
	static const char *const names[] = {"text", "array", "map", "xml"};
	Replica ann = replica_new();

	(void) state;
	receive(&ann, BYTES(everything));
	assert_int_equal(crdt_doc_root_count(ann.doc), 4);
	for (size_t i = 0; i < 4; i++)
	{
		const CrdtType *root = crdt_doc_root(ann.doc, i);
		CrdtBytes name = crdt_doc_root_name(ann.doc, root);

		assert_bytes_equal(name, (CrdtBytes){(const uint8_t *) names[i], strlen(names[i])});
		assert_ptr_equal(crdt_doc_find_root(ann.doc, name), root);
		assert_int_equal(crdt_doc_kind(ann.doc, root), kinds[i]);
	}
	assert_null(crdt_doc_find_root(ann.doc, NAME("nobody mentioned it")));
	replica_close(&ann);
}

static void
every_kind_of_content_can_be_read(void **state)
{
	Replica ann = replica_new();

	(void) state;
	receive(&ann, BYTES(everything));
	assert_text(&ann, "text", "Hello world");
	assert_json(&ann, "text", CRDT_TEXT, "\"Hello world\"");
	assert_json(&ann, "array", CRDT_ARRAY,
				"[1,\"two\",{\"three\":[3,null]},true,2.5,\"AQI=\",{\"k\":\"v\"}]");
	assert_json(&ann, "map", CRDT_MAP,
				"{\"list\":[1,2],\"note\":\"nested\",\"none\":null,"
				"\"child\":{\"guid\":\"child-1\"}}");
	assert_json(&ann, "xml", CRDT_XML_FRAGMENT, "\"<p class=\\\"intro\\\">Read me</p>\"");
	replica_close(&ann);
}

static void
what_was_deleted_is_not_read(void **state)
{
	Replica ann = replica_new();

	(void) state;
	receive(&ann, BYTES(everything));
	receive(&ann, BYTES(review));
	receive(&ann, BYTES(after_review));
	assert_text(&ann, "text", "Helorld");
	assert_json(&ann, "array", CRDT_ARRAY, "[1,\"two\",{\"three\":[3,null]},true,2.5,\"AQI=\"]");
	assert_json(&ann, "map", CRDT_MAP,
				"{\"list\":\"gone\",\"note\":\"nested\",\"none\":\"some\","
				"\"child\":{\"guid\":\"child-1\"}}");
	assert_json(&ann, "xml", CRDT_XML_FRAGMENT, "\"<p class=\\\"intro\\\">Read me!</p>\"");
	replica_close(&ann);
}

static void
text_may_hold_any_character(void **state)
{
	static const uint8_t expected[] = {'a', 0xf0, 0x9f, 0x98, 0x80, 0, 'b'};
	Replica ann = replica_new();
	CrdtBuffer text;

	(void) state;
	receive(&ann, BYTES(text_with_emoji));
	text = text_of(&ann, "t");
	assert_bytes_equal(crdt_buffer_view(&text), BYTES(expected));
	crdt_buffer_close(&text);
	assert_json(&ann, "t", CRDT_TEXT,
				"\"a\xf0\x9f\x98\x80\\u0000"
				"b\"");
	replica_close(&ann);
}

static void
a_declared_root_exists_before_anyone_writes_in_it(void **state)
{
	Replica ann = replica_new();
	CrdtError error = {0};

	(void) state;
	assert_int_equal(crdt_doc_declare_root(ann.doc, NAME("t"), CRDT_TEXT, &error), CRDT_OK);
	assert_int_equal(crdt_doc_declare_root(ann.doc, NAME("t"), CRDT_TEXT, &error), CRDT_OK);
	assert_int_equal(crdt_doc_kind(ann.doc, crdt_doc_find_root(ann.doc, NAME("t"))), CRDT_TEXT);
	assert_text(&ann, "t", "");
	receive(&ann, BYTES(ann_writes_cat));
	assert_text(&ann, "t", "cat");
	replica_close(&ann);
}

static void
a_root_is_declared_as_one_kind_only(void **state)
{
	Replica ann = replica_new();
	CrdtError error = {0};

	(void) state;
	receive(&ann, BYTES(ann_writes_cat));
	assert_int_equal(crdt_doc_declare_root(ann.doc, NAME("t"), CRDT_TEXT, &error), CRDT_OK);
	assert_int_equal(crdt_doc_declare_root(ann.doc, NAME("t"), CRDT_MAP, &error), CRDT_INVALID);
	assert_good_error(&error, CRDT_INVALID, 0);
	assert_text(&ann, "t", "cat");
	replica_close(&ann);
}

static bool
stop_at_once(void *context)
{
	(*(int *) context)++;
	return false;
}

static bool
stop_at_string(void *context, CrdtBytes value)
{
	(void) value;
	return stop_at_once(context);
}

static void
a_visitor_can_stop(void **state)
{
	int calls = 0;
	CrdtVisitor visitor = {
		.context = &calls, .begin_object = stop_at_once, .string = stop_at_string};
	Replica ann = replica_new();
	CrdtError error = {0};

	(void) state;
	receive(&ann, BYTES(everything));
	assert_int_equal(crdt_doc_visit(ann.doc, crdt_doc_find_root(ann.doc, NAME("map")), CRDT_MAP,
									&visitor, &error),
					 CRDT_CANCELLED);
	assert_int_equal(crdt_doc_visit(ann.doc, crdt_doc_find_root(ann.doc, NAME("text")), CRDT_TEXT,
									&visitor, &error),
					 CRDT_CANCELLED);
	assert_int_equal(calls, 2);
	replica_close(&ann);
}

static bool
keep_string(void *context, CrdtBytes value)
{
	CrdtBuffer *kept = context;

	crdt_write_bytes(kept, value);
	return true;
}

/* One key or element, without what the type holds beside it. */
static void
one_key_and_one_element_can_be_read(void **state)
{
	Replica ann = replica_new();
	CrdtBuffer kept;
	CrdtVisitor visitor = {.context = &kept, .string = keep_string};
	CrdtError error = {0};
	const CrdtType *map;
	const CrdtType *array;

	(void) state;
	receive(&ann, BYTES(everything));
	map = crdt_doc_find_root(ann.doc, NAME("map"));
	array = crdt_doc_find_root(ann.doc, NAME("array"));
	crdt_buffer_open(&kept, &ann.world->host);
	assert_int_equal(crdt_doc_visit_entry(ann.doc, map, NAME("note"), &visitor, &error), CRDT_OK);
	assert_int_equal(crdt_doc_visit_entry(ann.doc, map, NAME("nowhere"), &visitor, &error),
					 CRDT_OK);
	assert_int_equal(crdt_doc_visit_element(ann.doc, array, 1, &visitor, &error), CRDT_OK);
	assert_int_equal(crdt_doc_visit_element(ann.doc, array, 99, &visitor, &error), CRDT_OK);
	assert_int_equal(crdt_doc_visit_element(ann.doc, array, UINT64_MAX, &visitor, &error), CRDT_OK);
	assert_bytes_equal(crdt_buffer_view(&kept), NAME("nestedtwo"));
	crdt_buffer_close(&kept);
	replica_close(&ann);
}

static void
a_document_knows_what_memory_it_holds(void **state)
{
	Replica ann = replica_new();

	(void) state;
	receive(&ann, BYTES(everything));
	assert_int_equal(crdt_doc_memory_bytes(ann.doc), ann.world->bytes);
	replica_close(&ann);
}

int
run_reading_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roots_come_in_the_order_of_their_first_mention),
		cmocka_unit_test(every_kind_of_content_can_be_read),
		cmocka_unit_test(what_was_deleted_is_not_read),
		cmocka_unit_test(text_may_hold_any_character),
		cmocka_unit_test(a_declared_root_exists_before_anyone_writes_in_it),
		cmocka_unit_test(a_root_is_declared_as_one_kind_only),
		cmocka_unit_test(a_visitor_can_stop),
		cmocka_unit_test(one_key_and_one_element_can_be_read),
		cmocka_unit_test(a_document_knows_what_memory_it_holds),
	};

	return cmocka_run_group_tests_name("reading", tests, NULL, NULL);
}
