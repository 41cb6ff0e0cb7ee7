/*
 * board.c: cells of shared memory.
 *
 * Here: who may write what, adding up.  Not here: starting and ending processes (supervisor.c).
 */
#include "board.h"

#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CELLS (2 * BOARD_WORKERS + 1)
#define TRIES 1000

typedef struct BoardCell
{
	int32_t state; /* BoardState */
	int32_t worker;
	uint64_t relay;
	double beaten_at;
	MetricsCell metrics;
} BoardCell;

typedef struct Board
{
	uint64_t size; /* of this struct: a program of another version does not fit */
	uint32_t moves; /* odd while the supervisor moves counters */
	int32_t worker_count;
	uint64_t gone_relays[BOARD_WORKERS];
	MetricsCell ended[BOARD_WORKERS]; /* what processes counted that have ended */
	BoardCell cells[CELLS];
} Board;

static Board *board;
static BoardCell *own;

static void collect(MetricsCell *sums, int *workers);

int
board_create(int worker_count)
{
	int fd = memfd_create("ydoc-relay", 0);

	if (fd < 0 || ftruncate(fd, sizeof *board) != 0)
		return -1;
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (board == MAP_FAILED)
		return -1;
	board->size = sizeof *board;
	board->worker_count = worker_count;
	return fd;
}

int
board_take_cell(int worker)
{
	for (int i = 0; i < CELLS; i++)
	{
		BoardCell *cell = &board->cells[i];

		if (cell->state != BOARD_FREE)
			continue;
		memset(cell, 0, sizeof *cell);
		cell->worker = worker;
		cell->beaten_at = metrics_clock();
		__atomic_store_n(&cell->state, BOARD_STARTING, __ATOMIC_RELEASE);
		return i;
	}
	abort(); /* a worker has two processes at most */
}

void
board_give_back(int number, bool in_order)
{
	BoardCell *cell = &board->cells[number];

	__atomic_add_fetch(&board->moves, 1, __ATOMIC_SEQ_CST);
	metrics_cell_add(&board->ended[cell->worker - 1], &cell->metrics, false);
	__atomic_store_n(&cell->state, BOARD_FREE, __ATOMIC_RELEASE);
	__atomic_add_fetch(&board->moves, 1, __ATOMIC_SEQ_CST);
	if (!in_order)
	{
		board->ended[cell->worker - 1].values[METRIC_WORKER_FAILURES]++;
		board->gone_relays[cell->worker - 1] = cell->relay;
	}
}

BoardState
board_state_of(int cell)
{
	return (BoardState) __atomic_load_n(&board->cells[cell].state, __ATOMIC_ACQUIRE);
}

double
board_beaten_at(int cell)
{
	return board->cells[cell].beaten_at;
}

bool
board_join(int fd, int cell)
{
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (board == MAP_FAILED || board->size != sizeof *board || cell < 0 || cell >= CELLS)
	{
		board = NULL;
		return false;
	}
	own = &board->cells[cell];
	metrics_use_cell(&own->metrics);
	return true;
}

void
board_set_state(BoardState state)
{
	if (own != NULL)
		__atomic_store_n(&own->state, (int32_t) state, __ATOMIC_RELEASE);
}

void
board_set_relay(uint64_t relay)
{
	if (own != NULL)
		own->relay = relay;
}

void
board_beat(void)
{
	if (own != NULL)
		own->beaten_at = metrics_clock();
}

uint64_t
board_predecessor(void)
{
	if (own == NULL)
		return 0;
	return __atomic_exchange_n(&board->gone_relays[own->worker - 1], 0, __ATOMIC_ACQ_REL);
}

bool
board_is_joined(void)
{
	return own != NULL;
}

bool
board_is_replacement(void)
{
	for (int i = 0; own != NULL && i < CELLS; i++)
		if (board_state_of(i) == BOARD_READY && board->cells[i].worker == own->worker)
			return true;
	return false;
}

bool
board_is_ready(bool only_one_is)
{
	uint64_t ready = 0;

	if (board == NULL)
		return only_one_is;
	for (int i = 0; i < CELLS; i++)
		if (board_state_of(i) == BOARD_READY)
			ready |= UINT64_C(1) << (board->cells[i].worker - 1);
	return ready == UINT64_MAX >> (64 - board->worker_count);
}

char *
board_metrics_text(void)
{
	static MetricsCell sums[BOARD_WORKERS];
	int workers[BOARD_WORKERS];
	uint32_t moves;

	if (board == NULL)
		return metrics_text(metrics_cell(), NULL, 1);
	for (int i = 0; i < TRIES; i++)
	{
		moves = __atomic_load_n(&board->moves, __ATOMIC_SEQ_CST);
		collect(sums, workers);
		if (moves % 2 == 0 && moves == __atomic_load_n(&board->moves, __ATOMIC_SEQ_CST))
			break;
		sched_yield(); /* some counters would be missing, or there twice */
	}
	return metrics_text(sums, workers, board->worker_count);
}

static void
collect(MetricsCell *sums, int *workers)
{
	for (int i = 0; i < board->worker_count; i++)
	{
		workers[i] = i + 1;
		sums[i] = board->ended[i];
	}
	for (int i = 0; i < CELLS; i++)
		if (board_state_of(i) != BOARD_FREE)
			metrics_cell_add(&sums[board->cells[i].worker - 1], &board->cells[i].metrics, true);
	for (int i = 0; i < CELLS; i++) /* a sum of times would be none */
	{
		const BoardCell *cell = &board->cells[i];

		if (board_state_of(i) == BOARD_READY)
			sums[cell->worker - 1].values[METRIC_START_TIME] =
				cell->metrics.values[METRIC_START_TIME];
	}
}
