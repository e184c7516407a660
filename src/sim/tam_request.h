/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tam_request.h: the request that a session's step becomes: from the policy, or from the scenario,
 * or wrong on purpose.
 *
 *     if (!tam_request_make(&t->parts, s, ocspdat, &message, err)) ...
 */
#ifndef OTRP_SIM_TAM_REQUEST_H
#define OTRP_SIM_TAM_REQUEST_H

#include "sim/tam.h"
#include "sim/tam_session.h"

/* Makes the request of s->step, after what it is about to do has been written down. The session
 * gets what is needed to believe the answer. */
bool tam_request_make(const struct tam_parts *parts, session *s, const json_t *ocspdat,
                      buffer **message, struct error *err) MUST_CHECK;

/* What the step does, for the record. */
struct tam_deed tam_request_deed(const struct tam_parts *parts, const session *s);

/* Whether the messages are those of another implementation: what its devices tell of themselves is
 * too little for a record. */
bool tam_is_foreign(const struct tam_parts *parts);

/* Whether no session may come to an end. */
bool tam_is_endless(const struct tam_parts *parts);

#endif
