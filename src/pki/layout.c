/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/layout.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "pki/keygen.h"
#include "util/file.h"

#define BUNDLE "cert-plus-intermediate-cert.pem"

char *layout_root_path(const char *dir, enum pki_role role, const char *family, const char *what)
{
    const char *r = role_name(role);
    char *path;
    return asprintf(&path, "%s/%s/%s-rootca/%s-rootca-%s-%s", dir, r, r, r, family, what) < 0
               ? NULL
               : path;
}

char *layout_ca_path(const char *dir, enum pki_role role, const char *family, const char *what)
{
    const char *r = role_name(role);
    char *path;
    return asprintf(&path, "%s/%s/%s-ca/%s-ca-1-%s-%s", dir, r, r, r, family, what) < 0 ? NULL
                                                                                        : path;
}

char *layout_entity_folder(const char *dir, enum pki_role role)
{
    const char *r = role_name(role);
    char *path;
    return asprintf(&path, "%s/%s/%s", dir, r, r) < 0 ? NULL : path;
}

char *layout_entity_path(const char *dir, enum pki_role role, const char *name, const char *family,
                         const char *what)
{
    const char *r = role_name(role);
    char *path;
    return asprintf(&path, "%s/%s/%s/%s-%s-%s-%s", dir, r, r, r, name, family, what) < 0 ? NULL
                                                                                         : path;
}

bool layout_shard(const char *name, uint8_t *shard, struct error *err)
{
    uint8_t digest[32];
    if (!EVP_Digest(name, strlen(name), digest, NULL, EVP_sha256(), NULL))
        return error_memory(err);
    *shard = digest[0];
    return true;
}

char *layout_shard_path(const char *dir, const struct layout_sharded *e, const char *what)
{
    const char *r = role_name(e->role);
    char *path;
    return asprintf(&path, "%s/%s/%02x/%s-%s-%s-%s", dir, r, e->shard, r, e->name, e->family,
                    what) < 0
               ? NULL
               : path;
}

bool layout_check(const char *dir, struct error *err)
{
    for (enum pki_role role = 0; role < ROLE_COUNT; role++) {
        AUTO(char) *folder = path_join(dir, role_name(role));
        if (!folder)
            return error_memory(err);
        if (path_exists(folder))
            return true;
    }
    error_set(err, RC_USAGE, "%s: %s", dir,
              path_exists(dir) ? "no PKI: none of sp, tam, tee and tfw is in it"
                               : "there is no such folder");
    return error_hint(err, "'otrp pki-init --out %s' makes one", dir);
}

/* "tam-mytam-rsa-cert.pem", but no bundle. */
static int is_tam_cert(const struct dirent *entry)
{
    static const char end[] = "-cert.pem";
    size_t length = strlen(entry->d_name);
    return strncmp(entry->d_name, "tam-", 4) == 0 && length > sizeof end &&
           strcmp(entry->d_name + length - strlen(end), end) == 0 &&
           !strstr(entry->d_name, "-cert-plus-");
}

/* Whether file is of the TAM called name, in whatever family. */
static bool is_of(const char *file, const char *name)
{
    size_t length = strlen(name);
    const char *rest = file + strlen("tam-") + length;
    return strncmp(file + strlen("tam-"), name, length) == 0 &&
           (strcmp(rest, "-rsa-cert.pem") == 0 || strcmp(rest, "-ec-cert.pem") == 0);
}

char *layout_tamid_owner(const char *folder, const char *tamid, const char *name)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_tam_cert, alphasort);
    char *owner = NULL;
    for (int i = 0; i < count; i++) {
        struct error ignored;
        AUTO(char) *path = is_of(entries[i]->d_name, name) || owner
                               ? NULL
                               : path_join(folder, entries[i]->d_name);
        AUTO(X509_stack) *certs = path ? cert_load(path, &ignored) : NULL;
        AUTO(char) *own = certs ? cert_tamid(sk_X509_value(certs, 0), &ignored) : NULL;
        if (own && strcmp(own, tamid) == 0)
            owner = TAKE(path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return owner;
}

bool layout_name_valid(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strlen(name);
    return length >= 1 && length <= 64 && strspn(name, allowed) == length && name[0] != '.' &&
           name[0] != '-';
}

void identity_free(identity *id)
{
    if (!id)
        return;
    free(id->key_path);
    free(id->chain_path);
    free(id->ocsp_path);
    free(id);
}

/* The NAME of "tam-NAME-rsa-key.pem"; 0 when file is no such thing. */
static size_t entity_name(const char *file, enum pki_role role, const char **name)
{
    size_t length = strlen(file), prefix = strlen(role_name(role)) + 1;
    if (length <= prefix || strncmp(file, role_name(role), prefix - 1) != 0 ||
        file[prefix - 1] != '-')
        return 0;
    for (size_t i = 0; i < KEY_FAMILY_COUNT; i++) {
        char end[16];
        size_t size = (size_t)snprintf(end, sizeof end, "-%s-key.pem", key_families[i]);
        if (length > prefix + size && strcmp(file + length - size, end) == 0) {
            *name = file + prefix;
            return length - prefix - size;
        }
    }
    return 0;
}

/* Says which names there are, as far as they fit. */
static void hint_names(const char *dir, enum pki_role role, struct error *err)
{
    AUTO(buffer) *names = buffer_new(200);
    AUTO(char) *folder = layout_entity_folder(dir, role);
    struct dirent **entries;
    int count = folder ? scandir(folder, &entries, NULL, alphasort) : -1;
    if (count < 0 || !names) {
        error_hint(err, "'otrp pki-init --out %s' makes one", dir);
        return;
    }
    struct span last = {NULL, 0};
    for (int i = 0; i < count; i++) {
        const char *name = NULL;
        size_t length = entity_name(entries[i]->d_name, role, &name);
        if (length && names->size < 160 && !span_equal(last, SPAN(name, length))) {
            buffer_put_text(names, names->size ? ", " : "");
            buffer_put(names, name, length);
            last = SPAN(name, length);
        }
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    if (names->size && !names->failed)
        error_hint(err, "there is: %s", (const char *)names->data);
    else
        error_hint(err, "'otrp pki-init --out %s' makes one", dir);
}

static identity *identity_of(const char *dir, enum pki_role role, const char *name,
                             const char *family, struct error *err)
{
    AUTO(identity) *id = calloc(1, sizeof *id);
    if (id) {
        id->key_path = layout_entity_path(dir, role, name, family, "key.pem");
        id->chain_path = layout_entity_path(dir, role, name, family, BUNDLE);
        id->ocsp_path = layout_entity_path(dir, role, name, family, "ocsp.json");
    }
    if (!id || !id->key_path || !id->chain_path || !id->ocsp_path) {
        error_memory(err);
        return NULL;
    }
    if (!path_exists(id->chain_path)) {
        error_set(err, RC_USAGE, "%s is missing", id->chain_path);
        return NULL;
    }
    if (!path_exists(id->ocsp_path))
        free(TAKE(id->ocsp_path));
    return TAKE(id);
}

identity *identity_find(const char *dir, enum pki_role role, const char *name, struct error *err)
{
    if (!layout_name_valid(name)) {
        error_set(err, RC_USAGE, "'%s' is no name of a %s", name, role_title(role));
        error_hint(err, LAYOUT_NAME_FORM);
        return NULL;
    }
    for (size_t i = 0; i < KEY_FAMILY_COUNT; i++) {
        AUTO(char) *key = layout_entity_path(dir, role, name, key_families[i], "key.pem");
        if (!key) {
            error_memory(err);
            return NULL;
        }
        if (path_exists(key))
            return identity_of(dir, role, name, key_families[i], err);
    }
    const char *r = role_name(role);
    error_set(err, RC_USAGE, "%s: there is no %s '%s' (%s/%s/%s/%s-%s-rsa-key.pem or -ec-key.pem)",
              dir, role_title(role), name, dir, r, r, r, name);
    hint_names(dir, role, err);
    return NULL;
}

static int natural_order(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

void layout_list_free(layout_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    free(list);
}

/* Adds the names in a folder; what else is there is passed over. */
static bool read_names(layout_list *list, const char *folder, enum pki_role role)
{
    DIR *files = opendir(folder);
    bool read = true;
    for (const struct dirent *entry; files && read && (entry = readdir(files));) {
        const char *name = NULL;
        size_t length = entity_name(entry->d_name, role, &name);
        if (!length)
            continue;
        char **more = reallocarray(list->names, list->count + 1, sizeof *more);
        read = more != NULL;
        if (more) {
            list->names = more;
            list->names[list->count] = strndup(name, length);
            read = list->names[list->count] != NULL;
            list->count += read;
        }
    }
    if (files)
        closedir(files);
    return read;
}

layout_list *layout_names(const char *dir, enum pki_role role, struct error *err)
{
    AUTO(layout_list) *list = calloc(1, sizeof *list);
    AUTO(char) *folder = layout_entity_folder(dir, role);
    if (!list || !folder || !read_names(list, folder, role)) {
        error_memory(err);
        return NULL;
    }
    if (list->count)
        qsort(list->names, list->count, sizeof *list->names, natural_order);
    size_t kept = 0; /* one with keys of both families counts once */
    for (size_t i = 0; i < list->count; i++)
        if (kept && strcmp(list->names[kept - 1], list->names[i]) == 0)
            free(list->names[i]);
        else
            list->names[kept++] = list->names[i];
    list->count = kept;
    return TAKE(list);
}

bool layout_list_has(const layout_list *list, const char *name)
{
    return list->count &&
           bsearch(&name, list->names, list->count, sizeof *list->names, natural_order) != NULL;
}

X509_stack *layout_roots(const char *dir, enum pki_role role, struct error *err)
{
    AUTO(X509_stack) *roots = sk_X509_new_null();
    if (!roots) {
        error_memory(err);
        return NULL;
    }
    for (size_t i = 0; i < KEY_FAMILY_COUNT; i++) {
        AUTO(char) *path = layout_root_path(dir, role, key_families[i], "cert.pem");
        if (!path) {
            error_memory(err);
            return NULL;
        }
        if (!path_exists(path))
            continue;
        AUTO(X509_stack) *found = cert_load(path, err);
        if (!found)
            return NULL;
        while (sk_X509_num(found) > 0) {
            X509 *cert = sk_X509_shift(found);
            if (!sk_X509_push(roots, cert)) {
                X509_free(cert);
                error_memory(err);
                return NULL;
            }
        }
    }
    if (sk_X509_num(roots) > 0)
        return TAKE(roots);
    const char *r = role_name(role);
    error_set(err, RC_USAGE, "%s: there is no root certificate of a %s (%s/%s/%s-rootca)", dir,
              role_title(role), dir, r, r);
    error_hint(err, "'otrp pki-init --out %s' makes one", dir);
    return NULL;
}
