/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_owner.h: what a PKI knows of a key that is brought to it: whose it is already, and whether a
 * certificate for it was revoked because others know it (RFC 5280 section 5.3.1).
 *
 *     AUTO(X509_stack) *lost = certs_compromised("pki", NULL, err);
 *     AUTO(char) *owner = key_owner_path("pki", NULL, pkey, "device1");
 *
 * Both know the certificates in the PKI directory, and in the folder out of batches (NULL: none).
 */
#ifndef OTRP_PKI_KEY_OWNER_H
#define OTRP_PKI_KEY_OWNER_H

#include "pki/cert.h"

/* Those that a ledger has as revoked for keyCompromise or CACompromise, as far as they are still
 * there; maybe none, owned by the caller. The ledgers that this user may not read are passed over;
 * other errors are those of ledger_load. */
X509_stack *certs_compromised(const char *pki, const char *out, struct error *err) MUST_CHECK;

/* The path of a certificate with this key whose common name is not name: the firmware of a device
 * may have that of its TEE. Owned by the caller; NULL when there is none, or without memory. Reads
 * every certificate: about 15 us each. */
char *key_owner_path(const char *pki, const char *out, const EVP_PKEY *pkey, const char *name);

#endif
