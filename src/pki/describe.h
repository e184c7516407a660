/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.h: certificates, revocation lists, requests and OCSP responses told to people and
 * programs: nothing is judged.
 *
 *     AUTO(json_t) *facts = cert_facts(cert);     subject, issuer, not_before, not_after, key, ...
 */
#ifndef OTRP_PKI_DESCRIBE_H
#define OTRP_PKI_DESCRIBE_H

#include <jansson.h>

#include "pki/cert.h"

/* When a certificate begins and ends to be valid; false when it does not say so properly. */
bool cert_times(const X509 *cert, time_t *from, time_t *to) MUST_CHECK;

/* subject, issuer, serial, not_before, not_after, key, ca, tamid (of a TAM) or did, sha256. Owned
 * by the caller; NULL without memory. */
json_t *cert_facts(X509 *cert);

/* status, and of a successful one produced_at, responder, and responses with serial, status,
 * this_update, next_update, revoked_at, reason. NULL when der is no OCSP response. *updated (or
 * NULL) gets the newest this_update, 0 when there is none. */
json_t *ocsp_facts(struct span der, time_t *updated);

/* A revocation list: issuer, number, this_update, next_update, entries, and of the first few the
 * serials. NULL when der is none. */
json_t *crl_facts(struct span der);

/* A signing request: subject, key, possession (whether it is signed with the key that it is for).
 * NULL when der is none. */
json_t *csr_facts(struct span der);

#endif
