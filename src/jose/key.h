/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key.h: a key with what is known of it. What a JWK says of itself (kid, alg, use, key_ops) is kept
 * and obeyed.
 *
 *     AUTO(key) *tee = key_from_pkey(X509_get_pubkey(cert), false, "TEE certificate", err);
 */
#ifndef OTRP_JOSE_KEY_H
#define OTRP_JOSE_KEY_H

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "util/buffer.h"
#include "util/openssl_auto.h"

typedef struct key {
    EVP_PKEY *pkey;        /* RSA, EC or OKP; NULL for a symmetric key */
    buffer *oct;           /* the bytes of a symmetric key, or NULL */
    bool private;          /* has its private part; always true for oct */
    char *kid, *alg, *use; /* of a JWK; NULL when it does not say */
    json_t *key_ops;       /* array of strings, or NULL */
    char *name;            /* what messages call it: a path, or path[index] */
} key;

enum key_part { KEY_PUBLIC, KEY_PRIVATE };

/* A key of its own around pkey, which is taken (also at a failure). */
key *key_from_pkey(EVP_PKEY *pkey, bool private, const char *name, struct error *err) MUST_CHECK;
/* A symmetric key of a copy of the bytes. */
key *key_from_oct(struct span bytes, const char *name, struct error *err) MUST_CHECK;

void key_free(key *k);

/* "RSA-2048", "EC P-256", "oct 256"; written to text, and returned. */
const char *key_describe(const key *k, char text[40]);

/* The EC curve as a JOSE name ("P-256"), or NULL when pkey is no EC key of a known curve. */
const char *pkey_curve(const EVP_PKEY *pkey);

/* The private key of a PKCS#8 PrivateKeyInfo in DER, of the caller's; NULL with OpenSSL's reason
 * queued. */
EVP_PKEY *pkey_from_pkcs8(struct span der);

/* A key from DER of that structure ("SubjectPublicKeyInfo", "type-specific", NULL: any) and type
 * ("RSA", NULL: any), with nothing behind it; of the caller's. selection is OpenSSL's
 * EVP_PKEY_KEYPAIR or EVP_PKEY_PUBLIC_KEY. */
EVP_PKEY *pkey_decode(struct span der, const char *structure, const char *type, int selection);

/* A key of that type ("RSA", "EC") of the parameters that were pushed to builder; of the caller's;
 * NULL with OpenSSL's reason queued. */
EVP_PKEY *pkey_build(const char *type, OSSL_PARAM_BLD *builder, bool private);

/* Refuses (RC_MALFORMED) what no JOSE algorithm may use: RSA under 2048 bits unless small, even or
 * unit exponents, unknown curves (RFC 7518 section 3.3). */
bool pkey_check_strength(const EVP_PKEY *pkey, const char *name, bool small,
                         struct error *err) MUST_CHECK;

AUTO_DEFINE(key, key_free)

#endif
