/*
 * requests.c: any bytes as the head of a request: http_head.c, handshake.c, proxy.c.
 *
 *     [what] [size] [what a client's Host says] [a head]
 *
 *     http_head.c     takes a head just if the grammar of RFC 9112 does, read here a second time; what it has read,
 *                     written out, is read as the same
 *     handshake.c     reads the fields that decide as http_head.c reads them
 *     proxy.c         whoever speaks through a proxy: what that says of him counts, whatever he said himself
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../require.h"
#include "config.h"
#include "frame.h"
#include "handshake.h"
#include "http_head.h"
#include "name.h"
#include "proxy.h"

#define CLIENT "192.0.2.7"

Config config;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CONTROLS_BUT_TAB                                                                           \
	"\x01\x02\x03\x04\x05\x06\x07\x08\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18" \
	"\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f"
#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define MARKS "!$%&'*+-.^_`|~"
#define TOKEN DIGITS LETTERS MARKS "#"
#define TARGET DIGITS LETTERS MARKS "/?:@()[]{}<>,;=\"\\"

/* ---- http_head.c ---- */

static bool
is_inside(const HttpHead *head, const char *text, size_t size)
{
	return text >= head->text && strlen(text) < size - (size_t) (text - head->text);
}

static void
check_fields(const HttpHead *head, size_t size)
{
	for (int i = 0; i < head->field_count; i++)
	{
		const char *name = head->fields[i].name, *value = head->fields[i].value;
		size_t length = strlen(value);

		fuzz_require(is_inside(head, name, size) && is_inside(head, value, size),
					 "a field that is elsewhere");
		for (const char *at = name; *at != '\0'; at++)
			fuzz_require(!isupper((unsigned char) *at), "a name in upper case");
		fuzz_require(length == 0 || (strchr(" \t", value[0]) == NULL &&
									 strchr(" \t", value[length - 1]) == NULL),
					 "white space around a value");
	}
	for (int i = 0; i < head->parameter_count; i++)
	{
		fuzz_require(
			http_is_plain_text(head->parameters[i].name, strlen(head->parameters[i].name)) &&
				http_is_plain_text(head->parameters[i].value, strlen(head->parameters[i].value)),
			"a parameter that is no text");
		fuzz_require(http_parameter(head, head->parameters[i].name) == head->parameters[i].value,
					 "a parameter that is there twice");
	}
}

static void
write_text(Buffer *out, const char *text)
{
	buffer_write(out, (Bytes){(const uint8_t *) text, strlen(text)});
}

static void
write_encoded(Buffer *out, const char *text)
{
	char digits[4];

	for (; *text != '\0'; text++)
	{
		snprintf(digits, sizeof digits, "%%%02X", (unsigned char) *text);
		write_text(out, digits);
	}
}

static const char *
method_name(HttpMethod method)
{
	switch (method)
	{
		case HTTP_GET: return "GET";
		case HTTP_HEAD: return "HEAD";
		case HTTP_POST: return "POST";
		case HTTP_PUT: return "PUT";
		case HTTP_PATCH: return "PATCH";
		case HTTP_DELETE: return "DELETE";
		case HTTP_OPTIONS: return "OPTIONS";
		default: return "BREW";
	}
}

static void
check_rewritten(const HttpHead *head)
{
	Buffer out = {0};
	HttpHead again;

	write_text(&out, method_name(head->method));
	write_text(&out, " ");
	write_text(&out, head->path);
	for (int i = 0; i < head->parameter_count; i++)
	{
		write_text(&out, i == 0 ? "?" : "&");
		write_encoded(&out, head->parameters[i].name);
		write_text(&out, "=");
		write_encoded(&out, head->parameters[i].value);
	}
	write_text(&out, " HTTP/1.1\r\n");
	for (int i = 0; i < head->field_count; i++)
	{
		write_text(&out, head->fields[i].name);
		write_text(&out, ": ");
		write_text(&out, head->fields[i].value);
		write_text(&out, "\r\n");
	}
	write_text(&out, "\r\n");
	fuzz_require(http_head_read(&again, (char *) out.data, out.size) == HTTP_HEAD_GOOD,
				 "a head, written out, is refused");
	fuzz_require(again.method == head->method && strcmp(again.path, head->path) == 0 &&
					 again.field_count == head->field_count,
				 "a head, written out, is another");
	for (int i = 0; i < head->field_count; i++)
		fuzz_require(strcmp(again.fields[i].name, head->fields[i].name) == 0 &&
						 strcmp(again.fields[i].value, head->fields[i].value) == 0,
					 "a field, written out, is another");
	/* one without a name and a value is written as nothing */
	for (int i = 0; i < head->parameter_count; i++)
	{
		const char *value = http_parameter(&again, head->parameters[i].name);

		fuzz_require(value != NULL && strcmp(value, head->parameters[i].value) == 0,
					 "a parameter, written out, is another");
	}
	http_head_free(&again);
	buffer_free(&out);
}

/* TOKEN SP /TARGET SP HTTP/1.DIGIT CR LF; where it ends, or NULL. */
static const char *
skip_request_line(const char *text)
{
	size_t method = strspn(text, TOKEN);
	const char *target = text + method + 1;

	if (method == 0 || text[method] != ' ' || *target != '/')
		return NULL;
	const char *version = target + strspn(target, TARGET);

	return strncmp(version, " HTTP/1.", 8) == 0 && strspn(version + 8, DIGITS) == 1 &&
				   strncmp(version + 9, "\r\n", 2) == 0
			   ? version + 11
			   : NULL;
}

/* TOKEN : VALUE CR LF, any number of these, and an empty line; up to where that is obeyed. */
static const char *
skip_fields(const char *text)
{
	for (size_t name; (name = strspn(text, TOKEN)) > 0 && text[name] == ':';)
	{
		const char *end = text + name + 1 + strcspn(text + name + 1, CONTROLS_BUT_TAB);

		if (strncmp(end, "\r\n", 2) != 0)
			return end;
		text = end + 2;
	}
	return text;
}

static bool
has_field_twice(const char *fields)
{
	for (const char *field = fields; *field != '\r'; field = strstr(field, "\r\n") + 2)
		for (const char *other = fields; other < field; other = strstr(other, "\r\n") + 2)
			if (strncasecmp(field, other, strcspn(field, ":") + 1) == 0)
				return true;
	return false;
}

/* The grammar knows neither limits, nor what may come once, nor what a query is. */
static void
check_grammar(const char *text, size_t size, HttpHeadVerdict verdict)
{
	char *copy = strndup(text, size);
	const char *fields = skip_request_line(copy);
	bool is_whole = strlen(copy) == size;
	bool is_head = is_whole && fields != NULL && strcmp(skip_fields(fields), "\r\n") == 0;

	if (verdict == HTTP_HEAD_GOOD)
		fuzz_require(is_head, "what is no head was taken");
	/* each field once, whatever its name, and no query: nothing else can be wrong with it */
	else if (is_head && verdict == HTTP_HEAD_MALFORMED && strchr(copy, '?') == NULL)
		fuzz_require(has_field_twice(fields), "a head of the grammar was refused");
	free(copy);
}

static void
check_head(const char *text, size_t size)
{
	HttpHead head;
	HttpHeadVerdict verdict = http_head_read(&head, text, size);

	check_grammar(text, size, verdict);
	if (verdict != HTTP_HEAD_GOOD)
	{
		fuzz_require(head.text == NULL && head.field_count == 0, "something of a refused head");
		return;
	}
	check_fields(&head, size);
	check_rewritten(&head);
	http_head_free(&head);
}

/* ---- handshake.c ---- */

static int
count_fields(const HttpHead *head, const char *name)
{
	int count = 0;

	for (int i = 0; i < head->field_count; i++)
		count += strcmp(head->fields[i].name, name) == 0;
	return count;
}

static bool
line_begins(const char *text, size_t place, const char *name)
{
	return place >= 2 && memcmp(text + place - 2, "\r\n", 2) == 0 &&
		   strncasecmp(text + place, name, strlen(name)) == 0;
}

static void
check_handshake(const char *text, size_t size)
{
	Handshake handshake = handshake_judge(text, size);
	HttpHead head;

	fuzz_require(handshake.hidden_count <= HANDSHAKE_HIDDEN_MAX, "too much is hidden");
	for (size_t i = 0; i < handshake.hidden_count; i++)
		fuzz_require(handshake.hidden[i] < size &&
						 (line_begins(text, handshake.hidden[i], "upgrade") ||
						  line_begins(text, handshake.hidden[i], "sec-websocket-protocol")),
					 "another field is hidden");
	if (http_head_read(&head, text, size) != HTTP_HEAD_GOOD)
		return;
	const char *upgrade = http_field(&head, "upgrade"), *key, *version, *host;

	if (handshake.refusal == NULL && upgrade != NULL && count_fields(&head, "upgrade") == 1 &&
		strcasecmp(upgrade, "websocket") == 0)
	{
		key = http_field(&head, "sec-websocket-key");
		version = http_field(&head, "sec-websocket-version");
		host = http_field(&head, "host");
		fuzz_require(head.method == HTTP_GET, "an upgrade by another method");
		fuzz_require(key != NULL && strlen(key) == 24 &&
						 count_fields(&head, "sec-websocket-key") == 1,
					 "an upgrade without a key");
		fuzz_require(version != NULL && strcmp(version, "13") == 0 &&
						 count_fields(&head, "sec-websocket-version") == 1,
					 "an upgrade of another version");
		fuzz_require(host != NULL && host[0] != '\0', "an upgrade of no host");
		fuzz_require(count_fields(&head, "connection") > 0, "an upgrade that is not asked for");
	}
	http_head_free(&head);
}

/* ---- proxy.c ---- */

typedef struct Proxied /* what the proxy adds */
{
	char value[1200];
	const char *second; /* of another proxy, behind it */
} Proxied;

/* How proxies say it: host is the client's word. */
static void
describe(Proxied *proxied, bool is_forwarded, unsigned manner, Bytes host)
{
	static const char *const lists[] = {CLIENT, CLIENT ":4711", "::ffff:" CLIENT,
										"[::ffff:" CLIENT "]:4711"};
	char quoted[520];
	size_t length = 0;

	for (size_t i = 0; i < host.size && length < sizeof quoted - 3; i++)
	{
		uint8_t byte = host.data[i];

		if (byte < ' ' || byte == 0x7f)
			continue;
		if (byte == '"' || byte == '\\')
			quoted[length++] = '\\';
		quoted[length++] = (char) byte;
	}
	quoted[length] = '\0';
	proxied->second = manner & 8 ? (is_forwarded ? "for=\"10.1.2.3:80\"" : "10.1.2.3") : NULL;
	if (!is_forwarded)
		snprintf(proxied->value, sizeof proxied->value, "%s", lists[manner & 3]);
	else if (manner & 1)
		snprintf(proxied->value, sizeof proxied->value, "proto=http;host=\"%s\";by=10.1.2.3;for=%s",
				 quoted, manner & 2 ? CLIENT : "\"[::ffff:" CLIENT "]:4711\"");
	else
		snprintf(proxied->value, sizeof proxied->value, "for=\"%s\";host=\"%s\"", CLIENT, quoted);
}

/* The last line that has the field; NULL: none has. */
static const char *
last_line(const char *head, const char *name)
{
	const char *found = NULL;
	size_t size = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n"))
	{
		line += 2;
		if (strncasecmp(line, name, size) == 0 && line[size] == ':')
			found = line;
	}
	return found;
}

static void
check_client(const char *head)
{
	struct sockaddr_storage client;
	const struct sockaddr_in6 *six = (struct sockaddr_in6 *) &client;
	char text[INET6_ADDRSTRLEN] = "";

	fuzz_require(proxy_find_client(head, &client), "a client's words hide him");
	inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
	fuzz_require(strcmp(text, "::ffff:" CLIENT) == 0, "a client speaks for another");
}

/* Proxies pass no line on that has a CR, an LF or a NUL in it. */
static char *
client_lines(const char *text, size_t size)
{
	Buffer out = {0};

	for (size_t i = 0; i < size; i++)
	{
		bool is_end = text[i] == '\r' && i + 1 < size && text[i + 1] == '\n';

		if (is_end && i + 3 < size && text[i + 2] == '\r' && text[i + 3] == '\n')
			break;
		if (is_end)
			write_text(&out, "\r\n");
		else if (strchr("\r\n", text[i]) == NULL) /* and no NUL */
			buffer_write_u8(&out, (uint8_t) text[i]);
		i += is_end;
	}
	buffer_write_u8(&out, '\0');
	return (char *) out.data;
}

static void
check_proxy(const char *text, size_t size, unsigned what, Bytes host)
{
	bool is_forwarded = (what & 4) != 0;
	char *lines = client_lines(text, size), *head = NULL;
	Proxied proxied;

	config.proxy_header = is_forwarded ? "Forwarded" : "X-Forwarded-For";
	config.trusted_proxy = "10.0.0.0/8";
	proxy_start();
	describe(&proxied, is_forwarded, what >> 3, host);
	const char *comma = proxied.second != NULL ? ", " : "";
	const char *second = proxied.second != NULL ? proxied.second : "";
	const char *line = last_line(lines, config.proxy_header);

	/* a field of its own */
	fuzz_require(asprintf(&head, "%s\r\n%s: %s%s%s\r\n\r\n", lines, config.proxy_header,
						  proxied.value, comma, second) > 0,
				 "no memory");
	check_client(head);
	free(head);
	/* appended to the client's */
	if (line != NULL)
	{
		int end = (int) (line - lines) + (int) strcspn(line, "\r");

		fuzz_require(asprintf(&head, "%.*s, %s%s%s%s\r\n\r\n", end, lines, proxied.value, comma,
							  second, lines + end) > 0,
					 "no memory");
		check_client(head);
		free(head);
	}
	free(lines);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t host = data[1] < size - 2 ? data[1] : size - 2;
	size_t left = size - 2 - host;
	/* of just that size, and not NUL-terminated */
	char *text = malloc(left);

	memcpy(text, data + 2 + host, left);
	switch (data[0] & 3)
	{
		case 0: check_head(text, left); break;
		case 1:
			if (left >= 4 && memcmp(text + left - 4, "\r\n\r\n", 4) == 0)
				check_handshake(text, left);
			break;
		default: check_proxy(text, left, data[0], (Bytes){data + 2, host});
	}
	free(text);
	return 0;
}
