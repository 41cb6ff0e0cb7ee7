/*
 * verify.c: is a token good?  The files of token/ as SQL functions.
 *
 * Here: their parameters and answers.  Not here: how a token is judged (../token), whose keys count
 * (schema/token.sql).  What ../token allocates is malloc's: nothing jumps before it is freed.
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "../token/token.h"
#include "bridge.h"

#define SECONDS_BEFORE_2000 \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)

static Bytes
view_text(const text *value)
{
	return (Bytes){(const uint8_t *) VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

static int64
to_unix_seconds(TimestampTz at)
{
	return at / USECS_PER_SEC + SECONDS_BEFORE_2000;
}

/* Reads all keys, or reports what is wrong with one of them. */
static void
read_keys(ArrayType *array, Keys *keys)
{
	Datum *elements;
	bool *nulls;
	int count;
	char problem[KEYS_PROBLEM_MAX] = "";

	*keys = (Keys){0};
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			elements[i] = PointerGetDatum(DatumGetTextPP(elements[i]));
	for (int i = 0; i < count; i++)
		if (!nulls[i] &&
			!keys_read(keys, view_text((text *) DatumGetPointer(elements[i])), problem))
		{
			keys_free(keys);
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid keys: text %d %s", i + 1, problem),
					 errhint("A text is a JWKS, a JWK, or public keys as PEM; a secret is a JWK "
							 "of kind \"oct\".")));
		}
}

/* The token; what is needed beside it must be there. */
static text *
get_token(FunctionCallInfo fcinfo)
{
	static const int needed[] = {0, 1, 4, 5, 6};

	for (size_t i = 0; i < lengthof(needed); i++)
		if (PG_ARGISNULL(needed[i]))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("only audience and issuer may be null")));
	return PG_GETARG_TEXT_PP(0);
}

/* ---- functions ---- */

/* (token, keys, audience, issuer, leeway in seconds, requires_expiry, at) -> (verdict, claims, expires_at) */
PG_FUNCTION_INFO_V1(ydoc_judge_token);
Datum
ydoc_judge_token(PG_FUNCTION_ARGS)
{
	text *token = get_token(fcinfo);
	TokenPolicy policy = {
		.audience = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)),
		.issuer = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)),
		.leeway_seconds = PG_GETARG_INT32(4),
		.requires_expiry = PG_GETARG_BOOL(5),
	};
	int64 now = to_unix_seconds(PG_GETARG_TIMESTAMPTZ(6));
	TupleDesc description;
	TokenClaims claims = {0};
	TokenVerdict verdict;
	Keys keys;
	char *json = NULL;
	Datum values[3] = {0};
	bool nulls[3] = {false, true, true};

	bridge_require_utf8();
	if (get_call_result_type(fcinfo, NULL, &description) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "the answer is no row");
	read_keys(PG_GETARG_ARRAYTYPE_P(1), &keys);
	policy.keys = &keys;
	verdict = token_check(view_text(token), &policy, now, &claims);
	keys_free(&keys);
	if (verdict == TOKEN_VALID)
	{
		size_t size = strlen(claims.json) + 1;

		json = palloc_extended(size, MCXT_ALLOC_NO_OOM);
		if (json != NULL)
			memcpy(json, claims.json, size);
		else
			verdict = TOKEN_OUT_OF_MEMORY;
		if (claims.expires_at != INT64_MAX)
		{
			values[2] =
				TimestampTzGetDatum((claims.expires_at - SECONDS_BEFORE_2000) * USECS_PER_SEC);
			nulls[2] = false;
		}
		token_claims_free(&claims);
	}
	values[0] = CStringGetTextDatum(verdict == TOKEN_VALID ? "valid" : token_reason(verdict));
	if (verdict == TOKEN_VALID)
	{
		values[1] = DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
		nulls[1] = false;
	}
	else
		nulls[2] = true;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(description), values, nulls)));
}

/* (keys) -> a row (kid, algorithm) for each */
PG_FUNCTION_INFO_V1(ydoc_read_token_keys);
Datum
ydoc_read_token_keys(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Keys keys;
	char **ids;
	Algorithm *algorithms;
	size_t count;

	bridge_require_utf8();
	bridge_materialize(fcinfo);
	read_keys(PG_GETARG_ARRAYTYPE_P(0), &keys);
	count = keys.count;
	ids = palloc0((count + 1) * sizeof(char *));
	algorithms = palloc((count + 1) * sizeof(Algorithm));
	for (size_t i = 0; i < count; i++)
	{
		algorithms[i] = keys.keys[i].algorithm;
		ids[i] = keys.keys[i].id == NULL ? NULL : pstrdup(keys.keys[i].id);
	}
	keys_free(&keys);
	for (size_t i = 0; i < count; i++)
	{
		Datum values[2] = {(Datum) 0, CStringGetTextDatum(algorithm_name(algorithms[i]))};
		bool nulls[2] = {ids[i] == NULL, false};

		if (ids[i] != NULL)
			values[0] = CStringGetTextDatum(ids[i]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
