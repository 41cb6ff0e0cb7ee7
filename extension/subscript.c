/*
 * subscript.c: doc['board']['cards'][0]: what is at a path, as jsonb; assigned to, it is ydoc_set.
 *
 *     UPDATE pages SET doc['board']['open'] = 'true', doc['board']['n'] = '1';    -- decoded once
 *     doc['board']['n'] := to_jsonb(i);                   -- in a loop of PL/pgSQL: not decoded at all
 *
 * The planner takes subscripting to be immutable and may do INSERT INTO pages (doc['board']) VALUES
 * ('{}') once for many executions.  All get the same document then, as if it had been copied: edits
 * of one of them take a client id of their own.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/execExpr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/subscripting.h"
#include "parser/parse_coerce.h"
#include "parser/parse_expr.h"
#include "utils/builtins.h"

#include "bridge.h"
#include "edit.h"
#include "value.h"

static bool
is_key_or_index(Oid type)
{
	return type == UNKNOWNOID || type == INT2OID || type == INT4OID || type == INT8OID ||
		   TypeCategory(type) == TYPCATEGORY_STRING;
}

/* Each subscript as text: keys are, and indices are digits. */
static Node *
transform_subscript(ParseState *pstate, Node *subscript)
{
	Node *expression = transformExpr(pstate, subscript, pstate->p_expr_kind);
	Oid type = exprType(expression);

	if (!is_key_or_index(type))
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("a document's subscript must be a key or an index, not of type %s",
							   format_type_be(type)),
						parser_errposition(pstate, exprLocation(expression))));
	return coerce_to_target_type(pstate, expression, type, TEXTOID, -1, COERCION_ASSIGNMENT,
								 COERCE_IMPLICIT_CAST, -1);
}

static void
transform(SubscriptingRef *reference, List *indirection, ParseState *pstate, bool is_slice,
		  bool is_assignment)
{
	ListCell *cell;

	if (is_slice)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("documents have no slices"),
						errhint("A subscript is one key or index: doc['cards'][0].")));
	foreach (cell, indirection)
	{
		A_Indices *indices = lfirst_node(A_Indices, cell);

		reference->refupperindexpr =
			lappend(reference->refupperindexpr, transform_subscript(pstate, indices->uidx));
	}
	reference->refrestype = JSONBOID;
	reference->reftypmod = -1;
}

/* A subscript that is NULL leads nowhere. */
static bool
check_subscripts(ExprState *state, ExprEvalStep *step, ExprContext *context)
{
	SubscriptingRefState *subscripts = step->d.sbsref_subscript.state;

	for (int i = 0; i < subscripts->numupper; i++)
		if (subscripts->upperindexnull[i])
		{
			*step->resnull = true;
			return false;
		}
	return true;
}

/* Where an assignment leads must be known. */
static bool
require_subscripts(ExprState *state, ExprEvalStep *step, ExprContext *context)
{
	SubscriptingRefState *subscripts = step->d.sbsref_subscript.state;

	for (int i = 0; i < subscripts->numupper; i++)
		if (subscripts->upperindexnull[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("a document's subscript must not be null in an assignment"),
							errdetail("It is subscript %d of %d.", i + 1, subscripts->numupper)));
	return true;
}

static Path
path_of_subscripts(const SubscriptingRefState *subscripts)
{
	Path path = {palloc(sizeof(CrdtBytes) * subscripts->numupper), subscripts->numupper};

	for (int i = 0; i < subscripts->numupper; i++)
		path.steps[i] = bridge_view(DatumGetTextPP(subscripts->upperindex[i]));
	return path;
}

static void
fetch(ExprState *state, ExprEvalStep *step, ExprContext *context)
{
	Path path = path_of_subscripts(step->d.sbsref.state);
	Jsonb *json;

	bridge_require_utf8();
	json = get_path(ydoc_value_of(*step->resvalue)->doc, &path);
	*step->resnull = json == NULL;
	*step->resvalue = PointerGetDatum(json);
}

/* As of jsonb: NULL stores null, and no document is an empty one. */
static void
assign(ExprState *state, ExprEvalStep *step, ExprContext *context)
{
	const SubscriptingRefState *subscripts = step->d.sbsref.state;
	Path path = path_of_subscripts(subscripts);
	JsonbValue null = {.type = jbvNull};
	const Jsonb *json = subscripts->replacenull ? JsonbValueToJsonb(&null)
												: DatumGetJsonbP(subscripts->replacevalue);
	YdocValue *value;

	bridge_require_utf8();
	value = *step->resnull ? ydoc_value_new(CurrentMemoryContext)
						   : ydoc_value_to_change(*step->resvalue);
	ydoc_value_edit_begin(value);
	set_path(value->doc, &path, json);
	ydoc_value_edit_end(value);
	*step->resvalue = ydoc_value_datum(value);
	*step->resnull = false;
}

static void
set_up(const SubscriptingRef *reference, SubscriptingRefState *state, SubscriptExecSteps *steps)
{
	steps->sbs_check_subscripts =
		reference->refassgnexpr != NULL ? require_subscripts : check_subscripts;
	steps->sbs_fetch = fetch;
	steps->sbs_assign = assign;
}

PG_FUNCTION_INFO_V1(ydoc_subscript);
Datum
ydoc_subscript(PG_FUNCTION_ARGS)
{
	static const SubscriptRoutines routines = {
		.transform = transform,
		.exec_setup = set_up,
		.fetch_strict = true,
		.fetch_leakproof = false,
		.store_leakproof = false,
	};

	PG_RETURN_POINTER(&routines);
}
