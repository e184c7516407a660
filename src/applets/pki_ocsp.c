/* SPDX-License-Identifier: Apache-2.0 */
/* otrp pki-ocsp: make the stapling set of a certificate anew, with the keys of its CAs. */
#include "applets/pki.h"

#include "pki/files.h"
#include "pki/staple.h"

struct pki_ocsp {
    const char *pki, *ca_key, *out, *cert;
    long days;
};

static const struct option_row options[] = {
    OPT_TEXT(pki_ocsp, pki, 0, "DIR", OPT_REQUIRED | OPT_DIR, "folder that pki-init made"),
    OPT_NUMBER(pki_ocsp, days, 0, "N", 1, 3650, "the responses count for N days (default: 7)"),
    OPT_TEXT(pki_ocsp, ca_key, 0, "KEY", OPT_FILE,
             "private key of the CA that issued CERT, where it is not in DIR"),
    OPT_TEXT(pki_ocsp, out, 'o', "FILE", OPT_FILE, "write to FILE (default: standard output)"),
    OPERAND(pki_ocsp, cert, "CERT", OPT_REQUIRED | OPT_FILE, "certificate that was issued in DIR"),
    OPT_END};

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct pki_ocsp *o = call->options;

    /* inputs */
    AUTO(X509_stack) *given = cert_load(o->cert, err);
    if (!given)
        return err->rc;

    /* act: from the certificate up to the one below the root */
    AUTO(json_t) *set = staple_set(
        call,
        &(struct staple_order){.pki = o->pki,
                               .cert = sk_X509_value(given, 0),
                               .ca_key = o->ca_key,
                               .days = o->days ? (int)o->days : STAPLE_DAYS},
        err);
    if (!set)
        return err->rc;

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
