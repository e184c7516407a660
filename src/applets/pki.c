/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/pki.h"

#include <string.h>

#include "pki/staple.h"

key_set *authority_keys(const struct applet_call *call, const authority *a, const char *ca_key,
                        struct error *err)
{
    if (!ca_key && !path_exists(a->key_path)) {
        error_set(err, RC_USAGE, "%s: the private key of the CA is not there", a->key_path);
        error_hint(err, "where it is in a token, name it with --ca-key, and its --provider");
        return NULL;
    }
    const char *source = ca_key ? ca_key : a->key_path;
    AUTO(key_set) *keys = call_keys(call, source, KEY_PRIVATE, err);
    if (!keys)
        return NULL;
    if (keys->count == 1 && EVP_PKEY_eq(X509_get0_pubkey(a->cert), keys->keys[0]->pkey) == 1)
        return TAKE(keys);
    error_set(err, RC_USAGE, "%s: is not the key of the certificate in %s", source, a->cert_path);
    return NULL;
}

/* What the ledger says of cert; without a ledger, nothing is known to be revoked. */
static bool look_up(const struct applet_call *call, const authority *a, const X509 *cert,
                    struct ocsp_statement *statement, struct error *err)
{
    if (!path_exists(a->ledger_path)) {
        warn(call, "warning: %s is missing: what is revoked is not known", a->ledger_path);
        return true;
    }
    AUTO(ledger) *l = ledger_load(a->ledger_path, err);
    struct ledger_entry entry;
    if (!l || !ledger_find(l, cert, &entry, err))
        return false;
    AUTO(char) *subject = cert_subject(cert);
    if (!entry.known)
        return error_set(err, RC_UNTRUSTED, "%s: signed by its CA, but not in the ledger %s",
                         subject ? subject : "certificate", a->ledger_path);
    statement->revoked = entry.revoked;
    statement->revoked_at = entry.revoked_at;
    statement->reason = entry.reason;
    if (entry.revoked)
        say(call, "%s is revoked, and its response says so", subject ? subject : "the certificate");
    return true;
}

/* Who answers for a: the signer to which it has delegated that, where there is one. */
static bool choose_signer(const struct applet_call *call, const authority *a, const char *ca_key,
                          key_set **keys, X509_stack **signer, struct error *err)
{
    *signer = NULL;
    if (ca_key || !path_exists(a->ocsp_key_path))
        return (*keys = authority_keys(call, a, ca_key, err)) != NULL;
    *signer = cert_load(a->ocsp_cert_path, err);
    *keys = *signer ? call_keys(call, a->ocsp_key_path, KEY_PRIVATE, err) : NULL;
    if (!*keys)
        return false;
    return EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(*signer, 0)), (*keys)->keys[0]->pkey) == 1 ||
           error_set(err, RC_USAGE, "%s: is not the key of the certificate in %s", a->ocsp_key_path,
                     a->ocsp_cert_path);
}

/* Adds what OCSP says of the order's certificate, which a issued, to a stapling set. */
static bool add_status(const struct applet_call *call, json_t *set, const authority *a,
                       const struct staple_order *order, struct error *err)
{
    struct ocsp_statement statement = {.cert = order->cert,
                                       .issuer = a->cert,
                                       .at = clock_now(&call->clock),
                                       .days = order->days,
                                       .reason = OCSP_REVOKED_STATUS_NOSTATUS};
    if (!order->fresh && !look_up(call, a, order->cert, &statement, err))
        return false;
    key_set *found_keys = NULL;
    X509_stack *found_signer = NULL;
    bool found = choose_signer(call, a, order->ca_key, &found_keys, &found_signer, err);
    AUTO(key_set) *keys = found_keys;
    AUTO(X509_stack) *signer = found_signer;
    if (!found)
        return false;
    statement.signer_key = keys->keys[0]->pkey;
    statement.signer = signer ? sk_X509_value(signer, 0) : NULL;
    return staple_add(set, &statement, err);
}

json_t *staple_set(const struct applet_call *call, const struct staple_order *order,
                   struct error *err)
{
    AUTO(json_t) *set = json_array();
    AUTO(authority) *issuer = NULL;
    struct staple_order next = *order;
    if (!set)
        error_memory(err);
    for (size_t depth = 0; set && depth < LIMIT_CHAIN && !(issuer && issuer->is_root); depth++) {
        authority *above = authority_find(order->pki, next.cert, err);
        if (!above)
            return NULL;
        bool added = add_status(call, set, above, &next, err);
        authority_free(issuer);
        issuer = above;
        if (!added)
            return NULL;
        next = (struct staple_order){.cert = issuer->cert, .days = order->days};
    }
    return TAKE(set);
}

void pki_warn_of_alg(const struct applet_call *call, enum pki_role role, enum key_alg alg)
{
    if (!role_signs(role) || key_alg_signs(alg))
        return;
    warn(call, "warning: %s: no OTrP signing algorithm for the key of a %s", key_alg_name(alg),
         role_title(role));
    warn(call, "hint: choose ec-p256 or ec-p384");
}

EVP_PKEY *pki_audit_key(const struct applet_call *call, const char *path, struct error *err)
{
    AUTO(key_set) *keys = call_keys(call, path, KEY_PUBLIC, err);
    if (!keys)
        return NULL;
    EVP_PKEY *pkey = keys->keys[0]->pkey;
    if (pkey && EVP_PKEY_up_ref(pkey))
        return pkey;
    error_set(err, RC_MALFORMED, "%s: no RSA or EC key", path);
    return NULL;
}
