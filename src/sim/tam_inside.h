/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tam_inside.h: what the files of the stub TAM share: tam.c has its sessions and what it tells of
 * them, tam_ask.c sends requests, tam_take.c takes answers. Used by these three alone.
 */
#ifndef OTRP_SIM_TAM_INSIDE_H
#define OTRP_SIM_TAM_INSIDE_H

#include <pthread.h>

#include "sim/tam.h"
#include "sim/tam_session.h"

struct tam {
    struct tam_parts parts;
    char *tamid;
    session_table *sessions;
    pthread_mutex_t lock; /* of what follows */
    policy *policy;
    json_t *ocspdat[TAM_IDENTITIES];
    char *scripted; /* the tid of the session that walks through the scenario */
};

/* ---- tam.c ---- */

/* The did of the session's device; NULL: not known (yet). s may be NULL. */
const char *session_did(const session *s);

/* A line for the log; s may be NULL. */
void tam_tell(const tam *t, const session *s, const char *format, ...) PRINTF_LIKE(3, 4);

/* The last word about a session: into the log, the state, the scenario's report. */
void tam_finish(const tam *t, const session *s, bool well, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* ---- tam_ask.c ---- */

/* Whether the policy lets the TAM and its devices sign with that algorithm. */
bool tam_may_sign(const policy *p, const struct jwa *alg);

/* The first identity whose algorithm the policy allows and the device, once it has told, knows;
 * known is the list that it told, or NULL. NULL: there is none. */
const struct tam_identity *tam_choose_identity(const tam *t, const policy *p, bool told,
                                               const struct json_value *known);

/* Each makes the next request of the session, or ends it. tam_ask takes the step. */
enum tam_outcome tam_ask(tam *t, session *s, tam_step *step, buffer **request);
enum tam_outcome tam_ask_state(tam *t, session *s, buffer **request);
enum tam_outcome tam_ask_scripted(tam *t, session *s, buffer **request);

/* ---- tam_take.c ---- */

/* Goes on with a session after its device's answer: the next request, or its end. */
enum tam_outcome tam_take_answer(tam *t, session *s, struct span message, buffer **request);

#endif
