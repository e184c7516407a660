/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ta_package.h: a trusted application signed by its SP, and its way to the TEE under the SP AIK
 * (otrp-messages(7), InstallTA).
 *
 *     AUTO(buffer) *package = ta_package_sign(ta, sp_key, sp_chain, "demo", 3, err);
 *     AUTO(json_t) *encrypted = encrypted_ta_make(MESSAGE_INSTALL_TA, aik, package, pdata, err);
 */
#ifndef OTRP_OTRP_TA_PACKAGE_H
#define OTRP_OTRP_TA_PACKAGE_H

#include "jose/jws.h"
#include "otrp/message.h"
#include "pki/cert.h"

enum { TA_NO_VERSION = -1 };

/* Signs the bytes of a TA; chain (or NULL) goes into x5c; taid (or NULL) and version (or
 * TA_NO_VERSION) into the protected header. */
buffer *ta_package_sign(struct span ta, key *sp_key, const X509_stack *chain, const char *taid,
                        long long version, struct error *err) MUST_CHECK;

typedef struct ta_package {
    buffer *ta;          /* the bytes of the TA */
    char *taid;          /* or NULL */
    long long version;   /* or TA_NO_VERSION */
    X509_stack *signers; /* the x5c, or NULL */
    X509 *signer;        /* the certificate of the candidates that verified; borrowed from them */
} ta_package;

/* Opens a package signed by one of the candidates. RC_SIGNATURE when by none of them. */
ta_package *ta_package_open(struct span text, const X509_stack *candidates,
                            struct error *err) MUST_CHECK;
void ta_package_free(ta_package *package);

/* Whether text looks like a package (a JWS) rather than the raw bytes of a TA. */
bool ta_package_is(struct span text);

/* The text of the member encrypted_ta: a fresh key and iv, wrapped for the SP AIK. package and
 * pdata may be NULL. */
buffer *encrypted_ta_make(enum message_id type, key *aik, const buffer *package,
                          const buffer *pdata, struct error *err) MUST_CHECK;

/* Opens encrypted_ta with the private SP AIK; *package and *pdata get what there is (NULL
 * otherwise), owned by the caller. *unsupported: alg is not AESCBC. Every other fault has one
 * message and one cost. */
bool encrypted_ta_open(const struct json_value *encrypted, enum message_id type, key *aik,
                       buffer **package, buffer **pdata, bool *unsupported,
                       struct error *err) MUST_CHECK;

struct reading; /* otrp/foreign.h */

/* The same of what a reading (NULL: strict) has taken: encrypted_ta.key may be the wrapped key
 * alone, encrypted_ta a JWE of the package, or empty (RC_DECRYPT: there is no TA in it). */
bool encrypted_ta_read(const struct json_value *encrypted, enum message_id type, key *aik,
                       const struct reading *reading, buffer **package, buffer **pdata,
                       bool *unsupported, struct error *err) MUST_CHECK;

AUTO_DEFINE(ta_package, ta_package_free)

#endif
