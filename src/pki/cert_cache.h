/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert_cache.h: certificates that were read lately, by the SHA-256 of their DER: a server gets the
 * same ones with message after message, and decoding one costs as much as verifying its signature.
 *
 *     X509 *cert = cert_recall(hash);
 *     if (!cert && (cert = d2i_X509(...)))
 *         cert_keep(cert, hash, der_size);
 *
 * It says nothing of trust: the same DER is the same certificate, which is never changed once it is
 * read. Bounded in number and size, as strangers send certificates: a new one takes the place of
 * one that was kept long ago. Safe to call from several threads.
 */
#ifndef OTRP_PKI_CERT_CACHE_H
#define OTRP_PKI_CERT_CACHE_H

#include <openssl/x509.h>

#include "util/buffer.h"

enum { CERT_HASH_BYTES = 32 };

/* The certificate whose DER has this SHA-256, a reference for the caller; NULL: none is kept. */
X509 *cert_recall(const uint8_t hash[CERT_HASH_BYTES]) MUST_CHECK;

/* Keeps cert, of which the caller has its own reference. der_size in bytes: a large one is not
 * kept. */
void cert_keep(X509 *cert, const uint8_t hash[CERT_HASH_BYTES], size_t der_size);

#endif
