/*
 * A bucket: how much of something somebody may have at once, and how fast he gets more.
 *
 *     if (!bucket_take(&bucket, 1.0, rate, burst)) ...       taken all the same, but now he has debts
 *
 * It fills at rate a second, up to burst.  A rate of 0: there is no limit.
 */
#ifndef RELAY_BUCKET_H
#define RELAY_BUCKET_H

#include <stdbool.h>

typedef struct Bucket /* {0} is a full one */
{
	double taken; /* of the burst; more than that is debt */
	double at; /* when that was */
} Bucket;

/* Takes amount, whether it is there or not; false if the bucket is in debt now. */
bool bucket_take(Bucket *bucket, double amount, double rate, double burst);

/* So much is there. */
bool bucket_has(Bucket *bucket, double amount, double rate, double burst);

/* Nothing is missing, so it may be forgotten. */
bool bucket_is_full(Bucket *bucket, double rate);

#endif
