/*
 * Names of documents, as the store takes them.
 *
 *     if (!name_is_document(name)) refuse;
 */
#ifndef RELAY_NAME_H
#define RELAY_NAME_H

#include <stdbool.h>

#include "frame.h"

enum
{
	NAME_MAX_BYTES = 1024
};

/* Valid UTF-8. */
bool name_is_text(Bytes text);

/* Valid UTF-8 of 1 to 1024 bytes without control characters. */
bool name_is_document(Bytes name);

#endif
