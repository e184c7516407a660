/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/key_agreement.h"

#include <string.h>

#include "jose/jwk.h"
#include "jose/serialization.h"
#include "util/openssl_auto.h"
#include "util/openssl_error.h"

static void put_u32(buffer *b, size_t value)
{
    const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                              (uint8_t)value};
    buffer_put(b, bytes, sizeof bytes);
}

static void put_sized(buffer *b, struct span data)
{
    put_u32(b, data.size);
    buffer_put_span(b, data);
}

static buffer *shared_secret(EVP_PKEY *own, EVP_PKEY *peer, struct error *err)
{
    AUTO(EVP_PKEY_CTX) *ecdh = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    size_t size = 0;
    bool able = ecdh && EVP_PKEY_derive_init(ecdh) == 1 &&
                EVP_PKEY_derive_set_peer(ecdh, peer) == 1 &&
                EVP_PKEY_derive(ecdh, NULL, &size) == 1;
    AUTO(buffer) *secret = able ? buffer_secret(size) : NULL;
    if (!secret || EVP_PKEY_derive(ecdh, secret->data, &size) != 1) {
        error_openssl(err, RC_DECRYPT, "the two keys do not agree on a secret");
        return NULL;
    }
    secret->size = size;
    return TAKE(secret);
}

/* What two keys are to agree on. */
struct agreement {
    const char *algorithm; /* the name that the key is for */
    size_t bytes;          /* of the key */
    struct span apu, apv;  /* who the two are, as the header says */
};

/* What Concat KDF hashes behind its counter (RFC 7518 section 4.6.2). */
static buffer *kdf_input(struct span secret, const struct agreement *on)
{
    AUTO(buffer) *input = buffer_secret(128 + secret.size + on->apu.size + on->apv.size);
    if (!input)
        return NULL;
    put_u32(input, 0); /* the counter's place */
    buffer_put_span(input, secret);
    put_sized(input, span_text(on->algorithm));
    put_sized(input, on->apu);
    put_sized(input, on->apv);
    put_u32(input, 8 * on->bytes);
    return input->failed ? NULL : TAKE(input);
}

static buffer *agree(EVP_PKEY *own, EVP_PKEY *peer, const struct agreement *on, struct error *err)
{
    enum { HASH_BYTES = 32 };
    AUTO(buffer) *secret = shared_secret(own, peer, err);
    if (!secret)
        return NULL;
    AUTO(buffer) *input = kdf_input(buffer_span(secret), on);
    AUTO(buffer) *derived = buffer_secret(on->bytes + HASH_BYTES);
    bool hashed = input && derived;
    for (uint8_t round = 1; hashed && derived->size < on->bytes; round++) {
        input->data[3] = round;
        hashed = EVP_Digest(input->data, input->size, derived->data + derived->size, NULL,
                            EVP_sha256(), NULL);
        derived->size += HASH_BYTES;
    }
    if (!hashed) {
        error_memory(err);
        return NULL;
    }
    derived->size = on->bytes;
    return TAKE(derived);
}

static EVP_PKEY *ephemeral_for(const key *k, struct error *err)
{
    AUTO(EVP_PKEY_CTX) *maker = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    EVP_PKEY *ephemeral = NULL;
    if (maker && EVP_PKEY_keygen_init(maker) == 1 && EVP_PKEY_keygen(maker, &ephemeral) == 1)
        return ephemeral;
    error_openssl(err, RC_INTERNAL, "%s: cannot make an ephemeral key", k->name);
    return NULL;
}

buffer *key_agree_ephemeral(const key *k, const char *algorithm, size_t bytes, json_t *header,
                            struct error *err)
{
    AUTO(EVP_PKEY) *ephemeral = ephemeral_for(k, err);
    json_t *epk = ephemeral ? jwk_from_pkey(ephemeral, KEY_PUBLIC, err) : NULL;
    if (!epk)
        return NULL;
    if (json_object_set_new(header, "epk", epk)) {
        error_memory(err);
        return NULL;
    }
    return agree(ephemeral, k->pkey, &(struct agreement){algorithm, bytes, .apu = {.size = 0}},
                 err);
}

static bool same_type(const EVP_PKEY *a, const EVP_PKEY *b)
{
    const char *curve = pkey_curve(a), *other = pkey_curve(b);
    if (curve || other)
        return curve && other && strcmp(curve, other) == 0;
    return strcmp(EVP_PKEY_get0_type_name(a), EVP_PKEY_get0_type_name(b)) == 0;
}

buffer *key_agree_received(const key *k, const char *algorithm, size_t bytes,
                           const json_t *const *headers, size_t count, struct error *err)
{
    const json_t *jwk = headers_value(headers, count, "epk");
    if (!jwk) {
        error_set(err, RC_MALFORMED, "header.epk: missing");
        error_rule(err, "RFC 7518 section 4.6.1.1");
        return NULL;
    }
    AUTO(key) *epk = jwk_to_key(jwk, "header.epk", false, err);
    AUTO(buffer) *apu = epk ? headers_bytes(headers, count, "apu", false, err) : NULL;
    AUTO(buffer) *apv = apu ? headers_bytes(headers, count, "apv", false, err) : NULL;
    if (!apv)
        return NULL;
    if (!epk->pkey || !same_type(k->pkey, epk->pkey)) {
        error_set(err, RC_DECRYPT, "header.epk: not on the curve of the key");
        return NULL;
    }
    return agree(k->pkey, epk->pkey,
                 &(struct agreement){algorithm, bytes, buffer_span(apu), buffer_span(apv)}, err);
}
