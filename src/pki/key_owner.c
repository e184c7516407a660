/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/key_owner.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "pki/keygen.h"
#include "pki/layout.h"
#include "pki/ledger.h"
#include "util/file.h"
#include "util/limits.h"

/* ---- what was revoked ---- */

/* Where the certificate of a row is, or was: in the PKI, or in the folder of a batch. */
static char *path_of(const char *pki, const char *out, enum pki_role role, const char *family,
                     const struct ledger_entry *entry)
{
    if (entry->file && strcmp(entry->file, "unknown") != 0)
        return path_join(pki, entry->file);
    AUTO(char) *name = out ? ledger_common_name(entry) : NULL;
    struct layout_sharded e = {.role = role, .name = name, .family = family};
    struct error ignored;
    return name && layout_shard(name, &e.shard, &ignored) ? layout_shard_path(out, &e, "cert.pem")
                                                          : NULL;
}

/* Adds the certificate at path, if it is that of the row. */
static bool add_cert(X509_stack *found, const char *path, const char *serial, struct error *err)
{
    struct error ignored;
    AUTO(X509_stack) *certs = path ? cert_load(path, &ignored) : NULL;
    AUTO(char) *own = certs ? ledger_serial(sk_X509_value(certs, 0)) : NULL;
    if (!own || strcmp(own, serial) != 0)
        return true;
    X509 *cert = sk_X509_shift(certs);
    if (sk_X509_push(found, cert))
        return true;
    X509_free(cert);
    return error_memory(err);
}

static bool add_compromised(X509_stack *found, const char *pki, const char *out, enum pki_role role,
                            const char *ledger_path, struct error *err)
{
    if (!ledger_path)
        return error_memory(err);
    AUTO(ledger) *l = path_exists(ledger_path) ? ledger_load(ledger_path, err) : NULL;
    if (!l)
        return !path_exists(ledger_path) || err->cause == CAUSE_DENIED;
    for (size_t i = 0; i < ledger_count(l); i++) {
        struct ledger_entry entry;
        if (!ledger_row(l, i, &entry, err))
            return false;
        if (!entry.revoked || (entry.reason != ledger_reason("keyCompromise") &&
                               entry.reason != ledger_reason("CACompromise")))
            continue;
        for (size_t f = 0; f < KEY_FAMILY_COUNT; f++) {
            AUTO(char) *path = path_of(pki, out, role, key_families[f], &entry);
            if (!add_cert(found, path, entry.serial, err))
                return false;
        }
    }
    return true;
}

X509_stack *certs_compromised(const char *pki, const char *out, struct error *err)
{
    AUTO(X509_stack) *found = sk_X509_new_null();
    if (!found) {
        error_memory(err);
        return NULL;
    }
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        for (size_t f = 0; f < KEY_FAMILY_COUNT; f++) {
            AUTO(char) *of_ca = layout_ca_path(pki, role, key_families[f], "index.txt");
            AUTO(char) *of_root = layout_root_path(pki, role, key_families[f], "index.txt");
            if (!add_compromised(found, pki, out, role, of_ca, err) ||
                !add_compromised(found, pki, out, role, of_root, err))
                return NULL;
        }
    return TAKE(found);
}

/* ---- who has it ---- */

struct search {
    const EVP_PKEY *pkey;
    const char *name;
    buffer *sign; /* bytes that are in every certificate for the key, however it is encoded */
    char *found;
};

/* The modulus, or the first coordinate of the point: the second may be left out. */
static buffer *sign_of(const EVP_PKEY *pkey)
{
    const char *number = EVP_PKEY_is_a(pkey, "RSA") ? OSSL_PKEY_PARAM_RSA_N
                                                    : OSSL_PKEY_PARAM_EC_PUB_X;
    BIGNUM *value = NULL;
    if (!EVP_PKEY_get_bn_param(pkey, number, &value)) {
        ERR_clear_error();
        return NULL;
    }
    size_t size = (size_t)BN_num_bytes(value);
    AUTO(buffer) *sign = buffer_new(size);
    if (sign)
        sign->size = (size_t)BN_bn2bin(value, sign->data);
    BN_free(value);
    return TAKE(sign);
}

static void look_into(struct search *s, const char *path)
{
    struct error ignored;
    AUTO(buffer) *text = input_read(path, LIMIT_KEY_BYTES, &ignored);
    AUTO(BIO) *bio = text ? BIO_new_mem_buf(text->data, (int)text->size) : NULL;
    char *label = NULL, *header = NULL;
    unsigned char *der = NULL;
    long size = 0;
    if (bio && PEM_read_bio(bio, &label, &header, &der, &size) &&
        memmem(der, (size_t)size, s->sign->data, s->sign->size)) {
        AUTO(X509) *cert = cert_from_der(SPAN(der, (size_t)size), path, &ignored);
        AUTO(char) *name = cert ? cert_common_name(cert) : NULL;
        if (cert && EVP_PKEY_eq(X509_get0_pubkey(cert), s->pkey) == 1 &&
            !(name && strcmp(name, s->name) == 0))
            s->found = strdup(path);
    }
    ERR_clear_error();
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_free(der);
}

static void look_through(struct search *s, const char *folder)
{
    static const char end[] = "cert.pem", of_bundle[] = "intermediate-cert.pem";
    DIR *files = folder && !s->found ? opendir(folder) : NULL;
    for (const struct dirent *entry; files && !s->found && (entry = readdir(files));) {
        size_t length = strlen(entry->d_name);
        if (length < sizeof end || strcmp(entry->d_name + length - (sizeof end - 1), end) != 0 ||
            strstr(entry->d_name, of_bundle))
            continue;
        AUTO(char) *path = path_join(folder, entry->d_name);
        if (path)
            look_into(s, path);
    }
    if (files)
        closedir(files);
}

static void look_through_shards(struct search *s, const char *out, enum pki_role role)
{
    for (unsigned shard = 0; shard < 256 && !s->found; shard++) {
        char name[32];
        snprintf(name, sizeof name, "%s/%02x", role_name(role), shard);
        AUTO(char) *folder = path_join(out, name);
        look_through(s, folder);
    }
}

char *key_owner_path(const char *pki, const char *out, const EVP_PKEY *pkey, const char *name)
{
    static const char *const ends[] = {"", "-ca", "-rootca"};
    AUTO(buffer) *sign = sign_of(pkey);
    struct search s = {.pkey = pkey, .name = name, .sign = sign};
    for (enum pki_role role = 0; sign && role < ROLE_COUNT; role++) {
        for (size_t i = 0; i < COUNT(ends); i++) {
            char place[64];
            snprintf(place, sizeof place, "%s/%s%s", role_name(role), role_name(role), ends[i]);
            AUTO(char) *folder = path_join(pki, place);
            look_through(&s, folder);
        }
        if (out)
            look_through_shards(&s, out, role);
    }
    return s.found;
}
