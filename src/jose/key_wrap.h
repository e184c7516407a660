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

/* The encrypted key of cek for k; parameters that the algorithm adds (epk) are set in header. Owned
 * by the caller. */
buffer *key_wrap(const struct jwa *alg, const key *k, struct span cek, json_t *header,
                 struct error *err) MUST_CHECK;

/* The CEK of bytes length, random when the encrypted key does not unwrap; secret, owned by the
 * caller. headers are those in which epk, apu and apv may stand. NULL only for a broken header
 * (RC_MALFORMED) or a failing system. */
buffer *key_unwrap(const struct jwa *alg, const key *k, struct span encrypted_key, size_t bytes,
                   const json_t *const *headers, size_t header_count, struct error *err) MUST_CHECK;

#endif
