/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h: encryption at rest: AES-256-GCM under a key file that plays the fuse of a device.
 *
 * What is sealed is bound to a label (what it is and whose), so that one sealed value cannot stand
 * in for another. Form: 12 bytes nonce, 16 bytes tag, ciphertext.
 */
#ifndef OTRP_SIM_SEAL_H
#define OTRP_SIM_SEAL_H

#include "jose/key.h"
#include "util/buffer.h"

enum {
    FUSE_BYTES = 32,
    SEAL_BYTES = 28 /* by which what is sealed is longer */
};

buffer *seal(const uint8_t fuse[FUSE_BYTES], const char *label, struct span plaintext,
             struct error *err) MUST_CHECK;
/* RC_DECRYPT when it was changed, is another value's, or the fuse is another. Secret. */
buffer *unseal(const uint8_t fuse[FUSE_BYTES], const char *label, struct span sealed,
               struct error *err) MUST_CHECK;

/* The same of a private key, as PKCS#8. RC_INTERNAL when OpenSSL cannot write or read it. */
buffer *seal_key(const uint8_t fuse[FUSE_BYTES], const char *label, const key *k,
                 struct error *err) MUST_CHECK;
key *unseal_key(const uint8_t fuse[FUSE_BYTES], const char *label, struct span sealed,
                struct error *err) MUST_CHECK;

#endif
