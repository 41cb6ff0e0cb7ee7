/*
 * The HTTP API: documents for programs, under the rules that WebSockets have.
 *
 *     GET  /api/documents                       those one may read, a page at a time
 *     GET  /api/documents/NAME[/KIND]           content: by Accept, or by its kind
 *     POST /api/documents/NAME/update           merged and committed before the answer
 *     GET  /api/documents/NAME/versions         named states
 *     GET  /api/documents/NAME/versions/LABEL[/KIND]
 *     GET  /api/openapi.json                    all of it, for programs (openapi.json)
 *
 * NAME and LABEL are one segment each: a slash in them is written %2F, as encodeURIComponent does.
 */
#ifndef RELAY_API_H
#define RELAY_API_H

#include "http.h"

extern const HttpEndpoint api_endpoints[];

/* Questions leave here, a few at a time, and none while peers have too much to read. */
void api_end_round(void);
void api_stop(void);

#endif
