/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tam.h: the stub TAM: sessions that bring devices into the state that a policy describes.
 *
 *     AUTO(tam) *t = tam_open(&(struct tam_parts){...}, err);
 *     AUTO(buffer) *request = NULL;
 *     switch (tam_answer(t, body, &request)) ...
 *
 * A session begins with an empty message, and is known by its tid from then on. Nothing of an
 * answer is believed before its content has opened, its certificate has led to a TEE root, and its
 * signature has passed (protocol: What a TAM does with a response). An answer that fails any of it
 * ends its session; the peer is not told why, the log is. Safe to call from several threads.
 */
#ifndef OTRP_SIM_TAM_H
#define OTRP_SIM_TAM_H

#include "otrp/response.h"
#include "sim/policy.h"
#include "util/clock.h"

enum {
    TAM_SESSION_MS = 300000, /* a session without an answer for so long is forgotten */
    TAM_SESSIONS = 4096,     /* at once; one more displaces the one that has waited longest */
    TAM_STEPS = 1000         /* requests in one session */
};

struct tam_parts { /* everything is borrowed, and must outlive the TAM */
    key *key;
    const X509_stack *chain; /* x5c, signer first */
    const json_t *ocspdat;   /* stapling set */
    const X509_stack *tee_anchors;
    const X509_stack *tfw_anchors; /* firmware roots and CAs; NULL: not checked */
    const policy *policy;
    struct clock clock;
    void (*log)(void *context,
                const char *line); /* for a person; may be called from several threads */
    void *context;
};

typedef struct tam tam;

tam *tam_open(const struct tam_parts *parts, struct error *err) MUST_CHECK;
void tam_free(tam *t);

enum tam_outcome {
    TAM_REQUEST,  /* *request is the next message; owned by the caller */
    TAM_DONE,     /* nothing more to say */
    TAM_REFUSED,  /* the message cannot be parsed or believed; its session has ended */
    TAM_STRANGER, /* the message belongs to no session */
    TAM_FAILED    /* the TAM itself failed */
};

/* message: empty to start a session, or a device's answer. */
enum tam_outcome tam_answer(tam *t, struct span message, buffer **request);

AUTO_DEFINE(tam, tam_free)

#endif
