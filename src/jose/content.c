/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/content.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>

#include "util/openssl_error.h"
#include "util/secret.h"

AUTO_DEFINE(EVP_CIPHER, EVP_CIPHER_free)
AUTO_DEFINE(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)
AUTO_DEFINE(EVP_MAC, EVP_MAC_free)
AUTO_DEFINE(EVP_MAC_CTX, EVP_MAC_CTX_free)

/* The tag over AAD, IV, ciphertext and the bit length of the AAD (RFC 7518 section 5.2.2.1), whole.
 */
static bool compute_tag(const struct jwa *enc, struct span cek, const struct span *aad,
                        size_t aad_count, struct span iv, struct span ciphertext,
                        uint8_t tag[EVP_MAX_MD_SIZE], struct error *err)
{
    AUTO(EVP_MAC) *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    AUTO(EVP_MAC_CTX) *mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)enc->digest, 0),
        OSSL_PARAM_construct_end()};
    uint64_t bits = 0;
    bool able = mac && EVP_MAC_init(mac, cek.data, enc->bytes / 2, params);
    for (size_t i = 0; able && i < aad_count; i++) {
        able = EVP_MAC_update(mac, aad[i].data, aad[i].size);
        bits += 8 * (uint64_t)aad[i].size;
    }
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    size_t size;
    able = able && EVP_MAC_update(mac, iv.data, iv.size) &&
           EVP_MAC_update(mac, ciphertext.data, ciphertext.size) &&
           EVP_MAC_update(mac, length, sizeof length) &&
           EVP_MAC_final(mac, tag, &size, EVP_MAX_MD_SIZE);
    return able || error_openssl(err, RC_INTERNAL, "HMAC with %s fails", enc->digest);
}

static size_t iv_bytes(const struct jwa *enc)
{
    return enc->family == JWA_GCM ? 12 : 16;
}

static size_t tag_bytes(const struct jwa *enc)
{
    return enc->family == JWA_GCM ? 16 : enc->bytes / 2;
}

/* Feeds data in pieces that EVP's int can count. */
static bool update(EVP_CIPHER_CTX *aes, uint8_t *out, size_t *out_size, struct span in)
{
    enum { CHUNK = 1 << 30 };
    while (in.size) {
        int part, take = in.size > CHUNK ? CHUNK : (int)in.size;
        if (EVP_CipherUpdate(aes, out ? out + *out_size : NULL, &part, in.data, take) != 1)
            return false;
        *out_size += (size_t)part;
        in = SPAN(in.data + take, in.size - (size_t)take);
    }
    return true;
}

/* AES-GCM: the cipher keeps the tag itself. False when it is wrong, too: nothing of out is to be
 * used then. */
static bool run_gcm(const struct jwa *enc, struct span cek, const uint8_t *iv,
                    const struct span *aad, size_t aad_count, struct span in, uint8_t *out,
                    size_t *out_size, uint8_t *tag, bool encrypt)
{
    AUTO(EVP_CIPHER) *cipher = EVP_CIPHER_fetch(NULL, enc->cipher, NULL);
    AUTO(EVP_CIPHER_CTX) *aes = EVP_CIPHER_CTX_new();
    size_t size = 0, unused = 0;
    int last = 0;
    bool done = cipher && aes && EVP_CipherInit_ex2(aes, cipher, cek.data, iv, encrypt, NULL) == 1;
    for (size_t i = 0; done && i < aad_count; i++)
        done = update(aes, NULL, &unused, aad[i]);
    done = done && update(aes, out, &size, in) &&
           (encrypt || EVP_CIPHER_CTX_ctrl(aes, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1) &&
           EVP_CipherFinal_ex(aes, out + size, &last) == 1 &&
           (!encrypt || EVP_CIPHER_CTX_ctrl(aes, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1);
    *out_size = size + (size_t)last;
    return done;
}

static bool run_cipher(const struct jwa *enc, struct span cek, const uint8_t *iv, bool encrypt,
                       struct span in, uint8_t *out, size_t *out_size)
{
    AUTO(EVP_CIPHER) *cipher = EVP_CIPHER_fetch(NULL, enc->cipher, NULL);
    AUTO(EVP_CIPHER_CTX) *aes = EVP_CIPHER_CTX_new();
    if (!cipher || !aes ||
        EVP_CipherInit_ex2(aes, cipher, cek.data + enc->bytes / 2, iv, encrypt, NULL) != 1)
        return false;
    size_t size = 0;
    int last;
    if (!update(aes, out, &size, in) || EVP_CipherFinal_ex(aes, out + size, &last) != 1)
        return false;
    *out_size = size + (size_t)last;
    return true;
}

static bool wrong_tag(struct error *err)
{
    error_set(err, RC_DECRYPT,
              "the authentication tag is wrong: not this key, or the message was changed");
    return error_rule(err, "RFC 7516 section 5.2");
}

bool content_seal(const struct jwa *enc, struct span cek, const struct span *aad, size_t aad_count,
                  struct span plaintext, struct content_sealed *sealed, struct error *err)
{
    uint8_t tag[EVP_MAX_MD_SIZE];
    AUTO(buffer) *out = buffer_new(plaintext.size + 32);
    sealed->iv_bytes = iv_bytes(enc);
    sealed->tag_bytes = tag_bytes(enc);
    if (!out)
        return error_memory(err);
    if (!random_fill(sealed->iv, sealed->iv_bytes, err))
        return false;
    bool gcm = enc->family == JWA_GCM;
    if (gcm ? !run_gcm(enc, cek, sealed->iv, aad, aad_count, plaintext, out->data, &out->size, tag,
                       true)
            : !run_cipher(enc, cek, sealed->iv, true, plaintext, out->data, &out->size))
        return error_openssl(err, RC_INTERNAL, "%s: cannot encrypt", enc->name);
    if (!gcm && !compute_tag(enc, cek, aad, aad_count, SPAN(sealed->iv, sealed->iv_bytes),
                             buffer_span(out), tag, err))
        return false;
    memcpy(sealed->tag, tag, sealed->tag_bytes);
    sealed->ciphertext = TAKE(out);
    return true;
}

static bool open_gcm(const struct jwa *enc, struct span cek, const struct span *aad,
                     size_t aad_count, struct span iv, struct span tag, buffer *ciphertext,
                     struct error *err)
{
    uint8_t given[16];
    memcpy(given, tag.data, sizeof given);
    size_t size;
    if (run_gcm(enc, cek, iv.data, aad, aad_count, buffer_span(ciphertext), ciphertext->data, &size,
                given, false))
        return true;
    OPENSSL_cleanse(ciphertext->data,
                    ciphertext->size); /* it is plaintext that nobody vouches for */
    ciphertext->size = 0;
    ERR_clear_error();
    return wrong_tag(err);
}

bool content_open(const struct jwa *enc, struct span cek, const struct span *aad, size_t aad_count,
                  struct span iv, struct span tag, buffer *ciphertext, struct error *err)
{
    uint8_t right[EVP_MAX_MD_SIZE];
    if (cek.size != enc->bytes)
        return error_set(err, RC_DECRYPT, "%s needs a key of %zu bytes, this one has %zu",
                         enc->name, enc->bytes, cek.size);
    if (iv.size != iv_bytes(enc))
        return error_set(err, RC_MALFORMED, "iv: %zu bytes, %s needs %zu", iv.size, enc->name,
                         iv_bytes(enc));
    if (tag.size != tag_bytes(enc))
        return error_set(err, RC_MALFORMED, "tag: %zu bytes, %s needs %zu", tag.size, enc->name,
                         tag_bytes(enc));
    if (enc->family == JWA_GCM)
        return open_gcm(enc, cek, aad, aad_count, iv, tag, ciphertext, err);
    if (!compute_tag(enc, cek, aad, aad_count, iv, buffer_span(ciphertext), right, err))
        return false;
    if (!secret_equal(right, tag.data, tag.size))
        return wrong_tag(err);
    if (run_cipher(enc, cek, iv.data, false, buffer_span(ciphertext), ciphertext->data,
                   &ciphertext->size)) {
        ciphertext->data[ciphertext->size] = '\0';
        return true;
    }
    ERR_clear_error();
    return error_set(err, RC_DECRYPT, "the padding of the content is wrong");
}
