/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key.h: a key with what is known of it, and sets of them.
 *
 *     AUTO(key_set) *keys = key_set_load("pki/tam/tam/tam-mytam-rsa-key.pem", &how, err);
 *     const key *signer = keys->keys[0];
 *
 * A key is read from PEM, DER, a JWK, a JWK set (RFC 7517), a certificate (its public key), or a
 * URI of an OSSL_STORE loader. What a JWK says of itself (kid, alg, use, key_ops) is kept and
 * obeyed.
 */
#ifndef OTRP_JOSE_KEY_H
#define OTRP_JOSE_KEY_H

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "util/buffer.h"

typedef struct key {
    EVP_PKEY *pkey;        /* RSA, EC or OKP; NULL for a symmetric key */
    buffer *oct;           /* the bytes of a symmetric key, or NULL */
    bool private;          /* has its private part; always true for oct */
    char *kid, *alg, *use; /* of a JWK; NULL when it does not say */
    json_t *key_ops;       /* array of strings, or NULL */
    char *name;            /* what messages call it: a path, or path[index] */
} key;

typedef struct key_set {
    key **keys;
    size_t count;
} key_set;

enum key_part { KEY_PUBLIC, KEY_PRIVATE };

/* How keys are to be read. */
struct key_how {
    enum key_part part; /* KEY_PRIVATE: a key without its private part is refused */
    const char *passin; /* passphrase argument of an encrypted key, or NULL */
    bool small_keys;    /* accept RSA under 2048 bits */
};

/* Keys of a file, "-" or URI (there is at least one). RC_USAGE when it cannot be read, RC_MALFORMED
 * when there is no key in it or a key is unfit. */
key_set *key_set_load(const char *source, const struct key_how *how, struct error *err) MUST_CHECK;

/* As key_set_load from memory. */
key_set *key_set_parse(struct span text, const char *name, const struct key_how *how,
                       struct error *err) MUST_CHECK;

/* Moves the keys of more to the end of set; more is left empty. */
bool key_set_append(key_set *set, key_set *more, struct error *err) MUST_CHECK;

/* A key of its own around pkey, which is taken (also at a failure). */
key *key_from_pkey(EVP_PKEY *pkey, bool private, const char *name, struct error *err) MUST_CHECK;
/* A symmetric key of a copy of the bytes. */
key *key_from_oct(struct span bytes, const char *name, struct error *err) MUST_CHECK;

void key_free(key *k);
void key_set_free(key_set *set);

/* "RSA-2048", "EC P-256", "oct 256"; borrowed, from a static table or the key. */
const char *key_describe(const key *k, char text[40]);

/* The EC curve as a JOSE name ("P-256"), or NULL when pkey is no EC key of a known curve. */
const char *pkey_curve(const EVP_PKEY *pkey);

/* The private key of a PKCS#8 PrivateKeyInfo in DER, of the caller's; NULL with OpenSSL's reason
 * queued. */
EVP_PKEY *pkey_from_pkcs8(struct span der);

/* Refuses (RC_MALFORMED) what no JOSE algorithm may use: RSA under 2048 bits unless small, even or
 * unit exponents, unknown curves (RFC 7518 section 3.3). */
bool pkey_check_strength(const EVP_PKEY *pkey, const char *name, bool small,
                         struct error *err) MUST_CHECK;

/* Loads an OpenSSL provider (and the default one) for keys that are not files. */
bool provider_load(const char *name, struct error *err) MUST_CHECK;

AUTO_DEFINE(key, key_free)
AUTO_DEFINE(key_set, key_set_free)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)

#endif
