/* SPDX-License-Identifier: Apache-2.0 */
#include "util/gcm.h"

#include <openssl/evp.h>

#include "util/openssl_auto.h"
#include "util/work.h"

/* A context that has taken key, IV and AAD; NULL when it cannot be had. */
static EVP_CIPHER_CTX *gcm_begin(const struct gcm *how, bool encrypt)
{
    AUTO(EVP_CIPHER) *cipher = EVP_CIPHER_fetch(NULL, how->cipher, NULL);
    AUTO(EVP_CIPHER_CTX) *aes = EVP_CIPHER_CTX_new();
    int unused;
    bool begun = cipher && aes &&
                 EVP_CipherInit_ex2(aes, cipher, how->key, how->iv, encrypt, NULL) == 1;
    for (size_t i = 0; begun && i < how->aad_count; i++) {
        struct span left = how->aad[i];
        WORK(authenticating, "authenticating", left.size);
        for (struct span part; begun && work_part(&authenticating, &left, &part);)
            begun = EVP_CipherUpdate(aes, NULL, &unused, part.data, (int)part.size) == 1;
    }
    return begun ? TAKE(aes) : NULL;
}

static bool gcm_update(EVP_CIPHER_CTX *aes, const char *what, struct span in, uint8_t *out)
{
    WORK(running, what, in.size);
    for (struct span part; work_part(&running, &in, &part); out += part.size) {
        int size;
        if (EVP_CipherUpdate(aes, out, &size, part.data, (int)part.size) != 1 ||
            (size_t)size != part.size)
            return false;
    }
    return true;
}

bool gcm_encrypt(const struct gcm *how, struct span plaintext, uint8_t *out,
                 uint8_t tag[GCM_TAG_BYTES])
{
    AUTO(EVP_CIPHER_CTX) *aes = gcm_begin(how, true);
    int none;
    return aes && gcm_update(aes, "encrypting", plaintext, out) &&
           EVP_CipherFinal_ex(aes, out + plaintext.size, &none) == 1 &&
           EVP_CIPHER_CTX_ctrl(aes, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_BYTES, tag) == 1;
}

bool gcm_decrypt(const struct gcm *how, struct span ciphertext, const uint8_t tag[GCM_TAG_BYTES],
                 uint8_t *out)
{
    AUTO(EVP_CIPHER_CTX) *aes = gcm_begin(how, false);
    int none;
    return aes && gcm_update(aes, "decrypting", ciphertext, out) &&
           EVP_CIPHER_CTX_ctrl(aes, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_BYTES, (uint8_t *)tag) == 1 &&
           EVP_CipherFinal_ex(aes, out + ciphertext.size, &none) == 1;
}
