/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transcript.h: what went over the wire, as JSON lines: an entry a message, bodies unchanged.
 *
 *     AUTO(transcript) *transcript = transcript_open("session.jsonl", false, err);
 *     if (!transcript || !transcript_put(transcript, &(struct transcript_entry){
 *             .direction = TRANSCRIPT_RESPONSE, .from = "tam", .to = "tee", .url = url,
 *             .status = answer.status, .headers = buffer_span(answer.headers),
 *             .body = buffer_span(answer.body), .elapsed_ms = answer.elapsed_ms }, err)) ...
 *
 * An entry is one line, appended with one write, so that it is there as soon as the message is and
 * entries of several threads or programs do not mix. Messages may tell secrets: the file is 0600.
 */
#ifndef OTRP_NET_TRANSCRIPT_H
#define OTRP_NET_TRANSCRIPT_H

#include "util/buffer.h"
#include "util/clock.h"

enum transcript_direction { TRANSCRIPT_REQUEST, TRANSCRIPT_RESPONSE };

struct transcript_entry {
    enum transcript_direction direction;
    const char *from, *to;     /* "tam", "tee", "proxy", or an address; NULL: left out */
    const char *via;           /* "proxy", who recorded it in between; NULL: left out */
    const char *peer;          /* address of the client; NULL: left out */
    unsigned long exchange;    /* a number that request and response share; 0: left out */
    const char *url;           /* NULL: left out */
    int status;                /* of a response; 0: left out */
    const char *error;         /* why there is no answer; NULL: left out */
    struct span headers;       /* as received; empty: left out */
    struct span body;          /* any bytes: "body" when they are UTF-8, else "body_base64" */
    size_t bytes;              /* of the body, when only its beginning is at hand; 0: all is */
    double elapsed_ms;         /* from request to response; 0: left out */
    const struct clock *clock; /* dates the entry; NULL: the wall clock */
    struct timespec at;        /* when it happened; 0: now */
};

typedef struct transcript transcript;

/* Makes the file path ("-": standard output). A file that is there already is refused (RC_USAGE),
 * or with force emptied; a device or a pipe is written to. NULL for a NULL path, which is a
 * transcript that takes entries and keeps none, and on failure. */
transcript *transcript_open(const char *path, bool force, struct error *err) MUST_CHECK;

/* The line of an entry, with its newline; owned by the caller, secret. NULL without memory. */
buffer *transcript_line(const struct transcript_entry *entry);

/* Appends an entry; thread-safe. RC_INTERNAL when it cannot be written. */
bool transcript_put(transcript *t, const struct transcript_entry *entry,
                    struct error *err) MUST_CHECK;

/* Takes the file away again where transcript_open made it and nothing was put: for a command that
 * did not get as far. To be closed all the same; accepts NULL. */
void transcript_drop(const transcript *t);
void transcript_close(transcript *t); /* accepts NULL */

AUTO_DEFINE(transcript, transcript_close)

#endif
