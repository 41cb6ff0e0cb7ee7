/*
 * histogram.h: durations in buckets of 1.6 % width, for percentiles of millions of them.
 */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS 64 /* buckets in each doubling */
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * 40)

typedef struct Histogram
{
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t count;
	uint64_t max_ns;
} Histogram;

void histogram_add(Histogram *histogram, uint64_t ns);

/* In milliseconds; quantile 0 to 1. */
double histogram_quantile_ms(const Histogram *histogram, double quantile);

#endif
