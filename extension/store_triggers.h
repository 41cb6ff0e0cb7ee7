/*
 * store_triggers.h: AFTER triggers of documents and log, when updates are written (batch_rows.c, store_edit.c).
 *
 * That changes rows of both tables.  Their triggers wait until both are written, so a trigger that reads a
 * document finds whole what it was told of, whichever table it is on:
 *
 *     held = store_triggers_hold();
 *     ... store_triggers_execute(plan, values), or table access:
 *         target = store_triggers_target_documents(held, documents, columns);
 *         store_triggers_updated(held, target, &old_place, slot, NIL);
 *     store_triggers_fire(held);                    queued in the order of the rows; of one row, in that of names
 *
 * By table access, what a statement would queue is queued by the executor's own functions: conditions
 * (WHEN, UPDATE OF), session_replication_role and deferral are theirs.  Only such checks of foreign keys are
 * left out as cannot fail, for they cost more than the row.
 */
#ifndef YDOC_STORE_TRIGGERS_H
#define YDOC_STORE_TRIGGERS_H

#include "postgres.h"

#include "executor/spi.h"
#include "utils/rel.h"

/* May rows be written by table access?  Not if somebody has triggers that come before the row, are those of the
 * statement, or want to see all its rows.  command: CMD_INSERT or CMD_UPDATE. */
bool store_triggers_permit_rows(Relation table, CmdType command);

/* From here on they wait.  An error drops what was queued. */
EState *store_triggers_hold(void);

/* Runs a statement without those of its own: they wait, too.  As SPI_execute_plan, for writing. */
int store_triggers_execute(SPIPlanPtr plan, Datum *values);

/* Fires those that are not deferred; the state is gone, and what targets had open is closed. */
void store_triggers_fire(EState *held);

/* ---- by table access ---- */

/* Does changing these columns concern any trigger?  Columns as the executor counts them, from
 * FirstLowInvalidHeapAttributeNumber on. */
bool store_triggers_follow_update(Relation documents, const Bitmapset *columns);

/* Tables as the executor knows them, with the triggers that a row of ours can concern.  One of each.  Of the
 * log's foreign key to the documents' column of that number, the rows are locked. */
ResultRelInfo *
store_triggers_target_documents(EState *held, Relation documents, const Bitmapset *columns);
ResultRelInfo *
store_triggers_target_log(EState *held, Relation log, Relation documents, AttrNumber name_column);

/* A row was written, and its index entries: those of deferred constraints (recheck) are to be checked. */
void store_triggers_updated(EState *held, ResultRelInfo *documents, ItemPointer old_place,
							TupleTableSlot *slot, List *recheck);
void store_triggers_inserted(EState *held, ResultRelInfo *log, TupleTableSlot *slot, List *recheck);

#endif
