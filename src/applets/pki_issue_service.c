/* SPDX-License-Identifier: Apache-2.0 */
/* pki-issue --kind: certificates that serve a CA, its own and those of OCSP signers. */
#include "applets/pki_issue.h"

#include <stdio.h>
#include <string.h>

#include "pki/files.h"
#include "pki/issue.h"
#include "util/file.h"
#include "util/output_set.h"

/* A certificate that serves a CA: its own, or that of an OCSP signer. */
struct service {
    const char *template; /* which cert_template */
    authority *issuer;
    char *cert_path, *key_path;
    bool is_ca;
};

static void service_close(struct service *v)
{
    authority_free(v->issuer);
    free(v->cert_path);
    free(v->key_path);
}

static bool service_open(const struct pki_issue *o, enum pki_role role, struct service *v,
                         struct error *err)
{
    AUTO(authority) *ca = authority_of(o->pki, role, err);
    if (!ca)
        return false;
    v->is_ca = strcmp(o->kind, "ca") == 0;
    v->template = v->is_ca ? "ca" : "ocsp";
    bool of_ca = strcmp(o->kind, "ocsp-signer") == 0;
    v->issuer = of_ca ? NULL : authority_find(o->pki, ca->cert, err);
    if (!of_ca && !v->issuer)
        return false;
    const authority *whose = v->is_ca || of_ca ? ca : v->issuer;
    v->cert_path = strdup(v->is_ca ? ca->cert_path : whose->ocsp_cert_path);
    v->key_path = strdup(v->is_ca ? ca->key_path : whose->ocsp_key_path);
    if (of_ca)
        v->issuer = TAKE(ca);
    return (v->cert_path && v->key_path) || error_memory(err);
}

/* Its key: given, that of the certificate that is renewed, or a new one. */
static bool service_key(const struct applet_call *call, const struct service *v, entity *e,
                        struct error *err)
{
    const struct pki_issue *o = call->options;
    if (path_exists(v->cert_path) && !o->renew) {
        error_set(err, RC_USAGE, "%s: exists already", v->cert_path);
        return error_hint(err, "--renew replaces it");
    }
    if (o->key)
        return issue_take_key(call, e, o->key, err);
    if (o->renew && !o->alg && !o->csr) {
        AUTO(X509_stack) *old = cert_load(v->cert_path, err);
        EVP_PKEY *pkey = old ? X509_get_pubkey(sk_X509_value(old, 0)) : NULL;
        if (old && !pkey)
            error_set(err, RC_MALFORMED, "%s: its key cannot be read", v->cert_path);
        return pkey && entity_set_key(e, pkey, false, v->cert_path, err);
    }
    return issue_make_key(call, e, err);
}

/* A key file that would not be that of the new certificate is the user's to take away. */
static bool service_check_key(const struct applet_call *call, const struct service *v,
                              const entity *e, struct error *err)
{
    if (e->private || !path_exists(v->key_path))
        return true;
    AUTO(key_set) *keys = call_keys(call, v->key_path, KEY_PRIVATE, err);
    if (!keys)
        return false;
    if (EVP_PKEY_eq(keys->keys[0]->pkey, e->pkey) == 1)
        return true;
    error_set(err, RC_USAGE, "%s: is not the key of the new certificate", v->key_path);
    return error_hint(err, "move it away first");
}

static X509 *service_cert(const struct station *s, const struct service *v, const entity *e,
                          EVP_PKEY *issuer_key, struct error *err)
{
    AUTO(cert_template) *look = template_load(s->templates, v->template, err);
    if (!look)
        return NULL;
    return issue(&(struct issue_order){.template = look,
                                       .use = {e->role, key_alg_family(e->alg), NULL, e->days},
                                       .requested = e->requested,
                                       .pkey = e->pkey,
                                       .issuer = v->issuer->cert,
                                       .issuer_key = issuer_key,
                                       .now = clock_now(s->clock)},
                 err);
}

static bool service_put(const struct station *s, const struct service *v, const entity *e,
                        const X509 *made, buffer *result, struct error *err)
{
    AUTO(output_set) *outputs = output_set_new(true);
    AUTO(buffer) *cert = cert_to_pem(made, err);
    AUTO(buffer) *pem = cert && e->private ? pki_key_pem(e->pkey, s->passphrase, err) : NULL;
    AUTO(buffer) *row = buffer_new(200);
    AUTO(char) *serial = ledger_serial(made);
    AUTO(char) *sha256 = cert_sha256_hex(made, err);
    if (!cert || (e->private && !pem) || !sha256)
        return false;
    if (!outputs || !row || !serial)
        return error_memory(err);
    issued_put(result, &(struct issued){.row = 1,
                                        .role = role_name(e->role),
                                        .name = e->name,
                                        .serial = serial,
                                        .sha256 = sha256,
                                        .cert = v->cert_path,
                                        .key = e->private ? v->key_path : NULL,
                                        .status = ISSUED_GOOD});
    size_t dir = strlen(s->pki);
    const char *file = v->cert_path + dir + (s->pki[dir - 1] != '/');
    return output_add(outputs, v->cert_path, buffer_span(cert), OUTPUT_PUBLIC, err) &&
           (!pem || output_add(outputs, v->key_path, buffer_span(pem), OUTPUT_PRIVATE, err)) &&
           ledger_put_row(row, made, file, err) &&
           ledger_append(v->issuer->ledger_path, buffer_span(row), err) &&
           output_commit(outputs, err);
}

enum rc issue_service(const struct applet_call *call, const struct station *s, struct error *err)
{
    const struct pki_issue *o = call->options;
    struct service v = {.issuer = NULL};
    char days[24] = "";
    if (o->days)
        snprintf(days, sizeof days, "%ld", o->days);
    struct entity_text text = {
        .role = o->role, .name = o->kind, .alg = o->alg, .csr = o->csr, .days = days};
    AUTO(entity) *e = entity_read(&text, err);
    AUTO(buffer) *result = buffer_new(512);
    bool done = e && result && service_open(o, e->role, &v, err) && service_key(call, &v, e, err) &&
                service_check_key(call, &v, e, err) &&
                issue_check_compromise(s, e, v.cert_path, err);
    AUTO(key_set) *keys = done ? authority_keys(call, v.issuer, o->ca_key, err) : NULL;
    AUTO(X509) *made = keys ? service_cert(s, &v, e, keys->keys[0]->pkey, err) : NULL;
    if (result)
        buffer_put_text(result, ISSUED_HEADER);
    if (made && e->private)
        issue_warn_of_clear(call, s, v.issuer->key_path);
    done = made && service_put(s, &v, e, made, result, err) &&
           (issued_print_text(call, result, err) || issued_unprinted(result, err));
    service_close(&v);
    return done ? RC_OK : err->rc;
}
