/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/seal.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "util/openssl_error.h"
#include "util/secret.h"

AUTO_DEFINE(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

enum { NONCE_BYTES = 12, TAG_BYTES = 16, OVERHEAD = NONCE_BYTES + TAG_BYTES };

static EVP_CIPHER_CTX *gcm_open(const uint8_t *fuse, const uint8_t *nonce, const char *label,
                                bool encrypt)
{
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    int ignored;
    if (gcm && EVP_CipherInit_ex2(gcm, EVP_aes_256_gcm(), fuse, nonce, encrypt, NULL) == 1 &&
        EVP_CipherUpdate(gcm, NULL, &ignored, (const uint8_t *)label, (int)strlen(label)) == 1)
        return gcm;
    EVP_CIPHER_CTX_free(gcm);
    return NULL;
}

buffer *seal(const uint8_t fuse[FUSE_BYTES], const char *label, struct span plaintext,
             struct error *err)
{
    AUTO(buffer) *out = buffer_new(plaintext.size + OVERHEAD);
    if (!out || !random_fill(out->data, NONCE_BYTES, err))
        return NULL;
    AUTO(EVP_CIPHER_CTX) *gcm = gcm_open(fuse, out->data, label, true);
    int size = 0, last = 0;
    uint8_t *text = out->data + OVERHEAD;
    if (gcm && EVP_CipherUpdate(gcm, text, &size, plaintext.data, (int)plaintext.size) == 1 &&
        EVP_CipherFinal_ex(gcm, text + size, &last) == 1 &&
        EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, out->data + NONCE_BYTES) == 1) {
        out->size = OVERHEAD + plaintext.size;
        return TAKE(out);
    }
    error_openssl(err, RC_INTERNAL, "cannot seal %s", label);
    return NULL;
}

buffer *unseal(const uint8_t fuse[FUSE_BYTES], const char *label, struct span sealed,
               struct error *err)
{
    size_t size = sealed.size - OVERHEAD;
    AUTO(buffer) *out = sealed.size >= OVERHEAD ? buffer_secret(size) : NULL;
    AUTO(EVP_CIPHER_CTX) *gcm = out ? gcm_open(fuse, sealed.data, label, false) : NULL;
    int part = 0, last = 0;
    if (gcm && EVP_CipherUpdate(gcm, out->data, &part, sealed.data + OVERHEAD, (int)size) == 1 &&
        EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES,
                            (void *)(sealed.data + NONCE_BYTES)) == 1 &&
        EVP_CipherFinal_ex(gcm, out->data + part, &last) == 1) {
        out->size = size;
        out->data[size] = '\0';
        return TAKE(out);
    }
    ERR_clear_error();
    error_set(err, RC_DECRYPT, "%s: does not open with the device's fuse key", label);
    error_hint(err, "fuse.key and state.db of a state folder belong together");
    return NULL;
}
