/*
 * clock.h: time, which passes when the input says so; libev's timers.
 */
#ifndef FUZZ_CLOCK_H
#define FUZZ_CLOCK_H

#include <stdint.h>

#define CLOCK_WALL INT64_C(2000000000) /* what the clock on the wall says at the beginning */

void clock_begin(void);

/* Aborts if somebody who has gone still has a timer. */
void clock_end(void);

/* Whatever is due until then is called, in its order. */
void clock_pass(double seconds);

#endif
