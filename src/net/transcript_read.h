/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transcript_read.h: the lines of a transcript (transcript.h), one after the other.
 *
 *     static bool show(void *context, const struct transcript_record *record, struct error *err);
 *     if (!transcript_read(text, "session.jsonl", show, &picture, NULL, err)) ...
 *
 * A transcript may come from another program, and may say anything: members that are not known are
 * passed over, those that are absent are NULL or 0.
 */
#ifndef OTRP_NET_TRANSCRIPT_READ_H
#define OTRP_NET_TRANSCRIPT_READ_H

#include "net/transcript.h"

struct transcript_record {
    size_t line; /* of the file, from 1 */
    enum transcript_direction direction;
    const char *time, *from, *to, *via, *peer, *url, *error; /* or NULL */
    double at_ms; /* of time, since 1970; NAN when it is no time */
    long long exchange, status, bytes;
    bool truncated;
    double elapsed_ms;
    struct span body; /* what of it is there */
};

/* Calls take for each line; what record points to is gone when it returns. False when take said so,
 * or RC_MALFORMED, naming the line, when one is no entry. *cut (or NULL): the last line has no end
 * and is none, as in a recording that was cut off; it is passed over. */
bool transcript_read(struct span text, const char *name,
                     bool (*take)(void *context, const struct transcript_record *record,
                                  struct error *err),
                     void *context, bool *cut, struct error *err) MUST_CHECK;

#endif
