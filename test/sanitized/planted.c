/*
 * planted.c: errors on purpose.  An alarm that never rang proves nothing: run calls each of these on
 * a server built as the tests' one is, and wants a report of each.
 *
 *     SELECT planted('after pfree');
 *
 * The sanitizer goes on after its report (run asks for that here alone), so all errors but the
 * copies are reads, and of one byte.
 */
#include "postgres.h"

#include <limits.h>

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

#define SIZE 13 /* ends within a word */

static volatile char seen;

static void
read_after_context(void (*end)(MemoryContext context))
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "planted", ALLOCSET_SMALL_SIZES);
	char *bytes = MemoryContextAllocZero(context, SIZE);

	end(context);
	seen = bytes[0];
}

PG_FUNCTION_INFO_V1(planted);
Datum
planted(PG_FUNCTION_ARGS)
{
	char *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	struct varlena *argument = PG_GETARG_RAW_VARLENA_P(1);
	char *bytes = palloc0(SIZE);
	volatile int width = 32;

	if (strcmp(kind, "behind an allocation") == 0)
		seen = bytes[SIZE];
	else if (strcmp(kind, "before an allocation") == 0)
		seen = bytes[-1];
	else if (strcmp(kind, "behind an argument") == 0)
		seen = ((char *) argument)[VARSIZE_ANY(argument)];
	else if (strcmp(kind, "after pfree") == 0)
	{
		pfree(bytes);
		seen = bytes[0];
	}
	else if (strcmp(kind, "after repalloc") == 0)
	{
		if (repalloc(bytes, SIZE + 1) != NULL)
			seen = bytes[0];
	}
	else if (strcmp(kind, "after its context was reset") == 0)
		read_after_context(MemoryContextReset);
	else if (strcmp(kind, "after its context was deleted") == 0)
		read_after_context(MemoryContextDelete);
	else if (strcmp(kind, "copied by the server for us") == 0)
		(void) cstring_to_text_with_len(bytes, SIZE + 1);
	else if (strcmp(kind, "shifted by its width") == 0)
		seen = (char) (1 << width);
	else if (strcmp(kind, "added beyond an int") == 0)
		seen = (char) (INT_MAX - 32 + width + width);
	else
		elog(ERROR, "there is no error \"%s\"", kind);
	PG_RETURN_TEXT_P(cstring_to_text("done"));
}
