/*
 * bucket.c: buckets that fill with time.
 */
#include "bucket.h"

#include "loop.h"

static void
fill(Bucket *bucket, double rate)
{
	double now = loop_now();

	bucket->taken -= (now - bucket->at) * rate;
	if (bucket->taken < 0.0)
		bucket->taken = 0.0;
	bucket->at = now;
}

bool
bucket_take(Bucket *bucket, double amount, double rate, double burst)
{
	if (rate <= 0.0)
		return true;
	fill(bucket, rate);
	bucket->taken += amount;
	return bucket->taken <= burst;
}

bool
bucket_has(Bucket *bucket, double amount, double rate, double burst)
{
	if (rate <= 0.0)
		return true;
	fill(bucket, rate);
	return bucket->taken + amount <= burst;
}

bool
bucket_is_full(Bucket *bucket, double rate)
{
	if (rate <= 0.0)
		return true;
	fill(bucket, rate);
	return bucket->taken <= 0.0;
}
