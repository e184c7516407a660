/* SPDX-License-Identifier: Apache-2.0 */
/* terminal.h: what a person sees: text that cannot move the cursor, colour, progress. */
#ifndef OTRP_UTIL_TERMINAL_H
#define OTRP_UTIL_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/* As terminal_put, with newlines shown as \x0a, too: for a line that quotes foreign text. */
void terminal_put_line(FILE *stream, const char *text);

/* Writes text to stream with control characters, also those of C1, and broken UTF-8 shown as \xNN;
 * a newline stays. */
void terminal_put(FILE *stream, const char *text);

/* Whether to colour stream: choice is "always", "never", or NULL or "auto" for a terminal without
 * NO_COLOR. */
bool terminal_colours(FILE *stream, const char *choice);

/*
 * A line on standard error that says how far long work has come: how much, how fast, how long it
 * will take. Only on a terminal, drawn anew ten times a second at most, and gone at the end.
 */
struct progress {
    const char *what;     /* "keys" */
    bool wanted;          /* there is somebody to see it */
    bool drawn;           /* it is there now */
    long long visible_ms; /* nothing is drawn before; this and the others by clock_elapsed_ms */
    long long started_ms; /* for the rate */
    long long drawn_ms;
};

void progress_start(struct progress *progress, const char *what, bool quiet);
/* The same, for what is mostly done at once: nothing is drawn before a second has passed. */
void progress_start_late(struct progress *progress, const char *what, bool quiet);
void progress_update(void *progress, size_t done, size_t total); /* fits a callback */
void progress_end(struct progress *progress);

/* From now on the work on bytes (work.h) is shown, unless quiet. For a command of one thread. */
void progress_watch(bool quiet);

#endif
