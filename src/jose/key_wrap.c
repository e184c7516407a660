/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/key_wrap.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "jose/jwk.h"
#include "jose/serialization.h"
#include "util/base64.h"
#include "util/gcm.h"
#include "util/openssl_auto.h"
#include "util/openssl_error.h"
#include "util/secret.h"

static bool set_oaep(const struct jwa *alg, EVP_PKEY_CTX *rsa)
{
    EVP_MD *md = EVP_MD_fetch(NULL, alg->digest, NULL);
    bool set = md && EVP_PKEY_CTX_set_rsa_padding(rsa, RSA_PKCS1_OAEP_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_oaep_md(rsa, md) == 1 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(rsa, md) == 1;
    EVP_MD_free(md);
    return set;
}

static buffer *rsa_wrap(const struct jwa *alg, const key *k, struct span cek, struct error *err)
{
    AUTO(EVP_PKEY_CTX) *rsa = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    size_t size = (size_t)EVP_PKEY_get_size(k->pkey);
    AUTO(buffer) *out = buffer_new(size);
    if (rsa && out && EVP_PKEY_encrypt_init(rsa) == 1 &&
        (alg->family == JWA_RSA_OAEP ? set_oaep(alg, rsa)
                                     : EVP_PKEY_CTX_set_rsa_padding(rsa, RSA_PKCS1_PADDING) == 1) &&
        EVP_PKEY_encrypt(rsa, out->data, &size, cek.data, cek.size) == 1) {
        out->size = size;
        return TAKE(out);
    }
    error_openssl(err, RC_INTERNAL, "%s: cannot encrypt to this key", k->name);
    return NULL;
}

/* All ones when x is 0, else 0, without a branch. */
static uint8_t mask_if_zero(uint32_t x)
{
    return (uint8_t)((int32_t)(~x & (x - 1)) >> 31);
}

void rsa1_5_unpad(const uint8_t *em, size_t size, uint8_t *cek, size_t bytes)
{
    size_t zero = size - bytes - 1;
    uint32_t bad = em[0] | (uint32_t)(em[1] ^ 2) | em[zero];
    for (size_t i = 2; i < zero; i++)
        bad |= mask_if_zero(em[i]);
    uint8_t good = mask_if_zero(bad);
    for (size_t i = 0; i < bytes; i++)
        cek[i] = (uint8_t)((em[zero + 1 + i] & good) | (cek[i] & ~good));
}

/* OAEP's check is OpenSSL's; whether it failed shows in the tag alone. */
static bool oaep_unwrap(const struct jwa *alg, const key *k, struct span encrypted_key, buffer *cek,
                        struct error *err)
{
    AUTO(EVP_PKEY_CTX) *rsa = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    size_t size = (size_t)EVP_PKEY_get_size(k->pkey);
    AUTO(buffer) *out = buffer_secret(size);
    if (!rsa || !out || EVP_PKEY_decrypt_init(rsa) != 1 || !set_oaep(alg, rsa))
        return error_openssl(err, RC_INTERNAL, "%s: cannot decrypt with this key", k->name);
    if (EVP_PKEY_decrypt(rsa, out->data, &size, encrypted_key.data, encrypted_key.size) == 1 &&
        size == cek->size)
        memcpy(cek->data, out->data, size);
    ERR_clear_error();
    return true;
}

static bool rsa_unwrap(const key *k, struct span encrypted_key, buffer *cek, struct error *err)
{
    AUTO(EVP_PKEY_CTX) *rsa = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    size_t size = (size_t)EVP_PKEY_get_size(k->pkey), given = size;
    AUTO(buffer) *em = buffer_secret(size);
    if (!rsa || !em || EVP_PKEY_decrypt_init(rsa) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(rsa, RSA_NO_PADDING) != 1)
        return error_openssl(err, RC_INTERNAL, "%s: cannot decrypt with this key", k->name);
    memset(em->data, 0, size);
    /* a number of another size than the modulus is refused by OpenSSL; em stays zero, which is no
     * right padding */
    if (encrypted_key.size == size &&
        EVP_PKEY_decrypt(rsa, em->data, &given, encrypted_key.data, encrypted_key.size) != 1)
        memset(em->data, 0, size);
    ERR_clear_error();
    rsa1_5_unpad(em->data, size, cek->data, cek->size);
    return true;
}

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

/* What Concat KDF hashes behind its counter (RFC 7518 section 4.6.2). */
static buffer *kdf_input(struct span secret, const char *algorithm, size_t bytes, struct span apu,
                         struct span apv)
{
    AUTO(buffer) *input = buffer_secret(128 + secret.size + apu.size + apv.size);
    if (!input)
        return NULL;
    put_u32(input, 0); /* the counter's place */
    buffer_put_span(input, secret);
    put_sized(input, span_text(algorithm));
    put_sized(input, apu);
    put_sized(input, apv);
    put_u32(input, 8 * bytes);
    return input->failed ? NULL : TAKE(input);
}

/* bytes of key that own (private) and peer agree on, for the algorithm of that name. */
static buffer *agree(EVP_PKEY *own, EVP_PKEY *peer, const char *algorithm, size_t bytes,
                     struct span apu, struct span apv, struct error *err)
{
    enum { HASH_BYTES = 32 };
    AUTO(buffer) *secret = shared_secret(own, peer, err);
    if (!secret)
        return NULL;
    AUTO(buffer) *input = kdf_input(buffer_span(secret), algorithm, bytes, apu, apv);
    AUTO(buffer) *derived = buffer_secret(bytes + HASH_BYTES);
    bool hashed = input && derived;
    for (uint8_t round = 1; hashed && derived->size < bytes; round++) {
        input->data[3] = round;
        hashed = EVP_Digest(input->data, input->size, derived->data + derived->size, NULL,
                            EVP_sha256(), NULL);
        derived->size += HASH_BYTES;
    }
    if (!hashed) {
        error_memory(err);
        return NULL;
    }
    derived->size = bytes;
    return TAKE(derived);
}

/* AES key wrap (RFC 3394) of in, or its reverse; an empty buffer when unwrapping finds a wrong
 * check value. */
static buffer *aes_wrap(const struct jwa *alg, struct span wrapping, struct span in, bool wrap,
                        struct error *err)
{
    AUTO(EVP_CIPHER) *cipher = EVP_CIPHER_fetch(NULL, alg->cipher, NULL);
    AUTO(EVP_CIPHER_CTX) *aes = EVP_CIPHER_CTX_new();
    AUTO(buffer) *out = buffer_secret(in.size + 16);
    int size = 0;
    if (!cipher || !aes || !out) {
        error_openssl(err, RC_INTERNAL, "%s is not available", alg->cipher);
        return NULL;
    }
    EVP_CIPHER_CTX_set_flags(aes, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (in.size < 4096 && EVP_CipherInit_ex2(aes, cipher, wrapping.data, NULL, wrap, NULL) == 1 &&
        EVP_CipherUpdate(aes, out->data, &size, in.data, (int)in.size) == 1 && size > 0)
        out->size = (size_t)size;
    ERR_clear_error();
    return TAKE(out);
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

/* The key that an ephemeral key of ours, put into header as epk, agrees on with k. */
static buffer *agree_ephemeral(const key *k, const char *algorithm, size_t bytes, json_t *header,
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
    return agree(ephemeral, k->pkey, algorithm, bytes, SPAN(NULL, 0), SPAN(NULL, 0), err);
}

static const json_t *headers_value(const json_t *const *headers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (json_object_get(headers[i], name))
            return json_object_get(headers[i], name);
    return NULL;
}

/* A parameter of bytes in base64url; empty when absent and not required. NULL with err set. */
static buffer *header_bytes(const json_t *const *headers, size_t count, const char *name,
                            bool required, struct error *err)
{
    const json_t *value = headers_value(headers, count, name);
    if (!value && !required)
        return buffer_new(0);
    if (!json_is_string(value)) {
        error_set(err, RC_MALFORMED, "header.%s: %s", name, value ? "not a string" : "missing");
        return NULL;
    }
    return base64url_decode(SPAN(json_string_value(value), json_string_length(value)), name, err);
}

static bool same_type(const EVP_PKEY *a, const EVP_PKEY *b)
{
    const char *curve = pkey_curve(a), *other = pkey_curve(b);
    if (curve || other)
        return curve && other && strcmp(curve, other) == 0;
    return strcmp(EVP_PKEY_get0_type_name(a), EVP_PKEY_get0_type_name(b)) == 0;
}

/* The key that the sender's epk and ours agree on. */
static buffer *agree_received(const key *k, const char *algorithm, size_t bytes,
                              const json_t *const *headers, size_t count, struct error *err)
{
    const json_t *jwk = headers_value(headers, count, "epk");
    if (!jwk) {
        error_set(err, RC_MALFORMED, "header.epk: missing");
        error_rule(err, "RFC 7518 section 4.6.1.1");
        return NULL;
    }
    AUTO(key) *epk = jwk_to_key(jwk, "header.epk", false, err);
    AUTO(buffer) *apu = epk ? header_bytes(headers, count, "apu", false, err) : NULL;
    AUTO(buffer) *apv = apu ? header_bytes(headers, count, "apv", false, err) : NULL;
    if (!apv)
        return NULL;
    if (!epk->pkey || !same_type(k->pkey, epk->pkey)) {
        error_set(err, RC_DECRYPT, "header.epk: not on the curve of the key");
        return NULL;
    }
    return agree(k->pkey, epk->pkey, algorithm, bytes, buffer_span(apu), buffer_span(apv), err);
}

/* AES key wrap with a key, into or out of cek; a wrong check value leaves cek as it is. */
static bool kw_unwrap(const struct jwa *alg, struct span wrapping, struct span encrypted_key,
                      buffer *cek, struct error *err)
{
    AUTO(buffer) *found = aes_wrap(alg, wrapping, encrypted_key, false, err);
    if (found && found->size == cek->size)
        memcpy(cek->data, found->data, cek->size);
    return found != NULL;
}

static buffer *gcm_wrap(const struct jwa *alg, const key *k, struct span cek, json_t *header,
                        struct error *err)
{
    uint8_t iv[GCM_IV_BYTES], tag[GCM_TAG_BYTES];
    AUTO(buffer) *out = buffer_new(cek.size);
    if (!out)
        error_memory(err);
    if (!out || !random_fill(iv, sizeof iv, err))
        return NULL;
    const struct gcm gcm = {.cipher = alg->cipher, .key = k->oct->data, .iv = iv};
    if (!gcm_encrypt(&gcm, cek, out->data, tag)) {
        error_openssl(err, RC_INTERNAL, "%s: cannot wrap a key", alg->name);
        return NULL;
    }
    out->size = cek.size;
    json_object_set_new(header, "iv", json_base64url(SPAN(iv, sizeof iv)));
    json_object_set_new(header, "tag", json_base64url(SPAN(tag, sizeof tag)));
    return TAKE(out);
}

static bool gcm_unwrap(const struct jwa *alg, const key *k, struct span encrypted_key, buffer *cek,
                       const json_t *const *headers, size_t count, struct error *err)
{
    AUTO(buffer) *iv = header_bytes(headers, count, "iv", true, err);
    AUTO(buffer) *tag = iv ? header_bytes(headers, count, "tag", true, err) : NULL;
    AUTO(buffer) *out = tag ? buffer_secret(encrypted_key.size + 16) : NULL;
    if (!out)
        return false;
    if (iv->size != GCM_IV_BYTES || tag->size != GCM_TAG_BYTES) {
        error_set(err, RC_MALFORMED, "header: iv has %zu bytes and tag %zu, %s needs %d and %d",
                  iv->size, tag->size, alg->name, GCM_IV_BYTES, GCM_TAG_BYTES);
        return error_rule(err, "RFC 7518 section 4.7.1");
    }
    const struct gcm gcm = {.cipher = alg->cipher, .key = k->oct->data, .iv = iv->data};
    if (encrypted_key.size == cek->size && gcm_decrypt(&gcm, encrypted_key, tag->data, out->data))
        memcpy(cek->data, out->data, cek->size);
    ERR_clear_error();
    return true;
}

/* dir: the shared key is the CEK, and must be meant for this content encryption. */
static buffer *direct_cek(const struct jwa *enc, const key *k, enum rc rc, struct error *err)
{
    if (k->alg && strcmp(k->alg, enc->name) != 0 && strcmp(k->alg, "dir") != 0) {
        error_set(err, rc, "%s: the key is for %s alone, not for %s", k->name, k->alg, enc->name);
        error_rule(err, "RFC 7517 section 4.4");
        return NULL;
    }
    if (k->oct->size != enc->bytes) {
        error_set(err, rc, "%s: %s needs a key of %zu bits, this has %zu", k->name, enc->name,
                  8 * enc->bytes, 8 * k->oct->size);
        return NULL;
    }
    AUTO(buffer) *cek = buffer_secret(enc->bytes);
    if (!cek) {
        error_memory(err);
        return NULL;
    }
    buffer_put_span(cek, buffer_span(k->oct));
    return TAKE(cek);
}

buffer *key_wrap(const struct jwa *alg, const struct jwa *enc, const key *k, buffer **cek,
                 json_t *header, struct error *err)
{
    AUTO(buffer) *wrapping = NULL;
    switch (alg->family) {
    case JWA_RSA1_5:
    case JWA_RSA_OAEP:
        return rsa_wrap(alg, k, buffer_span(*cek), err);
    case JWA_ECDH_KW:
        wrapping = agree_ephemeral(k, alg->name, alg->bytes, header, err);
        return wrapping ? aes_wrap(alg, buffer_span(wrapping), buffer_span(*cek), true, err) : NULL;
    case JWA_AES_KW:
        return aes_wrap(alg, buffer_span(k->oct), buffer_span(*cek), true, err);
    case JWA_AES_GCMKW:
        return gcm_wrap(alg, k, buffer_span(*cek), header, err);
    case JWA_ECDH:
        *cek = agree_ephemeral(k, enc->name, enc->bytes, header, err);
        return *cek ? buffer_new(0) : NULL;
    default: /* JWA_DIR */
        *cek = direct_cek(enc, k, RC_USAGE, err);
        return *cek ? buffer_new(0) : NULL;
    }
}

/* Puts what unwraps into cek, and leaves the random one there when nothing does. */
static bool unwrap_into(buffer *cek, const struct jwa *alg, const key *k, struct span encrypted_key,
                        const json_t *const *headers, size_t count, struct error *err)
{
    AUTO(buffer) *wrapping = NULL;
    switch (alg->family) {
    case JWA_RSA1_5:
        return rsa_unwrap(k, encrypted_key, cek, err);
    case JWA_RSA_OAEP:
        return oaep_unwrap(alg, k, encrypted_key, cek, err);
    case JWA_ECDH_KW:
        wrapping = agree_received(k, alg->name, alg->bytes, headers, count, err);
        return wrapping && kw_unwrap(alg, buffer_span(wrapping), encrypted_key, cek, err);
    case JWA_AES_GCMKW:
        return gcm_unwrap(alg, k, encrypted_key, cek, headers, count, err);
    default: /* JWA_AES_KW */
        return kw_unwrap(alg, buffer_span(k->oct), encrypted_key, cek, err);
    }
}

buffer *key_unwrap(const struct jwa *alg, const struct jwa *enc, const key *k,
                   struct span encrypted_key, const json_t *const *headers, size_t header_count,
                   struct error *err)
{
    if (jwa_fixes_cek(alg) && encrypted_key.size) {
        error_set(err, RC_MALFORMED, "encrypted_key: must be empty with %s", alg->name);
        error_rule(err, "RFC 7516 section 5.2");
        return NULL;
    }
    if (alg->family == JWA_DIR)
        return direct_cek(enc, k, RC_DECRYPT, err);
    if (alg->family == JWA_ECDH)
        return agree_received(k, enc->name, enc->bytes, headers, header_count, err);
    AUTO(buffer) *cek = buffer_secret(enc->bytes);
    if (!cek) {
        error_memory(err);
        return NULL;
    }
    cek->size = enc->bytes;
    return random_fill(cek->data, enc->bytes, err) &&
                   unwrap_into(cek, alg, k, encrypted_key, headers, header_count, err)
               ? TAKE(cek)
               : NULL;
}
