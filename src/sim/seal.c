/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/seal.h"

#include <openssl/err.h>

#include "util/gcm.h"
#include "util/openssl_error.h"
#include "util/secret.h"

enum { OVERHEAD = GCM_IV_BYTES + GCM_TAG_BYTES };

buffer *seal(const uint8_t fuse[FUSE_BYTES], const char *label, struct span plaintext,
             struct error *err)
{
    AUTO(buffer) *out = buffer_new(plaintext.size + OVERHEAD);
    if (!out)
        error_memory(err);
    if (!out || !random_fill(out->data, GCM_IV_BYTES, err))
        return NULL;
    const struct span aad = span_text(label);
    const struct gcm gcm = {"AES-256-GCM", fuse, out->data, &aad, 1};
    if (gcm_encrypt(&gcm, plaintext, out->data + OVERHEAD, out->data + GCM_IV_BYTES)) {
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
    const struct span aad = span_text(label);
    const struct gcm gcm = {"AES-256-GCM", fuse, sealed.data, &aad, 1};
    if (out && gcm_decrypt(&gcm, SPAN(sealed.data + OVERHEAD, size), sealed.data + GCM_IV_BYTES,
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
