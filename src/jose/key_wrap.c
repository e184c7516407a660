/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/key_wrap.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "jose/jwk.h"
#include "jose/serialization.h"
#include "util/base64.h"
#include "util/openssl_error.h"
#include "util/secret.h"

AUTO_DEFINE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
AUTO_DEFINE(EVP_CIPHER, EVP_CIPHER_free)
AUTO_DEFINE(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

static buffer *rsa_wrap(const key *k, struct span cek, struct error *err)
{
    AUTO(EVP_PKEY_CTX) *rsa = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    size_t size = (size_t)EVP_PKEY_get_size(k->pkey);
    AUTO(buffer) *out = buffer_new(size);
    if (rsa && out && EVP_PKEY_encrypt_init(rsa) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(rsa, RSA_PKCS1_PADDING) == 1 &&
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

/*
 * Takes the last bytes of the padded block em (0 2 nonzero... 0 CEK) where the padding is right for
 * exactly that length, and leaves the random cek where it is not. No branch and no address depends
 * on em.
 */
static void rsa_unpad(const uint8_t *em, size_t size, uint8_t *cek, size_t bytes)
{
    size_t zero = size - bytes - 1;
    uint32_t bad = em[0] | (uint32_t)(em[1] ^ 2) | em[zero];
    for (size_t i = 2; i < zero; i++)
        bad |= mask_if_zero(em[i]);
    uint8_t good = mask_if_zero(bad);
    for (size_t i = 0; i < bytes; i++)
        cek[i] = (uint8_t)((em[zero + 1 + i] & good) | (cek[i] & ~good));
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
    rsa_unpad(em->data, size, cek->data, cek->size);
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

/* The ECDH shared secret of own (private) and peer, through Concat KDF (RFC 7518 section 4.6.2). */
static buffer *agree(const struct jwa *alg, EVP_PKEY *own, EVP_PKEY *peer, struct span apu,
                     struct span apv, struct error *err)
{
    AUTO(EVP_PKEY_CTX) *ecdh = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    size_t size = 0;
    bool able = ecdh && EVP_PKEY_derive_init(ecdh) == 1 &&
                EVP_PKEY_derive_set_peer(ecdh, peer) == 1 &&
                EVP_PKEY_derive(ecdh, NULL, &size) == 1;
    AUTO(buffer) *secret = able ? buffer_secret(size) : NULL;
    if (!secret || EVP_PKEY_derive(ecdh, secret->data, &size) != 1) {
        error_openssl(err, RC_DECRYPT, "ECDH fails");
        return NULL;
    }
    secret->size = size;
    AUTO(buffer) *input = buffer_secret(4 + size + 64 + apu.size + apv.size);
    AUTO(buffer) *derived = buffer_secret(EVP_MAX_MD_SIZE);
    if (!input || !derived) {
        error_memory(err);
        return NULL;
    }
    put_u32(input, 1); /* one round of SHA-256 gives all that any key wrap needs */
    buffer_put_span(input, buffer_span(secret));
    put_sized(input, span_text(alg->name));
    put_sized(input, apu);
    put_sized(input, apv);
    put_u32(input, 8 * alg->bytes);
    if (input->failed ||
        !EVP_Digest(input->data, input->size, derived->data, NULL, EVP_sha256(), NULL)) {
        error_memory(err);
        return NULL;
    }
    derived->size = alg->bytes;
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

static buffer *ecdh_wrap(const struct jwa *alg, const key *k, struct span cek, json_t *header,
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
    AUTO(buffer) *wrapping = agree(alg, ephemeral, k->pkey, SPAN(NULL, 0), SPAN(NULL, 0), err);
    return wrapping ? aes_wrap(alg, buffer_span(wrapping), cek, true, err) : NULL;
}

static const json_t *headers_value(const json_t *const *headers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (json_object_get(headers[i], name))
            return json_object_get(headers[i], name);
    return NULL;
}

/* apu or apv, decoded; empty when absent. */
static buffer *party_info(const json_t *const *headers, size_t count, const char *name,
                          struct error *err)
{
    const json_t *value = headers_value(headers, count, name);
    if (!value)
        return buffer_new(0);
    if (!json_is_string(value)) {
        error_set(err, RC_MALFORMED, "header.%s: not a string", name);
        return NULL;
    }
    return base64url_decode(SPAN(json_string_value(value), json_string_length(value)), name, err);
}

static bool ecdh_unwrap(const struct jwa *alg, const key *k, struct span encrypted_key, buffer *cek,
                        const json_t *const *headers, size_t count, struct error *err)
{
    const json_t *jwk = headers_value(headers, count, "epk");
    if (!jwk) {
        error_set(err, RC_MALFORMED, "header.epk: missing");
        return error_rule(err, "RFC 7518 section 4.6.1.1");
    }
    AUTO(key) *epk = jwk_to_key(jwk, "header.epk", false, err);
    AUTO(buffer) *apu = epk ? party_info(headers, count, "apu", err) : NULL;
    AUTO(buffer) *apv = apu ? party_info(headers, count, "apv", err) : NULL;
    if (!apv)
        return false;
    const char *own = pkey_curve(k->pkey), *theirs = epk->pkey ? pkey_curve(epk->pkey) : NULL;
    if (!own || !theirs || strcmp(own, theirs) != 0)
        return error_set(err, RC_DECRYPT, "header.epk: not on the curve of the key (%s)",
                         own ? own : "none");
    AUTO(buffer) *wrapping = agree(alg, k->pkey, epk->pkey, buffer_span(apu), buffer_span(apv),
                                   err);
    AUTO(buffer) *found = wrapping ? aes_wrap(alg, buffer_span(wrapping), encrypted_key, false, err)
                                   : NULL;
    if (!found)
        return false;
    if (found->size == cek->size)
        memcpy(cek->data, found->data, cek->size);
    return true;
}

buffer *key_wrap(const struct jwa *alg, const key *k, struct span cek, json_t *header,
                 struct error *err)
{
    return alg->family == JWA_RSA1_5 ? rsa_wrap(k, cek, err) : ecdh_wrap(alg, k, cek, header, err);
}

buffer *key_unwrap(const struct jwa *alg, const key *k, struct span encrypted_key, size_t bytes,
                   const json_t *const *headers, size_t header_count, struct error *err)
{
    AUTO(buffer) *cek = buffer_secret(bytes);
    if (!cek) {
        error_memory(err);
        return NULL;
    }
    cek->size = bytes;
    if (!random_fill(cek->data, bytes, err))
        return NULL;
    bool done = alg->family == JWA_RSA1_5
                    ? rsa_unwrap(k, encrypted_key, cek, err)
                    : ecdh_unwrap(alg, k, encrypted_key, cek, headers, header_count, err);
    return done ? TAKE(cek) : NULL;
}
