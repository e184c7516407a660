/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tee_fault.h: a device that misbehaves on purpose, for tests of TAMs: its answers made wrong in
 * the ways of mutation.h, and what only a device can do: no answer, a late one, no JSON, a failure
 * for no reason, a broker's error.
 *
 *     AUTO(tee_faults) *faults = tee_faults_new(&names, now, err);
 *     dev->faults = faults;
 */
#ifndef OTRP_SIM_TEE_FAULT_H
#define OTRP_SIM_TEE_FAULT_H

#include "otrp/mutation.h"
#include "util/options.h"

enum { TEE_FAULTS_MOST = 16 };

/* The faults of answers to one type of message. */
struct tee_fault_plan {
    const struct mutation *items[TEE_FAULTS_MOST];
    struct mutation_plan plan;
};

typedef struct tee_faults tee_faults;
struct tee_faults {
    mutations *all;
    struct tee_fault_plan plans[MESSAGE_COUNT];
    enum error_code_id fail;   /* what would pass is answered with this, and not carried out */
    enum error_code_id broker; /* the TEE never gets it, the broker answers */
    bool no_answer, not_json;
    long delay_ms;
    bool where_fit; /* an answer without the place that a mutation changes is fine */
};

/* RC_USAGE for a name that there is not, with the nearest ones as hint. */
tee_faults *tee_faults_new(const struct text_list *names, time_t now, struct error *err) MUST_CHECK;
void tee_faults_free(tee_faults *faults);

/* RC_USAGE when none of them changes anything about the answer to that type. */
bool tee_faults_fit(const tee_faults *faults, enum message_id type, struct error *err) MUST_CHECK;

/* A row of those that only a device has. */
struct tee_fault {
    const char *name, *title;
};
/* Their number; row gets the one of that index. name lives as long as the program. */
size_t tee_fault_count(void);
struct tee_fault tee_fault_row(size_t index);

AUTO_DEFINE(tee_faults, tee_faults_free)

#endif
