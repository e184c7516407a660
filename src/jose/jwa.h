/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwa.h: the one table of algorithms (RFC 7518, RFC 8037).
 *
 *     const struct jwa *alg = jwa_find(JWA_SIGNATURE, "RS256");
 *     if (!jwa_fits(alg, key, "sign", err)) ...
 */
#ifndef OTRP_JOSE_JWA_H
#define OTRP_JOSE_JWA_H

#include "jose/key.h"

enum jwa_kind { JWA_SIGNATURE, JWA_KEY_MANAGEMENT, JWA_CONTENT };

enum jwa_family {
    JWA_RSA_PKCS1, /* RSASSA-PKCS1-v1_5 */
    JWA_RSA_PSS,   /* RSASSA-PSS, salt as long as the hash */
    JWA_ECDSA,
    JWA_HMAC,
    JWA_EDDSA,  /* Ed25519, Ed448 */
    JWA_RSA1_5, /* RSAES-PKCS1-v1_5 */
    JWA_RSA_OAEP,
    JWA_ECDH,    /* ECDH-ES: the agreed key is the CEK */
    JWA_ECDH_KW, /* ECDH-ES with AES key wrap */
    JWA_AES_KW,
    JWA_AES_GCMKW,
    JWA_DIR, /* the shared key is the CEK */
    JWA_CBC_HMAC,
    JWA_GCM
};

struct jwa {
    const char *name;
    enum jwa_kind kind;
    enum jwa_family family;
    const char *digest; /* signatures, OAEP and CBC_HMAC */
    const char *curve;  /* ECDSA: the only one that fits */
    const char *cipher; /* key wraps and content encryption */
    size_t bytes; /* ECDSA: r and s together; HMAC: the least key; key wraps: the wrapping key;
                     content: the CEK */
    const char *section; /* where it is specified */
};

extern const struct jwa jwa_table[];
extern const size_t jwa_count;

/* The algorithm of that kind and name, or NULL. */
const struct jwa *jwa_find(enum jwa_kind kind, const char *name);

/* Why an algorithm that is not in the table is not there; for messages. */
const char *jwa_refusal(const char *name);

/* Whether the installed OpenSSL can do it. */
bool jwa_available(const struct jwa *alg);

/* Whether the algorithm leaves no choice of the CEK, so that there can be one recipient only. */
bool jwa_fixes_cek(const struct jwa *alg);

/* Whether it works with a symmetric key (oct). */
bool jwa_is_symmetric(const struct jwa *alg);

/* What a key signs with, or is encrypted to with, unless asked otherwise; RC_USAGE when nothing
 * fits. */
const struct jwa *jwa_for_signature(const key *k, struct error *err) MUST_CHECK;
const struct jwa *jwa_for_encryption(const key *k, struct error *err) MUST_CHECK;

/* Whether the algorithm may be used with the key: type, curve, size, and its alg, use and key_ops.
 * RC_USAGE and the reason when not. operation: "sign", "verify", "wrapKey" or "unwrapKey" (RFC 7517
 * section 4.3). */
bool jwa_fits(const struct jwa *alg, const key *k, const char *operation,
              struct error *err) MUST_CHECK;

#endif
