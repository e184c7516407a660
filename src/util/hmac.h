/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hmac.h: HMAC (RFC 2104) of pieces that need not lie side by side: for HS256 and its like
 * (RFC 7518 section 3.2) and for the tag of AES-CBC with HMAC (section 5.2).
 */
#ifndef OTRP_UTIL_HMAC_H
#define OTRP_UTIL_HMAC_H

#include <openssl/evp.h>

#include "util/buffer.h"

/* digest is OpenSSL's name ("SHA256"). *size gets the bytes of mac, which are those of the digest.
 * False (RC_INTERNAL) when OpenSSL cannot. */
bool hmac_make(const char *digest, struct span key, const struct span *pieces, size_t count,
               uint8_t mac[EVP_MAX_MD_SIZE], size_t *size, struct error *err) MUST_CHECK;

#endif
