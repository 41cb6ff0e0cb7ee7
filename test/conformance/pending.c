/*
 * pending.c: cases of kind `trace`: updates that arrive before what they build on, and the state
 * of the document after each.
 */
#include "kinds.h"

#include <stdio.h>
#include <stdlib.h>

void
run_trace(Case *c)
{
	const json_t *trace = json_object_get(c->json, "trace");
	CrdtDoc *doc = receiver_open(c, (Receiver){.roots = json_object_get(c->json, "roots")});
	size_t count;
	CrdtBytes *updates = case_inputs(c, json_object_get(c->json, "updates"), &count);

	for (size_t i = 0; doc != NULL && i < json_array_size(trace); i++)
	{
		const json_t *step = json_array_get(trace, i);
		size_t index = (size_t) json_number_value(json_object_get(step, "apply"));
		CrdtApplied applied = {0};

		snprintf(c->where, sizeof c->where, "step %zu", i);
		if (index >= count || !receiver_apply(c, doc, updates[index], CRDT_V1, &applied))
		{
			case_fail(c, "step", "update %zu cannot be applied", index);
			break;
		}
		expect_state(c, doc, step);
		case_expect_true(c, "waiting", applied.waiting == crdt_doc_is_waiting(doc),
						 "crdt_doc_apply and crdt_doc_is_waiting differ");
	}
	c->where[0] = 0;
	if (doc != NULL)
		expect_roots(c, doc, json_object_get(c->json, "roots_after"), true);
	crdt_doc_free(doc);
	free(updates);
}
