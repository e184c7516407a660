/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/key_wrap.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "jose/key_agreement.h"
#include "jose/serialization.h"
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

/* A wrong check value leaves cek as it is. */
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
    AUTO(buffer) *iv = headers_bytes(headers, count, "iv", true, err);
    AUTO(buffer) *tag = iv ? headers_bytes(headers, count, "tag", true, err) : NULL;
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
        wrapping = key_agree_ephemeral(k, alg->name, alg->bytes, header, err);
        return wrapping ? aes_wrap(alg, buffer_span(wrapping), buffer_span(*cek), true, err) : NULL;
    case JWA_AES_KW:
        return aes_wrap(alg, buffer_span(k->oct), buffer_span(*cek), true, err);
    case JWA_AES_GCMKW:
        return gcm_wrap(alg, k, buffer_span(*cek), header, err);
    case JWA_ECDH:
        *cek = key_agree_ephemeral(k, enc->name, enc->bytes, header, err);
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
        wrapping = key_agree_received(k, alg->name, alg->bytes, headers, count, err);
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
        return key_agree_received(k, enc->name, enc->bytes, headers, header_count, err);
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
