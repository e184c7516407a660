/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcm.h: AES-GCM (NIST SP 800-38D): for the content of a JWE (RFC 7518 section 5.3), for a wrapped
 * key (section 4.7) and for what a device keeps.
 *
 *     const struct gcm how = {.cipher = "AES-256-GCM", .key = key, .iv = iv};
 *     if (!gcm_encrypt(&how, plaintext, ciphertext, tag)) ...
 */
#ifndef OTRP_UTIL_GCM_H
#define OTRP_UTIL_GCM_H

#include "util/buffer.h"

enum { GCM_IV_BYTES = 12, GCM_TAG_BYTES = 16 };

struct gcm {
    const char *cipher;     /* OpenSSL's name, which says how long the key is */
    const uint8_t *key;     /* borrowed */
    const uint8_t *iv;      /* GCM_IV_BYTES, never twice with one key; borrowed */
    const struct span *aad; /* pieces that are authenticated, too; borrowed */
    size_t aad_count;
};

/* Both write as many bytes to out as there are in the text, and out may be where that stands. False
 * with OpenSSL's reason queued; for gcm_decrypt mostly since the tag is wrong: then out is nothing
 * that anybody vouches for. */
bool gcm_encrypt(const struct gcm *how, struct span plaintext, uint8_t *out,
                 uint8_t tag[GCM_TAG_BYTES]) MUST_CHECK;
bool gcm_decrypt(const struct gcm *how, struct span ciphertext, const uint8_t tag[GCM_TAG_BYTES],
                 uint8_t *out) MUST_CHECK;

#endif
