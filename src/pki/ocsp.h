/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ocsp.h: stapled revocation status (RFC 6960): made under a CA, and judged by who relies on it.
 *
 *     AUTO(buffer) *der = ocsp_state(&(struct ocsp_statement){
 *         .cert = cert, .issuer = ca, .signer_key = ca_key, .at = now, .days = 7,
 *         .reason = OCSP_REVOKED_STATUS_NOSTATUS }, err);
 *     struct span staple = buffer_span(der);
 *     if (!ocsp_check(&staple, 1, cert, ca, now, NULL, NULL, err)) ...
 *
 * A response is matched by CertID, not by position; its signer is the issuer or one to which the
 * issuer delegated (id-kp-OCSPSigning); five minutes of clock skew; without nextUpdate it counts
 * for seven days.
 */
#ifndef OTRP_PKI_OCSP_H
#define OTRP_PKI_OCSP_H

#include <openssl/ocsp.h>

#include "pki/cert.h"

/* What a CA says of one certificate. */
struct ocsp_statement {
    const X509 *cert, *issuer;
    const X509 *signer; /* to whom the issuer has delegated its answers; NULL: the issuer itself */
    EVP_PKEY *signer_key;
    time_t at; /* thisUpdate */
    int days;  /* from there to nextUpdate */
    bool revoked;
    time_t revoked_at;
    int reason; /* CRLReason (RFC 5280 section 5.3.1), or OCSP_REVOKED_STATUS_NOSTATUS */
};

/* The statement as a DER response, owned by the caller. */
buffer *ocsp_state(const struct ocsp_statement *statement, struct error *err) MUST_CHECK;

/*
 * Whether responses hold a fresh, valid "good" for cert, whose issuer is given, at that time.
 * RC_UNTRUSTED with subject and reason (no response for it, revoked and when, unknown, stale, wrong
 * responder, bad signature). A response that is not well-formed DER is passed over unless nothing
 * else answers. until (or NULL) gets the time up to which the answer counts, skew included, and
 * index (or NULL) which response gave it.
 */
bool ocsp_check(const struct span *responses, size_t count, X509 *cert, X509 *issuer, time_t at,
                time_t *until, size_t *index, struct error *err) MUST_CHECK;

/* Whose status is asked, and when. */
struct ocsp_question {
    X509 *cert, *issuer;
    time_t at;
};

/* Whether one of the responses proves that the certificate was revoked; it does so when it is stale
 * by now, too. *index gets which one. */
bool ocsp_find_revoked(const struct span *responses, size_t count,
                       const struct ocsp_question *question, size_t *index);

/* Whether such a proof, found before, stands: an older "good" never counts against it, and a newer
 * one only where the certificate was on hold (RFC 5280 section 5.3.1). err says what it proves. */
bool ocsp_still_revoked(struct span proof, const struct ocsp_question *question,
                        const struct span *responses, size_t count, struct error *err);

#endif
