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
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "bridge.h"
#include "pg_ydoc.h"
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
	text *text; /* of a level the actor, of claims they themselves; in kept_memory; NULL: none */
	TimestampTz asked_at;
} AccessEntry;

static HTAB *kept = NULL;
static MemoryContext kept_memory = NULL;
static uint64 starts[2];

/* ---- what is kept ---- */

static void
make_table(void)
{
	HASHCTL control = {.keysize = sizeof(AccessKey), .entrysize = sizeof(AccessEntry)};

	if (kept_memory == NULL)
		kept_memory =
			AllocSetContextCreate(TopMemoryContext, "ydoc access levels", ALLOCSET_SMALL_SIZES);
	kept = NULL;
	MemoryContextReset(kept_memory); /* the table with it */
	if (!pg_strong_random(starts, sizeof(starts)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no random numbers to be had")));
	control.hcxt = kept_memory;
	kept = hash_create("ydoc access levels", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* document "": of the claims alone. */
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

static bool
is_fresh(const AccessEntry *entry)
{
	TimestampTz now = GetCurrentTimestamp();

	return now - entry->asked_at < KEPT_MICROSECONDS && now >= entry->asked_at;
}

/* What was answered to this key less than a second ago; NULL: nothing. */
static const AccessEntry *
find_kept(const AccessKey *key)
{
	const AccessEntry *entry = hash_search(kept, key, HASH_FIND, NULL);

	return entry != NULL && is_fresh(entry) ? entry : NULL;
}

/* The table may have been made anew in the meantime, with other starts: then the key means nothing, and the
 * entry goes with the table. */
static void
keep(const AccessKey *key, AccessLevel level, const text *content, TimestampTz asked_at)
{
	bool found;
	AccessEntry *entry;
	text *copy = NULL;

	if (content != NULL)
	{
		copy = MemoryContextAlloc(kept_memory, VARSIZE_ANY(content));
		memcpy(copy, content, VARSIZE_ANY(content));
	}
	entry = hash_search(kept, key, HASH_ENTER, &found);
	if (found && entry->text != NULL)
		pfree(entry->text);
	entry->level = level;
	entry->text = copy;
	entry->asked_at = asked_at;
}

static void
make_room(void)
{
	if (kept == NULL || hash_get_num_entries(kept) >= KEPT_MOST)
		make_table();
}

static text *
copy_text(const text *content)
{
	return content == NULL
			   ? NULL
			   : cstring_to_text_with_len(VARDATA_ANY(content), (int) VARSIZE_ANY_EXHDR(content));
}

/* ---- asking ---- */

static AccessLevel
level_of_name(const char *name)
{
	static const char *const names[] = {"none", "read", "comment", "write", "admin"};

	for (size_t i = 0; i < lengthof(names); i++)
		if (strcmp(names[i], name) == 0)
			return (AccessLevel) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there is no level \"%s\"", name),
			 errhint("A level is none, read, comment, write or admin.")));
}

/* What is not good at all allows nothing: it is not the same as showing nothing. */
static AccessLevel
ask(const char *document, const text *claims, text **actor)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, TEXTOID};
	Datum values[] = {CStringGetTextDatum(document), PointerGetDatum(claims)};
	const char *name;
	AccessLevel level;

	store_prepare(&plan,
				  "SELECT CASE WHEN c.claims IS NOT NULL"
				  " THEN ydoc.access_level($1, c.claims)::pg_catalog.text END,"
				  " c.claims OPERATOR(pg_catalog.->>) 'sub'"
				  " FROM (SELECT ydoc.claims_of($2) OFFSET 0) AS c (claims)",
				  2, types);
	if (SPI_execute_plan(plan, values, NULL, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not ask for a level of access");
	name = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	level = name == NULL ? ACCESS_UNKNOWN : level_of_name(name);
	*actor = copy_text((const text *) store_varlena(0, 2));
	SPI_freetuptable(SPI_tuptable);
	return level;
}

AccessLevel
access_level(const char *document, const text *claims, text **actor)
{
	AccessKey key;
	const AccessEntry *entry;
	AccessLevel level;
	text *found;
	TimestampTz now = GetCurrentTimestamp();

	if (claims == NULL)
		claims = cstring_to_text("{}");
	make_room();
	key = key_of(document, claims);
	entry = find_kept(&key);
	if (entry == NULL)
	{
		level = ask(document, claims, &found); /* may fail: nothing is kept before */
		make_room();
		keep(&key, level, found, now);
	}
	else
	{
		level = entry->level;
		found = copy_text(entry->text);
	}
	if (actor != NULL)
		*actor = found;
	return level;
}

static text *
ask_for_claims(const text *credential)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {PointerGetDatum(credential)};
	text *claims;

	store_prepare(&plan, "SELECT ydoc_data.claims_of($1)::pg_catalog.text", 1, types);
	if (SPI_execute_plan(plan, values, NULL, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not ask for the claims of a credential");
	claims = copy_text((const text *) store_varlena(0, 1));
	SPI_freetuptable(SPI_tuptable);
	return claims;
}

PG_FUNCTION_INFO_V1(ydoc_claims_of);
Datum
ydoc_claims_of(PG_FUNCTION_ARGS)
{
	text *credential = PG_ARGISNULL(0) ? cstring_to_text("{}") : PG_GETARG_TEXT_PP(0);
	MemoryContext caller = CurrentMemoryContext;
	TimestampTz now = GetCurrentTimestamp();
	const AccessEntry *entry;
	AccessKey key;
	char *claims = NULL;

	make_room();
	key = key_of("", credential);
	entry = find_kept(&key);
	if (entry != NULL)
		claims = entry->text == NULL ? NULL : text_to_cstring(entry->text);
	else
	{
		text *found;

		store_open();
		found = ask_for_claims(credential);
		if (found != NULL)
		{
			MemoryContext inside = MemoryContextSwitchTo(caller);

			claims = text_to_cstring(found);
			MemoryContextSwitchTo(inside);
		}
		make_room();
		keep(&key, ACCESS_NONE, found, now);
		store_close();
	}
	if (claims == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(claims)));
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

/* Has anybody said, in a way that ydoc.claims() knows, whom this session speaks for? */
static bool
is_speaking(void)
{
	static const char *const settings[] = {"request.jwt.claims", "request.jwt.token",
										   "request.headers"};

	for (size_t i = 0; i < lengthof(settings); i++)
	{
		const char *value = GetConfigOption(settings[i], true, false);

		if (value != NULL && value[0] != '\0')
			return true;
	}
	return false;
}

const char *
access_actor(void)
{
	static SPIPlanPtr plan = NULL;
	text *actor;

	if (ydoc_actor[0] != '\0' || !is_speaking())
		return ydoc_actor;
	store_prepare(&plan, "SELECT ydoc.claims() OPERATOR(pg_catalog.->>) 'sub'", 0, NULL);
	if (SPI_execute_plan(plan, NULL, NULL, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not ask whom this session speaks for");
	actor = copy_text((const text *) store_varlena(0, 1));
	SPI_freetuptable(SPI_tuptable);
	return actor == NULL ? "" : text_to_cstring(actor);
}

PG_FUNCTION_INFO_V1(ydoc_current_actor);
Datum
ydoc_current_actor(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	char *actor;

	store_open();
	actor = MemoryContextStrdup(caller, access_actor());
	store_close();
	if (actor[0] == '\0')
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(actor));
}

/* ---- for those who speak for others ---- */

PG_FUNCTION_INFO_V1(ydoc_require_level);
Datum
ydoc_require_level(PG_FUNCTION_ARGS)
{
	const text *claims = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	char *document;
	char *wanted;
	AccessLevel least;
	AccessLevel level;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("document and level must not be null")));
	document = store_check_name(PG_GETARG_TEXT_PP(0));
	wanted = text_to_cstring(PG_GETARG_TEXT_PP(2));
	least = level_of_name(wanted);
	store_open();
	level = access_level(document, claims, NULL);
	store_close();
	if (level == ACCESS_UNKNOWN)
		ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
						errmsg("the token is not valid")));
	if (level < least)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("no right to %s document \"%s\"", wanted, document)));
	PG_RETURN_VOID();
}
