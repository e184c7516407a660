/* SPDX-License-Identifier: Apache-2.0 */
#include "util/terminal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/utf8.h"

static void put(FILE *stream, const char *text, bool newlines)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t left = strlen(text);
    while (left) {
        size_t length = utf8_length(p, left);
        bool c1 = length == 2 && p[0] == 0xc2 && p[1] < 0xa0;
        bool bidi = length == 3 && p[0] == 0xe2 &&
                    ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
                     (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
        if (length == 0 || c1 || bidi || ((*p < 0x20 || *p == 0x7f) && !(newlines && *p == '\n'))) {
            size_t bad = length ? length : 1;
            for (size_t i = 0; i < bad; i++)
                fprintf(stream, "\\x%02x", p[i]);
            p += bad, left -= bad;
            continue;
        }
        fwrite(p, 1, length, stream);
        p += length, left -= length;
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

void progress_start(struct progress *progress, const char *what, bool quiet)
{
    *progress = (struct progress){
        .what = what, .shown = !quiet && isatty(STDERR_FILENO), .started_ms = clock_elapsed_ms()};
}

void progress_update(void *context, size_t done, size_t total)
{
    struct progress *progress = context;
    long long now = clock_elapsed_ms();
    if (!progress->shown || (now - progress->drawn_ms < 100 && done < total))
        return;
    progress->drawn_ms = now;
    double seconds = (double)(now - progress->started_ms) / 1000;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    fprintf(stderr, "\r\033[K%s: %zu of %zu", progress->what, done, total);
    if (rate > 0)
        fprintf(stderr, ", %.1f/s, %.0f s left", rate, (double)(total - done) / rate);
    fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
}
