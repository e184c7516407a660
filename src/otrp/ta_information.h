/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ta_information.h: the answer to a TA query: what a TEE tells a client application of a TA, signed
 * by the AIK of its SP (protocol: GetTAInformation).
 *
 *     AUTO(buffer) *answer = ta_information_make(&(struct ta_information){...}, aik, err);
 */
#ifndef OTRP_OTRP_TA_INFORMATION_H
#define OTRP_OTRP_TA_INFORMATION_H

#include "jose/key.h"
#include "pki/cert.h"

struct ta_information {
    const char *taid, *tamid, *spid, *nonce; /* nonce: of the query, or NULL */
    const X509_stack *signer;                /* of the TA: its certificate, then its CAs */
    const X509_stack *tam;                   /* that installed it, likewise */
};

/* The whole message, signed with the private SP AIK. Owned by the caller. */
buffer *ta_information_make(const struct ta_information *about, key *aik,
                            struct error *err) MUST_CHECK;

#endif
