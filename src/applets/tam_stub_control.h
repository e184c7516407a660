/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tam_stub_control.h: the control interface of tam-stub: what its devices hold, and what went on in
 * its sessions, for who has a bearer token.
 *
 *     if (control_answers(s, request, reply))
 *         return;                       it was a path under /control
 *
 * The journal keeps the latest sessions with their transcripts, within bounds.
 */
#ifndef OTRP_APPLETS_TAM_STUB_CONTROL_H
#define OTRP_APPLETS_TAM_STUB_CONTROL_H

#include "applets/tam_stub_setup.h"
#include "net/http_server.h"

#define CONTROL_AUDIENCE "otrp-control"

enum {
    JOURNAL_SESSIONS = 512,         /* kept at most, the oldest go first */
    JOURNAL_BYTES = 32 << 20,       /* of all transcripts; then those of the oldest sessions go */
    JOURNAL_SESSION_BYTES = 4 << 20 /* of one transcript; further messages are only counted */
};

/* The key of --control-key, when it is one that tokens can be checked with, and a journal. */
bool control_open(tam_setup *s, const char *source, struct error *err) MUST_CHECK;
void control_close(tam_setup *s);

/* False when the path is not under /control, or there is no control interface. */
bool control_answers(const tam_setup *s, const struct http_request *request,
                     struct http_reply *reply);

/* What the TAM tells goes into the journal; nothing happens without one. */
void control_note_exchange(const tam_setup *s, const struct tam_exchange *exchange, int status);
void control_note_end(const tam_setup *s, const struct tam_note *how, bool well);

#endif
