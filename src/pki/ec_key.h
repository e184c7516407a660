/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec_key.h: EC keys as DER without OpenSSL's encoders, which take five times as long as making the
 * key does (set-up that is done anew for each key). RFC 5480 and 5915 for P-256, P-384 and P-521.
 *
 *     struct ec_point point;
 *     if (ec_point_of(pkey, &point))
 *         ec_point_put(spki, &point);
 */
#ifndef OTRP_PKI_EC_KEY_H
#define OTRP_PKI_EC_KEY_H

#include <openssl/evp.h>

#include "util/buffer.h"

/* A public key: a point of a curve. To ask OpenSSL for that of a new key takes a third of the time
 * that making it took, so it is done once. */
struct ec_point {
    int curve;          /* NID */
    size_t size;        /* of bytes; 0: there is none */
    uint8_t bytes[133]; /* uncompressed (SEC 1 section 2.3.3); as many as P-521 needs */
};

/* False, and an empty point, when pkey is no EC key of such a curve. */
bool ec_point_of(const EVP_PKEY *pkey, struct ec_point *point) MUST_CHECK;

/* Appends it as a SubjectPublicKeyInfo. */
void ec_point_put(buffer *out, const struct ec_point *point);

/* The private key as PKCS#8 in PEM, secret, owned by the caller; point is its public part. NULL
 * when the private part cannot be read, such as that of a key in a token. */
buffer *ec_key_pem(const EVP_PKEY *pkey, const struct ec_point *point) MUST_CHECK;

#endif
