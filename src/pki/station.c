/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/station.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pki/asn1.h"
#include "pki/chain.h"
#include "pki/der.h"
#include "pki/files.h"
#include "pki/issue.h"
#include "pki/layout.h"
#include "pki/tamid.h"
#include "util/file.h"
#include "util/limits.h"

static bool given(const char *text)
{
    return text && *text;
}

static bool read_role(const char *text, enum pki_role *role, struct error *err)
{
    if (given(text) && role_find(text, role))
        return true;
    if (!given(text))
        error_set(err, RC_USAGE, "role: missing");
    else
        error_set(err, RC_USAGE, "role: '%s' is none", text);
    return error_hint(err, "sp, tam, tee or tfw");
}

static bool read_name(const char *text, entity *e, struct error *err)
{
    if (given(text) && layout_name_valid(text))
        return ((e->name = strdup(text)) || error_memory(err)) &&
               layout_shard(e->name, &e->shard, err);
    error_set(err, RC_USAGE, "name: '%s' is no name", text ? text : "");
    return error_hint(err, LAYOUT_NAME_FORM);
}

static bool read_days(const char *text, long *days, struct error *err)
{
    if (!given(text))
        return true;
    char *end;
    errno = 0;
    *days = strtol(text, &end, 10);
    if (!errno && *text >= '0' && *text <= '9' && !*end && *days >= 1 && *days <= LIMIT_CERT_DAYS)
        return true;
    return error_set(err, RC_USAGE, "days: '%s' is not a whole number from 1 to %d", text,
                     LIMIT_CERT_DAYS);
}

static bool read_tamid(const char *text, entity *e, struct error *err)
{
    if (e->role != ROLE_TAM)
        return !given(text) ||
               error_set(err, RC_USAGE, "tamid: for a TAM only, not for a %s", role_title(e->role));
    e->tamid = strdup(given(text) ? text : e->name);
    if (!e->tamid)
        return error_memory(err);
    AUTO(GENERAL_NAME) *name = tamid_to_name(e->tamid, err);
    return name != NULL;
}

static bool read_csr(const char *path, struct span text, entity *e, struct error *err)
{
    AUTO(X509_REQ) *csr = text.size ? csr_parse(text, path, err) : csr_load(path, err);
    if (!csr || !csr_extensions(csr, &e->requested, err))
        return false;
    EVP_PKEY *pkey = X509_REQ_get_pubkey(csr);
    return pkey ? entity_set_key(e, pkey, false, path, err) : error_memory(err);
}

entity *entity_read(const struct entity_text *text, struct error *err)
{
    AUTO(entity) *e = calloc(1, sizeof *e);
    if (!e) {
        error_memory(err);
        return NULL;
    }
    e->alg = KEY_ALG_USUAL;
    if (!read_role(text->role, &e->role, err) || !read_name(text->name, e, err) ||
        !read_days(text->days, &e->days, err) || !read_tamid(text->tamid, e, err) ||
        (given(text->alg) && !key_alg_parse(text->alg, "alg", &e->alg, err)))
        return NULL;
    enum key_alg wanted = e->alg;
    if (given(text->csr) && !read_csr(text->csr, text->csr_text, e, err))
        return NULL;
    if (!given(text->csr) || !given(text->alg) || wanted == e->alg)
        return TAKE(e);
    error_set(err, RC_USAGE, "%s: its key is %s, not %s", text->csr, key_alg_name(e->alg),
              key_alg_name(wanted));
    return NULL;
}

void entity_free(entity *e)
{
    if (!e)
        return;
    free(e->name);
    free(e->tamid);
    EVP_PKEY_free(e->pkey);
    x509_extensions_free(e->requested);
    buffer_free(e->der);
    ledger_facts_free(&e->facts);
    free(e);
}

bool entity_make_key(entity *e, keygen *keys, struct error *err)
{
    if (e->pkey)
        return true;
    e->private = true;
    return (e->pkey = keygen_next(keys, e->alg, err)) != NULL;
}

bool entity_set_key(entity *e, EVP_PKEY *pkey, bool private, const char *what, struct error *err)
{
    EVP_PKEY_free(e->pkey);
    e->pkey = pkey;
    e->private = private;
    ec_key_normalise(pkey);
    if (key_alg_of(pkey, &e->alg))
        return true;
    error_set(err, RC_USAGE, "%s: a key that is not served here", what);
    return error_hint(err, "choose from rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p384, ec-p521");
}

/* What is issued before its CA begins counts for nobody, and nobody can mend that in a template. */
static bool check_clock(const struct station *s, const authority *ca, struct error *err)
{
    time_t begin, now = clock_now(s->clock);
    char here[32], there[32];
    if (!asn1_time_read(X509_get0_notBefore(ca->cert), &begin) || now >= begin)
        return true;
    time_format(now, here);
    time_format(begin, there);
    error_set(err, RC_USAGE, "it is %s by the clock, and the CA in %s begins at %s", here,
              ca->cert_path, there);
    return error_hint(err, "set the clock, or give --now");
}

bool station_open(struct station *s, enum pki_role role, struct error *err)
{
    struct station_ca *at = &s->ca[role];
    if (at->ca)
        return true;
    if (!at->template && !(at->template = template_load(s->templates, role_name(role), err)))
        return false;
    AUTO(authority) *ca = authority_of(s->pki, role, err);
    if (!ca || !check_clock(s, ca, err) || !(at->pem = cert_to_pem(ca->cert, err)))
        return false;
    at->ca = TAKE(ca);
    return true;
}

void station_close(struct station *s)
{
    for (enum pki_role role = 0; role < ROLE_COUNT; role++) {
        struct station_ca *at = &s->ca[role];
        authority_free(at->ca);
        buffer_free(at->pem);
        folder_names_free(at->names);
        template_free(at->template);
        mould_free(at->mould);
        *at = (struct station_ca){.ca = NULL};
    }
}

static bool is_ec(const entity *e)
{
    return key_alg_family(e->alg)[0] == 'e';
}

/* Whether it differs from others of its kind as mould.h can. */
static bool is_plain(const entity *e)
{
    return !e->tamid && !e->requested && e->point.size;
}

/* Whether its certificate has extensions that it asks for. */
static bool is_extended(const struct station_ca *at, const entity *e)
{
    bool allowed = false;
    for (int i = 0; !allowed && i < sk_X509_EXTENSION_num(e->requested); i++) {
        X509_EXTENSION *extension = sk_X509_EXTENSION_value(e->requested, i);
        allowed = template_allows(at->template, e->role,
                                  OBJ_obj2nid(X509_EXTENSION_get_object(extension)));
    }
    return allowed;
}

/* What a template makes has to be accepted in its role: looked at once for each kind of key, as all
 * certificates of a kind differ in nothing that counts here but the extensions of a request. */
static bool check_chain(struct station *s, const entity *e, struct error *err)
{
    struct station_ca *at = &s->ca[e->role];
    bool *tried = &at->tried[is_ec(e)];
    if (*tried && !is_extended(at, e))
        return true;
    AUTO(X509) *leaf = cert_from_der(buffer_span(e->der), "the new certificate", err);
    AUTO(X509_stack) *anchors = leaf ? layout_roots(s->pki, e->role, err) : NULL;
    AUTO(X509_stack) *others = anchors ? sk_X509_new_null() : NULL;
    if (!others || !X509_add_cert(others, at->ca->cert, X509_ADD_FLAG_UP_REF))
        return anchors ? error_memory(err) : false;
    struct chain_question question = {.leaf = leaf,
                                      .others = others,
                                      .anchors = anchors,
                                      .role = e->role,
                                      .at = clock_now(s->clock)};
    AUTO(X509_stack) *path = chain_verify(&question, err);
    if (!path) {
        err->rc = RC_USAGE;
        return error_prefix(err, "%s: makes a certificate that nobody accepts",
                            template_path(at->template));
    }
    *tried = true;
    return true;
}

static bool take_cert(entity *e, const X509 *cert, struct error *err)
{
    e->der = cert_to_der(cert, err);
    return e->der && (ledger_facts_of(cert, &e->facts) || error_memory(err));
}

/* The mould is taken from the second certificate: many are made one at a time. */
static bool issue_first(struct station_ca *at, const struct issue_order *order, entity *e,
                        struct error *err)
{
    AUTO(X509) *cert = issue(order, err);
    if (!cert || !take_cert(e, cert, err))
        return false;
    if (!at->mould && at->tried[is_ec(e)] && is_plain(e))
        at->mould = mould_new(order, cert);
    return true;
}

bool station_issue(struct station *s, entity *e, struct error *err)
{
    struct station_ca *at = &s->ca[e->role];
    const struct issue_order order = {
        .template = at->template,
        .use = {e->role, key_alg_family(e->alg), e->name, e->days},
        .tamid = e->tamid,
        .requested = e->requested,
        .pkey = e->pkey,
        .issuer = at->ca->cert,
        .issuer_key = at->key,
        .now = clock_now(s->clock),
    };
    bool ec = is_ec(e) && ec_point_of(e->pkey, &e->point);
    if (ec && at->mould && is_plain(e))
        e->der = mould_cast(at->mould, &order, &e->point, &e->facts);
    return (e->der || issue_first(at, &order, e, err)) && check_chain(s, e, err);
}

bool station_take(entity *e, struct span der, struct error *err)
{
    AUTO(X509) *cert = cert_from_der(der, "the new certificate", err);
    return cert && take_cert(e, cert, err);
}

/* Where a file of e in a family is. */
static char *path_of(const struct station *s, const entity *e, const char *family, const char *what)
{
    const struct layout_sharded sharded = {e->role, e->shard, e->name, family};
    return s->out ? layout_shard_path(s->out, &sharded, what)
                  : layout_entity_path(s->pki, e->role, e->name, family, what);
}

char *station_path(const struct station *s, const entity *e, const char *what)
{
    return path_of(s, e, key_alg_family(e->alg), what);
}

char *station_ledger_file(const struct station *s, const entity *e)
{
    if (s->out)
        return strdup("unknown");
    AUTO(char) *path = layout_entity_path("", e->role, e->name, key_alg_family(e->alg), "cert.pem");
    return path ? strdup(path + 1) : NULL;
}

bool station_read_names(struct station *s, struct error *err)
{
    for (enum pki_role role = 0; s->out && role < ROLE_COUNT; role++) {
        struct station_ca *at = &s->ca[role];
        AUTO(char) *folder = at->ca ? layout_entity_folder(s->pki, role) : NULL;
        if (at->ca && !folder)
            return error_memory(err);
        folder_names_free(at->names);
        at->names = folder ? folder_names_read(folder) : NULL;
    }
    return true;
}

bool station_taken(const struct station *s, const entity *e, char **path, struct error *err)
{
    const folder_names *names = s->ca[e->role].names;
    bool known = names && folder_names_hold(names);
    *path = NULL;
    for (size_t f = 0; f < KEY_FAMILY_COUNT; f++) {
        AUTO(char) *cert = layout_entity_path(s->pki, e->role, e->name, key_families[f],
                                              "cert.pem");
        AUTO(char) *out = s->out ? path_of(s, e, key_families[f], "cert.pem") : NULL;
        if (!cert || (s->out && !out))
            return error_memory(err);
        bool may_be = !known || folder_names_has(names, strrchr(cert, '/') + 1);
        if (may_be && path_exists(cert))
            *path = TAKE(cert);
        else if (out && path_exists(out))
            *path = TAKE(out);
        if (*path)
            return true;
    }
    return true;
}

buffer *entity_cert_pem(const entity *e, struct error *err)
{
    AUTO(buffer) *pem = buffer_new(2 * e->der->size);
    if (pem)
        pem_put(pem, "CERTIFICATE", buffer_span(e->der));
    if (pem && !pem->failed)
        return TAKE(pem);
    error_memory(err);
    return NULL;
}

buffer *station_key_pem(const struct station *s, const entity *e, struct error *err)
{
    buffer *pem = s->passphrase || !e->point.size ? NULL : ec_key_pem(e->pkey, &e->point);
    return pem ? pem : pki_key_pem(e->pkey, s->passphrase, err);
}

buffer *station_bundle(const struct station *s, const buffer *cert_pem, enum pki_role role,
                       struct error *err)
{
    AUTO(buffer) *bundle = buffer_copy(buffer_span(cert_pem));
    if (bundle)
        buffer_put_span(bundle, buffer_span(s->ca[role].pem));
    if (bundle && !bundle->failed)
        return TAKE(bundle);
    error_memory(err);
    return NULL;
}
