/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert.h: X.509 certificates as OTrP uses them: their DER, their identifiers, a line about them.
 *
 *     AUTO(X509_stack) *chain = cert_load("pki/tam/tam/tam-mytam-rsa-cert.pem", err);
 *     AUTO(char) *tamid = cert_tamid(sk_X509_value(chain, 0), err);
 */
#ifndef OTRP_PKI_CERT_H
#define OTRP_PKI_CERT_H

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "util/buffer.h"
#include "util/openssl_auto.h"

typedef STACK_OF(X509) X509_stack;

/* The certificates of a file or memory: PEM (one or many) or one DER, in their order, at least one.
 * A private key beside them is passed over. cert_load_many also takes a folder, of whose files
 * those that hold certificates are read. Owned by the caller. */
X509_stack *cert_load(const char *path, struct error *err) MUST_CHECK;
X509_stack *cert_load_many(const char *path, struct error *err) MUST_CHECK;
X509_stack *cert_parse(struct span text, const char *name, struct error *err) MUST_CHECK;

/* Appends the certificates of more (NULL: none) to *certs, which is made when it is NULL. */
bool certs_append(X509_stack **certs, const X509_stack *more, struct error *err) MUST_CHECK;

/* One certificate from DER with nothing behind it; what names it in messages (RC_MALFORMED). */
X509 *cert_from_der(struct span der, const char *what, struct error *err) MUST_CHECK;
buffer *cert_to_der(const X509 *cert, struct error *err) MUST_CHECK;
buffer *cert_to_pem(const X509 *cert, struct error *err) MUST_CHECK;
/* All of them in their order, one PEM block after the other. */
buffer *certs_to_pem(const X509_stack *certs, struct error *err) MUST_CHECK;

/* did: standard BASE64 of SHA-256 over the DER (otrp-messages(7), ROLES). */
char *cert_did(const X509 *cert, struct error *err) MUST_CHECK;
/* Lower-case hexadecimal of SHA-256 over the DER. */
char *cert_sha256_hex(const X509 *cert, struct error *err) MUST_CHECK;

/* tamid: the one SAN of the first kind present in the order registeredID, URI, dNSName.
 * RC_UNTRUSTED when there is none, two of that kind, or one longer than 255 bytes, empty, not
 * printable ASCII, or a dNSName that looks like an OID or a URI. */
char *cert_tamid(const X509 *cert, struct error *err) MUST_CHECK;

/* "CN=mytam,O=..." (RFC 2253), UTF-8, for messages; owned by the caller, NULL without memory. */
char *cert_subject(const X509 *cert);
char *cert_issuer(const X509 *cert);
/* CN=NAME in its subject; owned by the caller, NULL when there is none, or without memory. */
char *cert_common_name(const X509 *cert);

static inline void x509_stack_free(X509_stack *stack)
{
    sk_X509_pop_free(stack, X509_free);
}
AUTO_DEFINE(X509_stack, x509_stack_free)

#endif
