/* SPDX-License-Identifier: Apache-2.0 */
/*
 * issue.h: a certificate from a template, a key and an issuer (RFC 5280 section 4).
 *
 *     AUTO(X509) *cert = issue(&(struct issue_order){
 *         .template = tam, .use = {ROLE_TAM, "rsa", "mytam"}, .tamid = "mytam", .pkey = key,
 *         .issuer = ca, .issuer_key = ca_key, .now = now }, err);
 */
#ifndef OTRP_PKI_ISSUE_H
#define OTRP_PKI_ISSUE_H

#include "pki/cert.h"
#include "pki/template.h"

struct issue_order {
    const cert_template *template;
    struct template_use use;
    const char *tamid; /* of a TAM, becomes its subjectAltName (tamid.h); or NULL */
    const STACK_OF(X509_EXTENSION) * requested; /* by the subject, or NULL: those that the template
                                                   allows, and that it does not set, are taken */
    EVP_PKEY *pkey;       /* of the subject; its public part is enough unless it is a root */
    X509 *issuer;         /* NULL: a root, which signs itself */
    EVP_PKEY *issuer_key; /* NULL for a root */
    time_t now;           /* notBefore */
};

/* The signed certificate, owned by the caller: version 3, a random serial number of 159 bits,
 * SHA-256 or as strong as the issuer's curve. Refused (RC_USAGE) when it would outlive its issuer.
 */
X509 *issue(const struct issue_order *order, struct error *err) MUST_CHECK;

#endif
