/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tee_host.h: the devices of a state folder for a server of many threads, and the broker before
 * them (otrp-messages(7), OTrPBrokerError): it finds the TEE that a message is for, and speaks for
 * one that gives no answer.
 *
 *     AUTO(tee_host) *host = tee_host_open("fleet", NULL, clock, wait_ms, err);
 *     struct tee_outcome outcome;
 *     AUTO(buffer) *answer = tee_host_answer(host, "mytee-7", message, &outcome, err);
 */
#ifndef OTRP_SIM_TEE_HOST_H
#define OTRP_SIM_TEE_HOST_H

#include "sim/tee.h"

typedef struct tee_host tee_host;

/* name: the one device to serve; NULL: all of the folder. wait_ms: for others on the folder, then
 * ERR_AGENT_TEE_BUSY; 0: SQL_BUSY_MS. */
tee_host *tee_host_open(const char *dir, const char *name, struct clock clock, long wait_ms,
                        struct error *err) MUST_CHECK;
/* Makes all its devices misbehave; borrowed. */
void tee_host_break(tee_host *host, const struct tee_faults *faults);
void tee_host_free(tee_host *host);

/* Whether a device of that name is served. */
bool tee_host_has(const tee_host *host, const char *name);

/*
 * The answer of the device called name; with NULL, of the only one, or else of the one that the
 * message names in tee. NULL without memory, and where outcome->silent. Where the answer is the
 * broker's, outcome->code is the ERR_AGENT_ code in it and outcome->error says why.
 */
buffer *tee_host_answer(tee_host *host, const char *name, struct span message,
                        struct tee_outcome *outcome, struct error *err) MUST_CHECK;

AUTO_DEFINE(tee_host, tee_host_free)

#endif
