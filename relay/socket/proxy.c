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
static bool read_element(const char *text, size_t size, struct sockaddr_storage *address);

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
	size_t list_size;

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
		found = value;
		*size = strcspn(value, "\r");
	}
	return found;
}

/* What follows the last comma of *size bytes that stands in no quotes; *size gets its size. */
static const char *
last_element(const char *list, size_t *size)
{
	const char *start = list;
	bool is_quoted = false;

	for (size_t i = 0; i < *size; i++)
	{
		if (list[i] == '"')
			is_quoted = !is_quoted;
		else if (list[i] == ',' && !is_quoted)
			start = list + i + 1;
	}
	*size -= (size_t) (start - list);
	return start;
}

/* An address, or of Forwarded what for= says ("unknown" and hidden ones are none). */
static bool
read_element(const char *text, size_t size, struct sockaddr_storage *address)
{
	const char *end = text + size;

	text += strspn(text, " \t");
	if (strcasecmp(config.proxy_header, "forwarded") == 0)
	{
		while (text < end && strncasecmp(text, "for=", 4) != 0)
		{
			text += strcspn(text, ";\r");
			text = text < end ? text + 1 : end;
			text += text < end ? strspn(text, " \t") : 0;
		}
		text = text < end ? text + 4 : end;
		size_t length = strcspn(text, ";\r");

		if (text + length < end)
			end = text + length;
	}
	while (text < end && strchr(" \t\"", *text) != NULL)
		text++;
	while (end > text && strchr(" \t\"", end[-1]) != NULL)
		end--;
	return network_read_address(text, (size_t) (end - text), address);
}
