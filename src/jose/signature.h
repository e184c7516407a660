/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signature.h: raw signatures in JOSE's form (RFC 7518 section 3, RFC 8037): what stands in a JWS,
 * and in tfwdata. EVP does the mathematics; the form, such as R || S of ECDSA, is ours.
 *
 *     const struct span pieces[] = {protected, span_text("."), payload};
 *     AUTO(buffer) *signature = signature_make(alg, key, pieces, COUNT(pieces), err);
 *
 * What is signed comes in pieces, so that a large payload need not be copied.
 */
#ifndef OTRP_JOSE_SIGNATURE_H
#define OTRP_JOSE_SIGNATURE_H

#include "jose/jwa.h"

/* alg must fit the key (jwa_fits). Owned by the caller; NULL (RC_INTERNAL) when OpenSSL cannot. */
buffer *signature_make(const struct jwa *alg, const key *k, const struct span *pieces, size_t count,
                       struct error *err) MUST_CHECK;

/* Whether the signature is of these pieces and this key: RC_SIGNATURE when not. */
bool signature_check(const struct jwa *alg, const key *k, const struct span *pieces, size_t count,
                     struct span signature, struct error *err) MUST_CHECK;

#endif
