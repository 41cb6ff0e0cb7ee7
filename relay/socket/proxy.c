/*
 * proxy.c: X-Forwarded-For, and Forwarded of RFC 7239.
 *
 * Only the one that config.proxy_header names is read: a proxy that writes one passes the other on as it
 * came from the client.
 */
#include "proxy.h"

#include <string.h>
#include <strings.h>

#include "config.h"
#include "network.h"

static NetworkList trusted;

static const char *last_field(const char *head, const char *before, size_t *size);
static const char *last_element(const char *list, size_t *size);
static bool is_rfc7239(void);
static bool is_quote(const char *text, size_t place);
static bool read_element(const char *text, size_t size, struct sockaddr_storage *address);
static bool find_for(const char **text, size_t *size);

void
proxy_start(void)
{
	(void) networks_read(&trusted, config.trusted_proxy); /* config.c has judged it */
}

bool
proxy_is_trusted(const struct sockaddr *peer)
{
	return networks_have(&trusted, peer);
}

bool
proxy_find_client(const char *head, struct sockaddr_storage *client)
{
	bool has_found = false;
	size_t list_size = 0;

	for (const char *list = head + strlen(head);
		 (list = last_field(head, list, &list_size)) != NULL;)
		for (size_t left = list_size; left > 0;)
		{
			size_t size = left;
			const char *element = last_element(list, &size);
			struct sockaddr_storage address;

			left = element > list ? (size_t) (element - list) - 1 : 0;
			if (!read_element(element, size, &address))
				return has_found;
			*client = address;
			has_found = true;
			if (!proxy_is_trusted((struct sockaddr *) &address))
				return true;
		}
	return has_found;
}

/* The value of the last such field that begins before a place; NULL if there is none. */
static const char *
last_field(const char *head, const char *before, size_t *size)
{
	size_t name_size = strlen(config.proxy_header);
	const char *found = NULL;

	for (const char *line = strstr(head, "\r\n"); line != NULL && line < before;
		 line = strstr(line + 2, "\r\n"))
	{
		const char *value = line + 2 + name_size + 1;

		if (strncasecmp(line + 2, config.proxy_header, name_size) != 0 || value[-1] != ':' ||
			value >= before)
			continue;
		const char *end = strstr(value, "\r\n");

		found = value;
		*size = end != NULL ? (size_t) (end - value) : strlen(value);
	}
	return found;
}

/*
 * What follows the last comma of *size bytes; *size gets its size.  Read from the end, for what comes before it is
 * anybody's: a quote that is left open there must not reach to what our proxy has appended.
 */
static const char *
last_element(const char *list, size_t *size)
{
	bool may_quote = is_rfc7239(), is_quoted = false;
	size_t start = *size;

	for (; start > 0 && (list[start - 1] != ',' || is_quoted); start--)
		is_quoted ^= may_quote && is_quote(list, start - 1);
	*size -= start;
	return list + start;
}

/* Forwarded, whose values may be in quotes. */
static bool
is_rfc7239(void)
{
	return strcasecmp(config.proxy_header, "forwarded") == 0;
}

/* One that begins or ends a quoted string: no backslash says otherwise. */
static bool
is_quote(const char *text, size_t place)
{
	size_t backslashes = 0;

	while (backslashes < place && text[place - backslashes - 1] == '\\')
		backslashes++;
	return text[place] == '"' && backslashes % 2 == 0;
}

/* An address, or of Forwarded what for= says ("unknown" and hidden ones are none). */
static bool
read_element(const char *text, size_t size, struct sockaddr_storage *address)
{
	if (is_rfc7239() && !find_for(&text, &size))
		return false;
	while (size > 0 && strchr(" \t\"", *text) != NULL)
		text++, size--;
	while (size > 0 && strchr(" \t\"", text[size - 1]) != NULL)
		size--;
	return network_read_address(text, size, address);
}

/* Of the pairs between semicolons (not those in quotes) the value of the first for=. */
static bool
find_for(const char **text, size_t *size)
{
	const char *end = *text + *size;

	for (const char *pair = *text, *stop; pair < end; pair = stop + 1)
	{
		bool is_quoted = false;

		for (stop = pair; stop < end && (*stop != ';' || is_quoted); stop++)
			is_quoted ^= is_quote(pair, (size_t) (stop - pair));
		while (pair < stop && (*pair == ' ' || *pair == '\t'))
			pair++;
		if (stop - pair < 4 || strncasecmp(pair, "for=", 4) != 0)
			continue;
		*text = pair + 4;
		*size = (size_t) (stop - pair) - 4;
		return true;
	}
	return false;
}
