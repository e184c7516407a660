/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet.h: keys and certificates for many software devices at once, under the CA of a PKI
 * directory. The keys live in the devices alone; the CA's ledger has the certificates.
 *
 *     bool done = fleet_issue(&(struct fleet_order){ .pki = "pki", .role = ROLE_TEE,
 *         .alg = KEY_EC_P256, .names = names, .count = 1000, .now = now }, members, err);
 */
#ifndef OTRP_SIM_FLEET_H
#define OTRP_SIM_FLEET_H

#include "jose/key.h"
#include "pki/cert.h"
#include "pki/keygen.h"
#include "pki/role.h"

struct fleet_order {
    const char *pki, *templates; /* templates NULL: the installed ones */
    const char *passin;          /* of the CA's key, or NULL */
    enum pki_role role;
    enum key_alg alg;
    const char *const *names;
    size_t count;
    time_t now;
    /* NULL, or called for each key, and then for each certificate that has been made; what says
     * which, one text for all of a kind */
    void (*progress)(void *context, const char *what, size_t done, size_t total);
    void *context;
};

/* What each name gets; owned by the caller, also after a failure. */
struct fleet_member {
    key *key;
    X509_stack *chain; /* its certificate, then its CA's */
};

/* Fills members[0..count). The ledger is written when all certificates have been made. */
bool fleet_issue(const struct fleet_order *order, struct fleet_member *members,
                 struct error *err) MUST_CHECK;

#endif
