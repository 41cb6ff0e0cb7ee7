/*
 * plan.h: what applying an update is going to do, found out before anything is done.
 *
 * A plan decodes an update, orders its structs by dependency (FORMAT 7.5, step 2), decides what has
 * to wait, and reserves all memory.  Whatever can fail happens here and leaves the document as it
 * was; apply.c then carries the plan out and cannot fail.
 *
 * Structs that waited may have become applicable, so a plan has several passes: the update's own,
 * then one for what waited, and so on.
 */
#ifndef CRDT_PLAN_H
#define CRDT_PLAN_H

#include "item.h"
#include "pending.h"

/*
 * A struct of the update.  There may be many, and what they take is what a process pays for its first
 * document: 80 bytes, in which what excludes each other shares its place, and names are elsewhere.
 *
 * It comes with Yjs's client ids; once it is ordered (plan_order.c), .client of each id is the client's
 * number in the document, and root, key and name are numbers, too.
 */
typedef struct CrdtArrival
{
	uint64_t clock;
	uint64_t length;
	union
	{
		CrdtId origin; /* CRDT_HAS_ORIGIN */
		CrdtId parent_id; /* CRDT_PARENT_IS_ID */
		uint32_t root; /* CRDT_PARENT_IS_ROOT: type */
	};
	union
	{
		CrdtId right_origin; /* CRDT_HAS_RIGHT_ORIGIN */
		uint32_t key; /* CRDT_HAS_PARENT_SUB: name */
	};
	CrdtBytes content;
	uint32_t client;
	uint32_t names; /* in plan->names: the root's, parent_sub, and its own, as far as there are */
	uint32_t name;
	uint8_t kind;
	uint8_t flags;
	uint8_t type_ref;
	bool ascii;
} CrdtArrival;

/* Arrivals of one client in a row, in the order of integration. */
typedef struct CrdtStep
{
	size_t start;
	size_t end;
	uint64_t state; /* of the client, before them */
} CrdtStep;

/* Units that are known already; the length or more: all of it. */
static inline uint64_t
crdt_step_offset(const CrdtStep *step, const CrdtArrival *arrival)
{
	return step->state > arrival->clock ? step->state - arrival->clock : 0;
}

/* The structs and deletes of one update within the plan. */
typedef struct CrdtPass
{
	size_t step_start;
	size_t step_end;
	size_t delete_start; /* in plan->deletes */
	size_t delete_end;
} CrdtPass;

/* The arrivals of one client in the pass being planned. */
typedef struct CrdtArrivalRun
{
	uint64_t client_id;
	uint32_t client;
	size_t start;
	size_t at; /* next one to look at */
	size_t end;
	size_t rest_start; /* what has to wait */
	size_t rest_end;
	bool closed; /* nothing more of it is looked at */
} CrdtArrivalRun;

typedef struct CrdtPlan
{
	CrdtDoc *doc;
	CrdtError *error;
	CrdtArena scratch; /* values that were not canonical; updates that waited */

	CrdtArrival *arrivals;
	size_t arrival_count;
	size_t arrival_capacity;
	CrdtBytes *names; /* of arrivals */
	size_t name_count;
	size_t name_capacity;
	CrdtArrivalRun *runs;
	size_t run_count;
	size_t run_capacity;
	size_t *stack; /* suspended arrivals */
	size_t stack_count;
	size_t stack_capacity;
	CrdtStep *steps;
	size_t step_count;
	size_t step_capacity;
	size_t next_in_step; /* while ordering: the arrival that the last step could go on with */
	CrdtDeletedRange *deletes; /* to be applied: all of it is known by then */
	size_t delete_count;
	size_t delete_capacity;
	CrdtPass *passes;
	size_t pass_count;
	size_t pass_capacity;
	uint32_t *clients; /* those with is_planned */
	size_t client_count;
	size_t client_capacity;

	CrdtPending pending; /* structs that are going to wait, if pending_changed */
	CrdtBuffer late; /* if is_late: what joins the document's late updates */
	uint64_t late_structs;
	CrdtStateVector late_missing;
	CrdtIdSet late_ranges; /* of what has to wait, if much waits already */
	CrdtWaitingClient *rest_clients; /* what the update itself has wait, by client, descending */
	size_t rest_client_count;
	size_t rest_client_capacity;
	CrdtIdSet waiting_deletes; /* if deletes_changed: what the document's are going to be */
	CrdtIdSet fresh_deletes; /* of the pass being planned */
	CrdtUpdateWriter writer; /* of structs that have to wait */
	bool touches_waiting; /* something of the above that waits may be in use, or one of these: */
	bool pending_changed;
	bool is_late;
	bool rest_is_known; /* much waits, and what joins it does so already: no news */
	bool deletes_changed;
	bool adds_deletes; /* deletes of the update itself have to wait, and did not yet */
} CrdtPlan;

/* Makes the plan that the document uses again and again; NULL: no memory. */
CrdtPlan *crdt_plan_new(CrdtDoc *doc);
void crdt_plan_free(CrdtPlan *plan);
size_t crdt_plan_bytes(const CrdtPlan *plan);

/* Plans update and reserves what carrying it out takes; on failure the document is as it was.
 * confines: update is what confine.c has found to be news; NULL: any update. */
CRDT_MUST_CHECK CrdtStatus crdt_plan_make(CrdtPlan *plan, CrdtBytes update, CrdtFormat format,
										  const CrdtConfines *confines, CrdtError *error);

/* Has something of the first pass to wait? */
bool crdt_plan_has_rest(const CrdtPlan *plan);

/* crdt_doc_apply for somebody with these confines; NULL: anybody (apply.c). */
CRDT_MUST_CHECK CrdtStatus crdt_apply(CrdtDoc *doc, CrdtBytes update, CrdtFormat format,
									  const CrdtConfines *confines, CrdtApplied *applied,
									  CrdtError *error);

/* The end of that: memory for all steps and deletes (plan_reserve.c). */
CRDT_MUST_CHECK CrdtStatus crdt_plan_reserve(CrdtPlan *plan);

/* Forgets the plan; keeps a little memory for the next one. */
void crdt_plan_clear(CrdtPlan *plan);

/* Adds the plan's late update to what waits in the document.  Reserved. */
void crdt_plan_add_late(CrdtPlan *plan);

#endif
