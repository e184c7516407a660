/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tam_staple.h"

#include "jose/key_set.h"
#include "pki/authority.h"
#include "pki/files.h"
#include "pki/ledger.h"
#include "pki/staple.h"
#include "util/base64.h"
#include "util/file.h"
#include "util/limits.h"

/* The responses of a set, decoded. */
typedef struct responses {
    buffer *items[LIMIT_OCSP_RESPONSES];
    struct span spans[LIMIT_OCSP_RESPONSES];
    size_t count;
} responses;

static void responses_free(responses *r)
{
    for (size_t i = 0; i < r->count; i++)
        buffer_free(r->items[i]);
}
AUTO_DEFINE(responses, responses_free)

static void responses_read(responses *r, const json_t *set)
{
    struct error ignored;
    for (size_t i = 0; i < json_array_size(set) && r->count < LIMIT_OCSP_RESPONSES; i++) {
        const char *text = json_string_value(json_array_get(set, i));
        buffer *der = text ? base64_decode(span_text(text), "ocspdat", &ignored) : NULL;
        if (!der)
            continue;
        r->items[r->count] = der;
        r->spans[r->count++] = buffer_span(der);
    }
}

static X509 *issuer_among(const X509_stack *certs, X509 *cert)
{
    for (int i = 0; certs && i < sk_X509_num(certs); i++)
        if (X509_check_issued(sk_X509_value(certs, i), cert) == X509_V_OK)
            return sk_X509_value(certs, i);
    return NULL;
}

bool staple_judge(const json_t *set, const X509_stack *chain, const X509_stack *roots, time_t now,
                  time_t *until, struct error *err)
{
    responses decoded = {.count = 0};
    AUTO(responses) *r = &decoded;
    responses_read(r, set);
    *until = 0;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *cert = sk_X509_value(chain, i), *issuer = issuer_among(chain, cert);
        time_t this_until;
        if (issuer == cert || (!issuer && !(issuer = issuer_among(roots, cert))))
            continue; /* a root, or below one that is not at hand */
        if (!ocsp_check(r->spans, r->count, cert, issuer, now, &this_until, NULL, err))
            return false;
        if (!*until || this_until < *until)
            *until = this_until;
    }
    return true;
}

/* Appends what the authority says of cert; a revoked one gets no new set. */
static bool state_add(json_t *set, const authority *a, const char *passin, const X509 *cert,
                      time_t now, struct error *err)
{
    struct ocsp_statement statement = {.cert = cert,
                                       .issuer = a->cert,
                                       .at = now,
                                       .days = STAPLE_DAYS,
                                       .reason = OCSP_REVOKED_STATUS_NOSTATUS};
    struct ledger_entry entry = {.revoked = false};
    AUTO(ledger) *l = path_exists(a->ledger_path) ? ledger_load(a->ledger_path, err) : NULL;
    if ((!l && path_exists(a->ledger_path)) || (l && !ledger_find(l, cert, &entry, err)))
        return false;
    if (entry.revoked) {
        AUTO(char) *subject = cert_subject(cert);
        error_set(err, RC_UNTRUSTED, "%s is revoked", subject ? subject : "a certificate");
        return error_cause(err, CAUSE_REVOKED);
    }
    AUTO(key_set) *keys = key_set_load(
        a->key_path, &(struct key_how){.part = KEY_PRIVATE, .passin = passin}, err);
    if (!keys)
        return false;
    statement.signer_key = keys->keys[0]->pkey;
    return staple_add(set, &statement, err);
}

json_t *staple_renew(const char *pki, const char *passin, X509 *cert, time_t now, struct error *err)
{
    AUTO(json_t) *set = json_array();
    AUTO(authority) *issuer = NULL;
    if (!set) {
        error_memory(err);
        return NULL;
    }
    for (size_t depth = 0; depth < LIMIT_CHAIN && !(issuer && issuer->is_root); depth++) {
        AUTO(authority) *above = authority_find(pki, cert, err);
        if (!above || !state_add(set, above, passin, cert, now, err))
            return NULL;
        authority_free(issuer);
        issuer = TAKE(above);
        cert = issuer->cert;
    }
    return TAKE(set);
}
