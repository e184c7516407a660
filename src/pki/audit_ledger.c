/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/audit_parts.h"

#include <string.h>

#include <openssl/err.h>

#include "pki/asn1.h"
#include "pki/keygen.h"
#include "pki/layout.h"
#include "util/clock.h"
#include "util/file.h"

static int by_serial(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = strcasecmp(x->serial, y->serial);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* A ledger is sound when each row can be understood, no serial number stands twice in it, and the
 * files that it names are there. */
static void check_ledger(struct walk *w, struct issuer *i)
{
    struct error why;
    if (!path_exists(i->ledger_path)) {
        audit_tell(w, AUDIT_LEDGER_MISSING, i->ledger_path, "the ledger of %s is not there",
                   i->cert_path);
        return;
    }
    i->issued = ledger_load(i->ledger_path, &why);
    size_t count = i->issued ? ledger_count(i->issued) : 0;
    i->rows = calloc(count + 1, sizeof *i->rows);
    if (!i->issued || !i->rows) {
        if (i->issued)
            error_memory(&why);
        audit_tell_error(w, AUDIT_LEDGER_BROKEN, i->ledger_path, &why);
        return;
    }
    for (size_t n = 0; n < count; n++) {
        struct ledger_entry entry = {.serial = ""};
        if (!ledger_row(i->issued, n, &entry, &why))
            audit_tell_error(w, AUDIT_LEDGER_BROKEN, i->ledger_path, &why);
        i->rows[n] = (struct row){entry.serial, n};
        AUTO(char) *file = path_join(w->audit->pki, entry.file ? entry.file : "unknown");
        if (!entry.revoked && file && strcmp(entry.file ? entry.file : "unknown", "unknown") != 0 &&
            !path_exists(file))
            audit_tell(w, AUDIT_LEDGER_FILE, i->ledger_path,
                       "row %zu, serial number %s: %s is not there", n + 1, entry.serial, file);
    }
    qsort(i->rows, count, sizeof *i->rows, by_serial);
    for (size_t n = 1; n < count; n++)
        if (strcasecmp(i->rows[n - 1].serial, i->rows[n].serial) == 0)
            audit_tell(w, AUDIT_LEDGER_TWICE, i->ledger_path,
                       "serial number %s: in the rows %zu and %zu", i->rows[n].serial,
                       i->rows[n - 1].index + 1, i->rows[n].index + 1);
}

const struct issuer *audit_issuer_of(const struct walk *w, X509 *cert)
{
    for (size_t i = 0; i < w->issuer_count; i++)
        if (X509_check_issued(w->issuers[i].cert, cert) == X509_V_OK &&
            X509_verify(cert, X509_get0_pubkey(w->issuers[i].cert)) == 1)
            return &w->issuers[i];
    ERR_clear_error();
    return NULL;
}

/* The row of a serial number, or NULL; the first of equals does not matter. */
static const struct row *row_of(const struct issuer *issuer, const char *serial)
{
    size_t low = 0, high = issuer->issued ? ledger_count(issuer->issued) : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcasecmp(issuer->rows[middle].serial, serial);
        if (order == 0)
            return &issuer->rows[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool audit_says_revoked(const struct issuer *issuer, const X509 *cert)
{
    struct ledger_entry entry;
    struct error ignored;
    AUTO(char) *serial = ledger_serial(cert);
    const struct row *row = serial ? row_of(issuer, serial) : NULL;
    return row && ledger_row(issuer->issued, row->index, &entry, &ignored) && entry.revoked;
}

/* Whether a CA here has revoked it: its files may be gone. */
bool audit_is_revoked(const struct walk *w, const char *serial)
{
    bool revoked = false;
    for (size_t i = 0; i < w->issuer_count; i++) {
        struct ledger_entry entry;
        struct error ignored;
        const struct row *row = row_of(&w->issuers[i], serial);
        revoked |= row && ledger_row(w->issuers[i].issued, row->index, &entry, &ignored) &&
                   entry.revoked;
    }
    return revoked;
}

void audit_check_row(const struct walk *w, const struct issuer *issuer, X509 *cert,
                     const char *path)
{
    struct ledger_entry entry;
    struct error ignored;
    AUTO(char) *serial = ledger_serial(cert);
    if (!issuer->issued || !serial)
        return;
    const struct row *row = row_of(issuer, serial);
    if (!row) {
        audit_tell(w, AUDIT_LEDGER_UNKNOWN, path, "%s does not have its serial number %s",
                   issuer->ledger_path, serial);
        return;
    }
    if (!ledger_row(issuer->issued, row->index, &entry, &ignored))
        return;
    time_t end = 0;
    char *subject = X509_NAME_oneline(X509_get_subject_name(cert), NULL, 0);
    if (!asn1_time_read(X509_get0_notAfter(cert), &end) || end != entry.expires_at ||
        (subject && strcmp(subject, entry.subject) != 0))
        audit_tell(w, AUDIT_LEDGER_DIFFERS, path, "%s has another subject or end in row %zu",
                   issuer->ledger_path, row->index + 1);
    OPENSSL_free(subject);
    if (entry.revoked) {
        char when[32];
        time_format(entry.revoked_at, when);
        audit_tell(w, AUDIT_REVOKED, path, "revoked at %s", when);
    }
}

static bool add_issuer(struct walk *w, char *cert_path, char *ledger_path, bool is_root)
{
    struct error ignored;
    AUTO(char) *cert = cert_path;
    AUTO(char) *index = ledger_path;
    if (!cert || !index)
        return error_memory(w->err);
    AUTO(X509_stack) *certs = path_exists(cert) ? cert_load(cert, &ignored) : NULL;
    if (!certs)
        return true; /* a finding when its folder is gone through */
    struct issuer *list = realloc(w->issuers, (w->issuer_count + 1) * sizeof *list);
    X509 *own = sk_X509_value(certs, 0);
    if (list)
        w->issuers = list;
    if (!list || !X509_add_cert(is_root ? w->roots : w->cas, own, X509_ADD_FLAG_UP_REF) ||
        !X509_up_ref(own))
        return error_memory(w->err);
    list[w->issuer_count++] = (struct issuer){
        .cert = own, .cert_path = TAKE(cert), .ledger_path = TAKE(index), .is_root = is_root};
    return true;
}

bool audit_find_issuers(struct walk *w)
{
    const char *dir = w->audit->pki;
    w->roots = sk_X509_new_null();
    w->cas = sk_X509_new_null();
    if (!w->roots || !w->cas)
        return error_memory(w->err);
    for (size_t f = 0; f < KEY_FAMILY_COUNT; f++)
        if (!add_issuer(w, layout_ca_path(dir, w->role, key_families[f], "cert.pem"),
                        layout_ca_path(dir, w->role, key_families[f], "index.txt"), false) ||
            !add_issuer(w, layout_root_path(dir, w->role, key_families[f], "cert.pem"),
                        layout_root_path(dir, w->role, key_families[f], "index.txt"), true))
            return false;
    for (size_t i = 0; i < w->issuer_count; i++)
        check_ledger(w, &w->issuers[i]);
    return true;
}

void audit_forget_issuers(struct walk *w)
{
    for (size_t i = 0; i < w->issuer_count; i++) {
        X509_free(w->issuers[i].cert);
        free(w->issuers[i].cert_path);
        free(w->issuers[i].ledger_path);
        ledger_free(w->issuers[i].issued);
        free(w->issuers[i].rows);
    }
    free(w->issuers);
    x509_stack_free(w->roots);
    x509_stack_free(w->cas);
}
