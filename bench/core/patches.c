/*
 * patches.c: reads lines of JSON, [position, units deleted, text inserted].
 */
#include "patches.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../test/core/input.h"
#include "measure.h"

static const char *read_patch(Patch *patch, const char *line, char **texts);

bool
patches_read(Patches *patches, const char *directory, const char *name)
{
	char path[512];
	Input input;
	char *texts;
	const char *line;

	*patches = (Patches){0};
	snprintf(path, sizeof path, "%s/%s.patches.gz", directory, name);
	if (access(path, R_OK) != 0)
		return false;
	input = input_read(path);
	/* A line has at least eight bytes, and more than the text it says. */
	patches->list = test_alloc((input.size / 8 + 1) * sizeof *patches->list);
	texts = patches->texts = test_alloc(input.size + 1);
	for (line = (const char *) input.data; *line != '\0'; patches->count++)
		line = read_patch(&patches->list[patches->count], line, &texts);
	input_free(&input);
	return true;
}

static const char *
read_patch(Patch *patch, const char *line, char **texts)
{
	const char *end = strchr(line, '\n');
	json_error_t error;
	json_t *array;
	json_int_t position, deleted;
	const char *text;
	size_t size;

	if (end == NULL)
		end = line + strlen(line);
	array = json_loadb(line, (size_t) (end - line), 0, &error);
	if (array == NULL || json_unpack(array, "[IIs%]", &position, &deleted, &text, &size) != 0)
	{
		fprintf(stderr, "a patch cannot be read: %.*s\n", (int) (end - line), line);
		exit(2);
	}
	memcpy(*texts, text, size);
	patch->position = (uint64_t) position;
	patch->deleted = (uint64_t) deleted;
	patch->inserted = (CrdtBytes){(const uint8_t *) *texts, size};
	*texts += size;
	json_decref(array);
	return *end == '\n' ? end + 1 : end;
}

void
patches_free(Patches *patches)
{
	free(patches->list);
	free(patches->texts);
	*patches = (Patches){0};
}

void
patch_apply(CrdtDoc *doc, const CrdtType *text, const Patch *patch)
{
	CrdtError error = {0};

	crdt_doc_begin(doc, NULL);
	if (patch->deleted > 0)
		must(crdt_text_delete(doc, text, patch->position, patch->deleted, &error), &error);
	if (patch->inserted.size > 0)
		must(crdt_text_insert(doc, text, patch->position, patch->inserted, NULL, &error), &error);
	crdt_doc_commit(doc);
}
