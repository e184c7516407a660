/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority.h: which CA or root of a PKI directory issued a certificate, and where its key and
 * ledger are.
 *
 *     AUTO(authority) *ca = authority_find("pki", cert, err);
 *     AUTO(key_set) *keys = key_set_load(ca->key_path, &how, err);
 */
#ifndef OTRP_PKI_AUTHORITY_H
#define OTRP_PKI_AUTHORITY_H

#include "pki/cert.h"
#include "pki/role.h"

typedef struct authority {
    enum pki_role role;
    X509 *cert;
    bool is_root;
    char *cert_path;
    char *key_path;                       /* private key; not there when it is in a token */
    char *ledger_path;                    /* what it has issued and revoked */
    char *ocsp_cert_path, *ocsp_key_path; /* of its OCSP signer, where it has one */
} authority;

/* RC_UNTRUSTED when no CA or root in dir has signed cert, or cert is a root itself; RC_USAGE when
 * there is no PKI in dir. */
authority *authority_find(const char *dir, X509 *cert, struct error *err) MUST_CHECK;
/* The CA of a role; RC_USAGE when there is none. */
authority *authority_of(const char *dir, enum pki_role role, struct error *err) MUST_CHECK;
void authority_free(authority *a);

AUTO_DEFINE(authority, authority_free)

#endif
