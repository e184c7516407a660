/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/files.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include <openssl/pem.h>

#include "pki/asn1.h"
#include "pki/ec_key.h"
#include "pki/layout.h"
#include "pki/ledger.h"
#include "pki/staple.h"
#include "util/openssl_error.h"

#define ANY_LEVEL ((1u << LEVEL_ROOT) | (1u << LEVEL_CA) | (1u << LEVEL_ENTITY))
#define ISSUERS   ((1u << LEVEL_ROOT) | (1u << LEVEL_CA))
#define ENTITIES  (1u << LEVEL_ENTITY)
#define ANY_ROLE  ((1u << ROLE_COUNT) - 1)

static buffer *make_key(const hierarchy *h, const struct pki_member *m, time_t now,
                        struct error *err);
static buffer *make_cert(const hierarchy *h, const struct pki_member *m, time_t now,
                         struct error *err);
static buffer *make_bundle(const hierarchy *h, const struct pki_member *m, time_t now,
                           struct error *err);
static buffer *make_ocsp(const hierarchy *h, const struct pki_member *m, time_t now,
                         struct error *err);
static buffer *make_ledger(const hierarchy *h, const struct pki_member *m, time_t now,
                           struct error *err);
static buffer *make_ledger_attributes(const hierarchy *h, const struct pki_member *m, time_t now,
                                      struct error *err);

/* Which files there are, for whom, and how their names end. */
static const struct {
    const char *name, *end;
    unsigned levels, roles;
    bool private;
    buffer *(*make)(const hierarchy *h, const struct pki_member *m, time_t now, struct error *err);
} kinds[PKI_FILE_KIND_COUNT] = {
    [PKI_KEY] = {"private-key", "key.pem", ANY_LEVEL, ANY_ROLE, true, make_key},
    [PKI_CERT] = {"certificate", "cert.pem", ANY_LEVEL, ANY_ROLE, false, make_cert},
    [PKI_BUNDLE] = {"bundle", "cert-plus-intermediate-cert.pem", ENTITIES, ANY_ROLE, false,
                    make_bundle},
    [PKI_PRIVATE_JWK] = {"private-jwk", "key.jwk", ENTITIES, ANY_ROLE, true, NULL},
    [PKI_PUBLIC_JWK] = {"public-jwk", "pub.jwk", ENTITIES, ANY_ROLE, false, NULL},
    [PKI_OCSP] = {"ocsp", "ocsp.json", ENTITIES, 1u << ROLE_TAM, false, make_ocsp},
    [PKI_LEDGER] = {"ledger", "index.txt", ISSUERS, ANY_ROLE, false, make_ledger},
    [PKI_LEDGER_ATTRIBUTES] = {"ledger-attributes", "index.txt.attr", ISSUERS, ANY_ROLE, false,
                               make_ledger_attributes},
};

bool pki_file_private(enum pki_file_kind kind)
{
    return kinds[kind].private;
}

const char *pki_file_kind_name(enum pki_file_kind kind)
{
    return kinds[kind].name;
}

static char *path_of(const char *dir, const struct pki_member *m, const char *end)
{
    switch (m->level) {
    case LEVEL_ROOT:
        return layout_root_path(dir, m->role, m->family, end);
    case LEVEL_CA:
        return layout_ca_path(dir, m->role, m->family, end);
    default:
        return layout_entity_path(dir, m->role, m->name, m->family, end);
    }
}

pki_files *pki_files_plan(const hierarchy *h, const char *dir, struct error *err)
{
    AUTO(pki_files) *files = calloc(1, sizeof *files);
    if (files)
        files->files = calloc(h->count * PKI_FILE_KIND_COUNT, sizeof *files->files);
    if (!files || !files->files) {
        error_memory(err);
        return NULL;
    }
    for (size_t i = 0; i < h->count; i++) {
        const struct pki_member *m = &h->members[i];
        for (enum pki_file_kind kind = 0; kind < PKI_FILE_KIND_COUNT; kind++) {
            if (!(kinds[kind].levels & 1u << m->level) || !(kinds[kind].roles & 1u << m->role) ||
                (kind == PKI_PRIVATE_JWK && h->passphrase)) /* it would give the key away */
                continue;
            char *path = path_of(dir, m, kinds[kind].end);
            if (!path) {
                error_memory(err);
                return NULL;
            }
            files->files[files->count++] = (struct pki_file){kind, i, path};
        }
    }
    return TAKE(files);
}

void pki_files_free(pki_files *files)
{
    if (!files)
        return;
    for (size_t i = 0; files->files && i < files->count; i++)
        free(files->files[i].path);
    free(files->files);
    free(files);
}

static bool is_planned(const pki_files *files, const char *path)
{
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->files[i].path, path) == 0)
            return true;
    return false;
}

static bool check_folder(const pki_files *files, const char *folder, struct error *err)
{
    DIR *dir = opendir(folder);
    bool good = true;
    for (const struct dirent *entry; good && dir && (entry = readdir(dir));) {
        const char *end = strrchr(entry->d_name, '.');
        if (!end || strcmp(end, ".pem") != 0)
            continue;
        AUTO(char) *path = NULL;
        if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0) {
            path = NULL;
            good = error_memory(err);
        } else if (!is_planned(files, path)) {
            error_set(err, RC_USAGE, "%s: of another PKI, and this one would not replace it", path);
            good = error_hint(err, "move it away, or name another folder with --out");
        }
    }
    if (dir)
        closedir(dir);
    return good;
}

bool pki_files_check_strangers(const pki_files *files, const char *dir, struct error *err)
{
    static const char *const ends[LEVEL_COUNT] = {"-rootca", "-ca", ""};
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        for (size_t i = 0; i < LEVEL_COUNT; i++) {
            AUTO(char) *folder = NULL;
            if (asprintf(&folder, "%s/%s/%s%s", dir, role_name(role), role_name(role), ends[i]) <
                0) {
                folder = NULL;
                return error_memory(err);
            }
            if (!check_folder(files, folder, err))
                return false;
        }
    return true;
}

buffer *pki_key_pem(const EVP_PKEY *pkey, const buffer *passphrase, struct error *err)
{
    struct ec_point point;
    buffer *pem = !passphrase && ec_point_of(pkey, &point) ? ec_key_pem(pkey, &point) : NULL;
    if (pem)
        return pem;
    AUTO(BIO) *bio = BIO_new(BIO_s_secmem());
    if (!bio ||
        !PEM_write_bio_PKCS8PrivateKey(bio, pkey, passphrase ? EVP_aes_256_cbc() : NULL,
                                       passphrase ? (const char *)passphrase->data : NULL,
                                       passphrase ? (int)passphrase->size : 0, NULL, NULL)) {
        error_openssl(err, RC_INTERNAL, "cannot write a private key");
        return NULL;
    }
    pem = bio_text(bio, true);
    if (!pem)
        error_memory(err);
    return pem;
}

static buffer *make_key(const hierarchy *h, const struct pki_member *m, time_t now,
                        struct error *err)
{
    (void)now;
    return pki_key_pem(m->pkey, h->passphrase, err);
}

static buffer *make_cert(const hierarchy *h, const struct pki_member *m, time_t now,
                         struct error *err)
{
    (void)h, (void)now;
    return cert_to_pem(m->cert, err);
}

static buffer *make_bundle(const hierarchy *h, const struct pki_member *m, time_t now,
                           struct error *err)
{
    (void)now;
    AUTO(buffer) *bundle = cert_to_pem(m->cert, err);
    AUTO(buffer) *ca = bundle ? cert_to_pem(h->members[m->issuer].cert, err) : NULL;
    if (!ca)
        return NULL;
    buffer_put_span(bundle, buffer_span(ca));
    if (!bundle->failed)
        return TAKE(bundle);
    error_memory(err);
    return NULL;
}

static buffer *make_ocsp(const hierarchy *h, const struct pki_member *m, time_t now,
                         struct error *err)
{
    AUTO(json_t) *set = json_array();
    for (; set && m->level != LEVEL_ROOT; m = &h->members[m->issuer]) {
        const struct pki_member *issuer = &h->members[m->issuer];
        struct ocsp_statement good = {.cert = m->cert,
                                      .issuer = issuer->cert,
                                      .signer_key = issuer->pkey,
                                      .at = now,
                                      .days = STAPLE_DAYS,
                                      .reason = OCSP_REVOKED_STATUS_NOSTATUS};
        if (!staple_add(set, &good, err))
            return NULL;
    }
    if (set)
        return staple_text(set, err);
    error_memory(err);
    return NULL;
}

static buffer *make_ledger(const hierarchy *h, const struct pki_member *m, time_t now,
                           struct error *err)
{
    (void)now;
    AUTO(ledger) *l = ledger_new(err);
    if (!l)
        return NULL;
    for (size_t i = 0; i < h->count; i++) {
        const struct pki_member *issued = &h->members[i];
        if (&h->members[issued->issuer] != m || issued == m)
            continue;
        AUTO(char) *path = path_of("", issued, kinds[PKI_CERT].end); /* "/tam/tam/..." */
        if (!path) {
            error_memory(err);
            return NULL;
        }
        if (!ledger_add(l, issued->cert, path + 1, err))
            return NULL;
    }
    return ledger_text(l, err);
}

static buffer *make_ledger_attributes(const hierarchy *h, const struct pki_member *m, time_t now,
                                      struct error *err)
{
    (void)h, (void)m, (void)now;
    buffer *text = buffer_copy(span_text(LEDGER_ATTRIBUTES));
    if (!text)
        error_memory(err);
    return text;
}

buffer *pki_file_make(const hierarchy *h, const struct pki_file *file, time_t now,
                      struct error *err)
{
    return kinds[file->kind].make(h, &h->members[file->member], now, err);
}
