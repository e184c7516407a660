/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/seal.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "util/gcm.h"
#include "util/openssl_auto.h"
#include "util/openssl_error.h"
#include "util/secret.h"

_Static_assert(SEAL_BYTES == GCM_IV_BYTES + GCM_TAG_BYTES, "what seal.h says of the form");

buffer *seal(const uint8_t fuse[FUSE_BYTES], const char *label, struct span plaintext,
             struct error *err)
{
    AUTO(buffer) *out = buffer_new(plaintext.size + SEAL_BYTES);
    if (!out)
        error_memory(err);
    if (!out || !random_fill(out->data, GCM_IV_BYTES, err))
        return NULL;
    const struct span aad = span_text(label);
    const struct gcm gcm = {"AES-256-GCM", fuse, out->data, &aad, 1};
    if (gcm_encrypt(&gcm, plaintext, out->data + SEAL_BYTES, out->data + GCM_IV_BYTES)) {
        out->size = SEAL_BYTES + plaintext.size;
        return TAKE(out);
    }
    error_openssl(err, RC_INTERNAL, "cannot seal %s", label);
    return NULL;
}

buffer *unseal(const uint8_t fuse[FUSE_BYTES], const char *label, struct span sealed,
               struct error *err)
{
    size_t size = sealed.size - SEAL_BYTES;
    AUTO(buffer) *out = sealed.size >= SEAL_BYTES ? buffer_secret(size) : NULL;
    const struct span aad = span_text(label);
    const struct gcm gcm = {"AES-256-GCM", fuse, sealed.data, &aad, 1};
    if (out && gcm_decrypt(&gcm, SPAN(sealed.data + SEAL_BYTES, size), sealed.data + GCM_IV_BYTES,
                           out->data)) {
        out->size = size;
        out->data[size] = '\0';
        return TAKE(out);
    }
    ERR_clear_error();
    error_set(err, RC_DECRYPT, "%s: does not open with the device's fuse key", label);
    error_hint(err, "fuse.key and state.db of a state folder belong together");
    return NULL;
}

static buffer *pkey_to_der(const EVP_PKEY *pkey, const char *label, struct error *err)
{
    AUTO(PKCS8_PRIV_KEY_INFO) *info = EVP_PKEY2PKCS8(pkey);
    int size = info ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : 0;
    AUTO(buffer) *der = size > 0 ? buffer_secret((size_t)size) : NULL;
    if (!der) {
        error_openssl(err, RC_INTERNAL, "%s: cannot be encoded", label);
        return NULL;
    }
    uint8_t *p = der->data;
    der->size = (size_t)i2d_PKCS8_PRIV_KEY_INFO(info, &p);
    return TAKE(der);
}

buffer *seal_key(const uint8_t fuse[FUSE_BYTES], const char *label, const key *k, struct error *err)
{
    AUTO(buffer) *der = pkey_to_der(k->pkey, label, err);
    return der ? seal(fuse, label, buffer_span(der), err) : NULL;
}

key *unseal_key(const uint8_t fuse[FUSE_BYTES], const char *label, struct span sealed,
                struct error *err)
{
    AUTO(buffer) *der = unseal(fuse, label, sealed, err);
    EVP_PKEY *pkey = der ? pkey_from_pkcs8(buffer_span(der)) : NULL;
    if (pkey)
        return key_from_pkey(pkey, true, label, err);
    if (der)
        error_openssl(err, RC_INTERNAL, "%s: cannot be read", label);
    return NULL;
}
