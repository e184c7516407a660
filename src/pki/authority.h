/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority.h: which CA or root of a PKI directory issued a certificate, and where its key and
 * ledger are.
 *
 *     AUTO(authority) *ca = authority_find("pki", cert, err);
 *     ... key_set_load(ca->key_path, ...)
 */
#ifndef OTRP_PKI_AUTHORITY_H
#define OTRP_PKI_AUTHORITY_H

#include "pki/cert.h"

typedef struct authority {
    X509 *cert;
    bool is_root;
    char *key_path;    /* private key */
    char *ledger_path; /* what it has issued and revoked */
} authority;

/* RC_UNTRUSTED when no CA or root in dir has signed cert, or cert is a root itself. */
authority *authority_find(const char *dir, X509 *cert, struct error *err) MUST_CHECK;
void authority_free(authority *a);

AUTO_DEFINE(authority, authority_free)

#endif
