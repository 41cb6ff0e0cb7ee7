/*
 * confine.h: updates of somebody who may change only what is under some roots (document.h,
 * CrdtConfines).
 *
 *     update ── what is news ──> plan ── each step: under which root? ──> carried out
 *                   └─ known, or waiting already: left out       └─ another one: refused
 */
#ifndef CRDT_CONFINE_H
#define CRDT_CONFINE_H

#include "plan.h"

/* Judges the first pass of a plan, just planned.  CRDT_FORBIDDEN: see the plan's error. */
CRDT_MUST_CHECK CrdtStatus crdt_confine_check(CrdtPlan *plan, const CrdtConfines *confines);

#endif
