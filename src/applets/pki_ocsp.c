/* SPDX-License-Identifier: Apache-2.0 */
/* otrp pki-ocsp: make the stapling set of a certificate anew, with the keys of its CAs. */
#include "applets/common.h"

#include "pki/authority.h"
#include "pki/files.h"
#include "pki/ledger.h"
#include "pki/staple.h"

struct pki_ocsp {
    const char *pki, *out, *cert;
    long days;
};

static const struct option_row options[] = {
    OPT_TEXT(pki_ocsp, pki, 0, "DIR", OPT_REQUIRED | OPT_DIR, "folder that pki-init made"),
    OPT_NUMBER(pki_ocsp, days, 0, "N", 1, 3650, "the responses count for N days (default: 7)"),
    OPT_TEXT(pki_ocsp, out, 'o', "FILE", OPT_FILE, "write to FILE (default: standard output)"),
    OPERAND(pki_ocsp, cert, "CERT", OPT_REQUIRED | OPT_FILE, "certificate that was issued in DIR"),
    OPT_END};

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
    if (!entry.known) {
        AUTO(char) *subject = cert_subject(cert);
        return error_set(err, RC_UNTRUSTED, "%s: signed by its CA, but not in the ledger %s",
                         subject ? subject : "certificate", a->ledger_path);
    }
    statement->revoked = entry.revoked;
    statement->revoked_at = entry.revoked_at;
    statement->reason = entry.reason;
    return true;
}

static bool add_response(const struct applet_call *call, json_t *set, const authority *a,
                         X509 *cert, struct error *err)
{
    const struct pki_ocsp *o = call->options;
    struct ocsp_statement statement = {.cert = cert,
                                       .issuer = a->cert,
                                       .at = clock_now(&call->clock),
                                       .days = o->days ? (int)o->days : STAPLE_DAYS,
                                       .reason = OCSP_REVOKED_STATUS_NOSTATUS};
    if (!look_up(call, a, cert, &statement, err))
        return false;
    AUTO(key_set) *keys = call_keys(call, a->key_path, KEY_PRIVATE, err);
    if (!keys)
        return false;
    statement.issuer_key = keys->keys[0]->pkey;
    if (statement.revoked) {
        AUTO(char) *subject = cert_subject(cert);
        say(call, "%s is revoked, and its response says so", subject ? subject : "the certificate");
    }
    return staple_add(set, &statement, err);
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct pki_ocsp *o = call->options;

    /* inputs */
    AUTO(X509_stack) *given = cert_load(o->cert, err);
    AUTO(json_t) *set = given ? json_array() : NULL;
    if (!set)
        return given ? (error_memory(err), err->rc) : err->rc;

    /* act: from the certificate up to the one below the root */
    AUTO(authority) *issuer = NULL;
    X509 *cert = sk_X509_value(given, 0);
    for (size_t depth = 0; depth < LIMIT_CHAIN && !(issuer && issuer->is_root); depth++) {
        authority *above = authority_find(o->pki, cert, err);
        if (!above)
            return err->rc;
        bool added = add_response(call, set, above, cert, err);
        authority_free(issuer);
        issuer = above;
        if (!added)
            return err->rc;
        cert = issuer->cert;
    }

    /* outputs */
    AUTO(buffer) *text = staple_text(set, err);
    return text ? call_put(call, o->out, buffer_span(text), OUTPUT_PUBLIC, err) : err->rc;
}

const struct applet applet_pki_ocsp = {
    .uses = USES_KEYS | USES_NOW | USES_FORCE,
    .options = options,
    .size = sizeof(struct pki_ocsp),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp pki-ocsp --pki pki pki/tam/tam/tam-mytam-rsa-cert.pem",
            "otrp pki-ocsp --pki pki --days 30 --force -o "
            "pki/tam/tam/tam-mytam-rsa-ocsp.json pki/tam/tam/tam-mytam-rsa-cert.pem",
            NULL},
};
