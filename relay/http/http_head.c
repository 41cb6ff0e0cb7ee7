/*
 * http_head.c: cutting a request's head into its parts (RFC 9112 sections 2 to 5).
 *
 * Here: text.  Not here: what a path means (http.c), bodies (http_request.c).
 *
 * Strict where others are lenient, because whoever stands between may read the same bytes in another
 * way: lines end in CR LF, no line is folded, no name is followed by a space.
 */
#include "http_head.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "name.h"

static HttpHeadVerdict read_request_line(HttpHead *head, char *line);
static HttpHeadVerdict read_field(HttpHead *head, char *line);
static HttpHeadVerdict read_query(HttpHead *head, char *query);
static bool is_token(const char *text);
static bool comes_once(const char *name);
static HttpMethod find_method(const char *name, size_t size);

HttpHeadVerdict
http_head_read(HttpHead *head, const char *text, size_t size)
{
	HttpHeadVerdict verdict = HTTP_HEAD_MALFORMED;

	*head = (HttpHead){0};
	if (size < 4 || memchr(text, '\0', size) != NULL || memcmp(text + size - 4, "\r\n\r\n", 4) != 0)
		return HTTP_HEAD_MALFORMED;
	head->text = strndup(text, size - 2);
	if (head->text == NULL)
		return HTTP_HEAD_OUT_OF_MEMORY;
	for (char *line = head->text, *end; *line != '\0'; line = end + 2)
	{
		end = strstr(line, "\r\n");
		*end = '\0';
		verdict = line == head->text ? read_request_line(head, line) : read_field(head, line);
		if (verdict != HTTP_HEAD_GOOD)
			break;
	}
	if (verdict != HTTP_HEAD_GOOD)
		http_head_free(head);
	return verdict;
}

void
http_head_free(HttpHead *head)
{
	free(head->text);
	*head = (HttpHead){0};
}

const char *
http_field(const HttpHead *head, const char *name)
{
	for (int i = 0; i < head->field_count; i++)
		if (strcmp(head->fields[i].name, name) == 0)
			return head->fields[i].value;
	return NULL;
}

const char *
http_parameter(const HttpHead *head, const char *name)
{
	for (int i = 0; i < head->parameter_count; i++)
		if (strcmp(head->parameters[i].name, name) == 0)
			return head->parameters[i].value;
	return NULL;
}

bool
http_is_method(const char *name, size_t size)
{
	return find_method(name, size) != HTTP_OTHER;
}

ssize_t
http_decode(const char *text, size_t size, char *decoded)
{
	size_t length = 0;

	for (size_t i = 0; i < size; i++)
	{
		char digits[3] = {0};

		if (text[i] != '%')
		{
			decoded[length++] = text[i];
			continue;
		}
		if (size - i < 3 || !isxdigit((unsigned char) text[i + 1]) ||
			!isxdigit((unsigned char) text[i + 2]))
			return -1;
		memcpy(digits, text + i + 1, 2);
		decoded[length++] = (char) strtol(digits, NULL, 16);
		i += 2;
	}
	return (ssize_t) length;
}

bool
http_is_plain_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((unsigned char) text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return name_is_text((Bytes){(const uint8_t *) text, size});
}

/* METHOD SP TARGET SP HTTP/1.1 */
static HttpHeadVerdict
read_request_line(HttpHead *head, char *line)
{
	char *target = strchr(line, ' ');
	char *version = target != NULL ? strchr(target + 1, ' ') : NULL;

	if (version == NULL || target == line || strncmp(version + 1, "HTTP/1.", 7) != 0 ||
		!isdigit((unsigned char) version[8]) || version[9] != '\0')
		return HTTP_HEAD_MALFORMED;
	*target++ = '\0';
	*version++ = '\0';
	if (!is_token(line))
		return HTTP_HEAD_MALFORMED;
	if (strlen(target) > HTTP_TARGET_MAX)
		return HTTP_HEAD_TARGET_TOO_LONG;
	for (const unsigned char *at = (unsigned char *) target; *at != '\0'; at++)
		if (*at <= ' ' || *at >= 0x7f || *at == '#') /* a URI is ASCII */
			return HTTP_HEAD_MALFORMED;
	head->method = find_method(line, strlen(line));
	head->path = target;
	/* "OPTIONS *" asks about no path, and "http://host/path" is meant for a proxy */
	if (*target != '/')
		return HTTP_HEAD_MALFORMED;
	char *query = strchr(target, '?');

	if (query == NULL)
		return HTTP_HEAD_GOOD;
	*query = '\0';
	return read_query(head, query + 1);
}

static HttpHeadVerdict
read_field(HttpHead *head, char *line)
{
	char *colon = strchr(line, ':'), *end = line + strlen(line);

	if (colon == NULL || colon == line)
		return HTTP_HEAD_MALFORMED;
	if (head->field_count == HTTP_FIELDS_MAX)
		return HTTP_HEAD_TOO_MANY;
	char *value = colon + 1;

	*colon = '\0';
	if (!is_token(line))
		return HTTP_HEAD_MALFORMED;
	for (char *at = line; *at != '\0'; at++)
		*at = (char) tolower((unsigned char) *at);
	value += strspn(value, " \t");
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	for (const char *at = value; *at != '\0'; at++)
		if (((unsigned char) *at < ' ' && *at != '\t') || *at == 0x7f)
			return HTTP_HEAD_MALFORMED;
	if (comes_once(line) && http_field(head, line) != NULL)
		return HTTP_HEAD_MALFORMED;
	head->fields[head->field_count++] = (HttpPair){line, value};
	return HTTP_HEAD_GOOD;
}

/* NAME=VALUE&NAME=VALUE, a plus sign for a space. */
static HttpHeadVerdict
read_query(HttpHead *head, char *query)
{
	char *rest = query;

	for (char *pair; (pair = strsep(&rest, "&")) != NULL;)
	{
		char *parts[2] = {pair, strchr(pair, '=')};

		if (*pair == '\0')
			continue;
		if (head->parameter_count == HTTP_PARAMETERS_MAX)
			return HTTP_HEAD_TOO_MANY;
		if (parts[1] != NULL)
			*parts[1]++ = '\0';
		else
			parts[1] = pair + strlen(pair);
		for (int i = 0; i < 2; i++)
		{
			for (char *plus = parts[i]; (plus = strchr(plus, '+')) != NULL;)
				*plus = ' ';
			ssize_t size = http_decode(parts[i], strlen(parts[i]), parts[i]);

			if (size < 0 || !http_is_plain_text(parts[i], (size_t) size))
				return HTTP_HEAD_MALFORMED;
			parts[i][size] = '\0';
		}
		if (http_parameter(head, parts[0]) != NULL)
			return HTTP_HEAD_MALFORMED; /* which is meant? */
		head->parameters[head->parameter_count++] = (HttpPair){parts[0], parts[1]};
	}
	return HTTP_HEAD_GOOD;
}

/* A method, or a field's name. */
static bool
is_token(const char *text)
{
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char) *text) && strchr("!#$%&'*+-.^_`|~", *text) == NULL)
			return false;
	return true;
}

static bool
comes_once(const char *name)
{
	static const char *const names[] = {
		"host",         "content-length",   "transfer-encoding",
		"content-type", "content-encoding", "authorization",
		"cookie",       "origin",           "sec-fetch-site",
		"expect",
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static HttpMethod
find_method(const char *name, size_t size)
{
	static const struct
	{
		const char *name;
		HttpMethod method;
	} methods[] = {{"GET", HTTP_GET},        {"HEAD", HTTP_HEAD},   {"POST", HTTP_POST},
				   {"PUT", HTTP_PUT},        {"PATCH", HTTP_PATCH}, {"DELETE", HTTP_DELETE},
				   {"OPTIONS", HTTP_OPTIONS}};

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strlen(methods[i].name) == size && memcmp(methods[i].name, name, size) == 0)
			return methods[i].method;
	return HTTP_OTHER;
}
