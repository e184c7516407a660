/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/audit_parts.h"

#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>

#include "pki/ocsp.h"
#include "util/base64.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/json.h"
#include "util/limits.h"

/* A key file belongs to the certificate beside it, and is its owner's alone. */
void audit_check_key(const struct walk *w, const char *folder, const char *stem, size_t length,
                     const char *end, const X509 *cert, bool private)
{
    struct error why = {.cause = CAUSE_OTHER};
    struct stat st;
    AUTO(char) *path = audit_path(folder, stem, length, end);
    if (!path || stat(path, &st) != 0)
        return;
    if (private && st.st_mode & 077)
        audit_tell(w, AUDIT_KEY_MODE, path,
                   "mode %03o: others than its owner can read or change it",
                   (unsigned)st.st_mode & 0777);
    EVP_PKEY *pkey = w->audit->load_key(w->audit->context, path, &why);
    bool encrypted = !pkey && why.cause == CAUSE_ENCRYPTED; /* as it should be */
    bool locked = encrypted || (!pkey && why.cause == CAUSE_PASSPHRASE);
    w->audit->keys += !locked;
    w->audit->keys_not_opened += locked;
    if (!pkey && !encrypted)
        audit_tell_error(w, locked ? AUDIT_KEY_LOCKED : AUDIT_UNREADABLE, path, &why);
    else if (pkey && cert && EVP_PKEY_eq(X509_get0_pubkey(cert), pkey) != 1)
        audit_tell(w, AUDIT_KEY_MISMATCH, path, "it is not the key of the certificate");
    EVP_PKEY_free(pkey);
    ERR_clear_error();
}

void audit_check_bundle(const struct walk *w, const char *folder, const char *stem, size_t length,
                        const X509 *cert, const struct issuer *issuer)
{
    struct error why;
    AUTO(char) *path = audit_path(folder, stem, length, BUNDLE_END);
    if (!path)
        return;
    if (!path_exists(path)) {
        audit_tell(w, AUDIT_BUNDLE, path, "the certificate with that of its CA is not there");
        return;
    }
    AUTO(X509_stack) *bundle = cert_load(path, &why);
    if (!bundle) {
        audit_tell_error(w, AUDIT_UNREADABLE, path, &why);
        return;
    }
    int count = sk_X509_num(bundle);
    if (count > LIMIT_CHAIN)
        audit_tell(w, AUDIT_CHAIN_TOO_LONG, path, "%d certificates, more than the %d allowed",
                   count, LIMIT_CHAIN);
    else if (X509_cmp(sk_X509_value(bundle, 0), cert) != 0)
        audit_tell(w, AUDIT_BUNDLE, path, "it does not begin with the certificate beside it");
    else if (issuer && (count < 2 || X509_cmp(sk_X509_value(bundle, 1), issuer->cert) != 0))
        audit_tell(w, AUDIT_BUNDLE, path, "the certificate of the CA does not follow");
}

/* The responses of a stapling set, decoded; false when it is none. */
static bool read_staples(const json_t *set, buffer *all[LIMIT_OCSP_RESPONSES],
                         struct span spans[LIMIT_OCSP_RESPONSES], size_t *count)
{
    *count = 0;
    if (!json_is_array(set) || json_array_size(set) > LIMIT_OCSP_RESPONSES)
        return false;
    for (size_t i = 0; i < json_array_size(set); i++) {
        struct error ignored;
        const json_t *one = json_array_get(set, i);
        if (!json_is_string(one))
            return false;
        struct span text = SPAN(json_string_value(one), json_string_length(one));
        all[i] = base64_decode(text, "response", &ignored);
        if (!all[i])
            return false;
        spans[(*count)++] = buffer_span(all[i]);
    }
    return true;
}

/* The set has to hold a "good" for the certificate, and for the CAs below the root. */
static void judge_staples(const struct walk *w, const char *path, const struct span *spans,
                          size_t count, X509 *cert, const struct issuer *issuer)
{
    for (; issuer;
         cert = issuer->cert, issuer = issuer->is_root ? NULL : audit_issuer_of(w, issuer->cert)) {
        struct error why;
        time_t until;
        char when[32];
        if (!ocsp_check(spans, count, cert, issuer->cert, w->audit->at, &until, NULL, &why)) {
            audit_tell_error(w, why.cause == CAUSE_STALE ? AUDIT_STAPLE_EXPIRED : AUDIT_STAPLE_BAD,
                             path, &why);
            return;
        }
        if (audit_says_revoked(issuer, cert)) {
            time_format(until, when);
            audit_tell(w, AUDIT_STAPLE_REVOKED, path,
                       "it says good until %s for what %s has as revoked", when,
                       issuer->ledger_path);
            return;
        }
        if (until - w->audit->at < (time_t)w->audit->staple_soon_hours * 3600) {
            time_format(until, when);
            audit_tell(w, AUDIT_STAPLE_EXPIRING, path, "it counts until %s", when);
            return;
        }
    }
}

void audit_check_staple(const struct walk *w, const char *folder, const char *stem, size_t length,
                        X509 *cert, const struct issuer *issuer)
{
    struct error why;
    AUTO(char) *path = audit_path(folder, stem, length, "ocsp.json");
    if (!path || !issuer)
        return;
    if (!path_exists(path)) {
        if (w->role == ROLE_TAM)
            audit_tell(w, AUDIT_STAPLE_MISSING, path, "a TAM needs a stapling set, and has none");
        return;
    }
    AUTO(buffer) *text = input_read(path, LIMIT_SMALL_JSON, &why);
    AUTO(json_t) *set = text ? json_load_span(buffer_span(text), path, &why) : NULL;
    if (!set) {
        audit_tell_error(w, AUDIT_STAPLE_BAD, path, &why);
        return;
    }
    buffer *all[LIMIT_OCSP_RESPONSES] = {NULL};
    struct span spans[LIMIT_OCSP_RESPONSES];
    size_t count;
    if (read_staples(set, all, spans, &count))
        judge_staples(w, path, spans, count, cert, issuer);
    else
        audit_tell(w, AUDIT_STAPLE_BAD, path, "not a JSON array of OCSP responses in BASE64");
    for (size_t i = 0; i < LIMIT_OCSP_RESPONSES; i++)
        buffer_free(all[i]);
}

/* The OCSP signer of a CA: issued by it, and for nothing else. */
void audit_check_signer(const struct walk *w, const char *folder, const char *stem, size_t length,
                        X509 *ca)
{
    struct error why;
    AUTO(char) *path = audit_path(folder, stem, length, "ocsp-cert.pem");
    if (!path || !path_exists(path))
        return;
    AUTO(X509_stack) *certs = cert_load(path, &why);
    if (!certs) {
        audit_tell_error(w, AUDIT_UNREADABLE, path, &why);
        return;
    }
    X509 *cert = sk_X509_value(certs, 0);
    w->audit->certificates++;
    if (X509_check_issued(ca, cert) != X509_V_OK || X509_verify(cert, X509_get0_pubkey(ca)) != 1)
        audit_tell(w, AUDIT_CHAIN_BROKEN, path, "the CA beside it has not issued it");
    else if (!(X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) ||
             !(X509_get_extended_key_usage(cert) & XKU_OCSP_SIGN))
        audit_tell(w, AUDIT_USAGE, path, "it lacks the extended key usage OCSPSigning");
    const struct issuer *issuer = audit_issuer_of(w, cert);
    audit_check_times(w, cert, path);
    if (issuer)
        audit_check_row(w, issuer, cert, path);
    audit_check_key(w, folder, stem, length, "ocsp-key.pem", cert, true);
}
