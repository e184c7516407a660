/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/audit_parts.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pki/layout.h"
#include "pki/staple.h"
#include "util/file.h"

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

/* What is to be done; of a stapling set at path with the whole command. Owned by the caller. */
static char *hint_of(const struct walk *w, enum audit_kind kind, const char *path)
{
    static const char end[] = "ocsp.json";
    const char *hint = kinds[kind].hint;
    if (hint[strlen(hint) - 1] != ':')
        return strdup(hint);
    char *cert_path, *whole;
    if (asprintf(&cert_path, "%.*scert.pem", (int)(strlen(path) - strlen(end)), path) < 0)
        return NULL;
    AUTO(char) *cert = cert_path;
    AUTO(char) *command = staple_command(w->audit->pki, path, cert);
    return command && asprintf(&whole, "%s %s", hint, command) >= 0 ? whole : NULL;
}

void audit_tell(const struct walk *w, enum audit_kind kind, const char *path, const char *format,
                ...)
{
    char message[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    AUTO(char) *hint = hint_of(w, kind, path);
    w->audit->find(w->audit->context,
                   &(struct audit_finding){kind, path, message, hint ? hint : ""});
}

void audit_tell_error(const struct walk *w, enum audit_kind kind, const char *path,
                      const struct error *why)
{
    const char *message = why->message;
    size_t length = strlen(path);
    if (strncmp(message, path, length) == 0 && strncmp(message + length, ": ", 2) == 0)
        message += length + 2;
    AUTO(char) *of_kind = hint_of(w, kind, path);
    const char *hint = why->cause == CAUSE_DENIED    ? "run it as the owner of the files"
                       : why->cause == CAUSE_REVOKED ? kinds[AUDIT_REVOKED].hint
                       : of_kind                     ? of_kind
                                                     : "";
    w->audit->find(w->audit->context, &(struct audit_finding){kind, path, message, hint});
}

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
    {BUNDLE_END, PART_BUNDLE, 4},
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

char *audit_path(const char *folder, const char *stem, size_t length, const char *end)
{
    char *path;
    return asprintf(&path, "%s/%.*s%s", folder, (int)length, stem, end) < 0 ? NULL : path;
}

/* All the files that begin with stem. */
static void check_member(struct walk *w, enum folder kind, const char *folder, const char *stem,
                         size_t length)
{
    struct error why;
    AUTO(char) *path = audit_path(folder, stem, length, "cert.pem");
    AUTO(X509_stack) *certs = path ? cert_load(path, &why) : NULL;
    if (!certs) {
        if (path)
            audit_tell_error(w, AUDIT_UNREADABLE, path, &why);
        return;
    }
    X509 *cert = sk_X509_value(certs, 0);
    const struct issuer *issuer = audit_issuer_of(w, cert);
    w->audit->certificates++;
    audit_check_shared(w, cert, path);
    audit_check_times(w, cert, path);
    if (audit_check_strength(w, cert, path) && audit_check_usage(w, cert, kind, path))
        audit_check_chain(w, cert, issuer, kind, path);
    if (kind == FOLDER_ENTITY)
        audit_check_algorithm(w, cert, path);
    if (issuer && kind != FOLDER_ROOT)
        audit_check_row(w, issuer, cert, path);
    audit_check_key(w, folder, stem, length, "key.pem", cert, true);
    if (kind == FOLDER_ENTITY) {
        audit_check_key(w, folder, stem, length, "key.jwk", cert, true);
        audit_check_key(w, folder, stem, length, "pub.jwk", cert, false);
        audit_check_bundle(w, folder, stem, length, cert, issuer);
        audit_check_staple(w, folder, stem, length, cert, issuer);
    } else {
        audit_check_signer(w, folder, stem, length, cert);
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
    audit_tell(w, AUDIT_CERT_MISSING, cert, "the certificate is missing to which %s belongs", path);
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
        AUTO(char) *cert = stem ? audit_path(folder, file, stem, "cert.pem") : NULL;
        if (path && !stem)
            audit_tell(w, AUDIT_STRANGER, path, "no file of a PKI has such a name");
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
            audit_tell(w, AUDIT_STRANGER, path, "not a folder of a PKI");
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

static bool check_role(struct audit *audit, enum pki_role role, struct holders *holders,
                       struct error *err)
{
    static const char *const ends[FOLDERS] = {"-rootca", "-ca", ""};
    struct walk w = {.audit = audit, .holders = holders, .role = role, .err = err};
    const char *r = role_name(role);
    bool good = audit_find_issuers(&w);
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
    good = good && audit_check_results(&w, audit->pki);
    if (good && audit->out)
        check_shards(&w);
    if (good && audit->out && strcmp(audit->out, audit->pki) != 0)
        good = audit_check_results(&w, audit->out);
    audit_forget_issuers(&w);
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
    audit_holders_free(&holders);
    return good;
}
