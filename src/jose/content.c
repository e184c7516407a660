/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/content.h"

#include <string.h>

#include <openssl/err.h>

#include "util/gcm.h"
#include "util/hmac.h"
#include "util/openssl_auto.h"
#include "util/openssl_error.h"
#include "util/secret.h"
#include "util/work.h"

/* The whole tag over AAD, IV, ciphertext and bit length of the AAD (RFC 7518 section 5.2.2.1). */
static bool compute_tag(const struct jwa *enc, struct span cek, const struct span *aad,
                        size_t aad_count, struct span iv, struct span ciphertext,
                        uint8_t tag[EVP_MAX_MD_SIZE], struct error *err)
{
    struct span pieces[CONTENT_AAD_MOST + 3];
    size_t count = 0, size;
    uint64_t bits = 0;
    for (; count < aad_count; count++) {
        pieces[count] = aad[count];
        bits += 8 * (uint64_t)aad[count].size;
    }
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    pieces[count++] = iv;
    pieces[count++] = ciphertext;
    pieces[count++] = SPAN(length, sizeof length);
    return hmac_make(enc->digest, SPAN(cek.data, enc->bytes / 2), pieces, count, tag, &size, err);
}

static size_t iv_bytes(const struct jwa *enc)
{
    return enc->family == JWA_GCM ? GCM_IV_BYTES : 16;
}

static size_t tag_bytes(const struct jwa *enc)
{
    return enc->family == JWA_GCM ? GCM_TAG_BYTES : enc->bytes / 2;
}

/* AES-CBC under the second half of the CEK, with padding. */
static bool run_cbc(const struct jwa *enc, struct span cek, const uint8_t *iv, bool encrypt,
                    struct span in, uint8_t *out, size_t *out_size)
{
    AUTO(EVP_CIPHER) *cipher = EVP_CIPHER_fetch(NULL, enc->cipher, NULL);
    AUTO(EVP_CIPHER_CTX) *aes = EVP_CIPHER_CTX_new();
    if (!cipher || !aes ||
        EVP_CipherInit_ex2(aes, cipher, cek.data + enc->bytes / 2, iv, encrypt, NULL) != 1)
        return false;
    WORK(running, encrypt ? "encrypting" : "decrypting", in.size);
    size_t size = 0;
    int more;
    for (struct span part; work_part(&running, &in, &part); size += (size_t)more)
        if (EVP_CipherUpdate(aes, out + size, &more, part.data, (int)part.size) != 1)
            return false;
    if (EVP_CipherFinal_ex(aes, out + size, &more) != 1)
        return false;
    *out_size = size + (size_t)more;
    return true;
}

static bool wrong_tag(struct error *err)
{
    error_set(err, RC_DECRYPT,
              "the authentication tag is wrong: not this key, or the message was changed");
    return error_rule(err, "RFC 7516 section 5.2");
}

static struct gcm gcm_of(const struct jwa *enc, struct span cek, const uint8_t *iv,
                         const struct span *aad, size_t aad_count)
{
    return (struct gcm){enc->cipher, cek.data, iv, aad, aad_count};
}

bool content_seal(const struct jwa *enc, struct span cek, const struct span *aad, size_t aad_count,
                  struct span plaintext, struct content_sealed *sealed, struct error *err)
{
    uint8_t tag[EVP_MAX_MD_SIZE];
    AUTO(buffer) *out = buffer_new(plaintext.size + 32); /* a block of padding, and room */
    sealed->iv_bytes = iv_bytes(enc);
    sealed->tag_bytes = tag_bytes(enc);
    if (!out)
        return error_memory(err);
    if (!random_fill(sealed->iv, sealed->iv_bytes, err))
        return false;
    const struct gcm gcm = gcm_of(enc, cek, sealed->iv, aad, aad_count);
    out->size = plaintext.size;
    if (enc->family == JWA_GCM
            ? !gcm_encrypt(&gcm, plaintext, out->data, tag)
            : !run_cbc(enc, cek, sealed->iv, true, plaintext, out->data, &out->size))
        return error_openssl(err, RC_INTERNAL, "%s: cannot encrypt", enc->name);
    if (enc->family != JWA_GCM &&
        !compute_tag(enc, cek, aad, aad_count, SPAN(sealed->iv, sealed->iv_bytes), buffer_span(out),
                     tag, err))
        return false;
    memcpy(sealed->tag, tag, sealed->tag_bytes);
    sealed->ciphertext = TAKE(out);
    return true;
}

static bool open_gcm(const struct gcm *gcm, struct span tag, buffer *ciphertext, struct error *err)
{
    if (gcm_decrypt(gcm, buffer_span(ciphertext), tag.data, ciphertext->data))
        return true;
    /* it is plaintext that nobody vouches for */
    OPENSSL_cleanse(ciphertext->data, ciphertext->size);
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
    const struct gcm gcm = gcm_of(enc, cek, iv.data, aad, aad_count);
    if (enc->family == JWA_GCM)
        return open_gcm(&gcm, tag, ciphertext, err);
    if (!compute_tag(enc, cek, aad, aad_count, iv, buffer_span(ciphertext), right, err))
        return false;
    if (!secret_equal(right, tag.data, tag.size))
        return wrong_tag(err);
    if (run_cbc(enc, cek, iv.data, false, buffer_span(ciphertext), ciphertext->data,
                &ciphertext->size)) {
        ciphertext->data[ciphertext->size] = '\0';
        return true;
    }
    ERR_clear_error();
    return error_set(err, RC_DECRYPT, "the padding of the content is wrong");
}
