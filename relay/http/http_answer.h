/*
 * Answers to requests over plain HTTP.
 *
 *     http_answer(request, 200, "text/plain; charset=utf-8", bytes);       copied
 *     http_answer_json(request, 200, json);                                taken
 *     http_problem(request, 404, "no-document", "there is no document of that name");
 *
 * A problem is JSON as RFC 9457 has it.  What programs can go by is its type, "urn:problem-type:ydoc:"
 * and the code, which never changes once released; title and detail are for people:
 *
 *     {"type": "urn:problem-type:ydoc:no-document", "title": "Not Found", "status": 404,
 *      "detail": "there is no document of that name"}
 *
 * Every answer says that it is private and not to be stored, that its type is what it says, and that
 * no page may frame it or run what is in it.
 */
#ifndef RELAY_HTTP_ANSWER_H
#define RELAY_HTTP_ANSWER_H

#include <jansson.h>
#include <stdbool.h>

#include "frame.h"
#include "http_request.h"

/* One field more of the answer to come.  Whatever would end the line is left out. */
void http_answer_field(HttpRequest *request, const char *name, const char *value);

/* type NULL: no content, as for 204. */
void http_answer(HttpRequest *request, unsigned status, const char *type, Bytes content);

/* Takes content's memory. */
void http_answer_take(HttpRequest *request, unsigned status, const char *type, Buffer *content);

/* Takes json; NULL is answered as out of memory. */
void http_answer_json(HttpRequest *request, unsigned status, json_t *json);

void http_problem(HttpRequest *request, unsigned status, const char *code, const char *detail);

/* For the database's error: what it says to whoever asked, or 503 if it may do better later. */
void http_problem_of_database(HttpRequest *request, const char *sqlstate, const char *message);

/* libwebsockets' callback: writes on; false: the socket is to be closed, all is written or nothing can be. */
bool http_answer_write(HttpRequest *request);

/* All of an answer to a socket that has no request yet, into text; more: further fields, or "". */
int http_refusal(char *text, size_t size, unsigned status, const char *more, const char *code,
				 const char *detail);

/* Fields that every answer has, also those of files: name, value, name, value, NULL. */
extern const char *const http_common_fields[];

/* Forgets what is not written yet. */
void http_answer_free(HttpRequest *request);

/* Content in memory that peers have not read yet, all together. */
int64_t http_answer_bytes(void);

#endif
