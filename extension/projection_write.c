/*
 * projection_write.c: writing the rows of a table that follows documents (projection_write.h).
 *
 * Everything is done as the current user, who owns the table (projection.c sees to that), and in one
 * statement for many documents.
 *
 * Errors.  A document that does not fit its table must not keep others from being stored.  Rows are
 * written in a subtransaction; if that fails it is tried document by document, and what fails then is
 * put on record in ydoc_data.projection_error.  Documents on record are tried by themselves from then
 * on, so one that never fits costs the others nothing.  Deadlocks and failed serializations are no
 * fault of a document: they end the transaction, which is then tried again.
 */
#include "projection_write.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/regproc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "project.h"
#include "store.h"
#include "value.h"

/* As many documents share a subtransaction.  A session shows the numbers of 64 to the others; what goes
 * beyond costs them look-ups. */
#define CHUNK_DOCUMENTS 64

#define ERROR_BYTES_MAX 1000 /* of an error's message on record, and of its detail */

/* ---- acting as somebody else ---- */

/* Whoever he is for, his triggers are his own: they leave nothing behind that would run later, as somebody
 * else, such as a deferred trigger or a search_path. */
void
deputy_begin(Deputy *former, Oid user)
{
	GetUserIdAndSecContext(&former->user, &former->security_context);
	former->settings = NewGUCNestLevel();
	SetUserIdAndSecContext(user, former->security_context | SECURITY_LOCAL_USERID_CHANGE |
									 SECURITY_RESTRICTED_OPERATION);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

void
deputy_end(const Deputy *former)
{
	AtEOXact_GUC(false, former->settings); /* what was set is set back */
	SetUserIdAndSecContext(former->user, former->security_context);
}

/* ---- names ---- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

int
projection_sort_names(char **names, int count)
{
	int kept = 0;

	qsort(names, count, sizeof(char *), by_name);
	for (int i = 0; i < count; i++)
		if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
			names[kept++] = names[i];
	return kept;
}

/* ---- statements ---- */

typedef enum StatementKind
{
	STATEMENT_WRITE, /* $1 names, $2 columns */
	STATEMENT_REMOVE, /* $1 names */
	STATEMENT_RENAME, /* $1 old name, $2 new one */
	STATEMENT_KEYS /* $1, $2 LIKE patterns */
} StatementKind;

typedef struct StatementKey
{
	Oid target;
	StatementKind kind;
} StatementKey;

typedef struct Statement
{
	StatementKey key;
	char *sql; /* another one, if the table was renamed since */
	SPIPlanPtr plan;
} Statement;

static HTAB *statements = NULL; /* of this session, prepared */

static SPIPlanPtr
prepare(Oid target, StatementKind kind, const char *sql)
{
	static const struct
	{
		int count;
		Oid types[2];
	} parameters[] = {{2, {TEXTARRAYOID, JSONBOID}},
					  {1, {TEXTARRAYOID}},
					  {2, {TEXTOID, TEXTOID}},
					  {2, {TEXTOID, TEXTOID}}};
	StatementKey key = {target, kind};
	HASHCTL control = {.keysize = sizeof(StatementKey), .entrysize = sizeof(Statement)};
	Statement *statement;
	SPIPlanPtr plan;
	bool found;

	if (statements == NULL)
		statements = hash_create("ydoc projections", 16, &control, HASH_ELEM | HASH_BLOBS);
	statement = hash_search(statements, &key, HASH_FIND, NULL);
	if (statement != NULL && strcmp(statement->sql, sql) == 0)
		return statement->plan;
	plan = SPI_prepare(sql, parameters[kind].count, (Oid *) parameters[kind].types);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	statement = hash_search(statements, &key, HASH_ENTER, &found);
	if (found)
	{
		SPI_freeplan(statement->plan);
		pfree(statement->sql);
	}
	statement->plan = plan;
	statement->sql = MemoryContextStrdup(TopMemoryContext, sql);
	return plan;
}

static uint64
execute(SPIPlanPtr plan, Datum *values)
{
	int result = SPI_execute_plan(plan, values, NULL, false, 0);

	if (result < 0)
		elog(ERROR, "could not write a projection: %s", SPI_result_code_string(result));
	return SPI_processed;
}

static const char *
qualified_name(Relation target)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(target)),
									  RelationGetRelationName(target));
}

/* A column of type ydoc takes documents, and nothing else does. */
static void
check_type(Relation target, const ProjectColumn *column, Oid type)
{
	bool takes_document = type_is_ydoc(type);

	if (takes_document != project_is_document(column))
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("column \"%s\" of table %s is of type %s", column->name,
							   qualified_name(target), format_type_be(type)),
						takes_document ? errhint("Say {\"as\": \"document\"} of it.")
									   : errhint("Only a column of type ydoc is a \"document\".")));
}

/* The column's type as SQL. */
static const char *
type_of_column(Relation target, const ProjectColumn *column)
{
	AttrNumber number = get_attnum(RelationGetRelid(target), column->name);
	Form_pg_attribute attribute;

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table %s has no column \"%s\"", qualified_name(target), column->name),
				 errhint("The members of a projection's columns are names of columns.")));
	attribute = TupleDescAttr(RelationGetDescr(target), number - 1);
	check_type(target, column, getBaseType(attribute->atttypid));
	return format_type_extended(attribute->atttypid, attribute->atttypmod,
								FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

/* A column as "t.title", say, behind a comma unless it is the first. */
static void
append_column(StringInfo list, const char *alias, const char *name)
{
	appendStringInfo(list, "%s%s%s", list->len > 0 ? ", " : "", alias, quote_identifier(name));
}

/*
 * A row for each name.  Values go through jsonb_to_record, which knows how JSON becomes any type.  A
 * row that is equal, byte for byte, is left alone: columns need no operator =.
 */
static const char *
write_sql(Relation target, const Projection *projection)
{
	int count;
	Jsonb *json = DatumGetJsonbP(
		DirectFunctionCall1(jsonb_in, CStringGetDatum(projection->arguments[PROJECTION_COLUMNS])));
	ProjectColumn *columns = project_columns(json, &count);
	const char *key = quote_identifier(projection->arguments[PROJECTION_KEY]);
	StringInfoData names, values, record, setters, before, after, sql;

	initStringInfo(&names);
	initStringInfo(&values);
	initStringInfo(&record);
	initStringInfo(&setters);
	initStringInfo(&before);
	initStringInfo(&after);
	initStringInfo(&sql);
	for (int i = 0; i < count; i++)
	{
		const char *type = type_of_column(target, &columns[i]);
		const char *name = quote_identifier(columns[i].name);

		append_column(&names, "", columns[i].name);
		append_column(&before, "t.", columns[i].name);
		append_column(&after, "EXCLUDED.", columns[i].name);
		appendStringInfo(&setters, "%s%s = EXCLUDED.%s", i > 0 ? ", " : "", name, name);
		if (project_is_document(&columns[i]))
			appendStringInfo(&values, ", ydoc.state(n.document)");
		else
		{
			appendStringInfo(&values, ", r.%s", name);
			appendStringInfo(&record, "%s%s %s", record.len > 0 ? ", " : "", name, type);
		}
	}
	appendStringInfo(&sql,
					 "INSERT INTO %s AS t (%s, %s) SELECT n.document%s"
					 " FROM pg_catalog.unnest($1) AS n (document)",
					 qualified_name(target), key, names.data, values.data);
	if (record.len > 0)
		appendStringInfo(&sql,
						 " CROSS JOIN LATERAL ydoc.project(n.document, $2) AS f (fields)"
						 " CROSS JOIN LATERAL pg_catalog.jsonb_to_record(f.fields) AS r (%s)",
						 record.data);
	appendStringInfo(&sql,
					 " ON CONFLICT (%s) DO UPDATE SET %s WHERE (ROW(%s)::pg_catalog.record)"
					 " OPERATOR(pg_catalog.*<>) (ROW(%s)::pg_catalog.record)",
					 key, setters.data, before.data, after.data);
	return sql.data;
}

static const char *
statement_sql(Relation target, const Projection *projection, StatementKind kind)
{
	const char *table = qualified_name(target);
	const char *key = quote_identifier(projection->arguments[PROJECTION_KEY]);

	switch (kind)
	{
		case STATEMENT_WRITE: return write_sql(target, projection);
		case STATEMENT_REMOVE:
			return psprintf("DELETE FROM %s t WHERE t.%s = ANY ($1)", table, key);
		case STATEMENT_RENAME:
			return psprintf("UPDATE %s t SET %s = $2 WHERE t.%s = $1"
							" AND NOT EXISTS (SELECT FROM %s o WHERE o.%s = $2)",
							table, key, key, table, key);
		default:
			return psprintf("SELECT t.%s::pg_catalog.text FROM %s t WHERE t.%s LIKE $1"
							" AND t.%s LIKE $2",
							key, table, key, key);
	}
}

/* ---- writing rows ---- */

static Datum
array_of_names(char **names, int count)
{
	Datum *values = palloc(sizeof(Datum) * Max(count, 1));

	for (int i = 0; i < count; i++)
		values[i] = CStringGetTextDatum(names[i]);
	return PointerGetDatum(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The table, locked so that its name holds; owned by the current user. */
static Relation
open_target(const Projection *projection)
{
	Relation target = table_open(projection->target, RowExclusiveLock);

	if (target->rd_rel->relowner != GetUserId())
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("table %s is not owned by \"%s\"", qualified_name(target),
					GetUserNameFromId(GetUserId(), false)),
			 errdetail("A projection writes with the rights of its function's owner, who must own "
					   "the table."),
			 errhint("ALTER FUNCTION %s OWNER TO %s", format_procedure(projection->function),
					 quote_identifier(GetUserNameFromId(target->rd_rel->relowner, false)))));
	return target;
}

/* Rows of documents that are there are written, those of others removed. */
static void
write_names(const Projection *projection, char **names, int count)
{
	Relation target = open_target(projection);
	char **present = palloc(sizeof(char *) * Max(count, 1));
	char **gone = palloc(sizeof(char *) * Max(count, 1));
	int present_count = 0;
	int gone_count = 0;
	Datum values[2];

	for (int i = 0; i < count; i++)
	{
		StoreHead head;

		if (store_read_head(names[i], &head))
			present[present_count++] = names[i];
		else
			gone[gone_count++] = names[i];
	}
	values[0] = array_of_names(present, present_count);
	values[1] =
		DirectFunctionCall1(jsonb_in, CStringGetDatum(projection->arguments[PROJECTION_COLUMNS]));
	if (present_count > 0 || count == 0)
		execute(prepare(projection->target, STATEMENT_WRITE,
						statement_sql(target, projection, STATEMENT_WRITE)),
				values);
	values[0] = array_of_names(gone, gone_count);
	if (gone_count > 0)
		execute(prepare(projection->target, STATEMENT_REMOVE,
						statement_sql(target, projection, STATEMENT_REMOVE)),
				values);
	table_close(target, NoLock);
}

/* Rows keep what else they hold when their document gets another name. */
static void
rename_rows(const Projection *projection)
{
	for (int i = 0; i < projection->count; i++)
	{
		const NotedName *noted = &projection->names[i];
		Relation target;
		Datum values[2];

		if (noted->new_name == NULL)
			continue;
		target = open_target(projection);
		values[0] = CStringGetTextDatum(noted->name);
		values[1] = CStringGetTextDatum(noted->new_name);
		execute(prepare(projection->target, STATEMENT_RENAME,
						statement_sql(target, projection, STATEMENT_RENAME)),
				values);
		table_close(target, NoLock);
	}
}

/* ---- errors ---- */

/* A step that may fail without harm: NULL, or the error, and then nothing of it was done. */
typedef struct Attempt
{
	const Projection *projection;
	char **names; /* NULL: rows are renamed */
	int count;
} Attempt;

/* Errors that were not on record before. */
typedef struct News
{
	int count;
	const char *name; /* of the first */
	const ErrorData *error;
} News;

static bool
ends_transaction(const ErrorData *error)
{
	int class = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return class == ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK) ||
		   class == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION);
}

static ErrorData *
try_step(const Attempt *attempt)
{
	MemoryContext old_context = CurrentMemoryContext;
	ResourceOwner old_owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	CHECK_FOR_INTERRUPTS();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(old_context);
	PG_TRY();
	{
		if (attempt->names == NULL)
			rename_rows(attempt->projection);
		else
			write_names(attempt->projection, attempt->names, attempt->count);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old_context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old_context);
	CurrentResourceOwner = old_owner;
	if (error != NULL && ends_transaction(error))
		ReThrowError(error);
	return error;
}

/* ---- what is recorded of errors ---- */

/* The table of errors is written with the rights of its owner; false: there is none. */
static bool
errors_begin(Deputy *former)
{
	Oid table = get_relname_relid("projection_error", get_namespace_oid("ydoc_data", true));
	HeapTuple tuple;

	if (!OidIsValid(table))
		return false;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	if (!HeapTupleIsValid(tuple))
		return false;
	deputy_begin(former, ((Form_pg_class) GETSTRUCT(tuple))->relowner);
	ReleaseSysCache(tuple);
	return true;
}

/* Which of the names have an error on record, sorted as they are. */
static char **
find_recorded(const Projection *projection, char **names, int count, int *found)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {REGCLASSOID, TEXTARRAYOID};
	Datum values[] = {ObjectIdGetDatum(projection->target), array_of_names(names, count)};
	char **recorded = NULL;
	Deputy former;

	*found = 0;
	if (!errors_begin(&former))
		return NULL;
	store_prepare(
		&plan,
		"SELECT e.document FROM ydoc_data.projection_error e"
		" WHERE e.target = $1 AND e.document = ANY ($2) ORDER BY e.document COLLATE \"C\"",
		2, types);
	*found = (int) execute(plan, values);
	recorded = palloc(sizeof(char *) * Max(*found, 1));
	for (int i = 0; i < *found; i++)
		recorded[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
	SPI_freetuptable(SPI_tuptable);
	deputy_end(&former);
	return recorded;
}

static Datum
short_text(const char *text)
{
	int size = pg_mbcliplen(text, (int) strlen(text), ERROR_BYTES_MAX);

	return PointerGetDatum(cstring_to_text_with_len(text, size));
}

static void
record_error(const Projection *projection, const char *name, const ErrorData *error)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID, REGCLASSOID, TEXTOID, TEXTOID, TEXTOID};
	Datum values[] = {CStringGetTextDatum(name), ObjectIdGetDatum(projection->target),
					  CStringGetTextDatum(unpack_sql_state(error->sqlerrcode)),
					  short_text(error->message),
					  error->detail == NULL ? (Datum) 0 : short_text(error->detail)};
	char nulls[] = {' ', ' ', ' ', ' ', error->detail == NULL ? 'n' : ' '};
	Deputy former;

	if (!errors_begin(&former))
		return;
	store_prepare(&plan,
				  "INSERT INTO ydoc_data.projection_error AS e"
				  " (document, target, sqlstate, message, detail) VALUES ($1, $2, $3, $4, $5)"
				  " ON CONFLICT (document, target) DO UPDATE SET sqlstate = EXCLUDED.sqlstate,"
				  " message = EXCLUDED.message, detail = EXCLUDED.detail, at = EXCLUDED.at",
				  5, types);
	if (SPI_execute_plan(plan, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not record a projection's error");
	deputy_end(&former);
}

static void
forget_error(const Projection *projection, char *name)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {REGCLASSOID, TEXTOID};
	Datum values[] = {ObjectIdGetDatum(projection->target), CStringGetTextDatum(name)};
	Deputy former;

	if (!errors_begin(&former))
		return;
	store_prepare(&plan,
				  "DELETE FROM ydoc_data.projection_error e"
				  " WHERE e.target = $1 AND e.document = $2",
				  2, types);
	execute(plan, values);
	deputy_end(&former);
}

/* ---- documents that fit, and those that do not ---- */

static void
write_one(const Attempt *chunk, char *name, bool is_recorded, News *news)
{
	Attempt attempt = {chunk->projection, &name, 1};
	ErrorData *error = try_step(&attempt);

	if (error != NULL)
		record_error(chunk->projection, name, error);
	else if (is_recorded)
		forget_error(chunk->projection, name);
	if (error == NULL || is_recorded)
		return;
	if (news->count++ == 0)
	{
		news->name = name;
		news->error = error;
	}
}

/* Nothing is on record about these: they fit, most likely. */
static void
write_many(const Attempt *all, News *news)
{
	for (int i = 0; i < all->count; i += CHUNK_DOCUMENTS)
	{
		Attempt chunk = {all->projection, all->names + i, Min(CHUNK_DOCUMENTS, all->count - i)};

		if (chunk.count > 1 && try_step(&chunk) == NULL)
			continue;
		for (int k = 0; k < chunk.count; k++)
			write_one(&chunk, chunk.names[k], false, news);
	}
}

static void
warn_of(const News *news, const Projection *projection)
{
	const char *table =
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(projection->target)),
								   get_rel_name(projection->target));

	ereport(
		WARNING,
		(errcode(news->error->sqlerrcode),
		 errmsg("document \"%s\" does not fit table %s: %s", news->name, table,
				news->error->message),
		 news->count == 1
			 ? errdetail("The document is stored; the table keeps what it had of it.")
			 : errdetail("It is one of %d.  The documents are stored; the table keeps what it had "
						 "of them.",
						 news->count),
		 errhint("ydoc_data.projection_error lists such documents; each is tried again when it "
				 "changes, and all are by SELECT ydoc.refresh_projection(%s).",
				 quote_literal_cstr(table))));
}

static void
write_and_record(const Attempt *all)
{
	int recorded_count;
	char **recorded = find_recorded(all->projection, all->names, all->count, &recorded_count);
	Attempt fitting = {all->projection, palloc(sizeof(char *) * Max(all->count, 1)), 0};
	News news = {0};
	int at = 0;

	for (int i = 0; i < all->count; i++)
	{
		if (at < recorded_count && strcmp(recorded[at], all->names[i]) == 0)
			at++;
		else
			fitting.names[fitting.count++] = all->names[i];
	}
	write_many(&fitting, &news);
	for (int i = 0; i < recorded_count; i++)
		write_one(all, recorded[i], true, &news);
	if (news.count > 0)
		warn_of(&news, all->projection);
}

void
projection_put_nothing_off(void)
{
	ConstraintsSetStmt all_immediate = {.type = T_ConstraintsSetStmt};

	AfterTriggerSetState(&all_immediate);
}

void
projection_write_rows(const Projection *projection, char **names, int count)
{
	Attempt attempt = {projection, names, count};

	if (strcmp(projection->arguments[PROJECTION_ON_ERROR], "raise") == 0)
	{
		rename_rows(projection);
		write_names(projection, names, count);
		return;
	}
	for (int i = 0; i < projection->count; i++)
		if (projection->names[i].new_name != NULL)
		{
			Attempt renaming = {projection, NULL, 0};

			/* failing that, the old row goes and a new one comes */
			(void) try_step(&renaming);
			break;
		}
	write_and_record(&attempt);
}

/* ---- on request ---- */

void
projection_check(const Projection *projection)
{
	write_names(projection, NULL, 0);
}

char **
projection_keys(const Projection *projection, Datum pattern, int *count)
{
	Relation target = open_target(projection);
	Datum values[] = {CStringGetTextDatum(projection->arguments[PROJECTION_DOCUMENTS]), pattern};
	char **keys;

	*count = (int) execute(prepare(projection->target, STATEMENT_KEYS,
								   statement_sql(target, projection, STATEMENT_KEYS)),
						   values);
	keys = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(char *) * Max(*count, 1));
	for (int row = 0; row < *count; row++)
		keys[row] = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
	SPI_freetuptable(SPI_tuptable);
	table_close(target, NoLock);
	return keys;
}
