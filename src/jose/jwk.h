/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwk.h: JSON Web Key (RFC 7517, RFC 7518 section 6): keys as JSON.
 *
 *     AUTO(json_t) *jwk = jwk_from_key(key, KEY_PUBLIC, err);
 */
#ifndef OTRP_JOSE_JWK_H
#define OTRP_JOSE_JWK_H

#include "jose/key.h"

/* The key as a JWK object, with kid, alg, use and key_ops where it has them. With KEY_PRIVATE the
 * private members are in it: the caller keeps it secret. Owned by the caller. */
json_t *jwk_from_key(const key *k, enum key_part part, struct error *err) MUST_CHECK;

/* The same of a bare EVP_PKEY. */
json_t *jwk_from_pkey(const EVP_PKEY *pkey, enum key_part part, struct error *err) MUST_CHECK;

/* The key that a JWK object describes; name is what messages call it. */
key *jwk_to_key(const json_t *jwk, const char *name, bool small_keys, struct error *err) MUST_CHECK;

/* The SHA-256 thumbprint (RFC 7638) in base64url, owned by the caller. */
char *jwk_thumbprint(const json_t *jwk, struct error *err) MUST_CHECK;

#endif
