/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tam_plan.h: the next request on the way from a device's state to the one that the policy wants.
 *
 *     AUTO(tam_step) *step = tam_plan_next(&(struct tam_plan){ .rules = rules, .device = dsi,
 *         .known = records, .now = now }, err);
 *     if (step && step->done) ...
 *
 * A step has texts of its own, so that it outlives the state that it was made from.
 */
#ifndef OTRP_SIM_TAM_PLAN_H
#define OTRP_SIM_TAM_PLAN_H

#include "otrp/message.h"
#include "sim/policy.h"
#include "sim/tam_state.h"

typedef struct tam_step {
    bool done; /* nothing is left to do */
    enum message_id type;
    char *spid, *sdname, *taid; /* NULL where the type has none */
    const struct policy_sp *sp; /* CreateSD, InstallTA, UpdateTA; borrowed from the policy */
    const struct policy_ta *ta; /* InstallTA, UpdateTA; borrowed from the policy */
    json_t *add_certs;          /* UpdateSD: BASE64 of the DER, or NULL */
    json_t *add_hashes;         /* CreateSD, UpdateSD: the same in hexadecimal SHA-256 */
    json_t *del_hashes;         /* UpdateSD, or NULL */
    bool renew_aik;             /* UpdateSD */
    bool with_code, with_pdata; /* InstallTA, UpdateTA: what goes along */
} tam_step;

/* What a step is made from; all borrowed. */
struct tam_plan {
    const struct policy_rules *rules;
    const dsi *device;
    const tam_records *known;
    time_t now;
};

tam_step *tam_plan_next(const struct tam_plan *plan, struct error *err) MUST_CHECK;

/* The same for devices of other implementations, which have one SD that is always there and cannot
 * be updated: the TAs of the policy from *index on are installed, or deleted, one after the other.
 * *index gets where to go on. */
tam_step *tam_plan_foreign(const struct tam_plan *plan, bool deletes, size_t *index,
                           struct error *err) MUST_CHECK;

/* A step of that type with copies of the texts (each may be NULL). */
tam_step *tam_step_new(enum message_id type, const char *spid, const char *sdname, const char *taid,
                       struct error *err) MUST_CHECK;
void tam_step_free(tam_step *step);

/* "InstallTA demo in xbank/sd-1"; owned by the caller, NULL without memory. */
char *tam_step_describe(const tam_step *step);

/* What the policy wants and no request can bring about, a line for people; NULL when there is none.
 * Owned by the caller. */
char *tam_plan_obstacle(const struct tam_plan *plan);

AUTO_DEFINE(tam_step, tam_step_free)

#endif
