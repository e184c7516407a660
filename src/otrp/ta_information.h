/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ta_information.h: the answer to a TA query: what a TEE tells a client application of a TA, signed
 * by the AIK of its SP (otrp-messages(7), GetTAInformation).
 *
 *     AUTO(buffer) *answer = ta_information_make(&(struct ta_information){...}, aik, err);
 *     AUTO(buffer) *payload = ta_information_explain(buffer_span(answer), &question, report,
 *                                                    context, err);
 */
#ifndef OTRP_OTRP_TA_INFORMATION_H
#define OTRP_OTRP_TA_INFORMATION_H

#include "otrp/dsi.h"
#include "otrp/response.h"

/* The members of the query {"TAQuery":{...}} in text, checked. NULL with err->rc RC_OK when it is
 * no TA query, otherwise RC_MALFORMED. Owned by the caller. */
json_t *ta_query_read(struct span text, struct error *err) MUST_CHECK;

struct ta_information {
    const char *taid, *tamid, *spid, *nonce; /* nonce: of the query, or NULL */
    const X509_stack *signer;                /* of the TA: its certificate, then its CAs */
    const X509_stack *tam;                   /* that installed it, likewise */
};

/* The whole message, signed with the private SP AIK. Owned by the caller. */
buffer *ta_information_make(const struct ta_information *about, key *aik,
                            struct error *err) MUST_CHECK;

struct ta_information_question {
    key *aik;                        /* public, pinned by the user; or NULL */
    const dsi *device;               /* whose AIK for the SP it must be; or NULL */
    const char *taid, *spid, *nonce; /* of the query; each NULL: any */
};

/* The rows that an answer to a TA query goes through. */
extern const struct response_check ta_information_checks[];
extern const size_t ta_information_check_count;

/* The verified payload, owned by the caller, with a report of each row (which may be NULL).
 * RC_MALFORMED, RC_SIGNATURE or RC_UNTRUSTED. */
buffer *ta_information_explain(struct span text, const struct ta_information_question *question,
                               response_report report, void *context, struct error *err) MUST_CHECK;

#endif
