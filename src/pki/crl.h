/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crl.h: certificate revocation lists (RFC 5280 section 5) of what a ledger says is revoked.
 *
 *     AUTO(buffer) *der = crl_make(&(struct crl_order){
 *         .revoked = l, .issuer = ca->cert, .issuer_key = key, .at = now, .days = 30 }, err);
 *
 * The number of a list (section 5.2.3) is the time of its making, in seconds: it grows without
 * anyone having to remember the last one.
 */
#ifndef OTRP_PKI_CRL_H
#define OTRP_PKI_CRL_H

#include "pki/ledger.h"

struct crl_order {
    const ledger *revoked;
    X509 *issuer;
    EVP_PKEY *issuer_key;
    time_t at; /* thisUpdate */
    int days;  /* from there to nextUpdate */
};

/* DER, owned by the caller. RC_MALFORMED when a row of the ledger cannot be understood. */
buffer *crl_make(const struct crl_order *order, struct error *err) MUST_CHECK;

#endif
