/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect_report.h: what otrp inspect tells of one thing: layers of rows, verdicts, deviations,
 * hints; as JSON (otrp-inspect(1)) or as aligned text. Nothing that came from outside can move the
 * cursor or colour a terminal, and key material is left out unless it was asked for.
 *
 *     item_begin(report, "message", "CreateSDRequest");
 *     struct layer layer = layer_add(report, "payload", "%zu bytes", size);
 *     row_text(&layer, "ver", value->string, TONE_PLAIN);
 *     item_print(report, stdout, colours);
 */
#ifndef OTRP_APPLETS_INSPECT_REPORT_H
#define OTRP_APPLETS_INSPECT_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "util/buffer.h"

enum tone { TONE_PLAIN, TONE_GOOD, TONE_BAD, TONE_NOTE, TONE_DIM };

typedef struct report {
    json_t *item;       /* that is being made, or NULL */
    size_t value_bytes; /* longer values are cut */
    bool secrets;       /* show key material */
    size_t deviations, items;
} report;

/* A layer that rows are put into; borrowed from the item. */
struct layer {
    report *report;
    json_t *rows;
    unsigned depth;
    size_t left; /* rows that it may still have */
};

/* Begins an item; name may be NULL. */
void item_begin(report *r, const char *kind, const char *name);

struct layer layer_add(report *r, const char *title, const char *format, ...) PRINTF_LIKE(3, 4);

/* A row with a value that came from outside: text that is cut when it is long, bytes shown as
 * hexadecimal. Returns the row, borrowed, or NULL when there is room for no more. */
json_t *row_text(struct layer *layer, const char *path, struct span text, enum tone tone);
json_t *row_bytes(struct layer *layer, const char *path, struct span bytes, enum tone tone);
/* A row in our own words. */
json_t *row_words(struct layer *layer, const char *path, enum tone tone, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* A row for key material: what it is, unless the report shows secrets. */
void row_secret(struct layer *layer, const char *path, struct span text);

void verdict_add(report *r, const char *check, const char *verdict, const char *format, ...)
    PRINTF_LIKE(4, 5);
void deviation_add(report *r, const char *path, const char *section, const char *format, ...)
    PRINTF_LIKE(4, 5);
void hint_add(report *r, const char *format, ...) PRINTF_LIKE(2, 3);

/* Writes the item as text. */
void item_print(const report *r, FILE *out, bool colours);

#endif
