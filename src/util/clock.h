/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h: the one time by which everything is judged and dated: --now, else SOURCE_DATE_EPOCH,
 * else the wall clock. Times are seconds since 1970-01-01T00:00:00Z.
 */
#ifndef OTRP_UTIL_CLOCK_H
#define OTRP_UTIL_CLOCK_H

#include <stdbool.h>
#include <time.h>

#include "util/error.h"

enum {
    DAY_SECONDS = 86400,
    FILE_TICK_NS = 20000000 /* longer than a tick of the clock by which files are dated */
};

struct clock {
    bool fixed;
    time_t at; /* when fixed */
};

/* now: NULL, "2026-11-21T10:00:00Z", "2026-11-21" or "@1790000000"; RC_USAGE for anything else. */
bool clock_open(struct clock *clock, const char *now, struct error *err) MUST_CHECK;
time_t clock_now(const struct clock *clock);

/* "2026-11-21T10:00:00Z", written to text. */
void time_format(time_t at, char text[32]);

/* Milliseconds of a clock that never goes back: for durations and deadlines. */
long long clock_elapsed_ms(void);
/* The same with its fraction, for what is told to people. */
double clock_precise_ms(void);

#endif
