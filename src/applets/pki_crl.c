/* SPDX-License-Identifier: Apache-2.0 */
/* otrp pki-crl: the certificate revocation list of a CA, from its ledger. */
#include "applets/pki.h"

#include <string.h>

#include <openssl/pem.h>

#include "pki/crl.h"
#include "util/openssl_auto.h"

#define CRL_DAYS 30

struct pki_crl {
    const char *pki, *role, *ca_key, *out;
    long days;
    bool root, der;
};

static const char *const roles[] = {"sp", "tam", "tee", "tfw", NULL};

static const struct option_row options[] = {
    OPT_TEXT(pki_crl, pki, 0, "DIR", OPT_REQUIRED | OPT_DIR, "folder that pki-init made"),
    OPT_CHOICE(pki_crl, role, 0, "ROLE", roles, OPT_REQUIRED, "whose CA"),
    OPT_FLAG(pki_crl, root, 0, 0, "the list of the root above that CA"),
    OPT_NUMBER(pki_crl, days, 0, "N", 1, 3650, "the list counts for N days (default: 30)"),
    OPT_TEXT(pki_crl, ca_key, 0, "KEY", OPT_FILE,
             "private key of the CA or root, where it is not in DIR"),
    OPT_FLAG(pki_crl, der, 0, 0, "write DER instead of PEM"),
    OPT_TEXT(pki_crl, out, 'o', "FILE", OPT_FILE, "write to FILE (default: standard output)"),
    OPT_END};

static authority *find(const struct pki_crl *o, struct error *err)
{
    enum pki_role role;
    AUTO(authority) *ca = role_find(o->role, &role) ? authority_of(o->pki, role, err) : NULL;
    return !ca ? NULL : o->root ? authority_find(o->pki, ca->cert, err) : TAKE(ca);
}

static buffer *to_pem(const buffer *der, struct error *err)
{
    AUTO(BIO) *bio = BIO_new(BIO_s_mem());
    char *text;
    long size = 0;
    if (bio && PEM_write_bio(bio, PEM_STRING_X509_CRL, "", der->data, (long)der->size) > 0)
        size = BIO_get_mem_data(bio, &text);
    buffer *pem = size > 0 ? buffer_copy(SPAN(text, (size_t)size)) : NULL;
    if (!pem)
        error_memory(err);
    return pem;
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct pki_crl *o = call->options;

    /* inputs */
    AUTO(authority) *a = find(o, err);
    AUTO(ledger) *l = a ? ledger_load(a->ledger_path, err) : NULL;
    AUTO(key_set) *keys = l ? authority_keys(call, a, o->ca_key, err) : NULL;
    if (!keys)
        return err->rc;

    /* act */
    AUTO(buffer) *der = crl_make(&(struct crl_order){.revoked = l,
                                                     .issuer = a->cert,
                                                     .issuer_key = keys->keys[0]->pkey,
                                                     .at = clock_now(&call->clock),
                                                     .days = o->days ? (int)o->days : CRL_DAYS},
                                 err);
    AUTO(buffer) *pem = der && !o->der ? to_pem(der, err) : NULL;
    if (!der || (!o->der && !pem))
        return err->rc;

    /* outputs */
    return call_put(call, o->out, buffer_span(o->der ? der : pem), OUTPUT_PUBLIC, err);
}

const struct applet applet_pki_crl = {
    .uses = USES_KEYS | USES_NOW | USES_FORCE,
    .options = options,
    .size = sizeof(struct pki_crl),
    .run = run,
    .examples = (const char *const[]){"otrp pki-crl --pki pki --role tam -o tam-crl.pem",
                                      "otrp pki-crl --pki pki --role tam --root --days 90", NULL},
};
