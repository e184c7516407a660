/* SPDX-License-Identifier: Apache-2.0 */
/* openssl_auto.h: AUTO (auto.h) for the types of OpenSSL that more than one layer uses; those of
 * certificates alone are in pki/asn1.h. */
#ifndef OTRP_UTIL_OPENSSL_AUTO_H
#define OTRP_UTIL_OPENSSL_AUTO_H

#include <openssl/bio.h>
#include <openssl/decoder.h>
#include <openssl/ecdsa.h>
#include <openssl/encoder.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "util/auto.h"

AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(ECDSA_SIG, ECDSA_SIG_free)
AUTO_DEFINE(EVP_CIPHER, EVP_CIPHER_free)
AUTO_DEFINE(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)
AUTO_DEFINE(EVP_MAC, EVP_MAC_free)
AUTO_DEFINE(EVP_MAC_CTX, EVP_MAC_CTX_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
AUTO_DEFINE(OSSL_DECODER_CTX, OSSL_DECODER_CTX_free)
AUTO_DEFINE(OSSL_ENCODER_CTX, OSSL_ENCODER_CTX_free)
AUTO_DEFINE(OSSL_PARAM, OSSL_PARAM_free)
AUTO_DEFINE(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
AUTO_DEFINE(PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free)
AUTO_DEFINE(X509, X509_free)

#endif
