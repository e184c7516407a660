/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/audit.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>

#include "pki/asn1.h"
#include "pki/chain.h"
#include "pki/key_index.h"
#include "pki/layout.h"
#include "pki/ledger.h"
#include "pki/ocsp.h"
#include "pki/result.h"
#include "util/base64.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/json.h"
#include "util/limits.h"

#define DAY_SECONDS 86400
#define BUNDLE      "cert-plus-intermediate-cert.pem"

static const struct {
    const char *name, *hint;
} kinds[AUDIT_KINDS] = {
#define FINDING(id, name, hint) {name, hint},
#include "pki/audit.def"
#undef FINDING
};

const char *audit_kind_name(enum audit_kind kind)
{
    return kinds[kind].name;
}

const char *audit_kind_hint(enum audit_kind kind)
{
    return kinds[kind].hint;
}

/* A CA or root: its certificate and what it has issued. */
struct issuer {
    X509 *cert;
    char *cert_path, *ledger_path;
    ledger *issued; /* NULL: cannot be read, and a finding says so */
    struct row {
        const char *serial;
        size_t index;
    } * rows; /* by serial number */
    bool is_root;
};

/* Who has which key, in all roles. */
struct holders {
    key_index *keys;
    struct holder {
        char *name, *path;
    } * list;
    size_t count;
};

struct walk {
    struct audit *audit;
    struct holders *holders;
    enum pki_role role;
    struct issuer *issuers;
    size_t issuer_count;
    X509_stack *roots, *cas;
    struct error *err;
    bool failed; /* of memory */
};

__attribute__((format(printf, 4, 5))) static void tell(const struct walk *w, enum audit_kind kind,
                                                       const char *path, const char *format, ...)
{
    char message[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    w->audit->find(w->audit->context, kind, path, message);
}

/* What a folder of the layout may hold. */
enum folder { FOLDER_ROOT, FOLDER_CA, FOLDER_ENTITY, FOLDERS };

enum part {
    PART_KEY,
    PART_CERT,
    PART_BUNDLE,
    PART_PRIVATE_JWK,
    PART_PUBLIC_JWK,
    PART_STAPLE,
    PART_SIGNER_KEY,
    PART_SIGNER_CERT,
    PART_LEDGER,
    PART_OTHER, /* goes with a ledger, and is nothing to be looked at */
    PARTS
};

static const struct {
    const char *end;
    enum part part;
    unsigned folders;
} parts[] = {
    {"key.pem", PART_KEY, 7},
    {"cert.pem", PART_CERT, 7},
    {BUNDLE, PART_BUNDLE, 4},
    {"key.jwk", PART_PRIVATE_JWK, 4},
    {"pub.jwk", PART_PUBLIC_JWK, 4},
    {"ocsp.json", PART_STAPLE, 4},
    {"ocsp-key.pem", PART_SIGNER_KEY, 3},
    {"ocsp-cert.pem", PART_SIGNER_CERT, 3},
    {"index.txt", PART_LEDGER, 3},
    {"index.txt.attr", PART_OTHER, 3},
    {"index.txt.lock", PART_OTHER, 3},
    {"index.txt.old", PART_OTHER, 3},
    {"index.txt.attr.old", PART_OTHER, 3},
    {"crl.pem", PART_OTHER, 3},
};

/* Takes "tee-device1-ec-key.pem" apart: the length of "tee-device1-ec-", and which part it is. The
 * longest end counts: "ocsp-key.pem" is also a "key.pem". */
static size_t stem_of(const struct walk *w, enum folder folder, const char *file, enum part *part)
{
    static const char *const middles[FOLDERS] = {"rootca", "ca-1", ""};
    const char *role = role_name(w->role);
    char prefix[32];
    size_t best = 0, length = strlen(file);
    int size = snprintf(prefix, sizeof prefix, "%s-%s", role, middles[folder]);
    if (strncmp(file, prefix, (size_t)size) != 0)
        return 0;
    for (size_t i = 0; i < COUNT(parts); i++)
        for (int f = 0; f < 2; f++) {
            char end[64];
            size_t own = (size_t)snprintf(end, sizeof end, "-%s-%s", f ? "ec" : "rsa",
                                          parts[i].end);
            size_t least = (size_t)size + (folder == FOLDER_ENTITY);
            if (!(parts[i].folders & 1u << folder) || length < own + least ||
                strcmp(file + length - own, end) != 0 ||
                (folder != FOLDER_ENTITY && length != own + (size_t)size) || own <= best)
                continue;
            best = own;
            *part = parts[i].part;
        }
    size_t stem = best ? length - best : 0;
    return !best ? 0 : stem + (file[stem + 1] == 'e' ? 4 : 5);
}

static char *path_of(const char *folder, const char *stem, size_t length, const char *end)
{
    char *path;
    return asprintf(&path, "%s/%.*s%s", folder, (int)length, stem, end) < 0 ? NULL : path;
}

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
        tell(w, AUDIT_LEDGER_MISSING, i->ledger_path, "the ledger of %s is not there",
             i->cert_path);
        return;
    }
    i->issued = ledger_load(i->ledger_path, &why);
    size_t count = i->issued ? ledger_count(i->issued) : 0;
    i->rows = calloc(count + 1, sizeof *i->rows);
    if (!i->issued || !i->rows) {
        tell(w, AUDIT_LEDGER_BROKEN, i->ledger_path, "%s", i->issued ? "no memory" : why.message);
        return;
    }
    for (size_t n = 0; n < count; n++) {
        struct ledger_entry entry = {.serial = ""};
        if (!ledger_row(i->issued, n, &entry, &why))
            tell(w, AUDIT_LEDGER_BROKEN, i->ledger_path, "%s", why.message);
        i->rows[n] = (struct row){entry.serial, n};
        AUTO(char) *file = path_join(w->audit->pki, entry.file ? entry.file : "unknown");
        if (!entry.revoked && file && strcmp(entry.file ? entry.file : "unknown", "unknown") != 0 &&
            !path_exists(file))
            tell(w, AUDIT_LEDGER_FILE, i->ledger_path, "row %zu, serial number %s: %s is not there",
                 n + 1, entry.serial, file);
    }
    qsort(i->rows, count, sizeof *i->rows, by_serial);
    for (size_t n = 1; n < count; n++)
        if (strcasecmp(i->rows[n - 1].serial, i->rows[n].serial) == 0)
            tell(w, AUDIT_LEDGER_TWICE, i->ledger_path, "serial number %s: in the rows %zu and %zu",
                 i->rows[n].serial, i->rows[n - 1].index + 1, i->rows[n].index + 1);
}

static const struct issuer *issuer_of(const struct walk *w, X509 *cert)
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

/* Whether the ledger of its issuer has it as revoked. */
static bool says_revoked(const struct issuer *issuer, const X509 *cert)
{
    struct ledger_entry entry;
    struct error ignored;
    AUTO(char) *serial = ledger_serial(cert);
    const struct row *row = serial ? row_of(issuer, serial) : NULL;
    return row && ledger_row(issuer->issued, row->index, &entry, &ignored) && entry.revoked;
}

/* Whether the ledger of its issuer says the same as the certificate. */
static void check_row(const struct walk *w, const struct issuer *issuer, X509 *cert,
                      const char *path)
{
    struct ledger_entry entry;
    struct error ignored;
    AUTO(char) *serial = ledger_serial(cert);
    if (!issuer->issued || !serial)
        return;
    const struct row *row = row_of(issuer, serial);
    if (!row) {
        tell(w, AUDIT_LEDGER_UNKNOWN, path, "%s does not have its serial number %s",
             issuer->ledger_path, serial);
        return;
    }
    if (!ledger_row(issuer->issued, row->index, &entry, &ignored))
        return;
    time_t end = 0;
    char *subject = X509_NAME_oneline(X509_get_subject_name(cert), NULL, 0);
    if (!asn1_time_read(X509_get0_notAfter(cert), &end) || end != entry.expires_at ||
        (subject && strcmp(subject, entry.subject) != 0))
        tell(w, AUDIT_LEDGER_DIFFERS, path, "%s has another subject or end in row %zu",
             issuer->ledger_path, row->index + 1);
    OPENSSL_free(subject);
    if (entry.revoked) {
        char when[32];
        time_format(entry.revoked_at, when);
        tell(w, AUDIT_REVOKED, path, "revoked at %s", when);
    }
}

static bool check_times(const struct walk *w, X509 *cert, const char *path)
{
    time_t from = 0, to = 0, now = w->audit->at;
    char when[32];
    if (!asn1_time_read(X509_get0_notBefore(cert), &from) ||
        !asn1_time_read(X509_get0_notAfter(cert), &to)) {
        tell(w, AUDIT_UNREADABLE, path, "its times are not well-formed");
        return false;
    }
    time_format(from > now ? from : to, when);
    if (from > now)
        tell(w, AUDIT_NOT_YET_VALID, path, "not valid before %s", when);
    else if (to < now)
        tell(w, AUDIT_EXPIRED, path, "expired since %s", when);
    else if (to - now < (time_t)w->audit->soon_days * DAY_SECONDS)
        tell(w, AUDIT_EXPIRING, path, "expires at %s", when);
    return from <= now && to >= now;
}

static bool check_strength(const struct walk *w, X509 *cert, const char *path)
{
    EVP_PKEY *pkey = X509_get0_pubkey(cert);
    if (!pkey) {
        tell(w, AUDIT_UNREADABLE, path, "its key cannot be read");
        return false;
    }
    if (EVP_PKEY_get_security_bits(pkey) < 112) {
        tell(w, AUDIT_WEAK_KEY, path, "a key of %d bits is weaker than 112 bits of strength",
             EVP_PKEY_get_bits(pkey));
        return false;
    }
    if (!signature_is_strong(X509_get_signature_nid(cert))) {
        tell(w, AUDIT_WEAK_KEY, path, "signed with %s, weaker than 112 bits of strength",
             OBJ_nid2ln(X509_get_signature_nid(cert)));
        return false;
    }
    return true;
}

/* The usages that a certificate must have in its place (protocol: Roles, keys and certificates). */
static bool check_usage(const struct walk *w, X509 *cert, enum folder folder, const char *path)
{
    uint32_t usage = X509_get_key_usage(cert);
    if (folder != FOLDER_ENTITY) {
        if (X509_check_ca(cert) == 1 && usage & KU_KEY_CERT_SIGN)
            return true;
        tell(w, AUDIT_USAGE, path, "it is no CA, or may not sign certificates");
        return false;
    }
    uint32_t needed = KU_DIGITAL_SIGNATURE;
    if (w->role == ROLE_TAM || w->role == ROLE_TEE)
        needed |= EVP_PKEY_is_a(X509_get0_pubkey(cert), "EC") ? KU_KEY_AGREEMENT
                                                              : KU_KEY_ENCIPHERMENT;
    if (X509_get_extension_flags(cert) & EXFLAG_CA) {
        tell(w, AUDIT_USAGE, path, "it is a CA, in the place of a %s", role_title(w->role));
        return false;
    }
    if ((usage & needed) == needed)
        return true;
    tell(w, AUDIT_USAGE, path, "its key usage lacks what a %s needs", role_title(w->role));
    return false;
}

/* The path to a root, at a time when all that could be expired is not: that is told elsewhere. */
static void check_chain(const struct walk *w, X509 *cert, const struct issuer *issuer,
                        enum folder folder, const char *path)
{
    struct error why;
    if (folder == FOLDER_ROOT) {
        if (X509_check_issued(cert, cert) != X509_V_OK ||
            X509_verify(cert, X509_get0_pubkey(cert)) != 1)
            tell(w, AUDIT_CHAIN_BROKEN, path, "it is no root: not issued by itself");
        return;
    }
    if (!issuer) {
        tell(w, AUDIT_CHAIN_BROKEN, path, "no CA of the %s hierarchy has issued it",
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
        tell(w, strstr(why.message, "path length") ? AUDIT_CHAIN_TOO_LONG : AUDIT_CHAIN_BROKEN,
             path, "%s", why.message);
}

/* A key file belongs to the certificate beside it, and is its owner's alone. */
static void check_key(const struct walk *w, const char *folder, const char *stem, size_t length,
                      const char *end, const X509 *cert, bool private)
{
    struct error why = {.rc = RC_OK};
    struct stat st;
    AUTO(char) *path = path_of(folder, stem, length, end);
    if (!path || stat(path, &st) != 0)
        return;
    if (private && st.st_mode & 077)
        tell(w, AUDIT_KEY_MODE, path, "mode %03o: others than its owner can read or change it",
             (unsigned)st.st_mode & 0777);
    EVP_PKEY *pkey = w->audit->load_key(w->audit->context, path, &why);
    bool locked = !pkey && (why.rc == RC_OK || why.rc == RC_DECRYPT);
    w->audit->keys += !locked;
    w->audit->keys_not_opened += locked;
    if (!pkey && why.rc != RC_OK)
        tell(w, locked ? AUDIT_KEY_LOCKED : AUDIT_UNREADABLE, path, "%s", why.message);
    else if (pkey && cert && EVP_PKEY_eq(X509_get0_pubkey(cert), pkey) != 1)
        tell(w, AUDIT_KEY_MISMATCH, path, "it is not the key of the certificate");
    EVP_PKEY_free(pkey);
    ERR_clear_error();
}

static void check_bundle(const struct walk *w, const char *folder, const char *stem, size_t length,
                         const X509 *cert, const struct issuer *issuer)
{
    struct error why;
    AUTO(char) *path = path_of(folder, stem, length, BUNDLE);
    if (!path)
        return;
    if (!path_exists(path)) {
        tell(w, AUDIT_BUNDLE, path, "the certificate with that of its CA is not there");
        return;
    }
    AUTO(X509_stack) *bundle = cert_load(path, &why);
    if (!bundle) {
        tell(w, AUDIT_UNREADABLE, path, "%s", why.message);
        return;
    }
    int count = sk_X509_num(bundle);
    if (count > LIMIT_CHAIN)
        tell(w, AUDIT_CHAIN_TOO_LONG, path, "%d certificates, more than the %d allowed", count,
             LIMIT_CHAIN);
    else if (X509_cmp(sk_X509_value(bundle, 0), cert) != 0)
        tell(w, AUDIT_BUNDLE, path, "it does not begin with the certificate beside it");
    else if (issuer && (count < 2 || X509_cmp(sk_X509_value(bundle, 1), issuer->cert) != 0))
        tell(w, AUDIT_BUNDLE, path, "the certificate of the CA does not follow");
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
         cert = issuer->cert, issuer = issuer->is_root ? NULL : issuer_of(w, issuer->cert)) {
        struct error why;
        time_t until;
        char when[32];
        if (!ocsp_check(spans, count, cert, issuer->cert, w->audit->at, &until, NULL, &why)) {
            tell(w, strstr(why.message, "is stale") ? AUDIT_STAPLE_EXPIRED : AUDIT_STAPLE_BAD, path,
                 "%s", why.message);
            return;
        }
        if (says_revoked(issuer, cert)) {
            time_format(until, when);
            tell(w, AUDIT_STAPLE_REVOKED, path, "it says good until %s for what %s has as revoked",
                 when, issuer->ledger_path);
            return;
        }
        if (until - w->audit->at < (time_t)w->audit->staple_soon_hours * 3600) {
            time_format(until, when);
            tell(w, AUDIT_STAPLE_EXPIRING, path, "it counts until %s", when);
            return;
        }
    }
}

static void check_staple(const struct walk *w, const char *folder, const char *stem, size_t length,
                         X509 *cert, const struct issuer *issuer)
{
    struct error why;
    AUTO(char) *path = path_of(folder, stem, length, "ocsp.json");
    if (!path || !issuer)
        return;
    if (!path_exists(path)) {
        if (w->role == ROLE_TAM)
            tell(w, AUDIT_STAPLE_MISSING, path, "a TAM needs a stapling set, and has none");
        return;
    }
    AUTO(buffer) *text = input_read(path, LIMIT_SMALL_JSON, &why);
    AUTO(json_t) *set = text ? json_load_span(buffer_span(text), path, &why) : NULL;
    if (!set) {
        tell(w, AUDIT_STAPLE_BAD, path, "%s", why.message);
        return;
    }
    buffer *all[LIMIT_OCSP_RESPONSES] = {NULL};
    struct span spans[LIMIT_OCSP_RESPONSES];
    size_t count;
    if (read_staples(set, all, spans, &count))
        judge_staples(w, path, spans, count, cert, issuer);
    else
        tell(w, AUDIT_STAPLE_BAD, path, "not a JSON array of OCSP responses in BASE64");
    for (size_t i = 0; i < LIMIT_OCSP_RESPONSES; i++)
        buffer_free(all[i]);
}

/* The OCSP signer of a CA: issued by it, and for nothing else. */
static void check_signer(const struct walk *w, const char *folder, const char *stem, size_t length,
                         X509 *ca)
{
    struct error why;
    AUTO(char) *path = path_of(folder, stem, length, "ocsp-cert.pem");
    if (!path || !path_exists(path))
        return;
    AUTO(X509_stack) *certs = cert_load(path, &why);
    if (!certs) {
        tell(w, AUDIT_UNREADABLE, path, "%s", why.message);
        return;
    }
    X509 *cert = sk_X509_value(certs, 0);
    w->audit->certificates++;
    if (X509_check_issued(ca, cert) != X509_V_OK || X509_verify(cert, X509_get0_pubkey(ca)) != 1)
        tell(w, AUDIT_CHAIN_BROKEN, path, "the CA beside it has not issued it");
    else if (!(X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) ||
             !(X509_get_extended_key_usage(cert) & XKU_OCSP_SIGN))
        tell(w, AUDIT_USAGE, path, "it lacks the extended key usage OCSPSigning");
    const struct issuer *issuer = issuer_of(w, cert);
    check_times(w, cert, path);
    if (issuer)
        check_row(w, issuer, cert, path);
    check_key(w, folder, stem, length, "ocsp-key.pem", cert, true);
}

/* CN=NAME; owned by the caller. */
static char *common_name(const X509 *cert)
{
    const X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const X509_NAME_ENTRY *entry = at < 0 ? NULL : X509_NAME_get_entry(subject, at);
    unsigned char *text = NULL;
    int size = entry ? ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry)) : -1;
    char *name = size < 0 ? NULL : strndup((const char *)text, (size_t)size);
    OPENSSL_free(text);
    return name;
}

/* A key is one holder's; TEE and firmware of a device, and what is renewed, have one name. */
static void check_shared(struct walk *w, X509 *cert, const char *path)
{
    struct holders *h = w->holders;
    size_t first = h->count;
    struct holder *list = realloc(h->list, (h->count + 1) * sizeof *list);
    if (list)
        h->list = list;
    AUTO(char) *name = list ? common_name(cert) : NULL;
    AUTO(char) *own = name ? strdup(path) : NULL;
    EVP_PKEY *pkey = X509_get0_pubkey(cert);
    struct error ignored;
    if (!own || !pkey || !key_index_enter(h->keys, pkey, h->count, &first, &ignored))
        return;
    if (first != h->count) {
        if (strcmp(h->list[first].name, name) != 0)
            tell(w, AUDIT_KEY_SHARED, path, "it has the key of %s", h->list[first].path);
        return;
    }
    h->list[h->count++] = (struct holder){TAKE(name), TAKE(own)};
}

static void holders_free(struct holders *h)
{
    key_index_free(h->keys);
    for (size_t i = 0; i < h->count; i++) {
        free(h->list[i].name);
        free(h->list[i].path);
    }
    free(h->list);
}

/* All the files that begin with stem. */
static void check_member(struct walk *w, enum folder kind, const char *folder, const char *stem,
                         size_t length)
{
    struct error why;
    AUTO(char) *path = path_of(folder, stem, length, "cert.pem");
    AUTO(X509_stack) *certs = path ? cert_load(path, &why) : NULL;
    if (!certs) {
        if (path)
            tell(w, AUDIT_UNREADABLE, path, "%s", why.message);
        return;
    }
    X509 *cert = sk_X509_value(certs, 0);
    const struct issuer *issuer = issuer_of(w, cert);
    w->audit->certificates++;
    check_shared(w, cert, path);
    check_times(w, cert, path);
    if (check_strength(w, cert, path) && check_usage(w, cert, kind, path))
        check_chain(w, cert, issuer, kind, path);
    if (issuer && kind != FOLDER_ROOT)
        check_row(w, issuer, cert, path);
    check_key(w, folder, stem, length, "key.pem", cert, true);
    if (kind == FOLDER_ENTITY) {
        check_key(w, folder, stem, length, "key.jwk", cert, true);
        check_key(w, folder, stem, length, "pub.jwk", cert, false);
        check_bundle(w, folder, stem, length, cert, issuer);
        check_staple(w, folder, stem, length, cert, issuer);
    } else {
        check_signer(w, folder, stem, length, cert);
    }
}

static int is_visible(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* What belongs to a certificate that is not there, once for all its files. */
static void miss_cert(const struct walk *w, const char *cert, const char *path, char **missed)
{
    if (*missed && strcmp(*missed, cert) == 0)
        return;
    tell(w, AUDIT_CERT_MISSING, cert, "the certificate is missing to which %s belongs", path);
    free(*missed);
    *missed = strdup(cert);
}

/* Looks at each member of a folder once, by its certificate; what belongs to none is a stranger. */
static void check_folder(struct walk *w, enum folder kind, const char *folder)
{
    struct dirent **entries;
    AUTO(char) *missed = NULL;
    int count = scandir(folder, &entries, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        const char *file = entries[i]->d_name;
        enum part part = PART_OTHER;
        size_t stem = stem_of(w, kind, file, &part);
        AUTO(char) *path = path_join(folder, file);
        AUTO(char) *cert = stem ? path_of(folder, file, stem, "cert.pem") : NULL;
        if (path && !stem)
            tell(w, AUDIT_STRANGER, path, "no file of a PKI has such a name");
        else if (path && cert && !path_exists(cert))
            miss_cert(w, cert, path, &missed);
        else if (part == PART_CERT)
            check_member(w, kind, folder, file, stem);
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    if (count >= 0)
        free(entries);
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

static bool find_issuers(struct walk *w)
{
    static const char *const families[] = {"rsa", "ec"};
    const char *dir = w->audit->pki;
    w->roots = sk_X509_new_null();
    w->cas = sk_X509_new_null();
    if (!w->roots || !w->cas)
        return error_memory(w->err);
    for (size_t f = 0; f < COUNT(families); f++)
        if (!add_issuer(w, layout_ca_path(dir, w->role, families[f], "cert.pem"),
                        layout_ca_path(dir, w->role, families[f], "index.txt"), false) ||
            !add_issuer(w, layout_root_path(dir, w->role, families[f], "cert.pem"),
                        layout_root_path(dir, w->role, families[f], "index.txt"), true))
            return false;
    for (size_t i = 0; i < w->issuer_count; i++)
        check_ledger(w, &w->issuers[i]);
    return true;
}

static void forget_issuers(struct walk *w)
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

/* What stands beside the three folders of a role. */
static void check_beside(const struct walk *w)
{
    static const char *const ends[FOLDERS] = {"-rootca", "-ca", ""};
    AUTO(char) *folder = path_join(w->audit->pki, role_name(w->role));
    struct dirent **entries;
    int count = folder ? scandir(folder, &entries, is_visible, alphasort) : -1;
    for (int i = 0; i < count; i++) {
        bool known = false;
        for (size_t k = 0; k < FOLDERS; k++) {
            char name[32];
            snprintf(name, sizeof name, "%s%s", role_name(w->role), ends[k]);
            known = known || strcmp(name, entries[i]->d_name) == 0;
        }
        AUTO(char) *path = path_join(folder, entries[i]->d_name);
        if (!known && path)
            tell(w, AUDIT_STRANGER, path, "not a folder of a PKI");
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

/* The 256 folders of a role where batches put their files. */
static void check_shards(struct walk *w)
{
    for (unsigned shard = 0; shard < 256; shard++) {
        char *folder;
        if (asprintf(&folder, "%s/%s/%02x", w->audit->out, role_name(w->role), shard) < 0)
            return;
        if (path_exists(folder))
            check_folder(w, FOLDER_ENTITY, folder);
        free(folder);
    }
}

/* Whether a CA here has revoked it: its files may be gone. */
static bool is_revoked(const struct walk *w, const char *serial)
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

/* What the result of a batch has issued in this role must be there, and be the same. */
static void check_result(const struct walk *w, const char *path)
{
    struct error why;
    struct csv_record record;
    enum csv_result more = CSV_FAILED;
    AUTO(csv) *table = csv_open(path, &why);
    while (table && (more = csv_next(table, &record, &why)) == CSV_RECORD) {
        char message[640];
        if (!result_is_row(&record) && w->role == 0)
            tell(w, AUDIT_UNREADABLE, path, "line %zu: not a row of a result", record.line);
        if (!result_is_issued(&record) ||
            strcmp(record.fields[RESULT_ROLE], role_name(w->role)) != 0 ||
            is_revoked(w, record.fields[RESULT_SERIAL]))
            continue;
        enum result_state state = result_judge(w->audit->out, record.fields, message);
        if (state != RESULT_SOUND)
            tell(w, state == RESULT_GONE ? AUDIT_BATCH_MISSING : AUDIT_BATCH_DIFFERS, path,
                 "row %s, %s '%s', serial number %s: %s", record.fields[RESULT_ROW],
                 record.fields[RESULT_ROLE], record.fields[RESULT_NAME],
                 record.fields[RESULT_SERIAL], message);
    }
    if (more == CSV_FAILED && w->role == 0)
        tell(w, AUDIT_UNREADABLE, path, "%s", why.message);
}

static bool check_results(const struct walk *w)
{
    AUTO(result_list) *files = result_files(w->audit->out, w->err);
    for (size_t i = 0; files && i < files->count; i++)
        check_result(w, files->paths[i]);
    return files != NULL;
}

static bool check_role(struct audit *audit, enum pki_role role, struct holders *holders,
                       struct error *err)
{
    static const char *const ends[FOLDERS] = {"-rootca", "-ca", ""};
    struct walk w = {.audit = audit, .holders = holders, .role = role, .err = err};
    const char *r = role_name(role);
    bool good = find_issuers(&w);
    for (enum folder kind = 0; good && kind < FOLDERS; kind++) {
        char *folder;
        if (asprintf(&folder, "%s/%s/%s%s", audit->pki, r, r, ends[kind]) < 0) {
            good = error_memory(err);
            break;
        }
        check_folder(&w, kind, folder);
        free(folder);
    }
    if (good)
        check_beside(&w);
    if (good && audit->out) {
        check_shards(&w);
        good = check_results(&w);
    }
    forget_issuers(&w);
    return good;
}

bool audit_run(struct audit *audit, struct error *err)
{
    if (!layout_check(audit->pki, err))
        return false;
    if (audit->out && !path_exists(audit->out))
        return error_set(err, RC_USAGE, "%s: there is no such folder", audit->out);
    struct holders holders = {.keys = key_index_new()};
    bool good = holders.keys || error_memory(err);
    for (enum pki_role role = 0; good && role < ROLE_COUNT; role++)
        good = check_role(audit, role, &holders, err);
    holders_free(&holders);
    return good;
}
