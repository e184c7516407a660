/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwa.h: the one table of algorithms (RFC 7518).
 *
 *     const struct jwa *alg = jwa_find(JWA_SIGNATURE, "RS256");
 *     if (!jwa_fits(alg, key, err)) ...
 */
#ifndef OTRP_JOSE_JWA_H
#define OTRP_JOSE_JWA_H

#include "jose/key.h"

enum jwa_kind { JWA_SIGNATURE, JWA_KEY_MANAGEMENT, JWA_CONTENT };

enum jwa_family {
    JWA_RSA_PKCS1, /* RSASSA-PKCS1-v1_5 */
    JWA_ECDSA,
    JWA_RSA1_5,  /* RSAES-PKCS1-v1_5 */
    JWA_ECDH_KW, /* ECDH-ES with AES key wrap */
    JWA_CBC_HMAC
};

struct jwa {
    const char *name;
    enum jwa_kind kind;
    enum jwa_family family;
    const char *digest;  /* signatures and CBC_HMAC */
    const char *curve;   /* ECDSA: the only one that fits */
    const char *cipher;  /* ECDH_KW: the key wrap; CBC_HMAC: the cipher */
    size_t bytes;        /* ECDSA: r and s together; ECDH_KW: the wrapping key; CBC_HMAC: the CEK */
    const char *section; /* of RFC 7518 */
};

extern const struct jwa jwa_table[];
extern const size_t jwa_count;

/* The algorithm of that kind and name, or NULL. */
const struct jwa *jwa_find(enum jwa_kind kind, const char *name);

/* What a key signs with, or is encrypted to with, unless asked otherwise; RC_USAGE when nothing
 * fits. */
const struct jwa *jwa_for_signature(const key *k, struct error *err) MUST_CHECK;
const struct jwa *jwa_for_encryption(const key *k, struct error *err) MUST_CHECK;

/* Whether the algorithm may be used with the key: type, curve, and its alg, use and key_ops.
 * RC_USAGE and the reason when not. operation: "sign", "verify", "wrapKey" or "unwrapKey" (RFC 7517
 * section 4.3). */
bool jwa_fits(const struct jwa *alg, const key *k, const char *operation,
              struct error *err) MUST_CHECK;

/* The one key of the set that fits alg and operation (and kid, unless NULL). RC_USAGE when there is
 * none or more than one; the key is borrowed from the set. */
const key *key_set_choose(const key_set *set, const char *kid, const struct jwa *alg,
                          const char *operation, struct error *err) MUST_CHECK;

#endif
