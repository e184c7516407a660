/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_wrap.h: how a content encryption key travels (RFC 7518 section 4).
 *
 * Unwrapping cannot fail in a way that a sender could see: a wrong padding, a wrong length or a
 * wrong wrapping gives a random CEK, and the tag of the content decides.
 */
#ifndef OTRP_JOSE_KEY_WRAP_H
#define OTRP_JOSE_KEY_WRAP_H

#include "jose/jwa.h"

/* The encrypted key for k; parameters that the algorithm adds (epk, iv, tag) are set in header.
 * Where the algorithm leaves no choice (jwa_fixes_cek), *cek is made by it and the encrypted key is
 * empty; otherwise *cek is given. Owned by the caller. */
buffer *key_wrap(const struct jwa *alg, const struct jwa *enc, const key *k, buffer **cek,
                 json_t *header, struct error *err) MUST_CHECK;

/* The CEK for enc, random when the encrypted key does not unwrap; secret, owned by the caller.
 * headers are those in which epk, apu, apv, iv and tag may stand. NULL only for a broken header
 * (RC_MALFORMED), a key that cannot be used with enc (RC_DECRYPT) or a failing system. */
buffer *key_unwrap(const struct jwa *alg, const struct jwa *enc, const key *k,
                   struct span encrypted_key, const json_t *const *headers, size_t header_count,
                   struct error *err) MUST_CHECK;

/*
 * Takes the last bytes of the padded block em (0 2 nonzero... 0 CEK) of size bytes where the
 * padding is right for exactly that length, and leaves the random cek where it is not. No branch
 * and no address depends on em: a test shows it.
 */
void rsa1_5_unpad(const uint8_t *em, size_t size, uint8_t *cek, size_t bytes);

#endif
