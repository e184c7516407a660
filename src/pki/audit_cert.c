/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/audit_parts.h"

#include <string.h>

#include "pki/asn1.h"
#include "pki/chain.h"
#include "pki/keygen.h"
#include "util/clock.h"

bool audit_check_times(const struct walk *w, X509 *cert, const char *path)
{
    time_t from = 0, to = 0, now = w->audit->at;
    char when[32];
    if (!asn1_time_read(X509_get0_notBefore(cert), &from) ||
        !asn1_time_read(X509_get0_notAfter(cert), &to)) {
        audit_tell(w, AUDIT_UNREADABLE, path, "its times are not well-formed");
        return false;
    }
    time_format(from > now ? from : to, when);
    if (from > now)
        audit_tell(w, AUDIT_NOT_YET_VALID, path, "not valid before %s", when);
    else if (to < now)
        audit_tell(w, AUDIT_EXPIRED, path, "expired since %s", when);
    else if (to - now < (time_t)w->audit->soon_days * DAY_SECONDS)
        audit_tell(w, AUDIT_EXPIRING, path, "expires at %s", when);
    return from <= now && to >= now;
}

bool audit_check_strength(const struct walk *w, X509 *cert, const char *path)
{
    EVP_PKEY *pkey = X509_get0_pubkey(cert);
    if (!pkey) {
        audit_tell(w, AUDIT_UNREADABLE, path, "its key cannot be read");
        return false;
    }
    if (EVP_PKEY_get_security_bits(pkey) < 112) {
        audit_tell(w, AUDIT_WEAK_KEY, path, "a key of %d bits is weaker than 112 bits of strength",
                   EVP_PKEY_get_bits(pkey));
        return false;
    }
    if (!signature_is_strong(X509_get_signature_nid(cert))) {
        audit_tell(w, AUDIT_WEAK_KEY, path, "signed with %s, weaker than 112 bits of strength",
                   OBJ_nid2ln(X509_get_signature_nid(cert)));
        return false;
    }
    return true;
}

void audit_check_algorithm(const struct walk *w, X509 *cert, const char *path)
{
    const EVP_PKEY *pkey = X509_get0_pubkey(cert);
    enum key_alg alg;
    if (!role_signs(w->role) || !pkey || EVP_PKEY_is_a(pkey, "RSA") ||
        (key_alg_of(pkey, &alg) && key_alg_signs(alg)))
        return;
    audit_tell(w, AUDIT_KEY_UNSUPPORTED, path,
               "OTrP has no signing algorithm for its key: RS256, ES256 (P-256), ES384 (P-384)");
}

/* The usages that a certificate must have in its place (otrp-templates(5)). */
bool audit_check_usage(const struct walk *w, X509 *cert, enum folder folder, const char *path)
{
    uint32_t usage = X509_get_key_usage(cert);
    if (folder != FOLDER_ENTITY) {
        if (X509_check_ca(cert) == 1 && usage & KU_KEY_CERT_SIGN)
            return true;
        audit_tell(w, AUDIT_USAGE, path, "it is no CA, or may not sign certificates");
        return false;
    }
    uint32_t needed = KU_DIGITAL_SIGNATURE;
    if (role_signs(w->role))
        needed |= EVP_PKEY_is_a(X509_get0_pubkey(cert), "EC") ? KU_KEY_AGREEMENT
                                                              : KU_KEY_ENCIPHERMENT;
    if (X509_get_extension_flags(cert) & EXFLAG_CA) {
        audit_tell(w, AUDIT_USAGE, path, "it is a CA, in the place of a %s", role_title(w->role));
        return false;
    }
    if ((usage & needed) == needed)
        return true;
    audit_tell(w, AUDIT_USAGE, path, "its key usage lacks what a %s needs", role_title(w->role));
    return false;
}

/* The path to a root, at a time when all that could be expired is not: that is told elsewhere. */
void audit_check_chain(const struct walk *w, X509 *cert, const struct issuer *issuer,
                       enum folder folder, const char *path)
{
    struct error why;
    if (folder == FOLDER_ROOT) {
        if (X509_check_issued(cert, cert) != X509_V_OK ||
            X509_verify(cert, X509_get0_pubkey(cert)) != 1)
            audit_tell(w, AUDIT_CHAIN_BROKEN, path, "it is no root: not issued by itself");
        return;
    }
    if (!issuer) {
        audit_tell(w, AUDIT_CHAIN_BROKEN, path, "no CA of the %s hierarchy has issued it",
                   role_name(w->role));
        return;
    }
    if (folder == FOLDER_CA && issuer->is_root)
        return;
    time_t at;
    if (!asn1_time_read(X509_get0_notBefore(cert), &at))
        return;
    struct chain_question question = {
        .leaf = cert, .others = w->cas, .anchors = w->roots, .role = w->role, .at = at};
    AUTO(X509_stack) *chain = chain_verify(&question, &why);
    if (!chain)
        audit_tell_error(w,
                         why.cause == CAUSE_PATH_LENGTH ? AUDIT_CHAIN_TOO_LONG : AUDIT_CHAIN_BROKEN,
                         path, &why);
}

void audit_check_shared(struct walk *w, X509 *cert, const char *path)
{
    struct holders *h = w->holders;
    size_t first = h->count;
    struct holder *list = realloc(h->list, (h->count + 1) * sizeof *list);
    if (list)
        h->list = list;
    AUTO(char) *name = list ? cert_common_name(cert) : NULL;
    AUTO(char) *own = name ? strdup(path) : NULL;
    EVP_PKEY *pkey = X509_get0_pubkey(cert);
    struct error ignored;
    if (!own || !pkey || !key_index_enter(h->keys, pkey, h->count, &first, &ignored))
        return;
    if (first != h->count) {
        if (strcmp(h->list[first].name, name) != 0)
            audit_tell(w, AUDIT_KEY_SHARED, path, "it has the key of %s", h->list[first].path);
        return;
    }
    h->list[h->count++] = (struct holder){TAKE(name), TAKE(own)};
}

void audit_holders_free(struct holders *h)
{
    key_index_free(h->keys);
    for (size_t i = 0; i < h->count; i++) {
        free(h->list[i].name);
        free(h->list[i].path);
    }
    free(h->list);
}
