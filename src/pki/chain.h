/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.h: is this certificate one of that role, under one of these anchors, at that time?
 *
 *     AUTO(X509_stack) *path = chain_verify(&(struct chain_question){
 *         .leaf = signer, .others = x5c, .anchors = roots, .role = ROLE_TAM, .at = now }, err);
 *
 * Checked: path to an anchor (a root among others is never trusted for being there), times, CA
 * flags and path length, key usage of the role (digitalSignature, with keyEncipherment for an RSA
 * and keyAgreement for an EC key of a TAM or TEE), key strength and signature algorithms (112 bits:
 * RSA 2048, SHA-2). RFC 5280 section 6.
 */
#ifndef OTRP_PKI_CHAIN_H
#define OTRP_PKI_CHAIN_H

#include "pki/cert.h"
#include "pki/role.h"

struct chain_question {
    X509 *leaf;
    const X509_stack *others;  /* intermediates, in any order; NULL: none */
    const X509_stack *anchors; /* trusted roots */
    enum pki_role role;
    time_t at;
};

/* The path, leaf first, anchor last, owned by the caller. RC_UNTRUSTED with the subject of the
 * certificate at fault and the reason; an expired one says when. */
X509_stack *chain_verify(const struct chain_question *question, struct error *err) MUST_CHECK;

/* On the way up from the first of certs through the others, the one whose issuer is neither among
 * them nor among roots; borrowed. NULL when the way leads to one of roots, or, where these are not
 * known (NULL), to a root among certs. Names are compared, signatures are not checked. */
X509 *chain_gap(const X509_stack *certs, const X509_stack *roots);

#endif
