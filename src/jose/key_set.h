/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_set.h: keys as users give them, and the choice of one.
 *
 *     AUTO(key_set) *keys = key_set_load("pki/tam/tam/tam-mytam-rsa-key.pem", &how, err);
 *     const key *signer = keys->keys[0];
 *
 * Keys are read from PEM, DER, PKCS#12, a JWK, a JWK set (RFC 7517), a certificate (its public
 * key), or a URI of an OSSL_STORE loader.
 */
#ifndef OTRP_JOSE_KEY_SET_H
#define OTRP_JOSE_KEY_SET_H

#include "jose/jwa.h"

typedef struct key_set {
    key **keys;
    size_t count;
} key_set;

/* How keys are to be read. */
struct key_how {
    enum key_part part; /* KEY_PRIVATE: a key without its private part is refused */
    const char *passin; /* passphrase argument of an encrypted key, or NULL */
    bool small_keys;    /* accept RSA under 2048 bits */
};

/* Keys of a file, "-" or URI (there is at least one). RC_USAGE when it cannot be read, RC_MALFORMED
 * when there is no key in it or a key is unfit. */
key_set *key_set_load(const char *source, const struct key_how *how, struct error *err) MUST_CHECK;

/* Whether that reads source from a file or standard input, rather than from a token. */
bool key_source_is_file(const char *source);

/* As key_set_load from memory. */
key_set *key_set_parse(struct span text, const char *name, const struct key_how *how,
                       struct error *err) MUST_CHECK;

/* A set of this one key, which is taken (also at a failure); NULL for NULL, with err as it is. */
key_set *key_set_of(key *k, struct error *err) MUST_CHECK;

/* Moves the keys of more, of which there is at least one, to the end of set; more is left empty. */
bool key_set_append(key_set *set, key_set *more, struct error *err) MUST_CHECK;

void key_set_free(key_set *set);

/* The one key of the set that fits alg and operation (and kid, unless NULL); borrowed from the set.
 * RC_USAGE when there is none, and with *ambiguous set when there is more than one or symmetric and
 * asymmetric keys are mixed. */
const key *key_set_choose(const key_set *set, const char *kid, const struct jwa *alg,
                          const char *operation, bool *ambiguous, struct error *err) MUST_CHECK;

AUTO_DEFINE(key_set, key_set_free)

#endif
