/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ec_key.h: EC keys as DER without OpenSSL's encoders, which take five times as long as making the
 * key does (set-up that is done anew for each key). RFC 5480 and 5915 for P-256, P-384 and P-521.
 *
 *     if (!ec_key_publish(cert, pkey)) ...
 */
#ifndef OTRP_PKI_EC_KEY_H
#define OTRP_PKI_EC_KEY_H

#include <openssl/x509.h>

#include "util/error.h"

/* Puts the public key into cert, which is then good for signing and encoding; its key cannot be had
 * back from it before it has been decoded again. False when pkey is no EC key of a named curve. */
bool ec_key_publish(X509 *cert, const EVP_PKEY *pkey) MUST_CHECK;

/* The private key as PKCS#8, owned by the caller; NULL when pkey is no EC key whose private part
 * can be read. */
PKCS8_PRIV_KEY_INFO *ec_key_to_pkcs8(const EVP_PKEY *pkey) MUST_CHECK;

#endif
