/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/mould.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/rand.h>

#include "pki/asn1.h"
#include "pki/der.h"

#define CERT_BYTES      1024 /* as many as a usual one has, at most */
#define SERIAL_BYTES    20   /* RFC 5280 section 4.1.2.2; the first bit is the sign */
#define KEY_ID_BYTES    20   /* SHA-1: section 4.2.1.2, method 1 */
#define SIGNATURE_BYTES 1024 /* RSA-8192 */

struct mould {
    const cert_template *template;
    const X509 *issuer;
    EVP_PKEY *issuer_key;
    enum pki_role role;
    long days;
    EVP_MD_CTX *signature; /* begun, and copied for each: to begin is a tenth of the work */
    buffer *algorithm;     /* AlgorithmIdentifier of it */
    buffer *issuer_name;
    buffer *validity;
    time_t now;         /* of validity */
    char *expiry;       /* its second time, as in a ledger */
    X509_NAME *subject; /* of the last one */
    buffer *extensions; /* with their [3] */
    size_t key_id;      /* where it is in the extensions; 0: nowhere */
};

void mould_free(mould *m)
{
    if (!m)
        return;
    EVP_MD_CTX_free(m->signature);
    buffer_free(m->algorithm);
    buffer_free(m->issuer_name);
    buffer_free(m->validity);
    free(m->expiry);
    X509_NAME_free(m->subject);
    buffer_free(m->extensions);
    free(m);
}

/* Appends what OpenSSL encodes. */
static void put_encoded(buffer *out, const void *value, const ASN1_ITEM *item)
{
    int size = ASN1_item_i2d(value, NULL, item);
    uint8_t *to = size > 0 ? buffer_reserve(out, (size_t)size) : NULL;
    if (to && ASN1_item_i2d(value, &to, item) == size)
        out->size += (size_t)size;
    else
        out->failed = true;
}

/* NULL when that fails. */
static buffer *encode(const void *value, const ASN1_ITEM *item)
{
    AUTO(buffer) *out = buffer_new(200);
    if (out)
        put_encoded(out, value, item);
    return out && !out->failed ? TAKE(out) : NULL;
}

/* The times for a certificate that is issued now; false when its issuer would end earlier. */
static bool set_times(mould *m, const struct issue_order *order)
{
    struct error ignored;
    if (m->validity->size && m->now == order->now)
        return true;
    AUTO(ASN1_TIME) *begin = ASN1_TIME_set(NULL, order->now);
    AUTO(ASN1_TIME) *end = template_end(m->template, &order->use, order->now, &ignored);
    if (!begin || !end || ASN1_TIME_compare(end, X509_get0_notAfter(m->issuer)) > 0)
        return false;
    m->validity->size = 0;
    put_encoded(m->validity, begin, ASN1_ITEM_rptr(ASN1_TIME));
    put_encoded(m->validity, end, ASN1_ITEM_rptr(ASN1_TIME));
    der_wrap(m->validity, 0, DER_SEQUENCE);
    free(m->expiry);
    m->expiry = strndup((const char *)ASN1_STRING_get0_data(end), (size_t)ASN1_STRING_length(end));
    m->now = order->now;
    return !m->validity->failed && m->expiry;
}

/* Where the extensions have the key identifier, once: *at, or 0 where cert has none. */
static bool find_key_id(const buffer *extensions, const X509 *cert, size_t *at)
{
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id((X509 *)(uintptr_t)cert);
    *at = 0;
    if (!id)
        return true;
    struct span all = buffer_span(extensions),
                sought = SPAN(ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id));
    const uint8_t *found = memmem(all.data, all.size, sought.data, sought.size);
    if (sought.size != KEY_ID_BYTES || !found)
        return false;
    *at = (size_t)(found - all.data);
    const uint8_t *rest = found + 1;
    return !memmem(rest, all.size - *at - 1, sought.data, sought.size);
}

/* Attribute by attribute, each in a set of its own. */
static void put_subject(buffer *out, const X509_NAME *subject)
{
    size_t start = out->size;
    for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
        size_t entry = out->size;
        put_encoded(out, X509_NAME_get_entry(subject, i), ASN1_ITEM_rptr(X509_NAME_ENTRY));
        der_wrap(out, entry, DER_SET);
    }
    der_wrap(out, start, DER_SEQUENCE);
}

/* TBSCertificate, for the subject that the mould has now. serial: the content of its INTEGER. */
static bool put_tbs(const mould *m, struct span serial, const struct ec_point *point, buffer *out)
{
    static const uint8_t version_3[] = {DER_CONTEXT, 3, DER_INTEGER, 1, 2};
    size_t start = out->size;
    buffer_put(out, version_3, sizeof version_3);
    der_put(out, DER_INTEGER, serial);
    buffer_put_span(out, buffer_span(m->algorithm));
    buffer_put_span(out, buffer_span(m->issuer_name));
    buffer_put_span(out, buffer_span(m->validity));
    put_subject(out, m->subject);
    ec_point_put(out, point);
    size_t extensions = out->size;
    buffer_put_span(out, buffer_span(m->extensions));
    if (out->failed ||
        (m->key_id && EVP_Digest(point->bytes, point->size, out->data + extensions + m->key_id,
                                 NULL, EVP_sha1(), NULL) != 1))
        return false;
    der_wrap(out, start, DER_SEQUENCE);
    return !out->failed;
}

/* Whether the certificate that the mould was made from comes out of it. */
static bool is_true(mould *m, const struct issue_order *order, const X509 *cert)
{
    struct error ignored;
    struct ec_point point;
    AUTO(buffer) *serial = encode(X509_get0_serialNumber(cert), ASN1_ITEM_rptr(ASN1_INTEGER));
    AUTO(buffer) *tbs = buffer_new(CERT_BYTES);
    unsigned char *own = NULL;
    int size = i2d_re_X509_tbs((X509 *)(uintptr_t)cert, &own);
    bool same = serial && tbs && size > 0 && ec_point_of(order->pkey, &point) &&
                template_rename(order->template, &order->use, m->subject, &ignored) &&
                put_tbs(m, SPAN(serial->data + 2, serial->size - 2), &point, tbs) &&
                span_equal(buffer_span(tbs), SPAN(own, (size_t)size));
    OPENSSL_free(own);
    return same;
}

mould *mould_new(const struct issue_order *order, const X509 *cert)
{
    AUTO(mould) *m = template_is_uniform(order->template, &order->use) ? calloc(1, sizeof *m)
                                                                       : NULL;
    if (!m)
        return NULL;
    *m = (mould){.template = order->template,
                 .issuer = order->issuer,
                 .issuer_key = order->issuer_key,
                 .role = order->use.role,
                 .days = order->use.days,
                 .signature = signature_begin(order->issuer_key),
                 .algorithm = encode(X509_get0_tbs_sigalg(cert), ASN1_ITEM_rptr(X509_ALGOR)),
                 .issuer_name = encode(X509_get_issuer_name(cert), ASN1_ITEM_rptr(X509_NAME)),
                 .validity = buffer_new(40),
                 .subject = X509_NAME_dup(X509_get_subject_name(cert)),
                 .extensions = encode(X509_get0_extensions(cert), ASN1_ITEM_rptr(X509_EXTENSIONS))};
    if (m->extensions)
        der_wrap(m->extensions, 0, DER_CONTEXT | 3);
    bool made = m->signature && m->algorithm && m->issuer_name && m->validity && m->subject &&
                m->extensions && !m->extensions->failed &&
                find_key_id(m->extensions, cert, &m->key_id) && set_times(m, order) &&
                is_true(m, order, cert);
    ERR_clear_error();
    return made ? TAKE(m) : NULL;
}

/* A positive number in the fewest bytes, as the content of an INTEGER. */
static bool make_serial(uint8_t room[SERIAL_BYTES], struct span *serial)
{
    if (RAND_bytes(room, SERIAL_BYTES) != 1)
        return false;
    room[0] &= 0x7f;
    *serial = SPAN(room, SERIAL_BYTES);
    while (serial->size > 1 && !serial->data[0] && !(serial->data[1] & 0x80))
        *serial = SPAN(serial->data + 1, serial->size - 1);
    return serial->size > 1 || serial->data[0];
}

static bool take_facts(const mould *m, struct span serial, struct ledger_facts *facts)
{
    size_t sign = !serial.data[0];
    *facts = (struct ledger_facts){.expiry = OPENSSL_strdup(m->expiry),
                                   .serial = OPENSSL_malloc(2 * SERIAL_BYTES + 1),
                                   .subject = X509_NAME_oneline(m->subject, NULL, 0)};
    return facts->expiry && facts->subject && facts->serial &&
           OPENSSL_buf2hexstr_ex(facts->serial, 2 * SERIAL_BYTES + 1, NULL, serial.data + sign,
                                 serial.size - sign, '\0') == 1;
}

static EVP_MD_CTX *begin_signature(const mould *m)
{
    AUTO(EVP_MD_CTX) *copy = EVP_MD_CTX_new();
    if (!copy || EVP_MD_CTX_copy_ex(copy, m->signature) != 1) /* not every provider can */
        return signature_begin(m->issuer_key);
    EVP_MD_CTX_set_flags(copy, EVP_MD_CTX_FLAG_FINALISE); /* or it would be copied once more */
    return TAKE(copy);
}

/* Signs the TBSCertificate that der is so far, and makes a certificate of it. */
static bool sign(const mould *m, buffer *der)
{
    uint8_t room[SIGNATURE_BYTES];
    size_t size = sizeof room;
    AUTO(EVP_MD_CTX) *signature = begin_signature(m);
    if (!signature || EVP_PKEY_get_size(m->issuer_key) > SIGNATURE_BYTES ||
        EVP_DigestSign(signature, room, &size, der->data, der->size) != 1)
        return false;
    buffer_put_span(der, buffer_span(m->algorithm));
    der_put_bits(der, SPAN(room, size));
    der_wrap(der, 0, DER_SEQUENCE);
    return !der->failed;
}

static bool fits(const mould *m, const struct issue_order *order)
{
    return order->template == m->template && order->issuer == m->issuer &&
           order->issuer_key == m->issuer_key && order->use.role == m->role &&
           order->use.days == m->days;
}

buffer *mould_cast(mould *m, const struct issue_order *order, const struct ec_point *point,
                   struct ledger_facts *facts)
{
    struct error ignored;
    uint8_t room[SERIAL_BYTES];
    struct span serial;
    AUTO(buffer) *der = fits(m, order) ? buffer_new(CERT_BYTES) : NULL;
    *facts = (struct ledger_facts){.serial = NULL};
    bool cast = der && set_times(m, order) && make_serial(room, &serial) &&
                template_rename(m->template, &order->use, m->subject, &ignored) &&
                put_tbs(m, serial, point, der) && sign(m, der) && take_facts(m, serial, facts);
    ERR_clear_error();
    if (cast)
        return TAKE(der);
    ledger_facts_free(facts);
    return NULL;
}
