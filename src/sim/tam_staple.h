/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tam_staple.h: the stapling set of a TAM: until when devices take it, and a new one when the keys
 * of the CAs are at hand (otrp-messages(7), COMMON MEMBERS and OCSP).
 *
 *     time_t until;
 *     if (!staple_judge(set, chain, roots, now, &until, err) || until - now < STAPLE_AHEAD_S)
 *         renewed = staple_renew("pki", passin, sk_X509_value(chain, 0), now, err);
 */
#ifndef OTRP_SIM_TAM_STAPLE_H
#define OTRP_SIM_TAM_STAPLE_H

#include "util/json.h"
#include "pki/cert.h"

enum { STAPLE_AHEAD_S = 12 * 3600 }; /* how long before it lapses a set is renewed */

/* Whether devices take the set (NULL: there is none) for the chain; roots (or NULL) helps to judge
 * the certificate below a root that the chain does not hold. *until gets the time at which the
 * first response lapses. RC_UNTRUSTED and why. */
bool staple_judge(const json_t *set, const X509_stack *chain, const X509_stack *roots, time_t now,
                  time_t *until, struct error *err) MUST_CHECK;

/* A new set for cert and the CAs above it, with their keys and ledgers in a PKI directory. Owned by
 * the caller. RC_UNTRUSTED when one of them is revoked, RC_USAGE when a key is not at hand. */
json_t *staple_renew(const char *pki, const char *passin, X509 *cert, time_t now,
                     struct error *err) MUST_CHECK;

#endif
