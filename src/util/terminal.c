/* SPDX-License-Identifier: Apache-2.0 */
#include "util/terminal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/utf8.h"
#include "util/work.h"

static void put(FILE *stream, const char *text, bool newlines)
{
    const uint8_t *p = (const uint8_t *)text;
    for (size_t left = strlen(text), size; left; p += size, left -= size) {
        size_t length = utf8_length(p, left);
        size = length ? length : 1;
        if (length && (!utf8_is_unruly(p, length) || (newlines && *p == '\n')))
            fwrite(p, 1, length, stream);
        else
            for (size_t i = 0; i < size; i++)
                fprintf(stream, "\\x%02x", p[i]);
    }
}

void terminal_put(FILE *stream, const char *text)
{
    put(stream, text, true);
}

void terminal_put_line(FILE *stream, const char *text)
{
    put(stream, text, false);
}

bool terminal_colours(FILE *stream, const char *choice)
{
    if (choice && strcmp(choice, "always") == 0)
        return true;
    if (choice && strcmp(choice, "never") == 0)
        return false;
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return !(no && *no) && isatty(fileno(stream)) && term && strcmp(term, "dumb") != 0;
}

enum { LATE_MS = 1000, FRAME_MS = 100 };

void progress_start(struct progress *progress, const char *what, bool quiet)
{
    long long now = clock_elapsed_ms();
    *progress = (struct progress){.what = what,
                                  .wanted = !quiet && isatty(STDERR_FILENO),
                                  .visible_ms = now,
                                  .started_ms = now};
}

void progress_start_late(struct progress *progress, const char *what, bool quiet)
{
    progress_start(progress, what, quiet);
    progress->visible_ms += LATE_MS;
}

/* total 0: not known. */
static void draw(struct progress *progress, double done, double total, const char *unit)
{
    long long now = clock_elapsed_ms();
    if (!progress->wanted || now < progress->visible_ms ||
        (now - progress->drawn_ms < FRAME_MS && (done < total || total <= 0)))
        return;
    progress->drawn_ms = now;
    progress->drawn = true;
    double seconds = (double)(now - progress->started_ms) / 1000;
    double rate = seconds > 0 ? done / seconds : 0;
    fprintf(stderr, "\r\033[K%s: %.0f", progress->what, done);
    if (total > 0)
        fprintf(stderr, " of %.0f", total);
    fprintf(stderr, "%s", unit);
    if (rate > 0)
        fprintf(stderr, ", %.1f%s/s", rate, unit);
    if (rate > 0 && total > 0)
        fprintf(stderr, ", %.0f s left", (total - done) / rate);
    fflush(stderr);
}

void progress_update(void *context, size_t done, size_t total)
{
    draw(context, (double)done, (double)total, "");
}

void progress_end(struct progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}

static struct progress watched; /* what is NULL between two works */

static void watch(const struct work *work)
{
    if (!work) {
        progress_end(&watched);
        watched.what = NULL;
        return;
    }
    if (work->total && work->total <= WORK_PART_BYTES)
        return; /* it is done before it could be read */
    if (!watched.what) {
        watched.what = work->what;
        watched.started_ms = clock_elapsed_ms();
    }
    draw(&watched, (double)work->done / 1e6, (double)work->total / 1e6, " MB");
}

void progress_watch(bool quiet)
{
    progress_start_late(&watched, NULL, quiet);
    if (watched.wanted)
        work_watcher = watch;
}
