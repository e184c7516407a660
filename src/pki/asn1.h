/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asn1.h: what the modules of src/pki need of OpenSSL's types and no one else does: owners that
 * free themselves (the others are in util/openssl_auto.h), and times as seconds. Included by .c
 * files of src/pki only.
 *
 *     AUTO(X509_NAME) *name = X509_NAME_new();
 */
#ifndef OTRP_PKI_ASN1_H
#define OTRP_PKI_ASN1_H

#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "util/buffer.h"
#include "util/openssl_auto.h"

/* Reads a time of RFC 5280 section 4.1.2.5 or RFC 6960; false when it is not well-formed. */
bool asn1_time_read(const ASN1_TIME *time, time_t *at) MUST_CHECK;

/* What was written to a memory BIO, as a buffer of the caller's; NULL without memory. */
buffer *bio_text(BIO *bio, bool secret);

/* A signature with key, begun; owned by the caller, NULL with OpenSSL's reason queued. Its digest
 * is as strong as the key's curve, else SHA-256. It is made by the provider that holds the key,
 * even when another knows the algorithm, too: that one would have the public part only. */
EVP_MD_CTX *signature_begin(EVP_PKEY *key);

/* Whether signature algorithm nid hashes with 112 bits of strength or more (no SHA-1, no MD5). */
bool signature_is_strong(int nid);

/* Has an EC key encoded from now on with its whole point and the name of its curve, the form that
 * everybody reads (RFC 5480 sections 2.1.1 and 2.2), and in which a key is always the same bytes.
 * Other keys stay as they are. */
void ec_key_normalise(EVP_PKEY *pkey);

AUTO_DEFINE(ASN1_INTEGER, ASN1_INTEGER_free)
AUTO_DEFINE(ASN1_ENUMERATED, ASN1_ENUMERATED_free)
AUTO_DEFINE(X509_CRL, X509_CRL_free)
AUTO_DEFINE(ASN1_TIME, ASN1_TIME_free)
AUTO_DEFINE(ASN1_OBJECT, ASN1_OBJECT_free)
AUTO_DEFINE(BIGNUM, BN_free)
AUTO_DEFINE(GENERAL_NAME, GENERAL_NAME_free)
AUTO_DEFINE(GENERAL_NAMES, GENERAL_NAMES_free)
AUTO_DEFINE(X509_EXTENSION, X509_EXTENSION_free)
AUTO_DEFINE(X509_NAME, X509_NAME_free)
AUTO_DEFINE(X509_STORE, X509_STORE_free)
AUTO_DEFINE(X509_STORE_CTX, X509_STORE_CTX_free)
AUTO_DEFINE(OCSP_RESPONSE, OCSP_RESPONSE_free)
AUTO_DEFINE(OCSP_BASICRESP, OCSP_BASICRESP_free)
AUTO_DEFINE(OCSP_CERTID, OCSP_CERTID_free)

#endif
