/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwe.h: JSON Web Encryption (RFC 7516) in its compact, flattened and general serialisations.
 *
 *     const struct jwe_how how = {.keys = keys, .count = 1};
 *     AUTO(buffer) *text = jwe_encrypt(&how, plaintext, &cek, err);
 *
 *     AUTO(jwe) *message = jwe_parse(buffer_span(text), "edsi", err);
 *     AUTO(buffer) *plaintext = jwe_decrypt(message, keys, count, &cek, err);
 *
 * A plaintext is handed out only when its tag is right. A CEK that does not unwrap is replaced by a
 * random one, so that an attacker learns nothing from the difference (section 11.5): there is one
 * message for both, at one cost.
 */
#ifndef OTRP_JOSE_JWE_H
#define OTRP_JOSE_JWE_H

#include "jose/key_set.h"
#include "jose/serialization.h"
#include "util/limits.h"

struct jwe_recipient {
    json_t *header;            /* owned; {} when absent */
    struct span encrypted_key; /* base64url, slice of the text */
    const struct jwa *alg;     /* NULL: for jwe_alg to say why */
};

typedef struct jwe {
    enum serialization serialization;
    char *what;    /* what messages call it */
    json_doc *doc; /* owned, when parsed from JSON text */
    buffer *text;  /* owned, when the slices point into a text made for it; otherwise NULL */
    struct span encoded_protected;   /* base64url, slice of the text */
    json_t *protected, *unprotected; /* owned; {} when absent */
    const struct jwa *enc;           /* NULL: for jwe_enc to say why */
    struct jwe_recipient recipients[LIMIT_RECIPIENTS];
    size_t count;                         /* at least 1 */
    struct span iv, ciphertext, tag, aad; /* base64url, slices of the text */
    bool has_aad;
} jwe;

/* Reads a JWE in any serialisation; text must outlive it. RC_MALFORMED. */
jwe *jwe_parse(struct span text, const char *what, struct error *err) MUST_CHECK;
/* The same of a JSON value, whose document must outlive it. */
jwe *jwe_from_value(const struct json_value *value, const char *what, struct error *err) MUST_CHECK;
void jwe_free(jwe *message);

/* The algorithms it names: RC_DECRYPT when not supported, RC_MALFORMED when absent. */
const struct jwa *jwe_alg(const jwe *message, size_t recipient, struct error *err) MUST_CHECK;
const struct jwa *jwe_enc(const jwe *message, struct error *err) MUST_CHECK;

/* The plaintext, when one of the keys opens one of the recipients; owned by the caller, secret. cek
 * (or NULL) gets the content encryption key. RC_DECRYPT when not, RC_MALFORMED for a broken part.
 */
buffer *jwe_decrypt(const jwe *message, key *const *keys, size_t count, buffer **cek,
                    struct error *err) MUST_CHECK;

/* The same with a set, from which each recipient's kid and alg must choose one key at most
 * (RC_USAGE). */
buffer *jwe_decrypt_set(const jwe *message, const key_set *keys, buffer **cek,
                        struct error *err) MUST_CHECK;

/* The same with a CEK that is known already, such as that of the request. */
buffer *jwe_decrypt_with_cek(const jwe *message, struct span cek, struct error *err) MUST_CHECK;

struct jwe_how {
    key *const *keys; /* public keys of the recipients; one for flattened and compact */
    size_t count;
    const struct jwa *alg;            /* NULL: what fits each key */
    const struct jwa *enc;            /* NULL: A128CBC-HS256 */
    struct span cek;                  /* used again when not empty; otherwise a random one */
    struct span aad;                  /* additional authenticated data; not with compact */
    const json_t *protected;          /* further protected parameters, or NULL */
    enum serialization serialization; /* the caller says it: OTrP's own is SERIALIZATION_GENERAL */
};

/* Encrypts; cek (or NULL) gets the content encryption key. Owned by the caller. */
buffer *jwe_encrypt(const struct jwe_how *how, struct span plaintext, buffer **cek,
                    struct error *err) MUST_CHECK;

AUTO_DEFINE(jwe, jwe_free)

#endif
