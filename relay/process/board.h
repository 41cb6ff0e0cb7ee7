/*
 * The board: memory that a supervisor and its workers share.
 *
 *     supervisor: board_create(4), cell = board_take_cell(worker), ..., board_give_back(cell)
 *     worker:     board_join(fd, cell), board_set_state(BOARD_READY), board_beat()
 *
 *     worker 1   cell 0   ready      pid 712   counters …
 *     worker 2   cell 1   draining   pid 713   counters …        while one is replaced by another,
 *     worker 2   cell 4   ready      pid 901   counters …        both count
 *
 * A process writes only to its own cell; what a process counted that has ended is kept by the
 * supervisor, so that counters never go back.  Without a supervisor there is no board, and all of
 * these do what is right for a single process.
 */
#ifndef RELAY_BOARD_H
#define RELAY_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "metrics.h"

enum
{
	BOARD_WORKERS = 64
};

typedef enum BoardState
{
	BOARD_FREE,
	BOARD_STARTING,
	BOARD_READY,
	BOARD_DRAINING
} BoardState;

/* ---- the supervisor's side ---- */

/* Its file descriptor, to be inherited; -1 when out of memory. */
int board_create(int worker_count);

/* A cell for a process that is about to start as this worker (counted from 1). */
int board_take_cell(int worker);

/* The process has ended; not in order: others do not know that its relay is gone. */
void board_give_back(int cell, bool in_order);

BoardState board_state_of(int cell);

/* metrics_clock() when it last turned; its beginning counts as a turn. */
double board_beaten_at(int cell);

/* ---- a worker's side ---- */

/* False if the board is of another version. */
bool board_join(int fd, int cell);

void board_set_state(BoardState state);
void board_set_relay(uint64_t relay);
void board_beat(void);

/* The relay number of the process whose place this one takes, if that ended in no order; else 0. */
uint64_t board_predecessor(void);

/* There is a supervisor. */
bool board_is_joined(void);

/* This process is to replace one that still serves. */
bool board_is_replacement(void);

/* Every worker has a process that is ready: whoever drains has been replaced.  Without a board it
 * is as the only process says. */
bool board_is_ready(bool only_one_is);

/* OpenMetrics text of all workers; the caller frees it. */
char *board_metrics_text(void);

#endif
