/*
 * measure.h: what the core's benchmarks share: a clock, medians, and ends of the program when
 * something is wrong, for a fast wrong answer is none.
 */
#ifndef BENCH_CORE_MEASURE_H
#define BENCH_CORE_MEASURE_H

#include "../../extension/crdt/document.h"
#include "../../extension/crdt/update.h"

/* Short work is done once to warm up, then this often; its median counts. */
#define REPEATS 9

double now_ms(void);

/* Sorts the values. */
double median(double *values, size_t count);

/* Ends the program unless status is CRDT_OK. */
void must(CrdtStatus status, const CrdtError *error);
void must_equal(const char *what, CrdtBytes got, CrdtBytes expected);

/* Ends the program if there is no memory. */
CrdtDoc *new_doc(const CrdtHost *host, const CrdtDocOptions *options);

/* FNV-1a, 32 bits: programs in other languages compare their results by it. */
uint32_t hash_bytes(CrdtBytes bytes);

/* The state vector of someone who knows the first nine tenths of what each client wrote. */
void returning_client(const CrdtHost *host, CrdtBytes state, CrdtBuffer *out);

#endif
