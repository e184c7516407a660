/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/key_set.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/store.h>
#include <openssl/ui.h>

#include "jose/jwk.h"
#include "util/file.h"
#include "util/json.h"
#include "util/limits.h"
#include "util/openssl_auto.h"
#include "util/openssl_error.h"
#include "util/secret.h"

void key_set_free(key_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++)
        key_free(set->keys[i]);
    free(set->keys);
    free(set);
}

static bool key_set_add(key_set *set, key *k, struct error *err)
{
    if (!k)
        return false;
    key **keys = realloc(set->keys, (set->count + 1) * sizeof *keys);
    if (!keys) {
        key_free(k);
        return error_memory(err);
    }
    set->keys = keys;
    keys[set->count++] = k;
    return true;
}

bool key_set_append(key_set *set, key_set *more, struct error *err)
{
    key **keys = realloc(set->keys, (set->count + more->count) * sizeof *keys);
    if (!keys)
        return error_memory(err);
    memcpy(keys + set->count, more->keys, more->count * sizeof *keys);
    set->keys = keys;
    set->count += more->count;
    more->count = 0;
    return true;
}

key_set *key_set_of(key *k, struct error *err)
{
    AUTO(key_set) *set = calloc(1, sizeof *set);
    if (set && key_set_add(set, k, err))
        return TAKE(set);
    if (!set) {
        key_free(k);
        error_memory(err);
    }
    return NULL;
}

static bool add_pkey(key_set *set, EVP_PKEY *pkey, bool private, const char *name,
                     const struct key_how *how, struct error *err)
{
    if (!pkey_check_strength(pkey, name, how->small_keys, err)) {
        EVP_PKEY_free(pkey);
        return false;
    }
    return key_set_add(set, key_from_pkey(pkey, private, name, err), err);
}

static bool add_certificate(key_set *set, struct span der, const char *name,
                            const struct key_how *how, struct error *err)
{
    const uint8_t *p = der.data;
    AUTO(X509) *cert = d2i_X509(NULL, &p, (long)der.size);
    EVP_PKEY *pkey = cert ? X509_get_pubkey(cert) : NULL;
    if (!pkey)
        return error_openssl(err, RC_MALFORMED, "%s: the certificate cannot be read", name);
    return add_pkey(set, pkey, false, name, how, err);
}

/* The first key in pem. *passphrase is read for the first key that needs it. */
static bool add_encrypted_pem(key_set *set, struct span pem, const char *name,
                              const struct key_how *how, buffer **passphrase, struct error *err)
{
    if (!how->passin) {
        error_set(err, RC_USAGE, "%s: the key is encrypted", name);
        error_cause(err, CAUSE_ENCRYPTED);
        return error_hint(err, "give its passphrase with --passin");
    }
    if (!*passphrase && !(*passphrase = passphrase_read(how->passin, err)))
        return false;
    AUTO(BIO) *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, *passphrase) : NULL;
    if (!pkey) {
        error_openssl(err, RC_USAGE, "%s: cannot be decrypted with this passphrase", name);
        return error_cause(err, CAUSE_PASSPHRASE);
    }
    return add_pkey(set, pkey, true, name, how, err);
}

/* One block of a PEM file. *certificate: it was one, of which only the first counts. */
static bool add_pem_block(key_set *set, const char *label, struct span der, const char *name,
                          const struct key_how *how, bool *certificate, struct error *err)
{
    EVP_PKEY *pkey = NULL;
    bool private = true;
    if (strcmp(label, PEM_STRING_PKCS8INF) == 0)
        pkey = pkey_from_pkcs8(der);
    else if (strcmp(label, PEM_STRING_RSA) == 0)
        pkey = pkey_decode(der, "type-specific", "RSA", EVP_PKEY_KEYPAIR);
    else if (strcmp(label, PEM_STRING_ECPRIVATEKEY) == 0)
        pkey = pkey_decode(der, "type-specific", "EC", EVP_PKEY_KEYPAIR);
    else if (private = false, strcmp(label, PEM_STRING_PUBLIC) == 0)
        pkey = pkey_decode(der, "SubjectPublicKeyInfo", NULL, EVP_PKEY_PUBLIC_KEY);
    else if (strcmp(label, PEM_STRING_RSA_PUBLIC) == 0)
        pkey = pkey_decode(der, "type-specific", "RSA", EVP_PKEY_PUBLIC_KEY);
    else if (strcmp(label, PEM_STRING_X509) == 0 || strcmp(label, PEM_STRING_X509_OLD) == 0) {
        if (*certificate || set->count)
            return true;
        *certificate = true;
        return add_certificate(set, der, name, how, err);
    } else
        return true; /* parameters and the like */
    if (!pkey)
        return error_openssl(err, RC_MALFORMED, "%s: its %s block cannot be read", name, label);
    return add_pkey(set, pkey, private, name, how, err);
}

static bool add_pem(key_set *set, struct span text, const char *name, const struct key_how *how,
                    struct error *err)
{
    AUTO(BIO) *bio = BIO_new_mem_buf(text.data, (int)text.size);
    if (!bio)
        return error_memory(err);
    AUTO(buffer) *passphrase = NULL;
    bool certificate = false, added = true;
    while (added) {
        char *label = NULL, *header = NULL;
        unsigned char *data = NULL;
        long size = 0;
        size_t left = (size_t)BIO_pending(bio);
        if (!PEM_read_bio(bio, &label, &header, &data, &size)) {
            unsigned long reason = ERR_peek_last_error();
            if (ERR_GET_REASON(reason) == PEM_R_NO_START_LINE) {
                ERR_clear_error();
                break;
            }
            return error_openssl(err, RC_MALFORMED, "%s: broken PEM", name);
        }
        bool encrypted = strcmp(label, PEM_STRING_PKCS8) == 0 || strstr(header, "ENCRYPTED");
        struct span block = SPAN(text.data + text.size - left, left); /* and what follows it */
        added = encrypted ? add_encrypted_pem(set, block, name, how, &passphrase, err)
                          : add_pem_block(set, label, SPAN(data, (size_t)size), name, how,
                                          &certificate, err);
        OPENSSL_free(label);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, (size_t)size);
    }
    return added;
}

/* Why a PKCS#12 file does not open: most often for its passphrase, which its MAC tells. */
static bool not_opened(const char *name, const struct key_how *how, struct error *err)
{
    if (ERR_GET_REASON(ERR_peek_last_error()) != PKCS12_R_MAC_VERIFY_FAILURE)
        return error_openssl(err, RC_USAGE, "%s: the PKCS#12 file cannot be opened", name);
    ERR_clear_error();
    if (!how->passin) {
        error_set(err, RC_USAGE, "%s: the PKCS#12 file has a passphrase", name);
        error_cause(err, CAUSE_ENCRYPTED);
        return error_hint(err, "give its passphrase with --passin");
    }
    error_set(err, RC_USAGE, "%s: the PKCS#12 file cannot be opened with this passphrase", name);
    error_cause(err, CAUSE_PASSPHRASE);
    return error_hint(err, "give that of this file with --passin");
}

static bool add_pkcs12(key_set *set, PKCS12 *p12, const char *name, const struct key_how *how,
                       struct error *err)
{
    AUTO(buffer) *passphrase = how->passin ? passphrase_read(how->passin, err) : NULL;
    if (how->passin && !passphrase)
        return false;
    EVP_PKEY *pkey = NULL;
    X509 *cert = NULL;
    ERR_clear_error();
    if (!PKCS12_parse(p12, passphrase ? (const char *)passphrase->data : "", &pkey, &cert, NULL))
        return not_opened(name, how, err);
    bool private = pkey != NULL; /* with or without a certificate */
    if (!pkey && cert)
        pkey = X509_get_pubkey(cert);
    X509_free(cert);
    if (!pkey)
        return error_set(err, RC_MALFORMED, "%s: the PKCS#12 file holds no key", name);
    return add_pkey(set, pkey, private, name, how, err);
}

static bool add_der(key_set *set, struct span der, const char *name, const struct key_how *how,
                    struct error *err)
{
    EVP_PKEY *pkey = pkey_from_pkcs8(der);
    if (!pkey)
        pkey = pkey_decode(der, NULL, NULL, EVP_PKEY_KEYPAIR);
    if (pkey)
        return add_pkey(set, pkey, true, name, how, err);
    pkey = pkey_decode(der, NULL, NULL, EVP_PKEY_PUBLIC_KEY);
    if (pkey)
        return add_pkey(set, pkey, false, name, how, err);
    const uint8_t *p = der.data;
    PKCS12 *p12 = d2i_PKCS12(NULL, &p, (long)der.size);
    if (p12) {
        bool added = add_pkcs12(set, p12, name, how, err);
        PKCS12_free(p12);
        return added;
    }
    ERR_clear_error();
    if (add_certificate(set, der, name, how, err))
        return true;
    error_set(err, RC_MALFORMED, "%s: no key in it: neither PEM, DER, JWK nor certificate", name);
    return error_cause(err, CAUSE_NO_KEY);
}

static bool check_kids(const key_set *set, struct error *err)
{
    for (size_t i = 1; i < set->count; i++)
        for (size_t k = 0; k < i; k++)
            if (set->keys[i]->kid && set->keys[k]->kid &&
                strcmp(set->keys[i]->kid, set->keys[k]->kid) == 0) {
                error_set(err, RC_MALFORMED, "%s and %s have the same kid \"%.80s\"",
                          set->keys[k]->name, set->keys[i]->name, set->keys[i]->kid);
                return error_rule(err, "RFC 7517 section 4.5");
            }
    return true;
}

static bool add_jwks(key_set *set, const json_t *keys, const char *name, const struct key_how *how,
                     struct error *err)
{
    if (!json_is_array(keys) || json_array_size(keys) == 0)
        return error_set(err, RC_MALFORMED, "%s: keys: not an array of keys", name);
    for (size_t i = 0; i < json_array_size(keys); i++) {
        char element[300];
        snprintf(element, sizeof element, "%s[%zu]", name, i);
        key *k = jwk_to_key(json_array_get(keys, i), element, how->small_keys, err);
        if (!key_set_add(set, k, err))
            return false;
    }
    return check_kids(set, err);
}

static bool add_json(key_set *set, struct span text, const char *name, const struct key_how *how,
                     struct error *err)
{
    AUTO(json_t) *json = json_load_span(text, name, err);
    if (!json)
        return false;
    const json_t *keys = json_object_get(json, "keys");
    if (keys)
        return add_jwks(set, keys, name, how, err);
    return key_set_add(set, jwk_to_key(json, name, how->small_keys, err), err);
}

static bool check_part(const key_set *set, const char *name, enum key_part part, struct error *err)
{
    if (set->count == 0) {
        error_set(err, RC_MALFORMED, "%s: no key in it", name);
        error_cause(err, CAUSE_NO_KEY);
        return error_hint(err, "keys are PEM, DER, JWK, JWK set, PKCS#12 or, for a public key, a "
                               "certificate; a file of a provider needs --provider");
    }
    for (size_t i = 0; part == KEY_PRIVATE && i < set->count; i++)
        if (!set->keys[i]->private)
            return error_set(err, RC_USAGE, "%s: a private key is needed, this is a public one",
                             set->keys[i]->name);
    return true;
}

key_set *key_set_parse(struct span text, const char *name, const struct key_how *how,
                       struct error *err)
{
    AUTO(key_set) *set = calloc(1, sizeof *set);
    if (!set) {
        error_memory(err);
        return NULL;
    }
    struct span trimmed = span_trim(text);
    bool added;
    if (trimmed.size && trimmed.data[0] == '{')
        added = add_json(set, text, name, how, err);
    else if (memmem(text.data, text.size, "-----BEGIN ", 11))
        added = add_pem(set, text, name, how, err);
    else
        added = add_der(set, text, name, how, err);
    return added && check_part(set, name, how->part, err) ? TAKE(set) : NULL;
}

/* The length of a URI scheme (RFC 3986 section 3.1) before ':' in source; 0 when there is none. */
static size_t scheme_length(const char *source)
{
    size_t length = strspn(source,
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    return length > 1 && source[length] == ':' && source[0] != '.' ? length : 0;
}

static key_set *load_uri(const char *uri, const struct key_how *how, struct error *err)
{
    AUTO(key_set) *set = calloc(1, sizeof *set);
    AUTO(buffer) *passphrase = how->passin ? passphrase_read(how->passin, err) : NULL;
    if (!set || (how->passin && !passphrase)) {
        if (!set)
            error_memory(err);
        return NULL;
    }
    UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(give_passphrase, 0);
    OSSL_STORE_CTX *store = OSSL_STORE_open(uri, ui, passphrase, NULL, NULL);
    if (!store) {
        error_openssl(err, RC_USAGE, "%s: cannot open", uri);
        error_hint(err, "is the scheme right, and its provider loaded with --provider? A file name "
                        "with a colon is written ./NAME");
        UI_destroy_method(ui);
        return NULL;
    }
    bool added = true;
    while (added && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        if (!info)
            continue;
        EVP_PKEY *pkey = OSSL_STORE_INFO_get1_PKEY(info);
        bool private = pkey != NULL;
        if (!pkey)
            pkey = OSSL_STORE_INFO_get1_PUBKEY(info);
        X509 *cert = OSSL_STORE_INFO_get0_CERT(info);
        if (!pkey && cert && set->count == 0)
            pkey = X509_get_pubkey(cert);
        OSSL_STORE_INFO_free(info);
        if (pkey)
            added = add_pkey(set, pkey, private, uri, how, err);
    }
    OSSL_STORE_close(store);
    UI_destroy_method(ui);
    ERR_clear_error();
    return added && check_part(set, uri, how->part, err) ? TAKE(set) : NULL;
}

/* Whether a provider may look for its own forms there: not in a pipe, of which what it had has been
 * read, and not by a name that is a URI to it. */
static bool may_be_wrapped(const char *path)
{
    struct stat found;
    return !scheme_length(path) && stat(path, &found) == 0 && S_ISREG(found.st_mode);
}

/* A file that is named by its path, or by a URI that is what messages call it. */
static key_set *load_file(const char *path, const char *name, const struct key_how *how,
                          struct error *err)
{
    AUTO(buffer) *text = input_read(path, LIMIT_KEY_BYTES, err);
    key_set *set = text ? key_set_parse(buffer_span(text), name, how, err) : NULL;
    if (set || err->cause != CAUSE_NO_KEY || path_is_standard(path) || !may_be_wrapped(path))
        return set;
    struct error other; /* of a form that a provider has, such as a key that a TPM has wrapped */
    return load_uri(path, how, &other);
}

/* The path in "file:PATH" or "file:///PATH" (RFC 8089), without escapes, as OpenSSL has it. */
static const char *file_uri_path(const char *uri, struct error *err)
{
    static const char host[] = "//localhost/";
    const char *path = uri + strlen("file:");
    if (strncasecmp(path, host, strlen(host)) == 0)
        path += strlen(host) - 1;
    else if (strncmp(path, "///", 3) == 0)
        path += 2;
    if (strncmp(path, "//", 2) != 0 && !path_is_standard(path) && *path)
        return path;
    error_set(err, RC_USAGE, "%s: names no file of this host", uri);
    error_hint(err, "its form is file:PATH");
    return NULL;
}

static key_set *load_file_uri(const char *uri, const struct key_how *how, struct error *err)
{
    const char *path = file_uri_path(uri, err);
    return path ? load_file(path, uri, how, err) : NULL;
}

static bool is_file_uri(const char *source)
{
    return strncasecmp(source, "file:", 5) == 0;
}

bool key_source_is_file(const char *source)
{
    return !scheme_length(source) || is_file_uri(source);
}

key_set *key_set_load(const char *source, const struct key_how *how, struct error *err)
{
    if (!scheme_length(source))
        return load_file(source, input_name(source), how, err);
    return is_file_uri(source) ? load_file_uri(source, how, err) : load_uri(source, how, err);
}

/* A set that could be read as both invites confusion: an RSA key is never an HMAC secret. */
static bool check_unmixed(const key_set *set, struct error *err)
{
    for (size_t i = 1; i < set->count; i++)
        if (!set->keys[i]->oct != !set->keys[0]->oct)
            return error_set(err, RC_USAGE, "%s and %s: symmetric and asymmetric keys are mixed",
                             set->keys[0]->name, set->keys[i]->name);
    return true;
}

static bool several(const key *a, const key *b, const struct jwa *alg, struct error *err)
{
    error_set(err, RC_USAGE, "several keys fit %s: %s and %s", alg->name, a->name, b->name);
    return error_hint(err, "give one key, or keys with a kid that the message names");
}

const key *key_set_choose(const key_set *set, const char *kid, const struct jwa *alg,
                          const char *operation, bool *ambiguous, struct error *err)
{
    const key *chosen = NULL;
    bool chosen_named = false;
    struct error unfit_why = {.rc = RC_OK};
    *ambiguous = true;
    if (!check_unmixed(set, err))
        return NULL;
    for (size_t i = 0; i < set->count; i++) {
        const key *k = set->keys[i];
        bool named = kid && k->kid && strcmp(kid, k->kid) == 0;
        if (set->count > 1 && kid && k->kid && !named)
            continue;
        if (!jwa_fits(alg, k, operation, &unfit_why))
            continue;
        if (chosen && named == chosen_named) {
            several(chosen, k, alg, err);
            return NULL;
        }
        if (!chosen || named) { /* a key of that kid goes before one without any */
            chosen = k;
            chosen_named = named;
        }
    }
    *ambiguous = false;
    if (!chosen && unfit_why.rc != RC_OK)
        *err = unfit_why;
    else if (!chosen)
        error_set(err, RC_USAGE, "no key has the kid \"%.80s\"", kid);
    return chosen;
}
