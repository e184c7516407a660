/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.h: what a body says of itself, for logs and pictures: which message it is, its rid and
 * tid, and how it went. Nothing of it is verified, nor to be believed.
 *
 *     struct summary s;
 *     summary_read(&s, body, keys);
 *     s.name "CreateSDResponse", s.status "fail", s.code "ERR_SD_ALREADY_EXIST"
 *
 * Any bytes will do: what cannot be read is SUMMARY_UNKNOWN, and problem says why. The texts are
 * as received, cut where they are long, and may hold anything: they go through terminal_put or an
 * escape of their own before anybody sees them.
 */
#ifndef OTRP_NET_SUMMARY_H
#define OTRP_NET_SUMMARY_H

#include "jose/key_set.h"

enum summary_kind {
    SUMMARY_EMPTY, /* no body: the start of a session, or its end */
    SUMMARY_REQUEST,
    SUMMARY_RESPONSE,
    SUMMARY_BROKER_ERROR,
    SUMMARY_UNKNOWN
};

struct summary {
    enum summary_kind kind;
    char name[64]; /* "CreateSDRequest"; "" when empty or unknown */
    char rid[128], tid[128];
    char status[16]; /* "pass" or "fail"; "" of a request */
    char code[64];   /* "ERR_..." of a failure, or "" */
    char reason[256];
    char content[256]; /* with a key that opens it: "spid xbank, sdname sd-1"; or "" */
    char problem[256]; /* what could not be read, or "" */
};

/* keys: private keys to open edsi and content with, or NULL. */
void summary_read(struct summary *s, struct span body, const key_set *keys);

/* Whether it says that something failed. */
bool summary_failed(const struct summary *s);

/* "CreateSDResponse fail ERR_SD_ALREADY_EXIST", "empty", "no OTrP message". */
void summary_put_line(buffer *out, const struct summary *s);

#endif
