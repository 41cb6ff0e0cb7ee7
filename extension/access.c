/*
 * access.c: asking the rule, and remembering the answer for a second (access.h).
 *
 * Here: the cache, the functions for those who speak for others.  Not here: the rule
 * (schema/store_tables.sql), grants (schema/access.sql).
 */
#include "access.h"

#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "bridge.h"
#include "store.h"

#define KEPT_MICROSECONDS 1000000
#define KEPT_MOST 10000

/* Of document and claims: two hashes from starts that nobody knows. */
typedef struct AccessKey
{
	uint64 first;
	uint64 second;
} AccessKey;

typedef struct AccessEntry
{
	AccessKey key;
	AccessLevel level;
	TimestampTz asked_at;
} AccessEntry;

static HTAB *kept = NULL;
static uint64 starts[2];

/* ---- what is kept ---- */

static void
make_table(void)
{
	HASHCTL control = {
		.keysize = sizeof(AccessKey), .entrysize = sizeof(AccessEntry), .hcxt = TopMemoryContext};

	if (!pg_strong_random(starts, sizeof(starts)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no random numbers to be had")));
	kept = hash_create("ydoc access levels", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static AccessKey
key_of(const char *document, const text *claims)
{
	uint64 hashes[2];

	for (int i = 0; i < 2; i++)
	{
		hashes[i] = hash_bytes_extended((const unsigned char *) document, (int) strlen(document),
										starts[i]);
		hashes[i] = hash_bytes_extended((const unsigned char *) VARDATA_ANY(claims),
										(int) VARSIZE_ANY_EXHDR(claims), hashes[i]);
	}
	return (AccessKey){hashes[0], hashes[1]};
}

/* ---- asking ---- */

static AccessLevel
level_of_name(const char *name)
{
	static const char *const names[] = {"none", "read", "comment", "write", "admin"};

	for (size_t i = 0; i < lengthof(names); i++)
		if (strcmp(names[i], name) == 0)
			return (AccessLevel) i;
	elog(ERROR, "there is no level \"%s\"", name);
}

static AccessLevel
ask(const char *document, const text *claims)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, TEXTOID};
	Datum values[] = {CStringGetTextDatum(document), PointerGetDatum(claims)};
	AccessLevel level;

	store_prepare(&plan, "SELECT ydoc.access_level($1, $2::pg_catalog.jsonb)::pg_catalog.text", 2,
				  types);
	if (SPI_execute_plan(plan, values, NULL, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not ask for a level of access");
	level = level_of_name(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_freetuptable(SPI_tuptable);
	return level;
}

AccessLevel
access_level(const char *document, const text *claims)
{
	TimestampTz now = GetCurrentTimestamp();
	AccessKey key;
	AccessEntry *entry;
	AccessLevel level;

	if (claims == NULL)
		claims = cstring_to_text("{}");
	if (kept == NULL || hash_get_num_entries(kept) >= KEPT_MOST)
	{
		if (kept != NULL)
			hash_destroy(kept);
		kept = NULL;
		make_table();
	}
	key = key_of(document, claims);
	entry = hash_search(kept, &key, HASH_FIND, NULL);
	if (entry != NULL && now - entry->asked_at < KEPT_MICROSECONDS && now >= entry->asked_at)
		return entry->level;
	level = ask(document, claims); /* may fail: nothing is kept before */
	entry = hash_search(kept, &key, HASH_ENTER, NULL);
	entry->level = level;
	entry->asked_at = now;
	return level;
}

const CrdtConfines *
access_confines(const char *document)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(document)};
	CrdtConfines *confines = palloc0(sizeof(CrdtConfines));
	CrdtBytes *roots;

	store_prepare(&plan,
				  "SELECT pg_catalog.convert_to(r.root, 'UTF8')"
				  " FROM pg_catalog.unnest(ydoc.comment_roots($1)) AS r (root)"
				  " WHERE r.root IS NOT NULL",
				  1, types);
	if (SPI_execute_plan(plan, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not ask for a document's comment roots");
	roots = palloc(sizeof(CrdtBytes) * (SPI_processed + 1));
	for (uint64 row = 0; row < SPI_processed; row++)
		roots[confines->count++] = bridge_view(store_varlena(row, 1));
	confines->roots = roots;
	return confines;
}

text *
access_actor(const text *claims)
{
	Datum actor;
	LOCAL_FCINFO(call, 2);

	if (claims == NULL)
		return NULL;
	InitFunctionCallInfoData(*call, NULL, 2, InvalidOid, NULL, NULL);
	call->args[0].value = DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(claims)));
	call->args[0].isnull = false;
	call->args[1].value = CStringGetTextDatum("sub");
	call->args[1].isnull = false;
	actor = jsonb_object_field_text(call);
	return call->isnull ? NULL : DatumGetTextPP(actor);
}

/* ---- for those who speak for others ---- */

PG_FUNCTION_INFO_V1(ydoc_require_level);
Datum
ydoc_require_level(PG_FUNCTION_ARGS)
{
	char *document = store_check_name(PG_GETARG_TEXT_PP(0));
	const text *claims = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	char *wanted = text_to_cstring(PG_GETARG_TEXT_PP(2));
	AccessLevel level;

	store_open();
	level = access_level(document, claims);
	store_close();
	if (level < level_of_name(wanted))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("no right to %s document \"%s\"", wanted, document)));
	PG_RETURN_VOID();
}
