/*
 * comment.c: whose level is comment, and writes with SQL (comment.h).  Not here: what a comment is
 * (crdt/confine.c), who writes for others (access.c).
 */
#include "comment.h"

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rls.h"

#include "access.h"
#include "store.h"

static const char *const *writing = NULL; /* documents that are being commented on */
static int writing_count = 0;

bool
comment_may_confine(void)
{
	return check_enable_rls(store_oid(), InvalidOid, true) == RLS_ENABLED;
}

const CrdtConfines *
comment_confines(const char *document)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(document)};
	bool is_confined;

	if (!comment_may_confine())
		return NULL;
	store_prepare(&plan,
				  "SELECT FROM ydoc_data.document d"
				  " WHERE d.name = $1 AND ydoc.my_level($1) OPERATOR(pg_catalog.=) 'comment'",
				  1, types);
	if (SPI_execute_plan(plan, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not ask for the caller's level");
	is_confined = SPI_processed == 1;
	SPI_freetuptable(SPI_tuptable);
	return is_confined ? access_confines(document) : NULL;
}

void
comment_begin(const char *const *documents, int count)
{
	writing = documents;
	writing_count = count;
}

void
comment_end(void)
{
	writing = NULL;
	writing_count = 0;
}

PG_FUNCTION_INFO_V1(ydoc_is_commenting);
Datum
ydoc_is_commenting(PG_FUNCTION_ARGS)
{
	const text *document = PG_GETARG_TEXT_PP(0);
	size_t size = VARSIZE_ANY_EXHDR(document);

	for (int i = 0; i < writing_count; i++)
		if (strlen(writing[i]) == size && memcmp(writing[i], VARDATA_ANY(document), size) == 0)
			PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(false);
}
