/*
 * handshake.c: headers of a request, and what they must be (handshake.h).
 *
 * Here: RFC 6455 4.2.1.  Not here: sockets and sizes (listener.c), the document's name (http.c),
 * whose request it is (identity.c).
 */
#include "handshake.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define BAD_REQUEST "400 Bad Request"
#define NOT_GET "405 Method Not Allowed\r\nAllow: GET"
#define OTHER_VERSION "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"

typedef struct Text /* borrowed */
{
	const char *at;
	size_t size;
} Text;

typedef struct Found /* of one name */
{
	Text value; /* the last one's */
	int count;
} Found;

typedef struct Headers
{
	Found host, upgrade, key, version;
	bool connection_upgrades;
} Headers;

static bool hide(Handshake *handshake, const char *head, const char *line);
static Text next_line(const char **at, const char *end);
static bool split(Text line, Text *name, Text *value);
static bool text_is(Text text, const char *wanted);
static bool has_token(Text list, const char *wanted);
static bool is_key(Text key);
static const char *judge(Text request_line, const Headers *headers);

Handshake
handshake_judge(const char *head, size_t size)
{
	const char *at = head, *end = head + size;
	Text request_line = next_line(&at, end);
	Handshake handshake = {0};
	Headers headers = {0};
	bool has_room = true;

	while (at < end)
	{
		Text line = next_line(&at, end), name, value;

		if (!split(line, &name, &value))
			continue; /* the end; or the library says what it thinks of it */
		Found *found = text_is(name, "host")                    ? &headers.host
					   : text_is(name, "upgrade")               ? &headers.upgrade
					   : text_is(name, "sec-websocket-key")     ? &headers.key
					   : text_is(name, "sec-websocket-version") ? &headers.version
																: NULL;

		if (found != NULL)
		{
			found->value = value;
			found->count++;
		}
		if (text_is(name, "connection"))
			headers.connection_upgrades |= has_token(value, "upgrade");
		if ((text_is(name, "upgrade") && !has_token(value, "websocket")) ||
			text_is(name, "sec-websocket-protocol"))
			has_room &= hide(&handshake, head, line.at);
	}
	if (!has_room)
		handshake.refusal = BAD_REQUEST;
	else if (headers.upgrade.count > 0 && has_token(headers.upgrade.value, "websocket"))
		handshake.refusal = judge(request_line, &headers);
	return handshake;
}

static bool
hide(Handshake *handshake, const char *head, const char *line)
{
	if (handshake->hidden_count == HANDSHAKE_HIDDEN_MAX)
		return false;
	handshake->hidden[handshake->hidden_count++] = (size_t) (line - head);
	return true;
}

static const char *
judge(Text request_line, const Headers *headers)
{
	const char *version = memrchr(request_line.at, ' ', request_line.size);
	size_t version_size =
		version != NULL ? (size_t) (request_line.at + request_line.size - version) : 0;

	if (request_line.size < 4 || memcmp(request_line.at, "GET ", 4) != 0)
		return NOT_GET;
	if (!text_is((Text){version, version_size}, " HTTP/1.1") || headers->upgrade.count != 1 ||
		headers->host.count != 1 || headers->host.value.size == 0 || !headers->connection_upgrades)
		return BAD_REQUEST;
	if (headers->version.count != 1 || !text_is(headers->version.value, "13"))
		return OTHER_VERSION;
	return headers->key.count == 1 && is_key(headers->key.value) ? NULL : BAD_REQUEST;
}

static Text
next_line(const char **at, const char *end)
{
	const char *line = *at;
	const char *stop = memmem(line, (size_t) (end - line), "\r\n", 2);

	*at = stop != NULL ? stop + 2 : end;
	return (Text){line, (size_t) ((stop != NULL ? stop : end) - line)};
}

static bool
split(Text line, Text *name, Text *value)
{
	const char *colon = memchr(line.at, ':', line.size);

	if (colon == NULL)
		return false;
	*name = (Text){line.at, (size_t) (colon - line.at)};
	*value = (Text){colon + 1, (size_t) (line.at + line.size - colon) - 1};
	while (value->size > 0 && (*value->at == ' ' || *value->at == '\t'))
		*value = (Text){value->at + 1, value->size - 1};
	while (value->size > 0 &&
		   (value->at[value->size - 1] == ' ' || value->at[value->size - 1] == '\t'))
		value->size--;
	return true;
}

static bool
text_is(Text text, const char *wanted)
{
	return text.size == strlen(wanted) && strncasecmp(text.at, wanted, text.size) == 0;
}

/* In a list separated by commas. */
static bool
has_token(Text list, const char *wanted)
{
	while (list.size > 0)
	{
		const char *comma = memchr(list.at, ',', list.size);
		Text token = {list.at, comma != NULL ? (size_t) (comma - list.at) : list.size};

		list = (Text){list.at + token.size, list.size - token.size};
		if (comma != NULL)
			list = (Text){list.at + 1, list.size - 1};
		while (token.size > 0 && (*token.at == ' ' || *token.at == '\t'))
			token = (Text){token.at + 1, token.size - 1};
		while (token.size > 0 &&
			   (token.at[token.size - 1] == ' ' || token.at[token.size - 1] == '\t'))
			token.size--;
		if (text_is(token, wanted))
			return true;
	}
	return false;
}

/* 16 bytes in base64: 22 letters, the last of which holds two bits, and "==". */
static bool
is_key(Text key)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	if (key.size != 24 || key.at[22] != '=' || key.at[23] != '=' ||
		memchr("AQgw", key.at[21], 4) == NULL)
		return false;
	for (size_t i = 0; i < 22; i++)
		if (memchr(letters, key.at[i], sizeof letters - 1) == NULL)
			return false;
	return true;
}
