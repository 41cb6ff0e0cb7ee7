/*
 * input.c: jsonb as values, shared types and deltas (input.h).
 */
#include "input.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "bridge.h"
#include "crdt/value.h"

#define EXACT_INTEGERS 9007199254740992.0 /* 2^53 */

/* ---- looking at jsonb ---- */

JsonbValue
input_whole(const Jsonb *jsonb)
{
	JsonbValue value;

	if (JB_ROOT_IS_SCALAR(jsonb))
		return *getIthJsonbValueFromContainer((JsonbContainer *) &jsonb->root, 0);
	value.type = jbvBinary;
	value.val.binary.data = (JsonbContainer *) &jsonb->root;
	value.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
	return value;
}

bool
input_is_object(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

bool
input_is_array(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
}

JsonbValue *
input_member(const JsonbValue *object, const char *key)
{
	JsonbValue name = {.type = jbvString};

	name.val.string.val = (char *) key;
	name.val.string.len = (int) strlen(key);
	return findJsonbValueFromContainer(object->val.binary.data, JB_FOBJECT, &name);
}

CrdtBytes
input_string(const JsonbValue *value)
{
	return (CrdtBytes){(const uint8_t *) value->val.string.val, value->val.string.len};
}

const char *
input_kind_name(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull: return "null";
		case jbvString: return "a string";
		case jbvNumeric: return "a number";
		case jbvBool: return "a boolean";
		default: return input_is_object(value) ? "an object" : "an array";
	}
}

static pg_noreturn void
refuse_kind(const char *what, const char *wanted, const JsonbValue *value)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s must be %s, not %s", what, wanted, input_kind_name(value))));
}

/* ---- values ---- */

/* Integers read back as they were written, or are refused, as is what is too large; what is too small to
 * be told from 0 is 0, as in JavaScript. */
static double
number_of(Numeric numeric)
{
	Datum datum = NumericGetDatum(numeric);
	double number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, datum));

	if (isinf(number))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("number %s is beyond what a document can hold",
							   numeric_out_sci(numeric, 5)),
						errdetail("Documents hold numbers as JavaScript does, up to 1.8e308."),
						errhint("A string keeps all digits.")));
	if (fabs(number) >= EXACT_INTEGERS)
	{
		Datum back =
			DirectFunctionCall3(numeric_in, CStringGetDatum(double_to_shortest_decimal(number)),
								ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

		if (!DatumGetBool(DirectFunctionCall2(numeric_eq, datum, back)))
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
							errmsg("number %s would lose digits",
								   DatumGetCString(DirectFunctionCall1(numeric_out, datum))),
							errdetail("Documents hold numbers as JavaScript does, with 53 bits."),
							errhint("A string keeps all digits.")));
	}
	return number;
}

static void
write_scalar(CrdtBuffer *out, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull: crdt_value_null(out); break;
		case jbvString: crdt_value_string(out, input_string(value)); break;
		case jbvNumeric: crdt_value_number(out, number_of(value->val.numeric)); break;
		case jbvBool: crdt_value_boolean(out, value->val.boolean); break;
		default: elog(ERROR, "unexpected type of jsonb value %d", (int) value->type);
	}
}

static void
write_container(CrdtBuffer *out, JsonbContainer *container)
{
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue value;

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		switch (token)
		{
			case WJB_BEGIN_ARRAY: crdt_value_begin_array(out, value.val.array.nElems); break;
			case WJB_BEGIN_OBJECT: crdt_value_begin_object(out, value.val.object.nPairs); break;
			case WJB_KEY: crdt_value_key(out, input_string(&value)); break;
			case WJB_ELEM:
			case WJB_VALUE: write_scalar(out, &value); break;
			default: break;
		}
	}
}

static CrdtBytes
encode_value(const JsonbValue *value)
{
	CrdtHost *host = palloc(sizeof(CrdtHost)); /* the bytes live as long as the context */
	CrdtBuffer out;

	bridge_buffer(&out, host);
	if (value->type == jbvBinary)
		write_container(&out, value->val.binary.data);
	else
		write_scalar(&out, value);
	if (out.failed)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return crdt_buffer_view(&out);
}

CrdtInput
input_value(const JsonbValue *value)
{
	return (CrdtInput){.kind = CRDT_INPUT_VALUE, .bytes = encode_value(value)};
}

/* ---- shared types ---- */

static CrdtInput *
shared_elements(JsonbContainer *array, size_t *count)
{
	CrdtInput *inputs;

	*count = JsonContainerSize(array);
	inputs = palloc(sizeof(CrdtInput) * Max(*count, 1));
	for (size_t i = 0; i < *count; i++)
		inputs[i] = input_shared(getIthJsonbValueFromContainer(array, i));
	return inputs;
}

static CrdtEntry *
shared_entries(JsonbContainer *object, size_t *count)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue value;
	CrdtEntry *entries = palloc(sizeof(CrdtEntry) * Max(JsonContainerSize(object), 1));

	*count = 0;
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			entries[*count].key = input_string(&value);
		else if (token == WJB_VALUE)
			entries[(*count)++].value = input_shared(&value);
	}
	return entries;
}

CrdtInput
input_shared(const JsonbValue *value)
{
	CrdtInput input = {.kind = CRDT_INPUT_SHARED};

	check_stack_depth();
	if (value->type != jbvBinary)
		return input_value(value);
	if (input_is_array(value))
	{
		input.shared = CRDT_ARRAY;
		input.items = shared_elements(value->val.binary.data, &input.item_count);
	}
	else
	{
		input.shared = CRDT_MAP;
		input.entries = shared_entries(value->val.binary.data, &input.entry_count);
	}
	return input;
}

CrdtInput *
input_elements(const Jsonb *array, bool shared, const char *what, size_t *count)
{
	JsonbValue whole = input_whole(array);
	CrdtInput *inputs;

	if (!input_is_array(&whole))
		refuse_kind(what, "an array of elements", &whole);
	*count = JsonContainerSize(whole.val.binary.data);
	inputs = palloc(sizeof(CrdtInput) * Max(*count, 1));
	for (size_t i = 0; i < *count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(whole.val.binary.data, i);

		inputs[i] = shared ? input_shared(element) : input_value(element);
	}
	return inputs;
}

/* ---- text ---- */

CrdtAttributes
input_attributes(const JsonbValue *object, const char *what)
{
	CrdtAttributes attributes = {NULL, 0};
	CrdtAttribute *list;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;

	if (!input_is_object(object))
		refuse_kind(what, "an object", object);
	list = palloc(sizeof(CrdtAttribute) * Max(JsonContainerSize(object->val.binary.data), 1));
	iterator = JsonbIteratorInit(object->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			list[attributes.count].key = input_string(&value);
		else if (token == WJB_VALUE)
			list[attributes.count++].value = encode_value(&value);
	}
	attributes.list = list;
	return attributes;
}

static uint64_t
length_of(const JsonbValue *value, const char *what, int number)
{
	double length = value->type == jbvNumeric ? number_of(value->val.numeric) : -1;

	if (length < 0 || length != floor(length) || length >= EXACT_INTEGERS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s of operation %d of the delta must be a whole number from 0",
							   what, number)));
	return (uint64_t) length;
}

static CrdtDeltaOp
delta_op(const JsonbValue *object, int number)
{
	CrdtDeltaOp op = {0};
	JsonbValue *value;
	JsonbValue *attributes;

	if (!input_is_object(object))
		refuse_kind(psprintf("operation %d of the delta", number), "an object", object);
	attributes = input_member(object, "attributes");
	if (attributes != NULL && attributes->type != jbvNull)
		op.attributes = input_attributes(attributes, "attributes");
	if ((value = input_member(object, "insert")) != NULL)
	{
		op.kind = value->type == jbvString ? CRDT_DELTA_INSERT : CRDT_DELTA_EMBED;
		if (value->type == jbvString)
			op.text = input_string(value);
		else
		{
			CrdtInput *embed = palloc(sizeof(CrdtInput));

			*embed = input_value(value);
			op.embed = embed;
		}
	}
	else if ((value = input_member(object, "retain")) != NULL)
		op = (CrdtDeltaOp){.kind = CRDT_DELTA_RETAIN,
						   .length = length_of(value, "retain", number),
						   .attributes = op.attributes};
	else if ((value = input_member(object, "delete")) != NULL)
		op = (CrdtDeltaOp){.kind = CRDT_DELTA_DELETE, .length = length_of(value, "delete", number)};
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("operation %d of the delta has none of insert, retain, delete", number),
				 errhint("For example {\"insert\": \"text\"} or {\"retain\": 5}.")));
	return op;
}

CrdtDeltaOp *
input_delta(const Jsonb *delta, size_t *count)
{
	JsonbValue whole = input_whole(delta);
	CrdtDeltaOp *ops;

	if (input_is_object(&whole) && input_member(&whole, "ops") != NULL)
		whole = *input_member(&whole, "ops");
	if (!input_is_array(&whole))
		refuse_kind("a delta", "an array of operations", &whole);
	*count = JsonContainerSize(whole.val.binary.data);
	ops = palloc(sizeof(CrdtDeltaOp) * Max(*count, 1));
	for (size_t i = 0; i < *count; i++)
		ops[i] = delta_op(getIthJsonbValueFromContainer(whole.val.binary.data, i), (int) i + 1);
	return ops;
}
