/*
 * histogram.c: durations in buckets (histogram.h).
 */
#include "histogram.h"

/* Below 64 each value has a bucket; above, the top six bits below the highest choose. */
static unsigned
bucket_of(uint64_t value)
{
	if (value < HISTOGRAM_STEPS)
		return (unsigned) value;
	unsigned shift = 63 - (unsigned) __builtin_clzll(value) - 6;
	unsigned bucket =
		(shift + 1) * HISTOGRAM_STEPS + (unsigned) ((value >> shift) & (HISTOGRAM_STEPS - 1));

	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t
value_of(unsigned bucket)
{
	if (bucket < HISTOGRAM_STEPS)
		return bucket;
	unsigned shift = bucket / HISTOGRAM_STEPS - 1;

	return ((uint64_t) HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift;
}

void
histogram_add(Histogram *histogram, uint64_t ns)
{
	histogram->counts[bucket_of(ns)]++;
	histogram->count++;
	if (ns > histogram->max_ns)
		histogram->max_ns = ns;
}

double
histogram_quantile_ms(const Histogram *histogram, double quantile)
{
	uint64_t wanted = (uint64_t) (quantile * (double) histogram->count);
	uint64_t seen = 0;

	for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
	{
		seen += histogram->counts[bucket];
		if (seen > wanted)
			return (double) value_of(bucket) / 1e6;
	}
	return (double) histogram->max_ns / 1e6;
}
