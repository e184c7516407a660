/* SPDX-License-Identifier: Apache-2.0 */
#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool parse_seconds(const char *text, time_t *at)
{
    errno = 0;
    *at = (time_t)strtoll(text, NULL, 10);
    return !errno && *text && text[strspn(text, "0123456789")] == '\0';
}

static bool parse_time(const char *text, time_t *at)
{
    if (text[0] == '@')
        return parse_seconds(text + 1, at);
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        /* strptime also takes blanks, numbers cut short and the 31st of February: what is read
         * must be what stands there. */
        struct tm tm = {0};
        char again[40];
        const char *end = strptime(text, forms[i], &tm);
        if (!end || *end)
            continue;
        *at = timegm(&tm);
        return *at >= 0 && gmtime_r(at, &tm) && strftime(again, sizeof again, forms[i], &tm) &&
               strcmp(again, text) == 0;
    }
    return false;
}

bool clock_open(struct clock *clock, const char *now, struct error *err)
{
    *clock = (struct clock){.fixed = false};
    if (now) {
        if (!parse_time(now, &clock->at)) {
            error_set(err, RC_USAGE, "--now: '%s' is no time", now);
            return error_hint(err, "write it as 2026-11-21T10:00:00Z, 2026-11-21 or @SECONDS");
        }
        clock->fixed = true;
        return true;
    }
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    if (epoch && *epoch) {
        if (!parse_seconds(epoch, &clock->at))
            return error_set(err, RC_USAGE, "SOURCE_DATE_EPOCH: '%s' is no number of seconds",
                             epoch);
        clock->fixed = true;
    }
    return true;
}

time_t clock_now(const struct clock *clock)
{
    return clock->fixed ? clock->at : time(NULL);
}

void time_format(time_t at, char text[32])
{
    struct tm tm;
    if (!gmtime_r(&at, &tm) || !strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
        strcpy(text, "?");
}

double clock_precise_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

long long clock_elapsed_ms(void)
{
    return (long long)clock_precise_ms();
}
