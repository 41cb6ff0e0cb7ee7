/*
 * subscript.c: doc['board']['cards'][0]: what is at a path, as jsonb.
 *
 * Reading only: an assignment would have to say which client edits, and UPDATE t SET doc =
 * ydoc_set(doc, ...) says the same.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
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

/* Each subscript as text: keys are, and indices are digits. */
static Node *
transform_subscript(ParseState *pstate, Node *subscript)
{
	Node *expression = transformExpr(pstate, subscript, pstate->p_expr_kind);
	Node *text = coerce_to_target_type(pstate, expression, exprType(expression), TEXTOID, -1,
									   COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);

	if (text == NULL)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("a document's subscript must be a key or an index"),
						parser_errposition(pstate, exprLocation(expression))));
	return text;
}

static void
transform(SubscriptingRef *reference, List *indirection, ParseState *pstate, bool is_slice,
		  bool is_assignment)
{
	ListCell *cell;

	if (is_slice)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("documents have no slices")));
	if (is_assignment)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a document cannot be assigned to by subscript"),
						errhint("SET doc = ydoc_set(doc, ARRAY['root', 'key'], value)")));
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

static void
fetch(ExprState *state, ExprEvalStep *step, ExprContext *context)
{
	SubscriptingRefState *subscripts = step->d.sbsref.state;
	Path path = {palloc(sizeof(CrdtBytes) * subscripts->numupper), subscripts->numupper};
	Jsonb *json;

	bridge_require_utf8();
	for (int i = 0; i < subscripts->numupper; i++)
		path.steps[i] = bridge_view(DatumGetTextPP(subscripts->upperindex[i]));
	json = get_path(ydoc_value_of(*step->resvalue)->doc, &path);
	*step->resnull = json == NULL;
	*step->resvalue = PointerGetDatum(json);
}

static void
set_up(const SubscriptingRef *reference, SubscriptingRefState *state, SubscriptExecSteps *steps)
{
	steps->sbs_check_subscripts = check_subscripts;
	steps->sbs_fetch = fetch;
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
