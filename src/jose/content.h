/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content.h: authenticated encryption of the content of a JWE (RFC 7518 section 5): AES-CBC with
 * HMAC, and AES-GCM.
 *
 *     struct content_sealed sealed;
 *     if (!content_seal(enc, cek, &protected, 1, plaintext, &sealed, err)) ...
 */
#ifndef OTRP_JOSE_CONTENT_H
#define OTRP_JOSE_CONTENT_H

#include "jose/jwa.h"

enum {
    CONTENT_IV_MAX_BYTES = 16,
    CONTENT_TAG_MAX_BYTES = 32,
    CONTENT_AAD_MOST = 3 /* pieces: the protected header, and "." and aad where there is one */
};

struct content_sealed {
    uint8_t iv[CONTENT_IV_MAX_BYTES];
    size_t iv_bytes;
    uint8_t tag[CONTENT_TAG_MAX_BYTES];
    size_t tag_bytes;
    buffer *ciphertext; /* owned by the caller */
};

/* Encrypts plaintext under cek (enc->bytes long) and a fresh IV; aad are at most
 * CONTENT_AAD_MOST pieces that are authenticated. RC_INTERNAL. */
bool content_seal(const struct jwa *enc, struct span cek, const struct span *aad, size_t aad_count,
                  struct span plaintext, struct content_sealed *sealed,
                  struct error *err) MUST_CHECK;

/* Checks the tag, then decrypts in place; ciphertext becomes the plaintext. RC_DECRYPT. */
bool content_open(const struct jwa *enc, struct span cek, const struct span *aad, size_t aad_count,
                  struct span iv, struct span tag, buffer *ciphertext,
                  struct error *err) MUST_CHECK;

#endif
