/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/authority.h"

#include <openssl/err.h>

#include "pki/keygen.h"
#include "pki/layout.h"
#include "util/file.h"

typedef char *path_maker(const char *dir, enum pki_role role, const char *family, const char *what);

/* Where one CA's files may be. */
struct place {
    const char *dir;
    path_maker *path;
    enum pki_role role;
    const char *family;
};

void authority_free(authority *a)
{
    if (!a)
        return;
    X509_free(a->cert);
    free(a->cert_path);
    free(a->key_path);
    free(a->ledger_path);
    free(a->ocsp_cert_path);
    free(a->ocsp_key_path);
    free(a);
}

static bool has_issued(X509 *issuer, X509 *cert)
{
    bool issued = X509_check_issued(issuer, cert) == X509_V_OK &&
                  X509_verify(cert, X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    return issued;
}

static authority *authority_at(const struct place *at, X509 *cert, struct error *err)
{
    AUTO(authority) *a = calloc(1, sizeof *a);
    if (!a || !X509_up_ref(cert)) {
        error_memory(err);
        return NULL;
    }
    a->cert = cert;
    a->role = at->role;
    a->is_root = at->path == layout_root_path;
    a->cert_path = at->path(at->dir, at->role, at->family, "cert.pem");
    a->key_path = at->path(at->dir, at->role, at->family, "key.pem");
    a->ledger_path = at->path(at->dir, at->role, at->family, "index.txt");
    a->ocsp_cert_path = at->path(at->dir, at->role, at->family, "ocsp-cert.pem");
    a->ocsp_key_path = at->path(at->dir, at->role, at->family, "ocsp-key.pem");
    if (a->cert_path && a->key_path && a->ledger_path && a->ocsp_cert_path && a->ocsp_key_path)
        return TAKE(a);
    error_memory(err);
    return NULL;
}

/* The certificates of the CA that may be at that place; *issuers stays NULL when there is none. */
static bool load_at(const struct place *at, X509_stack **issuers, struct error *err)
{
    AUTO(char) *path = at->path(at->dir, at->role, at->family, "cert.pem");
    *issuers = NULL;
    if (!path)
        return error_memory(err);
    return !path_exists(path) || (*issuers = cert_load(path, err));
}

/* 1 with *found when the CA at that place issued cert (NULL: when there is one), 0 when not, -1
 * with err set. */
static int look_at(const struct place *at, X509 *cert, authority **found, struct error *err)
{
    X509_stack *loaded;
    if (!load_at(at, &loaded, err))
        return -1;
    AUTO(X509_stack) *issuers = loaded;
    if (!issuers || (cert && !has_issued(sk_X509_value(issuers, 0), cert)))
        return 0;
    *found = authority_at(at, sk_X509_value(issuers, 0), err);
    return *found ? 1 : -1;
}

authority *authority_of(const char *dir, enum pki_role role, struct error *err)
{
    if (!layout_check(dir, err))
        return NULL;
    for (size_t f = 0; f < KEY_FAMILY_COUNT; f++) {
        authority *found = NULL;
        if (look_at(&(struct place){dir, layout_ca_path, role, key_families[f]}, NULL, &found, err))
            return found;
    }
    const char *r = role_name(role);
    error_set(err, RC_USAGE, "%s: there is no CA of a %s (%s/%s/%s-ca/%s-ca-1-...-cert.pem)", dir,
              role_title(role), dir, r, r, r);
    return NULL;
}

authority *authority_find(const char *dir, X509 *cert, struct error *err)
{
    static path_maker *const makers[] = {layout_ca_path, layout_root_path};
    if (!layout_check(dir, err))
        return NULL;
    AUTO(char) *subject = cert_subject(cert);
    if (X509_check_issued(cert, cert) == X509_V_OK) {
        error_set(err, RC_UNTRUSTED, "%s: issued by itself, not by a CA", subject ? subject : "?");
        return NULL;
    }
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        for (size_t m = 0; m < COUNT(makers); m++)
            for (size_t f = 0; f < KEY_FAMILY_COUNT; f++) {
                authority *found = NULL;
                if (look_at(&(struct place){dir, makers[m], role, key_families[f]}, cert, &found,
                            err))
                    return found;
            }
    error_set(err, RC_UNTRUSTED, "%s: no CA in %s has issued it", subject ? subject : "?", dir);
    return NULL;
}
