/*
 * patches.h: the local edits of a sequential trace (NAME.patches.gz), and typing them again.
 *
 *     Patches patches;
 *
 *     if (patches_read(&patches, directory, name))
 *         for (size_t i = 0; i < patches.count; i++)
 *             patch_apply(doc, text, &patches.list[i]);      -- a transaction each
 *     patches_free(&patches);
 */
#ifndef BENCH_CORE_PATCHES_H
#define BENCH_CORE_PATCHES_H

#include "../../extension/crdt/edit.h"

typedef struct Patch
{
	uint64_t position; /* UTF-16 units, as is deleted */
	uint64_t deleted;
	CrdtBytes inserted; /* UTF-8 */
} Patch;

typedef struct Patches
{
	Patch *list;
	size_t count;
	char *texts; /* what the patches insert, one behind the other */
} Patches;

/* False: the trace has none.  Ends the program if the file is damaged. */
bool patches_read(Patches *patches, const char *directory, const char *name);
void patches_free(Patches *patches);

/* One transaction; ends the program if it is refused. */
void patch_apply(CrdtDoc *doc, const CrdtType *text, const Patch *patch);

#endif
