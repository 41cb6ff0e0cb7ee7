/*
 * set.c: JSON as a whole: making what is at a path equal to some JSON, JSON Patch (RFC 6902) and
 * JSON Merge Patch (RFC 7396).
 *
 * What is there already is kept as far as it is equal: a shared map stays that map, a text is edited
 * where it differs, of a list only the middle that differs is replaced.  So concurrent edits
 * elsewhere survive.  New objects and arrays become shared maps and arrays; strings are plain, unless
 * they are a root or replace a shared text.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "bridge.h"
#include "edit.h"
#include "input.h"
#include "read.h"

static void
make_equal(CrdtDoc *doc, const CrdtType *type, const JsonbValue *now, const JsonbValue *value);

/* ---- JSON beside the document ---- */

static bool
are_equal(const JsonbValue *a, const JsonbValue *b)
{
	Jsonb *left = JsonbValueToJsonb((JsonbValue *) a);
	Jsonb *right = JsonbValueToJsonb((JsonbValue *) b);

	return compareJsonbContainers(&left->root, &right->root) == 0;
}

static JsonbValue *
element_of(const JsonbValue *array, uint64 index)
{
	return getIthJsonbValueFromContainer(array->val.binary.data, (uint32) index);
}

static uint64
size_of(const JsonbValue *container)
{
	return JsonContainerSize(container->val.binary.data);
}

static JsonbValue *
member_of(const JsonbValue *object, CrdtBytes key)
{
	JsonbValue name = {.type = jbvString};

	name.val.string.val = (char *) key.data;
	name.val.string.len = (int) key.size;
	return findJsonbValueFromContainer(object->val.binary.data, JB_FOBJECT, &name);
}

/* Walks the members of an object. */
static bool
next_member(JsonbIterator **iterator, CrdtBytes *key, JsonbValue *value)
{
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(iterator, value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			*key = input_string(value);
		else if (token == WJB_VALUE)
			return true;
	}
	return false;
}

/* ---- shared types ---- */

/* Could a type of that kind come to hold the value without being replaced? */
static bool
can_become(CrdtKind kind, const JsonbValue *value)
{
	return (kind == CRDT_MAP && input_is_object(value)) ||
		   (kind == CRDT_ARRAY && input_is_array(value)) ||
		   ((kind == CRDT_TEXT || kind == CRDT_XML_TEXT) && value->type == jbvString);
}

/* was: what the key has; NULL: nothing. */
static void
set_entry(CrdtDoc *doc, const CrdtType *map, CrdtBytes key, const JsonbValue *was,
		  const JsonbValue *value)
{
	const CrdtType *child = crdt_doc_entry(doc, map, key);
	CrdtInput input;
	CrdtError error;

	if (was != NULL && are_equal(was, value))
		return;
	if (child != NULL && can_become(crdt_doc_kind(doc, child), value))
	{
		make_equal(doc, child, was, value);
		return;
	}
	input = input_shared(value);
	edit_check(crdt_map_set(doc, map, key, &input, &error), &error);
}

static void
make_map_equal(CrdtDoc *doc, const CrdtType *map, const JsonbValue *now, const JsonbValue *object)
{
	JsonbIterator *iterator = JsonbIteratorInit(now->val.binary.data);
	JsonbValue value;
	CrdtBytes key = {NULL, 0};
	CrdtError error;

	while (next_member(&iterator, &key, &value))
		if (member_of(object, key) == NULL)
			edit_check(crdt_map_delete(doc, map, key, &error), &error);
	iterator = JsonbIteratorInit(object->val.binary.data);
	while (next_member(&iterator, &key, &value))
		set_entry(doc, map, key, member_of(now, key), &value);
}

static void
insert_elements(CrdtDoc *doc, const CrdtType *array, const JsonbValue *from, uint64 index,
				uint64 count)
{
	CrdtInput *inputs = palloc(sizeof(CrdtInput) * Max(count, 1));
	CrdtError error;

	for (uint64 i = 0; i < count; i++)
		inputs[i] = input_shared(element_of(from, index + i));
	edit_check(crdt_list_insert(doc, array, index, inputs, count, &error), &error);
}

static void
set_element(CrdtDoc *doc, const CrdtType *array, uint64 index, const JsonbValue *was,
			const JsonbValue *value)
{
	const CrdtType *child = crdt_doc_child(doc, array, index);
	CrdtInput input;
	CrdtError error;

	if (are_equal(was, value))
		return;
	if (child != NULL && can_become(crdt_doc_kind(doc, child), value))
	{
		make_equal(doc, child, was, value);
		return;
	}
	input = input_shared(value);
	edit_check(crdt_list_delete(doc, array, index, 1, &error), &error);
	edit_check(crdt_list_insert(doc, array, index, &input, 1, &error), &error);
}

static void
make_array_equal(CrdtDoc *doc, const CrdtType *array, const JsonbValue *now,
				 const JsonbValue *value)
{
	uint64 before = size_of(now);
	uint64 after = size_of(value);
	uint64 least = Min(before, after);
	uint64 prefix = 0;
	uint64 suffix = 0;
	CrdtError error;

	while (prefix < least && are_equal(element_of(now, prefix), element_of(value, prefix)))
		prefix++;
	while (suffix < least - prefix &&
		   are_equal(element_of(now, before - suffix - 1), element_of(value, after - suffix - 1)))
		suffix++;
	if (before == after)
	{
		for (uint64 i = prefix; i < before - suffix; i++)
			set_element(doc, array, i, element_of(now, i), element_of(value, i));
		return;
	}
	if (before > prefix + suffix)
		edit_check(crdt_list_delete(doc, array, prefix, before - prefix - suffix, &error), &error);
	if (after > prefix + suffix)
		insert_elements(doc, array, value, prefix, after - prefix - suffix);
}

/* now: what the type reads as. */
static void
make_equal(CrdtDoc *doc, const CrdtType *type, const JsonbValue *now, const JsonbValue *value)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (value->type == jbvString)
		edit_replace_text(doc, type, input_string(value));
	else if (input_is_array(value))
		make_array_equal(doc, type, now, value);
	else
		make_map_equal(doc, type, now, value);
}

/* ---- roots ---- */

static CrdtKind
kind_for(const JsonbValue *value, CrdtBytes name)
{
	if (value->type == jbvString)
		return CRDT_TEXT;
	if (input_is_array(value))
		return CRDT_ARRAY;
	if (input_is_object(value))
		return CRDT_MAP;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a root is an object, an array or a string, not %s", input_kind_name(value)),
			 errdetail("Its name is \"%.*s\".", (int) name.size, (const char *) name.data)));
}

void
set_root(CrdtDoc *doc, CrdtBytes name, const JsonbValue *value)
{
	CrdtKind kind = kind_for(value, name);
	Path path = {&name, 1};
	const CrdtType *type = path_open_type(doc, &path, kind);
	JsonbValue now = input_whole(read_type(doc, type));

	make_equal(doc, type, &now, value);
}

static void
clear_root(CrdtDoc *doc, const CrdtType *type)
{
	CrdtKind kind = crdt_doc_kind(doc, type);
	uint64 length = crdt_doc_length(doc, type);
	CrdtStatus status = CRDT_OK;
	CrdtError error;

	if (kind == CRDT_MAP)
		status = crdt_map_clear(doc, type, &error);
	else if (kind == CRDT_TEXT)
		status = crdt_text_delete(doc, type, 0, length, &error);
	else if (kind != CRDT_UNTYPED)
		status = crdt_list_delete(doc, type, 0, length, &error);
	edit_check(status, &error);
}

/* ---- paths ---- */

static pg_noreturn void
report_missing(CrdtDoc *doc, const Path *path)
{
	Path there = *path;

	while (--there.count > 0)
		if (get_path(doc, &there) != NULL)
			break;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is nothing at %s", path_show(path, path->count)),
			 there.count == 0
				 ? errdetail("The document has no root \"%s\".", path_show(path, 1))
				 : errdetail("There is %s, which has no \"%s\".", path_show(path, there.count),
							 path_show(&(Path){path->steps + there.count, 1}, 1))));
}

/* The map or list that holds, or is to hold, what is at the path. */
static const CrdtType *
open_parent(CrdtDoc *doc, const Path *path)
{
	Path parent = {path->steps, path->count - 1};
	int taken;
	const CrdtType *type = path_follow(doc, &parent, &taken);
	CrdtKind kind = type == NULL ? CRDT_UNTYPED : crdt_doc_kind(doc, type);

	if (taken == parent.count && kind == CRDT_ARRAY)
		return type;
	return path_open_type(doc, &parent, CRDT_MAP);
}

static uint64
index_in(CrdtDoc *doc, const CrdtType *array, const Path *path, bool may_be_end)
{
	CrdtBytes step = path->steps[path->count - 1];
	uint64 length = crdt_doc_length(doc, array);
	uint64_t index;

	if (may_be_end && step.size == 1 && step.data[0] == '-')
		return length;
	if (!path_step_is_index(step, &index))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s is a list: \"%.*s\" is no index of it",
							   path_show(path, path->count - 1), (int) step.size,
							   (const char *) step.data),
						errhint("Indices are whole numbers from 0.")));
	if (index > length || (index == length && !may_be_end))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("index " UINT64_FORMAT " is beyond the end of %s, which has "
							   "length " UINT64_FORMAT,
							   (uint64) index, path_show(path, path->count - 1), length),
						may_be_end ? errhint("The index that is the length appends.") : 0));
	return index;
}

static void
insert_element(CrdtDoc *doc, const CrdtType *array, uint64 index, const JsonbValue *value)
{
	CrdtInput input = input_shared(value);
	CrdtError error;

	edit_check(crdt_list_insert(doc, array, index, &input, 1, &error), &error);
}

static void
set_in_array(CrdtDoc *doc, const CrdtType *array, const Path *path, const JsonbValue *value)
{
	uint64 index = index_in(doc, array, path, true);
	Jsonb *was = read_member(doc, array, path->steps[path->count - 1]);
	JsonbValue was_value;

	if (was == NULL)
	{
		insert_element(doc, array, index, value);
		return;
	}
	was_value = input_whole(was);
	set_element(doc, array, index, &was_value, value);
}

static void
set_in_map(CrdtDoc *doc, const CrdtType *map, CrdtBytes key, const JsonbValue *value)
{
	Jsonb *was = read_member(doc, map, key);
	JsonbValue was_value;

	if (was != NULL)
		was_value = input_whole(was);
	set_entry(doc, map, key, was != NULL ? &was_value : NULL, value);
}

static void
set_value(CrdtDoc *doc, const Path *path, const JsonbValue *value)
{
	CrdtBytes step = path->steps[path->count - 1];
	const CrdtType *parent = path->count > 1 ? open_parent(doc, path) : NULL;

	if (parent == NULL)
		set_root(doc, step, value);
	else if (crdt_doc_kind(doc, parent) == CRDT_ARRAY)
		set_in_array(doc, parent, path, value);
	else
		set_in_map(doc, parent, step, value);
}

void
set_path(CrdtDoc *doc, const Path *path, const Jsonb *json)
{
	JsonbValue value = input_whole(json);

	set_value(doc, path, &value);
}

/* What is there, as JSON; NULL: nothing. */
Jsonb *
get_path(CrdtDoc *doc, const Path *path)
{
	int taken;
	const CrdtType *type = path_follow(doc, path, &taken);
	Jsonb *json;
	JsonbValue value;

	if (type == NULL)
		return NULL;
	if (taken == path->count)
		return read_type(doc, type);
	json = read_member(doc, type, path->steps[taken++]);
	if (json == NULL || taken == path->count)
		return json;
	value = input_whole(json);
	for (; taken < path->count; taken++)
	{
		JsonbValue *next = NULL;
		uint64_t index;

		if (input_is_object(&value))
			next = member_of(&value, path->steps[taken]);
		else if (input_is_array(&value) && path_step_is_index(path->steps[taken], &index) &&
				 index < size_of(&value))
			next = element_of(&value, index);
		if (next == NULL)
			return NULL;
		value = *next;
	}
	return JsonbValueToJsonb(&value);
}

void
unset_path(CrdtDoc *doc, const Path *path)
{
	const CrdtType *type;
	CrdtError error;

	if (get_path(doc, path) == NULL)
		report_missing(doc, path);
	if (path->count == 1)
	{
		clear_root(doc, crdt_doc_find_root(doc, path->steps[0]));
		return;
	}
	type = open_parent(doc, path);
	if (crdt_doc_kind(doc, type) == CRDT_ARRAY)
		edit_check(crdt_list_delete(doc, type, index_in(doc, type, path, false), 1, &error),
				   &error);
	else
		edit_check(crdt_map_delete(doc, type, path->steps[path->count - 1], &error), &error);
}

/* ---- JSON Patch ---- */

/* A JSON pointer (RFC 6901) as a path. */
static Path
path_of_pointer(CrdtBytes pointer)
{
	Path path = {palloc(sizeof(CrdtBytes) * (pointer.size + 1)), 0};
	size_t at = 0;

	if (pointer.size == 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a patch cannot replace a document as a whole"),
						errhint("Name a root: \"/root\".")));
	if (pointer.data[0] != '/')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a JSON pointer begins with a slash: \"%.*s\" does not",
							   (int) pointer.size, (const char *) pointer.data),
						errhint("For example /board/cards/0: a root, then keys and indices.")));
	while (at < pointer.size)
	{
		uint8_t *step = palloc(pointer.size);
		size_t size = 0;

		for (at++; at < pointer.size && pointer.data[at] != '/'; at++)
		{
			bool is_escape = pointer.data[at] == '~';

			if (is_escape &&
				(++at == pointer.size || pointer.data[at] < '0' || pointer.data[at] > '1'))
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("\"%.*s\" is no JSON pointer", (int) pointer.size,
									   (const char *) pointer.data),
								errhint("In keys, ~0 stands for ~ and ~1 for /.")));
			step[size++] = !is_escape ? pointer.data[at] : pointer.data[at] == '0' ? '~' : '/';
		}
		path.steps[path.count++] = (CrdtBytes){step, size};
	}
	return path;
}

#define OPERATION_HINT \
	"For example {\"op\": \"add\", \"path\": \"/board/cards/-\", \"value\": {\"name\": \"new\"}}."

static JsonbValue *
patch_member(const JsonbValue *operation, const char *name)
{
	JsonbValue *value = input_member(operation, name);

	if (value == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the patch's operation has no member \"%s\"", name),
						errhint(OPERATION_HINT)));
	return value;
}

static CrdtBytes
patch_string(const JsonbValue *operation, const char *name)
{
	JsonbValue *value = patch_member(operation, name);

	if (value->type != jbvString)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" of a patch must be a string, not %s", name,
							   input_kind_name(value))));
	return input_string(value);
}

static Jsonb *
get_or_report(CrdtDoc *doc, const Path *path)
{
	Jsonb *json = get_path(doc, path);

	if (json == NULL)
		report_missing(doc, path);
	return json;
}

/* Unlike set, it inserts into a list. */
static void
patch_add(CrdtDoc *doc, const Path *path, const JsonbValue *value)
{
	const CrdtType *parent = path->count > 1 ? open_parent(doc, path) : NULL;

	if (parent != NULL && crdt_doc_kind(doc, parent) == CRDT_ARRAY)
		insert_element(doc, parent, index_in(doc, parent, path, true), value);
	else
		set_value(doc, path, value);
}

static bool
begins_with(const Path *path, const Path *prefix)
{
	if (path->count < prefix->count)
		return false;
	for (int i = 0; i < prefix->count; i++)
		if (path->steps[i].size != prefix->steps[i].size ||
			memcmp(path->steps[i].data, prefix->steps[i].data, path->steps[i].size) != 0)
			return false;
	return true;
}

static void
patch_move(CrdtDoc *doc, const Path *from, const Path *path)
{
	JsonbValue value = input_whole(get_or_report(doc, from));

	if (begins_with(path, from))
	{
		if (path->count == from->count)
			return;
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s cannot be moved into itself", path_show(from, from->count)),
						errdetail("It would go to %s.", path_show(path, path->count))));
	}
	unset_path(doc, from);
	patch_add(doc, path, &value);
}

static void
patch_test(CrdtDoc *doc, const Path *path, const JsonbValue *value)
{
	JsonbValue now = input_whole(get_or_report(doc, path));

	if (!are_equal(&now, value))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("the patch's test of %s failed", path_show(path, path->count)),
				 errdetail("It holds %s.", JsonbToCString(NULL, &JsonbValueToJsonb(&now)->root, 0)),
				 errhint("Nothing of the patch was done.")));
}

static void
run_operation(CrdtDoc *doc, const JsonbValue *operation)
{
	CrdtBytes name = patch_string(operation, "op");
	Path path = path_of_pointer(patch_string(operation, "path"));
#define IS(literal) (name.size == strlen(literal) && memcmp(name.data, literal, name.size) == 0)

	if (IS("add"))
		patch_add(doc, &path, patch_member(operation, "value"));
	else if (IS("remove"))
		unset_path(doc, &path);
	else if (IS("replace"))
	{
		(void) get_or_report(doc, &path);
		set_value(doc, &path, patch_member(operation, "value"));
	}
	else if (IS("move") || IS("copy"))
	{
		Path from = path_of_pointer(patch_string(operation, "from"));

		if (IS("move"))
			patch_move(doc, &from, &path);
		else
		{
			JsonbValue value = input_whole(get_or_report(doc, &from));

			patch_add(doc, &path, &value);
		}
	}
	else if (IS("test"))
		patch_test(doc, &path, patch_member(operation, "value"));
	else
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a patch's operation is add, remove, replace, move, copy or test, "
							   "not \"%.*s\"",
							   (int) name.size, (const char *) name.data)));
#undef IS
}

static void
name_operation(void *number)
{
	errcontext("operation %d of the patch", *(int *) number);
}

static void
run_patch(CrdtDoc *doc, const JsonbValue *operations)
{
	int number = 0;
	ErrorContextCallback callback = {error_context_stack, name_operation, &number};

	error_context_stack = &callback;
	for (uint64 i = 0; i < size_of(operations); i++)
	{
		JsonbValue *operation = element_of(operations, i);

		CHECK_FOR_INTERRUPTS();
		number = (int) i + 1;
		if (!input_is_object(operation))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a patch's operation is an object, not %s", input_kind_name(operation)),
					 errhint(OPERATION_HINT)));
		run_operation(doc, operation);
	}
	error_context_stack = callback.previous;
}

/* ---- JSON Merge Patch ---- */

/* What a merge patch makes of JSON (target NULL: of nothing). */
static JsonbValue *
push_merged(JsonbParseState **state, const JsonbValue *target, const JsonbValue *patch)
{
	JsonbIterator *iterator;
	JsonbValue value;
	CrdtBytes key = {NULL, 0};

	check_stack_depth();
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	if (target != NULL && input_is_object(target))
	{
		iterator = JsonbIteratorInit(target->val.binary.data);
		while (next_member(&iterator, &key, &value))
		{
			JsonbValue name = {.type = jbvString};

			if (member_of(patch, key) != NULL)
				continue;
			name.val.string.val = (char *) key.data;
			name.val.string.len = (int) key.size;
			pushJsonbValue(state, WJB_KEY, &name);
			pushJsonbValue(state, WJB_VALUE, &value);
		}
	}
	iterator = JsonbIteratorInit(patch->val.binary.data);
	while (next_member(&iterator, &key, &value))
	{
		JsonbValue name = {.type = jbvString};

		if (value.type == jbvNull)
			continue;
		name.val.string.val = (char *) key.data;
		name.val.string.len = (int) key.size;
		pushJsonbValue(state, WJB_KEY, &name);
		if (input_is_object(&value))
			(void) push_merged(
				state, target != NULL && input_is_object(target) ? member_of(target, key) : NULL,
				&value);
		else
			pushJsonbValue(state, WJB_VALUE, &value);
	}
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

static Jsonb *
merged_json(const JsonbValue *target, const JsonbValue *patch)
{
	JsonbParseState *state = NULL;

	return JsonbValueToJsonb(push_merged(&state, target, patch));
}

static void
merge_roots(CrdtDoc *doc, const JsonbValue *patch)
{
	JsonbIterator *iterator = JsonbIteratorInit(patch->val.binary.data);
	JsonbValue value;
	CrdtBytes name = {NULL, 0};

	while (next_member(&iterator, &name, &value))
	{
		const CrdtType *root = crdt_doc_find_root(doc, name);

		if (value.type == jbvNull)
		{
			if (root != NULL)
				clear_root(doc, root);
		}
		else if (input_is_object(&value))
		{
			JsonbValue now = {.type = jbvNull};
			JsonbValue merged;

			if (root != NULL)
				now = input_whole(read_type(doc, root));
			merged = input_whole(merged_json(&now, &value));
			set_root(doc, name, &merged);
		}
		else
			set_root(doc, name, &value);
	}
}

void
patch_document(CrdtDoc *doc, const Jsonb *patch)
{
	JsonbValue whole = input_whole(patch);

	if (input_is_array(&whole))
		run_patch(doc, &whole);
	else if (input_is_object(&whole))
		merge_roots(doc, &whole);
	else
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a patch is an array (RFC 6902) or an object (RFC 7396), not %s",
							   input_kind_name(&whole))));
}
