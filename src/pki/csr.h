/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csr.h: certificate signing requests (PKCS#10, RFC 2986): a key that was made elsewhere, such as
 * in the device, and wants a certificate.
 *
 *     AUTO(X509_REQ) *csr = csr_load("device1.csr", err);
 *     EVP_PKEY *pkey = X509_REQ_get0_pubkey(csr);
 *
 * Of a request, its key counts, and the extensions that a template allows: neither its subject nor
 * anything else.
 */
#ifndef OTRP_PKI_CSR_H
#define OTRP_PKI_CSR_H

#include "pki/cert.h"

typedef STACK_OF(X509_EXTENSION) X509_extensions;

/* PEM or DER, from a file or "-", or from memory. RC_USAGE when it cannot be read; RC_MALFORMED
 * when it is no request or its key is none that keygen.h knows; RC_SIGNATURE when who asks does not
 * hold the private key. */
X509_REQ *csr_load(const char *path, struct error *err) MUST_CHECK;
X509_REQ *csr_parse(struct span text, const char *name, struct error *err) MUST_CHECK;

/* The public key of a request whose asker holds the private key, owned by the caller; NULL for any
 * other: why, csr_parse says. */
EVP_PKEY *csr_peek_key(struct span text);

/* The extensions that it asks for, owned by the caller; *extensions NULL: none. */
bool csr_extensions(X509_REQ *csr, X509_extensions **extensions, struct error *err) MUST_CHECK;

static inline void x509_extensions_free(X509_extensions *extensions)
{
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}
AUTO_DEFINE(X509_REQ, X509_REQ_free)

#endif
