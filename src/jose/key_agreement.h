/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_agreement.h: ECDH-ES (RFC 7518 section 4.6, RFC 8037 section 3.2): a key that the sender's
 * ephemeral key and the recipient's own agree on, by way of Concat KDF.
 *
 *     AUTO(buffer) *wrapping = key_agree_ephemeral(recipient, "ECDH-ES+A128KW", 16, header, err);
 *
 * algorithm is the name that the key is made for, bytes its size: the key management with a key
 * wrap, otherwise the content encryption. What is returned is secret and owned by the caller.
 */
#ifndef OTRP_JOSE_KEY_AGREEMENT_H
#define OTRP_JOSE_KEY_AGREEMENT_H

#include "jose/key.h"

/* The sender's side: makes the ephemeral key and puts its public part into header, as epk. */
buffer *key_agree_ephemeral(const key *k, const char *algorithm, size_t bytes, json_t *header,
                            struct error *err) MUST_CHECK;

/* The recipient's side: epk, apu and apv are from the headers. RC_MALFORMED for a broken header,
 * RC_DECRYPT when epk is not on the curve of k. */
buffer *key_agree_received(const key *k, const char *algorithm, size_t bytes,
                           const json_t *const *headers, size_t count,
                           struct error *err) MUST_CHECK;

#endif
