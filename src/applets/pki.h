/* SPDX-License-Identifier: Apache-2.0 */
/* pki.h: what the pki-* applets share: the keys of CAs, and folders. */
#ifndef OTRP_APPLETS_PKI_H
#define OTRP_APPLETS_PKI_H

#include "applets/common.h"
#include "pki/authority.h"
#include "pki/ledger.h"

/* The private key of a CA: ca_key (a file or a URI), or when that is NULL the file in the PKI.
 * RC_USAGE when it is not there or not the key of the CA's certificate. One key, the caller's. */
key_set *authority_keys(const struct applet_call *call, const authority *a, const char *ca_key,
                        struct error *err) MUST_CHECK;

/* What a stapling set is made for. */
struct staple_order {
    const char *pki;
    X509 *cert;
    const char *ca_key; /* of the CA that issued it; NULL: in the PKI */
    int days;           /* for which the responses count */
    bool fresh;         /* it has just been made, and is not in the ledger yet */
};

/* The stapling set of a certificate: itself and the CAs below the root, as the ledgers have them.
 * Owned by the caller. RC_UNTRUSTED for one that its CA's ledger does not have. */
json_t *staple_set(const struct applet_call *call, const struct staple_order *order,
                   struct error *err) MUST_CHECK;

/* Warns of an algorithm for a role that OTrP has no signature for. */
void pki_warn_of_alg(const struct applet_call *call, enum pki_role role, enum key_alg alg);

/* The public half of the key in a file, for an audit; err->cause is CAUSE_ENCRYPTED or
 * CAUSE_PASSPHRASE where it is encrypted. Owned by the caller. */
EVP_PKEY *pki_audit_key(const struct applet_call *call, const char *path,
                        struct error *err) MUST_CHECK;

#endif
