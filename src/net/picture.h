/* SPDX-License-Identifier: Apache-2.0 */
/*
 * picture.h: a transcript drawn as a sequence of arrows between a device and its TAM.
 *
 *     AUTO(picture) *p = picture_read(text, "session.jsonl", keys, err);
 *     AUTO(buffer) *svg = picture_svg(p);
 *
 * What the three renderings say is the same, and is put together once, as rows. Everything in a
 * transcript may be hostile: each rendering escapes for its own form.
 */
#ifndef OTRP_NET_PICTURE_H
#define OTRP_NET_PICTURE_H

#include "jose/key_set.h"
#include "util/limits.h"

enum picture_facts { PICTURE_FACTS = 6 };

/* An arrow. Texts are owned by the row. */
struct picture_row {
    bool to_tam;                /* from the device to the TAM, or the other way */
    bool from_proxy;            /* the proxy's own answer: the TAM did not say it */
    bool failed;                /* an error of HTTP, of the network or of OTrP */
    bool lost;                  /* nothing came */
    bool begins;                /* a session: the device has said nothing yet */
    double at_ms;               /* since the first row; NAN when not known */
    char title[80];             /* "GetDeviceStateRequest" */
    char *facts[PICTURE_FACTS]; /* "200", "pass", "tid 0QZ...", "6,197 bytes", "1.3 ms"; or NULL */
    char *note;                 /* a line more: why it failed, what is in it; or NULL */
    char *whole;                /* rid, tid and the rest uncut, a line each */
    char *peer;                 /* who the client is, when there are several; or NULL */
};

typedef struct picture {
    struct picture_row *rows;
    size_t count, capacity;
    size_t failures;
    bool has_proxy;
    bool cut;         /* the transcript ends within a line */
    char *url, *date; /* of the first row that has them, or NULL */
    double last_ms;   /* at_ms of the last row */
} picture;

/* Reads a transcript; keys (or NULL) open what is encrypted. RC_MALFORMED when it is none, or has
 * more than LIMIT_PICTURE_ROWS entries. */
picture *picture_read(struct span text, const char *name, const key_set *keys,
                      struct error *err) MUST_CHECK;
void picture_free(picture *p);

/* NULL without memory. */
buffer *picture_svg(const picture *p);     /* stands alone: no script, no font, no link */
buffer *picture_text(const picture *p);    /* 80 columns */
buffer *picture_mermaid(const picture *p); /* a sequenceDiagram */

/* Appends text as anybody may see it: control characters as \xNN, and as much of it as fits into
 * most columns, with an ellipsis where it is cut. Returns the columns taken. */
size_t picture_put_clean(buffer *out, const char *text, size_t most);

/* "8 messages in 25.1 ms", "8 messages in 25.1 ms, 1 failed". */
void picture_put_total(buffer *out, const picture *p);

AUTO_DEFINE(picture, picture_free)

#endif
