/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tam_session.h: the sessions of a TAM that wait for an answer, by their tid.
 *
 *     AUTO(session) *displaced = session_table_put(table, s);      who has waited longest, must go
 *     AUTO(session) *found = session_table_take(table, tid, &late);
 *
 * While the answer to a session is looked at, it is not in the table: a second answer finds none.
 *
 * Safe to call from several threads. A session that is taken out belongs to the caller alone.
 */
#ifndef OTRP_SIM_TAM_SESSION_H
#define OTRP_SIM_TAM_SESSION_H

#include "otrp/dsi.h"
#include "otrp/message.h"
#include "sim/policy.h"
#include "sim/tam_plan.h"
#include "sim/tam_state.h"

struct tam_identity;

typedef struct session {
    char *tid;
    char *rid;  /* of the request that waits for its answer */
    char *echo; /* the tid that its answer bears: not tid in a broken request */
    char *seen; /* the rid of the request before */
    const struct message_type *type; /* of that request */
    char *what;                      /* the same for people: "InstallTA demo in xbank/sd-1" */
    tam_step *step;                  /* what that request is for */
    buffer *cek;                     /* of that request; NULL for GetDeviceState */
    dsi *device;                     /* the last state; NULL before the first answer */
    tam_records *known;              /* what was sent to that device */
    X509 *tee_cert;                  /* remembered from the first answer */
    policy *policy;                  /* held: the one that the session began with */
    const struct tam_identity *self; /* who asks */
    const char *tamid;               /* of it; borrowed */
    unsigned steps;
    bool asked_again; /* GetDeviceState was repeated after ERR_DEV_STATE_MISMATCH */
    bool other_key;   /* GetDeviceState was repeated with another signing algorithm */
    bool deletes;     /* takes TAs away, in a foreign profile */
    size_t foreign;   /* TAs of the policy that have been looked at, in a foreign profile */
    size_t scenario_step;
    const char *found; /* the outcome of the last step, when it has no answer of its own */

    /* the table's own */
    struct session *after;         /* of the same bucket */
    struct session *newer, *older; /* by when they were put in */
    long long since_ms;
} session;

void session_free(session *s);

typedef struct session_table session_table;

session_table *session_table_new(size_t most, long long lifetime_ms, struct error *err) MUST_CHECK;
void session_table_free(session_table *table);

/* Takes the session. Returns one that had to go for it, which is the caller's, or NULL. */
session *session_table_put(session_table *table, session *s) MUST_CHECK;

/* The session of that tid, taken out; NULL when there is none. *late: it has waited too long. */
session *session_table_take(session_table *table, const char *tid, bool *late) MUST_CHECK;

/* Takes one out that has waited too long; NULL when there is none (left). */
session *session_table_expired(session_table *table) MUST_CHECK;

AUTO_DEFINE(session, session_free)

#endif
