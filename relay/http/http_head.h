/*
 * The head of a request: its first line and its header fields, as text.
 *
 *     HttpHead head;
 *     if (http_head_read(&head, bytes, size) != HTTP_HEAD_GOOD) ...
 *     const char *accept = http_field(&head, "accept");          NULL: there is none
 *     const char *after = http_parameter(&head, "after");        of the query, decoded
 *     http_head_free(&head);
 *
 * libwebsockets reads requests as well, and forgets what we need: which slash of a path was written
 * as %2F, and any field that it does not know.
 */
#ifndef RELAY_HTTP_HEAD_H
#define RELAY_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum
{
	HTTP_FIELDS_MAX = 100,
	HTTP_PARAMETERS_MAX = 20,
	HTTP_TARGET_MAX = 8192 /* bytes of path and query: RFC 9110 asks for 8000 */
};

typedef enum HttpMethod /* bits */
{
	HTTP_OTHER = 0,
	HTTP_GET = 1,
	HTTP_HEAD = 2,
	HTTP_POST = 4,
	HTTP_PUT = 8,
	HTTP_PATCH = 16,
	HTTP_DELETE = 32,
	HTTP_OPTIONS = 64
} HttpMethod;

typedef enum HttpHeadVerdict
{
	HTTP_HEAD_GOOD,
	HTTP_HEAD_MALFORMED,
	HTTP_HEAD_TARGET_TOO_LONG,
	HTTP_HEAD_TOO_MANY, /* fields or parameters */
	HTTP_HEAD_OUT_OF_MEMORY
} HttpHeadVerdict;

typedef struct HttpPair
{
	const char *name, *value;
} HttpPair;

typedef struct HttpHead
{
	char *text; /* ours, cut into what the rest points to */
	HttpMethod method;
	const char *path; /* as it came, percent-encoded */
	HttpPair fields[HTTP_FIELDS_MAX]; /* names in lower case */
	int field_count;
	HttpPair parameters[HTTP_PARAMETERS_MAX]; /* decoded: UTF-8 without control characters */
	int parameter_count;
} HttpHead;

/* text is all of the head, its empty line included.  To be freed if the verdict is good. */
HttpHeadVerdict http_head_read(HttpHead *head, const char *text, size_t size);
void http_head_free(HttpHead *head);

/* The field of that name (lower case); of several the first.  Those that decide how a request is read,
 * whose it is and where it comes from come once, or the head is malformed. */
const char *http_field(const HttpHead *head, const char *name);

const char *http_parameter(const HttpHead *head, const char *name);

/* One of those above. */
bool http_is_method(const char *name, size_t size);

/* Bytes written to decoded, which may be text itself and is never longer; -1 if a percent sign stands
 * without two digits. */
ssize_t http_decode(const char *text, size_t size, char *decoded);

/* Valid UTF-8 without control characters. */
bool http_is_plain_text(const char *text, size_t size);

#endif
