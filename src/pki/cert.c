/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/cert.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "pki/asn1.h"
#include "pki/cert_cache.h"
#include "util/base64.h"
#include "util/file.h"
#include "util/limits.h"
#include "util/openssl_error.h"
#include "util/secret.h"
#include "util/utf8.h"

#define SUBJECT_BYTES 256 /* of a message that must have room for the reason */

static bool holds(struct span text, const char *word)
{
    return text.size && memmem(text.data, text.size, word, strlen(word));
}

static bool parse_pem(X509_stack *stack, struct span text, const char *name, struct error *err)
{
    AUTO(BIO) *bio = BIO_new_mem_buf(text.data, (int)text.size);
    if (!bio)
        return error_memory(err);
    for (;;) {
        ERR_clear_error();
        X509 *cert = PEM_read_bio_X509(bio, NULL, give_passphrase, NULL); /* not from a terminal */
        if (!cert)
            break;
        if (!sk_X509_push(stack, cert)) {
            X509_free(cert);
            return error_memory(err);
        }
    }
    unsigned long code = ERR_peek_last_error();
    if (ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) != PEM_R_NO_START_LINE)
        return error_openssl(err, RC_MALFORMED, "%s: certificate %d is not well-formed", name,
                             sk_X509_num(stack) + 1);
    ERR_clear_error();
    return true;
}

X509_stack *cert_parse(struct span text, const char *name, struct error *err)
{
    AUTO(X509_stack) *stack = sk_X509_new_null();
    if (!stack) {
        error_memory(err);
        return NULL;
    }
    if (text.size > LIMIT_KEY_BYTES) {
        error_set(err, RC_MALFORMED, "%s: %zu bytes, more than the %u allowed", name, text.size,
                  LIMIT_KEY_BYTES);
        return NULL;
    }
    if (holds(text, "-----BEGIN ")) {
        if (!parse_pem(stack, text, name, err))
            return NULL;
    } else {
        X509 *cert = cert_from_der(text, name, err);
        if (!cert)
            return NULL;
        if (!sk_X509_push(stack, cert)) {
            X509_free(cert);
            error_memory(err);
            return NULL;
        }
    }
    if (sk_X509_num(stack) > 0)
        return TAKE(stack);
    error_set(err, RC_MALFORMED, "%s: there is no certificate in it", name);
    return NULL;
}

X509_stack *cert_load(const char *path, struct error *err)
{
    AUTO(buffer) *text = input_read(path, LIMIT_KEY_BYTES, err);
    return text ? cert_parse(buffer_span(text), input_name(path), err) : NULL;
}

bool certs_append(X509_stack **certs, const X509_stack *more, struct error *err)
{
    if (!*certs && !(*certs = sk_X509_new_null()))
        return error_memory(err);
    for (int i = 0; i < sk_X509_num(more); i++) {
        X509 *cert = sk_X509_value(more, i);
        if (!X509_up_ref(cert))
            return error_memory(err);
        if (!sk_X509_push(*certs, cert)) {
            X509_free(cert);
            return error_memory(err);
        }
    }
    return true;
}

static int is_visible(const struct dirent *entry)
{
    /* neither what is hidden, nor what an editor or an interrupted command left behind */
    return entry->d_name[0] != '.' && entry->d_name[strlen(entry->d_name) - 1] != '~';
}

/* Adds the certificates of a file in a folder; false only where it has some that are no good. */
static bool load_from_folder(X509_stack **all, const char *dir, const char *name, struct error *err)
{
    struct error skipped;
    struct stat st;
    AUTO(char) *path = path_join(dir, name);
    if (!path)
        return error_memory(err);
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return true;
    AUTO(buffer) *text = input_read(path, LIMIT_KEY_BYTES, &skipped);
    if (!text)
        return true;
    struct span span = buffer_span(text);
    bool pem = holds(span, "-----BEGIN CERTIFICATE-----");
    AUTO(X509_stack) *found = pem || !holds(span, "-----BEGIN ")
                                  ? cert_parse(span, path, pem ? err : &skipped)
                                  : NULL;
    return found ? certs_append(all, found, err) : !pem;
}

X509_stack *cert_load_many(const char *path, struct error *err)
{
    struct stat st;
    if (!path || strcmp(path, "-") == 0 || stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return cert_load(path, err);
    AUTO(X509_stack) *all = sk_X509_new_null();
    struct dirent **entries;
    int count = scandir(path, &entries, is_visible, alphasort);
    if (!all || count < 0) {
        error_errno(err, RC_USAGE, "%s: cannot read the folder", path);
        return NULL;
    }
    bool good = true;
    for (int i = 0; i < count; i++) {
        good = good && load_from_folder(&all, path, entries[i]->d_name, err);
        free(entries[i]);
    }
    free(entries);
    if (!good)
        return NULL;
    if (sk_X509_num(all) > 0)
        return TAKE(all);
    error_set(err, RC_USAGE, "%s: no file in this folder holds a certificate", path);
    return NULL;
}

X509 *cert_from_der(struct span der, const char *what, struct error *err)
{
    const unsigned char *p = der.data;
    uint8_t hash[CERT_HASH_BYTES];
    if (!der.size || der.size > LIMIT_KEY_BYTES) {
        error_set(err, RC_MALFORMED, "%s: %s", what,
                  der.size ? "too large for a certificate" : "empty, not a certificate");
        return NULL;
    }
    bool hashed = EVP_Digest(der.data, der.size, hash, NULL, EVP_sha256(), NULL) == 1;
    X509 *recalled = hashed ? cert_recall(hash) : NULL;
    if (recalled)
        return recalled;
    AUTO(X509) *cert = d2i_X509(NULL, &p, (long)der.size);
    if (!cert) {
        error_openssl(err, RC_MALFORMED, "%s: not a certificate", what);
        error_rule(err, "RFC 5280 section 4.1");
        return NULL;
    }
    if (p == der.data + der.size) {
        if (hashed)
            cert_keep(cert, hash, der.size);
        return TAKE(cert);
    }
    error_set(err, RC_MALFORMED, "%s: %zu bytes behind the certificate", what,
              (size_t)(der.data + der.size - p));
    return NULL;
}

buffer *cert_to_der(const X509 *cert, struct error *err)
{
    int size = i2d_X509(cert, NULL);
    AUTO(buffer) *der = size > 0 ? buffer_new((size_t)size) : NULL;
    if (!der) {
        error_memory(err);
        return NULL;
    }
    unsigned char *p = der->data;
    der->size = (size_t)i2d_X509(cert, &p);
    der->data[der->size] = '\0';
    return TAKE(der);
}

buffer *cert_to_pem(const X509 *cert, struct error *err)
{
    AUTO(BIO) *bio = BIO_new(BIO_s_mem());
    buffer *pem = bio && PEM_write_bio_X509(bio, cert) ? bio_text(bio, false) : NULL;
    if (!pem)
        error_memory(err);
    return pem;
}

static bool sha256(const X509 *cert, uint8_t digest[32], struct error *err)
{
    unsigned size = 32;
    if (X509_digest(cert, EVP_sha256(), digest, &size) == 1)
        return true;
    return error_openssl(err, RC_INTERNAL, "cannot hash a certificate");
}

static char *sha256_text(const X509 *cert, void (*put)(buffer *, struct span), struct error *err)
{
    uint8_t digest[32];
    if (!sha256(cert, digest, err))
        return NULL;
    AUTO(buffer) *text = buffer_new(80);
    if (text)
        put(text, SPAN(digest, sizeof digest));
    char *result = text && !text->failed ? span_dup(buffer_span(text)) : NULL;
    if (!result)
        error_memory(err);
    return result;
}

buffer *certs_to_pem(const X509_stack *certs, struct error *err)
{
    AUTO(buffer) *text = buffer_new(4096);
    for (int i = 0; text && i < sk_X509_num(certs); i++) {
        AUTO(buffer) *pem = cert_to_pem(sk_X509_value(certs, i), err);
        if (!pem)
            return NULL;
        buffer_put_span(text, buffer_span(pem));
    }
    if (text && !text->failed)
        return TAKE(text);
    error_memory(err);
    return NULL;
}

char *cert_did(const X509 *cert, struct error *err)
{
    return sha256_text(cert, buffer_put_base64, err);
}

char *cert_sha256_hex(const X509 *cert, struct error *err)
{
    return sha256_text(cert, buffer_put_hex, err);
}

/* The alternative name as text in out; false when it is empty, too long or no printable ASCII, and
 * when it looks like one of another kind: as texts, tamids of two TAMs must not be the same. */
static bool name_text(const GENERAL_NAME *name, char out[LIMIT_NAME_BYTES + 1])
{
    if (name->type == GEN_RID) {
        int length = OBJ_obj2txt(out, LIMIT_NAME_BYTES + 1, name->d.registeredID, 1);
        return length > 0 && length <= LIMIT_NAME_BYTES;
    }
    const ASN1_IA5STRING *text = name->d.ia5;
    int length = ASN1_STRING_length(text);
    if (length < 1 || length > LIMIT_NAME_BYTES)
        return false;
    memcpy(out, ASN1_STRING_get0_data(text), (size_t)length);
    out[length] = '\0';
    for (int i = 0; i < length; i++)
        if (out[i] <= ' ' || out[i] > '~')
            return false;
    bool is_uri = strchr(out, ':') != NULL;
    return name->type == GEN_URI ? is_uri : !is_uri && out[strspn(out, "0123456789.")];
}

/* The one name of that type: *found stays NULL when there is none; false when there are two. */
static bool find_name(const GENERAL_NAMES *names, int type, const GENERAL_NAME **found)
{
    *found = NULL;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == type && *found)
            return false;
        if (name->type == type)
            *found = name;
    }
    return true;
}

/* The tamid among names as text; false with err set. */
static bool choose_tamid(const GENERAL_NAMES *names, const char *who,
                         char tamid[LIMIT_NAME_BYTES + 1], struct error *err)
{
    static const struct {
        int type;
        const char *what;
    } kinds[] = {{GEN_RID, "registeredID"}, {GEN_URI, "URI"}, {GEN_DNS, "dNSName"}};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        const GENERAL_NAME *name;
        if (!find_name(names, kinds[k].type, &name))
            return error_set(err, RC_UNTRUSTED, "%s: two %s names, so the tamid is ambiguous", who,
                             kinds[k].what);
        if (name && name_text(name, tamid))
            return true;
        if (name)
            return error_set(
                err, RC_UNTRUSTED,
                "%s: its %s is no tamid: empty, longer than %d bytes, not printable or "
                "in the form of another kind of name",
                who, kinds[k].what, LIMIT_NAME_BYTES);
    }
    return error_set(err, RC_UNTRUSTED,
                     "%s: no tamid: no registeredID, URI or dNSName in its subjectAltName", who);
}

char *cert_tamid(const X509 *cert, struct error *err)
{
    AUTO(char) *subject = cert_subject(cert);
    const char *who = subject ? subject : "certificate";
    int critical;
    AUTO(GENERAL_NAMES) *names = X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);
    ERR_clear_error();
    if (!names) {
        error_set(err, RC_UNTRUSTED, "%s: no tamid: %s", who,
                  critical == -1   ? "it has no subjectAltName"
                  : critical == -2 ? "it has more than one subjectAltName"
                                   : "its subjectAltName is not well-formed");
        return NULL;
    }
    char text[LIMIT_NAME_BYTES + 1];
    if (!choose_tamid(names, who, text, err))
        return NULL;
    char *tamid = strdup(text);
    if (!tamid)
        error_memory(err);
    return tamid;
}

static char *line_of(const X509_NAME *name)
{
    AUTO(BIO) *bio = BIO_new(BIO_s_mem());
    if (!bio || X509_NAME_print_ex(bio, name, 0,
                                   XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) < 0)
        return NULL;
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    if (size == 0)
        return strdup("(no subject)");
    size_t length = utf8_cut(data, (size_t)size, SUBJECT_BYTES);
    char *text = NULL;
    if (asprintf(&text, "%.*s%s", (int)length, data, length < (size_t)size ? "..." : "") < 0)
        return NULL;
    return text;
}

char *cert_subject(const X509 *cert)
{
    return line_of(X509_get_subject_name(cert));
}

char *cert_issuer(const X509 *cert)
{
    return line_of(X509_get_issuer_name(cert));
}

char *cert_common_name(const X509 *cert)
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
