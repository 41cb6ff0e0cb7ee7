/*
 * markdown_text.c: text, code and addresses that every reader of CommonMark takes for themselves (markdown_text.h).
 *
 * Here: what means something to a reader where it stands, and how it is written instead.  Not here: delimiters, and what
 * their neighbours do to them (markdown_line.c).
 */
#include "markdown_text.h"

#include "mb/pg_wchar.h"

/* The names that HTML has end at 31 characters. */
#define LONGEST_REFERENCE 40

static void
write_reference(StringInfo out, pg_wchar c)
{
	appendStringInfo(out, "&#%u;", (unsigned) c);
}

/* Does a character reference begin with this ampersand? */
static bool
is_reference(const char *text, size_t size)
{
	size_t at = 1;

	if (at < size && text[at] == '#')
		at++;
	while (at < size && at < LONGEST_REFERENCE && markdown_is_alphanumeric((uint8_t) text[at]))
		at++;
	return at < size && text[at] == ';';
}

/* Does the character mean something to a reader where it stands?  digits: there were only those since
 * the line began; closing: where the hashes and spaces begin that end a heading. */
static bool
is_special(const MarkdownText *text, int at, bool digits, int closing)
{
	const char *data = text->data;
	char next = at + 1 < text->size ? data[at + 1] : ' ';
	char previous = at > 0 ? data[at - 1] : ' ';
	bool begins = text->begins_line && at == 0;

	switch (data[at])
	{
		case '\\':
		case '`':
		case '*':
		case '[':
		case ']':
		case '<':
		case '~': return true;
		case '_':
			/* not between letters, unless one of them is written as a reference */
			return !markdown_is_alphanumeric(previous) || !markdown_is_alphanumeric(next) ||
				   (text->hides_first && at == 1) || (text->hides_last && at == text->size - 2);
		case '&':
			return is_reference(data + at, text->size - at) ||
				   (text->place == MARKDOWN_CELL && at + 1 == text->size);
		case '!': return at + 1 == text->size; /* a bracket may follow */
		case '|': return text->place == MARKDOWN_CELL || (begins && text->follows_line);
		case '#':
			return (begins && strchr("# \t", next) != NULL) ||
				   (text->place == MARKDOWN_HEADING && at >= closing);
		case '>': return begins;
		case '=':
		case ':': return begins && text->follows_line; /* below a heading, or the head of a table */
		case '+':
		case '-': return begins && !markdown_is_alphanumeric(next);
		case '.':
		case ')': return digits && !begins && (next == ' ' || next == '\t');
		default: return false;
	}
}

void
markdown_text_write(const MarkdownText *text, StringInfo out)
{
	const char *data = text->data;
	int last = text->size > 0 ? markdown_last_character(data, text->size) : 0;
	int closing = text->size;
	bool digits = text->begins_line;

	while (closing > 0 && (data[closing - 1] == '#' || data[closing - 1] == ' '))
		closing--;
	for (int at = 0; at < text->size;)
	{
		const unsigned char *character = (const unsigned char *) data + at;
		int bytes = pg_utf_mblen(character);

		if ((text->hides_first && at == 0) || (text->hides_last && at == last) ||
			(*character < 0x20 && *character != '\t'))
			write_reference(out, utf8_to_unicode(character));
		else
		{
			if (is_special(text, at, digits, closing))
				appendStringInfoChar(out, '\\');
			appendBinaryStringInfo(out, data + at, bytes);
		}
		digits = digits && data[at] >= '0' && data[at] <= '9';
		at += bytes;
	}
}

void
markdown_text_write_space(CrdtBytes space, StringInfo out)
{
	for (size_t at = 0; at < space.size;)
	{
		int bytes = pg_utf_mblen(space.data + at);
		pg_wchar c = utf8_to_unicode(space.data + at);

		if ((c < 0x20 && c != '\t') || c == 0x85 || c == 0x2028 || c == 0x2029 || c == 0xfeff)
			write_reference(out, c);
		else
			appendBinaryStringInfo(out, (const char *) space.data + at, bytes);
		at += bytes;
	}
}

/* ---- code, links ---- */

/* A fence of backticks, longer than any in the code; spaces that the reader takes away again. */
void
markdown_text_write_code(const char *code, int size, MarkdownPlace place, StringInfo out)
{
	int longest = 0;
	int run = 0;
	bool is_blank = true;
	bool is_padded;

	for (int i = 0; i < size; i++)
	{
		run = code[i] == '`' ? run + 1 : 0;
		longest = Max(longest, run);
		is_blank = is_blank && (code[i] == ' ' || code[i] == '\n' || code[i] == '\r');
	}
	is_padded =
		code[0] == '`' || code[size - 1] == '`' ||
		(!is_blank && strchr(" \n\r", code[0]) != NULL && strchr(" \n\r", code[size - 1]) != NULL);
	for (int i = 0; i <= longest; i++)
		appendStringInfoChar(out, '`');
	if (is_padded)
		appendStringInfoChar(out, ' ');
	for (int i = 0; i < size; i++)
	{
		if (code[i] == '|' && place == MARKDOWN_CELL)
			appendStringInfoChar(out, '\\');
		appendStringInfoChar(out, code[i] == '\n' || code[i] == '\r' ? ' ' : code[i]);
	}
	if (is_padded)
		appendStringInfoChar(out, ' ');
	for (int i = 0; i <= longest; i++)
		appendStringInfoChar(out, '`');
}

static void
write_url(CrdtBytes url, MarkdownPlace place, StringInfo out)
{
	for (size_t i = 0; i < url.size; i++)
	{
		uint8_t byte = url.data[i];

		if (byte == ' ' || byte == '<' || byte == '>' || byte == '`' || byte == '"')
			appendStringInfo(out, "%%%02X", byte);
		else if (byte == '&' && is_reference((const char *) url.data + i, url.size - i))
			appendStringInfoString(out, "&amp;"); /* &colon; would be a colon */
		else
		{
			if (byte == '(' || byte == ')' || byte == '\\' ||
				(byte == '|' && place == MARKDOWN_CELL))
				appendStringInfoChar(out, '\\');
			appendStringInfoChar(out, byte);
		}
	}
}

void
markdown_text_write_target(CrdtBytes url, CrdtBytes title, MarkdownPlace place, StringInfo out)
{
	appendStringInfoChar(out, '(');
	write_url(url, place, out);
	if (title.size > 0)
		appendStringInfoString(out, " \"");
	for (size_t i = 0; i < title.size; i++)
	{
		uint8_t byte = title.data[i];

		if (byte == '&' && is_reference((const char *) title.data + i, title.size - i))
			appendStringInfoString(out, "&amp;");
		else if (byte < ' ')
			appendStringInfoChar(out, ' ');
		else
		{
			if (byte == '"' || byte == '\\' || (byte == '|' && place == MARKDOWN_CELL))
				appendStringInfoChar(out, '\\');
			appendStringInfoChar(out, byte);
		}
	}
	appendStringInfoString(out, title.size > 0 ? "\")" : ")");
}
