/*
 * json_text.c: JSON text to canonical values and back, as JSON.parse and JSON.stringify do it
 * (any.h, FORMAT 4), and numbers as JavaScript prints them (ECMA-262, Number::toString).
 *
 * strtod and snprintf follow the locale's decimal point: programs that use the core keep LC_NUMERIC
 * at "C", as PostgreSQL does.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "any.h"
#include "object.h"
#include "utf.h"

/* ---- parsing ---- */

typedef struct JsonParser
{
	CrdtReader json; /* its own place in the text */
	const CrdtHost *host;
	CrdtArena *scratch; /* unescaped keys, numbers */
} JsonParser;

static void
fail(JsonParser *parser, const char *what)
{
	crdt_reader_fail(&parser->json, CRDT_MALFORMED, "invalid JSON: %s", what);
}

/* The next byte, not consumed; 0 at the end (a NUL is no part of any token either). */
static uint8_t
peek(const JsonParser *parser)
{
	return parser->json.cursor < parser->json.end ? *parser->json.cursor : 0;
}

static void
skip_space(JsonParser *parser)
{
	uint8_t next;

	while ((next = peek(parser)) == ' ' || next == '\t' || next == '\n' || next == '\r')
		parser->json.cursor++;
}

static bool
take(JsonParser *parser, uint8_t byte)
{
	if (peek(parser) != byte)
		return false;
	parser->json.cursor++;
	return true;
}

static bool
take_word(JsonParser *parser, const char *word)
{
	size_t size = strlen(word);

	if (crdt_reader_left(&parser->json) < size || memcmp(parser->json.cursor, word, size) != 0)
		return false;
	parser->json.cursor += size;
	return true;
}

/* Four hexadecimal digits. */
static uint32_t
parse_unit(JsonParser *parser)
{
	uint32_t unit = 0;

	for (int i = 0; i < 4; i++)
	{
		uint8_t digit = crdt_read_u8(&parser->json);

		unit <<= 4;
		if (digit >= '0' && digit <= '9')
			unit |= digit - '0';
		else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
			unit |= (digit | 0x20) - 'a' + 10u;
		else
		{
			fail(parser, "an escape \\u needs four hexadecimal digits");
			return 0;
		}
	}
	return unit;
}

/* What follows \u: a code point, or a lone surrogate. */
static uint32_t
parse_code_point(JsonParser *parser)
{
	uint32_t unit = parse_unit(parser);
	const uint8_t *here = parser->json.cursor;
	uint32_t low;

	if (unit < 0xd800 || unit > 0xdbff || !take_word(parser, "\\u"))
		return unit;
	low = parse_unit(parser);
	if (low >= 0xdc00 && low <= 0xdfff)
		return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
	if (!crdt_reader_failed(&parser->json))
		parser->json.cursor = here;
	return unit;
}

static size_t
parse_escape(JsonParser *parser, uint8_t *to)
{
	static const char names[] = "\"\\/bfnrt";
	static const char values[] = "\"\\/\b\f\n\r\t";
	uint8_t name = crdt_read_u8(&parser->json);
	const char *found = name == 0 ? NULL : strchr(names, name);

	if (name == 'u')
		return crdt_utf8_put(to, parse_code_point(parser));
	if (found == NULL)
	{
		fail(parser, "unknown escape in a string");
		return 0;
	}
	*to = (uint8_t) values[found - names];
	return 1;
}

/* Behind the opening quote, with escapes: unescaped into scratch. */
static CrdtBytes
parse_escaped(JsonParser *parser, size_t most_bytes)
{
	uint8_t *text = crdt_arena_take_bytes(parser->scratch, most_bytes + 4);
	size_t size = 0;

	if (text == NULL)
	{
		crdt_reader_fail(&parser->json, CRDT_NO_MEMORY, "out of memory");
		return (CrdtBytes){parser->json.end, 0};
	}
	while (!crdt_reader_failed(&parser->json))
	{
		uint8_t next = crdt_read_u8(&parser->json);

		if (next == '"')
			break;
		if (next == '\\')
			size += parse_escape(parser, text + size);
		else if (next < 0x20)
			fail(parser, "a control character in a string");
		else
			text[size++] = next;
	}
	return (CrdtBytes){text, size};
}

/* A string from its opening quote on.  An escape is never shorter than what it stands for. */
static CrdtBytes
parse_string(JsonParser *parser)
{
	const uint8_t *start;
	const uint8_t *at;

	if (!take(parser, '"'))
	{
		fail(parser, "a string should follow");
		return (CrdtBytes){parser->json.end, 0};
	}
	start = at = parser->json.cursor;
	while (at < parser->json.end && *at != '"' && *at != '\\' && *at >= 0x20)
		at++;
	if (at < parser->json.end && *at == '"')
	{
		parser->json.cursor = at + 1;
		return (CrdtBytes){start, (size_t) (at - start)};
	}
	while (at < parser->json.end && *at != '"')
		at += *at == '\\' && at + 1 < parser->json.end ? 2 : 1;
	return parse_escaped(parser, (size_t) (at - start));
}

static bool
take_digits(JsonParser *parser)
{
	const uint8_t *start = parser->json.cursor;

	while (peek(parser) >= '0' && peek(parser) <= '9')
		parser->json.cursor++;
	return parser->json.cursor > start;
}

static void
parse_number(JsonParser *parser, CrdtBuffer *out)
{
	const uint8_t *start = parser->json.cursor;
	bool valid;
	size_t size;
	char *text;

	(void) take(parser, '-');
	valid = take(parser, '0') || take_digits(parser);
	if (take(parser, '.'))
		valid &= take_digits(parser);
	if (take(parser, 'e') || take(parser, 'E'))
	{
		if (!take(parser, '+'))
			(void) take(parser, '-');
		valid &= take_digits(parser);
	}
	if (!valid)
	{
		fail(parser, "this is no value");
		return;
	}
	size = (size_t) (parser->json.cursor - start);
	text = (char *) crdt_arena_take_bytes(parser->scratch, size + 1);
	if (text == NULL)
	{
		crdt_reader_fail(&parser->json, CRDT_NO_MEMORY, "out of memory");
		return;
	}
	memcpy(text, start, size);
	text[size] = '\0';
	crdt_any_write_number(out, strtod(text, NULL));
}

static void parse_value(JsonParser *parser, CrdtBuffer *out, unsigned depth);

static void
parse_array(JsonParser *parser, CrdtBuffer *out, unsigned depth)
{
	CrdtBuffer elements;
	uint64_t count = 0;

	crdt_buffer_open(&elements, parser->host);
	skip_space(parser);
	if (!take(parser, ']'))
	{
		do
		{
			parse_value(parser, &elements, depth + 1);
			count++;
			skip_space(parser);
		} while (take(parser, ','));
		if (!take(parser, ']'))
			fail(parser, "a comma or ] should follow in an array");
	}
	crdt_write_u8(out, CRDT_ANY_ARRAY);
	crdt_write_varuint(out, count);
	crdt_write_bytes(out, crdt_buffer_view(&elements));
	out->failed |= elements.failed;
	crdt_buffer_close(&elements);
}

static void
parse_object(JsonParser *parser, CrdtBuffer *out, unsigned depth)
{
	CrdtObject object;

	crdt_object_open(&object, parser->host);
	skip_space(parser);
	if (!take(parser, '}'))
	{
		do
		{
			skip_space(parser);
			crdt_object_begin_member(&object, parse_string(parser));
			skip_space(parser);
			if (!take(parser, ':'))
				fail(parser, "a colon should follow a key");
			parse_value(parser, &object.values, depth + 1);
			crdt_object_end_member(&object);
			skip_space(parser);
		} while (take(parser, ','));
		if (!take(parser, '}'))
			fail(parser, "a comma or } should follow in an object");
	}
	crdt_object_write(&object, out);
	crdt_object_close(&object);
}

static void
parse_value(JsonParser *parser, CrdtBuffer *out, unsigned depth)
{
	skip_space(parser);
	if (crdt_reader_failed(&parser->json))
		return;
	if (depth >= CRDT_ANY_DEPTH_MAX)
		crdt_reader_fail(&parser->json, CRDT_LIMIT, "a value is nested more than %d deep",
						 CRDT_ANY_DEPTH_MAX);
	else if (peek(parser) == '"')
	{
		CrdtBytes text = parse_string(parser);

		crdt_write_u8(out, CRDT_ANY_STRING);
		crdt_write_byte_array(out, text);
	}
	else if (take(parser, '{'))
		parse_object(parser, out, depth);
	else if (take(parser, '['))
		parse_array(parser, out, depth);
	else if (take_word(parser, "true"))
		crdt_write_u8(out, CRDT_ANY_TRUE);
	else if (take_word(parser, "false"))
		crdt_write_u8(out, CRDT_ANY_FALSE);
	else if (take_word(parser, "null"))
		crdt_write_u8(out, CRDT_ANY_NULL);
	else
		parse_number(parser, out);
}

CrdtBytes
crdt_any_read_json(CrdtReader *reader, CrdtBytes json, bool may_be_undefined, CrdtArena *scratch)
{
	static const uint8_t undefined[] = {CRDT_ANY_UNDEFINED};
	JsonParser parser = {.host = scratch->host, .scratch = scratch};
	CrdtBytes value = {NULL, 0};
	CrdtBuffer out;

	if (crdt_reader_failed(reader))
		return (CrdtBytes){reader->end, 0};
	if (may_be_undefined && crdt_bytes_equal(json, CRDT_LITERAL("undefined")))
		return (CrdtBytes){undefined, sizeof(undefined)};
	crdt_reader_open(&parser.json, json);
	crdt_buffer_open(&out, scratch->host);
	parse_value(&parser, &out, 0);
	skip_space(&parser);
	if (crdt_reader_left(&parser.json) > 0)
		fail(&parser, "something follows the value");
	if (!out.failed)
		value = crdt_arena_copy(scratch, crdt_buffer_view(&out));
	crdt_buffer_close(&out);
	if (crdt_reader_failed(&parser.json))
	{
		reader->cursor = json.data + parser.json.error.offset;
		crdt_reader_fail(reader, parser.json.error.status, "%s", parser.json.error.message);
		return (CrdtBytes){reader->end, 0};
	}
	if (value.data == NULL)
		crdt_reader_fail(reader, CRDT_NO_MEMORY, "out of memory");
	return value;
}

/* ---- numbers ---- */

/* The shortest digits that give number back, without trailing zeros: number is
 * 0.DIGITS x 10^exponent.  number is finite and positive. */
static int
shortest_digits(double number, char digits[static 24], int *exponent)
{
	/* any double of 15 digits comes back from them, except the smallest, which have fewer */
	int precision = number < 2.2250738585072014e-308 ? 1 : 15;
	char text[40];
	int count;

	do
		snprintf(text, sizeof(text), "%.*e", precision - 1, number);
	while (strtod(text, NULL) != number && ++precision <= 17);
	digits[0] = text[0];
	count = 1;
	for (const char *at = text + 1; *at != 'e' && *at != '\0'; at++)
		if (*at != '.')
			digits[count++] = *at;
	while (count > 1 && digits[count - 1] == '0')
		count--;
	*exponent = atoi(strchr(text, 'e') + 1) + 1;
	return count;
}

static void
write_chars(CrdtBuffer *out, const char *chars, int count)
{
	crdt_write_bytes(out, (CrdtBytes){(const uint8_t *) chars, (size_t) count});
}

static void
write_zeros(CrdtBuffer *out, int count)
{
	for (int i = 0; i < count; i++)
		crdt_write_u8(out, '0');
}

static void
write_exponential(CrdtBuffer *out, const char *digits, int count, int exponent)
{
	char text[16];

	write_chars(out, digits, 1);
	if (count > 1)
	{
		crdt_write_u8(out, '.');
		write_chars(out, digits + 1, count - 1);
	}
	write_chars(out, text, snprintf(text, sizeof(text), "e%+d", exponent - 1));
}

void
crdt_write_number(CrdtBuffer *out, double number)
{
	char digits[24];
	int exponent;
	int count;

	if (isnan(number))
	{
		write_chars(out, "NaN", 3);
		return;
	}
	if (number < 0)
		crdt_write_u8(out, '-');
	number = fabs(number);
	if (isinf(number))
	{
		write_chars(out, "Infinity", 8);
		return;
	}
	if (number == 0)
	{
		crdt_write_u8(out, '0');
		return;
	}
	count = shortest_digits(number, digits, &exponent);
	if (exponent > 21 || exponent < -5)
		write_exponential(out, digits, count, exponent);
	else if (exponent <= 0)
	{
		write_chars(out, "0.", 2);
		write_zeros(out, -exponent);
		write_chars(out, digits, count);
	}
	else if (exponent >= count)
	{
		write_chars(out, digits, count);
		write_zeros(out, exponent - count);
	}
	else
	{
		write_chars(out, digits, exponent);
		crdt_write_u8(out, '.');
		write_chars(out, digits + exponent, count - exponent);
	}
}

/* ---- printing ---- */

static void
write_escape(CrdtBuffer *out, unsigned unit)
{
	char text[8];

	write_chars(out, text, snprintf(text, sizeof(text), "\\u%04x", unit));
}

/* The escape for one byte that needs one. */
static void
write_short_escape(CrdtBuffer *out, uint8_t byte)
{
	static const char bytes[] = "\"\\\b\f\n\r\t";
	static const char names[] = "\"\\bfnrt";
	const char *found = byte == 0 ? NULL : strchr(bytes, byte);

	if (found == NULL)
	{
		write_escape(out, byte);
		return;
	}
	crdt_write_u8(out, '\\');
	crdt_write_u8(out, (uint8_t) names[found - bytes]);
}

void
crdt_write_json_string(CrdtBuffer *out, CrdtBytes text, bool escape_surrogates)
{
	size_t plain = 0; /* start of what needs no escape */

	crdt_write_u8(out, '"');
	for (size_t at = 0; at < text.size; at++)
	{
		uint8_t byte = text.data[at];
		bool surrogate = escape_surrogates && byte == 0xed && text.data[at + 1] >= 0xa0;

		if (byte >= 0x20 && byte != '"' && byte != '\\' && !surrogate)
			continue;
		crdt_write_bytes(out, (CrdtBytes){text.data + plain, at - plain});
		if (surrogate)
		{
			write_escape(out,
						 0xd000u | (text.data[at + 1] & 0x3fu) << 6 | (text.data[at + 2] & 0x3fu));
			at += 2;
		}
		else
			write_short_escape(out, byte);
		plain = at + 1;
	}
	crdt_write_bytes(out, (CrdtBytes){text.data + plain, text.size - plain});
	crdt_write_u8(out, '"');
}

/* A byte array is to JSON an object with its indices as keys. */
static void
write_byte_object(CrdtBuffer *out, CrdtBytes bytes)
{
	char text[40];

	crdt_write_u8(out, '{');
	for (size_t i = 0; i < bytes.size; i++)
		write_chars(
			out, text,
			snprintf(text, sizeof(text), "%s\"%zu\":%u", i > 0 ? "," : "", i, bytes.data[i]));
	crdt_write_u8(out, '}');
}

static void write_json_value(CrdtReader *reader, CrdtBuffer *out, const char *undefined);

static void
write_json_object(CrdtReader *reader, CrdtBuffer *out)
{
	bool first = true;

	crdt_write_u8(out, '{');
	for (uint64_t count = crdt_read_varuint(reader); count > 0; count--)
	{
		CrdtBytes key = crdt_read_byte_array(reader);

		if (*reader->cursor == CRDT_ANY_UNDEFINED)
		{
			reader->cursor++;
			continue;
		}
		if (!first)
			crdt_write_u8(out, ',');
		first = false;
		crdt_write_json_string(out, key, true);
		crdt_write_u8(out, ':');
		write_json_value(reader, out, "null");
	}
	crdt_write_u8(out, '}');
}

static void
write_json_array(CrdtReader *reader, CrdtBuffer *out)
{
	uint64_t count = crdt_read_varuint(reader);

	crdt_write_u8(out, '[');
	for (uint64_t i = 0; i < count; i++)
	{
		if (i > 0)
			crdt_write_u8(out, ',');
		write_json_value(reader, out, "null");
	}
	crdt_write_u8(out, ']');
}

static void
write_json_number(CrdtBuffer *out, double number)
{
	if (isfinite(number))
		crdt_write_number(out, number);
	else
		write_chars(out, "null", 4);
}

static void
write_json_value(CrdtReader *reader, CrdtBuffer *out, const char *undefined)
{
	uint8_t tag = crdt_read_u8(reader);
	char text[24];

	switch (tag)
	{
		case CRDT_ANY_NULL: write_chars(out, "null", 4); break;
		case CRDT_ANY_INTEGER:
		case CRDT_ANY_FLOAT32:
		case CRDT_ANY_FLOAT64: write_json_number(out, crdt_any_read_number(reader, tag)); break;
		case CRDT_ANY_BIGINT:
			write_chars(
				out, text,
				snprintf(text, sizeof(text), "%lld", (long long) crdt_read_bigint64(reader)));
			break;
		case CRDT_ANY_FALSE: write_chars(out, "false", 5); break;
		case CRDT_ANY_TRUE: write_chars(out, "true", 4); break;
		case CRDT_ANY_STRING:
			crdt_write_json_string(out, crdt_read_byte_array(reader), true);
			break;
		case CRDT_ANY_OBJECT: write_json_object(reader, out); break;
		case CRDT_ANY_ARRAY: write_json_array(reader, out); break;
		case CRDT_ANY_BYTES: write_byte_object(out, crdt_read_byte_array(reader)); break;
		default: write_chars(out, undefined, (int) strlen(undefined));
	}
}

void
crdt_any_write_json(CrdtBuffer *out, CrdtBytes value)
{
	CrdtReader reader;

	crdt_reader_open(&reader, value);
	write_json_value(&reader, out, "undefined");
}
