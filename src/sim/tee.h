/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tee.h: the software TEE: one request in, one answer out (the draft's ProcessOTrPMessage).
 *
 *     struct tee_outcome outcome;
 *     AUTO(buffer) *answer = tee_process(dev, request, &outcome, err);
 *     if (!answer) ...   no answer is possible: the broker says ERR_AGENT_TEE_FAIL
 *
 * A request is one transaction: what it changed, and its answer, is durable before the answer is
 * handed out, and a failed one leaves the state as it was, its replay record aside.
 */
#ifndef OTRP_SIM_TEE_H
#define OTRP_SIM_TEE_H

#include "otrp/request.h"
#include "sim/device.h"

struct tee_outcome {
    const struct message_type *type; /* NULL: could not be told */
    enum error_code_id code;         /* ERR_NONE: done */
    struct error error;              /* why not */
    char rid[256], tid[256];         /* as echoed */
    bool silent;                     /* no answer on purpose: the broker says nothing either */
    bool busy;                       /* no answer: another process has kept the folder too long */
};

buffer *tee_process(device *dev, struct span text, struct tee_outcome *outcome,
                    struct error *err) MUST_CHECK;

/* The same with a request that has been read already. */
buffer *tee_answer(device *dev, request *r, struct tee_outcome *outcome,
                   struct error *err) MUST_CHECK;

/* The last answer to tamid (NULL: to any), when it was to rid (NULL: whichever): for an answer that
 * was lost on its way. RC_USAGE when there is none. */
buffer *tee_last_answer(device *dev, const char *tamid, const char *rid,
                        struct error *err) MUST_CHECK;

/* GetTAInformation: query is {"TAQuery":{...}}. The answer is a TAInformation or an
 * OTrPBrokerError; *code says which. */
buffer *tee_query(device *dev, struct span query, enum error_code_id *code,
                  struct error *err) MUST_CHECK;

/* The bytes of an installed TA (pdata: its personalisation data). tamid, spid and sdname may be
 * NULL when what is left names one TA. RC_USAGE when none or several fit. */
buffer *tee_export_ta(device *dev, const char *tamid, const char *spid, const char *sdname,
                      const char *taid, bool pdata, struct error *err) MUST_CHECK;

/* The public half of an SP AIK as a JWK, owned by the caller. tamid and spid may be NULL when what
 * is left names one. RC_USAGE when there is none or several fit. */
json_t *tee_export_aik(device *dev, const char *tamid, const char *spid,
                       struct error *err) MUST_CHECK;

#endif
