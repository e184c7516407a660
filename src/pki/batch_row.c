/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/batch_row.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "pki/layout.h"
#include "pki/ledger.h"
#include "pki/place.h"
#include "util/file.h"
#include "util/limits.h"
#include "util/secret.h"

static bool same_time_or_later(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec >= b.tv_nsec;
}

/* Whether the file was made by an earlier run of this batch. */
static bool is_ours(const struct batch *b, const char *path)
{
    struct stat st;
    return b->order->resume && stat(path, &st) == 0 && same_time_or_later(st.st_ctim, b->begun) &&
           same_time_or_later(b->resumed, st.st_ctim);
}

static EVP_PKEY *read_key(const char *path, const buffer *passphrase)
{
    struct error ignored;
    AUTO(buffer) *text = input_read(path, LIMIT_KEY_BYTES, &ignored);
    BIO *bio = text ? BIO_new_mem_buf(text->data, (int)text->size) : NULL;
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, give_passphrase,
                                                   (void *)(uintptr_t)passphrase)
                         : NULL;
    BIO_free(bio);
    return pkey;
}

/* Whether the certificate is what the row asks for: the manifest may have been changed since. */
static bool is_asked_for(const struct batch *b, const entity *e, const X509 *cert)
{
    struct error ignored;
    enum key_alg alg;
    const struct template_use use = {e->role, key_alg_family(e->alg), e->name, e->days};
    AUTO(char) *tamid = e->role == ROLE_TAM ? cert_tamid(cert, &ignored) : NULL;
    return key_alg_of(X509_get0_pubkey(cert), &alg) && alg == e->alg &&
           template_made(b->station->ca[e->role].template, &use, cert) &&
           (e->role != ROLE_TAM || (tamid && strcmp(tamid, e->tamid) == 0));
}

static bool is_of_ca(const struct batch *b, const entity *e, X509 *cert)
{
    return X509_verify(cert, X509_get0_pubkey(b->station->ca[e->role].ca->cert)) == 1;
}

/* Whether the certificate goes with the key of the row: then it is e's. */
static bool take_cert(const struct batch *b, entity *e, X509 *cert, const char *key_path)
{
    struct error ignored;
    EVP_PKEY *own = e->pkey ? e->pkey : read_key(key_path, b->station->passphrase);
    bool fits = own && EVP_PKEY_eq(X509_get0_pubkey(cert), own) == 1;
    if (own != e->pkey) {
        EVP_PKEY_free(own);
        e->private = fits;
    }
    AUTO(buffer) *der = fits ? cert_to_der(cert, &ignored) : NULL;
    return der && station_take(e, buffer_span(der), &ignored);
}

/* The certificate of the row if an earlier run has made it: *done. What that left unfinished (a
 * file may be empty after the machine itself went down), or what has been revoked since, is taken
 * away; but what is revoked and another row's is left to that. */
static bool take_up(const struct batch *b, entity *e, bool *done, struct error *err)
{
    struct error ignored;
    AUTO(char) *path = station_path(b->station, e, "cert.pem");
    AUTO(char) *key_path = station_path(b->station, e, "key.pem");
    *done = false;
    if (!path || !key_path)
        return error_memory(err);
    if (!is_ours(b, path))
        return true;
    AUTO(X509_stack) *certs = cert_load(path, &ignored);
    X509 *cert = certs ? sk_X509_value(certs, 0) : NULL;
    AUTO(char) *serial = cert ? ledger_serial(cert) : NULL;
    bool revoked = serial && ledger_filter_has_revoked(b->known[e->role], serial);
    if (revoked && file_has_line(journal_path(b->journal), serial))
        return true;
    bool good = serial && !revoked && is_of_ca(b, e, cert);
    if (good && !is_asked_for(b, e, cert)) {
        error_set(err, RC_USAGE, "%s: issued by an earlier run, and not what the row asks for",
                  path);
        return error_hint(err,
                          "has the manifest been changed? Revoke it, and move it and its key away");
    }
    *done = good && take_cert(b, e, cert, key_path);
    if (!*done && unlink(path) != 0)
        return error_errno(err, RC_INTERNAL, "%s: cannot remove", path);
    return true;
}

static bool check_free(const struct batch *b, const entity *e, struct error *err)
{
    char *found;
    if (!station_taken(b->station, e, &found, err))
        return false;
    AUTO(char) *path = found;
    if (path)
        return error_set(err, RC_USAGE, "%s: the name '%s' is taken", path, e->name);
    if (e->role != ROLE_TAM)
        return true;
    AUTO(char) *folder = layout_entity_folder(b->station->pki, ROLE_TAM);
    if (!folder)
        return error_memory(err);
    AUTO(char) *owner = layout_tamid_owner(folder, e->tamid, e->name);
    return !owner || error_set(err, RC_USAGE, "tamid '%s': %s has it already", e->tamid, owner);
}

static bool check_ledger(const struct batch *b, const entity *e, struct error *err)
{
    const char *subject = e->facts.subject;
    return !ledger_filter_has_subject(b->known[e->role], subject) ||
           error_set(err, RC_USAGE, "the name '%s' is taken: %s has %s", e->name,
                     b->station->ca[e->role].ca->ledger_path, subject);
}

static bool place(const struct batch *b, const entity *e, const char *what, const buffer *content,
                  mode_t mode, struct error *err)
{
    AUTO(char) *path = content ? station_path(b->station, e, what) : NULL;
    if (!path)
        return content ? error_memory(err) : false;
    enum place_how how = b->order->resume ? PLACE_INSTEAD : PLACE_NEW;
    return place_file(path, buffer_span(content), how, mode, err);
}

static void take_back(const struct batch *b, const entity *e, const char *what)
{
    AUTO(char) *path = station_path(b->station, e, what);
    if (path)
        unlink(path);
}

/* The certificate comes last: where it is, the others are. */
static bool place_all(const struct batch *b, const entity *e, struct error *err)
{
    static const char bundle_name[] = "cert-plus-intermediate-cert.pem";
    AUTO(buffer) *cert = entity_cert_pem(e, err);
    AUTO(buffer) *bundle = cert ? station_bundle(b->station, cert, e->role, err) : NULL;
    AUTO(buffer) *pem = bundle && e->private ? station_key_pem(b->station, e, err) : NULL;
    if (!bundle || (e->private && !pem))
        return false;
    if (pem && !place(b, e, "key.pem", pem, 0600, err))
        return false;
    bool placed = place(b, e, bundle_name, bundle, 0666, err);
    if (placed && place(b, e, "cert.pem", cert, 0666, err))
        return true;
    if (placed)
        take_back(b, e, bundle_name);
    if (pem)
        take_back(b, e, "key.pem");
    return false;
}

bool batch_row_make(const struct batch *b, entity *e, const struct batch_bench *bench,
                    bool *adopted, struct error *err)
{
    struct station *s = b->station;
    *adopted = false;
    if (!s->ca[e->role].key)
        return error_set(err, RC_USAGE, "there is no CA for a %s", role_title(e->role));
    if (b->order->resume && !take_up(b, e, adopted, err))
        return false;
    if (*adopted) {
        AUTO(buffer) *cert = entity_cert_pem(e, err);
        AUTO(buffer) *bundle = cert ? station_bundle(s, cert, e->role, err) : NULL;
        return bundle && place(b, e, "cert-plus-intermediate-cert.pem", bundle, 0666, err);
    }
    return check_free(b, e, err) && entity_make_key(e, bench->keys, err) &&
           (bench->issue ? bench->issue(bench->context, e, err) : station_issue(s, e, err)) &&
           check_ledger(b, e, err) && place_all(b, e, err);
}
