/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tam.h: the stub TAM: sessions that bring devices into the state that a policy describes, or that
 * walk through a scenario.
 *
 *     AUTO(tam) *t = tam_open(&(struct tam_parts){...}, err);
 *     AUTO(buffer) *request = NULL;
 *     switch (tam_answer(t, body, false, &request)) ...
 *
 * A session begins with an empty message, and is known by its tid from then on. Nothing of an
 * answer is believed before its content has opened, its certificate has led to a TEE root, and its
 * signature has passed (otrp-messages(7), CHECKS OF A TAM). An answer that fails any of it ends its
 * session; the peer is not told why, the log is. Safe to call from several threads.
 */
#ifndef OTRP_SIM_TAM_H
#define OTRP_SIM_TAM_H

#include "otrp/response.h"
#include "sim/policy.h"
#include "sim/scenario.h"
#include "sim/tam_fault.h"
#include "sim/tam_state.h"
#include "util/clock.h"

enum {
    TAM_SESSION_MS = 300000, /* a session without an answer for so long is forgotten */
    TAM_SESSIONS = 4096,     /* at once; one more displaces the one that has waited longest */
    TAM_STEPS = 1000,        /* requests in one session */
    TAM_IDENTITIES = 2       /* keys of different kinds, for devices that know one only */
};

/* A key that the TAM signs with; everything is borrowed, and must outlive the TAM. */
struct tam_identity {
    key *key;
    const X509_stack *chain; /* x5c, signer first */
};

/* Something that happened; for the log. */
struct tam_note {
    const char *tid, *did; /* NULL: none, or not known (yet) */
    const char *text;      /* for people */
};

/* What the TAM made of a message. */
enum tam_outcome {
    TAM_REQUEST,  /* the next message */
    TAM_DONE,     /* nothing more to say */
    TAM_REFUSED,  /* the message cannot be parsed or believed; its session has ended */
    TAM_STRANGER, /* the message belongs to no session */
    TAM_FAILED    /* the TAM itself failed */
};

/* One message of a device and what the TAM made of it; for transcripts. */
struct tam_exchange {
    const char *tid, *did; /* did NULL: not known yet */
    struct span message, request;
    enum tam_outcome outcome;
};

/* What the TAM tells; each may be NULL, and may be called from several threads at once. */
struct tam_listener {
    void (*log)(void *context, const struct tam_note *note);
    void (*exchanged)(void *context, const struct tam_exchange *exchange);
    void (*ended)(void *context, const struct tam_note *how, bool well);
    void *context;
};

struct tam_parts { /* everything but the policy is borrowed, and must outlive the TAM */
    struct tam_identity identities[TAM_IDENTITIES]; /* the preferred first; of one tamid */
    size_t identity_count;
    const X509_stack *tee_anchors;
    const X509_stack *tfw_anchors; /* firmware roots and CAs; NULL: not checked */
    policy *policy;                /* taken */
    tam_state *state;
    scenario_run *scenario;        /* NULL: the policy says what to do */
    const tam_faults *faults;      /* what goes wrong on purpose; NULL: nothing */
    key *ca_key;                   /* of the CA of the TAM, for mutations that take it; or NULL */
    const struct profile *profile; /* whose messages are made and read; NULL: ietf */
    bool lenient;                  /* takes foreign forms besides, and says which */
    key *tee_key;         /* public, pinned: of devices whose state names no certificate; or NULL */
    key *aik;             /* public, pinned: of SPs in devices whose state names none; or NULL */
    size_t sessions;      /* 0: TAM_SESSIONS */
    long long session_ms; /* 0: TAM_SESSION_MS */
    struct clock clock;
    struct tam_listener listener;
};

typedef struct tam tam;

tam *tam_open(const struct tam_parts *parts, struct error *err) MUST_CHECK;
void tam_free(tam *t);

/* message: empty to start a session, or a device's answer. deletes: a session that begins so takes
 * TAs away, in a profile that has a place of its own for that. *request is the next message for
 * TAM_REQUEST, else NULL; owned by the caller. */
enum tam_outcome tam_answer(tam *t, struct span message, bool deletes, buffer **request);

/* Sessions that begin from now on follow this policy, which is taken. */
void tam_follow(tam *t, policy *p);

/* The stapling set of an identity from now on (taken); NULL: none. */
void tam_staple(tam *t, size_t identity, json_t *ocspdat);

/* Forgets the sessions that have waited too long. To be called now and then. */
void tam_expire(tam *t);

AUTO_DEFINE(tam, tam_free)

#endif
